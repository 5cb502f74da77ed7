//! Random questions about random events, against a model that keeps every number of every group: parts of few
//! and of odd counts of rows, with rows that are deleted, and batches.

use super::*;
use crate::{
    Batch, Dimension, Part, PartBuilder, PartIdentity, Role, RowSet, Schema, Value,
    part::encode_rows,
};
use proptest::prelude::*;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

const SHARES: [f64; 5] = [0.0, 0.25, 0.5, 0.99, 1.0];
const NUMBERS: [usize; 5] = [1, 2, 3, 4, 5];
const TEXTS: [usize; 4] = [6, 7, 8, 9];

fn schema() -> Arc<Schema> {
    let schema = Schema::builder(5)
        .with("at", Role::Ts)
        .with_optional("cost", Role::MetricF64)
        .with("tokens", Role::CounterU32)
        .with_optional("bytes", Role::CounterU64)
        .with("status", Role::Status)
        .with_optional("latency", Role::Latency)
        .with("user", Role::Dimension(Dimension::Bloom))
        .with_optional("model", Role::Dimension(Dimension::Plain))
        .with_optional("note", Role::Label)
        .with("id", Role::Id);
    Arc::new(schema.build().expect("a schema"))
}

fn mix(n: u64) -> u64 {
    let n = (n ^ n >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (n ^ n >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 8
}

fn batch(schema: &Arc<Schema>, rows: u64, seed: u64) -> Batch {
    let mut batch = Batch::new(Arc::clone(schema));
    for n in 0..rows {
        let next = |salt: u64| mix(seed << 32 ^ n << 8 ^ salt);
        let mut row = batch.row();
        let mut fill = || {
            row.i64(0, (next(0) % 40_000) as i64 - 20_000)?;
            if next(1) % 4 > 0 {
                // Quarters: their sums are exact in any order.
                row.f64(1, (next(2) % 4_000) as f64 / 4.0 - 300.0)?;
            }
            row.u32(2, (next(3) >> (next(4) % 30)) as u32)?;
            if next(5) % 3 > 0 {
                row.u64(3, next(6) >> (next(7) % 50))?;
            }
            row.u16(4, [200, 200, 200, 404, 500, 503][next(8) as usize % 6])?;
            if next(9) % 5 > 0 {
                row.u32(5, 700 + (next(10) % 5) as u32)?;
            }
            row.text(6, &format!("user {}", next(11) % 1_000 * (next(12) % 30) / 900))?;
            if next(13) % 6 > 0 {
                row.text(7, ["small", "large", "other"][next(14) as usize % 3])?;
            }
            if next(15) % 2 > 0 {
                row.text(8, &format!("note {} of many", next(16) % 200))?;
            }
            row.text(9, &format!("id {}", next(17))).map(|_| ())
        };
        fill().expect("the schema's values");
        row.finish().expect("whole");
    }
    batch
}

/// All that an answer has, by the keys of its groups.
#[derive(Debug, PartialEq)]
struct Known {
    rows: u64,
    numbers: Vec<Vec<String>>,
    distinct: Vec<u64>,
}

#[derive(Default)]
struct ModelGroup<'a> {
    rows: u64,
    values: Vec<Vec<Value<'a>>>,
}

fn key_of(value: Value<'_>) -> String {
    match value {
        Value::Absent => format!("{:?}", Key::Absent),
        Value::U64(number) => format!("{:?}", Key::Number(number)),
        Value::Text(text) => format!("{:?}", Key::Text(text)),
        other => unreachable!("nothing is grouped by {other:?}"),
    }
}

impl ModelGroup<'_> {
    fn known(&self) -> Known {
        let mut numbers = Vec::new();
        for values in NUMBERS.map(|field| &self.values[field]) {
            let mut sorted = values.clone();
            sorted.sort_by(|one, other| match (one, other) {
                (Value::U64(one), Value::U64(other)) => one.cmp(other),
                (Value::F64(one), Value::F64(other)) => one.total_cmp(other),
                _ => unreachable!("numbers of one type"),
            });
            let whole: i128 = values.iter().filter_map(|one| one.as_u64()).map(i128::from).sum();
            let float =
                values.iter().filter_map(|one| one.as_f64()).fold(0.0, |sum, one| sum + one);
            let (first, last) = (sorted.first().copied(), sorted.last().copied());
            let mut all = vec![format!("{} {whole} {float:?}", sorted.len())];
            all.push(format!("{:?} {:?}", first.unwrap_or_default(), last.unwrap_or_default()));
            all.extend(SHARES.map(|share| {
                let place = ((share * sorted.len() as f64).ceil() as usize).max(1) - 1;
                format!("{:?}", sorted.get(place).copied().unwrap_or_default())
            }));
            numbers.push(all);
        }
        let fields = NUMBERS.into_iter().chain(TEXTS);
        let different = |field: usize| {
            let all = self.values[field].iter().map(|value| format!("{value:?}"));
            all.collect::<BTreeSet<_>>().len() as u64
        };
        Known { rows: self.rows, numbers, distinct: fields.map(different).collect() }
    }
}

