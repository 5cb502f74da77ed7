//! Events of a persistent subscription that were put aside.

use super::{
    PersistentSubscription,
    shared::{EventPlace, find},
    state::{ParkedRecord, decode_parked, encode_parked, parked_key, parked_seq},
    unreadable,
};
use crate::{
    HashKeyspace, Result, StreamId,
    streams::id::{StreamKey, id_of_key},
};
use annals_journal::Seq;

/// An event that was put aside. What it is of, [`Category::get`](crate::Category::get) has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// Its number.
    pub seq: Seq,
    /// The name of its category; `None` if that was dropped.
    pub category: Option<String>,
    /// Its stream.
    pub stream: StreamId<'static>,
    /// Its place in that.
    pub version: u64,
    /// How often it was given out.
    pub attempts: u32,
    /// When it was parked, in milliseconds since 1970.
    pub time_ms: u64,
    /// Why.
    pub reason: String,
    /// Whether the event is not there any more: truncated, or dropped with its category.
    pub is_gone: bool,
}

/// What became of parked events that were to be given out again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// So many are given out again.
    pub replayed_count: u64,
    /// So many are not there any more, and were dropped from what is parked.
    pub gone_count: u64,
}

impl PersistentSubscription {
    /// The events that are parked, in their order. Reads each of them.
    ///
    /// # Errors
    /// Those of reading and writing; damage to the log; [`SubscriptionState`](crate::Error::SubscriptionState).
    pub fn parked(&self) -> Result<Vec<Parked>> {
        let open = self.open();
        let mut list = Vec::new();
        for (seq, record) in self.records()? {
            let catalog = open.core().catalog.load();
            let category = catalog.by_id(record.space).map(|listed| listed.keyspace.name.clone());
            drop(catalog);
            let place = self.place_of(&record)?;
            let stream = match id_of_key(place.key.bytes()) {
                Some(StreamId::Text(text)) => StreamId::Text(text.into_owned().into()),
                Some(StreamId::Number(number)) => StreamId::Number(number),
                Some(StreamId::Uuid(uuid)) => StreamId::Uuid(uuid),
                None => return Err(unreadable(self.name(), "the stream of a parked event")),
            };
            let is_gone = find(open, seq, &place)?.is_none();
            let ParkedRecord { version, attempts, time_ms, reason, .. } = record;
            list.push(Parked {
                seq,
                category,
                stream,
                version,
                attempts,
                time_ms,
                reason,
                is_gone,
            });
        }
        Ok(list)
    }

    /// Lets all parked events be given out again, as if they had not been before.
    ///
    /// # Errors
    /// As [`parked`](Self::parked).
    pub fn replay_parked(&self) -> Result<Replayed> {
        self.put_back(|_| true)
    }

    /// Lets the parked event `seq` be given out again, if there is one.
    ///
    /// # Errors
    /// As [`parked`](Self::parked).
    pub fn replay_parked_event(&self, seq: Seq) -> Result<Replayed> {
        self.put_back(|parked| parked == seq)
    }

    /// Drops all parked events: they are never given out again. Returns how many there were.
    ///
    /// # Errors
    /// As [`parked`](Self::parked).
    pub fn drop_parked(&self) -> Result<u64> {
        self.forget(|_| true)
    }

    /// Drops the parked event `seq`. Returns whether there was one.
    ///
    /// # Errors
    /// As [`parked`](Self::parked).
    pub fn drop_parked_event(&self, seq: Seq) -> Result<bool> {
        Ok(self.forget(|parked| parked == seq)? > 0)
    }

    /// What is kept of parked events, in their order.
    fn records(&self) -> Result<Vec<(Seq, ParkedRecord)>> {
        self.flush()?;
        let mut records = Vec::new();
        for entry in self.shared().kept(self.open()).iter()? {
            let entry = entry?;
            let Some(seq) = parked_seq(entry.key()) else { continue };
            let record = decode_parked(entry.value());
            let record = record.ok_or_else(|| unreadable(self.name(), "a parked event"))?;
            if !record.is_replayed {
                records.push((seq, record));
            }
        }
        records.sort_unstable_by_key(|(seq, _)| *seq);
        Ok(records)
    }

    fn place_of(&self, record: &ParkedRecord) -> Result<EventPlace> {
        let key = id_of_key(&record.stream).and_then(|id| StreamKey::of(&id));
        let key = key.ok_or_else(|| unreadable(self.name(), "the stream of a parked event"))?;
        Ok(EventPlace { space: record.space, key, version: record.version })
    }

    fn put_back(&self, wanted: impl Fn(Seq) -> bool) -> Result<Replayed> {
        let mut replayed = Replayed::default();
        for (seq, record) in self.records()?.into_iter().filter(|(seq, _)| wanted(*seq)) {
            let is_there = find(self.open(), seq, &self.place_of(&record)?)?.is_some();
            let mut state = self.shared().lock()?;
            let kept = self.shared().kept(self.open());
            // Somebody else may have done so since.
            if !is_parked(&kept, seq)? {
                continue;
            }
            if is_there {
                let again = ParkedRecord { is_replayed: true, ..record };
                kept.insert(parked_key(seq), encode_parked(&again))?;
                state.replay(self.open(), seq, &again);
                replayed.replayed_count += 1;
            } else {
                kept.remove(parked_key(seq))?;
                state.gone_count += 1;
                replayed.gone_count += 1;
            }
            state.parked_count = state.parked_count.saturating_sub(1);
        }
        self.shared().signal.wake_all();
        Ok(replayed)
    }

    fn forget(&self, wanted: impl Fn(Seq) -> bool) -> Result<u64> {
        let mut dropped_count = 0;
        for (seq, _) in self.records()?.into_iter().filter(|(seq, _)| wanted(*seq)) {
            let mut state = self.shared().lock()?;
            let kept = self.shared().kept(self.open());
            if is_parked(&kept, seq)? && kept.remove(parked_key(seq))? {
                state.parked_count = state.parked_count.saturating_sub(1);
                dropped_count += 1;
            }
        }
        Ok(dropped_count)
    }
}

/// Whether an event is parked, and not to be given out again.
fn is_parked(kept: &HashKeyspace, seq: Seq) -> Result<bool> {
    let record = kept.get(parked_key(seq))?.and_then(|bytes| decode_parked(&bytes));
    Ok(record.is_some_and(|record| !record.is_replayed))
}
