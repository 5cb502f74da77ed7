//! The fuzz targets' bodies as property tests: random bytes and mutations of right ones.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod sample;

use annals_disk::MemoryDisk;
use annals_engine::{ExpectedVersion, NewEvent, fuzzing};
use proptest::prelude::*;
use std::sync::Arc;

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..300)
}

fn cases(count: u32) -> ProptestConfig {
    ProptestConfig { cases: count, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(10_000))]

    #[test]
    fn random_bytes(bytes in any_bytes()) {
        fuzzing::catalog(&bytes);
        fuzzing::checkpoint(&bytes);
        fuzzing::event(&bytes);
        fuzzing::event_extra(&bytes);
        fuzzing::stream_key(&bytes);
        fuzzing::mark(&bytes);
        fuzzing::chain_head(&bytes);
    }

    #[test]
    fn random_labels(extra in prop::collection::vec(0u8..16, 0..160), end in prop::collection::vec(any::<u8>(), 0..30), flags in 0u8..0x40) {
        // Flags that are known, so that what stands in front of them is looked at.
        fuzzing::event(&[&extra[..], &end, &[flags]].concat());
        fuzzing::event_extra(&extra);
    }

    #[test]
    fn mutated_events(changes in prop::collection::vec((0usize..200, any::<u8>()), 0..4), cut in 0usize..200) {
        let mut bytes = fuzzing::sample_event();
        for (at, value) in changes {
            let len = bytes.len();
            bytes[at % len] = value;
        }
        fuzzing::event(&bytes);
        // Labels are read from behind: cut off in front.
        fuzzing::event(&bytes[cut.min(bytes.len())..]);
        fuzzing::event(&bytes[..cut.min(bytes.len())]);
    }

    #[test]
    fn random_stream_keys(tag in 0u8..5, id in prop::collection::vec(any::<u8>(), 0..20)) {
        fuzzing::stream_key(&[&[tag][..], &id].concat());
    }

    #[test]
    fn random_marks(flags in 0u8..5, numbers in prop::collection::vec(prop_oneof![0..9u64, any::<u64>()], 4)) {
        let numbers: Vec<u8> = numbers.into_iter().flat_map(u64::to_le_bytes).collect();
        fuzzing::mark(&[&[flags][..], &numbers].concat());
    }

    #[test]
    fn random_heads(text in "[0-9]{1,21}:[0-9a-fA-F]{63,65}") {
        fuzzing::chain_head(text.as_bytes());
    }

    #[test]
    fn mutated_changes(which in 0..fuzzing::sample_changes().len(), at in 0usize..32, value in any::<u8>(), keep in 0usize..40) {
        let mut bytes = fuzzing::sample_changes().swap_remove(which);
        if let Some(byte) = bytes.get_mut(at) {
            *byte = value;
        }
        bytes.truncate(keep);
        fuzzing::catalog(&bytes);
    }
}

#[test]
fn mutated_checkpoints() {
    let mut image = sample::closed().image;
    let name = image.names_with(".ckp").remove(0);
    mutate_checkpoint(&image.remove(&name));
}

/// A checkpoint with categories of streams: each has event types and four tables, of which one is of
/// events that were moved.
#[test]
fn mutated_checkpoints_of_streams() {
    let disk = MemoryDisk::new();
    let db = sample::builder().disk(Arc::new(disk.clone())).open(sample::DIR).unwrap();
    let (orders, churn) = (db.category("orders").unwrap(), db.hash_keyspace("churn").unwrap());
    db.category("empty").unwrap();
    for n in 0..100u8 {
        let of_type = if n.is_multiple_of(2) { "placed" } else { "paid" };
        let event = NewEvent::bytes(of_type, b"data").version(1 + u32::from(n % 3));
        let event = if n.is_multiple_of(3) { event.id(n.into()) } else { event };
        orders.append(u64::from(n % 5), &event, ExpectedVersion::Any).unwrap();
        churn.insert([n % 3], [n; 100]).unwrap();
        if n == 50 {
            db.compact().unwrap();
        }
    }
    db.checkpoint().unwrap();
    drop((orders, churn));
    drop(db);
    let mut image = sample::Image::read(&disk, std::path::Path::new(sample::DIR));
    let name = image.names_with(".ckp").remove(0);
    mutate_checkpoint(&image.remove(&name));
}

fn mutate_checkpoint(right: &[u8]) {
    fuzzing::checkpoint(right);
    let change = (0..right.len(), any::<u8>());
    let strategy = (prop::collection::vec(change, 1..5), 0..right.len() * 3);
    let mut runner = prop::test_runner::TestRunner::new(cases(10_000));
    runner
        .run(&strategy, |(changes, keep)| {
            let mut bytes = right.to_vec();
            for (at, value) in changes {
                bytes[at] = value;
            }
            bytes.truncate(keep);
            fuzzing::checkpoint(&bytes);
            Ok(())
        })
        .unwrap();
}
