//! A pair of fences of unequal cost, for a side that runs all the time and one that hardly runs.
//!
//! Two threads that each store to their own place and then load the other's need a full fence
//! between store and load on both sides, or both may read the old value. A full fence stops the
//! processor from working ahead, which costs readers most of what out-of-order execution gives
//! them. Where the system can interrupt all threads of the process ([`membarrier`] on Linux), the
//! frequent side gets by with a fence for the compiler alone: [`light`]. The rare side calls
//! [`heavy`], which runs a full fence on every processor that runs a thread of this process.
//!
//! With `--cfg annals_plain` nothing is asked and both are full fences: for tools that watch a program
//! run and see neither interrupts nor assembly.
//!
//! Elsewhere, and until it is known that the system can do it, both are full fences. Finding that
//! out can take the system longer than opening a database: [`prepare`] lets nobody wait for it, and
//! neither side does.
//!
//! The frequent side takes the light way only after a full fence that follows the moment from which on the
//! rare side interrupts. So a rare side that still took the full one alone has stored before that fence, and
//! who takes the light way after it sees what was stored.
//!
//! [`membarrier`]: https://man7.org/linux/man-pages/man2/membarrier.2.html

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering, compiler_fence, fence};

const UNKNOWN: u8 = 0;
const SYMMETRIC: u8 = 1;
/// The rare side interrupts already; the frequent one does not rely on it yet.
const BEGINNING: u8 = 2;
const ASYMMETRIC: u8 = 3;

/// What the system can do. Once known it never changes; a thread of the frequent side that reads it late
/// takes the full fence, which is always right.
static MODE: AtomicU8 = AtomicU8::new(UNKNOWN);

/// The frequent side's fence, between its store and its load.
#[inline]
pub fn light() {
    if MODE.load(Ordering::Acquire) == ASYMMETRIC {
        compiler_fence(Ordering::SeqCst);
    } else {
        fence(Ordering::SeqCst);
    }
}

/// Finds out beside the caller what the system can do.
pub fn prepare() {
    static ASKED: AtomicBool = AtomicBool::new(false);
    if MODE.load(Ordering::Relaxed) == UNKNOWN && !ASKED.swap(true, Ordering::Relaxed) {
        let asking = std::thread::Builder::new().name("annals-fences".into()).spawn(settle);
        if asking.is_err() {
            // Without a thread all fences stay full ones, until the next database is opened.
            ASKED.store(false, Ordering::Relaxed);
        }
    }
}

/// The rare side's fence, between its store and its load: either its load sees what the frequent
/// side stored before [`light`], or the frequent side's load after it sees what was stored here.
/// Takes a system call, and time on each processor that runs a thread of this process.
pub fn heavy() {
    fence(Ordering::SeqCst);
    // Also where nobody has taken the light way yet: another thread may do so at any moment.
    if matches!(MODE.load(Ordering::SeqCst), BEGINNING | ASYMMETRIC) {
        system::interrupt_all();
    }
    fence(Ordering::SeqCst);
}

fn settle() {
    if system::register() {
        MODE.store(BEGINNING, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        MODE.store(ASYMMETRIC, Ordering::Release);
    } else {
        MODE.store(SYMMETRIC, Ordering::Relaxed);
    }
}

#[cfg(all(target_os = "linux", not(any(miri, annals_plain))))]
mod system {
    use rustix::thread::{MembarrierCommand, membarrier};

    pub(super) fn register() -> bool {
        membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok()
    }

    /// # Panics
    /// If the system refuses what it promised at registration: going on would let a segment be
    /// unmapped under its readers.
    pub(super) fn interrupt_all() {
        let interrupted = membarrier(MembarrierCommand::PrivateExpedited).or_else(|_| {
            // A process that was forked from the one that registered may have to do so again.
            membarrier(MembarrierCommand::RegisterPrivateExpedited)?;
            membarrier(MembarrierCommand::PrivateExpedited)
        });
        if let Err(error) = interrupted {
            panic!("membarrier was registered and is refused now: {error}");
        }
    }
}

#[cfg(not(all(target_os = "linux", not(any(miri, annals_plain)))))]
mod system {
    pub(super) fn register() -> bool {
        false
    }

    pub(super) fn interrupt_all() {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Disk;
    use std::sync::atomic::AtomicUsize;

    /// Store, fence, load on both sides: at least one must see the other.
    #[test]
    fn one_of_the_two_sides_sees_the_other() {
        const ROUNDS: usize = 2_000;
        const PATIENCE_NS: u64 = 60_000_000_000;
        /// Lets the other side end as well, whatever ends this one.
        struct Over<'a>(&'a AtomicBool);
        impl Drop for Over<'_> {
            fn drop(&mut self) {
                self.0.store(true, Ordering::SeqCst);
            }
        }
        let (mine, other) = (AtomicBool::new(false), AtomicBool::new(false));
        let (started, ended, missed) =
            (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        let over = AtomicBool::new(false);
        let clock = crate::RealDisk::new();
        let deadline_ns = clock.monotonic_ns() + PATIENCE_NS;
        let wait_for = |counter: &AtomicUsize, value: usize| {
            while counter.load(Ordering::SeqCst) < value {
                assert!(!over.load(Ordering::SeqCst), "the other side has ended");
                assert!(clock.monotonic_ns() < deadline_ns, "the other side does not answer");
                std::thread::yield_now();
            }
        };
        // On the way some rounds begin with full fences and end with unequal ones.
        prepare();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 1..=ROUNDS {
                    wait_for(&started, round);
                    other.store(true, Ordering::Relaxed);
                    light();
                    if !mine.load(Ordering::Relaxed) {
                        missed.fetch_add(1, Ordering::SeqCst);
                    }
                    ended.store(round, Ordering::SeqCst);
                }
            });
            let _over = Over(&over);
            for round in 1..=ROUNDS {
                mine.store(false, Ordering::SeqCst);
                other.store(false, Ordering::SeqCst);
                missed.store(0, Ordering::SeqCst);
                started.store(round, Ordering::SeqCst);
                mine.store(true, Ordering::Relaxed);
                heavy();
                let seen = other.load(Ordering::Relaxed);
                wait_for(&ended, round);
                assert!(seen || missed.load(Ordering::SeqCst) == 0, "neither saw the other");
            }
        });
    }
}
