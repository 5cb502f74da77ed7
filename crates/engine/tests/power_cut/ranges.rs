//! What is done to ordered keyspaces alone: ranges of keys are removed, first keys taken, trees compacted.

use crate::{
    model::{Contents, Level, Logged, Stored},
    random::Random,
    script::{KEYS, SPACES, Step},
    world::{Done, World},
};
use annals_engine::{ChangeKind, KEY_BYTES_MAX, OrderedKeyspace, WriteBatch};
use std::{collections::BTreeMap, ops::Bound};

/// Which keys of a keyspace. Keys are numbers; with each end stands whether it is one of them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Keys {
    Between { from: Option<(u8, bool)>, to: Option<(u8, bool)> },
    Prefix(u8),
}

fn behind(mut key: Vec<u8>) -> Vec<u8> {
    key.push(0);
    key
}

impl Keys {
    pub(crate) fn random(random: &mut Random) -> Self {
        let key = |random: &mut Random| (random.below(KEYS) as u8, random.once_in(2));
        match random.below(6) {
            // Nothing, one letter, two: each has a third of the keys, and what is longer.
            0 => Self::Prefix(random.below(3) as u8),
            1 => Self::Prefix(random.below(KEYS) as u8),
            2 => Self::Between { from: Some(key(random)), to: None },
            3 => Self::Between { from: None, to: Some(key(random)) },
            // As often as not the second is the smaller one.
            _ => Self::Between { from: Some(key(random)), to: Some(key(random)) },
        }
    }

    /// The first key that may be one of them, and the first behind them if there is an end.
    fn ends(self) -> (Vec<u8>, Option<Vec<u8>>) {
        let end = |(key, is_in): (u8, bool), is_behind: bool| {
            let key = World::key(key);
            if is_in == is_behind { behind(key) } else { key }
        };
        match self {
            Self::Between { from, to } => {
                (from.map(|from| end(from, false)).unwrap_or_default(), to.map(|to| end(to, true)))
            }
            Self::Prefix(prefix) => {
                let from = World::key(prefix);
                let mut to = from.clone();
                // No byte of a key is the last one there is.
                let to = to.pop().map(|last| to.into_iter().chain([last + 1]).collect());
                (from, to)
            }
        }
    }

    fn bounds(self) -> (Bound<Vec<u8>>, Bound<Vec<u8>>) {
        let bound = |end: Option<(u8, bool)>| match end {
            None => Bound::Unbounded,
            Some((key, true)) => Bound::Included(World::key(key)),
            Some((key, false)) => Bound::Excluded(World::key(key)),
        };
        match self {
            Self::Between { from, to } => (bound(from), bound(to)),
            Self::Prefix(_) => {
                let (from, to) = self.ends();
                (Bound::Included(from), to.map_or(Bound::Unbounded, Bound::Excluded))
            }
        }
    }
}

fn take_out(records: &mut BTreeMap<Vec<u8>, Stored>, from: &[u8], to: &[u8]) {
    records.retain(|key, _| !(from <= &key[..] && &key[..] < to));
}

fn removed(from: Vec<u8>, to: &[u8]) -> Logged {
    Logged { kind: ChangeKind::RemoveRange, key: from, value: Some(to.into()) }
}

impl World {
    fn ordered(&self, space: u8) -> Result<OrderedKeyspace, crate::world::Stop> {
        let opened = self.db().open_keyspace(&Self::name(space));
        opened.map_err(|error| self.stop("open an ordered keyspace", &error))
    }

    pub(crate) fn remove_range(&mut self, space: u8, keys: Keys) -> Done {
        self.ensure(space)?;
        let handle = self.ordered(space)?;
        let clock_ms = self.clock()?;
        let mut state = Contents::clone(self.model.now());
        let records = state.entry(Self::name(space)).or_default();
        let (from, to) = keys.ends();
        // Without an end the range reaches behind the last key that anybody sees.
        let last = records
            .iter()
            .rfind(|(key, stored)| **key >= from && !stored.is_over(clock_ms))
            .map(|(key, _)| behind(key.clone()));
        let to = to.or(last).filter(|to| from < *to);
        let remove = || match keys {
            Keys::Between { .. } => handle.remove_range(keys.bounds()),
            Keys::Prefix(prefix) => handle.remove_prefix(Self::key(prefix)),
        };
        let Some(to) = to else {
            return match remove() {
                Ok(None) => Ok(()),
                Ok(Some(commit)) => Err(format!("{keys:?} of no keys made {commit:?}").into()),
                Err(error) => Err(self.stop("remove no range", &error)),
            };
        };
        take_out(records, &from, &to);
        let logged = [removed(from, &to)];
        self.commit(state, &logged, None, |_| remove())
    }

