use super::*;
use crate::{Background, Builder, Database, Error, ErrorKind, Result};
use annals_columns::{Batch, Schema, Value};
use annals_disk::{SimDisk, SimOptions};
use std::{collections::BTreeMap, sync::Arc};

#[derive(Schema, Clone, Debug, PartialEq)]
#[schema(schema_id = 1, crate = annals_columns)]
pub(super) struct Request {
    #[ts]
    pub(super) at: i64,
    #[metric]
    pub(super) cost: Option<i64>,
    #[dim(bloom)]
    pub(super) user: String,
    #[id]
    pub(super) id: String,
}

pub(super) fn request(n: u64, at: i64) -> Request {
    let cost = Some(n as i64 - 50).filter(|_| !n.is_multiple_of(3));
    Request { at, cost, user: format!("user {}", n % 7), id: n.to_string() }
}

pub(super) fn small(disk: &SimDisk) -> Builder {
    let builder = Database::builder().segment_bytes(64 << 10).disk(Arc::new(disk.clone()));
    builder.background(Background::Manual)
}

pub(super) fn batch_of(events: &[Request]) -> Result<Batch> {
    let mut batch = Batch::of::<Request>();
    for event in events {
        batch.push(event)?;
    }
    Ok(batch)
}

/// Events by time and by when they came.
pub(super) type Model = BTreeMap<(i64, u64), Request>;

/// Everything that the table has agrees with the model, whichever way it is read.
pub(super) fn check(table: &EventTable, model: &Model) -> Result<()> {
    let view = table.view()?;
    assert_eq!(view.len(), model.len() as u64);
    let read = |scan: &Scan| -> Result<Vec<Request>> {
        let found = view.scan(scan)?;
        (0..found.len()).map(|at| found.event(at)).collect()
    };
    assert_eq!(read(&Scan::new())?, model.values().cloned().collect::<Vec<_>>());
    let back: Vec<_> = model.values().rev().cloned().collect();
    assert_eq!(read(&Scan::new().newest_first())?, back);
    assert_eq!(read(&Scan::new().newest_first().limit(7))?, back[..back.len().min(7)]);
    for (since, until) in [(10, 20), (i64::MIN, 0), (0, i64::MAX), (15, 15), (20, 10)] {
        let within = model.iter().filter(|((at, _), _)| (since..until).contains(at));
        let within: Vec<_> = within.map(|(_, event)| event.clone()).collect();
        assert_eq!(read(&Scan::new().since(since).until(until))?, within, "{since}..{until}");
    }
    for is_newest_first in [false, true] {
        let mut scan = Scan::new().limit(5);
        if is_newest_first {
            scan = scan.newest_first();
        }
        let mut paged = Vec::new();
        loop {
            let page = view.scan(&scan)?;
            for at in 0..page.len() {
                paged.push(page.event::<Request>(at)?);
            }
            match page.cursor() {
                Some(cursor) => scan = scan.after(cursor),
                None => break,
            }
        }
        if is_newest_first {
            paged.reverse();
        }
        assert_eq!(paged, model.values().cloned().collect::<Vec<_>>(), "in pages");
    }
    let sum: i128 = model.values().filter_map(|event| event.cost).map(i128::from).sum();
    let count = model.values().filter(|event| event.cost.is_some()).count() as u64;
    let totals = view.totals(1)?.expect("numbers");
    assert_eq!((totals.sum, totals.count), (sum, count));
    assert!(view.totals(2)?.is_none(), "a string has no sum");
    for event in model.values().step_by(9) {
        let found = view.event(&event.id)?.expect("it is there");
        assert_eq!(found.event::<Request>(0)?, *event);
    }
    assert!(view.event("nobody")?.is_none());
    Ok(())
}

#[test]
fn a_table_is_its_events_through_flushes_compaction_and_reopening() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(5));
    let mut db = small(&disk).open("db")?;
    let mut model = Model::new();
    let mut came = 0;
    for round in 0..40u64 {
        let table = db.table_of::<Request>("requests")?;
        let events: Vec<_> = (0..round % 7)
            .map(|_| {
                came += 1;
                // Many of the same time, and not in order.
                let event = request(came, (came * 7 % 31) as i64);
                model.insert((event.at, came), event.clone());
                event
            })
            .collect();
        table.append_batch(&batch_of(&events)?)?;
        match round % 5 {
            1 => {
                table.flush()?;
            }
            3 => {
                db.compact()?;
            }
            _ => {}
        }
        check(&table, &model)?;
        drop(table);
        if round % 4 == 2 {
            db.close()?;
            db = small(&disk).open("db")?;
        }
    }
    let table = db.open_table("requests")?;
    let flushed = table.flush()?;
    assert_eq!(table.view()?.fresh.len(), 0, "{flushed:?}");
    check(&table, &model)?;
    assert!(db.verify(&mut |_| {})?.is_intact());
    assert_eq!(table.flush()?, FlushReport::default(), "there is nothing left to do");
    Ok(())
}

