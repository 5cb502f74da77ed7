//! Random questions about the ends of what numbers and strings can be: a part answers what its batch does, as a whole,
//! in pieces, and both what a model finds.

use super::*;
use crate::{
    Batch, Dimension, Part, PartBuilder, PartIdentity, Role, RowSet, Schema, Value,
    part::encode_rows,
};
use std::{collections::BTreeMap, sync::Arc};

const INTS: [i64; 11] = [
    i64::MIN,
    i64::MIN + 1,
    -1_000_000_007,
    -1,
    0,
    1,
    7,
    1 << 40,
    i64::MAX - 2,
    i64::MAX - 1,
    i64::MAX,
];
const WORDS: [u64; 9] =
    [0, 1, 2, 255, u32::MAX as u64, 1 << 32, i64::MAX as u64, u64::MAX - 1, u64::MAX];
const FLOATS: [f64; 11] = [
    f64::NEG_INFINITY,
    f64::MIN,
    -1.5,
    -0.0,
    0.0,
    f64::MIN_POSITIVE,
    5e-324,
    1.5,
    f64::MAX,
    f64::INFINITY,
    f64::NAN,
];
const STRINGS: [&str; 10] =
    ["", "\0", "a", "ab", "ab\0", "b", "\u{7f}", "é", "\u{10ffff}", "\u{10ffff}\u{10ffff}"];

fn schema(is_whole: bool) -> Arc<Schema> {
    let names = || ["one", "two", "three"].map(str::to_owned).to_vec();
    let schema = Schema::builder(6)
        .with("at", Role::Ts)
        .with_optional("cost", if is_whole { Role::MetricI64 } else { Role::MetricF64 })
        .with_optional("detail", Role::LatencyDetail)
        .with("sum", Role::CounterU64)
        .with_optional("small", Role::CounterU32)
        .with_optional("status", Role::Status)
        .with_optional("flags", Role::Flags(names()))
        .with_optional("bloom", Role::Dimension(Dimension::Bloom))
        .with("plain", Role::Dimension(Dimension::Plain))
        .with_optional("note", Role::Label)
        .with("latency", Role::Latency);
    Arc::new(schema.build().expect("a schema"))
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % limit
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }
}

/// Values of each field are of a few of all that there are.
fn batch(schema: &Arc<Schema>, rows: usize, seed: u64) -> Batch {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut batch = Batch::new(Arc::clone(schema));
    let few: Vec<usize> = (0..11).map(|_| 1 + random.below(11)).collect();
    let shift: Vec<usize> = (0..11).map(|_| random.below(11)).collect();
    // Runs of one value make chunks of one value.
    let run = random.of(&[1, 1, 3, 300]);
    let mut picks = [0usize; 22];
    for n in 0..rows {
        if n % run == 0 {
            picks = std::array::from_fn(|_| random.below(1 << 30));
        }
        let pick = |field: usize, len: usize| (picks[field] % few[field] + shift[field]) % len;
        let there = |field: usize| few[field].is_multiple_of(4) || picks[11 + field] % 3 > 0;
        let mut row = batch.row();
        row.i64(0, INTS[pick(0, INTS.len())]).expect("at");
        if there(1) {
            if schema.fields()[1].role() == &Role::MetricI64 {
                row.i64(1, INTS[pick(1, INTS.len())]).expect("cost");
            } else {
                row.f64(1, FLOATS[pick(1, FLOATS.len())]).expect("cost");
            }
        }
        if there(2) {
            row.u32(2, 7 + 3 * pick(2, 9) as u32).expect("detail");
        }
        row.u64(3, WORDS[pick(3, WORDS.len())]).expect("sum");
        if there(4) {
            row.u32(4, WORDS[pick(4, 5)] as u32).expect("small");
        }
        if there(5) {
            row.u16(5, [0, 1, 200, 500, u16::MAX][pick(5, 5)]).expect("status");
        }
        if there(6) {
            row.u16(6, pick(6, 8) as u16).expect("flags");
        }
        if there(7) {
            row.text(7, STRINGS[pick(7, STRINGS.len())]).expect("bloom");
        }
        row.text(8, STRINGS[pick(8, STRINGS.len())]).expect("plain");
        if there(9) {
            row.text(9, STRINGS[pick(9, STRINGS.len())]).expect("note");
        }
        row.u32(10, (picks[10] % 5) as u32).expect("latency");
        row.finish().expect("whole");
    }
    batch
}

fn leaf(random: &mut Random, is_whole: bool) -> Filter {
    let constant = |field: usize, random: &mut Random| match field {
        1 if !is_whole => Constant::F64(random.of(&FLOATS)),
        0 | 1 => Constant::I64(random.of(&INTS)),
        2..=6 | 10 => Constant::U64(random.of(&[
            0,
            1,
            2,
            3,
            200,
            500,
            65_535,
            65_536,
            u32::MAX.into(),
            1 << 32,
            u64::MAX,
        ])),
        _ => Constant::Text(random.of(&STRINGS).to_owned()),
    };
    let field = random.below(11);
    match random.below(10) {
        0 | 1 => Filter::Eq(field, constant(field, random)),
        2 => Filter::In(field, (0..random.below(4)).map(|_| constant(field, random)).collect()),
        3 => Filter::AtLeast(field, constant(field, random)),
        4 => Filter::AtMost(field, constant(field, random)),
        5 => Filter::above(field, constant(field, random)),
        6 => Filter::below(field, constant(field, random)),
        7 => Filter::Prefix(7 + random.below(3), random.of(&STRINGS).to_owned()),
        8 if random.below(2) == 0 => {
            Filter::FlagsSet(5 + random.below(2), random.of(&[0, 1, 2, 3, 6]))
        }
        8 => Filter::FlagsUnset(5 + random.below(2), random.of(&[0, 1, 2, 3, 6])),
        _ => Filter::Present(field),
    }
}

