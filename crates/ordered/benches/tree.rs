//! A tree under load, with threads that flush and compact beside one that writes: how fast it takes
//! records, what it writes for them, how long the slowest took, and how fast it answers afterwards.
//!
//! `cargo bench -p annals-ordered --bench tree -- [keys] [records] [dir]`

#![allow(missing_docs, clippy::unwrap_used, reason = "a measurement")]

use annals_disk::{Disk, RealDisk};
use annals_ordered::{
    Admission, AsOf, Entry, EntryKind, ManifestPlace, ManifestRoot, Record, RootError, Store,
    StoreConfig, Tree, TreeOptions,
};
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

const VALUE_BYTES: usize = 100;

#[derive(Debug)]
struct NoRoot;

impl ManifestRoot for NoRoot {
    fn set_manifest(&self, _: ManifestPlace) -> Result<(), RootError> {
        Ok(())
    }
}

/// Each number once, in an order that looks like none.
fn scrambled(n: u64) -> u64 {
    let mut x = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x ^= x >> 32;
    x = x.wrapping_mul(0xd6e8_feb8_6659_fd93);
    x ^ x >> 32
}

fn key(n: u64) -> [u8; 16] {
    let mut key = [b'k'; 16];
    key[..8].copy_from_slice(&scrambled(n).to_be_bytes());
    key
}

fn main() {
    let numbers: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let number = |at: usize, usual| numbers.get(at).map_or(usual, |text| text.parse().unwrap());
    let (keys, records): (u64, u64) = (number(0, 1_000_000), number(1, 3_000_000));
    let temporary = tempfile::tempdir().unwrap();
    let dir = numbers.get(2).map_or_else(|| temporary.path().to_owned(), PathBuf::from);
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::new());
    let config = StoreConfig::default();
    let store = Store::create(Arc::clone(&disk), &dir, 1, config, Arc::new(NoRoot)).unwrap();
    let tree = store.create_tree(1, TreeOptions::default()).unwrap();
    let done = AtomicBool::new(false);
    let (mut slowest, mut waited_ns) = (Vec::with_capacity(records as usize), 0);
    let begun = disk.monotonic_ns();
    let mut written = 0;
    std::thread::scope(|scope| {
        for flushes in [true, false] {
            let (store, done) = (&store, &done);
            scope.spawn(move || {
                while !done.load(Ordering::Acquire) {
                    let next = if flushes { store.next_flush(0) } else { store.next_compaction(0) };
                    match next {
                        Some(work) => work.run().unwrap(),
                        None => std::thread::sleep(Duration::from_millis(1)),
                    }
                }
            });
        }
        for n in 0..records {
            let begun = disk.monotonic_ns();
            loop {
                match store.admit(16 + VALUE_BYTES as u64) {
                    Admission::After { delay_ns: 0 } => break,
                    Admission::After { delay_ns } => {
                        std::thread::sleep(Duration::from_nanos(delay_ns));
                        waited_ns += delay_ns;
                        break;
                    }
                    Admission::Full => std::thread::sleep(Duration::from_micros(100)),
                }
            }
            let entry = Entry {
                key: &key(scrambled(n) % keys),
                seq: n + 1,
                kind: EntryKind::Put,
                expires_ms: None,
                value: &[n as u8; VALUE_BYTES],
            };
            tree.apply([Record::Entry(entry)], 0).unwrap();
            slowest.push(disk.monotonic_ns() - begun);
        }
        written = disk.monotonic_ns() - begun;
        while store.has_work(0) || tree.stats().sealed_memtables > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        done.store(true, Ordering::Release);
    });
    let settled = disk.monotonic_ns() - begun;
    slowest.sort_unstable();
    let at = |share: f64| slowest[((records - 1) as f64 * share) as usize] as f64 / 1e3;
    let rate = |count: u64, ns: u64| count as f64 * 1e3 / ns as f64;
    println!("{records} records over {keys} keys: {:.3} M/s", rate(records, written));
    println!(
        "  settled after {:.2} s, asked to wait {:.2} s",
        settled as f64 / 1e9,
        waited_ns as f64 / 1e9
    );
    println!("  microseconds: p50 {:.1}, p99.9 {:.1}, most {:.1}", at(0.5), at(0.999), at(1.0));
    let stats = tree.stats();
    println!(
        "  write amplification {:.2}, space {:.2}, runs {}; {} flushes, {} compactions, {} moves",
        stats.since_opening.write_amplification().unwrap_or(0.0),
        stats.space_amplification(),
        stats.read_amplification,
        stats.flushes,
        stats.compactions,
        stats.moves
    );
    for (level, of) in stats.levels.iter().enumerate().filter(|(_, of)| of.tables > 0) {
        println!("  level {level}: {} tables, {} MiB", of.tables, of.bytes >> 20);
    }
    read(&tree, &*disk, keys, "as it is");
    tree.seal();
    tree.compact_range(None, 0).unwrap();
    read(&tree, &*disk, keys, "compacted");
}

/// Whether a value is one that was written. Looks at every byte: a value that nobody looks at costs a
/// reader nothing, and it is for values that trees are read.
fn is_whole(value: &[u8]) -> bool {
    value.len() == VALUE_BYTES && value.iter().fold(0, |all, byte| all | byte ^ value[0]) == 0
}

/// How fast the tree answers.
fn read(tree: &Tree, disk: &dyn Disk, keys: u64, state: &str) {
    const LOOKS: u64 = 1_000_000;
    const SCANS: u64 = 20_000;
    let runs = tree.stats().read_amplification;
    println!("{state}, at most {runs} runs to look at:");
    let now = AsOf { seq: u64::MAX, now_ms: 0 };
    let rate = |count: u64, ns: u64| count as f64 * 1e3 / ns as f64;
    for (name, base) in [("first hits", 0), ("hits", 0), ("misses", 1 << 40)] {
        let begun = disk.monotonic_ns();
        let mut found = 0u64;
        for n in 0..LOOKS {
            let key = key(base + scrambled(n) % keys);
            let value = tree.get_with(&key, now, |entry| assert!(is_whole(entry.value))).unwrap();
            found += u64::from(value.is_some());
        }
        let rate = rate(LOOKS, disk.monotonic_ns() - begun);
        println!("  get, {name}: {rate:.3} M/s, {found} found");
    }
    let begun = disk.monotonic_ns();
    let mut cursor = tree.cursor(&[], None, now);
    cursor.to_first().unwrap();
    let mut count = 0u64;
    while let Some(entry) = cursor.entry() {
        assert!(is_whole(entry.value));
        count += 1;
        cursor.advance().unwrap();
    }
    println!("  scan: {:.2} M/s of {count}", rate(count, disk.monotonic_ns() - begun));
    let begun = disk.monotonic_ns();
    for n in 0..SCANS {
        cursor = tree.cursor(&key(scrambled(n) % keys), None, now);
        cursor.to_first().unwrap();
        for _ in 0..100 {
            let Some(entry) = cursor.entry() else { break };
            assert!(is_whole(entry.value));
            cursor.advance().unwrap();
        }
    }
    println!("  scans of 100: {:.1} k/s", 1e3 * rate(SCANS, disk.monotonic_ns() - begun));
}
