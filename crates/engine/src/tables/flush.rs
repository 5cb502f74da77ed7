//! Making parts of fresh batches, and dropping parts.

use super::{
    damage::{self, FoundPart, Lost, Piece},
    keys,
    places::PartPlace,
    shape::Known,
    table::EventTable,
};
use crate::{
    Durability, Error, ErrorKind, Result, WriteBatch,
    hash::Hit,
    streams::meanwhile::{self, Moment},
};
use annals_columns::{Batch, PartBuilder, PartIdentity, ROWS_MAX, Schema};
use std::{collections::BTreeSet, sync::Arc};

/// A part is made of so many rows at most.
pub(super) const PART_ROWS: usize = if ROWS_MAX < 1 << 20 { ROWS_MAX } else { 1 << 20 };

/// And of batches of so many bytes: a part is a value, and those have a longest length.
pub(super) const PART_BYTES: usize = 256 << 20;

/// What a flush did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlushReport {
    /// Parts that were made.
    pub parts_count: usize,
    /// Events in them.
    pub events_count: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What was dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GcReport {
    /// Parts.
    pub parts_count: usize,
    /// Batches of fresh events, which [`drop_damaged`](EventTable::drop_damaged) may drop.
    pub batches_count: usize,
    /// Events that were in them, as far as that can be told.
    pub events_count: u64,
}

impl EventTable {
    /// Makes parts of all events that are in none yet: what was appended before is in parts when this returns.
    /// Readers and writers go on meanwhile.
    ///
    /// # Errors
    /// Those of writing; the events are where they were then.
    pub fn flush(&self) -> Result<FlushReport> {
        let mut report = FlushReport::default();
        let _flushing = self.shape().flushing.lock();
        // What comes meanwhile is not waited for: it may never end.
        let until = self.known()?.next;
        while let Some(done) = self.flush_some(until)? {
            report.parts_count += done.parts_count;
            report.events_count += done.events_count;
            report.bytes += done.bytes;
        }
        self.forget_schemas()?;
        Ok(report)
    }

    /// Removes the former schemas that no batch was written with: parts have their own. Nobody else flushes.
    fn forget_schemas(&self) -> Result<()> {
        let known = self.known()?;
        // A damaged batch may be put back, and be of any.
        if known.older.is_empty() || !known.lost.is_empty() {
            return Ok(());
        }
        let mut needed = BTreeSet::new();
        for one in &known.fresh {
            // One that is not committed yet may be of any.
            let Some(hit) = self.space().hit(&keys::fresh(one.number))? else { return Ok(()) };
            let (at, len) = hit.record.value;
            needed.insert(Batch::peek(hit.guard.bytes(at, len))?.0);
        }
        let is_needed = |schema: &Arc<Schema>| needed.contains(&schema.fingerprint());
        let mut commit = self.batch_of_commit().durability(Durability::Buffered);
        for schema in known.older.iter().filter(|schema| !is_needed(schema)) {
            commit.remove(self.space(), keys::older(schema.fingerprint()))?;
        }
        if commit.commit()?.is_some() {
            let left = known.older.iter().filter(|schema| is_needed(schema)).cloned().collect();
            self.shape().change(|known| known.older = Arc::new(left));
        }
        Ok(())
    }