fn filter(random: &mut Random, depth: usize, is_whole: bool) -> Filter {
    match random.below(if depth == 0 { 2 } else { 6 }) {
        0 => leaf(random, is_whole),
        1 => {
            if random.below(3) == 0 {
                Filter::All
            } else {
                leaf(random, is_whole)
            }
        }
        2 => !filter(random, depth - 1, is_whole),
        3 | 4 => {
            Filter::And((0..random.below(4)).map(|_| filter(random, depth - 1, is_whole)).collect())
        }
        _ => {
            Filter::Or((0..random.below(4)).map(|_| filter(random, depth - 1, is_whole)).collect())
        }
    }
}

fn by(random: &mut Random) -> GroupBy {
    match random.below(3) {
        0 => GroupBy::Time {
            bucket_ns: random.of(&[
                1,
                2,
                7,
                1_000,
                86_400_000_000_000,
                1 << 62,
                i64::MAX as u64,
                1 << 63,
                u64::MAX,
            ]),
        },
        _ => GroupBy::Field(random.of(&[3, 4, 5, 6, 7, 8, 10])),
    }
}

/// All but sums with fractions, which depend on the order.
fn said(answer: &Answer) -> BTreeMap<String, String> {
    answer
        .iter()
        .map(|group| {
            let keys: Vec<String> = group.keys.iter().map(|key| format!("{key:?}")).collect();
            let mut all = format!("{} rows", group.rows);
            for measured in group.measured {
                all += &format!(
                    "; {} {} {:?} {:?}",
                    measured.count,
                    measured.sum,
                    measured.min(),
                    measured.max()
                );
            }
            for quantiles in group.quantiles {
                all += &format!("; {:?}", quantiles.at_each(&[0.0, 0.3, 0.5, 0.99, 1.0]));
            }
            for distinct in group.distinct {
                all += &format!("; {}", distinct.count());
            }
            (keys.join(" "), all)
        })
        .collect()
}

fn check(seed: u64) {
    let is_whole = seed.is_multiple_of(2);
    let schema = schema(is_whole);
    let mut random = Random(seed.wrapping_mul(0xbf58_476d_1ce4_e5b9) | 1);
    random.below(2);
    let rows = random.of(&[1, 2, 255, 256, 257, 700, 3_000]);
    let batch = batch(&schema, rows, seed);
    let id = PartIdentity { database_id: 7, number: 1 };
    let mut builder = PartBuilder::new(Arc::clone(&schema), id);
    builder.add(&batch, 0).expect("the schema");
    let part = Part::open(builder.finish().expect("rows"), id).expect("a part");
    let all: Vec<u32> = (0..rows as u32).collect();
    let read = part.view().rows(&all).expect("readable");
    for _ in 0..6 {
        let filter = filter(&mut random, 3, is_whole);
        let mut query = Query::new(Arc::clone(&schema)).filter(filter.clone());
        for _ in 0..random.below(5) {
            query = query.group_by(by(&mut random));
        }
        for _ in 0..random.below(4) {
            let field = random.of(&[1, 2, 3, 4, 5, 6, 10]);
            query = if random.below(2) == 0 {
                query.measure(field)
            } else {
                query.measure_bounds(field)
            };
        }
        for _ in 0..random.below(3) {
            let field = random.of(&[1, 2, 3, 4, 10]);
            query = if random.below(2) == 0 {
                query.quantiles(field)
            } else {
                query.quantiles_by_sketch(field)
            };
        }
        for _ in 0..random.below(3) {
            query = query.distinct(random.below(11));
        }
        let share = random.of(&[0, 0, 1, 30, 99]);
        let gone: Vec<u32> = (0..rows as u32).filter(|_| random.below(100) < share).collect();
        let mut left = Batch::new(Arc::clone(&schema));
        for at in (0..rows).filter(|at| !gone.contains(&(*at as u32))) {
            let mut row = left.row();
            for field in 0..11 {
                let value = read.value(at, field);
                if !matches!(value, Value::Absent) {
                    row.value(field, value).expect("a value");
                }
            }
            row.finish().expect("whole");
        }
        let mut bytes = Vec::new();
        encode_rows(&gone, &mut bytes);
        let set = Some(RowSet::new(&bytes).expect("a set")).filter(|_| !gone.is_empty());
        let mut right = query.clone().answer().expect("a question");
        right.add_batch(&left).expect("the schema");
        let mut whole = query.clone().answer().expect("a question");
        whole.add(part.view(), set).expect("readable");
        assert_eq!(said(&whole), said(&right), "seed {seed} {query:?}");
        let mut pieces = query.clone().answer().expect("a question");
        let mut from = 0;
        while from < rows as u32 {
            let to = from + 1 + random.below(rows) as u32;
            let mut piece = query.clone().answer().expect("a question");
            piece.add_rows(part.view(), set, from..to).expect("readable");
            pieces.merge(&piece).expect("the same");
            from = to;
        }
        assert_eq!(said(&pieces), said(&right), "pieces: seed {seed} {query:?}");
    }
}

#[test]
fn parts_answer_what_batches_do_at_the_ends_of_all_values() {
    (0..400).for_each(check);
}
