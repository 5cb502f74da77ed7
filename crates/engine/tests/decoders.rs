//! The fuzz targets' bodies as property tests: random bytes and mutations of right ones.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod sample;

use annals_engine::fuzzing;
use proptest::prelude::*;

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
    }

    #[test]
    fn mutated_changes(which in 0usize..3, at in 0usize..32, value in any::<u8>(), keep in 0usize..40) {
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
    let right = image.remove(&name);
    let change = (0..right.len(), any::<u8>());
    let strategy = (prop::collection::vec(change, 1..5), 0..right.len() * 3);
    let mut runner = prop::test_runner::TestRunner::new(cases(10_000));
    runner
        .run(&strategy, |(changes, keep)| {
            let mut bytes = right.clone();
            for (at, value) in changes {
                bytes[at] = value;
            }
            bytes.truncate(keep);
            fuzzing::checkpoint(&bytes);
            Ok(())
        })
        .unwrap();
}
