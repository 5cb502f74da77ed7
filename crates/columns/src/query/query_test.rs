//! Random questions, asked of parts and of a plain loop over the rows.

use super::*;
use crate::{
    Batch, Dimension, Error, Part, PartBuilder, PartIdentity, Role, RowSet, Schema, Value,
    fuzzing::{self, PART},
    part::encode_rows,
};
use proptest::prelude::*;
use std::{collections::BTreeMap, sync::Arc};

type Parts = Vec<Part<Vec<u8>>>;

/// Events of several parts: every row of a batch is in one of them, in the order of the batch.
fn parts_of(batches: &[Batch]) -> Parts {
    let mut arrival = 0;
    let mut parts = Vec::new();
    for (number, batch) in (0..).zip(batches) {
        let id = PartIdentity { number, ..PART };
        let mut builder = PartBuilder::new(Arc::clone(batch.schema()), id);
        builder.add(batch, arrival).expect("the same schema");
        arrival += batch.len() as u64;
        parts.push(Part::open(builder.finish().expect("rows"), id).expect("a part"));
    }
    parts
}

fn batch_of(numbers: impl Iterator<Item = u64>) -> Batch {
    let mut batch = Batch::new(fuzzing::sample_schema());
    numbers.for_each(|n| fuzzing::add_sample_row(&mut batch, n));
    batch
}

fn constants() -> impl Strategy<Value = (usize, Constant)> {
    let user = (0u64..60).prop_map(|n| Constant::Text(format!("user {n:03}")));
    let word = prop_oneof![Just("small"), Just("large"), Just("middling"), Just("m"), Just("")];
    let word = word.prop_map(Constant::from);
    let at = (0i64..400_000).prop_map(|n| Constant::I64(1_795_000_000_000_000_000 + n * 100_000));
    prop_oneof![
        at.prop_map(|constant| (0, constant)),
        prop_oneof![-200i64..5_100, Just(i64::MIN), Just(i64::MAX)]
            .prop_map(|n| (1, Constant::I64(n))),
        prop_oneof![0u64..1_000, Just(u64::MAX)].prop_map(|n| (2, Constant::U64(n))),
        any::<u64>().prop_map(|n| (3, Constant::U64(n >> 10))),
        (0u64..50).prop_map(|n| (5, Constant::U64(n))),
        prop_oneof![Just(200u64), Just(404), Just(500), 0u64..600]
            .prop_map(|n| (6, Constant::U64(n))),
        (0u64..9).prop_map(|n| (7, Constant::U64(n))),
        user.prop_map(|constant| (8, constant)),
        word.clone().prop_map(|constant| (9, constant)),
        prop_oneof![Just("eu"), Just("us"), Just("asia")]
            .prop_map(|text| (10, Constant::from(text))),
        word.prop_map(|constant| (11, constant)),
        (0u64..900).prop_map(|n| (12, Constant::Text(format!("ev-{n:03x}")))),
    ]
}

fn filters() -> impl Strategy<Value = Filter> {
    let leaf = prop_oneof![
        constants().prop_map(|(field, constant)| Filter::Eq(field, constant)),
        constants().prop_map(|(field, constant)| Filter::AtLeast(field, constant)),
        constants().prop_map(|(field, constant)| Filter::AtMost(field, constant)),
        (constants(), 0u64..50).prop_map(|((field, constant), n)| {
            let other =
                if field == 8 { Constant::Text(format!("user {n:03}")) } else { constant.clone() };
            Filter::In(field, vec![constant, other])
        }),
        (
            8usize..13,
            prop_oneof![Just("user 01"), Just("a note"), Just("ev-3"), Just(""), Just("m")]
        )
            .prop_map(|(field, prefix)| Filter::Prefix(field, prefix.to_owned())),
        (0u16..8).prop_map(|bits| Filter::FlagsSet(7, bits)),
        (0u16..8).prop_map(|bits| Filter::FlagsUnset(7, bits)),
        (0usize..13).prop_map(Filter::Present),
        Just(Filter::All),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|filter| !filter),
            prop::collection::vec(inner.clone(), 0..3).prop_map(Filter::And),
            prop::collection::vec(inner, 0..3).prop_map(Filter::Or),
        ]
    })
}

