//! What user handles hold: the state of the database, and for read-only handles the states after it.
//!
//! A writer has one state for as long as it is open. A read-only handle follows the log; when the
//! writer has compacted away what it stands on, it loads the database anew, and the new state is
//! appended to a chain that only grows. References into an older state stay valid; its segments and
//! tables are let go as soon as no snapshot of it is left.

use crate::{
    Builder, Error, Result, Snapshot,
    core::Core,
    loading,
    streams::{Registry, Resets},
};
use std::{
    ops::Deref,
    sync::{Arc, OnceLock, atomic::Ordering},
};

/// What user handles hold. When the last one goes, the database is closed there and then; the
/// maintenance thread, which holds the [`Core`] alone, cannot keep it open.
#[derive(Debug)]
pub(crate) struct Open {
    first: State,
    pub(crate) builder: Builder,
    /// Whether it is for work in the background only.
    is_beside: bool,
    /// Those that are open.
    pub(crate) subscriptions: Registry,
    /// Projections that are emptied just now.
    pub(crate) resets: Resets,
}

#[derive(Debug)]
struct State {
    core: Arc<Core>,
    next: OnceLock<Box<State>>,
}

impl Deref for Open {
    type Target = Core;

    #[inline]
    fn deref(&self) -> &Core {
        self.core()
    }
}

impl Open {
    pub(crate) fn new(core: Arc<Core>, builder: Builder) -> Self {
        let subscriptions = Registry::default();
        let first = State { core, next: OnceLock::new() };
        let resets = Resets::default();
        Self { first, builder, is_beside: false, subscriptions, resets }
    }

    /// The same state for work in the background, of a database that is open for writing: it neither keeps the
    /// database open nor closes it.
    pub(crate) fn beside(core: &Arc<Core>) -> Self {
        let mut beside = Self::new(Arc::clone(core), Builder::default());
        beside.is_beside = true;
        beside
    }

    /// The newest state.
    #[inline]
    pub(crate) fn core(&self) -> &Arc<Core> {
        let mut state = &self.first;
        while let Some(next) = state.next.get() {
            state = next;
        }
        &state.core
    }

    /// Reads the newest state. One that was left meanwhile may have been emptied: then it is read
    /// again.
    pub(crate) fn newest<'a, R>(&'a self, mut read: impl FnMut(&'a Core) -> R) -> R {
        loop {
            let core: &'a Core = self.core();
            let found = read(core);
            if !core.superseded.load(Ordering::Acquire) {
                return found;
            }
        }
    }

    /// The state that `snapshot` is of.
    pub(crate) fn state_of(&self, snapshot: &Snapshot) -> &Core {
        let mut state = &self.first;
        while !Arc::ptr_eq(&state.core, snapshot.core())
            && let Some(next) = state.next.get()
        {
            state = next;
        }
        &state.core
    }

    /// The newest state, and what keeps it as it is if this is a read-only handle, which may leave it.
    pub(crate) fn keep(self: &Arc<Self>) -> (Option<Snapshot>, &Core) {
        let kept = self.read_only.then(|| Snapshot::take(self));
        let core = kept.as_ref().map_or(&**self.core(), |kept| self.state_of(kept));
        (kept, core)
    }

    /// In a read-only handle that is not closed: sees to it that what the writer has committed is applied.
    #[inline]
    pub(crate) fn follow_if_read_only(&self) -> Result<()> {
        let core = self.core();
        let may_have_more = || {
            let may_have_more = core.journal.may_have_more() || core.trees.may_have_more();
            may_have_more && !core.journal.is_closed()
        };
        if core.read_only && may_have_more() { self.follow() } else { Ok(()) }
    }

