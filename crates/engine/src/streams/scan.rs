//! Reading events of all streams in the order of their numbers.
//!
//! The log is read from front to back. Where it was compacted, records that were moved lie in segments
//! of their own, in order too: so it is as many ordered lists as there are segments, of which those that
//! may have the next number are looked at side by side. One of them is read as long as no other has a
//! lower number.

use super::{
    RecordedEvent,
    batch::{Batches, Data, EVENTS_MAX, EventBatch, InBatches},
    cursor::{Cursor, Met},
    event::CategoryRef,
    filter::Filter,
    find::Event,
    meanwhile::{self, Moment},
    pieces::Class,
    take::{Filling, Showing, Taker},
};
use crate::{
    Error, Result, Snapshot,
    catalog::{Catalog, Keyspace},
    core::Core,
    open::Open,
};
use annals_journal::{Match, SegmentInfo, SegmentKind, Seq, pin};
use std::{collections::VecDeque, sync::Arc};

/// Reads events in the order in which they were appended, up to what was the last one when this was
/// made. While it lives, it keeps the segments that it has yet to read. Clones go on by themselves.
///
/// ```
/// # use annals_engine as annals;
/// use annals::{Database, ExpectedVersion, NewEvent};
/// let db = Database::open_in_memory()?;
/// let (orders, users) = (db.category("orders")?, db.category("users")?);
/// users.append("ada", &NewEvent::bytes("came", b""), ExpectedVersion::Any)?;
/// orders.append(1u64, &NewEvent::bytes("placed", b""), ExpectedVersion::Any)?;
/// let all = db.read_all(annals::Seq::ZERO)?.collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(all.iter().map(|event| event.category()).collect::<Vec<_>>(), ["users", "orders"]);
/// assert!(all[0].seq() < all[1].seq());
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone)]
pub struct Events<'a> {
    core: &'a Core,
    /// Keeps what is read as it is, where a read-only handle may leave it.
    _kept: Option<Snapshot>,
    catalog: Arc<Catalog>,
    /// The category of the handle that this was made by.
    handle: Option<&'a Arc<Keyspace>>,
    /// The segment that is read, and up to, and without, which number no other one has to be looked at.
    running: Option<Cursor<'a>>,
    alone_below: Seq,
    /// What has been begun besides, in no order. Each stands at an event.
    begun: Vec<Cursor<'a>>,
    /// What comes later, by the lowest number there can be.
    later: VecDeque<Cursor<'a>>,
    from: Seq,
    until: Seq,
    /// It stops in front of this for now.
    pause_at: Seq,
    filter: Filter,
    /// What the filter wants, if the index helps to find it.
    classes: Option<Arc<[Class]>>,
    /// The category of the event that was found last.
    last: CategoryRef<'a>,
    /// Why nothing is found any more, to be told next.
    failed: Option<Error>,
}

impl<'a> Events<'a> {
    /// Reads events from the number `from` on, for a handle of a category if there is one.
    pub(crate) fn new(
        core: &'a Core,
        from: Seq,
        filter: Filter,
        handle: Option<&'a Arc<Keyspace>>,
    ) -> Result<Self> {
        // What of segments that are given up from here on is moved is in others that were complete before: no
        // record is in none of the segments that are found.
        let _pin = pin();
        loop {
            let (until, catalog) = (core.visible_seq(), core.catalog.load_full());
            let classes = filter.classes(&catalog);
            let segments = core.journal.segments();
            meanwhile::run(Moment::SegmentsListed);
            let wanted: Vec<_> =
                segments.iter().filter(|info| may_have(info, &segments, from)).collect();
            let guards = wanted.iter().filter_map(|info| {
                let guard = core.journal.guard(info.slot)?;
                (guard.generation() == info.generation).then(|| Cursor::at_start(guard))
            });
            let mut cursors: Vec<_> = guards.collect();
            if cursors.len() < wanted.len() {
                // One that was given up before went in between: of those there are only so many.
                continue;
            }
            cursors.sort_by_key(Cursor::base_seq);
            return Ok(Self {
                core,
                _kept: None,
                catalog,
                handle,
                running: None,
                alone_below: Seq::ZERO,
                begun: Vec::new(),
                later: cursors.into(),
                from,
                until,
                pause_at: Seq(u64::MAX),
                filter,
                classes,
                last: CategoryRef::default(),
                failed: None,
            });
        }
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
    /// for name in ["placed", "paid", "sent", "paid"] {
    ///     orders.append(7u64, &NewEvent::json(name, "{}"), ExpectedVersion::Any)?;
    /// }
    /// assert_eq!(db.read_all(Seq::ZERO)?.of_types(["paid", "sent"]).count(), 3);
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn of_types<T: AsRef<str>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.filter.set_types(names);
        self.classes = self.filter.classes(&self.catalog);
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
    /// for id in [7u64, 8] {
    ///     orders.append(id, &NewEvent::json("placed", "{}"), ExpectedVersion::Any)?;
    /// }
    /// orders.archive(7u64)?;
    /// assert_eq!(orders.read_all(Seq::ZERO)?.count(), 1);
    /// assert_eq!(orders.read_all(Seq::ZERO)?.with_archived().count(), 2);
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn with_archived(mut self) -> Self {
        self.filter.with_archived = true;
        self
    }

    /// Reads the events of the newest state that `open` has, as [`new`](Self::new) does.
    pub(crate) fn of(
        open: &'a Arc<Open>,
        from: Seq,
        filter: Filter,
        handle: Option<&'a Arc<Keyspace>>,
    ) -> Result<Self> {
        let (kept, core) = open.keep();
        Ok(Self::new(core, from, filter, handle)?.kept_by(kept))
    }

    /// What keeps the state as it is is given up with this.
    pub(super) fn kept_by(mut self, kept: Option<Snapshot>) -> Self {
        self._kept = kept;
        self
    }

    /// The state that is read.
    pub(super) fn core(&self) -> &'a Core {
        self.core
    }

