use super::*;
use crate::{
    Batch, Dimension, Error, Role, Schema, TEXT_BYTES_MAX, Value,
    batch::same,
    fuzzing::{self, PART},
};
use std::sync::Arc;

fn built(batch: &Batch) -> Part<Vec<u8>> {
    let mut builder = PartBuilder::new(Arc::clone(batch.schema()), PART);
    builder.add(batch, 1_000).expect("the same schema");
    Part::open(builder.finish().expect("rows"), PART).expect("a part")
}

fn sound(part: PartView<'_>) {
    part.verify(&mut |damage| panic!("{damage}"));
}

/// A part has the rows of a batch, in their order, in whatever way they are asked for.
fn check(batch: &Batch) -> Part<Vec<u8>> {
    let part = built(batch);
    let (view, order) = (part.view(), batch.sorted_rows());
    sound(view);
    assert_eq!(view.rows_count(), batch.len());
    let fields_count = batch.schema().fields().len();
    let all: Vec<u32> = (0..batch.len() as u32).collect();
    let rows = view.rows(&all).expect("readable");
    for (row, from) in all.iter().zip(&order) {
        assert_eq!(view.arrival(*row), Ok(1_000 + u64::from(*from)));
        for field in 0..fields_count {
            let (found, expected) =
                (rows.value(*row as usize, field), batch.value(*from as usize, field));
            assert!(same(found, expected), "{row} {field}: {found:?} {expected:?}");
        }
    }
    for row in all.iter().step_by(97) {
        let one = view.rows(&[*row]).expect("readable");
        for field in 0..fields_count {
            assert!(same(one.value(0, field), rows.value(*row as usize, field)));
        }
    }
    // In another order, many of one chunk and few of the others.
    let some = all.iter().rev().take(40).chain(all.iter().step_by(29)).chain(all.iter().take(3));
    let some: Vec<u32> = some.copied().collect();
    let found = view.rows(&some).expect("readable");
    for (at, row) in some.iter().enumerate() {
        for field in 0..fields_count {
            assert!(
                same(found.value(at, field), rows.value(*row as usize, field)),
                "{row} {field}"
            );
        }
    }
    for field in 0..fields_count {
        let numbers = (0..batch.len()).filter_map(|row| match batch.value(row, field) {
            Value::I64(number) => Some(i128::from(number)),
            Value::U64(number) => Some(i128::from(number)),
            _ => None,
        });
        let (count, sum) = numbers.fold((0, 0), |(count, sum), number| (count + 1, sum + number));
        if let Some(totals) = view.totals(field).expect("a field")
            && batch.schema().fields()[field].value_type() != crate::ValueType::F64
        {
            assert_eq!((totals.count, totals.sum), (count, sum), "field {field}");
        }
    }
    part
}

#[test]
fn parts_of_every_length_have_their_rows() {
    for rows in [1, 2, 255, 256, 257, 1_000, 64 * 256, 64 * 256 + 1] {
        let mut batch = Batch::new(fuzzing::sample_schema());
        (0..rows).for_each(|n| fuzzing::add_sample_row(&mut batch, n * 7 % rows));
        let part = check(&batch);
        let view = part.view();
        let step = 1 + rows as usize / 500;
        for (row, from) in (0..).zip(batch.sorted_rows()).step_by(step) {
            let from = from as usize;
            let id = batch.value(from, 12).as_text().expect("an id");
            let found = view.find_id(id).expect("readable").expect("there");
            assert_eq!(view.rows(&[found]).expect("readable").value(0, 12), Value::Text(id));
            assert_eq!(view.find_id(&format!("{id}x")), Ok(None));
            let user = batch.value(from, 8).as_text().expect("a user");
            let set = view.dimension_rows(8, user).expect("readable").expect("there");
            assert!(set.contains(row));
            let status = batch.value(from, 6).as_u64().expect("a status") as u16;
            let set = view.status_rows(status).expect("readable").expect("there");
            let of_status = |row: &usize| batch.value(*row, 6) == Value::U64(status.into());
            assert_eq!(set.len(), (0..batch.len()).filter(of_status).count());
            let ts = batch.value(from, 0).as_i64().expect("a time");
            let first = view.first_since(ts).expect("readable");
            assert!(first <= row);
            let at = |row: u32| view.rows(&[row]).expect("readable").value(0, 0).as_i64();
            assert!(at(first) == Some(ts) && (first == 0 || at(first - 1) < Some(ts)));
        }
        assert_eq!(view.dimension_rows(8, "nobody").map(|rows| rows.is_none()), Ok(true));
        assert_eq!(view.status_rows(201).map(|rows| rows.is_none()), Ok(true));
        assert!(matches!(view.dimension_rows(10, "eu"), Err(Error::NotIndexed { .. })));
        assert_eq!(view.first_since(i64::MIN), Ok(0));
        assert_eq!(view.first_since(i64::MAX), Ok(rows as u32));
        assert!(matches!(view.rows(&[rows as u32]), Err(Error::NoRow { .. })));
    }
}

