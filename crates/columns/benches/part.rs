//! A million events in ten parts: their size, and what one thread asks of them.

use annals_columns::{
    Batch, Dimension, Filter, GroupBy, Part, PartBuilder, PartIdentity, PartView, Query, Role,
    Schema, newest as newest_of,
};
use criterion::{Criterion, criterion_group, criterion_main};
use std::{hint::black_box, sync::Arc, time::Duration};

const PARTS: u64 = 10;
const ROWS: u64 = 100_000;
/// Thirty days.
const SPAN_NS: u64 = 30 * 86_400_000_000_000;
const START_NS: i64 = 1_795_000_000_000_000_000;

const METRIC: usize = 1;
const USER: usize = 9;
const ID: usize = 17;

fn schema() -> Arc<Schema> {
    let mut schema = Schema::builder(1).with("at", Role::Ts).with("cost", Role::MetricI64);
    for counter in ["input", "output", "cached", "reasoning"] {
        schema = schema.with(counter, Role::CounterU32);
    }
    schema = schema.with("latency", Role::Latency).with("first", Role::LatencyDetail);
    schema = schema.with("status", Role::Status);
    schema = schema.with("user", Role::Dimension(Dimension::BloomRollup));
    for name in ["team", "model", "region", "tier", "client"] {
        schema = schema.with(name, Role::Dimension(Dimension::Plain));
    }
    let schema = schema.with("path", Role::Label).with("session", Role::Label).with("id", Role::Id);
    Arc::new(schema.build().expect("a schema"))
}

/// Bits in another order, each number to another one.
fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    n ^ (n >> 32)
}

/// Few large and many small numbers below `limit`.
fn skewed(random: u64, limit: u64) -> u64 {
    let share = (random >> 11) as f64 / (1u64 << 53) as f64;
    (share * share * share * limit as f64) as u64
}

fn batch(part: u64) -> Batch {
    let mut batch = Batch::new(schema());
    let gap = SPAN_NS / (PARTS * ROWS);
    for n in part * ROWS..(part + 1) * ROWS {
        let mut at = 0;
        let mut next = || {
            at += 1;
            mix(n << 8 | at)
        };
        let mut row = batch.row();
        let mut fill = || {
            row.i64(0, START_NS + (n * gap + next() % gap) as i64)?;
            row.i64(METRIC, skewed(next(), 2_000_000) as i64)?;
            for (counter, limit) in [(2, 8_000), (3, 2_000), (4, 4_000), (5, 500)] {
                row.u32(counter, skewed(next(), limit) as u32)?;
            }
            row.u32(6, 20 + skewed(next(), 30_000) as u32)?.u32(7, skewed(next(), 2_000) as u32)?;
            let status =
                [200, 200, 200, 200, 200, 200, 200, 200, 200, 201, 400, 404, 429, 500, 503];
            row.u16(8, status[(next() % 15) as usize])?;
            row.text(USER, &format!("user-{:06}", skewed(next(), 1_000)))?;
            for (field, limit) in [(10, 200), (11, 20), (12, 6), (13, 10), (14, 5)] {
                row.text(field, &format!("value-{:03}", next() % limit))?;
            }
            row.text(15, &format!("/v1/projects/{}/runs", next() % 500))?;
            row.text(16, &format!("session-{:08x}", next() % 50_000))?;
            row.text(ID, &format!("evt_{:016x}", next())).map(|_| ())
        };
        fill().expect("the schema's values");
        row.finish().expect("all fields");
    }
    batch
}

fn identity(part: u64) -> PartIdentity {
    PartIdentity { database_id: 7, number: part }
}

fn built(part: u64) -> Vec<u8> {
    let mut builder = PartBuilder::new(schema(), identity(part));
    builder.add(&batch(part), part * ROWS).expect("the schema");
    builder.finish().expect("rows")
}

fn parts() -> Vec<Part<Vec<u8>>> {
    (0..PARTS).map(|part| Part::open(built(part), identity(part)).expect("a part")).collect()
}

fn newest(view: PartView<'_>, count: u32) -> usize {
    let rows = view.rows_count() as u32;
    let rows: Vec<u32> = (rows - count..rows).rev().collect();
    let rows = view.rows(&rows).expect("readable");
    black_box(&rows);
    rows.len()
}

