//! Where in a block's bytes what is, and reading it.

use super::{DIGEST_BYTES, HEAD_BYTES, Lengths, code};
use crate::{
    EntryKind,
    near::approach,
    number::{low_bytes, u16_at, u32_at, u64_at, uint_at},
};
use std::ops::Range;

/// How much of an entry is fetched at once.
const APPROACHED_BYTES: usize = 256;

/// Where the columns of a block are, as byte offsets in it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Layout {
    // All columns begin less than 2^22 bytes into a block. Narrow, for layouts are handed around.
    count: u32,
    prefix: u32,
    digests: u32,
    tails: u32,
    codes: u32,
    seqs: u32,
    expiries: u32,
    ends: u32,
    data: u32,
    tail_len: u32,
    stride: u32,
    modes: u8,
    seq_width: u8,
    expiry_width: u8,
    seq_base: u64,
    expiry_base: u64,
}

/// An entry of a block but for the bytes of its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// The sequence number.
    pub(crate) seq: u64,
    /// What it says about its key.
    pub(crate) kind: EntryKind,
    /// When it expires.
    pub(crate) expires_ms: Option<u64>,
    /// Where the value is in the block.
    pub(crate) value: Range<usize>,
}

impl Layout {
    /// The layout of a block; `None` if its head contradicts itself or its columns do not fit. What
    /// the columns say is checked where it is read.
    #[inline(always)]
    pub(crate) fn of(block: &[u8]) -> Option<Self> {
        let count = u32::from(u16_at(block, 0)?);
        let prefix_len = u32::from(u16_at(block, 2)?);
        let (modes, widths) = (*block.get(4)?, *block.get(5)?);
        let bases = u16_at(block, 6)?;
        let (tails_kept, ends_kept) = (Lengths::from_bits(modes)?, Lengths::from_bits(modes >> 2)?);
        let (seq_width, expiry_width) = (widths & 15, widths >> 4);
        if count == 0 || bases > 3 || seq_width > 8 || expiry_width > 8 {
            return None;
        }
        let mut at = HEAD_BYTES;
        let mut base = |is_there: bool| -> Option<u64> {
            if !is_there {
                return Some(0);
            }
            at += 8;
            u64_at(block, at - 8)
        };
        let (seq_base, expiry_base) = (base(bases & 1 != 0)?, base(bases & 2 != 0)?);
        let prefix = at as u32;
        let digests = prefix + prefix_len;
        let tails = digests + DIGEST_BYTES as u32 * count;
        let codes = tails
            + match tails_kept {
                Lengths::Same => 0,
                Lengths::Narrow => count,
                Lengths::Wide => 4 * count,
            };
        let seqs = codes + if modes & 0x10 != 0 { count } else { 0 };
        let expiries = seqs + u32::from(seq_width) * count;
        let ends = expiries + u32::from(expiry_width) * count;
        let data = ends
            + match ends_kept {
                Lengths::Same => 0,
                Lengths::Narrow => 2 * count,
                Lengths::Wide => 4 * count,
            };
        let (tail_len, stride) = (u32_at(block, 8)?, u32_at(block, 12)?);
        (data as usize <= block.len()).then_some(Self {
            count,
            prefix,
            digests,
            tails,
            codes,
            seqs,
            expiries,
            ends,
            data,
            modes,
            seq_width,
            expiry_width,
            tail_len,
            stride,
            seq_base,
            expiry_base,
        })
    }

    /// How many entries there are; at least one.
    #[inline(always)]
    pub(crate) fn count(&self) -> usize {
        self.count as usize
    }

    /// How long the part is that all keys begin with.
    #[inline(always)]
    pub(super) fn prefix_len(&self) -> usize {
        (self.digests - self.prefix) as usize
    }

    /// The first eight bytes from the prefix on, whatever they are.
    #[inline(always)]
    pub(super) fn prefix_word(&self, block: &[u8]) -> Option<u64> {
        u64_at(block, self.prefix as usize)
    }

