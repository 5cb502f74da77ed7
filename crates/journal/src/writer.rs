//! The writer lock and appending.
//!
//! [`Journal::writer`] makes room first and then hands out the lock, so that whoever holds it can
//! validate, append, apply and publish without waiting for anything.

use crate::{
    Address, FrameBuilder, Journal, LoneFrame, Position, Result, Seq,
    format::{FRAME_HEADER_BYTES, SEGMENT_HEADER_BYTES, SegmentHeader, SegmentKind},
    frame::{FrameHeader, FrameKind},
    segment::Segment,
    shared::Shared,
    tail::Tail,
};
use crate::{Background, space};
use annals_disk::Via;
use parking_lot::MutexGuard;
use std::sync::Arc;

/// The writer lock of a journal: whoever holds it is alone in changing the log and the views.
#[derive(Debug)]
pub struct Writer<'a> {
    shared: &'a Shared,
    tail: MutexGuard<'a, Tail>,
    room_bytes: usize,
    room_records: usize,
}

/// Where an appended frame lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The sequence number of its first record.
    pub first_seq: Seq,
    /// The slot of its segment.
    pub slot: u32,
    /// The offset of the frame in the segment, in bytes; records lie at their own offsets behind.
    pub offset: u32,
    /// The position behind the frame; make this durable to make the commit durable.
    pub end: Position,
    /// The time stamped on the frame, in milliseconds since 1970.
    pub time_ms: u64,
}

impl Appended {
    /// The address of the record at `offset` bytes into the frame.
    #[must_use]
    pub fn address(&self, offset: u32) -> Address {
        Address { slot: self.slot, offset: self.offset + offset }
    }
}

impl Journal {
    /// Takes the writer lock once the log has room for a frame of `bytes` bytes and `records`
    /// records; rolls to the next segment if need be.
    ///
    /// # Errors
    /// [`Error::Full`](crate::Error::Full) if no space could be reserved (nothing has changed, try
    /// again later), [`Error::Poisoned`](crate::Error::Poisoned),
    /// [`Error::Closed`](crate::Error::Closed), [`Error::ReadOnly`](crate::Error::ReadOnly).
    #[inline]
    pub fn writer(&self, bytes: usize, records: usize) -> Result<Writer<'_>> {
        let shared = &*self.shared;
        let mut tail = shared.tail.lock();
        shared.check_writable()?;
        let end = tail.offset + bytes + FRAME_HEADER_BYTES;
        if end > tail.limit || !tail.fits(bytes, records) {
            shared.make_room(&mut tail, bytes, records, None)?;
        }
        Ok(Writer { shared, tail, room_bytes: bytes, room_records: records })
    }
}

impl Journal {
    /// Takes the writer lock without asking for room, and also when writing is not possible any
    /// more. For looking at the views while nobody changes them.
    #[must_use]
    pub fn quiesce(&self) -> Writer<'_> {
        let shared = &*self.shared;
        Writer { shared, tail: shared.tail.lock(), room_bytes: 0, room_records: 0 }
    }

    /// Bytes appended since this opening.
    #[inline]
    #[must_use]
    pub fn appended_bytes(&self) -> u64 {
        self.shared.appended.load().bytes
    }

    /// The number behind the last record of the log.
    #[must_use]
    pub fn next_seq(&self) -> Seq {
        self.shared.appended.load().next_seq
    }

    /// Seals the segment in use, so that its content can be compacted; the log goes on in the
    /// next one. Nothing happens if the segment is empty.
    ///
    /// # Errors
    /// As [`writer`](Self::writer).
    pub fn roll(&self) -> Result<()> {
        let shared = &*self.shared;
        let mut tail = shared.tail.lock();
        shared.check_writable()?;
        if tail.offset == SEGMENT_HEADER_BYTES {
            return Ok(());
        }
        let full = tail.segment.generation;
        shared.make_room(&mut tail, 0, 0, Some(full))
    }

    /// Notes in the log that the clock has reached `time_ms`, so that it does not run backwards
    /// after a crash either. A power cut can take the note as it can take a commit with the
    /// database's durability, but that nobody waits for a sync. Never waits: false if the writer
    /// lock is taken or there is no room, in which case the caller tries again later.
    pub fn note_time(&self, time_ms: u64) -> bool {
        let shared = &*self.shared;
        let Some(mut tail) = shared.tail.try_lock() else { return false };
        // The time that the root brought along is in no frame yet: followers do not know of it.
        if tail.time_ms < time_ms || tail.bytes == 0 {
            if shared.check_writable().is_err() {
                return false;
            }
            if tail.offset + 2 * FRAME_HEADER_BYTES > tail.limit {
                // The rest of the segment is for its seal, which tells the time as well.
                let full = tail.offset + 2 * FRAME_HEADER_BYTES > tail.segment.region.len();
                if !full || tail.spares.is_empty() {
                    return false;
                }
                let generation = tail.segment.generation;
                if shared.make_room(&mut tail, 0, 0, Some(generation)).is_err() {
                    return false;
                }
            }
            tail.time_ms = tail.time_ms.max(time_ms);
            // A failure has poisoned the journal; reads go on.
            if shared.append_empty(&mut tail, FrameKind::Mark).is_err() {
                return false;
            }
        }
        let end = tail.segment.position(tail.offset);
        drop(tail);
        shared.sync_soon(end);
        true
    }
}

