//! The segments by slot, for readers that never wait.
//!
//! A reader that wants a record first counts itself in at the segment's slot, then loads the
//! pointer. Taking a segment away is the mirror image: clear the pointer, then wait until every
//! count was seen at zero. With both sides sequentially consistent, either the reader sees the
//! cleared pointer, or the remover sees the reader's count; a segment is therefore freed only when
//! nobody can reach it. Counts are striped by thread, each stripe on its own cache line, so that
//! readers on different cores do not slow each other down.

use crate::{
    Address, FrameView, Result, format::SEGMENT_HEADER_BYTES, record::Record, segment::Segment,
};
use std::{
    cell::Cell,
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicPtr, AtomicUsize, Ordering},
    },
};

const STRIPES: usize = 16;
const CHUNK_SLOTS: usize = 64;
const CHUNKS: usize = Address::SLOTS_MAX as usize / CHUNK_SLOTS;

#[derive(Default)]
#[repr(align(128))]
struct Stripe(AtomicUsize);

/// One slot: who reads, and what.
#[derive(Default)]
struct Place {
    readers: [Stripe; STRIPES],
    segment: AtomicPtr<Segment>,
    /// The first byte of the segment's memory, for prefetching only: it may be stale.
    base: AtomicPtr<u8>,
}

/// The segments by slot.
pub(crate) struct Segments {
    chunks: Box<[OnceLock<Box<[Place]>>]>,
}

impl fmt::Debug for Segments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segments").finish_non_exhaustive()
    }
}

thread_local! {
    static STRIPE: Cell<usize> = const { Cell::new(usize::MAX) };
}

/// The calling thread's stripe.
#[inline]
fn stripe() -> usize {
    STRIPE.with(|cell| {
        let known = cell.get();
        if known < STRIPES {
            return known;
        }
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let fresh = NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES;
        cell.set(fresh);
        fresh
    })
}

/// Keeps a segment, and so every slice of it, alive.
pub struct SegmentGuard<'a> {
    place: &'a Place,
    stripe: usize,
    segment: &'a Segment,
}

impl fmt::Debug for SegmentGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentGuard").field("file", &self.segment.region.path()).finish()
    }
}

impl Drop for SegmentGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        // Release: everything read through the guard happened before the count falls.
        self.place.readers[self.stripe].0.fetch_sub(1, Ordering::Release);
    }
}

impl SegmentGuard<'_> {
    pub(crate) fn segment(&self) -> &Segment {
        self.segment
    }

    /// The record at `offset` bytes into the segment, checked on first touch.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) if the bytes are not what was written.
    #[inline]
    pub fn record(&self, offset: u32) -> Result<Record<'_>> {
        Ok(self.segment.record(offset as usize)?.0)
    }

    /// The record at `offset` and its encoded length in bytes.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub fn record_with_len(&self, offset: u32) -> Result<(Record<'_>, u32)> {
        let (record, len) = self.segment.record(offset as usize)?;
        Ok((record, len as u32))
    }

    /// Where the first frame of the segment lies, for [`next_frame`](Self::next_frame).
    #[must_use]
    pub fn first_frame(&self) -> u32 {
        SEGMENT_HEADER_BYTES as u32
    }

    /// The frame at `offset`, checked whole, and moves `offset` behind it; `None` at the end of
    /// what is published.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) if the bytes are not what was written.
    pub fn next_frame(&self, offset: &mut u32) -> Result<Option<FrameView<'_>>> {
        if *offset as usize >= self.segment.published() {
            return Ok(None);
        }
        let frame = self.segment.frame(*offset as usize)?;
        *offset += frame.header().len;
        Ok(Some(frame))
    }

    /// Bytes of the segment that were published, by offset. Used with ranges that
    /// [`range_of`](Self::range_of) gave.
    #[inline]
    #[must_use]
    pub fn bytes(&self, start: u32, len: u32) -> &[u8] {
        self.segment.region.read(start as usize, len as usize)
    }

    /// Where `part`, a slice borrowed from this guard, lies in the segment.
    ///
    /// # Panics
    /// If `part` is not a slice of this segment.
    #[inline]
    #[must_use]
    pub fn range_of(&self, part: &[u8]) -> (u32, u32) {
        let base = self.segment.region.read(0, 0).as_ptr() as usize;
        let start = (part.as_ptr() as usize).wrapping_sub(base);
        assert!(start + part.len() <= self.segment.region.len(), "not a slice of this segment");
        (start as u32, part.len() as u32)
    }
}

impl Segments {
    pub(crate) fn new() -> Self {
        Self { chunks: std::iter::repeat_with(OnceLock::new).take(CHUNKS).collect() }
    }

    #[inline]
    fn place(&self, slot: u32) -> Option<&Place> {
        let slot = slot as usize;
        Some(&self.chunks.get(slot / CHUNK_SLOTS)?.get()?[slot % CHUNK_SLOTS])
    }

