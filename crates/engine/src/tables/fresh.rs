//! Batches that were appended and are in no part yet.

use crate::Result;
use annals_columns::{Batch, Schema, Value};
use annals_journal::Seq;
use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

/// Rows of a batch are told apart by this many bits of when they came.
const ROW_BITS: u32 = 24;

/// A batch in the log, and once somebody has read it, in memory.
#[derive(Debug)]
pub(super) struct Fresh {
    pub(super) number: u64,
    batch: OnceLock<Arc<FreshBatch>>,
}

/// A fresh batch in memory, sorted.
#[derive(Debug)]
pub(super) struct FreshBatch {
    pub(super) batch: Batch,
    /// When its first row came.
    pub(super) first_arrival: u64,
    /// Its rows in the order of their times.
    order: Vec<u32>,
    /// The last row of each id.
    ids: OnceLock<HashMap<String, u32>>,
}

impl Fresh {
    pub(super) fn new(number: u64) -> Self {
        Self { number, batch: OnceLock::new() }
    }

    /// The batch, if somebody has read it.
    pub(super) fn known(&self) -> Option<&Arc<FreshBatch>> {
        self.batch.get()
    }

    /// The batch of these bytes, whose record has this number.
    pub(super) fn read(
        &self,
        schema: &Arc<Schema>,
        bytes: &[u8],
        seq: Seq,
    ) -> Result<Arc<FreshBatch>> {
        if let Some(known) = self.known() {
            return Ok(Arc::clone(known));
        }
        let batch = Batch::decode(schema, bytes)?;
        let (order, first_arrival) = (batch.sorted_rows(), seq.0 << ROW_BITS);
        let ids = OnceLock::new();
        let read = Arc::new(FreshBatch { batch, first_arrival, order, ids });
        Ok(Arc::clone(self.batch.get_or_init(|| read)))
    }
}

impl FreshBatch {
    pub(super) fn len(&self) -> usize {
        self.order.len()
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
        (time, self.first_arrival + u64::from(row))
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
}
