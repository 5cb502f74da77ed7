//! Overwrites of random keys, one a commit under `Buffered`, many times the data, while compaction runs:
//! what is written for each byte, what the folder takes, and how long an insert may take.

use std::time::{Duration, Instant};

use super::load::load;
use crate::child::Task;
use crate::data::{KEY_BYTES, VALUE_BYTES, is_value, mix, random_key, value};
use crate::emit::emit;
use crate::engine::{Engine, Mode, ReadJob, Reader};
use crate::file_writes::FileWrites;
use crate::latency::Latencies;
use crate::{Result, disk_use, timing};

/// When slow engines are cut short: what is measured is told for each byte that was written.
const CAP: Duration = Duration::from_secs(300);
/// Sets the order of overwrites apart from all others.
const SALT: u64 = 0x5bd1_e995_0f0f_0f0f;

pub(super) fn run<E: Engine>(task: &Task) -> Result<()> {
    let overwrites: u64 = task.extra.parse()?;
    let db = E::open(&task.dir, Mode::Buffered)?;
    load(&db, task.keys)?;
    db.settle()?;

    let mut versions = vec![0u32; task.keys as usize];
    let mut latencies = Latencies::new();
    let before = FileWrites::now()?;
    let watch = disk_use::Watch::start(task.dir.clone());
    let timed = timing::up_to(overwrites, CAP, |index| {
        let index = mix(index ^ SALT) % task.keys;
        let version = &mut versions[index as usize];
        *version += 1;
        let key = random_key(index);
        let value = value(&key, u64::from(*version));
        let started = Instant::now();
        db.insert(&key, &value)?;
        latencies.add(started.elapsed());
        Ok(())
    })?;
    emit("churn.rate", timed.rate())?;
    for (row, quantile) in [("churn.p50", 0.5), ("churn.p99", 0.99), ("churn.p999", 0.999)] {
        emit(row, latencies.quantile_us(quantile))?;
    }
    emit("churn.max", latencies.max_us())?;

    let record_bytes = (KEY_BYTES + VALUE_BYTES) as f64;
    let raw_bytes = task.keys as f64 * record_bytes;
    emit("churn.space", disk_use::allocated_bytes(&task.dir)? as f64 / raw_bytes)?;
    emit("churn.space.most", watch.most_bytes()? as f64 / raw_bytes)?;
    if let Some(runs) = db.sorted_runs()? {
        emit("churn.runs", runs as f64)?;
    }
    db.read(&mut Check { versions: &versions })?;
    db.close()?;
    // What was in memory is written at the end, so that no engine gains by holding it back.
    let written = FileWrites::now()?.since(before);
    emit("churn.write", written as f64 / (timed.ops as f64 * record_bytes))
}

/// Looks up all keys.
struct Check<'a> {
    versions: &'a [u32],
}

impl ReadJob for Check<'_> {
    fn run<R: Reader>(&mut self, reader: &R) -> Result<()> {
        for (index, version) in (0..).zip(self.versions) {
            let key = random_key(index);
            let right = |value: &[u8]| is_value(value, &key, u64::from(*version));
            if reader.get(&key, right)? != Some(true) {
                return Err(format!("key {key:02x?} is not as it was written last").into());
            }
        }
        Ok(())
    }
}
