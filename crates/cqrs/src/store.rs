//! The event store of one type of aggregate.

use crate::{AnnalsEventRepository, error::persistence};
use annals_engine::{Error, StreamInfo};
use cqrs_es::{
    Aggregate, AggregateContext, AggregateError, EventEnvelope, EventStore,
    persist::{
        EventStoreAggregateContext, EventUpcaster, PersistedEventRepository, PersistenceError,
        SerializedEvent,
    },
};
use std::{collections::HashMap, fmt, marker::PhantomData, num::NonZeroUsize};

/// The events of aggregates of one type, from which they are loaded, and snapshots of them if asked for.
pub struct AnnalsEventStore<A> {
    events: AnnalsEventRepository,
    snapshot_size: Option<NonZeroUsize>,
    upcasters: Vec<Box<dyn EventUpcaster>>,
    aggregates: PhantomData<fn() -> A>,
}

/// An aggregate as it was loaded. Nothing but the framework needs one.
pub struct AnnalsAggregateContext<A: Aggregate> {
    loaded: EventStoreAggregateContext<A>,
    /// The first version of the life that its stream was in.
    life_version: u64,
}

impl<A: Aggregate> AggregateContext<A> for AnnalsAggregateContext<A> {
    fn aggregate(&mut self) -> &mut A {
        &mut self.loaded.aggregate
    }
}

impl<A: Aggregate> fmt::Debug for AnnalsAggregateContext<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnnalsAggregateContext")
            .field("aggregate_id", &self.loaded.aggregate_id)
            .field("current_sequence", &self.loaded.current_sequence)
            .field("life_version", &self.life_version)
            .finish_non_exhaustive()
    }
}

impl<A: Aggregate> AnnalsEventStore<A> {
    /// Aggregates are what their events in `events` say.
    #[must_use]
    pub fn new(events: AnnalsEventRepository) -> Self {
        let (snapshot_size, upcasters) = (None, Vec::new());
        Self { events, snapshot_size, upcasters, aggregates: PhantomData }
    }

    /// Saves a snapshot with the command that brings an aggregate to a multiple of `events` events, or beyond, so that only
    /// the events behind it are read; 0: none is saved or read. One that cannot be read any more is passed
    /// over, and the events are read instead.
    #[must_use]
    pub fn with_snapshots(mut self, events: usize) -> Self {
        self.snapshot_size = NonZeroUsize::new(events);
        self
    }

    /// Brings events of older versions to the newest when they are read, by each of these in turn.
    #[must_use]
    pub fn with_upcasters(mut self, upcasters: Vec<Box<dyn EventUpcaster>>) -> Self {
        self.upcasters = upcasters;
        self
    }

    fn events_behind(
        &self,
        aggregate_id: &str,
        sequence: usize,
    ) -> Result<Vec<EventEnvelope<A>>, PersistenceError> {
        let upcast = |event: SerializedEvent| {
            self.upcasters.iter().fold(event, |event, upcaster| {
                match upcaster.can_upcast(&event.event_type, &event.event_version) {
                    true => upcaster.upcast(event),
                    false => event,
                }
            })
        };
        let events = self.events.events_behind::<A>(aggregate_id, sequence)?;
        events.into_iter().map(|event| upcast(event).try_into()).collect()
    }

    /// The aggregate as its snapshot has it, or as it is in front of its first event.
    async fn begin(
        &self,
        aggregate_id: &str,
    ) -> Result<EventStoreAggregateContext<A>, PersistenceError> {
        if self.snapshot_size.is_some() {
            let snapshot = self.events.get_snapshot::<A>(aggregate_id).await?;
            match snapshot.map(EventStoreAggregateContext::try_from) {
                Some(Ok(context)) => return Ok(context),
                // The aggregate has changed its shape.
                Some(Err(PersistenceError::DeserializationError(_))) | None => {}
                Some(Err(error)) => return Err(error),
            }
        }
        Ok(in_front(aggregate_id))
    }

