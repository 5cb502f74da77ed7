//! A frame: one atomic commit in the log.
//!
//! A [`FrameBuilder`] encodes records outside the writer lock; [`Writer::append`] then gives the
//! frame its place, fills in what depends on it and copies it into the segment. A [`FrameView`]
//! is a frame as it stands in a segment, checked.
//!
//! The frame's checksum covers its header and the checksums of its records, each of which covers
//! its record: every byte is checksummed once, a single record can be checked by itself, and a
//! frame is whole only if all of its records are.
//!
//! [`Writer::append`]: crate::Writer::append

use crate::{
    Address, Position, Seq, checksum,
    format::{FRAME_ALIGN, FRAME_BYTES_MAX, FRAME_HEADER_BYTES, u32_at, u64_at},
    record::{self, Draft, Head, Kind, RECORD_ALIGN, Record},
    segment::Segment,
};
use std::ops::Range;

mod run;
pub use run::Run;

/// What a frame is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameKind {
    /// A commit.
    Commit = 1,
    /// No records: notes how far the log is synced.
    Mark = 2,
    /// No records: the last frame of a segment; the chain goes on in the next one.
    Seal = 3,
    /// No records: the writer closed the database here.
    Close = 4,
    /// Records moved by log compaction, with the sequence numbers they had.
    Packed = 5,
}

impl FrameKind {
    fn from_byte(byte: u8) -> Option<Self> {
        [Self::Commit, Self::Mark, Self::Seal, Self::Close, Self::Packed]
            .into_iter()
            .find(|kind| *kind as u8 == byte)
    }
}

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// What the frame is for.
    pub kind: FrameKind,
    /// The length of the frame in bytes, header and padding included.
    pub len: u32,
    /// The sequence number of its first record, or of the next record if it has none.
    pub first_seq: Seq,
    /// When it was committed, in milliseconds since 1970; never lower than in an earlier frame.
    pub time_ms: u64,
    /// How far the log was synced when it was written.
    pub synced_to: Position,
    /// How many records it has.
    pub count: u32,
    /// The opening of the database in which it was written.
    pub epoch: u32,
    /// The replication term in which it was written; 0 when not replicated.
    pub term: u32,
    /// The shard it belongs to.
    pub shard: u16,
}

impl FrameHeader {
    /// Writes the header without its checksum, and returns the checksum of what it wrote.
    ///
    /// Both in the words of the checksum, which lie across the fields: a word that was stored in two pieces could be
    /// loaded again only once all stores before it are done, and every commit would wait for that.
    #[inline]
    pub(crate) fn encode(&self, out: &mut [u8; FRAME_HEADER_BYTES], seed: u32) -> u32 {
        let across = |low: u64, high: u64| low >> 32 | high << 32;
        let (first_seq, synced_to) = (self.first_seq.0, self.synced_to.to_u64());
        let words = [
            u64::from(self.len) | first_seq << 32,
            across(first_seq, self.time_ms),
            across(self.time_ms, synced_to),
            across(synced_to, u64::from(self.count)),
            u64::from(self.epoch) | u64::from(self.term) << 32,
        ];
        let last = u32::from(self.shard) | u32::from(self.kind as u8) << 16;
        let (places, rest) = out[4..].as_chunks_mut::<8>();
        places.iter_mut().zip(words).for_each(|(place, word)| *place = word.to_le_bytes());
        rest.copy_from_slice(&last.to_le_bytes());
        checksum::append_words(seed, &words, last)
    }

    /// Whether a header may start here: a quick look, for searching.
    #[inline]
    pub(crate) fn may_start(bytes: &[u8]) -> bool {
        bytes.len() >= FRAME_HEADER_BYTES
            && bytes[47] == 0
            && bytes[46].wrapping_sub(1) < FrameKind::Packed as u8
            && usize::from(bytes[4]).is_multiple_of(FRAME_ALIGN)
    }

