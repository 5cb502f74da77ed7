//! The second half of opening: from a log that was read to a journal that can be written, or
//! followed.
//!
//! Order of durability when taking over: what is cut off is saved and synced before it is zeroed;
//! what was replayed is synced before anything may say that it is; the root with the new epoch is
//! written last. A crash anywhere in between leaves a log that recovers to the same state.

use crate::{
    Config, Journal, Opened, Opening, Position, Result, Root, Seq,
    cursor::Cursor,
    durable::Progress,
    format::{SEGMENT_HEADER_BYTES, SegmentHeader, SegmentKind, parse_segment_name, segment_name},
    journal::PUT_AWAY_NAME,
    pace::Pace,
    readers,
    root::{ROOT_TEMPORARY, RootSegment, checkpoint_name, is_data_file_name},
    segment::{Segment, SegmentParts},
    segments::Segments,
    shared::{SYNC_FAILED_NAME, Shared, Takeover, note_failed_sync},
    space::{SlotPool, new_spare},
    tail::Tail,
    writer::write_header,
};
#[cfg(debug_assertions)]
use annals_disk::canary::{Broken, is_broken};
use annals_disk::{Access, Disk, Lock, Region};
use parking_lot::Mutex;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What a file is written under before it gets its name, here or by a backup.
pub const COPY_TEMPORARY: &str = "copy.tmp";
/// Temporary files that an interruption leaves; others are not ours.
const TEMPORARY_NAMES: [&str; 3] = [ROOT_TEMPORARY, COPY_TEMPORARY, SYNC_FAILED_NAME];

fn new_tail(segment: Arc<Segment>, offset: usize, next_seq: Seq, time_ms: u64) -> Tail {
    Tail {
        limit: segment.region.len(),
        segment,
        offset,
        zeroed_to: offset,
        populated_to: offset,
        populated_next: (0, 0),
        next_seq,
        time_ms,
        bytes: 0,
        spares: Vec::new(),
        space_error: None,
        preparing: false,
        taken: 0,
        taken_before: 0,
        by_call: false,
        pace_at: 0,
        pace: Pace::default(),
        half_empty: Vec::new(),
    }
}

/// Creates a segment of the chain with its header and names it in `root`, without writing the
/// root.
fn create_chain_segment(
    disk: &dyn Disk,
    dir: &Path,
    root: &mut Root,
    slot: u32,
    ordinal: u32,
    len: u64,
) -> Result<Arc<Segment>> {
    // A crash may have left a file that no root ever named; it is put away with the orphans.
    while disk.len(&dir.join(segment_name(root.next_generation)))?.is_some() {
        root.next_generation += 1;
    }
    let generation = root.next_generation;
    let region = disk.create_region(&dir.join(segment_name(generation)), len)?;
    let segment = Segment::new(SegmentParts {
        region,
        slot,
        generation,
        database_id: root.database_id,
        kind: SegmentKind::Log,
        ordinal,
        base_seq: root.next_seq,
        published: SEGMENT_HEADER_BYTES,
        trusted_from: 0,
        recycled: false,
    });
    write_header(&segment, root.database_id, SegmentKind::Log, ordinal, root.next_seq, root.epoch)?;
    segment.region.sync()?;
    root.next_generation += 1;
    root.segments.push(RootSegment { generation, slot, kind: SegmentKind::Log, ordinal, end: 0 });
    Ok(Arc::new(segment))
}

/// Makes the first segment and the first root of a new database.
pub(crate) fn create(
    disk: Arc<dyn Disk>,
    dir: &Path,
    config: Config,
    lock: Box<dyn Lock>,
    mut root: Root,
) -> Result<Journal> {
    root.epoch = 1;
    root.unseen_readers = !readers::make_readers_file(&*disk, dir);
    let first = create_chain_segment(&*disk, dir, &mut root, 0, 1, config.segment_bytes)?;
    root.write(&*disk, dir)?;
    let segments = Segments::new();
    segments.insert(&first);
    let tail = new_tail(first, SEGMENT_HEADER_BYTES, root.next_seq, 0);
    let synced = tail.progress();
    let slots = SlotPool::new([0]);
    let takeover = Takeover { root, segments, tail, synced, slots, read_only: false };
    let shared = Shared::new(disk, dir.to_owned(), config, takeover);
    Ok(Journal::start(shared, Some(lock)))
}

