//! The segments by slot, for readers that never wait.
//!
//! A reader counts itself in at the segment's [place] before it loads the pointer; a segment that is
//! taken out is freed only when its place was seen without readers after that.
//!
//! Each thread has a counter of its own, by its [chair], and changes it with plain stores; threads
//! beyond those share one. A guard that is dropped by another thread than the one that made it is
//! counted apart, as gone abroad: the counters less those.

use crate::{
    Address, FrameView, Match, Result, Seq, chair,
    format::{FRAME_ALIGN, FRAME_HEADER_BYTES, SEGMENT_HEADER_BYTES},
    frame::FrameHeader,
    place,
    record::{self, Look, Record},
    segment::{Plain, Segment},
    value::ValueGuard,
};
use parking_lot::Mutex;
use std::{
    fmt,
    ptr::NonNull,
    sync::{Arc, OnceLock},
};

const CHUNK_SLOTS: usize = 64;
const CHUNKS: usize = Address::SLOTS_MAX as usize / CHUNK_SLOTS;

/// A slot for a segment.
pub(crate) type Place = place::Place<Segment>;

/// The segments by slot.
pub(crate) struct Segments {
    chunks: Box<[OnceLock<Box<[Place]>>]>,
    /// Taken out of their slots, waiting for their last reader.
    leaving: Mutex<Vec<Removed>>,
}

impl fmt::Debug for Segments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segments").finish_non_exhaustive()
    }
}

/// What one glance at a record told.
#[derive(Debug)]
pub enum Glance<'a> {
    /// It gives the key this value, for good, at this number.
    Value(ValueGuard<'a>, Seq),
    /// It is a record of another key.
    Other,
    /// A [look](SegmentGuard::look) is needed to tell.
    Unsure,
}

/// Keeps a segment, and so every slice of it, alive.
pub struct SegmentGuard<'a> {
    place: &'a Place,
    seat: usize,
    segment: &'a Segment,
    /// The same, as the table has it.
    raw: Shown,
}

/// A pointer from the table.
#[derive(Clone, Copy)]
struct Shown(NonNull<Segment>);

// SAFETY: nothing is done with it that could not be done with a reference to a segment, which is `Sync`, but
// for sharing it, and that is what counts of an `Arc` are for.
#[allow(unsafe_code, reason = "a pointer to a `Sync` type")]
unsafe impl Send for Shown {}
// SAFETY: as above.
#[allow(unsafe_code, reason = "a pointer to a `Sync` type")]
unsafe impl Sync for Shown {}

impl fmt::Debug for SegmentGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentGuard").field("file", &self.segment.region.path()).finish()
    }
}

impl Drop for SegmentGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        self.place.leave(self.seat);
    }
}

impl<'a> SegmentGuard<'a> {
    /// One guard more of the same segment, which may have been taken out of the log since this one was made.
    #[inline]
    #[must_use]
    pub fn again(&self) -> Self {
        let Self { place, segment, raw, .. } = *self;
        let seat = chair::seat();
        match place.enter(seat) {
            Some(shown) if shown == raw.0 => return Self { place, seat, segment, raw },
            Some(_) => place.leave(seat),
            None => {}
        }
        // Taken out since: what is left are counts of those that have it.
        Self { place, seat: place.again(), segment, raw }
    }

    /// Where, and at which seat, the guard is counted.
    #[inline]
    pub(crate) fn count(&self) -> (&'a Place, usize) {
        (self.place, self.seat)
    }
}

