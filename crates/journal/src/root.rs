//! The root: one small file, replaced atomically, that names every file of the database.
//!
//! What it does not name does not belong to the database. It is written (to a new file, synced,
//! renamed over the old one, directory synced) *before* a file it newly names is used and *after*
//! such a file is durable; a file it no longer names is removed after that. A crash between any
//! two steps leaves either root, and both name only files that are there.

use crate::{
    Address, Error, Position, Result, Seq, checksum,
    format::{
        ENDIAN_MARK, SEGMENT_BYTES_MAX, SEGMENT_HEADER_BYTES, SegmentKind, parse_segment_name,
        u16_at, u32_at, u64_at,
    },
};
use annals_disk::{Disk, Operation};
use std::{
    collections::BTreeSet,
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The file name of the root.
pub const ROOT_NAME: &str = "annals.root";
/// The name under which a root is written before it replaces the one before.
pub const ROOT_TEMPORARY: &str = "annals.root.tmp";
const MAGIC: [u8; 8] = *b"ANNALSRT";
/// Why a path cannot be a database.
pub(crate) const NO_DIRECTORY: &str = "it is a file or lies below one; name a directory";
/// The latest version of the root format that this build writes: for databases with sorted tables. The
/// root of a database without any has version 1, so that builds which know no tables go on reading it.
pub const ROOT_VERSION: u16 = 2;
const VERSION_WITHOUT_MANIFEST: u16 = 1;
/// Bytes before the entries in version 1, and what version 2 has between those and the entries.
const FIXED_BYTES: usize = 112;
const MANIFEST_BYTES: usize = 16;
const FLAG_CHECKPOINT: u64 = 1;
const FLAG_COPY: u64 = 2;
const FLAG_UNSEEN_READERS: u64 = 4;
const ENTRY_BYTES: usize = 24;
/// More than `Address::SLOTS_MAX` segments cannot be: a longer file is not a root.
const FILE_BYTES_MAX: u64 = 32 << 20;

/// A segment as the root names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootSegment {
    /// Its number, never used twice; also its file's name.
    pub generation: u32,
    /// Its slot.
    pub slot: u32,
    /// What it is for. A spare may have become part of the chain since the root was written.
    pub kind: SegmentKind,
    /// Its place in the chain (log) or among the packed ones.
    pub ordinal: u32,
    /// The length in bytes of its content if it is complete, else 0.
    pub end: u32,
}

/// A checkpoint as the root names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootCheckpoint {
    /// The number in its file's name.
    pub number: u64,
    /// Replay starts here.
    pub replay_from: Position,
    /// The sequence number of the first record at or after `replay_from`.
    pub next_seq: Seq,
}

/// A manifest of sorted tables as the root names it. The journal knows no more of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RootManifest {
    /// The number in its file's name.
    pub number: u64,
    /// Its file is known to be synced up to this length in bytes.
    pub synced_bytes: u64,
}

/// The root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// The database's id; part of every checksum.
    pub database_id: u64,
    /// The seed of the key hash.
    pub hash_seed: u64,
    /// The latest opening for writing.
    pub epoch: u32,
    /// Where the log ended when it was closed, if it was.
    pub clean_end: Option<Position>,
    /// The log is known to be synced up to here.
    pub synced_to: Position,
    /// No record with this number or a higher one has been written at the time of the root.
    pub next_seq: Seq,
    /// No record was ever stamped later than this, in milliseconds since 1970.
    pub clock_ms: u64,
    /// The next segment's number.
    pub next_generation: u32,
    /// Whether this is a copy that nobody has opened for writing since it was made.
    pub copy: bool,
    /// Whether there may be readers that no writer sees: the file whose lock they share was missing
    /// at some opening. Their maps keep every segment from being recycled or cut.
    pub unseen_readers: bool,
    /// The latest checkpoint.
    pub checkpoint: Option<RootCheckpoint>,
    /// The manifest of the sorted tables, if the database has had any.
    pub manifest: Option<RootManifest>,
    /// All segments.
    pub segments: Vec<RootSegment>,
}

/// The file name of a segment.
#[must_use]
pub fn segment_file_name(generation: u32) -> String {
    crate::format::segment_name(generation)
}

/// The file name of a checkpoint.
#[must_use]
pub fn checkpoint_name(number: u64) -> String {
    format!("{number:08}.ckp")
}

/// The number a checkpoint's file name tells, if it is one.
fn parse_checkpoint_name(name: &str) -> Option<u64> {
    let number = name.strip_suffix(".ckp")?.parse().ok()?;
    (checkpoint_name(number) == name).then_some(number)
}

