//! One table: point reads that hit and that miss, full and short scans, writing, on the disk of the
//! temporary folder.

use annals_disk::RealDisk;
use annals_ordered::{
    BlockCache, Compression, Cursor, Entry, EntryKind, Reading, Sought, Table, TableCursor,
    TableIdentity, TableNotes, TableOptions, TableWriter,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::{hint::black_box, path::Path, sync::Arc, time::Duration};

const KEYS: u64 = 1_000_000;
const ID: TableIdentity = TableIdentity { database_id: 7, number: 1 };

/// Bits in another order, each number to another one.
fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    n ^ (n >> 32)
}

fn key(n: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&mix(n).to_be_bytes());
    key[8..].copy_from_slice(&mix(!n).to_be_bytes());
    key
}

fn value(n: u64) -> [u8; 100] {
    std::array::from_fn(|at| (mix(n ^ (at as u64) << 40) >> 56) as u8)
}

fn write(disk: &RealDisk, path: &Path, options: TableOptions, seqs: bool) -> u64 {
    let mut numbers: Vec<u64> = (0..KEYS).collect();
    numbers.sort_unstable_by_key(|n| key(*n));
    let mut writer = TableWriter::create(disk, path, ID, options).expect("a fresh file");
    for n in numbers {
        let (key, value) = (key(n), value(n));
        let seq = if seqs { n } else { 0 };
        let entry = Entry { key: &key, seq, kind: EntryKind::Put, expires_ms: None, value: &value };
        writer.add(&entry).expect("room on the disk");
    }
    writer.finish(TableNotes::default()).expect("room on the disk").file_bytes
}

fn open(disk: &RealDisk, path: &Path) -> Arc<Table> {
    let cache = Arc::new(BlockCache::new(32 << 20));
    Arc::new(Table::open(disk, path, ID, cache).expect("a table"))
}

fn random() -> impl FnMut() -> u64 {
    let mut n = 0u64;
    move || {
        n += 1;
        mix(n.wrapping_mul(0x9e37_79b9))
    }
}

fn reads(criterion: &mut Criterion, name: &str, options: TableOptions, seqs: bool) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let disk = RealDisk::new();
    let path = folder.path().join("1.sst");
    let bytes = write(&disk, &path, options, seqs);
    println!(
        "{name}: {:.2} bytes an entry, {:.2} MiB",
        bytes as f64 / KEYS as f64,
        bytes as f64 / 1048576.0
    );
    let table = open(&disk, &path);
    let mut group = criterion.benchmark_group(format!("table_read/{name}"));
    group.measurement_time(Duration::from_secs(3)).sample_size(20);
    let mut next = random();
    group.throughput(Throughput::Elements(1));
    group.bench_function("hit", |bench| {
        bench.iter(|| {
            let key = key(next() % KEYS);
            let found = table.get(&Sought::new(7, &key, u64::MAX)).expect("readable");
            table.value(&found.expect("there"))[50]
        });
    });
    group.bench_function("miss", |bench| {
        bench.iter(|| {
            let key = key(KEYS + next() % KEYS);
            table.get(&Sought::new(7, &key, u64::MAX)).expect("readable").is_none()
        });
    });
    group.throughput(Throughput::Elements(100));
    let mut cursor = TableCursor::new(Arc::clone(&table), Reading::Usual);
    group.bench_function("short_scan_100", |bench| {
        bench.iter(|| {
            let from = key(next());
            cursor.seek(&from, u64::MAX).expect("readable");
            let mut sum = 0;
            for _ in 0..100 {
                let Some(entry) = cursor.entry() else { break };
                sum += usize::from(entry.key[15]) + usize::from(entry.value[99]);
                cursor.advance().expect("readable");
            }
            sum
        });
    });
    group.throughput(Throughput::Elements(KEYS));
    group.sample_size(10);
    let mut cursor = TableCursor::new(Arc::clone(&table), Reading::Light);
    group.bench_function("full_scan", |bench| {
        bench.iter(|| {
            let mut sum = 0;
            cursor.to_first().expect("readable");
            while let Some(entry) = cursor.entry() {
                sum += usize::from(entry.key[15]) + usize::from(entry.value[99]);
                cursor.advance().expect("readable");
            }
            black_box(sum)
        });
    });
    group.bench_function("full_scan_back", |bench| {
        bench.iter(|| {
            let mut sum = 0;
            cursor.to_last().expect("readable");
            while let Some(entry) = cursor.entry() {
                sum += usize::from(entry.key[15]) + usize::from(entry.value[99]);
                cursor.retreat().expect("readable");
            }
            black_box(sum)
        });
    });
    group.finish();
}

fn plain(criterion: &mut Criterion) {
    reads(criterion, "plain", TableOptions::default(), false);
}

fn plain_with_seqs(criterion: &mut Criterion) {
    reads(criterion, "seqs", TableOptions::default(), true);
}

fn blocks(criterion: &mut Criterion) {
    for block_bytes in [2048, 8192, 16_384] {
        let options = TableOptions { block_bytes, ..TableOptions::default() };
        reads(criterion, &format!("block_{block_bytes}"), options, false);
    }
}

fn lz4(criterion: &mut Criterion) {
    let options = TableOptions { compression: Compression::Lz4, ..TableOptions::default() };
    reads(criterion, "lz4", options, false);
}

fn writes(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let disk = RealDisk::new();
    let mut numbers: Vec<u64> = (0..KEYS).collect();
    numbers.sort_unstable_by_key(|n| key(*n));
    let mut group = criterion.benchmark_group("table_write");
    group.throughput(Throughput::Elements(KEYS)).sample_size(10);
    let value = value(1);
    group.bench_function("plain", |bench| {
        bench.iter(|| {
            let path = folder.path().join("1.sst");
            let options = TableOptions::default();
            let mut writer = TableWriter::create(&disk, &path, ID, options).expect("a file");
            for n in &numbers {
                let key = key(*n);
                let entry = Entry {
                    key: &key,
                    seq: 0,
                    kind: EntryKind::Put,
                    expires_ms: None,
                    value: &value,
                };
                writer.add(&entry).expect("room on the disk");
            }
            writer.finish(TableNotes::default()).expect("room on the disk")
        });
    });
    group.finish();
}

criterion_group!(benches, plain, plain_with_seqs, blocks, lz4, writes);
criterion_main!(benches);
