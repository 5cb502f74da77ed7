use super::*;
use crate::{Dimension, Role, fuzzing};

fn schema() -> Arc<Schema> {
    let schema = Schema::builder(5)
        .with("at", Role::Ts)
        .with_optional("price", Role::MetricF64)
        .with("bytes", Role::CounterU64)
        .with("status", Role::Status)
        .with("user", Role::Dimension(Dimension::Bloom))
        .with_optional("note", Role::Label);
    Arc::new(schema.build().expect("a schema"))
}

fn add(batch: &mut Batch, at: i64, user: &str, note: Option<&str>) {
    let mut row = batch.row();
    row.i64(0, at).and_then(|row| row.u64(2, u64::MAX)).expect("a value");
    row.u16(3, 7).and_then(|row| row.text(4, user)).expect("a value");
    if let Some(note) = note {
        row.text(5, note).expect("a value");
    }
    row.finish().expect("a whole event");
}

fn round_trip(batch: &Batch) {
    let mut bytes = b"before".to_vec();
    batch.encode(&mut bytes);
    assert_eq!(Batch::decode(batch.schema(), &bytes[6..]).as_ref(), Ok(batch));
}

#[test]
fn no_row_one_row_and_many_come_back_from_their_bytes() {
    for rows in [0, 1, 255, 256, 257] {
        let mut batch = Batch::new(schema());
        for row in 0..rows {
            add(&mut batch, row, &format!("u{row}"), (row % 3 == 0).then_some("why"));
        }
        assert_eq!(batch.len(), rows as usize);
        round_trip(&batch);
        let mut twice = batch.clone();
        twice.append(&batch).expect("the same schema");
        assert_eq!(twice.len(), 2 * batch.len());
        if rows > 0 {
            assert_eq!(twice.value(batch.len(), 4), Value::Text("u0"));
            assert_eq!(twice.value(batch.len(), 5), Value::Text("why"));
        }
        round_trip(&twice);
    }
}

#[test]
fn extremes_come_back() {
    let mut batch = Batch::new(schema());
    let long = "\u{e9}".repeat(TEXT_BYTES_MAX / 2);
    for (at, price, text) in [
        (i64::MIN, f64::MIN, ""),
        (i64::MAX, f64::INFINITY, "x"),
        (0, -0.0, &long[..65_536]),
        (-1, -f64::NAN, &long),
    ] {
        let mut row = batch.row();
        row.i64(0, at).and_then(|row| row.f64(1, price)).expect("a value");
        row.u64(2, u64::MAX).and_then(|row| row.u16(3, u16::MAX)).expect("a value");
        row.text(4, text).and_then(|row| row.text(5, text)).expect("a value");
        row.finish().expect("a whole event");
    }
    round_trip(&batch);
    assert_eq!(batch.sorted_rows(), [0, 3, 2, 1]);
    let zero = batch.value(2, 1).as_f64().expect("a price");
    assert!(zero == 0.0 && zero.is_sign_positive());
    assert!(batch.value(3, 1).as_f64().is_some_and(|nan| nan.is_nan() && nan.is_sign_positive()));
}

