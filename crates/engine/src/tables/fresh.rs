//! Batches that were appended and are in no part yet.

use super::{deleted::DeletedRows, rollup::Rollups, shape::Known};
use crate::{Error, Result};
use annals_columns::{Batch, ROWS_MAX, Schema, Value};
use annals_journal::Seq;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

/// Rows of a batch are told apart by this many bits of when they came.
const ROW_BITS: u32 = 24;
const _: () = assert!(ROWS_MAX <= 1 << ROW_BITS, "each row of a batch has a number of its own");
/// Batches are appended up to this number of a record. Above it rows could not be told from those of an earlier batch; those who
/// are about to commit when it is reached stay far below.
const SEQ_MAX: u64 = (u64::MAX >> ROW_BITS) - (1 << 32);

/// Refuses a batch whose rows could not be told from those of others, as the log is now.
pub(super) fn check_seq(table: &str, now: Seq) -> Result<()> {
    if now.0 <= SEQ_MAX {
        return Ok(());
    }
    Err(Error::TooManyRecords { table: table.to_owned(), limit: SEQ_MAX })
}

/// A batch in the log, and once somebody has read it, in memory.
#[derive(Debug)]
pub(super) struct Fresh {
    pub(super) number: u64,
    /// Rows and bytes of it in the log.
    pub(super) size: (usize, usize),
    /// When it came, or was found, in milliseconds since 1970.
    pub(super) since_ms: u64,
    /// Which of its rows were deleted.
    pub(super) deleted: Option<Arc<DeletedRows>>,
    batch: OnceLock<Arc<FreshBatch>>,
}

/// A fresh batch in memory: the rows that were not deleted.
#[derive(Debug)]
pub(super) struct FreshBatch {
    pub(super) batch: Batch,
    /// Which row of the log each is, if some were deleted.
    kept: Option<Vec<u32>>,
    /// The number of its record.
    seq: Seq,
    /// When its first row came.
    first_arrival: u64,
    /// Its rows in the order of their times.
    order: Vec<u32>,
    /// What its events come to by day.
    pub(super) rollups: Rollups,
    /// The last row of each id.
    ids: OnceLock<HashMap<String, u32>>,
    /// The same without so many of the first in the order of times, as it was asked for last.
    without: Mutex<Option<(usize, Arc<FreshBatch>)>>,
}

impl Fresh {
    pub(super) fn new(number: u64, size: (usize, usize), since_ms: u64) -> Self {
        Self { number, size, since_ms, deleted: None, batch: OnceLock::new() }
    }

    /// The same, of which other rows were deleted.
    pub(super) fn with_deleted(&self, deleted: Option<Arc<DeletedRows>>) -> Self {
        Self { deleted, ..Self::new(self.number, self.size, self.since_ms) }
    }

    /// The batch, if somebody has read it.
    pub(super) fn known(&self) -> Option<&Arc<FreshBatch>> {
        self.batch.get()
    }

    /// The batch of these bytes, whose record has this number.
    pub(super) fn read(&self, known: &Known, bytes: &[u8], seq: Seq) -> Result<Arc<FreshBatch>> {
        if let Some(read) = self.known() {
            return Ok(Arc::clone(read));
        }
        let mut batch = Batch::decode(known.schema_of(bytes)?, bytes)?;
        let mut kept = None;
        if let Some(deleted) = &self.deleted {
            let deleted = deleted.set();
            let all = 0..batch.len() as u32;
            kept = Some(all.filter(|row| !deleted.contains(*row)).collect());
        }
        if kept.is_some() || batch.schema() != &known.schema {
            batch = copied(&batch, kept.as_deref(), &known.schema)?;
        }
        let read = Arc::new(FreshBatch::new(batch, kept, seq));
        Ok(Arc::clone(self.batch.get_or_init(|| read)))
    }
}

/// The events of a batch, or those of some rows, as events of a schema that reads its own.
pub(super) fn copied(batch: &Batch, rows: Option<&[u32]>, schema: &Arc<Schema>) -> Result<Batch> {
    let mapping = schema.mapping_from(batch.schema())?;
    let mut copy = Batch::new(Arc::clone(schema));
    let mut add = |from: u32| -> Result<()> {
        let mut row = copy.row();
        for field in 0..schema.fields().len() {
            if let Some(older) = mapping.older(field) {
                row.value(field, batch.value(from as usize, older))?;
            }
        }
        Ok(row.finish()?)
    };
    match rows {
        Some(rows) => rows.iter().try_for_each(|row| add(*row))?,
        None => (0..batch.len() as u32).try_for_each(add)?,
    }
    Ok(copy)
}

impl FreshBatch {
    fn new(batch: Batch, kept: Option<Vec<u32>>, seq: Seq) -> Self {
        let first_arrival = seq.0 << ROW_BITS;
        let (order, rollups) = (batch.sorted_rows(), Rollups::default());
        let (ids, without) = (OnceLock::new(), Mutex::default());
        Self { batch, kept, seq, first_arrival, order, rollups, ids, without }
    }

