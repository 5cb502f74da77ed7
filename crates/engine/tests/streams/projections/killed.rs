//! Projections whose database is killed.

use super::{Sums, number, sums_of};
use annals_disk::{SimDisk, SimOptions};
use annals_engine::{Background, Database, ExpectedVersion, NewEvent, Projector, Result, Seq};
use std::{collections::BTreeMap, sync::Arc};

/// What events in front of `end` come to.
fn sums_until(db: &Database, end: Seq) -> Result<BTreeMap<Vec<u8>, u64>> {
    let mut sums = BTreeMap::new();
    for event in db.read_all(Seq::ZERO)? {
        let event = event?;
        if event.seq() < end {
            *sums.entry(event.stream().to_string().into_bytes()).or_default() +=
                number(event.data());
        }
    }
    Ok(sums)
}

/// Appends, and lets the projection follow, until the power is cut or there is enough.
fn work(disk: &SimDisk, seed: u64) -> Result<()> {
    let db = open(disk)?;
    let (category, sums) = (db.category("numbers")?, db.hash_keyspace("sums")?);
    let mut projector = Projector::new(&db, "sums", Sums(sums))?;
    for n in 0..40u64 {
        let id = (n ^ seed) % 5;
        category.append(id, &NewEvent::bytes("n", &n.to_le_bytes()), ExpectedVersion::Any)?;
        if (n + seed).is_multiple_of(3) {
            projector.step()?;
        }
        if (n + seed).is_multiple_of(11) {
            db.sync()?;
        }
        if n == 25 && seed.is_multiple_of(7) {
            projector.rebuild()?;
        }
        if n == 30 && seed.is_multiple_of(5) {
            db.compact()?;
        }
    }
    projector.catch_up()?;
    drop(projector);
    db.close()
}

fn open(disk: &SimDisk) -> Result<Database> {
    let builder = Database::builder().segment_bytes(64 << 10).disk(Arc::new(disk.clone()));
    builder.background(Background::Manual).open("db")
}

#[test]
fn a_projection_that_is_killed_at_a_thousand_points_ends_as_a_fresh_one() -> Result<()> {
    let mut cut_count = 0;
    for seed in 0..1_000u64 {
        let mut disk = SimDisk::new(SimOptions::seeded(seed));
        for life in 0..2 {
            disk.cut_power_at(15 + (seed * 7 + life * 31) % 160);
            let outcome = work(&disk, seed + life);
            cut_count += u64::from(outcome.is_err());
            assert!(outcome.is_ok() || disk.is_power_cut(), "seed {seed}: {outcome:?}");
            disk = disk.restart();
        }
        let db = open(&disk)?;
        let sums = db.hash_keyspace("sums")?;
        let mut projector = Projector::new(&db, "sums", Sums(sums.clone()))?;
        // What it says it has handled is what its sums are made of, before it goes on.
        assert_eq!(sums_of(&sums)?, sums_until(&db, projector.position())?, "seed {seed}");
        projector.catch_up()?;
        let fresh = db.hash_keyspace("fresh")?;
        Projector::new(&db, "fresh", Sums(fresh.clone()))?.catch_up()?;
        assert_eq!(sums_of(&sums)?, sums_of(&fresh)?, "seed {seed}");
    }
    assert!(cut_count > 1_500, "the power was cut {cut_count} times only");
    Ok(())
}
