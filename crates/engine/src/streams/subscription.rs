//! Reading events that are there, and then those that come, without a gap and none twice.
//!
//! What is there is [scanned](super::Events); what comes stands in the chain behind the place where it
//! ended when the scan was begun, and is read from there, frame by frame.

use super::{
    Events, Follower, RecordedEvent,
    cursor::Cursor,
    event::CategoryRef,
    filter::Filter,
    look_again::look_again,
    meanwhile::{self, Moment},
};
use crate::{Error, Result, catalog::Keyspace, core::Core, open::Open};
use annals_journal::{Position, Seq};
use std::{
    pin::Pin,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
    time::Duration,
};

/// Reads events in the order in which they were appended, those that are there and then those that come.
///
/// As an iterator it waits for more and ends when the database is closed; [`try_next`](Self::try_next) and
/// [`next_within`](Self::next_within) do not; [`next_async`](Self::next_async) is for tasks, of any runtime.
/// A database whose writes have stopped after a failed sync is not closed, and of a category that was dropped nothing comes
/// any more: who waits then waits until it is closed.
/// Reading takes no lock of the writer: it waits for no commit, and keeps nobody from appending or compacting. One that is left standing in
/// front of events that are there keeps the space of the segments that they are in. Beginning
/// takes none either, but in the first moment after a compaction. Clones go on by themselves; a [`Follower`] is one that
/// borrows nothing.
///
/// ```
/// # use annals_engine as annals;
/// use annals::{Database, ExpectedVersion, NewEvent};
/// use std::time::Duration;
/// let db = Database::open_in_memory()?;
/// let orders = db.category("orders")?;
/// orders.append(1u64, &NewEvent::bytes("placed", b""), ExpectedVersion::Any)?;
/// let mut events = orders.subscribe(annals::Seq::ZERO)?;
/// assert_eq!(events.try_next()?.map(|event| event.version()), Some(0));
/// assert!(events.try_next()?.is_none());
/// std::thread::scope(|scope| {
///     scope.spawn(|| orders.append(1u64, &NewEvent::bytes("paid", b""), ExpectedVersion::Any));
///     let next = events.next_within(Duration::from_secs(60))?;
///     assert_eq!(next.map(|event| event.version()), Some(1));
///     Ok::<(), annals::Error>(())
/// })?;
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone)]
pub struct Subscription<'a> {
    open: &'a Arc<Open>,
    /// The state that is read; read-only handles may get later ones.
    core: &'a Core,
    filter: Filter,
    /// The next event has this number or a higher one.
    next: Seq,
    /// It reads what is in front of this only, for now.
    below: Seq,
    /// The category of the handle that this was made by.
    handle: Option<&'a Arc<Keyspace>>,
    /// What was there, while it is read.
    backlog: Option<Events<'a>>,
    tail: Tail<'a>,
    last: Option<Arc<Keyspace>>,
    /// How long it looks before it sleeps.
    awake: Duration,
}

/// Where a subscription goes on, without what it has open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    next: Seq,
    /// Where the chain is read from, if what was there is read.
    tail: Option<Position>,
}

impl Place {
    pub(crate) fn at(next: Seq) -> Self {
        Self { next, tail: None }
    }

    /// The number from which it goes on.
    pub(super) fn next(&self) -> Seq {
        self.next
    }
}

/// The end of the chain.
#[derive(Clone)]
struct Tail<'a> {
    /// The ordinal of the segment.
    ordinal: u32,
    cursor: Option<Cursor<'a>>,
    /// Where it begins to read that.
    offset: u32,
}

/// A read-only handle looks so often for what the writer did: nobody tells it.
pub(super) const POLL: Duration = Duration::from_millis(2);

