//! Keyspaces that lose what is old, on machines whose power is cut: what is older than the limit may be gone, and
//! nothing else. What is there is the newest of its key, and what is gone does not come back.

use crate::{random::Random, seeds};
use annals_disk::{SimDisk, SimOptions};
use annals_engine::{
    Background, Database, Durability, Error, KeyspaceOptions, OrderedKeyspace, Snapshot, Style,
    TreeOptions,
};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

const KEEP_MS: u64 = 100;
const KEYS: u64 = 12;
const STEPS: u64 = 60;

/// What a key was given last, and when; without a value it was removed.
#[derive(Clone, Debug)]
struct Last {
    value: Option<Vec<u8>>,
    at_ms: u64,
    /// Whether it was found to be gone for its age.
    is_gone: bool,
}

type State = BTreeMap<u8, Last>;
/// What a walk came across.
type Walked = Vec<(Vec<u8>, Vec<u8>)>;

struct World {
    disk: SimDisk,
    random: Random,
    keep_ms: u64,
    /// What was acknowledged, and what is under way: one commit, whole or not at all.
    state: State,
    trying: Option<State>,
    writes_count: u64,
    gone_count: u64,
}

impl World {
    fn open(&self) -> Result<(Database, OrderedKeyspace), Error> {
        let db = Database::builder()
            .disk(Arc::new(self.disk.clone()))
            .background(Background::Manual)
            .segment_bytes(64 << 10)
            .checkpoint_every_bytes(1 << 30)
            .durability(Durability::Sync)
            .open("db")?;
        let options = TreeOptions {
            style: Style::Fifo { keep_ms: self.keep_ms, bytes_max: 0 },
            level0_tables: 3,
            separate_over_bytes: Some(200),
            ..TreeOptions::default()
        };
        let keyspace = match db.open_keyspace("k") {
            Err(Error::UnknownKeyspace { .. }) => {
                db.create_keyspace("k", KeyspaceOptions::default(), options)?
            }
            other => other?,
        };
        Ok((db, keyspace))
    }

    fn value(&mut self) -> Vec<u8> {
        self.writes_count += 1;
        let mut value = self.writes_count.to_le_bytes().to_vec();
        value.resize(if self.random.once_in(4) { 400 } else { 20 }, 7);
        value
    }

    /// Steps until the power goes, or to the end.
    fn run(&mut self) -> Result<(), String> {
        let cannot = |error: Error| error.to_string();
        let (mut db, mut keyspace) = self.open().map_err(cannot)?;
        self.look(&db, &keyspace)?;
        let mut held: Option<(Snapshot, Walked)> = None;
        for _ in 0..STEPS {
            let now_ms = db.stats().clock_ms;
            let last = |value| Last { value, at_ms: now_ms, is_gone: false };
            match self.random.below(16) {
                0..=5 => {
                    let (key, value) = (self.random.below(KEYS) as u8, self.value());
                    let mut next = self.state.clone();
                    next.insert(key, last(Some(value.clone())));
                    self.trying = Some(next);
                    keyspace.insert([key], value).map_err(cannot)?;
                }
                6 => {
                    let key = self.random.below(KEYS) as u8;
                    let mut next = self.state.clone();
                    next.insert(key, last(None));
                    self.trying = Some(next);
                    keyspace.remove([key]).map_err(cannot)?;
                }
                7 if self.random.once_in(3) => {
                    let mut next: State = self.state.keys().map(|key| (*key, last(None))).collect();
                    for key in 0..self.random.below(KEYS) as u8 {
                        let value = self.value();
                        next.insert(key, last(Some(value)));
                    }
                    let records: Vec<_> = next
                        .iter()
                        .filter_map(|(key, last)| Some(([*key], last.value.clone()?)))
                        .collect();
                    self.trying = Some(next);
                    keyspace.replace_all(records).map_err(cannot)?;
                }
                8..=10 => self.disk.advance_ms(1 + self.random.below(40)),
                11 | 12 => db.checkpoint().map(|_| ()).map_err(cannot)?,
                13 => db.tick().map_err(cannot)?,
                14 => {
                    if let Some((snapshot, seen)) = held.take() {
                        if walked(&snapshot).map_err(cannot)? != seen {
                            return Err("a snapshot lost what it had".into());
                        }
                    } else {
                        let snapshot = db.snapshot();
                        let seen = walked(&snapshot).map_err(cannot)?;
                        held = Some((snapshot, seen));
                    }
                }
                _ if self.random.once_in(2) => {
                    held = None;
                    drop(keyspace);
                    db.close().map_err(cannot)?;
                    (db, keyspace) = self.open().map_err(cannot)?;
                }
                _ => self.look(&db, &keyspace)?,
            }
            if let Some(next) = self.trying.take() {
                self.state = next;
            }
        }
        self.look(&db, &keyspace)
    }

