//! The appends of a simulated machine, done in the database and in the model.

use crate::{
    events::{Chain, id_of, stream_id, stream_key, ttl_ms, type_key, type_of},
    model::{Contents, Level, Logged, Stored, Value},
    world::{Done, Stop, World},
};
use annals_engine::{
    Appended, Category, ChangeKind, Commit, Error, ExpectedVersion, KeyspaceOptions, NewEvent,
    Retention, Seq, WriteBatch, WriteOptions,
};
use std::time::Duration;

/// Events that are to be appended to a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Events {
    pub(crate) category: u8,
    pub(crate) stream: u8,
    pub(crate) count: u8,
    /// The length of each one's data.
    pub(crate) len: u32,
}

/// What becomes of a stream as a whole.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Marking {
    /// So many eighths of its events are given up.
    Truncate {
        share: u64,
    },
    Delete,
    Tombstone,
    Archive,
    Restore,
    /// From now on no more is kept than this, nor more than before: what was given up in between, and what was not, only the
    /// database knows.
    Keep {
        count: Option<u64>,
        age_ms: Option<u64>,
    },
}

/// The event of a version, with these data.
fn event(version: u64, data: &[u8]) -> NewEvent<'_> {
    let (name, type_version) = type_of(version);
    let event = NewEvent::bytes(name, data).version(type_version);
    match id_of(version) {
        Some(id) => event.id(id).correlation(id + 1).with("version", "one that has an id"),
        None => event,
    }
}

impl World {
    pub(crate) fn category_name(category: u8) -> String {
        format!("events-{category}")
    }

    fn category(&self, category: u8) -> Result<Category, Stop> {
        let name = Self::category_name(category);
        self.db().open_category(&name).map_err(|error| self.stop("open a category", &error))
    }

    /// Makes the category if it is not there. Tells whether it had to be made.
    pub(crate) fn ensure_category(&mut self, category: u8) -> Result<bool, Stop> {
        let name = Self::category_name(category);
        let is_new = !self.model.now().contains_key(&name);
        if is_new {
            let mut state = Contents::clone(self.model.now());
            state.insert(name.clone(), Default::default());
            let logged = [Logged::change(ChangeKind::CreateKeyspace)];
            let ttl = ttl_ms(&name).map(Duration::from_millis);
            self.commit(state, &logged, None, |db| {
                let made = match ttl {
                    Some(ttl) => db.create_category(&name, KeyspaceOptions::default().ttl(ttl)),
                    None => db.category(&name),
                };
                made.map(|_| None)
            })?;
        }
        Ok(is_new)
    }

    /// The types that the state gets with these events, in front of which `ahead` others come to their stream. Each
    /// is a record in front of those of the commit.
    pub(crate) fn new_types(
        state: &Contents,
        events: &Events,
        ahead: u64,
    ) -> Vec<(&'static str, u32)> {
        let records = state.get(&Self::category_name(events.category));
        let chain = Self::chain(state, events);
        if chain.is_closed() {
            return Vec::new();
        }
        let first = chain.len() + ahead;
        let versions = first..first + u64::from(events.count);
        let mut types = Vec::new();
        for of_type in versions.map(type_of) {
            let is_known = records.is_some_and(|records| records.contains_key(&type_key(of_type)));
            if !is_known && !types.contains(&of_type) {
                types.push(of_type);
            }
        }
        types
    }

