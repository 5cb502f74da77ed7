//! Durable commits, from one thread and from several.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::check::{Expected, check};
use crate::Result;
use crate::child::Task;
use crate::data::{random_key, value};
use crate::emit::emit;
use crate::engine::{Engine, Mode};
use crate::timing;

/// Commits of one thread alone.
const OPS_ALONE: u64 = 20_000;
/// Commits of several threads together.
const OPS_TOGETHER: u64 = 60_000;
/// When slow engines are cut short.
const CAP: Duration = Duration::from_secs(5);

/// How many commits `threads` make together, for a load of `keys`.
pub(crate) fn ops(threads: u64, keys: u64) -> u64 {
    keys.min(if threads == 1 { OPS_ALONE } else { OPS_TOGETHER })
}

/// When they are cut short.
pub(crate) fn cap(task: &Task) -> Duration {
    task.cap.min(CAP)
}

pub(super) fn run<E: Engine>(task: &Task, threads: u64) -> Result<()> {
    let db = E::open(&task.dir, Mode::Sync)?;
    let each = ops(threads, task.keys) / threads;
    let done: Vec<_> = (0..threads).map(|_| AtomicU64::new(0)).collect();
    let written = timing::in_threads(threads as usize, |thread, barrier| {
        barrier.wait();
        let timed = timing::up_to(each, cap(task), |index| {
            let key = random_key(index * threads + thread as u64);
            db.insert(&key, &value(&key, 0))
        })?;
        done[thread].store(timed.ops, Ordering::Relaxed);
        Ok(timed)
    })?;
    for (thread, done) in (0..threads).zip(done) {
        let keys = (0..done.into_inner()).map(|index| random_key(index * threads + thread));
        check(&db, keys.step_by(61), Expected::Version(0))?;
    }
    emit(if threads == 1 { "sync.1" } else { "sync.8" }, written.rate())?;
    db.close()
}
