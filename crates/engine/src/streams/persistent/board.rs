//! Who is given which event next: the decisions of a persistent subscription, without disk, clock or
//! threads.
//!
//! An event that was read and not settled stands on the board, in a lane: that of its stream, or one of
//! its own. Of a lane the event with the lowest number comes first, and while some of it are in flight
//! the others go to the same consumer only.

use super::options::Strategy;
use annals_journal::Seq;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::atomic::{AtomicU64, Ordering},
};

/// How often events were given out, by all boards: no two times have the same number, so a ticket of an earlier
/// opening, or of another subscription, settles nothing.
static DELIVERIES: AtomicU64 = AtomicU64::new(0);

/// Tells consumers apart.
pub(super) type ConsumerId = u64;

/// The events that are not settled.
#[derive(Debug)]
pub(super) struct Board<P> {
    items: BTreeMap<Seq, Item<P>>,
    /// Those of them that were read in their order, and not put here again.
    in_order: BTreeSet<Seq>,
    /// Events that were not settled when the subscription was opened and are yet to be read, and how often
    /// they were given out.
    unread: BTreeMap<Seq, u32>,
    lanes: HashMap<u64, Lane>,
    /// First events of lanes that may be given out now, to anybody.
    free: BTreeSet<Seq>,
    /// The same to one consumer only.
    bound: HashMap<ConsumerId, BTreeSet<Seq>>,
    /// When events in flight are to be back, and when others may be given out again.
    due: BTreeSet<(u64, Seq)>,
    in_flight_count: usize,
    /// All events in front of this one were read.
    next: Seq,
    /// Events in front of this one are settled, but for those that are here.
    settled_to: Seq,
}

#[derive(Debug)]
struct Item<P> {
    place: P,
    lane: u64,
    state: State,
    /// How often it was given out.
    attempts: u32,
    /// The number of the last time it was.
    delivery: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    WaitingUntil(u64),
    InFlight { consumer: ConsumerId, until_ns: u64 },
}

#[derive(Debug, Default)]
struct Lane {
    waiting: BTreeSet<Seq>,
    in_flight_count: usize,
    /// Who has what is in flight.
    owner: Option<ConsumerId>,
    /// Where its first event stands as one that may be given out.
    shown: Option<(Option<ConsumerId>, Seq)>,
}

/// An event that is given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Given<P> {
    pub(super) seq: Seq,
    pub(super) place: P,
    pub(super) attempt: u32,
    pub(super) delivery: u64,
}

/// An event that left the board unhandled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failed<P> {
    pub(super) seq: Seq,
    pub(super) place: P,
    pub(super) attempts: u32,
}

/// What became of an event that was not handled.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Retried<P> {
    /// It will be given out again.
    Waits,
    /// It was given out as often as it may be.
    Failed(Failed<P>),
    /// Somebody else was given it since, or it is settled.
    Over,
}

/// How far a subscription has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// Reading goes on here.
    pub(super) next: Seq,
    /// Events in front of it that are not settled, in their order, and how often they were given out.
    pub(super) holes: BTreeMap<Seq, u32>,
}

impl Progress {
    /// In front of this everything is settled.
    pub(super) fn position(&self) -> Seq {
        self.holes.keys().next().copied().unwrap_or(self.next)
    }
}

impl<P: Clone> Board<P> {
    /// A board that goes on from there: events are to be read from its position on.
    pub(super) fn new(progress: &Progress) -> Self {
        Self {
            items: BTreeMap::new(),
            in_order: BTreeSet::new(),
            unread: progress.holes.clone(),
            lanes: HashMap::new(),
            free: BTreeSet::new(),
            bound: HashMap::new(),
            due: BTreeSet::new(),
            in_flight_count: 0,
            next: progress.position(),
            settled_to: progress.next,
        }
    }

    /// Adds an event that was read, if it was not settled before. Events are read in their order: what was
    /// not settled in front of it is not there any more. Returns how many that are.
    pub(super) fn add(&mut self, seq: Seq, lane: u64, place: P) -> usize {
        let gone_count = self.read_to(seq);
        self.next = self.next.max(seq.plus(1));
        let attempts = match self.unread.remove(&seq) {
            Some(attempts) => attempts,
            None if seq < self.settled_to => return gone_count,
            None => 0,
        };
        self.in_order.insert(seq);
        self.put(seq, lane, place, attempts);
        gone_count
    }

    /// Adds an event again that was settled before.
    pub(super) fn add_again(&mut self, seq: Seq, lane: u64, place: P) {
        if !self.items.contains_key(&seq) {
            self.put(seq, lane, place, 0);
        }
    }

    fn put(&mut self, seq: Seq, lane: u64, place: P, attempts: u32) {
        let item = Item { place, lane, state: State::Waiting, attempts, delivery: 0 };
        self.items.insert(seq, item);
        self.lanes.entry(lane).or_default().waiting.insert(seq);
        self.show(lane);
    }

