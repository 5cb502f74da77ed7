//! Projections: what users make of events, kept in keyspaces.
//!
//! What a projection writes, and how far it has come, is one commit; so each event counts once, also
//! across crashes.

use super::{RecordedEvent, Subscription, Work};
use crate::{Database, Error, HashKeyspace, Result};
use annals_journal::Seq;
use std::time::Duration;

/// The keyspace in which it says how far each projection has come.
const PROGRESS_NAME: &str = "annals.projections";
/// As many events are committed together, at most.
const EVENTS_MAX: usize = 1_000;
const STATE_RUNNING: u8 = 0;
const STATE_RESETTING: u8 = 1;

/// What is made of events. What it keeps between events has to be in keyspaces: after a commit that
/// fails, and after a restart, that is all it has.
pub trait Projection {
    /// Handles one event. Events come in the order in which they were appended, each once.
    ///
    /// # Errors
    /// What keeps it from going on: the projection stops in front of this event.
    fn handle(&mut self, event: &RecordedEvent<'_>, work: &mut Work) -> Result<()>;

    /// Empties its keyspaces: it will be told all events from the first one on. May be called again
    /// after it was interrupted.
    ///
    /// # Errors
    /// What emptying them fails with.
    fn reset(&mut self, db: &Database) -> Result<()>;
}

/// Runs a [`Projection`]. How far it has come is kept by its name. Of several of a name the one that commits
/// first goes on; the others are [refused](Error::Refused).
///
/// ```
/// # use annals_engine as annals;
/// use annals::{Database, ExpectedVersion, HashKeyspace, NewEvent, Projection, Projector, RecordedEvent, Work};
///
/// /// How many events each stream has.
/// struct Counts(HashKeyspace);
///
/// impl Projection for Counts {
///     fn handle(&mut self, event: &RecordedEvent<'_>, work: &mut Work) -> annals::Result<()> {
///         let key = event.stream().to_string();
///         let before = work.get(&self.0, &key)?.map_or(0, |count| count[0]);
///         work.insert(&self.0, key, [before + 1]);
///         Ok(())
///     }
///
///     fn reset(&mut self, _: &Database) -> annals::Result<()> {
///         self.0.clear()
///     }
/// }
///
/// let db = Database::open_in_memory()?;
/// let clicks = db.category("clicks")?;
/// for id in ["ada", "bob", "ada"] {
///     clicks.append(id, &NewEvent::bytes("click", b""), ExpectedVersion::Any)?;
/// }
/// let counts = db.hash_keyspace("counts")?;
/// let mut projector = Projector::new(&db, "counts", Counts(counts.clone()))?;
/// assert_eq!(projector.catch_up()?, 3);
/// assert_eq!(counts.get("ada")?.as_deref(), Some(&[2][..]));
/// assert_eq!(projector.lag(), 0);
/// # Ok::<(), annals::Error>(())
/// ```
pub struct Projector<'a, P> {
    db: &'a Database,
    name: String,
    projection: P,
    progress: HashKeyspace,
    /// What is kept of how far it has come, as this one wrote it last.
    told: Option<Vec<u8>>,
    events: Subscription<'a>,
    work: Work,
}

impl<'a, P: Projection> Projector<'a, P> {
    /// Goes on where the projection of this name has come to, with the events of all categories.
    ///
    /// # Errors
    /// Those of making a keyspace and of reading.
    pub fn new(db: &'a Database, name: &str, mut projection: P) -> Result<Self> {
        let progress = db.hash_keyspace(PROGRESS_NAME)?;
        let mut told = progress.get(name)?.map(|told| told.to_vec());
        let (state, next) = match &told {
            Some(told) => told_progress(told).ok_or_else(|| {
                let what = "what is kept of how far the projection has come cannot be read";
                Error::Refused(format!("`{name}`: {what}; rebuild it"))
            })?,
            None => (STATE_RUNNING, Seq::ZERO),
        };
        if state == STATE_RESETTING {
            projection.reset(db)?;
            progress.insert(name, progress_of(STATE_RUNNING, Seq::ZERO))?;
            told = Some(progress_of(STATE_RUNNING, Seq::ZERO).to_vec());
        }
        let next = if state == STATE_RESETTING { Seq::ZERO } else { next };
        let events = db.subscribe(next)?;
        let (name, work) = (name.to_owned(), Work::new());
        Ok(Self { db, name, projection, progress, told, events, work })
    }

    /// The projection.
    pub fn projection(&self) -> &P {
        &self.projection
    }

    /// The number from which it goes on.
    #[must_use]
    pub fn position(&self) -> Seq {
        self.events.position()
    }

