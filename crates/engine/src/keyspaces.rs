//! Making, finding and dropping keyspaces of every kind but event tables.

use crate::{
    Category, Database, Error, HashKeyspace, KeyspaceKind, KeyspaceOptions, OrderedKeyspace,
    Result, TreeOptions,
    catalog::{Change, Keyspace, check_name},
    ordered::Trees,
    streams::{Streams, check_built},
};
use annals_events::Event;
use annals_ordered::View;
use std::{sync::Arc, time::Duration};

/// A keyspace as the catalog lists it.
///
/// ```
/// # use annals_engine as annals;
/// use annals::{Database, KeyspaceKind};
/// let db = Database::open_in_memory()?;
/// db.hash_keyspace("users")?.insert("ada", "1815")?;
/// let info = &db.keyspaces()[0];
/// assert_eq!((info.name.as_str(), info.kind, info.len), ("users", KeyspaceKind::Hash, 1));
/// assert_eq!((info.ttl, info.chained), (None, false));
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyspaceInfo {
    /// Its name.
    pub name: String,
    /// Its number; never used twice.
    pub id: u32,
    /// What it is good at.
    pub kind: KeyspaceKind,
    /// How long its records live that do not say otherwise; of an event table its events.
    pub ttl: Option<Duration>,
    /// Whether it is a category whose events carry hashes.
    pub chained: bool,
    /// How many records it has; of ordered keyspaces an estimate.
    pub len: u64,
}

