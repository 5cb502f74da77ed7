//! What the handles of one persistent subscription share, and what they do with it.

use super::{
    board::{Board, ConsumerId, Failed, Given, Progress, Retried, lane_of},
    options::{Selection, Settings},
    reader::Reader,
    signal::Signal,
    state::{PROGRESS_KEY, ParkedRecord, encode_parked, encode_progress, parked_key},
};
use crate::{
    Durability, Error, HashKeyspace, RecordedEvent, Result, WriteBatch,
    catalog::Keyspace,
    hash::hash_key,
    open::Open,
    streams::{
        Filter,
        event::CategoryRef,
        find::Stream,
        id::{StreamKey, id_of_key},
    },
};
use annals_disk::Disk;
use annals_journal::{Position, Seq};
use parking_lot::{Mutex, MutexGuard};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    task::Waker,
    time::Duration,
};

/// No more events than this are read ahead of what is settled.
const READ_EVENTS_MAX: usize = 4_096;
/// Progress through events that are not wanted is written when it is so many records.
const PASSED_RECORDS: u64 = 1 << 16;
/// A reason to park is cut to this length, in bytes.
const REASON_BYTES_MAX: usize = 1_024;
const LATE: &str = "it was not acknowledged in time";

/// Where an event is found.
#[derive(Clone, Debug)]
pub(super) struct EventPlace {
    pub(super) space: u32,
    pub(super) key: StreamKey,
    pub(super) version: u64,
}

/// What the handles of a subscription share. Knows nothing of the database, which knows it.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) name: String,
    pub(super) selection: Selection,
    /// Where its state is kept.
    pub(super) keyspace: Arc<Keyspace>,
    pub(super) disk: Arc<dyn Disk>,
    pub(super) signal: Arc<Signal>,
    /// Who reads has this, and the state only to note what was found: events that are wanted may be
    /// far apart, and others settle what they have meanwhile. Taken before the state.
    pub(super) reader: Mutex<Reader>,
    /// What is being settled, by those who may still wait for the state: it was in time.
    settling: Mutex<BTreeSet<(Seq, u64)>>,
    state: Mutex<State>,
}

/// Says that an event is being settled, until it is dropped.
struct Settling<'s> {
    shared: &'s Shared,
    what: (Seq, u64),
}

impl Drop for Settling<'_> {
    fn drop(&mut self) {
        self.shared.settling.lock().remove(&self.what);
    }
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) settings: Settings,
    pub(super) board: Board<EventPlace>,
    /// Up to where the log was read when it had no more.
    pub(super) read_to: Position,
    /// What is to be written.
    parks: BTreeMap<Seq, ParkedRecord>,
    /// Parked events that were given out again and are settled.
    done: BTreeSet<Seq>,
    /// How many events were settled since the last writing, and when the first of them was.
    unwritten_count: u32,
    unwritten_since_ns: u64,
    /// The progress that was written last reads on from here.
    written: Seq,
    pub(super) parked_count: u64,
    /// Parked events that are on the board again.
    pub(super) replayed: BTreeMap<Seq, ParkedRecord>,
    pub(super) gone_count: u64,
    pub(super) consumers_count: usize,
    consumer_last: ConsumerId,
}

/// How an event is settled.
#[derive(Clone, Copy, Debug)]
pub(super) enum How<'r> {
    Acknowledge,
    Retry(Option<Duration>),
    Park(&'r str),
}

impl Shared {
    pub(super) fn new(
        open: &Open,
        name: &str,
        selection: Selection,
        settings: Settings,
        keyspace: Arc<Keyspace>,
        filter: Filter,
        progress: &Progress,
    ) -> Self {
        let state = State {
            settings,
            board: Board::new(progress),
            read_to: Position::default(),
            parks: BTreeMap::new(),
            done: BTreeSet::new(),
            unwritten_count: 0,
            unwritten_since_ns: 0,
            written: progress.next,
            parked_count: 0,
            replayed: BTreeMap::new(),
            gone_count: 0,
            consumers_count: 0,
            consumer_last: 0,
        };
        let (name, disk) = (name.to_owned(), Arc::clone(open.journal.disk()));
        let reader = Reader::new(progress.position(), filter);
        Self {
            name,
            selection,
            keyspace,
            disk,
            signal: Arc::new(Signal::default()),
            reader: Mutex::new(reader),
            settling: Mutex::default(),
            state: Mutex::new(state),
        }
    }

