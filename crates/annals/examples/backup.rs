//! Backups while writing goes on; a second one that copies only what is new; restoring one.
//!
//!     cargo run --release --example backup [DIRECTORY]

use annals::Database;
use std::{
    error::Error,
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args_os().nth(1) {
        Some(dir) => run(Path::new(&dir)),
        None => run(tempfile::tempdir()?.path()),
    }
}

pub(crate) fn run(dir: &Path) -> Result<(), Box<dyn Error>> {
    let (live, backup, restored) = (dir.join("live"), dir.join("backup"), dir.join("restored"));
    // Small segments, so that this little data has some that are complete: those are what a
    // second backup need not copy again.
    let db = Database::builder().segment_bytes(1 << 20).open(&live)?;
    let numbers = db.hash_keyspace("numbers")?;

    let (done, written) = (AtomicBool::new(false), AtomicU64::new(0));
    let (first, second, at_least) = thread::scope(|scope| -> Result<_, Box<dyn Error>> {
        let writer = scope.spawn(|| -> annals::Result<()> {
            for number in 0u64.. {
                if done.load(Ordering::Relaxed) {
                    return Ok(());
                }
                numbers.insert(number.to_be_bytes(), [number as u8; 500])?;
                written.store(number + 1, Ordering::Release);
            }
            Ok(())
        });
        let backups = || -> annals::Result<_> {
            wait_for(&written, 5_000);
            let first = db.backup_to(&backup)?;
            wait_for(&written, written.load(Ordering::Acquire) + 2_000);
            let at_least = written.load(Ordering::Acquire);
            let second = db.backup_to(&backup)?;
            Ok((first, second, at_least))
        };
        let outcome = backups();
        done.store(true, Ordering::Relaxed);
        writer.join().map_err(|_| "the writer panicked")??;
        Ok(outcome?)
    })?;
    for (name, report) in [("first", &first), ("second", &second)] {
        println!(
            "{name} backup: {} files up to record {}, {} bytes copied, {} there already",
            report.files_count, report.up_to, report.copied_bytes, report.reused_bytes
        );
    }
    assert!(second.up_to > first.up_to && second.reused_bytes > 0);
    drop(numbers);
    db.close()?;

    // A backup is a database like any other and could be opened in place. Once it was opened for
    // writing it goes its own way, so keep backups for copying and work on what was restored.
    Database::restore(&backup, &restored)?;
    let db = Database::open(&restored)?;
    let numbers = db.open_hash_keyspace("numbers")?;
    println!("restored {} records", numbers.len());
    assert!(numbers.len() >= at_least);
    for number in 0..numbers.len() {
        let value = numbers.get(number.to_be_bytes())?.ok_or("a prefix has no holes")?;
        assert!(value.len() == 500 && value.iter().all(|byte| *byte == number as u8));
    }
    assert!(db.verify(&mut |_| {})?.is_intact());
    db.close()?;
    Ok(())
}

fn wait_for(written: &AtomicU64, count: u64) {
    while written.load(Ordering::Acquire) < count {
        thread::yield_now();
    }
}
