//! What is left of a stream: where it begins for readers, and what it is for who appends.

use super::{
    chains::{SPAN, version_hash},
    event::{Found, Read},
    find::{Event, Stream},
    label::Label,
    mark::Mark,
    meanwhile::{self, Moment},
};
use crate::{
    Error, ErrorKind, Result,
    catalog::Keyspace,
    clock::as_ms,
    core::Core,
    hash::{
        hash_key,
        table::{Slot, Table},
    },
};
use annals_journal::{Address, Kind, Match, SegmentGuard, Seq, pin};

const WHAT_MARK: &str = "the stream's mark is not what was written";

/// What limits a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) mark: Mark,
    /// How long its events are kept, in milliseconds.
    age_ms: Option<u64>,
}

/// What a stream is for who appends to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It is what its events say.
    #[default]
    Open,
    /// It had events, and none is left.
    Gone,
    /// It takes no events until it is restored.
    Archived,
    /// It takes no events ever again.
    Tombstone,
}

impl Core {
    /// The mark of a stream, if it has one.
    #[inline]
    pub(crate) fn mark_of(&self, stream: &Stream<'_>) -> Result<Option<Mark>> {
        if stream.view.chains().marks.is_empty() {
            return Ok(None);
        }
        Ok(self.mark_and_seq_of(stream)?.map(|(mark, _)| mark))
    }

    /// The mark of a stream and its number, if it has one.
    #[cold]
    pub(crate) fn mark_and_seq_of(&self, stream: &Stream<'_>) -> Result<Option<(Mark, Seq)>> {
        let Stream { view, space, hash, key } = *stream;
        let found = self.newest_in(&view.chains().marks, view, space, hash, key)?;
        let Some(hit) = found else { return Ok(None) };
        let value = hit.guard.bytes(hit.record.value.0, hit.record.value.1);
        match Mark::decode(value) {
            Some(mark) if hit.record.kind == Kind::Mark => Ok(Some((mark, hit.record.seq))),
            _ => Err(hit.guard.damage(hit.address.offset, WHAT_MARK).into()),
        }
    }

    /// What limits a stream; `None` if nothing does.
    #[inline]
    pub(crate) fn limits_of(
        &self,
        category: &Keyspace,
        stream: &Stream<'_>,
    ) -> Result<Option<Limits>> {
        let mark = self.mark_of(stream)?;
        let ttl = category.options.ttl;
        if mark.is_none() && ttl.is_none() {
            return Ok(None);
        }
        let mark = mark.unwrap_or_default();
        let age = [mark.retention.max_age, ttl].into_iter().flatten().min();
        Ok(Some(Limits { mark, age_ms: age.map(as_ms) }))
    }

    /// Whether an event of this time is over.
    fn is_over(&self, limits: &Limits, time_ms: u64) -> bool {
        limits.age_ms.is_some_and(|age_ms| self.is_past(time_ms.saturating_add(age_ms)))
    }

    /// The first version that is left of a stream whose last event is `last`: the one behind that if none is.
    #[inline]
    pub(crate) fn first_left(
        &self,
        category: &Keyspace,
        stream: &Stream<'_>,
        last: &Event<'_>,
    ) -> Result<u64> {
        match self.limits_of(category, stream)? {
            Some(limits) => self.first_within(&limits, stream, last),
            None => Ok(0),
        }
    }

    /// The last event of a stream that readers may see, and the first version that is left: the one behind it if
    /// none is. `None` if it never had any.
    pub(crate) fn ends(
        &self,
        category: &Keyspace,
        stream: &Stream<'_>,
    ) -> Result<Option<(Event<'_>, u64)>> {
        loop {
            let Some(last) = self.last_event(stream)? else { return Ok(None) };
            meanwhile::run(Moment::LastKnown);
            let first = self.first_left(category, stream, &last)?;
            if first <= last.version() {
                return Ok(Some((last, first)));
            }
            // Events may have come since, and those before them have been given up.
            let now = self.last_event(stream)?;
            if now.is_none_or(|now| now.version() == last.version()) {
                return Ok(Some((last, first)));
            }
        }
    }

    /// The first version that is left within known limits. Costs a few walks where events are limited by age.
    pub(crate) fn first_within(
        &self,
        limits: &Limits,
        stream: &Stream<'_>,
        last: &Event<'_>,
    ) -> Result<u64> {
        let chains = stream.view.chains();
        let mut found_again = None;
        loop {
            let _pin = pin();
            let moves = chains.moves();
            let found = self.first_from(limits, stream, found_again.as_ref().unwrap_or(last));
            // What a walk did not find may have been moved meanwhile, and is not gone then.
            if matches!(found, Ok((_, false))) || chains.are_still(moves) {
                return found.map(|(first, _)| first);
            }
            // So may the event have been that the walk began with.
            found_again = match self.event_of_version(stream, last.version()) {
                Ok(found) => found,
                Err(error) => {
                    let mark = self.mark_of(stream)?.unwrap_or_default();
                    let end = last.version() + 1;
                    return if mark.first >= end { Ok(end) } else { Err(error) };
                }
            };
        }
    }

