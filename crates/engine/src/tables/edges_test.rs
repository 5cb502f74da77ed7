//! Tables that lack what most have, values at their ends, and what happens to a table while others are at it.

use super::*;
use crate::{
    Database, Error, ErrorKind, Result,
    streams::meanwhile::{self, Moment},
    tables::tables_test::{Request, request, small},
};
use annals_columns::{
    Batch, COUNTERS_MAX, DIMENSIONS_MAX, Dimension, Filter, Key, LABELS_MAX, Role, Schema,
};
use annals_disk::{SimDisk, SimOptions};
use std::sync::Arc;

#[derive(Schema, Clone, Debug, PartialEq)]
#[schema(schema_id = 8, crate = annals_columns)]
struct Note {
    #[dim]
    kind: String,
    #[id]
    id: String,
}

fn note(n: usize) -> Note {
    Note { kind: ["a", "", "b"][n % 3].to_owned(), id: n.to_string() }
}

#[test]
fn events_without_a_time_are_in_the_order_in_which_they_came() -> Result<()> {
    let db = Database::open_in_memory()?;
    let table = db.table_of::<Note>("notes")?;
    let mut model = Vec::new();
    for round in 0..9 {
        let mut batch = Batch::of::<Note>();
        for n in round * 10..round * 10 + 10 {
            batch.push(&note(n))?;
            model.push(note(n));
        }
        table.append_batch(&batch)?;
        let gone = (round * 7).to_string();
        let count = table.delete_events([&gone])?;
        assert_eq!(count, model.iter().filter(|note| note.id == gone).count() as u64);
        model.retain(|note| note.id != gone);
        match round % 3 {
            0 => drop(table.flush()?),
            1 if round > 3 => {
                table.flush()?;
                table.merge_parts()?;
            }
            _ => {}
        }
        // There is nothing to judge their age by.
        assert_eq!(table.gc(i64::MAX)?, GcReport::default());
        let view = table.view()?;
        for is_newest_first in [false, true] {
            let mut scan = Scan::new().limit(7);
            if is_newest_first {
                scan = scan.newest_first();
            }
            let mut found = Vec::new();
            loop {
                let page = view.scan(&scan)?;
                found.extend(page.events::<Note>().collect::<Result<Vec<_>>>()?);
                let Some(cursor) = page.cursor() else { break };
                scan = scan.after(cursor);
            }
            if is_newest_first {
                found.reverse();
            }
            assert_eq!(found, model);
        }
        let empty = model.iter().filter(|note| note.kind.is_empty()).count() as u64;
        assert_eq!(view.count(Note::filter().kind_eq(""))?, empty);
    }
    assert!(table.stats()?.parts_count > 0);
    Ok(())
}

#[test]
fn an_id_may_be_empty_and_that_of_many() -> Result<()> {
    let db = Database::open_in_memory()?;
    let table = db.table_of::<Note>("notes")?;
    for round in 0..3 {
        let mut batch = Batch::of::<Note>();
        for n in 0..600 {
            let id = if n % 2 == 0 { String::new() } else { n.to_string() };
            batch.push(&Note { id, ..note(n) })?;
        }
        table.append_batch(&batch)?;
        if round > 0 {
            table.flush()?;
        }
        let last = table.view()?.event("")?.map(|found| found.event::<Note>(0)).transpose()?;
        assert_eq!(last.map(|note| note.kind), Some(note(598).kind));
        assert_eq!(table.delete_events([""])?, 300);
        assert!(table.view()?.event("")?.is_none());
        assert_eq!(table.view()?.len(), 300 * (round + 1));
    }
    Ok(())
}

/// A part is one value in the log. A batch that is longer than what parts are made of might become one that is too
/// long, and would keep all that comes behind it from being flushed.
#[test]
fn a_batch_that_might_not_fit_into_a_part_is_refused() -> Result<()> {
    #[derive(Schema)]
    #[schema(schema_id = 1, crate = annals_columns)]
    struct Page {
        #[label]
        text: String,
    }
    let db = Database::open_in_memory()?;
    let table = db.table_of::<Page>("pages")?;
    let mut batch = Batch::of::<Page>();
    let page = Page { text: "x".repeat(1 << 20) };
    for _ in 0..257 {
        batch.push(&page)?;
    }
    let refused = table.append_batch(&batch).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{refused}");
    assert!(refused.to_string().contains("268435456"), "{refused}");
    assert!(table.view()?.is_empty());
    table.append(&page)?;
    assert_eq!(table.flush()?.events_count, 1);
    Ok(())
}