    /// The aggregate, and the number of the event in front of the first one that is to be applied to it; that of its
    /// snapshot only if the stream as it is now goes on from there.
    async fn begin_in(
        &self,
        aggregate_id: &str,
    ) -> Result<(EventStoreAggregateContext<A>, StreamInfo), AggregateError<A::Error>> {
        let saved = self.begin(aggregate_id).await?;
        let info = self.events.info::<A>(aggregate_id)?;
        let saved_count = saved.current_sequence as u64;
        let is_known = (info.first_version..=info.next_version).contains(&saved_count)
            && (info.life_version == 0 || saved_count > info.life_version);
        if is_known {
            return Ok((saved, info));
        }
        // Also if none are left: what a command decided on an empty state would be appended behind them.
        if info.first_version > info.life_version {
            let (first, stream) = (info.first_version, aggregate_id.to_owned());
            return Err(persistence(Error::AggregateIncomplete { stream, first }).into());
        }
        Ok((in_front(aggregate_id), info))
    }
}

/// An aggregate in front of its first event.
fn in_front<A: Aggregate>(aggregate_id: &str) -> EventStoreAggregateContext<A> {
    let (aggregate_id, aggregate) = (aggregate_id.to_owned(), A::default());
    EventStoreAggregateContext {
        aggregate_id,
        aggregate,
        current_sequence: 0,
        current_snapshot: None,
    }
}

impl<A: Aggregate> EventStore<A> for AnnalsEventStore<A> {
    type AC = AnnalsAggregateContext<A>;

    async fn load_events(
        &self,
        aggregate_id: &str,
    ) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        Ok(self.events_behind(aggregate_id, 0)?)
    }

    async fn load_aggregate(
        &self,
        aggregate_id: &str,
    ) -> Result<AnnalsAggregateContext<A>, AggregateError<A::Error>> {
        loop {
            let (mut context, info) = self.begin_in(aggregate_id).await?;
            let from = match context.current_sequence {
                0 => info.first_version as usize,
                sequence => sequence,
            };
            let events = self.events_behind(aggregate_id, from)?;
            // Events that were given up while they were read: what was read is not the whole.
            let in_a_row =
                events.iter().zip(from + 1..).all(|(event, next)| event.sequence == next);
            // Also of a stream that was deleted: its events go on in number.
            context.current_sequence = from + events.len();
            if !in_a_row || (context.current_sequence as u64) < info.next_version {
                continue;
            }
            events.into_iter().for_each(|event| context.aggregate.apply(event.payload));
            let life_version = info.life_version;
            return Ok(AnnalsAggregateContext { loaded: context, life_version });
        }
    }

    async fn commit(
        &self,
        events: Vec<A::Event>,
        context: AnnalsAggregateContext<A>,
        metadata: HashMap<String, String>,
    ) -> Result<Vec<EventEnvelope<A>>, AggregateError<A::Error>> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let AnnalsAggregateContext { loaded: context, life_version } = context;
        let (aggregate_id, before) = (context.aggregate_id, context.current_sequence);
        let committed: Vec<EventEnvelope<A>> = (before + 1..)
            .zip(events)
            .map(|(sequence, payload)| EventEnvelope {
                aggregate_id: aggregate_id.clone(),
                sequence,
                payload,
                metadata: metadata.clone(),
            })
            .collect();
        let serialized =
            committed.iter().map(SerializedEvent::try_from).collect::<Result<Vec<_>, _>>()?;
        let last = before + committed.len();
        let is_due = |size: NonZeroUsize| last / size > before / size;
        let snapshot = if self.snapshot_size.is_some_and(is_due) {
            // Whoever writes an event to the sink applies it: it is the state behind all of them.
            let state = serde_json::to_value(&context.aggregate)?;
            Some((aggregate_id, state, context.current_snapshot.unwrap_or(0) + 1))
        } else {
            None
        };
        // By its number alone an event could follow one of a life that is over.
        self.events.write::<A>(&serialized, snapshot, Some(life_version))?;
        Ok(committed)
    }
}

impl<A> fmt::Debug for AnnalsEventStore<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnnalsEventStore")
            .field("events", &self.events)
            .field("snapshot_size", &self.snapshot_size)
            .finish_non_exhaustive()
    }
}
