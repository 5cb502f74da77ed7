//! `annals keyspace`: the named maps of a database.

use super::Command;
use crate::{
    failure::{Failure, Result},
    output::{Figure, Report, Table, brief},
    session::Session,
};
use annals::{Database, ErrorKind, HashKeyspace, KeyspaceInfo, KeyspaceOptions};
use std::time::Duration;

/// Lists the keyspaces.
#[derive(Debug)]
pub(crate) struct KeyspaceList;

impl Command for KeyspaceList {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let db = session.reader()?;
        let mut table = Table::new(&["name", "id", "kind", "records_count", "ttl_seconds"]);
        for info in db.keyspaces() {
            table.row(vec![
                Figure::text_of(&*info.name),
                Figure::Count(info.id.into()),
                Figure::text_of(info.kind.to_string()),
                Figure::Count(info.len),
                ttl(info.ttl),
            ]);
        }
        session.out.table(&table)
    }
}

/// Makes a keyspace.
#[derive(Debug)]
pub(crate) struct KeyspaceCreate {
    pub(crate) name: String,
    pub(crate) options: KeyspaceOptions,
}

impl Command for KeyspaceCreate {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let db = session.writer()?;
        db.create_keyspace(&self.name, self.options)?;
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
        open(&db, &self.name)?;
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
        let info = find(&db, &self.name)?;
        let figures = db.stats().keyspaces.into_iter().find(|stats| stats.name == self.name);
        let figures = figures.ok_or_else(|| unknown(&db, &self.name))?;
        let mut report = Report::default();
        report
            .text_field("name", &*info.name)
            .count("id", info.id.into())
            .text_field("kind", info.kind.to_string())
            .add("ttl_seconds", ttl(info.ttl))
            .count("records_count", figures.len)
            .bytes("live_bytes", figures.live_bytes)
            .bytes("memory_bytes", figures.memory_bytes)
            .count("removed_kept_count", figures.removed_kept_count);
        session.out.report(&report)
    }
}

fn find(db: &Database, name: &str) -> Result<KeyspaceInfo> {
    let found = db.keyspaces().into_iter().find(|info| info.name == name);
    found.ok_or_else(|| unknown(db, name))
}

/// The keyspace `name`, which must be there.
pub(super) fn open(db: &Database, name: &str) -> Result<HashKeyspace> {
    db.open_keyspace(name).map_err(|error| match error.kind() {
        ErrorKind::NotFound => unknown(db, name),
        _ => error.into(),
    })
}

/// A keyspace that is not there, with those that are.
fn unknown(db: &Database, name: &str) -> Failure {
    const SHOWN: usize = 10;
    let all = db.keyspaces();
    let shown: Vec<String> =
        all.iter().take(SHOWN).map(|info| format!("`{}`", brief(info.name.as_bytes()))).collect();
    let there = match (all.len(), all.len().saturating_sub(SHOWN)) {
        (0, _) => "the database has none".to_owned(),
        (_, 0) => format!("there is {}", shown.join(", ")),
        (_, more) => format!("there is {} and {more} more", shown.join(", ")),
    };
    Failure::not_found(format!("there is no keyspace `{}`; {there}", brief(name.as_bytes())))
}

fn ttl(ttl: Option<Duration>) -> Figure {
    ttl.map_or(Figure::Nothing, |ttl| Figure::Seconds(ttl.as_secs_f64()))
}