/// Whether `name` is that of a segment or of a checkpoint. A file with another name does not belong
/// to the database and is left alone.
#[must_use]
pub fn is_data_file_name(name: &str) -> bool {
    parse_segment_name(name).is_some() || parse_checkpoint_name(name).is_some()
}

impl Root {
    /// The version of the format it is written in: the lowest that says all of it.
    fn version(&self) -> u16 {
        if self.manifest.is_some() { ROOT_VERSION } else { VERSION_WITHOUT_MANIFEST }
    }

    /// The root in bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![0; FIXED_BYTES];
        out[0..8].copy_from_slice(&MAGIC);
        out[8..10].copy_from_slice(&self.version().to_le_bytes());
        out[10..12].copy_from_slice(&ENDIAN_MARK.to_le_bytes());
        out[12..16].copy_from_slice(&self.epoch.to_le_bytes());
        let mut put = |at: usize, value: u64| out[at..at + 8].copy_from_slice(&value.to_le_bytes());
        put(16, self.database_id);
        put(24, self.hash_seed);
        put(32, self.clean_end.map_or(u64::MAX, Position::to_u64));
        put(40, self.synced_to.to_u64());
        put(48, self.next_seq.0);
        put(56, self.clock_ms);
        put(64, u64::from(self.next_generation));
        put(
            72,
            if self.checkpoint.is_some() { FLAG_CHECKPOINT } else { 0 }
                | if self.copy { FLAG_COPY } else { 0 }
                | if self.unseen_readers { FLAG_UNSEEN_READERS } else { 0 },
        );
        if let Some(checkpoint) = self.checkpoint {
            put(80, checkpoint.number);
            put(88, checkpoint.replay_from.to_u64());
            put(96, checkpoint.next_seq.0);
        }
        put(104, self.segments.len() as u64);
        if let Some(manifest) = self.manifest {
            out.extend_from_slice(&manifest.number.to_le_bytes());
            out.extend_from_slice(&manifest.synced_bytes.to_le_bytes());
        }
        for segment in &self.segments {
            out.extend_from_slice(&segment.generation.to_le_bytes());
            out.extend_from_slice(&segment.slot.to_le_bytes());
            out.extend_from_slice(&segment.ordinal.to_le_bytes());
            out.extend_from_slice(&segment.end.to_le_bytes());
            out.extend_from_slice(&u64::from(segment.kind as u8).to_le_bytes());
        }
        let checksum = checksum::of(&out);
        out.extend_from_slice(&checksum.to_le_bytes());
        out
    }

    /// Reads a root from the bytes of the file `path`.
    ///
    /// # Errors
    /// [`Error::NotADatabase`], [`Error::Version`] or [`Error::Damaged`].
    pub fn decode(bytes: &[u8], path: &Path) -> Result<Self> {
        let damaged =
            |offset, what| Error::Damaged { path: path.to_owned(), offset: offset as u64, what };
        if bytes.len() < 12 {
            return Err(damaged(bytes.len(), "the root is cut off"));
        }
        let intact = bytes.len() >= FIXED_BYTES + 4
            && checksum::of(&bytes[..bytes.len() - 4]) == u32_at(bytes, bytes.len() - 4);
        if bytes[0..8] != MAGIC {
            return Err(damaged(0, "the root does not start with its magic bytes"));
        }
        let found = u16_at(bytes, 8);
        if u16_at(bytes, 10) == ENDIAN_MARK.swap_bytes() {
            return Err(Error::ByteOrder { path: path.to_owned() });
        }
        if intact && !(VERSION_WITHOUT_MANIFEST..=ROOT_VERSION).contains(&found) {
            return Err(Error::Version { path: path.to_owned(), found, expected: ROOT_VERSION });
        }
        if !intact {
            return Err(damaged(0, "the root does not match its checksum"));
        }
        let rest = &bytes[FIXED_BYTES..bytes.len() - 4];
        let manifest_bytes = if found == VERSION_WITHOUT_MANIFEST { 0 } else { MANIFEST_BYTES };
        let Some((manifest, entries)) = rest.split_at_checked(manifest_bytes) else {
            return Err(damaged(bytes.len(), "the root is cut off"));
        };
        let manifest = (!manifest.is_empty()).then(|| RootManifest {
            number: u64_at(manifest, 0),
            synced_bytes: u64_at(manifest, 8),
        });
        let count = u64_at(bytes, 104);
        if count.checked_mul(ENTRY_BYTES as u64) != Some(entries.len() as u64) {
            return Err(damaged(104, "the root's segment count does not match its length"));
        }
        let segments = entries
            .chunks_exact(ENTRY_BYTES)
            .map(|entry| {
                let kind = u8::try_from(u64_at(entry, 16)).ok().and_then(SegmentKind::from_byte)?;
                Some(RootSegment {
                    generation: u32_at(entry, 0),
                    slot: u32_at(entry, 4),
                    ordinal: u32_at(entry, 8),
                    end: u32_at(entry, 12),
                    kind,
                })
            })
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| damaged(FIXED_BYTES, "the root names a segment of unknown kind"))?;
        let clean_end = u64_at(bytes, 32);
        let root = Self {
            database_id: u64_at(bytes, 16),
            hash_seed: u64_at(bytes, 24),
            epoch: u32_at(bytes, 12),
            clean_end: (clean_end != u64::MAX).then(|| Position::from_u64(clean_end)),
            synced_to: Position::from_u64(u64_at(bytes, 40)),
            next_seq: Seq(u64_at(bytes, 48)),
            clock_ms: u64_at(bytes, 56),
            next_generation: u64_at(bytes, 64) as u32,
            copy: u64_at(bytes, 72) & FLAG_COPY != 0,
            unseen_readers: u64_at(bytes, 72) & FLAG_UNSEEN_READERS != 0,
            checkpoint: (u64_at(bytes, 72) & FLAG_CHECKPOINT != 0).then(|| RootCheckpoint {
                number: u64_at(bytes, 80),
                replay_from: Position::from_u64(u64_at(bytes, 88)),
                next_seq: Seq(u64_at(bytes, 96)),
            }),
            manifest,
            segments,
        };
        // What is decoded is what was encoded: no byte of the file is without meaning.
        let consistent = root.is_consistent() && root.encode() == bytes;
        consistent.then_some(root).ok_or_else(|| damaged(0, "the root contradicts itself"))
    }

    /// Whether the root is one that a writer can have written: everything else may rely on it.
    fn is_consistent(&self) -> bool {
        let mut slots = BTreeSet::new();
        let mut generations = BTreeSet::new();
        let mut places = BTreeSet::new();
        let segments_fit = self.segments.iter().all(|segment| {
            let end = segment.end as usize;
            segment.slot < Address::SLOTS_MAX
                && segment.generation < self.next_generation
                && (end == 0 || (SEGMENT_HEADER_BYTES..=SEGMENT_BYTES_MAX).contains(&end))
                && slots.insert(segment.slot)
                && generations.insert(segment.generation)
                && (segment.kind != SegmentKind::Log || places.insert(segment.ordinal))
        });
        // Counters have room to go on counting.
        let room = self.epoch < u32::MAX
            && self.next_generation < u32::MAX
            && self.next_seq.0 < 1 << 63
            && places.last().is_none_or(|last| *last < u32::MAX);
        let places_known = self.checkpoint.is_none_or(|checkpoint| {
            places.contains(&checkpoint.replay_from.ordinal)
                && checkpoint.next_seq <= self.next_seq
                && checkpoint.number < u64::MAX
        });
        segments_fit && !places.is_empty() && room && places_known
    }

    /// Reads the root of the database in `dir`.
    ///
    /// # Errors
    /// [`Error::NotADatabase`] if there is none, else as [`decode`](Self::decode).
    pub fn read(disk: &dyn Disk, dir: &Path) -> Result<Self> {
        let path = dir.join(ROOT_NAME);
        match disk.read(&path, FILE_BYTES_MAX) {
            Ok(bytes) => Self::decode(&bytes, &path),
            Err(error) if error.is_not_found() => {
                let fault = without_root(disk, dir);
                // What looks like a database that lost its root may be one that was made meanwhile: its
                // root is there before any frame is.
                match disk.read(&path, FILE_BYTES_MAX) {
                    Ok(bytes) => Self::decode(&bytes, &path),
                    Err(_) => Err(fault),
                }
            }
            Err(error) if error.source.kind() == ErrorKind::NotADirectory => {
                Err(Error::NotADatabase { path: dir.to_owned(), what: NO_DIRECTORY })
            }
            Err(error) if error.source.kind() == ErrorKind::IsADirectory => {
                Err(Error::Damaged { path, offset: 0, what: "a directory stands in its place" })
            }
            Err(error) if error.source.kind() == ErrorKind::NotSeekable => {
                let what = "a pipe or a device stands in its place";
                Err(Error::Damaged { path, offset: 0, what })
            }
            Err(error) if error.source.kind() == ErrorKind::InvalidData => {
                Err(Error::Damaged { path, offset: 0, what: "it is longer than a root can be" })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Replaces the root of the database in `dir`, durably and atomically. The directory is
    /// synced before, so that every file the new root names has its name on disk.
    ///
    /// # Errors
    /// If the file system refuses; the old root then still stands, or the new one does.
    pub fn write(&self, disk: &dyn Disk, dir: &Path) -> Result<()> {
        self.write_with_names(disk, dir, true)
    }

    /// As [`write`](Self::write), in the place of `former`. If that names all files that this root
    /// names, their names are on disk, and the directory is synced once only.
    pub(crate) fn replace(&self, former: &Self, disk: &dyn Disk, dir: &Path) -> Result<()> {
        let known: BTreeSet<u32> = former.segments.iter().map(|named| named.generation).collect();
        let has_new_names = self.checkpoint != former.checkpoint
            || self.manifest != former.manifest
            || self.segments.iter().any(|named| !known.contains(&named.generation));
        self.write_with_names(disk, dir, has_new_names)
    }

    fn write_with_names(&self, disk: &dyn Disk, dir: &Path, has_new_names: bool) -> Result<()> {
        let temporary: PathBuf = dir.join(ROOT_TEMPORARY);
        let mut file = disk.create(&temporary)?;
        file.append(&self.encode())?;
        file.sync()?;
        if has_new_names {
            disk.sync_dir(dir)?;
        }
        disk.rename(&temporary, &dir.join(ROOT_NAME))?;
        // The new one is in its place, durably or not: it is no matter of space any more, which would mean that
        // nothing has happened.
        disk.sync_dir(dir).map_err(|error| Error::Disk(Arc::new(error)))
    }
}

/// What is wrong with a directory that has no root.
fn without_root(disk: &dyn Disk, dir: &Path) -> Error {
    let names = disk.list(dir).unwrap_or_default();
    let lost = names.iter().any(|entry| {
        parse_segment_name(&entry.name).is_some() && has_frames(disk, &dir.join(&entry.name))
    });
    if lost {
        let what = "the directory holds segments of a database, and nothing names them";
        return Error::Missing { path: dir.join(ROOT_NAME), what };
    }
    Error::NotADatabase { path: dir.to_owned(), what: "there is no annals.root file in it" }
}

/// Whether a file has anything behind a segment's header. An interrupted creation leaves a segment
/// without any: nothing is written before the first root is durable.
///
/// Who looks has no lock, so the file is not mapped: another process may have made the database meanwhile, and cut the
/// segment as it closes. Whoever read what it cut off through a map would be killed.
pub(crate) fn has_frames(disk: &dyn Disk, path: &Path) -> bool {
    const PART_BYTES: usize = 1 << 20;
    let mut offset = SEGMENT_HEADER_BYTES as u64;
    loop {
        match disk.read_part(path, offset, PART_BYTES) {
            Ok(part) if part.iter().any(|byte| *byte != 0) => return true,
            Ok(part) if part.len() < PART_BYTES => return false,
            Ok(part) => offset += part.len() as u64,
            // What the device does not give is not taken for nothing: it would be removed.
            Err(error) => return error.operation == Operation::Read,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root() -> Root {
        Root {
            database_id: 1,
            hash_seed: 2,
            epoch: 3,
            clean_end: Some(Position { ordinal: 4, offset: 64 }),
            synced_to: Position { ordinal: 4, offset: 64 },
            next_seq: Seq(9),
            clock_ms: 10,
            next_generation: 6,
            copy: true,
            unseen_readers: true,
            checkpoint: Some(RootCheckpoint {
                number: 7,
                replay_from: Position { ordinal: 4, offset: 64 },
                next_seq: Seq(8),
            }),
            manifest: Some(RootManifest { number: 11, synced_bytes: 12 }),
            segments: vec![RootSegment {
                generation: 5,
                slot: 0,
                kind: SegmentKind::Log,
                ordinal: 4,
                end: 0,
            }],
        }
    }

    #[test]
    fn roots_round_trip_and_every_flip_and_cut_is_found() {
        let path = Path::new("annals.root");
        for root in [root(), Root { manifest: None, ..root() }] {
            let bytes = root.encode();
            assert_eq!(Root::decode(&bytes, path).unwrap(), root);
            for at in 0..bytes.len() {
                for bit in 0..8 {
                    let mut bad = bytes.clone();
                    bad[at] ^= 1 << bit;
                    assert!(Root::decode(&bad, path).is_err(), "byte {at} bit {bit}");
                }
                assert!(Root::decode(&bytes[..at], path).is_err(), "cut at {at}");
            }
        }
    }

    #[test]
    fn a_database_without_tables_has_a_root_that_older_builds_read() {
        let bytes = Root { manifest: None, ..root() }.encode();
        assert_eq!((bytes[8], bytes.len()), (1, FIXED_BYTES + ENTRY_BYTES + 4));
        assert_eq!(root().encode()[8], 2);
    }
}
