//! Snapshots of aggregates: the state after so many events.

use crate::error::persistence;
use annals_engine::{Category, Database, Error, HashKeyspace};
use cqrs_es::persist::{PersistenceError, SerializedSnapshot};
use serde::{Deserialize, Serialize};
use serde_json::Value;

const SUFFIX: &str = ".cqrs-snapshots";

/// A snapshot as it is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    /// The number of the category that has the events; a later one of the same name has others. None: it was not
    /// noted, and may be either.
    category: Option<u32>,
    aggregate: Value,
    current_sequence: usize,
    current_snapshot: usize,
}

/// The keyspace of the snapshots of aggregates of this type.
pub(crate) fn keyspace(
    db: &Database,
    aggregate_type: &str,
) -> Result<HashKeyspace, PersistenceError> {
    db.hash_keyspace(&format!("{aggregate_type}{SUFFIX}")).map_err(persistence)
}

/// The snapshot of an aggregate whose events are in this category, if there is one.
pub(crate) fn load(
    db: &Database,
    category: &Category,
    aggregate_type: &str,
    aggregate_id: &str,
) -> Result<Option<SerializedSnapshot>, PersistenceError> {
    let kept = match db.open_hash_keyspace(&format!("{aggregate_type}{SUFFIX}")) {
        Err(Error::UnknownKeyspace { .. }) => return Ok(None),
        kept => kept.map_err(persistence)?,
    };
    let Some(stored) = kept.get(aggregate_id).map_err(persistence)? else { return Ok(None) };
    let stored: Stored = serde_json::from_slice(&stored)?;
    let Stored { category: of_category, aggregate, current_sequence, current_snapshot } = stored;
    if of_category != Some(category.id()) {
        return Ok(None);
    }
    let aggregate_id = aggregate_id.to_owned();
    Ok(Some(SerializedSnapshot { aggregate_id, aggregate, current_sequence, current_snapshot }))
}

/// A snapshot as it is stored.
pub(crate) fn encode(
    category: &Category,
    aggregate: Value,
    current_sequence: usize,
    current_snapshot: usize,
) -> Result<Vec<u8>, PersistenceError> {
    let category = Some(category.id());
    Ok(serde_json::to_vec(&Stored { category, aggregate, current_sequence, current_snapshot })?)
}
