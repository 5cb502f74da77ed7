//! Point reads. Every value read is checked. Caches and page tables are warm, but for the first reads
//! after reopening.

use std::sync::Barrier;

use super::check::{Expected, check};
use super::load::load;
use crate::Result;
use crate::child::Task;
use crate::data::{Key, MISSING_FROM, is_value, random_key, shuffled};
use crate::emit::emit;
use crate::engine::{Engine, Mode, ReadJob, Reader};
use crate::timing::{self, Timed};

/// Keys in one call of `get_many`.
const TOGETHER: usize = 64;
/// One key in so many is read before the timing starts: often enough to touch nearly every page.
const WARM_EVERY: usize = 8;

pub(super) fn run<E: Engine>(task: &Task) -> Result<()> {
    let db = E::open(&task.dir, Mode::Buffered)?;
    load(&db, task.keys)?;
    db.settle()?;
    let order = shuffled(task.keys);
    check(&db, (0..task.keys).step_by(WARM_EVERY).map(random_key), Expected::Version(0))?;

    emit("get.1", in_threads(&db, &order, 1)?.rate())?;
    emit("get.2", in_threads(&db, &order, 2)?.rate())?;

    let mut many = Many { order: &order, timed: None };
    db.read(&mut many)?;
    emit("get.many", many.timed.ok_or("nothing was read")?.rate())?;

    let mut misses = Misses { count: task.keys, timed: None };
    db.read(&mut misses)?;
    emit("get.miss", misses.timed.ok_or("nothing was read")?.rate())?;
    db.close()?;

    // Nothing was looked at before: caches are cold, and what is checked once is checked now.
    let db = E::open(&task.dir, Mode::Buffered)?;
    emit("get.reopened", in_threads(&db, &order, 1)?.rate())?;
    db.close()
}

/// Each thread looks up every key, each in another order.
fn in_threads<E: Engine>(db: &E, order: &[u32], threads: usize) -> Result<Timed> {
    timing::in_threads(threads, |thread, barrier| {
        let mut hits = Hits { order, barrier, backwards: thread % 2 == 1, timed: None };
        db.read(&mut hits)?;
        hits.timed.ok_or_else(|| "nothing was read".into())
    })
}

struct Hits<'a> {
    order: &'a [u32],
    barrier: &'a Barrier,
    backwards: bool,
    timed: Option<Timed>,
}

impl ReadJob for Hits<'_> {
    fn run<R: Reader>(&mut self, reader: &R) -> Result<()> {
        self.barrier.wait();
        let look_up = |index: &u32| {
            let key = random_key(u64::from(*index));
            match reader.get(&key, |value| is_value(value, &key, 0))? {
                Some(true) => Ok(()),
                _ => Err(wrong(&key)),
            }
        };
        self.timed = Some(timing::once(self.order.len() as u64, || {
            if self.backwards {
                self.order.iter().rev().try_for_each(look_up)
            } else {
                self.order.iter().try_for_each(look_up)
            }
        })?);
        Ok(())
    }
}

struct Many<'a> {
    order: &'a [u32],
    timed: Option<Timed>,
}

impl ReadJob for Many<'_> {
    fn run<R: Reader>(&mut self, reader: &R) -> Result<()> {
        self.timed = Some(timing::once(self.order.len() as u64, || {
            let mut keys: Vec<Key> = Vec::with_capacity(TOGETHER);
            for indices in self.order.chunks(TOGETHER) {
                keys.clear();
                keys.extend(indices.iter().map(|index| random_key(u64::from(*index))));
                let mut right = 0;
                reader.get_many(&keys, |index, value| {
                    right += usize::from(value.is_some_and(|v| is_value(v, &keys[index], 0)));
                })?;
                if right != keys.len() {
                    return Err(wrong(&keys[0]));
                }
            }
            Ok(())
        })?);
        Ok(())
    }
}

struct Misses {
    count: u64,
    timed: Option<Timed>,
}

impl ReadJob for Misses {
    fn run<R: Reader>(&mut self, reader: &R) -> Result<()> {
        self.timed = Some(timing::once(self.count, || {
            for index in MISSING_FROM..MISSING_FROM + self.count {
                if reader.get(&random_key(index), |_| ())?.is_some() {
                    return Err("a key that was never written has a value".into());
                }
            }
            Ok(())
        })?);
        Ok(())
    }
}

fn wrong(key: &Key) -> crate::Error {
    format!("key {key:02x?}, or one read with it, has no value or a wrong one").into()
}