/// The rows of batches that a filter means, the newest first, by when they came.
fn expected(batches: &[Batch], filter: &Filter) -> Vec<Position> {
    let rows = batches.iter().flat_map(|batch| (0..batch.len()).map(move |row| (batch, row)));
    let mut found: Vec<Position> = (0..)
        .zip(rows)
        .filter(|(_, (batch, row))| filter.matches(|field| batch.value(*row, field)))
        .map(|(arrival, (batch, row))| Position {
            ts: batch.value(row, 0).as_i64().expect("a time"),
            arrival,
        })
        .collect();
    found.sort_unstable_by(|one, other| other.cmp(one));
    found
}

fn found(parts: &[Part<Vec<u8>>], filter: &Filter, page: usize) -> Vec<Position> {
    let views: Vec<_> = parts.iter().map(|part| (part.view(), None)).collect();
    let mut all = Vec::new();
    loop {
        let before = all.last().copied();
        let rows =
            newest(&fuzzing::sample_schema(), &views, filter, before, page).expect("readable");
        all.extend(rows.iter().map(|found| found.position));
        if rows.len() < page {
            return all;
        }
    }
}

fn owned(answer: &Answer) -> BTreeMap<String, (u64, Vec<Measured>)> {
    let groups = answer.groups();
    let count = groups.len();
    let all: BTreeMap<_, _> = groups
        .into_iter()
        .map(|group| (format!("{:?}", group.keys), (group.rows, group.measured.to_vec())))
        .collect();
    assert_eq!(all.len(), count, "each group once");
    all
}

fn ask(filter: &Filter, by: &[GroupBy]) -> Answer {
    let mut query = Query::new(fuzzing::sample_schema()).filter(filter.clone());
    for by in by {
        query = query.group_by(*by);
    }
    query.measure_bounds(1).measure(2).measure_bounds(3).measure(5).answer().expect("a question")
}

fn check_answers(batches: &[Batch], parts: &[Part<Vec<u8>>], filter: &Filter, by: &[GroupBy]) {
    let (mut answer, mut model) = (ask(filter, by), ask(filter, by));
    for part in parts {
        answer.add(part.view(), None).expect("readable");
    }
    batches.iter().for_each(|batch| model.add_batch(batch).expect("the same schema"));
    assert_eq!(owned(&answer), owned(&model), "{filter:?} {by:?}");
    check_merged(batches, parts, filter, by, &model);
}

/// Answers of several threads, from parts and from batches, come to that of one.
fn check_merged(
    batches: &[Batch],
    parts: &[Part<Vec<u8>>],
    filter: &Filter,
    by: &[GroupBy],
    model: &Answer,
) {
    let mut merged = ask(filter, by);
    for (n, (batch, part)) in batches.iter().zip(parts).enumerate().rev() {
        let mut one = ask(filter, by);
        if n % 2 == 0 {
            one.add(part.view(), None).expect("readable");
        } else {
            one.add_batch(batch).expect("the same schema");
        }
        merged.merge(&one).expect("the same question");
    }
    assert_eq!(owned(&merged), owned(model), "{filter:?} {by:?}");
}

fn groupings() -> impl Strategy<Value = Vec<GroupBy>> {
    let one = prop_oneof![
        prop_oneof![Just(5usize), Just(6), Just(7), Just(8), Just(9), Just(10), Just(3)]
            .prop_map(GroupBy::Field),
        prop_oneof![Just(1u64), 1_000_000u64..5_000_000_000, Just(u64::MAX)]
            .prop_map(|bucket_ns| GroupBy::Time { bucket_ns }),
    ];
    prop::collection::vec(one, 0..=3)
}