    /// Reads a header and checks its shape, not its checksum.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..FRAME_HEADER_BYTES)?;
        let header = Self {
            kind: FrameKind::from_byte(bytes[46])?,
            len: u32_at(bytes, 4),
            first_seq: Seq(u64_at(bytes, 8)),
            time_ms: u64_at(bytes, 16),
            synced_to: Position::from_u64(u64_at(bytes, 24)),
            count: u32_at(bytes, 32),
            epoch: u32_at(bytes, 36),
            term: u32_at(bytes, 40),
            shard: u16::from_le_bytes([bytes[44], bytes[45]]),
        };
        let len = header.len as usize;
        let records = len.checked_sub(FRAME_HEADER_BYTES)?;
        // The shortest record has sixteen bytes: a count that cannot fit is refused before anyone
        // allocates or loops by it.
        let shape = bytes[47] == 0
            && len.is_multiple_of(FRAME_ALIGN)
            && u64::from(header.count) * 16 <= records as u64
            && (header.count == 0) == (records == 0)
            && header.first_seq.0.checked_add(u64::from(header.count)).is_some()
            && matches!(header.kind, FrameKind::Commit | FrameKind::Packed) == (header.count > 0);
        shape.then_some(header)
    }

    /// The sequence number behind the frame's last record.
    #[must_use]
    pub fn next_seq(&self) -> Seq {
        self.first_seq.plus(u64::from(self.count))
    }
}

/// A record inside a builder.
#[derive(Clone, Copy, Debug)]
struct Slot {
    at: u32,
    len: u32,
    body: u32,
    key_len: u32,
    /// Where the key is in the record, and where there is room for the previous address.
    key_at: u8,
    previous_at: u8,
    /// For moved records: the number they keep.
    seq: Seq,
}

const NO_PREVIOUS: u8 = u8::MAX;

/// From this length on a value that is lent stays where it is until it is copied to the segment.
pub(crate) const LEND_FROM_BYTES: usize = 1024;

/// The last record of a frame, while its value still lies with the caller.
#[derive(Clone, Debug)]
struct Lent<'v> {
    value: &'v [u8],
    /// Where the key lies in the builder.
    key: Range<usize>,
    kind: Kind,
    space: u32,
    expires_ms: Option<u64>,
    aligned: bool,
}

/// Encodes the records of one commit. A large value may be [lent](Self::lend) for `'v`.
///
/// ```
/// use annals_journal::{Draft, FrameBuilder, Kind};
/// let mut frame = FrameBuilder::new();
/// frame.push(&Draft { kind: Kind::Put, space: 1, key: b"k", value: b"v", expires_ms: None, aligned: false })?;
/// assert_eq!(frame.count(), 1);
/// # Ok::<(), annals_journal::Error>(())
/// ```
#[derive(Debug)]
pub struct FrameBuilder<'v> {
    bytes: Vec<u8>,
    records: Vec<Slot>,
    with_previous: bool,
    lent: Option<Lent<'v>>,
}

impl Default for FrameBuilder<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'v> FrameBuilder<'v> {
    /// An empty frame.
    #[must_use]
    pub fn new() -> Self {
        let bytes = vec![0; FRAME_HEADER_BYTES];
        Self { bytes, records: Vec::new(), with_previous: false, lent: None }
    }

    /// Empties the frame. Of its memory it keeps `keep_bytes`, or as much as is in use: memory that
    /// is used again each time would otherwise be given back and asked for each time. What one
    /// large commit took goes by halves.
    #[inline]
    pub fn clear(&mut self, keep_bytes: usize) {
        let used_bytes = self.bytes.len();
        self.bytes.truncate(FRAME_HEADER_BYTES);
        give_back(&mut self.bytes, used_bytes, keep_bytes);
        let used = self.records.len();
        self.records.clear();
        give_back(&mut self.records, used, keep_bytes / 16);
        self.with_previous = false;
        self.lent = None;
    }

    /// The same memory as an empty frame that nothing is lent to; of the memory as much is kept as
    /// by [`clear`](Self::clear).
    #[must_use]
    #[inline]
    pub fn emptied<'w>(mut self, keep_bytes: usize) -> FrameBuilder<'w> {
        self.clear(keep_bytes);
        let Self { bytes, records, .. } = self;
        FrameBuilder { bytes, records, with_previous: false, lent: None }
    }

    /// Leaves room in every record pushed from now on for the address of the version it replaces.
    pub fn reserve_previous(&mut self, yes: bool) {
        self.with_previous = yes;
    }

