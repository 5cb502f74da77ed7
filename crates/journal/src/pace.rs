//! How many spares a log needs that takes segments faster than they can be prepared.
//!
//! Preparing one takes several syncs, which wait for whatever else the device writes at that time;
//! a checkpoint, for one, begins at about the time when the log rolls. A log that fills its segments
//! faster than that would stand still at the end of each.

/// Spares last for this long. A device that is busy with a checkpoint answers a sync in less.
const AHEAD_NS: u64 = 250_000_000;
/// The pace is taken over at least so many bytes of log, or over so much time: what is looked at
/// for shorter says little.
const BYTES_MIN: u64 = 4 << 20;
const TIME_MIN_NS: u64 = 100_000_000;
/// More spares are not prepared for any pace.
const SPARES_MAX: usize = 8;

/// The pace of a log.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    bytes: u64,
    at_ns: u64,
    spares: usize,
}

impl Pace {
    /// The log has grown to `bytes` bytes at the time `now_ns`.
    pub(crate) fn look(&mut self, bytes: u64, now_ns: u64, segment_bytes: u64) {
        let grown = bytes.saturating_sub(self.bytes);
        let passed_ns = now_ns.saturating_sub(self.at_ns);
        if self.at_ns != 0 && grown < BYTES_MIN && passed_ns < TIME_MIN_NS {
            return;
        }
        if self.at_ns != 0 {
            let ahead = u128::from(grown) * u128::from(AHEAD_NS) / u128::from(passed_ns.max(1));
            let now = (ahead / u128::from(segment_bytes)).min(SPARES_MAX as u128) as usize;
            // A stop of a moment is no reason to give up what is there.
            self.spares = now.max(self.spares / 2);
        }
        (self.bytes, self.at_ns) = (bytes, now_ns);
    }

    /// How many segments the log is about to take.
    pub(crate) fn spares(&self) -> usize {
        self.spares
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT_BYTES: u64 = 64 << 20;
    const MS: u64 = 1_000_000;

    #[test]
    fn a_fast_log_gets_spares_and_a_slow_one_none() {
        let mut pace = Pace::default();
        pace.look(0, MS, SEGMENT_BYTES);
        assert_eq!(pace.spares(), 0, "nothing is known yet");
        pace.look(8 << 20, 9 * MS, SEGMENT_BYTES);
        assert_eq!(pace.spares(), 3, "a segment takes 64 ms");
        pace.look(9 << 20, 10 * MS, SEGMENT_BYTES);
        pace.look(1 << 30, 20 * MS, SEGMENT_BYTES);
        assert_eq!(pace.spares(), SPARES_MAX);
        for round in 1..5 {
            pace.look(1 << 30, 20 * MS + round * 1000 * MS, SEGMENT_BYTES);
        }
        assert_eq!(pace.spares(), 0, "what was prepared is not needed any more");
    }

    #[test]
    fn a_short_look_changes_nothing() {
        let mut pace = Pace::default();
        pace.look(0, MS, SEGMENT_BYTES);
        pace.look(1 << 20, MS + 1, SEGMENT_BYTES);
        assert_eq!(pace.spares(), 0);
    }
}
