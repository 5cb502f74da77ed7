//! Writes a manifest's file: made whole, then grown edit by edit in space reserved from the start.

use super::{
    Edit, ManifestPlace, State,
    format::{
        FILE_BYTES_MAX, HEADER_BYTES, WORD_BYTES, encode_frame, encode_header, frame_bytes,
        seed_of, settled_word,
    },
    scan::scan_file,
};
use crate::{Error, FileName, Result};
use annals_disk::{Access, Disk, Region, Via};
use std::{ops::Range, path::Path, sync::Arc};

/// A file is made this many times as long as what it starts with: so copying the state to a new
/// file costs a third of what its edits cost, however many tables there are.
const GROWTH: usize = 4;
/// The shortest file. A small state is copied after hundreds of edits, not after ten.
const FILE_BYTES_MIN: usize = 64 << 10;

/// How long the file is made whose first edit ends at `end`.
///
/// # Errors
/// If that would be longer than any.
fn file_bytes_for(end: usize) -> Result<usize> {
    if end > FILE_BYTES_MAX {
        let (bytes, limit) = (end as u64, FILE_BYTES_MAX as u64);
        return Err(Error::TooLarge { what: "manifest", bytes, limit });
    }
    let file_bytes = end.saturating_mul(GROWTH).max(FILE_BYTES_MIN).next_multiple_of(4096);
    Ok(file_bytes.min(FILE_BYTES_MAX))
}

/// The manifest that a store writes. Dropping it changes nothing on disk.
#[derive(Debug)]
pub struct Manifest {
    number: u64,
    seed: u32,
    region: Region,
    end: usize,
    next_ordinal: u32,
    failed: Option<Arc<Error>>,
    /// What is to be put right at its end before anything is appended.
    unmended: Option<Unmended>,
}

/// What an opening found at the end.
#[derive(Debug)]
struct Unmended {
    /// Bytes of an edit that was torn.
    torn_bytes: usize,
    /// The last edit, if nothing says that it was synced.
    unsettled: Option<Range<usize>>,
}

impl Manifest {
    /// Makes the manifest with this number in `dir`, saying `state`. When this returns, the file and
    /// its name are durable; it is the manifest once the caller's root names it.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if no file may be so long; or if the file system refuses: a file that was begun
    /// has no owner then.
    pub fn create(
        disk: &dyn Disk,
        dir: &Path,
        database_id: u64,
        number: u64,
        state: &State,
    ) -> Result<Self> {
        let seed = seed_of(database_id, number);
        let edit = state.as_edit();
        let items = edit.items() as u32;
        let payload = edit.encode();
        let file_bytes = file_bytes_for(HEADER_BYTES + frame_bytes(payload.len()))?;
        let frame = encode_frame(seed, HEADER_BYTES, 0, items, &payload);
        let end = HEADER_BYTES + frame.len();
        let region =
            disk.create_region(&FileName::Manifest(number).path(dir), file_bytes as u64)?;
        let header = encode_header(database_id, number, file_bytes as u64);
        region.write_parts(0, &[&header, &frame], Via::Call)?;
        region.sync()?;
        disk.sync_dir(dir)?;
        let (next_ordinal, failed, unmended) = (1, None, None);
        let manifest = Self { number, seed, region, end, next_ordinal, failed, unmended };
        manifest.settle();
        Ok(manifest)
    }

    /// Opens the manifest `place` to go on writing it, and tells what it says. Changes nothing:
    /// [`mend`](Self::mend) does.
    ///
    /// # Errors
    /// As [`read_manifest`](super::read_manifest), or if the file cannot be written.
    pub fn open(
        disk: &dyn Disk,
        dir: &Path,
        database_id: u64,
        place: ManifestPlace,
    ) -> Result<(Self, State)> {
        let scan = scan_file(disk, dir, database_id, place)?;
        let path = FileName::Manifest(place.number).path(dir);
        let region = disk.open_region(&path, Access::Write { len: 0 })?;
        let manifest = Self {
            number: place.number,
            seed: seed_of(database_id, place.number),
            region,
            end: scan.end,
            next_ordinal: scan.next_ordinal,
            failed: None,
            unmended: Some(Unmended { torn_bytes: scan.torn_bytes, unsettled: scan.unsettled }),
        };
        Ok((manifest, scan.state))
    }