impl Database {
    /// The keyspace `name`, created with default options if it is not there. It is an ordered one, the kind that
    /// serves most uses; hash keyspaces are asked for [by their kind](Self::hash_keyspace).
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, ErrorKind};
    /// let db = Database::open_in_memory()?;
    /// db.keyspace("scores")?.insert("ada", "12")?;
    /// let refused = db.hash_keyspace("scores").unwrap_err();
    /// assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidName`], [`Error::WrongKind`], and those of writing.
    pub fn keyspace(&self, name: &str) -> Result<OrderedKeyspace> {
        match self.open_keyspace(name) {
            Err(Error::UnknownKeyspace { .. }) => {}
            other => return other,
        }
        match self.create_keyspace(name, KeyspaceOptions::default(), TreeOptions::default()) {
            // Somebody else was faster.
            Err(Error::KeyspaceExists { .. }) => self.open_keyspace(name),
            other => other,
        }
    }

    /// Creates the ordered keyspace `name`, whose tables are kept as `tables` says: a commit with the
    /// database's durability.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Compression, Database, ErrorKind, KeyspaceOptions, TreeOptions};
    /// let db = Database::open_in_memory()?;
    /// let tables = TreeOptions { bottom_compression: Compression::Lz4, ..TreeOptions::default() };
    /// let days = db.create_keyspace("days", KeyspaceOptions::default(), tables)?;
    /// days.insert("11-20", "one apple")?;
    /// let again = db.create_keyspace("days", KeyspaceOptions::default(), tables).unwrap_err();
    /// assert_eq!(again.kind(), ErrorKind::AlreadyExists);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::KeyspaceExists`], [`Error::InvalidName`], `InvalidInput` for options out of range, and
    /// those of writing.
    pub fn create_keyspace(
        &self,
        name: &str,
        options: KeyspaceOptions,
        tables: TreeOptions,
    ) -> Result<OrderedKeyspace> {
        check_name(name)?;
        options.check_kind(KeyspaceKind::Ordered)?;
        tables.validate()?;
        self.core.create_ordered(name, options, tables)?;
        Trees::spawn(self.core.core());
        self.open_keyspace(name)
    }

    /// The ordered keyspace `name`.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, ErrorKind};
    /// let db = Database::open_in_memory()?;
    /// assert_eq!(db.open_keyspace("stock").unwrap_err().kind(), ErrorKind::NotFound);
    /// db.keyspace("stock")?.insert("apple", "42")?;
    /// assert!(db.open_keyspace("stock")?.contains("apple")?);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::UnknownKeyspace`], [`Error::WrongKind`].
    pub fn open_keyspace(&self, name: &str) -> Result<OrderedKeyspace> {
        let keyspace = self.find_keyspace(name)?;
        keyspace.check_kind(KeyspaceKind::Ordered)?;
        Ok(OrderedKeyspace::new(Arc::clone(&self.core), keyspace))
    }

    /// The hash keyspace `name`, created with default options if it is not there.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// db.hash_keyspace("users")?.insert("ada", "1815")?;
    /// // The second time it is there, with what it has.
    /// assert_eq!(db.hash_keyspace("users")?.get("ada")?.as_deref(), Some(&b"1815"[..]));
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidName`], and those of writing.
    pub fn hash_keyspace(&self, name: &str) -> Result<HashKeyspace> {
        match self.open_hash_keyspace(name) {
            Err(Error::UnknownKeyspace { .. }) => {}
            other => return other,
        }
        match self.create_hash_keyspace(name, KeyspaceOptions::default()) {
            // Somebody else was faster.
            Err(Error::KeyspaceExists { .. }) => self.open_hash_keyspace(name),
            other => other,
        }
    }

    /// Creates the hash keyspace `name`: a commit with the database's durability.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, ErrorKind, KeyspaceOptions};
    /// use std::time::Duration;
    /// let db = Database::open_in_memory()?;
    /// let an_hour = KeyspaceOptions::default().ttl(Duration::from_secs(3600));
    /// db.create_hash_keyspace("sessions", an_hour)?.insert("ada", "token")?;
    /// let again = db.create_hash_keyspace("sessions", an_hour).unwrap_err();
    /// assert_eq!(again.kind(), ErrorKind::AlreadyExists);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::KeyspaceExists`], [`Error::InvalidName`], and those of writing.
    pub fn create_hash_keyspace(
        &self,
        name: &str,
        options: KeyspaceOptions,
    ) -> Result<HashKeyspace> {
        check_name(name)?;
        options.check_kind(KeyspaceKind::Hash)?;
        self.core.change_catalog(|catalog| {
            if catalog.by_name(name).is_some() {
                return Err(Error::KeyspaceExists { name: name.to_owned() });
            }
            let (id, kind) = (catalog.next_id, KeyspaceKind::Hash);
            Ok(Change::Create { id, name: name.to_owned(), kind, options })
        })?;
        self.open_hash_keyspace(name)
    }

    /// The hash keyspace `name`.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, ErrorKind};
    /// let db = Database::open_in_memory()?;
    /// assert_eq!(db.open_hash_keyspace("users").unwrap_err().kind(), ErrorKind::NotFound);
    /// db.hash_keyspace("users")?.insert("ada", "1815")?;
    /// assert!(db.open_hash_keyspace("users")?.contains("ada")?);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::UnknownKeyspace`], [`Error::WrongKind`].
    pub fn open_hash_keyspace(&self, name: &str) -> Result<HashKeyspace> {
        let keyspace = self.find_keyspace(name)?;
        keyspace.check_kind(KeyspaceKind::Hash)?;
        Ok(HashKeyspace::new(Arc::clone(&self.core), keyspace))
    }

    /// The category of streams `name`, created if it is not there.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, ExpectedVersion, NewEvent};
    /// let db = Database::open_in_memory()?;
    /// let orders = db.category("orders")?;
    /// let placed = NewEvent::json("placed", r#"{"apples":1}"#);
    /// orders.append(17u64, &placed, ExpectedVersion::NoStream)?;
    /// assert_eq!(db.category("orders")?.len(17u64)?, 1);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::InvalidName`], [`Error::WrongKind`], and those of writing.
    pub fn category(&self, name: &str) -> Result<Category> {
        match self.open_category(name) {
            Err(Error::UnknownKeyspace { .. }) => {}
            other => return other,
        }
        match self.create_category(name, KeyspaceOptions::default()) {
            // Somebody else was faster.
            Err(Error::KeyspaceExists { .. }) => self.open_category(name),
            other => other,
        }
    }

    /// Creates the category of streams `name`: a commit with the database's durability. With a time to live its
    /// events are gone that long after they were appended.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, ErrorKind, KeyspaceOptions};
    /// use std::time::Duration;
    /// let db = Database::open_in_memory()?;
    /// let a_week = KeyspaceOptions::default().ttl(Duration::from_secs(7 * 24 * 3600));
    /// let visits = db.create_category("visits", a_week)?;
    /// assert_eq!(visits.len("ada")?, 0);
    /// let again = db.create_category("visits", a_week).unwrap_err();
    /// assert_eq!(again.kind(), ErrorKind::AlreadyExists);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::KeyspaceExists`], [`Error::InvalidName`], [`Error::NoChains`] if it should be chained and
    /// the build cannot, and those of writing.
    pub fn create_category(&self, name: &str, options: KeyspaceOptions) -> Result<Category> {
        check_name(name)?;
        check_built(name, options.chained)?;
        self.core.change_catalog(|catalog| {
            if catalog.by_name(name).is_some() {
                return Err(Error::KeyspaceExists { name: name.to_owned() });
            }
            let (id, kind) = (catalog.next_id, KeyspaceKind::Streams);
            Ok(Change::Create { id, name: name.to_owned(), kind, options })
        })?;
        self.open_category(name)
    }

    /// The category of streams `name`.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, ErrorKind};
    /// let db = Database::open_in_memory()?;
    /// assert_eq!(db.open_category("orders").unwrap_err().kind(), ErrorKind::NotFound);
    /// db.category("orders")?;
    /// assert!(db.open_category("orders").is_ok());
    /// db.keyspace("stock")?;
    /// assert_eq!(db.open_category("stock").unwrap_err().kind(), ErrorKind::InvalidInput);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::UnknownKeyspace`], [`Error::WrongKind`].
    pub fn open_category(&self, name: &str) -> Result<Category> {
        let keyspace = self.find_keyspace(name)?;
        keyspace.check_kind(KeyspaceKind::Streams)?;
        Ok(Category::new(Arc::clone(&self.core), keyspace))
    }

    /// The streams of the category `name`, whose events are of the type `E`; the category is created if it
    /// is not there.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::Database;
    /// use annals_events::Event;
    ///
    /// #[derive(Event)]
    /// #[event(crate = annals_events)]
    /// struct OrderPlaced {
    ///     item: String,
    ///     count: u32,
    /// }
    ///
    /// let db = Database::open_in_memory()?;
    /// let orders = db.stream::<OrderPlaced>("orders")?;
    /// orders.append(7u64, &OrderPlaced { item: "apple".into(), count: 3 })?;
    /// let first = orders.get(7u64, 0)?.expect("the event");
    /// assert_eq!(first.view()?.item, "apple");
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`category`](Self::category); [`Error::EventTypes`] if the category has archived events that `E` is
    /// not, or not any more. Whose types it has is settled when it is first opened for a type, not when the first
    /// event comes: of two programs that open a new one as different types, one is refused.
    pub fn stream<E: Event>(&self, name: &str) -> Result<Streams<E>> {
        let category = match self.core.read_only {
            true => self.open_category(name)?,
            false => self.category(name)?,
        };
        Streams::new(category)
    }

    pub(crate) fn find_keyspace(&self, name: &str) -> Result<Arc<Keyspace>> {
        check_name(name)?;
        self.core.follow_if_read_only()?;
        let found = self.core.newest(|core| {
            core.catalog.load().by_name(name).map(|listed| Arc::clone(&listed.keyspace))
        });
        found.ok_or_else(|| Error::UnknownKeyspace { name: name.to_owned() })
    }

    /// All keyspaces, by name. Copies the names; reads no records.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// db.keyspace("stock")?;
    /// db.category("orders")?;
    /// let names: Vec<_> = db.keyspaces().into_iter().map(|listed| listed.name).collect();
    /// assert_eq!(names, ["orders", "stock"]);
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn keyspaces(&self) -> Vec<KeyspaceInfo> {
        drop(self.core.follow_if_read_only());
        let catalog = self.core.newest(|core| core.catalog.load_full());
        let mut list: Vec<_> = catalog
            .iter()
            .map(|listed| {
                let keyspace = Arc::clone(&listed.keyspace);
                let (name, id, kind) = (keyspace.name.clone(), keyspace.id, keyspace.kind);
                let KeyspaceOptions { mut ttl, chained } = keyspace.options;
                if kind == KeyspaceKind::Table {
                    ttl = crate::tables::ttl_of(&self.core, &keyspace);
                }
                let len = match &listed.tree.tree {
                    Some(tree) => tree.with_view(View::len_estimate),
                    None => HashKeyspace::new(Arc::clone(&self.core), keyspace).len(),
                };
                KeyspaceInfo { name, id, kind, ttl, chained, len }
            })
            .collect();
        list.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        list
    }

    /// Drops the keyspace `name` with all its records. Handles of it fail from now on; snapshots
    /// and iterators made before still see it.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, ErrorKind};
    /// let db = Database::open_in_memory()?;
    /// let users = db.hash_keyspace("users")?;
    /// users.insert("ada", "1815")?;
    /// let before = db.snapshot();
    /// db.drop_keyspace("users")?;
    /// assert_eq!(users.insert("bob", "1").unwrap_err().kind(), ErrorKind::NotFound);
    /// assert!(before.contains("users", "ada")?);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::UnknownKeyspace`], and those of writing.
    pub fn drop_keyspace(&self, name: &str) -> Result<()> {
        check_name(name)?;
        self.core.change_catalog(|catalog| {
            let listed = catalog
                .by_name(name)
                .ok_or_else(|| Error::UnknownKeyspace { name: name.to_owned() })?;
            Ok(Change::Drop { id: listed.keyspace.id })
        })
    }
}
