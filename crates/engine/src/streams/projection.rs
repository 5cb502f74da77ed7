//! Projections: what users make of events, kept in keyspaces.
//!
//! What a projection writes, and how far it has come, is one commit; so each event counts once, also
//! across crashes.

use super::{RecordedEvent, Subscription, Work};
use crate::{Database, Error, ErrorKind, HashKeyspace, Result};
use annals_journal::Seq;
use parking_lot::Mutex;
use std::{collections::BTreeSet, time::Duration};

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
    /// How often it was begun anew when this one began.
    round: u64,
    /// What is kept of how far it has come cannot be read: which events are counted already nobody knows.
    is_lost: bool,
    events: Subscription<'a>,
    work: Work,
}

impl<'a, P: Projection> Projector<'a, P> {
    /// Goes on where the projection of this name has come to, with the events of all categories. Where what is kept
    /// of that cannot be read, it takes no step before it is [rebuilt](Self::rebuild).
    ///
    /// # Errors
    /// Those of making a keyspace and of reading.
    pub fn new(db: &'a Database, name: &str, mut projection: P) -> Result<Self> {
        let progress = db.hash_keyspace(PROGRESS_NAME)?;
        let (known, mut told) = kept(&progress, name)?;
        let (mut known, is_lost) = (known.unwrap_or(Progress::BEGIN), known.is_none());
        if known.state == STATE_RESETTING {
            (known, told) = reset(db, name, &progress, &mut projection)?;
        }
        let events = db.subscribe(known.next)?;
        let (name, work, round) = (name.to_owned(), Work::new(), known.round);
        Ok(Self { db, name, projection, progress, told, round, is_lost, events, work })
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
    /// handled is committed first: it is the next step that fails, and each one after it. [`Error::Refused`] if another
    /// one of this name has gone on, or nobody knows how far it has come.
    pub fn step(&mut self) -> Result<usize> {
        if self.is_lost {
            let what = "what is kept of how far the projection has come cannot be read";
            return Err(Error::Refused(format!("`{}`: {what}; rebuild it", self.name)));
        }
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
            let next = self.position();
            let progress = Progress { state: STATE_RUNNING, next, round: self.round }.encode();
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
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, ExpectedVersion, HashKeyspace, NewEvent, Projection, Projector, RecordedEvent, Work};
    /// use std::sync::atomic::{AtomicBool, Ordering};
    ///
    /// /// The last event of each stream.
    /// struct Newest(HashKeyspace);
    ///
    /// impl Projection for Newest {
    ///     fn handle(&mut self, event: &RecordedEvent<'_>, work: &mut Work) -> annals::Result<()> {
    ///         work.insert(&self.0, event.stream().to_string(), event.data());
    ///         Ok(())
    ///     }
    ///
    ///     fn reset(&mut self, _: &Database) -> annals::Result<()> {
    ///         self.0.clear()
    ///     }
    /// }
    ///
    /// let db = Database::open_in_memory()?;
    /// let (rooms, newest) = (db.category("rooms")?, db.hash_keyspace("newest")?);
    /// let is_over = AtomicBool::new(false);
    /// std::thread::scope(|scope| -> annals::Result<()> {
    ///     let mut projector = Projector::new(&db, "newest", Newest(newest.clone()))?;
    ///     let is_over = &is_over;
    ///     let running = scope.spawn(move || projector.run(|| is_over.load(Ordering::Relaxed)));
    ///     rooms.append("kitchen", &NewEvent::bytes("measured", b"21"), ExpectedVersion::Any)?;
    ///     while !newest.contains("kitchen")? {
    ///         std::thread::yield_now();
    ///     }
    ///     is_over.store(true, Ordering::Relaxed);
    ///     running.join().expect("it does not panic")
    /// })?;
    /// # Ok::<(), annals::Error>(())
    /// ```
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

    /// Empties what the projection keeps, and begins anew with the first event. Whoever else runs a projection of
    /// this name is refused from now on.
    ///
    /// # Errors
    /// What emptying fails with; the next [`new`](Self::new) of this name does it again then.
    /// [`Error::Refused`] while another one of this name is emptying.
    pub fn rebuild(&mut self) -> Result<()> {
        self.work.clear();
        let (known, told) = reset(self.db, &self.name, &self.progress, &mut self.projection)?;
        (self.round, self.told, self.is_lost) = (known.round, told, false);
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

/// Empties what a projection keeps. Returns how far it has come then, also as it is kept.
fn reset(
    db: &Database,
    name: &str,
    progress: &HashKeyspace,
    projection: &mut impl Projection,
) -> Result<(Progress, Option<Vec<u8>>)> {
    // Else another one could find it empty and write to it, and this one would empty it once more.
    let Some(_resetting) = Resetting::begin(&db.core.resets, name) else {
        let what = "another projector of this name is emptying it";
        return Err(Error::Refused(format!("`{name}`: {what}; try again when it has")));
    };
    // Each time that it begins anew is some records of the log: where nobody knows how often, it was less often than
    // there are records.
    let (known, _) = kept(progress, name)?;
    let round = known.map_or_else(|| db.last_seq().0, |known| known.round).wrapping_add(1);
    let begun = Progress { state: STATE_RESETTING, next: Seq::ZERO, round };
    progress.insert(name, begun.encode())?;
    projection.reset(db)?;
    let known = Progress { state: STATE_RUNNING, ..begun };
    progress.insert(name, known.encode())?;
    Ok((known, Some(known.encode().to_vec())))
}

/// What is kept of how far the projection of this name has come, also as it is kept. `None` if that cannot be read.
fn kept(progress: &HashKeyspace, name: &str) -> Result<(Option<Progress>, Option<Vec<u8>>)> {
    let told = match progress.get(name) {
        Err(error) if error.kind() == ErrorKind::Corrupt => return Ok((None, None)),
        told => told?.map(|told| told.to_vec()),
    };
    Ok((told.as_deref().map_or(Some(Progress::BEGIN), Progress::decode), told))
}

/// How far a projection has come.
#[derive(Clone, Copy)]
struct Progress {
    state: u8,
    next: Seq,
    /// How often it was begun anew: who began before that may stand at the same number and have read what is no more.
    round: u64,
}

impl Progress {
    /// Of one that was never told.
    const BEGIN: Self = Self { state: STATE_RUNNING, next: Seq::ZERO, round: 0 };

    fn encode(self) -> [u8; 17] {
        let mut told = [self.state; 17];
        told[1..9].copy_from_slice(&self.next.0.to_le_bytes());
        told[9..].copy_from_slice(&self.round.to_le_bytes());
        told
    }

    fn decode(told: &[u8]) -> Option<Self> {
        let (state, rest) = told.split_first()?;
        let (next, round) = rest.split_first_chunk::<8>()?;
        // Who wrote none had none.
        let round: [u8; 8] = if round.is_empty() { [0; 8] } else { round.try_into().ok()? };
        let (next, round) = (Seq(u64::from_le_bytes(*next)), u64::from_le_bytes(round));
        (*state <= STATE_RESETTING).then_some(Self { state: *state, next, round })
    }
}

/// The names of projections that are emptied just now.
pub(crate) type Resets = Mutex<BTreeSet<String>>;

/// That a projection is emptied, for as long as this lives.
struct Resetting<'a> {
    resets: &'a Resets,
    name: &'a str,
}

impl<'a> Resetting<'a> {
    /// `None` if it is emptied already.
    fn begin(resets: &'a Resets, name: &'a str) -> Option<Self> {
        let is_first = resets.lock().insert(name.to_owned());
        // Not made where it is not the first: it would end what the other one holds.
        is_first.then(|| Self { resets, name })
    }
}

impl Drop for Resetting<'_> {
    fn drop(&mut self) {
        self.resets.lock().remove(self.name);
    }
}
