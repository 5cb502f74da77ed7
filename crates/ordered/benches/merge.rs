//! Merges of memtables, and what a reader sees of them.

#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::unwrap_used, reason = "a measurement")]

use annals_ordered::{
    AsOf, Cursor, Entry, EntryKind, Error, MemtableWriter, Merge, RangeRemoval, Removals, Visible,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const KEYS: u64 = 200_000;

/// A run that is as quick as one can be, so that the merge is measured and not what it merges: sixteen
/// bytes of key, and always the same value.
#[derive(Clone)]
struct Quick {
    keys: Vec<[u8; 16]>,
    /// One more than the place.
    at: usize,
}

impl Quick {
    fn new(numbers: impl Iterator<Item = u64>) -> Self {
        let key = |n: u64| [*b"a prefix", n.to_be_bytes()].concat().try_into().unwrap();
        Self { keys: numbers.map(key).collect(), at: 0 }
    }
}

impl Cursor for Quick {
    fn entry(&self) -> Option<Entry<'_>> {
        let key = self.keys.get(self.at.wrapping_sub(1))?;
        Some(Entry { key, seq: 1, kind: EntryKind::Put, expires_ms: None, value: &[7; 100] })
    }

    fn to_first(&mut self) -> Result<(), Error> {
        self.at = 1;
        Ok(())
    }

    fn to_last(&mut self) -> Result<(), Error> {
        self.at = self.keys.len();
        Ok(())
    }

    fn seek(&mut self, key: &[u8], _: u64) -> Result<(), Error> {
        self.at = self.keys.partition_point(|its| its[..] < *key) + 1;
        Ok(())
    }

    fn seek_back(&mut self, key: &[u8], _: u64) -> Result<(), Error> {
        self.at = self.keys.partition_point(|its| its[..] <= *key);
        Ok(())
    }

    fn advance(&mut self) -> Result<(), Error> {
        self.at += 1;
        Ok(())
    }

    fn retreat(&mut self) -> Result<(), Error> {
        self.at = self.at.saturating_sub(1);
        Ok(())
    }
}

fn sum_of(cursor: &mut impl Cursor) -> u64 {
    cursor.to_first().unwrap();
    let mut sum = 0;
    while let Some(entry) = cursor.entry() {
        sum += u64::from(entry.key[15]) + u64::from(entry.value[0]);
        cursor.advance().unwrap();
    }
    sum
}

fn merge(c: &mut Criterion) {
    let mut group = c.benchmark_group("merge");
    group.throughput(Throughput::Elements(KEYS));
    group.bench_function("no merge, one run", |b| {
        let mut run = Quick::new(0..KEYS);
        b.iter(|| sum_of(&mut run));
    });
    group.bench_function("one run", |b| {
        let mut merge = Merge::new(vec![Quick::new(0..KEYS)]);
        b.iter(|| sum_of(&mut merge));
    });
    for runs in [2, 4, 8] {
        group.bench_function(format!("{runs} runs side by side"), |b| {
            let each = KEYS / runs;
            let run = |run| Quick::new(run * each..(run + 1) * each);
            let mut merge = Merge::new((0..runs).map(run).collect());
            b.iter(|| sum_of(&mut merge));
        });
        group.bench_function(format!("{runs} runs that alternate"), |b| {
            let run = |run| Quick::new((run..KEYS).step_by(runs as usize));
            let mut merge = Merge::new((0..runs).map(run).collect());
            b.iter(|| sum_of(&mut merge));
        });
    }
    let as_of = AsOf { seq: 9, now_ms: 0 };
    let removals: Removals = [RangeRemoval::new(b"b", b"c", 5)].into_iter().collect();
    for (name, removals) in [("", Removals::default()), (", with range removals", removals)] {
        let merge = Merge::new(vec![Quick::new(0..KEYS)]);
        let mut visible = Visible::new(merge, removals, as_of, b"a", Some(b"b"));
        group.bench_function(format!("visible, one run{name}"), |b| {
            b.iter(|| {
                visible.to_first().unwrap();
                let mut sum = 0;
                while let Some(entry) = visible.entry() {
                    sum += u64::from(entry.key[15]);
                    visible.advance().unwrap();
                }
                sum
            });
        });
        group.bench_function(format!("visible back, one run{name}"), |b| {
            b.iter(|| {
                visible.to_last().unwrap();
                let mut sum = 0;
                while let Some(entry) = visible.entry() {
                    sum += u64::from(entry.key[15]);
                    visible.retreat().unwrap();
                }
                sum
            });
        });
    }
    let mut writer = MemtableWriter::new();
    for n in 0..KEYS {
        let key = (n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_be_bytes();
        let kind = EntryKind::Put;
        writer.put(&Entry { key: &key, seq: n, kind, expires_ms: None, value: &[7; 100] });
    }
    group.bench_function("visible, one memtable", |b| {
        let merge = Merge::new(vec![writer.memtable().cursor()]);
        let as_of = AsOf { seq: KEYS, now_ms: 0 };
        let mut visible = Visible::new(merge, Removals::default(), as_of, &[], None);
        b.iter(|| {
            visible.to_first().unwrap();
            let mut sum = 0;
            while let Some(entry) = visible.entry() {
                sum += u64::from(entry.value[0]);
                visible.advance().unwrap();
            }
            sum
        });
    });
    group.finish();
}

criterion_group!(benches, merge);
criterion_main!(benches);
