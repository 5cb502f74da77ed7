//! Following a live writer from another process.
//!
//! The follower walks the chain with the same cursor as recovery. A frame that is not whole yet
//! fails its checksum and is looked at again later; a frame that passes is final. The root is read
//! again only at the end of a segment. If the writer has meanwhile removed or replaced segments in
//! a way that the follower's views cannot bridge, it is told to load anew.

use crate::{
    Journal, Result, Root, SegmentGuard,
    cursor::Cursor,
    durable::Progress,
    format::{FRAME_HEADER_BYTES, SegmentKind},
    frame::{FrameHeader, FrameView},
    opening::open_segment,
    shared::Shared,
};
use std::{ops::ControlFlow, sync::Arc};

/// How following went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Followed {
    /// Everything the writer has published was applied, this many frames.
    UpToDate(u64),
    /// Who applies wanted no more; there may be more.
    Stopped,
    /// The chain from here on is gone; open the log again and load the views anew.
    Reload,
}

impl Shared {
    pub(crate) fn start_following(&self, mut cursor: Cursor) {
        cursor.epoch_max = u32::MAX;
        // Behind a sealed segment whose next one is not there that is no place in any segment. By the last segment that
        // is there all would seem to be followed for ever, and none of it to be read.
        self.note_followed(&cursor);
        *self.follower.lock() = Some(cursor);
    }

    /// Notes that all up to the cursor is applied.
    fn note_followed(&self, cursor: &Cursor) {
        let mut tail = self.tail.lock();
        tail.next_seq = cursor.next_seq;
        tail.time_ms = cursor.time_ms;
        let (position, next_seq) = (cursor.position, cursor.next_seq);
        let progress = Progress { position, next_seq, bytes: 0 };
        self.appended.store(progress);
        self.applied.store(progress);
    }

    /// Whether the root still says that the log was closed where it was found closed. What stands
    /// behind its end then belongs to no writer: an interrupted backup may have put it there.
    fn rests(&self) -> Result<bool> {
        let mut found = self.root.lock();
        if found.clean_end.is_some()
            && Root::read(&*self.disk, &self.dir)?.clean_end != found.clean_end
        {
            found.clean_end = None;
        }
        Ok(found.clean_end.is_some())
    }
}

impl Journal {
    /// Whether the writer seems to have published more than was followed. Cheap: one look at the
    /// place where the next frame will be.
    #[must_use]
    pub fn may_have_more(&self) -> bool {
        let position = self.shared.applied.position();
        match self.shared.chain_guard(position.ordinal) {
            Some(guard) => {
                let region = &guard.segment().region;
                let offset = position.offset as usize;
                // Behind the end of the map nothing can be seen: the file may have grown. What an
                // earlier life of the file left has a lower number.
                offset + FRAME_HEADER_BYTES > region.len()
                    || FrameHeader::decode(region.read(offset, FRAME_HEADER_BYTES)).is_some_and(
                        |header| header.first_seq >= self.shared.applied.load().next_seq,
                    )
            }
            None => true,
        }
    }

    /// Applies what the writer has published since the last call, until `apply` breaks off behind a frame.
    ///
    /// # Errors
    /// What is wrong with the files.
    pub fn follow(
        &self,
        apply: &mut dyn FnMut(&FrameView<'_>) -> ControlFlow<()>,
    ) -> Result<Followed> {
        let shared = &*self.shared;
        let mut follower = shared.follower.lock();
        let Some(cursor) = follower.as_mut() else { return Ok(Followed::UpToDate(0)) };
        if shared.rests()? {
            return Ok(Followed::UpToDate(0));
        }
        let mut frames_count = 0;
        let mut is_stopped = false;
        while !is_stopped {
            let Some(guard) = shared.chain_guard(cursor.position.ordinal) else {
                match shared.open_next(cursor)? {
                    Next::Opened => continue,
                    Next::NotYet => break,
                    Next::Reload => return Ok(Followed::Reload),
                }
            };
            let segment = guard.segment();
            let before = *cursor;
            let Ok(frame) = cursor.step(segment, segment.region.len()) else {
                *cursor = before;
                if let Some(fault) = cursor.damage(segment) {
                    let offset = before.position.offset as usize + fault.at;
                    return Err(segment.damaged(offset, fault.what));
                }
                let len = shared.disk.len(segment.region.path())?;
                if len.is_none_or(|len| len > segment.region.len() as u64) {
                    // A writer has opened the log since: what it writes lies behind our map. If the file
                    // is gone, it was compacted away behind that: nothing more would ever be seen here.
                    return Ok(Followed::Reload);
                }
                break;
            };
            segment.publish((before.position.offset + frame.header().len) as usize);
            if cursor.position.ordinal != before.position.ordinal {
                segment.seal();
            }
            is_stopped = apply(&frame).is_break();
            frames_count += 1;
        }
        shared.note_followed(cursor);
        Ok(if is_stopped { Followed::Stopped } else { Followed::UpToDate(frames_count) })
    }
}

enum Next {
    Opened,
    NotYet,
    Reload,
}

impl Shared {
    /// Looks for the chain's segment at the cursor in the newest root.
    fn open_next(&self, cursor: &Cursor) -> Result<Next> {
        let root = Root::read(&*self.disk, &self.dir)?;
        let mut found = Next::NotYet;
        // Whether a later segment of the chain is there.
        let mut later = false;
        for entry in &root.segments {
            match self.segments.guard(entry.slot).as_ref().map(SegmentGuard::segment) {
                Some(known)
                    if known.generation == entry.generation
                        && known.kind() != SegmentKind::Spare =>
                {
                    later |= known.kind() == SegmentKind::Log
                        && known.ordinal() > cursor.position.ordinal;
                    continue;
                }
                Some(known) if known.generation == entry.generation => {}
                // The writer has given the slot to another segment: our addresses are stale.
                Some(_) => return Ok(Next::Reload),
                None => {}
            }
            let Some(segment) = open_segment(&*self.disk, &self.dir, &root, entry)? else {
                continue;
            };
            later |=
                segment.kind() == SegmentKind::Log && segment.ordinal() > cursor.position.ordinal;
            if segment.kind() == SegmentKind::Log && segment.ordinal() == cursor.position.ordinal {
                self.segments.remove(entry.slot);
                segment.trust_from(0);
                self.segments.insert(&Arc::new(segment));
                found = Next::Opened;
            }
        }
        // Log compaction takes segments out of the middle of the chain too. Where the root is the one that was opened
        // the log was torn here: opened anew it would end here again, each time that somebody looks.
        let is_as_opened = {
            let opened = self.root.lock();
            opened.epoch == root.epoch && opened.segments == root.segments
        };
        if matches!(found, Next::NotYet) && later && !is_as_opened {
            return Ok(Next::Reload);
        }
        Ok(found)
    }
}
