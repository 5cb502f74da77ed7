//! Reading events in the order of their times.

use super::{fresh::FreshBatch, rows::FoundRows, view::TableView};
use crate::Result;
use annals_columns::{PartView, RowSet};

/// Where a scan stopped: the next one goes on behind it. Events of the same time are told apart by when they came,
/// so that none comes twice and none is left out, whatever is appended, flushed or dropped in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    /// The time of the event.
    pub ts: i64,
    /// When it came, compared with others of the table.
    pub arrival: u64,
}

/// Which events are asked for, and in which order.
///
/// ```
/// # use annals_engine as annals;
/// use annals::{Database, Scan};
/// use annals_columns::{Role, Schema};
/// use std::sync::Arc;
/// let schema = Arc::new(Schema::builder(1).with("at", Role::Ts).build()?);
/// let db = Database::open_in_memory()?;
/// let ticks = db.table("ticks", &schema)?;
/// let mut batch = annals_columns::Batch::new(schema);
/// for at in 0..10 {
///     let mut row = batch.row();
///     row.i64(0, at)?;
///     row.finish()?;
/// }
/// ticks.append_batch(&batch)?;
///
/// let view = ticks.view()?;
/// let first = view.scan(&Scan::new().since(3).until(8).limit(3))?;
/// assert_eq!((first.len(), first.value(0, 0).as_i64()), (3, Some(3)));
/// let next = Scan::new().since(3).until(8).after(first.cursor().expect("there are more"));
/// assert_eq!(view.scan(&next)?.len(), 2);
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Scan {
    since: i64,
    until: Option<i64>,
    after: Option<Cursor>,
    limit: usize,
    is_newest_first: bool,
}

impl Default for Scan {
    fn default() -> Self {
        Self::new()
    }
}

impl Scan {
    /// All events, the oldest first.
    #[must_use]
    pub fn new() -> Self {
        let (until, after) = (None, None);
        Self { since: i64::MIN, until, after, limit: usize::MAX, is_newest_first: false }
    }

    /// Of this time or later.
    #[must_use]
    pub fn since(mut self, ts: i64) -> Self {
        self.since = ts;
        self
    }

    /// Before this time.
    #[must_use]
    pub fn until(mut self, ts: i64) -> Self {
        self.until = Some(ts);
        self
    }

    /// Behind those that a scan in the same order gave before.
    #[must_use]
    pub fn after(mut self, cursor: Cursor) -> Self {
        self.after = Some(cursor);
        self
    }

    /// So many at most.
    #[must_use]
    pub fn limit(mut self, count: usize) -> Self {
        self.limit = count;
        self
    }

    /// The newest first; of the same time the one that came last.
    #[must_use]
    pub fn newest_first(mut self) -> Self {
        self.is_newest_first = true;
        self
    }

    /// Whether an event at this moment lies in front of those that are asked for, oldest first.
    fn is_in_front(&self, moment: (i64, u64)) -> bool {
        let after = self.after.filter(|_| !self.is_newest_first);
        moment.0 < self.since || after.is_some_and(|after| moment <= (after.ts, after.arrival))
    }

    /// Whether it lies in front of the end of those that are asked for.
    fn is_before_end(&self, moment: (i64, u64)) -> bool {
        let after = self.after.filter(|_| self.is_newest_first);
        self.until.is_none_or(|until| moment.0 < until)
            && after.is_none_or(|after| moment < (after.ts, after.arrival))
    }

