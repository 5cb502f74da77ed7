//! The catalog: which keyspaces there are. It is records in the log like everything else.
//!
//! A [`Catalog`] never changes; a change makes a new one. A snapshot is therefore one pointer to
//! the catalog it saw, and with it to the views it saw.

mod options;

pub(crate) use options::{decode_options, encode_options};

use crate::{
    Error, Result, WriteOptions,
    clock::{Clock, as_ms},
    hash::HashView,
    ordered::TreeView,
    streams::{EventType, EventTypes},
    tables::Shape,
};
use annals_journal::{Current, Draft, Kind, Pin};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// The longest name of a keyspace in bytes.
///
/// ```
/// # use annals_engine as annals;
/// use annals::{Database, ErrorKind, KEYSPACE_NAME_BYTES_MAX};
/// let db = Database::open_in_memory()?;
/// assert!(db.keyspace(&"x".repeat(KEYSPACE_NAME_BYTES_MAX)).is_ok());
/// let refused = db.keyspace(&"x".repeat(KEYSPACE_NAME_BYTES_MAX + 1)).unwrap_err();
/// assert_eq!(refused.kind(), ErrorKind::InvalidInput);
/// # Ok::<(), annals::Error>(())
/// ```
pub const KEYSPACE_NAME_BYTES_MAX: usize = 255;

/// What a keyspace is good at.
///
/// ```
/// # use annals_engine as annals;
/// use annals::{Database, KeyspaceKind};
/// let db = Database::open_in_memory()?;
/// db.keyspace("days")?;
/// db.hash_keyspace("stock")?;
/// db.category("orders")?;
/// let kinds: Vec<_> = db.keyspaces().into_iter().map(|listed| listed.kind).collect();
/// assert_eq!(kinds, [KeyspaceKind::Ordered, KeyspaceKind::Streams, KeyspaceKind::Hash]);
/// assert_eq!(kinds[0].to_string(), "ordered");
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyspaceKind {
    /// Point look-ups without a copy.
    Hash,
    /// Sorted keys: ranges and prefixes, and more data than memory.
    #[default]
    Ordered,
    /// Streams of events: a category.
    Streams,
    /// Wide events by column: an event table.
    Table,
}

impl std::fmt::Display for KeyspaceKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Hash => f.write_str("hash"),
            Self::Ordered => f.write_str("ordered"),
            Self::Streams => f.write_str("streams"),
            Self::Table => f.write_str("table"),
        }
    }
}

/// Options of a keyspace, kept in the catalog.
///
/// ```
/// # use annals_engine as annals;
/// use annals::{Database, KeyspaceOptions};
/// use std::time::Duration;
/// let db = Database::open_in_memory()?;
/// let an_hour = KeyspaceOptions::default().ttl(Duration::from_secs(3600));
/// let sessions = db.create_hash_keyspace("sessions", an_hour)?;
/// assert_eq!(sessions.options(), an_hour);
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyspaceOptions {
    /// How long records live that do not say otherwise; `None`: for ever.
    pub ttl: Option<Duration>,
    /// Whether each event carries a [hash](crate::EventHash) of itself and of all that came before it in
    /// its stream. Only of categories of streams.
    pub chained: bool,
}

