//! The commands of event tables.

mod delete_events;
mod event;
mod explain;
mod export;
mod gc;
mod ingest;
mod list;
mod options;
mod query;
mod recent;
mod rollup;
mod row;
mod which;

pub(crate) use delete_events::{DeleteEvents, Ids};
pub(crate) use event::Event;
pub(crate) use export::{Export, ExportFormat};
pub(crate) use gc::{Dropped, Gc};
pub(crate) use ingest::{Ingest, Manner};
pub(crate) use list::Tables;
pub(crate) use options::{Options as TableOptions, Said as SaidOptions, duplicates_name};
pub(crate) use query::{Manner as QueryManner, Query, Wish};
pub(crate) use recent::Recent;
pub(crate) use rollup::Rollup;
pub(crate) use which::Which;

use crate::{
    failure::{Failure, Result},
    keyspace,
    output::brief,
};
use annals::{Database, ErrorKind, EventTable, KeyspaceKind, TableView};

/// The event table `name`, which must be there.
fn open(db: &Database, name: &str) -> Result<EventTable> {
    db.open_table(name).map_err(|error| match error.kind() {
        ErrorKind::NotFound => {
            keyspace::unknown_of(db, name, "event table", |kind| kind == KeyspaceKind::Table)
        }
        _ => refused(db, name, error),
    })
}

/// How many events there are; an error if some of them cannot be read, and so not be counted.
pub(crate) fn counted(view: &TableView<'_>) -> annals::Result<u64> {
    match view.damages().next() {
        Some(damage) => Err(damage.error.clone()),
        None => Ok(view.len()),
    }
}

/// Events are not told apart.
fn no_ids(table: &str) -> Failure {
    let name = brief(table.as_bytes());
    Failure::usage(format!(
        "events of the table `{name}` have no id; `annals recent {name} --where EXPR` finds them"
    ))
}

/// A keyspace of another kind has commands of its own.
fn refused(db: &Database, name: &str, error: annals::Error) -> Failure {
    match keyspace::find(db, name) {
        Ok(info) if info.kind != KeyspaceKind::Table => Failure::usage(format!(
            "the keyspace `{}` is of kind {}, not an event table; `annals tables` lists those",
            brief(name.as_bytes()),
            info.kind,
        )),
        _ => keyspace::named_badly(error, "an event table"),
    }
}
