//! The newest events, in pages.
//!
//! Parts are gone through side by side, from their ends. A part whose last event is older than what is needed is not
//! looked at beyond that.

use super::{filter::Filter, walk::Walk};
use crate::{PartView, Result, RowSet, Schema};
use std::{
    cmp::Ordering,
    collections::{BinaryHeap, binary_heap::PeekMut},
    sync::Arc,
};

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
    let mut walks = Vec::with_capacity(parts.len());
    for (at, (part, excluded)) in parts.iter().enumerate() {
        let mut walk = Walk::new(schema, *part, *excluded, filter).newest_first();
        if let Some(before) = before {
            walk = walk.behind(before);
        }
        heads.push(Head { position: walk.bound()?, at, row: None });
        walks.push(walk);
    }
    let mut found = Vec::new();
    while found.len() < count
        && let Some(mut head) = heads.peek_mut()
    {
        if let Some(row) = head.row {
            found.push(Recent { part: head.at, row, position: head.position });
        }
        match walks[head.at].step()? {
            Some((row, position)) => (head.row, head.position) = (Some(row), position),
            None => drop(PeekMut::pop(head)),
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
