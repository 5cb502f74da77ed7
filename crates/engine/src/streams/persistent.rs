//! Persistent subscriptions: subscriptions by name whose place is kept, and whose events several consumers
//! share.
//!
//! Deciding who is given what is `board`'s; reading is `reader`'s, writing and waiting `shared`'s.

mod board;
mod consumer;
mod options;
mod parked;
mod reader;
mod registry;
mod shared;
mod signal;
mod state;

pub use consumer::{Consumer, Delivery, Ticket};
pub use options::{PersistentOptions, StartAt, Strategy};
pub use parked::{Parked, Replayed};
pub(crate) use registry::Registry;

use self::{
    board::Progress,
    options::{Selection, Settings},
    registry::Held,
    shared::{How, Shared},
    state::{
        DEFINITION_KEY, PROGRESS_KEY, decode_definition, decode_parked, decode_progress,
        encode_definition, encode_progress, parked_seq,
    },
};
use super::{Filter, id::StreamKey, id_of_key};
use crate::{Database, Error, ErrorKind, HashKeyspace, Result, catalog::check_name_of, open::Open};
use annals_journal::{Durability, Seq};
use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

/// The keyspaces in which they keep their state are named so, with their names behind it.
const KEYSPACE_PREFIX: &str = "annals.subscription.";

/// A subscription by name that several consumers share, each event going to one of them at a time, and that
/// goes on where it was, also after a restart. Made by
/// [`Database::persistent_subscription`]; cheap to clone.
///
/// Each event is given out *at least once*: until it is [acknowledged](Delivery::acknowledge) or parked. One that is
/// not settled in time, whose consumer went away, or that a consumer wants to [retry](Delivery::retry) is given
/// out again; one that was given out too often is [parked](Self::parked): put aside, to be looked at, replayed or
/// dropped. Without failures each event is given out exactly once.
///
/// **What an acknowledgement promises.** When [`acknowledge`](Delivery::acknowledge) returns, the event is not given
/// out again while the database is open. It is *written* together with others: when there are
/// [so many, or some time has passed](PersistentOptions::write_every), when a consumer finds nothing to do, when something is parked, by
/// [`flush`](Self::flush), when the last handle is dropped, and when the database is closed. What is written
/// survives a crash of the process; a power cut as `Buffered` commits do, and as `flush` says. A crash before gives the event out once more; none is ever
/// passed over.
///
/// Consumers ask for events when they want more, so nobody is given more than it takes.
/// How long events wait and are in flight is measured while the database is open: after a
/// restart all that was not settled may be given out at once.
///
/// ```
/// # use annals_engine as annals;
/// use annals::{Database, ExpectedVersion, NewEvent, PersistentOptions};
///
/// let db = Database::open_in_memory()?;
/// let orders = db.category("orders")?;
/// for id in 0..20u64 {
///     orders.append(id, &NewEvent::json("placed", "{}"), ExpectedVersion::Any)?;
/// }
/// let mails = db.persistent_subscription("mails", &PersistentOptions::default().category("orders"))?;
/// std::thread::scope(|scope| {
///     for _ in 0..2 {
///         scope.spawn(|| -> annals::Result<()> {
///             let consumer = mails.consumer()?;
///             while let Some(order) = consumer.try_next()? {
///                 if order.data().is_empty() {
///                     order.park("there is nothing in it")?;
///                 } else {
///                     // Send the mail, and then:
///                     order.acknowledge()?;
///                 }
///             }
///             Ok(())
///         });
///     }
/// });
/// let info = mails.info()?;
/// assert_eq!((info.waiting_count, info.parked_count, info.lag), (0, 0, 0));
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone)]
pub struct PersistentSubscription {
    held: Arc<Held>,
}

/// How a persistent subscription stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersistentInfo {
    /// Its name.
    pub name: String,
    /// Everything in front of this number is settled: acknowledged or parked.
    pub position: Seq,
    /// By how many numbers that is behind: those of no events, or of none that are wanted, are counted, and those that
    /// are left out after a crash, some millions.
    pub lag: u64,
    /// How many events are in flight.
    pub in_flight_count: u64,
    /// How many events were read, or put back, and are not in flight.
    pub waiting_count: u64,
    /// How many events are parked.
    pub parked_count: u64,
    /// How many events were passed over since it was opened, since they are not there any more, or could not be read
    /// again and were [skipped](PersistentSubscription::skip_to).
    pub gone_count: u64,
    /// How many consumers there are.
    pub consumers_count: u64,
    /// Whether what is kept of it cannot be read: it cannot be opened, only
    /// [removed](Database::remove_persistent_subscription), and what is said here of it is as if it had not begun.
    pub is_lost: bool,
}