impl<'a> Subscription<'a> {
    pub(crate) fn new(
        open: &'a Arc<Open>,
        from: Seq,
        filter: Filter,
        handle: Option<&'a Arc<Keyspace>>,
    ) -> Result<Self> {
        open.follow_if_read_only()?;
        let (backlog, tail) = begin(open, from, &filter, handle)?;
        let core = backlog.core();
        let (backlog, next, below) = (Some(backlog), from, Seq(u64::MAX));
        let (last, awake) = (None, Duration::ZERO);
        Ok(Self { open, core, filter, next, below, handle, backlog, tail, last, awake })
    }

    /// Goes on at `place`, where one with the same filter has [left](Self::leave).
    pub(crate) fn resume(open: &'a Arc<Open>, place: Place, filter: Filter) -> Result<Self> {
        let Some(tail) = place.tail else { return Self::new(open, place.next, filter, None) };
        let tail = Tail { ordinal: tail.ordinal, cursor: None, offset: tail.offset };
        Ok(Self {
            open,
            core: open.core(),
            filter,
            next: place.next,
            below: Seq(u64::MAX),
            handle: None,
            backlog: None,
            tail,
            last: None,
            awake: Duration::ZERO,
        })
    }

    /// Lets go of what it borrows: what goes on here by a handle of its own.
    /// [`Follower`] has an example.
    #[must_use]
    pub fn into_follower(self) -> Follower {
        let (open, awake) = (Arc::clone(self.open), self.awake);
        let (place, filter) = self.leave();
        Follower::new(open, place, filter, awake)
    }

    /// Whether it is of this database.
    pub(crate) fn is_of(&self, open: &Arc<Open>) -> bool {
        Arc::ptr_eq(self.open, open)
    }

    /// Closes what it has open. Returns where it can be resumed.
    pub(crate) fn leave(self) -> (Place, Filter) {
        let Tail { ordinal, cursor, offset } = self.tail;
        let offset = cursor.as_ref().map_or(offset, Cursor::left_from);
        let tail = self.backlog.is_none().then_some(Position { ordinal, offset });
        (Place { next: self.next, tail }, self.filter)
    }

    /// Reads events of types of this name only, whatever their version, as [`of_types`](Self::of_types) does of
    /// several names.
    #[must_use]
    pub fn of_type(self, name: &str) -> Self {
        self.of_types([name])
    }

