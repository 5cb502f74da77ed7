use super::*;
use crate::{Background, Database, Error, Result};
use annals_columns::{Batch, Schema};
use annals_disk::{SimDisk, SimOptions};
use std::{collections::BTreeMap, sync::Arc};

const DAY: i64 = 86_400_000_000_000;

#[derive(Schema, Clone, Debug, PartialEq)]
#[schema(schema_id = 1, crate = annals_columns)]
struct Call {
    #[ts]
    at: i64,
    #[metric]
    cost: Option<i64>,
    #[counter]
    bytes: u64,
    #[latency]
    took: u32,
    #[dim(rollup)]
    user: Option<String>,
    #[dim(rollup)]
    model: String,
    #[id]
    id: String,
    #[dim]
    region: String,
}

/// Times before 1970, at the ends of days, and at the ends of all times.
fn call(n: u64) -> Call {
    let at = match n % 23 {
        0 => i64::MIN,
        1 => i64::MAX,
        2 => -1,
        3 => 0,
        4 => DAY - 1,
        k => (k as i64 - 12) * DAY / 3,
    };
    let user = (!n.is_multiple_of(5)).then(|| format!("user {}", n % 9));
    let cost = (!n.is_multiple_of(4)).then(|| i64::MAX - n as i64);
    let bytes = u64::MAX - n;
    let model = if (n / 7).is_multiple_of(3) { "large" } else { "" }.to_owned();
    Call { at, cost, bytes, took: 1, user, model, id: n.to_string(), region: "eu".into() }
}

/// By values: how many, how many costs and their sum, the sum of bytes.
type Sums = BTreeMap<Vec<Option<String>>, (u64, u64, i128, i128)>;

/// What the events of each day come to by the values that `key` gives.
fn added_up(
    model: &BTreeMap<u64, Call>,
    key: impl Fn(&Call) -> Vec<Option<String>>,
) -> BTreeMap<i64, Sums> {
    let mut all: BTreeMap<i64, Sums> = BTreeMap::new();
    for event in model.values() {
        let day = all.entry(event.at.div_euclid(DAY)).or_default();
        let sums = day.entry(key(event)).or_default();
        sums.0 += 1;
        sums.1 += u64::from(event.cost.is_some());
        sums.2 += i128::from(event.cost.unwrap_or_default());
        sums.3 += i128::from(event.bytes);
    }
    all
}

/// Values, and what the events with them come to.
type Said = (Vec<Option<String>>, (u64, u64, i128, i128));

/// What is said of a day, in the order in which it is said.
fn said(found: &DayRollup<'_>) -> Vec<Said> {
    assert!(found.is_empty() || *found.fields() == [1, 2]);
    let bucket = |(at, bucket): (usize, DayBucket<'_>)| {
        assert_eq!(bucket.totals(1).count, bucket.events_count);
        assert_eq!(bucket.value(), found.value(at, 0));
        let places = 0..found.dimensions().len();
        let values = places.map(|place| found.value(at, place).map(str::to_owned)).collect();
        let sums = (bucket.totals(0).count, bucket.totals(0).sum, bucket.totals(1).sum);
        (values, (bucket.events_count, sums.0, sums.1, sums.2))
    };
    found.iter().enumerate().map(bucket).collect()
}

fn check(table: &EventTable, model: &BTreeMap<u64, Call>) -> Result<()> {
    let view = table.view()?;
    let by_user = added_up(model, |call| vec![call.user.clone()]);
    let by_both = added_up(model, |call| vec![call.user.clone(), Some(call.model.clone())]);
    for day in by_user.keys().copied().chain([77, -77]).collect::<Vec<_>>() {
        let found = view.rollup(4, day)?;
        let of_day = |all: &BTreeMap<i64, Sums>| all.get(&day).cloned().unwrap_or_default();
        assert!(said(&found).into_iter().eq(of_day(&by_user)), "day {day}");
        let both = view.rollup_day(day)?;
        assert_eq!(both.dimensions(), [4, 5]);
        assert!(said(&both).into_iter().eq(of_day(&by_both)), "day {day}");
        assert!(both.get("user 1").is_none(), "there is more than one of it");
        for n in 0..10 {
            let user = format!("user {n}");
            let one = view.rollup_of(4, day, &user)?;
            let whole = found.get(&user);
            assert_eq!(one.is_some(), whole.is_some());
            if let (Some(one), Some(whole)) = (one, whole) {
                assert_eq!(one.events_count, whole.events_count);
                assert!(one.totals.into_iter().eq(whole.all_totals()));
            }
        }
    }
    Ok(())
}