fn model(rows: &[Vec<Value<'_>>], filter: &Filter, by: &[GroupBy]) -> BTreeMap<String, Known> {
    let mut groups: BTreeMap<String, ModelGroup<'_>> = BTreeMap::new();
    if by.is_empty() {
        groups.entry(String::new()).or_default().values = vec![Vec::new(); 10];
    }
    for row in rows.iter().filter(|row| filter.matches(|field| row[field])) {
        let keys = by.iter().map(|by| match by {
            GroupBy::Field(field) => key_of(row[*field]),
            GroupBy::Time { bucket_ns } => {
                let width = bucket_ns.cast_signed();
                let ts = row[0].as_i64().expect("a time");
                format!("{:?}", Key::Time(ts.div_euclid(width) * width))
            }
        });
        let group = groups.entry(keys.collect::<Vec<_>>().join(" ")).or_default();
        group.rows += 1;
        group.values.resize(10, Vec::new());
        for (all, value) in group.values.iter_mut().zip(row) {
            if !value.is_absent() {
                all.push(*value);
            }
        }
    }
    groups.iter().map(|(keys, group)| (keys.clone(), group.known())).collect()
}

fn ask(filter: &Filter, by: &[GroupBy]) -> Query {
    let query = Query::new(schema()).filter(filter.clone());
    let query = by.iter().fold(query, |query, by| query.group_by(*by));
    let query = NUMBERS.into_iter().fold(query, Query::measure_bounds);
    let query = NUMBERS.into_iter().fold(query, |query, field| {
        query.measure(field).quantiles(field).quantiles_by_sketch(field)
    });
    NUMBERS.into_iter().chain(TEXTS).fold(query, Query::distinct)
}

fn known(answer: &Answer) -> BTreeMap<String, Known> {
    let of = |group: Group<'_>| {
        let keys: Vec<String> = group.keys.iter().map(|key| format!("{key:?}")).collect();
        let mut numbers = Vec::new();
        for at in 0..NUMBERS.len() {
            let (bounded, plain) = (&group.measured[at], &group.measured[NUMBERS.len() + at]);
            let (exact, sketch) = (&group.quantiles[2 * at], &group.quantiles[2 * at + 1]);
            assert_eq!((bounded.count, bounded.sum), (plain.count, plain.sum));
            assert_eq!((bounded.count, bounded.count), (exact.count(), sketch.count()));
            let (right, near) = (exact.at_each(&SHARES), sketch.at_each(&SHARES));
            for (right, near) in right.iter().zip(near) {
                let number = |value: Value<'_>| match value {
                    Value::U64(number) => number as f64,
                    other => other.as_f64().unwrap_or(0.0),
                };
                let (right, near) = (number(*right), number(near));
                assert!((right - near).abs() <= right.abs() / 256.0, "{near} for {right}");
            }
            let mut all = vec![format!("{} {} {:?}", plain.count, plain.sum, plain.float_sum)];
            all.push(format!("{:?} {:?}", bounded.min(), bounded.max()));
            all.extend(right.iter().map(|value| format!("{value:?}")));
            numbers.push(all);
        }
        assert!(group.distinct.iter().all(Distinct::is_exact));
        let distinct = group.distinct.iter().map(Distinct::count).collect();
        (keys.join(" "), Known { rows: group.rows, numbers, distinct })
    };
    answer.iter().map(of).collect()
}