    /// Reads events of types of these names only, whatever their versions; of all types if there are no names. To be
    /// said before the first one is read; what was said last counts.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, ExpectedVersion, NewEvent, Seq};
    /// let db = Database::open_in_memory()?;
    /// let orders = db.category("orders")?;
    /// let mut events = orders.subscribe(Seq::ZERO)?.of_types(["paid", "sent"]);
    /// for name in ["placed", "paid", "sent"] {
    ///     orders.append(7u64, &NewEvent::json(name, "{}"), ExpectedVersion::Any)?;
    /// }
    /// assert_eq!(events.try_next()?.map(|event| event.version()), Some(1));
    /// assert_eq!(events.try_next()?.map(|event| event.version()), Some(2));
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn of_types<T: AsRef<str>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.filter.set_types(names);
        self.backlog = self.backlog.map(|backlog| backlog.of_types(&self.filter.type_names));
        self
    }

    /// Reads the events of streams that are [archived](crate::Category::archive) too, which readers of many streams
    /// leave out.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, ExpectedVersion, NewEvent, Seq};
    /// let db = Database::open_in_memory()?;
    /// let orders = db.category("orders")?;
    /// orders.append(7u64, &NewEvent::json("placed", "{}"), ExpectedVersion::Any)?;
    /// orders.archive(7u64)?;
    /// assert!(orders.subscribe(Seq::ZERO)?.try_next()?.is_none());
    /// assert!(orders.subscribe(Seq::ZERO)?.with_archived().try_next()?.is_some());
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn with_archived(mut self) -> Self {
        self.filter.with_archived = true;
        self.backlog = self.backlog.map(Events::with_archived);
        self
    }

    /// Lets a thread that waits for the next event look for it for so long before it sleeps. One that sleeps is
    /// woken by whoever appends, which takes the system some microseconds; one that is awake has a processor for
    /// itself, so there should be one to spare. For tasks it makes no difference.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// # let db = annals::Database::open_in_memory()?;
    /// # let orders = db.category("orders")?;
    /// use std::time::Duration;
    /// let mut events = orders.subscribe(annals::Seq::ZERO)?.stay_awake(Duration::from_millis(1));
    /// assert!(events.next_within(Duration::from_millis(2))?.is_none());
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn stay_awake(mut self, awake: Duration) -> Self {
        self.awake = awake;
        self
    }

    /// The number from which it goes on: what a subscription that is to go on here later has to be
    /// begun with.
    #[must_use]
    pub fn position(&self) -> Seq {
        self.next
    }

    /// Lets it look for events that are numbered lower than `seq` only, until it is told another number: where
    /// few are wanted, whoever looks for the next one comes back in between. When there is none, the
    /// [position](Self::position) is `seq` or higher if there may be more behind it.
    pub(crate) fn read_below(&mut self, seq: Seq) {
        self.below = seq;
    }

    /// The next event if there is one now.
    ///
    /// # Errors
    /// Damage to the log; in a read-only handle, what following the writer fails with.
    pub fn try_next(&mut self) -> Result<Option<RecordedEvent<'a>>> {
        self.open.follow_if_read_only()?;
        loop {
            if let Some(backlog) = &mut self.backlog {
                backlog.pause_at(self.below);
                match backlog.next() {
                    Some(Ok(event)) => {
                        self.next = event.seq().plus(1);
                        return Ok(Some(event));
                    }
                    // Who asks again comes to the same place: what stands behind it is not passed over.
                    Some(Err(error)) => {
                        self.begin_again()?;
                        return Err(error);
                    }
                    None => {}
                }
                let end = backlog.until().plus(1);
                self.next = self.next.max(end.min(self.below));
                if self.below < end {
                    return Ok(None);
                }
                self.backlog = None;
            }
            if self.core.superseded.load(Ordering::Acquire) {
                self.begin_again()?;
                continue;
            }
            meanwhile::run(Moment::TailSought);
            let visible = self.core.visible_seq();
            let Some(cursor) = self.tail.cursor(self.core) else {
                // Of a state that was left no segment is there: what it showed last may not have been read.
                let is_left = self.core.superseded.load(Ordering::Acquire);
                // Behind a seal the next segment is not there yet, and never where it could not be made: who began
                // again would come back here for ever. No event that was visible before is in it: it would be there,
                // since compaction takes none from the end.
                if !is_left && self.core.journal.end().ordinal <= self.tail.ordinal {
                    self.next = self.next.max(visible.plus(1).min(self.below));
                    return Ok(None);
                }
                // Compaction was faster than this.
                self.begin_again()?;
                continue;
            };
            let end = visible.plus(1).min(self.below);
            if self.below <= visible && cursor.base_seq() >= end {
                self.next = self.next.max(end);
                return Ok(None);
            }
            let wanted = |space, key: &[u8]| self.filter.may_want(space, key);
            let found = cursor.next_below(self.next, end, wanted)?;
            let Some((space, event)) = found.map(|met| (met.space, cursor.event(met))) else {
                if cursor.seq().is_none() && cursor.is_behind() {
                    self.tail.leave();
                    continue;
                }
                // What readers saw before the look was published before it.
                self.next = self.next.max(end);
                return Ok(None);
            };
            let seq = event.hit.record.seq;
            let Some(category) = self.category(space) else {
                // A state that was left knows of no category: the event is there all the same.
                if self.core.superseded.load(Ordering::Acquire) {
                    continue;
                }
                self.next = seq.plus(1);
                continue;
            };
            let is_of_one = self.filter.stream.is_some() || self.filter.with_archived;
            let is_wanted = self.filter.wants_type(&category, event.read.label.type_number);
            meanwhile::run(Moment::EventScanned);
            let is_shown = match is_wanted {
                true => self.core.is_shown(
                    &category,
                    &event.hit.guard,
                    &event.hit.record,
                    &event.read,
                    is_of_one,
                ),
                false => Ok(false),
            };
            // A state that was left has nothing that says what may be shown.
            if self.core.superseded.load(Ordering::Acquire) {
                continue;
            }
            let is_shown = match is_shown {
                Ok(is_shown) => is_shown,
                // It was dropped since.
                Err(Error::Stale) if !category.is_alive() => false,
                Err(error) => {
                    // Who asks again comes to the same place.
                    self.begin_again()?;
                    return Err(error);
                }
            };
            self.next = seq.plus(1);
            if is_shown {
                let category = CategoryRef::of(&category, self.handle);
                return Ok(Some(Core::recorded(category, event)));
            }
        }
    }

    fn begin_again(&mut self) -> Result<()> {
        let (backlog, tail) = begin(self.open, self.next, &self.filter, self.handle)?;
        self.core = backlog.core();
        (self.backlog, self.tail) = (Some(backlog), tail);
        // What is known of a category in a state that was left stays as it was then: types that came since would be
        // unknown, and streams that were archived since would be shown.
        self.last = None;
        Ok(())
    }

    fn category(&mut self, space: u32) -> Option<Arc<Keyspace>> {
        match &self.last {
            Some(last) if last.id == space && last.is_alive() => {}
            _ => self.last = Some(Arc::clone(&self.core.catalog.load().by_id(space)?.keyspace)),
        }
        self.last.clone()
    }

    /// The next event, for which it waits no longer than `timeout`; `None` if none came, or the database
    /// was closed.
    ///
    /// # Errors
    /// As [`try_next`](Self::try_next).
    pub fn next_within(&mut self, timeout: Duration) -> Result<Option<RecordedEvent<'a>>> {
        let deadline = Deadline::after(self.core, timeout);
        self.next_until(Some(deadline))
    }

    fn next_until(&mut self, deadline: Option<Deadline>) -> Result<Option<RecordedEvent<'a>>> {
        loop {
            let (position, is_closed) = self.end();
            if let Some(event) = self.try_next()? {
                return Ok(Some(event));
            }
            meanwhile::run(Moment::NothingCame);
            let left = deadline.map_or(Duration::MAX, |deadline| deadline.left(self.core));
            if left.is_zero() || is_closed {
                return Ok(None);
            }
            self.wait_beyond(position, left);
        }
    }

    /// The end of the log, and whether that will not move any more: the database is closed. To be asked before it is looked
    /// what came: something may be appended in between, and then the database be closed.
    fn end(&self) -> (Position, bool) {
        // In this order: nothing is appended once it is closed.
        let is_closed = self.core.journal.is_closed();
        (self.core.journal.end(), is_closed)
    }

    /// Waits until there may be more, but no longer than `timeout`.
    pub(crate) fn wait(&self, timeout: Duration) {
        self.wait_beyond(self.core.journal.end(), timeout);
    }

    /// Waits until there may be more.
    fn wait_beyond(&self, end: Position, timeout: Duration) {
        if self.core.read_only {
            std::thread::sleep(timeout.min(POLL));
            return;
        }
        // What lies in front of the end was read, or is about to be shown.
        let position = self.read_to(end);
        let journal = &self.core.journal;
        let _ = match self.awake.is_zero() {
            true => journal.wait_beyond(position, timeout),
            false => journal.wait_beyond_awake(position, self.awake, timeout),
        };
    }

    /// Up to where everything was read, if that is not known to be `end`.
    pub(crate) fn read_to(&self, end: Position) -> Position {
        let Tail { ordinal, cursor, offset } = &self.tail;
        match cursor {
            Some(cursor) => Position { ordinal: *ordinal, offset: cursor.read_to() },
            // By an end that was looked at later, who waits would sleep although there is something behind the seal.
            None if self.backlog.is_none() => Position { ordinal: *ordinal, offset: *offset },
            None => end,
        }
    }

    /// The next event; `None` if the database was closed. To be awaited in a task of any runtime.
    ///
    /// In a read-only handle nobody tells when the writer has done something: the task is woken again after two
    /// milliseconds, by a thread that all such tasks share.
    ///
    /// # Errors
    /// As [`try_next`](Self::try_next).
    pub async fn next_async(&mut self) -> Result<Option<RecordedEvent<'a>>> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_event(context)).await
    }

    fn poll_event(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<RecordedEvent<'a>>>> {
        let this = self.get_mut();
        loop {
            let (end, is_closed) = this.end();
            let next = this.try_next();
            meanwhile::run(Moment::NothingCame);
            match next {
                Ok(None) if is_closed => return Poll::Ready(Ok(None)),
                Ok(None) => {}
                other => return Poll::Ready(other),
            }
            if this.core.read_only {
                look_again(context.waker());
                return Poll::Pending;
            }
            if !this.core.journal.watch_beyond(this.read_to(end), context.waker()) {
                return Poll::Pending;
            }
        }
    }
}

