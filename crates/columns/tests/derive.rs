//! `#[derive(Schema)]` as programs use it, and what it refuses.

use annals_columns::{Batch, Error, Role, Schema, Value, WideEvent};

/// Everything that a field may be.
#[derive(Schema, Clone, Debug, PartialEq)]
#[schema(schema_id = 9, crate = annals_columns)]
struct Wide {
    #[ts]
    ts_ns: i64,
    #[metric]
    cost: f64,
    #[counter]
    small: u32,
    #[counter]
    large: Option<u64>,
    #[latency]
    ms: u32,
    #[latency(detail)]
    first_byte_ms: Option<u32>,
    #[status]
    status: u16,
    #[flags(cached, r#async)]
    bits: u16,
    #[dim(bloom, rollup)]
    user: String,
    #[dim]
    r#type: Option<String>,
    #[label]
    note: Option<std::string::String>,
    #[id]
    id: String,
}

fn wide(n: u16) -> Wide {
    Wide {
        ts_ns: i64::from(n) - 5,
        cost: f64::from(n) / 2.0,
        small: u32::MAX - u32::from(n),
        large: Some(u64::MAX).filter(|_| n.is_multiple_of(2)),
        ms: n.into(),
        first_byte_ms: Some(u32::from(n)).filter(|_| n.is_multiple_of(3)),
        status: n,
        bits: if n.is_multiple_of(2) { Wide::CACHED } else { Wide::ASYNC },
        user: format!("user {n}"),
        r#type: Some(String::new()).filter(|_| n.is_multiple_of(5)),
        note: None,
        id: n.to_string(),
    }
}

#[test]
fn values_of_a_struct_come_back() {
    let mut batch = Batch::of::<Wide>();
    let all: Vec<Wide> = (0..100).map(wide).collect();
    for event in &all {
        batch.push(event).unwrap();
    }
    let mut bytes = Vec::new();
    batch.encode(&mut bytes);
    let batch = Batch::decode(Wide::schema(), &bytes).unwrap();
    let read: Vec<Wide> = (0..batch.len()).map(|row| batch.event(row).unwrap()).collect();
    assert_eq!(read, all);
}

#[test]
fn a_builder_gives_what_the_struct_gives() {
    let (mut one, mut other) = (Batch::of::<Wide>(), Batch::of::<Wide>());
    let event = wide(30);
    one.push(&event).unwrap();
    let builder = Wide::event().ts_ns(25).cost(15.0).small(u32::MAX - 30).large(u64::MAX).ms(30);
    let builder = builder.first_byte_ms(30).status(30).cached().user("user 30").r#type("");
    other.push(&builder.id("30")).unwrap();
    assert_eq!(one, other);
    let both = Wide::event().cached().r#async();
    let whole = both.ts_ns(1).cost(0.0).small(0).ms(0).status(200).user("").id("x");
    other.push(&whole).unwrap();
    assert_eq!(other.event::<Wide>(1).unwrap().bits, Wide::CACHED | Wide::ASYNC);
    assert_eq!(other.value(1, 9), Value::Absent);
}

#[test]
fn an_event_that_lacks_a_field_is_refused_with_its_name() {
    let mut batch = Batch::of::<Wide>();
    let lacks = Wide::event().ts_ns(1).cost(0.0).small(0).ms(0).status(200).id("x").cached();
    let refused = batch.push(&lacks).unwrap_err();
    assert_eq!(refused, Error::Missing { field: "user".to_owned() });
    assert!(batch.is_empty(), "nothing of it was added");
}

#[test]
fn a_schema_is_what_the_struct_says() {
    let schema = Wide::schema();
    assert_eq!(schema.id(), 9);
    let fields = schema.fields().iter();
    let written: Vec<String> = fields.map(|field| field.to_string()).collect();
    let expected = [
        "ts_ns: ts",
        "cost: metric f64",
        "small: counter u32",
        "large: counter u64, optional",
        "ms: latency",
        "first_byte_ms: latency_detail, optional",
        "status: status",
        "bits: flags (cached, async)",
        "user: dimension (bloom, rollup)",
        "type: dimension, optional",
        "note: label, optional",
        "id: id",
    ];
    assert_eq!(written, expected);
}

#[test]
fn swapped_dimensions_of_one_type_are_another_schema() {
    #[derive(Schema)]
    #[schema(schema_id = 1, crate = annals_columns)]
    #[allow(dead_code, reason = "read by nobody")]
    struct One {
        #[dim]
        user: String,
        #[dim]
        model: String,
    }
    #[derive(Schema)]
    #[schema(schema_id = 1, crate = annals_columns)]
    struct Swapped {
        #[dim]
        model: String,
        #[dim]
        user: String,
    }
    let (one, swapped) = (One::schema(), Swapped::schema());
    assert_ne!(one.fingerprint(), swapped.fingerprint());
    let refused = one.mapping_from(swapped).unwrap_err().to_string();
    assert!(refused.contains("user: dimension\n  model: dimension"), "both are printed: {refused}");
    let mut batch = Batch::of::<One>();
    let event = Swapped { model: "m".to_owned(), user: "u".to_owned() };
    assert!(matches!(batch.push(&event), Err(Error::SchemaMismatch { .. })));
    assert!(batch.is_empty());
}

#[test]
fn a_derived_schema_is_one_that_was_made_at_run_time() {
    #[derive(Schema)]
    #[schema(schema_id = 3, crate = annals_columns)]
    #[allow(dead_code, reason = "read by nobody")]
    struct Small {
        #[ts]
        at: i64,
        #[metric]
        amount: Option<i64>,
    }
    let made = Schema::builder(3).with("at", Role::Ts).with_optional("amount", Role::MetricI64);
    assert_eq!(**Small::schema(), made.build().unwrap());
}

#[test]
fn what_cannot_be_is_refused_where_it_stands() {
    trybuild::TestCases::new().compile_fail("tests/refused/*.rs");
}
