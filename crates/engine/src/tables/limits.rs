//! How far a question may go.

use crate::{Error, Result};
use annals_columns::Answer;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// So many groups at most, if nothing else is said: they take a gigabyte or two.
const GROUPS_MAX: usize = 1 << 22;

/// Calls off questions that are being asked, from any thread. Clones call off the same ones.
///
/// ```
/// # use annals_engine as annals;
/// use annals::{CancelToken, Database, ErrorKind};
/// use annals_columns::{Role, Schema};
/// use std::sync::Arc;
/// let db = Database::open_in_memory()?;
/// let ticks = db.table("ticks", &Arc::new(Schema::builder(1).with("at", Role::Ts).build()?))?;
/// let token = CancelToken::new();
/// token.cancel();
/// let outcome = ticks.view()?.query().cancelled_by(&token).run();
/// assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Cancelled);
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// A token that calls off nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls off.
    pub fn cancel(&self) {
        // Nothing else is told by it.
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether that was done.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// How far a question may go.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    pub(super) cancel: Option<CancelToken>,
    pub(super) groups_max: usize,
    /// So many bytes at most for what is kept of groups and numbers.
    pub(super) memory_max: u64,
    /// So many threads at most; 0: as many as the machine has.
    pub(super) threads: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { cancel: None, groups_max: GROUPS_MAX, memory_max: u64::MAX, threads: 1 }
    }
}

impl Limits {
    pub(super) fn check_cancelled(&self) -> Result<()> {
        match &self.cancel {
            Some(token) if token.is_cancelled() => Err(Error::Cancelled),
            _ => Ok(()),
        }
    }

    /// Whether there is more to do between pieces of a part than to go on.
    pub(super) fn are_asked_for(&self) -> bool {
        self.threads != 1 || self.cancel.is_some() || self.memory_max < u64::MAX
    }

    pub(super) fn check(&self, answer: &Answer) -> Result<()> {
        self.check_cancelled()?;
        let (groups, limit) = (answer.groups_count(), self.groups_max);
        if groups > limit {
            return Err(Error::TooManyGroups { groups, limit });
        }
        // It takes a look at each group.
        if self.memory_max == u64::MAX {
            return Ok(());
        }
        let (bytes, limit) = (answer.memory_bytes(), self.memory_max);
        if bytes > limit { Err(Error::TooMuchMemory { bytes, limit }) } else { Ok(()) }
    }

    /// So many threads at most; 0: as many as the machine has.
    pub(super) fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }
}