    /// The state, unless the subscription was removed.
    pub(super) fn lock(&self) -> Result<MutexGuard<'_, State>> {
        match self.keyspace.check_alive() {
            Ok(()) => Ok(self.state.lock()),
            Err(_) => Err(Error::UnknownSubscription { name: self.name.clone() }),
        }
    }

    /// The same, also if it was.
    pub(super) fn lock_anyway(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Where its state is kept.
    pub(super) fn kept(&self, open: &Arc<Open>) -> HashKeyspace {
        HashKeyspace::new(Arc::clone(open), Arc::clone(&self.keyspace))
    }

    /// Takes back what is late.
    pub(super) fn expire(&self, open: &Open, state: &mut State, now_ns: u64) {
        let is_settling = |seq, delivery| self.settling.lock().contains(&(seq, delivery));
        for failed in state.board.expire(now_ns, state.settings.attempts_max, is_settling) {
            state.park(open, failed, LATE, now_ns);
        }
    }

    /// To be said before the state is waited for.
    fn begin_settling(&self, seq: Seq, delivery: u64) -> Settling<'_> {
        self.settling.lock().insert((seq, delivery));
        Settling { shared: self, what: (seq, delivery) }
    }

    /// Settles an event. Returns whether that counts: it was not given out again, or settled, since.
    pub(super) fn settle(
        &self,
        open: &Arc<Open>,
        seq: Seq,
        delivery: u64,
        how: How<'_>,
    ) -> Result<bool> {
        let _settling = self.begin_settling(seq, delivery);
        let mut state = self.lock()?;
        let now_ns = self.disk.monotonic_ns();
        let (was_full, free_count) = (state.is_full(), state.board.free_count());
        let counts = match how {
            How::Acknowledge => {
                let counts = state.board.acknowledge(seq, delivery);
                if counts {
                    state.is_settled(seq, now_ns);
                }
                counts
            }
            How::Park(reason) => match state.board.give_up(seq, delivery) {
                Some(failed) => {
                    state.park(open, failed, reason, now_ns);
                    true
                }
                None => false,
            },
            How::Retry(delay) => {
                let settings = state.settings;
                let delay = delay.unwrap_or(Duration::from_millis(settings.retry_delay_ms));
                let delay_ns = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
                let due_ns = now_ns.saturating_add(delay_ns);
                match state.board.retry(seq, delivery, due_ns, settings.attempts_max) {
                    Retried::Waits => true,
                    Retried::Failed(failed) => {
                        let attempts = failed.attempts;
                        state.park(open, failed, &format!("tried {attempts} times"), now_ns);
                        true
                    }
                    Retried::Over => false,
                }
            }
        };
        let others_may = was_full || state.board.free_count() > free_count;
        let written = if state.is_to_write(now_ns) {
            state.write(open, self, Durability::Buffered)
        } else {
            Ok(())
        };
        drop(state);
        // Others have to know by when they are to look again, or may have what was in the way.
        if matches!(how, How::Retry(_)) {
            self.signal.hurry();
        } else if others_may {
            self.signal.wake_all();
        }
        written.map(|()| counts)
    }

    /// Settles an event that is not there any more.
    pub(super) fn is_gone(&self, given: &Given<EventPlace>) -> Result<()> {
        let mut state = self.lock()?;
        if state.board.acknowledge(given.seq, given.delivery) {
            state.is_settled(given.seq, self.disk.monotonic_ns());
            state.gone_count += 1;
        }
        Ok(())
    }

    pub(super) fn enter(&self) -> Result<ConsumerId> {
        let mut state = self.lock()?;
        state.consumers_count += 1;
        state.consumer_last += 1;
        let consumer = state.consumer_last;
        drop(state);
        // Who was alone so far has to look at the time.
        self.signal.wake_all();
        Ok(consumer)
    }

    /// Gives back what the consumer has.
    pub(super) fn leave(&self, consumer: ConsumerId) {
        let mut state = self.lock_anyway();
        state.consumers_count -= 1;
        state.board.leave(consumer);
        drop(state);
        self.signal.wake_all();
    }

    /// Writes what is not written.
    pub(super) fn flush(&self, open: &Arc<Open>, durability: Durability) -> Result<()> {
        let mut state = self.lock()?;
        if state.has_unwritten() {
            state.write(open, self, durability)?;
        }
        Ok(())
    }

    /// How long who waits may sleep: something may be due then, or be due earlier than was known.
    pub(super) fn sleep_max(&self) -> Duration {
        const SLEEP: Duration = Duration::from_secs(1);
        let state = self.lock_anyway();
        let due_ns = state.board.next_due_ns().unwrap_or(u64::MAX);
        let left = Duration::from_nanos(due_ns.saturating_sub(self.disk.monotonic_ns()));
        let quarter = Duration::from_millis((state.settings.ack_timeout_ms / 4).max(1));
        left.min(quarter).min(SLEEP).max(Duration::from_micros(100))
    }

    /// Sees to it that all are woken when there may be events that were not there when it was read last.
    /// True if there may be already.
    pub(super) fn watch_log(&self, open: &Open) -> bool {
        let read_to = {
            let state = self.lock_anyway();
            // Who settles what is in the way wakes everybody.
            if state.is_full() {
                return false;
            }
            state.read_to
        };
        open.journal.watch_beyond(read_to, &Waker::from(Arc::clone(&self.signal)))
    }

    /// Sees to it that tasks are woken when something is due, which the log does not tell. While there are
    /// consumers, a thread sleeps until then.
    pub(super) fn watch_time(self: &Arc<Self>) {
        let may_be_due = {
            let state = self.lock_anyway();
            state.consumers_count > 1 || state.board.next_due_ns().is_some()
        };
        if !may_be_due || !self.signal.begin_alarm() {
            return;
        }
        let shared = Arc::clone(self);
        let thread = std::thread::Builder::new().name("annals-alarm".into());
        let spawned = thread.spawn(move || {
            let has_consumers = || shared.lock_anyway().consumers_count > 0;
            while shared.signal.keep_alarm(has_consumers()) {
                // In this order: who lets something be due earlier between the two wakes nobody who sleeps.
                let seen = shared.signal.wakings_count();
                shared.signal.sleep(seen, shared.sleep_max());
                let due_ns = shared.lock_anyway().board.next_due_ns();
                if due_ns.is_some_and(|due_ns| due_ns <= shared.disk.monotonic_ns()) {
                    shared.signal.wake_all();
                }
            }
        });
        if let Err(error) = spawned {
            tracing::warn!(%error, "tasks look late for events that are to be given out again");
            self.signal.end_alarm();
        }
    }
}

