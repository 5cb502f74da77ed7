//! Reads a manifest's file from its start, and tells a torn last edit from damage.
//!
//! An edit is begun only when the one before is synced. So a place that cannot be read was synced,
//! and is damaged, if anything behind it was written later: a whole frame, or the word that settles
//! a frame. The caller's root adds how far it knows the file to be synced. What remains is the last
//! edit, which nobody relied on yet.

use super::{
    Edit, ManifestPlace, State,
    format::{
        FILE_BYTES_MAX, FRAME_HEADER_BYTES, Found, HEADER_BYTES, check_header, frame_at, seed_of,
        settled_word, u64_at,
    },
};
use crate::{Error, FileName, Result};
use annals_disk::{Access, Disk, Region};
use std::{io::ErrorKind, ops::Range, path::Path};

/// What a manifest's file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scan {
    /// What all its edits together mean.
    pub(crate) state: State,
    /// Where its last edit ends, and the next one goes.
    pub(crate) end: usize,
    /// The ordinal of the next edit.
    pub(crate) next_ordinal: u32,
    /// Where the last edit stands, if nothing notes that it was synced.
    pub(crate) unsettled: Option<Range<usize>>,
    /// How many bytes behind the end an unfinished edit left: 0 if there is none.
    pub(crate) torn_bytes: usize,
}

/// What a manifest says, read without changing anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestRead {
    /// What all its edits together mean.
    pub state: State,
    /// How many edits it has.
    pub edits: u32,
    /// How many bytes an unfinished edit left at its end.
    pub torn_bytes: u64,
}

/// Reads the manifest `place` of the database `database_id` in `dir`, changing nothing. Reads all
/// of its file. Another process may be writing it: an edit that is not whole yet is not read.
///
/// # Errors
/// [`Error::Missing`] if it is not there; [`Error::Damaged`], [`Error::Contradiction`],
/// [`Error::Version`], [`Error::ByteOrder`] or [`Error::Foreign`] for what it is instead;
/// [`Error::Disk`] if it cannot be read.
pub fn read_manifest(
    disk: &dyn Disk,
    dir: &Path,
    database_id: u64,
    place: ManifestPlace,
) -> Result<ManifestRead> {
    let scan = scan_file(disk, dir, database_id, place)?;
    let torn_bytes = scan.torn_bytes as u64;
    Ok(ManifestRead { state: scan.state, edits: scan.next_ordinal, torn_bytes })
}

/// As [`read_manifest`], with what is needed to go on writing.
pub(super) fn scan_file(
    disk: &dyn Disk,
    dir: &Path,
    database_id: u64,
    place: ManifestPlace,
) -> Result<Scan> {
    scan_region(&open_file(disk, dir, place.number)?, database_id, place)
}

/// Opens the file of a manifest for reading.
pub(super) fn open_file(disk: &dyn Disk, dir: &Path, number: u64) -> Result<Region> {
    let path = FileName::Manifest(number).path(dir);
    match disk.open_region(&path, Access::Read) {
        Ok(region) => Ok(region),
        Err(error) if error.is_not_found() => Err(Error::Missing {
            path,
            what: "it says which tables hold the keys of all ordered keyspaces".to_owned(),
        }),
        Err(error) if error.source.kind() == ErrorKind::IsADirectory => {
            Err(Error::Damaged { path, offset: 0, what: "a directory stands in its place" })
        }
        Err(error) if error.source.kind() == ErrorKind::NotSeekable => {
            let what = "a pipe or a device stands in its place";
            Err(Error::Damaged { path, offset: 0, what })
        }
        // An empty file cannot be mapped.
        Err(error) if error.source.kind() == ErrorKind::InvalidData => {
            Err(Error::Damaged { path, offset: 0, what: "the manifest is empty" })
        }
        Err(error) => Err(error.into()),
    }
}

/// Reads a manifest's file, to which a writer in another process may be appending.
pub(super) fn scan_region(region: &Region, database_id: u64, place: ManifestPlace) -> Result<Scan> {
    /// How often it is read again because somebody wrote meanwhile.
    const ATTEMPTS: usize = 16;
    if region.len() > FILE_BYTES_MAX {
        return Err(Error::Damaged {
            path: region.path().to_owned(),
            offset: FILE_BYTES_MAX as u64,
            what: "the manifest is longer than any can be",
        });
    }
    // What is judged must not change meanwhile.
    let mut bytes = region.read(0, region.len()).to_vec();
    let mut outcome = scan(&bytes, region.path(), database_id, place);
    for _ in 1..ATTEMPTS {
        // A copy that was begun before an edit, and ended behind the next one, has a hole. A place that
        // was synced is written no more, so in a second copy it is the same only if it is damaged.
        let Err(Error::Damaged { .. }) = outcome else { break };
        let again = region.read(0, region.len()).to_vec();
        if again == bytes {
            break;
        }
        bytes = again;
        outcome = scan(&bytes, region.path(), database_id, place);
    }
    outcome
}

/// Reads the bytes of a manifest's file.
pub(crate) fn scan(
    file: &[u8],
    path: &Path,
    database_id: u64,
    place: ManifestPlace,
) -> Result<Scan> {
    let damaged =
        |offset: usize, what| Error::Damaged { path: path.to_owned(), offset: offset as u64, what };
    check_header(file, path, database_id, place.number)?;
    let seed = seed_of(database_id, place.number);
    let mut scan = Scan {
        state: State::default(),
        end: HEADER_BYTES,
        next_ordinal: 0,
        unsettled: None,
        torn_bytes: 0,
    };
    loop {
        match frame_at(file, scan.end, seed) {
            Found::Frame(frame) => {
                if frame.ordinal != scan.next_ordinal {
                    return Err(damaged(scan.end, "an edit stands where another one should"));
                }
                let items_at = scan.end + FRAME_HEADER_BYTES;
                let edit = Edit::decode(frame.payload, frame.items)
                    .map_err(|(at, what)| damaged(items_at + at, what))?;
                scan.state = scan.state.changed(&edit).map_err(|source| {
                    let offset = scan.end as u64;
                    Error::Contradiction { path: path.to_owned(), offset, source }
                })?;
                scan.next_ordinal = scan
                    .next_ordinal
                    .checked_add(1)
                    .ok_or_else(|| damaged(scan.end, "there are more edits than can be"))?;
                let start = scan.end;
                scan.end += frame.len;
                scan.unsettled = (!frame.settled).then_some(start..scan.end);
            }
            Found::Word => {
                return Err(damaged(scan.end, "an edit is followed by bytes that mean nothing"));
            }
            Found::Nothing => break,
        }
    }
    if scan.next_ordinal == 0 || (scan.end as u64) < place.synced_bytes {
        return Err(damaged(scan.end, "an edit that was synced cannot be read"));
    }
    let tail = &file[scan.end..];
    scan.torn_bytes = tail.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    for offset in (scan.end..scan.end + scan.torn_bytes).step_by(8) {
        if file.len() - offset < 8 || u64_at(file, offset) == 0 {
            continue;
        }
        let later = offset > scan.end && frame_at(file, offset, seed) != Found::Nothing;
        if later || u64_at(file, offset) == settled_word(seed, offset) {
            return Err(damaged(scan.end, "an edit that was synced cannot be read"));
        }
    }
    scan.state.validate().map_err(|source| Error::Contradiction {
        path: path.to_owned(),
        offset: HEADER_BYTES as u64,
        source,
    })?;
    Ok(scan)
}
