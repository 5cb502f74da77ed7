//! What is easily got wrong: pages of one time while all is moved, flushes beside writers, schemas that look alike.

use super::*;
use crate::{Database, ErrorKind, Result};
use annals_columns::{Batch, Schema};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

#[derive(Schema, Clone, Debug, PartialEq)]
#[schema(schema_id = 3, crate = annals_columns)]
struct Tick {
    #[ts]
    at: i64,
    #[dim]
    kind: String,
    #[id]
    id: String,
}

fn tick(n: u64, at: i64) -> Tick {
    Tick {
        at,
        kind: if n.is_multiple_of(5) { "fifth" } else { "other" }.to_owned(),
        id: n.to_string(),
    }
}

fn append(table: &EventTable, events: &[Tick]) -> Result<()> {
    let mut batch = Batch::of::<Tick>();
    events.iter().try_for_each(|event| batch.push(event))?;
    table.append_batch(&batch).map(drop)
}

/// Reads pages until there is no other one, and lets something happen between any two.
fn pages(
    table: &EventTable,
    mut scan: Scan,
    mut between: impl FnMut(usize) -> Result<()>,
) -> Result<Vec<String>> {
    let (mut ids, mut turn) = (Vec::new(), 0);
    loop {
        let view = table.view()?;
        let page = view.scan(&scan)?;
        ids.extend(page.events::<Tick>().collect::<Result<Vec<_>>>()?.into_iter().map(|of| of.id));
        let Some(cursor) = page.cursor() else { return Ok(ids) };
        scan = scan.after(cursor);
        between(turn)?;
        turn += 1;
    }
}

#[test]
fn events_of_one_time_come_once_each_while_parts_come_and_go() -> Result<()> {
    for is_newest_first in [false, true] {
        let db = Database::open_in_memory()?;
        let table = db.table_of::<Tick>("ticks")?;
        // A part that is older, and will be dropped.
        append(&table, &(9_000..9_050).map(|n| tick(n, 3)).collect::<Vec<_>>())?;
        table.flush()?;
        let events: Vec<Tick> = (0..2_500).map(|n| tick(n, 7)).collect();
        for (n, some) in events.chunks(250).enumerate() {
            append(&table, some)?;
            if n % 2 == 1 {
                table.flush()?;
            }
        }
        let scan = Scan::new().since(7).until(8).limit(1_000);
        let scan = if is_newest_first { scan.newest_first() } else { scan };
        let mut ids = pages(&table, scan, |turn| {
            // Whatever happens to where events are, and what comes at other times, changes no page.
            match turn {
                0 => assert_eq!(table.gc(5)?.events_count, 50),
                1 => {
                    table.flush()?;
                    assert!(table.merge_parts()?.parts_count > 0);
                }
                _ => db.compact().map(drop)?,
            }
            append(&table, &[tick(10_000 + turn as u64, 8)])
        })?;
        if is_newest_first {
            ids.reverse();
        }
        let expected: Vec<String> = events.iter().map(|event| event.id.clone()).collect();
        assert_eq!(ids, expected);
        // The same with a filter, whose pages take more than one part.
        let scan = Scan::new().filter(Tick::filter().kind_eq("fifth").at_eq(7)).limit(90);
        let scan = if is_newest_first { scan.newest_first() } else { scan };
        let mut ids = pages(&table, scan, |turn| match turn {
            0 => table.flush().map(drop),
            _ => append(&table, &[tick(20_000 + turn as u64, 9)]),
        })?;
        if is_newest_first {
            ids.reverse();
        }
        let expected: Vec<String> = expected.into_iter().step_by(5).collect();
        assert_eq!(ids, expected);
    }
    Ok(())
}

/// Events of one id may come in any order of their times.
#[test]
fn of_several_events_of_an_id_the_one_that_came_last_is_found() -> Result<()> {
    let db = Database::open_in_memory()?;
    let table = db.table_of::<Tick>("ticks")?;
    let same = |at| Tick { id: "same".to_owned(), ..tick(1, at) };
    let check = |last: i64| -> Result<()> {
        let view = table.view()?;
        let found = view.event("same")?.expect("it is there");
        assert_eq!(found.event::<Tick>(0)?, same(last));
        Ok(())
    };
    for (round, at) in [50, 40, 60, 30, 70, 20, 80, 10].into_iter().enumerate() {
        append(&table, &[same(at), tick(round as u64, at), same(at + 1), same(at)])?;
        check(at)?;
        table.flush()?;
        check(at)?;
        // What came before is in one part with what came last.
        table.merge_parts()?;
        check(at)?;
    }
    assert!(table.stats()?.parts_count < 8, "some were merged");
    Ok(())
}

