//! A memtable by itself: a million versions with keys of 16 and values of 100 bytes go in one by one, are
//! looked for, and are gone through.

#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::unwrap_used, reason = "a measurement")]

use annals_ordered::{Cursor, Entry, EntryKind, MemtableWriter};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const VERSIONS: u64 = 1_000_000;

/// Each number once, in an order that looks like none.
fn scrambled(n: u64) -> u64 {
    let mut x = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x ^= x >> 32;
    x = x.wrapping_mul(0xd6e8_feb8_6659_fd93);
    x ^ x >> 32
}

#[derive(Clone, Copy)]
enum Keys {
    InOrder,
    Random,
    /// Random, behind twelve bytes that all have.
    Alike,
    /// One key again and again.
    One,
}

impl Keys {
    fn key(self, n: u64) -> [u8; 16] {
        let mut key = *b"a key of someone";
        match self {
            Self::InOrder => key[8..].copy_from_slice(&n.to_be_bytes()),
            Self::Random => {
                key[..8].copy_from_slice(&scrambled(n).to_be_bytes());
                key[8..].copy_from_slice(&scrambled(!n).to_be_bytes());
            }
            Self::Alike => key[12..].copy_from_slice(&(scrambled(n) as u32).to_be_bytes()),
            Self::One => {}
        }
        key
    }
}

fn entry<'a>(key: &'a [u8], seq: u64) -> Entry<'a> {
    Entry { key, seq, kind: EntryKind::Put, expires_ms: None, value: &[7; 100] }
}

fn filled(keys: Keys, versions: u64) -> MemtableWriter {
    let mut writer = MemtableWriter::new();
    for n in 0..versions {
        writer.put(&entry(&keys.key(n), n + 1));
    }
    writer
}

fn memtable(c: &mut Criterion) {
    let mut group = c.benchmark_group("memtable");
    group.sample_size(10);
    let all = [
        ("in order", Keys::InOrder),
        ("random", Keys::Random),
        ("alike", Keys::Alike),
        ("one key", Keys::One),
    ];
    group.throughput(Throughput::Elements(VERSIONS));
    for (name, keys) in all {
        group.bench_function(format!("put, {name}"), |b| {
            b.iter_batched(|| (), |()| filled(keys, VERSIONS), BatchSize::PerIteration);
        });
    }
    for (name, keys) in all {
        let writer = filled(keys, VERSIONS / 2);
        let memtable = writer.memtable();
        eprintln!("{memtable:?}: {} bytes of payload", memtable.payload_bytes());
        let mut n = 0;
        group.throughput(Throughput::Elements(1));
        group.bench_function(format!("find, {name}"), |b| {
            b.iter(|| {
                n += 1;
                let key = keys.key(scrambled(n) % (VERSIONS / 2));
                memtable.find(black_box(&key), u64::MAX).unwrap().value[0]
            });
        });
        group.bench_function(format!("find nothing, {name}"), |b| {
            b.iter(|| {
                n += 1;
                let mut key = keys.key(scrambled(n) % (VERSIONS / 2));
                key[15] ^= 0xa5;
                memtable.find(black_box(&key), 0).is_some()
            });
        });
        group.throughput(Throughput::Elements(VERSIONS / 2));
        group.bench_function(format!("scan, {name}"), |b| {
            let mut cursor = memtable.cursor();
            b.iter(|| {
                cursor.to_first().unwrap();
                let mut sum = 0;
                while let Some(entry) = cursor.entry() {
                    sum += u64::from(entry.value[0]) + u64::from(entry.key[15]);
                    cursor.advance().unwrap();
                }
                sum
            });
        });
        group.bench_function(format!("scan back, {name}"), |b| {
            let mut cursor = memtable.cursor();
            b.iter(|| {
                cursor.to_last().unwrap();
                let mut sum = 0;
                while let Some(entry) = cursor.entry() {
                    sum += u64::from(entry.value[0]) + u64::from(entry.key[15]);
                    cursor.retreat().unwrap();
                }
                sum
            });
        });
    }
    group.finish();
}

criterion_group!(benches, memtable);
criterion_main!(benches);
