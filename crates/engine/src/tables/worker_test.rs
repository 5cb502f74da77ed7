use super::{
    tables_test::{Model, Request, batch_of, check, request, small},
    *,
};
use crate::{
    Builder, Database, Result,
    streams::meanwhile::{self, Moment},
};
use annals_disk::{SimDisk, SimOptions};
use std::{collections::BTreeSet, sync::mpsc, time::Duration};

const LONG: Duration = Duration::from_secs(60);

fn hasty(builder: Builder) -> Builder {
    builder.segment_bytes(1 << 20).flush_at(40, 1 << 20, LONG * 60)
}

/// Waits until this holds; that it does in the end is all that is promised.
fn eventually(what: &str, is_so: impl Fn() -> Result<bool>) -> Result<()> {
    for _ in 0..12_000 {
        if is_so()? {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("{what}");
}

#[test]
fn parts_are_made_and_merged_in_the_background() -> Result<()> {
    let db = hasty(Database::builder()).open_in_memory()?;
    let table = db.table_of::<Request>("requests")?;
    let mut model = Model::new();
    for n in 0..1_000u64 {
        let event = request(n, (n % 97) as i64);
        model.insert((event.at, n), event.clone());
        table.append(&event)?;
        if n % 50 == 49 {
            eventually("what is fresh becomes a part", || Ok(table.stats()?.fresh_count < 40))?;
        }
    }
    // Without merging there are 20. Parts of two sizes can lie between each other so that 15 of them stay.
    eventually("parts are merged", || Ok(table.stats()?.parts_count < 16))?;
    check(&table, &model)
}

#[test]
fn old_events_become_a_part_and_so_do_those_of_an_earlier_opening() -> Result<()> {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("db");
    {
        let db = Database::builder().open(&path)?;
        let table = db.table_of::<Request>("requests")?;
        table.append_batch(&batch_of(&(0..50).map(|n| request(n, 1)).collect::<Vec<_>>())?)?;
        assert_eq!(table.stats()?.fresh_count, 50);
    }
    let db = hasty(Database::builder()).open(&path)?;
    let table = db.open_table("requests")?;
    assert_eq!(table.stats()?.events_count, 50);
    eventually("there are more than 40", || Ok(table.stats()?.fresh_count == 0))?;
    drop((table, db));
    let builder = Database::builder().flush_at(1_000, 1 << 20, Duration::from_millis(20));
    let db = builder.open(&path)?;
    let table = db.open_table("requests")?;
    table.append(&request(50, 2))?;
    eventually("it has waited long enough", || Ok(table.stats()?.fresh_count == 0))?;
    assert_eq!(table.stats()?.events_count, 51);
    Ok(())
}

#[test]
fn a_database_is_closed_and_opened_again_beside_the_work() -> Result<()> {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("db");
    for round in 0..20u64 {
        // Whoever held it let go of it with the last handle.
        let db = hasty(Database::builder()).open(&path)?;
        let table = db.table_of::<Request>("requests")?;
        let events: Vec<_> = (0..60).map(|n| request(60 * round + n, n as i64)).collect();
        table.append_batch(&batch_of(&events)?)?;
        if round % 3 == 0 {
            drop(table);
            db.close()?;
        }
    }
    let db = Database::builder().open(&path)?;
    assert_eq!(db.open_table("requests")?.view()?.len(), 1_200);
    Ok(())
}

#[test]
fn who_appends_waits_for_what_is_far_behind_and_says_so() -> Result<()> {
    let db = Database::builder().flush_at(8, 1 << 20, LONG).open_in_memory()?;
    let table = db.table_of::<Request>("requests")?;
    std::thread::scope(|scope| {
        for writer in 0..4u64 {
            let table = &table;
            scope.spawn(move || {
                for n in 0..300 {
                    table.append(&request(1_000 * writer + n, n as i64)).expect("appended");
                }
            });
        }
    });
    let view = table.view()?;
    assert_eq!(view.len(), 1_200);
    let all = view.scan(&Scan::new())?;
    let ids: BTreeSet<_> = (0..all.len()).filter_map(|at| all.value(at, 3).as_text()).collect();
    assert_eq!(ids.len(), 1_200);
    let stats = table.stats()?;
    assert!(stats.fresh_count <= 4 * 8 + 4, "{stats:?}");
    Ok(())
}

#[test]
fn a_wait_for_flushes_is_counted() -> Result<()> {
    let db = Database::builder().flush_at(8, 1 << 20, LONG).open_in_memory()?;
    let table = db.table_of::<Request>("requests")?;
    let ((held, is_held), (release, released)) = (mpsc::channel(), mpsc::channel());
    std::thread::scope(|scope| {
        let shape = table.shape();
        // No part is made before somebody waits for it.
        scope.spawn(move || {
            let flushing = shape.flushing.lock();
            held.send(()).expect("somebody waits");
            // Nobody sends where nobody waits, which is told below.
            let _released = released.recv_timeout(LONG);
            drop(flushing);
        });
        is_held.recv().expect("held");
        let deed = move || release.send(()).expect("held until now");
        meanwhile::each_time(Moment::FallenBehind, deed, || -> Result<()> {
            for n in 0..32 {
                assert_eq!(table.stats()?.waits_count, 0, "{n}");
                table.append(&request(n, n as i64))?;
            }
            assert_eq!(table.stats()?.waits_count, 1);
            Ok(())
        })
    })?;
    eventually("what was waited for was done", || Ok(table.stats()?.fresh_count == 0))?;
    assert_eq!(table.view()?.len(), 32);
    Ok(())
}

#[test]
fn without_threads_a_tick_does_it_and_who_appends_only_when_it_is_far_behind() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(3));
    let db = small(&disk).flush_at(10, 1 << 20, LONG).open("db")?;
    let table = db.table_of::<Request>("requests")?;
    for n in 0..39 {
        table.append(&request(n, n as i64))?;
        assert_eq!(table.stats()?.parts_count, 0);
    }
    table.append(&request(39, 39))?;
    let stats = table.stats()?;
    assert_eq!((stats.parts_count, stats.fresh_count, stats.waits_count), (1, 0, 1));
    for n in 40..50 {
        table.append(&request(n, n as i64))?;
    }
    db.tick()?;
    assert_eq!(table.stats()?.parts_count, 2);
    assert_eq!(table.view()?.len(), 50);
    Ok(())
}
