//! Processes that read beside the writer: their handles stay open while it commits, compacts, writes
//! checkpoints, dies, and is followed by another one.

use crate::{
    check,
    model::State,
    world::{DIR, Done, Stop, World},
};
use annals_engine::{Database, Snapshot};

/// A handle of another process.
#[derive(Debug)]
pub(crate) struct Reader {
    db: Database,
    /// The commit that it has seen; it never goes back behind it.
    number: usize,
    /// The time it has shown.
    clock_ms: u64,
    snapshots: Vec<(Snapshot, State)>,
}

/// How many of them there may be.
const READERS_MAX: usize = 3;

impl World {
    pub(crate) fn open_reader(&mut self) -> Done {
        if self.readers.len() == READERS_MAX {
            return Ok(());
        }
        let opened = self.setup.read(self.machine_disk(), DIR);
        let db = opened.map_err(|error| self.stop("open read-only", &error))?;
        self.readers.push(Reader { db, number: 0, clock_ms: 0, snapshots: Vec::new() });
        self.read(self.readers.len() as u8 - 1)
    }

    fn reader(&self, which: u8) -> Option<usize> {
        (!self.readers.is_empty()).then(|| usize::from(which) % self.readers.len())
    }

    pub(crate) fn close_reader(&mut self, which: u8) {
        if let Some(at) = self.reader(which) {
            self.readers.swap_remove(at);
        }
    }

    /// One reader reads all: it sees what has been committed.
    pub(crate) fn read(&mut self, which: u8) -> Done {
        let done = self.compare(which);
        if self.sim.is_power_cut() { Err(Stop::Cut) } else { done }
    }

    fn compare(&mut self, which: u8) -> Done {
        let Some(at) = self.reader(which) else { return Ok(()) };
        let db = self.readers[at].db.clone();
        let found = check::state(&db);
        let clock_ms = db.stats().clock_ms;
        let told_ms = self.model.told_ms();
        self.saw(at, self.model.number(), told_ms, &found?, clock_ms)?;
        check::gone(&db, self.model.now(), clock_ms)?;
        for (snapshot, expected) in &self.readers[at].snapshots {
            let found = check::snapshot_state(snapshot)?;
            check::same("a reader's snapshot", expected, &found)?;
        }
        Ok(())
    }

    /// What snapshots of readers hold is as it was, whatever the writer has done since.
    pub(crate) fn look_at_readers(&self) -> Done {
        for (snapshot, expected) in self.readers.iter().flat_map(|reader| &reader.snapshots) {
            let found = check::snapshot_state(snapshot)?;
            check::same("a snapshot of a reader", expected, &found)?;
        }
        Ok(())
    }

    pub(crate) fn read_all(&mut self) -> Done {
        (0..self.readers.len()).try_for_each(|at| self.read(at as u8))
    }

    /// Checks what a reader saw when commit `least` had returned, and the writer had told that
    /// something was over at `told_ms`.
    fn saw(&mut self, at: usize, least: usize, told_ms: u64, found: &State, clock_ms: u64) -> Done {
        let reader = &mut self.readers[at];
        if clock_ms < reader.clock_ms.max(told_ms) {
            return Err(Stop::Violation(format!(
                "a reader's clock shows {clock_ms}; it has shown {}, and the writer's {told_ms}",
                reader.clock_ms
            )));
        }
        reader.clock_ms = clock_ms;
        let least = least.max(reader.number);
        let Some(number) = self.model.number_of(found, clock_ms, least) else {
            let seen = self.model.seen(clock_ms);
            let difference = crate::model::difference(&seen, found);
            return Err(Stop::Violation(format!(
                "a reader sees no state from commit {least} on; against commit {}: {difference}",
                self.model.number()
            )));
        };
        reader.number = number;
        self.model.was_read(number);
        Ok(())
    }

    pub(crate) fn take_reader_snapshot(&mut self, which: u8) -> Done {
        self.read(which)?;
        let Some(at) = self.reader(which) else { return Ok(()) };
        let reader = &mut self.readers[at];
        let snapshot = reader.db.snapshot();
        let seen = check::keyspaces_of(self.model.seen(reader.clock_ms));
        reader.snapshots.push((snapshot, seen));
        if reader.snapshots.len() > 2 {
            reader.snapshots.remove(0);
        }
        Ok(())
    }

    /// Lets the first reader look between the operations of the next step.
    pub(crate) fn start_watching(&mut self) -> (usize, u64) {
        const EVERY: u64 = 7;
        let watcher = self.readers.first().map(|reader| (reader.db.clone(), EVERY));
        self.life().watch(watcher);
        (self.model.number(), self.model.told_ms())
    }

    /// Checks what it saw. `before` is the commit that had returned when the step began, and the
    /// time that the writer had told of.
    pub(crate) fn end_watching(&mut self, before: (usize, u64)) -> Done {
        let sightings = self.life().sightings();
        self.life().watch(None);
        if self.readers.is_empty() || self.sim.is_power_cut() {
            return Ok(());
        }
        for sighting in sightings {
            let (found, clock_ms) = sighting?;
            self.saw(0, before.0, before.1, &found, clock_ms)?;
        }
        Ok(())
    }
}