impl SegmentGuard<'_> {
    pub(crate) fn segment(&self) -> &Segment {
        self.segment
    }

    /// The segment's slot.
    #[inline]
    #[must_use]
    pub fn slot(&self) -> u32 {
        self.segment.slot
    }

    /// No record in the segment has a lower number.
    #[must_use]
    pub fn base_seq(&self) -> Seq {
        self.segment.base_seq()
    }

    /// The segment's number, which no other segment ever has.
    #[inline]
    #[must_use]
    pub fn generation(&self) -> u32 {
        self.segment.generation
    }

    /// The segment, shared: it stays in memory while it is kept. Its bytes stay as they are only while
    /// it is [held](Segment::hold) besides.
    #[allow(unsafe_code, reason = "one more count of what this guard keeps alive")]
    pub(crate) fn share(&self) -> Arc<Segment> {
        let raw = self.raw.0.as_ptr().cast_const();
        // SAFETY: every pointer in the table came from `Arc::into_raw`, and the count that stands for
        // it there is given back only when this guard is gone; so the count is not zero.
        unsafe {
            Arc::increment_strong_count(raw);
            Arc::from_raw(raw)
        }
    }

    /// The record at `offset` bytes into the segment, checked on first touch.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) if the bytes are not what was written.
    #[inline]
    pub fn record(&self, offset: u32) -> Result<Record<'_>> {
        Ok(self.segment.record(offset as usize)?.0)
    }

    /// An error that says that the bytes at `offset` are not what was written, and what of them.
    #[must_use]
    pub fn damage(&self, offset: u32, what: &'static str) -> crate::Error {
        self.segment.damaged(offset as usize, what)
    }

    /// Whether the record at `offset` bytes into the segment is of the key `key` in `space`. Checked
    /// on first touch; of `Damaged`, [`record`](Self::record) tells more.
    #[inline(always)]
    #[must_use]
    pub fn look(&self, offset: u32, space: u32, key: &[u8]) -> Look {
        self.segment.look(offset as usize, space, key)
    }

    /// The record at `offset` and its encoded length in bytes.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    pub fn record_with_len(&self, offset: u32) -> Result<(Record<'_>, u32)> {
        let (record, len) = self.segment.record(offset as usize)?;
        Ok((record, len as u32))
    }

    /// Brings what lies at `offset` closer to the processor. A hint; may be anywhere.
    #[inline]
    pub fn prefetch(&self, offset: u32) {
        self.place.prefetch(offset);
    }

    /// The record at `offset`, whatever its key: its keyspace, and where its parts lie.
    ///
    /// # Errors
    /// As [`record`](Self::record).
    #[inline(always)]
    pub fn match_at(&self, offset: u32) -> Result<(u32, Match)> {
        self.segment.match_at(offset as usize)
    }

    /// The same of a record in a frame whose [header](Self::frame_header) was read through a guard of this
    /// segment: the frame was checked then.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) if no record is there.
    #[inline(always)]
    pub fn match_in_frame(&self, offset: u32) -> Result<(u32, Match)> {
        self.segment.match_in_frame(offset as usize)
    }

    /// All that is published of the segment now, for who reads many records of frames that were checked.
    #[inline]
    #[must_use]
    pub fn content(&self) -> Content<'_> {
        Content { bytes: self.segment.content(0), base_seq: self.segment.base_seq() }
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

    /// The header of the frame at `offset`; `None` at the end of what is published. The frame is checked
    /// whole if it is of an earlier opening; others are as this process wrote them.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) if the bytes are not what was written.
    pub fn frame_header(&self, offset: u32) -> Result<Option<FrameHeader>> {
        if offset as usize >= self.segment.published() {
            return Ok(None);
        }
        self.segment.frame_header(offset as usize).map(Some)
    }

    /// Where the next frame begins if the last record of one ends at `offset`.
    #[must_use]
    pub fn frame_behind(&self, offset: u32) -> u32 {
        offset.checked_next_multiple_of(FRAME_ALIGN as u32).unwrap_or(u32::MAX)
    }

    /// Where the first whole frame lies behind an unreadable place at `offset`, if that says that nothing numbered
    /// `from` or higher was there.
    #[must_use]
    pub fn frame_behind_damage(&self, offset: u32, from: Seq) -> Option<u32> {
        let (offset, header) = self.segment.whole_frame_behind(offset as usize)?;
        (header.first_seq <= from).then_some(offset as u32)
    }

    /// The lowest number in the first whole frame behind an unreadable place at `offset`; `None` if none follows in
    /// this segment. Looks through the rest of the segment.
    #[must_use]
    pub fn number_behind_damage(&self, offset: u32) -> Option<Seq> {
        Some(self.segment.whole_frame_behind(offset as usize)?.1.first_seq)
    }

    /// Where the first record of the frame at `offset` lies.
    #[must_use]
    pub fn first_record(&self, offset: u32) -> u32 {
        offset + FRAME_HEADER_BYTES as u32
    }

    /// Bytes of the segment that were published, by offset. Used with ranges that a
    /// [`Match`](crate::Match) gave.
    ///
    /// # Panics
    /// If the range is not inside what is published.
    #[inline(always)]
    #[must_use]
    pub fn bytes(&self, start: u32, len: u32) -> &[u8] {
        let end = u64::from(start) + u64::from(len);
        assert!(end <= self.segment.published() as u64, "{end} is behind what is published");
        self.segment.region.read(start as usize, len as usize)
    }
}

