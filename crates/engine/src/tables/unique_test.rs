use super::{
    tables_test::{Request, batch_of, request, small},
    *,
};
use crate::{
    Database, Durability, Error, Result,
    streams::meanwhile::{self, Moment},
};
use annals_columns::{Batch, Role, Schema, WideEvent};
use annals_disk::{SimDisk, SimOptions};
use std::{cell::Cell, collections::BTreeMap, rc::Rc, sync::Arc, time::Duration};

fn once(duplicates: Duplicates) -> TableOptions {
    TableOptions::default().duplicates(duplicates)
}

fn create(db: &Database, duplicates: Duplicates) -> Result<EventTable> {
    db.create_table("requests", Request::schema(), once(duplicates))
}

/// Each id and its time, in the order of the times.
fn all(table: &EventTable) -> Result<Vec<(String, i64)>> {
    let view = table.view()?;
    let found = view.scan(&Scan::new())?;
    let event = |at| found.event::<Request>(at).map(|event| (event.id, event.at));
    (0..found.len()).map(event).collect()
}

fn ids(table: &EventTable) -> Result<Vec<String>> {
    Ok(all(table)?.into_iter().map(|(id, _)| id).collect())
}

fn is_refused(outcome: Result<Option<crate::Commit>>, id: &str) -> bool {
    matches!(outcome, Err(Error::DuplicateId { id: found, name }) if found == id && name == "requests")
}

#[test]
fn an_id_is_there_once_wherever_the_first_one_is() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(3));
    let mut db = small(&disk).open("db")?;
    drop(create(&db, Duplicates::Refuse)?);
    for step in 0..5 {
        let table = db.open_table("requests")?;
        let fresh = 10 * (step + 1);
        let last = table.append_batch(&batch_of(&[request(fresh, 1), request(fresh + 1, 2)])?)?;
        assert!(last.is_some());
        let before = all(&table)?;
        for old in (10..=fresh).step_by(10) {
            let again = batch_of(&[request(fresh + 2, 3), request(old + 1, 9)])?;
            assert!(is_refused(table.append_batch(&again), &(old + 1).to_string()));
            assert!(is_refused(table.append(&request(old, 9)), &old.to_string()));
        }
        let twice = batch_of(&[request(fresh + 3, 3), request(4, 3), request(fresh + 3, 3)])?;
        assert!(is_refused(table.append_batch(&twice), &(fresh + 3).to_string()), "in one batch");
        assert_eq!(all(&table)?, before, "nothing was written of what was refused");
        assert_eq!(
            table.space().len() - 2,
            table.stats()?.batches_count as u64 + table.stats()?.parts_count as u64
        );
        match step {
            0 => {}
            3 => {
                table.merge_parts()?;
            }
            _ => {
                table.flush()?;
            }
        }
        drop(table);
        if step == 2 {
            db.close()?;
            db = small(&disk).open("db")?;
            assert_eq!(db.open_table("requests")?.options()?, once(Duplicates::Refuse));
        }
    }
    Ok(())
}

#[test]
fn what_is_there_is_left_out_and_the_rest_is_appended() -> Result<()> {
    let db = Database::open_in_memory()?;
    let table = create(&db, Duplicates::Ignore)?;
    let report = table.append_batch_counted(&batch_of(&[request(1, 1), request(2, 2)])?)?;
    assert_eq!((report.appended_count, report.ignored_count), (2, 0));
    table.flush()?;
    let mixed = [request(3, 3), request(2, 9), request(3, 8), request(4, 4), request(1, 9)];
    let report = table.append_batch_counted(&batch_of(&mixed)?)?;
    assert_eq!((report.appended_count, report.ignored_count), (2, 3));
    let expected: Vec<_> = (1..5).map(|n| (n.to_string(), n)).collect();
    assert_eq!(all(&table)?, expected, "the first of an id counts");
    let report = table.append_batch_counted(&batch_of(&mixed)?)?;
    assert_eq!(report, AppendReport { commit: None, appended_count: 0, ignored_count: 5 });
    assert_eq!(table.append_batch(&batch_of(&mixed)?)?, None);
    assert_eq!(table.append(&request(1, 1))?, None);
    let report = table.append_batch_marked(&batch_of(&mixed)?, b"7")?;
    assert_eq!((report.ignored_count, table.mark()?.as_deref()), (5, Some(&b"7"[..])));
    assert_eq!(table.stats()?.batches_count, 1, "no empty batch is written");
    table.flush()?;
    assert_eq!(all(&table)?, expected);
    Ok(())
}

