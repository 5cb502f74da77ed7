use super::{tables_test::small, *};
use crate::{
    Database, Durability, ErrorKind, Result,
    streams::meanwhile::{self, Moment},
};
use annals_columns::{Batch, Schema, Value, WideEvent};
use annals_disk::{SimDisk, SimOptions};

#[derive(Schema, Clone, Debug, PartialEq)]
#[schema(schema_id = 1, crate = annals_columns)]
struct Before {
    #[ts]
    at: i64,
    #[dim]
    user: String,
    #[id]
    id: String,
}

#[derive(Schema, Clone, Debug, PartialEq)]
#[schema(schema_id = 1, crate = annals_columns)]
struct After {
    #[ts]
    at: i64,
    #[metric]
    cost: Option<i64>,
    #[dim(bloom)]
    user: String,
    #[id]
    id: String,
    #[label]
    note: Option<String>,
}

fn before(n: i64) -> Before {
    Before { at: n, user: format!("user {}", n % 3), id: n.to_string() }
}

fn after(n: i64) -> After {
    let note = Some(format!("note {n}"));
    After { at: n, cost: Some(10 * n), user: format!("user {}", n % 3), id: n.to_string(), note }
}

/// An event from before, as one of the newer schema.
fn lacking(n: i64) -> After {
    After { cost: None, note: None, ..after(n) }
}

fn check(table: &EventTable, expected: &[After]) -> Result<()> {
    let view = table.view()?;
    let all = view.scan(&Scan::new())?;
    let found: Vec<After> = (0..all.len()).map(|at| all.event(at)).collect::<Result<_>>()?;
    assert_eq!(found, expected);
    let older: Vec<Before> = (0..all.len()).map(|at| all.event(at)).collect::<Result<_>>()?;
    let as_before = |event: &After| before(event.at);
    assert_eq!(older, expected.iter().map(as_before).collect::<Vec<_>>());
    for event in expected {
        let one = view.event(&event.id)?.expect("there");
        assert_eq!(one.event::<After>(0)?, *event);
    }
    let costs: Vec<i64> = expected.iter().filter_map(|event| event.cost).collect();
    let cost = view.schema().index_of("cost").expect("a field");
    let totals = view.totals(cost)?.expect("numbers");
    assert_eq!((totals.count, totals.sum), (costs.len() as u64, costs.iter().sum::<i64>().into()));
    assert!(view.totals(view.schema().index_of("user").expect("a field"))?.is_none());
    Ok(())
}

#[test]
fn a_table_gets_more_columns_with_parts_and_batches_from_before() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(4));
    let db = small(&disk).open("db")?;
    let older = db.table_of::<Before>("events")?;
    for n in 0..4 {
        older.append(&before(n))?;
    }
    older.flush()?;
    older.append(&before(4))?;
    assert_eq!(older.view()?.len(), 5);
    older.append(&before(5))?;
    let mut under_way = Batch::of::<Before>();
    under_way.push(&before(6))?;
    let mut commit = db.batch();
    commit.append_rows(&older, &under_way)?;
    let reader = small(&disk).read_only(true).open("db")?;
    let seen = reader.table_of::<Before>("events")?;
    let view_from_before = older.view()?;
    assert_eq!(seen.view()?.len(), 6);
    // A reader of a newer program, before the table has the columns.
    let newer_seen = reader.table_of::<After>("events")?;
    assert_eq!(newer_seen.view()?.recent(1)?.event::<After>(0)?, lacking(5));

    let table = db.table_of::<After>("events")?;
    assert_eq!(older.schema()?, table.schema()?, "handles are of one table");
    assert_eq!(view_from_before.recent(1)?.event::<Before>(0)?, before(5));
    drop(view_from_before);
    commit.commit()?;
    let mut expected: Vec<After> = (0..7).map(lacking).collect();
    for n in 7..10 {
        table.append(&after(n))?;
        expected.push(after(n));
    }
    older.append(&before(10))?;
    expected.push(lacking(10));
    check(&table, &expected)?;
    check(&older, &expected)?;
    check(&seen, &expected)?;
    table.delete_events(["2", "4", "8"])?;
    expected.retain(|event| ![2, 4, 8].contains(&event.at));
    check(&table, &expected)?;
    check(&seen, &expected)?;
    drop((table, older));
    db.close()?;
    let db = small(&disk).open("db")?;
    // A program of the older schema leaves the newer one.
    let table = db.table_of::<Before>("events")?;
    assert!(table.schema()?.index_of("note").is_some());
    check(&table, &expected)?;
    table.flush()?;
    check(&table, &expected)?;
    for n in 11..19 {
        table.append(&after(n))?;
        expected.push(after(n));
        if n % 4 == 2 {
            table.flush()?;
        }
    }
    assert_eq!(table.view()?.parts_count(), 4);
    assert!(table.merge_parts()?.parts_count > 0, "parts of both");
    check(&table, &expected)?;
    check(&seen, &expected)?;
    let found = table.view()?;
    let found = found.event("3")?.expect("there");
    assert_eq!(found.value(0, 1), Value::Absent);
    Ok(())
}