#[test]
fn rollups_are_what_the_events_come_to_whatever_becomes_of_them() -> Result<()> {
    for events in [20, 150] {
        check_all(events)?;
    }
    Ok(())
}

/// So many events are appended at a time. Parts of few say nothing of days.
fn check_all(events: u64) -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(5));
    let open = || {
        let builder = Database::builder().segment_bytes(64 << 10).disk(Arc::new(disk.clone()));
        builder.background(Background::Manual).open("db")
    };
    let mut db = open()?;
    let mut model = BTreeMap::new();
    for round in 0..24u64 {
        let table = db.table_of::<Call>("calls")?;
        let mut batch = Batch::of::<Call>();
        for n in round * events..round * events + events {
            batch.push(&call(n))?;
            model.insert(n, call(n));
        }
        table.append_batch(&batch)?;
        check(&table, &model)?;
        let gone = [round * events + 7, round * 9, round * 4];
        table.delete_events(gone.map(|n| n.to_string()))?;
        model.retain(|n, _| !gone.contains(n));
        check(&table, &model)?;
        if round % 2 == 0 {
            table.flush()?;
        }
        if round % 6 == 2 {
            db.compact()?;
        }
        if round % 6 == 3 {
            table.merge_parts()?;
        }
        if events > 20 && round % 12 == 5 {
            drop_old(&table, &mut model, round)?;
        }
        drop(table);
        if round % 6 == 4 {
            db.close()?;
            db = open()?;
        }
        check(&db.open_table("calls")?, &model)?;
    }
    let table = db.open_table("calls")?;
    table.flush()?;
    check(&table, &model)?;
    let view = table.view()?;
    let count = |of: &[usize]| {
        view.parts().filter(|part| part.day_sums(of).is_ok_and(|sums| sums.is_some())).count()
    };
    assert!(count(&[4]) > 0);
    assert_eq!(count(&[4, 5]) > 0, events > 20);
    drop(view);
    drop_old(&table, &mut model, 24)?;
    drop(table);
    db.close()?;
    check(&open()?.open_table("calls")?, &model)
}

/// As [`Call`], with two columns more, of which one is in front of all that are asked for.
#[derive(Schema, Clone, Debug, PartialEq)]
#[schema(schema_id = 1, crate = annals_columns)]
struct Extended {
    #[ts]
    at: i64,
    #[dim(rollup)]
    host: Option<String>,
    #[counter]
    packets: Option<u32>,
    #[metric]
    cost: Option<i64>,
    #[counter]
    bytes: u64,
    #[latency]
    took: u32,
    #[dim(rollup)]
    user: Option<String>,
    #[dim(rollup)]
    model: String,
    #[id]
    id: String,
    #[dim]
    region: String,
}