#[test]
fn an_event_that_is_refused_leaves_nothing() {
    let mut batch = Batch::new(schema());
    add(&mut batch, 1, "ada", Some("first"));
    let before = batch.clone();
    let too_long = "x".repeat(TEXT_BYTES_MAX + 1);
    type Step<'s> = &'s dyn Fn(&mut RowBuilder<'_>) -> Result<()>;
    let steps: [(Step<'_>, &str); 6] = [
        (&|row| row.i64(3, 1).map(|_| ()), "the field `status` takes u16, not i64"),
        (&|row| row.u16(9, 1).map(|_| ()), "6 fields, and no field 9"),
        (&|row| row.i64(0, 2).map(|_| ()), "the field `at` was given twice"),
        (&|row| row.text_bytes(5, b"\xff").map(|_| ()), "the field `note` was given bytes"),
        (&|row| row.text(5, &too_long).map(|_| ()), "given to the field `note`, of 1048577"),
        (&|row| row.text(0, "x").map(|_| ()), "the field `at` takes i64, not text"),
    ];
    for (step, expected) in steps {
        let mut row = batch.row();
        row.i64(0, 5).and_then(|row| row.text(4, "someone")).expect("a value");
        let error = step(&mut row).expect_err("refused").to_string();
        assert!(error.contains(expected), "{error}");
        drop(row);
        assert_eq!(batch, before);
        round_trip(&batch);
    }
    let mut row = batch.row();
    row.i64(0, 5).and_then(|row| row.text(5, "a note")).expect("a value");
    let error = row.finish().expect_err("not whole");
    assert_eq!(error, Error::Missing { field: "bytes".into() });
    assert_eq!(batch, before);
    add(&mut batch, 2, "bob", None);
    assert_eq!((batch.value(0, 5), batch.value(1, 5)), (Value::Text("first"), Value::Absent));
}

/// What was given before counts no more, however much comes after it.
#[test]
fn an_event_that_goes_on_after_a_refusal_begins_anew() {
    let mut batch = Batch::new(schema());
    let mut row = batch.row();
    row.i64(0, 5).and_then(|row| row.u64(2, 1)).and_then(|row| row.u16(3, 1)).expect("a value");
    row.text(3, "x").expect_err("no text");
    row.text(4, "someone").and_then(|row| row.text(5, "a note")).expect("a value");
    assert_eq!(row.finish(), Err(Error::Missing { field: "at".into() }));
    assert_eq!(batch, Batch::new(schema()));
    let mut row = batch.row();
    row.u64(2, 1).expect("a value");
    row.u64(2, 1).expect_err("twice");
    row.f64(1, 0.5).and_then(|row| row.u64(2, 2)).and_then(|row| row.u16(3, 1)).expect("a value");
    row.text(4, "u")
        .and_then(|row| row.text(5, "n"))
        .and_then(|row| row.i64(0, 7))
        .expect("a value");
    row.finish().expect("a whole event");
    assert_eq!((batch.len(), batch.value(0, 2)), (1, Value::U64(2)));
    round_trip(&batch);
}

#[test]
fn a_batch_that_was_emptied_takes_other_events() {
    let mut batch = Batch::new(schema());
    for round in 0..3i64 {
        batch.clear();
        assert_eq!(batch, Batch::new(schema()));
        for at in 0..=round {
            add(&mut batch, at, &format!("u{round}"), (at == 1).then_some("n"));
        }
        assert_eq!(batch.len() as i64, round + 1);
        round_trip(&batch);
    }
}

#[test]
fn equal_times_stay_in_the_order_in_which_they_came() {
    let mut batch = Batch::new(schema());
    for at in [100, 50, 75, i64::MIN, 50, i64::MAX, 50] {
        add(&mut batch, at, "u", None);
    }
    assert_eq!(batch.sorted_rows(), [3, 1, 4, 6, 2, 0, 5]);
}

#[test]
fn another_schema_another_version_and_every_cut_are_errors() {
    let batch = fuzzing::sample_batch();
    let mut bytes = Vec::new();
    batch.encode(&mut bytes);
    for len in 0..bytes.len() {
        let cut = Batch::decode(batch.schema(), &bytes[..len]);
        assert!(matches!(cut, Err(Error::Malformed { .. })), "{len}: {cut:?}");
    }
    assert!(matches!(Batch::decode(&schema(), &bytes), Err(Error::OtherSchema { .. })));
    let mut wrong = Batch::new(schema());
    assert!(matches!(wrong.append(&batch), Err(Error::SchemaMismatch { .. })));
    bytes.push(0);
    assert!(matches!(Batch::decode(batch.schema(), &bytes), Err(Error::Malformed { .. })));
    bytes[0] = 2;
    assert!(matches!(Batch::decode(batch.schema(), &bytes), Err(Error::Version { .. })));
}

#[test]
fn lengths_that_are_not_there_take_no_memory() {
    let batch = fuzzing::sample_batch();
    let mut bytes = Vec::new();
    batch.encode(&mut bytes);
    for (rows, what) in [(u32::MAX, "too many"), (ROWS_MAX as u32, "cut off")] {
        bytes[9..13].copy_from_slice(&rows.to_le_bytes());
        let error = Batch::decode(batch.schema(), &bytes).expect_err("not as many").to_string();
        assert!(error.contains(what), "{error}");
    }
}
