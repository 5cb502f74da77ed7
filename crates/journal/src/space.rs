//! Getting segments ready before they are needed: space reserved, named by the root, durable.

use crate::{
    Address, Error, Result, Seq,
    format::{SEGMENT_HEADER_BYTES, SegmentKind, segment_name},
    recycle,
    root::RootSegment,
    segment::{Segment, SegmentParts},
    shared::Shared,
    tail::Tail,
};
use annals_disk::Region;
use std::{collections::BTreeSet, sync::Arc};

/// How far ahead of a log that is synced commit by commit real zeroes are kept, and how many are
/// written at a time.
const ZERO_AHEAD_BYTES: usize = 1 << 20;
const ZERO_STEP_BYTES: usize = 4 << 20;
/// How far ahead of a busy log pages are made present, and how many bytes at a time: one large page. Not farther: a
/// sync writes all of these pages, and the next store to each waits for that and makes it dirty again.
const POPULATE_AHEAD_BYTES: usize = 4 << 20;
const POPULATE_STEP_BYTES: usize = 2 << 20;

/// How often it is looked how fast a log grows that asks for no pages.
pub(crate) const LOOK_EVERY_BYTES: usize = 8 << 20;

/// Spares are prepared from the time on when a busy log has filled this share of its segment: an
/// eighth.
const PREPARE_FROM_SHARE: usize = 8;

/// A sealed segment gives its unused end back if that is this share of it, or more: a fourth.
pub(crate) const UNUSED_SHARE: usize = 4;
/// The same when the log is closed: what the last commit of a segment did not fit into is of no use to anybody
/// from then on. Less than a thousandth of a segment, or a page, is not worth a call.
const UNUSED_SHARE_CLOSED: usize = 1024;

/// The slots that no segment holds.
#[derive(Debug, Default)]
pub(crate) struct SlotPool {
    free: BTreeSet<u32>,
    next: u32,
}

impl SlotPool {
    pub(crate) fn new(taken: impl IntoIterator<Item = u32>) -> Self {
        let taken: BTreeSet<u32> = taken.into_iter().collect();
        let next = taken.last().map_or(0, |last| last + 1);
        Self { free: (0..next).filter(|slot| !taken.contains(slot)).collect(), next }
    }

    pub(crate) fn take(&mut self) -> Option<u32> {
        if let Some(slot) = self.free.pop_first() {
            return Some(slot);
        }
        let slot = self.next;
        if slot >= Address::SLOTS_MAX {
            return None;
        }
        self.next += 1;
        Some(slot)
    }

    pub(crate) fn give_back(&mut self, slot: u32) {
        self.free.insert(slot);
    }
}

/// Prepares a segment of `len` bytes: creates its file with the space reserved, and names it in
/// the root. On failure nothing is left behind.
pub(crate) fn prepare(shared: &Shared, len: usize) -> Result<Arc<Segment>> {
    let mut prepared = prepare_some(shared, len, 1)?;
    Ok(prepared.pop().expect("one was asked for"))
}

/// Prepares at most `count` segments of `len` bytes, one at least, with one root that names them
/// all: several cost hardly more than one. What of a failure is left behind is whole segments.
fn prepare_some(shared: &Shared, len: usize, count: usize) -> Result<Vec<Arc<Segment>>> {
    let mut root = shared.root.lock();
    // Closing sets its flag before it takes this lock: whoever waited here meanwhile must not touch
    // a directory that may have another owner by now.
    shared.check_writable()?;
    let mut prepared = Vec::new();
    let mut failed = None;
    while prepared.len() < count && failed.is_none() {
        // A generation is never used twice, also not after a failure half-way: a root that names
        // it may have become durable.
        let generation = root.next_generation;
        root.next_generation += 1;
        match create_spare(shared, generation, len) {
            Ok(segment) => prepared.push(segment),
            Err(error) => failed = Some(error),
        }
    }
    let named = (|| {
        if let (true, Some(error)) = (prepared.is_empty(), failed) {
            return Err(error);
        }
        // The first sync carries what the file system has to note of all of them.
        prepared.iter().try_for_each(|segment| segment.region.sync())?;
        let mut next = shared.current_root(&root);
        next.segments.extend(prepared.iter().map(|segment| RootSegment {
            generation: segment.generation,
            slot: segment.slot,
            kind: SegmentKind::Spare,
            ordinal: 0,
            end: 0,
        }));
        next.write(&*shared.disk, &shared.dir)?;
        Ok(next)
    })();
    match named {
        Ok(next) => {
            *root = next;
            prepared.iter().for_each(|segment| shared.segments.insert(segment));
            Ok(prepared)
        }
        Err(error) => {
            for segment in prepared {
                shared.remove_file(&segment_name(segment.generation));
                shared.slots.lock().give_back(segment.slot);
            }
            Err(error)
        }
    }
}

