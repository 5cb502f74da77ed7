use super::{tables_test::small, *};
use crate::{
    Database, Durability, ErrorKind, Result,
    streams::meanwhile::{self, Moment},
};
use annals_columns::{Batch, BoundFilter, Key, Schema, Value, WideEvent};
use annals_disk::{SimDisk, SimOptions};
use std::{collections::BTreeMap, sync::Arc};

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

/// Questions compare pointers then. A part of an older schema keeps that.
#[test]
fn a_table_and_its_parts_share_the_schema_of_their_type() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(7));
    let db = small(&disk).open("db")?;
    let table = db.table_of::<Before>("requests")?;
    table.append(&before(1))?;
    table.flush()?;
    drop(table);
    db.close()?;
    let db = small(&disk).open("db")?;
    let table = db.table_of::<Before>("requests")?;
    let part_has =
        |schema| Ok::<_, crate::Error>(Arc::ptr_eq(table.view()?.part(0).schema(), schema));
    assert!(Arc::ptr_eq(&table.schema()?, Before::schema()) && part_has(Before::schema())?);
    let table_after = db.table_of::<After>("requests")?;
    assert!(Arc::ptr_eq(&table_after.schema()?, After::schema()));
    assert!(!part_has(After::schema())? && part_has(Before::schema())?);
    check(&table_after, &[lacking(1)])
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

/// What programs of both types ask, and a filter by the methods of either, of events in whatever they are.
fn check_questions(table: &EventTable, expected: &[After]) -> Result<()> {
    let (view, older, newer) = (table.view()?, Before::fields(), After::fields());
    let model = |test: &dyn Fn(&&After) -> bool| {
        let mut groups = BTreeMap::<String, Vec<After>>::new();
        for event in expected.iter().filter(test) {
            groups.entry(event.user.clone()).or_default().push(event.clone());
        }
        groups
    };
    type Test = fn(&&After) -> bool;
    let filters: [(BoundFilter, Test); 8] = [
        (Before::filter().into(), |_| true),
        (Before::filter().since(2).until(9).into(), |of| (2..9).contains(&of.at)),
        (Before::filter().user_eq("user 1").not().into(), |of| of.user != "user 1"),
        (Before::filter().id_in(["3", "8", "10"]).into(), |of| [3, 8, 10].contains(&of.at)),
        (After::filter().user_prefix("user 2").into(), |of| of.user == "user 2"),
        (After::filter().cost_ge(80).into(), |of| of.cost.is_some_and(|cost| cost >= 80)),
        (After::filter().cost_ge(80).not().into(), |of| of.cost.is_none_or(|cost| cost < 80)),
        (After::filter().note_absent().or(After::filter().note_eq("note 8")).into(), |of| {
            of.note.as_deref().is_none_or(|note| note == "note 8")
        }),
    ];
    for (filter, test) in filters {
        let wanted = model(&test);
        let count = expected.iter().filter(&test).count() as u64;
        assert_eq!(view.count(filter.clone())?, count, "{filter:?}");
        let found = view.scan(&Scan::new().filter(filter.clone()))?;
        let found = found.events::<Before>().collect::<Result<Vec<_>>>()?;
        let rows: Vec<Before> = expected.iter().filter(&test).map(|of| before(of.at)).collect();
        assert_eq!(found, rows, "{filter:?}");

        let query = view.query().filter(filter.clone()).group_by(older.user());
        let found = query.measure_bounds(older.at()).distinct(older.id()).run()?;
        assert_eq!(found.len(), wanted.len());
        for group in found.top(older.at(), 9)? {
            let Key::Text(user) = group.key(older.user())? else { panic!("a user") };
            let (of, at) = (&wanted[user], group.measured(older.at())?);
            assert_eq!(at.sum, of.iter().map(|event| i128::from(event.at)).sum::<i128>());
            assert_eq!(at.min().as_i64(), of.iter().map(|event| event.at).min());
            assert_eq!(group.distinct(older.id())?.count(), of.len() as u64);
        }

        let query = view.query().filter(filter.clone()).group_by(newer.user());
        let query = query.measure(newer.cost()).quantiles(newer.cost()).distinct(newer.note());
        let explained = query.clone().explain()?;
        assert_eq!(explained.parts.len(), view.parts_count());
        let found = query.run()?;
        assert_eq!(found.len(), wanted.len());
        for group in found.groups() {
            let Key::Text(user) = group.key(newer.user())? else { panic!("a user") };
            let costs: Vec<i64> = wanted[user].iter().filter_map(|event| event.cost).collect();
            let cost = group.measured(newer.cost())?;
            assert_eq!(
                (cost.count, cost.sum),
                (costs.len() as u64, costs.iter().sum::<i64>().into())
            );
            assert_eq!(group.quantiles(newer.cost())?.at(1.0).as_i64(), costs.last().copied());
            assert_eq!(group.distinct(newer.note())?.count(), costs.len() as u64);
        }
    }
    let newest = view.recent(1)?;
    let last = expected.last().expect("an event");
    assert_eq!(newest.get(0, older.user())?, Value::Text(&last.user));
    assert_eq!(newest.get(0, newer.cost())?.as_i64(), last.cost);
    Ok(())
}

#[test]
fn questions_of_either_type_are_answered_beside_added_columns() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(4));
    let db = small(&disk).open("db")?;
    let older = db.table_of::<Before>("events")?;
    let reader = small(&disk).read_only(true).open("db")?;
    for n in 0..3 {
        older.append(&before(n))?;
    }
    let mut expected: Vec<After> = (0..3).map(lacking).collect();
    // A newer program that only reads, of a table that does not have the columns yet.
    let seen = reader.table_of::<After>("events")?;
    check_questions(&older, &expected)?;
    check_questions(&seen, &expected)?;
    older.flush()?;
    older.append(&before(3))?;
    expected.push(lacking(3));
    check_questions(&older, &expected)?;
    check_questions(&seen, &expected)?;
    assert_eq!(seen.schema()?, *Before::schema());

    let table = db.table_of::<After>("events")?;
    for n in 4..9 {
        table.append(&after(n))?;
        expected.push(after(n));
        if n % 2 == 0 {
            table.flush()?;
        }
    }
    older.append(&before(9))?;
    expected.push(lacking(9));
    for table in [&table, &older, &seen] {
        check_questions(table, &expected)?;
    }
    table.flush()?;
    check_questions(&older, &expected)?;
    assert!(table.merge_parts()?.merged_count > 0);
    check_questions(&older, &expected)?;
    check_questions(&seen, &expected)?;
    drop((table, older));
    db.close()?;
    let db = small(&disk).open("db")?;
    // Only the older program is there.
    let older = db.table_of::<Before>("events")?;
    older.append(&before(10))?;
    expected.push(lacking(10));
    check_questions(&older, &expected)
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
