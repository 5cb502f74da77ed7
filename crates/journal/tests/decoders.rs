//! The fuzz targets' bodies as property tests: random bytes and mutations of right ones.

use annals_journal::fuzzing;
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

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..400)
}

fn cases(count: u32) -> ProptestConfig {
    ProptestConfig { cases: count, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(10_000))]

    #[test]
    fn random_bytes(bytes in any_bytes()) {
        fuzzing::varint(&bytes);
        fuzzing::record(&bytes);
        fuzzing::frame(&bytes);
        fuzzing::segment_header(&bytes);
        fuzzing::root(&bytes);
    }

    #[test]
    fn mutated_frames(bytes in mutated(fuzzing::sample_frame())) {
        fuzzing::frame(&bytes);
        fuzzing::record(&bytes[48.min(bytes.len())..]);
    }

    #[test]
    fn mutated_roots(bytes in mutated(fuzzing::sample_root())) {
        fuzzing::root(&bytes);
    }
}

proptest! {
    #![proptest_config(cases(1_000))]

    #[test]
    fn mutated_logs(bytes in mutated([fuzzing::sample_frame(), fuzzing::sample_frame()].concat())) {
        fuzzing::segment(&bytes);
    }
}
