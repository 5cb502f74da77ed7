//! Reading events in the order of their times.

use super::{
    damage::{self, Lost},
    fresh::FreshBatch,
    limits::{CancelToken, Limits},
    rows::FoundRows,
    view::TableView,
};
use crate::{ErrorKind, Result};
use annals_columns::{BoundFilter, Filter, Position, Schema, Walk};
use std::{
    cmp::Ordering,
    collections::{BinaryHeap, binary_heap::PeekMut},
    ops::Range,
    sync::Arc,
};

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
///
/// With a filter only those that it means are given; the next page goes on from the last of them.
///
/// ```
/// # use annals_engine as annals;
/// use annals::{Database, Scan};
/// use annals_columns::Schema;
///
/// #[derive(Schema)]
/// #[schema(schema_id = 1, crate = annals_columns)]
/// struct Request {
///     #[ts]
///     at: i64,
///     #[dim]
///     user: String,
/// }
///
/// let db = Database::open_in_memory()?;
/// let requests = db.table_of::<Request>("requests")?;
/// for (at, user) in [(1, "ada"), (2, "bob"), (3, "ada"), (4, "ada")] {
///     requests.append(&Request::event().at(at).user(user))?;
/// }
/// let view = requests.view()?;
/// let hers = Scan::new().filter(Request::filter().user_eq("ada")).newest_first().limit(2);
/// let found = view.scan(&hers)?;
/// assert_eq!((found.event::<Request>(0)?.at, found.event::<Request>(1)?.at), (4, 3));
/// let next = view.scan(&hers.after(found.cursor().expect("there may be more")))?;
/// assert_eq!((next.len(), next.event::<Request>(0)?.at), (1, 1));
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Scan {
    filter: BoundFilter,
    since: i64,
    until: Option<i64>,
    after: Option<Cursor>,
    limit: usize,
    is_newest_first: bool,
    limits: Limits,
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
        Self {
            filter: BoundFilter::default(),
            since: i64::MIN,
            until: None,
            after: None,
            limit: usize::MAX,
            is_newest_first: false,
            limits: Limits::default(),
        }
    }

    /// Those only that the filter means.
    #[must_use]
    pub fn filter(mut self, filter: impl Into<BoundFilter>) -> Self {
        self.filter = filter.into();
        self
    }

    /// Of this time or later.
    #[must_use]
    pub fn since(mut self, ts: i64) -> Self {
        self.since = ts;
        self
    }

    /// Before this time: an event of exactly this time is not meant. Without it those of `i64::MAX` are.
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

    /// So many at most. A scan has no other limit to the memory it takes: what it finds is there at once, some 24 bytes for each
    /// field of an event and the strings that are compressed. Many events are read in pages, each behind the
    /// [cursor](FoundRows::cursor) of the one before.
    #[must_use]
    pub fn limit(mut self, count: usize) -> Self {
        self.limit = count;
        self
    }

    /// How many there are at most.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::Scan;
    /// assert_eq!(Scan::new().limit(3).count_max(), 3);
    /// assert_eq!(Scan::new().count_max(), usize::MAX);
    /// ```
    #[must_use]
    pub fn count_max(&self) -> usize {
        self.limit
    }

    /// The newest first; of the same time the one that came last.
    #[must_use]
    pub fn newest_first(mut self) -> Self {
        self.is_newest_first = true;
        self
    }

    /// Ends with [`Error::Cancelled`](crate::Error::Cancelled) soon after the token says so.
    #[must_use]
    pub fn cancelled_by(mut self, token: &CancelToken) -> Self {
        self.limits.cancel = Some(token.clone());
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

    /// Whether any time from the first to the last is asked for.
    fn may_have(&self, first: i64, last: i64) -> bool {
        let is_within = self.since <= last && self.until.is_none_or(|until| first < until);
        is_within
            && self.after.is_none_or(|after| match self.is_newest_first {
                true => first <= after.ts,
                false => last >= after.ts,
            })
    }

    /// What is asked of the events of a part, times included.
    fn filter_of(&self, schema: &Arc<Schema>) -> Result<Filter> {
        let mut filter = self.filter.of(schema)?.into_owned();
        let Some(ts) = schema.ts() else { return Ok(filter) };
        if self.since > i64::MIN {
            filter = filter.and(Filter::at_least(ts, self.since));
        }
        if let Some(until) = self.until {
            filter = filter.and(Filter::below(ts, until));
        }
        Ok(filter)
    }

    pub(super) fn run<'v>(&self, view: &'v TableView<'_>) -> Result<FoundRows<'v>> {
        self.find(view).map_err(|error| view.named(error))
    }

    fn find<'v>(&self, view: &'v TableView<'_>) -> Result<FoundRows<'v>> {
        let schema = view.schema();
        let filter = self.filter_of(schema)?;
        let mut runs = Vec::new();
        for (number, (part, deleted)) in view.parts_with_deleted().enumerate() {
            let (first, last) = part.time_range()?.unwrap_or((0, 0));
            if !self.may_have(first, last) {
                continue;
            }
            let mut walk = Walk::new(schema, part, deleted, &filter);
            if self.is_newest_first {
                walk = walk.newest_first();
            }
            if let Some(after) = self.after {
                walk = walk.behind(Position { ts: after.ts, arrival: after.arrival });
            }
            runs.push((number as u32, Run::Part(walk)));
        }
        let times = damage::times_of(&filter, schema.ts());
        for lost in view.lost().filter(|lost| lost.may_have(times)) {
            let (first, last) = lost.damage.times.unwrap_or(damage::ALWAYS);
            if self.may_have(first, last) {
                let bound = match self.is_newest_first {
                    true => Position { ts: last, arrival: u64::MAX },
                    false => Position { ts: first, arrival: 0 },
                };
                runs.push((u32::MAX, Run::Lost(bound, lost)));
            }
        }
        for (number, batch) in view.fresh.iter().enumerate() {
            let from = batch.partition(|moment| self.is_in_front(moment));
            let to = batch.partition(|moment| self.is_before_end(moment)).max(from);
            let (filter, is_back) = (&filter, self.is_newest_first);
            let run = FreshRun { batch, filter, places: from..to, is_back };
            runs.push(((view.parts_count() + number) as u32, Run::Fresh(run)));
        }
        let mut heads = BinaryHeap::with_capacity(runs.len());
        for (at, (_, run)) in runs.iter().enumerate() {
            if let Some(bound) = run.bound()? {
                heads.push(Head::new(self.is_newest_first, at, bound, None));
            }
        }
        // Whether there is more is told exactly where that costs little.
        let is_filtered = *self.filter.of(schema)? != Filter::All;
        let mut picks = Vec::with_capacity(self.limit.min(1 << 10));
        let mut last = None;
        while let Some(mut head) = heads.peek_mut() {
            if picks.len() == self.limit && (is_filtered || head.row.is_some()) {
                break;
            }
            self.limits.check_cancelled()?;
            let (number, run) = &mut runs[head.at];
            if let Some(row) = head.row {
                picks.push((*number, row));
                last = Some(Cursor { ts: head.position.ts, arrival: head.position.arrival });
                // The next one that a filter means may be far.
                if is_filtered && picks.len() == self.limit {
                    break;
                }
            }
            let stepped = match run.step() {
                // What is behind the last one that is asked for is told to who asks for it.
                Err(error) if picks.len() == self.limit && error.kind() == ErrorKind::Corrupt => {
                    break;
                }
                stepped => stepped?,
            };
            match stepped {
                Some((row, position)) => {
                    *head = Head::new(self.is_newest_first, head.at, position, Some(row));
                }
                None => drop(PeekMut::pop(head)),
            }
        }
        let has_more = !heads.is_empty();
        FoundRows::of_picks(view, &picks, last.filter(|_| has_more))
    }
}

