//! A simulated machine with a database on it: does steps, crashes, recovers, and compares with the
//! model all the time.

use crate::{
    check,
    handle::TREES,
    model::{Contents, Crash, Level, Model, State, difference, visible},
    process::Life,
    random::Random,
    readers::Reader,
};
use annals_disk::{Disk, SimDisk, SimOptions, hooked::hooked};
use annals_engine::{Background, Database, Error, ErrorKind, Snapshot, WriteOptions};
use std::{cell::Cell, sync::Arc, time::Duration};

pub(crate) const DIR: &str = "data/db";
pub(crate) const BACKUP_DIR: &str = "data/backup";

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
    pub(crate) memory_bytes: u64,
    /// How ordered keyspaces that are made keep their tables.
    pub(crate) trees: u64,
}

impl Setup {
    pub(crate) fn random(random: &mut Random) -> Self {
        Self {
            level: random.pick(&[Level::Buffered, Level::Interval, Level::Interval, Level::Sync]),
            checkpoint_every_bytes: random.pick(&[4 << 10, 40 << 10, 1 << 30]),
            compact_below: random.pick(&[0.0, 0.5, 0.9]),
            memory_bytes: random.pick(&[64 << 10, 96 << 20]),
            trees: random.below(TREES),
        }
    }

    pub(crate) fn fixed() -> Self {
        Self {
            level: Level::Interval,
            checkpoint_every_bytes: 1 << 30,
            compact_below: 0.5,
            memory_bytes: 96 << 20,
            trees: 0,
        }
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
            .memory_bytes(self.memory_bytes)
            .flush_at(40, 8 << 10, Duration::from_millis(100))
            .durability(self.level.durability())
    }

    pub(crate) fn read(self, disk: Arc<dyn Disk>, dir: &str) -> Result<Database, Error> {
        self.builder(disk).read_only(true).open(dir)
    }
}

/// What the directory for backups may hold.
#[derive(Debug, Default)]
pub(crate) struct Backups {
    /// The state of the last finished one.
    pub(crate) finished: Option<Arc<Contents>>,
    /// The states of those that were cut off since.
    pub(crate) interrupted: Vec<Arc<Contents>>,
}

/// A simulated machine.
pub(crate) struct World {
    pub(crate) sim: SimDisk,
    /// What the engine gets to see of the disk; an honest test gives it the disk itself.
    pub(crate) wrap: fn(SimDisk) -> Arc<dyn Disk>,
    pub(crate) setup: Setup,
    pub(crate) db: Option<Database>,
    pub(crate) model: Model,
    /// The most segments that one opening has recycled.
    pub(crate) recycled_count: u64,
    /// The writing process.
    pub(crate) life: Arc<Life>,
    /// Handles of other processes, open for reading.
    pub(crate) readers: Vec<Reader>,
    /// The time that the database showed last.
    pub(crate) clock_ms: u64,
    /// The latest time that the machine's clock has shown.
    pub(crate) latest_ms: u64,
    pub(crate) snapshots: Vec<(Snapshot, State)>,
    pub(crate) backups: Backups,
    pub(crate) writes_count: u64,
    pub(crate) next_feed_seq: u64,
    pub(crate) last_crash: Option<Crash>,
    /// The last error that the engine gave.
    pub(crate) failure: Cell<Option<Error>>,
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
        hooked(self.machine_disk(), Arc::clone(&self.life))
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
        let seen = |from: &Arc<Contents>| visible(from, clock_ms);
        let differs = |from: &Arc<Contents>| difference(&seen(from), &found);
        let old = finished.as_ref().map(differs).unwrap_or_default();
        let new = interrupted.last().map(differs).unwrap_or_default();
        let is_it = |contents: &Arc<Contents>| seen(contents) == found;
        let fit = interrupted.iter().rev().chain(&finished).find(|state| is_it(state)).cloned();
        match fit {
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
}