/// What a program names by its own type means the same after somebody else gave the table more columns.
#[test]
fn sums_by_day_are_of_the_fields_that_are_named_beside_added_columns() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(5));
    let db = super::tables_test::small(&disk).open("db")?;
    let reader = super::tables_test::small(&disk).read_only(true).open("db")?;
    let table = db.table_of::<Call>("calls")?;
    let (older, newer) = (Call::fields(), Extended::fields());
    let mut model = BTreeMap::new();
    for n in 0..60 {
        table.append(&call(n))?;
        model.insert(n, call(n));
        if n % 15 == 14 && n < 50 {
            table.flush()?;
        }
    }
    let check = |view: &TableView<'_>, model: &BTreeMap<u64, Call>| -> Result<()> {
        let by_user = added_up(model, |call| vec![call.user.clone()]);
        let by_model = added_up(model, |call| vec![Some(call.model.clone())]);
        for day in by_user.keys() {
            let sums_of = |bucket: &DayBucket<'_>| -> Result<_> {
                let cost = bucket.measured(older.cost())?;
                assert_eq!(cost, bucket.measured(newer.cost())?);
                let bytes = bucket.measured(older.bytes())?.sum;
                Ok((bucket.events_count, cost.count, cost.sum, bytes))
            };
            for (found, wanted) in [
                (view.rollup(older.user(), *day)?, &by_user[day]),
                (view.rollup(newer.user(), *day)?, &by_user[day]),
                (view.rollup("model", *day)?, &by_model[day]),
                (view.rollup(older.model(), *day)?, &by_model[day]),
            ] {
                assert_eq!(found.len(), wanted.len());
                for bucket in found.iter() {
                    let key = vec![bucket.value().map(str::to_owned)];
                    assert_eq!(sums_of(&bucket)?, wanted[&key], "day {day}");
                }
            }
            for (user, wanted) in &by_user[day] {
                let Some(user) = &user[0] else { continue };
                let one = view.rollup_of(older.user(), *day, user)?.expect("some");
                let (cost, bytes) = (one.measured(older.cost())?, one.measured(newer.bytes())?);
                let found = (one.events_count, cost.count, cost.sum, bytes.sum);
                assert_eq!(found, *wanted, "day {day}");
            }
            let both = view.rollup_day(*day)?;
            let mut users = BTreeMap::new();
            for (at, bucket) in both.iter().enumerate() {
                let user = both.value_of(at, older.user())?.map(str::to_owned);
                assert!(["", "large"].map(Some).contains(&both.value_of(at, newer.model())?));
                *users.entry(vec![user]).or_insert(0) += bucket.events_count;
            }
            let wanted = by_user[day].iter().map(|(user, sums)| (user.clone(), sums.0));
            assert_eq!(users, wanted.collect());
            assert!(both.value_of(0, older.region()).is_err());
        }
        let costs: Vec<i64> = model.values().filter_map(|call| call.cost).collect();
        let totals = view.totals(older.cost())?.expect("numbers");
        let sum: i128 = costs.iter().copied().map(i128::from).sum();
        assert_eq!((totals.count, totals.sum), (costs.len() as u64, sum));
        assert_eq!(view.totals("cost")?, Some(totals));
        Ok(())
    };
    check(&table.view()?, &model)?;
    // A newer program that only reads, of a table that lacks the columns.
    let seen = reader.table_of::<Extended>("calls")?;
    let view = seen.view()?;
    check(&view, &model)?;
    let refused = view.rollup(newer.host(), 0).unwrap_err();
    assert!(refused.to_string().contains("does not have this dimension"), "{refused}");
    assert_eq!(view.totals(newer.packets())?.map(|totals| totals.count), Some(0));
    let day = view.rollup(newer.user(), 0)?;
    assert_eq!(day.iter().next().expect("some").measured(newer.packets())?.count, 0);
    assert!(day.iter().next().expect("some").measured(newer.took()).is_err());
    drop(view);

    db.table_of::<Extended>("calls")?;
    check(&table.view()?, &model)?;
    check(&seen.view()?, &model)?;
    table.append(&call(60))?;
    model.insert(60, call(60));
    for round in 0..2 {
        check(&table.view()?, &model)?;
        check(&seen.view()?, &model)?;
        if round == 0 {
            table.flush()?;
        }
    }
    assert!(table.merge_parts()?.merged_count > 0);
    check(&table.view()?, &model)?;
    assert_eq!(table.view()?.rollup(newer.host(), 0)?.len(), 1, "all without one");
    Ok(())
}

/// Appends events of a month ago and drops the part that has them all; of the same days some stay, in no part yet.
fn drop_old(table: &EventTable, model: &mut BTreeMap<u64, Call>, round: u64) -> Result<()> {
    table.flush()?;
    let numbers = 100_000 + round * 100..100_000 + round * 100 + 50;
    let mut stays = Batch::of::<Call>();
    let mut goes = Batch::of::<Call>();
    for n in numbers.clone() {
        let event = Call { at: -40 * DAY + (n % 5) as i64 * DAY / 2, ..call(n) };
        if n % 7 == 0 {
            stays.push(&event)?;
        } else {
            goes.push(&event)?;
        }
        model.insert(n, event);
    }
    table.append_batch(&goes)?;
    table.delete_events([(numbers.start + 1).to_string()])?;
    model.remove(&(numbers.start + 1));
    table.flush()?;
    table.append_batch(&stays)?;
    check(table, model)?;
    // One of them is as young as that.
    let last = -40 * DAY + 2 * DAY;
    assert_eq!(table.gc(last)?, GcReport::default());
    check(table, model)?;
    let count = model.len();
    model.retain(|n, _| !numbers.contains(n) || n % 7 == 0);
    let report = table.gc(last + 1)?;
    assert_eq!((report.parts_count, report.events_count), (1, (count - model.len()) as u64));
    check(table, model)
}