    /// Adds a record.
    ///
    /// # Errors
    /// [`Error::FrameTooLarge`](crate::Error::FrameTooLarge) if the frame would outgrow a segment
    /// file. The frame is then as it was.
    pub fn push(&mut self, draft: &Draft<'_>) -> crate::Result<()> {
        self.push_moved(draft, Seq::ZERO)
    }

    /// Adds a record that keeps the sequence number it has.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    #[inline]
    pub fn push_moved(&mut self, draft: &Draft<'_>, seq: Seq) -> crate::Result<()> {
        check_size(self.content_bytes(), draft.key.len() + draft.value.len())?;
        self.take_in();
        let at = self.bytes.len();
        let parts = record::encode(draft, self.with_previous, &mut self.bytes);
        let record = &self.bytes[at..];
        // With room for the previous address the body is not final yet; its checksum comes later.
        let body = if self.with_previous { 0 } else { record::body_checksum(record) };
        let len = record.len();
        self.note(at, len, body, parts, draft.key.len(), seq);
        Ok(())
    }

    /// Adds a record of a run, whose value is `data` and, behind them, `rest`.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    #[inline]
    pub fn push_in(&mut self, run: &mut Run<'_>, data: &[u8], rest: &[u8]) -> crate::Result<()> {
        let (value_len, key_len) = (data.len() + rest.len(), run.key_len());
        check_size(self.content_bytes(), key_len + value_len)?;
        self.take_in();
        let at = self.bytes.len();
        let parts = run.encode(data, rest, self.with_previous, &mut self.bytes);
        let record = &self.bytes[at..];
        let body = if self.with_previous { 0 } else { record::body_checksum(record) };
        let len = record.len();
        self.note(at, len, body, parts, key_len, Seq::ZERO);
        Ok(())
    }

    /// Adds a record whose value, if it is a large one, stays where it is: it is copied once, to its
    /// place in the log. (A record that is added behind it makes one more copy.)
    ///
    /// # Errors
    /// As [`push`](Self::push).
    #[inline]
    pub fn lend(&mut self, draft: &Draft<'v>) -> crate::Result<()> {
        if draft.value.len() < LEND_FROM_BYTES {
            return self.push(draft);
        }
        self.lend_apart(draft, draft.value)
    }

    /// The same with the value told apart, so that it alone has to live on.
    fn lend_apart(&mut self, draft: &Draft<'_>, value: &'v [u8]) -> crate::Result<()> {
        check_size(self.content_bytes(), draft.key.len() + draft.value.len())?;
        self.take_in();
        let at = self.bytes.len();
        let parts = record::encode_head(draft, self.with_previous, &mut self.bytes, 0);
        let behind = self.bytes.len() + value.len();
        let padding = record::padding(behind, RECORD_ALIGN);
        let head = &self.bytes[at..];
        let body =
            if self.with_previous { 0 } else { record::body_checksum_of(head, value, padding) };
        let key = at + parts.key_at..at + parts.key_at + draft.key.len();
        let Draft { kind, space, expires_ms, aligned, .. } = *draft;
        self.lent = Some(Lent { value, key, kind, space, expires_ms, aligned });
        self.note(at, behind + padding.len() - at, body, parts, draft.key.len(), Seq::ZERO);
        Ok(())
    }

    #[inline]
    fn note(&mut self, at: usize, len: usize, body: u32, head: Head, key_len: usize, seq: Seq) {
        self.records.push(Slot {
            at: at as u32,
            len: len as u32,
            body,
            key_len: key_len as u32,
            key_at: head.key_at as u8,
            previous_at: head.previous_at.map_or(NO_PREVIOUS, |at| at as u8),
            seq,
        });
    }

    /// Copies a value that was lent behind the rest of its record.
    #[inline]
    fn take_in(&mut self) {
        if let Some(lent) = self.lent.take() {
            record::encode_value(lent.value, &mut self.bytes);
        }
    }

    /// The length of the records with the header, without the frame's padding.
    #[inline]
    fn content_bytes(&self) -> usize {
        let lent = self.lent.as_ref().map_or(0, |lent| lent.value.len());
        (self.bytes.len() + lent).next_multiple_of(RECORD_ALIGN)
    }

