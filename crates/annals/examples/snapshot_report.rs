//! A report over a state that stands still while others go on writing.
//!
//! Money moves between accounts all the time, and every report adds up to the same total: a
//! snapshot never shows half a transfer, neither of one commit nor across keyspaces.
//!
//!     cargo run --release --example snapshot_report [DIRECTORY]

use annals::{Database, HashKeyspace, Snapshot};
use std::{
    error::Error,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

const ACCOUNTS: u64 = 100;
const EACH: u64 = 1_000;

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args_os().nth(1) {
        Some(dir) => run(Path::new(&dir)),
        None => run(tempfile::tempdir()?.path()),
    }
}

pub(crate) fn run(dir: &Path) -> Result<(), Box<dyn Error>> {
    let db = Database::open(dir)?;
    let (giro, savings) = (db.hash_keyspace("giro")?, db.hash_keyspace("savings")?);
    for keyspace in [&giro, &savings] {
        keyspace.insert_many((0..ACCOUNTS).map(|account| (account.to_le_bytes(), bytes(EACH))))?;
    }

    let done = AtomicBool::new(false);
    thread::scope(|scope| -> Result<(), Box<dyn Error>> {
        let transfers = scope.spawn(|| -> annals::Result<u64> {
            let mut count = 0;
            while !done.load(Ordering::Relaxed) {
                transfer(&db, &giro, &savings, count % ACCOUNTS, count % 7)?;
                count += 1;
            }
            Ok(count)
        });
        let outcome = (0..20).try_for_each(|number| {
            let snapshot = db.snapshot();
            let (giro, savings) = (total(&snapshot, "giro")?, total(&snapshot, "savings")?);
            println!("report {number} at {}: giro {giro}, savings {savings}", snapshot.seq());
            assert_eq!(giro + savings, 2 * ACCOUNTS * EACH);
            Ok::<_, annals::Error>(())
        });
        done.store(true, Ordering::Relaxed);
        let count = transfers.join().map_err(|_| "the transfers panicked")??;
        println!("{count} transfers meanwhile");
        Ok(outcome?)
    })?;

    // What snapshots hold back is let go of with the last of them.
    assert_eq!(db.stats().snapshots.count, 0);
    db.close()?;
    Ok(())
}

/// Moves money from one keyspace to the other, in one commit. This program has a single thread
/// that transfers; several would read and check with `compare_and_swap`.
fn transfer(
    db: &Database,
    from: &HashKeyspace,
    to: &HashKeyspace,
    account: u64,
    amount: u64,
) -> annals::Result<()> {
    let key = account.to_le_bytes();
    let (left, right) = (value(from.get(key)?.as_deref()), value(to.get(key)?.as_deref()));
    let amount = amount.min(left);
    let mut batch = db.batch();
    batch.insert(from, key, bytes(left - amount))?;
    batch.insert(to, key, bytes(right + amount))?;
    batch.commit().map(drop)
}

fn total(snapshot: &Snapshot, keyspace: &str) -> annals::Result<u64> {
    let mut total = 0;
    for entry in snapshot.iter(keyspace)? {
        total += value(Some(entry?.value()));
    }
    Ok(total)
}

fn bytes(value: u64) -> [u8; 8] {
    value.to_le_bytes()
}

fn value(bytes: Option<&[u8]>) -> u64 {
    bytes.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
}
