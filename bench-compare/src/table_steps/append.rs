//! Batches, one a commit, of one thread and of several.

use std::sync::Barrier;
use std::thread::ScopedJoinHandle;
use std::time::{Duration, Instant};

use super::{BATCH, BATCHES, LONG_BATCH, THREADS};
use crate::Result;
use crate::child::Task;
use crate::emit::emit;
use crate::engine::Mode;
use crate::question::{Only, Question, right_answer};
use crate::table_engine::TableEngine;
use crate::wide::{Coded, Wide};

pub(super) fn run<E: TableEngine>(task: &Task, mode: Mode) -> Result<()> {
    let db = E::open(&task.dir, mode)?;
    let mut events = Events { next: 0, total: total(mode) };
    let median = events.append(&db, BATCH)?;
    match mode {
        Mode::Buffered => emit("tables.append.buffered", median)?,
        Mode::Sync => {
            emit("tables.append", median)?;
            emit("tables.append.long", events.append(&db, LONG_BATCH)?)?;
            emit("tables.append.8", events.append_side_by_side(&db)?)?;
        }
    }
    let question = Question::Sums(Only::default());
    let right = right_answer(question, &Coded::all(events.total));
    match db.ask(&[question])?.as_deref() {
        Some([(_, answer)]) if *answer == right => db.close(),
        _ => Err("what was appended is not what is there".into()),
    }
}

/// How many events are appended.
fn total(mode: Mode) -> u64 {
    let events = match mode {
        Mode::Buffered => BATCH * BATCHES,
        Mode::Sync => (BATCH + LONG_BATCH + BATCH * THREADS) * BATCHES,
    };
    events as u64
}

/// Events in the order of their numbers.
struct Events {
    next: u64,
    total: u64,
}

impl Events {
    /// The next batches of `size` events.
    fn batches(&mut self, count: usize, size: usize) -> Vec<Vec<Wide>> {
        let mut batch = || {
            let first = self.next;
            self.next += size as u64;
            (first..self.next).map(|number| Wide::of(number, self.total)).collect()
        };
        (0..count).map(|_| batch()).collect()
    }

    /// Appends batches one after the other: the median of the times they took, in microseconds.
    fn append<E: TableEngine>(&mut self, db: &E, size: usize) -> Result<f64> {
        let batches = self.batches(BATCHES, size);
        db.prepare(&batches)?;
        let times = batches.iter().enumerate().map(|(number, batch)| db.append(number, batch));
        Ok(median_us(&mut times.collect::<Result<Vec<_>>>()?))
    }

    /// Lets all threads append a batch at once, and again when all have: the median of the rounds' times, in
    /// microseconds.
    fn append_side_by_side<E: TableEngine>(&mut self, db: &E) -> Result<f64> {
        let batches = self.batches(BATCHES * THREADS, BATCH);
        db.prepare(&batches)?;
        let meet = Barrier::new(THREADS);
        let rounds = std::thread::scope(|scope| {
            let work = |thread: usize| {
                let (batches, meet) = (&batches, &meet);
                scope.spawn(move || -> Result<Vec<Duration>> {
                    let mut appended = Ok(());
                    let rounds = (0..BATCHES).map(|round| {
                        let number = round * THREADS + thread;
                        meet.wait();
                        let started = Instant::now();
                        let one = db.append(number, &batches[number]);
                        meet.wait();
                        // The others wait for this thread, whatever became of its batch.
                        if appended.is_ok() {
                            appended = one.map(|_| ());
                        }
                        started.elapsed()
                    });
                    let rounds = rounds.collect();
                    appended.map(|()| rounds)
                })
            };
            let threads: Vec<_> = (0..THREADS).map(work).collect();
            let join = |thread: ScopedJoinHandle<'_, Result<_>>| {
                thread.join().map_err(|_| "a thread panicked")?
            };
            threads.into_iter().map(join).collect::<Result<Vec<_>>>()
        })?;
        // A round took as long as it did for whoever began first.
        let longest = |round| rounds.iter().map(|thread| thread[round]).max().unwrap_or_default();
        Ok(median_us(&mut (0..BATCHES).map(longest).collect::<Vec<_>>()))
    }
}

/// The median of some times, in microseconds.
pub(crate) fn median_us(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(0.0, |median| median.as_secs_f64() * 1e6)
}
