//! What writes to keyspaces of either kind have in common: what may be asked of one, how a conditional one
//! ends, and trying again.

use crate::{Commit, Durability, Error, Result};
use std::time::Duration;

/// What a single write may ask for beyond the keyspace's and the database's settings.
///
/// ```
/// # use annals_engine as annals;
/// use annals::{Database, Durability, WriteOptions};
/// use std::time::Duration;
/// let db = Database::open_in_memory()?;
/// let (sessions, a_minute) = (db.hash_keyspace("sessions")?, Duration::from_secs(60));
/// let options = WriteOptions::default().ttl(a_minute).durability(Durability::Sync);
/// sessions.insert_with("ada", "token", options)?;
/// assert!(sessions.contains("ada")?);
/// # Ok::<(), annals::Error>(())
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
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, Durability, WriteOptions};
    /// let db = Database::builder().durability(Durability::Buffered).open_in_memory()?;
    /// let payments = db.keyspace("payments")?;
    /// payments.insert_with("17", "12 EUR", WriteOptions::default().durability(Durability::Sync))?;
    /// assert_eq!(db.stats().log.synced, db.stats().log.end);
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = Some(durability);
        self
    }

    /// Lets the record expire `ttl` after it was written, in steps of a millisecond.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Background, Database, WriteOptions};
    /// use annals_disk::{SimDisk, SimOptions};
    /// use std::{sync::Arc, time::Duration};
    /// # let disk = Arc::new(SimDisk::new(SimOptions::default()));
    /// # let builder = Database::builder().disk(disk.clone()).background(Background::Manual);
    /// # let db = builder.open("db")?;
    /// let codes = db.keyspace("codes")?;
    /// let a_minute = WriteOptions::default().ttl(Duration::from_secs(60));
    /// codes.insert_with("ada", "4711", a_minute)?;
    /// // The disk is a simulated one, and its clock with it.
    /// disk.advance_ms(59_999);
    /// assert!(codes.contains("ada")?);
    /// disk.advance_ms(1);
    /// assert!(!codes.contains("ada")?);
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }
}

/// How a compare-and-swap ended.
///
/// ```
/// # use annals_engine as annals;
/// use annals::{CasOutcome, Database};
/// let db = Database::open_in_memory()?;
/// let stock = db.hash_keyspace("stock")?;
/// stock.insert("apple", "42")?;
/// let swapped = stock.compare_and_swap("apple", Some(b"42"), Some(b"41"))?;
/// assert!(matches!(swapped, CasOutcome::Swapped(Some(_))));
/// // Somebody else who still takes it for 42 is told what it is.
/// let late = stock.compare_and_swap("apple", Some(b"42"), Some(b"40"))?;
/// assert_eq!(late, CasOutcome::Different(Some(b"41".to_vec())));
/// # Ok::<(), annals::Error>(())
/// ```
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