    /// Reads no further than the event with this number.
    #[must_use]
    pub fn end_at(mut self, until: Seq) -> Self {
        self.until = self.until.min(until);
        self
    }

    /// Ends in front of `seq`, and goes on there when it is told a higher number.
    pub(super) fn pause_at(&mut self, seq: Seq) {
        self.pause_at = seq;
    }

    /// The number of the last event that this may read.
    #[must_use]
    pub fn until(&self) -> Seq {
        self.until
    }

    /// The next event, and its category's number.
    #[inline]
    pub(super) fn next_hit(&mut self) -> Result<Option<(u32, Event<'a>)>> {
        let met = self.next_met()?;
        Ok(met.zip(self.running.as_ref()).map(|(met, running)| (met.space, running.event(met))))
    }

    /// The next event, which is in the segment that is read.
    #[inline(always)]
    fn next_met(&mut self) -> Result<Option<Met>> {
        loop {
            if let Some(running) = &mut self.running {
                let wanted = |space, key: &[u8]| self.filter.may_want(space, key);
                if let Some(met) = running.next_below(self.from, self.alone_below, wanted)? {
                    self.from = met.record.seq.plus(1);
                    return Ok(Some(met));
                }
            }
            if !self.choose()? {
                return Ok(None);
            }
        }
    }

    /// Goes on to the segment that has the next number; false if there is none.
    #[cold]
    fn choose(&mut self) -> Result<bool> {
        self.begun.extend(self.running.take().filter(|left| left.seq().is_some()));
        loop {
            let lowest = self.begun.iter().filter_map(Cursor::seq).min();
            let below = self.until.plus(1).min(self.pause_at);
            // Those that may have a lower number come along.
            if let Some(next) = self.later.front()
                && lowest.is_none_or(|lowest| next.base_seq() <= lowest)
                && next.base_seq() < below
            {
                let mut cursor = self.later.pop_front().expect("there is one");
                if let Some(classes) = &self.classes {
                    // What is in front of the first number is not looked through for the index.
                    let may_grow = cursor.base_seq() >= self.from;
                    cursor.be_led(self.core, classes, may_grow);
                }
                if cursor.advance(self.from)? {
                    self.begun.push(cursor);
                }
                continue;
            }
            let Some(lowest) = lowest.filter(|lowest| *lowest < below) else { return Ok(false) };
            let is_lowest = |cursor: &Cursor<'_>| cursor.seq() == Some(lowest);
            let at = self.begun.iter().position(is_lowest).expect("one has it");
            let running = self.begun.swap_remove(at);
            // One that was moved just now may be in two segments.
            let mut index = 0;
            while index < self.begun.len() {
                let other = &mut self.begun[index];
                if is_lowest(other) && !other.pass_by(lowest)? {
                    self.begun.swap_remove(index);
                } else {
                    index += 1;
                }
            }
            let others = self.begun.iter().filter_map(Cursor::seq);
            let others = others.chain(self.later.front().map(Cursor::base_seq));
            self.alone_below = others.fold(below, Seq::min);
            self.from = lowest;
            self.running = Some(running);
            return Ok(true);
        }
    }

    /// Whether an event that was found may be given out, as far as its category tells and its type, which is
    /// wanted or not. Its category is the last one then.
    #[inline]
    fn admits(&mut self, met: &Met) -> bool {
        if self.last.get().is_none_or(|last| last.id != met.space) {
            // Of a category that was dropped nothing is read.
            let Some(listed) = self.catalog.by_id(met.space) else { return false };
            self.last = CategoryRef::of(&listed.keyspace, self.handle);
        }
        let type_number = met.read.label.type_number;
        self.last.get().is_some_and(|category| self.filter.wants_type(category, type_number))
    }

    /// Whether an event of the last category is shown, which was found in the segment that is read.
    #[inline]
    fn shows(&self, met: &Met) -> Result<bool> {
        let (Some(category), Some(running)) = (self.last.get(), &self.running) else {
            return Ok(false);
        };
        let is_of_one = self.filter.stream.is_some() || self.filter.with_archived;
        meanwhile::run(Moment::EventScanned);
        match self.core.is_shown(category, running.guard(), &met.record, &met.read, is_of_one) {
            // It was dropped since.
            Err(Error::Stale) if !category.is_alive() => Ok(false),
            is_shown => is_shown,
        }
    }

