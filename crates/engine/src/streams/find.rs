//! Finding events: the newest of a stream, the one before another, one of a version or an id.

use super::{
    chains::{Chains, id_hash, is_waypoint, version_hash, waypoint_of},
    event::{CategoryRef, Found, Read, RecordedEvent},
    extra,
    label::Label,
    meanwhile::{self, Moment},
    nearby::{Near, Nearby, begin_stretch, event_in_next_frame, event_nearby},
};
use crate::{
    Error, Result,
    catalog::Keyspace,
    core::Core,
    hash::{
        HashView, Hit, hash_key,
        table::{Rehash, Slot, Table},
    },
};
use annals_journal::{Address, Kind, Look, Match, SegmentGuard, Seq, pin};

/// A stream, as its category's tables know it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream<'a> {
    pub(crate) view: &'a HashView,
    pub(crate) space: u32,
    pub(crate) hash: u64,
    pub(crate) key: &'a [u8],
}

impl Stream<'_> {
    /// What is at `offset` of a segment, if that is the stream's event of this version.
    #[inline(always)]
    pub(crate) fn event_in(
        &self,
        guard: &SegmentGuard<'_>,
        offset: u32,
        version: u64,
    ) -> Option<(Match, Read)> {
        let Look::This(record) = guard.look(offset, self.space, self.key) else { return None };
        if record.kind != Kind::Event {
            return None;
        }
        let read = Read::of(guard.bytes(record.value.0, record.value.1))?;
        (read.label.version == version).then_some((record, read))
    }
}

/// An event's record, and what its label says.
pub(crate) struct Event<'a> {
    pub(crate) hit: Hit<'a>,
    pub(crate) read: Read,
}

impl Event<'_> {
    pub(crate) fn version(&self) -> u64 {
        self.read.label.version
    }
}

const WHAT_LABEL: &str = "the event's label is not what was written";
const WHAT_WAYPOINT: &str = "an event that the stream of this one had before is not to be found";
const WHAT_CHAIN: &str = "the event before this one is not where it should be";

impl Core {
    /// The newest event of a stream, published or not.
    #[inline]
    pub(crate) fn newest_event(&self, stream: &Stream<'_>) -> Result<Option<Event<'_>>> {
        let Stream { view, space, hash, key } = *stream;
        self.newest(view, space, hash, key)?.map(read).transpose()
    }

    /// The event in front of `event`; `None` if that is the first one.
    #[inline]
    pub(crate) fn event_before(
        &self,
        stream: &Stream<'_>,
        event: &Event<'_>,
    ) -> Result<Option<Event<'_>>> {
        self.before(stream, event.hit.address, &event.read.label)
            .ok_or_else(|| self.loss_before(stream, event.hit.address, &event.read.label))
    }

    /// Why the event in front of the one at `address` with this label is not found: that it is damaged, or
    /// that nobody knows where it is.
    #[cold]
    fn loss_before(&self, stream: &Stream<'_>, address: Address, label: &Label<'_>) -> Error {
        let strays = &stream.view.chains().strays;
        let astray = label.version.checked_sub(1);
        let astray = astray.and_then(|version| self.damage_of(stream, strays, version));
        let written = || label.address_before(address).and_then(|address| self.damage_at(address));
        match (astray.or_else(written), self.journal.guard(address.slot)) {
            (Some(damage), _) => damage,
            (None, Some(guard)) => guard.damage(address.offset, WHAT_CHAIN).into(),
            (None, None) => Error::Stale,
        }
    }

    /// The damage at an address, if there is a record that is damaged.
    pub(super) fn damage_at(&self, address: Address) -> Option<Error> {
        let guard = self.journal.guard(address.slot)?;
        guard.record(address.offset).err().map(Error::from)
    }

