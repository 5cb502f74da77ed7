//! A simulated machine with a database on it: does steps, crashes, recovers, and compares with the
//! model all the time.

use crate::{
    check,
    model::{Contents, Crash, Level, Logged, Model, State, Stored, Value, difference, visible},
    process::{Life, ProcessDisk},
    random::Random,
    readers::Reader,
    script::Step,
};
use annals_disk::{Disk, SimDisk, SimOptions};
use annals_engine::{
    Background, CasOutcome, ChangeKind, Commit, Database, Error, ErrorKind, HashKeyspace,
    KeyspaceOptions, Snapshot, WriteOptions,
};
use std::{cell::Cell, sync::Arc, time::Duration};

pub(crate) const DIR: &str = "data/db";
const BACKUP_DIR: &str = "data/backup";
/// The keyspace whose records expire by themselves, and when.
const EXPIRING_SPACE: u8 = 3;
const EXPIRING_TTL: Duration = Duration::from_millis(45);

/// Why a step did not go on.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The machine stands still.
    Cut,
    /// A promise was broken.
    Violation(String),
}

impl From<String> for Stop {
    fn from(what: String) -> Self {
        Self::Violation(what)
    }
}

pub(crate) type Done = Result<(), Stop>;

/// For machines that nobody stops.
pub(crate) fn settle<T>(outcome: Result<T, Stop>) -> Result<T, String> {
    outcome.map_err(|stop| match stop {
        Stop::Cut => "the power went by itself".into(),
        Stop::Violation(what) => what,
    })
}

/// How the engine is set up, drawn from the seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) level: Level,
    pub(crate) checkpoint_every_bytes: u64,
    pub(crate) compact_below: f64,
}

impl Setup {
    pub(crate) fn random(random: &mut Random) -> Self {
        Self {
            level: random.pick(&[Level::Buffered, Level::Interval, Level::Interval, Level::Sync]),
            checkpoint_every_bytes: random.pick(&[4 << 10, 40 << 10, 1 << 30]),
            compact_below: random.pick(&[0.0, 0.5, 0.9]),
        }
    }

    pub(crate) fn fixed() -> Self {
        Self { level: Level::Interval, checkpoint_every_bytes: 1 << 30, compact_below: 0.5 }
    }

    pub(crate) fn open(self, disk: Arc<dyn Disk>, dir: &str) -> Result<Database, Error> {
        self.builder(disk).open(dir)
    }

    fn builder(self, disk: Arc<dyn Disk>) -> annals_engine::Builder {
        Database::builder()
            .disk(disk)
            .background(Background::Manual)
            .segment_bytes(64 << 10)
            .checkpoint_every_bytes(self.checkpoint_every_bytes)
            .compact_below(self.compact_below)
            .durability(self.level.durability())
    }

    pub(crate) fn read(self, disk: Arc<dyn Disk>, dir: &str) -> Result<Database, Error> {
        self.builder(disk).read_only(true).open(dir)
    }
}

/// What the directory for backups may hold.
#[derive(Debug, Default)]
struct Backups {
    /// The state of the last finished one.
    finished: Option<Arc<Contents>>,
    /// The states of those that were cut off since.
    interrupted: Vec<Arc<Contents>>,
}

/// A simulated machine.
pub(crate) struct World {
    pub(crate) sim: SimDisk,
    /// What the engine gets to see of the disk; an honest test gives it the disk itself.
    wrap: fn(SimDisk) -> Arc<dyn Disk>,
    pub(crate) setup: Setup,
    pub(crate) db: Option<Database>,
    pub(crate) model: Model,
    /// The most segments that one opening has recycled.
    pub(crate) recycled_count: u64,
    /// The writing process.
    life: Arc<Life>,
    /// Handles of other processes, open for reading.
    pub(crate) readers: Vec<Reader>,
    /// The time that the database showed last.
    clock_ms: u64,
    /// The latest time that the machine's clock has shown.
    latest_ms: u64,
    snapshots: Vec<(Snapshot, State)>,
    backups: Backups,
    writes_count: u64,
    next_feed_seq: u64,
    last_crash: Option<Crash>,
    /// The last error that the engine gave.
    failure: Cell<Option<Error>>,
}

