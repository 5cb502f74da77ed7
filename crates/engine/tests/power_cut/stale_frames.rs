//! Frames that a recovery cut off and that still stand behind the log's end, on a whole number of
//! frames: the rules of epochs and numbers keep them dead. A recovery without these rules would
//! bring them back; what that looks like is shown by making them fit.

use crate::{
    check,
    model::{Crash, Level},
    script::Step,
    world::{Done, Setup, Stop, World, honest, settle},
};
use crc32c::{crc32c, crc32c_append};

const SEGMENT: &str = "data/db/00000001.seg";
const SEGMENT_HEADER_BYTES: usize = 64;
const FRAME_HEADER_BYTES: usize = 48;

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// Where the frames of a segment begin, and where the last one ends.
pub(crate) fn frames(bytes: &[u8]) -> Vec<usize> {
    let mut at = SEGMENT_HEADER_BYTES;
    let mut found = vec![at];
    while at + 8 <= bytes.len() && u32_at(bytes, at + 4) != 0 {
        at += u32_at(bytes, at + 4) as usize;
        found.push(at);
    }
    found
}

pub(crate) fn segment(world: &World) -> Vec<u8> {
    world.sim.file_bytes(SEGMENT).unwrap()
}

/// Loses some commits to a power cut, makes a new one of the same length, and cuts the power again;
/// then the lost frames, but the first, stand behind the new one as if they had never been zeroed.
/// `forge` may change the first of them.
fn put_back(seed: u64, forge: impl Fn(&mut [u8], &[u8])) -> Done {
    let put = |key, level| Step::Put { space: 0, key, len: 100, ttl_ms: None, level: Some(level) };
    let mut world = World::new(seed, Setup::fixed(), honest);
    world.start()?;
    world.step(&put(4, Level::Sync))?;
    let kept = *frames(&segment(&world)).last().unwrap();
    for key in [7, 10, 13] {
        world.step(&put(key, Level::Buffered))?;
    }
    let lost = segment(&world);
    world.crash(Crash::Power);
    let mut cut = lost.clone();
    cut[kept..].fill(0);
    world.sim.set_file_bytes(SEGMENT, &cut).unwrap();
    world.recover(Crash::Power)?;

    world.step(&put(16, Level::Sync))?;
    let db = world.db.take().unwrap();
    check::feed(&db, &mut world.model, 0)?;
    world.crash(Crash::Power);
    drop(db);
    let mut bytes = segment(&world);
    let end = *frames(&bytes).last().unwrap();
    let stale = frames(&lost).into_iter().find(|start| *start == end);
    assert!(stale.is_some(), "the new frame is as long as the lost one");
    bytes.truncate(end);
    bytes.extend_from_slice(&lost[end..]);
    let (front, behind) = bytes.split_at_mut(end);
    forge(behind, &front[kept..]);
    world.sim.set_file_bytes(SEGMENT, &bytes).unwrap();
    world.recover(Crash::Power)?;
    world.step(&put(19, Level::Sync))?;
    world.step(&Step::Kill)?;
    world.step(&Step::Look)
}

/// Makes `stale` follow `before`, a frame of one record and of the same length that is intact: its
/// epoch, its number, its checksums.
fn fit(stale: &mut [u8], before: &[u8], seed: u32) {
    let frame = &mut stale[..u32_at(before, 4) as usize];
    let seq = u64::from_le_bytes(before[8..16].try_into().unwrap()) + 1;
    let delta = u32_at(before, FRAME_HEADER_BYTES + 4) + 1;
    frame[8..16].copy_from_slice(&seq.to_le_bytes());
    frame[16..32].copy_from_slice(&before[16..32]);
    frame[36..40].copy_from_slice(&before[36..40]);
    frame[FRAME_HEADER_BYTES + 4..FRAME_HEADER_BYTES + 8].copy_from_slice(&delta.to_le_bytes());
    seal(stale, before, seed);
}

/// The checksum of a record in a segment.
fn bind(record: &[u8], seed: u32) -> u32 {
    let body = u64::from(crc32c(&record[8..]));
    let delta = u64::from(u32_at(record, 4));
    crc32c_append(seed, &(delta << 32 | body).to_le_bytes())
}

/// Makes the checksums of `stale` right.
pub(crate) fn seal(stale: &mut [u8], before: &[u8], seed: u32) {
    let len = u32_at(before, 4) as usize;
    // The frame's padding is not the record's.
    let record = [len, len - 8].into_iter().map(|end| FRAME_HEADER_BYTES..end).find(|record| {
        let record = &before[record.clone()];
        bind(record, seed) == u32_at(record, 0)
    });
    let record = &mut stale[record.expect("the record was intact")];
    let checksum = bind(record, seed).to_le_bytes();
    record[0..4].copy_from_slice(&checksum);
    let head = crc32c_append(seed, &stale[4..FRAME_HEADER_BYTES]);
    stale[0..4].copy_from_slice(&crc32c_append(head, &checksum).to_le_bytes());
}

