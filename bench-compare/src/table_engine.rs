//! What a workload asks of a store for wide events.
//!
//! A store is asked whole questions, each in its own way, and times them itself: one may run in another
//! process. What comes back is an [`Answer`] of the same form for all, made after the clock has stopped.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::Result;
use crate::engine::Mode;
use crate::group::Group;
use crate::question::{Answer, Question};
use crate::wide::Wide;

/// An answer and how long it took to get.
pub(crate) type Timed = (Duration, Answer);

/// One embedded store for wide events under one configuration.
pub(crate) trait TableEngine: Sized + Sync {
    /// The name in tables and on the command line.
    const NAME: &'static str;
    /// The package whose version is reported; empty if it is none of the lock file.
    const PACKAGE: &'static str;
    /// What was configured for [`Mode::Buffered`].
    const BUFFERED: &'static str;
    /// What was configured for [`Mode::Sync`].
    const SYNC: &'static str;
    /// What else was set.
    const SETTINGS: &'static str;
    /// The groups it takes part in.
    const GROUPS: &'static [Group] = Group::TABLES;

    /// The version of a library outside the lock file.
    fn library() -> Option<String> {
        None
    }

    /// Opens or creates the database in the folder `dir`.
    fn open(dir: &Path, mode: Mode) -> Result<Self>;

    /// Gets ready to append these batches, as far as the caller of a store would have done that
    /// before.
    fn prepare(&self, batches: &[Vec<Wide>]) -> Result<()> {
        let _ = batches;
        Ok(())
    }

    /// Appends the batch of that number, which was prepared, in one commit; the time that took.
    fn append(&self, number: usize, batch: &[Wide]) -> Result<Duration>;

    /// Stores the first `total` events, as it is done best, and brings them into the form that is best to
    /// be asked.
    fn load(&self, total: u64) -> Result<()>;

    /// Asks all these questions, one after the other. `None` if it has no way to ask one.
    fn ask(&self, questions: &[Question]) -> Result<Option<Vec<Timed>>>;

    /// Closes the database cleanly.
    fn close(self) -> Result<()>;
}

/// Times each question, and tells what came of it in the form of all stores.
pub(crate) fn timed<A>(
    questions: &[Question],
    mut ask: impl FnMut(Question) -> Result<A>,
    mut tell: impl FnMut(A) -> Result<Answer>,
) -> Result<Option<Vec<Timed>>> {
    let one = |question: &Question| {
        let started = Instant::now();
        let found = ask(*question)?;
        Ok((started.elapsed(), tell(found)?))
    };
    questions.iter().map(one).collect::<Result<_>>().map(Some)
}
