use super::{
    tables_test::{Model, Request, batch_of, check, request, small},
    *,
};
use crate::{
    Database, Error, Result,
    streams::meanwhile::{self, Moment},
};
use annals_columns::{Batch, Schema};
use annals_disk::{SimDisk, SimOptions};
use std::collections::BTreeSet;

/// The ids of all events that a table has, in their order.
fn ids(table: &EventTable) -> Result<Vec<String>> {
    let view = table.view()?;
    let all = view.scan(&Scan::new())?;
    Ok((0..all.len()).map(|at| all.value(at, 3).as_text().expect("an id").to_owned()).collect())
}

#[test]
fn deleted_events_are_in_no_answer_through_flushes_compaction_and_reopening() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(5));
    let mut db = small(&disk).open("db")?;
    let mut model = Model::new();
    let mut came = 0;
    for round in 0..60u64 {
        let table = db.table_of::<Request>("requests")?;
        let events: Vec<_> = (0..round % 9)
            .map(|_| {
                came += 1;
                let event = request(came, (came * 7 % 31) as i64);
                model.insert((event.at, came), event.clone());
                event
            })
            .collect();
        table.append_batch(&batch_of(&events)?)?;
        // Some that are fresh, some that are in parts, some that are gone already.
        let wanted: BTreeSet<String> =
            (0..=came).rev().step_by(3 + round as usize % 11).map(|n| n.to_string()).collect();
        if round % 3 == 1 {
            let before = model.len();
            model.retain(|_, event| !wanted.contains(&event.id));
            assert_eq!(table.delete_events(&wanted)?, (before - model.len()) as u64);
            assert_eq!(table.delete_events(&wanted)?, 0, "they are gone");
        }
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
        for id in &wanted {
            assert_eq!(
                table.view()?.event(id)?.is_some(),
                model.values().any(|event| event.id == *id)
            );
        }
        drop(table);
        if round % 4 == 2 {
            db.close()?;
            db = small(&disk).open("db")?;
        }
    }
    assert!(db.verify(&mut |_| {})?.is_intact());
    Ok(())
}

#[test]
fn all_events_of_an_id_are_deleted_and_later_ones_stay() -> Result<()> {
    let db = Database::open_in_memory()?;
    let table = db.table_of::<Request>("requests")?;
    table.append_batch(&batch_of(&[request(1, 5), request(1, 3), request(2, 4)])?)?;
    table.flush()?;
    table.append_batch(&batch_of(&[request(1, 9), request(3, 1)])?)?;
    let before = table.view()?;
    assert_eq!(table.delete_events(["1", "1", "nobody"])?, 3);
    assert_eq!(before.len(), 5, "who has looked before has what there was");
    drop(before);
    assert_eq!(ids(&table)?, ["3", "2"]);
    table.append(&request(1, 7))?;
    assert_eq!(ids(&table)?, ["3", "2", "1"]);
    assert_eq!(table.view()?.event("1")?.expect("the later one").event::<Request>(0)?.at, 7);
    table.flush()?;
    assert_eq!(ids(&table)?, ["3", "2", "1"]);
    Ok(())
}

#[test]
fn what_is_left_of_a_batch_or_a_part_may_be_nothing() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(3));
    let db = small(&disk).open("db")?;
    let table = db.table_of::<Request>("requests")?;
    table.append(&request(1, 1))?;
    assert_eq!(table.delete_events(["1"])?, 1);
    assert!(table.view()?.is_empty());
    assert_eq!(table.flush()?, FlushReport::default(), "no part is made of nothing");
    table.append(&request(2, 2))?;
    table.flush()?;
    table.delete_events(["2"])?;
    let view = table.view()?;
    assert!(view.is_empty() && view.recent(3)?.is_empty() && view.event("2")?.is_none());
    drop(view);
    drop(table);
    db.close()?;
    // A batch that comes gets the number of the one that was deleted, and nothing of what was deleted there.
    let db = small(&disk).open("db")?;
    let table = db.table_of::<Request>("requests")?;
    table.append(&request(3, 3))?;
    assert_eq!(ids(&table)?, ["3"]);
    assert_eq!(table.gc(3)?.parts_count, 1);
    assert_eq!(ids(&table)?, ["3"]);
    let records = table.space().len();
    assert_eq!(records, 2, "the schema and a batch: nothing is left of what was deleted");
    Ok(())
}