    pub(super) fn run<'v>(&self, view: &'v TableView<'_>) -> Result<FoundRows<'v>> {
        let parts = view.parts_with_deleted().map(|(part, deleted)| Run::Part(part, deleted));
        let fresh = view.fresh.iter().map(|batch| Run::Fresh(batch));
        let mut heads = Vec::new();
        for (number, run) in parts.chain(fresh).enumerate() {
            let from = run.partition(|moment| self.is_in_front(moment))?;
            let to = run.partition(|moment| self.is_before_end(moment))?;
            if from < to {
                heads.extend(Head::new(number as u32, run, (from, to), self.is_newest_first)?);
            }
        }
        let mut picks = Vec::new();
        let mut last = None;
        while picks.len() < self.limit {
            let next = heads.iter_mut().enumerate();
            let next = match self.is_newest_first {
                true => next.max_by_key(|(_, head)| head.moment),
                false => next.min_by_key(|(_, head)| head.moment),
            };
            let Some((at, head)) = next else { break };
            last = Some(Cursor { ts: head.moment.0, arrival: head.moment.1 });
            picks.push((head.number, head.run.row_at(head.place())));
            if !head.step()? {
                heads.swap_remove(at);
            }
        }
        let has_more = !heads.is_empty();
        FoundRows::of_picks(view, &picks, last.filter(|_| has_more))
    }
}

/// Events in the order of their times.
#[derive(Clone, Copy)]
enum Run<'v> {
    /// With the rows that were deleted.
    Part(PartView<'v>, Option<RowSet<'v>>),
    Fresh(&'v FreshBatch),
}

impl Run<'_> {
    /// When the event at a place happened, and when it came.
    fn moment_at(&self, place: usize) -> Result<(i64, u64)> {
        match self {
            Self::Part(part, _) => Ok((part.time(place as u32)?, part.arrival(place as u32)?)),
            Self::Fresh(batch) => Ok(batch.moment_at(place)),
        }
    }

    /// The first place at which this does not hold any more.
    fn partition(&self, is_before: impl Fn((i64, u64)) -> bool) -> Result<usize> {
        let part = match self {
            Self::Fresh(batch) => return Ok(batch.partition(is_before)),
            Self::Part(part, _) => part,
        };
        // Mostly all of it is on one side.
        let count = part.rows_count();
        if !is_before(self.moment_at(0)?) {
            return Ok(0);
        }
        if is_before(self.moment_at(count - 1)?) {
            return Ok(count);
        }
        let (mut from, mut to) = (0, count);
        while from < to {
            let middle = from.midpoint(to);
            if is_before(self.moment_at(middle)?) { from = middle + 1 } else { to = middle }
        }
        Ok(from)
    }

    fn is_deleted(&self, place: usize) -> bool {
        match self {
            Self::Part(_, Some(deleted)) => deleted.contains(place as u32),
            _ => false,
        }
    }

    fn row_at(&self, place: usize) -> u32 {
        match self {
            Self::Part(..) => place as u32,
            Self::Fresh(batch) => batch.row_at(place),
        }
    }
}

/// Where a scan is in one run.
struct Head<'v> {
    number: u32,
    run: Run<'v>,
    from: usize,
    to: usize,
    is_back: bool,
    moment: (i64, u64),
}

impl<'v> Head<'v> {
    /// At the first event; `None` if there is none.
    fn new(
        number: u32,
        run: Run<'v>,
        (from, to): (usize, usize),
        is_back: bool,
    ) -> Result<Option<Self>> {
        let mut head = Self { number, run, from, to, is_back, moment: (0, 0) };
        Ok(head.settle()?.then_some(head))
    }

    fn place(&self) -> usize {
        if self.is_back { self.to - 1 } else { self.from }
    }

    /// Goes on to the next event; `false` if there is none.
    fn step(&mut self) -> Result<bool> {
        self.pass();
        self.settle()
    }

    fn pass(&mut self) {
        if self.is_back {
            self.to -= 1;
        } else {
            self.from += 1;
        }
    }

    /// Passes over events that were deleted; `false` if no other one is left.
    fn settle(&mut self) -> Result<bool> {
        while self.from < self.to {
            if !self.run.is_deleted(self.place()) {
                self.moment = self.run.moment_at(self.place())?;
                return Ok(true);
            }
            self.pass();
        }
        Ok(false)
    }
}