impl KeyspaceOptions {
    /// Lets records expire `ttl` after they were written, in steps of a millisecond.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Background, Database, KeyspaceOptions};
    /// use annals_disk::{SimDisk, SimOptions};
    /// use std::{sync::Arc, time::Duration};
    /// # let disk = Arc::new(SimDisk::new(SimOptions::default()));
    /// # let builder = Database::builder().disk(disk.clone()).background(Background::Manual);
    /// # let db = builder.open("db")?;
    /// let an_hour = KeyspaceOptions::default().ttl(Duration::from_secs(3600));
    /// let sessions = db.create_hash_keyspace("sessions", an_hour)?;
    /// sessions.insert("ada", "token")?;
    /// assert!(sessions.contains("ada")?);
    /// // The disk is a simulated one, and its clock with it.
    /// disk.advance_ms(3_600_000);
    /// assert!(!sessions.contains("ada")?);
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Has each event of a category of streams carry a [hash](crate::EventHash) of itself and of all that came
    /// before it in its stream, so that it shows when one is changed, removed, put in or put elsewhere: 64
    /// bytes more an event, and the time of the hashing. Cannot be changed later. Needs the feature
    /// `chained-events`.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// # #[cfg(feature = "chained-events")] {
    /// use annals::{Database, ExpectedVersion, KeyspaceOptions, NewEvent};
    /// let db = Database::open_in_memory()?;
    /// let audit = db.create_category("audit", KeyspaceOptions::default().chained())?;
    /// audit.append("ada", &NewEvent::json("signed in", "{}"), ExpectedVersion::Any)?;
    /// assert_eq!(audit.verify_chain("ada", None)?.events_count, 1);
    /// # }
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn chained(mut self) -> Self {
        self.chained = true;
        self
    }

    /// Whether a keyspace of this kind can have these.
    pub(crate) fn check_kind(&self, kind: KeyspaceKind) -> Result<()> {
        if self.chained && kind != KeyspaceKind::Streams {
            return Err(Error::OptionOfStreams { option: "chained", kind });
        }
        Ok(())
    }
}

/// A keyspace in memory.
#[derive(Debug)]
pub(crate) struct Keyspace {
    pub(crate) id: u32,
    pub(crate) name: String,
    pub(crate) kind: KeyspaceKind,
    pub(crate) options: KeyspaceOptions,
    /// The current view; clearing puts an empty one in its place.
    pub(crate) view: Current<HashView>,
    /// The current tree of an ordered keyspace, whose `view` stays empty.
    pub(crate) tree: Current<TreeView>,
    /// The event types of a category.
    pub(crate) types: EventTypes,
    /// What an event table has where.
    pub(crate) shape: Shape,
    pub(crate) dropped: AtomicBool,
}

impl Keyspace {
    /// Whether it is an ordered one.
    #[inline]
    pub(crate) fn is_ordered(&self) -> bool {
        self.kind == KeyspaceKind::Ordered
    }

    /// Whether it is a category of streams.
    #[inline]
    pub(crate) fn is_category(&self) -> bool {
        self.kind == KeyspaceKind::Streams
    }

    /// Whether each of its events carries the hash of the one before it.
    #[inline]
    pub(crate) fn is_chained(&self) -> bool {
        self.options.chained
    }

    /// Whether it is of this kind.
    pub(crate) fn check_kind(&self, kind: KeyspaceKind) -> Result<()> {
        if self.kind == kind {
            return Ok(());
        }
        Err(Error::WrongKind { name: self.name.clone(), found: self.kind })
    }

    /// When a record that is written now expires, if it may live for `ttl`, or else for as long as the
    /// keyspace's options say.
    #[inline]
    pub(crate) fn expires_ms(&self, ttl: Option<Duration>, clock: &Clock) -> Option<u64> {
        let ttl = ttl.or(self.options.ttl)?;
        Some(clock.now_ms().saturating_add(as_ms(ttl)))
    }

    /// A record of this keyspace that is written now.
    #[inline]
    pub(crate) fn draft<'a>(
        &self,
        kind: Kind,
        key: &'a [u8],
        value: &'a [u8],
        options: WriteOptions,
        clock: &Clock,
    ) -> Draft<'a> {
        let expires_ms = if kind == Kind::Put { self.expires_ms(options.ttl, clock) } else { None };
        Draft { kind, space: self.id, key, value, expires_ms, aligned: false }
    }

    /// Whether `view` is the current one still. Nobody tells a former one where records have been
    /// moved; a segment that it points to may be used again, and have anything at that place. Asked
    /// after an acquire fence that follows the look at the record.
    #[inline]
    pub(crate) fn shows(&self, view: &HashView, pin: &Pin) -> bool {
        std::ptr::eq(view, self.view.read(pin))
    }

    #[inline]
    pub(crate) fn check_alive(&self) -> Result<()> {
        if self.is_alive() { Ok(()) } else { Err(self.is_dropped()) }
    }

    #[inline]
    pub(crate) fn is_alive(&self) -> bool {
        !self.dropped.load(Ordering::Acquire)
    }

    #[cold]
    pub(crate) fn is_dropped(&self) -> Error {
        Error::KeyspaceDropped { name: self.name.clone() }
    }
}