impl Opening {
    /// Takes the log over for writing, or starts following it if it was opened read-only.
    ///
    /// # Errors
    /// What the file system refuses; the log then recovers to the same state at the next opening.
    ///
    /// # Panics
    /// If [`replay`](Self::replay) has not been called.
    pub fn finish(self) -> Result<Opened> {
        let cursor = self.cursor.expect("a log is replayed before it is taken over");
        if self.read_only { Ok(self.follow(cursor)) } else { self.take_over(cursor) }
    }

    fn follow(mut self, cursor: Cursor) -> Opened {
        let tail_segment = self
            .in_chain(cursor.position.ordinal)
            .or_else(|| self.in_chain(cursor.position.ordinal.saturating_sub(1)));
        let segment = tail_segment.expect("the walk started in a segment of the chain");
        // Behind a sealed segment the place to look at is the next one, which is not there yet.
        let offset = cursor.position.offset as usize;
        let tail = new_tail(segment, offset, cursor.next_seq, cursor.time_ms);
        let synced = Progress { position: cursor.position, ..Progress::default() };
        let slots = SlotPool::default();
        let segments = self.table();
        let recovery = std::mem::take(&mut self.recovery);
        let root = self.root;
        let takeover = Takeover { root, segments, tail, synced, slots, read_only: true };
        let mut shared = Shared::new(self.disk, self.dir, self.config, takeover);
        shared.reader_lock = Mutex::new(self.reader_lock);
        shared.start_following(cursor);
        Opened { journal: Journal::start(shared, None), recovery }
    }

    fn take_over(mut self, cursor: Cursor) -> Result<Opened> {
        let unclean = self.root.clean_end.is_none();
        // Who came while the file was missing reads without a lock, and may do so for long. Noted
        // before the file is there again, and for good: nothing tells when the last of them is gone.
        let had_readers_file = readers::is_there(&*self.disk, &self.dir);
        self.save_torn()?;
        self.make_replayed_durable(&cursor)?;

        let mut root = self.root.clone();
        root.epoch += 1;
        root.clean_end = None;
        root.copy = false;
        root.unseen_readers |= !had_readers_file;
        root.clock_ms = root.clock_ms.max(cursor.time_ms);
        root.next_seq = root.next_seq.max(cursor.next_seq);
        #[cfg(debug_assertions)]
        let unclean = unclean && !is_broken(Broken::ReusesNumbers);
        if unclean {
            root.next_seq = root.next_seq.plus(self.lost_records_max(&cursor));
        }
        // Segments whose whole content was cut off are dropped, and spares that are not as new: a
        // number is never used twice.
        let chain_end = cursor.position.ordinal;
        let as_new = if self.has_failed_sync()? { BTreeSet::new() } else { self.spares_as_new() };
        self.segments.retain(|segment| match segment.kind() {
            SegmentKind::Packed => true,
            SegmentKind::Log => segment.ordinal() <= chain_end,
            SegmentKind::Spare => as_new.contains(&segment.generation),
        });
        let kept: BTreeSet<u32> = self.segments.iter().map(|segment| segment.generation).collect();
        root.segments.retain(|entry| kept.contains(&entry.generation));
        for entry in &mut root.segments {
            let segment = self.segments.iter().find(|s| s.generation == entry.generation);
            if let Some(segment) = segment {
                entry.kind = segment.kind();
                entry.ordinal = segment.ordinal();
                entry.end = segment.sealed_end().unwrap_or(0) as u32;
            }
        }

        let mut slots = SlotPool::new(self.segments.iter().map(|segment| segment.slot));
        let tail_segment = self.open_tail(&mut root, &cursor, &mut slots)?;
        self.segments.retain(|segment| segment.generation != tail_segment.generation);
        self.segments.push(Arc::clone(&tail_segment));
        let spares = self.open_spares(&mut root, &mut slots);
        let offset = tail_segment.published();
        root.synced_to = tail_segment.position(offset);
        root.replace(&self.root, &*self.disk, &self.dir)?;
        if !had_readers_file {
            if !self.root.unseen_readers {
                tracing::warn!(
                    dir = %self.dir.display(),
                    "annals.readers was missing: there may be readers that cannot be seen, so no \
                     segment serves the log again until the database is restored from a backup"
                );
            }
            readers::make_readers_file(&*self.disk, &self.dir);
        }
        self.put_away_orphans(&root)?;

        let segments = self.table();
        let mut tail = new_tail(tail_segment, offset, root.next_seq, root.clock_ms);
        tail.spares = spares;
        let synced = tail.progress();
        let recovery = std::mem::take(&mut self.recovery);
        let takeover = Takeover { root, segments, tail, synced, slots, read_only: false };
        let shared = Shared::new(self.disk, self.dir, self.config, takeover);
        Ok(Opened { journal: Journal::start(shared, self.lock), recovery })
    }

