//! Events that are not what was appended, though every checksum of the log says that they are: what a
//! recovery would serve that mixes events up.

use crate::{
    appends::Events,
    model::{Crash, Level},
    script::Step,
    stale_frames::{frames, seal, segment, segment_seed},
    world::{Done, Setup, World, honest, settle},
};

const SEGMENT: &str = "data/db/00000001.seg";

/// Appends some events alone, cuts the power, lets `forge` at the value of the last one, and recovers.
fn recover_after(seed: u64, forge: impl Fn(&mut [u8])) -> Done {
    let mut world = World::new(seed, Setup::fixed(), honest);
    world.start()?;
    for _ in 0..4 {
        let events = Events { category: 0, stream: 0, count: 1, len: 20 };
        world.step(&Step::Append { events, level: Some(Level::Sync) })?;
    }
    world.crash(Crash::Power);
    let mut bytes = segment(&world);
    let all = frames(&bytes);
    let [.., start, end] = all[..] else { panic!("{all:?}") };
    let checksum_seed = segment_seed(&bytes);
    let before = bytes[start..end].to_vec();
    forge(&mut bytes[start..end]);
    seal(&mut bytes[start..end], &before, checksum_seed);
    world.sim.set_file_bytes(SEGMENT, &bytes).unwrap();
    world.recover(Crash::Power)
}

/// Where the version stands in the frame of an event: in front of its type and of the label's last eight bytes, of
/// which the last but one has their lengths and the last one, the flags, is the last of the frame but padding.
fn version_at(frame: &[u8]) -> usize {
    let flags = frame.iter().rposition(|byte| *byte != 0).unwrap();
    let lengths = usize::from(frame[flags - 1]);
    let type_bytes = [0, 1, 2, 4][lengths >> 4 & 3];
    flags - 7 - type_bytes - (lengths & 15)
}

#[test]
fn the_world_whose_events_are_forged_is_sound() {
    settle(recover_after(1, |_| {})).unwrap();
    settle(recover_after(1, |frame| assert_eq!(frame[version_at(frame)], 3))).unwrap();
}

/// The canaries: what a stream would be like whose versions have a hole, or whose event has other data.
pub(crate) fn with_a_hole(seed: u64) -> Result<(), String> {
    settle(recover_after(seed, |frame| frame[version_at(frame)] += 1))
}

pub(crate) fn with_other_data(seed: u64) -> Result<(), String> {
    settle(recover_after(seed, |frame| {
        // What fills the value up is the same byte over and over.
        let at = frame
            .windows(8)
            .position(|some| some.iter().all(|byte| *byte == some[0] && *byte != 0));
        frame[at.unwrap()] ^= 1;
    }))
}

/// Appends events that lead to one another through a checkpoint, cuts the power, and recovers with the
/// checkpoint alone.
pub(crate) fn without_the_log(
    seed: u64,
    zero: impl Fn(&annals_disk::SimDisk),
) -> Result<(), String> {
    let mut world = World::new(seed, Setup::fixed(), honest);
    let run = |world: &mut World| -> Done {
        world.start()?;
        for round in 0..6 {
            let events = Events { category: 0, stream: round % 2, count: 5, len: 300 };
            world.step(&Step::Append { events, level: Some(Level::Sync) })?;
            if round % 3 == 1 {
                world.step(&Step::Checkpoint)?;
            }
        }
        world.crash(Crash::Power);
        zero(&world.sim);
        world.recover(Crash::Power)
    };
    settle(run(&mut world))
}
