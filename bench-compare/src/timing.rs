//! Timed loops.

use std::sync::Barrier;
use std::time::{Duration, Instant};

use crate::Result;

/// Looks at the clock once in so many operations.
const CLOCK_EVERY: u64 = 32;

/// Operations done and the time they took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timed {
    /// How many were done.
    pub(crate) ops: u64,
    started: Instant,
    ended: Instant,
}

impl Timed {
    /// Operations a second.
    pub(crate) fn rate(&self) -> f64 {
        self.ops as f64 / self.took().as_secs_f64()
    }

    /// The time from the start to the end.
    pub(crate) fn took(&self) -> Duration {
        self.ended - self.started
    }

    /// The sum of what several threads did, from the first start to the last end.
    fn join(self, other: Self) -> Self {
        Self {
            ops: self.ops + other.ops,
            started: self.started.min(other.started),
            ended: self.ended.max(other.ended),
        }
    }
}

/// Calls `op` with `0..ops`, until all are done or `cap` is over.
pub(crate) fn up_to(
    ops: u64,
    cap: Duration,
    mut op: impl FnMut(u64) -> Result<()>,
) -> Result<Timed> {
    let started = Instant::now();
    let mut done = 0;
    while done < ops && (done % CLOCK_EVERY != 0 || started.elapsed() < cap) {
        op(done)?;
        done += 1;
    }
    Ok(Timed { ops: done, started, ended: Instant::now() })
}

/// Times `ops` operations done by one call.
pub(crate) fn once(ops: u64, work: impl FnOnce() -> Result<()>) -> Result<Timed> {
    let started = Instant::now();
    work()?;
    Ok(Timed { ops, started, ended: Instant::now() })
}

/// Runs `work` in so many threads, which meet at the barrier once each is ready to begin.
pub(crate) fn in_threads(
    threads: usize,
    work: impl Fn(usize, &Barrier) -> Result<Timed> + Sync,
) -> Result<Timed> {
    let barrier = Barrier::new(threads);
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads)
            .map(|thread| {
                let (work, barrier) = (&work, &barrier);
                scope.spawn(move || work(thread, barrier))
            })
            .collect();
        let mut all: Option<Timed> = None;
        for handle in handles {
            let timed = handle.join().map_err(|_| "a thread panicked")??;
            all = Some(all.map_or(timed, |all| all.join(timed)));
        }
        all.ok_or_else(|| "no thread ran".into())
    })
}