#[test]
fn what_is_deleted_or_over_is_not_there() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(3));
    disk.set_now_ms(1_000);
    for is_flushed in [false, true] {
        let db = small(&disk).open(if is_flushed { "one" } else { "two" })?;
        let table = create(&db, Duplicates::Refuse)?;
        let old = request(1, 1_000_000_000);
        table.append_batch(&batch_of(&[old.clone(), request(2, 5_000_000_000)])?)?;
        if is_flushed {
            table.flush()?;
        }
        assert!(is_refused(table.append(&request(2, 3)), "2"));
        table.delete_events(["2"])?;
        table.append(&request(2, 6_000_000_000))?;
        assert!(is_refused(table.append(&request(2, 3)), "2"));
        let options = once(Duplicates::Refuse).ttl(Duration::from_millis(10));
        table.set_options(options)?;
        assert!(is_refused(table.append(&old), "1"), "flushed: {is_flushed}");
        disk.advance_ms(10);
        table.append(&request(1, 7_000_000_000))?;
        assert_eq!(ids(&table)?, ["2", "1"]);
        disk.set_now_ms(1_000);
    }
    Ok(())
}

#[test]
fn a_commit_may_put_another_event_in_the_place_of_one() -> Result<()> {
    let db = Database::open_in_memory()?;
    for policy in [Duplicates::Refuse, Duplicates::Ignore] {
        let table = create(&db, policy)?;
        table.append_batch(&batch_of(&[request(1, 1), request(2, 2)])?)?;
        table.flush()?;
        for at in [7, 8] {
            let mut commit = db.batch();
            commit.delete_events(&table, ["1"])?;
            commit.append_rows(&table, &batch_of(&[request(1, at)])?)?;
            commit.commit()?;
            assert_eq!(all(&table)?, [("2".to_owned(), 2), ("1".to_owned(), at)]);
        }
        // Both at once, in two batches of events.
        let mut commit = db.batch();
        commit.append_rows(&table, &batch_of(&[request(3, 9)])?)?;
        let again = commit.append_rows(&table, &batch_of(&[request(3, 10), request(4, 10)])?);
        match policy {
            Duplicates::Refuse => assert!(is_refused(again.map(|()| None), "3")),
            _ => again?,
        }
        commit.commit()?;
        let expected: &[&str] = if policy == Duplicates::Refuse { &["3"] } else { &["3", "4"] };
        assert_eq!(ids(&table)?[2..], *expected);
        drop(table);
        db.drop_keyspace("requests")?;
    }
    Ok(())
}

/// Somebody else appends the same between the look for the ids and the commit.
#[test]
fn who_comes_in_between_is_seen() -> Result<()> {
    for (policy, is_flushed) in [
        (Duplicates::Refuse, false),
        (Duplicates::Ignore, false),
        (Duplicates::Refuse, true),
        (Duplicates::Ignore, true),
    ] {
        let disk = SimDisk::new(SimOptions::seeded(3));
        let db = small(&disk).open("db")?;
        let table = create(&db, policy)?;
        let asked = Rc::new(Cell::new(0));
        let deed = {
            let (table, asked) = (table.clone(), Rc::clone(&asked));
            move || {
                asked.set(asked.get() + 1);
                table.append(&request(2, 100)).expect("it is the first");
                if is_flushed {
                    table.flush().expect("flushed");
                }
            }
        };
        let events = batch_of(&[request(1, 1), request(2, 2), request(3, 3)])?;
        let outcome =
            meanwhile::each_time(Moment::IdsSought, deed, || table.append_batch_counted(&events));
        assert_eq!(asked.get(), 1);
        let expected: &[(&str, i64)] = match policy {
            Duplicates::Refuse => {
                assert!(is_refused(outcome.map(|report| report.commit), "2"));
                &[("2", 100)]
            }
            _ => {
                let report = outcome?;
                assert_eq!((report.appended_count, report.ignored_count), (2, 1));
                &[("1", 1), ("3", 3), ("2", 100)]
            }
        };
        let check = |table: &EventTable| -> Result<()> {
            let found = all(table)?;
            assert!(found.iter().map(|(id, at)| (&**id, *at)).eq(expected.iter().copied()));
            Ok(())
        };
        check(&table)?;
        drop(table);
        db.close()?;
        let db = small(&disk).open("db")?;
        let table = db.open_table("requests")?;
        check(&table)?;
        table.flush()?;
        check(&table)?;
        assert!(db.verify(&mut |_| {})?.is_intact());
    }
    Ok(())
}

