//! Opening a database's log: from the root to a journal, in two halves.
//!
//! The first half only reads: it opens the files the root names, checks their headers, and walks
//! the chain from the checkpoint, handing every frame to the caller. Whatever is wrong is found
//! here, and an opening that fails has changed nothing. The second half ([`Opening::finish`])
//! writes: it puts a torn tail aside, takes a new epoch, and starts the journal.

use crate::{
    Background, Config, Error, Position, Result, Seq, beside,
    cursor::Cursor,
    format::{
        HeaderFault, SEGMENT_BYTES_MAX, SEGMENT_HEADER_BYTES, SEGMENT_VERSION, SegmentHeader,
        SegmentKind, segment_name,
    },
    frame::FrameView,
    root::{Root, RootSegment},
    segment::{Segment, SegmentParts},
    segments::Segments,
    shared::note_failed_sync,
    walk::nonzero_end,
};
use annals_disk::{Access, Disk, Lock};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

/// What recovery did.
///
/// ```
/// # use annals_journal as annals;
/// use annals::Recovery;
/// /// What a program tells whoever runs it, if there is something to tell.
/// fn told(recovery: &Recovery) -> Option<String> {
///     let Recovery { records_count, torn_bytes, .. } = recovery;
///     let told = || format!("{records_count} records read back, {torn_bytes} bytes cut off");
///     (!recovery.clean).then(told)
/// }
/// let crashed = Recovery { records_count: 17, torn_bytes: 96, ..Recovery::default() };
/// assert_eq!(told(&crashed).as_deref(), Some("17 records read back, 96 bytes cut off"));
/// assert_eq!(told(&Recovery { clean: true, ..crashed }), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Whether the log had been closed.
    pub clean: bool,
    /// Frames read back.
    pub frames_count: u64,
    /// Records read back.
    pub records_count: u64,
    /// Bytes behind the last whole frame that were cut off.
    pub torn_bytes: u64,
    /// The files that keep what was cut off.
    pub torn_files: Vec<PathBuf>,
    /// Files that the root does not name and that were put away or removed.
    pub orphans: Vec<PathBuf>,
    /// What was repaired, in words.
    pub warnings: Vec<String>,
}

/// A log that has been opened for reading and not yet taken over for writing.
pub struct Opening {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) config: Config,
    pub(crate) lock: Option<Box<dyn Lock>>,
    pub(crate) reader_lock: Option<Box<dyn Lock>>,
    pub(crate) root: Root,
    pub(crate) segments: Vec<Arc<Segment>>,
    pub(crate) cursor: Option<Cursor>,
    /// Content behind the cursor: segment and end of what is not zero.
    pub(crate) torn: Vec<(Arc<Segment>, usize, usize)>,
    /// By generation, where the content of spares ends that no earlier life left anything in. Whoever asks
    /// first looks: every byte is read.
    pub(crate) spare_ends: Arc<HashMap<u32, OnceLock<usize>>>,
    pub(crate) recovery: Recovery,
    pub(crate) read_only: bool,
}

impl std::fmt::Debug for Opening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opening").field("dir", &self.dir).finish_non_exhaustive()
    }
}

