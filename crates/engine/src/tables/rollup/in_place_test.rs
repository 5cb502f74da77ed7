//! A day that is read where it lies is the one that is added up, for as long as somebody has it.

use super::DayRollup;
use crate::{
    Database, Error, Result,
    tables::{EventTable, TableView, tables_test::small},
};
use annals_columns::{Batch, Schema};
use annals_disk::{SimDisk, SimOptions};
use std::ops::Range;

const DAY: i64 = 86_400_000_000_000;
/// Events of each day.
const ROWS: u64 = 240;

#[derive(Schema, Clone, Debug, PartialEq)]
#[schema(schema_id = 4, crate = annals_columns)]
struct Visit {
    #[ts]
    at: i64,
    #[metric]
    cost: Option<i64>,
    #[counter]
    bytes: u64,
    #[dim(rollup)]
    user: Option<String>,
    #[dim(rollup)]
    page: String,
    #[id]
    id: String,
}

/// The number of the event of a day; sums need few bytes on day 0, and all there are on day 1.
fn visit(day: i64, n: u64) -> Visit {
    let cost = if day == 0 { n as i64 } else { i64::MAX - n as i64 };
    Visit {
        at: day * DAY + n as i64,
        cost: (!n.is_multiple_of(3)).then_some(cost),
        bytes: n,
        user: (!n.is_multiple_of(5)).then(|| format!("user {}", (n * 7 + day as u64) % 8)),
        page: ["", "home", "\u{e9}t\u{e9}"][(n / 40 % 3) as usize].to_owned(),
        id: format!("{day}-{n}"),
    }
}

fn append(table: &EventTable, days: Range<i64>, rows: Range<u64>) -> Result<()> {
    let mut batch = Batch::of::<Visit>();
    for day in days {
        for n in rows.clone() {
            batch.push(&visit(day, n))?;
        }
    }
    table.append_batch(&batch).map(drop)
}

/// By a user, by a page, and by both.
fn ask<'v>(view: &'v TableView<'_>, day: i64) -> Result<[DayRollup<'v>; 3]> {
    let fields = Visit::fields();
    Ok([view.rollup(fields.user(), day)?, view.rollup(fields.page(), day)?, view.rollup_day(day)?])
}

/// Compares days with those of a table that has all events in no part; says whether all are in place.
fn check(table: &EventTable, fresh: &EventTable, days: Range<i64>) -> Result<bool> {
    let (view, other) = (table.view()?, fresh.view()?);
    let mut in_place = Vec::new();
    for day in days.clone() {
        for (found, wanted) in ask(&view, day)?.iter().zip(&ask(&other, day)?) {
            assert!(!found.is_empty() && !wanted.is_in_place());
            assert_eq!(found, wanted);
            assert_eq!((found.len(), wanted.iter().len()), (wanted.len(), found.len()));
            assert_eq!(format!("{found:?}"), format!("{wanted:?}"));
            assert_eq!(&found.clone(), found);
            for (at, (one, other)) in found.iter().zip(wanted.iter()).enumerate() {
                let places = 0..found.dimensions().len();
                assert!(
                    places.clone().all(|place| found.value(at, place) == wanted.value(at, place))
                );
                assert_eq!((one, one.value()), (other, found.value(at, 0)));
                let is_only = found.dimensions().len() == 1;
                let sought = one.value().and_then(|value| found.get(value));
                assert_eq!(sought, one.value().filter(|_| is_only).map(|_| other));
                let fields = Visit::fields();
                assert_eq!(one.measured(fields.cost())?, other.totals(0));
                let user = found.value_of(at, fields.user());
                assert_eq!(user.is_ok(), wanted.value_of(at, fields.user()).is_ok());
            }
            assert!(
                found.get("nobody").is_none()
                    && found.get("").is_none_or(|_| found.dimensions() == [4])
            );
            in_place.push(found.is_in_place());
        }
        for user in ["user 0", "user 3", "nobody"] {
            let field = Visit::fields().user();
            assert_eq!(view.rollup_of(field, day, user)?, other.rollup_of(field, day, user)?);
        }
    }
    let is_any = in_place.contains(&true);
    assert_eq!(in_place.contains(&false), !is_any, "days {days:?}");
    Ok(is_any)
}

