//! What writes to keyspaces of either kind have in common: what may be asked of one, how a conditional one
//! ends, and trying again.

use crate::{Commit, Durability, Error, Result};
use std::time::Duration;

/// What a single write may ask for beyond the keyspace's and the database's settings.
///
/// ```
/// # use annals_engine as annals;
/// use annals::{Durability, WriteOptions};
/// use std::time::Duration;
/// let options = WriteOptions::default().ttl(Duration::from_secs(60)).durability(Durability::Sync);
/// # let _ = options;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WriteOptions {
    /// What has been done to the commit when the call returns.
    pub durability: Option<Durability>,
    /// How long the record lives.
    pub ttl: Option<Duration>,
}

impl WriteOptions {
    /// Sets the durability of this commit.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = Some(durability);
        self
    }

    /// Lets the record expire `ttl` after it was written, in steps of a millisecond.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }
}

/// How a compare-and-swap ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CasOutcome {
    /// The key had the expected value and has the new one now. No commit was needed if it was not
    /// there and was not to be.
    Swapped(Option<Commit>),
    /// The key had another value, this one, and was left alone.
    Different(Option<Vec<u8>>),
}

/// How often an update is tried again when others change the key in between. Each loss means that
/// somebody else's commit went through.
const ATTEMPTS_MAX: u32 = 1_000_000;

/// What the first attempt that is not beaten by somebody else's commit comes to; `None` says that it was
/// beaten.
pub(crate) fn until_first<R>(mut attempt: impl FnMut() -> Result<Option<R>>) -> Result<R> {
    for _ in 0..ATTEMPTS_MAX {
        if let Some(outcome) = attempt()? {
            return Ok(outcome);
        }
    }
    Err(Error::Conflict { attempts: ATTEMPTS_MAX })
}
