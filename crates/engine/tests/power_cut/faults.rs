//! Disks that refuse: a failing sync, a failing read, no space left.

use crate::{
    check,
    model::{Crash, Level, State},
    random::Random,
    script::{Step, put, random_step, short_scripts},
    seeds,
    world::{DIR, Setup, World, honest, settle},
};
use annals_disk::{Disk, Fault, SimDisk, SimOptions};
use annals_engine::{Background, Database, Durability, Error, ErrorKind, WriteOptions};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

fn files(sim: &SimDisk) -> BTreeMap<PathBuf, Vec<u8>> {
    sim.paths()
        .into_iter()
        // Lock files hold no data; who holds a lock is written into them.
        .filter(|path| path.extension().is_none_or(|ending| ending != "lock"))
        .map(|path| (path.clone(), sim.file_bytes(&path).unwrap_or_default()))
        .collect()
}

/// A database with some commits in several segments, all of them durable.
fn prepared(seed: u64) -> Result<World, String> {
    let mut random = Random::new(seed, 3);
    let mut world = World::new(seed, Setup::random(&mut random), honest);
    settle(world.start())?;
    for _ in 0..25 {
        let step = random_step(&mut random);
        settle(world.step(&step))?;
    }
    settle(world.step(&Step::Sync))?;
    Ok(world)
}