impl Database {
    /// The persistent subscription `name`, made as `options` say if it is not there. If it is, which events
    /// it gives out has to be as it was when it was made; where it began is not asked again; the rest is from now on as
    /// `options` say, also for others that have it open.
    ///
    /// # Errors
    /// [`Error::SubscriptionDiffers`] if it gives out other events; [`Error::SubscriptionState`] if what is kept
    /// of it cannot be read; [`Error::InvalidName`], [`Error::StreamIdTooLong`], those of writing.
    pub fn persistent_subscription(
        &self,
        name: &str,
        options: &PersistentOptions,
    ) -> Result<PersistentSubscription> {
        self.check_subscriber(name)?;
        options.check()?;
        let opened = self.core.subscriptions.open(&self.core, name, || {
            match load_definition(self, name)? {
                Some((kept, (selection, settings))) => load(self, name, &kept, selection, settings),
                None => make(self, name, options),
            }
        })?;
        let subscription = PersistentSubscription { held: opened };
        subscription.adopt(options)?;
        Ok(subscription)
    }

    /// The persistent subscription `name`, as it was made or opened last.
    ///
    /// # Errors
    /// [`Error::UnknownSubscription`]; as [`persistent_subscription`](Self::persistent_subscription).
    pub fn open_persistent_subscription(&self, name: &str) -> Result<PersistentSubscription> {
        self.check_subscriber(name)?;
        let held = self.core.subscriptions.open(&self.core, name, || {
            match load_definition(self, name)? {
                Some((kept, (selection, settings))) => load(self, name, &kept, selection, settings),
                None => Err(Error::UnknownSubscription { name: name.to_owned() }),
            }
        })?;
        Ok(PersistentSubscription { held })
    }

