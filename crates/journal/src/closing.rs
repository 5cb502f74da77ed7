//! Closing: the log is synced, cut to its content and noted as whole.

use crate::{
    Error, Position, Result, Root,
    format::{FRAME_HEADER_BYTES, SEGMENT_HEADER_BYTES, SegmentKind, segment_name},
    frame::FrameKind,
    readers,
    root::RootSegment,
    segment::Segment,
    shared::Shared,
    space,
};
use annals_disk::Lock;
use std::sync::{Arc, atomic::Ordering};

impl Shared {
    pub(crate) fn close(&self) -> Result<()> {
        let closed_before = {
            // No commit is on its way: who finds the flag set, and then nothing to read, has read all there will be.
            let _writer = self.tail.lock();
            self.closed.swap(true, Ordering::AcqRel)
        };
        self.signals.wake_feed();
        if self.read_only || closed_before {
            self.lock.lock().take();
            return Ok(());
        }
        self.room.notify_all();
        let outcome = self.close_log();
        // Whoever changes the set of files at this moment has looked at the flag before: it comes
        // to its end first.
        drop(self.root.lock());
        self.stay_as_reader();
        // Released last: whoever gets it next finds a finished directory.
        self.lock.lock().take();
        outcome
    }

    /// Guards, snapshots and handles may outlive closing and go on reading: for the next writer, which
    /// would use the files again, this is one of its readers from now on.
    fn stay_as_reader(&self) {
        if readers::is_there(&*self.disk, &self.dir) {
            match readers::enter(&*self.disk, &self.dir) {
                Ok(lock) => *self.reader_lock.lock() = lock,
                Err(error) => tracing::warn!(%error, "the next writer does not see who reads here"),
            }
        }
    }

    /// The lock of the readers, if there is none and every one could be seen. Whoever comes while it is
    /// held waits.
    pub(crate) fn alone(&self) -> Option<Box<dyn Lock>> {
        if self.sees_readers { readers::alone(&*self.disk, &self.dir) } else { None }
    }

    /// Syncs the log, and notes that it is whole.
    fn close_log(&self) -> Result<()> {
        if let Some(cause) = self.poison.get() {
            return Err(Error::Poisoned { cause: Arc::clone(cause) });
        }
        self.sync_to(self.appended.position())?;
        let (end, segment) = {
            let mut tail = self.tail.lock();
            // The root alone says that the log is whole; the frame only tells readers of the log of it.
            // It must not take the last place of a segment, which sealing it needs.
            if tail.offset + 2 * FRAME_HEADER_BYTES <= tail.segment.region.len() {
                self.append_empty(&mut tail, FrameKind::Close)?;
            }
            (tail.progress(), Arc::clone(&tail.segment))
        };
        self.applied.store(end);
        self.sync_to(end.position)?;
        self.note_whole(end.position, &segment).map_err(|error| match error {
            // It is not a commit that was not written.
            Error::Full { path } => Error::NotClosed { dir: self.dir.clone(), path },
            error => error,
        })
    }

    /// Cuts the log's last segment to its content, and has the root say where the log ends. All of the log is on
    /// the device.
    fn note_whole(&self, end: Position, segment: &Segment) -> Result<()> {
        space::give_back_all_ends(self);
        // One page of zeroes stays behind the end: followers look there for the next frame.
        let end_offset = end.offset as usize;
        let keep = end_offset.next_multiple_of(4096) + 4096;
        // A reader may be looking behind the end at this moment, or come to.
        let alone = self.alone();
        let cut = keep < segment.region.len() && alone.is_some();
        if segment.recycled {
            // What an earlier life left would be cut off page by page only.
            segment.region.zero(end_offset, keep.min(segment.region.len()) - end_offset)?;
        }
        if cut {
            segment.cut(keep)?;
        }
        if cut || segment.recycled {
            segment.region.sync()?;
        }
        drop(alone);
        let mut root = self.root.lock();
        let mut next = self.current_root(&root);
        let spares: Vec<_> = self.tail.lock().spares.drain(..).collect();
        next.segments.retain(|entry| entry.kind != SegmentKind::Spare);
        next.clean_end = Some(end);
        next.write(&*self.disk, &self.dir)?;
        *root = next;
        let retired = std::mem::take(&mut *self.retired.lock());
        for generation in spares.iter().map(|spare| spare.generation).chain(retired) {
            self.remove_file(&segment_name(generation));
        }
        Ok(())
    }

    /// The root as it should read now: kinds, places and ends of segments brought up to date.
    pub(crate) fn current_root(&self, root: &Root) -> Root {
        let mut next = root.clone();
        let synced = self.durable.synced.position();
        for entry in &mut next.segments {
            if let Some(guard) = self.segments.guard(entry.slot)
                && guard.segment().generation == entry.generation
            {
                describe(guard.segment(), synced, entry);
            }
        }
        let tail = self.tail.lock();
        next.next_seq = tail.next_seq;
        next.clock_ms = next.clock_ms.max(tail.time_ms);
        next.synced_to = next.synced_to.max(self.durable.synced.position());
        next.clean_end = None;
        next
    }
}

/// Brings a segment's entry in the root up to date, as far as its file is on the device: a root
/// that says more than the device holds would make a power cut look like damage.
fn describe(segment: &Segment, synced: Position, entry: &mut RootSegment) {
    let durable = |offset| synced >= segment.position(offset);
    let complete = segment.sealed_end();
    match segment.kind() {
        SegmentKind::Spare => {}
        SegmentKind::Log if durable(SEGMENT_HEADER_BYTES) => {
            entry.kind = SegmentKind::Log;
            entry.ordinal = segment.ordinal();
            entry.end = complete.filter(|end| durable(*end)).unwrap_or(0) as u32;
        }
        SegmentKind::Log => {}
        // Sealed only after it was synced.
        SegmentKind::Packed => {
            if let Some(end) = complete {
                entry.kind = SegmentKind::Packed;
                entry.ordinal = segment.ordinal();
                entry.end = end as u32;
            }
        }
    }
}
