//! Truncating, deleting, archiving, expiring: what readers find is what a model says, beside compaction,
//! checkpoints and restarts; and what was given up gives its space back.

use annals_disk::{Disk, SimDisk, SimOptions};
use annals_engine::{
    Background, Category, Database, Error, ErrorKind, ExpectedVersion, KeyspaceOptions, NewEvent,
    Result, Retention, Seq,
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// A stream as it has to be.
#[derive(Clone, Debug, Default)]
struct Stream {
    /// Number, time and data of each event that it ever had.
    events: Vec<(Seq, u64, Vec<u8>)>,
    first: u64,
    is_tombstone: bool,
    is_archived: bool,
    max_count: Option<u64>,
    max_age_ms: Option<u64>,
}

impl Stream {
    fn left(&self, now_ms: u64, ttl_ms: Option<u64>) -> std::ops::Range<u64> {
        let len = self.events.len() as u64;
        let by_count = self.max_count.map_or(0, |count| len.saturating_sub(count));
        let age = [self.max_age_ms, ttl_ms].into_iter().flatten().min();
        let is_over = |event: &&(Seq, u64, Vec<u8>)| age.is_some_and(|age| event.1 + age <= now_ms);
        let by_age = self.events.iter().take_while(is_over).count() as u64;
        self.first.max(by_count).max(by_age).min(len)..len
    }
}

struct World {
    disk: SimDisk,
    db: Option<Database>,
    category: Option<Category>,
    ttl_ms: Option<u64>,
    now_ms: u64,
    streams: BTreeMap<u64, Stream>,
}

fn open(disk: &SimDisk) -> Result<Database> {
    Database::builder()
        .segment_bytes(64 << 10)
        .compact_below(0.9)
        .disk(Arc::new(disk.clone()))
        .background(Background::Manual)
        .open("db")
}

impl World {
    fn new(seed: u64) -> Result<Self> {
        let disk = SimDisk::new(SimOptions::seeded(seed));
        let db = open(&disk)?;
        let ttl_ms = seed.is_multiple_of(3).then_some(5_000);
        let ttl = ttl_ms.map_or(KeyspaceOptions::default(), |ttl_ms| {
            KeyspaceOptions::default().ttl(Duration::from_millis(ttl_ms))
        });
        let category = Some(db.create_category("orders", ttl)?);
        let now_ms = disk.now_ms();
        Ok(Self { disk, db: Some(db), category, ttl_ms, now_ms, streams: BTreeMap::new() })
    }

    fn db(&self) -> &Database {
        self.db.as_ref().unwrap()
    }

    fn category(&self) -> &Category {
        self.category.as_ref().unwrap()
    }

    fn append(&mut self, id: u64, count: u64, drawn: u64) -> Result<()> {
        let stream = self.streams.entry(id).or_default();
        let len = stream.events.len() as u64;
        let data: Vec<Vec<u8>> = (0..count)
            .map(|n| {
                [&(len + n).to_le_bytes()[..], &vec![n as u8; (drawn >> 8) as usize % 900]].concat()
            })
            .collect();
        let events: Vec<NewEvent<'_>> = data
            .iter()
            .enumerate()
            .map(|(n, data)| {
                let event = NewEvent::bytes("happened", data);
                if n % 3 == 0 {
                    event.id(u128::from(id) << 64 | u128::from(len + n as u64))
                } else {
                    event
                }
            })
            .collect();
        let is_gone = stream.left(self.now_ms, self.ttl_ms).is_empty();
        let expected = match drawn % 4 {
            0 if len > 0 => ExpectedVersion::Exact(len - 1),
            1 if is_gone => ExpectedVersion::NoStream,
            2 if !is_gone => ExpectedVersion::StreamExists,
            _ => ExpectedVersion::Any,
        };
        let category = self.category.as_ref().unwrap();
        match category.append_many(id, &events, expected) {
            Ok(done) => {
                assert!(!stream.is_tombstone && !stream.is_archived);
                assert_eq!((done.first_version, done.last_version), (len, len + count - 1));
                for (n, data) in data.into_iter().enumerate() {
                    stream.events.push((done.first_seq.plus(n as u64), self.now_ms, data));
                }
            }
            Err(Error::StreamClosed { is_tombstone, .. }) => {
                assert!(stream.is_tombstone || stream.is_archived);
                assert_eq!(is_tombstone, stream.is_tombstone);
            }
            Err(error) => return Err(error),
        }
        let is_gone = stream.left(self.now_ms, self.ttl_ms).is_empty();
        let wrong = if is_gone { ExpectedVersion::StreamExists } else { ExpectedVersion::NoStream };
        let refused = category.append(id, &NewEvent::bytes("happened", b""), wrong);
        let kind = refused.unwrap_err().kind();
        assert_eq!(kind, ErrorKind::Conflict);
        Ok(())
    }

    fn reopen(&mut self) -> Result<()> {
        self.category = None;
        self.db.take().unwrap().close()?;
        let db = open(&self.disk)?;
        self.category = Some(db.category("orders")?);
        self.db = Some(db);
        Ok(())
    }

    fn check(&self, what: &str) -> Result<()> {
        let category = self.category();
        let mut all = Vec::new();
        for (id, stream) in &self.streams {
            let left = stream.left(self.now_ms, self.ttl_ms);
            let what = format!("{what}: stream {id}, {left:?} is left");
            let info = category.info(*id)?;
            if !stream.events.is_empty() {
                assert_eq!(info.first_version..info.next_version, left, "{what}");
            }
            assert_eq!(info.exists(), !left.is_empty(), "{what}");
            assert_eq!(info.is_tombstone, stream.is_tombstone, "{what}");
            assert_eq!(info.is_archived, stream.is_archived, "{what}");
            assert_eq!(category.len(*id)?, stream.events.len() as u64, "{what}");
            assert_eq!(category.exists(*id)?, !left.is_empty(), "{what}");
            assert_eq!(
                category.last(*id)?.map(|event| event.version()),
                left.clone().next_back(),
                "{what}"
            );
            let read = |version: u64| {
                let (seq, _, data) = &stream.events[version as usize];
                (version, *seq, data.clone())
            };
            let forward: Vec<_> = left.clone().map(read).collect();
            let got = |event: annals_engine::RecordedEvent<'_>| {
                (event.version(), event.seq(), event.data().to_vec())
            };
            let found = category.read(*id)?.map(|event| Ok(got(event?)));
            assert_eq!(found.collect::<Result<Vec<_>>>()?, forward, "{what}");
            let found = category.read(*id)?.back().map(|event| Ok(got(event?)));
            let back: Vec<_> = forward.iter().rev().cloned().collect();
            assert_eq!(found.collect::<Result<Vec<_>>>()?, back, "{what}");
            let end = stream.events.len() as u64;
            for version in
                [0, left.start.saturating_sub(1), left.start, end / 2, end.saturating_sub(1), end]
            {
                let found = category.get(*id, version)?.map(got);
                let there = left.contains(&version).then(|| read(version));
                assert_eq!(found, there, "{what}, version {version}");
            }
            if !stream.is_archived {
                all.extend(
                    forward.into_iter().map(|(version, seq, data)| (seq, *id, version, data)),
                );
            }
        }
        all.sort_unstable();
        let found = self.db().read_all(Seq::ZERO)?.map(|event| {
            let event = event?;
            let annals_engine::StreamId::Number(id) = event.stream() else { panic!("{event:?}") };
            Ok((event.seq(), id, event.version(), event.data().to_vec()))
        });
        assert_eq!(found.collect::<Result<Vec<_>>>()?, all, "{what}");
        let mut listed = BTreeMap::new();
        category.each_stream(|id, last| {
            listed.insert(id.to_string(), last);
            Ok(())
        })?;
        let exist = self.streams.iter().filter_map(|(id, stream)| {
            let last = stream.left(self.now_ms, self.ttl_ms).next_back()?;
            Some((id.to_string(), last))
        });
        assert_eq!(listed, exist.collect(), "{what}");
        Ok(())
    }

    fn step(&mut self, drawn: u64) -> Result<String> {
        let id = (drawn >> 16) % 6;
        let stream = self.streams.entry(id).or_default();
        let end = stream.events.len() as u64;
        let some = drawn >> 24;
        let category = self.category.as_ref().unwrap();
        Ok(match drawn % 32 {
            0..=13 => {
                self.append(id, 1 + some % 25, drawn >> 32)?;
                format!("appended to {id}")
            }
            14..=16 => {
                let version = some % (end + 3);
                if version > end {
                    // What was counted wrong empties no stream.
                    let refused = category.truncate_before(id, version);
                    let Err(Error::BeyondEnd { next, .. }) = refused else { panic!("{refused:?}") };
                    assert_eq!(next, end);
                    return Ok(format!("did not truncate {id} before {version}"));
                }
                let first = category.truncate_before(id, version)?;
                stream.first = stream.first.max(version);
                // It may have been truncated further for what it keeps.
                assert!(first >= stream.first && first <= end, "{first} of {stream:?}");
                format!("truncated {id} before {version}")
            }
            17 => {
                category.delete(id)?;
                stream.first = end;
                format!("deleted {id}")
            }
            18 if some.is_multiple_of(16) => {
                category.tombstone(id)?;
                (stream.first, stream.is_tombstone) = (end, true);
                format!("deleted {id} for good")
            }
            19 | 20 => {
                stream.is_archived = !stream.is_archived;
                match stream.is_archived {
                    true => category.archive(id)?,
                    false => category.restore(id)?,
                }
                format!("archived {id}: {}", stream.is_archived)
            }
            21 => {
                // What was given up does not come back: only ever less is kept here.
                let count = (some % 40).min(stream.max_count.unwrap_or(u64::MAX));
                let age_ms = 2_000.min(stream.max_age_ms.unwrap_or(u64::MAX));
                stream.max_count = Some(count);
                let mut retention = Retention::default().max_count(count);
                if some.is_multiple_of(2) || stream.max_age_ms.is_some() {
                    stream.max_age_ms = Some(age_ms);
                    retention = retention.max_age(Duration::from_millis(age_ms));
                }
                category.set_retention(id, retention)?;
                format!("{id} keeps {retention:?}")
            }
            22..=24 => {
                self.disk.advance_ms(some % 800);
                "waited".to_owned()
            }
            25 | 26 => {
                self.db().compact()?;
                "compacted".to_owned()
            }
            27 => {
                self.db().checkpoint()?;
                self.db().tick()?;
                "checkpointed".to_owned()
            }
            28 => {
                self.reopen()?;
                "opened again".to_owned()
            }
            _ => "looked".to_owned(),
        })
    }
}

