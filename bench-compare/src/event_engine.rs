//! What a workload asks of an event store.
//!
//! An engine is used by its own calls; what it has no call for is an [`Ability`] that it lacks, and its
//! rows stay empty. Reading goes through an [`EventJob`], because stores with transactions lend a
//! reader that borrows from them.

use std::path::Path;

use crate::Result;
use crate::engine::Mode;
use crate::event::{Event, Seen};
use crate::group::Group;

/// What not every event store can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ability {
    /// Append only if the stream is as long as is expected.
    Exact,
    /// Append to several streams in one commit.
    Across,
    /// Read a stream from its end.
    Backward,
    /// Look an event up by its place in the global order.
    Place,
    /// Tell how many streams there are.
    Count,
    /// Hand events to a reader as they come.
    Follow,
    /// The same to one that does not sleep while it waits.
    FollowAwake,
    /// Keep a state derived from events, together with how far it has come.
    Project,
}

/// What an append expects of its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Nothing.
    Any,
    /// That it has so many events.
    Events(u64),
}

/// What a projection has for a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Total {
    /// Its events.
    pub(crate) events: u64,
    /// The sum of their quantities.
    pub(crate) quantity: u64,
}

/// One embedded event store under one configuration.
pub(crate) trait EventEngine: Sized + Sync {
    /// The name in tables and on the command line.
    const NAME: &'static str;
    /// The package whose version is reported.
    const PACKAGE: &'static str;
    /// What was configured for [`Mode::Buffered`].
    const BUFFERED: &'static str;
    /// What was configured for [`Mode::Sync`].
    const SYNC: &'static str;
    /// Whether each commit is synced, whatever the mode. Loads that commit often are then made in a folder
    /// in memory, and the files copied: what is read is the same.
    const ALWAYS_SYNCS: bool = false;
    /// What else was set, and how events are kept.
    const SETTINGS: &'static str;
    /// What it has no call for.
    const LACKS: &'static [Ability];
    /// The groups it takes part in.
    const GROUPS: &'static [Group] = Group::EVENTS;

    /// Whether it can do that.
    fn can(ability: Ability) -> bool {
        !Self::LACKS.contains(&ability)
    }

    /// The version of a library outside the lock file.
    fn library() -> Option<String> {
        None
    }

    /// Opens or creates the database in the folder `dir`.
    fn open(dir: &Path, mode: Mode) -> Result<Self>;

    /// Appends `events` to `stream` in one commit. An error if the stream is not as expected.
    fn append(&self, stream: u64, events: &[Event], expected: Expected) -> Result<()>;

    /// Appends each event to the stream at its position, in one commit.
    fn append_across(&self, streams: &[u64], events: &[Event]) -> Result<()> {
        let _ = (streams, events);
        Err(LACKS.into())
    }

    /// Runs `job` with a reader that sees all that was committed before.
    fn read<J: EventJob>(&self, job: &mut J) -> Result<()>;

    /// How many streams there are.
    fn count_streams(&self) -> Result<u64> {
        Err(LACKS.into())
    }

    /// Shows all events in global order, first those that are there, then each as it is committed, until
    /// `show` says that it has seen enough. Who is `awake` looks all the time.
    fn follow(&self, awake: bool, show: impl FnMut(Seen<'_>) -> bool) -> Result<()> {
        let _ = (awake, show);
        Err(LACKS.into())
    }

    /// Adds the first `events` events of the global order to the totals of their streams, which are kept in
    /// the store; `batch` events a commit, each with the place it has come to.
    fn project(&self, events: u64, batch: usize) -> Result<()> {
        let _ = (events, batch);
        Err(LACKS.into())
    }

    /// What was projected for `stream`.
    fn total(&self, stream: u64) -> Result<Total> {
        let _ = stream;
        Err(LACKS.into())
    }

    /// Closes the database cleanly.
    fn close(self) -> Result<()>;
}

/// Reads events. All calls check that an event's bytes are one, as a reader of a disk must.
pub(crate) trait EventReader {
    /// Shows the event of `stream` that has `version` events before it; `None` if there is none.
    fn get<T>(
        &mut self,
        stream: u64,
        version: u64,
        show: impl FnOnce(Seen<'_>) -> T,
    ) -> Result<Option<T>>;

    /// Shows the event that has `place` events before it in the global order; `None` if there is none.
    fn get_at<T>(&mut self, place: u64, show: impl FnOnce(Seen<'_>) -> T) -> Result<Option<T>> {
        let _ = (place, show);
        Err(LACKS.into())
    }

    /// Shows all events in global order.
    fn all(&mut self, show: impl FnMut(Seen<'_>)) -> Result<()>;

    /// Shows the events of `stream` in order.
    fn stream(&mut self, stream: u64, show: impl FnMut(Seen<'_>)) -> Result<()>;

    /// Shows the events of `stream`, the last one first.
    fn stream_back(&mut self, stream: u64, show: impl FnMut(Seen<'_>)) -> Result<()> {
        let _ = (stream, show);
        Err(LACKS.into())
    }
}

/// Work that needs an [`EventReader`].
pub(crate) trait EventJob {
    /// Does the work.
    fn run<R: EventReader>(&mut self, reader: &mut R) -> Result<()>;
}

const LACKS: &str = "this event store has no call for that";
/// What an engine says of bytes that are no event.
#[allow(dead_code, reason = "a build may have no event store")]
pub(crate) const NO_EVENT: &str = "the bytes of an event are none";
