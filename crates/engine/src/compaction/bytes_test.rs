//! What is known of the bytes in each segment decides what is compacted: it has to be right.

use crate::{
    Background, Database, Result, Snapshot, WriteOptions,
    core::Core,
    hash::table::{Group, Slot, WalkPlace},
};
use annals_disk::{Disk, SimDisk, SimOptions};
use annals_journal::Address;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Bytes that the tables point to, by slot, counted by reading everything.
fn counted(core: &Core) -> BTreeMap<usize, u64> {
    let mut sum = BTreeMap::new();
    for listed in core.catalog.load().iter() {
        let (mut place, mut group) = (WalkPlace::default(), Group::default());
        while listed.view.table.walk_from(&mut place, &mut group) {
            for slot in group.slots.iter().filter_map(|raw| Slot::from_raw(*raw)) {
                let address = Address::unpack(slot.address());
                let guard = core.journal.guard(address.slot).expect("the segment is there");
                let (_, len) = guard.record_with_len(address.offset).expect("the record is intact");
                *sum.entry(address.slot as usize).or_default() += u64::from(len);
            }
        }
    }
    sum
}

/// The same as the views know it.
fn known(core: &Core) -> BTreeMap<usize, u64> {
    let mut sum = BTreeMap::new();
    for listed in core.catalog.load().iter() {
        for (slot, bytes) in listed.view.pointed_to_bytes().into_iter().enumerate() {
            if bytes > 0 {
                *sum.entry(slot).or_default() += bytes;
            }
        }
    }
    sum
}

#[test]
fn the_bytes_that_are_needed_are_known_exactly() -> Result<()> {
    for seed in 0..30u64 {
        let disk = SimDisk::new(SimOptions::seeded(seed));
        let builder = Database::builder().segment_bytes(64 << 10).disk(Arc::new(disk.clone()));
        let db = builder.background(Background::Manual).compact_below(0.9).open("db")?;
        let spaces = [db.hash_keyspace("a")?, db.hash_keyspace("b")?];
        let mut snapshots: Vec<Snapshot> = Vec::new();
        for step in 0..250 {
            let drawn = disk.random_u64();
            let (what, key) = (drawn % 32, [(drawn >> 8) as u8 % 40]);
            let value = vec![7; (drawn >> 16) as usize % 1_500];
            let space = &spaces[(drawn >> 32) as usize % 2];
            match what {
                0..=8 => space.insert(key, value)?,
                9..=11 => {
                    let ttl = Duration::from_millis((drawn >> 40) % 60);
                    space.insert_with(key, value, WriteOptions::default().ttl(ttl)).map(drop)?;
                }
                12..=15 => space.remove(key).map(drop)?,
                16..=19 => {
                    let mut batch = db.batch();
                    for n in 0..6u8 {
                        let (key, space) = ([key[0] / 2 + n], &spaces[usize::from(n % 2)]);
                        if (drawn >> (40 + n)).is_multiple_of(2) {
                            batch.insert(space, key, &value)?;
                        } else {
                            batch.remove(space, key)?;
                        }
                    }
                    batch.commit().map(drop)?;
                }
                20..=22 => snapshots.push(db.snapshot()),
                23..=25 => drop(snapshots.pop()),
                26 | 27 => {
                    disk.advance_ms(20);
                    db.tick()?;
                }
                28 => assert!(space.len() <= 60),
                29 => db.checkpoint().map(drop)?,
                30 => db.compact().map(drop)?,
                _ if step % 5 == 0 => space.clear()?,
                _ => {}
            }
            assert_eq!(known(&db.core), counted(&db.core), "seed {seed}, step {step}, {what}");
        }
    }
    Ok(())
}