/// A part tells what it has; only what was deleted of a day has it gone through.
#[test]
fn parts_that_say_it_are_not_gone_through() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(5));
    let open = || super::tables_test::small(&disk).open("db");
    let db = open()?;
    let table = db.table_of::<Call>("calls")?;
    let mut model = BTreeMap::new();
    let mut batch = Batch::of::<Call>();
    for n in 0..300 {
        let event = Call { at: (n % 3) as i64 * DAY, ..call(n) };
        batch.push(&event)?;
        model.insert(n, event);
    }
    table.append_batch(&batch)?;
    table.flush()?;
    drop(table);
    db.close()?;
    let db = open()?;
    let table = db.open_table("calls")?;
    let added_up_count = || -> Result<usize> {
        Ok(table.view()?.rollups_of_parts().map(|rollups| rollups.counts().0).sum())
    };
    check(&table, &model)?;
    assert_eq!(added_up_count()?, 0);
    table.delete_events(["4"])?;
    model.remove(&4);
    for (day, count) in [(0, 0), (2, 0), (1, 1), (77, 1), (1, 1)] {
        table.view()?.rollup(4, day)?;
        table.view()?.rollup_of(4, day, "user 1")?;
        assert_eq!(added_up_count()?, count, "day {day}");
    }
    check(&table, &model)
}

/// Days that were asked for once do not stay for as long as the part does, and those that a part tells are not kept at all.
#[test]
fn of_many_days_some_are_kept() -> Result<()> {
    const DAYS: u64 = 200;
    let db = Database::open_in_memory()?;
    let table = db.table_of::<Call>("calls")?;
    let mut model = BTreeMap::new();
    let mut batch = Batch::of::<Call>();
    for n in 0..DAYS * 6 {
        // Few values a day: the part has sums of them.
        let user = Some(format!("user {}", n / DAYS % 2));
        let at = (n % DAYS) as i64 * DAY;
        let event = Call { at, user, model: "large".to_owned(), ..call(n) };
        batch.push(&event)?;
        model.insert(n, event);
    }
    table.append_batch(&batch)?;
    table.flush()?;
    for is_deleted in [false, true] {
        if is_deleted {
            // Of each day something is gone: all are added up from rows.
            table.delete_events((0..DAYS).map(|n| n.to_string()))?;
            model.retain(|n, _| *n >= DAYS);
        }
        check(&table, &model)?;
        check(&table, &model)?;
        let view = table.view()?;
        let by_day = added_up(&model, |call| vec![call.user.clone()]);
        for day in (0..DAYS as i64).rev() {
            let found = view.rollup(4, day)?;
            assert!(said(&found).into_iter().eq(by_day[&day].clone()), "day {day}");
            assert_eq!(found.is_in_place(), !is_deleted, "day {day}");
            assert_eq!(found.is_same(&view.rollup(4, day)?), is_deleted, "day {day} was kept");
        }
        for rollups in view.rollups_of_parts() {
            let (added_up_count, kept_count) = rollups.counts();
            assert_eq!(added_up_count > 0, is_deleted);
            // Of two questions: one dimension, and both.
            assert_eq!(kept_count, if is_deleted { 2 * 64 } else { 0 });
        }
    }
    Ok(())
}

#[test]
fn what_is_over_is_in_no_rollup() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(5));
    let day_ms = DAY as u64 / 1_000_000;
    disk.set_now_ms(10 * day_ms);
    let db = super::tables_test::small(&disk).open("db")?;
    let options = TableOptions::default().ttl(std::time::Duration::from_millis(5 * day_ms));
    let table = db.create_table("calls", <Call as annals_columns::WideEvent>::schema(), options)?;
    let mut batch = Batch::of::<Call>();
    let mut model = BTreeMap::new();
    for n in 0..400 {
        let event = Call { at: (6 * 20 + n as i64 % 40) * DAY / 20, ..call(n) };
        batch.push(&event)?;
        model.insert(n, event);
    }
    table.append_batch(&batch)?;
    for round in 0..60 {
        if round == 5 {
            table.flush()?;
        }
        let first = (10 * 20 + round - 5 * 20) * DAY / 20;
        disk.set_now_ms(first as u64 / 1_000_000 + 5 * day_ms);
        model.retain(|_, event| event.at > first);
        check(&table, &model)?;
    }
    Ok(())
}

