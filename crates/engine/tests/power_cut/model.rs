//! What the database must hold: the state after each commit, and how far a crash may set it back.

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
    states: Vec<Arc<State>>,
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
}

impl Default for Model {
    fn default() -> Self {
        Self {
            states: vec![Arc::default()],
            records: Vec::new(),
            acknowledged: 0,
            floor: 0,
            interval: 0,
            seqs: BTreeMap::new(),
        }
    }
}

impl Model {
    /// The state that readers must see.
    pub(crate) fn now(&self) -> &Arc<State> {
        &self.states[self.acknowledged]
    }

    /// A commit is about to be tried.
    pub(crate) fn attempt(&mut self, state: State, records: u64) {
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
            Level::Sync => self.floor = this,
        }
    }

    /// Everything that returned is on the device.
    pub(crate) fn synced(&mut self) {
        self.floor = self.acknowledged;
    }

    /// What waited for an interval is on the device.
    pub(crate) fn interval_over(&mut self) {
        self.floor = self.floor.max(self.interval);
    }

    /// Checks what was found after a crash; from now on that is the state.
    pub(crate) fn recover(&mut self, found: &State, crash: Crash) -> Result<(), String> {
        let least = match crash {
            Crash::Kill => self.acknowledged,
            Crash::Power => self.floor,
        };
        let fits = (least..self.states.len()).rev().find(|at| *self.states[*at] == *found);
        let Some(at) = fits else {
            let too_old = (0..least).rev().find(|at| *self.states[*at] == *found);
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
                    difference(&self.states[last], found)
                ),
            });
        };
        self.states = vec![Arc::clone(&self.states[at])];
        self.records.clear();
        (self.acknowledged, self.floor, self.interval) = (0, 0, 0);
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
