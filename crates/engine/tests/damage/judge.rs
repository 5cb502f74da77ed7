//! What may come of opening a database with one damaged file.

use crate::sample::{self, DIR, Image, Sample, State};
use annals_engine::{Database, Error, ErrorKind};
use std::{path::Path, sync::Arc};

/// What is allowed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// How many of the last commits may be missing without an error. The very last commit of a
    /// killed process is the only one that no later frame says is synced.
    lost_commits_max: usize,
    /// Whether the log was not closed.
    pub(crate) unclean: bool,
}

impl Rules {
    pub(crate) const CLOSED: Self = Self { lost_commits_max: 0, unclean: false };
    pub(crate) const KILLED: Self = Self { lost_commits_max: 1, unclean: true };
}

/// One damage to one file.
pub(crate) struct Case<'a> {
    pub(crate) sample: &'a Sample,
    /// The files, one of them damaged.
    pub(crate) image: Image,
    /// The damaged file.
    pub(crate) name: &'a str,
    pub(crate) what: String,
    /// Whether the damage is where something stands and must be seen; if not, it must not be;
    /// `None`: nobody can know.
    pub(crate) informs: Option<bool>,
    pub(crate) rules: Rules,
    pub(crate) nth: u64,
}

impl Drop for Case<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the case: {}", self.what);
        }
    }
}

impl Case<'_> {
    pub(crate) fn judge(&self) {
        let disk = Arc::new(self.image.memory());
        match sample::builder().disk(disk.clone()).open(DIR) {
            Err(error) => {
                self.is_named(&error);
                let mut after = Image::read(&*disk, Path::new(DIR));
                let mut before = self.image.clone();
                // Whoever asks for the lock may leave its file.
                let lock = Path::new(DIR).join("annals.lock");
                after.0.remove(&lock);
                before.0.remove(&lock);
                assert!(before == after, "a failed opening has changed files: {error}");
                assert!(self.informs != Some(false), "an error for nothing: {error}");
            }
            Ok(db) => {
                let state = self.state(&db);
                let report = db.verify(&mut |_| {}).unwrap();
                let named = report.damages.iter().any(|damage| damage.path.ends_with(self.name));
                let lost = state != self.sample.last();
                let warnings = &db.recovery().warnings;
                assert!(
                    named || lost || self.informs != Some(true),
                    "verification overlooks it: {report:?} {warnings:?}"
                );
                assert!(!lost || !warnings.is_empty(), "a loss without a word");
                if self.name.ends_with(".ckp") {
                    assert!(warnings.iter().any(|w| w.contains(self.name)), "{warnings:?}");
                }
                if self.nth.is_multiple_of(16) {
                    self.go_on(db, state, &disk);
                }
            }
        }
    }

    fn is_named(&self, error: &Error) {
        let text = error.to_string();
        assert!(text.contains(self.name), "`{text}` does not name {}", self.name);
        assert!(
            matches!(
                error.kind(),
                ErrorKind::Corrupt | ErrorKind::Version | ErrorKind::NotADatabase
            ),
            "{:?}: {text}",
            error.kind()
        );
    }

    /// The latest state that the database shows, with errors where it cannot.
    fn state(&self, db: &Database) -> &State {
        let mut why = Vec::new();
        for state in self.sample.history.iter().rev().take(1 + self.rules.lost_commits_max) {
            match self.compare(db, state) {
                Ok(()) => return state,
                Err(difference) => why.push(difference),
            }
        }
        panic!("no state that was promised: {why:?}, {:?}", db.recovery());
    }

    /// Whether every record is that of `state` or an error that names the file.
    fn compare(&self, db: &Database, state: &State) -> Result<(), String> {
        let names: Vec<_> = db.keyspaces().into_iter().map(|info| info.name).collect();
        if !names.iter().eq(state.keys()) {
            return Err(format!("keyspaces {names:?}"));
        }
        for (name, records) in state {
            let keyspace = db.open_hash_keyspace(name).unwrap();
            let mut damaged_count = 0;
            for key in &self.sample.ever[name] {
                let expected = records.get(key).map(|value| &value[..]);
                match keyspace.get(key) {
                    Ok(found) if found.as_deref() == expected => {}
                    Ok(found) => return Err(format!("{name} {key:?} is {found:?}")),
                    Err(error) => {
                        self.is_named(&error);
                        damaged_count += usize::from(expected.is_some());
                    }
                }
            }
            let (mut ok, mut bad) = (0, 0);
            for entry in keyspace.iter().unwrap() {
                match entry {
                    Ok(entry)
                        if records.get(entry.key()).map(|v| &v[..]) == Some(entry.value()) =>
                    {
                        ok += 1;
                    }
                    Ok(entry) => return Err(format!("{name} has {:?}", entry.to_vecs())),
                    Err(error) => {
                        self.is_named(&error);
                        bad += 1;
                    }
                }
            }
            // A damaged record whose key was written again or removed later still has its place.
            let len = keyspace.len() as usize;
            if ok + damaged_count != records.len() || bad < damaged_count || len != ok + bad {
                return Err(format!("{name}: {ok} records, {bad} errors, length {len}"));
            }
            assert!(bad == 0 || self.informs == Some(true), "errors for nothing");
        }
        Ok(())
    }

    /// Writing, compacting, closing and opening again keep what is right and hide no damage.
    fn go_on(&self, db: Database, state: &State, disk: &Arc<annals_disk::MemoryDisk>) {
        let keyspace = db.open_hash_keyspace("orders").unwrap();
        for n in 0..40u32 {
            keyspace.insert(n.to_be_bytes(), b"new").unwrap();
        }
        db.compact().unwrap();
        for n in 0..40u32 {
            assert!(keyspace.remove(n.to_be_bytes()).unwrap());
        }
        self.compare(&db, state).unwrap();
        drop(keyspace);
        db.close().unwrap();
        let disk: Arc<dyn annals_disk::Disk> = disk.clone();
        let db = sample::builder().disk(disk).open(DIR).unwrap();
        self.compare(&db, state).unwrap();
    }
}