#[test]
fn streams_are_what_is_left_of_them() -> Result<()> {
    for seed in 0..24u64 {
        let mut world = World::new(seed)?;
        for step in 0..150 {
            let drawn = world.disk.random_u64();
            let what = world.step(drawn)?;
            world.now_ms = world.disk.now_ms();
            world.check(&format!("seed {seed}, step {step}, {what}"))?;
        }
        assert!(world.db().verify(&mut |_| {})?.is_intact());
    }
    Ok(())
}

/// The length of the segments that the database has. What was given up may be looked at a moment longer, by
/// threads of other tests too.
fn used_bytes(db: &Database) -> u64 {
    db.stats().log.content_bytes
}

#[test]
fn what_was_given_up_gives_its_space_back() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(3));
    let db = open(&disk)?;
    let category = db.category("orders")?;
    let data = vec![7; 200];
    for round in 0..100u64 {
        for id in 0..100u64 {
            let event = NewEvent::bytes("happened", &data).id(u128::from(id * 1_000 + round));
            category.append(id, &event, ExpectedVersion::Any)?;
        }
    }
    let before = used_bytes(&db);
    assert!(before > 2_000_000);
    for id in 0..100u64 {
        category.truncate_before(id, 95)?;
    }
    db.compact()?;
    let truncated = used_bytes(&db);
    assert!(truncated < before / 10, "{truncated} of {before} bytes");
    for id in 0..100u64 {
        let versions = category.read(id)?.map(|event| Ok(event?.version()));
        assert_eq!(versions.collect::<Result<Vec<_>>>()?, [95, 96, 97, 98, 99]);
        category.delete(id)?;
    }
    db.compact()?;
    let deleted = used_bytes(&db);
    assert!(deleted < 100 * 250, "{deleted} bytes of nothing but the last event of each stream");
    // An id that was given up with its event may come again.
    let event = NewEvent::bytes("happened", &data).id(7_003);
    assert_eq!(category.append(7u64, &event, ExpectedVersion::NoStream)?.first_version, 100);
    drop(category);
    db.close()?;
    let db = open(&disk)?;
    let category = db.category("orders")?;
    assert_eq!((category.len(8u64)?, category.exists(8u64)?), (100, false));
    assert_eq!(category.get(7u64, 100)?.unwrap().data(), data);
    Ok(())
}

