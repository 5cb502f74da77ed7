//! Making parts of fresh batches, and dropping parts.

use super::{keys, places::PartPlace, table::EventTable};
use crate::{Durability, Result};
use annals_columns::{PartBuilder, PartIdentity, ROWS_MAX};
use std::sync::Arc;

/// A part is made of so many rows at most.
const PART_ROWS: usize = if ROWS_MAX < 1 << 20 { ROWS_MAX } else { 1 << 20 };

/// And of batches of so many bytes: a part is a value, and those have a longest length.
const PART_BYTES: usize = 256 << 20;

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
    /// Events that were in them.
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
        loop {
            let done = self.flush_some()?;
            if done.parts_count == 0 {
                return Ok(report);
            }
            report.parts_count += done.parts_count;
            report.events_count += done.events_count;
            report.bytes += done.bytes;
        }
    }

    /// Makes a part of some batches, if there are any.
    fn flush_some(&self) -> Result<FlushReport> {
        let known = self.known()?;
        let (mut numbers, mut rows, mut bytes_count) = (Vec::new(), 0, 0);
        let identity = PartIdentity {
            database_id: self.database_id(),
            number: self.space().parts().0.next_part(),
        };
        let mut builder = PartBuilder::new(Arc::clone(&known.schema), identity);
        for one in &known.fresh {
            // Those that are not committed yet stay.
            let Some(hit) = self.space().hit(&keys::fresh(one.number))? else { continue };
            let (at, len) = hit.record.value;
            let batch = one.read(&known.schema, hit.guard.bytes(at, len), hit.record.seq)?;
            let is_full = rows + batch.len() > PART_ROWS || bytes_count + len as usize > PART_BYTES;
            if rows > 0 && is_full {
                break;
            }
            builder.add(&batch.batch, batch.first_arrival)?;
            numbers.push(one.number);
            rows += batch.len();
            bytes_count += len as usize;
        }
        if numbers.is_empty() {
            return Ok(FlushReport::default());
        }
        let part = builder.finish()?;
        // Readers know of it before it is there, so that those who miss the batches look for it.
        let place = Arc::new(PartPlace::new(identity.number, numbers.clone()));
        self.shape().change(|known| known.add_part(&place));
        let mut commit = self.batch_of_commit().durability(Durability::Buffered);
        let committed = commit
            .insert(self.space(), keys::part(identity.number), &part)
            .and_then(|()| {
                numbers.iter().try_for_each(|n| commit.remove(self.space(), keys::fresh(*n)))
            })
            .and_then(|()| commit.commit());
        if let Err(error) = committed {
            self.shape().change(|known| known.remove_parts(&[identity.number]));
            return Err(error);
        }
        self.shape().change(|known| {
            known.generation += 1;
            known.forget(&numbers, rows, bytes_count);
        });
        let (events_count, bytes) = (rows as u64, part.len() as u64);
        Ok(FlushReport { parts_count: 1, events_count, bytes })
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
            let Some(hit) = self.space().hit(&keys::part(place.number))? else { continue };
            let head = place.head(self.database_id(), &hit)?;
            let bytes = hit.into_value();
            let Some(part) = head.view(&bytes) else { continue };
            if part.time_range()?.is_some_and(|(_, last)| last < cutoff) {
                commit.remove(self.space(), keys::part(place.number))?;
                report.parts_count += 1;
                report.events_count += part.rows_count() as u64;
                numbers.push(place.number);
            }
        }
        commit.commit()?;
        self.shape().change(|known| known.remove_parts(&numbers));
        Ok(report)
    }
}
