//! Snapshots of aggregates: the state after so many events.

use crate::error::persistence;
use annals_engine::{Database, Error, HashKeyspace};
use cqrs_es::persist::{PersistenceError, SerializedSnapshot};
use serde::{Deserialize, Serialize};
use serde_json::Value;

const SUFFIX: &str = ".cqrs-snapshots";

/// A snapshot as it is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
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

/// The snapshot of an aggregate, if there is one.
pub(crate) fn load(
    db: &Database,
    aggregate_type: &str,
    aggregate_id: &str,
) -> Result<Option<SerializedSnapshot>, PersistenceError> {
    let kept = match db.open_hash_keyspace(&format!("{aggregate_type}{SUFFIX}")) {
        Err(Error::UnknownKeyspace { .. }) => return Ok(None),
        kept => kept.map_err(persistence)?,
    };
    let Some(stored) = kept.get(aggregate_id).map_err(persistence)? else { return Ok(None) };
    let Stored { aggregate, current_sequence, current_snapshot } = serde_json::from_slice(&stored)?;
    let aggregate_id = aggregate_id.to_owned();
    Ok(Some(SerializedSnapshot { aggregate_id, aggregate, current_sequence, current_snapshot }))
}

/// A snapshot as it is stored.
pub(crate) fn encode(
    aggregate: Value,
    current_sequence: usize,
    current_snapshot: usize,
) -> Result<Vec<u8>, PersistenceError> {
    Ok(serde_json::to_vec(&Stored { aggregate, current_sequence, current_snapshot })?)
}
