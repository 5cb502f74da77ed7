//! Events and snapshots of aggregates.

use crate::{
    error::persistence,
    event::{VERSION_PAIR, pairs_of, serialized},
    replay, snapshot,
};
use annals_engine::{Category, Database, Error, ExpectedVersion, NewEvent, StreamInfo};
use cqrs_es::{
    Aggregate,
    persist::{
        PersistedEventRepository, PersistenceError, ReplayStream, SerializedEvent,
        SerializedSnapshot,
    },
};
use serde_json::Value;

/// The events and snapshots of aggregates, kept in a database. Cheap to clone.
///
/// For `QueryReplay`, and for `PersistedEventStore::new_event_store`. For snapshots there is
/// [`AnnalsEventStore`](crate::AnnalsEventStore): `PersistedEventStore` of `cqrs-es` 0.5.0 applies the events of a command
/// a second time to the state that it hands over as a snapshot, and does not say which of them are in it. Nor can it say of
/// which life of a stream an aggregate was loaded: what was decided by the events of a stream that was
/// [deleted](annals_engine::Category::delete) since, and has as many again, is appended all the same. `AnnalsEventStore`
/// commits only in the life that was loaded.
#[derive(Clone, Debug)]
pub struct AnnalsEventRepository {
    db: Database,
    replay_events: usize,
}

/// So many events are read ahead of who replays, if nothing else is said.
const REPLAY_EVENTS: usize = 200;

impl AnnalsEventRepository {
    /// Keeps them in `db`.
    #[must_use]
    pub fn new(db: Database) -> Self {
        Self { db, replay_events: REPLAY_EVENTS }
    }

    /// Reads so many events ahead of who replays; at least one.
    #[must_use]
    pub fn with_streaming_channel_size(mut self, events: usize) -> Self {
        self.replay_events = events.max(1);
        self
    }

    /// The category of an aggregate's type; `None` if it has no events.
    fn category<A: Aggregate>(&self) -> Result<Option<Category>, PersistenceError> {
        match self.db.open_category(A::TYPE) {
            Err(Error::UnknownKeyspace { .. }) => Ok(None),
            category => category.map(Some).map_err(persistence),
        }
    }

    /// The stream of an aggregate as a whole: with nothing in it if there is none.
    pub(crate) fn info<A: Aggregate>(
        &self,
        aggregate_id: &str,
    ) -> Result<StreamInfo, PersistenceError> {
        let Some(category) = self.category::<A>()? else { return Ok(StreamInfo::default()) };
        category.info(aggregate_id).map_err(persistence)
    }

    /// The events of an aggregate behind the first `sequence` ones.
    pub(crate) fn events_behind<A: Aggregate>(
        &self,
        aggregate_id: &str,
        sequence: usize,
    ) -> Result<Vec<SerializedEvent>, PersistenceError> {
        let Some(category) = self.category::<A>()? else { return Ok(Vec::new()) };
        let events = category.read(aggregate_id).map_err(persistence)?.from(sequence as u64);
        events.map(|event| serialized(&event.map_err(persistence)?)).collect()
    }

    /// Writes events and a snapshot that has all of them, if nobody else has written since; and if the stream
    /// is in this life, where that is known.
    pub(crate) fn write<A: Aggregate>(
        &self,
        events: &[SerializedEvent],
        snapshot: Option<(String, Value, usize)>,
        life_version: Option<u64>,
    ) -> Result<(), PersistenceError> {
        if events.is_empty() && snapshot.is_none() {
            return Ok(());
        }
        let mut batch = self.db.batch();
        let category = self.db.category(A::TYPE).map_err(persistence)?;
        if let Some(first) = events.first() {
            let data = events.iter().map(|event| serde_json::to_string(&event.payload));
            let data = data.collect::<Result<Vec<_>, _>>()?;
            let mut appended = Vec::with_capacity(events.len());
            for (event, data) in events.iter().zip(&data) {
                let new = NewEvent::json(&event.event_type, data);
                let new = new.with(VERSION_PAIR, &event.event_version);
                let pairs = pairs_of(&event.metadata)?;
                appended
                    .push(pairs.into_iter().fold(new, |new, (name, text)| new.with(name, text)));
            }
            let expected = match first.sequence.checked_sub(2) {
                Some(last) => ExpectedVersion::Exact(last as u64),
                None => ExpectedVersion::NoStream,
            };
            batch
                .append(&category, first.aggregate_id.as_str(), &appended, expected)
                .map_err(persistence)?;
            if let Some(life_version) = life_version {
                let expected = batch.expect_life(&category, &*first.aggregate_id, life_version);
                expected.map_err(persistence)?;
            }
        }
        if let Some((aggregate_id, aggregate, number)) = snapshot {
            let sequence = match events.last() {
                Some(last) => last.sequence,
                None => category.len(aggregate_id.as_str()).map_err(persistence)? as usize,
            };
            let kept = snapshot::keyspace(&self.db, A::TYPE)?;
            let stored = snapshot::encode(&category, aggregate, sequence, number)?;
            batch.insert(&kept, aggregate_id, stored).map_err(persistence)?;
        }
        batch.commit().map(drop).map_err(persistence)
    }
}

impl PersistedEventRepository for AnnalsEventRepository {
    async fn get_events<A: Aggregate>(
        &self,
        aggregate_id: &str,
    ) -> Result<Vec<SerializedEvent>, PersistenceError> {
        self.events_behind::<A>(aggregate_id, 0)
    }

    async fn get_last_events<A: Aggregate>(
        &self,
        aggregate_id: &str,
        last_sequence: usize,
    ) -> Result<Vec<SerializedEvent>, PersistenceError> {
        self.events_behind::<A>(aggregate_id, last_sequence)
    }

    async fn get_snapshot<A: Aggregate>(
        &self,
        aggregate_id: &str,
    ) -> Result<Option<SerializedSnapshot>, PersistenceError> {
        let Some(category) = self.category::<A>()? else { return Ok(None) };
        snapshot::load(&self.db, &category, A::TYPE, aggregate_id)
    }

    async fn persist<A: Aggregate>(
        &self,
        events: &[SerializedEvent],
        snapshot_update: Option<(String, Value, usize)>,
    ) -> Result<(), PersistenceError> {
        self.write::<A>(events, snapshot_update, None)
    }

    async fn stream_events<A: Aggregate>(
        &self,
        aggregate_id: &str,
    ) -> Result<ReplayStream, PersistenceError> {
        let id = aggregate_id.to_owned();
        replay::stream(self.category::<A>()?, Some(id), self.replay_events)
    }

    async fn stream_all_events<A: Aggregate>(&self) -> Result<ReplayStream, PersistenceError> {
        replay::stream(self.category::<A>()?, None, self.replay_events)
    }
}