/// What is published of a segment. Nothing that is read of it is checked: see
/// [`SegmentGuard::match_in_frame`].
#[derive(Clone, Copy, Debug)]
pub struct Content<'a> {
    bytes: &'a [u8],
    base_seq: Seq,
}

impl<'a> Content<'a> {
    /// The record at `offset`: its keyspace, and where its parts lie. `None` if no record is there.
    #[inline(always)]
    #[must_use]
    pub fn match_at(&self, offset: u32) -> Option<(u32, Match)> {
        let bytes = self.bytes.get(offset as usize..)?;
        record::shape(bytes, offset as usize, self.base_seq)
    }

    /// Bytes of the segment, by offset and length; `None` if they are not published.
    #[inline(always)]
    #[must_use]
    pub fn bytes(&self, (start, len): (u32, u32)) -> Option<&'a [u8]> {
        self.bytes.get(start as usize..)?.get(..len as usize)
    }
}

impl Segments {
    pub(crate) fn new() -> Self {
        let chunks = std::iter::repeat_with(OnceLock::new).take(CHUNKS).collect();
        Self { chunks, leaving: Mutex::default() }
    }

    #[inline(always)]
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
        let before = place.show(raw, segment.region.read(0, 0).as_ptr().cast_mut());
        assert!(before.is_null(), "slot {slot} is taken");
    }

    /// Counts the caller in at `slot`; `None` if no segment is there.
    #[inline]
    pub(crate) fn guard(&self, slot: u32) -> Option<SegmentGuard<'_>> {
        self.guard_from(slot, chair::seat())
    }

    /// The same for a caller who knows its [seat](chair::seat).
    #[inline]
    pub(crate) fn guard_from(&self, slot: u32, seat: usize) -> Option<SegmentGuard<'_>> {
        self.guard_at(self.place(slot)?, seat)
    }

    #[inline(always)]
    #[allow(unsafe_code, reason = "the count taken before the load keeps the pointee alive")]
    fn guard_at<'a>(&'a self, place: &'a Place, seat: usize) -> Option<SegmentGuard<'a>> {
        let segment = place.enter(seat)?;
        let raw = Shown(segment);
        // SAFETY: the pointer came from `Arc::into_raw`. The reader was counted in before it was
        // loaded, with a light fence between the two; `remove` hides it, with a heavy fence, before
        // `try_free` looks at the counts. So `try_free` cannot have found the place idle while this
        // pointer was still to be had; the segment lives until the guard is counted out.
        let segment = unsafe { segment.as_ref() };
        Some(SegmentGuard { place, seat, segment, raw })
    }

    /// Brings the record at `address` closer. A hint, without counting in: the segment may go
    /// away meanwhile.
    #[inline]
    pub(crate) fn prefetch(&self, address: Address) {
        if let Some(place) = self.place(address.slot) {
            place.prefetch(address.offset);
        }
    }

    /// The same of a record whose value will be read.
    #[inline]
    pub(crate) fn prefetch_value(&self, address: Address) {
        if let Some(place) = self.place(address.slot) {
            place.prefetch_value(address.offset);
        }
    }

    /// One glance at the record at `address`, by a thread whose [seat](chair::seat) is known.
    #[inline(always)]
    #[allow(unsafe_code, reason = "a guard of a slice of the segment that it guards")]
    pub(crate) fn glance(
        &self,
        address: Address,
        seat: usize,
        space: u32,
        key: &[u8],
    ) -> Glance<'_> {
        let Some(place) = self.place(address.slot) else { return Glance::Unsure };
        // What comes before the first byte is needed takes a while; the bytes can be on their way.
        place.prefetch_value(address.offset);
        let Some(guard) = self.guard_at(place, seat) else { return Glance::Unsure };
        match guard.segment.glance(address.offset as usize, space, key) {
            Plain::This { seq, value } => {
                let value = NonNull::from(value);
                // SAFETY: a slice of the segment's published bytes, just taken from it.
                Glance::Value(unsafe { guard.into_guard_of(value) }, seq)
            }
            Plain::Other => Glance::Other,
            Plain::Unsure => Glance::Unsure,
        }
    }

    /// Takes a segment out: no new reader can reach it. [`freed`](Self::freed) gives it back once
    /// the last reader is gone.
    pub(crate) fn remove(&self, slot: u32) {
        let Some(place) = self.place(slot) else { return };
        let raw = place.hide();
        if !raw.is_null() {
            self.leaving.lock().push(Removed { raw, slot });
        }
    }

    /// How many segments were taken out and still have readers.
    pub(crate) fn leaving_count(&self) -> usize {
        self.leaving.lock().len()
    }

    /// The segments that were taken out and have lost their last reader.
    pub(crate) fn freed(&self) -> Vec<Arc<Segment>> {
        let mut freed = Vec::new();
        let mut leaving = self.leaving.lock();
        for removed in std::mem::take(&mut *leaving) {
            match self.try_free(removed) {
                Ok(segment) => freed.push(segment),
                Err(removed) => leaving.push(removed),
            }
        }
        freed
    }

    /// A segment that was taken out, if no reader is left.
    #[allow(unsafe_code, reason = "the one place where a segment loses its slot's count")]
    fn try_free(&self, removed: Removed) -> Result<Arc<Segment>, Removed> {
        let Some(place) = self.place(removed.slot) else { return Err(removed) };
        if !place.is_idle() {
            return Err(removed);
        }
        // SAFETY: the pointer came from `Arc::into_raw` in `insert` and was taken out of its slot
        // by `remove`, so the count it stands for is owned here. The place was seen idle after
        // that, so no reader that borrows through it is left.
        let segment = unsafe { Arc::from_raw(removed.raw) };
        // Values that are held share the segment, and nobody who was counted in can begin to hold one
        // any more: what they added was added before they were counted out.
        if segment.is_held() {
            return Err(Removed { raw: Arc::into_raw(segment).cast_mut(), slot: removed.slot });
        }
        Ok(segment)
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
            let raw = place.show(std::ptr::null_mut(), std::ptr::null_mut());
            if !raw.is_null() {
                // SAFETY: `&mut self` says that no guard, which borrows `self`, is left; the
                // pointer stands for the count that `insert` took.
                drop(unsafe { Arc::from_raw(raw) });
            }
        }
        for removed in self.leaving.get_mut().drain(..) {
            // SAFETY: as above; `remove` took the pointer out of its slot, so nothing else has it.
            drop(unsafe { Arc::from_raw(removed.raw) });
        }
    }
}

/// A segment that was taken out of its slot and is not freed yet.
#[derive(Debug)]
struct Removed {
    raw: *mut Segment,
    slot: u32,
}

// SAFETY: the pointer is owned by this value and a `Segment` is `Send`; nothing is read through
// it on the way.
#[allow(unsafe_code, reason = "an owned pointer to a `Send` type")]
unsafe impl Send for Removed {}