#[test]
fn events_of_a_category_expire_and_give_their_space_back() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(4));
    let db = open(&disk)?;
    let options = KeyspaceOptions::default().ttl(Duration::from_secs(60));
    let category = db.create_category("clicks", options)?;
    let data = vec![7; 200];
    for round in 0..60u64 {
        for id in 0..100u64 {
            category.append(id, &NewEvent::bytes("click", &data), ExpectedVersion::Any)?;
        }
        disk.advance_ms(2_000);
        if round % 10 == 9 {
            db.compact()?;
        }
    }
    // Sixty seconds are thirty rounds, less the pause behind the last one.
    let left: Vec<u64> =
        category.read(5u64)?.map(|event| Ok(event?.version())).collect::<Result<_>>()?;
    assert!(left[0].abs_diff(31) <= 1 && left.ends_with(&[59]), "{left:?}");
    let bytes = used_bytes(&db);
    assert!(bytes < 100 * 60 * 250 * 6 / 10, "{bytes} bytes");
    disk.advance_ms(60_000);
    assert_eq!(db.read_all(Seq::ZERO)?.count(), 0);
    db.compact()?;
    let bytes = used_bytes(&db);
    assert!(bytes < 100 * 120, "{bytes} bytes");
    let again =
        category.append(5u64, &NewEvent::bytes("click", &data), ExpectedVersion::NoStream)?;
    assert_eq!(again.first_version, 60);
    Ok(())
}