/// As many fields as there may be: each is kept, asked and found by itself.
#[test]
fn a_schema_as_wide_as_it_may_be_is_kept_and_asked() -> Result<()> {
    const EVENTS: u64 = 600;
    let mut schema = Schema::builder(1).with("at", Role::Ts).with("id", Role::Id);
    for n in 0..DIMENSIONS_MAX {
        schema = schema.with_optional(&format!("dimension_{n}"), Role::Dimension(Dimension::Plain));
    }
    for n in 0..COUNTERS_MAX {
        let role = if n % 2 == 0 { Role::CounterU32 } else { Role::CounterU64 };
        schema = schema.with(&format!("counter_{n}"), role);
    }
    for n in 0..LABELS_MAX {
        schema = schema.with_optional(&format!("label_{n}"), Role::Label);
    }
    let schema = Arc::new(schema.build()?);
    assert_eq!(schema.fields().len(), 2 + DIMENSIONS_MAX + COUNTERS_MAX + LABELS_MAX);
    // Each field differs from the next, and no two have values in the same events.
    let text = |n: u64, field: usize| {
        let is_there = !(n + field as u64).is_multiple_of(5);
        is_there.then(|| format!("{field}: {}", (n + field as u64) % 7))
    };
    let count = |n: u64, field: usize| (n * 31 + field as u64) % 1_000;
    let fields = |first: usize, count: usize| first..first + count;
    let dimensions = fields(2, DIMENSIONS_MAX);
    let counters = fields(dimensions.end, COUNTERS_MAX);
    let labels = fields(counters.end, LABELS_MAX);

    let disk = SimDisk::new(SimOptions::seeded(3));
    let db = small(&disk).open("db")?;
    let table = db.table("wide", &schema)?;
    for part in 0..4 {
        let mut batch = Batch::new(Arc::clone(&schema));
        for n in part * EVENTS / 4..(part + 1) * EVENTS / 4 {
            let mut row = batch.row();
            row.i64(0, n as i64)?.text(1, &n.to_string())?;
            for field in dimensions.clone().chain(labels.clone()) {
                if let Some(text) = text(n, field) {
                    row.text(field, &text)?;
                }
            }
            for field in counters.clone() {
                match schema.fields()[field].role() {
                    Role::CounterU32 => row.u32(field, count(n, field) as u32)?,
                    _ => row.u64(field, count(n, field))?,
                };
            }
            row.finish()?;
        }
        table.append_batch(&batch)?;
        if part < 3 {
            table.flush()?;
        }
    }
    let check = |table: &EventTable| -> Result<()> {
        let view = table.view()?;
        assert_eq!(view.len(), EVENTS);
        for n in [0, 1, 250, 399, 599] {
            let found = view.event(&n.to_string())?.expect("there");
            for field in dimensions.clone().chain(labels.clone()) {
                assert_eq!(found.value(0, field).as_text(), text(n, field).as_deref());
            }
            for field in counters.clone() {
                assert_eq!(found.value(0, field).as_u64(), Some(count(n, field)));
            }
        }
        let query = counters.clone().fold(view.query(), |query, field| query.measure(field));
        let found = query.run()?;
        for field in counters.clone() {
            let sum: u64 = (0..EVENTS).map(|n| count(n, field)).sum();
            assert_eq!(found.total()?.measured(field)?.sum, i128::from(sum), "{field}");
        }
        for field in [dimensions.start, 100, dimensions.end - 1] {
            let found = view.query().group_by(field).measure(counters.end - 1).run()?;
            assert_eq!(found.len(), 8, "seven values, and none");
            for group in found.groups() {
                let Key::Text(value) = group.keys()[0] else { continue };
                let has = |n: &u64| text(*n, field).as_deref() == Some(value);
                let sum: u64 = (0..EVENTS).filter(has).map(|n| count(n, counters.end - 1)).sum();
                assert_eq!(group.rows(), (0..EVENTS).filter(has).count() as u64);
                assert_eq!(group.measured(counters.end - 1)?.sum, i128::from(sum));
                assert_eq!(view.count(Filter::eq(field, value))?, group.rows());
            }
        }
        let last = labels.end - 1;
        let wanted = (0..EVENTS).filter(|n| text(*n, last).is_some()).count() as u64;
        assert_eq!(view.count(Filter::Present(last))?, wanted);
        Ok(())
    };
    check(&table)?;
    table.flush()?;
    check(&table)?;
    assert!(table.merge_parts()?.merged_count > 0);
    check(&table)?;
    drop(table);
    db.close()?;
    let db = small(&disk).open("db")?;
    check(&db.open_table("wide")?)
}