#[test]
fn of_many_writers_one_appends_an_id() -> Result<()> {
    let db =
        Database::builder().flush_at(200, 1 << 20, Duration::from_secs(60)).open_in_memory()?;
    let table = create(&db, Duplicates::Ignore)?;
    let strict = db.create_table("strict", Request::schema(), once(Duplicates::Refuse))?;
    let threads: Vec<_> = (0..4u64)
        .map(|thread| {
            let (table, strict) = (table.clone(), strict.clone());
            std::thread::spawn(move || -> Result<(u64, u64)> {
                let (mut appended, mut won) = (0, 0);
                for round in 0..60u64 {
                    let ids =
                        (0..20).map(|n| request(round * 11 + (n * 7 + thread) % 20, thread as i64));
                    let report =
                        table.append_batch_counted(&batch_of(&ids.collect::<Vec<_>>())?)?;
                    appended += report.appended_count;
                    match strict.append(&request(round, thread as i64)) {
                        Ok(_) => won += 1,
                        Err(Error::DuplicateId { .. }) => {}
                        Err(error) => return Err(error),
                    }
                }
                Ok((appended, won))
            })
        })
        .collect();
    let (mut appended, mut won) = (0, 0);
    for thread in threads {
        let outcome = thread.join().expect("no panic")?;
        (appended, won) = (appended + outcome.0, won + outcome.1);
    }
    for (table, count, expected) in [(&table, appended, 59 * 11 + 20), (&strict, won, 60)] {
        let mut times = BTreeMap::new();
        for id in ids(table)? {
            *times.entry(id).or_insert(0) += 1;
        }
        assert!(times.values().all(|count| *count == 1), "{times:?}");
        assert_eq!((times.len() as u64, count), (expected, expected));
    }
    Ok(())
}

#[test]
fn who_asks_for_a_sync_has_one() -> Result<()> {
    for seed in 0..10 {
        let disk = SimDisk::new(SimOptions::seeded(seed));
        let db = small(&disk).durability(Durability::Sync).open("db")?;
        let table = create(&db, Duplicates::Refuse)?;
        table.append(&request(1, 1))?;
        let cut = disk.restart();
        let db = small(&cut).open("db")?;
        assert_eq!(ids(&db.open_table("requests")?)?, ["1"], "seed {seed}");
    }
    Ok(())
}

#[test]
fn events_without_ids_are_never_the_same() -> Result<()> {
    let schema = Schema::builder(1).with("at", Role::Ts).with_optional("id", Role::Id);
    let schema = Arc::new(schema.build()?);
    let db = Database::open_in_memory()?;
    let table = db.create_table("requests", &schema, once(Duplicates::Refuse))?;
    let mut batch = Batch::new(Arc::clone(&schema));
    for at in 0..3 {
        let mut row = batch.row();
        row.i64(0, at)?;
        row.finish()?;
    }
    table.append_batch(&batch)?;
    table.append_batch(&batch)?;
    assert_eq!(table.view()?.len(), 6);
    let without = Arc::new(Schema::builder(1).with("at", Role::Ts).build()?);
    let refused = db.create_table("other", &without, once(Duplicates::Ignore));
    assert!(matches!(refused, Err(Error::NoIds { .. })));
    let other = db.table("other", &without)?;
    assert!(matches!(other.set_options(once(Duplicates::Refuse)), Err(Error::NoIds { .. })));
    Ok(())
}