#[test]
fn an_id_is_found_in_each_of_many_parts_that_have_it() {
    let schema = Schema::builder(1).with("at", Role::Ts).with_optional("id", Role::Id);
    let schema = Arc::new(schema.build().expect("a schema"));
    let parts: Vec<_> = (0..50u64)
        .map(|number| {
            let mut batch = Batch::new(Arc::clone(&schema));
            for n in 0..300 {
                let mut row = batch.row();
                row.i64(0, n).expect("a time");
                // Each third part has the id of all twice, and each seventh has no id at all.
                if !number.is_multiple_of(7) {
                    let is_common = number.is_multiple_of(3) && (n == 5 || n == 299);
                    let id = if is_common { "all".into() } else { format!("{number}-{n}") };
                    row.text(1, &id).expect("an id");
                }
                row.finish().expect("a row");
            }
            let mut builder = PartBuilder::new(Arc::clone(&schema), PART);
            builder.add(&batch, 0).expect("the same schema");
            Part::open(builder.finish().expect("rows"), PART).expect("a part")
        })
        .collect();
    for count in [0, 1, 15, 16, 17, 32, 50] {
        let find = |id: &str| {
            let (mut found, views) = (Vec::new(), parts[..count].iter().map(Part::view));
            PartView::find_id_in(views, id, |part, row| found.push((part, row))).expect("readable");
            found
        };
        let has_it = |part: &usize| part.is_multiple_of(3) && !part.is_multiple_of(7);
        let expected = (0..count).filter(has_it).flat_map(|part| [(part, 299), (part, 5)]);
        assert_eq!(find("all"), expected.collect::<Vec<_>>());
        for part in (0..count).filter(|part| !part.is_multiple_of(7)) {
            assert_eq!(find(&format!("{part}-17")), [(part, 17)]);
        }
        assert_eq!(find("none"), []);
    }
}

fn extremes_schema() -> Arc<Schema> {
    let schema = Schema::builder(1)
        .with("at", Role::Ts)
        .with_optional("price", Role::MetricF64)
        .with("big", Role::CounterU64)
        .with_optional("count", Role::CounterU32)
        .with("kind", Role::Dimension(Dimension::Bloom))
        .with_optional("note", Role::Label)
        .with_optional("id", Role::Id);
    Arc::new(schema.build().expect("a schema"))
}

#[test]
fn extremes_come_back_and_sums_beyond_i64_are_exact() {
    let mut batch = Batch::new(extremes_schema());
    let long = "\u{e9}y".repeat(TEXT_BYTES_MAX / 3);
    for n in 0..600usize {
        let mut row = batch.row();
        let at = [i64::MAX, 0, i64::MIN, -1, i64::MAX - 1][n % 5];
        row.i64(0, at)
            .and_then(|row| row.u64(2, [u64::MAX, u64::MAX - 7, 0][n % 3]))
            .expect("values");
        if n % 2 == 0 {
            let price = [f64::MIN, f64::MAX, -0.0, f64::NAN, f64::INFINITY, 1e-300][n / 2 % 6];
            row.f64(1, price).and_then(|row| row.u32(3, u32::MAX)).expect("values");
        }
        let kind = ["", "a", &long[..65_538], &long][n % 4];
        row.text(4, kind).expect("a value");
        if n > 299 {
            row.text(5, if n == 300 { &long } else { "" }).expect("a value");
        }
        if n % 3 == 0 {
            row.text(6, &n.to_string()).expect("a value");
        }
        row.finish().expect("whole");
    }
    let part = check(&batch);
    let view = part.view();
    assert_eq!(view.time_range(), Ok(Some((i64::MIN, i64::MAX))));
    assert!(
        view.totals(2)
            .is_ok_and(|totals| totals.is_some_and(|totals| totals.sum > i64::MAX.into()))
    );
    assert_eq!(view.bounds(3), Ok((Value::U64(u32::MAX.into()), Value::U64(u32::MAX.into()))));
    assert_eq!(
        view.dimension_rows(4, &long).map(|rows| rows.map(|rows| rows.len())),
        Ok(Some(150))
    );
}