/// How many days are kept, of parts and of parts together.
fn kept(table: &EventTable) -> Result<(usize, usize)> {
    let view = table.view()?;
    let single = view.rollups_of_parts().map(|rollups| rollups.counts().1).sum();
    Ok((single, view.merged_days().count()))
}

#[test]
fn a_day_in_place_is_the_one_that_is_added_up() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(5));
    let mut db = small(&disk).open("db")?;
    let unflushed = Database::open_in_memory()?;
    let fresh = unflushed.table_of::<Visit>("visits")?;
    append(&fresh, 0..3, 0..ROWS)?;
    let table = db.table_of::<Visit>("visits")?;
    append(&table, 0..3, 0..ROWS)?;
    assert!(!check(&table, &fresh, 0..3)?, "in no part yet");
    table.flush()?;
    assert!(check(&table, &fresh, 0..3)?);
    assert_eq!(kept(&table)?, (0, 0));
    drop(table);
    db.close()?;
    db = small(&disk).open("db")?;
    let table = db.table_of::<Visit>("visits")?;
    assert!(check(&table, &fresh, 0..3)?, "after a reopening");
    assert_eq!(kept(&table)?, (0, 0));

    // What is deleted of a day is about no other day.
    let delete = |ids: &[&str]| -> Result<()> {
        assert_eq!(table.delete_events(ids)?, ids.len() as u64);
        fresh.delete_events(ids).map(drop)
    };
    delete(&["1-7", "1-100"])?;
    assert!(check(&table, &fresh, 0..1)? && check(&table, &fresh, 2..3)?);
    assert!(!check(&table, &fresh, 1..2)?);
    assert_eq!(kept(&table)?, (3, 0), "day 1, by each of three");

    // Fresh events of a day.
    append(&table, 0..1, ROWS..ROWS + 20)?;
    append(&fresh, 0..1, ROWS..ROWS + 20)?;
    assert!(!check(&table, &fresh, 0..1)? && check(&table, &fresh, 2..3)?);
    assert_eq!(kept(&table)?.1, 0, "what is fresh changes often");

    // A day of two parts.
    append(&table, 0..1, ROWS + 20..2 * ROWS)?;
    append(&fresh, 0..1, ROWS + 20..2 * ROWS)?;
    table.flush()?;
    for _ in 0..2 {
        assert!(!check(&table, &fresh, 0..1)?);
        assert_eq!(kept(&table)?, (3, 3), "added up once");
    }
    delete(&["2-9"])?;
    assert!(!check(&table, &fresh, 0..1)?);
    assert_eq!(kept(&table)?, (0, 3), "of day 0 nothing became anything else");
    let both = |view: &TableView<'_>, other: &TableView<'_>| -> Result<bool> {
        Ok(ask(view, 0)?[2].is_same(&ask(other, 0)?[2]))
    };
    let before = table.view()?;
    assert!(both(&before, &table.view()?)?);
    // Something is deleted of the day, by either part; what a view has stays as it was.
    let told = format!("{:?}", ask(&before, 0)?);
    for id in ["0-11", "0-300"] {
        delete(&[id])?;
        assert!(!check(&table, &fresh, 0..1)?);
        assert!(!both(&before, &table.view()?)?, "that would be out of date");
        assert!(both(&table.view()?, &table.view()?)?);
    }
    assert_eq!(format!("{:?}", ask(&before, 0)?), told);
    drop(before);

    // One part again, without what was deleted.
    for day in 5..8 {
        append(&table, day..day + 1, 0..2 * ROWS)?;
        table.flush()?;
    }
    assert_eq!(table.merge_parts()?.merged_count, 5);
    assert!(check(&table, &fresh, 0..3)?);
    assert_eq!(kept(&table)?.0, 0);
    drop(table);
    db.close()?;
    db = small(&disk).open("db")?;
    assert!(check(&db.open_table("visits")?, &fresh, 0..3)?);
    Ok(())
}