/// The disk as it is.
pub(crate) fn honest(sim: SimDisk) -> Arc<dyn Disk> {
    Arc::new(sim)
}

impl Drop for World {
    fn drop(&mut self) {
        // A panic is to be reported with its seed; what it left behind may well panic again.
        if std::thread::panicking() {
            std::mem::forget(self.db.take());
            std::mem::forget(std::mem::take(&mut self.snapshots));
            std::mem::forget(std::mem::take(&mut self.readers));
        }
    }
}

impl World {
    /// A machine whose database is not open yet.
    pub(crate) fn new(seed: u64, setup: Setup, wrap: fn(SimDisk) -> Arc<dyn Disk>) -> Self {
        let sim = SimDisk::new(SimOptions::seeded(seed));
        Self {
            life: Life::new(sim.clone()),
            readers: Vec::new(),
            clock_ms: 0,
            latest_ms: sim.now_ms(),
            sim,
            wrap,
            setup,
            db: None,
            model: Model::default(),
            snapshots: Vec::new(),
            recycled_count: 0,
            backups: Backups::default(),
            writes_count: 0,
            next_feed_seq: 0,
            last_crash: None,
            failure: Cell::new(None),
        }
    }

    /// The disk as the writing process sees it.
    pub(crate) fn disk(&self) -> Arc<dyn Disk> {
        ProcessDisk::of(&self.life, self.machine_disk())
    }

    /// The disk as other processes see it.
    pub(crate) fn machine_disk(&self) -> Arc<dyn Disk> {
        (self.wrap)(self.sim.clone())
    }

    pub(crate) fn life(&self) -> &Arc<Life> {
        &self.life
    }

    /// Whether whoever writes cannot go on.
    pub(crate) fn stands_still(&self) -> bool {
        self.sim.is_power_cut() || self.life.is_over()
    }

    /// The time by which the database judges what is over. It never runs backwards.
    pub(crate) fn clock(&mut self) -> Result<u64, Stop> {
        let now = self.db().stats().clock_ms;
        let least = self.clock_ms.max(self.sim.now_ms());
        if now != least {
            return Err(Stop::Violation(format!("the clock shows {now} instead of {least}")));
        }
        self.clock_ms = now;
        Ok(now)
    }

    pub(crate) fn db(&self) -> Database {
        self.db.clone().expect("the database is open")
    }

    /// An error is fine if the machine stands still, else it breaks a promise.
    pub(crate) fn stop(&self, doing: &str, error: &Error) -> Stop {
        self.failure.set(Some(error.clone()));
        if self.stands_still() { Stop::Cut } else { Stop::Violation(format!("{doing}: {error}")) }
    }

    /// Opens the database for the first time.
    pub(crate) fn start(&mut self) -> Done {
        match self.setup.open(self.disk(), DIR) {
            Ok(db) => {
                self.clock_ms = self.sim.now_ms();
                self.db = Some(db);
                Ok(())
            }
            Err(error) => Err(self.stop("create", &error)),
        }
    }

    /// Crashes the machine. What it was doing is over.
    pub(crate) fn crash(&mut self, crash: Crash) {
        let next = match crash {
            Crash::Kill => self.sim.restart_clean(),
            Crash::Power => self.sim.restart(),
        };
        self.forget_handles();
        self.sim = next;
        self.life = Life::new(self.sim.clone());
        self.last_crash = Some(crash);
    }

    /// Crashes the machine by a power cut with one of several outcomes.
    pub(crate) fn crash_with(&mut self, outcome: u64) {
        let next = self.sim.restart_with_seed(outcome);
        self.forget_handles();
        self.sim = next;
        self.life = Life::new(self.sim.clone());
        self.last_crash = Some(Crash::Power);
    }

    fn forget_handles(&mut self) {
        self.readers.clear();
        self.forget_writer();
    }

    /// Ends the writing process; the machine and other processes go on.
    pub(crate) fn kill_writer(&mut self) {
        self.life.end();
        self.forget_writer();
        self.last_crash = Some(Crash::Kill);
    }

    fn forget_writer(&mut self) {
        self.life.end();
        self.snapshots.clear();
        self.db = None;
    }

