//! What a persistent subscription is to give out, and how.

use crate::{Result, StreamId, clock::as_ms, streams::id::StreamKey};
use annals_journal::Seq;
use std::time::Duration;

/// Who is given which event, where several consumers share a subscription.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Strategy {
    /// Events of one stream are never with two consumers at once, and come in their order: while one is
    /// in flight, the next ones of its stream go to the same consumer, and while one waits to be given out again,
    /// to nobody.
    ///
    /// No more than 4,096 events are read and not settled. If those that wait behind an event of their stream are
    /// so many, nobody is given others until it is settled: where streams are long,
    /// [few attempts](PersistentOptions::max_attempts) and a short [delay](PersistentOptions::retry_delay)
    /// bound how long that takes.
    #[default]
    ByStream,
    /// The next event goes to whoever asks first.
    Any,
}

/// With which event a persistent subscription begins when it is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum StartAt {
    /// The first one there is.
    #[default]
    Beginning,
    /// The first one that is appended from now on.
    Now,
    /// The first one with this number or a higher one.
    Seq(Seq),
}

/// Which events a persistent subscription gives out, and how. Which events, and where it begins, is said once,
/// when it is [made](crate::Database::persistent_subscription); the rest may be said anew each time.
///
/// ```
/// # use annals_engine as annals;
/// use annals::{PersistentOptions, StartAt, Strategy};
/// use std::time::Duration;
/// let options = PersistentOptions::default()
///     .category("orders")
///     .types(["placed", "paid"])
///     .start(StartAt::Now)
///     .strategy(Strategy::ByStream)
///     .ack_timeout(Duration::from_secs(10))
///     .max_attempts(5)
///     .retry_delay(Duration::from_millis(200))
///     .max_in_flight(64)
///     .write_every(100, Duration::from_secs(1));
/// # let _ = options;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PersistentOptions {
    pub(super) selection: Selection,
    pub(super) start: StartAt,
    pub(super) settings: Settings,
    /// The length of a stream's id that was asked for and is too long, which is told when this is used.
    bad_stream_bytes: Option<u64>,
}

/// Which events are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Selection {
    pub(super) category: Option<String>,
    /// The key of the stream.
    pub(super) stream: Option<Vec<u8>>,
    /// In their order, each once; none: of all types.
    pub(super) types: Vec<String>,
}

/// What may be changed while there are consumers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) strategy: Strategy,
    pub(super) ack_timeout_ms: u64,
    pub(super) attempts_max: u32,
    pub(super) retry_delay_ms: u64,
    pub(super) in_flight_max: u32,
    pub(super) write_count: u32,
    pub(super) write_ms: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            strategy: Strategy::default(),
            ack_timeout_ms: 30_000,
            attempts_max: 10,
            retry_delay_ms: 1_000,
            in_flight_max: 1_000,
            write_count: 200,
            write_ms: 1_000,
        }
    }
}

impl PersistentOptions {
    /// Gives out events of the category `name` only, which is made if it is not there.
    ///
    /// The category is the one that has the name when the subscription is opened. If it is dropped and one of the same
    /// name is made, the handles that are open give out nothing of that one, and pass over its
    /// events: drop all handles before, and open the subscription again behind it. Then it goes on
    /// with the new one's events, from the first one on.
    #[must_use]
    pub fn category(mut self, name: &str) -> Self {
        self.selection.category = Some(name.to_owned());
        self
    }

    /// Gives out events of the stream `id` of the category `name` only.
    #[must_use]
    pub fn stream<'s>(self, name: &str, id: impl Into<StreamId<'s>>) -> Self {
        let id = id.into();
        let key = StreamKey::of(&id);
        let mut this = self.category(name);
        this.bad_stream_bytes = match (&key, &id) {
            (None, StreamId::Text(text)) => Some(text.len() as u64),
            _ => None,
        };
        this.selection.stream = key.map(|key| key.bytes().to_vec());
        this
    }

    /// Gives out events of types of these names only, whatever their version. None: of all types.
    #[must_use]
    pub fn types<T: AsRef<str>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        let mut names: Vec<_> = names.into_iter().map(|name| name.as_ref().to_owned()).collect();
        names.sort_unstable();
        names.dedup();
        self.selection.types = names;
        self
    }

    /// Says where it begins. Default: with the first event there is.
    #[must_use]
    pub fn start(mut self, start: StartAt) -> Self {
        self.start = start;
        self
    }

    /// Says who is given which event. Default: [`Strategy::ByStream`].
    #[must_use]
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.settings.strategy = strategy;
        self
    }

    /// An event that is not settled `timeout` after it was given out is given out again. Default: 30 s.
    #[must_use]
    pub fn ack_timeout(mut self, timeout: Duration) -> Self {
        self.settings.ack_timeout_ms = as_ms(timeout).max(1);
        self
    }

    /// An event that was given out `attempts` times and not acknowledged is parked; 0: never. Default: 10.
    #[must_use]
    pub fn max_attempts(mut self, attempts: u32) -> Self {
        self.settings.attempts_max = attempts;
        self
    }

    /// How long an event that is to be tried again waits, unless its consumer says otherwise. Default: 1 s.
    #[must_use]
    pub fn retry_delay(mut self, delay: Duration) -> Self {
        self.settings.retry_delay_ms = as_ms(delay);
        self
    }

    /// No more than so many events are in flight, of all consumers together; at least one. Default: 1,000.
    #[must_use]
    pub fn max_in_flight(mut self, events: u32) -> Self {
        self.settings.in_flight_max = events.max(1);
        self
    }

    /// What was acknowledged is written when it is so many events, or so long after the first of them, as seen
    /// by the next call; at least one event. Default: 200 events, 1 s.
    #[must_use]
    pub fn write_every(mut self, events: u32, time: Duration) -> Self {
        self.settings.write_count = events.max(1);
        self.settings.write_ms = as_ms(time);
        self
    }

    /// What cannot be asked for.
    pub(super) fn check(&self) -> Result<()> {
        match self.bad_stream_bytes {
            Some(bytes) => {
                let limit = crate::STREAM_ID_BYTES_MAX as u64;
                Err(crate::Error::StreamIdTooLong { bytes, limit })
            }
            None => Ok(()),
        }
    }
}
