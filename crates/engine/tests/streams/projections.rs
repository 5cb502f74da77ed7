//! Projections: views that count each event once, whatever happens to them.

#[path = "projections/damaged.rs"]
mod damaged;
#[path = "projections/killed.rs"]
mod killed;
#[path = "projections/paused.rs"]
mod paused;
#[path = "projections/rebuilt.rs"]
mod rebuilt;
#[path = "projections/running.rs"]
mod running;

use annals_engine::{Database, HashKeyspace, Projection, RecordedEvent, Result, Work};
use std::collections::BTreeMap;

/// Numbers of a stream, summed.
struct Sums(HashKeyspace);

fn number(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().unwrap())
}

impl Projection for Sums {
    fn handle(&mut self, event: &RecordedEvent<'_>, work: &mut Work) -> Result<()> {
        let key = event.stream().to_string();
        let before = work.get(&self.0, &key)?.map_or(0, |sum| number(&sum));
        work.insert(&self.0, key, (before + number(event.data())).to_le_bytes());
        Ok(())
    }

    fn reset(&mut self, _: &Database) -> Result<()> {
        self.0.clear()
    }
}

fn sums_of(keyspace: &HashKeyspace) -> Result<BTreeMap<Vec<u8>, u64>> {
    let entries = keyspace.iter()?;
    entries.map(|entry| entry.map(|entry| (entry.key().to_vec(), number(entry.value())))).collect()
}

/// Keeps what the last event of each stream has.
struct Newest(HashKeyspace);

impl Projection for Newest {
    fn handle(&mut self, event: &RecordedEvent<'_>, work: &mut Work) -> Result<()> {
        work.insert(&self.0, event.stream().to_string(), event.data());
        Ok(())
    }

    fn reset(&mut self, _: &Database) -> Result<()> {
        self.0.clear()
    }
}