impl State {
    /// Whether something has to be settled before anything is read.
    fn is_full(&self) -> bool {
        self.board.in_flight_count() >= self.settings.in_flight_max as usize
            || self.board.in_order_count() >= READ_EVENTS_MAX
    }

    pub(super) fn give(&mut self, consumer: ConsumerId, now_ns: u64) -> Option<Given<EventPlace>> {
        let timeout_ns = self.settings.ack_timeout_ms.saturating_mul(1_000_000);
        let until_ns = now_ns.saturating_add(timeout_ns);
        self.board.take(consumer, self.settings.in_flight_max as usize, until_ns)
    }

    /// How many events may be read ahead now.
    pub(super) fn room(&self) -> usize {
        if self.is_full() { 0 } else { READ_EVENTS_MAX - self.board.in_order_count() }
    }

    pub(super) fn lane_of(&self, open: &Open, seq: Seq, place: &EventPlace) -> u64 {
        let hash = hash_key(open.hash_seed ^ u64::from(place.space), place.key.bytes());
        lane_of(self.settings.strategy, seq, hash)
    }

    /// Puts a parked event on the board again.
    pub(super) fn replay(&mut self, open: &Open, seq: Seq, parked: &ParkedRecord) -> bool {
        let Some(key) = id_of_key(&parked.stream).and_then(|id| StreamKey::of(&id)) else {
            return false;
        };
        let place = EventPlace { space: parked.space, key, version: parked.version };
        let lane = self.lane_of(open, seq, &place);
        self.replayed.insert(seq, ParkedRecord { is_replayed: true, ..parked.clone() });
        self.board.add_again(seq, lane, place);
        true
    }

