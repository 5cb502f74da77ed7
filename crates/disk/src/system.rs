//! The machine's clocks, randomness and identity: the only place of the workspace that asks the
//! system for them, so that everything above can run on a simulated world.

use crate::Holder;
use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::LazyLock,
    time::Instant,
};

/// Milliseconds since 1970-01-01 UTC; 0 if the machine believes to be before that.
pub(crate) fn now_ms() -> u64 {
    // The clock that the kernel moves on at each tick: every commit asks for the time, and a reading
    // that is exact to the nanosecond takes several times as long. It is behind by a few milliseconds
    // at most.
    #[cfg(target_os = "linux")]
    {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::RealtimeCoarse);
        let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
        seconds.saturating_mul(1000) + now.tv_nsec as u64 / 1_000_000
    }
    #[cfg(not(target_os = "linux"))]
    wall_ms()
}

#[cfg(any(test, not(target_os = "linux")))]
#[expect(clippy::disallowed_methods, reason = "this is the clock that others are sent to")]
fn wall_ms() -> u64 {
    use std::time::{SystemTime, UNIX_EPOCH};
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Nanoseconds since the first call in this process.
#[expect(clippy::disallowed_methods, reason = "this is the clock that others are sent to")]
pub(crate) fn monotonic_ns() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// A number nobody can guess, from the operating system.
pub(crate) fn random_u64() -> u64 {
    #[cfg(target_os = "linux")]
    {
        let mut bytes = [0; 8];
        // Up to 256 bytes are never cut short once the kernel's pool is up; if it is not, or the
        // call is filtered out by a sandbox, the standard library's own seed has to do.
        if let Ok(8) = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()) {
            return u64::from_le_bytes(bytes);
        }
    }
    // Each `RandomState` has fresh keys; hashing nothing with them gives a number that depends on
    // all of their bits.
    RandomState::new().build_hasher().finish()
}

/// Who this process is, for a lock taken now.
pub(crate) fn this_process() -> Holder {
    Holder { pid: std::process::id(), host: host(), since_ms: now_ms() }
}

#[cfg(not(miri))]
fn host() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Miri has no name to give.
#[cfg(miri)]
fn host() -> String {
    "miri".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_numbers_differ() {
        let drawn: std::collections::HashSet<u64> = (0..64).map(|_| random_u64()).collect();
        assert_eq!(drawn.len(), 64);
    }

    #[test]
    fn the_quick_clock_tells_the_time_of_the_day() {
        let (before, now, after) = (wall_ms(), now_ms(), wall_ms());
        assert!(now + 100 >= before && now <= after, "{before} {now} {after}");
    }

    #[test]
    fn the_monotonic_clock_never_runs_backwards() {
        let mut last = monotonic_ns();
        for _ in 0..1000 {
            let now = monotonic_ns();
            assert!(now >= last);
            last = now;
        }
    }
}
