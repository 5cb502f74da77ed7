//! Going through plain entries of a block as fast as their bytes come.
//!
//! Who has counted them (`stretch.rs`) knows what else they say. So all that is left of a step is where the
//! entry ends, and its key; a few numbers that are worked out once for all of them tell that.

use super::{DIGEST_BYTES, Layout, layout::Row};
use crate::{Entry, EntryKind, near::approach};
use annals_disk::prefetch;

/// So many bytes behind an entry are asked for when it is come to: what the processor fetches by itself
/// ends where a page does.
const AHEAD_BYTES: usize = 512;

/// A place among plain entries of a block, whose keys are equally long. The block's bytes are given with
/// each call.
#[derive(Debug)]
pub(crate) struct Strip {
    /// So many entries are to come.
    left: usize,
    at: usize,
    key: Vec<u8>,
    /// Where in the key the tail begins.
    tail: usize,
    /// Where the value begins, and where it ends and the next entry begins.
    value: usize,
    end: usize,
    /// Bytes of the part of the key that is in no digest.
    rest_len: usize,
    /// Bytes of each entry; 0 if they have to be asked for.
    stride: usize,
    kind: EntryKind,
    layout: Layout,
}

impl Default for Strip {
    /// A place nowhere: nothing follows it.
    fn default() -> Self {
        let (left, at, tail, value, end, rest_len, stride) = (0, 0, 0, 0, 0, 0, 0);
        let (key, kind, layout) = (Vec::new(), EntryKind::Put, Layout::default());
        Self { left, at, key, tail, value, end, rest_len, stride, kind, layout }
    }
}

impl Strip {
    /// Goes to the entry at `at` of another block, which is `row` with `key`, and behind which `left` plain
    /// ones are known to be. `false`, and the place is nowhere, if the block's keys are not equally long, or
    /// not all of its entries are of one kind. The key is taken: [`leave`](Self::leave) gives
    /// back that of the place.
    pub(crate) fn place(
        &mut self,
        layout: &Layout,
        at: usize,
        row: &Row,
        key: &mut Vec<u8>,
        left: usize,
    ) -> bool {
        self.left = 0;
        let tail_len = layout.tail_len_of_all();
        let Some(tail_len) = tail_len.filter(|_| layout.has_one_kind() && layout.seqs_fit()) else {
            return false;
        };
        std::mem::swap(&mut self.key, key);
        (self.left, self.at, self.tail) = (left, at, layout.prefix_len());
        self.rest_len = tail_len.saturating_sub(DIGEST_BYTES);
        self.stride = layout.stride_of_all();
        (self.value, self.end) = (row.value.start, row.value.end);
        (self.kind, self.layout) = (row.kind, *layout);
        true
    }

    /// Ends at the place: gives back its key.
    pub(crate) fn leave(&mut self, key: &mut Vec<u8>) {
        self.left = 0;
        std::mem::swap(&mut self.key, key);
    }

    /// Asks for what comes next to be brought closer.
    #[inline]
    pub(crate) fn approach(&self, block: &[u8]) {
        let next = block.get(self.end..).unwrap_or_default();
        approach(next.get(..AHEAD_BYTES).unwrap_or(next));
    }

    /// Where it is in the block.
    #[inline]
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Goes one entry on. `false`: the place is the same as before; all were come to, or the next one has the
    /// same key, or the bytes contradict themselves.
    #[inline(always)]
    pub(crate) fn step(&mut self, block: &[u8]) -> bool {
        if self.left == 0 {
            return false;
        }
        if self.try_step(block).is_none() {
            self.left = 0;
            return false;
        }
        self.left -= 1;
        self.at += 1;
        true
    }

    #[inline(always)]
    fn try_step(&mut self, block: &[u8]) -> Option<()> {
        let at = self.at + 1;
        let digest = self.layout.digest(block, at)?;
        let end = match self.stride {
            0 => self.layout.end_behind(block, at, self.end)?,
            stride => self.end.checked_add(stride)?,
        };
        let value = self.end.checked_add(self.rest_len)?;
        let rest = block.get(self.end..value)?;
        if value > end || end > block.len() {
            return None;
        }
        prefetch(block.as_ptr().wrapping_add(end + AHEAD_BYTES));
        let tail = self.key.get_mut(self.tail..)?;
        let is_other = match tail.split_first_chunk_mut() {
            Some((first, behind)) if behind.len() == rest.len() => {
                let is_other = std::mem::replace(first, digest) != digest;
                exchange(behind, rest) | is_other
            }
            Some(_) => return None,
            None => exchange(tail, digest.get(..tail.len())?),
        };
        (self.value, self.end) = if is_other { (value, end) } else { return None };
        Some(())
    }

    /// Whether all entries are puts.
    #[inline(always)]
    pub(crate) fn has_puts(&self) -> bool {
        self.kind == EntryKind::Put
    }

    /// Key and value at the place, which [`step`](Self::step) has found to be in the block.
    #[inline(always)]
    pub(crate) fn put<'a>(&'a self, block: &'a [u8]) -> (&'a [u8], &'a [u8]) {
        (&self.key, block.get(self.value..self.end).unwrap_or_default())
    }

    /// The entry at the place.
    #[inline(always)]
    pub(crate) fn entry<'a>(&'a self, block: &'a [u8]) -> Option<Entry<'a>> {
        Some(Entry {
            key: &self.key,
            // It fits: `place` has seen to that. Whoever does not ask for it does not pay for it so.
            seq: self.layout.seq(block, self.at).unwrap_or_default(),
            kind: self.kind,
            expires_ms: None,
            value: block.get(self.value..self.end)?,
        })
    }
}

/// Puts `from` in the place of `to`, which is as long, and tells whether they differ.
#[inline(always)]
fn exchange(to: &mut [u8], from: &[u8]) -> bool {
    if from.is_empty() {
        return false;
    }
    if let Some(differ) = exchange_ends::<8>(to, from) {
        return differ;
    }
    if let Some(differ) = exchange_ends::<4>(to, from) {
        return differ;
    }
    exchange_all(to, from)
}

#[inline(never)]
fn exchange_all(to: &mut [u8], from: &[u8]) -> bool {
    let differ = to != from;
    to.copy_from_slice(from);
    differ
}

/// The same for so few bytes that two pieces, which may overlap, have them all: that spares the calls that are
/// made for lengths which nobody knows.
#[inline(always)]
fn exchange_ends<const N: usize>(to: &mut [u8], from: &[u8]) -> Option<bool> {
    if from.len() > 2 * N {
        return None;
    }
    let (first, last) = (*from.first_chunk::<N>()?, *from.last_chunk::<N>()?);
    let (first_before, last_before) = (*to.first_chunk::<N>()?, *to.last_chunk::<N>()?);
    *to.first_chunk_mut()? = first;
    *to.last_chunk_mut()? = last;
    Some((first != first_before) | (last != last_before))
}