/// A keyspace as one state of the catalog sees it.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) keyspace: Arc<Keyspace>,
    pub(crate) view: Arc<HashView>,
    pub(crate) tree: Arc<TreeView>,
}

impl Listed {
    /// A keyspace with these views.
    pub(crate) fn new(
        id: u32,
        name: String,
        kind: KeyspaceKind,
        options: KeyspaceOptions,
        view: Arc<HashView>,
        tree: Arc<TreeView>,
    ) -> Self {
        if kind == KeyspaceKind::Streams && options.ttl.is_some() {
            view.chains().let_expire();
        }
        let keyspace = Arc::new(Keyspace {
            id,
            name,
            kind,
            options,
            view: Current::new(Arc::clone(&view)),
            tree: Current::new(Arc::clone(&tree)),
            types: EventTypes::default(),
            shape: Shape::default(),
            dropped: AtomicBool::new(false),
        });
        Self { keyspace, view, tree }
    }
}

/// One state of the catalog.
#[derive(Clone, Debug, Default)]
pub(crate) struct Catalog {
    /// Shared names: each change to the catalog copies this.
    by_name: BTreeMap<Arc<str>, u32>,
    by_id: BTreeMap<u32, Listed>,
    pub(crate) next_id: u32,
}

impl Catalog {
    pub(crate) fn new() -> Self {
        Self { next_id: 1, ..Self::default() }
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<&Listed> {
        self.by_id.get(self.by_name.get(name)?)
    }

    pub(crate) fn by_id(&self, id: u32) -> Option<&Listed> {
        self.by_id.get(&id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Listed> {
        self.by_id.values()
    }

    /// The catalog after `change`, where `trees` finds trees of ordered keyspaces. Applying a change
    /// twice is harmless: replay may do so.
    pub(crate) fn with(&self, change: &Change, trees: impl Fn(u32) -> TreeView) -> Self {
        let mut next = self.clone();
        match change {
            Change::Create { id, name, kind, options } => {
                if next.by_id.contains_key(id) || *id < next.next_id {
                    return next;
                }
                let tree = match kind {
                    KeyspaceKind::Hash | KeyspaceKind::Streams | KeyspaceKind::Table => {
                        TreeView::default()
                    }
                    KeyspaceKind::Ordered => trees(*id),
                };
                let (name, view) = (name.clone(), Arc::new(HashView::default()));
                next.insert(Listed::new(*id, name, *kind, *options, view, Arc::new(tree)));
            }
            Change::Drop { id } => {
                if let Some(listed) = next.by_id.remove(id) {
                    next.by_name.remove(&*listed.keyspace.name);
                    listed.keyspace.dropped.store(true, Ordering::Release);
                    if listed.keyspace.is_ordered() {
                        // Handles outlive the keyspace; its files need not.
                        listed.keyspace.tree.replace(Arc::default());
                    }
                }
            }
            Change::Clear { id } => {
                if let Some(listed) = next.by_id.get_mut(id) {
                    listed.view = Arc::new(HashView::default());
                    listed.keyspace.view.replace(Arc::clone(&listed.view));
                }
            }
            Change::EventType { id, number, event_type } => {
                if let Some(listed) = next.by_id.get(id) {
                    listed.keyspace.types.add(*number, event_type.clone());
                }
            }
            Change::Renew { id, tree } | Change::Replace { id, tree, .. } => {
                if *tree < next.next_id {
                    return next;
                }
                next.next_id = *tree + 1;
                if let Some(listed) = next.by_id.get_mut(id) {
                    listed.tree = Arc::new(trees(*tree));
                    listed.keyspace.tree.replace(Arc::clone(&listed.tree));
                }
            }
        }
        next
    }

    /// Gives ordered keyspaces the trees that `trees` finds.
    pub(crate) fn attach(&mut self, trees: impl Fn(u32) -> TreeView) {
        for listed in self.by_id.values_mut().filter(|listed| listed.keyspace.is_ordered()) {
            let id = listed.tree.id;
            listed.tree = Arc::new(trees(id));
            listed.keyspace.tree.replace(Arc::clone(&listed.tree));
        }
    }

    /// Adds a keyspace that a checkpoint or a change describes.
    pub(crate) fn insert(&mut self, listed: Listed) {
        self.next_id = self.next_id.max(listed.keyspace.id + 1);
        self.by_name.insert(Arc::from(&*listed.keyspace.name), listed.keyspace.id);
        self.by_id.insert(listed.keyspace.id, listed);
    }
}

/// A change to the catalog, as a record carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Create {
        id: u32,
        name: String,
        kind: KeyspaceKind,
        options: KeyspaceOptions,
    },
    Drop {
        id: u32,
    },
    Clear {
        id: u32,
    },
    /// Gives an event type of a category a number.
    EventType {
        id: u32,
        number: u32,
        event_type: EventType,
    },
    /// Clears an ordered keyspace: from now on its records are in this tree, whose number was that of
    /// no keyspace and of no tree.
    Renew {
        id: u32,
        tree: u32,
    },
    /// The same, where the tree has records already.
    Replace {
        id: u32,
        tree: u32,
        records_count: u64,
    },
}

impl Change {
    pub(crate) fn id(&self) -> u32 {
        match self {
            Self::Create { id, .. }
            | Self::Drop { id }
            | Self::Clear { id }
            | Self::EventType { id, .. }
            | Self::Renew { id, .. }
            | Self::Replace { id, .. } => *id,
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Create { id, name, kind, options } => {
                out.push(1);
                out.extend_from_slice(&id.to_le_bytes());
                encode_options(*kind, options, &mut out);
                out.extend_from_slice(name.as_bytes());
            }
            Self::Drop { id } => {
                out.push(2);
                out.extend_from_slice(&id.to_le_bytes());
            }
            Self::Clear { id } => {
                out.push(3);
                out.extend_from_slice(&id.to_le_bytes());
            }
            Self::EventType { id, number, event_type } => {
                out.push(5);
                out.extend_from_slice(&id.to_le_bytes());
                out.extend_from_slice(&number.to_le_bytes());
                out.extend_from_slice(&event_type.version.to_le_bytes());
                out.extend_from_slice(&event_type.layout.to_le_bytes());
                out.extend_from_slice(event_type.name.as_bytes());
            }
            Self::Renew { id, tree } => {
                out.push(4);
                out.extend_from_slice(&id.to_le_bytes());
                out.extend_from_slice(&tree.to_le_bytes());
            }
            Self::Replace { id, tree, records_count } => {
                out.push(6);
                out.extend_from_slice(&id.to_le_bytes());
                out.extend_from_slice(&tree.to_le_bytes());
                out.extend_from_slice(&records_count.to_le_bytes());
            }
        }
        out
    }