fn leaves() -> impl Strategy<Value = Filter> {
    prop_oneof![
        (-21_000i64..21_000, 0i64..30_000).prop_map(|(at, len)| Filter::between(0, at, at + len)),
        (-400.0f64..800.0).prop_map(|cost| Filter::at_least(1, cost)),
        (0u32..60_000).prop_map(|tokens| Filter::at_most(2, tokens)),
        (0u32..50).prop_map(|shift| Filter::at_least(3, u64::MAX >> 8 >> shift)),
        prop_oneof![Just(200u16), Just(500), Just(404)].prop_map(|status| Filter::eq(4, status)),
        prop_oneof![Just(404u16), Just(500), Just(501)].prop_map(|low| Filter::at_least(4, low)),
        Just(Filter::is_in(4, [404u16, 503, 7])),
        (699u32..706).prop_map(|latency| Filter::eq(5, latency)),
        (0u64..40).prop_map(|user| Filter::Eq(6, Constant::Text(format!("user {user}")))),
        Just(Filter::is_in(6, ["user 0", "user 3", "user 17"])),
        Just(Filter::Prefix(6, "user 1".into())),
        prop_oneof![Just("small"), Just("large"), Just("none")].prop_map(|one| Filter::eq(7, one)),
        Just(Filter::Prefix(8, "note 1".into())),
        (1usize..9).prop_map(Filter::Present),
        Just(Filter::All),
    ]
}

fn filters() -> impl Strategy<Value = Filter> {
    leaves().prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|filter| !filter),
            prop::collection::vec(inner.clone(), 0..3).prop_map(Filter::And),
            prop::collection::vec(inner, 0..3).prop_map(Filter::Or),
        ]
    })
}

fn groupings() -> impl Strategy<Value = Vec<GroupBy>> {
    let one = prop_oneof![
        prop_oneof![Just(2usize), Just(3), Just(4), Just(5), Just(6), Just(7)]
            .prop_map(GroupBy::Field),
        prop_oneof![Just(1u64), Just(37), Just(900), Just(11_000), Just(1 << 40)]
            .prop_map(|bucket_ns| GroupBy::Time { bucket_ns }),
    ];
    prop::collection::vec(one, 0..=3)
}

#[test]
fn answers_are_those_of_a_model_that_keeps_every_number() {
    let schema = schema();
    let sizes = [1, 255, 256, 257, 1_000];
    let batches = [0, 1, 2, 3, 4].map(|at| batch(&schema, sizes[at], at as u64 + 1));
    let parts = [0, 1, 2, 3, 4].map(|at| {
        let id = PartIdentity { database_id: 7, number: at as u64 };
        let mut builder = PartBuilder::new(Arc::clone(&schema), id);
        builder.add(&batches[at], 5_000 * at as u64).expect("the schema");
        Part::open(builder.finish().expect("rows"), id).expect("a part")
    });
    let read = [0, 1, 2, 3, 4].map(|at| {
        let rows: Vec<u32> = (0..sizes[at] as u32).collect();
        parts[at].view().rows(&rows).expect("readable")
    });
    let config =
        ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = prop::test_runner::TestRunner::new(config);
    let share = prop_oneof![Just(0u64), Just(1), Just(40), Just(1_000)];
    let case = (filters(), groupings(), share, any::<u64>(), prop::collection::vec(0u8..3, 5));
    let check = |(filter, by, share, seed, ways): (Filter, Vec<GroupBy>, u64, u64, Vec<u8>)| {
        let query = ask(&filter, &by);
        let (mut answer, mut other) =
            (query.clone().answer().expect("a question"), query.clone().answer().expect("one"));
        let mut rows: Vec<Vec<Value<'_>>> = Vec::new();
        for (at, way) in ways.iter().enumerate() {
            // As a part, as a batch, or not at all.
            let excluded: Vec<u32> = (0..sizes[at] as u32)
                .filter(|row| *way == 0 && mix(seed ^ u64::from(*row)) % 1_000 < share)
                .collect();
            let to = if seed >> at & 1 == 0 { &mut answer } else { &mut other };
            match way {
                0 => {
                    let mut bytes = Vec::new();
                    encode_rows(&excluded, &mut bytes);
                    let set = RowSet::new(&bytes).expect("a set");
                    to.add(parts[at].view(), Some(set)).expect("readable");
                    let explained = query.explain(parts[at].view(), Some(set)).expect("readable");
                    let selected = (0..sizes[at] as usize)
                        .filter(|row| !excluded.contains(&(*row as u32)))
                        .filter(|row| filter.matches(|field| read[at].value(*row, field)));
                    assert_eq!(explained.rows_selected, selected.count() as u64);
                    assert!(!explained.to_string().is_empty());
                }
                1 => to.add_batch(&batches[at]).expect("the schema"),
                _ => continue,
            }
            for row in (0..sizes[at] as usize).filter(|row| !excluded.contains(&(*row as u32))) {
                rows.push((0..10).map(|field| read[at].value(row, field)).collect());
            }
        }
        answer.merge(&other).expect("the same question");
        assert_eq!(known(&answer), model(&rows, &filter, &by), "{filter:?} {by:?}");
        Ok(())
    };
    runner.run(&case, check).unwrap_or_else(|error| panic!("{error}"));
}