    /// The same, and whether a walk came to where something is missing.
    fn first_from(
        &self,
        limits: &Limits,
        stream: &Stream<'_>,
        last: &Event<'_>,
    ) -> Result<(u64, bool)> {
        let by_number = limits.mark.first_by_number(last.version());
        if limits.age_ms.is_none() || by_number > last.version() {
            return Ok((by_number.min(last.version() + 1), false));
        }
        if self.is_over(limits, last.read.label.time_ms) {
            return Ok((last.version() + 1, false));
        }
        // Events of a stream are in the order of their times: of its waypoints the first that is not over is
        // searched for.
        let ends = (last.version() + 1) / SPAN;
        let (mut from, mut to) = (by_number / SPAN, ends);
        while from < to {
            let middle = from.midpoint(to);
            match self.waypoint_at(stream, middle * SPAN + SPAN - 1)? {
                Some(event) if !self.is_over(limits, event.read.label.time_ms) => to = middle,
                _ => from = middle + 1,
            }
        }
        let waypoint = match from < ends {
            true => self.waypoint_at(stream, from * SPAN + SPAN - 1)?,
            false => None,
        };
        // In front of it only its own span is left to be looked at.
        let end = by_number.max(from * SPAN);
        let mut walked = waypoint;
        let mut first = walked.as_ref().unwrap_or(last).version();
        while first > end {
            meanwhile::run(Moment::EventHeld);
            let behind = walked.as_ref().unwrap_or(last);
            let Some(event) = self.event_before_or_gone(stream, behind)? else {
                return Ok((first, true));
            };
            if self.is_over(limits, event.read.label.time_ms) {
                break;
            }
            first = event.version();
            walked = Some(event);
        }
        Ok((first, false))
    }

