//! Durable commits of one event, each thread to a stream of its own.

use std::sync::atomic::{AtomicU64, Ordering};

use super::walk::check;
use crate::Result;
use crate::child::Task;
use crate::emit::emit;
use crate::engine::Mode;
use crate::event::Batch;
use crate::event_engine::{EventEngine, Expected};
use crate::steps::sync::{cap, ops};
use crate::timing;

pub(super) fn run<E: EventEngine>(task: &Task, threads: u64) -> Result<()> {
    let db = E::open(&task.dir, Mode::Sync)?;
    let each = ops(threads, task.keys) / threads;
    let number = |stream: u64, version: u64| version * threads + stream;
    let done: Vec<_> = (0..threads).map(|_| AtomicU64::new(0)).collect();
    let written = timing::in_threads(threads as usize, |thread, barrier| {
        let mut batch = Batch::of(1);
        barrier.wait();
        let timed = timing::up_to(each, cap(task), |version| {
            let number = number(thread as u64, version);
            db.append(thread as u64, batch.fill(number..=number), Expected::Any)
        })?;
        done[thread].store(timed.ops, Ordering::Relaxed);
        Ok(timed)
    })?;
    let streams = (0..).zip(done.into_iter().map(AtomicU64::into_inner));
    check(&db, streams, number)?;
    emit(if threads == 1 { "events.sync.1" } else { "events.sync.8" }, written.rate())?;
    db.close()
}
