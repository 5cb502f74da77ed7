//! The table against a model, and its memory.

use proptest::prelude::*;

use super::Table;
use super::testing::{Dice, Model, mix};

/// A new table costs next to nothing and finds nothing.
#[test]
fn a_new_table_is_small_and_empty() {
    let table = Table::new();
    assert!(table.memory_bytes() < 2688, "{}", table.memory_bytes());
    assert_eq!((table.len(), table.dead_len()), (0, 0));
    for key in 0..100 {
        assert!(table.find(mix(key), Some).is_none());
        assert!(table.approach(mix(key)).candidate().is_none());
        assert!(table.change().remove(mix(key), |_| true).is_none());
        assert!(!table.change().relocate(mix(key), 64, 128));
    }
}

/// What the closure returns for a slot is what the search returns, and a candidate is the address of one.
#[test]
fn the_first_match_is_returned() {
    let table = Table::new();
    assert!(table.change().insert(7, 1000, false, |_| true, |_| 7).is_none());
    assert!(table.change().insert(7, 2000, true, |_| false, |_| 7).is_none());
    assert_eq!((table.len(), table.dead_len()), (1, 1));
    assert_eq!(table.find(7, |slot| Some(slot.address())), Some(1000));
    assert_eq!(table.find(7, |slot| slot.is_dead().then_some(slot.address())), Some(2000));
    assert_eq!(table.approach(7).candidate(), Some(1000));
    let old = table.change().insert(7, 3000, false, |slot| slot.is_dead(), |_| 7).unwrap();
    assert_eq!((old.address(), old.is_dead()), (2000, true));
    assert_eq!((table.len(), table.dead_len()), (2, 0));
}

/// Extreme hashes and addresses are as good as any.
#[test]
fn extreme_hashes_and_addresses() {
    let table = Table::new();
    let largest = (1 << 46) - 2;
    for (at, hash) in [0, 1, u64::MAX, u64::MAX - 1, 1 << 63, (1 << 63) - 1].into_iter().enumerate()
    {
        for (address, dead) in [(1 + at as u64, false), (largest - at as u64, true)] {
            assert!(
                table
                    .change()
                    .insert(hash, address, dead, |slot| slot.address() == address, |_| hash)
                    .is_none()
            );
        }
        for (address, dead) in [(1 + at as u64, false), (largest - at as u64, true)] {
            let found =
                table.find(hash, |slot| (slot.address() == address).then_some(slot)).unwrap();
            assert_eq!(found.is_dead(), dead);
        }
    }
    assert_eq!((table.len(), table.dead_len()), (6, 6));
}

/// Every size a small table passes through.
#[test]
fn every_small_size() {
    let mut model = Model::new(mix);
    for key in 0..3000 {
        model.insert(key, key % 7 == 0);
        if key % 13 == 0 {
            model.check();
        }
    }
}

/// Growing far enough for several rounds of filled tags, then shrinking to nothing and growing again.
#[test]
fn many_splits_and_back() {
    let mut model = Model::new(mix);
    for key in 0..120_000 {
        model.insert(key, key % 31 == 0);
    }
    model.check();
    let bytes = model.table.memory_bytes();
    for key in 0..120_000 {
        model.remove(key);
    }
    model.check();
    assert_eq!(model.table.len() + model.table.dead_len(), 0);
    for key in 200_000..320_000 {
        model.insert(key, false);
    }
    model.check();
    assert!(model.table.memory_bytes() < bytes + bytes / 8);
}

/// A panic of a closure leaves the table as it was.
#[test]
fn a_panic_while_splitting_changes_nothing() {
    let mut model = Model::new(mix);
    let mut panics = 0;
    for key in 0..20_000 {
        let mut asked = 0;
        let attempt = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let rehash = |_| {
                asked += 1;
                assert!(asked < 300, "this one is meant");
                0
            };
            model.table.change().insert(mix(key), 64, false, |_| panic!("this one, too"), rehash);
            model.table.change().remove(mix(key), |slot| slot.address() == 64);
        }));
        panics += u32::from(attempt.is_err() && asked == 300);
        model.insert(key, false);
        if attempt.is_err() && asked == 300 {
            model.check();
        }
    }
    model.check();
    assert!(panics > 0);
}