    /// The spares that were never written to, which the log can go on to take: removing a file costs more
    /// than all else here does.
    fn spares_as_new(&self) -> BTreeSet<u32> {
        let len = self.config.segment_bytes as usize;
        let cut_off = |generation| self.torn.iter().any(|(s, ..)| s.generation == generation);
        let spares = self.segments.iter().filter(|segment| segment.kind() == SegmentKind::Spare);
        spares
            .filter(|s| !s.recycled && s.region.len() == len && !cut_off(s.generation))
            .map(|segment| segment.generation)
            .collect()
    }

    /// Opens the spares that were kept for writing. One that cannot be opened is let go of: nothing is in it, and
    /// the log goes on without. In a copy of a database a spare may have no space behind it, and the disk
    /// none to give.
    fn open_spares(&mut self, root: &mut Root, slots: &mut SlotPool) -> Vec<Arc<Segment>> {
        let mut spares = Vec::new();
        let (disk, dir, database_id) = (&*self.disk, &self.dir, self.root.database_id);
        self.segments.retain_mut(|segment| {
            if segment.kind() != SegmentKind::Spare {
                return true;
            }
            let (slot, generation) = (segment.slot, segment.generation);
            let len = segment.region.len() as u64;
            match disk.open_region(&dir.join(segment_name(generation)), Access::Write { len }) {
                Ok(region) => {
                    *segment = Arc::new(new_spare(region, database_id, slot, generation));
                    spares.push(Arc::clone(segment));
                    true
                }
                Err(error) => {
                    tracing::warn!(%error, "a spare is let go of");
                    root.segments.retain(|entry| entry.generation != generation);
                    slots.give_back(slot);
                    false
                }
            }
        });
        spares
    }

    /// An upper bound of the records that may have been lost: what fits behind the end.
    fn lost_records_max(&self, cursor: &Cursor) -> u64 {
        let behind = self.segments.iter().map(|segment| match segment.kind() {
            SegmentKind::Packed => 0,
            SegmentKind::Spare => segment.region.len(),
            SegmentKind::Log if segment.ordinal() > cursor.position.ordinal => segment.region.len(),
            SegmentKind::Log if segment.ordinal() == cursor.position.ordinal => {
                segment.region.len() - cursor.position.offset as usize
            }
            SegmentKind::Log => 0,
        });
        1 + (behind.sum::<usize>().max(self.config.segment_bytes as usize) / 16) as u64
    }

