//! Making one part of several.
//!
//! The part is made beside everything else; only to put it in the place of the others takes the lock that deletions and
//! flushes take as well. What was deleted of the others in between is deleted of it in the same commit. One that is gone
//! by then, dropped for its age, makes the merge void.

use super::{
    damage::{FoundPart, PartAt},
    deleted::DeletedRows,
    keys,
    merge_choice::{self, Candidate, Limits},
    places::PartPlace,
    shape::Known,
    table::EventTable,
};
use crate::{
    Durability, Error, ErrorKind, Result,
    streams::meanwhile::{self, Moment},
};
use annals_columns::{PartBuilder, PartHead, PartIdentity, PartView};
use std::sync::{Arc, atomic::Ordering};

/// What merging did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MergeReport {
    /// Parts that are no more.
    pub merged_count: usize,
    /// Parts that took their place.
    pub parts_count: usize,
    /// Events in these.
    pub events_count: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A part that is to be merged.
struct Input<'t> {
    place: Arc<PartPlace>,
    part: PartAt<'t>,
}

impl Input<'_> {
    fn view(&self) -> PartView<'_> {
        self.part.view()
    }
}

impl EventTable {
    /// Merges parts that are small, as long as there are enough of them that lie side by side in time, and writes those
    /// anew of which half was deleted. The same is done in the background; readers and writers go on meanwhile.
    ///
    /// # Errors
    /// Those of writing, or damage to a part; parts are as they were then.
    pub fn merge_parts(&self) -> Result<MergeReport> {
        let mut report = MergeReport::default();
        // What did not succeed before is tried again.
        self.shape().merged_at.store(0, Ordering::Relaxed);
        self.shape().set_aside.lock().clear();
        while let Some(done) = self.merge_some(&|| false)? {
            report.merged_count += done.merged_count;
            report.parts_count += done.parts_count;
            report.events_count += done.events_count;
            report.bytes += done.bytes;
        }
        Ok(report)
    }