#[test]
fn a_failed_sync_stops_all_writing_and_loses_nothing_that_was_promised() {
    seeds::run_all("a_failed_sync", 0..300, |seed| {
        let mut world = prepared(seed)?;
        let mut random = Random::new(seed, 4);
        let db = world.db();
        let keyspace = db.hash_keyspace("more").map_err(|error| error.to_string())?;
        let mut least = check::state(&db)?;
        // What was seen to be over just now stays over.
        db.sync().map_err(|error| error.to_string())?;
        world.sim.fail_nth_at(Fault::FailSync, ".seg", 1 + random.below(4));
        let options = WriteOptions::default().durability(Durability::Sync);
        let mut tried = least.clone();
        let mut failed = None;
        for n in 0..20u8 {
            tried.entry("more".into()).or_default().insert(vec![n], (&[n; 100][..]).into());
            match keyspace.insert_with([n], [n; 100], options) {
                Ok(_) => least = tried.clone(),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        let error = failed.ok_or("the sync did not fail")?;
        expect(&error, ErrorKind::Poisoned)?;
        // Reads go on, writes do not, and no retry hides it.
        for _ in 0..2 {
            check::same("a poisoned database", &tried, &check::state(&db)?)?;
            let writes = [
                keyspace.insert("x", "y"),
                keyspace.clear(),
                db.sync(),
                db.create_hash_keyspace("z", Default::default()).map(drop),
                db.checkpoint().map(drop),
                db.compact().map(drop),
            ];
            for write in writes {
                expect(&write.err().ok_or("a write after the failure")?, ErrorKind::Poisoned)?;
            }
        }
        drop((keyspace, db));
        let power = random.once_in(2);
        let mut found = State::new();
        for round in 0..3 {
            // First as drawn; then, whatever was found must stay.
            world.crash(if power || round > 0 { Crash::Power } else { Crash::Kill });
            let opened = world.setup.open(world.disk(), DIR);
            let db = opened.map_err(|error| format!("round {round}: {error}"))?;
            let now = check::state(&db)?;
            check::intact(&db)?;
            if round == 0 {
                let fits = [&least, &tried].into_iter().any(|state| *state == now);
                if !fits {
                    return Err("after a failed sync the state is of no commit".into());
                }
                found = now;
            } else {
                check::same("what was found after a failed sync", &found, &now)?;
            }
        }
        Ok(())
    });
}

/// A process was killed, and what it wrote is in the kernel alone. The sync of the next opening fails;
/// the one after that succeeds, but no longer with the pages that the failure took.
#[test]
fn a_sync_that_failed_while_opening_is_not_forgotten() {
    let failed_count = AtomicU64::new(0);
    seeds::run_all("a_sync_that_failed_while_opening", 0..150, |seed| {
        let mut world = prepared(seed)?;
        let mut random = Random::new(seed, 6);
        let db = world.db();
        let keyspace = db.hash_keyspace("more").map_err(|error| error.to_string())?;
        let options = WriteOptions::default().durability(Durability::Buffered);
        for n in 0..1 + random.below(30) as u8 {
            let value = vec![n; random.below(3_000) as usize];
            keyspace.insert_with([n], value, options).map_err(|error| error.to_string())?;
        }
        let expected = check::state(&db)?;
        drop((keyspace, db));
        world.crash(Crash::Kill);
        world.sim.fail_nth_at(Fault::FailSync, ".seg", 1 + random.below(4));
        match world.setup.open(world.disk(), DIR) {
            Ok(db) => drop(db),
            Err(error) => {
                failed_count.fetch_add(1, Ordering::Relaxed);
                expect(&error, ErrorKind::Io)?;
            }
        }
        world.sim.clear_faults();
        for crash in [Crash::Kill, Crash::Power, Crash::Power] {
            let opened = world.setup.open(world.disk(), DIR);
            let db = opened.map_err(|error| format!("after a failed sync: {error}"))?;
            check::same("what was there before", &expected, &check::state(&db)?)?;
            check::intact(&db)?;
            world.crash(crash);
            drop(db);
        }
        Ok(())
    });
    assert!(failed_count.into_inner() > 20, "hardly any opening failed");
}

/// The same where a thread syncs what is being replayed.
#[test]
fn a_sync_that_failed_beside_replaying_is_not_forgotten() {
    for background in [Background::Manual, Background::Threads] {
        let open = |sim: &SimDisk| {
            let disk: Arc<dyn Disk> = Arc::new(sim.clone());
            let builder = Database::builder().disk(disk).background(background);
            builder.durability(Durability::Buffered).segment_bytes(64 << 10).open(DIR)
        };
        let sim = SimDisk::new(SimOptions { writeback_chance: 0.0, ..SimOptions::seeded(7) });
        let db = open(&sim).unwrap();
        let keyspace = db.hash_keyspace("some").unwrap();
        keyspace.insert("a", "1").unwrap();
        db.sync().unwrap();
        keyspace.insert("b", [7; 20_000]).unwrap();
        let killed = sim.restart_clean();
        drop((keyspace, db));
        killed.fail_nth_at(Fault::FailSync, ".seg", 1);
        assert!(open(&killed).is_err(), "{background:?}: the failure was passed over");
        let db = open(&killed).unwrap();
        let keyspace = db.hash_keyspace("some").unwrap();
        let options = WriteOptions::default().durability(Durability::Sync);
        keyspace.insert_with("c", [9; 9_000], options).unwrap();
        let cut = killed.restart();
        drop((keyspace, db));
        let keyspace = open(&cut).unwrap().hash_keyspace("some").unwrap();
        for key in ["a", "b", "c"] {
            assert!(keyspace.contains(key).unwrap(), "{background:?}: {key}");
        }
    }
}

fn expect(error: &Error, kind: ErrorKind) -> Result<(), String> {
    if error.kind() == kind {
        return Ok(());
    }
    Err(format!("{kind:?} expected, got {:?}: {error}", error.kind()))
}

#[test]
fn an_opening_that_fails_has_changed_nothing() {
    seeds::run_all("an_opening_that_fails", 0..120, |seed| {
        let mut world = prepared(seed)?;
        let expected = check::state(&world.db())?;
        // What was seen to be over just now stays over.
        settle(world.step(&Step::Sync))?;
        world.crash(if seed % 3 == 0 { Crash::Kill } else { Crash::Power });
        for fault in [Fault::FailRead, Fault::FailOpen, Fault::FailLock] {
            for nth in 1..40 {
                let before = files(&world.sim);
                world.sim.fail_nth_at(fault, "data/db", nth);
                match world.setup.open(world.disk(), DIR) {
                    Err(error) => {
                        expect(&error, ErrorKind::Io)?;
                        let after = files(&world.sim);
                        // Openings that read everything and then cannot write are another matter.
                        if fault != Fault::FailOpen && before != after {
                            return Err(format!("{fault:?} {nth}: the opening changed files"));
                        }
                        world.sim.clear_faults();
                    }
                    Ok(db) => {
                        world.sim.clear_faults();
                        check::same("after failed openings", &expected, &check::state(&db)?)?;
                        break;
                    }
                }
            }
        }
        Ok(())
    });
}

#[test]
fn a_full_disk_is_an_error_and_nothing_is_half_done() {
    for (name, script) in short_scripts() {
        let mut world = World::new(1, Setup::fixed(), honest);
        settle(world.start()).unwrap();
        let least: u64 = files(&world.sim).values().map(|bytes| bytes.len() as u64).sum();
        settle(script.iter().try_for_each(|step| world.step(step))).unwrap();
        let most: u64 = files(&world.sim).values().map(|bytes| bytes.len() as u64).sum();
        let failed = seeds::failures(0..120, 3, |case| {
            let capacity = least + (most * 2 - least) * case / 120;
            fill(&script, capacity).map_err(|what| format!("{capacity} bytes: {what}"))
        });
        assert!(failed.is_empty(), "script `{name}`: {failed:#?}");
    }
}

/// Runs a script on a disk of that size; every step that fails for want of space is tried again
/// with more.
fn fill(script: &[Step], capacity: u64) -> Result<(), String> {
    let mut world = World::new(1, Setup::fixed(), honest);
    settle(world.start())?;
    world.sim.set_capacity(capacity);
    for step in script {
        if matches!(step, Step::Kill | Step::Reopen) {
            // Opening and closing on a full disk: they work or say so, and lose nothing.
            let before = check::state(&world.db())?;
            world.crash(Crash::Kill);
            if let Err(error) = world.setup.open(world.disk(), DIR) {
                expect(&error, ErrorKind::Full)?;
                world.sim.clear_capacity();
            }
            settle(world.recover(Crash::Kill))?;
            check::same("after reopening", &before, &check::state(&world.db())?)?;
            continue;
        }
        if let Err(error) = settle(world.try_step(step))? {
            expect(&error, ErrorKind::Full)?;
            let seen = world.model.seen(world.db().stats().clock_ms);
            check::same("after a full disk", &seen, &check::state(&world.db())?)?;
            check::intact(&world.db())?;
            world.sim.clear_capacity();
            settle(world.step(step))?;
        }
    }
    world.sim.clear_capacity();
    settle(world.step(&Step::Look))?;
    settle(world.step(&Step::Put {
        space: 0,
        key: 20,
        len: 10,
        ttl_ms: None,
        level: Some(Level::Sync),
    }))?;
    settle(world.step(&Step::Compact))?;
    settle(world.step(&Step::Look))?;
    world.crash(Crash::Power);
    settle(world.recover(Crash::Power))?;
    settle(world.step(&Step::Reopen))?;
    settle(world.step(&Step::Look))
}

/// Enough that a compaction fills several segments, each with something dead in it.
fn fill_segments(world: &mut World, random: &mut Random) -> Result<(), String> {
    for n in 0..120 {
        let len = 3_000 + random.below(9_000) as u32;
        settle(world.step(&put(n % 4, n / 4 % 24, len, Level::Buffered)))?;
        let level = None;
        settle(world.step(&Step::Put { space: 0, key: 23, len: 900, ttl_ms: None, level }))?;
    }
    Ok(())
}

#[test]
fn random_scripts_go_on_when_space_returns() {
    seeds::run_all("random_scripts_go_on", 0..200, |seed| {
        let mut random = Random::new(seed, 5);
        let setup = Setup { compact_below: 0.9, ..Setup::random(&mut random) };
        let mut world = World::new(seed, setup, honest);
        settle(world.start())?;
        fill_segments(&mut world, &mut random)?;
        for _ in 0..40 {
            let step = if random.once_in(4) { Step::Compact } else { random_step(&mut random) };
            if matches!(step, Step::Kill | Step::KillWriter | Step::Reopen | Step::OpenReader) {
                continue;
            }
            let used: u64 = files(&world.sim).values().map(|bytes| bytes.len() as u64).sum();
            world.sim.set_capacity(used + random.below(300 << 10));
            if let Err(error) = settle(world.try_step(&step))? {
                expect(&error, ErrorKind::Full)?;
                world.sim.clear_capacity();
                settle(world.step(&Step::Look))?;
                check::intact(&world.db())?;
            }
            world.sim.clear_capacity();
            if random.once_in(8) {
                settle(world.step(&Step::Reopen))?;
                settle(world.step(&Step::Look))?;
                if let Some(warning) = world.db().recovery().warnings.first() {
                    return Err(format!("closing and reopening warns: {warning}"));
                }
            }
        }
        settle(world.step(&Step::Reopen))?;
        settle(world.step(&Step::Look))?;
        check::intact(&world.db())
    });
}

#[test]
fn a_compaction_that_fails_half_way_loses_nothing() {
    seeds::run_all("a_compaction_that_fails", 0..60, |seed| {
        let mut random = Random::new(seed, 6);
        let mut world = World::new(seed, Setup::fixed(), honest);
        settle(world.start())?;
        fill_segments(&mut world, &mut random)?;
        settle(world.step(&Step::Sync))?;
        let fault = random.pick(&[Fault::FailTruncate, Fault::FailSync, Fault::FailCreate]);
        world.sim.fail_nth_at(fault, ".seg", 1 + random.below(4));
        let failed = settle(world.try_step(&Step::Compact))?.is_err();
        world.sim.clear_faults();
        settle(world.step(&Step::Look))?;
        // A second one either goes through, or writing has stopped for good.
        if let Err(error) = settle(world.try_step(&Step::Compact))? {
            expect(&error, ErrorKind::Poisoned)?;
            if !failed {
                return Err("a compaction that went through poisoned the database".into());
            }
        }
        for crash in [Crash::Kill, Crash::Power] {
            world.crash(crash);
            settle(world.recover(crash))?;
        }
        settle(world.step(&Step::Compact))?;
        settle(world.step(&Step::Reopen))?;
        settle(world.step(&Step::Look))
    });
}
