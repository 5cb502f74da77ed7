//! Who holds the lock of a file, for the disks that live in memory: any number of shared holders
//! or one exclusive holder.

use crate::{Holder, LockMode};

/// The state of one lock.
#[derive(Debug, Default)]
pub(crate) struct Holders {
    exclusive: Option<Holder>,
    shared_count: usize,
}

impl Holders {
    /// Whether the lock can be taken in `mode` now.
    pub(crate) fn admits(&self, mode: LockMode) -> bool {
        match mode {
            LockMode::Exclusive => self.exclusive.is_none() && self.shared_count == 0,
            LockMode::Shared => self.exclusive.is_none(),
        }
    }

    /// Takes the lock.
    ///
    /// # Panics
    /// If it is not admitted.
    pub(crate) fn take(&mut self, mode: LockMode, holder: Holder) {
        assert!(self.admits(mode), "a lock was taken twice");
        match mode {
            LockMode::Exclusive => self.exclusive = Some(holder),
            LockMode::Shared => self.shared_count += 1,
        }
    }

    /// Gives the lock back.
    pub(crate) fn release(&mut self, mode: LockMode) {
        match mode {
            LockMode::Exclusive => self.exclusive = None,
            LockMode::Shared => self.shared_count = self.shared_count.saturating_sub(1),
        }
    }

    /// Who holds it exclusively.
    pub(crate) fn exclusive(&self) -> Option<&Holder> {
        self.exclusive.as_ref()
    }
}
