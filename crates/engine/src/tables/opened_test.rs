//! Views of parts that were opened before: what becomes of parts meanwhile reaches them.

use super::*;
use crate::{
    Database, Result,
    streams::meanwhile::{self, Moment},
};
use annals_columns::{Batch, Schema};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

#[derive(Schema, Clone, Debug, PartialEq)]
#[schema(schema_id = 9, crate = annals_columns)]
struct Tick {
    #[ts]
    at: i64,
    #[id]
    id: String,
}

fn append(table: &EventTable, numbers: std::ops::Range<i64>) -> Result<()> {
    let mut batch = Batch::of::<Tick>();
    for at in numbers {
        batch.push(&Tick { at, id: at.to_string() })?;
    }
    table.append_batch(&batch).map(drop)
}

/// A table with parts of ten events each.
fn table(db: &Database, parts_count: i64) -> Result<EventTable> {
    let table = db.table_of::<Tick>("ticks")?;
    for part in 0..parts_count {
        append(&table, 10 * part..10 * part + 10)?;
        table.flush()?;
    }
    Ok(table)
}

fn times(view: &TableView<'_>) -> Result<Vec<i64>> {
    view.scan(&Scan::new())?.events::<Tick>().map(|event| event.map(|event| event.at)).collect()
}

#[test]
fn parts_are_opened_once_and_again_when_something_becomes_of_them() -> Result<()> {
    let db = Database::open_in_memory()?;
    let table = table(&db, 5)?;
    let opened = || {
        let view = table.view().expect("a view");
        (table.shape().opened().expect("opened"), times(&view).expect("readable"))
    };
    let (first, all) = opened();
    assert_eq!(all, (0..50).collect::<Vec<_>>());
    append(&table, 50..60)?;
    let (second, all) = opened();
    assert!(Arc::ptr_eq(&first, &second), "what is appended is in no part");
    assert_eq!(all.len(), 60);

    type Deed<'d> = (&'d dyn Fn() -> Result<()>, usize);
    let deeds: [Deed<'_>; 5] = [
        (&|| table.flush().map(drop), 60),
        (&|| table.delete_events(["3", "55"]).map(drop), 58),
        (&|| table.gc(10).map(drop), 49),
        (&|| table.merge_parts().map(drop), 49),
        (&|| table.delete_events(["12"]).map(drop), 48),
    ];
    let mut last = second;
    for (deed, left) in deeds {
        deed()?;
        assert!(table.shape().opened().is_none(), "nothing is kept that is out of date");
        let (now, all) = opened();
        assert!(!Arc::ptr_eq(&last, &now));
        assert_eq!(all.len(), left);
        last = now;
    }
    Ok(())
}

#[test]
fn what_was_opened_keeps_no_segment_and_is_opened_again_where_it_was_moved_to() -> Result<()> {
    let dir = tempfile::tempdir().expect("a folder");
    let db = Database::builder().segment_bytes(1 << 20).open(dir.path())?;
    let other = db.hash_keyspace("other")?;
    let table = table(&db, 3)?;
    let held = table.view()?;
    let opened = table.shape().opened().expect("opened");
    for _ in 0..3 {
        // What is beside the parts dies, so that they are moved out of their segment.
        for n in 0..200u32 {
            other.insert(n.to_be_bytes(), vec![7; 16_000])?;
        }
        db.compact()?;
    }
    let journal = &table.space().parts().0.journal;
    assert!(opened.guards(journal).is_none(), "they were moved");
    let view = table.view()?;
    assert_eq!(times(&view)?, (0..30).collect::<Vec<_>>());
    let again = table.shape().opened().expect("opened");
    assert!(!Arc::ptr_eq(&opened, &again) && again.guards(journal).is_some());
    // Who has a view goes on to read where the parts were.
    assert_eq!(times(&held)?, (0..30).collect::<Vec<_>>());
    Ok(())
}

#[test]
fn who_looks_again_while_parts_become_others_sees_each_event_once() -> Result<()> {
    for moment in [Moment::TableKnown, Moment::PartsLookedUp] {
        for is_fresh in [false, true] {
            let db = Database::open_in_memory()?;
            let table = table(&db, 4)?;
            if is_fresh {
                append(&table, 40..45)?;
            }
            let count = table.view()?.len() as usize;
            let deed = {
                let (db, table, mut round) = (db.clone(), table.clone(), 0);
                move || {
                    round += 1;
                    if round < 4 {
                        append(&table, 1_000 * round..1_000 * round + 3).expect("appended");
                        table.flush().expect("flushed");
                        table.merge_parts().expect("merged");
                        db.compact().expect("compacted");
                    }
                }
            };
            let view = meanwhile::each_time(moment, deed, || table.view())?;
            let mut seen = times(&view)?;
            seen.retain(|at| *at < 1_000);
            assert_eq!(seen, (0..count as i64).collect::<Vec<_>>(), "{moment:?}");
        }
    }
    Ok(())
}

#[test]
fn readers_beside_all_that_becomes_of_parts_see_what_was_appended_before() -> Result<()> {
    let dir = tempfile::tempdir().expect("a folder");
    let db = Database::builder().segment_bytes(1 << 20).open(dir.path())?;
    let table = table(&db, 1)?;
    let (appended, is_over) = (AtomicU64::new(10), AtomicBool::new(false));
    let order = Ordering::SeqCst;
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| -> Result<u64> {
                    let mut last = 0;
                    while !is_over.load(order) {
                        let before = appended.load(order);
                        let view = table.view()?;
                        let (len, all) = (view.len(), times(&view)?);
                        assert!(len >= before.max(last), "{len} of {before}, {last} before");
                        assert_eq!(all, (0..len as i64).collect::<Vec<_>>());
                        last = len;
                    }
                    Ok(last)
                })
            })
            .collect();
        let work = || -> Result<()> {
            for round in 1..60 {
                append(&table, 10 * round..10 * round + 10)?;
                appended.store(10 * round.cast_unsigned() + 10, order);
                match round % 4 {
                    0 => table.merge_parts().map(|_| ())?,
                    2 => db.compact().map(|_| ())?,
                    _ => table.flush().map(|_| ())?,
                }
            }
            Ok(())
        };
        let worked = work();
        is_over.store(true, order);
        for reader in readers {
            reader.join().expect("no panic")?;
        }
        worked
    })
}
