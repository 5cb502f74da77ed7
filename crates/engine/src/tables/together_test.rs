//! A view is what there was at one moment: of what happened together it has all or nothing, and of two things that
//! happened one after the other never only the second.

use super::{
    tables_test::{Request, batch_of, request, small},
    *,
};
use crate::{
    Database, Result, WriteBatch,
    streams::meanwhile::{self, Moment},
};
use annals_disk::{SimDisk, SimOptions};
use parking_lot::Mutex;
use std::{
    sync::{Arc, mpsc},
    thread,
};

/// Commits these, one after the other, the first time it is done.
fn commits(batches: Vec<WriteBatch>) -> impl FnMut() + 'static {
    let mut left = Some(batches);
    move || {
        for batch in left.take().into_iter().flatten() {
            batch.commit().expect("committed");
        }
    }
}

/// The ids of all events, in the order of their times.
fn ids(table: &EventTable) -> Result<Vec<String>> {
    let view = table.view()?;
    let events = view.scan(&Scan::new())?;
    events.events::<Request>().map(|event| event.map(|event| event.id)).collect()
}

#[test]
fn events_that_are_appended_together_are_seen_together() -> Result<()> {
    for moment in [Moment::TableKnown, Moment::PartsLookedUp, Moment::BatchSought] {
        let db = Database::open_in_memory()?;
        let table = db.table_of::<Request>("requests")?;
        let mut batch = db.batch();
        for n in 0..3 {
            batch.append_rows(&table, &batch_of(&[request(n, 5)])?)?;
        }
        let seen = meanwhile::each_time(moment, commits(vec![batch]), || ids(&table))?;
        assert!(seen.is_empty() || seen.len() == 3, "{moment:?}: {seen:?}");
        assert_eq!(ids(&table)?, ["0", "1", "2"], "they are there now");
    }
    Ok(())
}

#[test]
fn what_was_committed_second_is_not_seen_alone() -> Result<()> {
    let db = Database::open_in_memory()?;
    let table = db.table_of::<Request>("requests")?;
    let (mut first, mut second) = (db.batch(), db.batch());
    first.append_rows(&table, &batch_of(&[request(1, 5)])?)?;
    second.append_rows(&table, &batch_of(&[request(2, 5)])?)?;
    let deed = commits(vec![first, second]);
    let seen = meanwhile::each_time(Moment::BatchSought, deed, || ids(&table))?;
    assert!(seen != ["2"], "{seen:?}");
    Ok(())
}

#[test]
fn an_event_that_takes_the_place_of_another_is_never_seen_beside_it() -> Result<()> {
    for is_in_part in [false, true] {
        let db = Database::open_in_memory()?;
        let table = db.table_of::<Request>("requests")?;
        table.append(&request(1, 5))?;
        if is_in_part {
            table.flush()?;
        }
        let seen_by = {
            let table = table.clone();
            move || {
                let seen = ids(&table).expect("readable");
                assert!(seen == ["1"] || seen == ["2"], "{seen:?}");
            }
        };
        let mut batch = db.batch();
        batch.delete_events(&table, ["1"])?;
        batch.append_rows(&table, &batch_of(&[request(2, 5)])?)?;
        let commit = || batch.commit();
        meanwhile::each_time(Moment::RowsFound, seen_by.clone(), || {
            meanwhile::each_time(Moment::RowsDeleted, seen_by, commit)
        })?;
        assert_eq!(ids(&table)?, ["2"]);
    }
    Ok(())
}

#[test]
fn who_looks_while_an_event_takes_the_place_of_another_sees_one_of_them() -> Result<()> {
    for moment in [Moment::TableKnown, Moment::PartSought, Moment::BatchSought] {
        for then_flushes in [false, true] {
            let db = Database::open_in_memory()?;
            let table = db.table_of::<Request>("requests")?;
            table.append(&request(1, 5))?;
            table.flush()?;
            table.append(&request(3, 6))?;
            let mut batch = db.batch();
            batch.delete_events(&table, ["1", "3"])?;
            batch.append_rows(&table, &batch_of(&[request(2, 5), request(4, 6)])?)?;
            let deed = {
                let (mut left, table) = (Some(batch), table.clone());
                move || {
                    let Some(batch) = left.take() else { return };
                    batch.commit().expect("committed");
                    if then_flushes {
                        table.flush().expect("flushed");
                    }
                }
            };
            let seen = meanwhile::each_time(moment, deed, || ids(&table))?;
            assert!(seen == ["1", "3"] || seen == ["2", "4"], "{moment:?} {seen:?}");
            assert_eq!(ids(&table)?, ["2", "4"]);
        }
    }
    Ok(())
}

/// A reader in a thread of its own, which is held when it comes to a moment for the first time.
struct HeldReader {
    goes_on: mpsc::Sender<()>,
    thread: thread::JoinHandle<Result<Vec<String>>>,
}

impl HeldReader {
    /// Comes back when it is held.
    fn start(table: &EventTable, moment: Moment) -> Self {
        let (is_held, held) = mpsc::channel();
        let (goes_on, told) = mpsc::channel::<()>();
        let table = table.clone();
        let thread = thread::spawn(move || {
            let mut left = true;
            let deed = move || {
                if std::mem::take(&mut left) {
                    is_held.send(()).expect("somebody waits");
                    told.recv().expect("told");
                }
            };
            meanwhile::each_time(moment, deed, || ids(&table))
        });
        held.recv().expect("it comes there");
        Self { goes_on, thread }
    }

    /// Lets it go on; what it has seen.
    fn finish(self) -> Vec<String> {
        self.goes_on.send(()).expect("it waits");
        self.thread.join().expect("no panic").expect("readable")
    }
}

