//! Appending frames to the log, and syncing each.

use annals_disk::RealDisk;
use annals_journal::{Config, Draft, Durability, FrameBuilder, Journal, Kind};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::sync::Arc;

fn append(journal: &Journal, frame: &mut FrameBuilder<'_>, durability: Durability) {
    frame.clear(1 << 20);
    let (key, value) = (&[1u8; 16][..], &[2u8; 100][..]);
    let draft = Draft { kind: Kind::Put, space: 1, key, value, expires_ms: None, aligned: false };
    frame.push(&draft).expect("a small record");
    let mut writer = journal.writer(frame.len_bytes(), 1).expect("room on the disk");
    let appended = writer.append(frame).expect("a mapped segment");
    writer.publish();
    drop(writer);
    journal.make_durable(appended.end, durability).expect("a device that syncs");
}

fn appends(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let disk = Arc::new(RealDisk::new());
    let journal = Journal::create(disk, &folder.path().join("log"), Config::default())
        .expect("a fresh folder");
    let mut frame = FrameBuilder::new();
    let mut group = criterion.benchmark_group("journal_append");
    group.throughput(Throughput::Elements(1));
    // Bounded: the log is never compacted here.
    group.sample_size(10).measurement_time(std::time::Duration::from_secs(1));
    group.bench_function("buffered", |bench| {
        bench.iter(|| append(&journal, &mut frame, Durability::Buffered));
    });
    group.bench_function("sync", |bench| {
        bench.iter(|| append(&journal, &mut frame, Durability::Sync));
    });
    group.finish();
}

criterion_group!(benches, appends);
criterion_main!(benches);