impl Shared {
    /// Makes room for a frame, in the next segment if need be; the segment of generation `full`
    /// takes no more in any case.
    #[cold]
    fn make_room(
        &self,
        tail: &mut MutexGuard<'_, Tail>,
        bytes: usize,
        records: usize,
        full: Option<u32>,
    ) -> Result<()> {
        loop {
            self.check_writable()?;
            if full != Some(tail.segment.generation) && tail.fits(bytes, records) {
                if tail.offset + bytes + FRAME_HEADER_BYTES <= tail.limit {
                    return Ok(());
                }
                // Zeroes are being written ahead; that ends soon.
                self.room.wait(tail);
                continue;
            }
            let need = SEGMENT_HEADER_BYTES + bytes + FRAME_HEADER_BYTES;
            if let Some(index) = tail.next_spare(need) {
                self.roll(tail, index)?;
                continue;
            }
            let standard = need <= self.config.segment_bytes as usize;
            if standard && self.config.background == Background::Threads {
                if let Some(error) = tail.space_error.take() {
                    return Err(error);
                }
                tail.preparing = true;
                self.signals.wake_space();
                self.room.wait(tail);
            } else {
                let len = need.max(self.config.segment_bytes as usize).next_multiple_of(4096);
                let prepared = MutexGuard::unlocked(tail, || space::prepare(self, len))?;
                tail.spares.push(prepared);
            }
        }
    }

    /// Seals the tail's segment and makes the spare at `index` the tail.
    fn roll(&self, tail: &mut Tail, index: usize) -> Result<()> {
        let next = tail.spares.swap_remove(index);
        self.append_empty(tail, FrameKind::Seal)?;
        tail.segment.note_written(tail.zeroed_to);
        tail.segment.seal();
        if tail.segment.region.len() - tail.offset
            >= tail.segment.region.len() / space::UNUSED_SHARE
        {
            tail.half_empty.push(tail.segment.slot);
        }
        tail.taken += 1;
        self.install_tail(tail, next)?;
        if self.config.background == Background::Threads {
            tail.preparing = true;
            self.signals.wake_space();
        }
        Ok(())
    }

    /// Makes a spare the tail.
    pub(crate) fn install_tail(&self, tail: &mut Tail, next: Arc<Segment>) -> Result<()> {
        let ordinal = tail.segment.ordinal() + 1;
        let (generation, populated_to) = tail.populated_next;
        let mut populated_to = if generation == next.generation { populated_to } else { 0 };
        if !tail.by_call && populated_to == 0 {
            // The header would get a small page, and all the log around it would too: a sync waits for the processors
            // at each page that was stored to.
            populated_to = space::populate_start(&next);
        }
        write_header(&next, self.database_id, SegmentKind::Log, ordinal, tail.next_seq, self.epoch)
            .inspect_err(|error| self.poison(&error.to_string()))?;
        next.activate(SegmentKind::Log, ordinal, tail.next_seq);
        self.durable.track(Arc::clone(&next));
        tail.offset = SEGMENT_HEADER_BYTES;
        tail.pace_at = 0;
        tail.limit = next.region.len();
        tail.zeroed_to = next.written_to().max(SEGMENT_HEADER_BYTES);
        tail.populated_to = populated_to;
        tail.segment = next;
        self.appended.store(tail.progress());
        Ok(())
    }
}

