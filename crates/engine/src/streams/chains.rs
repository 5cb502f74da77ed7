//! What leads into the streams of a category, beside the table of their newest events.
//!
//! Each event says where the one before it was, so a stream is a chain that is walked from its newest
//! event. Three tables of the same kind as that of the newest events lead to others:
//!
//! * *waypoints*: every [`SPAN`]th event of a stream, so that no walk is longer than that;
//! * *ids*: events that were given an id;
//! * *strays*: events that log compaction has moved away from where the one behind them says they are.
//!   When that one is moved too, it says so itself, and the stray is forgotten.
//!
//! A fourth one, *marks*, leads to what holds for a stream as a whole ([`Mark`](super::mark::Mark)).

use crate::hash::{hash_key, table::Table};
use annals_journal::Seq;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

/// Of so many events of a stream one is a waypoint: the last one.
pub(crate) const SPAN: u64 = 16;

/// The tables beside that of the newest events.
#[derive(Debug, Default)]
pub(crate) struct Chains {
    pub(crate) waypoints: Table,
    pub(crate) ids: Table,
    pub(crate) strays: Table,
    pub(crate) marks: Table,
    /// Some mark may ask for something that is yet to be done.
    pub(crate) is_unsettled: AtomicBool,
    /// Of events before this number, in a category whose events expire, the bytes are counted as not needed, but
    /// for those of the newest ones.
    expired_to: AtomicU64,
    /// The category's events expire.
    expires: AtomicBool,
    /// Counts up when the way to an event that was there before begins to change, and when it has changed: it is
    /// odd in between.
    moves: AtomicU64,
}

/// The way to an event that was there before changes while this lives.
#[derive(Debug)]
pub(crate) struct Move<'a>(&'a AtomicU64);

impl Drop for Move<'_> {
    fn drop(&mut self) {
        self.0.store(self.0.load(Ordering::Relaxed) + 1, Ordering::Release);
    }
}

impl Chains {
    /// Puts back what a checkpoint kept: waypoints, ids, strays and marks.
    pub(crate) fn restored(tables: [Table; 4], expired_to: Seq) -> Self {
        let [waypoints, ids, strays, marks] = tables;
        let is_unsettled = AtomicBool::new(!marks.is_empty());
        let (expired_to, expires) = (AtomicU64::new(expired_to.0), AtomicBool::default());
        let moves = AtomicU64::new(0);
        Self { waypoints, ids, strays, marks, is_unsettled, expired_to, expires, moves }
    }

    /// The tables in the order in which a checkpoint has them.
    pub(crate) fn tables(&self) -> [&Table; 4] {
        [&self.waypoints, &self.ids, &self.strays, &self.marks]
    }

    /// Whether the category's events expire.
    #[inline]
    pub(crate) fn expires(&self) -> bool {
        self.expires.load(Ordering::Relaxed)
    }

    /// The category's events expire. Said before anybody reads.
    pub(crate) fn let_expire(&self) {
        self.expires.store(true, Ordering::Relaxed);
    }

    /// Up to where expired events are counted as not needed.
    #[inline]
    pub(crate) fn expired_to(&self) -> Seq {
        Seq(self.expired_to.load(Ordering::Acquire))
    }

    /// They are, up to here. For who may change the table.
    pub(crate) fn expire_to(&self, seq: Seq) {
        self.expired_to.store(seq.0, Ordering::Release);
    }

    /// The way to an event changes until what is returned is dropped. For who may change the table, once at a
    /// time.
    pub(crate) fn begin_move(&self) -> Move<'_> {
        self.moves.store(self.moves.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
        // Who sees something of what comes now sees in `are_still` that this began.
        fence(Ordering::Release);
        Move(&self.moves)
    }

    /// How often ways have changed: to be asked before a walk begins.
    pub(crate) fn moves(&self) -> u64 {
        self.moves.load(Ordering::Acquire)
    }

    /// Whether no way has changed since there were so many `moves`, so that what a walk did not find is nowhere.
    pub(crate) fn are_still(&self, moves: u64) -> bool {
        fence(Ordering::Acquire);
        let are_still = self.moves.load(Ordering::Relaxed) == moves && moves.is_multiple_of(2);
        if !are_still {
            // Who changes them may wait for this processor.
            std::thread::yield_now();
        }
        are_still
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.tables().iter().map(|table| table.memory_bytes()).sum()
    }
}

/// The version of the waypoint at or behind `version`.
#[inline]
pub(crate) fn waypoint_of(version: u64) -> u64 {
    version | (SPAN - 1)
}

/// Whether the event of this version is a waypoint.
#[inline]
pub(crate) fn is_waypoint(version: u64) -> bool {
    waypoint_of(version) == version
}

/// What a version of the stream whose key has this hash is found by.
#[inline]
pub(crate) fn version_hash(stream_hash: u64, version: u64) -> u64 {
    hash_key(stream_hash, &version.to_le_bytes())
}

/// What an event's id is found by.
pub(crate) fn id_hash(seed: u64, space: u32, id: u128) -> u64 {
    hash_key(seed ^ u64::from(space), &id.to_le_bytes())
}
