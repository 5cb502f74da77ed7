//! Whether an event table would gain by several logs: eight threads that append 1,024 events each, to tables over one
//! log, and over two and eight databases, each with a log and syncs of its own.
//!
//! `cargo run --release -p annals-engine --example table_writers -- FOLDER`

#![allow(clippy::print_stdout, reason = "it says what it has measured")]
#![allow(clippy::disallowed_methods, reason = "time is what it measures")]

use annals_columns::{Batch, Schema};
use annals_engine::{Database, Durability, EventTable, Result};
use std::{
    path::Path,
    sync::Barrier,
    time::{Duration, Instant},
};

const THREADS: usize = 8;
const EVENTS: u64 = 1_024;
const ROUNDS: usize = 40;

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
    model: String,
    #[dim]
    key: String,
    #[dim]
    provider: String,
    #[dim]
    region: String,
    #[dim]
    tier: String,
    #[label]
    address: String,
    #[label]
    agent: String,
    #[id]
    id: String,
}

fn batch(from: u64) -> Result<Batch> {
    let mut batch = Batch::of::<Request>();
    for n in from..from + EVENTS {
        let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        let number = mixed as u32;
        batch.push(&Request {
            at: n as i64 * 1_000_000,
            cost: i64::from(number % 5_000),
            input: number % 900,
            output: number % 300,
            cached: 3,
            reasoning: number % 7,
            latency: number % 250,
            status: 200,
            user: format!("user-{:04}", mixed % 1_000),
            model: format!("model-{}", mixed % 200),
            key: format!("key-{}", mixed % 20),
            provider: format!("provider-{}", mixed % 6),
            region: format!("region-{}", mixed % 10),
            tier: format!("tier-{}", mixed % 5),
            address: format!("10.0.{}.{}", mixed % 256, mixed / 256 % 256),
            agent: "some agent of a few words/1.0".to_owned(),
            id: format!("ev-{mixed:011x}-{n:06}"),
        })?;
    }
    Ok(batch)
}

/// Milliseconds of a round in which each thread appends once, the median and the lowest tenth.
fn measure(tables: &[EventTable]) -> Result<(f64, f64)> {
    let batches =
        (0..THREADS as u64).map(|thread| batch(thread * EVENTS)).collect::<Result<Vec<_>>>()?;
    let barrier = &Barrier::new(THREADS + 1);
    let mut times = Vec::with_capacity(ROUNDS);
    std::thread::scope(|scope| {
        let threads = batches.iter().zip(tables.iter().cycle()).map(|(batch, table)| {
            let append = move || {
                let mut outcome = Ok(None);
                for _ in 0..ROUNDS {
                    barrier.wait();
                    // Others wait for this one to come by also if it fails.
                    outcome = outcome.and_then(|_| table.append_batch(batch));
                    barrier.wait();
                }
                outcome.map(drop)
            };
            scope.spawn(append)
        });
        let threads: Vec<_> = threads.collect();
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            barrier.wait();
            barrier.wait();
            times.push(begun.elapsed().as_secs_f64() * 1_000.0);
        }
        threads.into_iter().try_for_each(|thread| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    })?;
    times.sort_by(f64::total_cmp);
    Ok((times[ROUNDS / 2], times[ROUNDS / 10]))
}

fn main() -> Result<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "table-writers".to_owned());
    for durability in [Durability::Sync, Durability::Buffered] {
        for run in 1..=3 {
            for (logs, tables) in [(1, 1), (1, 8), (2, 1), (8, 1)] {
                let path = Path::new(&folder).join(format!("{durability:?}-{run}-{logs}-{tables}"));
                // What is wrong with it is told when it is opened.
                drop(std::fs::create_dir_all(&path));
                let never = Duration::from_secs(3_600);
                let open = |log: usize| {
                    let builder = Database::builder().durability(durability);
                    builder.flush_at(1 << 24, 1 << 33, never).open(path.join(log.to_string()))
                };
                let open: Vec<Database> = (0..logs).map(open).collect::<Result<_>>()?;
                let all = open.iter().flat_map(|db| {
                    (0..tables).map(move |table| db.table_of::<Request>(&format!("table {table}")))
                });
                let (median, low) = measure(&all.collect::<Result<Vec<_>>>()?)?;
                println!(
                    "{durability:?} {run}: {logs} logs of {tables} tables: median {median:.2} ms, lowest tenth {low:.2} ms"
                );
                drop(open);
                drop(std::fs::remove_dir_all(&path));
            }
        }
    }
    Ok(())
}
