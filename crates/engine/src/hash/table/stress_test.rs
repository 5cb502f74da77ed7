//! One writer and several readers at once.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use super::slot::Slot;
use super::testing::{Dice, mix, straight};
use super::{Group, Straight, Table, WalkPlace};

/// Each key has this many addresses of its own.
const BLOCK: u64 = 1 << 20;

fn address(key: u64, version: u64) -> u64 {
    (key + 1) * BLOCK + version % BLOCK
}

fn key(address: u64) -> u64 {
    address / BLOCK - 1
}

/// Clears the flag when the writer is done, or has panicked.
struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn put(table: &Table, hash: fn(u64) -> u64, of: u64, version: u64) {
    let is = |slot: Slot| key(slot.address()) == of;
    table.change().insert(hash(of), address(of, version), false, is, |address| hash(key(address)));
}

/// There are keys that are always there, in one place or another, and keys that come and go.
///
/// Splits, growth, recycling, relocation and removal, and meanwhile every stable key is found at every moment,
/// no slot of another table or none shows up, and every walk has every stable key exactly once.
fn run(hash: fn(u64) -> u64, stable: u64, passing: u64, rounds: u64) {
    let table = Table::new();
    let done = AtomicBool::new(false);
    // A version every stable key has at least. It only rises.
    let floor = AtomicU64::new(0);
    for of in 0..stable {
        put(&table, hash, of, 0);
    }
    thread::scope(|scope| {
        scope.spawn(|| {
            let _done = Done(&done);
            let mut dice = Dice(9);
            for round in 0..rounds {
                for _ in 0..passing {
                    put(&table, hash, stable + dice.roll(passing), dice.roll(BLOCK));
                    if dice.roll(3) == 0 {
                        let of = stable + dice.roll(passing);
                        table.change().remove(hash(of), |slot| key(slot.address()) == of);
                    }
                    if dice.roll(8) == 0 {
                        let of = dice.roll(stable);
                        let is = |slot: Slot| (key(slot.address()) == of).then_some(slot.address());
                        let from = table.find(hash(of), is).unwrap();
                        assert!(
                            table.change().relocate(hash(of), from, address(of, round + 1))
                                || from == 0
                        );
                    }
                }
                for of in 0..stable {
                    put(&table, hash, of, round + 1);
                }
                floor.store(round + 1, Ordering::Release);
            }
        });
        for reader in 0..3u64 {
            let (table, done, floor) = (&table, &done, &floor);
            scope.spawn(move || {
                let mut dice = Dice(1000 * reader);
                while !done.load(Ordering::Relaxed) {
                    let of = dice.roll(stable);
                    let least = floor.load(Ordering::Acquire);
                    let found = table.find(hash(of), |slot| {
                        assert!(
                            key(slot.address()) < stable + passing,
                            "a slot that was never one"
                        );
                        (key(slot.address()) == of).then_some(slot.address() % BLOCK)
                    });
                    assert!(found.expect("a key that is always there") >= least);
                    let least = floor.load(Ordering::Acquire);
                    let straight = straight(table, hash(of), |slot| {
                        (key(slot.address()) == of).then_some(slot.address() % BLOCK)
                    });
                    match straight {
                        Straight::Found(round) => assert!(round >= least),
                        Straight::Absent => panic!("a key that is always there"),
                        Straight::Unsure => {}
                    }
                    let none = stable + passing + dice.roll(passing);
                    assert!(
                        table
                            .find(hash(none), |slot| (key(slot.address()) == none).then_some(()))
                            .is_none()
                    );
                    table.approach(hash(of)).candidate();
                }
            });
        }
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let (mut place, mut group) = (WalkPlace::default(), Group::default());
                let mut met = vec![0u8; (stable + passing) as usize];
                let mut loader = super::TableLoader::new(|_| true);
                while table.walk_from(&mut place, &mut group) {
                    loader.push(&group).unwrap();
                    for slot in group.slots.iter().filter_map(|&raw| Slot::from_raw(raw)) {
                        met[key(slot.address()) as usize] += 1;
                    }
                }
                loader.finish().unwrap();
                assert!(met[..stable as usize].iter().all(|&times| times == 1));
                assert!(met.iter().all(|&times| times <= 1), "a key twice");
            }
        });
    });
    super::testing::check_inside(&table, |slot| hash(key(slot.address())));
}

/// With hashes as they are.
#[test]
fn readers_and_a_writer() {
    if cfg!(miri) { run(mix, 60, 300, 2) } else { run(mix, 4000, 60_000, 6) }
}

/// With hashes that make large subtables with index pages.
#[test]
fn readers_and_a_writer_in_large_subtables() {
    run(|key| (mix(key) >> 12) & 0x000f_ffff_ff00_0000, 600, 3000, 4);
}

/// A growing table, from empty, over and over, so that every small size is met.
#[test]
fn readers_of_a_growing_table() {
    for seed in 0..30u64 {
        let table = Table::new();
        let present = AtomicU64::new(0);
        thread::scope(|scope| {
            for reader in 0..2 {
                let (table, present) = (&table, &present);
                scope.spawn(move || {
                    let mut dice = Dice(reader);
                    loop {
                        let count = present.load(Ordering::Acquire);
                        if count == 20_000 {
                            break;
                        }
                        let Some(of) = (count > 0).then(|| dice.roll(count)) else { continue };
                        let is = |slot: Slot| (slot.address() == of + 64).then_some(());
                        let straight = straight(table, mix(of ^ seed << 32), is);
                        assert!(!matches!(straight, Straight::Absent), "key {of} of {count}");
                        assert!(
                            table.find(mix(of ^ seed << 32), is).is_some(),
                            "key {of} of {count}"
                        );
                    }
                });
            }
            for of in 0..20_000 {
                let hash = |address: u64| mix((address - 64) ^ seed << 32);
                table.change().insert(hash(of + 64), of + 64, false, |_| false, hash);
                present.store(of + 1, Ordering::Release);
            }
        });
    }
}
