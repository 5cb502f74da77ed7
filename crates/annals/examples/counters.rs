//! Counters that many threads increment: no increment is lost.
//!
//!     cargo run --release --example counters [DIRECTORY]

use annals::{Database, HashKeyspace};
use std::{error::Error, path::Path, thread};

const THREADS: u64 = 4;
const INCREMENTS: u64 = 5_000;

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args_os().nth(1) {
        Some(dir) => run(Path::new(&dir)),
        None => run(tempfile::tempdir()?.path()),
    }
}

pub(crate) fn run(dir: &Path) -> Result<(), Box<dyn Error>> {
    let db = Database::open(dir)?;
    let hits = db.hash_keyspace("hits")?;
    let before = read(&hits, "/")?;

    // Handles are cheap to clone and may be used by all threads at once.
    let outcomes: Vec<_> = thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|_| {
                let hits = hits.clone();
                scope.spawn(move || (0..INCREMENTS).try_for_each(|_| increment(&hits, "/")))
            })
            .collect();
        workers.into_iter().map(thread::ScopedJoinHandle::join).collect()
    });
    for outcome in outcomes {
        outcome.map_err(|_| "a thread panicked")??;
    }

    let after = read(&hits, "/")?;
    println!("{THREADS} threads counted from {before} to {after}");
    assert_eq!(after, before + THREADS * INCREMENTS);
    db.close()?;
    Ok(())
}

/// Adds one. `fetch_update` calls the closure again if another thread was faster.
fn increment(hits: &HashKeyspace, key: &str) -> annals::Result<()> {
    hits.fetch_update(key, |value| Some((decode(value) + 1).to_le_bytes().to_vec())).map(drop)
}

fn read(hits: &HashKeyspace, key: &str) -> annals::Result<u64> {
    Ok(decode(hits.get(key)?.as_deref()))
}

fn decode(value: Option<&[u8]>) -> u64 {
    value.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
}
