//! Scans. Keys and values are looked at, and the order is checked, in every one.

use crate::Result;
use crate::child::Task;
use crate::data::{Groups, Key, is_value, mix, shuffled};
use crate::emit::emit;
use crate::engine::{Engine, Mode, ReadJob, Reader};
use crate::timing;

use super::check::{Expected, check};
use super::load::load_keys;

/// Entries of a short scan.
const SHORT: u64 = 100;
/// One short scan for so many keys.
const SHORT_EVERY: u64 = 10;
/// One prefix for so many keys.
const PREFIX_EVERY: u64 = 4;

pub(super) fn run<E: Engine>(task: &Task) -> Result<()> {
    let groups = Groups::new(task.keys);
    let db = E::open(&task.dir, Mode::Buffered)?;
    load_keys(&db, task.keys, |index| groups.key(index))?;

    // As the load has left it: compactions that it set off may be running.
    db.read(&mut Fresh { task, groups })?;
    db.settle()?;
    check(&db, (0..task.keys).step_by(8).map(|index| groups.key(index)), Expected::Version(0))?;
    db.read(&mut Scans { task, groups })?;
    db.close()
}

struct Fresh<'a> {
    task: &'a Task,
    groups: Groups,
}

impl ReadJob for Fresh<'_> {
    fn run<R: Reader>(&mut self, reader: &R) -> Result<()> {
        let keys = self.task.keys;
        full(reader, keys)?;
        emit("scan.fresh", timing::once(keys, || full(reader, keys))?.rate())?;
        let order = shuffled(keys);
        let read = timing::up_to(keys, self.task.cap, |index| {
            let key = self.groups.key(u64::from(order[index as usize]));
            match reader.get(&key, |value| is_value(value, &key, 0))? {
                Some(true) => Ok(()),
                _ => Err(format!("key {key:02x?} has no value or a wrong one").into()),
            }
        })?;
        emit("get.fresh", read.rate())
    }
}

struct Scans<'a> {
    task: &'a Task,
    groups: Groups,
}

impl ReadJob for Scans<'_> {
    fn run<R: Reader>(&mut self, reader: &R) -> Result<()> {
        rows(reader, self.task, self.groups)
    }
}

/// Measures the scans of a reader that has the keys of `groups`. The first pass over everything warms
/// caches and page tables.
pub(crate) fn rows<R: Reader>(reader: &R, task: &Task, groups: Groups) -> Result<()> {
    full(reader, task.keys)?;
    emit("scan.full", timing::once(task.keys, || full(reader, task.keys))?.rate())?;

    let greatest = (0..task.keys).map(|index| groups.key(index)).max().ok_or("no keys")?;
    let scans = timing::up_to(task.keys / SHORT_EVERY, task.cap, |index| {
        short(reader, &groups.key(mix(index) % task.keys), &greatest)
    })?;
    emit("scan.short", scans.rate())?;

    let scans = timing::up_to(task.keys / PREFIX_EVERY, task.cap, |index| {
        let group = mix(index) % groups.count;
        prefix(reader, groups.prefix(group), groups.size(group))
    })?;
    emit("scan.prefix", scans.rate())
}

/// Sees what a scan shows.
struct Walk {
    last: Option<u128>,
    count: u64,
    right: bool,
}

impl Walk {
    fn new() -> Self {
        Self { last: None, count: 0, right: true }
    }

    /// Whether the key comes behind the one before it and has its value.
    #[inline]
    fn see(&mut self, key: &[u8], value: &[u8]) {
        self.count += 1;
        let Ok(key) = Key::try_from(key) else {
            self.right = false;
            return;
        };
        let place = Some(u128::from_be_bytes(key));
        self.right &= place > self.last && is_value(value, &key, 0);
        self.last = place;
    }

    fn check(&self, count: u64) -> Result<()> {
        if self.right && self.count == count {
            return Ok(());
        }
        let order = if self.right { "in order" } else { "out of order, or with wrong values" };
        Err(format!("a scan showed {} keys of {count}, {order}", self.count).into())
    }
}

/// Goes through all keys.
fn full<R: Reader>(reader: &R, keys: u64) -> Result<()> {
    let mut walk = Walk::new();
    reader.scan(&[], |key, value| {
        walk.see(key, value);
        true
    })?;
    walk.check(keys)
}

/// Goes through a hundred keys from `from` on, or to `greatest`, the last of all.
fn short<R: Reader>(reader: &R, from: &Key, greatest: &Key) -> Result<()> {
    let mut walk = Walk::new();
    let mut first = None;
    reader.scan(from, |key, value| {
        walk.see(key, value);
        first = first.or(walk.last);
        walk.count < SHORT
    })?;
    let at_end = walk.last == Some(u128::from_be_bytes(*greatest));
    if first != Some(u128::from_be_bytes(*from)) {
        return Err(format!("a scan from {from:02x?} does not begin there").into());
    }
    walk.check(if at_end { walk.count.min(SHORT) } else { SHORT })
}

/// Goes through the keys that begin with `prefix`.
fn prefix<R: Reader>(reader: &R, prefix: [u8; 8], size: u64) -> Result<()> {
    let mut walk = Walk::new();
    let mut inside = true;
    reader.scan_prefix(&prefix, |key, value| {
        walk.see(key, value);
        inside &= key.starts_with(&prefix);
    })?;
    if !inside {
        return Err(format!("a scan of {prefix:02x?} showed another key").into());
    }
    walk.check(size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::value;
    use crate::limits::Sorted;

    const KEYS: u64 = 1_000;

    fn sorted() -> (Groups, Sorted) {
        let groups = Groups::new(KEYS);
        (groups, Sorted::filled(KEYS, groups))
    }

    #[test]
    fn right_scans_pass() {
        let (groups, sorted) = sorted();
        full(&sorted, KEYS).expect("all keys");
        let greatest = (0..KEYS).map(|index| groups.key(index)).max().expect("keys");
        for index in 0..KEYS {
            short(&sorted, &groups.key(index), &greatest).expect("a short scan");
        }
        for group in 0..groups.count {
            prefix(&sorted, groups.prefix(group), groups.size(group)).expect("a prefix");
        }
    }

    #[test]
    fn wrong_scans_are_refused() {
        let (groups, sorted) = sorted();
        assert!(full(&sorted, KEYS + 1).is_err(), "a key is missing");
        assert!(prefix(&sorted, groups.prefix(0), groups.size(0) + 1).is_err());
        let absent = (u128::from_be_bytes(groups.key(7)) + 1).to_be_bytes();
        assert!(short(&sorted, &absent, &groups.key(0)).is_err(), "begins elsewhere");

        let (low, high) = ([1; 16], [2; 16]);
        let walk = |keys: &[Key], version| {
            let mut walk = Walk::new();
            keys.iter().for_each(|key| walk.see(key, &value(key, version)));
            walk.check(keys.len() as u64)
        };
        assert!(walk(&[low, high], 0).is_ok());
        assert!(walk(&[high, low], 0).is_err(), "out of order");
        assert!(walk(&[low, low], 0).is_err(), "twice");
        assert!(walk(&[low, high], 1).is_err(), "another value");
    }
}
