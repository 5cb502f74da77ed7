//! A follower that keeps its place outside of the database, and the power is cut.

use annals_disk::{SimDisk, SimOptions};
use annals_engine::{
    Background, Database, ExpectedVersion, NewEvent, RecordedEvent, Result, Seq, Subscription,
};
use std::{collections::BTreeMap, sync::Arc};

/// What is kept elsewhere, and outlives the machine.
struct Follower {
    position: Seq,
    /// What it was told, also of what was lost since.
    told: BTreeMap<Seq, Vec<u8>>,
}

/// The stream, the version and the data.
fn content(event: &RecordedEvent<'_>) -> Vec<u8> {
    [event.stream().to_string().as_bytes(), &event.version().to_le_bytes(), event.data()].concat()
}

impl Follower {
    /// Follows as far as there is something, so many events at most.
    fn follow(&mut self, events: &mut Subscription<'_>, most: u64, seed: u64) -> Result<()> {
        for _ in 0..most {
            let Some(event) = events.try_next()? else { break };
            let (seq, last) = (event.seq(), self.told.keys().next_back());
            assert!(last.is_none_or(|last| *last < seq), "seed {seed}: {seq} after {last:?}");
            assert!(seq >= self.position, "seed {seed}: {seq} in front of {}", self.position);
            self.told.insert(seq, content(&event));
            self.position = Subscription::position(events);
        }
        // Also where nothing was told.
        self.position = Subscription::position(events);
        Ok(())
    }

    /// All that is there in front of its place it was told, as it is there.
    fn check(&self, db: &Database, seed: u64) -> Result<()> {
        for event in db.read_all(Seq::ZERO)? {
            let event = event?;
            let seq = event.seq();
            match self.told.get(&seq) {
                Some(told) => assert_eq!(*told, content(&event), "seed {seed}: another {seq}"),
                None => assert!(seq >= self.position, "seed {seed}: it was not told of {seq}"),
            }
        }
        Ok(())
    }
}

fn open(disk: &SimDisk) -> Result<Database> {
    let builder = Database::builder().segment_bytes(64 << 10).disk(Arc::new(disk.clone()));
    builder.background(Background::Manual).compact_below(0.9).open("db")
}

/// Appends, and lets the follower follow, until the power is cut or there is enough. No two events have the same data.
fn work(disk: &SimDisk, life: u64, seed: u64, follower: &mut Follower) -> Result<()> {
    let db = open(disk)?;
    follower.check(&db, seed)?;
    let (category, churn) = (db.category("orders")?, db.hash_keyspace("churn")?);
    let mut events = db.subscribe(follower.position)?;
    for n in 0..40u64 {
        let data = [life.to_le_bytes(), n.to_le_bytes()].concat();
        let event = NewEvent::bytes("n", &data);
        category.append((n ^ seed) % 5, &event, ExpectedVersion::Any)?;
        churn.insert([0], [n as u8; 900])?;
        if (n + seed).is_multiple_of(7) {
            db.sync()?;
        }
        if (n + seed).is_multiple_of(17) {
            db.compact()?;
        }
        match (n + seed) % 5 {
            0 => follower.follow(&mut events, 3, seed)?,
            1 => {
                // Somebody else goes on where it was.
                events = db.subscribe(follower.position)?;
                follower.follow(&mut events, 2, seed)?;
            }
            2 => follower.follow(&mut events, u64::MAX, seed)?,
            _ => {}
        }
    }
    drop(events);
    db.close()
}

#[test]
fn a_follower_that_resumes_after_a_power_cut_has_no_gap_and_no_duplicate() -> Result<()> {
    const LIVES: u64 = 3;
    let (mut cut_count, mut lost_count, mut found_count) = (0, 0, 0);
    for seed in 0..1_000u64 {
        let mut disk = SimDisk::new(SimOptions::seeded(seed));
        let mut follower = Follower { position: Seq::ZERO, told: BTreeMap::new() };
        for life in 0..LIVES {
            disk.cut_power_at(15 + (seed * 7 + life * 31) % 160);
            let outcome = work(&disk, life, seed, &mut follower);
            cut_count += u64::from(outcome.is_err());
            assert!(outcome.is_ok() || disk.is_power_cut(), "seed {seed}: {outcome:?}");
            disk = disk.restart();
        }
        let db = open(&disk)?;
        follower.check(&db, seed)?;
        let mut events = db.subscribe(follower.position)?;
        follower.follow(&mut events, u64::MAX, seed)?;
        follower.check(&db, seed)?;
        let found =
            db.read_all(Seq::ZERO)?.map(|event| Ok(event?.seq())).collect::<Result<Vec<_>>>()?;
        let is_told = found.iter().all(|seq| follower.told.contains_key(seq));
        assert!(is_told, "seed {seed}: it was not told of all events");
        lost_count += follower.told.len() - found.len();
        found_count += found.len();
    }
    assert!(cut_count > 1_500, "the power was cut {cut_count} times only");
    assert!(lost_count > 500 && found_count > 5_000, "{lost_count} lost, {found_count} found");
    Ok(())
}