    /// The damage of the frames of a segment up to the one that has this address. Costs a look at all that is in
    /// front of it.
    #[cold]
    pub(super) fn damage_up_to(&self, address: Address) -> Option<Error> {
        let guard = self.journal.guard(address.slot)?;
        let mut offset = guard.first_frame();
        while offset <= address.offset {
            match guard.next_frame(&mut offset) {
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(error) => return Some(error.into()),
            }
        }
        None
    }

    /// Where the event is now that comes before the one at `address` with this label.
    pub(crate) fn place_of_event_before(
        &self,
        stream: &Stream<'_>,
        address: Address,
        label: &Label<'_>,
    ) -> Result<Option<Address>> {
        match self.before(stream, address, label) {
            Some(before) => Ok(before.map(|event| event.hit.address)),
            None => Err(self.loss_before(stream, address, label)),
        }
    }

    /// The event in front of the one at `address` with this label: the inner `None` if there is none, the
    /// outer one if it is not found.
    #[inline]
    #[allow(clippy::option_option, reason = "nothing before it, and nothing found")]
    fn before(
        &self,
        stream: &Stream<'_>,
        address: Address,
        label: &Label<'_>,
    ) -> Option<Option<Event<'_>>> {
        let written = label.address_before(address);
        let (Some(written), Some(version)) = (written, label.version.checked_sub(1)) else {
            return Some(None);
        };
        let strays = &stream.view.chains().strays;
        // Where there are strays, what the event says is not to be believed before they were asked.
        if strays.is_empty()
            && let Some(before) = self.event_at(stream, written, version)
        {
            return Some(Some(before));
        }
        self.event_astray(stream, written, version).map(Some)
    }

    #[cold]
    fn event_astray(
        &self,
        stream: &Stream<'_>,
        written: Address,
        version: u64,
    ) -> Option<Event<'_>> {
        self.event_of(stream, &stream.view.chains().strays, version)
            .or_else(|| self.event_at(stream, written, version))
            // Moved in between.
            .or_else(|| self.event_of(stream, &stream.view.chains().strays, version))
    }

    /// The event at `address`, if it is of this stream and version.
    #[inline]
    fn event_at(&self, stream: &Stream<'_>, address: Address, version: u64) -> Option<Event<'_>> {
        let guard = self.journal.guard(address.slot)?;
        let (record, read) = stream.event_in(&guard, address.offset, version)?;
        Some(Event { hit: Hit::new(guard, address, record), read })
    }

    /// The event of this version that `table` leads to.
    pub(crate) fn event_of(
        &self,
        stream: &Stream<'_>,
        table: &Table,
        version: u64,
    ) -> Option<Event<'_>> {
        table.find(version_hash(stream.hash, version), |slot| {
            self.event_at(stream, Address::unpack(slot.address()), version)
        })
    }

    /// The event from which a walk to `version` begins; `None` if the stream ends before it.
    pub(crate) fn event_from(
        &self,
        stream: &Stream<'_>,
        version: u64,
    ) -> Result<Option<Event<'_>>> {
        let (waypoints, waypoint) = (&stream.view.chains().waypoints, waypoint_of(version));
        if let Some(found) = self.event_of(stream, waypoints, waypoint) {
            return Ok(Some(found));
        }
        meanwhile::run(Moment::WaypointSought);
        let Some(newest) = self.newest_event(stream)? else { return Ok(None) };
        if newest.version() > waypoint {
            // The stream may have grown past it since it was looked for: then it is there now.
            if let Some(found) = self.event_of(stream, waypoints, waypoint) {
                return Ok(Some(found));
            }
            // Log compaction has left the span out, or its waypoint is damaged. To walk there from the newest event
            // would be to walk through all of the stream.
            let damage = self.damage_of(stream, waypoints, waypoint);
            let unknown =
                || newest.hit.guard.damage(newest.hit.address.offset, WHAT_WAYPOINT).into();
            return Err(damage.unwrap_or_else(unknown));
        }
        Ok(Some(newest).filter(|newest| newest.version() >= version))
    }

    /// Calls `each` with the events from version `to` down to version `from`, or to the first there is.
    /// The two are to be of one span.
    pub(crate) fn each_back<'c>(
        &'c self,
        stream: &Stream<'_>,
        from: u64,
        to: u64,
        mut each: impl FnMut(Event<'c>),
    ) -> Result<()> {
        debug_assert_eq!(waypoint_of(from), waypoint_of(to), "more than one span");
        let mut next = to;
        let chains = stream.view.chains();
        'again: loop {
            meanwhile::run(Moment::WalkBegins);
            // Until the pin is gone no segment that is left is used for anything else.
            let _pin = pin();
            let moves = chains.moves();
            let Some(mut event) = self.event_from(stream, next)? else { return Ok(()) };
            loop {
                meanwhile::run(Moment::EventHeld);
                let before = match event.version() > from {
                    false => Ok(None),
                    true => self.event_before(stream, &event),
                };
                let before = match before {
                    Ok(before) => before,
                    // The walk came from a record that was moved since.
                    Err(_) if !chains.are_still(moves) => continue 'again,
                    Err(error) => return Err(error),
                };
                if event.version() <= next {
                    let version = event.version();
                    each(event);
                    if version == from {
                        return Ok(());
                    }
                    next = version - 1;
                }
                match before {
                    Some(before) => event = before,
                    None => return Ok(()),
                }
            }
        }
    }

    /// Calls `each` with the events of versions from `from` up to, and without, `to`, as far as they are found.
    pub(crate) fn each_of(
        &self,
        stream: &Stream<'_>,
        mut from: u64,
        to: u64,
        mut each: impl FnMut(&Event<'_>),
    ) {
        while from < to {
            let last = waypoint_of(from).min(to - 1);
            // What is not found was left out of the log, or is damaged: it stays as it is.
            let _ = self.each_back(stream, from, last, |event| each(&event));
            from = last + 1;
        }
    }

    /// The last event of a stream that readers may see.
    pub(crate) fn last_event(&self, stream: &Stream<'_>) -> Result<Option<Event<'_>>> {
        let chains = stream.view.chains();
        loop {
            let _pin = pin();
            let (moves, visible) = (chains.moves(), self.visible_seq());
            meanwhile::run(Moment::VisibleKnown);
            let Some(newest) = self.newest_event(stream)? else { return Ok(None) };
            let is_first = newest.version() == 0;
            let found = self.last_up_to(stream, newest, visible);
            // What is in front of an event that readers did not see yet is there. Where it is not found, they see
            // that event by now, and somebody has moved or given up what is in front of it.
            let is_certain = matches!(found, Ok(Some(_))) || is_first;
            if is_certain || chains.are_still(moves) && self.visible_seq() == visible {
                return found;
            }
        }
    }

    /// The event at or in front of `newest` whose number is not above `visible`.
    fn last_up_to<'c>(
        &'c self,
        stream: &Stream<'_>,
        newest: Event<'c>,
        visible: Seq,
    ) -> Result<Option<Event<'c>>> {
        let mut last = Some(newest);
        while let Some(event) = last.take_if(|event| event.hit.record.seq > visible) {
            meanwhile::run(Moment::EventHeld);
            last = self.event_before_or_gone(stream, &event)?;
        }
        Ok(last)
    }

    /// The event of a version, if the stream has it.
    pub(crate) fn event_of_version(
        &self,
        stream: &Stream<'_>,
        version: u64,
    ) -> Result<Option<Event<'_>>> {
        let mut found = None;
        self.each_back(stream, version, version, |event| found = Some(event))?;
        Ok(found)
    }

    /// The same, for a thread that may ask for its neighbours next.
    pub(crate) fn event_among_others<'c>(
        &'c self,
        stream: &Stream<'_>,
        version: u64,
    ) -> Result<Option<(SegmentGuard<'c>, Found)>> {
        if let Some(near) = Near::find(self, stream.space, stream.key, version)
            && let Some(found) = event_nearby(self, stream, version, &near)
                .or_else(|| event_in_next_frame(self, stream, version, &near))
        {
            return Ok(Some(found));
        }
        if let Some((guard, record, read)) = self.walk_to(stream, version) {
            return Ok(Some((guard, Found::of(&record, &read, 0))));
        }
        let found = self.event_of_version(stream, version)?;
        Ok(found.map(|Event { hit, read }| (hit.guard, Found::of(&hit.record, &read, 0))))
    }

    /// Walks to the event of this version, and remembers what it comes by. `None` also if it is not found
    /// where it was written.
    fn walk_to<'c>(
        &'c self,
        stream: &Stream<'_>,
        version: u64,
    ) -> Option<(SegmentGuard<'c>, Match, Read)> {
        // Until the pin is gone no segment that is left is used for anything else.
        let _pin = pin();
        if !stream.view.chains().strays.is_empty() {
            return None;
        }
        if let Some(found) = begin_stretch(self, stream, version) {
            return Some(found);
        }
        let Event { hit, read } = self.event_from(stream, version).ok()??;
        let (mut guard, mut at, mut next) = (hit.guard, hit.address, read.label.version);
        let mut nearby = Nearby::new(self, stream, version);
        loop {
            let (record, read) = stream.event_in(&guard, at.offset, next)?;
            nearby.note(&guard, at.offset, next);
            if next <= version {
                nearby.keep();
                return Some((guard, record, read));
            }
            at = read.label.address_before(at)?;
            if at.slot != guard.slot() {
                guard = self.journal.guard(at.slot)?;
            }
            next -= 1;
        }
    }

    /// The event of this stream that has this id, if it is left: what was given up is as if it had never been
    /// there. For who appends: what is not published yet counts.
    pub(crate) fn event_of_id(
        &self,
        category: &Keyspace,
        stream: &Stream<'_>,
        id: u128,
    ) -> Result<Option<Event<'_>>> {
        self.event_of_id_before(category, stream, id, |stream| self.newest_event(stream))
    }

    /// The same where the stream ends with the event that `newest` gives.
    pub(crate) fn event_of_id_before<'c>(
        &'c self,
        category: &Keyspace,
        stream: &Stream<'_>,
        id: u128,
        newest: impl FnOnce(&Stream<'_>) -> Result<Option<Event<'c>>>,
    ) -> Result<Option<Event<'c>>> {
        let limits = self.limits_of(category, stream)?;
        let last = match &limits {
            Some(_) => newest(stream)?.map_or(0, |newest| newest.version()),
            None => 0,
        };
        let is_left = |event: &Event<'_>| {
            let place = (event.version(), event.read.label.time_ms);
            limits.is_none_or(|limits| self.is_left(&limits, place, last))
        };
        let ids = &stream.view.chains().ids;
        let mut damaged = None;
        let found = ids.find(id_hash(self.hash_seed, stream.space, id), |slot| {
            let address = Address::unpack(slot.address());
            let guard = self.journal.guard(address.slot)?;
            let record = match guard.look(address.offset, stream.space, stream.key) {
                Look::This(record) => record,
                Look::Other => return None,
                Look::Damaged => {
                    damaged = Some(address);
                    return None;
                }
            };
            let value = guard.bytes(record.value.0, record.value.1);
            let is_it = id_of(value) == Some(id);
            let read = Read::of(value)?;
            let event = Event { hit: Hit::new(guard, address, record), read };
            (is_it && is_left(&event)).then_some(event)
        });
        // It may be the one that cannot be read: to store it again would be to have it twice.
        match damaged.filter(|_| found.is_none()).and_then(|address| self.damage_at(address)) {
            Some(damage) => Err(damage),
            None => Ok(found),
        }
    }

    /// The event as users get it.
    #[inline(always)]
    pub(crate) fn recorded<'c>(category: CategoryRef<'c>, event: Event<'c>) -> RecordedEvent<'c> {
        let Event { hit, read } = event;
        RecordedEvent::new(category, hit.guard, &Found::of(&hit.record, &read, 0))
    }

    /// Whether the event at `address` is the one that the chain of its stream goes through.
    pub(crate) fn is_in_chain(
        &self,
        stream: &Stream<'_>,
        address: Address,
        version: u64,
    ) -> Result<bool> {
        let packed = address.pack();
        let leads = |table: &Table, hash| {
            table.find(hash, |slot| (slot.address() == packed).then_some(())).is_some()
        };
        let Chains { waypoints, strays, .. } = stream.view.chains();
        let hash = version_hash(stream.hash, version);
        if leads(&stream.view.table, stream.hash)
            || is_waypoint(version) && leads(waypoints, hash)
            || leads(strays, hash)
        {
            return Ok(true);
        }
        let found = self.event_of_version(stream, version)?;
        Ok(found.is_some_and(|event| event.hit.address == address))
    }
}