#[test]
fn days_at_the_ends_of_all_times_have_their_sums() -> Result<()> {
    #[derive(Schema, Clone)]
    #[schema(schema_id = 1, crate = annals_columns)]
    struct Call {
        #[ts]
        at: i64,
        #[metric]
        cost: i64,
        #[dim(rollup)]
        user: String,
    }
    let db = Database::open_in_memory()?;
    let table = db.table_of::<Call>("calls")?;
    for at in [i64::MIN, i64::MIN + 1, -1, 0, i64::MAX - 1, i64::MAX] {
        for _ in 0..2 {
            table.append(&Call { at, cost: i64::MAX, user: String::new() })?;
        }
    }
    for _ in 0..2 {
        let view = table.view()?;
        for (at, count) in [(i64::MIN, 4), (-1, 2), (0, 2), (i64::MAX, 4)] {
            let day = view.rollup_of(2, DayRollup::day_of(at), "")?.expect("there are some");
            assert_eq!((day.events_count, day.totals[0].count), (count, count), "{at}");
            assert_eq!(day.totals[0].sum, i128::from(i64::MAX) * i128::from(count));
        }
        for day in [i64::MIN, i64::MAX, 5] {
            assert!(view.rollup(2, day)?.is_empty(), "{day}");
        }
        drop(view);
        table.flush()?;
    }
    Ok(())
}

/// Once the first of these moments comes, the table is dropped, and another one of its name is made.
#[test]
fn a_table_may_be_dropped_while_others_are_at_it() -> Result<()> {
    let moments = [
        Moment::PartMade,
        Moment::PartCommitted,
        Moment::TableKnown,
        Moment::PartSought,
        Moment::BatchSought,
        Moment::RowsFound,
    ];
    for moment in moments {
        for what in ["flush", "merge", "look", "delete", "append"] {
            let db = Database::open_in_memory()?;
            let table = db.table_of::<Request>("requests")?;
            for n in 0..5 {
                table.append(&request(n, 7))?;
                if n < 4 {
                    table.flush()?;
                }
            }
            let deed = {
                let (db, mut is_done) = (db.clone(), false);
                move || {
                    if !std::mem::replace(&mut is_done, true) {
                        db.drop_keyspace("requests").expect("dropped");
                        let table = db.table_of::<Note>("requests").expect("made");
                        table.append(&note(1)).expect("appended");
                    }
                }
            };
            let outcome = meanwhile::each_time(moment, deed, || match what {
                "flush" => table.flush().map(drop),
                "merge" => table.merge_parts().map(drop),
                "delete" => table.delete_events(["0", "4"]).map(drop),
                "append" => table.append(&request(9, 9)).map(drop),
                _ => {
                    let view = table.view()?;
                    let found = view.scan(&Scan::new())?;
                    let events = found.events::<Request>().collect::<Result<Vec<_>>>()?;
                    assert_eq!(events.len(), 5);
                    Ok(())
                }
            });
            if let Err(error) = outcome {
                let is_told = matches!(error, Error::KeyspaceDropped { .. });
                assert!(is_told, "{moment:?} {what}: {error}");
            }
            let Ok(other) = db.open_table("requests") else { panic!("{moment:?} {what}") };
            if other.schema()? == *<Note as annals_columns::WideEvent>::schema() {
                assert_eq!(other.view()?.recent(9)?.event::<Note>(0)?, note(1));
                assert!(matches!(table.view(), Err(Error::KeyspaceDropped { .. })));
            }
            assert!(db.verify(&mut |_| {})?.is_intact());
        }
    }
    Ok(())
}

