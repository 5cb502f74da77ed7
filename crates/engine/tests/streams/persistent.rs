//! Persistent subscriptions: what consumers that share one rely on, also across failures and restarts.

use annals_disk::{SimDisk, SimOptions};
use annals_engine::{
    Background, Category, Consumer, Database, Delivery, Error, ErrorKind, ExpectedVersion,
    NewEvent, PersistentOptions, PersistentSubscription, Replayed, Result, Seq, StartAt, Strategy,
    StreamId,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::Thread,
    time::Duration,
};

#[path = "persistent/consumers.rs"]
mod consumers;
#[path = "persistent/damaged.rs"]
mod damaged;
#[path = "persistent/gone.rs"]
mod gone;
#[path = "persistent/parked.rs"]
mod parked;
#[path = "persistent/restarts.rs"]
mod restarts;
#[path = "persistent/selections.rs"]
mod selections;
#[path = "persistent/waiting.rs"]
mod waiting;

const MINUTE: Duration = Duration::from_secs(60);

fn append(category: &Category, id: u64, n: u64) -> Result<()> {
    let data = n.to_le_bytes();
    category.append(id, &NewEvent::bytes("n", &data), ExpectedVersion::Any).map(drop)
}

fn number(event: &Delivery<'_>) -> u64 {
    u64::from_le_bytes(event.data().try_into().unwrap())
}

/// Takes all there is now, and acknowledges it.
fn drain(consumer: &Consumer) -> Result<Vec<u64>> {
    let mut numbers = Vec::new();
    while let Some(event) = consumer.try_next()? {
        numbers.push(number(&event));
        assert!(event.acknowledge()?);
    }
    Ok(numbers)
}

fn sim(disk: &SimDisk) -> Result<Database> {
    let builder = Database::builder().segment_bytes(64 << 10).disk(Arc::new(disk.clone()));
    builder.background(Background::Manual).open("db")
}