    /// Notes the version that record `index` replaces. Needs room left by
    /// [`reserve_previous`](Self::reserve_previous).
    pub fn set_previous(&mut self, index: usize, previous: Address) {
        let slot = self.records[index];
        assert_ne!(slot.previous_at, NO_PREVIOUS, "no room was left for the previous address");
        let at = slot.at as usize + usize::from(slot.previous_at);
        self.bytes[at..at + 8].copy_from_slice(&previous.to_u64().to_le_bytes());
    }

    /// Encodes all records anew with room for the address of the version each one replaces.
    ///
    /// # Errors
    /// [`Error::FrameTooLarge`](crate::Error::FrameTooLarge) if the frame outgrows a segment file
    /// by that.
    pub fn make_room_for_previous(&mut self) -> crate::Result<()> {
        let mut roomy = Self::new();
        roomy.reserve_previous(true);
        for index in 0..self.count() {
            let Record { kind, space, key, value, expires_ms, aligned, .. } = self.record(index);
            let draft = Draft { kind, space, key, value, expires_ms, aligned };
            match &self.lent {
                Some(lent) if index + 1 == self.count() => roomy.lend_apart(&draft, lent.value)?,
                _ => roomy.push(&draft)?,
            }
        }
        *self = roomy;
        Ok(())
    }

    /// Whether records have room for the address of the version they replace.
    #[must_use]
    pub fn has_room_for_previous(&self) -> bool {
        self.with_previous
    }

    /// Record `index` as it was pushed. Its sequence number is not known yet and reads as zero.
    ///
    /// # Panics
    /// If there is no such record.
    #[must_use]
    pub fn record(&self, index: usize) -> Record<'_> {
        let slot = self.records[index];
        if let Some(lent) = self.lent.as_ref().filter(|_| index + 1 == self.records.len()) {
            let Lent { value, kind, space, expires_ms, aligned, .. } = *lent;
            let key = &self.bytes[lent.key.clone()];
            let previous = (slot.previous_at != NO_PREVIOUS)
                .then(|| u64_at(&self.bytes, slot.at as usize + usize::from(slot.previous_at)))
                .filter(|raw| *raw != u64::MAX)
                .map(Address::from_u64);
            let seq = Seq::ZERO;
            return Record { kind, space, seq, key, value, expires_ms, previous, aligned };
        }
        let at = slot.at as usize;
        let bytes = &self.bytes[at..at + slot.len as usize];
        record::parse(bytes, Seq::ZERO).expect("a record that was just encoded").record
    }

    /// What record `index` does, to which key, and when it expires, in milliseconds since 1970.
    ///
    /// # Panics
    /// If there is no such record.
    #[inline]
    #[must_use]
    pub fn deed(&self, index: usize) -> (Kind, &[u8], Option<u64>) {
        let slot = self.records[index];
        let record = &self.bytes[slot.at as usize..];
        let key_at = usize::from(slot.key_at);
        let (kind, expires_ms) = record::deed(record, key_at);
        (kind, &record[key_at..key_at + slot.key_len as usize], expires_ms)
    }

    /// Takes back all records but the first `count`.
    pub fn truncate(&mut self, count: usize) {
        if let Some(first) = self.records.get(count) {
            self.bytes.truncate(first.at as usize);
            self.records.truncate(count);
            self.lent = None;
        }
    }

    /// The offset that the next record will have from the start of the frame, in bytes.
    #[must_use]
    #[inline]
    pub fn next_offset(&self) -> u32 {
        self.content_bytes() as u32
    }

    /// How many records it has.
    #[must_use]
    #[inline]
    pub fn count(&self) -> usize {
        self.records.len()
    }

    /// The length in the log, header and padding included.
    #[must_use]
    #[inline]
    pub fn len_bytes(&self) -> usize {
        self.content_bytes().next_multiple_of(FRAME_ALIGN)
    }

    /// The offset of record `index` from the start of the frame, in bytes.
    #[must_use]
    #[inline]
    pub fn offset(&self, index: usize) -> u32 {
        self.records[index].at
    }

    /// The encoded length of record `index`, padding included.
    #[must_use]
    #[inline]
    pub fn record_len(&self, index: usize) -> u32 {
        self.records[index].len
    }

    /// Completes the frame for its place and returns its bytes, in the parts in which they lie.
    pub(crate) fn finish(&mut self, header: &FrameHeader, base_seq: Seq, seed: u32) -> [&[u8]; 3] {
        let (value, behind) = match &self.lent {
            Some(lent) => (lent.value, self.bytes.len() + lent.value.len()),
            None => (&[][..], self.bytes.len()),
        };
        let padding = &record::PADDING[..header.len as usize - behind];
        let to_header = self.bytes.first_chunk_mut().expect("a frame begins with its header");
        let mut checksum = header.encode(to_header, seed);
        let moved = header.kind == FrameKind::Packed;
        for (index, slot) in self.records.iter().enumerate() {
            let end = (slot.at + slot.len) as usize;
            let own_end = end.min(self.bytes.len());
            let record = &mut self.bytes[slot.at as usize..own_end];
            let body = if slot.previous_at == NO_PREVIOUS {
                slot.body
            } else if end == own_end {
                record::body_checksum(record)
            } else {
                record::body_checksum_of(record, value, &padding[..end - behind])
            };
            let seq = if moved { slot.seq } else { header.first_seq.plus(index as u64) };
            let delta = u32::try_from(seq.0 - base_seq.0).expect("the writer keeps deltas small");
            let of_record = record::finish(record, body, seed, delta);
            checksum = checksum::append(checksum, &of_record.to_le_bytes());
        }
        self.bytes[0..4].copy_from_slice(&checksum.to_le_bytes());
        [&self.bytes, value, padding]
    }

    /// The range of sequence numbers of moved records.
    pub(crate) fn moved_range(&self) -> Option<(Seq, Seq)> {
        let first = self.records.iter().map(|slot| slot.seq).min()?;
        let last = self.records.iter().map(|slot| slot.seq).max()?;
        Some((first, last))
    }
}