    /// Notes that an event is settled.
    fn is_settled(&mut self, seq: Seq, now_ns: u64) {
        if self.unwritten_count == 0 {
            self.unwritten_since_ns = now_ns;
        }
        self.unwritten_count = self.unwritten_count.saturating_add(1);
        if self.replayed.remove(&seq).is_some() {
            self.done.insert(seq);
        }
    }

    fn park(&mut self, open: &Open, failed: Failed<EventPlace>, reason: &str, now_ns: u64) {
        let Failed { seq, place, attempts } = failed;
        self.is_settled(seq, now_ns);
        self.done.remove(&seq);
        let is_end = |end: &usize| reason.is_char_boundary(*end);
        let end = (0..=reason.len().min(REASON_BYTES_MAX)).rev().find(is_end).unwrap_or(0);
        let reason = reason[..end].to_owned();
        let record = ParkedRecord {
            is_replayed: false,
            space: place.space,
            stream: place.key.bytes().to_vec(),
            version: place.version,
            attempts,
            time_ms: open.clock.now_ms(),
            reason,
        };
        self.parks.insert(seq, record);
        self.parked_count += 1;
    }

    fn has_unwritten(&self) -> bool {
        let passed = self.board.position().0.saturating_sub(self.written.0);
        self.unwritten_count > 0 || !self.parks.is_empty() || passed > PASSED_RECORDS
    }

    pub(super) fn is_to_write(&self, now_ns: u64) -> bool {
        let since_ns = now_ns.saturating_sub(self.unwritten_since_ns);
        !self.parks.is_empty()
            || self.unwritten_count >= self.settings.write_count
            || self.unwritten_count > 0
                && since_ns >= self.settings.write_ms.saturating_mul(1_000_000)
    }

    /// Writes how far it has come and what is parked, in one commit.
    pub(super) fn write(
        &mut self,
        open: &Arc<Open>,
        shared: &Shared,
        durability: Durability,
    ) -> Result<()> {
        let mut batch = WriteBatch::new(Arc::clone(open)).durability(durability);
        self.write_in(&mut batch, &shared.kept(open))?;
        batch.commit()?;
        self.is_written();
        Ok(())
    }

    /// Adds to `batch` what is to be written.
    pub(super) fn write_in(&self, batch: &mut WriteBatch, kept: &HashKeyspace) -> Result<()> {
        batch.insert(kept, PROGRESS_KEY, encode_progress(&self.board.progress()))?;
        for (seq, record) in &self.parks {
            batch.insert(kept, parked_key(*seq), encode_parked(record))?;
        }
        for seq in &self.done {
            batch.remove(kept, parked_key(*seq))?;
        }
        Ok(())
    }

    /// Notes that that was committed.
    pub(super) fn is_written(&mut self) {
        self.written = self.board.read_from();
        self.unwritten_count = 0;
        self.parks.clear();
        self.done.clear();
    }
}

/// The event `seq` at `place`; `None` if it is gone.
pub(super) fn find<'a>(
    open: &'a Arc<Open>,
    seq: Seq,
    place: &EventPlace,
) -> Result<Option<RecordedEvent<'a>>> {
    loop {
        let found = open.newest(|core| {
            let catalog = core.catalog.load();
            let Some(listed) = catalog.by_id(place.space) else { return Ok(None) };
            if !listed.keyspace.is_category() {
                return Ok(None);
            }
            let (view, key) = (&*listed.view, place.key.bytes());
            let hash = hash_key(core.hash_seed, key);
            let stream = Stream { view, space: place.space, hash, key };
            let found = core.event_left(&listed.keyspace, &stream, place.version)?;
            let found = found.filter(|(_, found)| found.seq == seq);
            let category = CategoryRef::of(&listed.keyspace, None);
            Ok(found.map(|(guard, found)| RecordedEvent::new(category, guard, &found)))
        });
        match found {
            // Loaded anew, or cleared, in between.
            Err(Error::Stale) => {}
            found => return found,
        }
    }
}

#[cfg(test)]
#[path = "shared_test.rs"]
mod shared_test;
