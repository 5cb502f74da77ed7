//! Adding up what is asked for, by one thread or by several.
//!
//! One thread begins. Others help it, each with an answer of its own, of what nobody has taken yet, where that takes
//! longer than to start them: if the question alone says so, at once; else as soon as what was done tells how long the rest
//! takes. So nobody waits for threads for a question that needs none. Parts of many rows are taken a piece at a time.

use super::{fresh::FreshBatch, limits::Limits};
use crate::{
    Result,
    streams::meanwhile::{self, Moment},
};
use annals_columns::{Answer, CHUNK_ROWS, PartView, Query, RowSet};
use annals_disk::Disk;
use std::{
    num::NonZero,
    ops::Range,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

/// Others help with what is expected to take so long: several times of what it takes to start them.
const HELPED_NS: u64 = if cfg!(test) { 0 } else { 250_000 };
/// So many rows that are looked at take longer than that.
const HELPED_ROWS: usize = 1 << 18;
/// Rows of a piece of a part: whole chunks, and so many that what is begun and ended for each does not count.
const PIECE_ROWS: usize = if cfg!(test) { 1 << 9 } else { 1 << 17 };

/// Something whose events are added.
#[derive(Clone)]
pub(super) enum Source<'v> {
    Part(PartView<'v>, Option<RowSet<'v>>, Range<u32>),
    Fresh(&'v FreshBatch),
}

impl<'v> Source<'v> {
    /// A part, in pieces if it is large and several threads may look at its rows.
    pub(super) fn of_part(
        part: PartView<'v>,
        deleted: Option<RowSet<'v>>,
        is_in_pieces: bool,
    ) -> impl Iterator<Item = Self> {
        let rows = part.rows_count();
        let size =
            if is_in_pieces { rows.div_ceil(rows.div_ceil(PIECE_ROWS).max(1)) } else { rows };
        let size = size.next_multiple_of(CHUNK_ROWS).max(CHUNK_ROWS);
        let pieces = (0..rows).step_by(size);
        pieces.map(move |from| Self::Part(part, deleted, from as u32..(from + size) as u32))
    }

    fn rows_count(&self) -> usize {
        match self {
            Self::Part(part, _, rows) => {
                (rows.end as usize).min(part.rows_count()) - rows.start as usize
            }
            Self::Fresh(batch) => batch.len(),
        }
    }
}

#[cfg(test)]
thread_local! {
    /// How many others helped with the last question of this thread.
    pub(super) static HELPERS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Answers a question.
pub(super) fn answer(
    query: &Query,
    sources: &[Source<'_>],
    limits: &Limits,
    clock: &Arc<dyn Disk>,
) -> Result<Answer> {
    limits.check_cancelled()?;
    #[cfg(test)]
    HELPERS.set(0);
    let work = Work { sources, limits, next: AtomicUsize::new(0), is_over: AtomicBool::new(false) };
    let mut answer = query.clone().answer()?;
    let rows = || sources.iter().map(Source::rows_count).sum::<usize>();
    let is_long = query.looks_at_rows() && sources.len() > 1 && rows() >= HELPED_ROWS;
    if limits.threads == 1 || !is_long {
        let begun_ns = clock.monotonic_ns();
        let is_long = |done: usize, left: usize| {
            let took_ns = clock.monotonic_ns().saturating_sub(begun_ns);
            limits.threads != 1 && (took_ns / done.max(1) as u64 * left as u64).max(1) > HELPED_NS
        };
        if !work.add(&mut answer, is_long)? {
            return Ok(answer);
        }
    }
    let left = sources.len() - work.next.load(Ordering::Relaxed).min(sources.len());
    let helpers = threads(limits).saturating_sub(1).min(left.saturating_sub(1));
    let others = thread::scope(|scope| {
        let help = || {
            let mut answer = query.clone().answer()?;
            work.add(&mut answer, |_, _| false)?;
            Ok(answer)
        };
        let others: Vec<_> = (0..helpers).map(|_| scope.spawn(help)).collect();
        #[cfg(test)]
        HELPERS.set(others.len());
        let ours = work.add(&mut answer, |_, _| false);
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
    /// Adds what nobody has taken, until there is nothing left; `true` if something is that would take too long, as
    /// what was done and what is left tell.
    fn add(&self, answer: &mut Answer, is_long: impl Fn(usize, usize) -> bool) -> Result<bool> {
        while !self.is_over.load(Ordering::Relaxed) {
            let Some(source) = self.sources.get(self.next.fetch_add(1, Ordering::Relaxed)) else {
                break;
            };
            let outcome = self.add_one(answer, source);
            if outcome.is_err() {
                self.is_over.store(true, Ordering::Relaxed);
            }
            outcome?;
            let done = self.next.load(Ordering::Relaxed);
            let left = self.sources.len().saturating_sub(done);
            if left > 0 && is_long(done, left) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn add_one(&self, answer: &mut Answer, source: &Source<'_>) -> Result<()> {
        self.limits.check_cancelled()?;
        match source {
            Source::Part(part, deleted, rows) => answer.add_rows(*part, *deleted, rows.clone())?,
            Source::Fresh(batch) => answer.add_batch(&batch.batch)?,
        }
        meanwhile::run(Moment::PieceAdded);
        self.limits.check(answer)
    }
}
