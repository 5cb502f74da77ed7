//! A segment in memory: its file, how far it is published, and which of its records have been
//! checked.
//!
//! Bytes below `published` never change. Bytes from `trusted_from` on were written or replayed by
//! this process and need no check; older ones are checked when they are first touched, and a bit
//! for each remembers that.

use crate::{
    Address, Error, Position, Result, Seq,
    format::{FRAME_ALIGN, SEGMENT_HEADER_BYTES, SegmentKind, segment_seed},
    frame::{FrameHeader, FrameView},
    record::{self, Kind, Look, Match, RECORD_ALIGN, Record},
};
use annals_disk::Region;
use std::sync::{
    OnceLock,
    atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering},
};

/// A segment in memory.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) region: Region,
    pub(crate) slot: u32,
    pub(crate) generation: u32,
    pub(crate) seed: u32,
    /// Whether bytes of an earlier life of the file may stand behind the content.
    pub(crate) recycled: bool,
    kind: AtomicU8,
    ordinal: AtomicU32,
    base_seq: AtomicU64,
    /// End of the content that readers may see, in bytes.
    published: AtomicUsize,
    /// Whether it is about to be taken out of the chain: no feed begins in it.
    leaving: AtomicBool,
    /// End of the content once nothing will be appended any more, else 0.
    sealed_end: AtomicUsize,
    trusted_from: AtomicUsize,
    /// The length of the file: shorter than the region once its unused end was given back.
    file_len: AtomicUsize,
    /// Blocks of the file up to here have been written: syncing them changes no metadata.
    written_to: AtomicUsize,
    /// How many values are held that lie in it: none of its bytes may change, whatever the guards say.
    held: AtomicUsize,
    /// One bit for each place a record or a frame can start at, set once that was found intact.
    checked: OnceLock<Box<[AtomicU64]>>,
}

/// What is known of a segment when it is put together.
pub(crate) struct SegmentParts {
    pub(crate) region: Region,
    pub(crate) slot: u32,
    pub(crate) generation: u32,
    pub(crate) database_id: u64,
    pub(crate) kind: SegmentKind,
    pub(crate) ordinal: u32,
    pub(crate) base_seq: Seq,
    pub(crate) published: usize,
    pub(crate) trusted_from: usize,
    pub(crate) recycled: bool,
}

/// What a glance at a record told.
pub(crate) enum Plain<'a> {
    /// It gives the key a value that does not expire.
    This { seq: Seq, value: &'a [u8] },
    /// It is of another key.
    Other,
    /// Neither, or not to be told so quickly.
    Unsure,
}

impl Segment {
    pub(crate) fn new(parts: SegmentParts) -> Self {
        Self {
            seed: segment_seed(parts.database_id, parts.generation),
            recycled: parts.recycled,
            file_len: AtomicUsize::new(parts.region.len()),
            written_to: AtomicUsize::new(parts.published),
            region: parts.region,
            slot: parts.slot,
            generation: parts.generation,
            kind: AtomicU8::new(parts.kind as u8),
            ordinal: AtomicU32::new(parts.ordinal),
            base_seq: AtomicU64::new(parts.base_seq.0),
            published: AtomicUsize::new(parts.published),
            leaving: AtomicBool::new(false),
            sealed_end: AtomicUsize::new(0),
            trusted_from: AtomicUsize::new(parts.trusted_from),
            held: AtomicUsize::new(0),
            checked: OnceLock::new(),
        }
    }

    /// Makes a spare part of the chain. The caller wrote the header.
    pub(crate) fn activate(&self, kind: SegmentKind, ordinal: u32, base_seq: Seq) {
        self.ordinal.store(ordinal, Ordering::Relaxed);
        self.base_seq.store(base_seq.0, Ordering::Relaxed);
        self.leaving.store(false, Ordering::Relaxed);
        // Release, and last: who lists segments without a lock and finds it in the chain finds with which number it
        // begins. With a number of before, the segment in front of it would seem to end below what is looked for, and
        // its records would be left out.
        self.kind.store(kind as u8, Ordering::Release);
        self.publish(SEGMENT_HEADER_BYTES);
    }

    pub(crate) fn kind(&self) -> SegmentKind {
        SegmentKind::from_byte(self.kind.load(Ordering::Acquire)).unwrap_or(SegmentKind::Spare)
    }