/// The seed of the segment's checksums, from its header.
pub(crate) fn segment_seed(world_segment: &[u8]) -> u32 {
    crc32c(&[&world_segment[16..24], &world_segment[24..28]].concat())
}

#[test]
fn frames_that_were_cut_off_stay_dead() {
    for seed in 0..20 {
        settle(put_back(seed, |_, _| {})).unwrap();
    }
}

/// The canary: a recovery that breaks the rules.
pub(crate) fn resurrect(seed: u64) -> Result<(), String> {
    // The header of the segment is the same all the time; it is read from a world of the same seed.
    let mut world = World::new(seed, Setup::fixed(), honest);
    settle(world.start())?;
    let checksum_seed = segment_seed(&segment(&world));
    settle(put_back(seed, |stale, before| fit(stale, before, checksum_seed)))
}

/// Brings a segment that was recycled into use, with frames of its earlier life standing exactly
/// behind the log's end, and cuts the power. `forge` may change the first of them.
fn in_recycled(seed: u64, forge: impl Fn(&mut [u8], &[u8], u32)) -> Done {
    // What is given up is not used again while any thread of this process reads, so that tests beside this
    // one may keep it from being so.
    const ATTEMPTS: usize = 100;
    let recycled = (0..ATTEMPTS).find_map(|_| try_in_recycled(seed, &forge));
    recycled.expect("the log goes on in a recycled segment")
}

/// The same; `None` if no segment was recycled in time.
fn try_in_recycled(seed: u64, forge: impl Fn(&mut [u8], &[u8], u32)) -> Option<Done> {
    let mut world = World::new(seed, Setup::fixed(), honest);
    let end = match fill_recycled(&mut world) {
        Ok(end) => end,
        Err(stop) => return Some(Err(stop)),
    };
    let tail = newest_segment(&world);
    let mut bytes = world.sim.file_bytes(&tail).unwrap();
    let last = end - u32_at(&bytes, SEGMENT_HEADER_BYTES + 4) as usize;
    // The header says whether the file had an earlier life; a frame of it stands behind the end.
    let is_it = bytes[13] & 1 == 1 && u32_at(&bytes, end + 4) == u32_at(&bytes, last + 4);
    is_it.then(|| {
        let checksum_seed = segment_seed(&bytes);
        let (front, behind) = bytes.split_at_mut(end);
        forge(behind, &front[last..], checksum_seed);
        world.sim.set_file_bytes(&tail, &bytes).unwrap();
        world.recover(Crash::Power)?;
        let torn = world.db().recovery().torn_bytes;
        if torn > 0 {
            return Err(format!("{torn} bytes of an earlier life were taken for torn ones").into());
        }
        let level = Some(Level::Sync);
        world.step(&Step::Put { space: 0, key: 19, len: 1_000, ttl_ms: None, level })?;
        world.step(&Step::Kill)?;
        world.step(&Step::Look)
    })
}

/// Fills a world until its log goes on in a recycled segment, and cuts the power; returns where it ends.
fn fill_recycled(world: &mut World) -> Result<usize, Stop> {
    // Keys of one length, so that all frames have the same length.
    let put =
        |key, level| Step::Put { space: 0, key, len: 1_000, ttl_ms: None, level: Some(level) };
    world.start()?;
    for _ in 0..3 {
        for n in 0..140 {
            world.step(&put(4 + 3 * (n % 3), Level::Buffered))?;
        }
        world.step(&Step::Compact)?;
        world.step(&put(4, Level::Buffered))?;
    }
    // The log goes on in a recycled segment.
    world.step(&Step::Compact)?;
    for key in [13, 16] {
        world.step(&put(key, Level::Sync))?;
    }
    let end = world.db().stats().log.end.offset as usize;
    world.crash(Crash::Power);
    Ok(end)
}

/// The segment that joined the chain last.
fn newest_segment(world: &World) -> std::path::PathBuf {
    let ordinal_of = |path: &std::path::PathBuf| {
        let bytes = world.sim.file_bytes(path).unwrap_or_default();
        let chained = bytes.len() > SEGMENT_HEADER_BYTES && bytes[12] == 1;
        chained.then(|| u32_at(&bytes, 28))
    };
    let segments = world.sim.paths().into_iter().filter(|path| {
        path.starts_with("data/db") && path.extension().is_some_and(|ending| ending == "seg")
    });
    segments.max_by_key(ordinal_of).unwrap()
}

#[test]
fn frames_of_an_earlier_life_stay_dead() {
    for seed in 0..20 {
        settle(in_recycled(seed, |_, _, _| {})).unwrap();
    }
}

/// Not the checksum alone keeps them dead: with one that is right for the new generation, they
/// still have the wrong number.
#[test]
fn frames_of_an_earlier_life_have_old_numbers() {
    for seed in 0..20 {
        settle(in_recycled(seed, seal)).unwrap();
    }
}

/// The canary: numbers, epochs and checksums all fit.
pub(crate) fn revive(seed: u64) -> Result<(), String> {
    settle(in_recycled(seed, fit))
}