    /// The next event that is given out, as a reader gets it.
    #[inline]
    fn next_recorded(&mut self) -> Result<Option<RecordedEvent<'a>>> {
        while let Some(met) = self.next_met()? {
            if self.admits(&met) && self.shows(&met)? {
                let event = self.running.as_ref().map(|running| running.event(met));
                return Ok(event.map(|event| Core::recorded(self.last.clone(), event)));
            }
        }
        Ok(None)
    }

    /// Lets `taker` take the next events that are given out, as long as it has room.
    #[inline(always)]
    fn give<T: Taker<'a>>(&mut self, taker: &mut T) -> Result<()> {
        // Whether all events of a category are shown is asked once for its events in a row.
        let mut all_of = None;
        while taker.room() > 0 {
            let Some(met) = self.next_met()? else { return Ok(()) };
            if !self.admits(&met) {
                continue;
            }
            if all_of != Some(met.space) {
                let shows_all = self.last.get().is_some_and(|last| self.core.shows_all(last));
                all_of = shows_all.then_some(met.space);
                if !shows_all && !self.shows(&met)? {
                    continue;
                }
            }
            let Some(running) = &mut self.running else { return Ok(()) };
            taker.take(&self.last, running.guard(), &met)?;
            if all_of.is_some() && self.filter.stream.is_none() {
                let (below, of_any_type) = (self.alone_below, self.filter.type_names.is_empty());
                let room = taker.room();
                let take = |value: &[u8], record: &Match, read: &T::Next| {
                    taker.take_next(value, record, read)
                };
                let last = running.run(&met, below, of_any_type, room, take)?;
                self.from = last.map_or(self.from, |last| last.plus(1));
            }
        }
        Ok(())
    }

    /// Looks up the next events that are given out, as many as a batch has.
    fn fill(&mut self, batch: &mut EventBatch<'a>) -> Result<()> {
        self.give(&mut Filling { batch, among: None })
    }

    /// Reads a batch of events at a time: less work for each of them.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// # use annals::{Database, ExpectedVersion, NewEvent};
    /// # let db = Database::open_in_memory()?;
    /// # let orders = db.category("orders")?;
    /// # for apples in 1..=3u8 {
    /// #     orders.append("ada", &NewEvent::bytes("placed", &[apples]), ExpectedVersion::Any)?;
    /// # }
    /// let mut apples = 0;
    /// for batch in db.read_all(annals::Seq::ZERO)?.batches() {
    ///     for event in &batch? {
    ///         apples += u32::from(event.data()[0]);
    ///     }
    /// }
    /// assert_eq!(apples, 6);
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn batches(self) -> Batches<Self> {
        Batches::of(self)
    }

    /// What stands behind an error is not read.
    #[cold]
    fn end_with(&mut self, error: Error) -> Error {
        self.running = None;
        self.begun.clear();
        self.later.clear();
        error
    }
}

impl<'a> Iterator for Events<'a> {
    type Item = Result<RecordedEvent<'a>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self.next_recorded() {
            Ok(event) => event.map(Ok),
            Err(error) => Some(Err(self.end_with(error))),
        }
    }
}

impl<'a> InBatches for Events<'a> {
    type Batch = EventBatch<'a>;

    fn next_batch(&mut self) -> Option<Result<EventBatch<'a>>> {
        let mut batch = EventBatch::new();
        if let Some(error) = self.failed.take().or_else(|| self.fill(&mut batch).err()) {
            if batch.is_empty() {
                return Some(Err(self.end_with(error)));
            }
            // What was found in front of it comes first.
            self.failed = Some(error);
        }
        (!batch.is_empty()).then_some(Ok(batch))
    }

    #[inline]
    fn each_data(&mut self, each: impl FnMut(&Data<'_>) -> Result<()>) -> Result<()> {
        let mut showing = Showing { each, category: CategoryRef::default(), left: EVENTS_MAX };
        loop {
            self.give(&mut showing)?;
            if showing.left > 0 {
                return Ok(());
            }
            showing.left = EVENTS_MAX;
        }
    }
}

/// Whether a segment may have records numbered `from` or higher: of the chain's, the next one tells.
fn may_have(info: &SegmentInfo, segments: &[SegmentInfo], from: Seq) -> bool {
    let next =
        |other: &&SegmentInfo| other.kind == SegmentKind::Log && other.ordinal == info.ordinal + 1;
    match info.kind {
        SegmentKind::Spare => false,
        SegmentKind::Log => segments.iter().find(next).is_none_or(|next| next.base_seq > from),
        _ => true,
    }
}

impl std::fmt::Debug for Events<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events")
            .field("from", &self.from)
            .field("until", &self.until)
            .field("filter", &self.filter)
            .finish_non_exhaustive()
    }
}