#[test]
fn dimensions_of_more_values_than_sixteen_bits() {
    for distinct in [65_536u64, 65_537] {
        let schema = Schema::builder(1).with("kind", Role::Dimension(Dimension::Bloom)).build();
        let mut batch = Batch::new(Arc::new(schema.expect("a schema")));
        for n in 0..distinct {
            let mut row = batch.row();
            row.text(0, &format!("{}", n.wrapping_mul(0x9e37_79b9) % distinct)).expect("a value");
            row.finish().expect("whole");
        }
        let part = built(&batch);
        let rows = part.view().rows(&(0..distinct as u32).collect::<Vec<_>>()).expect("readable");
        for row in 0..distinct as usize {
            assert_eq!(rows.value(row, 0), batch.value(row, 0));
        }
        assert_eq!(
            part.view().dimension_rows(0, "65535").map(|rows| rows.map(|rows| rows.len())),
            Ok(Some(1))
        );
    }
}

#[test]
fn a_schema_without_a_time_keeps_the_order_in_which_events_came() {
    let schema = Schema::builder(1).with("status", Role::Status).build().expect("a schema");
    let mut batch = Batch::new(Arc::new(schema));
    for status in [3, 1, 2] {
        let mut row = batch.row();
        row.u16(0, status).expect("a value");
        row.finish().expect("whole");
    }
    let part = check(&batch);
    assert_eq!((part.view().time_range(), part.view().first_since(0)), (Ok(None), Ok(3)));
}

#[test]
fn optional_fields_that_nobody_gave_take_nothing() {
    let mut batch = Batch::new(extremes_schema());
    for n in 0..300 {
        let mut row = batch.row();
        row.i64(0, n)
            .and_then(|row| row.u64(2, 5))
            .and_then(|row| row.text(4, "x"))
            .expect("values");
        row.finish().expect("whole");
    }
    let part = check(&batch);
    assert_eq!(part.view().totals(3).map(|totals| totals.map(|totals| totals.count)), Ok(Some(0)));
    assert_eq!(part.view().bounds(3), Ok((Value::Absent, Value::Absent)));
    assert_eq!(part.view().find_id("x"), Ok(None));
}

#[test]
fn merged_parts_have_all_rows_in_one_order_and_what_is_left_out_is_gone() {
    let batch_of = |from: u64| {
        let mut batch = Batch::new(fuzzing::sample_schema());
        (0..700).for_each(|n| fuzzing::add_sample_row(&mut batch, (from + 2 * n) % 900));
        batch
    };
    let (one, other) = (batch_of(0), batch_of(1));
    let parts = [built(&one), {
        let mut builder = PartBuilder::new(fuzzing::sample_schema(), PART);
        builder.add(&other, 5_000).expect("the same schema");
        Part::open(builder.finish().expect("rows"), PART).expect("a part")
    }];
    let mut merged = PartBuilder::new(fuzzing::sample_schema(), PART);
    for part in &parts {
        merged.add_part(part.view(), |row| row % 10 != 3).expect("readable");
    }
    let merged = Part::open(merged.finish().expect("rows"), PART).expect("a part");
    sound(merged.view());
    assert_eq!(merged.view().rows_count(), 2 * 630);
    let mut both = PartBuilder::new(fuzzing::sample_schema(), PART);
    parts.iter().for_each(|part| both.add_part(part.view(), |_| true).expect("readable"));
    let mut straight = PartBuilder::new(fuzzing::sample_schema(), PART);
    straight.add(&one, 1_000).and_then(|()| straight.add(&other, 5_000)).expect("the same schema");
    assert_eq!(both.finish().expect("rows"), straight.finish().expect("rows"));
}

#[test]
fn parts_of_an_older_schema_are_merged_and_those_of_another_are_not() {
    let older = Schema::builder(9).with("at", Role::Ts).with("user", Role::Label);
    let newer = Schema::builder(9).with("at", Role::Ts).with_optional("n", Role::CounterU32);
    let older = Arc::new(older.build().expect("a schema"));
    let newer = Arc::new(newer.with("user", Role::Label).build().expect("a schema"));
    let mut batch = Batch::new(Arc::clone(&older));
    let mut row = batch.row();
    row.i64(0, 5).and_then(|row| row.text(1, "ada")).expect("values");
    row.finish().expect("whole");
    let part = built(&batch);
    let mut builder = PartBuilder::new(newer, PART);
    builder.add_part(part.view(), |_| true).expect("older");
    let merged = Part::open(builder.finish().expect("rows"), PART).expect("a part");
    let rows = merged.view().rows(&[0]).expect("readable");
    let values = [0, 1, 2].map(|field| rows.value(0, field));
    assert_eq!(values, [Value::I64(5), Value::Absent, Value::Text("ada")]);
    let mut builder = PartBuilder::new(older, PART);
    let refused = builder.add_part(merged.view(), |_| true);
    assert!(matches!(refused, Err(Error::SchemaMismatch { .. })));
    assert_eq!(builder.finish(), Err(Error::NoRows));
}
