//! `annals bench`: what this machine gives, measured in a temporary database (below `TMPDIR`).
//!
//! Every operation is timed by itself, which costs a clock reading each; a value that is read is
//! compared with what was written. A row ends after its operations or its time limit, whichever
//! comes first, and shows how many operations it did.
//!
//! Of ordered keyspaces a second listing tells what only the process that works on them knows.

use super::{Command, tables};
use crate::{
    clock::Stopwatch,
    failure::{Failure, Kind, Result},
    histogram::Histogram,
    keyspace::Keyspace,
    output::{Figure, Form, Table},
    random::mix,
    scratch::Scratch,
    session::Session,
    units,
    wanted::Wanted,
};
use annals::{Database, Durability, KeyspaceKind, WriteOptions};
use std::{ops::ControlFlow, path::Path, thread, time::Duration};

/// Records a commit in the batch row.
const BATCH_RECORDS: u64 = 1_000;
/// What the batch row is called.
const BATCHES: &str = "insert, batches of 1,000";
/// Records a scan reads in the row of short scans.
const SCAN_RECORDS: u64 = 100;

/// Measures inserts, batches and look-ups, and scans where keys have an order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bench {
    pub(crate) ops: u64,
    pub(crate) value_bytes: usize,
    pub(crate) threads: u64,
    pub(crate) time_limit: Duration,
    pub(crate) kind: KeyspaceKind,
}

/// What a row came to.
struct Outcome {
    ops: u64,
    seconds: f64,
    latencies: Histogram,
}

impl Command for Bench {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let scratch = Scratch::new("bench", false)?;
        let mut table = Table::new(&[
            "what",
            "durability",
            "ops",
            "ops_per_second",
            "p50_seconds",
            "p99_seconds",
            "p999_seconds",
            "max_seconds",
        ]);
        let mut counted = Table::new(&[&["load", "durability"][..], &tables::COUNTED].concat());
        let levels = [
            ("buffered", Durability::Buffered),
            ("interval", Durability::default()),
            ("sync", Durability::Sync),
        ];
        for (name, durability) in levels {
            let db = self.open(session, &scratch.path().join(name), durability)?;
            let keyspace = Keyspace::open_or_make(&db, "bench", Some(self.kind))?;
            let outcome = self.inserts(&keyspace)?;
            table.row(row("insert", name, &outcome));
            self.count(&mut counted, "insert", name, &db)?;
            db.close()?;
        }
        for (name, durability) in levels {
            let dir = scratch.path().join(format!("batch-{name}"));
            let db = self.open(session, &dir, durability)?;
            let keyspace = Keyspace::open_or_make(&db, "bench", Some(self.kind))?;
            let outcome = self.batches(&db, &keyspace)?;
            table.row(row(BATCHES, name, &outcome));
            if name == "interval" {
                table.row(row("get, hits", "-", &self.hits(&keyspace, outcome.ops)?));
                table.row(row("get, misses", "-", &self.misses(&keyspace)?));
                if self.kind == KeyspaceKind::Ordered {
                    table.row(row("scans of 100", "-", &self.scans(&keyspace, outcome.ops)?));
                }
            }
            self.count(&mut counted, BATCHES, name, &db)?;
            db.close()?;
        }
        session.out.table(&table)?;
        if counted.is_empty() {
            return Ok(());
        }
        if session.form() != Form::Json {
            session.out.line("\ncounted while each database was open:")?;
        }
        session.out.table(&counted)
    }
}

impl Bench {
    fn open(&self, session: &Session, path: &Path, durability: Durability) -> Result<Database> {
        let mut settings = session.settings.clone();
        settings.data = path.to_owned();
        settings.durability = durability;
        settings.open(true)
    }

    /// Adds what was counted of the tables of an ordered keyspace. What is in memory is written before, as
    /// closing would: a short load has written nothing else.
    fn count(&self, to: &mut Table, load: &str, durability: &str, db: &Database) -> Result<()> {
        if self.kind != KeyspaceKind::Ordered {
            return Ok(());
        }
        db.checkpoint()?;
        let stats = db.stats();
        let tree = stats.keyspaces.iter().find_map(|keyspace| keyspace.tree.as_ref());
        if let (Some(tables), Some(tree)) = (&stats.tables, tree) {
            let mut figures = vec![Figure::text_of(load), Figure::text_of(durability)];
            figures.extend(tables::counted(tables, tree));
            to.row(figures);
        }
        Ok(())
    }

    fn inserts(&self, keyspace: &Keyspace) -> Result<Outcome> {
        self.measure(1, |index, value| {
            fill(value, index);
            keyspace.insert(&key(index), value, WriteOptions::default())?;
            Ok(1)
        })
    }

