//! Giving out events, and reading ahead where there are none to be given out.

use super::{
    board::{ConsumerId, Given},
    shared::{EventPlace, Shared},
};
use crate::{
    Durability, ErrorKind, Result,
    open::Open,
    streams::{Filter, Subscription, id::StreamKey, subscription::Place},
};
use annals_journal::Seq;
use std::{sync::Arc, time::Duration};

/// Who reads looks at the time, and whether there is something else to do, behind so many records.
const TURN_RECORDS: u64 = 1 << 14;
/// Who waits for another to have read looks so often whether something was given back.
pub(super) const READ_WAIT: Duration = Duration::from_millis(5);

/// Where the log is read on.
#[derive(Debug)]
pub(super) struct Reader {
    place: Place,
    filter: Filter,
}

impl Reader {
    pub(super) fn new(from: Seq, filter: Filter) -> Self {
        Self { place: Place::at(from), filter }
    }
}

impl Shared {
    /// The next event for `consumer`, if there is one now and it is found before `deadline_ns`.
    pub(super) fn take(
        &self,
        open: &Arc<Open>,
        consumer: ConsumerId,
        deadline_ns: u64,
    ) -> Result<Option<Given<EventPlace>>> {
        let given = self.give_or_read(open, consumer, deadline_ns)?;
        if given.is_none() {
            // There is time to write.
            self.flush(open, Durability::Buffered)?;
        }
        Ok(given)
    }

    fn give_or_read(
        &self,
        open: &Arc<Open>,
        consumer: ConsumerId,
        deadline_ns: u64,
    ) -> Result<Option<Given<EventPlace>>> {
        loop {
            let (given, _) = self.give(open, consumer)?;
            if given.is_some() {
                return Ok(given);
            }
            if let Some(mut reader) = self.reader.try_lock_for(READ_WAIT) {
                return self.read(open, &mut reader, consumer, deadline_ns);
            }
            if self.disk.monotonic_ns() >= deadline_ns {
                return Ok(None);
            }
        }
    }

    /// Gives `consumer` what stands on the board for it. Says also how many events may be read ahead.
    fn give(
        &self,
        open: &Arc<Open>,
        consumer: ConsumerId,
    ) -> Result<(Option<Given<EventPlace>>, usize)> {
        let mut state = self.lock()?;
        let now_ns = self.disk.monotonic_ns();
        self.expire(open, &mut state, now_ns);
        let given = state.give(consumer, now_ns);
        if state.is_to_write(now_ns) {
            let written = state.write(open, self, Durability::Buffered);
            if let (Err(_), Some(given)) = (&written, &given) {
                state.board.give_back(given.seq, given.delivery);
            }
            written?;
        }
        Ok((given, state.room()))
    }

    /// Reads ahead, a turn at a time, until there is something for `consumer`.
    fn read(
        &self,
        open: &Arc<Open>,
        reader: &mut Reader,
        consumer: ConsumerId,
        deadline_ns: u64,
    ) -> Result<Option<Given<EventPlace>>> {
        // Somebody else may have read since the board was looked at.
        let (mut given, mut room) = self.give(open, consumer)?;
        if given.is_some() || room == 0 {
            return Ok(given);
        }
        let mut events = Subscription::resume(open, reader.place, reader.filter.clone())?;
        let outcome = loop {
            let has_more = match self.read_turn(open, &mut events, room) {
                Ok(has_more) => has_more,
                Err(error) => {
                    let wanted = self.lock_anyway().board.wanted_from();
                    if error.kind() != ErrorKind::Corrupt || wanted <= events.position() {
                        break Err(error);
                    }
                    // What is settled, or was skipped, is in front of the next event that is not: damage in it is in
                    // nobody's way.
                    let place = Place::at(wanted);
                    events = Subscription::resume(open, place, reader.filter.clone())?;
                    true
                }
            };
            (given, room) = match self.give(open, consumer) {
                Ok(outcome) => outcome,
                Err(error) => break Err(error),
            };
            let is_over = || self.disk.monotonic_ns() >= deadline_ns;
            if given.is_some() || !has_more || room == 0 || is_over() {
                break Ok(given);
            }
        };
        (reader.place, reader.filter) = events.leave();
        outcome
    }

    /// Reads on from the number `seq`, if that is further on.
    pub(super) fn skip_to(&self, open: &Arc<Open>, seq: Seq) -> Result<()> {
        let mut reader = self.reader.lock();
        let mut state = self.lock()?;
        if reader.place.next() < seq {
            reader.place = Place::at(seq);
        }
        let gone_count = state.board.skip_to(seq);
        state.gone_count += gone_count as u64;
        let written = state.write(open, self, open.journal.config().durability);
        drop((state, reader));
        self.signal.wake_all();
        written
    }

    /// Reads on for a turn, no more than `room` events. False if there is no more.
    fn read_turn(
        &self,
        open: &Arc<Open>,
        events: &mut Subscription<'_>,
        room: usize,
    ) -> Result<bool> {
        let end = open.journal.end();
        let below = Seq(Subscription::position(events).0.saturating_add(TURN_RECORDS));
        events.read_below(below);
        let mut found = Vec::new();
        let outcome = loop {
            if found.len() >= room {
                break Ok(true);
            }
            match events.try_next() {
                Ok(Some(event)) => {
                    let Some(key) = StreamKey::of(&event.stream()) else { continue };
                    let (seq, space, version) = (event.seq(), event.space(), event.version());
                    found.push((seq, EventPlace { space, key, version }));
                }
                // No event is behind the highest number.
                Ok(None) => {
                    let position = Subscription::position(events);
                    break Ok(below < Seq(u64::MAX) && position >= below);
                }
                Err(error) => break Err(error),
            }
        };
        let mut state = self.lock_anyway();
        let has_found = !found.is_empty();
        for (seq, place) in found {
            let lane = state.lane_of(open, seq, &place);
            let gone_count = state.board.add(seq, lane, place);
            state.gone_count += gone_count as u64;
        }
        let gone_count = state.board.read_to(Subscription::position(events));
        state.gone_count += gone_count as u64;
        match outcome {
            // What came before the damage is given out first.
            Err(_) if has_found => Ok(true),
            Ok(false) => {
                state.read_to = events.read_to(end);
                Ok(false)
            }
            outcome => outcome,
        }
    }
}
