//! The fuzz targets' bodies as property tests: random bytes and mutations of right ones. What must hold of them is
//! asserted by the bodies (`src/fuzzing.rs`).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use annals_columns::fuzzing;
use proptest::prelude::*;

fn cases(count: u32) -> ProptestConfig {
    ProptestConfig { cases: count, failure_persistence: None, ..ProptestConfig::default() }
}

/// Changes some bytes of `right` and cuts it off.
fn mutate(right: &[u8], check: impl Fn(&[u8])) {
    let count = if right.len() > 4_000 { 1_500 } else { 5_000 };
    check(right);
    let change = (0..right.len(), any::<u8>());
    let strategy = (prop::collection::vec(change, 1..5), 0..right.len() * 3);
    let mut runner = prop::test_runner::TestRunner::new(cases(count));
    runner
        .run(&strategy, |(changes, keep)| {
            let mut bytes = right.to_vec();
            for (at, value) in changes {
                bytes[at] = value;
            }
            bytes.truncate(keep);
            check(&bytes);
            Ok(())
        })
        .unwrap();
}

proptest! {
    #![proptest_config(cases(5_000))]

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        fuzzing::schema(&bytes);
        fuzzing::batch(&bytes);
        fuzzing::part(&bytes);
    }
}

#[test]
fn mutated_schemas() {
    mutate(&fuzzing::sample_schema().encode(), fuzzing::schema);
}

#[test]
fn mutated_batches() {
    let mut bytes = Vec::new();
    fuzzing::sample_batch().encode(&mut bytes);
    mutate(&bytes, fuzzing::batch);
}

#[test]
fn mutated_parts() {
    for rows in [1, 20, 300] {
        mutate(&fuzzing::sample_part(rows), fuzzing::part);
    }
}
