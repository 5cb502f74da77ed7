//! The clock used for expiry: the wall clock, made to never run backwards.

use annals_disk::Disk;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// A time in milliseconds: the most there are if it is longer. Cut off in place of that, what is to stay for ever
/// would be over at once.
#[inline]
pub(crate) fn as_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// A clock that never runs backwards, also not across a restart: it starts at the latest time the
/// log knows.
#[derive(Debug)]
pub(crate) struct Clock {
    disk: Arc<dyn Disk>,
    latest_ms: AtomicU64,
}

impl Clock {
    pub(crate) fn new(disk: Arc<dyn Disk>, start_ms: u64) -> Self {
        Self { disk, latest_ms: AtomicU64::new(start_ms) }
    }

    /// Milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> u64 {
        let now = self.disk.now_ms();
        // Most of the time it is the same millisecond still, and nobody has to be told.
        let latest = self.latest_ms.load(Ordering::Relaxed);
        if now <= latest {
            return latest;
        }
        self.latest_ms.fetch_max(now, Ordering::Relaxed).max(now)
    }

    /// Takes note that somebody else's clock has shown `now_ms`.
    pub(crate) fn at_least(&self, now_ms: u64) {
        self.latest_ms.fetch_max(now_ms, Ordering::Relaxed);
    }
}
