//! Reads a manifest that another process may be writing, as it grows.
//!
//! Only edits that are known to be synced are followed: one whose sync fails may vanish, and another
//! one may stand in its place then. The edits that were there at the beginning are those that an
//! opening for writing would find, the last one included.

use super::{
    Edit, ManifestPlace, State,
    format::{
        FRAME_BYTES_MIN, FRAME_HEADER_BYTES, Found, WORD_BYTES, frame_in, seed_of, settled_word,
        u32_at, u64_at,
    },
    scan::{open_file, scan_region},
};
use crate::{Error, Result};
use annals_disk::{Disk, Region};
use std::{path::Path, sync::Arc};

/// A manifest that is being followed.
#[derive(Debug)]
pub(crate) struct Followed {
    number: u64,
    seed: u32,
    region: Arc<Region>,
    end: usize,
    next_ordinal: u32,
    state: State,
}

/// The place where the next edit of a manifest will be.
#[derive(Debug)]
pub(crate) struct Glance {
    region: Arc<Region>,
    end: usize,
}

impl Glance {
    /// Whether an edit that was synced seems to be there. Costs a look at two places in memory.
    #[inline]
    pub(crate) fn may_have_more(&self) -> bool {
        self.frame_len().is_some_and(|len| {
            let word = self.region.read(self.end + len - WORD_BYTES, WORD_BYTES);
            word != [0; WORD_BYTES]
        })
    }

    /// The length that what stands there says it has, if an edit can have it.
    #[inline]
    fn frame_len(&self) -> Option<usize> {
        let room = self.region.len().saturating_sub(self.end);
        if room < FRAME_BYTES_MIN {
            return None;
        }
        let len = u32_at(self.region.read(self.end, FRAME_HEADER_BYTES), 4) as usize;
        (len >= FRAME_BYTES_MIN && len.is_multiple_of(8) && len <= room).then_some(len)
    }
}

impl Followed {
    /// Reads the manifest `place` of the database `database_id` in `dir` and begins to follow it.
    ///
    /// # Errors
    /// As [`read_manifest`](super::read_manifest).
    pub(crate) fn open(
        disk: &dyn Disk,
        dir: &Path,
        database_id: u64,
        place: ManifestPlace,
    ) -> Result<Self> {
        let region = open_file(disk, dir, place.number)?;
        let scan = scan_region(&region, database_id, place)?;
        Ok(Self {
            number: place.number,
            seed: seed_of(database_id, place.number),
            region: Arc::new(region),
            end: scan.end,
            next_ordinal: scan.next_ordinal,
            state: scan.state,
        })
    }

    /// What all edits that were read mean.
    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// Which manifest it is, and how far it was read.
    pub(crate) fn place(&self) -> ManifestPlace {
        ManifestPlace { number: self.number, synced_bytes: self.end as u64 }
    }

    /// Where the next edit will be.
    pub(crate) fn glance(&self) -> Glance {
        Glance { region: Arc::clone(&self.region), end: self.end }
    }

    /// Reads the edits that were synced since. Whether there were any.
    ///
    /// # Errors
    /// [`Error::Damaged`] or [`Error::Contradiction`] with the file and the offset. What was read
    /// before stays.
    pub(crate) fn advance(&mut self) -> Result<bool> {
        let before = self.end;
        while self.step()? {}
        Ok(self.end != before)
    }

    fn step(&mut self) -> Result<bool> {
        /// How often what looks damaged is looked at: the writer may have been in the middle of it.
        const LOOKS: usize = 3;
        let mut outcome = self.look();
        for _ in 1..LOOKS {
            if !matches!(outcome, Err(Error::Damaged { .. })) {
                break;
            }
            outcome = self.look();
        }
        let Some((edit, len)) = outcome? else { return Ok(false) };
        self.state = self.state.changed(&edit).map_err(|source| Error::Contradiction {
            path: self.region.path().to_owned(),
            offset: self.end as u64,
            source,
        })?;
        self.end += len;
        self.next_ordinal = self.next_ordinal.saturating_add(1);
        Ok(true)
    }

    /// The next edit with its length in the file, if it was synced.
    fn look(&self) -> Result<Option<(Edit, usize)>> {
        let damaged = |offset: usize, what| Error::Damaged {
            path: self.region.path().to_owned(),
            offset: offset as u64,
            what,
        };
        let Some(len) = self.glance().frame_len() else { return Ok(None) };
        // What is judged must not change meanwhile. The next edit is begun when this one is synced.
        let bytes = self.region.read(self.end, len).to_vec();
        let is_followed =
            Glance { region: Arc::clone(&self.region), end: self.end + len }.frame_len().is_some();
        let (word_at, word) = (self.end + len - WORD_BYTES, u64_at(&bytes, len - WORD_BYTES));
        match frame_in(&bytes, self.end, self.seed) {
            Found::Frame(frame) if frame.ordinal != self.next_ordinal => {
                Err(damaged(self.end, "an edit stands where another one should"))
            }
            Found::Frame(frame) if frame.settled || is_followed => {
                let items_at = self.end + FRAME_HEADER_BYTES;
                let edit = Edit::decode(frame.payload, frame.items)
                    .map_err(|(at, what)| damaged(items_at + at, what))?;
                Ok(Some((edit, frame.len)))
            }
            Found::Frame(_) => Ok(None),
            Found::Word => Err(damaged(self.end, "an edit is followed by bytes that mean nothing")),
            Found::Nothing if word == settled_word(self.seed, word_at) => {
                Err(damaged(self.end, "an edit that was synced cannot be read"))
            }
            Found::Nothing => Ok(None),
        }
    }
}