impl Core {
    /// The version of the event at `address`.
    pub(crate) fn version_at(&self, address: Address) -> Option<u64> {
        let guard = self.journal.guard(address.slot)?;
        let record = guard.record(address.offset).ok()?;
        Some(Read::of(record.value)?.label.version)
    }

    /// Whether a slot leads to the event of this version.
    pub(crate) fn is_version(&self, stream: &Stream<'_>, slot: Slot, version: u64) -> bool {
        self.event_at(stream, Address::unpack(slot.address()), version).is_some()
    }
}

/// Reads the label of an event that was found.
#[inline(always)]
fn read(hit: Hit<'_>) -> Result<Event<'_>> {
    let value = hit.guard.bytes(hit.record.value.0, hit.record.value.1);
    match Read::of(value) {
        Some(read) if hit.record.kind == Kind::Event => Ok(Event { hit, read }),
        _ => Err(Error::from(hit.guard.damage(hit.address.offset, WHAT_LABEL))),
    }
}

/// The id that the event with this value was given.
pub(crate) fn id_of(value: &[u8]) -> Option<u128> {
    let (_, label) = super::label::Label::split(value)?;
    extra::ids(label.extra)?.0.event
}

/// Finds versions' hashes in the log, for tables of [`Chains`].
pub(crate) struct VersionRehasher<'a>(pub(crate) &'a Core);