#[derive(Schema, Clone, Debug, PartialEq)]
#[schema(schema_id = 1, crate = annals_columns)]
struct LongerRequest {
    #[ts]
    at: i64,
    #[metric]
    cost: Option<i64>,
    #[dim(bloom)]
    user: String,
    #[id]
    id: String,
    #[counter]
    tries: Option<u32>,
}

/// Batches that were begun before the table had more columns are committed behind that, and readers come in between.
#[test]
fn a_table_may_get_more_columns_while_others_are_at_it() -> Result<()> {
    for moment in [Moment::TableKnown, Moment::PartSought, Moment::BatchSought] {
        let disk = SimDisk::new(SimOptions::seeded(3));
        let db = small(&disk).open("db")?;
        let table = db.table_of::<Request>("requests")?;
        table.append(&request(0, 7))?;
        table.flush()?;
        table.append(&request(1, 7))?;
        let mut kept = db.batch();
        let mut batch = Batch::of::<Request>();
        batch.push(&request(2, 7))?;
        kept.append_rows(&table, &batch)?;
        let deed = {
            let (db, mut kept) = (db.clone(), Some(kept));
            move || {
                let Some(kept) = kept.take() else { return };
                let longer = db.table_of::<LongerRequest>("requests").expect("extended");
                let event = LongerRequest::event().at(7).user("user 3").id("3").cost(-47).tries(9);
                longer.append(&event).expect("appended");
                kept.commit().expect("committed");
            }
        };
        let ids = |table: &EventTable| -> Result<Vec<String>> {
            let view = table.view()?;
            let found = view.scan(&Scan::new())?;
            found.events::<Request>().map(|event| event.map(|event| event.id)).collect()
        };
        let seen = meanwhile::each_time(moment, deed, || ids(&table))?;
        assert!(seen == ["0", "1"] || seen == ["0", "1", "3", "2"], "{moment:?}: {seen:?}");
        let flushing = meanwhile::each_time(
            Moment::PartMade,
            {
                let table = table.clone();
                move || assert_eq!(ids_of(&table), 4)
            },
            || table.flush(),
        )?;
        assert_eq!(flushing.events_count, 3);
        let view = table.view()?;
        let found = view.scan(&Scan::new())?;
        let events = found.events::<LongerRequest>().collect::<Result<Vec<_>>>()?;
        let tries: Vec<_> = events.iter().map(|event| event.tries).collect();
        assert_eq!(tries, [None, None, Some(9), None]);
        drop(found);
        drop(view);
        drop(table);
        db.close()?;
        let db = small(&disk).open("db")?;
        let table = db.table_of::<Request>("requests")?;
        assert_eq!(ids(&table)?, ["0", "1", "3", "2"]);
        assert_eq!(table.schema()?.fields().len(), 5);
    }
    Ok(())
}

fn ids_of(table: &EventTable) -> usize {
    table.view().and_then(|view| Ok(view.scan(&Scan::new())?.len())).expect("readable")
}

#[test]
fn who_only_reads_is_told_so_and_goes_on_reading() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(3));
    let db = small(&disk).open("db")?;
    let table = db.table_of::<Request>("requests")?;
    for n in 0..5 {
        table.append(&request(n, 7))?;
        if n < 4 {
            table.flush()?;
        }
    }
    let reader = small(&disk).read_only(true).open("db")?;
    let seen = reader.table_of::<Request>("requests")?;
    assert_eq!(reader.table_of::<LongerRequest>("requests")?.schema()?.fields().len(), 4);
    for _ in 0..2 {
        let refused = [
            seen.flush().map(drop),
            seen.merge_parts().map(drop),
            seen.gc(i64::MAX).map(drop),
            seen.delete_events(["0", "4"]).map(drop),
            seen.append(&request(9, 9)).map(drop),
        ];
        for error in refused.map(Result::unwrap_err) {
            assert_eq!(error.kind(), ErrorKind::ReadOnly, "{error}");
        }
        assert_eq!((ids_of(&seen), seen.stats()?.fresh_count), (5, 1));
    }
    Ok(())
}