    /// Puts a segment into its empty slot.
    pub(crate) fn insert(&self, segment: &Arc<Segment>) {
        let slot = segment.slot as usize;
        let chunk = self.chunks[slot / CHUNK_SLOTS]
            .get_or_init(|| std::iter::repeat_with(Place::default).take(CHUNK_SLOTS).collect());
        let place = &chunk[slot % CHUNK_SLOTS];
        let raw = Arc::into_raw(Arc::clone(segment)).cast_mut();
        let before = place.segment.swap(raw, Ordering::SeqCst);
        assert!(before.is_null(), "slot {slot} is taken");
        place.base.store(segment.region.read(0, 0).as_ptr().cast_mut(), Ordering::Relaxed);
    }

    /// Counts the caller in at `slot`; `None` if no segment is there.
    #[inline]
    #[allow(unsafe_code, reason = "the count taken before the load keeps the pointee alive")]
    pub(crate) fn guard(&self, slot: u32) -> Option<SegmentGuard<'_>> {
        let place = self.place(slot)?;
        let stripe = stripe();
        place.readers[stripe].0.fetch_add(1, Ordering::SeqCst);
        let raw = place.segment.load(Ordering::SeqCst);
        if raw.is_null() {
            place.readers[stripe].0.fetch_sub(1, Ordering::Release);
            return None;
        }
        // SAFETY: the count was raised before the pointer was loaded, both sequentially
        // consistent, so `try_free` cannot have seen all counts at zero after the pointer was
        // taken out; the segment lives until the guard lowers the count.
        Some(SegmentGuard { place, stripe, segment: unsafe { &*raw } })
    }

    /// Brings the record at `address` closer. A hint, without counting in: the segment may go
    /// away meanwhile.
    #[inline]
    #[allow(unsafe_code, reason = "the prefetch instruction takes a raw pointer")]
    pub(crate) fn prefetch(&self, address: Address) {
        #[cfg(target_arch = "x86_64")]
        if let Some(place) = self.place(address.slot) {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            let at = place.base.load(Ordering::Relaxed).wrapping_add(address.offset as usize);
            // SAFETY: a prefetch reads nothing architecturally and never faults, whatever the
            // pointer; it is computed without leaving an allocation. SSE is part of x86-64.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(at.cast()) };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = address;
    }

    /// Takes a segment out: no new reader can reach it. Free it with [`try_free`](Self::try_free).
    pub(crate) fn remove(&self, slot: u32) -> Option<Removed> {
        let raw = self.place(slot)?.segment.swap(std::ptr::null_mut(), Ordering::SeqCst);
        (!raw.is_null()).then_some(Removed { raw, slot })
    }

    /// Frees a segment that was taken out, if no reader is left.
    #[allow(unsafe_code, reason = "the one place where a segment is freed")]
    pub(crate) fn try_free(&self, removed: Removed) -> Result<(), Removed> {
        let Some(place) = self.place(removed.slot) else { return Err(removed) };
        if place.readers.iter().any(|stripe| stripe.0.load(Ordering::SeqCst) != 0) {
            return Err(removed);
        }
        // SAFETY: the pointer came from `Arc::into_raw` in `insert` and was taken out of its slot
        // by `remove`, so the count it stands for is owned here. Every stripe was seen at zero
        // after that, so no reader that borrows through it is left.
        drop(unsafe { Arc::from_raw(removed.raw) });
        Ok(())
    }

    /// All segments, in the order of their slots.
    pub(crate) fn iter(&self) -> impl Iterator<Item = SegmentGuard<'_>> {
        (0..CHUNKS)
            .filter(|chunk| self.chunks[*chunk].get().is_some())
            .flat_map(|chunk| (0..CHUNK_SLOTS).map(move |slot| (chunk * CHUNK_SLOTS + slot) as u32))
            .filter_map(|slot| self.guard(slot))
    }
}

impl Drop for Segments {
    #[allow(unsafe_code, reason = "frees what `insert` made")]
    fn drop(&mut self) {
        for place in self.chunks.iter().filter_map(OnceLock::get).flat_map(|chunk| chunk.iter()) {
            let raw = place.segment.swap(std::ptr::null_mut(), Ordering::SeqCst);
            if !raw.is_null() {
                // SAFETY: `&mut self` says that no guard, which borrows `self`, is left; the
                // pointer stands for the count that `insert` took.
                drop(unsafe { Arc::from_raw(raw) });
            }
        }
    }
}

/// A segment that was taken out of its slot and is not freed yet. Dropping it without
/// [`Segments::try_free`] leaks the mapping, which is safe.
#[derive(Debug)]
pub(crate) struct Removed {
    raw: *mut Segment,
    pub(crate) slot: u32,
}

// SAFETY: the pointer is owned by this value and a `Segment` is `Send`; nothing is read through
// it on the way.
#[allow(unsafe_code, reason = "an owned pointer to a `Send` type")]
unsafe impl Send for Removed {}