    /// What all keys begin with.
    #[inline(always)]
    pub(crate) fn prefix<'a>(&self, block: &'a [u8]) -> &'a [u8] {
        block.get(self.prefix as usize..self.digests as usize).unwrap_or_default()
    }

    /// The column of digests.
    #[inline(always)]
    pub(super) fn digests<'a>(&self, block: &'a [u8]) -> &'a [[u8; DIGEST_BYTES]] {
        block.get(self.digests as usize..self.tails as usize).unwrap_or_default().as_chunks().0
    }

    /// How long the tail of an entry is.
    #[inline(always)]
    pub(super) fn tail_len(&self, block: &[u8], at: usize) -> Option<usize> {
        match self.modes & 3 {
            0 => Some(self.tail_len as usize),
            1 => block.get(self.tails as usize + at).copied().map(usize::from),
            _ => u32_at(block, self.tails as usize + 4 * at).map(|len| len as usize),
        }
    }

    /// How long the tails are, if they are known to be equally long.
    pub(super) fn tail_len_of_all(&self) -> Option<usize> {
        (self.modes & 3 == 0).then_some(self.tail_len as usize)
    }

    /// The first bytes of the tail of an entry that has so many.
    #[inline(always)]
    pub(super) fn digest(&self, block: &[u8], at: usize) -> Option<[u8; DIGEST_BYTES]> {
        Some(u32_at(block, self.digests as usize + DIGEST_BYTES * at)?.to_be_bytes())
    }

    /// Whether all entries have a number, whatever their column says.
    pub(super) fn seqs_fit(&self) -> bool {
        self.seq_base.checked_add(low_bytes(self.seq_width.into())).is_some()
    }

    /// The sequence number of an entry.
    #[inline(always)]
    pub(crate) fn seq(&self, block: &[u8], at: usize) -> Option<u64> {
        if self.seq_width == 0 {
            return Some(self.seq_base);
        }
        let width = usize::from(self.seq_width);
        let number = uint_at(block, self.seqs as usize + width * at, width)?;
        self.seq_base.checked_add(number)
    }

    /// The column of codes, if there is one.
    #[inline(always)]
    pub(super) fn codes<'a>(&self, block: &'a [u8]) -> Option<&'a [u8]> {
        let is_there = self.modes & 0x10 != 0;
        is_there.then(|| block.get(self.codes as usize..self.seqs as usize).unwrap_or_default())
    }

    /// The code of all entries, where there is no column of them.
    #[inline(always)]
    pub(super) fn code_of_all(&self) -> u8 {
        self.modes >> 5
    }

    /// Whether what it says of all entries is of which kind they are, and that they never expire.
    pub(super) fn has_one_kind(&self) -> bool {
        self.modes & 0x10 == 0 && self.code_of_all() & code::EXPIRES == 0
    }

    #[inline(always)]
    fn code(&self, block: &[u8], at: usize) -> Option<u8> {
        match self.codes(block) {
            None => Some(self.code_of_all()),
            Some(codes) => codes.get(at).copied(),
        }
    }

    #[cold]
    fn expiry(&self, block: &[u8], at: usize) -> Option<u64> {
        let width = usize::from(self.expiry_width);
        let number = uint_at(block, self.expiries as usize + width * at, width)?;
        self.expiry_base.checked_add(number)
    }

    /// Where rest and value of an entry are.
    #[inline(always)]
    fn bounds(&self, block: &[u8], at: usize) -> Option<Range<usize>> {
        let end_of = |at: usize| match (self.modes >> 2) & 3 {
            1 => u16_at(block, self.ends as usize + 2 * at).map(usize::from),
            _ => u32_at(block, self.ends as usize + 4 * at).map(|end| end as usize),
        };
        let (start, end) = if (self.modes >> 2) & 3 == 0 {
            let start = (self.stride as usize).checked_mul(at)?;
            (start, start.checked_add(self.stride as usize)?)
        } else {
            (if at == 0 { 0 } else { end_of(at - 1)? }, end_of(at)?)
        };
        let data = self.data as usize;
        let range = data.checked_add(start)?..data.checked_add(end)?;
        (range.start <= range.end && range.end <= block.len()).then_some(range)
    }

    /// How many bytes each entry has, as far as all are known to have as many; else 0.
    pub(super) fn stride_of_all(&self) -> usize {
        if (self.modes >> 2) & 3 == 0 { self.stride as usize } else { 0 }
    }

    /// Where the value of an entry ends, that of the one before it ends at `end`.
    #[inline(always)]
    pub(super) fn end_behind(&self, block: &[u8], at: usize, end: usize) -> Option<usize> {
        let told = match (self.modes >> 2) & 3 {
            0 => return end.checked_add(self.stride as usize),
            1 => usize::from(u16_at(block, self.ends as usize + 2 * at)?),
            _ => u32_at(block, self.ends as usize + 4 * at)? as usize,
        };
        told.checked_add(self.data as usize)
    }

    /// Brings rest and value of an entry closer to the processor, as far as they are short.
    #[inline(always)]
    pub(super) fn approach(&self, block: &[u8], at: usize) {
        let bytes = self.bounds(block, at).and_then(|bounds| block.get(bounds));
        let bytes = bytes.unwrap_or_default();
        approach(bytes.get(..APPROACHED_BYTES).unwrap_or(bytes));
    }

    /// Where the rest of an entry's tail and its value are.
    #[inline(always)]
    fn parts(&self, block: &[u8], at: usize) -> Option<(usize, Range<usize>, Range<usize>)> {
        let tail_len = self.tail_len(block, at)?;
        let bounds = self.bounds(block, at)?;
        let value = bounds.start.checked_add(tail_len.saturating_sub(DIGEST_BYTES))?;
        if value > bounds.end {
            return None;
        }
        Some((tail_len, bounds.start..value, value..bounds.end))
    }

    /// The length of an entry's tail, and what of it is not in the digest.
    #[inline(always)]
    pub(super) fn rest<'a>(&self, block: &'a [u8], at: usize) -> Option<(usize, &'a [u8])> {
        let (tail_len, rest, _) = self.parts(block, at)?;
        Some((tail_len, block.get(rest)?))
    }

    #[inline(always)]
    fn row_of(&self, block: &[u8], at: usize, value: Range<usize>) -> Option<Row> {
        let code = self.code(block, at)?;
        let expires_ms =
            if code & code::EXPIRES == 0 { None } else { Some(self.expiry(block, at)?) };
        Some(Row { seq: self.seq(block, at)?, kind: code::kind(code)?, expires_ms, value })
    }

    /// An entry but for its key.
    #[inline]
    pub(crate) fn row(&self, block: &[u8], at: usize) -> Option<Row> {
        if at >= self.count() {
            return None;
        }
        let (_, _, value) = self.parts(block, at)?;
        self.row_of(block, at, value)
    }

    /// The value of an entry.
    #[inline]
    pub(crate) fn value<'a>(&self, block: &'a [u8], at: usize) -> Option<&'a [u8]> {
        if at >= self.count() {
            return None;
        }
        block.get(self.parts(block, at)?.2)
    }

    /// An entry whose key takes the place of what `key` has behind the block's prefix, which the
    /// caller has put there.
    #[inline]
    pub(crate) fn read(&self, block: &[u8], at: usize, key: &mut Vec<u8>) -> Option<Row> {
        if at >= self.count() {
            return None;
        }
        let (tail_len, rest, value) = self.parts(block, at)?;
        let digest = u32_at(block, self.digests as usize + DIGEST_BYTES * at)?.to_be_bytes();
        let (start, rest) = (self.prefix_len(), block.get(rest)?);
        if key.len() == start + DIGEST_BYTES + rest.len() && tail_len >= DIGEST_BYTES {
            // Most keys of a block are equally long.
            let (first, behind) = key.get_mut(start..)?.split_first_chunk_mut()?;
            *first = digest;
            copy(behind, rest);
        } else {
            key.truncate(start);
            key.extend_from_slice(&digest);
            key.extend_from_slice(rest);
            key.truncate(start + tail_len);
        }
        self.row_of(block, at, value)
    }

    /// Whether everything in the block agrees: sizes, kinds, and the order of the entries.
    pub(crate) fn is_sound(&self, block: &[u8]) -> bool {
        let (mut key, mut before) = (self.prefix(block).to_vec(), Vec::new());
        let (mut end, mut seq_before) = (self.data as usize, None);
        for at in 0..self.count() {
            let Some(row) = self.read(block, at, &mut key) else { return false };
            if !self.is_filled_up(block, at) {
                return false;
            }
            if let Some(seq) = seq_before
                && (before.cmp(&key)).then(row.seq.cmp(&seq)) != std::cmp::Ordering::Less
            {
                return false;
            }
            seq_before = Some(row.seq);
            before.clone_from(&key);
            end = row.value.end;
        }
        end == block.len()
    }

    /// Whether the digest of a tail that is shorter is filled up with zeroes: a search compares all of it.
    fn is_filled_up(&self, block: &[u8], at: usize) -> bool {
        let (Some(tail_len), Some(digest)) =
            (self.tail_len(block, at), u32_at(block, self.digests as usize + DIGEST_BYTES * at))
        else {
            return false;
        };
        let behind = digest.to_be_bytes();
        behind.get(tail_len..).unwrap_or_default().iter().all(|byte| *byte == 0)
    }
}

/// Copies between slices of the same length. A few bytes are copied as two pieces that overlap, which
/// spares the call that a copy of a length nobody knows would be.
#[inline(always)]
fn copy(to: &mut [u8], from: &[u8]) {
    const PIECE: usize = 8;
    if (PIECE..=2 * PIECE).contains(&from.len())
        && let (Some(first), Some(last)) = (from.first_chunk::<PIECE>(), from.last_chunk::<PIECE>())
        && let Some(place) = to.first_chunk_mut()
    {
        *place = *first;
        if let Some(place) = to.last_chunk_mut() {
            *place = *last;
        }
        return;
    }
    to.copy_from_slice(from);
}
