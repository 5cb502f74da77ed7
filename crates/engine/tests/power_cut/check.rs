//! Reading a database whole, in several ways that must agree.

use crate::{
    events,
    handle::{self, Handle},
    model::{Contents, Logged, Model, Records, State, difference},
    tables,
};
use annals_engine::{Database, Error, Seq, Snapshot};

/// The state of the whole database, read by a snapshot, by handles and by single keys.
pub(crate) fn state(db: &Database) -> Result<State, String> {
    let mut found = snapshot_state(&db.snapshot())?;
    let infos = db.keyspaces();
    let listed: Vec<String> = infos.iter().map(|info| info.name.clone()).collect();
    found.extend(events::categories(db, &listed)?);
    found.extend(tables::tables(db, &listed)?);
    if !listed.iter().eq(found.keys()) {
        return Err(format!("the catalog lists {listed:?}, a snapshot {:?}", found.keys()));
    }
    for (name, records) in &found {
        if events::is_category(name) {
            events::agree(db, name, records)?;
            continue;
        }
        if tables::is_table(name) {
            continue;
        }
        let handle = Handle::open(db, name).map_err(|error| error.to_string())?;
        let len = handle.len().map_err(|error| error.to_string())?;
        if len != records.len() as u64 {
            return Err(format!("{name} counts {len}, and has {}", records.len()));
        }
        for (key, value) in records {
            let got = handle.get(key).map_err(|error| error.to_string())?;
            if got.as_deref() != Some(&value[..]) {
                return Err(format!("{name}: get {key:?} differs from iterating"));
            }
        }
    }
    Ok(found)
}

/// Whether the keyspace of this name is one of keys and values.
fn is_of_keys(name: &str) -> bool {
    !events::is_category(name) && !tables::is_table(name)
}

/// The state that a snapshot sees. Streams and tables are not part of it.
pub(crate) fn snapshot_state(snapshot: &Snapshot) -> Result<State, String> {
    let read = || -> Result<State, Error> {
        let mut state = State::new();
        for name in snapshot.keyspaces() {
            if !is_of_keys(&name) {
                continue;
            }
            if handle::is_ordered(&name) {
                let records = handle::ordered_records(snapshot, &name)?;
                state.insert(name, records);
                continue;
            }
            let mut records = Records::new();
            for entry in snapshot.iter(&name)? {
                let (key, value) = entry?.to_vecs();
                let got = snapshot.get(&name, &key)?.map(|value| value.to_vec());
                assert_eq!(got.as_ref(), Some(&value), "a snapshot's get and iteration differ");
                assert!(records.insert(key, value.into()).is_none(), "a key came twice");
            }
            state.insert(name, records);
        }
        Ok(state)
    };
    read().map_err(|error| format!("reading: {error}"))
}

/// What a snapshot sees of a state.
pub(crate) fn keyspaces_of(mut state: State) -> State {
    state.retain(|name, _| is_of_keys(name));
    state
}

pub(crate) fn same(what: &str, expected: &State, found: &State) -> Result<(), String> {
    if expected == found {
        return Ok(());
    }
    Err(format!("{what} is not as the model says: {}", difference(expected, found)))
}

/// Every byte is as it was written.
pub(crate) fn intact(db: &Database) -> Result<(), String> {
    let report = db.verify(&mut |_| {}).map_err(|error| format!("verify: {error}"))?;
    match report.damages.first() {
        None => Ok(()),
        Some(damage) => {
            let path = damage.path.display();
            Err(format!("verify found {path} damaged at {}: {}", damage.offset, damage.what))
        }
    }
}

/// Reads the log as a feed from number `from`, or as far back as it goes. Returns the number to go
/// on from.
pub(crate) fn feed(db: &Database, model: &mut Model, from: u64) -> Result<u64, String> {
    let from = Seq(from.max(db.oldest_seq().0));
    let mut changes = db.changes(from).map_err(|error| format!("feed: {error}"))?;
    let mut next = from.0;
    while let Some(change) = changes.try_next().map_err(|error| format!("feed: {error}"))? {
        if change.seq.0 < next {
            return Err(format!("the feed shows number {} after {next}", change.seq));
        }
        next = change.seq.0 + 1;
        let digest = Logged::digest(change.kind, &change.key, change.value.as_deref());
        model.see(change.seq.0, digest)?;
    }
    Ok(next)
}

/// The state that a reader in another process sees now, and the time by which it sees it.
pub(crate) fn quick_state(reader: &Database) -> Result<(State, u64), String> {
    let snapshot = reader.snapshot();
    let mut found = snapshot_state(&snapshot)?;
    found.extend(events::categories(reader, &snapshot.keyspaces())?);
    found.extend(tables::tables(reader, &snapshot.keyspaces())?);
    Ok((found, reader.stats().clock_ms))
}

/// Nothing that `contents` has and that is over at `clock_ms` can be got.
pub(crate) fn gone(db: &Database, contents: &Contents, clock_ms: u64) -> Result<(), String> {
    for (name, records) in contents.iter().filter(|(name, _)| is_of_keys(name)) {
        let handle = match Handle::open(db, name) {
            // A reader may have seen it dropped by a commit that was never acknowledged.
            Err(Error::UnknownKeyspace { .. }) if handle::is_ordered(name) => continue,
            other => other.map_err(|error| error.to_string())?,
        };
        for (key, _) in records.iter().filter(|(_, stored)| stored.is_over(clock_ms)) {
            if handle.get(key).map_err(|error| error.to_string())?.is_some() {
                return Err(format!("{name}: {key:?} is over at {clock_ms} and still there"));
            }
        }
    }
    Ok(())
}
