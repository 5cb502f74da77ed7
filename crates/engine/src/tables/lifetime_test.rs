use super::{
    tables_test::{Model, Request, batch_of, check, request, small},
    *,
};
use crate::{Database, Error, ErrorKind, KeyspaceKind, Result};
use annals_columns::{Role, Schema, WideEvent};
use annals_disk::{Disk, SimDisk, SimOptions};
use std::{sync::Arc, time::Duration};

/// An event of this millisecond.
fn at_ms(n: u64, ms: u64) -> Request {
    request(n, ms as i64 * 1_000_000)
}

fn ttl_ms(ms: u64) -> TableOptions {
    TableOptions::default().ttl(Duration::from_millis(ms))
}

fn create(db: &Database, options: TableOptions) -> Result<EventTable> {
    db.create_table("requests", Request::schema(), options)
}

/// A clock that shows this.
fn clock(ms: u64) -> SimDisk {
    let disk = SimDisk::new(SimOptions::seeded(7));
    disk.set_now_ms(ms);
    disk
}

#[test]
fn what_is_over_is_in_no_answer_through_flushes_merges_deletions_and_reopening() -> Result<()> {
    let disk = clock(1_000_000);
    let mut db = small(&disk).open("db")?;
    create(&db, ttl_ms(500))?;
    let mut model = Model::new();
    let mut came = 0;
    for round in 0..150u64 {
        let table = db.open_table("requests")?;
        let now_ms = disk.now_ms();
        let events: Vec<_> = (0..round % 9)
            .map(|n| {
                came += 1;
                // Some are over when they come, some are so at once, some are of the future.
                at_ms(came, (now_ms + 100).saturating_sub(came * 71 % 650 + n))
            })
            .collect();
        for (n, event) in (came - events.len() as u64 + 1..).zip(&events) {
            model.insert((event.at, n), event.clone());
        }
        table.append_batch(&batch_of(&events)?)?;
        match round % 7 {
            0 | 2 | 5 => {
                table.flush()?;
            }
            1 => {
                table.merge_parts()?;
            }
            3 => {
                db.compact()?;
            }
            4 => db.tick()?,
            _ => {}
        }
        disk.advance_ms(round * 13 % 40);
        let now_ms = disk.now_ms();
        let before = model.clone();
        model.retain(|(at, _), _| *at as u64 > (now_ms - 500) * 1_000_000);
        check(&table, &model)?;
        for ((at, _), event) in before.iter().filter(|(key, _)| !model.contains_key(key)) {
            assert!(table.view()?.event(&event.id)?.is_none(), "{at} at {now_ms}");
            assert_eq!(table.delete_events([&event.id])?, 0, "there is nothing to delete");
        }
        if round % 4 == 3 {
            let (key, event) = model.iter().next().expect("there are some");
            let key = *key;
            assert_eq!(table.delete_events([&event.id])?, 1);
            model.remove(&key);
            check(&table, &model)?;
        }
        drop(table);
        if round % 10 == 9 {
            db.close()?;
            db = small(&disk).open("db")?;
            assert_eq!(db.open_table("requests")?.options()?, ttl_ms(500));
        }
    }
    let table = db.open_table("requests")?;
    assert!(table.stats()?.parts_count > 1);
    table.flush()?;
    disk.advance_ms(10_000);
    check(&table, &Model::new())?;
    db.tick()?;
    assert_eq!(table.space().len(), 2, "the schema and the options are left");
    assert!(db.verify(&mut |_| {})?.is_intact());
    Ok(())
}

#[test]
fn parts_go_when_their_last_event_is_over_and_not_before() -> Result<()> {
    let disk = clock(1_000);
    let db = small(&disk).open("db")?;
    let table = create(&db, ttl_ms(100))?;
    table.append_batch(&batch_of(&[at_ms(1, 950), at_ms(2, 1_000)])?)?;
    table.flush()?;
    disk.set_now_ms(1_099);
    let early = table.view()?;
    db.tick()?;
    let stats = table.stats()?;
    assert_eq!((stats.events_count, stats.parts_count, stats.deleted_count), (1, 1, 1));
    disk.set_now_ms(1_100);
    assert!(table.view()?.is_empty(), "its time to live is over, not only nearly");
    assert_eq!(early.len(), 1, "who has looked before has what there was");
    assert_eq!(table.space().len(), 3, "nobody was asked to do anything");
    db.tick()?;
    assert_eq!(table.space().len(), 2);
    assert_eq!(early.recent(5)?.event::<Request>(0)?.id, "2");
    Ok(())
}

