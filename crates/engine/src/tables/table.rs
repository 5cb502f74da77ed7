//! The handle of an event table.

use super::{
    damage::{self, Lost, Piece},
    deleted::DeletedRows,
    fresh::Fresh,
    keys::{self, Key},
    options::TableOptions,
    places::PartPlace,
    shape::{Coming, Known, Shape},
    view::TableView,
};
use crate::{
    Database, Error, HashKeyspace, KeyspaceKind, KeyspaceOptions, Result, WriteBatch,
    catalog::{Change, Keyspace},
    core::Core,
    hash::Raw,
    open::Open,
};
use annals_columns::{Batch, Schema, WideEvent};
use annals_disk::Disk;
use std::{collections::HashMap, sync::Arc};

/// A table of wide events by column, in the order of their times. Made by [`Database::table`]; cheap to clone,
/// clones see the same events.
///
/// Events are appended a batch at a time and stay *fresh*, as they came, until a [flush](Self::flush) makes a *part* of
/// them: columns, sorted by time. What is asked for is found in both.
#[derive(Clone, Debug)]
pub struct EventTable {
    space: HashKeyspace,
}

/// Whether a table of the schema `ours` takes events of the schema `theirs`: of the same, or of one that it had before.
pub(super) fn check_schema(theirs: &Arc<Schema>, ours: &Arc<Schema>) -> Result<()> {
    if Arc::ptr_eq(theirs, ours) || theirs == ours || ours.mapping_from(theirs).is_ok() {
        return Ok(());
    }
    // What is to be read is the table's, what is expected that of who asks.
    theirs.mapping_from(ours)?;
    let (found, expected) = (Arc::clone(ours), Arc::clone(theirs));
    let what = "the table has an older one; open it with this one first";
    Err(annals_columns::Error::SchemaMismatch { field: None, what, found, expected }.into())
}

impl EventTable {
    pub(crate) fn new(core: Arc<Open>, keyspace: Arc<Keyspace>) -> Self {
        Self { space: HashKeyspace::new(core, keyspace) }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.space.name()
    }

    /// What its events are.
    ///
    /// # Errors
    /// [`Error::KeyspaceDropped`], [`Error::NoSchema`], or damage to the schema's record.
    pub fn schema(&self) -> Result<Arc<Schema>> {
        self.make_known()?;
        self.shape().look(|known| Arc::clone(&known.schema)).ok_or(Error::Stale)
    }