    /// Makes a part of some batches with numbers below `until`; `None` if there are none.
    fn flush_some(&self, until: u64) -> Result<Option<FlushReport>> {
        let known = self.known()?;
        let mut lifetime = self.lifetime(&known);
        let mut batches = Vec::new();
        for one in known.fresh.iter().filter(|one| one.number < until) {
            let hit = self.space().hit(&keys::fresh(one.number));
            let hit = match hit {
                Err(Error::Journal(cause)) if damage::is_damage(&cause) => {
                    let lost = Lost::new(self.name(), Piece::Batch(one.number), cause);
                    self.shape().change(|known| known.lose(lost));
                    continue;
                }
                hit => hit?,
            };
            meanwhile::run(Moment::BatchSought);
            // Those that are not committed yet stay, and so do those that came behind one that was not.
            let hit = hit.filter(|hit| hit.record.seq <= known.seq);
            batches.extend(hit.map(|hit| (one, hit)));
        }
        if batches.is_empty() {
            return Ok(None);
        }
        // What stays fresh is to be younger than what is in parts: an id is looked for there first.
        batches.sort_unstable_by_key(|(_, hit)| hit.record.seq);
        let (mut numbers, mut rows, mut bytes_count) = (Vec::new(), 0, 0);
        let identity = PartIdentity {
            database_id: self.database_id(),
            number: self.space().parts().0.next_part(known.highest_part()),
        };
        let mut builder = PartBuilder::new(Arc::clone(&known.schema), identity);
        for (one, hit) in batches {
            let (at, len) = hit.record.value;
            let batch = match one.read(&known, hit.guard.bytes(at, len), hit.record.seq) {
                Ok(batch) => batch,
                Err(error) => {
                    self.lose_batch(one.number, &hit, error)?;
                    continue;
                }
            };
            let left = match &mut lifetime {
                Some(lifetime) => lifetime.of_batch(&batch)?,
                None => Some(batch),
            };
            // What is over comes into no part.
            let Some(batch) = left else {
                numbers.push(one.number);
                continue;
            };
            let is_full = rows + batch.len() > PART_ROWS || bytes_count + len as usize > PART_BYTES;
            if rows > 0 && is_full {
                break;
            }
            match batch.arrivals() {
                Some(arrivals) => builder.add_with_arrivals(&batch.batch, &arrivals)?,
                None => builder.add(&batch.batch, batch.first_arrival())?,
            }
            numbers.push(one.number);
            rows += batch.len();
            bytes_count += len as usize;
        }
        if numbers.is_empty() {
            return Ok(None);
        }
        // All events may have been deleted.
        let part = if rows > 0 { Some(builder.finish()?) } else { None };
        let parts: &[u64] = part.as_ref().map_or(&[], |_| std::slice::from_ref(&identity.number));
        // Readers know of it before it is there, so that those who miss the batches look for it.
        let place = Arc::new(PartPlace::new(identity.number, numbers.clone()));
        self.shape().change(|known| known.add_parts(parts.iter().map(|_| Arc::clone(&place))));
        meanwhile::run(Moment::PartMade);
        let commit = self.batch_of_commit().durability(Durability::Buffered);
        if let Err(error) = self.commit_part(commit, identity.number, part.as_deref(), &numbers) {
            self.shape().change(|known| known.remove_parts(parts));
            return Err(error);
        }
        meanwhile::run(Moment::PartCommitted);
        self.shape().change(|known| {
            known.generation += 1;
            known.forget(&numbers);
        });
        let (events_count, bytes) = (rows as u64, part.map_or(0, |part| part.len() as u64));
        Ok(Some(FlushReport { parts_count: parts.len(), events_count, bytes }))
    }

    /// A fresh batch makes no sense: it is left where it is, and keeps nobody from flushing the others.
    fn lose_batch(&self, number: u64, hit: &Hit<'_>, error: Error) -> Result<()> {
        if error.kind() != ErrorKind::Corrupt {
            return Err(error);
        }
        let cause = hit.guard.damage(hit.address.offset, "the batch makes no sense");
        let lost = Lost::new(self.name(), Piece::Batch(number), cause);
        self.shape().change(|known| known.lose(lost));
        Ok(())
    }

    /// Puts a part and removes the batches that it is made of.
    fn commit_part(
        &self,
        mut commit: WriteBatch,
        number: u64,
        part: Option<&[u8]>,
        batches: &[u64],
    ) -> Result<()> {
        if let Some(part) = part {
            commit.insert(self.space(), keys::part(number), part)?;
        }
        for batch in batches {
            commit.remove(self.space(), keys::fresh(*batch))?;
            commit.remove(self.space(), keys::deleted_fresh(*batch))?;
        }
        commit.commit()?;
        Ok(())
    }

    /// Drops the parts whose events are all older than `cutoff`: whole parts, nothing is written anew. Events that
    /// are in no part yet stay, and so do those that share a part with younger ones.
    ///
    /// # Errors
    /// Those of writing; nothing was dropped then. A schema without a time drops nothing.
    pub fn gc(&self, cutoff: i64) -> Result<GcReport> {
        let _flushing = self.shape().flushing.lock();
        let known = self.known()?;
        let mut report = GcReport::default();
        let (mut numbers, mut commit) = (Vec::new(), self.batch_of_commit());
        for place in known.parts.iter() {
            let (times, events_count) = match self.find_part(place)? {
                None => continue,
                Some(FoundPart::Whole(part)) => {
                    (part.view().time_range()?, place.live_rows(part.view()))
                }
                Some(FoundPart::Lost(lost)) => {
                    (lost.damage.times, lost.damage.events_count.unwrap_or_default())
                }
            };
            if times.is_some_and(|(_, last)| last < cutoff) {
                commit.remove(self.space(), keys::part(place.number))?;
                commit.remove(self.space(), keys::deleted(place.number))?;
                report.parts_count += 1;
                report.events_count += events_count;
                numbers.push(place.number);
            }
        }
        if !numbers.is_empty() {
            self.shape().change(Known::begin_dropping);
            let done = commit.commit();
            meanwhile::run(Moment::PartsDropped);
            let gone = if done.is_ok() { numbers.as_slice() } else { &[] };
            self.shape().change(|known| known.remove_parts(gone));
            done?;
        }
        Ok(report)
    }
}