/// Gives part of the memory of an emptied `all` back if far more than `keep` was not in use.
#[inline]
fn give_back<T>(all: &mut Vec<T>, used: usize, keep: usize) {
    if all.capacity() > keep.max(4 * used) {
        all.shrink_to(keep.max(all.capacity() / 2));
    }
}

/// Checks that a frame of `len` bytes may get a record with `content` bytes of key and value.
#[inline]
fn check_size(len: usize, content: usize) -> crate::Result<()> {
    /// More than a record takes beyond its key and value.
    const RECORD_OVERHEAD_BYTES: usize = 96;
    let bytes = len + content + RECORD_OVERHEAD_BYTES;
    if bytes > FRAME_BYTES_MAX {
        let (bytes, limit) = (bytes as u64, FRAME_BYTES_MAX as u64);
        return Err(crate::Error::FrameTooLarge { bytes, limit });
    }
    Ok(())
}

/// The bytes of a frame without records.
pub(crate) fn empty_frame(header: &FrameHeader, seed: u32) -> [u8; FRAME_HEADER_BYTES] {
    let mut out = [0; FRAME_HEADER_BYTES];
    let checksum = header.encode(&mut out, seed);
    out[0..4].copy_from_slice(&checksum.to_le_bytes());
    out
}

/// A frame as it stands in a segment, checked.
#[derive(Clone, Copy, Debug)]
pub struct FrameView<'a> {
    header: FrameHeader,
    bytes: &'a [u8],
    slot: u32,
    offset: u32,
    base_seq: Seq,
}

/// Why bytes are not a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameFault {
    /// Where in the frame.
    pub(crate) at: usize,
    pub(crate) what: &'static str,
}

impl<'a> FrameView<'a> {
    /// Checks the frame at the start of `bytes` (the rest of a segment's content), header,
    /// records and padding.
    pub(crate) fn check(
        bytes: &'a [u8],
        slot: u32,
        offset: usize,
        base_seq: Seq,
        seed: u32,
    ) -> Result<Self, FrameFault> {
        Self::check_each(bytes, slot, offset, base_seq, seed, |_| {})
    }

