//! What the tests have in common: hashes, a log that is a map, and a check of all invariants.

use std::collections::HashMap;

use super::bucket::SLOTS;
use super::shape;
use super::slot::{EMPTY, Slot};
use super::view::View;
use super::{Group, Seen, Straight, Table, WalkPlace};

/// A hash as good as any.
pub(super) fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Pseudo-random numbers.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(1);
        mix(self.0) % sides
    }
}

/// A table, what should be in it, and the log: from addresses to keys. The hash of a key is a function of it.
pub(super) struct Model {
    pub(super) table: Table,
    pub(super) hash: fn(u64) -> u64,
    /// For each key its address and whether it is dead.
    pub(super) slots: HashMap<u64, (u64, bool)>,
    pub(super) log: HashMap<u64, u64>,
    next: u64,
}

impl Model {
    pub(super) fn new(hash: fn(u64) -> u64) -> Self {
        Self { table: Table::new(), hash, slots: HashMap::new(), log: HashMap::new(), next: 64 }
    }

    fn append(&mut self, key: u64) -> u64 {
        self.next += 16;
        self.log.insert(self.next, key);
        self.next
    }

    pub(super) fn insert(&mut self, key: u64, dead: bool) {
        let address = self.append(key);
        let (log, hash) = (&self.log, self.hash);
        let old = self.table.change().insert(
            hash(key),
            address,
            dead,
            |slot| log[&slot.address()] == key,
            |address| hash(log[&address]),
        );
        let expected = self.slots.insert(key, (address, dead));
        assert_eq!(old.map(|slot| (slot.address(), slot.is_dead())), expected);
    }

    pub(super) fn remove(&mut self, key: u64) {
        let log = &self.log;
        let old = self.table.change().remove((self.hash)(key), |slot| log[&slot.address()] == key);
        let expected = self.slots.remove(&key);
        assert_eq!(old.map(|slot| (slot.address(), slot.is_dead())), expected);
    }

    pub(super) fn relocate(&mut self, key: u64) {
        let to = self.append(key);
        let hash = (self.hash)(key);
        match self.slots.get_mut(&key) {
            Some((from, _)) => {
                assert!(self.table.change().relocate(hash, *from, to));
                assert!(!self.table.change().relocate(hash, *from, to));
                *from = to;
            }
            None => assert!(!self.table.change().relocate(hash, to, to)),
        }
    }

    pub(super) fn check_key(&self, key: u64) {
        let found = self
            .table
            .find((self.hash)(key), |slot| (self.log[&slot.address()] == key).then_some(slot))
            .map(|slot| (slot.address(), slot.is_dead()));
        assert_eq!(found, self.slots.get(&key).copied(), "key {key}");
        let straight = straight(&self.table, (self.hash)(key), |slot| {
            (self.log[&slot.address()] == key).then_some(slot)
        });
        match straight {
            Straight::Found(slot) => assert_eq!(Some((slot.address(), slot.is_dead())), found),
            Straight::Absent => assert_eq!(found, None, "key {key}"),
            Straight::Unsure => {}
        }
    }

    /// Checks every key, the counters, and the inside of the table.
    pub(super) fn check(&self) {
        for &key in self.slots.keys() {
            self.check_key(key);
        }
        let dead = self.slots.values().filter(|(_, dead)| *dead).count();
        assert_eq!((self.table.len(), self.table.dead_len()), (self.slots.len() - dead, dead));
        let hash_of = |slot: Slot| (self.hash)(self.log[&slot.address()]);
        assert_eq!(check_inside(&self.table, hash_of), self.slots.len());
    }
}

/// A straight search, with the look behind what it found.
pub(super) fn straight<R>(
    table: &Table,
    hash: u64,
    mut matches: impl FnMut(Slot) -> Option<R>,
) -> Straight<R> {
    match table.find_straight(hash) {
        Straight::Found(lead) => {
            match lead.look(|slot| matches(slot).map_or(Seen::Other, Seen::Key)) {
                Seen::Key(found) => Straight::Found(found),
                Seen::Other | Seen::Unsure => Straight::Unsure,
            }
        }
        Straight::Absent => Straight::Absent,
        Straight::Unsure => Straight::Unsure,
    }
}

/// Checks the invariants of every subtable; returns how many slots there are.
pub(super) fn check_inside(table: &Table, hash_of: impl Fn(Slot) -> u64) -> usize {
    let mut writer = table.writer.lock();
    let (mut hash, mut total) = (0u64, 0);
    loop {
        let view = View::of(table, hash).unwrap();
        let (depth, known, buckets) =
            (view.head().depth(), view.head().known(), view.head().buckets());
        assert_eq!(shape::prefix(hash, depth), hash);
        assert!(shape::is_size(buckets));
        let words: Vec<[u64; SLOTS]> =
            (0..buckets).map(|at| view.bucket(at).unwrap().read()).collect();
        let (mut used, mut vacated) = (0, 0);
        for (bucket, words_of) in words.iter().enumerate() {
            let full = words_of.iter().all(|&raw| raw != EMPTY);
            assert_eq!(full, view.bucket(bucket).unwrap().is_full());
            for &raw in words_of {
                used += usize::from(raw != EMPTY);
                let Some(slot) = Slot::from_raw(raw) else {
                    vacated += usize::from(raw != EMPTY);
                    continue;
                };
                total += 1;
                let hash_of = hash_of(slot);
                assert_eq!(shape::prefix(hash_of, depth), hash);
                assert_eq!(shape::tag(hash_of, depth) & known, slot.tag() & known);
                let mut at = shape::home(slot.tag(), known, buckets);
                while at != bucket {
                    assert!(
                        words[at].iter().all(|&raw| raw != EMPTY),
                        "a hole before a displaced slot"
                    );
                    assert!(
                        view.is_passed(at, view.bucket(at).unwrap()),
                        "a bucket without its mark"
                    );
                    at = view.after(at);
                }
            }
        }
        assert!(used <= shape::limit(buckets).max(1));
        let count = *writer.count(hash, &view);
        assert_eq!((count.used as usize, count.vacated as usize), (used, vacated));
        // All entries of the subtable agree.
        let last = hash | u64::MAX.checked_shr(depth).unwrap_or(0);
        assert_eq!(View::of(table, last).unwrap().roots(), view.roots());
        match last.checked_add(1) {
            Some(next) => hash = next,
            None => return total,
        }
    }
}

/// All groups.
pub(super) fn groups(table: &Table) -> Vec<Group> {
    let (mut place, mut group, mut groups) = (WalkPlace::default(), Group::default(), Vec::new());
    while table.walk_from(&mut place, &mut group) {
        groups.push(group.clone());
    }
    assert!(!table.walk_from(&mut place, &mut group));
    groups
}