impl VersionRehasher<'_> {
    fn guard(&self, address: u64) -> Option<(SegmentGuard<'_>, Address)> {
        let address = Address::unpack(address);
        Some((self.0.journal.guard(address.slot)?, address))
    }
}

impl Rehash for VersionRehasher<'_> {
    fn ahead(&mut self, address: u64) {
        self.0.journal.prefetch(Address::unpack(address));
    }

    fn hash(&mut self, address: u64) -> Option<u64> {
        let (guard, address) = self.guard(address)?;
        let record = guard.record(address.offset).ok()?;
        let version = Read::of(record.value)?.label.version;
        Some(version_hash(hash_key(self.0.hash_seed, record.key), version))
    }
}

/// Finds ids' hashes in the log, for the table of ids.
pub(crate) struct IdRehasher<'a>(pub(crate) &'a Core);

impl Rehash for IdRehasher<'_> {
    fn ahead(&mut self, address: u64) {
        self.0.journal.prefetch(Address::unpack(address));
    }

    fn hash(&mut self, address: u64) -> Option<u64> {
        let address = Address::unpack(address);
        let guard = self.0.journal.guard(address.slot)?;
        let record = guard.record(address.offset).ok()?;
        Some(id_hash(self.0.hash_seed, record.space, id_of(record.value)?))
    }
}

/// Whether the slot leads to the event at an address.
pub(crate) fn leads_to(address: Address) -> impl Fn(Slot) -> bool {
    let packed = address.pack();
    move |slot| slot.address() == packed
}