fn reads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("part");
    group.measurement_time(Duration::from_secs(2)).sample_size(20);
    let small = batch(0);
    group.bench_function("build one", |bench| {
        bench.iter(|| {
            let mut builder = PartBuilder::new(schema(), identity(0));
            builder.add(&small, 0).expect("the schema");
            builder.finish().expect("rows").len()
        });
    });
    let one = batch(1);
    group.bench_function("encode a batch of 1,024", |bench| {
        let mut frame = Batch::new(schema());
        for at in 0..1_024 {
            let mut row = frame.row();
            for field in 0..=ID {
                row.value(field, one.value(at, field)).expect("a value");
            }
            row.finish().expect("whole");
        }
        let mut out = Vec::new();
        bench.iter(|| {
            out.clear();
            frame.encode(&mut out);
            out.len()
        });
    });
    let parts = parts();
    let bytes: usize = (0..PARTS).map(|part| built(part).len()).sum();
    println!("{:.2} bytes an event", bytes as f64 / (PARTS * ROWS) as f64);
    let mut sections: Vec<(usize, String)> = parts[0].view().sections().collect();
    sections.sort_unstable_by_key(|(_, name)| name.rsplit('`').nth(1).map(str::to_owned));
    for (bytes, name) in &sections {
        if *bytes as f64 / ROWS as f64 > 0.005 {
            println!("{:8.3} {name}", *bytes as f64 / ROWS as f64);
        }
    }
    let last = parts[parts.len() - 1].view();
    group.bench_function("100 newest, whole rows", |bench| bench.iter(|| newest(last, 100)));
    group.bench_function("1,000 newest, whole rows", |bench| bench.iter(|| newest(last, 1_000)));
    let ids: Vec<String> = (0..ROWS as u32)
        .step_by(97)
        .map(|row| {
            let rows = parts[3].view().rows(&[row]).expect("readable");
            rows.value(0, ID).as_text().expect("an id").to_owned()
        })
        .collect();
    let mut n = 0;
    group.bench_function("one event by id, of ten parts", |bench| {
        bench.iter(|| {
            n = (n + 1) % ids.len();
            let found = parts.iter().find_map(|part| {
                let row = part.view().find_id(&ids[n]).expect("readable")?;
                Some(part.view().rows(&[row]).expect("readable"))
            });
            found.expect("there").len()
        });
    });
    let day: i64 = 86_400_000_000_000;
    let all = || {
        let query = Query::new(schema()).measure(METRIC);
        [2, 3, 4, 5].into_iter().fold(query, Query::measure)
    };
    let tenth = Filter::between(0, START_NS + 2 * day, START_NS + 5 * day);
    let user = Filter::eq(USER, "user-000500");
    let both = user.clone().and(tenth.clone());
    let mut ask = |name: &str, query: Query| {
        group.bench_function(name, |bench| {
            bench.iter(|| {
                let mut answer = query.clone().answer().expect("a question");
                parts.iter().for_each(|part| answer.add(part.view(), None).expect("readable"));
                answer.groups().len() + answer.top(0, 10).len()
            });
        });
    };
    ask("aggregate, no filter", all());
    ask("aggregate, one user", all().filter(user.clone()));
    ask("aggregate, a tenth of the time", all().filter(tenth));
    ask("aggregate, user and time", all().filter(both));
    ask("aggregate, one model (no list of rows)", all().filter(Filter::eq(11, "value-007")));
    let by = |by: &[GroupBy]| {
        by.iter().fold(Query::new(schema()), |query, by| query.group_by(*by)).measure(METRIC)
    };
    let days = GroupBy::Time { bucket_ns: day.cast_unsigned() };
    ask("group by user and day", by(&[GroupBy::Field(USER), days]));
    ask("top 10 models by metric", by(&[GroupBy::Field(11)]));
    let minutes = GroupBy::Time { bucket_ns: 300_000_000_000 };
    let failed = Filter::at_least(8, 500u16);
    ask(
        "status >= 500 by 5 minutes",
        Query::new(schema()).group_by(minutes).filter(failed).measure(METRIC),
    );
    let views: Vec<_> = parts.iter().map(|part| (part.view(), None)).collect();
    let schema = schema();
    for (name, filter) in [
        ("100 newest over ten parts, whole rows", Filter::All),
        ("100 newest of one user, whole rows", user),
    ] {
        group.bench_function(name, |bench| {
            bench.iter(|| {
                let found = newest_of(&schema, &views, &filter, None, 100).expect("readable");
                let of_part = found.chunk_by(|one, other| one.part == other.part);
                let read = of_part.map(|found| {
                    let rows: Vec<u32> = found.iter().map(|found| found.row).collect();
                    views[found[0].part].0.rows(&rows).expect("readable").len()
                });
                read.sum::<usize>()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, reads);
criterion_main!(benches);
