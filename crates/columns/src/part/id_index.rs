//! Which rows may have an id: its hash chooses a bucket, and of each row in there a few bits of its hash are kept.
//!
//! What is found has to be compared with the row's id; what is not found is not there.

use crate::{
    kernels,
    number::{u32_at, u64_at},
};
use std::ops::Range;

const HEAD_BYTES: usize = 8;
/// Rows of a bucket, on average.
const BUCKET_ROWS: usize = 16;
/// Bits of the hash that are kept.
const TAG_BITS: u32 = 12;
/// What memory is asked for at a time.
const LINE_BYTES: usize = 64;
/// Behind the last row: a reader of it may look at so many bytes more.
const SLACK_BYTES: usize = 8;

/// Which rows may have an id.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IdIndex<'p> {
    starts: &'p [[u8; 4]],
    rows: &'p [u8],
    row_bits: u32,
}

fn bucket_of(hash: u64, buckets_count: usize) -> usize {
    (((hash >> 32) * buckets_count as u64) >> 32) as usize
}

fn tag_of(hash: u64) -> u64 {
    hash & ((1 << TAG_BITS) - 1)
}

impl<'p> IdIndex<'p> {
    /// An index; `None` if there is none.
    #[inline]
    pub(crate) fn new(bytes: &'p [u8]) -> Option<Self> {
        let buckets_count = u32_at(bytes, 0)? as usize;
        let row_bits = u32::from(*bytes.get(4)?);
        let (starts, _) = bytes.get(HEAD_BYTES..)?.as_chunks::<4>();
        let starts = starts.get(..buckets_count.checked_add(1)?)?;
        let rows = bytes.get(HEAD_BYTES + 4 * starts.len()..)?;
        (buckets_count > 0 && row_bits <= 32).then_some(Self { starts, rows, row_bits })
    }

    /// Asks for what tells the bucket of this hash.
    #[inline]
    pub(crate) fn ask_for_bucket(&self, hash: u64) {
        let bucket = bucket_of(hash, self.starts.len() - 1);
        kernels::ask_for(self.starts.as_flattened(), 4 * bucket);
    }

    /// Which entries are in the bucket of this hash.
    #[inline]
    pub(crate) fn bucket(&self, hash: u64) -> Range<u32> {
        let bucket = bucket_of(hash, self.starts.len() - 1);
        u32::from_le_bytes(self.starts[bucket])..u32::from_le_bytes(self.starts[bucket + 1])
    }

    /// Asks for these entries, as far as a bucket has usually.
    #[inline]
    pub(crate) fn ask_for(&self, bucket: &Range<u32>) {
        let byte = |at: u32| at as usize * (TAG_BITS + self.row_bits) as usize / 8;
        let (first, last) = (byte(bucket.start), byte(bucket.end));
        kernels::ask_for(self.rows, first);
        kernels::ask_for(self.rows, last.min(first + LINE_BYTES));
        kernels::ask_for(self.rows, last);
    }

    /// The rows of a bucket that may have an id of this hash, the last first.
    #[inline]
    pub(crate) fn candidates(
        &self,
        hash: u64,
        bucket: Range<u32>,
    ) -> impl Iterator<Item = u32> + use<'p> {
        let (rows, row_bits) = (self.rows, self.row_bits);
        bucket
            .rev()
            .map_while(move |at| entry(rows, row_bits, at as usize))
            .filter_map(move |(tag, row)| (tag == tag_of(hash)).then_some(row))
    }
}

#[inline(always)]
fn entry(rows: &[u8], row_bits: u32, at: usize) -> Option<(u64, u32)> {
    let bit = at * (TAG_BITS + row_bits) as usize;
    let word = u64_at(rows, bit / 8)? >> (bit % 8);
    Some((word >> row_bits & ((1 << TAG_BITS) - 1), (word & ((1 << row_bits) - 1)) as u32))
}

/// Appends an index of rows with the hashes of their ids, for a part of so many rows.
pub(crate) fn encode(mut hashes: Vec<(u64, u32)>, rows_count: usize, out: &mut Vec<u8>) {
    let buckets_count = hashes.len().div_ceil(BUCKET_ROWS).max(1);
    let row_bits = usize::BITS - rows_count.saturating_sub(1).leading_zeros();
    hashes.sort_unstable_by_key(|(hash, row)| (bucket_of(*hash, buckets_count), *row));
    out.extend_from_slice(&(buckets_count as u32).to_le_bytes());
    out.extend([row_bits as u8, TAG_BITS as u8, 0, 0]);
    for bucket in 0..=buckets_count {
        let start = hashes.partition_point(|(hash, _)| bucket_of(*hash, buckets_count) < bucket);
        out.extend_from_slice(&(start as u32).to_le_bytes());
    }
    let (mut word, mut filled) = (0u128, 0);
    for (hash, row) in hashes {
        word |= u128::from(tag_of(hash) << row_bits | u64::from(row)) << filled;
        filled += TAG_BITS + row_bits;
        while filled >= 8 {
            out.push(word as u8);
            (word, filled) = (word >> 8, filled - 8);
        }
    }
    out.push(word as u8);
    out.resize(out.len() + SLACK_BYTES, 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(index: &IdIndex<'_>, hash: u64) -> Vec<u32> {
        let bucket = index.bucket(hash);
        index.ask_for_bucket(hash);
        index.ask_for(&bucket);
        index.candidates(hash, bucket).collect()
    }

    #[test]
    fn each_row_is_found_the_last_of_equal_ids_first_and_few_others() {
        let hash = |n: u64| super::super::filter::hash(7, &n.to_string());
        for count in [0u32, 1, 2, 255, 256, 257, 70_000] {
            let hashes = (0..count).map(|row| (hash(u64::from(row / 2)), row)).collect();
            let mut bytes = Vec::new();
            encode(hashes, count as usize, &mut bytes);
            let index = IdIndex::new(&bytes).expect("an index");
            for row in 0..count {
                let found: Vec<u32> = found(&index, hash(u64::from(row / 2)));
                assert!(
                    found.contains(&row) && found.is_sorted_by(|a, b| a > b),
                    "{row} {found:?}"
                );
            }
            let others: usize = (0..1_000).map(|n| found(&index, hash(n + 1_000_000)).len()).sum();
            assert!(others < 30, "{others}");
            for len in 0..bytes.len().min(300) {
                if let Some(cut) = IdIndex::new(&bytes[..len]) {
                    let _ = found(&cut, hash(0)).len();
                }
            }
        }
    }
}