    /// Notes that all events in front of `next` were read. Returns how many of those that were not settled
    /// are gone.
    pub(super) fn read_to(&mut self, next: Seq) -> usize {
        self.next = self.next.max(next);
        if self.unread.keys().next().is_none_or(|first| *first >= self.next) {
            return 0;
        }
        let behind = self.unread.split_off(&self.next);
        std::mem::replace(&mut self.unread, behind).len()
    }

    /// Notes that what stands in front of `next` and was not read is never given out. Returns how many of those that
    /// were not settled are gone.
    pub(super) fn skip_to(&mut self, next: Seq) -> usize {
        let gone_count = self.read_to(next);
        self.settled_to = self.settled_to.max(next);
        gone_count
    }

    /// In front of this nothing has to be read: all of it is settled, or here.
    pub(super) fn wanted_from(&self) -> Seq {
        let first = self.unread.keys().next().copied();
        first.unwrap_or(self.next.max(self.settled_to))
    }

    /// Gives out the first event that `consumer` may have.
    pub(super) fn take(
        &mut self,
        consumer: ConsumerId,
        in_flight_max: usize,
        until_ns: u64,
    ) -> Option<Given<P>> {
        if self.in_flight_count >= in_flight_max {
            return None;
        }
        let bound = self.bound.get(&consumer).and_then(BTreeSet::first);
        let seq = *bound.into_iter().chain(self.free.first()).min()?;
        let delivery = DELIVERIES.fetch_add(1, Ordering::Relaxed) + 1;
        let item = self.items.get_mut(&seq)?;
        item.state = State::InFlight { consumer, until_ns };
        item.attempts = item.attempts.saturating_add(1);
        item.delivery = delivery;
        let (lane, attempt) = (item.lane, item.attempts);
        let given = Given { seq, place: item.place.clone(), attempt, delivery: item.delivery };
        self.due.insert((until_ns, seq));
        self.in_flight_count += 1;
        let found = self.lanes.entry(lane).or_default();
        found.waiting.remove(&seq);
        found.in_flight_count += 1;
        found.owner = Some(consumer);
        self.show(lane);
        Some(given)
    }

    /// Settles an event: it was handled. False if `delivery` is not the last time it was given out.
    pub(super) fn acknowledge(&mut self, seq: Seq, delivery: u64) -> bool {
        self.is_last(seq, delivery) && self.remove(seq).is_some()
    }

    /// Settles an event that was not handled, and returns it.
    pub(super) fn give_up(&mut self, seq: Seq, delivery: u64) -> Option<Failed<P>> {
        if self.is_last(seq, delivery) { self.remove(seq) } else { None }
    }

    /// Lets an event be given out again at `due_ns`, if it was not given out `attempts_max` times.
    pub(super) fn retry(
        &mut self,
        seq: Seq,
        delivery: u64,
        due_ns: u64,
        attempts_max: u32,
    ) -> Retried<P> {
        if !self.is_last(seq, delivery) {
            return Retried::Over;
        }
        if self.is_tried_out(seq, attempts_max)
            && let Some(failed) = self.remove(seq)
        {
            return Retried::Failed(failed);
        }
        self.set_waiting(seq, State::WaitingUntil(due_ns));
        Retried::Waits
    }

    /// Lets an event be given out again at once; that it was given out does not count.
    pub(super) fn give_back(&mut self, seq: Seq, delivery: u64) {
        if self.is_last(seq, delivery) {
            self.set_waiting(seq, State::Waiting);
            if let Some(item) = self.items.get_mut(&seq) {
                item.attempts = item.attempts.saturating_sub(1);
            }
        }
    }

    /// Gives back all that `consumer` has.
    pub(super) fn leave(&mut self, consumer: ConsumerId) {
        let is_its =
            |state| matches!(state, State::InFlight { consumer: of, .. } if of == consumer);
        let held: Vec<_> = (self.items.iter())
            .filter(|(_, item)| is_its(item.state))
            .map(|(seq, item)| (*seq, item.delivery))
            .collect();
        for (seq, delivery) in held {
            self.give_back(seq, delivery);
        }
        self.bound.remove(&consumer);
    }

    /// Takes back what was not settled in time, and returns what was given out `attempts_max` times; lets
    /// that be given out again whose time has come. What somebody `is_settling`, by its number and that of the last
    /// time it was given out, is left to him.
    pub(super) fn expire(
        &mut self,
        now_ns: u64,
        attempts_max: u32,
        is_settling: impl Fn(Seq, u64) -> bool,
    ) -> Vec<Failed<P>> {
        let mut failed = Vec::new();
        let due: Vec<_> = self.due.range(..=(now_ns, Seq(u64::MAX))).copied().collect();
        for (due_ns, seq) in due {
            let Some(item) = self.items.get(&seq) else { continue };
            let is_late = matches!(item.state, State::InFlight { .. });
            if is_late && is_settling(seq, item.delivery) {
                continue;
            }
            if is_late && self.is_tried_out(seq, attempts_max) {
                failed.extend(self.remove(seq));
            } else {
                self.set_waiting(seq, State::Waiting);
            }
            self.due.remove(&(due_ns, seq));
        }
        failed
    }

