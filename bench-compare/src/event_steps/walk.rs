//! Walks through events, each of which is checked: that it is the one whose turn it is, and whole.

use crate::Result;
use crate::event::Seen;
use crate::event_engine::{EventEngine, EventJob, EventReader};

/// Sees the events that a walk shows.
pub(crate) struct Walk {
    seen: u64,
    right: bool,
}

impl Walk {
    /// Nothing seen so far.
    pub(crate) fn new() -> Self {
        Self { seen: 0, right: true }
    }

    /// Whether the event is the one of `number`, where `number` makes it of how many were seen before.
    #[inline]
    pub(crate) fn see(&mut self, event: &Seen<'_>, number: impl FnOnce(u64) -> u64) {
        self.right &= event.is(number(self.seen));
        self.seen += 1;
    }

    /// An error unless all were right and there were `count` of them.
    pub(crate) fn check(&self, count: u64) -> Result<()> {
        if self.right && self.seen == count {
            return Ok(());
        }
        let kind = if self.right { "right" } else { "some of them wrong or out of order" };
        Err(format!("a walk showed {} events of {count}, {kind}", self.seen).into())
    }
}

/// Reads a whole stream: the event before which there are `version` others is that of `number(version)`.
pub(crate) fn stream<R: EventReader>(
    reader: &mut R,
    stream: u64,
    count: u64,
    number: impl Fn(u64) -> u64,
) -> Result<()> {
    let mut walk = Walk::new();
    reader.stream(stream, |event| walk.see(&event, &number))?;
    walk.check(count)
}

/// Checks, outside the timing, that streams are what was appended to them: a stream, its length and the
/// number of the event of a version.
pub(super) fn check<E: EventEngine>(
    db: &E,
    streams: impl Iterator<Item = (u64, u64)>,
    number: impl Fn(u64, u64) -> u64,
) -> Result<()> {
    db.read(&mut Check { streams: Some(streams), number })
}

struct Check<I, N> {
    streams: Option<I>,
    number: N,
}

impl<I: Iterator<Item = (u64, u64)>, N: Fn(u64, u64) -> u64> EventJob for Check<I, N> {
    fn run<R: EventReader>(&mut self, reader: &mut R) -> Result<()> {
        for (id, count) in self.streams.take().into_iter().flatten() {
            stream(reader, id, count, |version| (self.number)(id, version))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Event;

    #[test]
    fn wrong_walks_are_refused() {
        let walk = |numbers: &[u64], count| {
            let mut walk = Walk::new();
            for number in numbers {
                let bytes = Event::of(*number).encode();
                walk.see(&Seen::decode(&bytes).expect("an event"), |seen| 10 + seen);
            }
            walk.check(count)
        };
        assert!(walk(&[10, 11, 12], 3).is_ok());
        assert!(walk(&[10, 11], 3).is_err(), "one is missing");
        assert!(walk(&[10, 11, 12], 2).is_err(), "one too many");
        assert!(walk(&[11, 10], 2).is_err(), "out of order");
        assert!(walk(&[10, 10], 2).is_err(), "twice");
    }
}
