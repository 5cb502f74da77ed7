//! Who takes events of a persistent subscription, and the events that it has taken.

use super::{
    PersistentSubscription,
    board::ConsumerId,
    shared::{How, find},
};
use crate::{RecordedEvent, Result};
use annals_journal::Seq;
use std::{
    fmt,
    ops::Deref,
    task::{Context, Poll},
    time::Duration,
};

/// Takes part in the work of a [`PersistentSubscription`]. When it is dropped, what it has in flight is
/// given back, for others to take at once; that it was given out does not count then.
///
/// Several threads may share one; events of a stream may then be with several of them.
///
/// As an iterator, by reference, it waits for more and ends when the database is closed.
pub struct Consumer {
    subscription: PersistentSubscription,
    id: ConsumerId,
}

impl Consumer {
    pub(super) fn new(subscription: PersistentSubscription) -> Result<Self> {
        let id = subscription.shared().enter()?;
        Ok(Self { subscription, id })
    }

    /// What it takes part in.
    #[must_use]
    pub fn subscription(&self) -> &PersistentSubscription {
        &self.subscription
    }

    /// The next event for this consumer if there is one now: one to be given out again whose time has come, or
    /// the next one of the log. None if so many are in flight as may be.
    ///
    /// # Errors
    /// Damage to the log; what writing fails with; [`UnknownSubscription`](crate::Error::UnknownSubscription)
    /// if it was removed. Damage where it reads on is told each time, by all consumers, until it is
    /// [skipped](PersistentSubscription::skip_to); what was read before is given out first. An event that
    /// cannot be read when it is given out, since it or one of its stream that leads to it is damaged, is told, tried
    /// again as any other, and parked in the end.
    pub fn try_next(&self) -> Result<Option<Delivery<'_>>> {
        self.next_until(u64::MAX)
    }

    fn next_until(&self, deadline_ns: u64) -> Result<Option<Delivery<'_>>> {
        let (open, shared) = (self.subscription.open(), self.subscription.shared());
        while let Some(given) = shared.take(open, self.id, deadline_ns)? {
            let ticket = Ticket { seq: given.seq, delivery: given.delivery };
            match find(open, given.seq, &given.place) {
                Ok(Some(event)) => {
                    let (subscription, attempt) = (&self.subscription, given.attempt);
                    return Ok(Some(Delivery {
                        event,
                        subscription,
                        ticket,
                        attempt,
                        is_settled: false,
                    }));
                }
                Ok(None) => shared.is_gone(&given)?,
                Err(error) => {
                    self.subscription.retry(ticket)?;
                    return Err(error);
                }
            }
        }
        Ok(None)
    }

    /// The next event, for which it waits no longer than `timeout`; `None` if none came, or the database
    /// was closed. It reads no longer than that either: where few events of a large log are wanted, there may
    /// be one all the same, and the next call goes on where this one was.
    ///
    /// # Errors
    /// As [`try_next`](Self::try_next).
    pub fn next_within(&self, timeout: Duration) -> Result<Option<Delivery<'_>>> {
        let (open, shared) = (self.subscription.open(), self.subscription.shared());
        let timeout_ns = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        let deadline_ns = shared.disk.monotonic_ns().saturating_add(timeout_ns);
        loop {
            let seen = shared.signal.wakings_count();
            if let Some(delivery) = self.next_until(deadline_ns)? {
                return Ok(Some(delivery));
            }
            let left_ns = deadline_ns.saturating_sub(shared.disk.monotonic_ns());
            if left_ns == 0 || open.journal.is_closed() {
                return Ok(None);
            }
            if !shared.watch_log(open) {
                let left = Duration::from_nanos(left_ns);
                shared.signal.wait(seen, left.min(shared.sleep_max()));
            }
        }
    }

    /// The next event; `None` if the database was closed. To be awaited in a task of any runtime.
    ///
    /// While tasks wait and events are in flight or to be given out again, a thread looks at the time for them.
    ///
    /// # Errors
    /// As [`try_next`](Self::try_next).
    pub async fn next_async(&self) -> Result<Option<Delivery<'_>>> {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }

    fn poll_next(&self, context: &mut Context<'_>) -> Poll<Result<Option<Delivery<'_>>>> {
        let (open, shared) = (self.subscription.open(), self.subscription.shared());
        loop {
            let seen = shared.signal.wakings_count();
            match self.try_next() {
                Ok(None) if open.journal.is_closed() => return Poll::Ready(Ok(None)),
                Ok(None) => {}
                other => return Poll::Ready(other),
            }
            if shared.signal.watch(seen, context.waker()) && !shared.watch_log(open) {
                shared.watch_time();
                return Poll::Pending;
            }
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.subscription.shared().leave(self.id);
    }
}

impl<'c> Iterator for &'c Consumer {
    type Item = Result<Delivery<'c>>;

    fn next(&mut self) -> Option<Self::Item> {
        /// So often it looks whether the database was closed.
        const WAIT: Duration = Duration::from_secs(1);
        let this = *self;
        loop {
            match this.next_within(WAIT) {
                Ok(Some(delivery)) => return Some(Ok(delivery)),
                Ok(None) if this.subscription.open().journal.is_closed() => return None,
                Ok(None) => {}
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("subscription", &self.subscription.name())
            .field("id", &self.id)
            .finish()
    }
}

/// An event that a consumer was given, to be settled: acknowledged, tried again or parked. One that is dropped
/// unsettled is tried again.
pub struct Delivery<'c> {
    event: RecordedEvent<'c>,
    subscription: &'c PersistentSubscription,
    ticket: Ticket,
    attempt: u32,
    is_settled: bool,
}

/// Stands for an event in flight, once it was given out: with it the event can be settled from anywhere, while the
/// subscription is open: one of an earlier opening, or of another subscription, settles nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket {
    pub(super) seq: Seq,
    pub(super) delivery: u64,
}

impl Ticket {
    /// The number of the event.
    #[must_use]
    pub fn seq(self) -> Seq {
        self.seq
    }
}

impl<'c> Delivery<'c> {
    /// The event.
    #[must_use]
    pub fn event(&self) -> &RecordedEvent<'c> {
        &self.event
    }

    /// How often it was given out, this time included. Times before a restart may be missing.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Settles it: it was handled. See [`PersistentSubscription::acknowledge`].
    ///
    /// # Errors
    /// As there.
    pub fn acknowledge(mut self) -> Result<bool> {
        self.is_settled = true;
        self.subscription.acknowledge(self.ticket)
    }

    /// Lets it be tried again, later. See [`PersistentSubscription::retry`].
    ///
    /// # Errors
    /// As there.
    pub fn retry(mut self) -> Result<bool> {
        self.is_settled = true;
        self.subscription.retry(self.ticket)
    }

    /// Lets it be tried again after `delay`. See [`PersistentSubscription::retry`].
    ///
    /// # Errors
    /// As there.
    pub fn retry_after(mut self, delay: Duration) -> Result<bool> {
        self.is_settled = true;
        self.subscription.retry_after(self.ticket, delay)
    }

    /// Puts it aside. See [`PersistentSubscription::park`].
    ///
    /// # Errors
    /// As there.
    pub fn park(mut self, reason: &str) -> Result<bool> {
        self.is_settled = true;
        self.subscription.park(self.ticket, reason)
    }

    /// Leaves it in flight, to be settled by its ticket before its time is over.
    #[must_use]
    pub fn leave(mut self) -> Ticket {
        self.is_settled = true;
        self.ticket
    }
}

impl<'c> Deref for Delivery<'c> {
    type Target = RecordedEvent<'c>;

    fn deref(&self) -> &Self::Target {
        &self.event
    }
}

impl Drop for Delivery<'_> {
    fn drop(&mut self) {
        if !self.is_settled
            && let Err(error) = self.subscription.retry(self.ticket)
        {
            tracing::debug!(%error, "an event that was dropped unsettled is given out again when its time is over");
        }
    }
}

impl fmt::Debug for Delivery<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("event", &self.event)
            .field("attempt", &self.attempt)
            .finish_non_exhaustive()
    }
}

impl How<'_> {
    /// Settles the event of `ticket`.
    pub(super) fn settle(
        self,
        subscription: &PersistentSubscription,
        ticket: Ticket,
    ) -> Result<bool> {
        let (open, shared) = (subscription.open(), subscription.shared());
        shared.settle(open, ticket.seq, ticket.delivery, self)
    }
}