    /// Saves what is cut off to a file of its own, then zeroes it where the log goes on.
    fn save_torn(&mut self) -> Result<()> {
        let torn = std::mem::take(&mut self.torn);
        if torn.is_empty() {
            return Ok(());
        }
        let folder = self.dir.join(PUT_AWAY_NAME);
        self.disk.create_dir_all(&folder)?;
        for (segment, from, end) in &torn {
            let path = self.keep(&folder, segment, *from, *end)?;
            self.recovery.torn_bytes += (end - from) as u64;
            let bytes = end - from;
            let source = segment.region.path().display();
            let warning = format!(
                "{bytes} bytes behind the last whole commit, at byte {from} of {source}, were cut \
                 off and kept in {}",
                path.display()
            );
            tracing::warn!(dir = %self.dir.display(), "{warning}");
            self.recovery.warnings.push(warning);
            self.recovery.torn_files.push(path);
        }
        self.disk.sync_dir(&folder)?;
        self.torn = torn;
        Ok(())
    }

    /// Saves bytes of a segment to a file of their own, durably, and returns its path. A recovery that was
    /// interrupted may have saved them before, and made some of them zero since: then what it saved is
    /// all that is left, and stays.
    fn keep(&self, folder: &Path, segment: &Segment, from: usize, end: usize) -> Result<PathBuf> {
        let bytes = segment.region.read(from, end - from);
        let stem = format!("torn-{}-{:08}-{from}", self.root.epoch, segment.generation);
        for again in 1.. {
            let suffix = if again == 1 { String::new() } else { format!("-{again}") };
            let path = folder.join(format!("{stem}{suffix}.bin"));
            if let Ok(saved) = self.disk.open_region(&path, Access::Read) {
                let saved = saved.read(0, saved.len());
                let has_all = saved.len() >= bytes.len()
                    && saved.iter().zip(bytes).all(|(saved, byte)| saved == byte || *byte == 0);
                // It was synced before the first zero was written.
                if has_all && saved != bytes {
                    return Ok(path);
                }
                if !bytes.starts_with(saved) {
                    continue;
                }
            }
            let mut file = self.disk.create(&path)?;
            file.append(bytes)?;
            file.sync()?;
            return Ok(path);
        }
        unreachable!("there is always another number")
    }

    /// A crash of the process leaves bytes that were replayed and are not on the device. After a
    /// failed sync the kernel may not know that; then they are written again. The segment in which the
    /// log goes on is synced when it is [opened for writing](Self::open_tail), and need not be twice.
    fn make_replayed_durable(&self, cursor: &Cursor) -> Result<()> {
        let rewrite = self.has_failed_sync()?;
        for segment in &self.segments {
            let walked = segment.kind() == SegmentKind::Log
                && segment.ordinal() >= cursor.synced_to.ordinal
                && segment.ordinal() <= cursor.position.ordinal;
            if walked && rewrite {
                let path = self.dir.join(segment_name(segment.generation));
                let len = segment.region.len() as u64;
                let region = self.disk.open_region(&path, Access::Write { len })?;
                let from = if segment.ordinal() == cursor.synced_to.ordinal {
                    cursor.synced_to.offset as usize
                } else {
                    0
                };
                let end = segment.published();
                let bytes = segment.region.read(from.min(end), end.saturating_sub(from)).to_vec();
                region.write(from.min(end), &bytes)?;
                self.sync(&region)?;
            } else if walked && segment.ordinal() < cursor.position.ordinal {
                self.sync(&segment.region)?;
            }
        }
        Ok(())
    }

    /// Whether a sync has failed since the last opening that succeeded.
    fn has_failed_sync(&self) -> Result<bool> {
        Ok(self.disk.len(&self.dir.join(SYNC_FAILED_NAME))?.is_some())
    }

    /// Syncs what this opening or an earlier process has written. If that fails, the same sync might
    /// succeed at the next opening, although the pages are not on the device: that one is told.
    fn sync(&self, region: &Region) -> Result<()> {
        #[cfg(debug_assertions)]
        if is_broken(Broken::LeavesReplayedUnsynced) {
            return Ok(());
        }
        region.sync().inspect_err(|_| note_failed_sync(&*self.disk, &self.dir))?;
        Ok(())
    }

