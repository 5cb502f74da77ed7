//! Segments that log compaction let go of, as spares for the log: their blocks exist and have been
//! written, so syncing a commit in them changes no file-system metadata, and nothing has to be
//! reserved or zeroed.
//!
//! Order of durability: the root that no longer names the segment; its last reader in this process
//! is gone, and no other process reads at all; the file gets the name of a fresh generation and,
//! synced, a header that says so; the root that names it as a spare (writing a root syncs the
//! directory first). Power cut anywhere between: the file has an old or a new name that no root
//! names, and the next opening removes it.
//!
//! Bytes of the earlier life stay where they are. No checksum in them can be right any more, since
//! all are seeded with the generation, and no generation is given out twice.

use crate::{
    Result, Root, Seq,
    format::{SegmentKind, segment_name},
    root::RootSegment,
    segment::{Segment, SegmentParts},
    shared::Shared,
    space::UNUSED_SHARE,
    tail::Tail,
    writer::write_header,
};
use annals_disk::Access;
use std::sync::{Arc, atomic::Ordering};

/// However fast the log rolls, no more segments than these are kept for it beyond the spares.
const KEPT_MAX: usize = 8;

/// How many segments are kept ready at most: the spares that were asked for, and as many as the
/// log took between the last two times that segments were let go of, or as many as it is about to
/// take at its pace. A steady load of overwrites
/// finds all it needs; what it no longer needs goes back to the file system.
pub(crate) fn kept_max(shared: &Shared, tail: &Tail) -> usize {
    // One at least: a writer may be waiting for it.
    let kept = (shared.config.spares as usize + tail.taken_before.min(KEPT_MAX)).max(1);
    kept.max(tail.pace.spares())
}

/// Whether the file of a segment can serve the log again. One that gave its unused end back gets that anew; of a
/// shorter one little would be gained.
pub(crate) fn is_fit(shared: &Shared, segment: &Segment) -> bool {
    let standard = shared.config.segment_bytes as usize;
    shared.sees_readers
        && segment.kind() == SegmentKind::Log
        && segment.file_len() <= standard
        && segment.file_len() > standard - standard / UNUSED_SHARE
}

/// Makes spares of segments that nothing in this process can reach any more, or removes their
/// files.
pub(crate) fn recycle(shared: &Shared, freed: &[Arc<Segment>]) {
    let is_retired = |segment: &&Arc<Segment>| shared.retired.lock().contains(&segment.generation);
    let retired: Vec<&Arc<Segment>> = freed.iter().filter(is_retired).collect();
    if retired.is_empty() {
        return;
    }
    // Asked once the root without them is durable: a reader that comes later does not find them.
    let alone = shared.alone().is_some();
    let mut root = shared.root.lock();
    if shared.closed.load(Ordering::Acquire) {
        // Closing has taken the files away, and the directory may have another owner by now.
        return;
    }
    let mut next = shared.current_root(&root);
    let mut spares = Vec::new();
    for segment in retired {
        let was = shared.retired.lock().remove(&segment.generation);
        let room = {
            let tail = shared.tail.lock();
            tail.spares.len() + spares.len() < kept_max(shared, &tail)
        };
        if was && alone && room && shared.check_writable().is_ok() {
            match renew(shared, segment, &mut next) {
                Ok(spare) => spares.push(spare),
                Err(error) => tracing::warn!(%error, "a segment could not be recycled"),
            }
        } else if was {
            shared.remove_file(&segment_name(segment.generation));
        }
    }
    // A generation is never used twice, also not after a failure half-way: the root that names it
    // may have become durable.
    root.next_generation = next.next_generation;
    if spares.is_empty() {
        return;
    }
    match next.write(&*shared.disk, &shared.dir) {
        Ok(()) => {
            *root = next;
            let mut tail = shared.tail.lock();
            for spare in spares {
                shared.segments.insert(&spare);
                tail.spares.push(spare);
                shared.recycled_count.fetch_add(1, Ordering::Relaxed);
            }
            shared.room.notify_all();
        }
        Err(error) => {
            tracing::warn!(%error, "recycled segments could not be named");
            for spare in spares {
                shared.remove_file(&segment_name(spare.generation));
                shared.slots.lock().give_back(spare.slot);
            }
        }
    }
}

/// Gives the file of `old` a new generation and names it in `root`, which is not written. After a
/// failure no file is left, and the generation is used up.
fn renew(shared: &Shared, old: &Segment, root: &mut Root) -> Result<Arc<Segment>> {
    let generation = root.next_generation;
    root.next_generation += 1;
    let from = shared.dir.join(segment_name(old.generation));
    let to = shared.dir.join(segment_name(generation));
    if let Err(error) = shared.disk.rename(&from, &to) {
        shared.remove_file(&segment_name(old.generation));
        return Err(error.into());
    }
    let slot = shared.slots.lock().take();
    let made =
        slot.ok_or_else(|| crate::Error::Full { path: shared.dir.clone() }).and_then(|slot| {
            let len = shared.config.segment_bytes;
            let region = shared.disk.open_region(&to, Access::Write { len })?;
            let segment = Segment::new(SegmentParts {
                region,
                slot,
                generation,
                database_id: shared.database_id,
                kind: SegmentKind::Spare,
                ordinal: 0,
                base_seq: Seq::ZERO,
                published: 0,
                trusted_from: 0,
                recycled: true,
            });
            // The header of the earlier life names another generation than the file; a power cut must
            // not bring it back once the root names the file.
            write_header(
                &segment,
                shared.database_id,
                SegmentKind::Spare,
                0,
                Seq::ZERO,
                shared.epoch,
            )?;
            segment.region.sync()?;
            segment.note_written(old.written_to());
            Ok(Arc::new(segment))
        });
    match made {
        Ok(segment) => {
            root.segments.push(RootSegment {
                generation,
                slot: segment.slot,
                kind: SegmentKind::Spare,
                ordinal: 0,
                end: 0,
            });
            Ok(segment)
        }
        Err(error) => {
            shared.remove_file(&segment_name(generation));
            if let Some(slot) = slot {
                shared.slots.lock().give_back(slot);
            }
            Err(error)
        }
    }
}
