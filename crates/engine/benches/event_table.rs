//! A million events in ten parts, asked through the engine.

use annals_columns::{Batch, Schema};
use annals_engine::{Database, Durability, EventTable, Scan};
use criterion::{Criterion, criterion_group, criterion_main};
use std::{hint::black_box, time::Duration};

const PARTS: u64 = 10;
const ROWS: u64 = 100_000;
/// Thirty days.
const SPAN_NS: u64 = 30 * 86_400_000_000_000;
const START_NS: i64 = 1_795_000_000_000_000_000;

#[derive(Schema)]
#[schema(schema_id = 1, crate = annals_columns)]
struct Request {
    #[ts]
    at: i64,
    #[metric]
    cost: i64,
    #[counter]
    input: u32,
    #[counter]
    output: u32,
    #[counter]
    cached: u32,
    #[counter]
    reasoning: u32,
    #[latency]
    latency: u32,
    #[status]
    status: u16,
    #[dim(bloom)]
    user: String,
    #[dim]
    team: String,
    #[dim]
    model: String,
    #[dim]
    region: String,
    #[dim]
    tier: String,
    #[dim]
    client: String,
    #[label]
    path: String,
    #[label]
    session: String,
    #[id]
    id: String,
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

fn request(n: u64) -> Request {
    let mut at = 0;
    let mut next = || {
        at += 1;
        mix(n << 8 | at)
    };
    let gap = SPAN_NS / (PARTS * ROWS);
    let mut name = |limit: u64| format!("value-{:03}", next() % limit);
    let [team, model, region, tier, client] = [200, 20, 6, 10, 5].map(&mut name);
    Request {
        at: START_NS + (n * gap + next() % gap) as i64,
        cost: skewed(next(), 2_000_000) as i64,
        input: skewed(next(), 8_000) as u32,
        output: skewed(next(), 2_000) as u32,
        cached: skewed(next(), 4_000) as u32,
        reasoning: skewed(next(), 500) as u32,
        latency: 20 + skewed(next(), 30_000) as u32,
        status: [200, 200, 200, 200, 200, 201, 400, 404, 500, 503][(next() % 10) as usize],
        user: format!("user-{:06}", skewed(next(), 1_000)),
        team,
        model,
        region,
        tier,
        client,
        path: format!("/v1/projects/{}/runs", next() % 500),
        session: format!("session-{:08x}", next() % 50_000),
        id: id_of(n),
    }
}

fn id_of(n: u64) -> String {
    format!("evt_{:016x}", mix(n))
}

/// A hundred thousand events a part.
fn fill(db: &Database, table: &EventTable) -> annals_engine::Result<()> {
    for part in 0..PARTS {
        for some in 0..10 {
            let mut batch = Batch::of::<Request>();
            for n in 0..ROWS / 10 {
                batch.push(&request(part * ROWS + some * (ROWS / 10) + n))?;
            }
            let mut commit = db.batch();
            commit.append_rows(table, &batch)?;
            commit.commit()?;
        }
        table.flush()?;
    }
    Ok(())
}

fn reads(criterion: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a folder");
    let builder = Database::builder().durability(Durability::Buffered);
    let db = builder.open(dir.path().join("db")).expect("a database");
    let table = db.table_of::<Request>("requests").expect("a table");
    fill(&db, &table).expect("written");
    let fields = Request::fields();
    let user = "user-000500";
    let mut group = criterion.benchmark_group("event table");
    group.measurement_time(Duration::from_secs(1)).warm_up_time(Duration::from_millis(300));
    group.sample_size(20);
    group.bench_function("a view", |bench| {
        bench.iter(|| black_box(table.view().expect("a view").parts_count()));
    });
    for count in [100, 1_000] {
        group.bench_function(format!("{count} newest"), |bench| {
            bench.iter(|| {
                let view = table.view().expect("a view");
                black_box(view.recent(count).expect("readable").len())
            });
        });
    }
    let scan = Scan::new().filter(Request::filter().user_eq(user)).newest_first().limit(100);
    group.bench_function("100 newest of a user", |bench| {
        bench.iter(|| {
            let view = table.view().expect("a view");
            black_box(view.scan(&scan).expect("readable").len())
        });
    });
    let mut n = 0;
    group.bench_function("one by id", |bench| {
        bench.iter(|| {
            n = (n + 77_777) % (PARTS * ROWS);
            let view = table.view().expect("a view");
            assert!(view.event(&id_of(n)).expect("readable").is_some());
        });
    });
    let all = |filter: RequestFilter| {
        let view = table.view().expect("a view");
        let query = view.query().filter(filter).measure(fields.cost()).measure(fields.input());
        let query = query.measure(fields.output()).measure(fields.cached());
        query.measure(fields.reasoning()).run().expect("readable").len()
    };
    let third = START_NS + SPAN_NS as i64 / 3;
    let filters = [
        ("no filter", Request::filter()),
        ("a user", Request::filter().user_eq(user)),
        ("a tenth", Request::filter().since(third).until(third + SPAN_NS as i64 / 10)),
        (
            "a user and a tenth",
            Request::filter().user_eq(user).since(third).until(third + SPAN_NS as i64 / 10),
        ),
    ];
    for (name, filter) in filters {
        group.bench_function(format!("sums, {name}"), |bench| bench.iter(|| all(filter.clone())));
    }
    for threads in [1, 0] {
        let by_threads = if threads == 1 { "one thread" } else { "all threads" };
        group.bench_function(format!("by user and day, {by_threads}"), |bench| {
            bench.iter(|| {
                let view = table.view().expect("a view");
                let query = view.query().threads(threads).group_by(fields.user());
                let query = query.group_by(fields.at().buckets(86_400_000_000_000));
                query.measure(fields.cost()).run().expect("readable").len()
            });
        });
        group.bench_function(format!("top 10 models, {by_threads}"), |bench| {
            bench.iter(|| {
                let view = table.view().expect("a view");
                let query = view.query().threads(threads).group_by(fields.model());
                let found = query.measure(fields.cost()).run().expect("readable");
                found.top(fields.cost(), 10).expect("measured").len()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, reads);
criterion_main!(benches);
