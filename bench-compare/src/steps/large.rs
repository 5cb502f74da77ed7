//! Values of 64 KiB, one a commit under `Buffered`, then read in random order.

use crate::Result;
use crate::child::Task;
use crate::data::{LARGE_BYTES, LargeValue, random_key, shuffled};
use crate::emit::emit;
use crate::engine::{Engine, Mode, ReadJob, Reader};
use crate::timing::{self, Timed};

pub(super) fn run<E: Engine>(task: &Task) -> Result<()> {
    let db = E::open(&task.dir, Mode::Buffered)?;
    let mut large = LargeValue::new();
    let written = timing::up_to(task.large(), task.cap, |index| {
        let key = random_key(index);
        db.insert(&key, large.of(&key))
    })?;
    emit("large.write", written.rate() * LARGE_BYTES as f64)?;

    db.settle()?;
    let mut sums = Sums { order: shuffled(written.ops), large, timed: None };
    // The first pass warms caches and page tables; the second is kept.
    db.read(&mut sums)?;
    db.read(&mut sums)?;
    let read = sums.timed.ok_or("nothing was read")?;
    emit("large.read", read.rate() * LARGE_BYTES as f64)?;
    db.close()
}

struct Sums {
    order: Vec<u32>,
    large: LargeValue,
    timed: Option<Timed>,
}

impl ReadJob for Sums {
    fn run<R: Reader>(&mut self, reader: &R) -> Result<()> {
        self.timed = Some(timing::once(self.order.len() as u64, || {
            for index in &self.order {
                let key = random_key(u64::from(*index));
                if reader.get(&key, |value| self.large.is_of(value, &key))? != Some(true) {
                    return Err(format!("key {key:02x?} has no value or a wrong one").into());
                }
            }
            Ok(())
        })?);
        Ok(())
    }
}