    /// How all persistent subscriptions stand, by name; of those that are not open, as they were written last. Those of
    /// which that cannot be read are [lost](PersistentInfo::is_lost). Also in a read-only handle.
    ///
    /// # Errors
    /// Those of reading, but for damage.
    pub fn persistent_subscriptions(&self) -> Result<Vec<PersistentInfo>> {
        let mut list = Vec::new();
        for keyspace in self.keyspaces() {
            let Some(name) = keyspace.name.strip_prefix(KEYSPACE_PREFIX) else { continue };
            let info = match self.core.subscriptions.find(&self.core, name) {
                Some(held) => PersistentSubscription { held }.info(),
                None => written_info(self, name),
            };
            match info {
                Ok(info) => list.push(info),
                // Half made, or removed meanwhile.
                Err(Error::UnknownSubscription { .. }) => {}
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    tracing::warn!(%error, name, "what is kept of a persistent subscription cannot be read");
                    list.push(lost_info(self, name));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(list)
    }

    /// Removes the persistent subscription `name`, what is parked included. Its handles and consumers fail from
    /// now on. One of the same name that is made later begins anew.
    ///
    /// # Errors
    /// [`Error::UnknownSubscription`]; those of writing.
    pub fn remove_persistent_subscription(&self, name: &str) -> Result<()> {
        let unknown = |error| match error {
            Error::UnknownKeyspace { .. } => Error::UnknownSubscription { name: name.to_owned() },
            error => error,
        };
        let remove = || self.drop_keyspace(&keyspace_of(name)).map_err(unknown);
        self.core.subscriptions.remove(name, remove)
    }

    fn check_subscriber(&self, name: &str) -> Result<()> {
        check_name_of(name, "a subscription")?;
        check_name_of(&keyspace_of(name), "a subscription")?;
        if self.core.read_only {
            return Err(annals_journal::Error::ReadOnly.into());
        }
        Ok(())
    }
}

impl PersistentSubscription {
    fn open(&self) -> &Arc<Open> {
        self.held.open()
    }

    fn shared(&self) -> &Arc<Shared> {
        self.held.shared()
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared().name
    }

    /// Another consumer.
    ///
    /// # Errors
    /// [`Error::UnknownSubscription`] if it was removed.
    pub fn consumer(&self) -> Result<Consumer> {
        Consumer::new(self.clone())
    }

    /// Settles the event of `ticket`: it was handled. Returns whether that counts: not if its time was
    /// over and it was given out again, or if it is settled already.
    ///
    /// # Errors
    /// What writing fails with, if this is when it is written what was acknowledged. The acknowledgement
    /// counts all the same, and is written later.
    pub fn acknowledge(&self, ticket: Ticket) -> Result<bool> {
        How::Acknowledge.settle(self, ticket)
    }

    /// Lets the event of `ticket` be given out again, when it has waited for the
    /// [retry delay](PersistentOptions::retry_delay); one that was given out
    /// [too often](PersistentOptions::max_attempts) is parked. Returns whether that counts, as
    /// [`acknowledge`](Self::acknowledge).
    ///
    /// # Errors
    /// As [`acknowledge`](Self::acknowledge).
    pub fn retry(&self, ticket: Ticket) -> Result<bool> {
        How::Retry(None).settle(self, ticket)
    }

    /// The same, after `delay`.
    ///
    /// # Errors
    /// As [`acknowledge`](Self::acknowledge).
    pub fn retry_after(&self, ticket: Ticket, delay: Duration) -> Result<bool> {
        How::Retry(Some(delay)).settle(self, ticket)
    }

    /// Puts the event of `ticket` aside, and notes why, up to a KiB. Later events of its stream are given out then.
    /// Returns whether that counts, as [`acknowledge`](Self::acknowledge).
    ///
    /// # Errors
    /// As [`acknowledge`](Self::acknowledge).
    pub fn park(&self, ticket: Ticket, reason: &str) -> Result<bool> {
        How::Park(reason).settle(self, ticket)
    }

    /// Goes on with the number `seq` where it cannot read on: what stands in front of it and was not read yet is never
    /// given out, whether it is damaged or not; what was is not touched. Nothing happens if it is there already. What
    /// was acknowledged is written too; as durable as the database's commits when it returns.
    ///
    /// It waits for a consumer that reads.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, Error, ExpectedVersion, NewEvent, PersistentOptions};
    ///
    /// let db = Database::open_in_memory()?;
    /// let orders = db.category("orders")?;
    /// orders.append(1u64, &NewEvent::json("placed", "{}"), ExpectedVersion::Any)?;
    /// let mails = db.persistent_subscription("mails", &PersistentOptions::default())?;
    /// let consumer = mails.consumer()?;
    /// let order = loop {
    ///     match consumer.try_next() {
    ///         // Somebody has to be told of it.
    ///         Err(Error::DamagedEvents { readable_from, .. }) => mails.skip_to(readable_from)?,
    ///         order => break order?,
    ///     }
    /// };
    /// assert!(order.expect("an order").acknowledge()?);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::UnknownSubscription`] if it was removed; those of writing: it goes on there all the same while it is
    /// open.
    pub fn skip_to(&self, seq: Seq) -> Result<()> {
        self.shared().skip_to(self.open(), seq)
    }

    /// Writes what was acknowledged and parked; as durable as the database's commits when it returns.
    ///
    /// # Errors
    /// Those of writing.
    pub fn flush(&self) -> Result<()> {
        let durability = self.open().journal.config().durability;
        self.shared().flush(self.open(), durability)
    }

    /// How it stands.
    ///
    /// # Errors
    /// [`Error::UnknownSubscription`] if it was removed.
    pub fn info(&self) -> Result<PersistentInfo> {
        let (open, shared) = (self.open(), self.shared());
        let mut state = shared.lock()?;
        // What is late is in flight no longer.
        shared.expire(open, &mut state, shared.disk.monotonic_ns());
        let (position, in_flight) = (state.board.position(), state.board.in_flight_count());
        Ok(PersistentInfo {
            name: shared.name.clone(),
            position,
            lag: (open.core().visible_seq().0 + 1).saturating_sub(position.0),
            in_flight_count: in_flight as u64,
            waiting_count: (state.board.len() - in_flight) as u64,
            parked_count: state.parked_count,
            gone_count: state.gone_count,
            consumers_count: state.consumers_count as u64,
            is_lost: false,
        })
    }

    /// Takes over what may be changed, if the rest is the same.
    fn adopt(&self, options: &PersistentOptions) -> Result<()> {
        let shared = self.shared();
        if shared.selection != options.selection {
            return Err(Error::SubscriptionDiffers { name: shared.name.clone() });
        }
        let mut state = shared.lock()?;
        if state.settings != options.settings {
            let definition = encode_definition(&shared.selection, &options.settings);
            shared.kept(self.open()).insert(DEFINITION_KEY, definition)?;
            state.settings = options.settings;
            drop(state);
            shared.signal.hurry();
        }
        Ok(())
    }
}

impl fmt::Debug for PersistentSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PersistentSubscription").field("name", &self.name()).finish_non_exhaustive()
    }
}

fn keyspace_of(name: &str) -> String {
    format!("{KEYSPACE_PREFIX}{name}")
}

fn unreadable(name: &str, what: &'static str) -> Error {
    Error::SubscriptionState { name: name.to_owned(), what }
}

/// What the subscription gives out, and where that is kept; `None` if there is none.
#[allow(clippy::type_complexity, reason = "said once")]
fn load_definition(
    db: &Database,
    name: &str,
) -> Result<Option<(HashKeyspace, (Selection, Settings))>> {
    let kept = match db.open_hash_keyspace(&keyspace_of(name)) {
        Err(Error::UnknownKeyspace { .. }) => return Ok(None),
        kept => kept?,
    };
    let Some(definition) = kept.get(DEFINITION_KEY)?.map(|bytes| decode_definition(&bytes)) else {
        // A crash came between its keyspace and this.
        return Ok(None);
    };
    let definition = definition.ok_or_else(|| unreadable(name, "what it gives out"))?;
    Ok(Some((kept, definition)))
}