    /// Merges some parts; `None` if there is nothing to be done, or if it is to stop.
    pub(super) fn merge_some(&self, is_stopped: &dyn Fn() -> bool) -> Result<Option<MergeReport>> {
        let _merging = self.shape().merging.lock();
        let known = self.known()?;
        // Nothing has changed since nothing was to be done.
        let settled = &self.shape().merged_at;
        if settled.load(Ordering::Relaxed) == known.generation {
            return Ok(None);
        }
        let chosen = self.choose(&known)?;
        if chosen.is_empty() {
            settled.store(known.generation, Ordering::Relaxed);
            return Ok(None);
        }
        let merged = self.merge(&known, &chosen, is_stopped);
        match &merged {
            // What is damaged stays as it is, and keeps nobody from merging the rest.
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                let mut set_aside = self.shape().set_aside.lock();
                // It may not be known which of them it is.
                if !chosen.iter().any(|number| set_aside.contains(number)) {
                    set_aside.extend(chosen);
                }
            }
            // It is not tried again and again while nothing changes.
            Err(_) => settled.store(known.generation, Ordering::Relaxed),
            Ok(_) => {}
        }
        merged
    }

    fn choose(&self, known: &Known) -> Result<Vec<u64>> {
        let set_aside = self.shape().set_aside.lock().clone();
        let mut candidates = Vec::with_capacity(known.parts.len());
        for place in known.parts.iter().filter(|place| !set_aside.contains(&place.number)) {
            // What is lost is nobody's to merge.
            let Some(FoundPart::Whole(found)) = self.find_part(place)? else { continue };
            let part = found.view();
            candidates.push(Candidate {
                number: place.number,
                rows: part.rows_count() as u64,
                deleted: part.rows_count() as u64 - place.live_rows(part),
                bytes: found.bytes_count(),
                times: part.time_range()?.unwrap_or_default(),
            });
        }
        let limits =
            Limits { rows: super::flush::PART_ROWS as u64, bytes: super::flush::PART_BYTES as u64 };
        Ok(merge_choice::choose(candidates, limits))
    }

    /// Merges these. One that is damaged is set aside.
    fn merge(
        &self,
        known: &Known,
        chosen: &[u64],
        is_stopped: &dyn Fn() -> bool,
    ) -> Result<Option<MergeReport>> {
        let mut inputs = Vec::with_capacity(chosen.len());
        for place in known.parts.iter().filter(|place| chosen.contains(&place.number)) {
            let part = self.part(place).map_err(|error| self.set_aside(place.number, error))?;
            inputs.extend(part.map(|part| Input { place: Arc::clone(place), part }));
        }
        let number = self.space().parts().0.next_part(known.highest_part());
        let identity = PartIdentity { database_id: self.database_id(), number };
        let mut builder = PartBuilder::new(Arc::clone(&known.schema), identity);
        let lifetime = self.lifetime(known);
        for input in &inputs {
            if is_stopped() {
                return Ok(None);
            }
            let deleted = input.place.deleted.as_ref().map(|deleted| deleted.set());
            let part = input.view();
            let mut add = || -> Result<()> {
                let first = lifetime.map_or(Ok(0), |lifetime| lifetime.first_row(part))?;
                let is_kept = |row| row >= first && !deleted.is_some_and(|rows| rows.contains(row));
                Ok(builder.add_part(part, is_kept)?)
            };
            let set_aside = |error| self.set_aside(input.place.number, input.part.named(error));
            add().map_err(set_aside)?;
        }
        self.put_merged(&inputs, builder, identity)
    }

    fn set_aside(&self, number: u64, error: Error) -> Error {
        if error.kind() == ErrorKind::Corrupt {
            self.shape().set_aside.lock().insert(number);
        }
        error
    }

    /// Puts a part in the place of those that it was made of.
    fn put_merged(
        &self,
        inputs: &[Input<'_>],
        builder: PartBuilder,
        identity: PartIdentity,
    ) -> Result<Option<MergeReport>> {
        let number = identity.number;
        let events_count = builder.len() as u64;
        let part = if builder.is_empty() { None } else { Some(builder.finish()?) };
        meanwhile::run(Moment::PartMade);
        let _flushing = self.shape().flushing.lock();
        let now = self.known()?;
        let Some(deleted) = deleted_since(inputs, &now, part.as_deref(), identity)? else {
            return Ok(Some(MergeReport::default()));
        };
        let merged: Vec<u64> = inputs.iter().map(|input| input.place.number).collect();
        // Readers know of it before it is there, as of one that a flush makes.
        let place = Arc::new(PartPlace::merged(number, merged.clone(), deleted.clone()));
        let coming = part.as_ref().map(|_| place);
        self.shape().change(|known| known.add_parts(coming.into_iter()));
        meanwhile::run(Moment::PartShown);
        let written = || -> Result<()> {
            let mut commit = self.batch_of_commit().durability(Durability::Buffered);
            if let Some(part) = &part {
                commit.insert(self.space(), keys::part(number), part)?;
            }
            if let Some(deleted) = &deleted {
                commit.insert(self.space(), keys::deleted(number), deleted.bytes())?;
            }
            for old in inputs {
                commit.remove(self.space(), keys::part(old.place.number))?;
                commit.remove(self.space(), keys::deleted(old.place.number))?;
            }
            commit.commit().map(drop)
        };
        if let Err(error) = written() {
            self.shape().change(|known| known.remove_parts(&[number]));
            return Err(error);
        }
        meanwhile::run(Moment::PartCommitted);
        self.shape().change(|known| known.remove_parts(&merged));
        let (parts_count, bytes) = part.map_or((0, 0), |part| (1, part.len() as u64));
        Ok(Some(MergeReport { merged_count: merged.len(), parts_count, events_count, bytes }))
    }
}

/// Which rows of a part were deleted since it was made of these; `None` if one of them is no more.
fn deleted_since(
    inputs: &[Input<'_>],
    now: &Known,
    part: Option<&[u8]>,
    identity: PartIdentity,
) -> Result<Option<Option<Arc<DeletedRows>>>> {
    let mut rows = Vec::new();
    let mut head = None;
    for input in inputs {
        let same = |place: &&Arc<PartPlace>| place.number == input.place.number;
        let Some(current) = now.parts.iter().find(same) else { return Ok(None) };
        let before = input.place.deleted.as_ref().map(|deleted| deleted.set());
        let Some(deleted) = &current.deleted else { continue };
        let since = deleted.set().rows();
        for row in since.filter(|row| !before.is_some_and(|before| before.contains(*row))) {
            let Some(part) = part else { continue };
            if head.is_none() {
                head = Some(PartHead::read(part, identity)?);
            }
            let merged = head.as_ref().and_then(|head| head.view(part));
            let moment = (input.view().time(row)?, input.view().arrival(row)?);
            if let Some(merged) = merged {
                rows.extend(row_at(merged, moment)?);
            }
        }
    }
    let deleted = (!rows.is_empty()).then(|| Arc::new(DeletedRows::with(None, rows)));
    Ok(Some(deleted))
}

/// The row of an event, by its time and by when it came.
fn row_at(part: PartView<'_>, moment: (i64, u64)) -> Result<Option<u32>> {
    let count = part.rows_count() as u32;
    let (mut from, mut to) = (0, count);
    while from < to {
        let middle = from + (to - from) / 2;
        let is_before = (part.time(middle)?, part.arrival(middle)?) < moment;
        if is_before { from = middle + 1 } else { to = middle }
    }
    let is_it = from < count && (part.time(from)?, part.arrival(from)?) == moment;
    Ok(is_it.then_some(from))
}