#[test]
fn a_stream_that_is_truncated_while_it_is_read_goes_on_behind_that() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(5));
    let db = open(&disk)?;
    let category = db.category("orders")?;
    for n in 0..1_000u64 {
        category.append(1u64, &NewEvent::bytes("n", &[n as u8; 900]), ExpectedVersion::Any)?;
    }
    let mut forward = category.read(1u64)?;
    let mut back = category.read(1u64)?.back();
    assert_eq!(forward.next().unwrap()?.version(), 0);
    assert_eq!(back.next().unwrap()?.version(), 999);
    category.truncate_before(1u64, 700)?;
    db.compact()?;
    let versions: Vec<u64> = forward.map(|event| event.unwrap().version()).collect();
    assert!(versions.ends_with(&(700..1_000).collect::<Vec<_>>()), "{versions:?}");
    // Some were looked up before.
    assert!(versions.is_sorted() && versions.len() < 600, "{versions:?}");
    let versions: Vec<u64> = back.map(|event| event.unwrap().version()).collect();
    assert_eq!(versions, (700..999).rev().collect::<Vec<_>>());
    Ok(())
}

#[test]
fn a_subscription_passes_over_what_was_given_up_or_archived() -> Result<()> {
    let db = Database::open_in_memory()?;
    let category = db.category("orders")?;
    let append = |id: u64| category.append(id, &NewEvent::bytes("n", b""), ExpectedVersion::Any);
    append(1)?;
    let mut all = db.subscribe(Seq::ZERO)?;
    let mut one = category.subscribe_to(3u64, Seq::ZERO)?;
    assert_eq!(all.try_next()?.map(|event| event.version()), Some(0));
    assert!(one.try_next()?.is_none() && all.try_next()?.is_none());
    // These come while nobody looks.
    for id in [1, 2, 2, 3, 4] {
        append(id)?;
    }
    category.delete(1u64)?;
    category.truncate_before(2u64, 1)?;
    category.archive(3u64)?;
    let mut told = Vec::new();
    while let Some(event) = all.try_next()? {
        told.push((event.stream().to_string(), event.version()));
    }
    assert_eq!(told, [("2".to_owned(), 1), ("4".to_owned(), 0)]);
    assert_eq!(one.try_next()?.map(|event| event.version()), Some(0), "it was asked for");
    Ok(())
}