#[test]
fn times_at_the_ends_of_all_times_are_in_order() -> Result<()> {
    let db = Database::open_in_memory()?;
    let table = db.table_of::<Request>("requests")?;
    let mut model = Model::new();
    for (n, at) in [100, 50, 75, i64::MIN, i64::MAX, i64::MAX, i64::MIN].into_iter().enumerate() {
        let event = request(n as u64, at);
        model.insert((at, n as u64), event.clone());
        table.append(&event)?;
        if n == 3 {
            table.flush()?;
        }
    }
    check(&table, &model)?;
    table.flush()?;
    check(&table, &model)
}

#[test]
fn events_of_one_time_come_once_each_in_pages_while_they_become_parts() -> Result<()> {
    let db = Database::open_in_memory()?;
    let table = db.table_of::<Request>("requests")?;
    let events: Vec<_> = (0..2_500).map(|n| request(n, 7)).collect();
    for some in events.chunks(100) {
        table.append_batch(&batch_of(some)?)?;
    }
    let mut scan = Scan::new().newest_first().limit(1_000);
    let mut paged = Vec::new();
    loop {
        let view = table.view()?;
        let page = view.scan(&scan)?;
        for at in 0..page.len() {
            paged.push(page.event::<Request>(at)?);
        }
        let Some(cursor) = page.cursor() else { break };
        scan = scan.after(cursor);
        table.flush()?;
        table.append(&request(9_999, 7))?;
    }
    paged.reverse();
    assert_eq!(paged, events);
    Ok(())
}

#[test]
fn whole_parts_go_that_are_older() -> Result<()> {
    let db = Database::open_in_memory()?;
    let table = db.table_of::<Request>("requests")?;
    let mut model = Model::new();
    for n in 0..30 {
        let event = request(n, n as i64);
        model.insert((event.at, n), event.clone());
        table.append(&event)?;
        if n % 10 == 9 {
            table.flush()?;
        }
    }
    assert_eq!(table.gc(9)?, GcReport::default(), "no part is older as a whole");
    let before = table.view()?;
    assert_eq!(table.gc(25)?, GcReport { parts_count: 2, events_count: 20, ..GcReport::default() });
    assert_eq!(before.scan(&Scan::new())?.len(), 30, "who has looked before has what there was");
    drop(before);
    model.retain(|(at, _), _| *at >= 20);
    check(&table, &model)?;
    assert!(table.view()?.event("3")?.is_none());
    Ok(())
}

#[test]
fn other_schemas_and_other_kinds_are_refused() -> Result<()> {
    #[derive(Schema)]
    #[schema(schema_id = 1, crate = annals_columns)]
    struct Other {
        #[ts]
        at: i64,
    }
    let disk = SimDisk::new(SimOptions::seeded(1));
    let db = small(&disk).open("db")?;
    let table = db.table_of::<Request>("requests")?;
    let mut other = Batch::of::<Other>();
    other.push(&Other { at: 1 })?;
    for refused in [
        table.append(&Other { at: 1 }).unwrap_err(),
        table.append_batch(&other).unwrap_err(),
        db.table_of::<Other>("requests").unwrap_err(),
    ] {
        assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{refused}");
        let text = refused.to_string();
        assert!(text.contains("user: dimension (bloom)"), "both are printed: {text}");
    }
    assert!(table.view()?.is_empty());
    assert!(table.append_batch(&Batch::of::<Request>())?.is_none(), "an empty batch is nothing");
    assert!(matches!(db.hash_keyspace("requests"), Err(Error::WrongKind { .. })));
    db.hash_keyspace("keys")?;
    assert!(matches!(db.open_table("keys"), Err(Error::WrongKind { .. })));
    assert!(matches!(db.open_table("nothing"), Err(Error::UnknownKeyspace { .. })));
    table.append(&request(1, 1))?;
    db.drop_keyspace("requests")?;
    assert!(matches!(table.view(), Err(Error::KeyspaceDropped { .. })));
    assert!(matches!(table.append(&request(2, 2)), Err(Error::KeyspaceDropped { .. })));
    assert!(db.table_of::<Other>("requests")?.view()?.is_empty());
    Ok(())
}

#[test]
fn a_batch_of_writes_happens_with_its_events_or_not_at_all() -> Result<()> {
    let db = Database::open_in_memory()?;
    let (table, keys) = (db.table_of::<Request>("requests")?, db.hash_keyspace("keys")?);
    let mut given_up = db.batch();
    given_up.append_rows(&table, &batch_of(&[request(1, 1)])?)?;
    given_up.insert(&keys, "a", "1")?;
    assert!(table.view()?.is_empty(), "it is not committed");
    table.append(&request(2, 2))?;
    table.flush()?;
    drop(given_up);
    assert_eq!(table.view()?.len(), 1);
    let mut kept = db.batch();
    kept.append_rows(&table, &batch_of(&[request(3, 3), request(4, 4)])?)?;
    kept.insert(&keys, "a", "1")?;
    // A flush in between leaves it alone.
    assert_eq!(table.flush()?, FlushReport::default());
    kept.commit()?;
    assert_eq!(table.view()?.len(), 3);
    assert_eq!(table.flush()?.events_count, 2);
    let ids = table.view()?;
    let ids = ids.recent(9)?;
    let ids: Vec<_> = (0..ids.len()).map(|at| ids.value(at, 3)).collect();
    assert_eq!(ids, ["4", "3", "2"].map(Value::Text));
    Ok(())
}

