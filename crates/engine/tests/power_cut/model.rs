//! What the database must hold: the state after each commit, and how far a crash may set it back.

use crate::events::{Chain, chain_in, is_category, ttl_ms};
use annals_engine::{ChangeKind, Durability};
use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

pub(crate) type Value = Arc<[u8]>;
pub(crate) type Records = BTreeMap<Vec<u8>, Value>;
/// The records of each keyspace by its name.
pub(crate) type State = BTreeMap<String, Records>;

/// A record with the time from which on nobody sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) value: Value,
    pub(crate) expires_ms: Option<u64>,
}

impl Stored {
    pub(crate) fn is_over(&self, clock_ms: u64) -> bool {
        self.expires_ms.is_some_and(|at| at <= clock_ms)
    }
}

/// What the commits left in each keyspace by its name, expired or not.
pub(crate) type Contents = BTreeMap<String, BTreeMap<Vec<u8>, Stored>>;

/// What readers see of `contents` at a time.
pub(crate) fn visible(contents: &Contents, clock_ms: u64) -> State {
    let of = |name: &str, records: &BTreeMap<Vec<u8>, Stored>| {
        let left = records.iter().filter(|(_, stored)| !stored.is_over(clock_ms));
        let seen = |(key, stored): (&Vec<u8>, &Stored)| {
            let value = match chain_of(name, key, &stored.value) {
                Some(chain) => chain.left_at(ttl_ms(name), clock_ms).to_value(),
                None => Arc::clone(&stored.value),
            };
            (key.clone(), value)
        };
        left.map(seen).collect()
    };
    contents.iter().map(|(name, records)| (name.clone(), of(name, records))).collect()
}

/// The stream that a record of a keyspace is, if it is one.
fn chain_of(name: &str, key: &[u8], value: &[u8]) -> Option<Chain> {
    is_category(name).then(|| chain_in(key, value)).flatten()
}

/// What a commit asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    Buffered,
    Interval,
    /// An interval at which writers wait once so many records are not synced.
    Events(u64),
    Sync,
}

pub(crate) const INTERVAL: Duration = Duration::from_millis(10);

impl Level {
    pub(crate) fn durability(self) -> Durability {
        match self {
            Self::Buffered => Durability::Buffered,
            Self::Interval => Durability::interval(INTERVAL),
            Self::Events(most) => {
                Durability::Interval { every: INTERVAL, events: Some(most), bytes: None }
            }
            Self::Sync => Durability::Sync,
        }
    }
}

/// A record as the log shows it, without its keyspace's name, which the log may not know any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Logged {
    pub(crate) kind: ChangeKind,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Option<Value>,
}

impl Logged {
    pub(crate) fn change(kind: ChangeKind) -> Self {
        Self { kind, key: Vec::new(), value: None }
    }

    pub(crate) fn digest(kind: ChangeKind, key: &[u8], value: Option<&[u8]>) -> u64 {
        let mut hasher = DefaultHasher::new();
        (kind, key, value).hash(&mut hasher);
        hasher.finish()
    }
}

/// How a machine stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    /// The process dies; the kernel keeps what it was given.
    Kill,
    /// The power goes.
    Power,
}

/// The commits since the state that was last found on the disk.
#[derive(Debug)]
pub(crate) struct Model {
    /// The state before the first commit, then after each one that was tried.
    states: Vec<Arc<Contents>>,
    /// How many commits came before the first state.
    base: usize,
    /// How many records each commit had; one less than states.
    records: Vec<u64>,
    /// The latest commit that returned.
    acknowledged: usize,
    /// The latest commit that a power cut must not take.
    floor: usize,
    /// The latest commit that returned and asked for an interval.
    interval: usize,
    /// What every number that anybody was ever told denotes.
    seqs: BTreeMap<u64, u64>,
    /// The latest expiry that somebody was told is over.
    told_ms: u64,
    /// The same, as far as an interval's sync covers it.
    told_interval_ms: u64,
    /// The same, as far as a power cut must not take it.
    told_floor_ms: u64,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            states: vec![Arc::default()],
            base: 0,
            records: Vec::new(),
            acknowledged: 0,
            floor: 0,
            interval: 0,
            seqs: BTreeMap::new(),
            told_ms: 0,
            told_interval_ms: 0,
            told_floor_ms: 0,
        }
    }
}

