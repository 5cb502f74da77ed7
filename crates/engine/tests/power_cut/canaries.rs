//! Worlds that are broken on purpose: if the checks do not notice, they prove nothing.

use crate::{
    broken_disk::BrokenDisk,
    forged_events,
    model::{Crash, Level},
    random_scripts,
    script::Step,
    seeds,
    world::{Setup, Stop, World, honest, settle},
};
use annals_disk::{Disk, SimDisk};
use std::sync::Arc;

/// Every broken world must be found out within so many seeds.
const SEEDS: u64 = 300;

fn is_found_out(what: &str, run: impl Fn(u64) -> Result<(), String> + Sync) {
    let failed = seeds::failures(0..SEEDS, 1, run);
    assert!(!failed.is_empty(), "{what}: nobody noticed within {SEEDS} seeds");
}

#[test]
fn skipped_directory_syncs_are_noticed() {
    is_found_out("directory syncs that do nothing", |seed| {
        random_scripts::run(seed, BrokenDisk::without_directory_syncs)
    });
}

#[test]
fn acknowledging_before_the_sync_is_noticed() {
    is_found_out("syncs that do nothing", |seed| {
        random_scripts::run(seed, BrokenDisk::without_syncs)
    });
}

/// Fills tables and lets compactions replace them, cuts the power somewhere, and recovers.
fn with_tables(seed: u64, wrap: fn(SimDisk) -> Arc<dyn Disk>) -> Result<(), String> {
    let mut world = World::new(seed, Setup::fixed(), wrap);
    world.sim.cut_power_at(20 + seed % 300);
    let run = |world: &mut World| -> Result<(), Stop> {
        world.start()?;
        for round in 0..6 {
            for key in 0..3 {
                let (len, level) = (100 + 400 * round, Some(Level::Sync));
                world.step(&Step::Put { space: 1, key, len, ttl_ms: None, level })?;
            }
            world.step(&Step::Checkpoint)?;
            world.step(&Step::Tick { ms: 20 })?;
            if round % 3 == 2 {
                world.step(&Step::Compact)?;
            }
        }
        Ok(())
    };
    match run(&mut world) {
        Ok(()) | Err(Stop::Cut) => {}
        Err(Stop::Violation(what)) => return Err(what),
    }
    world.crash(Crash::Power);
    settle(world.recover(Crash::Power)).map(drop)
}

