//! Waiting until readers see what was written.

use super::{
    look_again::look_again,
    meanwhile::{self, Moment},
    subscription::{Deadline, POLL},
};
use crate::{Result, open::Open};
use annals_journal::Seq;
use std::{
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

/// Tells when readers see everything up to a number. Made by [`Database::watcher`](crate::Database::watcher); cheap
/// to clone, and may be sent to other threads.
///
/// Who reads from a place of one's own, and waits only when nothing was there, gets every event once:
///
/// ```
/// # use annals_engine as annals;
/// use annals::{Database, ExpectedVersion, NewEvent, Seq};
/// use std::time::Duration;
/// let db = Database::open_in_memory()?;
/// let orders = db.category("orders")?;
/// let (watcher, mut next, mut seen) = (db.watcher(), Seq::ZERO, 0);
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         for _ in 0..10 {
///             orders.append(7u64, &NewEvent::json("placed", "{}"), ExpectedVersion::Any)?;
///         }
///         Ok::<(), annals::Error>(())
///     });
///     while seen < 10 {
///         let until = watcher.seq()?;
///         for event in orders.read_all(next)?.end_at(until) {
///             assert_eq!(event?.version(), seen);
///             seen += 1;
///         }
///         next = until.plus(1);
///         if seen < 10 {
///             watcher.wait_for(next, Duration::from_secs(60))?;
///         }
///     }
///     Ok::<(), annals::Error>(())
/// })?;
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone)]
pub struct Watcher {
    open: Arc<Open>,
}

/// A commit that is written and not shown yet may stand in front of where the log ends: who has seen that end looks
/// again after so long.
const SHOWN_SOON: Duration = Duration::from_millis(10);

impl Watcher {
    pub(crate) fn new(open: &Arc<Open>) -> Self {
        Self { open: Arc::clone(open) }
    }

    /// The number up to which readers see everything.
    ///
    /// # Errors
    /// In a read-only handle, what following the writer fails with.
    pub fn seq(&self) -> Result<Seq> {
        self.open.follow_if_read_only()?;
        Ok(self.open.core().visible_seq())
    }

    /// Waits until readers see everything up to `seq`, the database is closed, or `timeout` is over.
    /// Returns whether they do.
    ///
    /// # Errors
    /// As [`seq`](Self::seq).
    pub fn wait_for(&self, seq: Seq, timeout: Duration) -> Result<bool> {
        wait_for(&self.open, seq, timeout)
    }

    /// Waits until readers see everything up to `seq`; false if the database was closed before. To be awaited in
    /// a task of any runtime, which also has the timeouts.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// # use annals::{Database, ExpectedVersion, NewEvent};
    /// # async fn follow(db: Database) -> Result<(), annals::Error> {
    /// let orders = db.category("orders")?;
    /// let appended = orders.append(7u64, &NewEvent::json("placed", "{}"), ExpectedVersion::Any)?;
    /// assert!(db.watcher().wait_for_async(appended.last_seq).await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`seq`](Self::seq).
    pub async fn wait_for_async(&self, seq: Seq) -> Result<bool> {
        std::future::poll_fn(|context| self.poll(seq, context)).await
    }

    fn poll(&self, seq: Seq, context: &Context<'_>) -> Poll<Result<bool>> {
        loop {
            // Asked first: what was committed before closing is seen.
            let is_closed = self.open.core().journal.is_closed();
            if self.seq()? >= seq {
                return Poll::Ready(Ok(true));
            }
            meanwhile::run(Moment::NothingCame);
            let core = self.open.core();
            if is_closed {
                return Poll::Ready(Ok(false));
            }
            if core.read_only {
                look_again(context.waker());
                return Poll::Pending;
            }
            let has_more = core.journal.watch_beyond(core.journal.end(), context.waker());
            // What was shown before the waker was known woke nobody.
            if !has_more && core.visible_seq() < seq {
                return Poll::Pending;
            }
        }
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("visible", &self.open.core().visible_seq()).finish()
    }
}

/// Waits until readers see everything up to `seq`.
pub(crate) fn wait_for(open: &Arc<Open>, seq: Seq, timeout: Duration) -> Result<bool> {
    let deadline = Deadline::after(open.core(), timeout);
    loop {
        open.follow_if_read_only()?;
        let core = open.core();
        // Asked first: what was committed before closing is seen.
        let (is_closed, end) = (core.journal.is_closed(), core.journal.end());
        if core.visible_seq() >= seq {
            return Ok(true);
        }
        meanwhile::run(Moment::NothingCame);
        let left = deadline.left(core);
        if left.is_zero() || is_closed {
            return Ok(false);
        }
        if core.read_only {
            std::thread::sleep(left.min(POLL));
        } else {
            let _ = core.journal.wait_beyond(end, left.min(SHOWN_SOON));
        }
    }
}