/// Creates the file of a spare. After a failure there is none.
fn create_spare(shared: &Shared, generation: u32, len: usize) -> Result<Arc<Segment>> {
    let slot =
        shared.slots.lock().take().ok_or_else(|| Error::Full { path: shared.dir.clone() })?;
    let path = shared.dir.join(segment_name(generation));
    let region = shared
        .disk
        .create_region(&path, len as u64)
        .inspect_err(|_| shared.slots.lock().give_back(slot))?;
    Ok(Arc::new(new_spare(region, shared.database_id, slot, generation)))
}

/// A segment that was never written to.
pub(crate) fn new_spare(region: Region, database_id: u64, slot: u32, generation: u32) -> Segment {
    Segment::new(SegmentParts {
        region,
        slot,
        generation,
        database_id,
        kind: SegmentKind::Spare,
        ordinal: 0,
        base_seq: Seq::ZERO,
        published: 0,
        trusted_from: 0,
        recycled: false,
    })
}

/// Keeps so many spares ready as were asked for, and as many as the log may take while more are
/// prepared.
pub(crate) fn refill(shared: &Shared) {
    loop {
        let count = {
            let mut tail = shared.tail.lock();
            let wanted = (shared.config.spares as usize).max(usize::from(tail.preparing));
            let wanted = wanted.max(tail.pace.spares());
            if tail.spares.len() >= wanted || shared.check_writable().is_err() {
                tail.preparing = false;
                return;
            }
            wanted - tail.spares.len()
        };
        let prepared = prepare_some(shared, shared.config.segment_bytes as usize, count);
        let mut tail = shared.tail.lock();
        tail.preparing = false;
        shared.room.notify_all();
        match prepared {
            Ok(segments) => {
                let fewer = segments.len() < count;
                tail.spares.extend(segments);
                if fewer && !tail.spares.is_empty() {
                    // There is no room for more now. Who needs one will find out.
                    return;
                }
            }
            Err(error) => {
                tracing::warn!(%error, "no segment could be prepared");
                if tail.spares.is_empty() {
                    tail.space_error = Some(error);
                }
                return;
            }
        }
    }
}

/// Looks how fast the log grows. Once a busy log has filled a part of its segment, the spares that
/// it will need are prepared: the end of the segment comes too soon for that.
pub(crate) fn keep_pace(shared: &Shared) {
    let due = {
        let mut tail = shared.tail.lock();
        tail.look_at_pace(&*shared.disk, &shared.config);
        let wanted = tail.pace.spares().max(shared.config.spares as usize);
        tail.offset >= tail.segment.region.len() / PREPARE_FROM_SHARE && tail.spares.len() < wanted
    };
    if due {
        refill(shared);
    }
}

/// Removes spares that were prepared for a log that has slowed down.
pub(crate) fn trim(shared: &Shared) {
    let mut root = shared.root.lock();
    if shared.check_writable().is_err() {
        return;
    }
    let surplus = shared.surplus_spares();
    if surplus.is_empty() {
        return;
    }
    let mut next = shared.current_root(&root);
    let goes = |generation| surplus.iter().any(|spare| spare.generation == generation);
    next.segments.retain(|entry| !goes(entry.generation));
    if let Err(error) = next.write(&*shared.disk, &shared.dir) {
        tracing::warn!(%error, "spares that are not needed stay");
        shared.tail.lock().spares.extend(surplus);
        return;
    }
    *root = next;
    drop(root);
    for spare in surplus {
        shared.segments.remove(spare.slot);
        shared.remove_file(&segment_name(spare.generation));
    }
}

/// Writes real zeroes ahead of the tail, so that syncing a commit changes no file-system metadata.
pub(crate) fn zero_ahead(shared: &Shared) {
    let (segment, from, len) = {
        let mut tail = shared.tail.lock();
        let end = tail.segment.region.len();
        let from = tail.zeroed_to.max(tail.offset.next_multiple_of(4096) + 64 * 1024);
        if from >= end || from - tail.offset > ZERO_AHEAD_BYTES {
            return;
        }
        // Nobody appends into the range while it is written.
        tail.limit = from;
        (Arc::clone(&tail.segment), from, ZERO_STEP_BYTES.min(end - from))
    };
    // Counted in: the log may roll on meanwhile, and the file must not get another life, into which
    // the zeroes would go.
    let Some(guard) = shared.segments.guard(segment.slot) else { return };
    let outcome = segment.region.zero(from, len).and_then(|()| segment.region.sync());
    drop(guard);
    let mut tail = shared.tail.lock();
    if Arc::ptr_eq(&tail.segment, &segment) {
        tail.limit = segment.region.len();
        tail.zeroed_to = from + len;
    }
    shared.room.notify_all();
    if let Err(error) = outcome {
        // The sync may have covered commits, and it failed.
        shared.sync_failed(&error);
    }
}