#[test]
fn the_world_with_tables_is_sound() {
    let failed = seeds::failures(0..SEEDS, 1, |seed| with_tables(seed, honest));
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn tables_whose_names_are_not_durable_are_noticed() {
    is_found_out("no directory sync behind a table", |seed| {
        with_tables(seed, BrokenDisk::without_directory_syncs_of_tables)
    });
}

#[test]
fn tables_that_are_named_before_they_are_durable_are_noticed() {
    is_found_out("no sync of a table", |seed| {
        with_tables(seed, BrokenDisk::without_syncs_of_tables)
    });
}

#[test]
fn edits_that_are_acted_upon_before_they_are_durable_are_noticed() {
    is_found_out("no sync of a manifest", |seed| {
        with_tables(seed, BrokenDisk::without_syncs_of_manifests)
    });
}

/// Recoveries that do something wrong themselves, in the long random scripts. A build without debug assertions
/// cannot be broken.
#[cfg(debug_assertions)]
#[test]
fn each_broken_recovery_is_noticed() {
    use annals_disk::canary::{Broken, break_openings};
    let all = [
        Broken::DropsFrame,
        Broken::HalvesCommits,
        Broken::KeepsRemovedKeys,
        Broken::KeepsRemovedRanges,
        Broken::KeepsStaleRecords,
        Broken::ForgetsTime,
        Broken::ForgetsTable,
        Broken::ReusesNumbers,
        Broken::LeavesReplayedUnsynced,
    ];
    for broken in all {
        is_found_out(&format!("a recovery that is {broken:?}"), |seed| {
            break_openings(broken, || random_scripts::run(seed, honest))
        });
    }
}

/// Writes some commits, cuts the power, lets `break_recovery` at the disk, and recovers.
fn recover_after(seed: u64, break_recovery: impl Fn(&SimDisk)) -> Result<(), String> {
    let settle = |outcome| match outcome {
        Ok(()) | Err(Stop::Cut) => Ok(()),
        Err(Stop::Violation(what)) => Err(what),
    };
    let mut world = World::new(seed, Setup::fixed(), honest);
    settle(world.start())?;
    for key in 0..6 {
        let put = Step::Put { space: 0, key, len: 900, ttl_ms: None, level: Some(Level::Sync) };
        settle(world.step(&put))?;
        if key % 3 == 1 {
            settle(world.step(&Step::Checkpoint))?;
        }
    }
    world.crash(Crash::Power);
    break_recovery(&world.sim);
    settle(world.recover(Crash::Power))
}

#[test]
fn the_world_of_the_next_canaries_is_sound() {
    recover_after(1, |_| {}).unwrap();
}

#[test]
fn a_recovery_that_loses_a_synced_commit_is_noticed() {
    is_found_out("a synced commit zeroed", |seed| recover_after(seed, zero_last_page));
}

/// Zeroes the last page of the log that holds anything.
fn zero_last_page(sim: &SimDisk) {
    let is_segment = |path: &std::path::PathBuf| {
        path.starts_with("data/db") && path.extension().is_some_and(|ending| ending == "seg")
    };
    for path in sim.paths().into_iter().filter(is_segment) {
        let mut bytes = sim.file_bytes(&path).unwrap_or_default();
        if let Some(last) = bytes.iter().rposition(|byte| *byte != 0) {
            bytes[last / 4096 * 4096..].fill(0);
            sim.set_file_bytes(&path, &bytes).unwrap();
        }
    }
}

/// A reader keeps a snapshot while the writer overwrites and compacts.
fn beside_a_reader(seed: u64, wrap: fn(SimDisk) -> Arc<dyn Disk>) -> Result<World, Stop> {
    let mut world = World::new(seed, Setup::fixed(), wrap);
    world.start()?;
    let overwrite = |world: &mut World| -> Result<(), Stop> {
        for key in [1, 2, 1, 2] {
            world.step(&Step::Put {
                space: 0,
                key,
                len: 60_000,
                ttl_ms: None,
                level: Some(Level::Sync),
            })?;
        }
        Ok(())
    };
    overwrite(&mut world)?;
    world.step(&Step::OpenReader)?;
    world.step(&Step::TakeReaderSnapshot { which: 0 })?;
    for _ in 0..4 {
        overwrite(&mut world)?;
        world.step(&Step::Compact)?;
    }
    world.step(&Step::Look)?;
    Ok(world)
}

#[test]
fn recycling_beside_a_reader_is_noticed() {
    is_found_out("readers whose lock does nothing", |seed| {
        settle(beside_a_reader(seed, BrokenDisk::without_reader_locks)).map(drop)
    });
}

#[test]
fn a_reader_keeps_its_state_over_many_compactions() {
    // A segment is not used again while any thread of the process is pinned: other tests have some that are.
    let recycles = || {
        let mut world = settle(beside_a_reader(1, honest)).unwrap();
        assert_eq!(world.recycled_count, 0);
        for step in [Step::CloseReader { which: 0 }, Step::Compact, Step::Compact] {
            settle(world.step(&step)).unwrap();
            let put =
                Step::Put { space: 0, key: 1, len: 60_000, ttl_ms: None, level: Some(Level::Sync) };
            settle(world.step(&put)).unwrap();
        }
        world.recycled_count > 0
    };
    assert!((0..100).any(|_| recycles()), "once it has gone, segments are recycled");
}

/// A reader keeps a snapshot of an ordered keyspace while the writer overwrites it, flushes and compacts.
fn beside_a_reader_of_tables(seed: u64, wrap: fn(SimDisk) -> Arc<dyn Disk>) -> Result<World, Stop> {
    let mut world = World::new(seed, Setup::fixed(), wrap);
    world.start()?;
    for round in 0..5 {
        for key in 0..8 {
            let level = Some(Level::Sync);
            world.step(&Step::Put { space: 1, key, len: 900, ttl_ms: None, level })?;
        }
        world.step(&Step::Checkpoint)?;
        if round == 0 {
            world.step(&Step::OpenReader)?;
            world.step(&Step::TakeReaderSnapshot { which: 0 })?;
        }
        world.step(&Step::Tick { ms: 1 })?;
    }
    world.step(&Step::Look)?;
    Ok(world)
}

#[test]
fn a_reader_keeps_tables_that_are_removed() {
    drop(settle(beside_a_reader_of_tables(1, honest)).unwrap());
}

#[test]
fn removed_tables_that_are_lost_to_readers_are_noticed() {
    is_found_out("tables that do not outlive their removal", |seed| {
        settle(beside_a_reader_of_tables(seed, BrokenDisk::without_removed_tables)).map(drop)
    });
}

#[test]
fn frames_of_an_earlier_life_that_count_are_noticed() {
    is_found_out("frames of a recycled segment made to fit", crate::stale_frames::revive);
}

#[test]
fn frames_that_come_back_to_life_are_noticed() {
    is_found_out("cut-off frames made to fit", crate::stale_frames::resurrect);
}

#[test]
fn a_recovery_that_loses_synced_events_is_noticed() {
    forged_events::without_the_log(1, |_| {}).unwrap();
    is_found_out("synced events zeroed", |seed| {
        forged_events::without_the_log(seed, zero_last_page)
    });
}

#[test]
fn versions_with_a_hole_are_noticed() {
    is_found_out("an event with the version of the next one", forged_events::with_a_hole);
}

#[test]
fn events_with_other_data_are_noticed() {
    is_found_out("an event with other data", forged_events::with_other_data);
}