    /// What there is now: everything that was appended before.
    ///
    /// # Errors
    /// [`Error::KeyspaceDropped`], or damage: `Corrupt` with what and where.
    pub fn view(&self) -> Result<TableView<'_>> {
        TableView::of(self)
    }

    /// The keyspace that has its records.
    pub(super) fn space(&self) -> &HashKeyspace {
        &self.space
    }

    pub(super) fn shape(&self) -> &Shape {
        &self.space.parts().1.shape
    }

    /// Whether somebody else writes.
    pub(super) fn is_read_only(&self) -> bool {
        self.space.parts().0.read_only
    }

    /// The number of the keyspace that has its records.
    pub(super) fn keyspace_id(&self) -> u32 {
        self.space.parts().1.id
    }

    /// How many threads a question takes.
    pub(super) fn query_threads(&self) -> usize {
        self.space.parts().0.builder.engine.query_threads
    }

    pub(super) fn core(&self) -> &Core {
        self.space.parts().0.core()
    }

    pub(super) fn disk(&self) -> &Arc<dyn Disk> {
        self.space.parts().0.journal.disk()
    }

    pub(super) fn database_id(&self) -> u64 {
        self.space.parts().0.journal.database_id()
    }

    pub(super) fn now_ms(&self) -> u64 {
        self.space.parts().0.clock.now_ms()
    }

    /// Gives the table a schema that reads what it has.
    fn extend(&self, schema: &Arc<Schema>) -> Result<()> {
        // What is becoming a part goes on with the former one.
        let _flushing = self.shape().flushing.lock();
        let known = self.known()?;
        if known.schema == *schema {
            return Ok(());
        }
        schema.mapping_from(&known.schema)?;
        let former = &known.schema;
        let mut commit = self.batch_of_commit();
        commit.insert(&self.space, keys::SCHEMA, schema.encode())?;
        commit.insert(&self.space, keys::older(former.fingerprint()), former.encode())?;
        commit.commit()?;
        self.shape().change(|known| known.extend(schema));
        Ok(())
    }

    /// Gives it its first schema and options; `false` if it has a schema.
    fn found(&self, schema: &Schema, options: TableOptions) -> Result<bool> {
        let mut commit = self.batch_of_commit();
        commit.insert(&self.space, keys::SCHEMA, schema.encode())?;
        if options != TableOptions::default() {
            commit.insert(&self.space, keys::OPTIONS, options.encode())?;
        }
        let has_none = || Ok(self.space.get(keys::SCHEMA)?.is_none());
        Ok(commit.commit_if(has_none)?.is_some())
    }

    pub(super) fn batch_of_commit(&self) -> WriteBatch {
        WriteBatch::new(Arc::clone(self.space.parts().0))
    }

    /// What is known, read from the keyspace if need be.
    pub(super) fn known(&self) -> Result<Known> {
        self.make_known()?;
        let seq = || (!self.is_read_only()).then(|| self.space.parts().0.visible_seq());
        self.shape().known(seq).ok_or(Error::Stale)
    }

    /// Changes when what is known does, but for what was appended.
    pub(super) fn generation(&self) -> Option<u64> {
        self.shape().look(|known| known.generation)
    }

    /// Sees to it that it is known what is where. Who writes keeps it known; who only reads asks the keyspace
    /// whenever there is more in the log.
    fn make_known(&self) -> Result<()> {
        let (core, keyspace) = self.space.parts();
        let from = match core.read_only {
            true => {
                core.follow_if_read_only()?;
                Some(core.core().visible_seq())
            }
            false => {
                keyspace.check_alive()?;
                None
            }
        };
        if self.shape().is_known(from) {
            return Ok(());
        }
        let _loading = self.shape().loading.lock();
        if !self.shape().is_known(from) {
            let known = self.load()?;
            self.shape().set(known);
        }
        Ok(())
    }

    fn load(&self) -> Result<Known> {
        let (mut schema, mut fresh, mut parts) = (None, Vec::new(), Vec::new());
        let mut deleted = Coming::default();
        let (mut older, now_ms) = (Vec::new(), self.now_ms());
        let mut options = TableOptions::default();
        let (mut fingerprints, mut lost_schema) = (Vec::new(), None);
        let (mut lost, mut unreadable, mut unknown_rows) = (Vec::new(), HashMap::new(), Vec::new());
        let mut entries = self.space.iter()?;
        let seq = entries.seq();
        // Parts have checksums of their own, and are not read for this.
        let is_part = |key: &[u8]| matches!(Key::decode(key), Some(Key::Part(_)));
        let usual = [keys::SCHEMA, keys::OPTIONS, keys::MARK];
        while let Some(raw) = entries.next_raw(is_part, &usual) {
            let entry = match raw? {
                Raw::Entry(entry) => entry,
                Raw::Unsummed(key) => {
                    if let Some(Key::Part(number)) = Key::decode(&key) {
                        parts.push(number);
                    }
                    continue;
                }
                Raw::Damaged { key, damage } => {
                    match key.as_deref().and_then(Key::decode) {
                        Some(Key::Schema) => {
                            return Err(damage::named(self.name(), "the schema", damage));
                        }
                        Some(Key::Options) => {
                            return Err(damage::named(self.name(), "the options", damage));
                        }
                        // Told to who asks for it.
                        Some(Key::Mark) => {}
                        // It is looked for when somebody asks.
                        Some(Key::Part(number)) => parts.push(number),
                        Some(Key::Deleted(number)) => drop(unreadable.insert(number, damage)),
                        Some(Key::Fresh(number)) => {
                            lost.push(Lost::new(self.name(), Piece::Batch(number), damage));
                        }
                        Some(Key::DeletedFresh(number)) => unknown_rows.push((number, damage)),
                        Some(Key::Older(_)) => lost_schema = Some(damage),
                        None => {
                            lost_schema.get_or_insert_with(|| damage.clone());
                            lost.push(Lost::new(self.name(), Piece::Record, damage));
                        }
                    }
                    continue;
                }
            };
            let rows = || {
                let rows = DeletedRows::decode(entry.value()).map(Arc::new);
                rows.ok_or_else(no_rows)
            };
            match Key::decode(entry.key()) {
                Some(Key::Schema) => schema = Some(Schema::decode(entry.value())?),
                Some(Key::Options) => {
                    let foreign = || Error::ForeignRecord { name: self.name().to_owned() };
                    options = TableOptions::decode(entry.value()).ok_or_else(foreign)?;
                }
                // Asked for when it is wanted.
                Some(Key::Mark) => {}
                Some(Key::Older(_)) => older.push(Arc::new(Schema::decode(entry.value())?)),
                Some(Key::Fresh(number)) => {
                    let (fingerprint, rows) = Batch::peek(entry.value())?;
                    fingerprints.push((number, fingerprint));
                    fresh.push(Fresh::new(number, (rows, entry.value().len()), now_ms));
                }
                Some(Key::Part(number)) => parts.push(number),
                Some(Key::DeletedFresh(number)) => drop(deleted.fresh.insert(number, rows()?)),
                Some(Key::Deleted(number)) => drop(deleted.parts.insert(number, rows()?)),
                None => return Err(Error::ForeignRecord { name: self.name().to_owned() }),
            }
        }
        let schema = schema.ok_or_else(|| Error::NoSchema { name: self.name().to_owned() })?;
        if let Some(damage) = lost_schema {
            let is_known = |found: u64| {
                let mut all = std::iter::once(&schema).chain(older.iter().map(|one| &**one));
                all.any(|one| one.fingerprint() == found)
            };
            // What is in these batches nobody can tell.
            let unknown = fingerprints.iter().filter(|(_, found)| !is_known(*found));
            unknown_rows.extend(unknown.map(|(number, _)| (*number, damage.clone())));
        }
        for (number, damage) in unknown_rows {
            // Its events would be there again that were deleted.
            let count = fresh.len();
            fresh.retain(|fresh: &Fresh| fresh.number != number);
            if fresh.len() < count {
                lost.push(Lost::new(self.name(), Piece::Batch(number), damage));
            }
        }
        fresh.sort_unstable_by_key(|fresh| fresh.number);
        parts.sort_unstable();
        let before = self.shape().known(|| None);
        // Handles of one table share what they have read of it.
        let before_of = |number: u64| {
            if unreadable.contains_key(&number) {
                return None;
            }
            let before = before.as_ref()?.parts.iter().find(|place| place.number == number)?;
            Some(before.read_again())
        };
        let places = parts.into_iter().map(|number| {
            Arc::new(
                before_of(number)
                    .unwrap_or_else(|| PartPlace::found(number, unreadable.get(&number).cloned())),
            )
        });
        let numbers = lost.iter().filter_map(|lost| match lost.piece {
            Piece::Batch(number) => Some(number),
            _ => None,
        });
        let last = numbers.chain(fresh.last().map(|last| last.number)).max();
        let schema = match &before {
            Some(before) if *before.schema == schema => Arc::clone(&before.schema),
            _ => Arc::new(schema),
        };
        let mut known = Known {
            schema,
            options,
            older: Arc::new(older),
            next: last.map_or(0, |last| last + 1),
            fresh: Vec::new(),
            lost: Arc::default(),
            parts: Arc::new(places.collect()),
            // Not 0: so it was not settled yet that nothing is to be merged.
            generation: before.as_ref().map_or(1, |before| before.generation + 1),
            is_dropping: false,
            seq,
            coming: None,
            fresh_rows: 0,
            fresh_bytes: 0,
        };
        fresh.into_iter().for_each(|fresh| known.add_fresh(Arc::new(fresh)));
        known.delete(&deleted);
        known.lost = Arc::new(lost);
        Ok(known)
    }
}