#[test]
fn what_is_over_when_it_comes_becomes_no_part() -> Result<()> {
    let disk = clock(1_000);
    let db = small(&disk).open("db")?;
    let table = create(&db, ttl_ms(100))?;
    table.append_batch(&batch_of(&[at_ms(1, 1), at_ms(2, 900)])?)?;
    table.append_batch(&batch_of(&[at_ms(3, 2), at_ms(4, 901)])?)?;
    let flushed = table.flush()?;
    assert_eq!((flushed.events_count, flushed.parts_count), (1, 1));
    check(&table, &Model::from([((901_000_000, 4), at_ms(4, 901))]))?;
    table.append(&at_ms(5, 3))?;
    assert_eq!(table.flush()?, FlushReport::default());
    assert_eq!(table.space().len(), 3, "the batch is gone all the same");
    Ok(())
}

#[test]
fn it_is_kept_in_a_table_that_nobody_asks_for() -> Result<()> {
    let disk = clock(1_000);
    let db = small(&disk).open("db")?;
    let table = create(&db, ttl_ms(100))?;
    table.append(&at_ms(1, 1_000))?;
    table.flush()?;
    drop(table);
    db.close()?;
    let db = small(&disk).open("db")?;
    disk.advance_ms(100);
    db.tick()?;
    let listed = db.keyspaces();
    assert_eq!((listed[0].kind, listed[0].len), (KeyspaceKind::Table, 2));
    assert_eq!(listed[0].ttl, Some(Duration::from_millis(100)));
    Ok(())
}