/// Opens the region of a segment the root names, and checks its header.
pub(crate) fn open_segment(
    disk: &dyn Disk,
    dir: &Path,
    root: &Root,
    entry: &RootSegment,
) -> Result<Option<Segment>> {
    let path = dir.join(segment_name(entry.generation));
    let damaged = |offset, what| Error::Damaged { path: path.clone(), offset: offset as u64, what };
    let spare = entry.kind == SegmentKind::Spare;
    let region = match disk.open_region(&path, Access::Read) {
        Ok(region) => region,
        Err(error) if error.is_not_found() => {
            let what = "the root names this segment";
            return if spare { Ok(None) } else { Err(Error::Missing { path, what }) };
        }
        Err(error) if error.source.kind() == std::io::ErrorKind::InvalidData => {
            return if spare { Ok(None) } else { Err(damaged(0, "the segment is empty")) };
        }
        Err(error) if error.source.kind() == std::io::ErrorKind::IsADirectory => {
            return Err(damaged(0, "a directory stands in its place"));
        }
        Err(error) if error.source.kind() == std::io::ErrorKind::NotSeekable => {
            return Err(damaged(0, "a pipe or a device stands in its place"));
        }
        Err(error) => return Err(error.into()),
    };
    let len = region.len();
    if len < SEGMENT_HEADER_BYTES || len < entry.end as usize {
        return if spare { Ok(None) } else { Err(damaged(len, "the segment is cut off")) };
    }
    if len > SEGMENT_BYTES_MAX {
        return Err(damaged(SEGMENT_BYTES_MAX, "the segment is longer than one can be"));
    }
    // A spare that was never written is not read at all.
    let blank = spare && region.filled(0).is_none_or(|range| range.start >= SEGMENT_HEADER_BYTES);
    let head =
        if blank { &[0; SEGMENT_HEADER_BYTES] } else { region.read(0, SEGMENT_HEADER_BYTES) };
    let header = match SegmentHeader::decode(head, root.database_id) {
        Ok(header) if header.generation == entry.generation => header,
        // An intact header of something else was never written here, nor torn into being.
        Ok(_) => return Err(damaged(24, "the file is another segment than its name says")),
        Err(HeaderFault::Version(found)) => {
            return Err(Error::Version { path, found, expected: SEGMENT_VERSION });
        }
        Err(HeaderFault::Foreign(found)) => {
            return Err(Error::Foreign { path, found, expected: root.database_id });
        }
        // A spare has no header until it joins the chain. One with a torn header joined it, but
        // its content is behind the tear; `replay` looks at that.
        Err(_) if spare => SegmentHeader {
            kind: SegmentKind::Spare,
            database_id: root.database_id,
            generation: entry.generation,
            ordinal: 0,
            base_seq: Seq::ZERO,
            epoch: 0,
            recycled: false,
        },
        Err(HeaderFault::Magic) => return Err(damaged(0, "the segment has no magic bytes")),
        Err(HeaderFault::Endian) => return Err(Error::ByteOrder { path }),
        Err(HeaderFault::Checksum | HeaderFault::Kind) => {
            return Err(damaged(0, "the segment's header does not match its checksum"));
        }
    };
    if spare && header.kind == SegmentKind::Packed {
        // Log compaction did not get to the end: nothing refers to what it wrote.
        return Ok(None);
    }
    if !spare && (header.kind != entry.kind || header.ordinal != entry.ordinal) {
        return Err(damaged(12, "the segment is not what the root says"));
    }
    let end = entry.end as usize;
    let segment = Segment::new(SegmentParts {
        region,
        slot: entry.slot,
        generation: entry.generation,
        database_id: root.database_id,
        kind: header.kind,
        ordinal: header.ordinal,
        base_seq: header.base_seq,
        published: end,
        // Nothing read from a file is trusted until it was replayed.
        trusted_from: usize::MAX,
        recycled: header.recycled,
    });
    if end != 0 {
        segment.seal();
    }
    Ok(Some(segment))
}

impl Opening {
    pub(crate) fn read(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        config: Config,
        lock: Option<Box<dyn Lock>>,
    ) -> Result<Self> {
        let read_only = lock.is_none();
        let root = Root::read(&*disk, &dir)?;
        let mut segments = Vec::with_capacity(root.segments.len());
        for entry in &root.segments {
            if let Some(segment) = open_segment(&*disk, &dir, &root, entry)? {
                segments.push(Arc::new(segment));
            }
        }
        let recovery = Recovery { clean: root.clean_end.is_some(), ..Recovery::default() };
        let unused = |s: &&Arc<Segment>| s.kind() == SegmentKind::Spare && !s.recycled;
        let spare_ends = segments.iter().filter(unused).map(|s| (s.generation, OnceLock::new()));
        let spare_ends = Arc::new(spare_ends.collect());
        Ok(Self {
            disk,
            dir,
            config,
            lock,
            reader_lock: None,
            root,
            segments,
            cursor: None,
            torn: Vec::new(),
            spare_ends,
            recovery,
            read_only,
        })
    }

    /// The root as it was found.
    #[must_use]
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The disk the log lies on.
    #[must_use]
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// The database's directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Notes something that was repaired, for the recovery report.
    pub fn warn(&mut self, warning: String) {
        tracing::warn!(dir = %self.dir.display(), "{warning}");
        self.recovery.warnings.push(warning);
    }