#[test]
fn what_gc_drops_is_in_no_rollup() -> Result<()> {
    let db = Database::open_in_memory()?;
    let table = db.table_of::<Call>("calls")?;
    for (n, day) in [(5u64, 0i64), (6, 1), (7, 2)] {
        let event = Call { at: day * DAY, ..call(n) };
        table.append(&event)?;
        table.flush()?;
        assert_eq!(table.view()?.rollup(4, day)?.len(), 1);
    }
    table.gc(DAY + 1)?;
    let view = table.view()?;
    let lens = [0, 1, 2].map(|day| view.rollup(4, day).map(|day| day.len()));
    assert_eq!(lens.map(Result::unwrap), [0, 0, 1]);
    Ok(())
}

#[test]
fn what_is_not_marked_has_no_rollup() -> Result<()> {
    let db = Database::open_in_memory()?;
    let table = db.table_of::<Call>("calls")?;
    let view = table.view()?;
    for field in [0, 1, 6, 7] {
        assert!(matches!(view.rollup(field, 0), Err(Error::NoRollup { .. })), "{field}");
    }
    assert_eq!(view.rollup(99, 0).unwrap_err().kind(), crate::ErrorKind::InvalidInput);
    assert!(view.rollup(4, 0)?.is_empty());
    Ok(())
}

#[derive(Schema, Clone, Debug, PartialEq)]
#[schema(schema_id = 9, crate = annals_columns)]
struct Weighed {
    #[ts]
    at: i64,
    #[metric]
    weight: Option<f64>,
    #[dim(rollup)]
    user: String,
    #[id]
    id: String,
}

/// Whoever adds up numbers with fractions, of a part, of a day, of rows or fresh, comes to what the rows come to.
#[test]
fn fractions_come_to_the_same_by_each_way() -> Result<()> {
    let db = Database::open_in_memory()?;
    let table = db.table_of::<Weighed>("weighed")?;
    let weighed = |n: u64| Weighed {
        at: (n % 3) as i64 * 86_400_000_000_000 + n as i64,
        // Quarters add up to the same in any order.
        weight: (!n.is_multiple_of(5)).then_some(n as f64 / 4.0 - 100.0),
        user: format!("user {}", n % 4),
        id: n.to_string(),
    };
    let check = || -> Result<()> {
        let view = table.view()?;
        let rows = view.scan(&Scan::new())?.events::<Weighed>().collect::<Result<Vec<_>>>()?;
        let sum = |of: &dyn Fn(&&Weighed) -> bool| {
            let weights = rows.iter().filter(of).filter_map(|row| row.weight);
            (weights.clone().count() as u64, weights.sum::<f64>())
        };
        let totals = view.totals(1)?.expect("numbers");
        assert_eq!((totals.count, totals.float_sum), sum(&|_| true));
        let fields = Weighed::fields();
        let found = view.query().measure(fields.weight()).run()?;
        let measured = found.total()?;
        let measured = measured.measured(fields.weight())?;
        assert_eq!((measured.count, measured.float_sum), sum(&|_| true));
        for day in 0..3 {
            let of_day = |row: &&Weighed| DayRollup::day_of(row.at) == day;
            for user in ["user 0", "user 1", "user 2", "user 3"] {
                let wanted = sum(&|row| of_day(row) && row.user == user);
                let one = view.rollup_of(2, day, user)?.expect("some");
                assert_eq!((one.totals[0].count, one.totals[0].float_sum), wanted);
                let day = view.rollup(2, day)?;
                let one = day.get(user).expect("some").totals(0);
                assert_eq!((one.count, one.float_sum), wanted);
            }
        }
        Ok(())
    };
    for round in 0..5 {
        let mut batch = annals_columns::Batch::of::<Weighed>();
        for n in round * 200..round * 200 + 200 {
            batch.push(&weighed(n))?;
        }
        table.append_batch(&batch)?;
        check()?;
        if round < 4 {
            table.flush()?;
            check()?;
        }
    }
    table.delete_events(["7", "8", "411"])?;
    check()?;
    assert!(table.merge_parts()?.merged_count > 0);
    check()
}