    /// By how many records it is behind, those that are no events included.
    #[must_use]
    pub fn lag(&self) -> u64 {
        (self.db.last_seq().0 + 1).saturating_sub(self.position().0)
    }

    /// Handles events that are there, some at a time, and commits what became of them. Returns how many
    /// there were; 0 when it has come to the end. Not calling it again is how it pauses.
    ///
    /// # Errors
    /// What reading, the commit or the projection fails with. What came before an event that could not be
    /// handled is committed first: it is the next step that fails, and each one after it.
    pub fn step(&mut self) -> Result<usize> {
        let begun = self.position();
        let (handled_count, outcome) = self.handle(EVENTS_MAX);
        let outcome = match outcome {
            Ok(()) => self.commit(handled_count),
            Err(_) if handled_count > 0 => {
                // Of the one that could not be handled some writes may be there.
                self.begin_again(begun)?;
                let (handled_count, outcome) = self.handle(handled_count);
                outcome.and_then(|()| self.commit(handled_count))
            }
            Err(error) => Err(error),
        };
        if outcome.is_err() {
            self.begin_again(begun)?;
        }
        outcome
    }

    /// Handles as many events as there are, `most` at most. Returns how many.
    fn handle(&mut self, most: usize) -> (usize, Result<()>) {
        for handled_count in 0..most {
            let event = match self.events.try_next() {
                Ok(Some(event)) => event,
                Ok(None) => return (handled_count, Ok(())),
                Err(error) => return (handled_count, Err(error)),
            };
            if let Err(error) = self.projection.handle(&event, &mut self.work) {
                return (handled_count, Err(error));
            }
        }
        (most, Ok(()))
    }

    fn begin_again(&mut self, from: Seq) -> Result<()> {
        self.work.clear();
        self.events = self.db.subscribe(from)?;
        Ok(())
    }

    /// Commits what became of events, and that they were handled.
    fn commit(&mut self, handled_count: usize) -> Result<usize> {
        if handled_count > 0 {
            let mut batch = self.db.batch();
            self.work.drain_into(&mut batch)?;
            let progress = progress_of(STATE_RUNNING, self.position());
            batch.insert(&self.progress, &self.name, progress)?;
            // Events that another one of this name has handled must not count twice.
            let is_alone = || Ok(self.progress.get(&self.name)?.as_deref() == self.told.as_deref());
            if batch.commit_if(is_alone)?.is_none() {
                let what = "another projector of this name has gone on meanwhile";
                return Err(Error::Refused(format!("`{}`: {what}; begin anew", self.name)));
            }
            self.told = Some(progress.to_vec());
        }
        Ok(handled_count)
    }

    /// Handles all events that are there. Returns how many there were.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub fn catch_up(&mut self) -> Result<u64> {
        let mut handled_count = 0;
        loop {
            match self.step()? {
                0 => return Ok(handled_count),
                count => handled_count += count as u64,
            }
        }
    }

    /// Handles events as they come, until `stop` says so, which it is asked between steps, or the
    /// database is closed.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub fn run(&mut self, mut stop: impl FnMut() -> bool) -> Result<()> {
        /// So often it is asked whether to stop while nothing comes.
        const PAUSE: Duration = Duration::from_millis(100);
        while !stop() && !self.db.core.journal.is_closed() {
            if self.step()? == 0 {
                self.events.wait(PAUSE);
            }
        }
        Ok(())
    }

    /// Empties what the projection keeps, and begins anew with the first event.
    ///
    /// # Errors
    /// What emptying fails with; the next [`new`](Self::new) of this name does it again then.
    pub fn rebuild(&mut self) -> Result<()> {
        self.work.clear();
        self.progress.insert(&self.name, progress_of(STATE_RESETTING, Seq::ZERO))?;
        self.projection.reset(self.db)?;
        self.progress.insert(&self.name, progress_of(STATE_RUNNING, Seq::ZERO))?;
        self.told = Some(progress_of(STATE_RUNNING, Seq::ZERO).to_vec());
        self.events = self.db.subscribe(Seq::ZERO)?;
        Ok(())
    }
}

impl<P> std::fmt::Debug for Projector<'_, P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Projector")
            .field("name", &self.name)
            .field("events", &self.events)
            .finish_non_exhaustive()
    }
}

fn progress_of(state: u8, next: Seq) -> [u8; 9] {
    let mut told = [state; 9];
    told[1..].copy_from_slice(&next.0.to_le_bytes());
    told
}

fn told_progress(told: &[u8]) -> Option<(u8, Seq)> {
    let (state, next) = told.split_first()?;
    let next = Seq(u64::from_le_bytes(next.try_into().ok()?));
    (*state <= STATE_RESETTING).then_some((*state, next))
}