/// Whether the pages that are present end so close behind `end` that more should be asked for.
#[inline]
pub(crate) fn wants_pages(tail: &Tail, end: usize) -> bool {
    end + POPULATE_AHEAD_BYTES / 2 > tail.populated_to
}

/// Makes the first pages of a segment present; returns where the others begin.
pub(crate) fn populate_start(segment: &Segment) -> usize {
    segment.region.populate(0, POPULATE_STEP_BYTES);
    POPULATE_STEP_BYTES
}

/// Makes pages ahead of the tail present, across the end of its segment, so that a copy into them does not stop
/// for each. True if there may be more to do: a log may take pages as fast as they are made, up to the end of its
/// segment, and by then it is too late to prepare the next one.
pub(crate) fn populate_ahead(shared: &Shared) -> bool {
    (0..POPULATE_AHEAD_BYTES / POPULATE_STEP_BYTES).all(|_| populate_step(shared))
}

/// Makes the next pages present. False if no more are wanted.
fn populate_step(shared: &Shared) -> bool {
    let (segment, from) = {
        let mut tail = shared.tail.lock();
        if tail.by_call {
            // Calls fill their pages by themselves. Who comes after them asks again.
            shared.signals.forget_pages();
            return false;
        }
        let from = tail.populated_to.max(tail.offset) & !(POPULATE_STEP_BYTES - 1);
        let len = tail.segment.region.len();
        if from.saturating_sub(tail.offset) >= POPULATE_AHEAD_BYTES {
            return false;
        }
        if from < len {
            tail.populated_to = from + POPULATE_STEP_BYTES;
            (Arc::clone(&tail.segment), from)
        } else {
            let Some(next) = tail.next_spare(0).map(|index| Arc::clone(&tail.spares[index])) else {
                return false;
            };
            let (generation, to) = tail.populated_next;
            let from = if generation == next.generation { to } else { 0 };
            if len - tail.offset + from >= POPULATE_AHEAD_BYTES || from >= next.region.len() {
                return false;
            }
            tail.populated_next = (next.generation, from + POPULATE_STEP_BYTES);
            (next, from)
        }
    };
    segment.region.populate(from, POPULATE_STEP_BYTES);
    true
}

/// Frees segments that have lost their last reader, and recycles those that can be.
pub(crate) fn reap(shared: &Shared) {
    let freed = shared.segments.freed();
    for segment in &freed {
        shared.slots.lock().give_back(segment.slot);
    }
    if !shared.read_only {
        recycle::recycle(shared, &freed);
    }
}

/// Gives the unused ends of segments back that were sealed early, for a commit that needed a
/// segment of its own. Only while no other process reads: one may be looking for the next frame
/// behind the content at this moment.
pub(crate) fn give_back_ends(shared: &Shared) {
    let slots = std::mem::take(&mut shared.tail.lock().half_empty);
    if slots.is_empty() || !shared.sees_readers || shared.check_writable().is_err() {
        return;
    }
    let alone = shared.alone();
    let synced = shared.durable.synced.position();
    for slot in slots {
        // Gone meanwhile, or recycled.
        let Some(guard) = shared.segments.guard(slot) else { continue };
        let segment = guard.segment();
        let Some(end) = segment.sealed_end() else { continue };
        if alone.is_none() || synced < segment.position(end) {
            shared.tail.lock().half_empty.push(slot);
        } else if let Err(error) = segment.cut(end.next_multiple_of(4096)) {
            tracing::warn!(%error, "a segment keeps its full length");
        }
    }
}

/// Gives the unused ends of all segments back that were sealed since the log was opened, as long as no other process
/// reads. For a log that is synced to its end.
///
/// Readers are kept out for one segment at a time: there may be thousands, and who comes meanwhile waits for a second
/// and no longer.
pub(crate) fn give_back_all_ends(shared: &Shared) {
    for guard in shared.segments.iter() {
        let segment = guard.segment();
        let Some(end) = segment.sealed_end() else { continue };
        let keep = end.next_multiple_of(4096);
        let unused = segment.file_len().saturating_sub(keep);
        // Those of earlier openings were cut when these closed, and are mapped for reading only.
        let is_worth_it = unused >= (segment.region.len() / UNUSED_SHARE_CLOSED).max(4096);
        if segment.kind() != SegmentKind::Log || !is_worth_it || segment.region.is_read_only() {
            continue;
        }
        let Some(_alone) = shared.alone() else { return };
        if let Err(error) = segment.cut(keep) {
            tracing::warn!(%error, "a segment keeps its full length");
        }
    }
}

const _: () = assert!(SEGMENT_HEADER_BYTES < 4096);
