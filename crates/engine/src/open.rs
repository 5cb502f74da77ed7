//! What user handles hold: the state of the database, and for read-only handles the states after it.
//!
//! A writer has one state for as long as it is open. A read-only handle follows the log; when the
//! writer has compacted away what it stands on, it loads the database anew, and the new state is
//! appended to a chain that only grows. References into an older state stay valid; its segments are
//! let go as soon as no snapshot of it is left.

use crate::{Builder, Error, Result, Snapshot, core::Core, loading};
use std::{
    ops::Deref,
    sync::{Arc, OnceLock, atomic::Ordering},
};

/// What user handles hold. When the last one goes, the database is closed there and then; the
/// maintenance thread, which holds the [`Core`] alone, cannot keep it open.
#[derive(Debug)]
pub(crate) struct Open {
    first: State,
    builder: Builder,
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
        Self { first: State { core, next: OnceLock::new() }, builder }
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

    /// In a read-only handle: sees to it that what the writer has committed is applied.
    #[inline]
    pub(crate) fn follow_if_read_only(&self) -> Result<()> {
        let core = self.core();
        if core.read_only && core.journal.may_have_more() { self.follow() } else { Ok(()) }
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
            outcome = core.follow();
            if !matches!(outcome, Err(Error::Stale)) {
                return outcome;
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

    fn append(&self, core: Core) {
        let mut state = &self.first;
        while let Some(next) = state.next.get() {
            state = next;
        }
        // Called under the lock of the newest state, so nobody else appends.
        drop(state.next.set(Box::new(State { core: Arc::new(core), next: OnceLock::new() })));
    }

    /// Lets go of the segments of states that nobody reads any more.
    fn let_go(&self) {
        let mut state = &self.first;
        while let Some(next) = state.next.get() {
            if state.core.snapshots.count() == 0 {
                let slots: Vec<u32> =
                    state.core.journal.segments().iter().map(|info| info.slot).collect();
                state.core.journal.release(&slots);
                state.core.journal.reap();
            }
            state = next;
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Err(error) = loading::close(self.core()) {
            tracing::warn!(%error, "not closed cleanly; the next opening recovers");
        }
    }
}