#[test]
fn readers_of_another_handle_follow() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(2));
    let db = small(&disk).open("db")?;
    let table = db.table_of::<Request>("requests")?;
    let reader = small(&disk).read_only(true).open("db")?;
    let seen = reader.open_table("requests")?;
    let mut model = Model::new();
    for n in 0..60 {
        let event = request(n, (n % 5) as i64);
        model.insert((event.at, n), event.clone());
        table.append(&event)?;
        match n % 10 {
            4 => {
                table.flush()?;
            }
            8 => {
                db.compact()?;
            }
            _ => {}
        }
        check(&seen, &model)?;
    }
    assert_eq!(seen.append(&request(99, 9)).unwrap_err().kind(), ErrorKind::ReadOnly);
    check(&seen, &model)
}

#[test]
fn each_event_is_seen_once_by_readers_beside_flushes_and_compaction() -> Result<()> {
    let dir = tempfile::tempdir().expect("a folder");
    let db = Database::builder().segment_bytes(256 << 10).open(dir.path().join("db"))?;
    let table = db.table_of::<Request>("requests")?;
    let (appended, stop) =
        (std::sync::atomic::AtomicU64::new(0), std::sync::atomic::AtomicBool::new(false));
    let order = std::sync::atomic::Ordering::SeqCst;
    let follower = Database::open_read_only(dir.path().join("db"))?;
    let followed = follower.open_table("requests")?;
    std::thread::scope(|scope| {
        for table in [&table, &followed] {
            let (appended, stop) = (&appended, &stop);
            scope.spawn(move || {
                while !stop.load(order) {
                    let least = appended.load(order);
                    let view = table.view().expect("a view");
                    let all = view.scan(&Scan::new()).expect("a scan");
                    let ids: std::collections::BTreeSet<_> =
                        (0..all.len()).filter_map(|at| all.value(at, 3).as_text()).collect();
                    assert_eq!(ids.len(), all.len(), "none comes twice");
                    assert!(all.len() as u64 >= least, "{} of {least}", all.len());
                }
            });
        }
        let outcome = (0..600u64).try_for_each(|n| {
            let events: Vec<_> = (0..3).map(|k| request(n * 3 + k, (n % 11) as i64)).collect();
            table.append_batch(&batch_of(&events)?)?;
            appended.fetch_add(3, order);
            match n % 50 {
                20 => {
                    table.flush()?;
                }
                45 => {
                    db.compact()?;
                }
                _ => {}
            }
            Ok(())
        });
        stop.store(true, order);
        outcome
    })
}

#[test]
fn a_power_cut_at_any_operation_leaves_each_event_once() -> Result<()> {
    let script = |disk: &SimDisk, told: &mut u64| -> Result<()> {
        let db = small(disk).durability(crate::Durability::Sync).open("db")?;
        let table = db.table_of::<Request>("requests")?;
        for n in 0..12 {
            table.append_batch(&batch_of(&[request(2 * n, 1), request(2 * n + 1, 2)])?)?;
            *told = n + 1;
            if n % 4 == 3 {
                table.flush()?;
                db.checkpoint()?;
            }
        }
        db.compact()?;
        Ok(())
    };
    let whole = SimDisk::new(SimOptions::seeded(9));
    script(&whole, &mut 0)?;
    let operations = whole.operations();
    let mut failed_count = 0;
    for cut in 0..operations {
        let disk = SimDisk::new(SimOptions::seeded(cut));
        disk.cut_power_at(cut);
        let mut told = 0;
        let outcome = script(&disk, &mut told);
        let disk = disk.restart();
        let db = small(&disk).open("db")?;
        let table = db.table_of::<Request>("requests")?;
        let view = table.view()?;
        let all = view.scan(&Scan::new())?;
        let mut ids: Vec<u64> = (0..all.len())
            .map(|at| all.value(at, 3).as_text().expect("an id").parse().expect("a number"))
            .collect();
        ids.sort_unstable();
        let count = ids.len() as u64;
        assert_eq!(ids, (0..count).collect::<Vec<_>>(), "cut at {cut}: a prefix, each once");
        assert!(count.is_multiple_of(2), "cut at {cut}: whole batches");
        assert!((2 * told..=2 * told + 2).contains(&count), "cut at {cut}: {count} of {told}");
        // Who was told that all of it was done has all of it.
        assert!(outcome.is_err() || count == 24, "cut at {cut}: {count}");
        failed_count += u64::from(outcome.is_err());
    }
    assert!(failed_count > operations / 2, "{failed_count} of {operations} cuts were noticed");
    Ok(())
}