    /// Reads a change; `None` if the bytes are none this build knows.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (tag, rest) = bytes.split_first()?;
        let (id, rest) = rest.split_first_chunk::<4>()?;
        let id = u32::from_le_bytes(*id);
        match (tag, rest) {
            (1, rest) => {
                let (kind, options, name) = decode_options(rest)?;
                let name = std::str::from_utf8(name).ok()?.to_owned();
                check_name(&name).ok()?;
                Some(Self::Create { id, name, kind, options })
            }
            (2, []) => Some(Self::Drop { id }),
            (3, []) => Some(Self::Clear { id }),
            (4, tree) => {
                let tree = u32::from_le_bytes(tree.try_into().ok()?);
                (tree < u32::MAX).then_some(Self::Renew { id, tree })
            }
            (6, rest) => {
                let (tree, count) = rest.split_first_chunk::<4>()?;
                let tree = u32::from_le_bytes(*tree);
                let records_count = u64::from_le_bytes(count.try_into().ok()?);
                (tree < u32::MAX).then_some(Self::Replace { id, tree, records_count })
            }
            (5, rest) => {
                let (number, rest) = rest.split_first_chunk::<4>()?;
                let (version, rest) = rest.split_first_chunk::<4>()?;
                let (layout, name) = rest.split_first_chunk::<8>()?;
                let name = std::str::from_utf8(name).ok()?.to_owned();
                check_name(&name).ok()?;
                let version = u32::from_le_bytes(*version);
                let event_type = EventType { name, version, layout: u64::from_le_bytes(*layout) };
                Some(Self::EventType { id, number: u32::from_le_bytes(*number), event_type })
            }
            _ => None,
        }
    }
}