    pub(crate) fn ordinal(&self) -> u32 {
        self.ordinal.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn base_seq(&self) -> Seq {
        Seq(self.base_seq.load(Ordering::Relaxed))
    }

    #[inline]
    pub(crate) fn published(&self) -> usize {
        self.published.load(Ordering::Acquire)
    }

    /// Keeps it as it is until [`let_go`](Self::let_go). Called by who is counted in, or holds it already.
    pub(crate) fn hold(&self) {
        self.held.fetch_add(1, Ordering::Relaxed);
    }

    /// Release: everything read was read before the count falls.
    pub(crate) fn let_go(&self) {
        self.held.fetch_sub(1, Ordering::Release);
    }

    /// Whether somebody holds it. Asked when nobody can be counted in any more.
    pub(crate) fn is_held(&self) -> bool {
        self.held.load(Ordering::Acquire) != 0
    }

    /// Lets readers see the content up to `end`. The bytes below are final.
    #[inline]
    pub(crate) fn publish(&self, end: usize) {
        self.published.store(end, Ordering::Release);
    }

    /// Records from `offset` on need no check when they are touched. Only ever lowered.
    pub(crate) fn trust_from(&self, offset: usize) {
        self.trusted_from.fetch_min(offset, Ordering::Relaxed);
    }

    #[inline]
    pub(crate) fn trusted_from(&self) -> usize {
        self.trusted_from.load(Ordering::Relaxed)
    }

    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed)
    }

    /// Changed under the lock of the holds, which orders it with feeds that begin.
    pub(crate) fn set_leaving(&self, leaving: bool) {
        self.leaving.store(leaving, Ordering::Relaxed);
    }

    /// Notes that the content is complete.
    pub(crate) fn seal(&self) {
        self.note_written(self.published());
        self.sealed_end.store(self.published(), Ordering::Release);
    }

    /// The length of the file in bytes.
    pub(crate) fn file_len(&self) -> usize {
        self.file_len.load(Ordering::Relaxed)
    }

    /// Gives the file's bytes from `len` on back to the file system. Nobody may look at them any
    /// more, through this map or another.
    pub(crate) fn cut(&self, len: usize) -> Result<()> {
        if len < self.file_len() {
            self.region.truncate(len)?;
            self.file_len.store(len, Ordering::Relaxed);
            self.written_to.fetch_min(len, Ordering::Relaxed);
        }
        Ok(())
    }

    /// How far the blocks of the file have been written.
    pub(crate) fn written_to(&self) -> usize {
        self.written_to.load(Ordering::Relaxed)
    }

    pub(crate) fn note_written(&self, end: usize) {
        self.written_to.fetch_max(end, Ordering::Relaxed);
    }

    /// The length of the content if it is complete.
    pub(crate) fn sealed_end(&self) -> Option<usize> {
        Some(self.sealed_end.load(Ordering::Acquire)).filter(|end| *end != 0)
    }

    #[inline]
    pub(crate) fn position(&self, offset: usize) -> Position {
        Position { ordinal: self.ordinal(), offset: offset as u32 }
    }

    pub(crate) fn damaged(&self, offset: usize, what: &'static str) -> Error {
        Error::Damaged { path: self.region.path().to_owned(), offset: offset as u64, what }
    }

    /// The content from `offset` to the published end.
    #[inline(always)]
    pub(crate) fn content(&self, offset: usize) -> &[u8] {
        let len = self.published().saturating_sub(offset);
        if len == 0 { &[] } else { self.region.read(offset, len) }
    }

    /// The record at `offset` and its encoded length, checked if it was not before.
    #[inline]
    pub(crate) fn record(&self, offset: usize) -> Result<(Record<'_>, usize)> {
        let bytes = self.content(offset);
        let parsed = record::parse(bytes, self.base_seq())
            .ok_or_else(|| self.damaged(offset, record::WHAT_SHAPE))?;
        if !self.is_checked(offset) && !self.check_once(offset, &bytes[..parsed.len]) {
            return Err(self.damaged(offset, record::WHAT_CHECKSUM));
        }
        Ok((parsed.record, parsed.len))
    }

    /// The keyspace of the record at `offset`, and where its parts lie; checked if it was not before.
    #[inline(always)]
    pub(crate) fn match_at(&self, offset: usize) -> Result<(u32, Match)> {
        let found = record::shape(self.content(offset), offset, self.base_seq());
        match found {
            Some(found) if self.is_checked(offset) => Ok(found),
            Some(found) => self.record(offset).map(|_| found),
            None => Err(self.damaged(offset, record::WHAT_SHAPE)),
        }
    }

    /// The same of a record whose frame was checked.
    #[inline(always)]
    pub(crate) fn match_in_frame(&self, offset: usize) -> Result<(u32, Match)> {
        record::shape(self.content(offset), offset, self.base_seq())
            .ok_or_else(|| self.damaged(offset, record::WHAT_SHAPE))
    }

    /// Whether the record at `offset` is of this key; checked if it was not before.
    #[inline(always)]
    pub(crate) fn look(&self, offset: usize, space: u32, key: &[u8]) -> Look {
        let bytes = self.content(offset);
        let look = record::look(bytes, offset, self.base_seq(), space, key);
        if !self.is_checked(offset) && self.record(offset).is_err() {
            return Look::Damaged;
        }
        look
    }

    /// Whether the record at `offset` plainly gives the key a value.
    #[inline(always)]
    pub(crate) fn glance(&self, offset: usize, space: u32, key: &[u8]) -> Plain<'_> {
        let Some(bytes) = self.content(0).get(offset..) else { return Plain::Unsure };
        let Some(shape) = record::plain(bytes, space, key) else {
            return self.look_closer(offset, space, key);
        };
        if !self.is_checked(offset) && self.record(offset).is_err() {
            return Plain::Unsure;
        }
        let Some((delta, value)) = shape else { return Plain::Other };
        Plain::This { seq: Seq(self.base_seq().0.wrapping_add(u64::from(delta))), value }
    }

    #[cold]
    fn look_closer(&self, offset: usize, space: u32, key: &[u8]) -> Plain<'_> {
        match self.look(offset, space, key) {
            Look::This(Match { kind: Kind::Put, expires: false, seq, value, .. }) => {
                Plain::This { seq, value: self.region.read(value.0 as usize, value.1 as usize) }
            }
            Look::Other => Plain::Other,
            _ => Plain::Unsure,
        }
    }

    /// Whether what begins at `offset` needs no check any more.
    #[inline]
    fn is_checked(&self, offset: usize) -> bool {
        offset >= self.trusted_from.load(Ordering::Relaxed) || self.was_checked(offset)
    }

    #[inline]
    fn was_checked(&self, offset: usize) -> bool {
        let (word, mask) = bit_of(offset);
        let words = self.checked.get().and_then(|words| words.get(word));
        words.is_some_and(|word| word.load(Ordering::Relaxed) & mask != 0)
    }

    /// Sets bits of a word. What is trusted by now has none.
    fn set_checked(&self, word: usize, mask: u64) {
        if let Some(word) = self.checked_words().get(word) {
            word.fetch_or(mask, Ordering::Relaxed);
        }
    }

    fn checked_words(&self) -> &[AtomicU64] {
        self.checked.get_or_init(|| {
            let bytes = self.trusted_from.load(Ordering::Relaxed).min(self.region.len());
            let bits = bytes.div_ceil(RECORD_ALIGN);
            std::iter::repeat_with(|| AtomicU64::new(0)).take(bits.div_ceil(64)).collect()
        })
    }

    #[cold]
    fn check_once(&self, offset: usize, record: &[u8]) -> bool {
        let intact = record::is_intact(record, self.seed);
        if intact {
            let (word, mask) = bit_of(offset);
            self.set_checked(word, mask);
        }
        intact
    }

    /// The header of the frame at `offset`, checked whole. Notes of the frame and of its records that they were.
    #[cold]
    fn check_frame(&self, offset: usize) -> Result<FrameHeader> {
        let words = self.checked_words();
        // Bits are set a word at a time. What is trusted by now has none.
        let set = |index: usize, mask: u64| {
            if let Some(word) = words.get(index).filter(|_| mask != 0) {
                word.fetch_or(mask, Ordering::Relaxed);
            }
        };
        let (mut word, mut mask) = (0, 0);
        let note = |at: usize| {
            let (next, bit) = bit_of(offset + at);
            if next != word {
                set(word, mask);
                (word, mask) = (next, 0);
            }
            mask |= bit;
        };
        let (base_seq, bytes) = (self.base_seq(), self.content(offset));
        let checked = FrameView::check_each(bytes, self.slot, offset, base_seq, self.seed, note);
        set(word, mask);
        let frame = checked.map_err(|fault| self.damaged(offset + fault.at, fault.what))?;
        let (word, mask) = bit_of(offset);
        set(word, mask);
        Ok(*frame.header())
    }

    /// Memory this segment takes beyond its pages, in bytes.
    pub(crate) fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.checked.get().map_or(0, |words| words.len() * 8)
    }

    /// The frame at `offset`, checked whole.
    pub(crate) fn frame(&self, offset: usize) -> Result<FrameView<'_>> {
        FrameView::check(self.content(offset), self.slot, offset, self.base_seq(), self.seed)
            .map_err(|fault| self.damaged(offset + fault.at, fault.what))
    }

    /// The header of the frame at `offset`, which is checked whole, once, unless this process wrote it.
    #[inline]
    pub(crate) fn frame_header(&self, offset: usize) -> Result<FrameHeader> {
        if !self.is_checked(offset) {
            return self.check_frame(offset);
        }
        FrameHeader::decode(self.content(offset))
            .ok_or_else(|| self.damaged(offset, "these bytes are no frame header"))
    }

    /// The first whole frame of the content behind an unreadable place at `offset`.
    pub(crate) fn whole_frame_behind(&self, offset: usize) -> Option<(usize, FrameHeader)> {
        (offset + FRAME_ALIGN..self.published())
            .step_by(FRAME_ALIGN)
            .filter(|at| FrameHeader::may_start(self.content(*at)))
            .find_map(|at| Some((at, *self.frame(at).ok()?.header())))
    }

    pub(crate) fn address(&self, offset: u32) -> Address {
        Address { slot: self.slot, offset }
    }
}

/// Where the bit is that stands for what begins at `offset`: in which word, and which of its bits.
#[inline]
fn bit_of(offset: usize) -> (usize, u64) {
    let bit = offset / RECORD_ALIGN;
    (bit / 64, 1 << (bit % 64))
}
