//! Compactions that are over soon, and who waits for their ends.

use annals_ordered::Work;
use parking_lot::{Condvar, Mutex};

/// A compaction is brief that has no more bytes of tables to read: it is over in some hundredths of a second.
pub(super) const BRIEF_INPUT_BYTES: u64 = 4 << 20;

/// How many brief compactions run or are being looked for.
#[derive(Debug, Default)]
pub(super) struct Brief {
    count: Mutex<usize>,
    ended: Condvar,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct One<'a>(&'a Brief);

impl Brief {
    /// The compaction that `next` finds, if any, and a mark of it if it is brief. It is counted before it is
    /// looked for: who waits finds all that was handed out.
    pub(super) fn begin(
        &self,
        next: impl FnOnce() -> Option<Work>,
    ) -> Option<(Work, Option<One<'_>>)> {
        *self.count.lock() += 1;
        let one = One(self);
        let work = next()?;
        let is_brief = work.input_bytes() <= BRIEF_INPUT_BYTES;
        Some((work, is_brief.then_some(one)))
    }

    /// Waits until there is none. False if there was none.
    pub(super) fn wait(&self) -> bool {
        let mut count = self.count.lock();
        let waits = *count > 0;
        self.ended.wait_while(&mut count, |count| *count > 0);
        waits
    }
}

impl Drop for One<'_> {
    fn drop(&mut self) {
        *self.0.count.lock() -= 1;
        self.0.ended.notify_all();
    }
}
