//! The commits of a simulated machine, done in the database and in the model.

use crate::{
    appends::Events,
    handle::Handle,
    model::{Contents, Level, Logged, Stored, Value},
    ranges::Keys,
    table_writes::Rows,
    world::{Done, Stop, World},
};
use annals_engine::{
    CasOutcome, ChangeKind, Commit, Database, Error, KeyspaceOptions, WriteOptions,
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// The keyspace whose records expire by themselves, and when.
const EXPIRING_SPACE: u8 = 3;
const EXPIRING_TTL: Duration = Duration::from_millis(45);

/// Keys from this one on are long: a table says in the manifest where it begins and ends, so that a few of them
/// fill one.
pub(crate) const LONG_KEYS_FROM: u8 = 200;
const LONG_KEY_BYTES: usize = 20_000;

impl World {
    pub(crate) fn fresh_value(&mut self, len: u32) -> Value {
        self.writes_count += 1;
        let mut value = self.writes_count.to_le_bytes().to_vec();
        let filler = self.writes_count as u8 | 1;
        value.resize(8 + len as usize, filler);
        value.into()
    }

    /// Does one commit and notes what came of it.
    pub(crate) fn commit(
        &mut self,
        state: Contents,
        records: &[Logged],
        level: Option<Level>,
        act: impl FnOnce(&Database) -> Result<Option<Commit>, Error>,
    ) -> Done {
        let level = level.unwrap_or(self.setup.level);
        self.model.attempt(state, records.len() as u64);
        let db = self.db();
        let done = act(&db).map_err(|error| self.stop("commit", &error))?;
        self.model.acknowledge(level);
        let last = db.last_seq().0;
        let first = last + 1 - records.len() as u64;
        // Those that feeds do not show stand in front of what was asked for.
        let is_type =
            |record: &&Logged| matches!((record.kind, &record.value), (ChangeKind::Append, None));
        let types = records.iter().take_while(is_type).count() as u64;
        if let Some(commit) = done
            && (commit.first_seq.0, commit.last_seq.0) != (first + types, last)
        {
            return Err(Stop::Violation(format!("{commit:?}, but the last number is {last}")));
        }
        if first <= self.model.last_seq() {
            return Err(Stop::Violation(format!(
                "number {first} is given out after {}",
                self.model.last_seq()
            )));
        }
        for (seq, record) in (first..).zip(records) {
            let digest = Logged::digest(record.kind, &record.key, record.value.as_deref());
            self.model.see(seq, digest)?;
        }
        Ok(())
    }

    /// A fresh value for a key, the state with it, and what the log says of it.
    pub(crate) fn one_more(
        &mut self,
        space: u8,
        key: &[u8],
        len: u32,
    ) -> Result<(Value, Contents, [Logged; 1]), Stop> {
        let value = self.fresh_value(len);
        let mut state = Contents::clone(self.model.now());
        let stored = self.stored(space, &value, None)?;
        state.entry(Self::name(space)).or_default().insert(key.to_vec(), stored);
        let (kind, value_of) = (ChangeKind::Insert, Some(Arc::clone(&value)));
        Ok((value, state, [Logged { kind, key: key.to_vec(), value: value_of }]))
    }

    pub(crate) fn name(space: u8) -> String {
        format!("space-{space}")
    }

    /// How long records of a keyspace live that do not say otherwise.
    pub(crate) fn ttl(space: u8) -> Option<Duration> {
        (space == EXPIRING_SPACE).then_some(EXPIRING_TTL)
    }

    /// What a commit at this moment leaves.
    pub(crate) fn stored(
        &mut self,
        space: u8,
        value: &Value,
        ttl: Option<Duration>,
    ) -> Result<Stored, Stop> {
        let ttl = ttl.or(Self::ttl(space));
        let clock_ms = self.clock()?;
        let expires_ms = ttl.map(|ttl| clock_ms + ttl.as_millis() as u64);
        Ok(Stored { value: Arc::clone(value), expires_ms })
    }

    /// The value of a key that readers see now.
    pub(crate) fn current(&mut self, space: u8, key: &[u8]) -> Result<Option<Value>, Stop> {
        let clock_ms = self.clock()?;
        let stored = self.model.now()[&Self::name(space)].get(key);
        let live = stored.filter(|stored| !stored.is_over(clock_ms));
        Ok(live.map(|stored| Arc::clone(&stored.value)))
    }

    pub(crate) fn key(key: u8) -> Vec<u8> {
        if key >= LONG_KEYS_FROM {
            return vec![key; LONG_KEY_BYTES];
        }
        // The empty key and keys of different lengths are keys too.
        vec![b'k'; usize::from(key % 3)].into_iter().chain((key > 2).then_some(key)).collect()
    }

    pub(crate) fn handle(&self, db: &Database, space: u8) -> Result<Handle, Stop> {
        Handle::open(db, &Self::name(space)).map_err(|error| self.stop("open a keyspace", &error))
    }

    /// Makes the keyspace if it is not there; tells whether it had to.
    pub(crate) fn ensure(&mut self, space: u8) -> Result<bool, Stop> {
        let name = Self::name(space);
        if self.model.now().contains_key(&name) {
            return Ok(false);
        }
        let mut state = Contents::clone(self.model.now());
        state.insert(name.clone(), Default::default());
        let options = KeyspaceOptions { ttl: Self::ttl(space), ..KeyspaceOptions::default() };
        let logged = [Logged::change(ChangeKind::CreateKeyspace)];
        let trees = self.setup.trees + u64::from(space / 2);
        let create = |db: &Database| Handle::create(db, &name, options, trees).map(|()| None);
        self.commit(state, &logged, None, create)?;
        Ok(true)
    }

    pub(crate) fn put(
        &mut self,
        space: u8,
        key: u8,
        value: &Value,
        ttl_ms: Option<u64>,
        level: Option<Level>,
    ) -> Done {
        let ttl = ttl_ms.map(Duration::from_millis);
        let stored = self.stored(space, value, ttl)?;
        let (name, key) = (Self::name(space), Self::key(key));
        let handle = self.handle(&self.db(), space)?;
        let mut state = Contents::clone(self.model.now());
        state.entry(name).or_default().insert(key.clone(), stored);
        let logged =
            [Logged { kind: ChangeKind::Insert, key: key.clone(), value: Some(Arc::clone(value)) }];
        let mut options = options(level);
        options.ttl = ttl;
        self.commit(state, &logged, level, |_| handle.insert_with(&key, value, options).map(Some))
    }

    pub(crate) fn remove(&mut self, space: u8, key: u8, level: Option<Level>) -> Done {
        let (name, key) = (Self::name(space), Self::key(key));
        let handle = self.handle(&self.db(), space)?;
        let mut state = Contents::clone(self.model.now());
        let there = self.current(space, &key)?.is_some();
        state.entry(name).or_default().remove(&key);
        if !there {
            return match handle.remove_with(&key, options(level)) {
                Ok(false) => Ok(()),
                Ok(true) => Err(Stop::Violation("removed what was not there".into())),
                Err(error) => Err(self.stop("remove", &error)),
            };
        }
        let logged = [Logged { kind: ChangeKind::Remove, key: key.clone(), value: None }];
        self.commit(state, &logged, level, |_| {
            assert!(handle.remove_with(&key, options(level))?, "the key was there");
            Ok(None)
        })
    }

    pub(crate) fn swap(&mut self, space: u8, key: u8, len: u32, fitting: bool) -> Done {
        let bytes = Self::key(key);
        let handle = self.handle(&self.db(), space)?;
        let current = self.current(space, &bytes)?;
        if !fitting {
            return match handle.compare_and_swap(&bytes, Some(b"never written"), None) {
                Ok(CasOutcome::Different(found)) if found.as_deref() == current.as_deref() => {
                    Ok(())
                }
                Ok(other) => Err(Stop::Violation(format!("compare-and-swap said {other:?}"))),
                Err(error) => Err(self.stop("compare-and-swap", &error)),
            };
        }
        let (value, state, logged) = self.one_more(space, &bytes, len)?;
        self.commit(state, &logged, None, |_| {
            match handle.compare_and_swap(&bytes, current.as_deref(), Some(&value))? {
                CasOutcome::Swapped(commit) => Ok(commit),
                CasOutcome::Different(found) => panic!("{current:?} expected, found {found:?}"),
            }
        })
    }

    pub(crate) fn batch(
        &mut self,
        writes: &[(u8, u8, Option<u32>)],
        wipe: Option<(u8, Keys)>,
        appends: &[Events],
        rows: Option<&Rows>,
        level: Option<Level>,
    ) -> Done {
        let db = self.db();
        let mut state = Contents::clone(self.model.now());
        let mut batch = db.batch();
        if let Some(level) = level {
            batch = batch.durability(level.durability());
        }
        let mut logged = Vec::new();
        let first_seq = db.last_seq().0 + 1;
        let mut ahead: BTreeMap<(u8, u8), u64> = BTreeMap::new();
        for events in appends.iter().take(writes.len()) {
            let ahead = ahead.entry((events.category, events.stream)).or_default();
            let types = Self::new_types(&state, events, *ahead);
            logged.extend(Self::add_types(&mut state, events.category, &types));
            *ahead += u64::from(events.count);
        }
        let mut appends = appends.iter();
        for (index, (space, key, len)) in writes.iter().enumerate() {
            if let Some((space, keys)) = wipe
                && index == writes.len() / 2
            {
                logged.extend(self.remove_range_in(&mut batch, &mut state, space, keys)?);
            }
            if let Some(events) = appends.next() {
                let seq = first_seq + logged.len() as u64;
                logged.extend(self.append_in(&mut batch, &mut state, events, seq)?);
            }
            let key = Self::key(*key);
            if !state.contains_key(&Self::name(*space)) {
                continue;
            }
            let handle = self.handle(&db, *space)?;
            match len {
                Some(len) => {
                    let value = self.fresh_value(*len);
                    let stored = self.stored(*space, &value, None)?;
                    let records = state.entry(Self::name(*space)).or_default();
                    records.insert(key.clone(), stored);
                    handle.insert_in(&mut batch, &key, &value);
                    logged.push(Logged { kind: ChangeKind::Insert, key, value: Some(value) });
                }
                None => {
                    state.entry(Self::name(*space)).or_default().remove(&key);
                    handle.remove_in(&mut batch, &key);
                    logged.push(Logged { kind: ChangeKind::Remove, key, value: None });
                }
            }
        }
        let Some(rows) = rows else {
            if logged.is_empty() {
                return Ok(());
            }
            return self.commit(state, &logged, level, |_| batch.commit());
        };
        // Which records those of a table are is its own affair. They come behind all others.
        self.rows_in(&mut batch, &mut state, rows)?;
        self.commit_if_any(state, level, |_| Ok(batch.commit()?.is_some()))?;
        for (seq, record) in (first_seq..).zip(&logged) {
            let digest = Logged::digest(record.kind, &record.key, record.value.as_deref());
            self.model.see(seq, digest)?;
        }
        Ok(())
    }
}

fn options(level: Option<Level>) -> WriteOptions {
    level.map_or(WriteOptions::default(), |level| {
        WriteOptions::default().durability(level.durability())
    })
}