impl Model {
    /// What the commits that returned left.
    pub(crate) fn now(&self) -> &Arc<Contents> {
        &self.states[self.acknowledged]
    }

    /// The state that readers must see.
    pub(crate) fn seen(&self, clock_ms: u64) -> State {
        visible(self.now(), clock_ms)
    }

    /// How many commits returned, since the beginning.
    pub(crate) fn number(&self) -> usize {
        self.base + self.acknowledged
    }

    /// The first commit from number `least` on that left `found`; one that has not returned may be it.
    pub(crate) fn number_of(&self, found: &State, clock_ms: u64, least: usize) -> Option<usize> {
        let least = least.saturating_sub(self.base);
        let fits = |at: &usize| visible(&self.states[*at], clock_ms) == *found;
        (least..self.states.len()).find(fits).map(|at| self.base + at)
    }

    /// A reader in another process has seen commit `number`: only a power cut may take it now.
    pub(crate) fn was_read(&mut self, number: usize) {
        self.acknowledged = self.acknowledged.max(number.saturating_sub(self.base));
    }

    /// When the last of what is over at `clock_ms` was over.
    pub(crate) fn latest_over(&self, clock_ms: u64) -> Option<u64> {
        let of = |name: &str, key: &[u8], stored: &Stored| match chain_of(name, key, &stored.value)
        {
            Some(chain) => chain.latest_over(ttl_ms(name), clock_ms),
            None => stored.expires_ms.filter(|_| stored.is_over(clock_ms)),
        };
        let all = self.now().iter();
        all.flat_map(|(name, records)| {
            records.iter().filter_map(|(key, stored)| of(name, key, stored))
        })
        .max()
    }

    /// Somebody was told that something is over which was so from `over_ms` on.
    pub(crate) fn tell(&mut self, over_ms: u64, level: Level) {
        self.told_ms = self.told_ms.max(over_ms);
        if level != Level::Buffered {
            self.told_interval_ms = self.told_ms;
        }
    }

    /// The latest expiry that somebody was told is over.
    pub(crate) fn told_ms(&self) -> u64 {
        self.told_ms
    }

    /// Whether a record that some crash may leave is over.
    pub(crate) fn has_expired(&self, clock_ms: u64) -> bool {
        let mut records = self.states.iter().flat_map(|state| state.values());
        records.any(|records| records.values().any(|stored| stored.is_over(clock_ms)))
    }

    /// Forgets what was over at `clock_ms`, which is on the device: it never comes back.
    pub(crate) fn forget_expired(&mut self, clock_ms: u64) {
        for state in &mut self.states {
            for records in Arc::make_mut(state).values_mut() {
                records.retain(|_, stored| !stored.is_over(clock_ms));
            }
        }
    }

    /// A commit is about to be tried.
    pub(crate) fn attempt(&mut self, state: Contents, records: u64) {
        self.states.push(Arc::new(state));
        self.records.push(records);
    }

    /// The commit that was tried last, if it did not return, did not happen.
    pub(crate) fn refuse(&mut self) {
        self.states.truncate(self.acknowledged + 1);
        self.records.truncate(self.acknowledged);
    }

    /// The commit that was tried last returned.
    pub(crate) fn acknowledge(&mut self, level: Level) {
        let this = self.states.len() - 1;
        self.acknowledged = this;
        match level {
            Level::Buffered => {}
            Level::Interval => self.interval = this,
            Level::Events(most) => {
                self.interval = this;
                // Fewer than that many records may be lost.
                let mut unsynced = 0;
                let lost = |records: &&u64| {
                    unsynced += **records;
                    unsynced < most
                };
                let kept = this - self.records.iter().rev().take_while(lost).count();
                self.floor = self.floor.max(kept);
            }
            Level::Sync => self.synced(),
        }
    }

