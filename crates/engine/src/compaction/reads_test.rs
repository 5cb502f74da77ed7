//! How often segments are read that are given up, and which are written again.

use super::run_due;
use crate::{Background, Database, KeyspaceOptions, Result, TreeOptions};
use annals_disk::{SimDisk, SimOptions};
use annals_journal::SegmentKind;
use std::{cell::RefCell, collections::BTreeMap, sync::Arc};

thread_local! {
    /// How many frames of which slots this thread has read to compact them.
    static FRAMES: RefCell<BTreeMap<u32, u64>> = const { RefCell::new(BTreeMap::new()) };
}

pub(super) fn note_frame(slot: u32) {
    FRAMES.with_borrow_mut(|frames| *frames.entry(slot).or_default() += 1);
}

/// The frames read since the last call.
fn frames_read() -> u64 {
    FRAMES.take().into_values().sum()
}

fn open(disk: &SimDisk) -> Result<Database> {
    let builder = Database::builder().segment_bytes(64 << 10).disk(Arc::new(disk.clone()));
    builder.background(Background::Manual).open("db")
}

/// How many packed segments there are that are not on their way out.
fn packed_count(db: &Database) -> usize {
    crate::maintenance::tidy(&db.core);
    let (segments, leaving) = (db.core.journal.segments(), db.core.maintenance.leaving());
    let is_there = |info: &&annals_journal::SegmentInfo| {
        info.kind == SegmentKind::Packed && !leaving.contains(&info.slot)
    };
    segments.iter().filter(is_there).count()
}

fn compact_due(db: &Database) -> Result<u64> {
    let _exclusive = db.core.maintenance.exclusive.lock();
    Ok(run_due(&db.core)?.segments_count)
}

#[test]
fn what_tables_have_is_read_once() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(1));
    let db = open(&disk)?;
    let sorted = db.keyspace("sorted")?;
    for number in 0..300u32 {
        sorted.insert(number.to_be_bytes(), [7; 1_000])?;
    }
    frames_read();
    let report = db.compact()?;
    assert!(report.segments_count >= 4, "{report:?}");
    // All commits, the one that makes the keyspace, and what ends each segment.
    let (frames, commits) = (frames_read(), 301);
    assert!((250..=commits + 2 * report.segments_count).contains(&frames), "{frames}");
    assert_eq!(packed_count(&db), 1);
    drop(sorted);
    drop(db);
    let sorted = open(&disk)?.open_keyspace("sorted")?;
    assert_eq!(sorted.len()?, 300);
    Ok(())
}

#[test]
fn the_catalog_alone_is_not_written_again_by_each_compaction() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(2));
    let db = open(&disk)?;
    for name in ["first", "second"] {
        let sorted = db.keyspace(name)?;
        for number in 0..100u32 {
            sorted.insert(number.to_be_bytes(), [7; 1_000])?;
        }
        db.compact()?;
        assert_eq!(packed_count(&db), 1, "what is left of both segments becomes one");
        assert_eq!(compact_due(&db)?, 0, "it would be the same again");
        for number in 0..100u32 {
            sorted.insert(number.to_be_bytes(), [8; 1_000])?;
        }
        db.checkpoint()?;
        assert!(compact_due(&db)? > 0);
        assert_eq!(packed_count(&db), 1);
    }
    drop(db);
    let db = open(&disk)?;
    for name in ["first", "second"] {
        assert_eq!(db.open_keyspace(name)?.len()?, 100);
    }
    Ok(())
}

#[test]
fn of_few_values_that_live_the_rest_is_not_read_again() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(3));
    let db = open(&disk)?;
    let tables = TreeOptions { separate_over_bytes: Some(500), ..TreeOptions::default() };
    let sorted = db.create_keyspace("sorted", KeyspaceOptions::default(), tables)?;
    let value = |number: u32, round: u8| vec![number as u8 ^ round; 1_000];
    let newest = |number: u32| match number {
        _ if number % 10 == 7 => 1,
        _ if number.is_multiple_of(3) => 3,
        _ => 2,
    };
    let mut commits = 1;
    for round in 1..=3 {
        for number in (0..200).filter(|number| newest(*number) >= round) {
            sorted.insert(number.to_be_bytes(), value(number, round))?;
            commits += 1;
        }
    }
    frames_read();
    let report = db.compact()?;
    assert!(report.segments_count >= 3 && report.moved_count > 20, "{report:?}");
    let frames = frames_read();
    assert!(frames <= commits + 2 * report.segments_count, "{frames} of {commits}");
    let check = |db: &Database| -> Result<()> {
        let sorted = db.open_keyspace("sorted")?;
        for number in 0..200u32 {
            let found = sorted.get(number.to_be_bytes())?;
            assert_eq!(found.as_deref(), Some(&value(number, newest(number))[..]), "{number}");
        }
        Ok(())
    };
    check(&db)?;
    drop((sorted, db));
    check(&open(&disk)?)
}
