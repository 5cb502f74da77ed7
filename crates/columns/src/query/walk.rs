//! Going through the events of a part in the order of their times, in either direction.

use super::{
    Position,
    filter::Filter,
    plan::Plan,
    select::{Scratch, Selected},
};
use crate::{
    CHUNK_ROWS, PartView, Result, RowSet, Schema,
    part::{existing, rows_of},
};
use std::sync::Arc;

/// Of a list as many rows are taken at a time as have about so many that are listed.
const LISTED_ROWS: usize = 128;

/// Goes through the events of a part that a filter means, in the order of all, or from the newest on. Nothing is read
/// before the first is asked for, and then a chunk at a time.
///
/// ```
/// use annals_columns::{Batch, Filter, Part, PartBuilder, PartIdentity, Role, Schema, Walk};
/// use std::sync::Arc;
/// let schema = Arc::new(Schema::builder(1).with("at", Role::Ts).build()?);
/// let mut batch = Batch::new(Arc::clone(&schema));
/// for at in [5, 9, 5, 7] {
///     let mut row = batch.row();
///     row.i64(0, at)?;
///     row.finish()?;
/// }
/// let id = PartIdentity { database_id: 7, number: 1 };
/// let mut builder = PartBuilder::new(Arc::clone(&schema), id);
/// builder.add(&batch, 100)?;
/// let part = Part::open(builder.finish()?, id)?;
///
/// let filter = Filter::at_most(0, 7i64);
/// let mut walk = Walk::new(&schema, part.view(), None, &filter).newest_first();
/// let mut found = Vec::new();
/// while let Some((row, position)) = walk.step()? {
///     found.push((row, position.ts, position.arrival));
/// }
/// assert_eq!(found, [(2, 7, 103), (1, 5, 102), (0, 5, 100)]);
/// # Ok::<(), annals_columns::Error>(())
/// ```
pub struct Walk<'a, 'p> {
    schema: &'a Arc<Schema>,
    part: PartView<'p>,
    excluded: Option<RowSet<'p>>,
    filter: &'a Filter,
    is_back: bool,
    behind: Option<Position>,
    going: Option<Box<Going<'p>>>,
}

/// A walk that has begun.
struct Going<'p> {
    plan: Plan<'p>,
    scratch: Scratch,
    /// Only rows from the first on and before the second are wanted.
    rows: (u32, u32),
    /// The chunk at which to go on; backwards the one behind it.
    chunk: u32,
    /// A short list that is gone through instead of chunks, and so many rows of the part at a time.
    list: Option<(RowSet<'p>, u32)>,
    /// What is left of the chunk before, the next one last.
    found: Vec<(u32, Position)>,
}

impl<'a, 'p> Walk<'a, 'p> {
    /// Through what a filter on events of `schema` means, the oldest first. Rows that are excluded count as not there.
    #[must_use]
    pub fn new(
        schema: &'a Arc<Schema>,
        part: PartView<'p>,
        excluded: Option<RowSet<'p>>,
        filter: &'a Filter,
    ) -> Self {
        Self { schema, part, excluded, filter, is_back: false, behind: None, going: None }
    }

    /// The newest first.
    #[must_use]
    pub fn newest_first(mut self) -> Self {
        self.is_back = true;
        self
    }

    /// Only what comes behind a position, in the order in which it goes.
    #[must_use]
    pub fn behind(mut self, position: Position) -> Self {
        self.behind = Some(position);
        self
    }

    /// No event that comes has a position in front of this one; told without a look at any.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged).
    pub fn bound(&self) -> Result<Position> {
        let (first, last) = self.part.time_range()?.unwrap_or((0, 0));
        let mut bound = match self.is_back {
            true => Position { ts: last, arrival: u64::MAX },
            false => Position { ts: first, arrival: 0 },
        };
        if let Some(behind) = self.behind {
            bound = if self.is_back { bound.min(behind) } else { bound.max(behind) };
        }
        Ok(bound)
    }

    /// The next event: its row and its position. `None` if there is no other one.
    ///
    /// # Errors
    /// [`Error::NoField`](crate::Error::NoField), [`Error::WrongType`](crate::Error::WrongType),
    /// [`Error::SchemaMismatch`](crate::Error::SchemaMismatch) or [`Error::Damaged`](crate::Error::Damaged).
    pub fn step(&mut self) -> Result<Option<(u32, Position)>> {
        let going = match &mut self.going {
            Some(going) => going,
            None => {
                let begun = self.begin()?;
                self.going.insert(begun)
            }
        };
        while going.found.is_empty() {
            if !going.next_chunk(self.is_back)? {
                return Ok(None);
            }
        }
        Ok(going.found.pop())
    }