/// Events in the order that is asked for.
enum Run<'a, 'v> {
    Part(Walk<'a, 'v>),
    Fresh(FreshRun<'a, 'v>),
    /// Events that cannot be read, of which none comes in front of this.
    Lost(Position, &'v Lost),
}

impl Run<'_, '_> {
    /// No event comes in front of this position; `None` if none comes.
    fn bound(&self) -> Result<Option<Position>> {
        match self {
            Self::Part(walk) => Ok(Some(walk.bound()?)),
            Self::Fresh(run) => Ok(run.next_place().map(|place| run.position_at(place))),
            Self::Lost(bound, _) => Ok(Some(*bound)),
        }
    }

    fn step(&mut self) -> Result<Option<(u32, Position)>> {
        match self {
            Self::Part(walk) => Ok(walk.step()?),
            Self::Fresh(run) => Ok(run.step()),
            Self::Lost(_, lost) => Err(lost.damage.error.clone()),
        }
    }
}

/// Events of a fresh batch.
struct FreshRun<'a, 'v> {
    batch: &'v FreshBatch,
    filter: &'a Filter,
    places: Range<usize>,
    is_back: bool,
}

impl FreshRun<'_, '_> {
    fn next_place(&self) -> Option<usize> {
        let mut places = self.places.clone();
        if self.is_back { places.next_back() } else { places.next() }
    }

    fn position_at(&self, place: usize) -> Position {
        let (ts, arrival) = self.batch.moment_at(place);
        Position { ts, arrival }
    }

    fn step(&mut self) -> Option<(u32, Position)> {
        while let Some(place) = self.next_place() {
            match self.is_back {
                true => self.places.end -= 1,
                false => self.places.start += 1,
            }
            let row = self.batch.row_at(place);
            if self.filter.matches(|field| self.batch.batch.value(row as usize, field)) {
                return Some((row, self.position_at(place)));
            }
        }
        None
    }
}

/// The next event of a run, or, as long as nobody has looked, the first that it can be.
struct Head {
    /// Heads of higher ranks come first.
    rank: (i64, u64),
    at: usize,
    row: Option<u32>,
    position: Position,
}

impl Head {
    fn new(is_newest_first: bool, at: usize, position: Position, row: Option<u32>) -> Self {
        let rank = (position.ts, position.arrival);
        let rank = if is_newest_first { rank } else { (!rank.0, !rank.1) };
        Self { rank, at, row, position }
    }

    /// Of equal ones that which nobody has looked at comes first.
    fn key(&self) -> ((i64, u64), bool, usize) {
        (self.rank, self.row.is_none(), self.at)
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Head {}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}