#[test]
fn it_is_kept_by_a_thread_in_a_table_that_nobody_asks_for() -> Result<()> {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("db");
    let now_ms = crate::Database::open_in_memory()?.core.clock.now_ms();
    {
        let db = Database::open(&path)?;
        let table = create(&db, ttl_ms(600_000))?;
        table.append(&at_ms(1, now_ms - 300_000))?;
        table.flush()?;
        // Nothing but the thread, and that of another opening perhaps, drops the part.
        table.set_options(ttl_ms(1_000))?;
    }
    let db = Database::open(&path)?;
    for _ in 0..12_000 {
        if db.keyspaces()[0].len == 2 {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("the part is still there");
}

#[test]
fn what_is_over_stays_so_when_events_may_live_longer() -> Result<()> {
    for (longer, is_flushed) in
        [(None, true), (None, false), (Some(5_000), true), (Some(5_000), false)]
    {
        let disk = clock(1_000);
        let mut db = small(&disk).open("db")?;
        let table = create(&db, ttl_ms(100))?;
        let all: Vec<_> = (0..10).map(|n| at_ms(n, 800 + 20 * n)).collect();
        disk.set_now_ms(900);
        table.append_batch(&batch_of(&all[..5])?)?;
        if is_flushed {
            table.flush()?;
        }
        table.append_batch(&batch_of(&all)?)?;
        if is_flushed {
            table.flush()?;
        }
        disk.set_now_ms(1_000);
        let mut model: Model = (10..).zip(&all).map(|(n, e)| ((e.at, n), e.clone())).collect();
        model.retain(|(at, _), _| *at > 900_000_000);
        check(&table, &model)?;
        let options =
            TableOptions { ttl: longer.map(Duration::from_millis), ..TableOptions::default() };
        table.set_options(options)?;
        check(&table, &model)?;
        // One as old as those: it came later.
        table.append(&at_ms(77, 820))?;
        model.insert((820_000_000, 77), at_ms(77, 820));
        check(&table, &model)?;
        for _ in 0..2 {
            db.tick()?;
            db.close()?;
            db = small(&disk).open("db")?;
            let table = db.open_table("requests")?;
            assert_eq!(table.options()?, options);
            check(&table, &model)?;
            table.flush()?;
            check(&table, &model)?;
        }
        assert!(db.verify(&mut |_| {})?.is_intact());
    }
    Ok(())
}

#[test]
fn shorter_lives_count_at_once() -> Result<()> {
    let disk = clock(1_000);
    let db = small(&disk).open("db")?;
    let table = db.table_of::<Request>("requests")?;
    table.append_batch(&batch_of(&[at_ms(1, 700), at_ms(2, 950)])?)?;
    table.flush()?;
    table.append_batch(&batch_of(&[at_ms(3, 700), at_ms(4, 950)])?)?;
    assert_eq!(table.view()?.len(), 4);
    table.set_options(ttl_ms(100))?;
    assert_eq!(table.view()?.len(), 2);
    table.set_options(ttl_ms(10))?;
    assert_eq!((table.view()?.len(), table.stats()?.parts_count), (0, 0));
    Ok(())
}

#[test]
fn what_was_seen_to_be_over_stays_so_over_a_kill_and_a_clock_set_back() -> Result<()> {
    for is_flushed in [false, true] {
        let disk = clock(1_000);
        let db = small(&disk).open("db")?;
        let table = create(&db, ttl_ms(100))?;
        table.append_batch(&batch_of(&[at_ms(1, 1_000), at_ms(2, 2_000)])?)?;
        if is_flushed {
            table.flush()?;
        }
        disk.set_now_ms(1_500);
        assert_eq!(table.view()?.len(), 1);
        disk.set_now_ms(1_000);
        assert_eq!(table.view()?.len(), 1, "the clock does not run backwards");
        let killed = disk.restart_clean();
        killed.set_now_ms(1_000);
        let db = small(&killed).open("db")?;
        assert_eq!(db.open_table("requests")?.view()?.len(), 1, "flushed: {is_flushed}");
    }
    Ok(())
}

#[test]
fn readers_in_other_processes_see_it_too() -> Result<()> {
    let disk = clock(1_000);
    let db = small(&disk).open("db")?;
    let table = create(&db, ttl_ms(100))?;
    table.append_batch(&batch_of(&[at_ms(1, 950), at_ms(2, 990)])?)?;
    table.flush()?;
    table.append(&at_ms(3, 1_020))?;
    let reader = small(&disk).read_only(true).open("db")?;
    let seen = reader.open_table("requests")?;
    assert_eq!((seen.options()?, seen.view()?.len()), (ttl_ms(100), 3));
    disk.set_now_ms(1_090);
    assert_eq!(seen.view()?.len(), 1);
    table.set_options(TableOptions::default())?;
    table.append(&at_ms(4, 5))?;
    disk.set_now_ms(9_000);
    assert_eq!((seen.options()?, seen.view()?.len()), (TableOptions::default(), 2));
    assert_eq!(seen.set_options(ttl_ms(1)).unwrap_err().kind(), ErrorKind::ReadOnly);
    Ok(())
}

#[test]
fn tables_are_created_once_and_need_times() -> Result<()> {
    let db = Database::open_in_memory()?;
    create(&db, ttl_ms(100))?;
    assert!(matches!(create(&db, ttl_ms(100)), Err(Error::KeyspaceExists { .. })));
    db.hash_keyspace("hash")?;
    let outcome = db.create_table("hash", Request::schema(), ttl_ms(1));
    assert!(matches!(outcome, Err(Error::KeyspaceExists { .. })));
    let timeless = Arc::new(Schema::builder(1).with("user", Role::Label).build()?);
    let outcome = db.create_table("timeless", &timeless, ttl_ms(100));
    assert!(matches!(outcome, Err(Error::NoTimes { .. })));
    let table = db.create_table("timeless", &timeless, TableOptions::default())?;
    assert!(matches!(table.set_options(ttl_ms(1)), Err(Error::NoTimes { .. })));
    assert_eq!(table.options()?, TableOptions::default());
    // Whoever began to make it did not come to its schema.
    table.space().remove(keys::SCHEMA)?;
    db.core.catalog.load().by_name("timeless").expect("it is there").keyspace.shape.forget();
    db.create_table("timeless", Request::schema(), ttl_ms(9))?;
    assert_eq!(db.open_table("timeless")?.options()?, ttl_ms(9));
    Ok(())
}