    /// Everything that returned is on the device.
    pub(crate) fn synced(&mut self) {
        self.floor = self.acknowledged;
        self.told_floor_ms = self.told_ms;
    }

    /// What waited for an interval is on the device.
    pub(crate) fn interval_over(&mut self) {
        self.floor = self.floor.max(self.interval);
        self.told_floor_ms = self.told_floor_ms.max(self.told_interval_ms);
    }

    /// Checks the time that a database shows after a crash.
    pub(crate) fn check_clock(&self, clock_ms: u64, crash: Crash) -> Result<(), String> {
        let least = match crash {
            Crash::Kill => self.told_ms,
            Crash::Power => self.told_floor_ms,
        };
        if clock_ms < least {
            return Err(format!(
                "after {crash:?} the clock shows {clock_ms}; what was over at {least} is not"
            ));
        }
        Ok(())
    }

    /// Checks what was found after a crash; from now on that is the state.
    pub(crate) fn recover(
        &mut self,
        found: &State,
        clock_ms: u64,
        crash: Crash,
    ) -> Result<(), String> {
        let least = match crash {
            Crash::Kill => self.acknowledged,
            Crash::Power => self.floor,
        };
        let is_it = |at: &usize| visible(&self.states[*at], clock_ms) == *found;
        let fits = (least..self.states.len()).rev().find(|at| is_it(at));
        let Some(at) = fits else {
            let too_old = (0..least).rev().find(|at| is_it(at));
            let last = self.states.len() - 1;
            return Err(match too_old {
                Some(at) => format!(
                    "after {crash:?} the state is that of commit {at}, promised were {least} to \
                     {last} ({} acknowledged)",
                    self.acknowledged
                ),
                None => format!(
                    "after {crash:?} the state is none of the {least} to {last} promised; against \
                     the last: {}",
                    difference(&visible(&self.states[last], clock_ms), found)
                ),
            });
        };
        self.base += at;
        self.states = vec![Arc::clone(&self.states[at])];
        self.records.clear();
        (self.acknowledged, self.floor, self.interval) = (0, 0, 0);
        // What was replayed is on the device, with the times in it.
        let least = match crash {
            Crash::Kill => self.told_ms,
            Crash::Power => self.told_floor_ms,
        };
        (self.told_ms, self.told_interval_ms, self.told_floor_ms) = (least, least, least);
        Ok(())
    }

    /// The highest number that anybody was told.
    pub(crate) fn last_seq(&self) -> u64 {
        self.seqs.last_key_value().map_or(0, |(seq, _)| *seq)
    }

    /// Somebody is told what number `seq` denotes.
    pub(crate) fn see(&mut self, seq: u64, digest: u64) -> Result<(), String> {
        match self.seqs.insert(seq, digest) {
            Some(before) if before != digest => {
                Err(format!("number {seq} denotes two different records"))
            }
            _ => Ok(()),
        }
    }
}

/// In what two states differ, shortly.
pub(crate) fn difference(expected: &State, found: &State) -> String {
    let names: Vec<_> = expected.keys().chain(found.keys()).collect();
    let mut out = String::new();
    for name in names {
        match (expected.get(name), found.get(name)) {
            (Some(expected), Some(found)) if crate::events::is_category(name) => {
                let difference = crate::events::difference(expected, found);
                if !difference.is_empty() {
                    out += &format!("[{name}: {difference}] ");
                }
            }
            (Some(expected), Some(found)) => {
                let missing = expected.keys().filter(|key| !found.contains_key(*key)).count();
                let extra = found.keys().filter(|key| !expected.contains_key(*key)).count();
                let other = expected
                    .iter()
                    .filter(|(key, value)| found.get(*key).is_some_and(|got| got != *value))
                    .count();
                if missing + extra + other > 0 {
                    out += &format!("[{name}: {missing} missing, {extra} extra, {other} other] ");
                }
            }
            (Some(_), None) => out += &format!("[{name} is missing] "),
            (None, Some(_)) => out += &format!("[{name} is extra] "),
            (None, None) => {}
        }
    }
    out
}