#[test]
fn times_out_of_order_and_at_their_ends_are_found_by_halfopen_ranges() -> Result<()> {
    let times = [100, 50, 75, i64::MIN, i64::MAX];
    for is_one_batch in [true, false] {
        let db = Database::open_in_memory()?;
        let table = db.table_of::<Tick>("ticks")?;
        let events: Vec<Tick> = times.iter().map(|at| tick(1, *at)).collect();
        if is_one_batch {
            append(&table, &events)?;
        } else {
            for event in &events {
                append(&table, std::slice::from_ref(event))?;
            }
        }
        for _ in 0..2 {
            let view = table.view()?;
            let found = view.scan(&Scan::new())?;
            let order: Vec<i64> =
                found.events::<Tick>().map(|event| event.map(|of| of.at)).collect::<Result<_>>()?;
            assert_eq!(order, [i64::MIN, 50, 75, 100, i64::MAX]);
            for since in [i64::MIN, i64::MIN + 1, 50, 51, 75, 100, i64::MAX] {
                let from = times.iter().filter(|at| **at >= since).count();
                assert_eq!(view.scan(&Scan::new().since(since))?.len(), from);
                assert_eq!(view.count(Tick::filter().since(since))?, from as u64);
                for until in [i64::MIN, i64::MIN + 1, 50, 75, 76, 101, i64::MAX] {
                    let within = times.iter().filter(|at| (since..until).contains(*at)).count();
                    let scan = Scan::new().since(since).until(until);
                    assert_eq!(view.scan(&scan)?.len(), within, "{since}..{until}");
                    assert_eq!(view.scan(&scan.newest_first())?.len(), within);
                    let filter = Tick::filter().since(since).until(until);
                    assert_eq!(view.count(filter)?, within as u64, "{since}..{until}");
                }
            }
            drop(view);
            table.flush()?;
        }
    }
    Ok(())
}

#[test]
fn a_flush_that_returned_has_all_that_was_appended_before_it() -> Result<()> {
    let db = Database::open_in_memory()?;
    let table = db.table_of::<Tick>("ticks")?;
    let (appended, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let order = Ordering::SeqCst;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..400 {
                append(&table, &[tick(n, n as i64)]).expect("appended");
                appended.store(n + 1, order);
            }
            stop.store(true, order);
        });
        let mut flushed = 0;
        loop {
            let (is_last, before) = (stop.load(order), appended.load(order));
            flushed += table.flush()?.events_count;
            assert!(flushed >= before, "{flushed} of {before} are in parts");
            if is_last {
                break;
            }
        }
        assert_eq!((flushed, table.view()?.len()), (400, 400));
        Ok(())
    })
}

#[test]
fn swapped_dimensions_of_one_type_are_another_table() -> Result<()> {
    #[derive(Schema)]
    #[schema(schema_id = 5, crate = annals_columns)]
    struct One {
        #[dim]
        user: String,
        #[dim]
        model: String,
    }
    #[derive(Schema)]
    #[schema(schema_id = 5, crate = annals_columns)]
    struct Swapped {
        #[dim]
        model: String,
        #[dim]
        user: String,
    }
    let db = Database::open_in_memory()?;
    let table = db.table_of::<One>("events")?;
    table.append(&One { user: "ada".to_owned(), model: "large".to_owned() })?;
    let view = table.view()?;
    let refused = [
        db.table_of::<Swapped>("events").map(drop),
        table.append(&Swapped { model: String::new(), user: String::new() }).map(drop),
        view.count(Swapped::filter().user_eq("large")).map(drop),
        view.query().group_by(Swapped::fields().user()).run().map(drop),
        view.recent(1)?.event::<Swapped>(0).map(drop),
    ];
    for error in refused.map(Result::unwrap_err) {
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains("user: dimension\n  model: dimension"), "{error}");
    }
    assert_eq!(view.count(One::filter().user_eq("ada"))?, 1);
    let only: Vec<One> = view.recent(9)?.events::<One>().collect::<Result<_>>()?;
    assert_eq!((only[0].user.as_str(), only[0].model.as_str()), ("ada", "large"));
    Ok(())
}