#[test]
fn ids_of_events_that_were_given_up_are_free_at_once() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(6));
    let db = open(&disk)?;
    let category = db.category("orders")?;
    let event = |n: u64| NewEvent::bytes("n", b"data").id(n.into());
    let append = |n| category.append(1u64, &event(n), ExpectedVersion::Any);
    for n in 0..5 {
        append(n)?;
    }
    category.truncate_before(1u64, 2)?;
    assert_eq!(append(1)?.first_version, 5, "before any compaction");
    assert!(append(1)?.was_there && append(3)?.was_there, "those that are left are known");
    category.delete(1u64)?;
    for round in 0..2 {
        // The last one as well, of which something remains.
        let done = append(4)?;
        assert_eq!((done.first_version, done.was_there), (6 + round, false));
        category.delete(1u64)?;
        db.compact()?;
    }
    let mut batch = db.batch();
    batch.append(&category, 1u64, &[event(4), event(3)], ExpectedVersion::NoStream)?;
    batch.commit()?;
    assert_eq!(category.len(1u64)?, 10);
    Ok(())
}

#[test]
fn a_reader_does_not_get_what_remains_of_a_deleted_stream() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(7));
    let db = open(&disk)?;
    let category = db.category("orders")?;
    let churn = db.hash_keyspace("churn")?;
    for n in 0..3u64 {
        category.append(1u64, &NewEvent::bytes("n", &[7; 900]), ExpectedVersion::Any)?;
        churn.insert([1], vec![n as u8; 60_000])?;
    }
    let (mut forward, mut back) = (category.read(1u64)?, category.read(1u64)?.back());
    category.delete(1u64)?;
    churn.insert([1], [0])?;
    db.compact()?;
    assert!(forward.next().transpose()?.is_none() && back.next().transpose()?.is_none());
    assert!(category.get(1u64, 2)?.is_none());
    Ok(())
}

#[test]
fn events_that_come_more_slowly_than_they_expire_give_their_space_back() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(8));
    let db = open(&disk)?;
    let options = KeyspaceOptions::default().ttl(Duration::from_secs(1));
    let category = db.create_category("clicks", options)?;
    for _ in 0..60 {
        for id in 0..50u64 {
            category.append(id, &NewEvent::bytes("click", &[7; 200]), ExpectedVersion::Any)?;
        }
        disk.advance_ms(2_000);
        db.compact()?;
    }
    let bytes = used_bytes(&db);
    assert!(bytes < 50 * 60 * 250 / 5, "{bytes} bytes");
    Ok(())
}

/// Whoever sets it at each start must not make the log longer by that.
#[test]
fn a_retention_that_is_there_is_not_written_again() {
    let db = Database::open_in_memory().unwrap();
    let carts = db.category("carts").unwrap();
    for retention in [
        Retention::default().max_count(u64::MAX),
        Retention::default().max_age(Duration::MAX),
        Retention::default().max_age(Duration::from_micros(1_500)),
        Retention::default().max_count(3),
    ] {
        carts.set_retention("ada", retention).unwrap();
        let last = db.last_seq();
        carts.set_retention("ada", retention).unwrap();
        assert_eq!(db.last_seq(), last, "{retention:?}");
    }
}

/// What is kept no longer as soon as it is there is not there for what comes behind it in a batch either.
#[test]
fn a_stream_that_keeps_nothing_has_no_events_within_a_batch() -> Result<()> {
    let db = Database::open_in_memory()?;
    let carts = db.category("carts")?;
    let added = [NewEvent::json("added", "{}")];
    for (id, retention) in [
        (1u64, Retention::default().max_count(0)),
        (2, Retention::default().max_age(Duration::ZERO)),
    ] {
        carts.set_retention(id, retention)?;
        for round in 0..2 {
            let mut batch = db.batch();
            batch.append(&carts, id, &added, ExpectedVersion::NoStream)?;
            let refused = batch.append(&carts, id, &added, ExpectedVersion::StreamExists);
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::Conflict, "{retention:?}");
            batch.append(&carts, id, &added, ExpectedVersion::NoStream)?;
            batch.commit()?;
            assert_eq!((carts.exists(id)?, carts.len(id)?), (false, 2 * round + 2));
        }
    }
    Ok(())
}
