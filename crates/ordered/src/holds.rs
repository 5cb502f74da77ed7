//! Which past states somebody still asks for.

use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};

/// The registry of what is held.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    /// How many hold a sequence number and a time.
    held: Mutex<BTreeMap<(u64, u64), usize>>,
}

/// What compactions may not take away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Horizon {
    /// The sequence numbers that are held, in rising order.
    pub(crate) snapshots: Vec<u64>,
    /// No reader asks as of an earlier time, in milliseconds since 1970.
    pub(crate) now_ms: u64,
}

impl Horizon {
    /// Nobody asks as of something lower than this.
    pub(crate) fn settled_seq(&self) -> u64 {
        self.snapshots.first().copied().unwrap_or(u64::MAX)
    }

    /// The highest number that is held.
    pub(crate) fn held_seq(&self) -> Option<u64> {
        self.snapshots.last().copied()
    }
}

impl Holds {
    /// Holds the state at `seq`, as of the time `now_ms`, until the hold is dropped.
    pub(crate) fn hold(self: &Arc<Self>, seq: u64, now_ms: u64) -> Hold {
        *self.held.lock().entry((seq, now_ms)).or_default() += 1;
        Hold { holds: Arc::clone(self), seq, now_ms }
    }

    /// What is held now, where it is `now_ms`.
    pub(crate) fn horizon(&self, now_ms: u64) -> Horizon {
        let held = self.held.lock();
        let mut snapshots: Vec<u64> = held.keys().map(|(seq, _)| *seq).collect();
        snapshots.dedup();
        let earliest = held.keys().map(|(_, held_ms)| *held_ms).min();
        Horizon { snapshots, now_ms: earliest.map_or(now_ms, |held_ms| held_ms.min(now_ms)) }
    }
}

/// Keeps all versions that can be seen as of a sequence number and a time. Dropping it lets go.
#[derive(Debug)]
pub struct Hold {
    holds: Arc<Holds>,
    seq: u64,
    now_ms: u64,
}

impl Hold {
    /// The sequence number that is held.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The time that is held, in milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut held = self.holds.held.lock();
        if let Some(count) = held.get_mut(&(self.seq, self.now_ms)) {
            *count -= 1;
            if *count == 0 {
                held.remove(&(self.seq, self.now_ms));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_counts_until_the_last_lets_go() {
        let holds = Arc::new(Holds::default());
        assert_eq!(holds.horizon(9), Horizon { snapshots: vec![], now_ms: 9 });
        assert_eq!(holds.horizon(9).settled_seq(), u64::MAX);
        let (one, other, later) = (holds.hold(5, 3), holds.hold(5, 3), holds.hold(7, 4));
        assert_eq!(holds.horizon(9), Horizon { snapshots: vec![5, 7], now_ms: 3 });
        drop(one);
        assert_eq!(holds.horizon(9).settled_seq(), 5);
        drop(other);
        assert_eq!(holds.horizon(9), Horizon { snapshots: vec![7], now_ms: 4 });
        drop(later);
        assert_eq!(holds.horizon(2), Horizon { snapshots: vec![], now_ms: 2 });
    }
}