    /// Opens the database after a crash and checks all that was promised.
    pub(crate) fn recover(&mut self, crash: Crash) -> Done {
        if self.life.is_over() {
            self.life = Life::new(self.sim.clone());
        }
        let db = match self.setup.open(self.disk(), DIR) {
            Ok(db) => db,
            Err(error) => return Err(self.stop("open after a crash", &error)),
        };
        let outcome = self.check_recovered(&db, crash);
        if outcome.is_ok() {
            self.db = Some(db);
        } else if self.stands_still() {
            return Err(Stop::Cut);
        }
        outcome
    }

    fn check_recovered(&mut self, db: &Database, crash: Crash) -> Done {
        if let Some(warning) = db.recovery().warnings.iter().find(|w| w.contains("rebuilt")) {
            return Err(Stop::Violation(format!("after {crash:?}: {warning}")));
        }
        let found = check::state(db)?;
        let clock_ms = db.stats().clock_ms;
        self.model.check_clock(clock_ms, crash)?;
        if !(self.sim.now_ms()..=self.latest_ms.max(self.sim.now_ms())).contains(&clock_ms) {
            let now = self.sim.now_ms();
            return Err(Stop::Violation(format!("the clock shows {clock_ms} at {now}")));
        }
        if self.model.has_expired(clock_ms) {
            // It was found to be over now. Once that is on the device, it never comes back.
            db.sync().map_err(|error| self.stop("sync after a crash", &error))?;
            self.model.recover(&found, clock_ms, crash)?;
            self.model.forget_expired(clock_ms);
        } else {
            self.model.recover(&found, clock_ms, crash)?;
        }
        self.clock_ms = clock_ms;
        check::intact(db)?;
        check::feed(db, &mut self.model, 0)?;
        self.next_feed_seq = 0;
        self.check_backup(crash)
    }

    /// What is in the backup's place is the last finished backup, or the one that was under way.
    fn check_backup(&mut self, crash: Crash) -> Done {
        let Backups { finished, interrupted, .. } = &self.backups;
        let (finished, interrupted) = (finished.clone(), interrupted.clone());
        if finished.is_none() && interrupted.is_empty() {
            return Ok(());
        }
        let copy = match self.setup.read(self.disk(), BACKUP_DIR) {
            Ok(copy) => copy,
            // The first backup did not get to its root.
            Err(error)
                if matches!(error.kind(), ErrorKind::NotADatabase | ErrorKind::Corrupt)
                    && finished.is_none() =>
            {
                return Ok(());
            }
            Err(error) => return Err(self.stop("open a backup", &error)),
        };
        let found = check::state(&copy)?;
        let clock_ms = copy.stats().clock_ms;
        let differs = |from: &Arc<Contents>| difference(&visible(from, clock_ms), &found);
        let old = finished.as_ref().map(differs).unwrap_or_default();
        let new = interrupted.last().map(differs).unwrap_or_default();
        let is_it = |contents: &Arc<Contents>| visible(contents, clock_ms) == found;
        match interrupted.into_iter().rev().chain(finished).find(is_it) {
            Some(state) => {
                // What is found after a power cut is on the device; after a kill it may be not.
                if self.last_crash == Some(Crash::Power) {
                    self.backups = Backups { finished: Some(state), interrupted: Vec::new() };
                }
                check::intact(&copy)?;
                Ok(())
            }
            None => Err(Stop::Violation(format!(
                "after {crash:?} the backup is not the old one: {old}; nor the new one: {new}"
            ))),
        }
    }

    /// Opens the backup for writing: it is a database like any other, also after a crash of its
    /// own. The database itself is done with.
    pub(crate) fn use_backup(&mut self) -> Done {
        let Some(expected) = self.backups.finished.clone() else { return Ok(()) };
        if !self.backups.interrupted.is_empty() {
            return Ok(());
        }
        self.crash(Crash::Kill);
        for round in 0..3u8 {
            let copy = self
                .setup
                .open(self.disk(), BACKUP_DIR)
                .map_err(|error| self.stop("open a backup for writing", &error))?;
            let mut found = check::state(&copy)?;
            let expected = visible(&expected, copy.stats().clock_ms);
            for round in 0..round {
                let own = found.get_mut("own").and_then(|own| own.remove(&vec![round]));
                if round > 0 && own.is_none() {
                    return Err(Stop::Violation("a backup that was used lost a write".into()));
                }
            }
            found.remove("own");
            if found != expected {
                let difference = difference(&expected, &found);
                let what = format!("a backup opened for the {round}. time differs: {difference}");
                return Err(Stop::Violation(what));
            }
            if round > 0 {
                let own = copy.hash_keyspace("own").map_err(|e| self.stop("use a backup", &e))?;
                let sync = WriteOptions::default().durability(annals_engine::Durability::Sync);
                own.insert_with([round], "x", sync).map_err(|e| self.stop("use a backup", &e))?;
            }
            let next = if round == 1 { self.sim.restart() } else { self.sim.restart_clean() };
            drop(copy);
            self.sim = next;
            self.life = Life::new(self.sim.clone());
        }
        Ok(())
    }

