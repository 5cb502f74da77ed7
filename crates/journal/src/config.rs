//! Settings of a journal: plain values with units, checked once, at open.

use crate::{Error, Result, format::SEGMENT_BYTES_MAX};
use std::time::Duration;

/// What has been done to a commit when the call that made it returns.
///
/// | | a process crash loses | a power cut loses |
/// |---|---|---|
/// | `Buffered` | nothing acknowledged | what the kernel had not written yet |
/// | `Interval` | nothing acknowledged | at most the last interval |
/// | `Sync` | nothing acknowledged | nothing acknowledged |
///
/// ```
/// # use annals_journal as annals;
/// use annals::Durability;
/// use std::time::Duration;
/// let every = Duration::from_millis(10);
/// // The default: writers never wait, and a power cut takes at most the last 10 ms.
/// assert_eq!(Durability::default(), Durability::interval(every));
/// // The same, but a power cut never takes more than 1,000 records.
/// let bounded = Durability::Interval { every, events: Some(1000), bytes: None };
/// assert_ne!(bounded, Durability::default());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The commit is in the kernel's hands. Nothing is synced on its account.
    Buffered,
    /// The log is synced in the background.
    Interval {
        /// At the latest this long after the commit.
        every: Duration,
        /// Writers wait for a sync once this many records are not synced, or this many events of event tables.
        events: Option<u64>,
        /// Writers wait for a sync once this many bytes are not synced.
        bytes: Option<u64>,
    },
    /// The commit is on the device. Writers that wait at the same time share one sync.
    Sync,
}

impl Default for Durability {
    fn default() -> Self {
        Self::interval(Duration::from_millis(10))
    }
}

impl Durability {
    /// Synced in the background at the latest `every` after a commit; writers never wait.
    ///
    /// ```
    /// # use annals_journal as annals;
    /// use annals::Durability;
    /// use std::time::Duration;
    /// const EACH_SECOND: Durability = Durability::interval(Duration::from_secs(1));
    /// let every = Duration::from_secs(1);
    /// assert_eq!(EACH_SECOND, Durability::Interval { every, events: None, bytes: None });
    /// ```
    #[must_use]
    pub const fn interval(every: Duration) -> Self {
        Self::Interval { every, events: None, bytes: None }
    }
}

/// Who does the work that no caller waits for: syncing at intervals, preparing segments.
///
/// ```
/// # use annals_journal as annals;
/// use annals::Background;
/// // A test that must do the same each time has no threads beside it; all others have.
/// let background = |simulated| if simulated { Background::Manual } else { Background::default() };
/// assert_eq!(background(false), Background::Threads);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Background {
    /// Threads of the database.
    #[default]
    Threads,
    /// Nobody but the caller, by [`Journal::tick`](crate::Journal::tick) or `Database::tick`. For
    /// simulations, where the order of all operations must follow from a seed.
    Manual,
}

/// Settings of a journal.
#[derive(Clone, Debug)]
pub struct Config {
    /// Bytes of a segment file; a multiple of 4096 between 64 KiB and 4 GiB. Default 64 MiB.
    pub segment_bytes: u64,
    /// The durability of commits that do not say otherwise. Default: an interval of 10 ms.
    pub durability: Durability,
    /// Segments held ready behind the one in use. Default 1.
    pub spares: u32,
    /// Who does the background work. Default: threads.
    pub background: Background,
    /// Slots that hold back more than this many bytes of log are reported as over their limit.
    /// Default 1 GiB.
    pub hold_limit_bytes: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            durability: Durability::default(),
            spares: 1,
            background: Background::Threads,
            hold_limit_bytes: 1 << 30,
        }
    }
}

impl Config {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Config`] with the field, its value and the allowed range.
    pub fn validate(&self) -> Result<()> {
        let bytes = self.segment_bytes;
        let in_range = (64 << 10..=SEGMENT_BYTES_MAX as u64).contains(&bytes);
        if !in_range || !bytes.is_multiple_of(4096) {
            return Err(Error::Config {
                field: "segment_bytes",
                value: bytes,
                allowed: "a multiple of 4096 from 65536 to 4294963200",
            });
        }
        if self.spares > 16 {
            let value = u64::from(self.spares);
            return Err(Error::Config { field: "spares", value, allowed: "0 to 16" });
        }
        if let Durability::Interval { every, events, bytes } = self.durability {
            let zero = |field| Error::Config { field, value: 0, allowed: "1 or more" };
            if every.is_zero() {
                return Err(zero("durability.every"));
            }
            if events == Some(0) {
                return Err(zero("durability.events"));
            }
            if bytes == Some(0) {
                return Err(zero("durability.bytes"));
            }
        }
        Ok(())
    }
}