    /// Adds the removal of a range to a batch and does it in the state; returns what the log will say.
    pub(crate) fn remove_range_in(
        &self,
        batch: &mut WriteBatch,
        state: &mut Contents,
        space: u8,
        keys: Keys,
    ) -> Result<Vec<Logged>, crate::world::Stop> {
        let Some(records) = state.get_mut(&Self::name(space)) else { return Ok(Vec::new()) };
        let handle = self.ordered(space)?;
        batch.remove_range(&handle, keys.bounds()).expect("short enough");
        let (from, to) = keys.ends();
        let is_endless = to.is_none();
        let to = to.unwrap_or_else(|| vec![0xff; KEY_BYTES_MAX]);
        if from >= to {
            return Ok(Vec::new());
        }
        take_out(records, &from, &to);
        let mut logged = vec![removed(from, &to)];
        if is_endless {
            logged.push(Logged { kind: ChangeKind::Remove, key: to, value: None });
        }
        Ok(logged)
    }

    pub(crate) fn pop_first(&mut self, space: u8) -> Done {
        self.ensure(space)?;
        let handle = self.ordered(space)?;
        let clock_ms = self.clock()?;
        let mut state = Contents::clone(self.model.now());
        let records = state.entry(Self::name(space)).or_default();
        let first = records.iter().find(|(_, stored)| !stored.is_over(clock_ms));
        let Some((key, stored)) = first.map(|(key, stored)| (key.clone(), stored.clone())) else {
            return match handle.pop_first() {
                Ok(None) => Ok(()),
                Ok(Some(entry)) => Err(format!("{:?} was popped of nothing", entry.key()).into()),
                Err(error) => Err(self.stop("pop of nothing", &error)),
            };
        };
        records.remove(&key);
        let logged = [Logged { kind: ChangeKind::Remove, key: key.clone(), value: None }];
        self.commit(state, &logged, None, |_| {
            let entry = handle.pop_first()?.expect("there is a key");
            assert_eq!((entry.key(), entry.value()), (&key[..], &stored.value[..]));
            Ok(None)
        })
    }

    /// Compacts some keys of a tree, or all: nobody sees anything of it.
    pub(crate) fn compact_tree(&mut self, space: u8, keys: Option<Keys>) -> Done {
        self.ensure(space)?;
        let handle = self.ordered(space)?;
        let done = match keys {
            Some(keys) => handle.compact_range(keys.bounds()),
            None => handle.compact(),
        };
        done.map_err(|error| self.stop("compact a tree", &error))?;
        self.look_at_readers()
    }
}

/// Something that is done to an ordered keyspace as a whole.
pub(crate) fn random_range(random: &mut Random) -> Step {
    let space = random.below(SPACES) as u8 | 1;
    match random.below(11) {
        0..=4 => Step::RemoveRange { space, keys: Keys::random(random) },
        5..=7 => Step::PopFirst { space },
        8 => Step::CompactTree { space, keys: None },
        _ => Step::CompactTree { space, keys: Some(Keys::random(random)) },
    }
}

/// Ranges that are removed in front of tables, of the log alone, and in one commit with what comes into them.
pub(crate) fn ranges() -> Vec<Step> {
    let put = |space, key, len, level| {
        let level = Some(level);
        Step::Put { space, key, len, ttl_ms: None, level }
    };
    let (low, high) = (Some((3, true)), Some((9, true)));
    let middle = Keys::Between { from: low, to: high };
    let mut steps = Vec::new();
    for space in [1, 3] {
        steps.extend([
            put(space, 3, 20, Level::Buffered),
            put(space, 6, 300, Level::Buffered),
            put(space, 7, 300, Level::Buffered),
            put(space, 9, 20, Level::Buffered),
            Step::Checkpoint,
            Step::RemoveRange { space, keys: middle },
            put(space, 6, 10, Level::Sync),
            put(space, 9, 300, Level::Buffered),
            // Only the log knows of the range.
            Step::KillWriter,
            Step::PopFirst { space },
            Step::TakeSnapshot,
            Step::Batch {
                writes: vec![(space, 3, Some(300)), (space, 9, Some(5)), (0, 1, Some(40))],
                wipe: Some((space, middle)),
                appends: Vec::new(),
                rows: None,
                level: Some(Level::Sync),
            },
            Step::Checkpoint,
            Step::Look,
            Step::RemoveRange { space, keys: Keys::Prefix(1) },
            Step::CompactTree { space, keys: Some(middle) },
            put(space, 4, 300, Level::Sync),
            Step::DropSnapshot,
            Step::CompactTree { space, keys: None },
            Step::RemoveRange { space, keys: Keys::Between { from: low, to: None } },
            Step::Compact,
            Step::Reopen,
            put(space, 1, 10, Level::Sync),
        ]);
    }
    steps
}