/// Checks a keyspace's name, as [`check_name_of`] does.
pub(crate) fn check_name(name: &str) -> Result<()> {
    check_name_of(name, "a keyspace")
}

/// Checks a name: 1 to 255 bytes of UTF-8 without control characters, not starting or ending with white
/// space. `of` says what should have it.
pub(crate) fn check_name_of(name: &str, of: &'static str) -> Result<()> {
    let why = if name.is_empty() {
        "it is empty"
    } else if name.len() > KEYSPACE_NAME_BYTES_MAX {
        "it is longer than 255 bytes"
    } else if name.chars().any(char::is_control) {
        "it has a control character"
    } else if name.trim() != name {
        "it starts or ends with white space"
    } else {
        return Ok(());
    };
    Err(Error::InvalidName { name: name.chars().take(64).collect(), of, why })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_round_trip_and_cuts_are_refused() {
        let options = KeyspaceOptions::default().ttl(Duration::from_millis(5));
        let kind = KeyspaceKind::Hash;
        let create = Change::Create { id: 7, name: "sessions".into(), kind, options };
        let (kind, options) = (KeyspaceKind::Ordered, KeyspaceOptions::default());
        let chained = options.chained();
        for change in [
            create.clone(),
            Change::Create { id: 8, name: "scores".into(), kind, options },
            Change::Drop { id: 1 },
            Change::Clear { id: u32::MAX },
            Change::Renew { id: 8, tree: 9 },
            Change::Replace { id: 8, tree: 10, records_count: 1 << 40 },
            Change::Create { id: 9, name: "orders".into(), kind: KeyspaceKind::Streams, options },
            Change::Create {
                id: 9,
                name: "audit".into(),
                kind: KeyspaceKind::Streams,
                options: chained,
            },
            Change::EventType {
                id: 9,
                number: 1,
                event_type: EventType { name: "placed".into(), version: 2, layout: 7 },
            },
        ] {
            assert_eq!(Change::decode(&change.encode()), Some(change));
        }
        let bytes = create.encode();
        for at in 0..14 {
            assert_eq!(Change::decode(&bytes[..at]), None, "cut at {at}");
        }
        let bytes = Change::Replace { id: 8, tree: 10, records_count: 3 }.encode();
        for at in 0..bytes.len() {
            assert_eq!(Change::decode(&bytes[..at]), None, "cut at {at}");
        }
        assert_eq!(Change::decode(&[&bytes[..], &[0]].concat()), None, "more than there is");
        let none_behind = Change::Replace { id: 8, tree: u32::MAX, records_count: 3 };
        assert_eq!(Change::decode(&none_behind.encode()), None, "no number is left for the next");
        assert_eq!(Change::decode(&[9, 0, 0, 0, 0]), None, "unknown tag");
        assert_eq!(
            Change::decode(&[5, 9, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0]),
            None,
            "no name"
        );
    }

    #[test]
    fn names_are_checked() {
        assert!(check_name("users").is_ok());
        assert!(check_name("ключи").is_ok());
        for bad in ["", " a", "a ", "a\nb", "a\0", &"x".repeat(256)] {
            assert!(matches!(check_name(bad), Err(Error::InvalidName { .. })), "{bad:?}");
        }
    }
}