    fn batches(&self, db: &Database, keyspace: &Keyspace) -> Result<Outcome> {
        self.measure(BATCH_RECORDS, |first, value| {
            let mut batch = db.batch();
            for index in first..self.ops.min(first + BATCH_RECORDS) {
                fill(value, index);
                keyspace.insert_into(&mut batch, &key(index), value)?;
            }
            let count = batch.len() as u64;
            batch.commit()?;
            Ok(count)
        })
    }

    /// Reads records in an order that has nothing to do with the order of writing.
    fn hits(&self, keyspace: &Keyspace, stored: u64) -> Result<Outcome> {
        self.measure(1, |index, value| {
            let index = mix(index) % stored.max(1);
            fill(value, index);
            match keyspace.get_with(&key(index), |found| found == value)? {
                // Of batches that ran out of time, some threads' shares may have holes.
                None if stored < self.ops => {}
                Some(true) => {}
                _ => {
                    let what = format!("record {index} does not read as it was written");
                    return Err(Failure::new(Kind::Corrupt, what));
                }
            }
            Ok(1)
        })
    }

    fn misses(&self, keyspace: &Keyspace) -> Result<Outcome> {
        self.measure(1, |index, _| {
            if keyspace.contains(&key(index | 1 << 63))? {
                return Err(Failure::new(Kind::Corrupt, "a key was found that nobody wrote"));
            }
            Ok(1)
        })
    }

    /// Reads records in the order of their keys, from one that has nothing to do with the one before.
    /// An operation is a scan.
    fn scans(&self, keyspace: &Keyspace, stored: u64) -> Result<Outcome> {
        self.measure(1, |index, _| {
            let mut last = key(mix(index) % stored.max(1)).to_vec();
            let wanted = Wanted { from: Some(last.clone()), ..Wanted::default() };
            let mut left = SCAN_RECORDS;
            keyspace.visit(&wanted, true, |record| {
                let (found, _) = record?;
                if *found < *last {
                    return Err(Failure::new(Kind::Corrupt, "keys come out of their order"));
                }
                last.clear();
                last.extend_from_slice(found);
                left -= 1;
                Ok(if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
            })?;
            Ok(1)
        })
    }

    /// Shares indexes from 0 to `ops` between the threads, `step` at a time, and times each call of
    /// `work`, which says how many operations it did.
    fn measure(
        &self,
        step: u64,
        work: impl Fn(u64, &mut Vec<u8>) -> Result<u64> + Sync,
    ) -> Result<Outcome> {
        let run = |thread: u64, start: &Stopwatch| {
            let mut latencies = Histogram::default();
            let mut value = vec![0; self.value_bytes];
            let mut ops = 0;
            let mut index = thread * step;
            while index < self.ops && start.elapsed() < self.time_limit {
                let clock = Stopwatch::start();
                let done = work(index, &mut value)?;
                let ns = u64::try_from(clock.elapsed().as_nanos()).unwrap_or(u64::MAX);
                latencies.record(ns);
                ops += done;
                index += self.threads * step;
            }
            Ok::<_, Failure>((ops, latencies))
        };
        let clock = Stopwatch::start();
        let (run, start) = (&run, &clock);
        let outcomes: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> =
                (0..self.threads).map(|thread| scope.spawn(move || run(thread, start))).collect();
            threads.into_iter().map(thread::ScopedJoinHandle::join).collect()
        });
        let mut sum = Outcome { ops: 0, seconds: clock.seconds(), latencies: Histogram::default() };
        for outcome in outcomes {
            let panicked = |_| Failure::new(Kind::Other("other"), "a thread panicked");
            let (ops, latencies) = outcome.map_err(panicked)??;
            sum.ops += ops;
            sum.latencies.merge(&latencies);
        }
        Ok(sum)
    }
}

fn row(what: &str, durability: &str, outcome: &Outcome) -> Vec<Figure> {
    let at = |q| Figure::Seconds(outcome.latencies.quantile_ns(q) as f64 / 1e9);
    vec![
        Figure::text_of(what),
        Figure::text_of(durability),
        Figure::Count(outcome.ops),
        Figure::Rate(units::rate(outcome.ops, outcome.seconds)),
        at(0.5),
        at(0.99),
        at(0.999),
        Figure::Seconds(outcome.latencies.max_ns() as f64 / 1e9),
    ]
}

/// Keys of 16 bytes in an order that looks random.
fn key(index: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&mix(index).to_be_bytes());
    key[8..].copy_from_slice(&index.to_be_bytes());
    key
}

/// Makes `value` the one of `index`.
fn fill(value: &mut [u8], index: u64) {
    let stamp = mix(index ^ 0x5bd1_e995).to_le_bytes();
    let count = value.len().min(stamp.len());
    value[..count].copy_from_slice(&stamp[..count]);
}