    /// What is there is what was acknowledged, or with what was under way, but for what is old.
    fn look(&mut self, db: &Database, keyspace: &OrderedKeyspace) -> Result<(), String> {
        let now_ms = db.stats().clock_ms;
        let mut found = BTreeMap::new();
        for entry in keyspace.iter().map_err(|error| error.to_string())? {
            let (key, value) = entry.map_err(|error| error.to_string())?.to_vecs();
            found.insert(key[0], value);
        }
        let mut what = Ok(());
        for state in self.trying.take().into_iter().chain([self.state.clone()]) {
            what = fits(&state, &found, now_ms, KEEP_MS);
            if what.is_ok() {
                self.state = state;
                break;
            }
        }
        for (key, last) in &mut self.state {
            let is_gone = last.value.is_some() && !found.contains_key(key);
            self.gone_count += u64::from(is_gone && !last.is_gone);
            last.is_gone |= is_gone;
        }
        what
    }
}

fn walked(snapshot: &Snapshot) -> Result<Walked, Error> {
    snapshot.ordered("k")?.iter()?.map(|entry| Ok(entry?.to_vecs())).collect()
}

fn fits(
    state: &State,
    found: &BTreeMap<u8, Vec<u8>>,
    now_ms: u64,
    keep_ms: u64,
) -> Result<(), String> {
    if let Some(key) = found.keys().find(|key| !state.contains_key(key)) {
        return Err(format!("nobody wrote {key}"));
    }
    for (key, last) in state {
        match (found.get(key), &last.value) {
            (Some(_), Some(_)) if last.is_gone => return Err(format!("{key} has come back")),
            (Some(found), Some(value)) if found == value => {}
            (Some(_), _) => return Err(format!("{key} has what it had before: {last:?}")),
            (None, None) => {}
            (None, Some(_)) if last.at_ms + keep_ms <= now_ms => {}
            (None, Some(_)) => return Err(format!("{key} is gone at {now_ms}: {last:?}")),
        }
    }
    Ok(())
}

/// A machine whose power is cut at some operation, again and again. How much was gone for its age.
fn cut(seed: u64, keep_ms: u64) -> Result<u64, String> {
    let world = |cut_at: Option<u64>| {
        let disk = SimDisk::new(SimOptions::seeded(seed));
        if let Some(operation) = cut_at {
            disk.cut_power_at(operation);
        }
        let (random, state, trying) = (Random::new(seed, 31), State::new(), None);
        World { disk, random, keep_ms, state, trying, writes_count: 0, gone_count: 0 }
    };
    let mut whole = world(None);
    whole.run()?;
    let mut random = Random::new(seed, 32);
    let mut cut = world(Some(random.below(whole.disk.operations())));
    for _ in 0..3 {
        match cut.run() {
            Err(what) if !cut.disk.is_power_cut() => return Err(what),
            _ => {}
        }
        cut.disk = if random.once_in(3) { cut.disk.restart_clean() } else { cut.disk.restart() };
        cut.disk.cut_power_at(random.below(whole.disk.operations()));
    }
    cut.disk = cut.disk.restart();
    cut.run()?;
    Ok(whole.gone_count + cut.gone_count)
}

#[test]
fn what_is_old_may_be_gone_and_nothing_else() {
    let gone_count = AtomicU64::new(0);
    let seeds = if seeds::is_nightly() { 20_000 } else { 300 };
    seeds::run_all("what_is_old_may_be_gone", 0..seeds, |seed| {
        gone_count.fetch_add(cut(seed, KEEP_MS)?, Ordering::Relaxed);
        Ok(())
    });
    let gone_count = gone_count.into_inner();
    assert!(std::env::var_os("ANNALS_SEED").is_some() || gone_count > 300, "{gone_count} gone");
}

#[test]
fn what_goes_too_early_is_found() {
    let found = seeds::failures(0..40, 1, |seed| cut(seed, KEEP_MS / 2).map(drop));
    assert!(found.iter().any(|(_, what)| what.contains("is gone at")), "{found:?}");
}