#[test]
fn days_are_told_apart_by_all_that_they_say() -> Result<()> {
    let db = Database::open_in_memory()?;
    type Change<'c> = (&'c str, &'c dyn Fn(&mut Visit));
    let change: [Change<'_>; 5] = [
        ("nothing", &|_| {}),
        ("a value", &|visit| visit.user = Some("user 9".to_owned())),
        ("a value of another dimension", &|visit| visit.page = "x".to_owned()),
        ("a sum", &|visit| visit.bytes += 1),
        ("a count", &|visit| visit.cost = Some(0)),
    ];
    let tables = change.into_iter().map(|(name, change)| -> Result<_> {
        let table = db.table_of::<Visit>(name)?;
        let mut batch = Batch::of::<Visit>();
        for n in 0..ROWS {
            let mut event = visit(0, n);
            if n == 0 {
                change(&mut event);
            }
            batch.push(&event)?;
        }
        table.append_batch(&batch)?;
        table.flush()?;
        Ok((name, table))
    });
    let tables = tables.collect::<Result<Vec<_>>>()?;
    let views = tables.iter().map(|(name, table)| Ok((*name, table.view()?)));
    let views = views.collect::<Result<Vec<_>>>()?;
    for (one, first) in &views {
        for (other, second) in &views {
            let (first, second) = (first.rollup_day(0)?, second.rollup_day(0)?);
            assert!(first.is_in_place() && second.is_in_place());
            assert_eq!(first == second, one == other, "{one}, {other}");
        }
    }
    Ok(())
}

/// Whoever has a day reads it in a part that has since been merged, moved, dropped, and is of a table that is gone.
#[test]
fn a_day_in_place_stays_whatever_becomes_of_its_part() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(5));
    let db = small(&disk).open("db")?;
    let table = db.table_of::<Visit>("visits")?;
    append(&table, 0..2, 0..ROWS)?;
    table.flush()?;
    for day in 2..5 {
        append(&table, day..day + 1, 0..ROWS)?;
        table.flush()?;
    }
    let view = table.view()?;
    let days = ask(&view, 1)?;
    assert!(days.iter().all(DayRollup::is_in_place));
    // Nothing of the values was read before all that.
    let told = {
        let other = Database::open_in_memory()?.table_of::<Visit>("visits")?;
        append(&other, 1..2, 0..ROWS)?;
        format!("{:?}", ask(&other.view()?, 1)?)
    };
    table.delete_events((0..ROWS).filter(|n| n % 2 == 0).map(|n| format!("1-{n}")))?;
    assert!(table.merge_parts()?.merged_count > 0);
    // Others take the room of what is gone.
    let others = |from: i64| -> Result<()> {
        for day in from..from + 6 {
            append(&table, day..day + 1, 0..ROWS)?;
            table.flush()?;
        }
        db.compact().map(drop)
    };
    others(10)?;
    assert!(table.gc(5 * DAY)?.parts_count > 0);
    others(20)?;
    assert!(table.view()?.rollup_day(1)?.is_empty());
    let newer = db.table_of::<Visit>("others")?;
    db.drop_keyspace("visits")?;
    db.compact()?;
    append(&newer, 0..3, 0..ROWS)?;
    newer.flush()?;
    db.compact()?;
    assert!(matches!(table.view(), Err(Error::KeyspaceDropped { .. })), "{:?}", table.view());
    assert_eq!(format!("{days:?}"), told);
    assert_eq!(format!("{:?}", ask(&view, 1)?), told);
    Ok(())
}
