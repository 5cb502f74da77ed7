//! Entry points for fuzz targets and property tests: each takes any bytes, decodes them, and
//! asserts what must hold of whatever comes out. None of it is for users.

use crate::{catalog::Change, checkpoint};

/// A record of the catalog.
pub fn catalog(bytes: &[u8]) {
    if let Some(change) = Change::decode(bytes) {
        assert_eq!(change.encode(), bytes, "what decodes encodes the same");
    }
}

/// Records of the catalog that are right, for mutations to start from.
#[must_use]
pub fn sample_changes() -> Vec<Vec<u8>> {
    let (kind, options) = Default::default();
    let create = Change::Create { id: 7, name: "sessions".into(), kind, options };
    let renew = Change::Renew { id: 7, tree: 8 };
    [create, Change::Drop { id: 7 }, Change::Clear { id: 7 }, renew].map(|c| c.encode()).to_vec()
}

/// A checkpoint file.
pub fn checkpoint(bytes: &[u8]) {
    check(bytes);
    let mut mended = bytes.to_vec();
    checkpoint::mend(&mut mended);
    check(&mended);
}

fn check(bytes: &[u8]) {
    let number = |at: usize| {
        let raw = bytes.get(at..at + 8).and_then(|raw| raw.try_into().ok());
        raw.map_or(0, u64::from_le_bytes)
    };
    let slots: Vec<u32> = (0..16).collect();
    if let Ok(loaded) = checkpoint::read(bytes, number(16), number(24), &slots) {
        let keys: usize = loaded.catalog.iter().map(|listed| listed.view.table.len()).sum();
        assert!(keys <= bytes.len(), "each key has its bytes in the file");
    }
}