    /// Opens the segment in which the log goes on, for writing, zeroed behind its end.
    fn open_tail(
        &self,
        root: &mut Root,
        cursor: &Cursor,
        slots: &mut SlotPool,
    ) -> Result<Arc<Segment>> {
        let Position { ordinal, offset } = cursor.position;
        let len = self.config.segment_bytes;
        let Some(old) = self.in_chain(ordinal) else {
            let slot = slots.take().expect("fewer segments than slots");
            return create_chain_segment(&*self.disk, &self.dir, root, slot, ordinal, len);
        };
        let path = self.dir.join(segment_name(old.generation));
        let region = self.disk.open_region(&path, Access::Write { len })?;
        for (segment, from, end) in &self.torn {
            if segment.generation == old.generation {
                let zeroes = vec![0; 64 * 1024];
                let mut at = *from;
                while at < *end {
                    let step = zeroes.len().min(end - at);
                    region.write(at, &zeroes[..step])?;
                    at += step;
                }
            }
        }
        if self.has_failed_sync()? {
            // Zeroes that are read here may not be on the device, and what they replaced still is.
            region.zero(offset as usize, region.len() - offset as usize)?;
        }
        self.sync(&region)?;
        let segment = Segment::new(SegmentParts {
            region,
            slot: old.slot,
            generation: old.generation,
            database_id: root.database_id,
            kind: SegmentKind::Log,
            ordinal,
            base_seq: old.base_seq(),
            published: offset as usize,
            trusted_from: old.trusted_from(),
            recycled: old.recycled,
        });
        Ok(Arc::new(segment))
    }

    /// Moves aside what the root does not name and may matter; removes what cannot.
    fn put_away_orphans(&mut self, root: &Root) -> Result<()> {
        let named: BTreeSet<u32> = root.segments.iter().map(|entry| entry.generation).collect();
        let checkpoint = root.checkpoint.map(|checkpoint| checkpoint_name(checkpoint.number));
        let first = root
            .segments
            .iter()
            .filter(|entry| entry.kind == SegmentKind::Log)
            .map(|entry| entry.ordinal)
            .min()
            .unwrap_or(0);
        for entry in self.disk.list(&self.dir)? {
            let path = self.dir.join(&entry.name);
            if let Some(generation) = parse_segment_name(&entry.name) {
                if named.contains(&generation) {
                    continue;
                }
                if self.may_matter(&path, first) {
                    let folder = self.dir.join(PUT_AWAY_NAME);
                    self.disk.create_dir_all(&folder)?;
                    let target: PathBuf = folder.join(&entry.name);
                    self.disk.rename(&path, &target)?;
                    self.disk.sync_dir(&folder)?;
                    self.recovery.orphans.push(target);
                } else {
                    self.disk.remove(&path)?;
                    self.recovery.orphans.push(path);
                }
            } else if is_data_file_name(&entry.name) && Some(&entry.name) != checkpoint.as_ref() {
                // A checkpoint is derived from the log: one without an owner is of no use.
                self.disk.remove(&path)?;
                self.recovery.orphans.push(path);
            } else if TEMPORARY_NAMES.contains(&entry.name.as_str()) {
                self.disk.remove(&path)?;
            }
        }
        Ok(())
    }

    /// Whether a segment file without an owner may hold something that is nowhere else: not a
    /// spare that was never used, not moved records, not a segment whose records were moved.
    fn may_matter(&self, path: &Path, first_ordinal: u32) -> bool {
        let Ok(region) = self.disk.open_region(path, Access::Read) else { return false };
        let cut_off = |generation| self.torn.iter().any(|(s, ..)| s.generation == generation);
        match SegmentHeader::decode(
            region.read(0, region.len().min(SEGMENT_HEADER_BYTES)),
            self.root.database_id,
        ) {
            Ok(header) => {
                header.kind == SegmentKind::Log
                    && header.ordinal >= first_ordinal
                    && header.generation >= self.root.next_generation
                    && !cut_off(header.generation)
            }
            Err(crate::format::HeaderFault::Foreign(_)) => true,
            Err(_) => false,
        }
    }
}