/// Writes the header of a segment that joins the chain or the packed ones.
pub(crate) fn write_header(
    segment: &Segment,
    database_id: u64,
    kind: SegmentKind,
    ordinal: u32,
    base_seq: Seq,
    epoch: u32,
) -> Result<()> {
    let generation = segment.generation;
    let recycled = segment.recycled;
    let header =
        SegmentHeader { kind, database_id, generation, ordinal, base_seq, epoch, recycled };
    // By a call: a store would make a whole page of the map dirty, of a log that may stay small.
    segment.region.write_parts(0, &[&header.encode()], Via::Call)?;
    Ok(())
}

impl Writer<'_> {
    /// The sequence number the next appended record gets.
    #[inline]
    #[must_use]
    pub fn next_seq(&self) -> Seq {
        self.tail.next_seq
    }

    /// The time the next frame will be stamped with at least, in milliseconds since 1970.
    #[must_use]
    pub fn time_ms(&self) -> u64 {
        self.tail.time_ms
    }

    /// Moves the log's clock to the wall clock, never backwards, and returns it.
    #[inline]
    pub fn update_time_ms(&mut self) -> u64 {
        self.tail.time_ms = self.tail.time_ms.max(self.shared.disk.now_ms());
        self.tail.time_ms
    }

    /// Where the log ends.
    #[inline]
    #[must_use]
    pub fn end(&self) -> Position {
        self.tail.segment.position(self.tail.offset)
    }

    /// Appends a frame of at least one record. It must not be larger than the room asked for.
    ///
    /// # Errors
    /// If the file refuses the write; the journal is then poisoned and nothing was published.
    ///
    /// # Panics
    /// If the frame is empty or larger than the room that [`Journal::writer`] was asked for.
    pub fn append(&mut self, frame: &mut FrameBuilder<'_>) -> Result<Appended> {
        let (len, count) = (frame.len_bytes(), frame.count());
        self.append_with(len, count, |header, base_seq, seed| frame.finish(header, base_seq, seed))
    }

    /// Appends a frame of one short record. It must not be larger than the room asked for.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    ///
    /// # Panics
    /// As [`append`](Self::append).
    #[inline(always)]
    pub fn append_lone(&mut self, frame: &mut LoneFrame) -> Result<Appended> {
        let count = usize::from(frame.len_bytes() > 0);
        self.append_with(frame.len_bytes(), count, |header, base_seq, seed| {
            [frame.finish(header, base_seq, seed)]
        })
    }

    /// Appends a frame of `len` bytes with `count` records, whose parts `finish` gives.
    #[inline(always)]
    fn append_with<'f, const PARTS: usize>(
        &mut self,
        len: usize,
        count: usize,
        finish: impl FnOnce(&FrameHeader, Seq, u32) -> [&'f [u8]; PARTS],
    ) -> Result<Appended> {
        assert!(count > 0, "an empty frame");
        assert!(len <= self.room_bytes && count <= self.room_records, "more than was asked for");
        (self.room_bytes, self.room_records) = (self.room_bytes - len, self.room_records - count);
        let time_ms = self.update_time_ms();
        let tail = &mut *self.tail;
        let synced_to = self.shared.durable.synced.position();
        let header = FrameHeader {
            kind: FrameKind::Commit,
            len: len as u32,
            first_seq: tail.next_seq,
            time_ms,
            synced_to,
            count: count as u32,
            epoch: self.shared.epoch,
            term: 0,
            shard: 0,
        };
        let segment = &tail.segment;
        let (slot, offset) = (segment.slot, tail.offset as u32);
        let parts = finish(&header, segment.base_seq(), segment.seed);
        tail.next_seq = header.next_seq();
        let written = self.shared.write_at_tail(tail, &parts);
        if let Err(error) = written {
            tail.next_seq = header.first_seq;
            return Err(error);
        }
        let first_seq = header.first_seq;
        Ok(Appended { first_seq, slot, offset, end: self.end(), time_ms })
    }

    /// Tells the feed that the views hold everything appended so far.
    #[inline]
    pub fn publish(&mut self) {
        self.shared.applied.store(self.tail.progress());
        self.shared.signals.notify_feed();
    }
}