#[test]
fn random_questions_have_the_answers_of_a_plain_loop() {
    let batches = [
        batch_of((0..700).map(|n| n * 7 % 700)),
        batch_of(300..557),
        batch_of(std::iter::once(5)),
        batch_of((900..1_300).rev()),
    ];
    let parts = parts_of(&batches);
    let config =
        ProptestConfig { cases: 1_500, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = prop::test_runner::TestRunner::new(config);
    runner
        .run(&(filters(), groupings(), 1usize..400), |(filter, by, page)| {
            assert_eq!(found(&parts, &filter, page), expected(&batches, &filter), "{filter:?}");
            check_answers(&batches, &parts, &filter, &by);
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn excluded_rows_count_as_not_there() {
    let batch = batch_of(0..600);
    let parts = parts_of(std::slice::from_ref(&batch));
    let mut bytes = Vec::new();
    let excluded: Vec<u32> = (0..600).filter(|row| row % 3 == 0 || *row < 300).collect();
    encode_rows(&excluded, &mut bytes);
    let set = RowSet::new(&bytes).expect("a set");
    let rows = parts[0].view().rows(&(0..600).collect::<Vec<_>>()).expect("readable");
    let left: Vec<usize> = (0..600).filter(|row| !excluded.contains(&(*row as u32))).collect();
    for by in [vec![], vec![GroupBy::Field(10)]] {
        let mut answer = ask(&Filter::All, &by);
        answer.add(parts[0].view(), Some(set)).expect("readable");
        let groups = answer.groups();
        assert_eq!(groups.iter().map(|group| group.rows).sum::<u64>(), left.len() as u64);
        let sum: i64 = left.iter().filter_map(|row| rows.value(*row, 1).as_i64()).sum();
        assert_eq!(groups.iter().map(|group| group.measured[0].sum).sum::<i128>(), sum.into());
    }
    let views = [(parts[0].view(), Some(set))];
    let found =
        newest(&fuzzing::sample_schema(), &views, &Filter::All, None, 1_000).expect("readable");
    let found: Vec<usize> = found.iter().rev().map(|found| found.row as usize).collect();
    assert_eq!(found, left);
}

#[test]
fn events_of_one_time_come_once_each_also_while_parts_are_merged() {
    let schema = Arc::new(Schema::builder(1).with("at", Role::Ts).build().expect("a schema"));
    let batch = |count: usize| {
        let mut batch = Batch::new(Arc::clone(&schema));
        for _ in 0..count {
            let mut row = batch.row();
            row.i64(0, 77).expect("a time");
            row.finish().expect("whole");
        }
        batch
    };
    let parts = parts_of(&[batch(900), batch(700), batch(900)]);
    let mut merged = PartBuilder::new(Arc::clone(&schema), PART);
    parts[..2].iter().for_each(|part| merged.add_part(part.view(), |_| true).expect("readable"));
    let merged = Part::open(merged.finish().expect("rows"), PART).expect("a part");
    let before = [(parts[0].view(), None), (parts[1].view(), None), (parts[2].view(), None)];
    let after = [(parts[2].view(), None), (merged.view(), None)];
    let mut all = Vec::new();
    for (at, views) in [&before[..], &after, &before].into_iter().enumerate() {
        let last = all.last().copied();
        let page = newest(&schema, views, &Filter::All, last, 1_000).expect("readable");
        assert_eq!(page.len(), if at == 2 { 500 } else { 1_000 });
        all.extend(page.iter().map(|found| found.position));
    }
    let expected = (0..2_500).rev().map(|arrival| Position { ts: 77, arrival });
    assert!(all.into_iter().eq(expected));
}

#[test]
fn ranges_of_time_are_half_open_and_reach_both_ends() {
    let schema = Arc::new(Schema::builder(1).with("at", Role::Ts).build().expect("a schema"));
    let times = [[100, 50, 75], [i64::MIN, i64::MAX, 0]];
    let batches = times.map(|times| {
        let mut batch = Batch::new(Arc::clone(&schema));
        for at in times {
            let mut row = batch.row();
            row.i64(0, at).expect("a time");
            row.finish().expect("whole");
        }
        batch
    });
    let parts = parts_of(&batches);
    let views: Vec<_> = parts.iter().map(|part| (part.view(), None)).collect();
    let found = |filter| -> Vec<i64> {
        let found = newest(&schema, &views, &filter, None, 10).expect("readable");
        found.iter().map(|found| found.position.ts).collect()
    };
    assert_eq!(found(Filter::All), [i64::MAX, 100, 75, 50, 0, i64::MIN]);
    assert_eq!(found(Filter::between(0, 50, 100)), [75, 50]);
    assert_eq!(found(Filter::between(0, i64::MIN, i64::MAX)), [100, 75, 50, 0, i64::MIN]);
    assert_eq!(found(Filter::at_least(0, i64::MAX)), [i64::MAX]);
    assert_eq!(found(Filter::at_most(0, i64::MIN)), [i64::MIN]);
    assert_eq!(found(Filter::between(0, 100, 100)), []);
    assert_eq!(found(Filter::between(0, 100, i64::MIN)), []);
    for bucket_ns in [1, 10, 1 << 62, u64::MAX] {
        let ask = || Query::new(Arc::clone(&schema)).group_by(GroupBy::Time { bucket_ns }).answer();
        let (mut answer, mut model) = (ask().expect("a question"), ask().expect("a question"));
        for (part, _) in &views {
            answer.add(*part, None).expect("readable");
        }
        batches.iter().for_each(|batch| model.add_batch(batch).expect("the same schema"));
        assert_eq!(owned(&answer), owned(&model), "{bucket_ns}");
    }
}

#[test]
fn sums_beyond_64_bits_are_exact_in_every_way_of_adding() {
    let schema = Schema::builder(1)
        .with("at", Role::Ts)
        .with("big", Role::CounterU64)
        .with("metric", Role::MetricI64)
        .with("kind", Role::Dimension(Dimension::Plain));
    let schema = Arc::new(schema.build().expect("a schema"));
    let mut batch = Batch::new(Arc::clone(&schema));
    for n in 0..1_000i64 {
        let mut row = batch.row();
        row.i64(0, n)
            .and_then(|row| row.u64(1, u64::MAX - (n % 2).cast_unsigned()))
            .expect("values");
        row.i64(2, [i64::MIN, i64::MAX, -1][n as usize % 3]).expect("a value");
        row.text(3, ["a", "b", "c", "d"][n as usize / 3 % 4]).expect("a value");
        row.finish().expect("whole");
    }
    let parts = parts_of(std::slice::from_ref(&batch));
    for filter in [Filter::All, Filter::between(0, 10, 700), Filter::eq(3, "b")] {
        for by in [None, Some(GroupBy::Field(3)), Some(GroupBy::Time { bucket_ns: 7 })] {
            let ask = || {
                let query = Query::new(Arc::clone(&schema)).filter(filter.clone());
                let query = if let Some(by) = by { query.group_by(by) } else { query };
                query.measure_bounds(1).measure(2).measure(1).answer().expect("a question")
            };
            let (mut answer, mut model) = (ask(), ask());
            answer.add(parts[0].view(), None).expect("readable");
            model.add_batch(&batch).expect("the same schema");
            assert_eq!(owned(&answer), owned(&model), "{filter:?} {by:?}");
        }
    }
}

#[test]
fn parts_that_lack_a_field_answer_as_if_it_were_absent() {
    let older = Arc::new(Schema::builder(9).with("at", Role::Ts).build().expect("a schema"));
    let newer = Schema::builder(9)
        .with("at", Role::Ts)
        .with_optional("kind", Role::Dimension(Dimension::Bloom))
        .with_optional("count", Role::CounterU32);
    let newer = Arc::new(newer.build().expect("a schema"));
    let mut batch = Batch::new(older);
    let mut row = batch.row();
    row.i64(0, 1).expect("a time");
    row.finish().expect("whole");
    let parts = parts_of(&[batch]);
    let views = [(parts[0].view(), None)];
    for (filter, count) in [
        (Filter::eq(1, "x"), 0),
        (!Filter::eq(1, "x"), 1),
        (Filter::Present(2), 0),
        (Filter::at_least(2, 0u32), 0),
        (Filter::Prefix(1, String::new()), 0),
    ] {
        let found = newest(&newer, &views, &filter, None, 5).expect("readable");
        assert_eq!(found.len(), count, "{filter:?}");
    }
    let query = Query::new(newer).group_by(GroupBy::Field(1)).measure(2);
    let mut answer = query.answer().expect("a question");
    answer.add(parts[0].view(), None).expect("readable");
    let groups = answer.groups();
    assert_eq!((groups.len(), groups[0].keys[0], groups[0].rows), (1, Key::Absent, 1));
    assert_eq!((groups[0].measured[0].count, groups[0].measured[0].average()), (0, None));
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let query = || Query::new(fuzzing::sample_schema());
    let time = |bucket_ns| GroupBy::Time { bucket_ns };
    assert!(matches!(query().measure(8).answer(), Err(Error::Question { .. })));
    assert!(matches!(query().quantiles(8).answer(), Err(Error::Question { .. })));
    assert!(matches!(query().distinct(99).answer(), Err(Error::NoField { .. })));
    assert!(matches!(query().measure(99).answer(), Err(Error::NoField { .. })));
    assert!(matches!(query().group_by(time(0)).answer(), Err(Error::Question { .. })));
    assert!(matches!(query().group_by(GroupBy::Field(11)).answer(), Err(Error::Question { .. })));
    let five = (0..5).fold(query(), |query, _| query.group_by(time(5)));
    assert!(matches!(five.answer(), Err(Error::Question { .. })));
    for filter in
        [Filter::eq(0, "x"), Filter::eq(8, 5u32), Filter::FlagsSet(2, 1), Filter::eq(1, 5u64)]
    {
        assert!(matches!(query().filter(filter).answer(), Err(Error::WrongType { .. })));
    }
    let empty = query().measure(1).answer().expect("a question");
    assert_eq!(empty.groups()[0].rows, 0);
    assert_eq!(empty.groups()[0].measured[0].min(), Value::Absent);
}

#[test]
fn answers_to_other_questions_are_not_merged() {
    let query = || Query::new(fuzzing::sample_schema()).filter(Filter::eq(6, 200u16));
    let mut one = query().measure(1).answer().expect("a question");
    for other in [
        query(),
        query().measure(2),
        query().measure_bounds(1),
        query().measure(1).group_by(GroupBy::Field(8)),
        query().measure(1).filter(Filter::eq(6, 201u16)),
    ] {
        let merged = one.merge(&other.answer().expect("a question"));
        assert!(matches!(merged, Err(Error::Question { .. })));
    }
    assert_eq!(one.merge(&query().measure(1).answer().expect("a question")), Ok(()));
    // What is not a number does not make a question another one than itself, and there is one zero.
    let not_a_number = Filter::eq(1, f64::NAN);
    assert_eq!(not_a_number, not_a_number.clone());
    assert_eq!(Filter::eq(1, 0.0), Filter::eq(1, -0.0));
    assert_ne!(Filter::eq(1, 0.0), not_a_number);
}

#[test]
fn the_top_groups_come_in_order() {
    let batch = batch_of(0..800);
    let parts = parts_of(std::slice::from_ref(&batch));
    let query = Query::new(fuzzing::sample_schema()).group_by(GroupBy::Field(8)).measure(1);
    let mut answer = query.answer().expect("a question");
    answer.add(parts[0].view(), None).expect("readable");
    let mut sums: Vec<i128> = answer.groups().iter().map(|group| group.measured[0].sum).collect();
    sums.sort_unstable_by(|one, other| other.cmp(one));
    for count in [0, 1, 10, sums.len(), 1_000] {
        let top: Vec<i128> =
            answer.top(0, count).iter().map(|group| group.measured[0].sum).collect();
        assert_eq!(top, sums[..count.min(sums.len())]);
    }
}
