//! Installing checkpoints and letting go of segments.
//!
//! A segment leaves in three steps, each safe to stop after: the root stops naming it and its file
//! is removed, or kept to be recycled ([`Journal::install`]); the table stops showing it once no
//! snapshot needs it ([`Journal::release`]); when the last reader is gone, its memory and its slot
//! become free, and a file that was kept becomes a spare or is removed ([`Journal::reap`]).

use crate::{
    Journal, Position, Result, Root, Seq,
    format::{SegmentKind, segment_name},
    recycle,
    root::{RootCheckpoint, RootManifest, checkpoint_name},
    segment::Segment,
    shared::Shared,
    space,
};
use std::sync::{Arc, atomic::Ordering};

/// What the journal knows of one of its segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Its slot.
    pub slot: u32,
    /// Its number; its file's name.
    pub generation: u32,
    /// What it is for.
    pub kind: SegmentKind,
    /// Its place in the chain, or among the packed ones.
    pub ordinal: u32,
    /// Sequence numbers in it are not lower than this.
    pub base_seq: Seq,
    /// The length of its content in bytes.
    pub content_bytes: u64,
    /// The length of its file in bytes.
    pub file_bytes: u64,
    /// Whether nothing more will be appended.
    pub sealed: bool,
}

impl Shared {
    /// Takes out the spares that are more than the log needs now, and tells how many segments may be
    /// kept to become spares. `lets_go` starts a new stretch of counting.
    fn spares_for_reuse(&self, lets_go: bool) -> (Vec<Arc<Segment>>, usize) {
        let mut tail = self.tail.lock();
        if lets_go {
            tail.taken_before = std::mem::take(&mut tail.taken);
        }
        tail.look_at_pace(&*self.disk, &self.config);
        let most = recycle::kept_max(self, &tail);
        tail.spares.sort_by_key(|spare| !spare.recycled);
        let first = most.min(tail.spares.len());
        let surplus = tail.spares.split_off(first);
        (surplus, most - first)
    }

    /// Takes out the spares that are more than the log needs now.
    pub(crate) fn surplus_spares(&self) -> Vec<Arc<Segment>> {
        self.spares_for_reuse(false).0
    }

    /// Whether the log has more spares than it needs now.
    fn has_surplus(&self) -> bool {
        let mut tail = self.tail.lock();
        tail.look_at_pace(&*self.disk, &self.config);
        tail.spares.len() > recycle::kept_max(self, &tail)
    }
}

impl Journal {
    /// All segments, by slot. Released ones that still have readers are not among them.
    #[must_use]
    pub fn segments(&self) -> Vec<SegmentInfo> {
        self.shared
            .segments
            .iter()
            .map(|guard| {
                let segment = guard.segment();
                let sealed = segment.sealed_end();
                let content_bytes = segment.published() as u64;
                SegmentInfo {
                    slot: segment.slot,
                    generation: segment.generation,
                    kind: segment.kind(),
                    ordinal: segment.ordinal(),
                    base_seq: segment.base_seq(),
                    content_bytes,
                    file_bytes: segment.file_len() as u64,
                    sealed: sealed.is_some(),
                }
            })
            .collect()
    }

    /// Makes `checkpoint` the latest one and stops naming the segments in `slots`, in one step,
    /// durably. Everything the checkpoint refers to must be synced. The files of the segments and
    /// of the checkpoint before are removed, but for those that the log may take again; the
    /// segments stay readable for this process until they are [released](Self::release).
    ///
    /// # Errors
    /// If the root cannot be written; nothing has changed then.
    pub fn install(&self, checkpoint: RootCheckpoint, slots: &[u32]) -> Result<()> {
        let shared = &*self.shared;
        let mut root = shared.root.lock();
        shared.check_writable()?;
        let mut next = shared.current_root(&root);
        let before = next.checkpoint.replace(checkpoint);
        let (surplus, room) = shared.spares_for_reuse(!slots.is_empty());
        let mut retired = Vec::new();
        let mut files = Vec::new();
        next.segments.retain(|entry| {
            let goes = slots.contains(&entry.slot);
            if goes {
                let guard = shared.segments.guard(entry.slot);
                let fit = guard.is_some_and(|guard| recycle::is_fit(shared, guard.segment()));
                if fit && retired.len() < room {
                    retired.push(entry.generation);
                } else {
                    files.push(segment_name(entry.generation));
                }
            }
            !goes && surplus.iter().all(|spare| spare.generation != entry.generation)
        });
        if let Err(error) = next.write(&*shared.disk, &shared.dir) {
            shared.tail.lock().spares.extend(surplus);
            return Err(error);
        }
        *root = next;
        shared.retired.lock().extend(retired);
        drop(root);
        for spare in surplus {
            shared.segments.remove(spare.slot);
            files.push(segment_name(spare.generation));
        }
        if let Some(before) = before
            && before.number != checkpoint.number
        {
            files.push(checkpoint_name(before.number));
        }
        for file in files {
            shared.remove_file(&file);
        }
        Ok(())
    }

