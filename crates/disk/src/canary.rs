//! Recoveries that are broken on purpose: tests that cut the power have to find each of them out, else they prove
//! nothing. Only builds with debug assertions ask for it, so no released one can be broken by it.

use std::cell::Cell;

/// What the openings of this thread do wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// One frame behind the checkpoint is not applied.
    DropsFrame,
    /// Of a commit of several records the last one is not applied.
    HalvesCommits,
    /// Keys that were removed are not.
    KeepsRemovedKeys,
    /// Ranges that were removed are not.
    KeepsRemovedRanges,
    /// Of several records of one key in a hash keyspace the oldest counts.
    KeepsStaleRecords,
    /// What was seen to be over may come back: the times of frames are passed over.
    ForgetsTime,
    /// One of the tables that the manifest names is not opened.
    ForgetsTable,
    /// Numbers of records that may have been lost are given again.
    ReusesNumbers,
    /// What was replayed counts as durable and is not synced.
    LeavesReplayedUnsynced,
}

thread_local! {
    static BROKEN: Cell<Option<Broken>> = const { Cell::new(None) };
}

/// Whether this thread's openings do this wrong.
#[must_use]
pub fn is_broken(broken: Broken) -> bool {
    BROKEN.get() == Some(broken)
}

/// Runs `run` in a thread whose openings do this wrong.
pub fn break_openings<R>(broken: Broken, run: impl FnOnce() -> R) -> R {
    /// Mends them, also after a panic.
    struct Mend;
    impl Drop for Mend {
        fn drop(&mut self) {
            BROKEN.set(None);
        }
    }
    let _mend = Mend;
    BROKEN.set(Some(broken));
    run()
}