    /// Cuts off an edit that was torn, and makes sure that the last whole one is on the device. Called once
    /// nothing else can keep the store from being opened; the first edit does it at the latest.
    ///
    /// # Errors
    /// If the file system refuses. It can be tried again, here or by another opening.
    pub fn mend(&mut self) -> Result<()> {
        let Some(Unmended { torn_bytes, unsettled }) = &self.unmended else { return Ok(()) };
        if *torn_bytes > 0 {
            let zeroes = vec![0; *torn_bytes];
            self.region.write_parts(self.end, &[&zeroes], Via::Call)?;
        }
        if let Some(last) = unsettled {
            // It may be in memory only, and if its sync failed, the system may count its pages as
            // written: they are written again before anybody relies on it.
            let frame = self.region.read(last.start, last.len()).to_vec();
            self.region.write_parts(last.start, &[&frame], Via::Call)?;
        }
        if *torn_bytes > 0 || unsettled.is_some() {
            self.region.sync()?;
        }
        self.settle();
        self.unmended = None;
        Ok(())
    }

    /// Appends an edit and syncs it. `false` if there is no room for it: then nothing has happened,
    /// and a new manifest is due.
    ///
    /// # Errors
    /// If the file system refuses. The edit is there at the next opening or is not; so this manifest
    /// takes no more edits, and nothing may be removed that one of both needs.
    pub fn append(&mut self, edit: &Edit) -> Result<bool> {
        if let Some(cause) = &self.failed {
            return Err(Error::Stopped { cause: cause.clone() });
        }
        self.mend()?;
        let payload = edit.encode();
        let end = self.end.saturating_add(frame_bytes(payload.len()));
        if end > self.region.len() || self.next_ordinal == u32::MAX {
            return Ok(false);
        }
        let items = edit.items() as u32;
        let frame = encode_frame(self.seed, self.end, self.next_ordinal, items, &payload);
        let written = self.region.write_parts(self.end, &[&frame], Via::Call);
        if let Err(error) = written.and_then(|()| self.region.sync()) {
            let error = Error::from(error);
            self.failed = Some(Arc::new(error.clone()));
            return Err(error);
        }
        self.end = end;
        self.next_ordinal += 1;
        self.settle();
        Ok(true)
    }

    /// Notes behind the last edit that it is synced. The note itself is not synced and need not be
    /// there: without it, damage to the last edit passes for a torn one.
    fn settle(&self) {
        let at = self.end - WORD_BYTES;
        let word = settled_word(self.seed, at).to_le_bytes();
        if let Err(error) = self.region.write_parts(at, &[&word], Via::Call) {
            tracing::debug!(%error, "could not note that the manifest is synced");
        }
    }

    /// Its number, and how far it is synced, for the caller's root.
    #[must_use]
    pub fn place(&self) -> ManifestPlace {
        ManifestPlace { number: self.number, synced_bytes: self.end as u64 }
    }

    /// Whether an edit failed: what the file says is then unknown until it is opened again.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failed.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_fits_no_file_is_refused() {
        assert_eq!(file_bytes_for(100).unwrap(), FILE_BYTES_MIN);
        assert_eq!(file_bytes_for(100_000).unwrap(), 401_408);
        assert_eq!(file_bytes_for(FILE_BYTES_MAX / 4 + 1).unwrap(), FILE_BYTES_MAX);
        assert_eq!(file_bytes_for(FILE_BYTES_MAX).unwrap(), FILE_BYTES_MAX);
        let refused = file_bytes_for(FILE_BYTES_MAX + 8).unwrap_err();
        assert!(matches!(refused, Error::TooLarge { what: "manifest", .. }), "{refused}");
    }
}