    /// The files of this log's segments by slot, to tell whether an address can be one of them.
    pub fn slots(&self) -> impl Iterator<Item = u32> + '_ {
        self.segments.iter().map(|segment| segment.slot)
    }

    /// The file of the segment in `slot`.
    #[must_use]
    pub fn path_of(&self, slot: u32) -> PathBuf {
        let found = self.segments.iter().find(|segment| segment.slot == slot);
        found.map_or_else(|| self.dir.clone(), |segment| segment.region.path().to_owned())
    }

    /// Walks the chain and hands every frame to `apply`: from the checkpoint's place, or with
    /// `whole`, from the very start. A whole replay is for a view that lost its checkpoint: it
    /// also reads packed segments, and its frames come in no particular order up to the
    /// checkpoint's place, so the view has to compare sequence numbers.
    ///
    /// # Errors
    /// [`Error::Damaged`] or [`Error::Missing`] if what was synced cannot be read, and whatever
    /// `apply` returns.
    pub fn replay(
        &mut self,
        whole: bool,
        apply: &mut dyn FnMut(&FrameView<'_>) -> Result<()>,
    ) -> Result<()> {
        self.torn.clear();
        (self.recovery.frames_count, self.recovery.records_count) = (0, 0);
        let start = match self.root.checkpoint {
            Some(checkpoint) => {
                if whole {
                    self.replay_before(checkpoint.replay_from, apply)?;
                }
                Cursor::new(checkpoint.replay_from, checkpoint.next_seq, self.root.epoch)
            }
            None => {
                let chain = self.root.segments.iter().filter(|e| e.kind == SegmentKind::Log);
                let ordinal = chain.map(|entry| entry.ordinal).min().unwrap_or(1);
                let offset = SEGMENT_HEADER_BYTES as u32;
                Cursor::new(Position { ordinal, offset }, Seq::ZERO, self.root.epoch)
            }
        };
        let from = start.position.ordinal;
        let cursor = self.while_syncing(from, |opening| opening.walk(start, apply))?;
        self.cursor = Some(cursor);
        Ok(())
    }

    /// The same as [`replay`](Self::replay) for an `apply` that cannot fail. It may be called by another thread,
    /// frame by frame in the same order, for frames that were checked meanwhile.
    ///
    /// # Errors
    /// [`Error::Damaged`] or [`Error::Missing`] if what was synced cannot be read.
    pub fn replay_beside(
        &mut self,
        whole: bool,
        apply: &mut (dyn FnMut(&FrameView<'_>) + Send),
    ) -> Result<()> {
        if self.config.background != Background::Threads {
            return self.replay(whole, &mut |frame| {
                apply(frame);
                Ok(())
            });
        }
        let segments = self.segments.clone();
        beside::run(segments, apply, |checked| {
            self.replay(whole, &mut |frame| {
                checked.push(frame);
                Ok(())
            })
        })
    }

    /// Does `work` while the chain from the segment `from` on is synced, if it has to be, and spares are
    /// looked through: taking over needs both, and has less to wait for then. A sync that fails here fails
    /// the opening, since the same one might succeed later although the pages are gone.
    fn while_syncing<T>(
        &mut self,
        from: u32,
        work: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let threads = self.config.background == Background::Threads;
        if self.read_only || self.root.clean_end.is_some() || !threads {
            return work(self);
        }
        let from = from.max(self.root.synced_to.ordinal);
        let written: Vec<_> = self
            .segments
            .iter()
            .filter(|s| s.kind() == SegmentKind::Log && s.ordinal() >= from)
            .cloned()
            .collect();
        let spares: Vec<_> =
            self.segments.iter().filter(|s| s.kind() == SegmentKind::Spare).cloned().collect();
        let (disk, dir) = (Arc::clone(&self.disk), self.dir.clone());
        let spare_ends = Arc::clone(&self.spare_ends);
        std::thread::scope(|scope| {
            let sync = move || {
                let sync = |segment: &Arc<Segment>| segment.region.sync();
                let synced = written.iter().try_for_each(sync);
                synced.inspect_err(|_| note_failed_sync(&*disk, &dir))?;
                for spare in spares {
                    let end = spare_ends.get(&spare.generation);
                    end.map(|end| end.get_or_init(|| nonzero_end(&spare, 0)));
                }
                Ok::<_, Error>(())
            };
            let syncing =
                std::thread::Builder::new().name("annals-opening".into()).spawn_scoped(scope, sync);
            let done = work(self)?;
            // Without a thread nothing was synced yet; taking over does it.
            if let Ok(syncing) = syncing {
                syncing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            }
            Ok(done)
        })
    }

    /// Reads everything before `place`: packed segments, and what is left of the chain there.
    fn replay_before(
        &mut self,
        place: Position,
        apply: &mut dyn FnMut(&FrameView<'_>) -> Result<()>,
    ) -> Result<()> {
        for segment in self.segments.clone() {
            let end = match segment.kind() {
                SegmentKind::Packed => segment.published(),
                SegmentKind::Log if segment.ordinal() < place.ordinal => segment.published(),
                SegmentKind::Log if segment.ordinal() == place.ordinal => place.offset as usize,
                SegmentKind::Log | SegmentKind::Spare => continue,
            };
            if end > segment.region.len() {
                return Err(segment.damaged(segment.region.len(), "the segment is cut off"));
            }
            segment.trust_from(0);
            segment.publish(end.max(segment.published()));
            let mut offset = SEGMENT_HEADER_BYTES;
            while offset < end {
                let frame = segment.frame(offset)?;
                self.count(&frame);
                apply(&frame)?;
                offset += frame.header().len as usize;
            }
        }
        Ok(())
    }

    pub(crate) fn count(&mut self, frame: &FrameView<'_>) {
        self.recovery.frames_count += 1;
        self.recovery.records_count += u64::from(frame.header().count);
    }

    /// All segments in a table for readers.
    pub(crate) fn table(&self) -> Segments {
        let table = Segments::new();
        for segment in &self.segments {
            table.insert(segment);
        }
        table
    }
}