#[cold]
fn no_rows() -> Error {
    let (kind, what) = ("set of rows", "what was deleted makes no sense");
    annals_columns::Error::Malformed { kind, what, offset: 0 }.into()
}

impl Database {
    /// The event table `name` with events of this schema, created if it is not there.
    ///
    /// A schema that has more fields than the table's, all of them optional, becomes that of the table
    /// ([`Schema::mapping_from`] says exactly what a newer schema may have): events from before lack those fields, nothing
    /// is written anew. Programs of an older schema go on to append, to read and to ask; the table keeps the newer
    /// one. Fields and filters of a Rust type are found by their names, an index means the field that is there now.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, ErrorKind};
    /// use annals_columns::{Role, Schema};
    /// use std::{collections::HashMap, sync::Arc};
    /// let db = Database::open_in_memory()?;
    /// let schema = Arc::new(Schema::builder(1).with("at", Role::Ts).build()?);
    /// let ticks = db.table("ticks", &schema)?;
    /// assert_eq!(ticks.schema()?, schema);
    ///
    /// let other = Arc::new(Schema::builder(1).with("when", Role::Ts).build()?);
    /// let refused = db.table("ticks", &other).unwrap_err();
    /// assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    /// assert!(refused.to_string().contains("when: ts"), "both are printed");
    ///
    /// let newer = Schema::builder(1).with("at", Role::Ts).with_optional("note", Role::Label);
    /// assert_eq!(db.table("ticks", &Arc::new(newer.build()?))?.schema()?.fields().len(), 2);
    /// assert_eq!(db.table("ticks", &schema)?.schema()?.fields().len(), 2);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidInput` if it has another schema, one that does not go with this one, which prints both; [`Error::InvalidName`],
    /// [`Error::WrongKind`], and those of writing.
    pub fn table(&self, name: &str, schema: &Arc<Schema>) -> Result<EventTable> {
        let table = match self.open_table(name) {
            Err(Error::UnknownKeyspace { .. }) => self.begin_table(name)?,
            other => other?,
        };
        // Whoever began to make it did not come to that.
        if let Err(Error::NoSchema { .. }) = table.schema() {
            table.found(schema, TableOptions::default())?;
        }
        let found = table.schema()?;
        if found == *schema {
            table.shape().share_schema(schema);
            return Ok(table);
        }
        if !table.is_read_only() && schema.mapping_from(&found).is_ok() {
            table.extend(schema)?;
        } else if found.mapping_from(schema).is_err() {
            schema.mapping_from(&found)?;
        }
        Ok(table)
    }

