//! The newest events, in pages.
//!
//! Parts are gone through side by side, from their ends. A part whose last event is older than what is needed is not
//! looked at beyond that.

use super::{filter::Filter, plan::Plan, select::Scratch};
use crate::{
    CHUNK_ROWS, PartView, Result, RowSet, Schema,
    part::{existing, rows_of},
};
use std::{cmp::Ordering, collections::BinaryHeap, ops::ControlFlow, sync::Arc};

/// Where an event is in the order of all: by time, then by arrival. No two events are at the same place, so that pages
/// neither lose nor repeat any, whatever becomes of the parts they are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The event's time; of events without one 0.
    pub ts: i64,
    /// When it came, compared with others.
    pub arrival: u64,
}

/// An event that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recent {
    /// The part that has it, by its index.
    pub part: usize,
    /// The row in there.
    pub row: u32,
    /// Its place in the order of all. The next page is that of what is `before` the last one's.
    pub position: Position,
}

/// The newest `count` events that a filter means, the newest first, of those before a position. Rows of a part that are
/// excluded count as not there.
///
/// # Errors
/// [`Error::NoField`](crate::Error::NoField), [`Error::WrongType`](crate::Error::WrongType),
/// [`Error::SchemaMismatch`](crate::Error::SchemaMismatch) or [`Error::Damaged`](crate::Error::Damaged).
///
/// ```
/// use annals_columns::{Batch, Filter, Part, PartBuilder, PartIdentity, Role, Schema, newest};
/// use std::sync::Arc;
/// let schema = Arc::new(Schema::builder(1).with("at", Role::Ts).build()?);
/// let mut batch = Batch::new(Arc::clone(&schema));
/// for at in [5, 5, 5, 9] {
///     let mut row = batch.row();
///     row.i64(0, at)?;
///     row.finish()?;
/// }
/// let id = PartIdentity { database_id: 7, number: 1 };
/// let mut builder = PartBuilder::new(Arc::clone(&schema), id);
/// builder.add(&batch, 100)?;
/// let part = Part::open(builder.finish()?, id)?;
/// let parts = [(part.view(), None)];
/// let first = newest(&schema, &parts, &Filter::All, None, 2)?;
/// let next = newest(&schema, &parts, &Filter::All, Some(first[1].position), 2)?;
/// let rows: Vec<u32> = first.iter().chain(&next).map(|found| found.row).collect();
/// assert_eq!(rows, [3, 2, 1, 0]);
/// # Ok::<(), annals_columns::Error>(())
/// ```
pub fn newest(
    schema: &Arc<Schema>,
    parts: &[(PartView<'_>, Option<RowSet<'_>>)],
    filter: &Filter,
    before: Option<Position>,
    count: usize,
) -> Result<Vec<Recent>> {
    filter.check(schema)?;
    let mut heads = BinaryHeap::new();
    for (at, (part, _)) in parts.iter().enumerate() {
        let last = part.time_range()?.map_or(0, |(_, last)| last);
        heads.push(Head { position: Position { ts: last, arrival: u64::MAX }, at, row: None });
    }
    let mut walks: Vec<Option<Walk<'_>>> = parts.iter().map(|_| None).collect();
    let mut scratch = Scratch::new();
    let mut found = Vec::new();
    while found.len() < count
        && let Some(head) = heads.pop()
    {
        let walk = match &mut walks[head.at] {
            Some(walk) => walk,
            empty => {
                let (part, excluded) = parts[head.at];
                let plan = Plan::new(filter, schema, part, excluded)?;
                empty.insert(Walk::new(plan, before)?)
            }
        };
        if let Some(row) = head.row {
            found.push(Recent { part: head.at, row, position: head.position });
        }
        if let Some(row) = walk.next(&mut scratch)? {
            let position = walk.position(row)?;
            heads.push(Head { position, at: head.at, row: Some(row) });
        }
    }
    Ok(found)
}

/// The next event of a part, or, as long as nobody has looked, the newest that it can be.
#[derive(PartialEq, Eq)]
struct Head {
    position: Position,
    at: usize,
    row: Option<u32>,
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        // Of equal ones the part that was not looked at comes first.
        let key = |head: &Self| (head.position, head.row.is_none(), head.at);
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Goes through the selected rows of a part, the last first.
struct Walk<'p> {
    plan: Plan<'p>,
    /// Rows from here on are not wanted.
    end: u32,
    /// Chunks from here on were gone through.
    chunk: u32,
    /// Rows of the chunk that is gone through, the last one last.
    rows: Vec<u32>,
}

impl<'p> Walk<'p> {
    fn new(plan: Plan<'p>, before: Option<Position>) -> Result<Self> {
        let view = plan.view();
        let end = match before {
            Some(before) => first_from(view, before)?,
            None => view.rows_count() as u32,
        };
        let chunk = end.div_ceil(CHUNK_ROWS as u32);
        Ok(Self { plan, end, chunk, rows: Vec::new() })
    }

    fn next(&mut self, scratch: &mut Scratch) -> Result<Option<u32>> {
        let (end, rows_count) = (self.end, self.plan.view().rows_count());
        if self.rows.is_empty() {
            let (rows, reached) = (&mut self.rows, &mut self.chunk);
            let from = std::mem::take(reached);
            self.plan.each_chunk_back(from, scratch, |chunk, found| {
                let mask = found.mask(existing(rows_count, chunk as usize));
                rows.extend(rows_of(chunk, mask).filter(|row| *row < end));
                *reached = chunk;
                if rows.is_empty() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            if rows.is_empty() {
                *reached = 0;
            }
        }
        Ok(self.rows.pop())
    }

    fn position(&self, row: u32) -> Result<Position> {
        position_of(self.plan.view(), row)
    }
}

fn position_of(view: PartView<'_>, row: u32) -> Result<Position> {
    Ok(Position { ts: view.time(row)?, arrival: view.arrival(row)? })
}

/// The first row that is not before a position.
fn first_from(view: PartView<'_>, position: Position) -> Result<u32> {
    let (mut low, mut high) = (0, view.rows_count() as u32);
    if view.time_range()?.is_some() {
        low = view.first_since(position.ts)?;
        if let Some(behind) = position.ts.checked_add(1) {
            high = view.first_since(behind)?;
        }
    }
    // Of the same time: by arrival.
    while low < high {
        let middle = low + (high - low) / 2;
        if view.arrival(middle)? < position.arrival {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}