    /// Takes segments that the root no longer names out of the table. Their memory and slots
    /// become free when the last reader is gone.
    pub fn release(&self, slots: &[u32]) {
        slots.iter().for_each(|slot| self.shared.segments.remove(*slot));
    }

    /// Frees released segments whose last reader is gone, and makes spares of those that no reader
    /// of any process can see. Returns how many are still waiting.
    pub fn reap(&self) -> usize {
        let shared = &*self.shared;
        space::reap(shared);
        if !shared.tail.lock().half_empty.is_empty() || shared.has_surplus() {
            shared.signals.wake_space();
        }
        shared.segments.leaving_count()
    }

    /// Segments that served the log once more since this opening, instead of new files.
    #[must_use]
    pub fn recycled_count(&self) -> u64 {
        self.shared.recycled_count.load(Ordering::Relaxed)
    }

    /// The first position of the chain that still exists.
    #[must_use]
    pub fn oldest(&self) -> Position {
        self.segments()
            .iter()
            .filter(|info| info.kind == SegmentKind::Log)
            .map(|info| Position { ordinal: info.ordinal, offset: 64 })
            .min()
            .unwrap_or_default()
    }

    /// The root as it would be written now, without spares: what a copy of the database needs.
    /// The copy ends at `end`, up to which the log must be synced.
    #[must_use]
    pub fn root_of_copy(&self, end: Position) -> Root {
        let root = self.shared.root.lock();
        let mut copy = self.shared.current_root(&root);
        copy.segments.retain(|entry| match entry.kind {
            SegmentKind::Spare => false,
            SegmentKind::Packed => true,
            SegmentKind::Log => entry.ordinal <= end.ordinal,
        });
        for entry in &mut copy.segments {
            if entry.kind == SegmentKind::Log && entry.ordinal == end.ordinal {
                entry.end = 0;
            }
        }
        copy.clean_end = Some(end);
        copy.synced_to = end;
        copy.copy = true;
        copy.unseen_readers = false;
        copy
    }

    /// The checkpoint the root names now.
    #[must_use]
    pub fn checkpoint(&self) -> Option<RootCheckpoint> {
        self.shared.root.lock().checkpoint
    }

    /// The manifest of sorted tables that the root names now.
    #[must_use]
    pub fn manifest(&self) -> Option<RootManifest> {
        self.shared.root.lock().manifest
    }

    /// What keeps the tables' manifest in the root.
    #[must_use]
    pub fn root_keeper(&self) -> RootKeeper {
        RootKeeper { shared: Arc::clone(&self.shared) }
    }

    /// The oldest position that a [`Hold`](crate::Hold) keeps, and who keeps it.
    #[must_use]
    pub fn oldest_hold(&self) -> Option<(String, Position)> {
        self.shared.holds.oldest()
    }

    /// Device flushes of the log so far.
    #[must_use]
    pub fn syncs_count(&self) -> u64 {
        self.shared.durable.syncs_count.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Memory taken by the log beyond its mapped pages, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.shared.segments.iter().map(|guard| guard.segment().memory_bytes()).sum()
    }
}

/// Names a manifest of sorted tables in the root, and syncs the log for them. It may outlive the
/// journal, and then refuses.
#[derive(Debug)]
pub struct RootKeeper {
    shared: Arc<Shared>,
}

impl RootKeeper {
    /// Makes the root name `manifest`, durably.
    ///
    /// # Errors
    /// [`Error::Full`](crate::Error::Full) if there is no space for another root: it names what it named.
    /// If the journal takes no writes, or the root cannot be written for another reason: nobody knows then
    /// which manifest it names.
    pub fn set_manifest(&self, manifest: RootManifest) -> Result<()> {
        let shared = &*self.shared;
        let mut root = shared.root.lock();
        shared.check_writable()?;
        let mut next = shared.current_root(&root);
        next.manifest = Some(manifest);
        next.write(&*shared.disk, &shared.dir)?;
        *root = next;
        Ok(())
    }

    /// Syncs everything appended so far.
    ///
    /// # Errors
    /// [`Error::Poisoned`](crate::Error::Poisoned) if a sync failed, now or earlier.
    pub fn sync(&self) -> Result<()> {
        self.shared.sync_to(self.shared.appended.position())
    }
}