    /// The event table `name`, whose events are of the type `E`, created if it is not there.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::Database;
    /// use annals_columns::Schema;
    ///
    /// #[derive(Schema)]
    /// #[schema(schema_id = 1, crate = annals_columns)]
    /// struct Request {
    ///     #[ts]
    ///     at: i64,
    ///     #[dim]
    ///     user: String,
    /// }
    ///
    /// let db = Database::open_in_memory()?;
    /// let requests = db.table_of::<Request>("requests")?;
    /// requests.append(&Request::event().at(10).user("ada"))?;
    /// assert_eq!(requests.view()?.recent(1)?.event::<Request>(0)?.user, "ada");
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`table`](Self::table).
    pub fn table_of<E: WideEvent>(&self, name: &str) -> Result<EventTable> {
        self.table(name, E::schema())
    }

    /// Creates the event table `name` with events of this schema and with these [options](TableOptions).
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, TableOptions};
    /// use annals_columns::{Role, Schema};
    /// use std::{sync::Arc, time::Duration};
    /// let db = Database::open_in_memory()?;
    /// let schema = Arc::new(Schema::builder(1).with("at", Role::Ts).build()?);
    /// let hour = TableOptions::default().ttl(Duration::from_secs(3600));
    /// let ticks = db.create_table("ticks", &schema, hour)?;
    /// let mut batch = annals_columns::Batch::new(schema);
    /// let mut row = batch.row();
    /// row.i64(0, 1_000_000_000)?;
    /// row.finish()?;
    /// ticks.append_batch(&batch)?;
    /// assert!(ticks.view()?.is_empty(), "a second of 1970 is over");
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::KeyspaceExists`] if there is a keyspace of this name, [`Error::NoTimes`] if events are to be over and have
    /// no time, [`Error::NoIds`] if ids are to be there once and events have none, [`Error::InvalidName`], and those of writing.
    pub fn create_table(
        &self,
        name: &str,
        schema: &Arc<Schema>,
        options: TableOptions,
    ) -> Result<EventTable> {
        options.check(name, schema)?;
        let exists = || Error::KeyspaceExists { name: name.to_owned() };
        let table = match self.open_table(name) {
            Err(Error::UnknownKeyspace { .. }) => self.begin_table(name)?,
            // Whoever began to make it may not have come to its schema.
            Ok(table) => table,
            Err(Error::WrongKind { .. }) => return Err(exists()),
            Err(error) => return Err(error),
        };
        match table.schema() {
            Err(Error::NoSchema { .. }) if table.found(schema, options)? => Ok(table),
            Err(error) if !matches!(error, Error::NoSchema { .. }) => Err(error),
            _ => Err(exists()),
        }
    }

    fn begin_table(&self, name: &str) -> Result<EventTable> {
        crate::catalog::check_name(name)?;
        let created = self.core.change_catalog(|catalog| {
            if catalog.by_name(name).is_some() {
                return Err(Error::KeyspaceExists { name: name.to_owned() });
            }
            let (id, kind) = (catalog.next_id, KeyspaceKind::Table);
            let options = KeyspaceOptions::default();
            Ok(Change::Create { id, name: name.to_owned(), kind, options })
        });
        match created {
            // Somebody else was faster.
            Ok(()) | Err(Error::KeyspaceExists { .. }) => self.open_table(name),
            Err(error) => Err(error),
        }
    }

    /// The event table `name`, whatever its events are.
    ///
    /// # Errors
    /// [`Error::UnknownKeyspace`], [`Error::WrongKind`].
    pub fn open_table(&self, name: &str) -> Result<EventTable> {
        let keyspace = self.find_keyspace(name)?;
        keyspace.check_kind(KeyspaceKind::Table)?;
        super::worker::spawn(self.core.core());
        Ok(EventTable::new(Arc::clone(&self.core), keyspace))
    }
}