#[test]
fn what_is_no_extension_is_refused_and_both_are_printed() -> Result<()> {
    #[derive(Schema)]
    #[schema(schema_id = 1, crate = annals_columns)]
    struct Needs {
        #[ts]
        at: i64,
        #[dim]
        user: String,
        #[id]
        id: String,
        #[label]
        note: String,
    }
    #[derive(Schema)]
    #[schema(schema_id = 1, crate = annals_columns)]
    struct Swapped {
        #[ts]
        at: i64,
        #[id]
        user: String,
        #[dim]
        id: String,
    }
    let db = Database::open_in_memory()?;
    let table = db.table_of::<Before>("events")?;
    table.append(&before(1))?;
    for refused in [
        db.table_of::<Needs>("events").unwrap_err(),
        db.table_of::<Swapped>("events").unwrap_err(),
        // It is not extended by what somebody appends.
        table.append(&after(2)).unwrap_err(),
        table.view()?.recent(1)?.event::<Needs>(0).map(drop).unwrap_err(),
    ] {
        assert_eq!(refused.kind(), ErrorKind::InvalidInput, "{refused}");
        let text = refused.to_string();
        assert_eq!(text.matches("fingerprint").count(), 2, "both are printed: {text}");
    }
    assert_eq!(table.schema()?, *<Before as annals_columns::WideEvent>::schema());
    assert_eq!(table.view()?.len(), 1);
    Ok(())
}

#[test]
fn a_power_cut_at_any_operation_leaves_the_schema_before_or_after() -> Result<()> {
    let script = |disk: &SimDisk, told: &mut i64| -> Result<()> {
        let db = small(disk).durability(Durability::Sync).open("db")?;
        let table = db.table_of::<Before>("events")?;
        for n in 0..3 {
            table.append(&before(n))?;
            *told = n + 1;
        }
        table.flush()?;
        table.append(&before(3))?;
        *told = 4;
        let table = db.table_of::<After>("events")?;
        table.append(&after(4))?;
        *told = 5;
        db.checkpoint()?;
        table.flush()?;
        Ok(())
    };
    let whole = SimDisk::new(SimOptions::seeded(9));
    script(&whole, &mut 0)?;
    for cut in 0..whole.operations() {
        let disk = SimDisk::new(SimOptions::seeded(cut));
        disk.cut_power_at(cut);
        let mut told = 0;
        let _cut_off = script(&disk, &mut told);
        let disk = disk.restart();
        let db = small(&disk).open("db")?;
        let table = db.table_of::<Before>("events")?;
        let count = table.view()?.len() as i64;
        assert!((told..=told + 1).contains(&count), "cut at {cut}: {count} of {told}");
        let has_columns = table.schema()?.index_of("cost").is_some();
        assert!(has_columns || count < 5, "cut at {cut}");
        let table = db.table_of::<After>("events")?;
        let expected: Vec<After> =
            (0..count).map(|n| if n < 4 { lacking(n) } else { after(n) }).collect();
        check(&table, &expected)?;
    }
    Ok(())
}

#[test]
fn a_former_schema_is_forgotten_when_no_batch_needs_it() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(4));
    let mut db = small(&disk).open("db")?;
    let older = db.table_of::<Before>("events")?;
    older.append(&before(0))?;
    older.flush()?;
    older.append(&before(1))?;
    let mut under_way = Batch::of::<Before>();
    under_way.push(&before(2))?;
    let mut commit = db.batch();
    commit.append_rows(&older, &under_way)?;
    let table = db.table_of::<After>("events")?;
    let former = keys::older(Before::schema().fingerprint());
    let has_former = |table: &EventTable| table.space().contains(former);
    assert!(has_former(&table)?);
    table.flush()?;
    assert!(has_former(&table)?, "one is under way");
    commit.commit()?;
    check(&table, &[lacking(0), lacking(1), lacking(2)])?;
    table.append(&after(3))?;
    table.flush()?;
    assert!(!has_former(&table)?, "only parts are left, which have their own");
    for _ in 0..2 {
        let table = db.table_of::<After>("events")?;
        let older = db.table_of::<Before>("events")?;
        check(&table, &[lacking(0), lacking(1), lacking(2), after(3)])?;
        assert_eq!(older.schema()?, *After::schema());
        drop((table, older));
        db.close()?;
        db = small(&disk).open("db")?;
    }
    let older = db.table_of::<Before>("events")?;
    older.append(&before(4))?;
    assert!(!has_former(&older)?, "what is appended has the table's schema");
    check(&older, &[lacking(0), lacking(1), lacking(2), after(3), lacking(4)])
}

#[test]
fn events_that_were_encoded_before_the_table_had_more_columns_are_encoded_again() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(4));
    let db = small(&disk).open("db")?;
    let older = db.table_of::<Before>("events")?;
    let deed = {
        let db = db.clone();
        move || {
            let table = db.table_of::<After>("events").expect("extended");
            table.flush().expect("flushed");
        }
    };
    meanwhile::each_time(Moment::RowsEncoded, deed, || older.append(&before(0)))?;
    check(&older, &[lacking(0)])?;
    drop(older);
    db.close()?;
    let db = small(&disk).open("db")?;
    let table = db.table_of::<After>("events")?;
    check(&table, &[lacking(0)])?;
    table.flush()?;
    check(&table, &[lacking(0)])
}