#[test]
fn deletions_happen_with_a_batch_of_writes_or_not_at_all() -> Result<()> {
    let db = Database::open_in_memory()?;
    let (one, two) = (db.table_of::<Request>("one")?, db.table_of::<Request>("two")?);
    let keys = db.hash_keyspace("keys")?;
    for table in [&one, &two] {
        table.append_batch(&batch_of(&[request(1, 1), request(2, 2)])?)?;
    }
    one.flush()?;
    let mut given_up = db.batch();
    given_up.delete_events(&one, ["1"])?;
    drop(given_up);
    assert_eq!(one.view()?.len(), 2);
    let mut kept = db.batch();
    kept.delete_events(&two, ["2"])?;
    kept.delete_events(&one, ["1"])?;
    kept.delete_events(&two, ["1"])?;
    kept.append_rows(&two, &batch_of(&[request(1, 9)])?)?;
    kept.insert(&keys, "a", "1")?;
    kept.commit()?.expect("there was something to write");
    assert_eq!((ids(&one)?, ids(&two)?), (vec!["2".into()], vec!["1".into()]), "its own stays");
    let other = Database::open_in_memory()?;
    assert!(matches!(other.batch().delete_events(&one, ["1"]), Err(Error::ForeignKeyspace { .. })));
    let mut nothing = db.batch();
    nothing.delete_events(&one, ["1"])?;
    assert!(nothing.commit()?.is_none());
    Ok(())
}

#[test]
fn events_without_ids_are_not_deleted_by_them() -> Result<()> {
    #[derive(Schema)]
    #[schema(schema_id = 1, crate = annals_columns)]
    struct Tick {
        #[ts]
        at: i64,
        #[metric]
        price: f64,
    }
    let db = Database::open_in_memory()?;
    let table = db.table_of::<Tick>("ticks")?;
    table.append(&Tick { at: 1, price: 0.5 })?;
    assert!(matches!(table.delete_events(["1"]), Err(Error::NoIds { .. })));
    Ok(())
}

#[test]
fn sums_of_what_is_left_do_not_go_by_what_is_not() -> Result<()> {
    #[derive(Schema)]
    #[schema(schema_id = 1, crate = annals_columns)]
    struct Trade {
        #[ts]
        at: i64,
        #[metric]
        price: f64,
        #[counter]
        count: u64,
        #[id]
        id: String,
    }
    let db = Database::open_in_memory()?;
    let table = db.table_of::<Trade>("trades")?;
    let mut batch = Batch::of::<Trade>();
    for (n, price) in [0.5, f64::INFINITY, 2.25, f64::NAN].into_iter().enumerate() {
        batch.push(&Trade { at: n as i64, price, count: u64::MAX, id: n.to_string() })?;
    }
    table.append_batch(&batch)?;
    table.flush()?;
    table.delete_events(["1", "3"])?;
    let view = table.view()?;
    let prices = view.totals(1)?.expect("numbers");
    assert_eq!((prices.count, prices.float_sum), (2, 2.75));
    let counts = view.totals(2)?.expect("numbers");
    assert_eq!((counts.count, counts.sum), (2, 2 * i128::from(u64::MAX)));
    assert!(view.totals(3)?.is_none());
    Ok(())
}

