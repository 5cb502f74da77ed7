//! Which rows of a part or of a fresh batch were deleted.

use annals_columns::RowSet;
use std::collections::BTreeSet;

/// Which rows of a part or of a fresh batch were deleted: a set of rows as its record has it.
#[derive(Debug)]
pub(super) struct DeletedRows {
    bytes: Vec<u8>,
}

impl DeletedRows {
    /// Those of a record; `None` if it makes no sense.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        RowSet::decode(bytes)?;
        Some(Self { bytes: bytes.to_vec() })
    }

    /// These, and those that were deleted before.
    pub(super) fn with(before: Option<&Self>, rows: impl IntoIterator<Item = u32>) -> Self {
        let mut all: BTreeSet<u32> = rows.into_iter().collect();
        all.extend(before.into_iter().flat_map(|before| before.set().rows()));
        let mut bytes = Vec::new();
        RowSet::encode(&all.into_iter().collect::<Vec<_>>(), &mut bytes);
        Self { bytes }
    }

    /// All rows below one, and those that were deleted before.
    pub(super) fn below(row: u32, before: Option<&Self>) -> Self {
        let before = before.into_iter().flat_map(|before| before.set().rows());
        let mut bytes = Vec::new();
        RowSet::encode_below(row, &before.filter(|at| *at >= row).collect::<Vec<_>>(), &mut bytes);
        Self { bytes }
    }

    pub(super) fn set(&self) -> RowSet<'_> {
        RowSet::decode(&self.bytes).expect("looked at when it was made")
    }

    /// The value of the record.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}
