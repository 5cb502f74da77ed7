//! `annals keyspace`: the named maps and categories of a database.

use super::{Command, counted, duplicates_name, streams, tables};
use crate::{
    category,
    failure::Result,
    keyspace,
    output::{Figure, Form, Report, Table, brief, tell},
    session::Session,
};
use annals::{Category, Database, KeyspaceKind, KeyspaceOptions, columns::Schema};
use std::time::Duration;

/// Lists the keyspaces. How many records an ordered one has is estimated, and marked so; those of a category
/// are its streams, those of an event table its events.
#[derive(Debug)]
pub(crate) struct KeyspaceList;

impl Command for KeyspaceList {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let db = session.reader()?;
        session.tell_warnings(&db);
        let mut table = Table::new(&[
            "name",
            "id",
            "kind",
            "records_count",
            "records_estimated",
            "ttl_seconds",
        ]);
        let mut failed = None;
        for info in db.keyspaces() {
            let records = match info.kind {
                KeyspaceKind::Table => match events_count(&db, &info.name) {
                    Ok(count) => Figure::Count(count),
                    Err(failure) => {
                        let name = brief(info.name.as_bytes());
                        failed.get_or_insert(failure.context(&format!("the event table `{name}`")));
                        Figure::Nothing
                    }
                },
                kind => tables::records(info.len, kind == KeyspaceKind::Ordered),
            };
            let is_estimate = info.kind == KeyspaceKind::Ordered;
            table.row(vec![
                Figure::text_of(&*info.name),
                Figure::Count(info.id.into()),
                Figure::text_of(info.kind.to_string()),
                records,
                Figure::Flag(is_estimate),
                ttl(info.ttl),
            ]);
        }
        if table.is_empty() {
            // A program sees that nothing came.
            if session.form() != Form::Json {
                tell("annals: the database has no keyspaces");
            }
            return Ok(());
        }
        session.out.table(&table)?;
        // The list is whole but for a figure.
        failed.map_or(Ok(()), Err)
    }
}

/// How many events a table has. Of one that is being made nobody has said yet what they are.
fn events_count(db: &Database, name: &str) -> Result<u64> {
    match db.open_table(name).and_then(|table| counted(&table.view()?)) {
        Err(annals::Error::NoSchema { .. }) => Ok(0),
        other => Ok(other?),
    }
}

/// Makes a keyspace.
#[derive(Debug)]
pub(crate) struct KeyspaceCreate {
    pub(crate) name: String,
    pub(crate) kind: KeyspaceKind,
    pub(crate) options: KeyspaceOptions,
}

impl Command for KeyspaceCreate {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let db = session.writer()?;
        keyspace::make(&db, &self.name, self.kind, self.options)?;
        db.close()?;
        Ok(())
    }
}

/// Removes a keyspace and all it holds.
#[derive(Debug)]
pub(crate) struct KeyspaceDrop {
    pub(crate) name: String,
}

impl Command for KeyspaceDrop {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let db = session.existing_writer()?;
        keyspace::find(&db, &self.name)?;
        db.drop_keyspace(&self.name)?;
        db.close()?;
        Ok(())
    }
}

/// Shows what a keyspace holds.
#[derive(Debug)]
pub(crate) struct KeyspaceStats {
    pub(crate) name: String,
}

impl Command for KeyspaceStats {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let db = session.reader()?;
        let info = keyspace::find(&db, &self.name)?;
        let stats = db.stats();
        let figures = stats.keyspaces.iter().find(|stats| stats.name == self.name);
        let figures = figures.ok_or_else(|| keyspace::unknown(&db, &self.name))?;
        let mut report = Report::default();
        report
            .text_field("name", &*info.name)
            .count("id", info.id.into())
            .text_field("kind", info.kind.to_string());
        if info.kind == KeyspaceKind::Streams {
            let category = category::open(&db, &self.name)?;
            let streams::Counts { streams_count, events_count, damage } =
                streams::count(&category)?;
            report
                .count("streams_count", streams_count)
                .count("events_count", events_count)
                .bytes("live_bytes", figures.live_bytes)
                .bytes("memory_bytes", figures.memory_bytes)
                .add("chained", Figure::Flag(info.chained))
                .listing("event_types", types(&category));
            session.out.report(&report)?;
            return damage.map_or(Ok(()), |error| Err(error.into()));
        }
        if info.kind == KeyspaceKind::Table {
            let table = db.open_table(&self.name)?;
            // How often who appends had to wait only the program that does it knows.
            let (of_table, options) = (table.stats()?, table.options()?);
            report
                .add("ttl_seconds", ttl(options.ttl))
                .text_field("duplicates", duplicates_name(options.duplicates))
                .count("events_count", of_table.events_count)
                .count("fresh_count", of_table.fresh_count)
                .count("parts_count", of_table.parts_count as u64)
                .bytes("parts_bytes", of_table.parts_bytes)
                .count("deleted_count", of_table.deleted_count)
                .bytes("live_bytes", figures.live_bytes)
                .bytes("memory_bytes", figures.memory_bytes)
                .listing("fields", fields(&*table.schema()?));
            return session.out.report(&report);
        }
        report
            .add("ttl_seconds", ttl(info.ttl))
            .add("records_count", tables::records(figures.len, figures.tree.is_some()))
            .add("records_estimated", Figure::Flag(figures.tree.is_some()));
        match &figures.tree {
            None => {
                report
                    .bytes("live_bytes", figures.live_bytes)
                    .bytes("memory_bytes", figures.memory_bytes);
            }
            Some(tree) => tables::add_tree(&mut report, tree),
        }
        session.out.report(&report)
    }
}

/// The types that events of a category ever had.
fn types(category: &Category) -> Table {
    let mut table = Table::new(&["type", "type_version"]);
    for (name, version) in category::types(category) {
        table.row(vec![Figure::text_of(name), Figure::Count(version.into())]);
    }
    table
}

/// What events of a table are.
fn fields(schema: &Schema) -> Table {
    let mut table = Table::new(&["field", "role", "optional"]);
    for field in schema.fields() {
        let (role, optional) = (field.role().to_string(), Figure::Flag(field.is_optional()));
        table.row(vec![Figure::text_of(field.name()), Figure::Text(role), optional]);
    }
    table
}

fn ttl(ttl: Option<Duration>) -> Figure {
    ttl.map_or(Figure::Nothing, |ttl| Figure::Seconds(ttl.as_secs_f64()))
}