    /// The same, and tells where each record begins that was found intact, from the frame's start.
    #[allow(unsafe_code, reason = "the instruction is not on every processor")]
    pub(crate) fn check_each(
        bytes: &'a [u8],
        slot: u32,
        offset: usize,
        base_seq: Seq,
        seed: u32,
        intact: impl FnMut(usize),
    ) -> Result<Self, FrameFault> {
        #[cfg(target_arch = "x86_64")]
        if checksum::has_instruction() {
            // SAFETY: the processor has the instruction set that the function is compiled for.
            return unsafe {
                Self::check_with_instruction(bytes, slot, offset, base_seq, seed, intact)
            };
        }
        Self::check_all(bytes, slot, offset, base_seq, seed, intact)
    }

    /// Records are short: a call for each of their checksums would cost as much as these.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "sse4.2")]
    fn check_with_instruction(
        bytes: &'a [u8],
        slot: u32,
        offset: usize,
        base_seq: Seq,
        seed: u32,
        intact: impl FnMut(usize),
    ) -> Result<Self, FrameFault> {
        Self::check_all(bytes, slot, offset, base_seq, seed, intact)
    }

    #[inline(always)]
    fn check_all(
        bytes: &'a [u8],
        slot: u32,
        offset: usize,
        base_seq: Seq,
        seed: u32,
        mut intact: impl FnMut(usize),
    ) -> Result<Self, FrameFault> {
        let fault = |at, what| FrameFault { at, what };
        let header =
            FrameHeader::decode(bytes).ok_or(fault(0, "these bytes are no frame header"))?;
        let bytes = bytes
            .get(..header.len as usize)
            .ok_or(fault(4, "the frame's length leaves its segment"))?;
        let mut checksum = checksum::append(seed, &bytes[4..FRAME_HEADER_BYTES]);
        let mut at = FRAME_HEADER_BYTES;
        let mut batch = [0u8; 256];
        let mut filled = 0;
        for index in 0..header.count {
            let (_, found) =
                record::shape(&bytes[at..], at, base_seq).ok_or(fault(at, record::WHAT_SHAPE))?;
            let record = &bytes[at..at + found.len as usize];
            if !record::is_intact(record, seed) {
                return Err(fault(at, record::WHAT_CHECKSUM));
            }
            if header.kind == FrameKind::Commit
                && found.seq != header.first_seq.plus(u64::from(index))
            {
                return Err(fault(at, "the record's sequence number does not follow"));
            }
            intact(at);
            batch[filled..filled + 4].copy_from_slice(&record[0..4]);
            filled += 4;
            if filled == batch.len() {
                checksum = checksum::append(checksum, &batch);
                filled = 0;
            }
            at += record.len();
        }
        checksum = checksum::append(checksum, &batch[..filled]);
        if checksum != u32_at(bytes, 0) {
            return Err(fault(0, "the frame does not match its checksum"));
        }
        if bytes.len() - at >= FRAME_ALIGN || bytes[at..].iter().any(|byte| *byte != 0) {
            return Err(fault(at, "the frame's padding is not zero"));
        }
        Ok(Self { header, bytes, slot, offset: offset as u32, base_seq })
    }

    /// The frame at `offset` of a segment, which was checked before.
    pub(crate) fn of_checked(segment: &'a Segment, offset: usize) -> Option<Self> {
        let behind = segment.region.len().checked_sub(offset)?;
        let bytes = segment.region.read(offset, behind);
        let header = FrameHeader::decode(bytes)?;
        let bytes = bytes.get(..header.len as usize)?;
        let (slot, base_seq) = (segment.slot, segment.base_seq());
        Some(Self { header, bytes, slot, offset: offset as u32, base_seq })
    }

    /// Its segment's slot, and where it is in it.
    pub(crate) fn place(&self) -> (u32, Range<usize>) {
        let start = self.offset as usize;
        (self.slot, start..start + self.bytes.len())
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &FrameHeader {
        &self.header
    }

    /// The records with their addresses and encoded lengths, in order.
    pub fn records(&self) -> impl Iterator<Item = (Address, u32, Record<'a>)> + use<'a> {
        let Self { bytes, slot, offset, base_seq, .. } = *self;
        let mut at = FRAME_HEADER_BYTES;
        let mut left = self.header.count;
        std::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            let parsed = record::parse(&bytes[at..], base_seq)?;
            let address = Address { slot, offset: offset + at as u32 };
            at += parsed.len;
            Some((address, parsed.len as u32, parsed.record))
        })
    }
}

#[cfg(test)]
#[path = "frame/frame_test.rs"]
mod frame_test;