    fn begin(&self) -> Result<Box<Going<'p>>> {
        self.filter.check(self.schema)?;
        let plan = Plan::new(self.filter, self.schema, self.part, self.excluded)?;
        let rows_count = self.part.rows_count() as u32;
        let (mut from, mut to) = (0, rows_count);
        match self.behind {
            Some(behind) if self.is_back => to = first_from(self.part, behind)?,
            Some(behind) => from = first_behind(self.part, behind)?,
            None => {}
        }
        let (first, end) = plan.chunks();
        let size = crate::CHUNK_ROWS as u32;
        let chunk = match self.is_back {
            true => end.min(to.div_ceil(size)),
            false => first.max(from / size),
        };
        let (scratch, found) = (Scratch::new(), Vec::new());
        let list = plan.short_list().map(|list| {
            let stretch = LISTED_ROWS * self.part.rows_count() / list.len().max(1);
            (list, (stretch.max(CHUNK_ROWS).next_multiple_of(CHUNK_ROWS)) as u32)
        });
        Ok(Box::new(Going { plan, scratch, rows: (from, to), chunk, list, found }))
    }
}

impl<'p> Going<'p> {
    /// Finds what the next stretch of rows has of a list; `false` if there is no other one.
    fn next_listed(&mut self, list: RowSet<'p>, stretch: u32, is_back: bool) -> Result<bool> {
        let (from, to) = self.rows;
        if from >= to {
            return Ok(false);
        }
        // Whole chunks, since some filters look at all of a chunk.
        let between = if is_back {
            let start = (to - 1) / stretch * stretch;
            (from.max(start), to)
        } else {
            let end = (from / stretch + 1).saturating_mul(stretch);
            (from, to.min(end))
        };
        self.rows = if is_back { (from, between.0) } else { (between.1, to) };
        let rows = self.plan.listed_between(list, between.0, between.1, &mut self.scratch)?;
        let moments = self.plan.view().moments(&rows)?;
        let found = rows.into_iter().zip(moments);
        self.found.extend(found.map(|(row, (ts, arrival))| (row, Position { ts, arrival })));
        if !is_back {
            self.found.reverse();
        }
        Ok(true)
    }

    /// Finds what the next chunk has; `false` if there is no other chunk.
    fn next_chunk(&mut self, is_back: bool) -> Result<bool> {
        if let Some((list, stretch)) = self.list {
            return self.next_listed(list, stretch, is_back);
        }
        let (first, end) = self.plan.chunks();
        let chunk = match is_back {
            true if self.chunk <= first => return Ok(false),
            true => self.chunk - 1,
            false if self.chunk >= end => return Ok(false),
            false => self.chunk,
        };
        self.chunk = if is_back { chunk } else { chunk + 1 };
        if !self.plan.may_have(chunk) {
            return Ok(true);
        }
        let view = self.plan.view();
        let mask = match self.plan.select(chunk, &mut self.scratch)? {
            Selected::Nothing => return Ok(true),
            found => found.mask(existing(view.rows_count(), chunk as usize)),
        };
        let (from, to) = self.rows;
        let rows = rows_of(chunk, mask).filter(|row| (from..to).contains(row));
        let (scratch, found) = (&mut self.scratch, &mut self.found);
        found.extend(rows.map(|row| (row, Position { ts: 0, arrival: 0 })));
        if found.is_empty() {
            return Ok(true);
        }
        view.each_time(chunk, found.len(), &mut scratch.wide, |of| {
            found.iter_mut().for_each(|(row, position)| position.ts = of(*row));
        })?;
        view.each_arrival(chunk, found.len(), &mut scratch.wide, |of| {
            found.iter_mut().for_each(|(row, position)| position.arrival = of(*row));
        })?;
        if !is_back {
            found.reverse();
        }
        Ok(true)
    }
}

/// The first row that is not before a position.
fn first_from(view: PartView<'_>, position: Position) -> Result<u32> {
    let (mut low, mut high) = (0, view.rows_count() as u32);
    if view.time_range()?.is_some() {
        low = view.first_since(position.ts)?;
        if let Some(behind) = position.ts.checked_add(1) {
            high = view.first_since(behind)?;
        }
    } else if position.ts != 0 {
        // Events without a time are all at 0.
        return Ok(if position.ts < 0 { 0 } else { high });
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

/// The first row that is behind a position.
fn first_behind(view: PartView<'_>, position: Position) -> Result<u32> {
    match (position.arrival.checked_add(1), position.ts.checked_add(1)) {
        (Some(arrival), _) => first_from(view, Position { ts: position.ts, arrival }),
        (None, Some(ts)) => first_from(view, Position { ts, arrival: 0 }),
        (None, None) => Ok(view.rows_count() as u32),
    }
}
