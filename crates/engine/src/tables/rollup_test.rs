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
    #[dim]
    model: String,
    #[id]
    id: String,
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
    Call { at, cost, bytes, took: 1, user, model: "m".into(), id: n.to_string() }
}

/// By value: how many, how many costs and their sum, the sum of bytes.
type Sums = BTreeMap<Option<String>, (u64, u64, i128, i128)>;

fn check(table: &EventTable, model: &BTreeMap<u64, Call>) -> Result<()> {
    let view = table.view()?;
    let mut expected: BTreeMap<i64, Sums> = BTreeMap::new();
    for event in model.values() {
        let day = expected.entry(event.at.div_euclid(DAY)).or_default();
        let sums = day.entry(event.user.clone()).or_default();
        sums.0 += 1;
        sums.1 += u64::from(event.cost.is_some());
        sums.2 += i128::from(event.cost.unwrap_or_default());
        sums.3 += i128::from(event.bytes);
    }
    for day in expected.keys().copied().chain([77, -77]).collect::<Vec<_>>() {
        let found = view.rollup(4, day)?;
        assert!(found.is_empty() || *found.fields() == [1, 2]);
        let sums: Sums = found
            .iter()
            .map(|bucket| {
                assert_eq!(bucket.totals[1].count, bucket.events_count);
                let sums = (bucket.totals[0].count, bucket.totals[0].sum, bucket.totals[1].sum);
                (bucket.value.map(str::to_owned), (bucket.events_count, sums.0, sums.1, sums.2))
            })
            .collect();
        assert_eq!(sums.len(), found.len());
        assert_eq!(&sums, expected.get(&day).unwrap_or(&Sums::new()), "day {day}");
        for n in 0..10 {
            let user = format!("user {n}");
            let one = view.rollup_of(4, day, &user)?;
            let whole = found.get(&user);
            assert_eq!(one.is_some(), whole.is_some());
            if let (Some(one), Some(whole)) = (one, whole) {
                assert_eq!((one.events_count, &one.totals[..]), (whole.events_count, whole.totals));
            }
        }
    }
    Ok(())
}

#[test]
fn rollups_are_what_the_events_come_to_whatever_becomes_of_them() -> Result<()> {
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
        for n in round * 20..round * 20 + 20 {
            batch.push(&call(n))?;
            model.insert(n, call(n));
        }
        table.append_batch(&batch)?;
        check(&table, &model)?;
        let gone = [round * 20 + 7, round * 9, round * 4];
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
        drop(table);
        if round % 6 == 4 {
            db.close()?;
            db = open()?;
        }
        check(&db.open_table("calls")?, &model)?;
    }
    let table = db.open_table("calls")?;
    table.flush()?;
    check(&table, &model)
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
    for field in [0, 1, 5, 6] {
        assert!(matches!(view.rollup(field, 0), Err(Error::NoRollup { .. })), "{field}");
    }
    assert_eq!(view.rollup(99, 0).unwrap_err().kind(), crate::ErrorKind::InvalidInput);
    assert!(view.rollup(4, 0)?.is_empty());
    Ok(())
}
