//! Measuring time, for figures shown to people. Nothing the database stores depends on it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Time since a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stopwatch {
    start: Instant,
}

impl Stopwatch {
    /// Starts now.
    #[expect(clippy::disallowed_methods, reason = "figures for people, not the engine's time")]
    pub(crate) fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Time since the start in seconds.
    pub(crate) fn seconds(&self) -> f64 {
        self.elapsed().as_secs_f64()
    }
}

/// What time it is, in nanoseconds since 1970: what people mean by `now`.
#[expect(clippy::disallowed_methods, reason = "what somebody asks for is told by their clock")]
pub(crate) fn now_ns() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    crate::moment::ns_of(now)
}