    #[cold]
    fn follow(&self) -> Result<()> {
        // The writer may compact again while the new state is loaded.
        const ATTEMPTS: usize = 8;
        let mut outcome = Ok(());
        for _ in 0..ATTEMPTS {
            let core = Arc::clone(self.core());
            let following = core.following.lock();
            if core.superseded.load(Ordering::Acquire) {
                continue;
            }
            // Closed meanwhile: a state that is loaded now would be open.
            if core.journal.is_closed() {
                return Ok(());
            }
            outcome = core.follow();
            match outcome {
                Err(Error::Stale) => {}
                // The writer has removed a segment since the root was read.
                Err(Error::Journal(annals_journal::Error::Missing { .. })) => continue,
                _ => return outcome,
            }
            match loading::load_read_only(&core, &self.builder) {
                Ok(fresh) => {
                    self.append(fresh);
                    core.superseded.store(true, Ordering::Release);
                    drop(following);
                    self.let_go();
                    outcome = Ok(());
                }
                // Files went away between reading the root and opening them.
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }

    /// Closes the database for all handles.
    pub(crate) fn close(&self) -> Result<()> {
        loop {
            let core = self.core();
            // Who follows the writer may be about to leave this state for one that is open.
            let _following = core.read_only.then(|| core.following.lock());
            if !core.superseded.load(Ordering::Acquire) {
                return loading::close(core);
            }
        }
    }

    fn append(&self, core: Core) {
        let mut state = &self.first;
        while let Some(next) = state.next.get() {
            state = next;
        }
        // Called under the lock of the newest state, so nobody else appends.
        drop(state.next.set(Box::new(State { core: Arc::new(core), next: OnceLock::new() })));
    }

    /// Lets go of what the states have that nobody reads any more.
    fn let_go(&self) {
        let mut state = &self.first;
        while let Some(next) = state.next.get() {
            // Whoever appended the next one may not have said so yet: who reads this one would believe that it is empty.
            let is_left = state.core.superseded.load(Ordering::Acquire);
            if is_left && state.core.snapshots.count() == 0 {
                state.core.let_go();
            }
            state = next;
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.is_beside {
            return;
        }
        if let Err(error) = self.close() {
            tracing::warn!(%error, "not closed cleanly; the next opening recovers");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Background, Database};
    use annals_disk::{SimDisk, SimOptions};

    #[test]
    fn states_that_a_reader_has_left_are_empty() -> Result<()> {
        let disk = SimDisk::new(SimOptions::seeded(1));
        let builder = || {
            let disk = Arc::new(disk.clone());
            let builder = Database::builder().segment_bytes(64 << 10).disk(disk);
            builder.background(Background::Manual)
        };
        let db = builder().open("db")?;
        let keyspace = db.hash_keyspace("k")?;
        keyspace.insert("first", "1")?;
        let reader = builder().read_only(true).open("db")?;
        let seen = reader.open_hash_keyspace("k")?;
        let mut snapshot = Some(reader.snapshot());
        for round in 0..6u32 {
            for n in 0..500u32 {
                keyspace.insert(n.to_be_bytes(), [round as u8; 200])?;
            }
            db.compact()?;
            assert_eq!(seen.get(7u32.to_be_bytes())?.as_deref(), Some(&[round as u8; 200][..]));
            if let Some(snapshot) = &snapshot {
                assert!(snapshot.contains("k", "first")?);
                assert!(!snapshot.contains("k", 7u32.to_be_bytes())?);
            }
            if round == 3 {
                snapshot = None;
            }
        }
        assert_eq!(seen.len(), 501);
        let (mut left, mut state) = (0, &reader.core.first);
        while let Some(next) = state.next.get() {
            assert_eq!(state.core.catalog.load().iter().count(), 0, "state {left}");
            (left, state) = (left + 1, next);
        }
        assert!(left > 2, "the reader loaded {left} times anew");
        Ok(())
    }

    #[test]
    fn a_state_is_emptied_only_once_readers_can_tell_that_it_was_left() -> Result<()> {
        let disk = SimDisk::new(SimOptions::seeded(1));
        let builder = || {
            let builder = Database::builder().segment_bytes(64 << 10).disk(Arc::new(disk.clone()));
            builder.background(Background::Manual)
        };
        let db = builder().open("db")?;
        db.hash_keyspace("k")?.insert("first", "1")?;
        let reader = builder().read_only(true).open("db")?;
        let open = &reader.core;
        let left = Arc::clone(open.core());
        let names = || left.catalog.load().iter().count();
        // One thread has appended the next state and has not come further; another lets go of what was left.
        open.append(loading::load_read_only(&left, &open.builder)?);
        open.let_go();
        assert_eq!(names(), 1, "who reads it takes it for the newest");
        left.superseded.store(true, Ordering::Release);
        open.let_go();
        assert_eq!(names(), 0);
        Ok(())
    }
}