    /// The same without so many of the first in the order of times.
    pub(super) fn without(&self, count: usize) -> Result<Arc<Self>> {
        let mut known = self.without.lock();
        if let Some((found, batch)) = &*known
            && *found == count
        {
            return Ok(Arc::clone(batch));
        }
        let mut rows = self.order.get(count..).unwrap_or_default().to_vec();
        rows.sort_unstable();
        let batch = copied(&self.batch, Some(&rows), self.batch.schema())?;
        let kept = rows.into_iter().map(|row| self.row_in_log(row)).collect();
        let left = Arc::new(Self::new(batch, Some(kept), self.seq));
        *known = Some((count, Arc::clone(&left)));
        Ok(left)
    }

    /// The rows whose times are before this, as rows of the log.
    pub(super) fn rows_before(&self, ts: i64) -> impl Iterator<Item = u32> {
        let count = self.partition(|(time, _)| time < ts);
        self.order[..count].iter().map(|row| self.row_in_log(*row))
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// Of each row when it came, if these do not follow each other.
    pub(super) fn arrivals(&self) -> Option<Vec<u64>> {
        let kept = self.kept.as_ref()?;
        Some(kept.iter().map(|row| self.first_arrival + u64::from(*row)).collect())
    }

    /// The number of its record.
    pub(super) fn seq(&self) -> Seq {
        self.seq
    }

    /// When its first row in the log came.
    pub(super) fn first_arrival(&self) -> u64 {
        self.first_arrival
    }

    /// Which row of the log a row is.
    pub(super) fn row_in_log(&self, row: u32) -> u32 {
        self.kept.as_ref().map_or(row, |kept| kept[row as usize])
    }

    /// When a row came, compared with others of the table.
    pub(super) fn arrival(&self, row: u32) -> u64 {
        self.first_arrival + u64::from(self.row_in_log(row))
    }

    /// The row at a place in the order of times.
    pub(super) fn row_at(&self, place: usize) -> u32 {
        self.order[place]
    }

    /// The time of the row at a place in the order of times, and when it came.
    pub(super) fn moment_at(&self, place: usize) -> (i64, u64) {
        let row = self.order[place];
        let time = self.batch.schema().ts().map(|field| self.batch.value(row as usize, field));
        let time = time.and_then(Value::as_i64).unwrap_or_default();
        (time, self.arrival(row))
    }

    /// The first place, in the order of times, at which this does not hold any more.
    pub(super) fn partition(&self, is_before: impl Fn((i64, u64)) -> bool) -> usize {
        let (mut from, mut to) = (0, self.len());
        while from < to {
            let middle = from.midpoint(to);
            if is_before(self.moment_at(middle)) { from = middle + 1 } else { to = middle }
        }
        from
    }

    /// The last row that has this id.
    pub(super) fn find_id(&self, id: &str) -> Option<u32> {
        let field = self.batch.schema().event_id()?;
        let ids = self.ids.get_or_init(|| {
            let rows = 0..self.len() as u32;
            let id_of = |row: u32| self.batch.value(row as usize, field).as_text();
            rows.filter_map(|row| Some((id_of(row)?.to_owned(), row))).collect()
        });
        ids.get(id).copied()
    }

    /// The rows that have ids, and these.
    pub(super) fn ids(&self) -> impl Iterator<Item = (u32, &str)> {
        let field = self.batch.schema().event_id();
        let rows = 0..self.len() as u32;
        rows.filter_map(move |row| Some((row, self.batch.value(row as usize, field?).as_text()?)))
    }

    /// All rows that have this id, as rows of the log.
    pub(super) fn rows_of_id(&self, id: &str) -> Vec<u32> {
        let Some(field) = self.batch.schema().event_id() else { return Vec::new() };
        if self.find_id(id).is_none() {
            return Vec::new();
        }
        let has_id = |row: &u32| self.batch.value(*row as usize, field).as_text() == Some(id);
        (0..self.len() as u32).filter(has_id).map(|row| self.row_in_log(row)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_told_apart_up_to_the_last_number() -> Result<()> {
        let schema = Schema::builder(1).with("at", annals_columns::Role::Ts).build()?;
        let mut batch = Batch::new(Arc::new(schema));
        for at in 0..2 {
            let mut row = batch.row();
            row.i64(0, at)?;
            row.finish()?;
        }
        check_seq("ticks", Seq(SEQ_MAX))?;
        let highest = SEQ_MAX + (1 << 32);
        let last = FreshBatch::new(batch, None, Seq(highest)).arrival(1);
        assert_eq!(last, (highest << ROW_BITS) + 1, "nothing is lost of it");
        assert_eq!((last >> ROW_BITS, last & ((1 << ROW_BITS) - 1)), (highest, 1));
        let refused = check_seq("ticks", Seq(SEQ_MAX + 1)).unwrap_err();
        assert!(refused.to_string().contains("`ticks`"), "{refused}");
        assert_eq!(refused.kind(), crate::ErrorKind::InvalidInput);
        Ok(())
    }
}