    /// When the next event is to be back, or may be given out again.
    pub(super) fn next_due_ns(&self) -> Option<u64> {
        self.due.first().map(|(due_ns, _)| *due_ns)
    }

    /// How many events anybody could be given now.
    pub(super) fn free_count(&self) -> usize {
        self.free.len()
    }

    pub(super) fn in_flight_count(&self) -> usize {
        self.in_flight_count
    }

    /// How many events are not settled, those in flight included.
    pub(super) fn len(&self) -> usize {
        self.items.len()
    }

    /// How many events that were read in their order are not settled.
    pub(super) fn in_order_count(&self) -> usize {
        self.in_order.len()
    }

    /// What a restart has to know, so that no event is lost, and none given out again that is settled.
    pub(super) fn progress(&self) -> Progress {
        let next = self.read_from();
        let attempts = |seq: &Seq| self.items.get(seq).map_or(0, |item| item.attempts);
        let read = self.in_order.range(..next).map(|seq| (*seq, attempts(seq)));
        let unread = self.unread.range(..next).map(|(seq, attempts)| (*seq, *attempts));
        Progress { next, holes: read.chain(unread).collect() }
    }

    /// Where a restart goes on to read: in front of it all but a few are settled.
    pub(super) fn read_from(&self) -> Seq {
        self.settled_to.max(self.position())
    }

    /// In front of this everything is settled.
    pub(super) fn position(&self) -> Seq {
        let first = self.in_order.first().into_iter().chain(self.unread.keys().next()).min();
        first.copied().unwrap_or(self.next)
    }

    fn is_last(&self, seq: Seq, delivery: u64) -> bool {
        self.items.get(&seq).is_some_and(|item| item.delivery == delivery)
    }

    fn is_tried_out(&self, seq: Seq, attempts_max: u32) -> bool {
        attempts_max > 0 && self.items.get(&seq).is_some_and(|item| item.attempts >= attempts_max)
    }

    /// Takes an event off the board.
    fn remove(&mut self, seq: Seq) -> Option<Failed<P>> {
        let item = self.items.remove(&seq)?;
        self.leave_state(seq, item.lane, item.state);
        if let Some(lane) = self.lanes.get_mut(&item.lane) {
            lane.waiting.remove(&seq);
        }
        self.show(item.lane);
        if self.in_order.remove(&seq) {
            self.settled_to = self.settled_to.max(seq.plus(1));
        }
        Some(Failed { seq, place: item.place, attempts: item.attempts })
    }

    fn set_waiting(&mut self, seq: Seq, state: State) {
        let Some(item) = self.items.get_mut(&seq) else { return };
        let (lane, before) = (item.lane, std::mem::replace(&mut item.state, state));
        self.leave_state(seq, lane, before);
        if let State::WaitingUntil(due_ns) = state {
            self.due.insert((due_ns, seq));
        }
        self.lanes.entry(lane).or_default().waiting.insert(seq);
        self.show(lane);
    }

    /// Forgets what was noted of an event for its state.
    fn leave_state(&mut self, seq: Seq, lane: u64, state: State) {
        match state {
            State::Waiting => {}
            State::WaitingUntil(due_ns) => drop(self.due.remove(&(due_ns, seq))),
            State::InFlight { until_ns, .. } => {
                self.due.remove(&(until_ns, seq));
                self.in_flight_count -= 1;
                let lane = self.lanes.entry(lane).or_default();
                lane.in_flight_count -= 1;
                if lane.in_flight_count == 0 {
                    lane.owner = None;
                }
            }
        }
    }

    /// Shows the first event of a lane where those look whom it may be given to.
    fn show(&mut self, number: u64) {
        let Some(lane) = self.lanes.get_mut(&number) else { return };
        let first = lane.waiting.first().copied();
        let is_ready =
            |seq: &Seq| self.items.get(seq).is_some_and(|item| item.state == State::Waiting);
        let wanted = first.filter(is_ready).map(|seq| (lane.owner, seq));
        let before = std::mem::replace(&mut lane.shown, wanted);
        if lane.waiting.is_empty() && lane.in_flight_count == 0 {
            self.lanes.remove(&number);
        }
        if before == wanted {
            return;
        }
        match before {
            Some((None, seq)) => drop(self.free.remove(&seq)),
            Some((Some(owner), seq)) => {
                if let Some(bound) = self.bound.get_mut(&owner) {
                    bound.remove(&seq);
                    if bound.is_empty() {
                        self.bound.remove(&owner);
                    }
                }
            }
            None => {}
        }
        match wanted {
            Some((None, seq)) => drop(self.free.insert(seq)),
            Some((Some(owner), seq)) => drop(self.bound.entry(owner).or_default().insert(seq)),
            None => {}
        }
    }
}

/// The lane of the event `seq` of the stream with this hash.
pub(super) fn lane_of(strategy: Strategy, seq: Seq, stream_hash: u64) -> u64 {
    match strategy {
        Strategy::ByStream => stream_hash,
        Strategy::Any => seq.0,
    }
}

#[cfg(test)]
#[path = "board_test.rs"]
mod board_test;
