//! The fuzz targets' bodies as property tests: random bytes and mutations of right ones.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use annals_ordered::{Compression, fuzzing};
use proptest::prelude::*;

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..300)
}

fn cases(count: u32) -> ProptestConfig {
    ProptestConfig { cases: count, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(5_000))]

    #[test]
    fn random_bytes(bytes in any_bytes()) {
        fuzzing::table(&bytes);
        fuzzing::table_block(&bytes);
        fuzzing::table_filter(&bytes);
        fuzzing::table_unpack(&bytes);
    }

    #[test]
    fn blocks_of_small_numbers(mut bytes in prop::collection::vec(0u8..6, 16..200), modes in any::<u8>()) {
        bytes[4] = modes;
        fuzzing::table_block(&bytes);
    }
}

#[test]
fn mutated_tables() {
    for compression in [Compression::None, Compression::Lz4, Compression::Zstd { level: 1 }] {
        let right = fuzzing::sample_table(compression);
        fuzzing::table(&right);
        let change = (0..right.len(), any::<u8>());
        let strategy = (prop::collection::vec(change, 1..5), 0..right.len() * 3);
        let mut runner = prop::test_runner::TestRunner::new(cases(3_000));
        runner
            .run(&strategy, |(changes, keep)| {
                let mut bytes = right.clone();
                for (at, value) in changes {
                    bytes[at] = value;
                }
                bytes.truncate(keep);
                fuzzing::table(&bytes);
                Ok(())
            })
            .unwrap();
    }
}

/// A digest of a short tail says more than the tail: found by the fuzzer.
#[test]
fn a_tail_that_is_not_filled_up_is_not_sound() {
    let head = [1, 0, 0, 0, 1, 0, 3, 0, 0, 0, 0, 0, 4, 0, 0, 0, 2, 0, 49, 61, 0, 0, 0, 0, 0, 0];
    let rest = [0, 0, 4, 0, 0, 0, 0, 0, 0, 174, 0, 0, 0, 2, 10];
    fuzzing::table_block(&[&head[..], &rest].concat());
}