    /// Adds types to the state; returns what the log says.
    pub(crate) fn add_types(
        state: &mut Contents,
        category: u8,
        types: &[(&'static str, u32)],
    ) -> Vec<Logged> {
        let name = Self::category_name(category);
        let records = state.entry(name.clone()).or_default();
        let add = |of_type: &(&'static str, u32)| {
            let stored = Stored { value: Value::from([]), expires_ms: None };
            records.insert(type_key(*of_type), stored);
            // Feeds do not show this record.
            Logged { kind: ChangeKind::Append, key: name.clone().into(), value: None }
        };
        types.iter().map(add).collect()
    }

    fn chain(state: &Contents, events: &Events) -> Chain {
        let records = state.get(&Self::category_name(events.category));
        let key = stream_key(&stream_id(events.stream));
        let stored = records.and_then(|records| records.get(&key));
        stored.map(|stored| Chain::of(&stored.value)).unwrap_or_default()
    }

    /// What readers find of a stream now.
    fn seen(&self, category: u8, chain: &Chain) -> Chain {
        let ttl_ms = ttl_ms(&Self::category_name(category));
        chain.clone().left_at(ttl_ms, self.db().stats().clock_ms)
    }

    /// Changes the state as appending does, with records from number `seq` on; returns the data, and what
    /// the log says.
    fn extend(
        &mut self,
        state: &mut Contents,
        events: &Events,
        seq: u64,
    ) -> (Vec<Value>, Vec<Logged>) {
        let mut chain = Self::chain(state, events);
        let time_ms = self.db().stats().clock_ms;
        let id = stream_id(events.stream);
        let (mut all, mut logged) = (Vec::new(), Vec::new());
        for index in 0..u64::from(events.count) {
            let data = self.fresh_value(events.len);
            let of_type = type_of(chain.len());
            chain = chain.add((seq + index, time_ms), of_type, &data);
            let key = id.to_string().into_bytes();
            logged.push(Logged { kind: ChangeKind::Append, key, value: Some(data.clone()) });
            all.push(data);
        }
        let stored = Stored { value: chain.to_value(), expires_ms: None };
        let records = state.entry(Self::category_name(events.category)).or_default();
        records.insert(stream_key(&id), stored);
        (all, logged)
    }

    /// Something that holds of a stream.
    fn fitting(&self, chain: &Chain) -> ExpectedVersion {
        match (self.writes_count % 3, chain.len().checked_sub(1)) {
            (0, _) => ExpectedVersion::Any,
            (1, Some(_)) if chain.exists() => ExpectedVersion::StreamExists,
            (1, _) => ExpectedVersion::NoStream,
            (_, Some(last)) => ExpectedVersion::Exact(last),
            (_, None) => ExpectedVersion::NoStream,
        }
    }

    /// Something that does not.
    fn misfitting(&self, chain: &Chain) -> ExpectedVersion {
        match (self.writes_count % 3, chain.len()) {
            (0, _) if chain.exists() => ExpectedVersion::NoStream,
            (0, _) => ExpectedVersion::StreamExists,
            (1, len @ 1..) => ExpectedVersion::Exact(len),
            (_, len @ 2..) => ExpectedVersion::Exact(len - 2),
            _ => ExpectedVersion::Exact(u64::MAX),
        }
    }

    pub(crate) fn append(&mut self, events: &Events, level: Option<Level>) -> Done {
        self.ensure_category(events.category)?;
        let handle = self.category(events.category)?;
        let mut state = Contents::clone(self.model.now());
        let chain = Self::chain(&state, events);
        if chain.is_closed() {
            return self.append_in_vain(events);
        }
        let len = chain.len();
        let types = Self::new_types(&state, events, 0);
        let first_seq = self.db().last_seq().plus(1 + types.len() as u64);
        let expected = self.fitting(&self.seen(events.category, &chain));
        let mut logged = Self::add_types(&mut state, events.category, &types);
        let (data, events_logged) = self.extend(&mut state, events, first_seq.0);
        logged.extend(events_logged);
        let new: Vec<_> = (len..).zip(&data).map(|(version, data)| event(version, data)).collect();
        let last_version = len + u64::from(events.count) - 1;
        let last_seq = first_seq.plus(u64::from(events.count) - 1);
        let wanted =
            Appended { first_version: len, last_version, first_seq, last_seq, was_there: false };
        self.commit(state, &logged, level, |_| {
            let options = level.map_or(WriteOptions::default(), |level| {
                WriteOptions::default().durability(level.durability())
            });
            let done = handle.append_with(stream_id(events.stream), &new, expected, options)?;
            assert_eq!(done, wanted);
            Ok(Some(Commit { first_seq, last_seq }))
        })
    }

    /// An append to a stream that is not as expected changes nothing.
    pub(crate) fn append_in_vain(&mut self, events: &Events) -> Done {
        self.ensure_category(events.category)?;
        let handle = self.category(events.category)?;
        let chain = Self::chain(self.model.now(), events);
        let len = chain.len();
        let before = self.db().last_seq();
        let data = vec![7; events.len as usize];
        let count = u64::from(events.count);
        let new: Vec<_> = (len..len + count).map(|version| event(version, &data)).collect();
        let expected = self.misfitting(&self.seen(events.category, &chain));
        match handle.append_many(stream_id(events.stream), &new, expected) {
            Err(Error::StreamClosed { is_tombstone, .. })
                if chain.is_closed() && is_tombstone == chain.is_tombstone =>
            {
                self.no_hole(before)
            }
            Err(Error::VersionConflict { found, .. })
                if !chain.is_closed() && found == len.checked_sub(1) =>
            {
                self.no_hole(before)
            }
            Err(error) => Err(self.stop("append in vain", &error)),
            Ok(done) => {
                let what = format!("{done:?} of a stream of {len} events, {expected} expected");
                Err(Stop::Violation(what))
            }
        }
    }

    fn no_hole(&self, before: Seq) -> Done {
        let after = self.db().last_seq();
        if before == after {
            return Ok(());
        }
        Err(Stop::Violation(format!("what was refused took the numbers from {before} to {after}")))
    }

    /// Appending the last event that has an id again changes nothing.
    pub(crate) fn append_again(&mut self, events: &Events) -> Done {
        self.ensure_category(events.category)?;
        let handle = self.category(events.category)?;
        let chain = self.seen(events.category, &Self::chain(self.model.now(), events));
        let Some(version) =
            (chain.first..chain.len()).rev().find(|version| id_of(*version).is_some())
        else {
            return Ok(());
        };
        let before = self.db().last_seq();
        let id = stream_id(events.stream);
        let done = handle.append(id, &event(version, b"again"), ExpectedVersion::NoStream);
        match done {
            Ok(done) if done.was_there && done.first_version == version => self.no_hole(before),
            Ok(done) => Err(Stop::Violation(format!("{version} again gave {done:?}"))),
            Err(error) => Err(self.stop("append again", &error)),
        }
    }

    /// Adds events to a batch whose record number `seq` comes next; an append that does not fit is refused
    /// before.
    pub(crate) fn append_in(
        &mut self,
        batch: &mut WriteBatch,
        state: &mut Contents,
        events: &Events,
        seq: u64,
    ) -> Result<Vec<Logged>, Stop> {
        let handle = self.category(events.category)?;
        let id = stream_id(events.stream);
        let chain = Self::chain(state, events);
        let len = chain.len();
        let (held, held_bytes) = (batch.len(), batch.len_bytes());
        let seen = self.seen(events.category, &chain);
        let misfitting = self.misfitting(&seen);
        let refused = batch.append(&handle, id.clone(), &[event(len, b"never")], misfitting);
        let is_refused = match refused {
            Err(Error::StreamClosed { .. }) => chain.is_closed(),
            Err(Error::VersionConflict { .. }) => !chain.is_closed(),
            _ => false,
        };
        if !is_refused || (batch.len(), batch.len_bytes()) != (held, held_bytes) {
            return Err(Stop::Violation(format!(
                "a batch took {refused:?} of {seen:?}, {misfitting} expected"
            )));
        }
        if chain.is_closed() {
            return Ok(Vec::new());
        }
        let expected = self.fitting(&seen);
        let (data, logged) = self.extend(state, events, seq);
        let new: Vec<_> = (len..).zip(&data).map(|(version, data)| event(version, data)).collect();
        batch
            .append(&handle, id, &new, expected)
            .map_err(|error| self.stop("append in a batch", &error))?;
        Ok(logged)
    }

    /// Truncates, deletes, archives or restores a stream, or says how much of it is kept.
    pub(crate) fn mark(&mut self, category: u8, stream: u8, mark: Marking) -> Done {
        self.ensure_category(category)?;
        let handle = self.category(category)?;
        let mut state = Contents::clone(self.model.now());
        let events = Events { category, stream, count: 0, len: 0 };
        let (id, before) = (stream_id(stream), Self::chain(&state, &events));
        let (mut chain, seen) = (before.clone(), self.seen(category, &before));
        match mark {
            Marking::Truncate { share } => {
                let version = seen.first + (seen.len() - seen.first) * share / 8;
                // Of what is kept no longer some may be given up by now, and there be nothing to be noted.
                if version > seen.first {
                    chain.truncate_before(version);
                }
            }
            Marking::Delete => chain.truncate_before(chain.len()),
            Marking::Tombstone => {
                chain.truncate_before(chain.len());
                chain.is_tombstone = true;
            }
            Marking::Archive => chain.is_archived = true,
            Marking::Restore => chain.is_archived = false,
            Marking::Keep { count, age_ms } => {
                let least = |one: Option<u64>, other| [one, other].into_iter().flatten().min();
                chain.max_count = least(chain.max_count, count);
                chain.max_age_ms = least(chain.max_age_ms, age_ms);
            }
        }
        if chain == before {
            // It may be noted all the same that the one event is not needed which was the newest once.
            return Ok(());
        }
        let records = state.entry(Self::category_name(category)).or_default();
        // One that never had events, and is not archived any more, is as if nobody had heard of it.
        if chain == Chain::default() {
            records.remove(&stream_key(&id));
        } else {
            records.insert(stream_key(&id), Stored { value: chain.to_value(), expires_ms: None });
        }
        let key = id.to_string().into_bytes();
        let logged = [Logged { kind: ChangeKind::MarkStream, key, value: None }];
        self.commit(state, &logged, None, |_| {
            match mark {
                Marking::Truncate { .. } => {
                    let first = handle.truncate_before(&id, chain.first)?;
                    assert_eq!(first, chain.first);
                }
                Marking::Delete => handle.delete(&id)?,
                Marking::Tombstone => handle.tombstone(&id)?,
                Marking::Archive => handle.archive(&id)?,
                Marking::Restore => handle.restore(&id)?,
                Marking::Keep { .. } => {
                    let max_age = chain.max_age_ms.map(Duration::from_millis);
                    let retention = Retention { max_count: chain.max_count, max_age };
                    handle.set_retention(&id, retention)?;
                }
            }
            Ok(None)
        })
    }

    pub(crate) fn drop_category(&mut self, category: u8) -> Done {
        if self.ensure_category(category)? {
            return Ok(());
        }
        let name = Self::category_name(category);
        let mut state = Contents::clone(self.model.now());
        state.remove(&name);
        let logged = [Logged::change(ChangeKind::DropKeyspace)];
        self.commit(state, &logged, None, |db| db.drop_keyspace(&name).map(|()| None))
    }
}
