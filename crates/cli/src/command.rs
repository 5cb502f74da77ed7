//! The commands, one file each: what is done, not how it was typed.

mod append;
mod backup;
mod batch_put;
mod bench;
mod changes;
mod checkpoint;
mod compact;
mod delete;
mod event;
mod get;
mod import_events;
mod keyspace;
mod keyspace_load;
mod load;
mod log;
mod projections;
mod put;
mod read;
mod restore;
mod scan;
mod stats;
mod stream;
mod stream_verify;
mod streams;
mod subscriptions;
mod table;
mod tables;
mod tour;
mod unlock;
mod verify;

pub(crate) use append::Append;
pub(crate) use backup::Backup;
pub(crate) use batch_put::BatchPut;
pub(crate) use bench::Bench;
pub(crate) use changes::Changes;
pub(crate) use checkpoint::Checkpoint;
pub(crate) use compact::{CompactLog, CompactTables};
pub(crate) use delete::Delete;
pub(crate) use get::Get;
pub(crate) use import_events::ImportEvents;
pub(crate) use keyspace::{KeyspaceCreate, KeyspaceDrop, KeyspaceList, KeyspaceStats};
pub(crate) use keyspace_load::KeyspaceLoad;
pub(crate) use log::Log;
pub(crate) use projections::{ProjectionPause, Projections};
pub(crate) use put::{Put, Value};
pub(crate) use read::Read;
pub(crate) use restore::Restore;
pub(crate) use scan::Scan;
pub(crate) use stats::Stats;
pub(crate) use stream::{Stream, StreamDeed};
pub(crate) use stream_verify::StreamVerify;
pub(crate) use streams::Streams;
pub(crate) use subscriptions::Subscriptions;
pub(crate) use table::{
    DeleteEvents, Dropped, Event as TableEvent, Export, ExportFormat, Gc, Ids, Ingest,
    Manner as IngestManner, Query, QueryManner, Recent, Rollup, SaidOptions, TableOptions, Tables,
    Which, Wish, counted, duplicates_name,
};
pub(crate) use tour::Tour;
pub(crate) use unlock::Unlock;
pub(crate) use verify::Verify;

use crate::{failure::Result, session::Session};

/// Something the user can ask for.
pub(crate) trait Command {
    /// Does it.
    fn run(self: Box<Self>, session: &mut Session) -> Result<()>;
}
