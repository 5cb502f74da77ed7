//! Hash keyspaces: single inserts, batches, reads, on the disk of the temporary folder.

use annals_engine::{Database, Durability, HashKeyspace};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const KEYS: u64 = 200_000;

fn key(n: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    key[8..].copy_from_slice(&n.to_le_bytes());
    key
}

fn filled(folder: &tempfile::TempDir) -> (Database, HashKeyspace) {
    let builder = Database::builder().durability(Durability::Buffered);
    let db = builder.open(folder.path().join("db")).expect("a fresh folder");
    let keyspace = db.hash_keyspace("bench").expect("a fresh database");
    for batch in 0..KEYS / 1_000 {
        let records = (batch * 1_000..(batch + 1) * 1_000).map(|n| (key(n), [7u8; 100]));
        keyspace.insert_many(records).expect("room on the disk");
    }
    (db, keyspace)
}

fn reads(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (_db, keyspace) = filled(&folder);
    let mut group = criterion.benchmark_group("hash_keyspace/read");
    group.throughput(Throughput::Elements(1));
    let mut n = 0u64;
    let mut next = move || {
        n = n.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (n >> 33) % KEYS
    };
    group.bench_function("get_hit", |bench| {
        bench.iter(|| keyspace.get(key(next())).expect("readable").map(|value| value[50]));
    });
    group.bench_function("get_miss", |bench| {
        bench.iter(|| keyspace.get(key(KEYS + next())).expect("readable").is_none());
    });
    group.throughput(Throughput::Elements(64));
    group.bench_function("get_many_64", |bench| {
        bench.iter_batched(
            || (0..64).map(|_| key(next())).collect::<Vec<_>>(),
            |keys| black_box(keyspace.get_many(&keys).expect("readable").len()),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn writes(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (db, keyspace) = filled(&folder);
    let mut group = criterion.benchmark_group("hash_keyspace/write");
    let mut n = 0u64;
    let mut next = move || {
        n += 1;
        n % KEYS
    };
    group.throughput(Throughput::Elements(1));
    group.bench_function("overwrite_buffered", |bench| {
        bench.iter(|| keyspace.insert(key(next()), [8u8; 100]).expect("room on the disk"));
    });
    group.throughput(Throughput::Elements(1_000));
    group.bench_function("overwrite_batch_1000", |bench| {
        bench.iter(|| {
            let mut batch = db.batch();
            for _ in 0..1_000 {
                batch.insert(&keyspace, key(next()), [9u8; 100]).expect("a small batch");
            }
            batch.commit().expect("room on the disk")
        });
    });
    group.finish();
}

criterion_group!(benches, reads, writes);
criterion_main!(benches);