    /// The event of a version, if readers may still see it.
    #[inline]
    pub(crate) fn event_left<'c>(
        &'c self,
        category: &Keyspace,
        stream: &Stream<'_>,
        version: u64,
    ) -> Result<Option<(SegmentGuard<'c>, Found)>> {
        let visible = self.visible_seq();
        let limits = self.limits_of(category, stream)?;
        meanwhile::run(Moment::LimitsKnown);
        if let Some(limits) = limits
            && !self.has_left(&limits, stream, version)?
        {
            return Ok(None);
        }
        let found = self.event_among_others(stream, version);
        if matches!(found, Ok(None)) {
            return Ok(None);
        }
        // Given up since: then of the newest event only that it was there may have been found, and of others
        // nothing.
        if let Some(limits) = self.limits_of(category, stream)?
            && !self.has_left(&limits, stream, version)?
        {
            return Ok(None);
        }
        Ok(found?.filter(|(_, found)| found.seq <= visible))
    }

    /// The event of this stream that was given this id, if readers may see it and it is left.
    pub(crate) fn event_of_id_left<'c>(
        &'c self,
        category: &Keyspace,
        stream: &Stream<'_>,
        id: u128,
    ) -> Result<Option<Event<'c>>> {
        let chains = stream.view.chains();
        let found = loop {
            let _pin = pin();
            let (moves, visible) = (chains.moves(), self.visible_seq());
            // An event that readers do not see yet gives up no other one for them.
            let last = |stream: &Stream<'_>| self.last_event(stream);
            let found = self.event_of_id_before(category, stream, id, last)?;
            // Where nothing is found, it may have been on its way to another place.
            if found.is_some() || chains.are_still(moves) {
                break found.filter(|event| event.hit.record.seq <= visible);
            }
        };
        // Given up since, the newest event may have been found without its data.
        if let (Some(event), Some(limits)) = (&found, self.limits_of(category, stream)?)
            && !self.has_left(&limits, stream, event.version())?
        {
            return Ok(None);
        }
        Ok(found)
    }

    /// Whether the stream has this version, and it is left.
    #[cold]
    fn has_left(&self, limits: &Limits, stream: &Stream<'_>, version: u64) -> Result<bool> {
        let Some(last) = self.last_event(stream)? else { return Ok(false) };
        Ok((self.first_within(limits, stream, &last)?..=last.version()).contains(&version))
    }

    /// A waypoint; `None` if log compaction has left it out.
    fn waypoint_at(&self, stream: &Stream<'_>, version: u64) -> Result<Option<Event<'_>>> {
        let waypoints = &stream.view.chains().waypoints;
        match self.event_of(stream, waypoints, version) {
            Some(event) => Ok(Some(event)),
            None => self.damage_of(stream, waypoints, version).map_or(Ok(None), Err),
        }
    }

    /// The event in front of this one; `None` if there is none any more.
    pub(crate) fn event_before_or_gone(
        &self,
        stream: &Stream<'_>,
        event: &Event<'_>,
    ) -> Result<Option<Event<'_>>> {
        self.event_before(stream, event).or_else(|error| {
            let chains = stream.view.chains();
            let may_be_gone = chains.expires() || !chains.marks.is_empty();
            if error.kind() != ErrorKind::Corrupt || !may_be_gone {
                return Err(error);
            }
            let (label, seq) = (&event.read.label, event.hit.record.seq);
            let astray = label
                .version
                .checked_sub(1)
                .and_then(|version| self.damage_of(stream, &chains.strays, version));
            // Where the label says may be another segment by now: one that has only what came later, or one of log
            // compaction, where any bytes may stand at that place.
            let written = || {
                let address = label.address_before(event.hit.address)?;
                let guard = self.journal.guard(address.slot)?;
                if guard.base_seq() > seq || guard.record(address.offset).is_ok() {
                    return None;
                }
                self.damage_up_to(address)
            };
            astray.or_else(written).map_or(Ok(None), Err)
        })
    }

    /// The damage in a record that `table` leads to by the hash of a version, if there is any.
    pub(crate) fn damage_of(
        &self,
        stream: &Stream<'_>,
        table: &Table,
        version: u64,
    ) -> Option<Error> {
        table.find(version_hash(stream.hash, version), |slot: Slot| {
            self.damage_at(Address::unpack(slot.address()))
        })
    }

    /// Whether readers may still see the event of this version and time, of a stream whose last event has version
    /// `last`.
    pub(crate) fn is_left(
        &self,
        limits: &Limits,
        (version, time_ms): (u64, u64),
        last: u64,
    ) -> bool {
        version >= limits.mark.first_by_number(last) && !self.is_over(limits, time_ms)
    }

    /// Whether who reads many streams gets all events of this category that there are.
    #[inline]
    pub(crate) fn shows_all(&self, category: &Keyspace) -> bool {
        let pin = pin();
        category.options.ttl.is_none() && category.view.read(&pin).chains().marks.is_empty()
    }

    /// Whether who reads many streams gets this event: it is left, and its stream is not archived, unless they ask
    /// for just that one.
    #[inline]
    pub(crate) fn is_shown(
        &self,
        category: &Keyspace,
        guard: &SegmentGuard<'_>,
        record: &Match,
        read: &Read,
        is_of_one: bool,
    ) -> Result<bool> {
        if self.shows_all(category) {
            return Ok(true);
        }
        self.is_shown_of_some(category, guard, record, read, is_of_one)
    }

    #[cold]
    fn is_shown_of_some(
        &self,
        category: &Keyspace,
        guard: &SegmentGuard<'_>,
        record: &Match,
        read: &Read,
        is_of_one: bool,
    ) -> Result<bool> {
        let pin = pin();
        let view = category.view.read(&pin);
        let key = guard.bytes(record.key.0, record.key.1);
        let hash = hash_key(self.hash_seed, key);
        let stream = Stream { view, space: category.id, hash, key };
        let Some(limits) = self.limits_of(category, &stream)? else { return Ok(true) };
        if limits.mark.is_archived && !is_of_one {
            return Ok(false);
        }
        let Label { version, time_ms, .. } = read.label;
        let last = match limits.mark.retention.max_count {
            Some(_) => self.last_event(&stream)?.map_or(version, |last| last.version()),
            None => version,
        };
        Ok(self.is_left(&limits, (version, time_ms), last))
    }

    /// What a stream is for who appends, whose newest event is `newest`.
    #[inline]
    pub(crate) fn standing(
        &self,
        category: &Keyspace,
        stream: &Stream<'_>,
        newest: Option<&Event<'_>>,
    ) -> Result<Standing> {
        let Some(limits) = self.limits_of(category, stream)? else { return Ok(Standing::Open) };
        if limits.mark.is_tombstone {
            return Ok(Standing::Tombstone);
        }
        if limits.mark.is_archived {
            return Ok(Standing::Archived);
        }
        let Some(newest) = newest else { return Ok(Standing::Open) };
        let (version, time_ms) = (newest.version(), newest.read.label.time_ms);
        match self.is_left(&limits, (version, time_ms), version) {
            true => Ok(Standing::Open),
            false => Ok(Standing::Gone),
        }
    }
}