    fn fresh_value(&mut self, len: u32) -> Value {
        self.writes_count += 1;
        let mut value = self.writes_count.to_le_bytes().to_vec();
        let filler = self.writes_count as u8 | 1;
        value.resize(8 + len as usize, filler);
        value.into()
    }

    /// Does one commit and notes what came of it.
    fn commit(
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
        if let Some(commit) = done
            && (commit.first_seq.0, commit.last_seq.0) != (first, last)
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

    fn name(space: u8) -> String {
        format!("space-{space}")
    }

    /// How long records of a keyspace live that do not say otherwise.
    fn ttl(space: u8) -> Option<Duration> {
        (space == EXPIRING_SPACE).then_some(EXPIRING_TTL)
    }

    /// What a commit at this moment leaves.
    fn stored(&mut self, space: u8, value: &Value, ttl: Option<Duration>) -> Result<Stored, Stop> {
        let ttl = ttl.or(Self::ttl(space));
        let clock_ms = self.clock()?;
        let expires_ms = ttl.map(|ttl| clock_ms + ttl.as_millis() as u64);
        Ok(Stored { value: Arc::clone(value), expires_ms })
    }

    /// The value of a key that readers see now.
    fn current(&mut self, space: u8, key: &[u8]) -> Result<Option<Value>, Stop> {
        let clock_ms = self.clock()?;
        let stored = self.model.now()[&Self::name(space)].get(key);
        let live = stored.filter(|stored| !stored.is_over(clock_ms));
        Ok(live.map(|stored| Arc::clone(&stored.value)))
    }

    fn key(key: u8) -> Vec<u8> {
        // The empty key and keys of different lengths are keys too.
        vec![b'k'; usize::from(key % 3)].into_iter().chain((key > 2).then_some(key)).collect()
    }

    fn handle(&self, db: &Database, space: u8) -> Result<HashKeyspace, Stop> {
        db.open_keyspace(&Self::name(space)).map_err(|error| self.stop("open a keyspace", &error))
    }

    /// Makes the keyspace if it is not there; tells whether it had to.
    fn ensure(&mut self, space: u8) -> Result<bool, Stop> {
        let name = Self::name(space);
        if self.model.now().contains_key(&name) {
            return Ok(false);
        }
        let mut state = Contents::clone(self.model.now());
        state.insert(name.clone(), Default::default());
        let options = KeyspaceOptions { ttl: Self::ttl(space), ..KeyspaceOptions::default() };
        let logged = [Logged::change(ChangeKind::CreateKeyspace)];
        self.commit(state, &logged, None, |db| db.create_keyspace(&name, options).map(|_| None))?;
        Ok(true)
    }

    fn put(
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

    fn remove(&mut self, space: u8, key: u8, level: Option<Level>) -> Done {
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

    fn swap(&mut self, space: u8, key: u8, len: u32, fitting: bool) -> Done {
        let (name, bytes) = (Self::name(space), Self::key(key));
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
        let value = self.fresh_value(len);
        let mut state = Contents::clone(self.model.now());
        let stored = self.stored(space, &value, None)?;
        state.entry(name).or_default().insert(bytes.clone(), stored);
        let logged = [Logged {
            kind: ChangeKind::Insert,
            key: bytes.clone(),
            value: Some(Arc::clone(&value)),
        }];
        self.commit(state, &logged, None, |_| {
            match handle.compare_and_swap(&bytes, current.as_deref(), Some(&value))? {
                CasOutcome::Swapped(commit) => Ok(commit),
                CasOutcome::Different(found) => panic!("{current:?} expected, found {found:?}"),
            }
        })
    }

    fn batch(&mut self, writes: &[(u8, u8, Option<u32>)], level: Option<Level>) -> Done {
        let db = self.db();
        let mut state = Contents::clone(self.model.now());
        let mut batch = db.batch();
        if let Some(level) = level {
            batch = batch.durability(level.durability());
        }
        let mut logged = Vec::new();
        for (space, key, len) in writes {
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
                    batch.insert(&handle, &key, &value).expect("small enough");
                    logged.push(Logged { kind: ChangeKind::Insert, key, value: Some(value) });
                }
                None => {
                    state.entry(Self::name(*space)).or_default().remove(&key);
                    batch.remove(&handle, &key).expect("small enough");
                    logged.push(Logged { kind: ChangeKind::Remove, key, value: None });
                }
            }
        }
        if logged.is_empty() {
            return Ok(());
        }
        self.commit(state, &logged, level, |_| batch.commit())
    }

    fn back_up(&mut self) -> Done {
        self.backups.interrupted.push(Arc::clone(self.model.now()));
        self.db().backup_to(BACKUP_DIR).map_err(|error| self.stop("backup", &error))?;
        self.backups.finished = self.backups.interrupted.pop();
        self.backups.interrupted.clear();
        // The copy must be on the device, and so must be what it was copied from.
        self.model.synced();
        Ok(())
    }

    fn look(&mut self) -> Done {
        let db = self.db();
        let clock_ms = self.clock()?;
        let found = check::state(&db)?;
        check::same("the state", &self.model.seen(clock_ms), &found)?;
        check::gone(&db, self.model.now(), clock_ms)?;
        if self.stands_still() {
            // Nobody heard what was found: this machine's last operation was to note the time.
            return Err(Stop::Cut);
        }
        if let Some(over_ms) = self.model.latest_over(clock_ms) {
            self.model.tell(over_ms, self.setup.level);
        }
        for (snapshot, expected) in &self.snapshots {
            check::same("a snapshot", expected, &check::snapshot_state(snapshot)?)?;
        }
        self.look_at_readers()
    }

    fn note_recycled(&mut self) {
        self.recycled_count = self.recycled_count.max(self.db().stats().log.recycled_count);
    }

    /// Does one step that the engine may refuse: the inner result is what it said. What it
    /// refused has not happened.
    pub(crate) fn try_step(&mut self, step: &Step) -> Result<Result<(), Error>, Stop> {
        self.failure.set(None);
        match self.step(step) {
            Ok(()) => Ok(Ok(())),
            Err(stop) => match self.failure.take() {
                Some(error) => {
                    self.model.refuse();
                    Ok(Err(error))
                }
                None => Err(stop),
            },
        }
    }

    /// Does one step, while readers in other processes look between its operations.
    pub(crate) fn step(&mut self, step: &Step) -> Done {
        let before = self.start_watching();
        let done = self.do_step(step);
        self.end_watching(before)?;
        done
    }

    fn do_step(&mut self, step: &Step) -> Done {
        match step {
            Step::Put { space, key, len, ttl_ms, level } => {
                self.ensure(*space)?;
                let value = self.fresh_value(*len);
                self.put(*space, *key, &value, *ttl_ms, *level)
            }
            Step::Remove { space, key, level } => {
                if self.ensure(*space)? {
                    Ok(())
                } else {
                    self.remove(*space, *key, *level)
                }
            }
            Step::Swap { space, key, len, fitting } => {
                self.ensure(*space)?;
                self.swap(*space, *key, *len, *fitting)
            }
            Step::Update { space, key } => {
                self.ensure(*space)?;
                let (name, bytes) = (Self::name(*space), Self::key(*key));
                let handle = self.handle(&self.db(), *space)?;
                let current = self.current(*space, &bytes)?;
                let value = self.fresh_value(20);
                let mut state = Contents::clone(self.model.now());
                let stored = self.stored(*space, &value, None)?;
                state.entry(name).or_default().insert(bytes.clone(), stored);
                let logged = [Logged {
                    kind: ChangeKind::Insert,
                    key: bytes.clone(),
                    value: Some(Arc::clone(&value)),
                }];
                self.commit(state, &logged, None, |_| {
                    let before = handle.fetch_update(&bytes, |_| Some(value.to_vec()))?;
                    assert_eq!(before.as_deref(), current.as_deref());
                    Ok(None)
                })
            }
            Step::Batch { writes, level } => {
                for (space, ..) in writes.iter().take(2) {
                    self.ensure(*space)?;
                }
                self.batch(writes, *level)
            }
            Step::Drop { space } => {
                if self.ensure(*space)? {
                    return Ok(());
                }
                let name = Self::name(*space);
                let mut state = Contents::clone(self.model.now());
                state.remove(&name);
                let logged = [Logged::change(ChangeKind::DropKeyspace)];
                self.commit(state, &logged, None, |db| db.drop_keyspace(&name).map(|()| None))
            }
            Step::Clear { space } => {
                self.ensure(*space)?;
                let handle = self.handle(&self.db(), *space)?;
                let mut state = Contents::clone(self.model.now());
                state.insert(Self::name(*space), Default::default());
                let logged = [Logged::change(ChangeKind::ClearKeyspace)];
                self.commit(state, &logged, None, |_| handle.clear().map(|()| None))
            }
            Step::Sync => {
                self.db().sync().map_err(|error| self.stop("sync", &error))?;
                self.model.synced();
                Ok(())
            }
            Step::Tick { ms } => {
                self.clock()?;
                self.sim.advance_ms(*ms);
                self.latest_ms = self.latest_ms.max(self.sim.now_ms());
                self.db().tick().map_err(|error| self.stop("tick", &error))?;
                if u128::from(*ms) > crate::model::INTERVAL.as_millis() {
                    self.model.interval_over();
                }
                Ok(())
            }
            Step::Checkpoint => {
                self.db().checkpoint().map_err(|error| self.stop("checkpoint", &error))?;
                self.model.synced();
                Ok(())
            }
            Step::Compact => {
                self.db().compact().map_err(|error| self.stop("compact", &error))?;
                self.note_recycled();
                self.look_at_readers()
            }
            Step::Backup => self.back_up(),
            Step::SetClockBack { ms } => {
                self.clock()?;
                self.sim.set_now_ms(self.sim.now_ms() - ms);
                Ok(())
            }
            Step::TakeSnapshot => {
                let clock_ms = self.clock()?;
                let snapshot = self.db().snapshot();
                self.snapshots.push((snapshot, self.model.seen(clock_ms)));
                Ok(())
            }
            Step::Look => self.look(),
            Step::DropSnapshot => {
                if !self.snapshots.is_empty() {
                    let at = self.writes_count as usize % self.snapshots.len();
                    drop(self.snapshots.remove(at));
                }
                Ok(())
            }
            Step::Feed => {
                let from = self.next_feed_seq;
                self.next_feed_seq = check::feed(&self.db(), &mut self.model, from)?;
                Ok(())
            }
            Step::OpenReader => self.open_reader(),
            Step::Read { which } => self.read(*which),
            Step::TakeReaderSnapshot { which } => self.take_reader_snapshot(*which),
            Step::CloseReader { which } => {
                self.close_reader(*which);
                Ok(())
            }
            Step::Reopen => {
                self.snapshots.clear();
                let db = self.db.take().expect("the database is open");
                db.close().map_err(|error| self.stop("close", &error))?;
                self.model.synced();
                let opened = self.setup.open(self.disk(), DIR);
                let db = opened.map_err(|error| self.stop("open after closing", &error))?;
                if !db.recovery().clean || db.recovery().records_count > 0 {
                    return Err(Stop::Violation("closing left something to recover".into()));
                }
                self.db = Some(db);
                self.clock().map(drop)
            }
            Step::Kill => {
                self.crash(Crash::Kill);
                self.recover(Crash::Kill)
            }
            Step::KillWriter => {
                self.kill_writer();
                self.read_all()?;
                self.recover(Crash::Kill)?;
                self.read_all()
            }
        }
    }
}

fn options(level: Option<Level>) -> WriteOptions {
    level.map_or(WriteOptions::default(), |level| {
        WriteOptions::default().durability(level.durability())
    })
}
