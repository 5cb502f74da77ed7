//! The fuzz target's body as a property test: random bytes and mutations of right ones.

use annals_ordered::fuzzing;
use proptest::prelude::*;

/// Right bytes with a few of them changed, or cut, or lengthened.
fn mutated(right: Vec<u8>) -> impl Strategy<Value = Vec<u8>> {
    let len = right.len();
    let changes = prop::collection::vec((0..len, any::<u8>()), 0..6);
    (changes, 0..len * 2).prop_map(move |(changes, keep)| {
        let mut bytes = right.clone();
        for (at, value) in changes {
            bytes[at] = value;
        }
        if keep < len && keep.is_multiple_of(3) {
            bytes.truncate(keep);
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 4_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn random_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        fuzzing::manifest(&bytes);
    }

    #[test]
    fn mutated_manifests(bytes in mutated(fuzzing::sample_manifest())) {
        fuzzing::manifest(&bytes);
    }

    #[test]
    fn mutated_items(bytes in mutated(fuzzing::sample_items())) {
        fuzzing::manifest(&bytes);
    }
}

#[test]
fn the_sample_is_one() {
    fuzzing::manifest(&fuzzing::sample_manifest());
    fuzzing::manifest(&fuzzing::sample_items());
}
