//! The errors and their messages: each says what, where and what to do.

use std::{path::PathBuf, sync::Arc};

/// An error of the engine. The message says what, where and the remedy and may change;
/// [`kind`](Self::kind) says what to do and is what programs should look at.
///
/// ```
/// # use annals_engine as annals;
/// use annals::{Database, ErrorKind};
/// let db = Database::open_in_memory()?;
/// let error = db.open_hash_keyspace("users").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::NotFound);
/// assert!(error.to_string().starts_with("there is no keyspace `users`"));
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The log or one of its files.
    #[error(transparent)]
    Journal(#[from] annals_journal::Error),

    /// The tables of ordered keyspaces, or one of their files.
    #[error(transparent)]
    Tables(#[from] annals_ordered::Error),

    /// Events of an event table, or what they are.
    #[error(transparent)]
    Columns(#[from] annals_columns::Error),

    /// Damage in the log where events were to be read in their order. What lies behind it is whole: who reads begins
    /// again there; a projection and a persistent subscription are told to go on there
    /// ([`Projector::skip_to`](crate::Projector::skip_to),
    /// [`PersistentSubscription::skip_to`](crate::PersistentSubscription::skip_to)).
    #[error("{cause}; events can be read again from number {readable_from} on")]
    DamagedEvents {
        /// What is damaged, and where.
        cause: annals_journal::Error,
        /// The number to go on from: the lowest one behind the damage in the same segment.
        readable_from: annals_journal::Seq,
    },

    /// An event table that was made and never had a schema.
    #[error("the event table `{name}` has no schema yet; open it with one")]
    NoSchema {
        /// Its name.
        name: String,
    },

    /// Damage to events of an event table that were asked for. What does not need them is answered.
    #[error(
        "{cause}; this is {what} of the event table `{table}`. Questions about other times or fields can be answered, \
         `without_damage` answers all without those events, and `drop_damaged` gives them up"
    )]
    DamagedTable {
        /// The table.
        table: String,
        /// What of it is damaged, for people.
        what: String,
        /// What is damaged, and where.
        cause: annals_journal::Error,
    },

    /// Events that are appended to a table when its database has had more records than events can be told apart by.
    #[error(
        "nothing can be appended to the event table `{table}`: its database has had more than {limit} records, and events \
         that come later could not be told apart; export its events and load them into a new database"
    )]
    TooManyRecords {
        /// The table.
        table: String,
        /// How many records a database of tables may have.
        limit: u64,
    },

    /// Events that have no id are not deleted by it.
    #[error("events of the table `{name}` have no id; add a field for it to the schema")]
    NoIds {
        /// The table.
        name: String,
    },

    /// An event that is appended to a table that refuses the id of one that it has.
    #[error(
        "the event table `{name}` has an event with the id `{id}`, or the commit has two of it; nothing was appended. \
         Leave it out, delete the other one in the same batch of writes, or give the table other options"
    )]
    DuplicateId {
        /// The table.
        name: String,
        /// The id, or how it begins.
        id: String,
    },

    /// Events that have no time are never over.
    #[error(
        "events of the table `{name}` have no time, so none is ever over; add a field for it to the schema"
    )]
    NoTimes {
        /// The table.
        name: String,
    },

    /// A question that was called off by its token.
    #[error("the question was called off")]
    Cancelled,

    /// A question whose answer has more groups than it may.
    #[error(
        "the answer has {groups} groups or more, and may have {limit}; group by less, filter more, or allow more with \
         `groups_max`"
    )]
    TooManyGroups {
        /// How many there were when it ended.
        groups: usize,
        /// How many there may be.
        limit: usize,
    },

    /// A question whose answer takes more memory than it may.
    #[error(
        "the answer takes {bytes} bytes or more, and may take {limit}; group by less, filter more, take quantiles by \
         sketches, or allow more with `memory_max`"
    )]
    TooMuchMemory {
        /// How many there were when it ended, about.
        bytes: u64,
        /// How many there may be.
        limit: u64,
    },

    /// Sums by day of a field for which none are kept.
    #[error("no sums by day are kept for the field `{field}`; mark it as a dimension with rollup")]
    NoRollup {
        /// The field.
        field: String,
    },

    /// A record of an event table that this build does not know.
    #[error(
        "the event table `{name}` has a record that this build does not know; open it with the build that wrote it"
    )]
    ForeignRecord {
        /// The table.
        name: String,
    },

    /// The keyspace is of another kind than it was asked for.
    #[error("the keyspace `{name}` is of the kind `{found}`; open it as that")]
    WrongKind {
        /// Its name.
        name: String,
        /// Its kind.
        found: crate::KeyspaceKind,
    },

    /// No keyspace has this name.
    #[error(
        "there is no keyspace `{name}`; `keyspaces` lists those there are, `hash_keyspace` or \
         `keyspace` makes one"
    )]
    UnknownKeyspace {
        /// The name asked for.
        name: String,
    },

    /// A keyspace of this name exists.
    #[error("the keyspace `{name}` exists already")]
    KeyspaceExists {
        /// The name.
        name: String,
    },

    /// The keyspace behind this handle was dropped.
    #[error("the keyspace `{name}` was dropped; its handles cannot be used any more")]
    KeyspaceDropped {
        /// Its name.
        name: String,
    },

    /// The handle belongs to another database.
    #[error("the keyspace `{name}` belongs to another database than this batch")]
    ForeignKeyspace {
        /// Its name.
        name: String,
    },

    /// A name that nothing can have.
    #[error("`{name}` cannot be {of}'s name: {why}")]
    InvalidName {
        /// The name given.
        name: String,
        /// What should have it.
        of: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },

    /// A key that is too long.
    #[error("a key of {bytes} bytes is too long; at most {limit} bytes")]
    KeyTooLong {
        /// Its length.
        bytes: u64,
        /// The longest allowed.
        limit: u64,
    },

    /// A value that is too long.
    #[error("a value of {bytes} bytes is too long; at most {limit} bytes")]
    ValueTooLong {
        /// Its length.
        bytes: u64,
        /// The longest allowed.
        limit: u64,
    },

    /// A record that was to be put in its place in sorted order, and is not in order. Nothing was changed.
    #[error(
        "record {record} has {}; sort the records by their keys, compared byte by byte, and leave out those that \
         come twice, or write them in batches. Nothing was changed",
        if *is_repeated { "the same key as the one before it" } else { "a lower key than the one before it" }
    )]
    OutOfOrder {
        /// Which one it is, counted from 1.
        record: u64,
        /// Whether its key is that of the one before.
        is_repeated: bool,
    },

    /// A stream is not as it was expected to be. Nothing was written.
    #[error("the stream `{stream}` of `{category}` was expected to have {expected}, and {}", found_version(*expected, *found))]
    VersionConflict {
        /// The category.
        category: String,
        /// The stream.
        stream: String,
        /// What was expected.
        expected: crate::ExpectedVersion,
        /// The version of its last event; `None` if it has none.
        found: Option<u64>,
    },

    /// A stream was deleted since what is to be written was decided. Nothing was written.
    #[error(
        "the stream `{stream}` of `{category}` was expected to be in the life that begins with version {expected}, and it was \
         deleted since: its life begins with version {found} now; read it and decide again"
    )]
    LifeConflict {
        /// The category.
        category: String,
        /// The stream.
        stream: String,
        /// The first version of the life that was expected.
        expected: u64,
        /// The first version of the life that it is in.
        found: u64,
    },

    /// A version that a stream does not have. Nothing was changed.
    #[error(
        "the stream `{stream}` of `{category}` cannot be truncated before version {version}: its next event gets version \
         {next}; to give up all that it has, truncate it before that one or delete it"
    )]
    BeyondEnd {
        /// The category.
        category: String,
        /// The stream.
        stream: String,
        /// The version that was asked for.
        version: u64,
        /// The version that its next event gets.
        next: u64,
    },

    /// An aggregate whose state cannot be told: events that it is made of were given up, and no snapshot has what
    /// they came to.
    #[error(
        "the aggregate `{stream}` cannot be loaded: of its stream only events from version {first} on are left, and no \
         snapshot has what came before; save one before events are given up, or delete the stream: the next event \
         begins it anew"
    )]
    AggregateIncomplete {
        /// The stream.
        stream: String,
        /// The first version that is left.
        first: u64,
    },

    /// A stream that takes no events. Nothing was written.
    #[error(
        "the stream `{stream}` of `{category}` {}",
        if *is_tombstone { "was deleted for good and takes no events any more; use another id" }
        else { "is archived and takes no events; restore it first" }
    )]
    StreamClosed {
        /// The category.
        category: String,
        /// The stream.
        stream: String,
        /// Whether it was deleted for good; else it is archived.
        is_tombstone: bool,
    },

    /// A stream has an event with this id already, among other events than those given. Nothing was
    /// written.
    #[error(
        "the stream `{stream}` has an event with the id {id:032x} already, or was to be given two of it; append what is new alone"
    )]
    DuplicateEvent {
        /// The stream.
        stream: String,
        /// The id.
        id: u128,
    },

    /// An event that cannot be written as an archive, or not be read from one.
    #[error(transparent)]
    Event(#[from] annals_events::Error),

    /// A category has archived events of a type that the program's event type does not read, or of another
    /// layout under the same name and version.
    #[error("the category `{category}` is not for these events: {why}")]
    EventTypes {
        /// The category.
        category: String,
        /// What is in the way.
        why: String,
    },

    /// A category is chained, and the build is without the feature `chained-events`. Its events can be
    /// read; nothing can be appended or checked.
    #[error(
        "the events of `{category}` are chained by hashes, which this build neither makes nor checks; build \
         with the feature `chained-events`"
    )]
    NoChains {
        /// The category.
        category: String,
    },

    /// An option that only categories of streams have.
    #[error("a keyspace of the kind `{kind}` cannot be {option}; only a category of streams can")]
    OptionOfStreams {
        /// The option.
        option: &'static str,
        /// The kind of keyspace that was to be created.
        kind: crate::KeyspaceKind,
    },

    /// What was asked for is there only in categories that were created as chained.
    #[error(
        "the events of `{category}` have no hashes; only a category created as chained has them"
    )]
    NotChained {
        /// The category.
        category: String,
    },

    /// The events of a chained stream are not those that were appended to it.
    #[error(
        "the chain of the stream `{stream}` of `{category}` is broken at version {version}: {why}"
    )]
    BrokenChain {
        /// The category.
        category: String,
        /// The stream.
        stream: String,
        /// The lowest version at which it shows.
        version: u64,
        /// How it shows.
        why: String,
    },

    /// The event that a kept head is of was given up, and so was the one behind it: nothing is left that the head
    /// could be compared with.
    #[error(
        "the event of version {version} of the stream `{stream}` of `{category}` was given up, and what is \
        left begins at version {first}: only a later head can be compared"
    )]
    HeadGone {
        /// The category.
        category: String,
        /// The stream.
        stream: String,
        /// The version of the head.
        version: u64,
        /// The first version that is left.
        first: u64,
    },

    /// What a projection or an aggregate says of its own.
    #[error("{0}")]
    Refused(String),

    /// No persistent subscription has this name, or it was removed.
    #[error(
        "there is no persistent subscription `{name}`; `persistent_subscriptions` lists those there are, \
         `persistent_subscription` makes one"
    )]
    UnknownSubscription {
        /// The name asked for.
        name: String,
    },

    /// No projection of this name has committed anything.
    #[error("no projection `{name}` has begun; `projections` lists those that have")]
    UnknownProjection {
        /// The name asked for.
        name: String,
    },

    /// A persistent subscription gives out other events than it is asked to.
    #[error(
        "the persistent subscription `{name}` gives out events of another category, stream or types; remove it, or take \
         another name"
    )]
    SubscriptionDiffers {
        /// Its name.
        name: String,
    },

    /// What is kept of a persistent subscription cannot be read: another build wrote it, or something else wrote to
    /// its keyspace.
    #[error(
        "what is kept of the persistent subscription `{name}` cannot be read: {what}; remove it, and make it anew"
    )]
    SubscriptionState {
        /// Its name.
        name: String,
        /// What cannot be read.
        what: &'static str,
    },

    /// An append without events.
    #[error("there are no events to append; give at least one")]
    NoEvents,

    /// A stream's id that is too long.
    #[error("a stream's id of {bytes} bytes is too long; at most {limit} bytes")]
    StreamIdTooLong {
        /// Its length.
        bytes: u64,
        /// The longest allowed.
        limit: u64,
    },

    /// A commit lost too many races for the same key, or a command for the same stream.
    #[error(
        "what was to be changed was changed by somebody else under {attempts} attempts in a row; try again"
    )]
    Conflict {
        /// How often it was tried.
        attempts: u32,
    },

    /// A checkpoint file is not as it was written. Handled by rebuilding it from the log; seen
    /// only in verification and by read-only openers.
    #[error("{} is damaged at byte {offset}: {what}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// The byte offset.
        offset: u64,
        /// What does not hold there.
        what: &'static str,
    },

    /// An intact record of the catalog that this build does not know: a later build wrote it.
    #[error("{} has a catalog record at byte {offset} that this build does not know; open it with the build \
        that wrote it", path.display())]
    UnknownRecord {
        /// The file.
        path: PathBuf,
        /// The byte offset of the record.
        offset: u64,
    },

    /// A backup's target or source cannot be used.
    #[error("{} cannot be used to back up or restore: {why}", path.display())]
    Backup {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },

    /// The log no longer reaches back to the record asked for.
    #[error(
        "record {from} is no longer in the log; the oldest that changes can be read from is {oldest}"
    )]
    HistoryGone {
        /// The number asked for.
        from: annals_journal::Seq,
        /// The lowest number there is.
        oldest: annals_journal::Seq,
    },

    /// A writer replaced files that this read-only handle still reads.
    #[error(
        "the writer has compacted the log beyond what this read-only handle can follow; open it again"
    )]
    Stale,

    /// The system names no data directory for this user.
    #[error("no data directory is known for this user: set {variable}")]
    NoDataDir {
        /// The environment variable that would name one.
        variable: &'static str,
    },
}

/// The end of the message that says what was found.
fn found_version(expected: crate::ExpectedVersion, found: Option<u64>) -> String {
    match found {
        Some(version) if expected == crate::ExpectedVersion::StreamExists => {
            format!("those that it had, up to version {version}, were given up; decide anew")
        }
        Some(version) => format!("has version {version}; read it, and decide anew"),
        None => "has none; read it, and decide anew".to_owned(),
    }
}

impl Error {
    pub(crate) fn disk(error: annals_disk::DiskError) -> Self {
        Self::Journal(error.into())
    }
}

impl From<Arc<annals_disk::DiskError>> for Error {
    fn from(error: Arc<annals_disk::DiskError>) -> Self {
        Self::Journal(annals_journal::Error::Disk(error))
    }
}