/// A reader has looked one of the parts up when they become one, which is committed while it is at it.
#[test]
fn parts_are_not_seen_beside_what_they_became() -> Result<()> {
    for moment in [Moment::TableKnown, Moment::PartSought, Moment::PartsLookedUp] {
        let db = Database::open_in_memory()?;
        let table = db.table_of::<Request>("requests")?;
        for n in 0..4 {
            table.append(&request(n, n as i64))?;
            table.flush()?;
        }
        let reader = Arc::new(Mutex::new(None));
        let start = {
            let (reader, table) = (Arc::clone(&reader), table.clone());
            move || *reader.lock() = Some(HeldReader::start(&table, moment))
        };
        let finish = move || {
            let reader = reader.lock().take().expect("it was started");
            assert_eq!(reader.finish(), ["0", "1", "2", "3"], "{moment:?}");
        };
        let merged = meanwhile::each_time(Moment::PartShown, start, || {
            meanwhile::each_time(Moment::PartCommitted, finish, || table.merge_parts())
        })?;
        assert_eq!(merged.merged_count, 4);
    }
    Ok(())
}

/// A reader knows that rows are about to be deleted. When it looks whether that was committed, the record that says so
/// is gone, since a part was made without those rows.
#[test]
fn what_was_deleted_stays_so_for_who_looks_when_all_is_a_part() -> Result<()> {
    let db = Database::open_in_memory()?;
    let table = db.table_of::<Request>("requests")?;
    table.append(&request(1, 5))?;
    assert_eq!(ids(&table)?, ["1"]);
    let mut batch = db.batch();
    batch.delete_events(&table, ["1"])?;
    batch.append_rows(&table, &batch_of(&[request(2, 5)])?)?;
    let reader = Arc::new(Mutex::new(None));
    let start = {
        let (reader, table) = (Arc::clone(&reader), table.clone());
        move || {
            assert_eq!(ids(&table).expect("readable"), ["2"], "and that is in memory now");
            *reader.lock() = Some(HeldReader::start(&table, Moment::TableKnown));
        }
    };
    meanwhile::each_time(Moment::RowsDeleted, start, || batch.commit())?;
    table.flush()?;
    let reader = reader.lock().take().expect("it was started");
    assert_eq!(reader.finish(), ["2"]);
    Ok(())
}

/// A reader that has found one of the parts is held until they are dropped, which is not told to it yet.
#[test]
fn parts_that_are_dropped_together_are_gone_together() -> Result<()> {
    let db = Database::open_in_memory()?;
    let table = db.table_of::<Request>("requests")?;
    for n in 0..3 {
        table.append(&request(n, n as i64))?;
        table.flush()?;
    }
    let mut reader = Some(HeldReader::start(&table, Moment::PartSought));
    let deed = move || {
        if let Some(reader) = reader.take() {
            let seen = reader.finish();
            assert!(seen == ["0", "1", "2"] || seen == ["2"], "{seen:?}");
        }
    };
    let dropped = meanwhile::each_time(Moment::PartsDropped, deed, || table.gc(2))?;
    assert_eq!((dropped.parts_count, ids(&table)?), (2, vec!["2".to_owned()]));
    Ok(())
}

/// Of two events with one id the one that came last is found, also where only the one before it stays fresh.
#[test]
fn what_becomes_a_part_is_older_than_what_stays_fresh() -> Result<()> {
    let db = Database::open_in_memory()?;
    let table = db.table_of::<Request>("requests")?;
    let (mut first, mut second) = (db.batch(), db.batch());
    first.append_rows(&table, &batch_of(&[request(1, 5)])?)?;
    second.append_rows(&table, &batch_of(&[Request { at: 9, ..request(1, 5) }])?)?;
    let deed = commits(vec![first, second]);
    let look = {
        let table = table.clone();
        move || {
            let view = table.view().expect("readable");
            let found = view.event("1").expect("readable").expect("it is there");
            assert_eq!(found.event::<Request>(0).expect("one").at, 9);
        }
    };
    let flush = || meanwhile::each_time(Moment::BatchSought, deed, || table.flush());
    meanwhile::each_time(Moment::PartMade, look.clone(), || {
        meanwhile::each_time(Moment::PartCommitted, look, flush)
    })?;
    for _ in 0..2 {
        let view = table.view()?;
        let found = view.event("1")?.expect("it is there");
        assert_eq!((view.len(), found.event::<Request>(0)?.at), (2, 9));
        drop(found);
        drop(view);
        table.flush()?;
    }
    Ok(())
}

/// The number of a fresh batch may mean another one once the database was opened again. A handle that only reads has
/// seen the number before.
#[test]
fn who_only_reads_takes_no_batch_for_another() -> Result<()> {
    for moment in [Moment::TableKnown, Moment::PartsLookedUp] {
        let disk = SimDisk::new(SimOptions::seeded(2));
        let db = small(&disk).open("db")?;
        db.table_of::<Request>("requests")?.append(&request(1, 5))?;
        let reader = small(&disk).read_only(true).open("db")?;
        let seen = reader.open_table("requests")?;
        let deed = {
            let (mut db, disk) = (Some(db), disk.clone());
            move || {
                let Some(db) = db.take() else { return };
                db.open_table("requests").expect("there").flush().expect("flushed");
                db.close().expect("closed");
                let db = small(&disk).open("db").expect("opened");
                let table = db.open_table("requests").expect("there");
                table.append(&request(2, 6)).expect("appended");
                db.close().expect("closed");
            }
        };
        let found = meanwhile::each_time(moment, deed, || ids(&seen))?;
        assert!(found == ["1"] || found == ["1", "2"], "{moment:?}: {found:?}");
        assert_eq!(ids(&seen)?, ["1", "2"]);
    }
    Ok(())
}
