//! Adding up what is asked for, by one thread or by several.
//!
//! One thread begins. Only when it has been at it for longer than others take to start do these help it, each with an
//! answer of its own, of what nobody has taken yet: so nobody waits for threads for a question that needs none.

use super::{fresh::FreshBatch, limits::Limits};
use crate::Result;
use annals_columns::{Answer, PartView, Query, RowSet};
use annals_disk::Disk;
use std::{
    num::NonZero,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

/// After so long others help: several times of what it takes to start them.
const ALONE_NS: u64 = if cfg!(test) { 0 } else { 300_000 };

/// Something whose events are added.
#[derive(Clone, Copy)]
pub(super) enum Source<'v> {
    Part(PartView<'v>, Option<RowSet<'v>>),
    Fresh(&'v FreshBatch),
}

/// Answers a question.
pub(super) fn answer(
    query: &Query,
    sources: &[Source<'_>],
    limits: &Limits,
    clock: &Arc<dyn Disk>,
) -> Result<Answer> {
    limits.check_cancelled()?;
    let work = Work { sources, limits, next: AtomicUsize::new(0), is_over: AtomicBool::new(false) };
    let mut answer = query.clone().answer()?;
    let begun_ns = clock.monotonic_ns();
    let is_long = || clock.monotonic_ns().checked_sub(begun_ns + ALONE_NS).is_some();
    if !work.add(&mut answer, || limits.threads != 1 && is_long())? {
        return Ok(answer);
    }
    let left = sources.len() - work.next.load(Ordering::Relaxed).min(sources.len());
    let helpers = threads(limits).saturating_sub(1).min(left.saturating_sub(1));
    let others = thread::scope(|scope| {
        let help = || {
            let mut answer = query.clone().answer()?;
            work.add(&mut answer, || false)?;
            Ok(answer)
        };
        let others: Vec<_> = (0..helpers).map(|_| scope.spawn(help)).collect();
        let ours = work.add(&mut answer, || false);
        let others: Vec<Result<Answer>> = others
            .into_iter()
            .map(|other| other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect();
        ours.map(|_| others)
    })?;
    for other in others {
        answer.merge(&other?)?;
        limits.check(&answer)?;
    }
    Ok(answer)
}

/// How many threads there may be.
fn threads(limits: &Limits) -> usize {
    static OF_MACHINE: OnceLock<usize> = OnceLock::new();
    match limits.threads {
        0 => *OF_MACHINE.get_or_init(|| thread::available_parallelism().map_or(1, NonZero::get)),
        threads => threads,
    }
}

/// What is to be added.
struct Work<'a, 'v> {
    sources: &'a [Source<'v>],
    limits: &'a Limits,
    /// The first that nobody has taken.
    next: AtomicUsize,
    /// Somebody has failed.
    is_over: AtomicBool,
}

impl Work<'_, '_> {
    /// Adds what nobody has taken, until there is nothing left; `true` if that took too long and something is.
    fn add(&self, answer: &mut Answer, is_long: impl Fn() -> bool) -> Result<bool> {
        while !self.is_over.load(Ordering::Relaxed) {
            let Some(source) = self.sources.get(self.next.fetch_add(1, Ordering::Relaxed)) else {
                break;
            };
            let outcome = self.add_one(answer, *source);
            if outcome.is_err() {
                self.is_over.store(true, Ordering::Relaxed);
            }
            outcome?;
            let has_more = self.next.load(Ordering::Relaxed) < self.sources.len();
            if has_more && is_long() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn add_one(&self, answer: &mut Answer, source: Source<'_>) -> Result<()> {
        self.limits.check_cancelled()?;
        match source {
            Source::Part(part, deleted) => answer.add(part, deleted)?,
            Source::Fresh(batch) => answer.add_batch(&batch.batch)?,
        }
        self.limits.check(answer)
    }
}