#[test]
fn who_looks_while_events_are_deleted_and_flushed_sees_all_or_none_of_it() -> Result<()> {
    for moment in [Moment::TableKnown, Moment::PartsLookedUp] {
        let db = Database::open_in_memory()?;
        let table = db.table_of::<Request>("requests")?;
        let mut next = 0..;
        for _ in 0..4 {
            for _ in 0..2 {
                let n = next.next().expect("a number");
                table.append(&request(n, n as i64))?;
            }
            let deed = {
                let (table, mut is_done) = (table.clone(), false);
                move || {
                    if !std::mem::replace(&mut is_done, true) {
                        let newest = ids(&table).expect("readable").pop().expect("an event");
                        table.delete_events([newest.as_str(), "0"]).expect("deleted");
                        table.flush().expect("a flush");
                    }
                }
            };
            let seen = meanwhile::each_time(moment, deed, || ids(&table))?;
            let after = ids(&table)?;
            let gone = seen.iter().filter(|id| !after.contains(id)).count();
            assert!(after.iter().all(|id| seen.contains(id)), "{moment:?}: {seen:?} {after:?}");
            assert!(
                gone == 0 || seen.contains(&(next.start - 1).to_string()),
                "{seen:?} {after:?}"
            );
        }
    }
    Ok(())
}

#[test]
fn an_event_that_is_deleted_while_its_batch_becomes_a_part_is_gone() -> Result<()> {
    for moment in [Moment::PartMade, Moment::PartCommitted] {
        let db = Database::open_in_memory()?;
        let table = db.table_of::<Request>("requests")?;
        table.append_batch(&batch_of(&[request(1, 1), request(2, 2)])?)?;
        let (sender, deleting) = std::sync::mpsc::channel();
        let deed = {
            let table = table.clone();
            move || {
                let table = table.clone();
                let thread = std::thread::spawn(move || table.delete_events(["1"]));
                // It may come as far as it can.
                std::thread::sleep(std::time::Duration::from_millis(20));
                sender.send(thread).expect("somebody waits");
            }
        };
        meanwhile::each_time(moment, deed, || table.flush())?;
        let thread = deleting.recv().expect("it was begun");
        assert_eq!(thread.join().expect("no panic")?, 1);
        assert_eq!(ids(&table)?, ["2"]);
        assert_eq!(table.flush()?, FlushReport::default());
    }
    Ok(())
}

#[test]
fn readers_of_another_handle_see_what_was_deleted() -> Result<()> {
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
            2 | 6 => {
                let gone = (n / 2).to_string();
                table.delete_events([&gone])?;
                model.retain(|_, event| event.id != gone);
            }
            8 => {
                db.compact()?;
            }
            _ => {}
        }
        check(&seen, &model)?;
    }
    assert!(seen.delete_events(["59"]).is_err());
    check(&seen, &model)
}

#[test]
fn a_power_cut_at_any_operation_leaves_deletions_whole() -> Result<()> {
    let older = |n: u64| n / 3 * 2 + 1;
    let script = |disk: &SimDisk, told: &mut Vec<u64>| -> Result<()> {
        let db = small(disk).durability(crate::Durability::Sync).open("db")?;
        let table = db.table_of::<Request>("requests")?;
        for n in 0..8u64 {
            table.append_batch(&batch_of(&[request(2 * n, 1), request(2 * n + 1, 2)])?)?;
            if n % 3 == 2 {
                // One that is fresh, one that is in a part.
                table.delete_events([(2 * n).to_string(), older(n).to_string()])?;
                told.push(n);
                table.flush()?;
                db.checkpoint()?;
            }
        }
        db.compact()?;
        Ok(())
    };
    let whole = SimDisk::new(SimOptions::seeded(9));
    script(&whole, &mut Vec::new())?;
    for cut in 0..whole.operations() {
        let disk = SimDisk::new(SimOptions::seeded(cut));
        disk.cut_power_at(cut);
        let mut told = Vec::new();
        let _cut_off = script(&disk, &mut told);
        let disk = disk.restart();
        let db = small(&disk).open("db")?;
        let table = db.table_of::<Request>("requests")?;
        let found: Vec<u64> = ids(&table)?.iter().map(|id| id.parse().expect("a number")).collect();
        let set: BTreeSet<u64> = found.iter().copied().collect();
        assert_eq!(set.len(), found.len(), "cut at {cut}: each once");
        for n in [2u64, 5] {
            let pair = [2 * n, older(n)].map(|id| set.contains(&id));
            assert!(pair[0] == pair[1] || !set.contains(&(2 * n + 1)), "cut at {cut}: {set:?}");
            assert!(!told.contains(&n) || pair == [false, false], "cut at {cut}: {set:?}");
        }
    }
    Ok(())
}