/// A long life at a steady size: vacated words must not pile up.
#[test]
fn steady_churn_keeps_its_size() {
    let mut model = Model::new(mix);
    let mut dice = Dice(1);
    for key in 0..20_000 {
        model.insert(key, false);
    }
    let mut bytes = 0;
    for round in 0..400_000u64 {
        let old = *model.slots.keys().next().unwrap();
        model.remove(if dice.roll(2) == 0 { old } else { round });
        model.insert(20_000 + round, false);
        if model.slots.len() > 20_000 {
            let old = *model.slots.keys().next().unwrap();
            model.remove(old);
        }
        if round == 50_000 {
            bytes = model.table.memory_bytes();
        }
    }
    model.check();
    assert!(model.table.memory_bytes() < bytes * 5 / 4);
}

/// A million operations of all kinds on keys of which many are there.
#[test]
fn long_random_run() {
    let mut model = Model::new(mix);
    let mut dice = Dice(42);
    for step in 0..1_000_000u64 {
        let key = dice.roll(30_000 + step / 20);
        match dice.roll(16) {
            0..=6 => model.insert(key, false),
            7 => model.insert(key, true),
            8..=10 => model.remove(key),
            11..=12 => model.relocate(key),
            _ => model.check_key(key),
        }
        if step % 200_000 == 0 {
            model.check();
        }
    }
    model.check();
}

/// The bound the table exists for.
#[test]
fn memory_per_key() {
    let table = Table::new();
    let marks = [100_000, 300_000, 1_000_000, 1_500_000, 3_000_000];
    for key in 0..3_000_000u64 {
        table.change().insert(mix(key), key + 64, false, |_| false, |address| mix(address - 64));
        let keys = key + 1;
        if marks.contains(&keys) || (keys >= 35_000 && keys % 1000 == 0) {
            // From some five mebibytes on, the last large page may be in use in part.
            let spare = if keys > 450_000 { 2 << 20 } else { 0 };
            let each = table.memory_bytes().saturating_sub(spare) as f64 / keys as f64;
            assert!(each < 14.0, "{each} bytes a key at {keys} keys");
        }
        if keys == 3000 || keys == 10_000 {
            // What the writer needs to lay out a subtable is felt here.
            let each = table.memory_bytes() as f64 / keys as f64;
            assert!(
                each < if keys == 3000 { 20.0 } else { 15.0 },
                "{each} bytes a key at {keys} keys"
            );
        }
    }
    assert_eq!(table.len(), 3_000_000);
    for key in (0..3_000_000u64).step_by(7) {
        assert!(table.find(mix(key), |slot| (slot.address() == key + 64).then_some(())).is_some());
    }
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u64, bool),
    Remove(u64),
    Relocate(u64),
    Find(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..2000u64;
    prop_oneof![
        4 => (key.clone(), any::<bool>()).prop_map(|(key, dead)| Step::Insert(key, dead)),
        2 => key.clone().prop_map(Step::Remove),
        1 => key.clone().prop_map(Step::Relocate),
        1 => key.prop_map(Step::Find),
    ]
}

/// Hashes of all qualities.
fn hash_of(quality: u8) -> fn(u64) -> u64 {
    match quality {
        0 => mix,
        1 => |key| mix(key) | 0xffff_0000_0000_0000,
        2 => |key| mix(key % 16),
        3 => |key| mix(key) & 0xfff0_0000_0000_0000,
        _ => |_| 0xdead_beef_dead_beef,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    /// Whatever is done with whatever hashes, the table is what the model is.
    #[test]
    fn any_steps_agree_with_the_model(
        quality in 0..5u8,
        steps in prop::collection::vec(step(), 1..3000),
    ) {
        let mut model = Model::new(hash_of(quality));
        for step in steps {
            match step {
                Step::Insert(key, dead) => model.insert(key, dead),
                Step::Remove(key) => model.remove(key),
                Step::Relocate(key) => model.relocate(key),
                Step::Find(key) => model.check_key(key),
            }
        }
        model.check();
    }
}