fn load_progress(kept: &HashKeyspace, name: &str) -> Result<Progress> {
    let progress = kept.get(PROGRESS_KEY)?.and_then(|bytes| decode_progress(&bytes));
    progress.ok_or_else(|| unreadable(name, "how far it has come"))
}

fn make(db: &Database, name: &str, options: &PersistentOptions) -> Result<Shared> {
    let kept = db.hash_keyspace(&keyspace_of(name))?;
    let next = match options.start {
        StartAt::Beginning => Seq::ZERO,
        StartAt::Now => db.last_seq().plus(1),
        StartAt::Seq(seq) => seq,
    };
    let progress = Progress { next, holes: BTreeMap::new() };
    let mut batch = db.batch();
    batch.insert(
        &kept,
        DEFINITION_KEY,
        encode_definition(&options.selection, &options.settings),
    )?;
    batch.insert(&kept, PROGRESS_KEY, encode_progress(&progress))?;
    batch.commit()?;
    load(db, name, &kept, options.selection.clone(), options.settings)
}

fn load(
    db: &Database,
    name: &str,
    kept: &HashKeyspace,
    selection: Selection,
    settings: Settings,
) -> Result<Shared> {
    let progress = load_progress(kept, name)?;
    let filter = filter_of(db, name, &selection)?;
    let keyspace = Arc::clone(kept.parts().1);
    let shared = Shared::new(&db.core, name, selection, settings, keyspace, filter, &progress);
    {
        let mut state = shared.lock_anyway();
        for entry in kept.iter()? {
            let entry = entry?;
            let Some(seq) = parked_seq(entry.key()) else { continue };
            let parked = decode_parked(entry.value());
            let parked = parked.ok_or_else(|| unreadable(name, "a parked event"))?;
            if parked.is_replayed {
                if !state.replay(&db.core, seq, &parked) {
                    return Err(unreadable(name, "the stream of a parked event"));
                }
            } else {
                state.parked_count += 1;
            }
        }
    }
    Ok(shared)
}

fn filter_of(db: &Database, name: &str, selection: &Selection) -> Result<Filter> {
    let mut filter = Filter::default();
    if let Some(category) = &selection.category {
        let space = db.category(category)?.parts().1.id;
        let stream = match &selection.stream {
            Some(key) => {
                let key = id_of_key(key).and_then(|id| StreamKey::of(&id));
                Some(key.ok_or_else(|| unreadable(name, "its stream"))?)
            }
            None => None,
        };
        filter = Filter::of(space, stream);
    }
    filter.type_names.clone_from(&selection.types);
    Ok(filter)
}

/// How a subscription stands that is not open.
fn written_info(db: &Database, name: &str) -> Result<PersistentInfo> {
    let Some((kept, _)) = load_definition(db, name)? else {
        return Err(Error::UnknownSubscription { name: name.to_owned() });
    };
    let position = load_progress(&kept, name)?.position();
    let (mut parked_count, mut waiting_count) = (0, 0);
    for entry in kept.iter()? {
        let entry = entry?;
        if parked_seq(entry.key()).is_some() {
            let parked = decode_parked(entry.value());
            match parked.ok_or_else(|| unreadable(name, "a parked event"))?.is_replayed {
                true => waiting_count += 1,
                false => parked_count += 1,
            }
        }
    }
    Ok(PersistentInfo {
        name: name.to_owned(),
        position,
        lag: (db.last_seq().0 + 1).saturating_sub(position.0),
        in_flight_count: 0,
        waiting_count,
        parked_count,
        gone_count: 0,
        consumers_count: 0,
        is_lost: false,
    })
}

/// The same of one of which nothing is known.
fn lost_info(db: &Database, name: &str) -> PersistentInfo {
    PersistentInfo {
        name: name.to_owned(),
        position: Seq::ZERO,
        lag: db.last_seq().0 + 1,
        in_flight_count: 0,
        waiting_count: 0,
        parked_count: 0,
        gone_count: 0,
        consumers_count: 0,
        is_lost: true,
    }
}

/// Writes what persistent subscriptions that are open have not written: the database is about to be closed.
pub(crate) fn flush_all(open: &Arc<Open>) {
    for shared in open.subscriptions.all() {
        if let Err(error) = shared.flush(open, Durability::Buffered) {
            tracing::warn!(%error, name = shared.name, "what was acknowledged is not written; it is given out again");
        }
    }
}
