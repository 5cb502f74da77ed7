//! The transactional outbox: an order and the event that tells of it in one commit, and a consumer
//! that delivers each event at least once, whenever and wherever it stops.
//!
//! The consumer follows the change feed and stores how far it got, in the same commit that takes
//! delivered events out of the outbox. A feed holds the log back only while it lives: if the log
//! was compacted in between, the events that wait are read from the outbox itself.
//!
//!     cargo run --example outbox [DIRECTORY]

use annals::{ChangeKind, Changes, Database, ErrorKind, HashKeyspace, Seq};
use std::{error::Error, path::Path};

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args_os().nth(1) {
        Some(dir) => run(Path::new(&dir)),
        None => run(tempfile::tempdir()?.path()),
    }
}

pub(crate) fn run(dir: &Path) -> Result<(), Box<dyn Error>> {
    let mut delivered = Vec::new();
    {
        let shop = Shop::open(dir)?;
        for number in 1..=3 {
            shop.order(number, "one apple")?;
        }
        let mut consumer = Consumer::open(&shop)?;
        // It stops after two of the three, as a process does that is killed.
        for _ in 0..2 {
            delivered.extend(consumer.deliver_next()?);
        }
        drop(consumer);
        shop.db.close()?;
    }
    {
        let shop = Shop::open(dir)?;
        shop.order(4, "two pears")?;
        let mut consumer = Consumer::open(&shop)?;
        while let Some(event) = consumer.deliver_next()? {
            delivered.push(event);
        }
        assert!(shop.outbox.is_empty());
        drop(consumer);

        // Nobody consumes, the log is compacted: what waits is found all the same.
        shop.order(5, "three plums")?;
        shop.db.compact()?;
        let mut consumer = Consumer::open(&shop)?;
        while let Some(event) = consumer.deliver_next()? {
            delivered.push(event);
        }
        drop(consumer);
        shop.db.close()?;
    }
    let orders: Vec<_> = delivered.iter().map(|(order, _)| *order).collect();
    assert_eq!(orders, [1, 2, 3, 4, 5]);
    Ok(())
}

struct Shop {
    db: Database,
    orders: HashKeyspace,
    /// Events that wait to be delivered.
    outbox: HashKeyspace,
    /// How far each consumer got.
    places: HashKeyspace,
}

impl Shop {
    fn open(dir: &Path) -> annals::Result<Self> {
        let db = Database::open(dir)?;
        Ok(Self {
            orders: db.hash_keyspace("orders")?,
            outbox: db.hash_keyspace("outbox")?,
            places: db.hash_keyspace("places")?,
            db,
        })
    }

    /// Stores the order and its event, together or not at all.
    fn order(&self, number: u64, what: &str) -> annals::Result<()> {
        let mut batch = self.db.batch();
        batch.insert(&self.orders, number.to_be_bytes(), what)?;
        batch.insert(&self.outbox, number.to_be_bytes(), format!("ordered: {what}"))?;
        batch.commit().map(drop)
    }
}

/// An event: the number of the order and what happened to it.
type Event = (u64, String);

struct Consumer<'a> {
    shop: &'a Shop,
    changes: Changes,
    /// Events that waited in the outbox when the feed no longer reached back to them, last first.
    missed: Vec<Event>,
}

const PLACE: &str = "mailer";

impl<'a> Consumer<'a> {
    /// Goes on where the last one stored that it had got to.
    fn open(shop: &'a Shop) -> annals::Result<Self> {
        let stored = shop.places.get(PLACE)?;
        let from = number(stored.as_deref()).map_or(Seq::ZERO, Seq);
        drop(stored);
        let mut missed = Vec::new();
        let changes = match shop.db.changes(from) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                // The feed starts at the end; the snapshot has everything before that.
                let snapshot = shop.db.snapshot();
                for entry in snapshot.iter("outbox")? {
                    let entry = entry?;
                    missed.extend(event(entry.key(), entry.value()));
                }
                missed.sort_unstable_by(|a, b| b.cmp(a));
                shop.db.changes(snapshot.seq().plus(1))?
            }
            other => other?,
        };
        Ok(Self { shop, changes, missed })
    }

    /// Delivers the next event if there is one. A consumer that is to wait for more would call
    /// [`Changes::wait`], or use [`Changes`] as an iterator.
    fn deliver_next(&mut self) -> annals::Result<Option<Event>> {
        if let Some(event) = self.missed.pop() {
            self.deliver(&event, None)?;
            return Ok(Some(event));
        }
        while let Some(change) = self.changes.try_next()? {
            let is_event = change.kind == ChangeKind::Insert
                && change.keyspace.as_deref() == Some("outbox")
                // Delivered and taken out already, by a consumer that did not get to store more.
                && self.shop.outbox.contains(&change.key)?;
            let value = change.value.unwrap_or_default();
            if let Some(event) = event(&change.key, &value).filter(|_| is_event) {
                self.deliver(&event, Some(change.seq))?;
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    fn deliver(&self, event: &Event, seq: Option<Seq>) -> annals::Result<()> {
        // A crash between the next two steps delivers the event once more: receivers must know an
        // event they have had already, here by the number of the order.
        println!("to the customer: order {} {}", event.0, event.1);
        let mut batch = self.shop.db.batch();
        batch.remove(&self.shop.outbox, event.0.to_be_bytes())?;
        if let Some(seq) = seq {
            batch.insert(&self.shop.places, PLACE, seq.plus(1).0.to_be_bytes())?;
        }
        batch.commit().map(drop)
    }
}

fn event(key: &[u8], value: &[u8]) -> Option<Event> {
    Some((number(Some(key))?, String::from_utf8_lossy(value).into_owned()))
}

fn number(bytes: Option<&[u8]>) -> Option<u64> {
    bytes?.try_into().ok().map(u64::from_be_bytes)
}
