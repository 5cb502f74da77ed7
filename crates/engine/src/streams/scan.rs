//! Reading events of all streams in the order of their numbers.
//!
//! The log is read from front to back. Where it was compacted, records that were moved lie in segments
//! of their own, in order too: so it is as many ordered lists as there are segments, of which those that
//! may have the next number are looked at side by side. One of them is read as long as no other has a
//! lower number.

use super::{
    RecordedEvent, cursor::Cursor, event::CategoryRef, filter::Filter, find::Event, pieces::Class,
};
use crate::{
    Error, Result,
    catalog::{Catalog, Keyspace},
    core::Core,
};
use annals_journal::{SegmentInfo, SegmentKind, Seq};
use std::{collections::VecDeque, sync::Arc};

/// Reads events in the order in which they were appended, up to what was the last one when this was
/// made. While it lives, it keeps the segments that it has yet to read.
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
pub struct Events<'a> {
    core: &'a Core,
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
}

impl<'a> Events<'a> {
    /// Reads events from the number `from` on, for a handle of a category if there is one.
    pub(crate) fn new(
        core: &'a Core,
        from: Seq,
        filter: Filter,
        handle: Option<&'a Arc<Keyspace>>,
    ) -> Result<Self> {
        const ATTEMPTS: usize = 64;
        for _ in 0..ATTEMPTS {
            let (until, catalog) = (core.visible_seq(), core.catalog.load_full());
            let classes = filter.classes(&catalog);
            let segments = core.journal.segments();
            let wanted: Vec<_> =
                segments.iter().filter(|info| may_have(info, &segments, from)).collect();
            let guards = wanted.iter().filter_map(|info| {
                let guard = core.journal.guard(info.slot)?;
                (guard.generation() == info.generation).then(|| Cursor::at_start(guard))
            });
            let mut cursors: Vec<_> = guards.collect();
            if cursors.len() < wanted.len() {
                // One was given up in between; what was moved from it is elsewhere by now.
                continue;
            }
            cursors.sort_by_key(Cursor::base_seq);
            return Ok(Self {
                core,
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
            });
        }
        Err(Error::Conflict { attempts: ATTEMPTS as u32 })
    }

    /// Reads events of types of this name only, whatever their version.
    #[must_use]
    pub fn of_type(mut self, name: &str) -> Self {
        self.filter.type_names = vec![name.to_owned()];
        self.classes = self.filter.classes(&self.catalog);
        self
    }

    /// Reads no further than this.
    pub(crate) fn end_at(mut self, until: Seq) -> Self {
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
        loop {
            if let Some(running) = &mut self.running {
                let wanted = |space, key: &[u8]| self.filter.may_want(space, key);
                if let Some(hit) = running.next_below(self.from, self.alone_below, wanted)? {
                    self.from = hit.1.hit.record.seq.plus(1);
                    return Ok(Some(hit));
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

    /// Whether an event that was found is one to be given out. Its category is the last one then.
    #[inline]
    fn admits(&mut self, space: u32, event: &Event<'a>) -> Result<bool> {
        if self.last.get().is_none_or(|last| last.id != space) {
            // Of a category that was dropped nothing is read.
            let Some(listed) = self.catalog.by_id(space) else { return Ok(false) };
            self.last = CategoryRef::of(&listed.keyspace, self.handle);
        }
        let Some(category) = self.last.get() else { return Ok(false) };
        if !self.filter.wants_type(category, event.read.label.type_number) {
            return Ok(false);
        }
        self.core.is_shown(category, event, self.filter.stream.is_some())
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
        loop {
            match self.next_hit() {
                Ok(Some((space, event))) => match self.admits(space, &event) {
                    Ok(true) => return Some(Ok(Core::recorded(self.last.clone(), event))),
                    Ok(false) => {}
                    Err(error) => return Some(Err(self.end_with(error))),
                },
                Ok(None) => return None,
                Err(error) => return Some(Err(self.end_with(error))),
            }
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
