//! Walks: complete, in order, and consistent.

use std::collections::HashSet;

use super::slot::Slot;
use super::testing::{Model, groups, mix};
use super::{Group, Table, WalkPlace, shape};

fn addresses(groups: &[Group]) -> Vec<u64> {
    let slots = groups.iter().flat_map(|group| &group.slots);
    slots.map(|&raw| Slot::from_raw(raw).unwrap().address()).collect()
}

/// A walk of a table at rest has every slot once, in the order of home buckets of its subtable.
#[test]
fn a_walk_has_everything_once() {
    let mut model = Model::new(mix);
    for key in 0..50_000 {
        model.insert(key, key % 3 == 0);
    }
    for key in (0..50_000).step_by(4) {
        model.remove(key);
    }
    let groups = groups(&model.table);
    let mut walked = addresses(&groups);
    let mut expected: Vec<u64> = model.slots.values().map(|&(address, _)| address).collect();
    walked.sort_unstable();
    expected.sort_unstable();
    assert_eq!(walked, expected);
    assert!(groups.windows(2).all(|pair| pair[0].prefix < pair[1].prefix));
    for group in &groups {
        assert_eq!(group.counts.len(), group.buckets as usize);
        assert_eq!(
            group.counts.iter().map(|&count| usize::from(count)).sum::<usize>(),
            group.slots.len()
        );
        for &raw in &group.slots {
            let slot = Slot::from_raw(raw).unwrap();
            let hash = mix(model.log[&slot.address()]);
            assert_eq!(shape::prefix(hash, u32::from(group.depth)), group.prefix);
        }
    }
}

/// A walk may leave out the slots of removed keys; what is left is still a table.
#[test]
fn a_walk_of_live_slots() {
    let mut model = Model::new(mix);
    for key in 0..30_000 {
        model.insert(key, key % 3 == 0);
    }
    let (mut place, mut group) = (WalkPlace::live_only(), Group::default());
    let mut loader = super::TableLoader::new(|_| true);
    while model.table.walk_from(&mut place, &mut group) {
        loader.push(&group).unwrap();
    }
    let loaded = loader.finish().unwrap();
    assert_eq!((loaded.len(), loaded.dead_len()), (20_000, 0));
    for key in 0..30_000 {
        let found = loaded.find(mix(key), |slot| (model.log[&slot.address()] == key).then_some(()));
        assert_eq!(found.is_some(), key % 3 != 0);
    }
}

/// An empty table has one group, with nothing in it.
#[test]
fn a_walk_of_nothing() {
    let groups = groups(&Table::new());
    assert_eq!(groups.len(), 1);
    assert!(groups[0].slots.is_empty());
}

/// Between any two steps of a walk the table may change beyond recognition; what was not touched is met once.
#[test]
fn a_walk_between_changes() {
    for pace in [7, 60, 700] {
        let mut model = Model::new(mix);
        for key in 0..8000 {
            model.insert(key, false);
        }
        let untouched: Vec<u64> = (0..4000).map(|key| model.slots[&key].0).collect();
        let (mut place, mut group) = (WalkPlace::default(), Group::default());
        let mut met = Vec::new();
        let mut fresh = 10_000;
        while model.table.walk_from(&mut place, &mut group) {
            met.extend(addresses(std::slice::from_ref(&group)));
            for _ in 0..pace {
                model.insert(fresh, false);
                model.remove(4000 + fresh % 4000);
                fresh += 1;
            }
        }
        let distinct: HashSet<u64> = met.iter().copied().collect();
        assert_eq!(distinct.len(), met.len(), "an address twice");
        assert!(untouched.iter().all(|address| distinct.contains(address)));
    }
}
