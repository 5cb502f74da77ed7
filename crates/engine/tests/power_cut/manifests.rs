//! New manifests: a script that begins some, and a disk that has space for one and not for the root that is to name
//! it.

use crate::{
    check,
    model::{Crash, Level},
    script::{Step, put},
    world::{DIR, Setup, World, honest, settle},
    writes::LONG_KEYS_FROM,
};
use annals_disk::Disk;
use annals_engine::{Error, ErrorKind};
use std::path::Path;

/// Tables of long keys, each of which takes most of the manifest's room.
pub(crate) fn manifests() -> Vec<Step> {
    let long = |n, level| put(1, LONG_KEYS_FROM + n, 10, level);
    vec![
        put(1, 1, 10, Level::Sync),
        long(0, Level::Sync),
        Step::Checkpoint,
        long(1, Level::Buffered),
        Step::Checkpoint,
        put(1, 1, 20, Level::Buffered),
        long(2, Level::Buffered),
        Step::Checkpoint,
        Step::Look,
        Step::Clear { space: 1 },
        long(3, Level::Sync),
        Step::Checkpoint,
        long(4, Level::Buffered),
        Step::Reopen,
        long(5, Level::Sync),
        Step::Checkpoint,
        Step::Kill,
        put(1, 2, 10, Level::Sync),
    ]
}

/// The highest number of a manifest that is there.
fn manifest(world: &World) -> String {
    let names = world.sim.list(Path::new(DIR)).unwrap().into_iter().map(|entry| entry.name);
    names.filter(|name| name.ends_with(".man")).max().expect("there is one")
}

/// The script as far as the step before the one that begins the second manifest, and that step.
fn before_the_second() -> (Vec<Step>, Step) {
    let mut world = World::new(1, Setup::fixed(), honest);
    settle(world.start()).unwrap();
    let mut script = manifests();
    settle(world.step(&script[0])).unwrap();
    let first = manifest(&world);
    for at in 1..script.len() {
        settle(world.step(&script[at])).unwrap();
        if manifest(&world) != first {
            let step = script.swap_remove(at);
            script.truncate(at);
            return (script, step);
        }
    }
    panic!("one manifest was enough");
}

/// A database on a disk with so much space left, where a step finds the disk full; what it said.
fn on_a_full_disk(script: &[Step], step: &Step, left_bytes: u64) -> (World, Result<(), Error>) {
    let mut world = World::new(1, Setup::fixed(), honest);
    settle(world.start()).unwrap();
    settle(script.iter().try_for_each(|step| world.step(step))).unwrap();
    let files = world.sim.paths();
    let used: usize =
        files.iter().filter_map(|path| world.sim.file_bytes(path)).map(|b| b.len()).sum();
    world.sim.set_capacity(used as u64 + left_bytes);
    let said = settle(world.try_step(step)).unwrap();
    (world, said)
}

#[test]
fn a_root_that_finds_no_space_for_a_new_manifest_refuses_that_one_change() {
    let (script, step) = before_the_second();
    // First the table finds no space, then the manifest, then the root that is to name it, then what comes later.
    let (mut too_little, mut enough) = (0, 4 << 20);
    let mut world = loop {
        assert!(enough - too_little > 1, "the root finds no space nowhere");
        let left_bytes = (too_little + enough) / 2;
        match on_a_full_disk(&script, &step, left_bytes) {
            (world, Err(Error::Tables(annals_ordered::Error::Root { .. }))) => break world,
            (_, Err(Error::Tables(error))) => {
                assert!(error.is_full(), "{error}");
                too_little = left_bytes;
            }
            _ => enough = left_bytes,
        }
    };
    let files = world.sim.paths();
    let again = settle(world.try_step(&step)).unwrap().unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Full, "{again}");
    assert_eq!(world.sim.paths(), files, "nothing more is left behind");
    assert_eq!(files.iter().filter(|path| path.extension().is_some_and(|e| e == "man")).count(), 1);
    // Writing goes on meanwhile, and so does what was refused once there is space.
    settle(world.step(&put(1, 3, 10, Level::Sync))).unwrap();
    settle(world.step(&Step::Look)).unwrap();
    check::intact(&world.db()).unwrap();
    world.sim.clear_capacity();
    let first = manifest(&world);
    settle(world.step(&step)).unwrap();
    assert_ne!(manifest(&world), first);
    for crash in [Crash::Kill, Crash::Power] {
        world.crash(crash);
        settle(world.recover(crash)).unwrap();
        settle(world.step(&Step::Look)).unwrap();
    }
}
