//! Replaying events to a query, from a thread that reads ahead.

use crate::{error::persistence, event::serialized};
use annals_engine::{Category, RecordedEvent, Result, Seq};
use cqrs_es::persist::{PersistenceError, ReplayFeed, ReplayStream};
use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::Thread,
};

/// The events of a stream of the category, or of all of them in the order in which they were appended.
pub(crate) fn stream(
    category: Option<Category>,
    id: Option<String>,
    ahead: usize,
) -> Result<ReplayStream, PersistenceError> {
    let (mut feed, stream) = ReplayStream::new(ahead);
    let Some(category) = category else { return Ok(stream) };
    let read = move || match id {
        Some(id) => match category.read(&*id) {
            Ok(events) => push_all(&mut feed, events),
            Err(error) => push_all(&mut feed, std::iter::once(Err(error))),
        },
        None => match category.read_all(Seq::ZERO) {
            Ok(events) => push_all(&mut feed, events),
            Err(error) => push_all(&mut feed, std::iter::once(Err(error))),
        },
    };
    let thread = std::thread::Builder::new().name("annals-replay".into()).spawn(read);
    thread.map_err(|error| PersistenceError::ConnectionError(Box::new(error)))?;
    Ok(stream)
}

/// Hands over events until there are no more, or nobody wants them.
fn push_all<'c>(feed: &mut ReplayFeed, events: impl Iterator<Item = Result<RecordedEvent<'c>>>) {
    for event in events {
        let event = event.map_err(persistence).and_then(|event| serialized(&event));
        if block_on(feed.push(event)).is_err() {
            return;
        }
    }
}

/// Waits for a future on this thread.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let (mut context, mut future) = (Context::from_waker(&waker), pin!(future));
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}
