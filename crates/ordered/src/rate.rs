//! A limit on how fast compactions write, so that they leave the device to readers, to flushes and to the
//! log.

use parking_lot::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// How far work may run ahead of its rate, in nanoseconds of it.
const AHEAD_NS: u64 = 20_000_000;

/// A limit in bytes a second. Time is the caller's, and so is waiting.
#[derive(Debug)]
pub(crate) struct Rate {
    bytes_per_second: AtomicU64,
    /// When everything that was taken so far is paid for.
    paid_ns: Mutex<u64>,
}

impl Rate {
    /// At most so many bytes a second; 0: no limit.
    pub(crate) fn new(bytes_per_second: u64) -> Self {
        Self { bytes_per_second: AtomicU64::new(bytes_per_second), paid_ns: Mutex::new(0) }
    }

    /// There is no limit from now on.
    pub(crate) fn lift(&self) {
        self.bytes_per_second.store(0, Ordering::Relaxed);
    }

    /// Whether there is a limit.
    pub(crate) fn limits(&self) -> bool {
        self.bytes_per_second.load(Ordering::Relaxed) > 0
    }

    /// Takes `bytes` at the time `now_ns`; how long to wait before going on, in nanoseconds.
    pub(crate) fn take(&self, bytes: u64, now_ns: u64) -> u64 {
        let bytes_per_second = self.bytes_per_second.load(Ordering::Relaxed);
        if bytes_per_second == 0 {
            return 0;
        }
        let cost = u128::from(bytes) * 1_000_000_000 / u128::from(bytes_per_second);
        let cost = u64::try_from(cost).unwrap_or(u64::MAX);
        let mut paid_ns = self.paid_ns.lock();
        // What was not used while nothing was to be done is not saved up.
        *paid_ns = (*paid_ns).max(now_ns).saturating_add(cost);
        paid_ns.saturating_sub(now_ns).saturating_sub(AHEAD_NS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_held_to_its_rate_and_saves_nothing_up() {
        let rate = Rate::new(1_000_000);
        let second = 1_000_000_000;
        assert_eq!(rate.take(10_000, second), 0, "a short burst goes through");
        assert_eq!(rate.take(1_000_000, second), second - 10_000_000);
        // A second later the first is paid for, whatever came in between.
        assert_eq!(rate.take(20_000, 100 * second), 0);
        assert_eq!(rate.take(1_000_000, 100 * second), second);
        assert_eq!(Rate::new(0).take(u64::MAX, 0), 0);
        rate.lift();
        assert_eq!(rate.take(1_000_000, 100 * second), 0);
    }
}