/// Until when somebody waits, by the clock of the disk, in nanoseconds.
#[derive(Clone, Copy)]
pub(super) struct Deadline(u64);

impl Deadline {
    pub(super) fn after(core: &Core, timeout: Duration) -> Self {
        let timeout_ns = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        Self(core.journal.disk().monotonic_ns().saturating_add(timeout_ns))
    }

    pub(super) fn left(self, core: &Core) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(core.journal.disk().monotonic_ns()))
    }
}

/// What is there from `from` on, and the end of the chain behind it. Waits for no commit, but where the place of the
/// last one is gone.
fn begin<'a>(
    open: &'a Arc<Open>,
    from: Seq,
    filter: &Filter,
    handle: Option<&'a Arc<Keyspace>>,
) -> Result<(Events<'a>, Tail<'a>)> {
    let (kept, core) = open.keep();
    // In this order: a commit is shown before the log is said to be applied up to behind it. What is shown in
    // between stands in the chain too, and is told once, by its number.
    let (mut end, mut visible) = (core.journal.applied(), core.visible_seq());
    if core.read_only || core.journal.chain_guard(end.ordinal).is_none() {
        // Compaction has begun a segment and given that one up, and nobody has committed since: by the lock it is
        // known that nothing is between what readers see and the end of the log.
        let _following = core.following.lock();
        let _writer = core.journal.quiesce();
        (end, visible) = (core.journal.end(), core.visible_seq());
    }
    let tail = Tail { ordinal: end.ordinal, cursor: None, offset: end.offset };
    let events = Events::new(core, from, filter.clone(), handle)?;
    Ok((events.kept_by(kept).end_at(visible), tail))
}

impl<'a> Tail<'a> {
    /// The place in the segment; `None` if that is gone.
    fn cursor(&mut self, core: &'a Core) -> Option<&mut Cursor<'a>> {
        if self.cursor.is_none() {
            let guard = core.journal.chain_guard(self.ordinal)?;
            let offset = self.offset.max(guard.first_frame());
            self.cursor = Some(Cursor::new(guard, offset));
        }
        self.cursor.as_mut()
    }

    /// Goes on to the next segment.
    fn leave(&mut self) {
        (self.ordinal, self.cursor, self.offset) = (self.ordinal + 1, None, 0);
    }
}

impl<'a> Iterator for Subscription<'a> {
    type Item = Result<RecordedEvent<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_until(None).transpose()
    }
}

impl std::fmt::Debug for Subscription<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subscription")
            .field("next", &self.next)
            .field("filter", &self.filter)
            .field("has_backlog", &self.backlog.is_some())
            .finish_non_exhaustive()
    }
}
