//! Scans without an engine: all records, sorted, in one buffer.

use crate::Result;
use crate::child::Task;
use crate::data::{Groups, KEY_BYTES, VALUE_BYTES, value};
use crate::engine::Reader;
use crate::steps::scan;

const RECORD_BYTES: usize = KEY_BYTES + VALUE_BYTES;

/// The buffer.
pub(crate) struct Sorted(Vec<[u8; RECORD_BYTES]>);

pub(super) fn run(task: &Task) -> Result<()> {
    let groups = Groups::new(task.keys);
    scan::rows(&Sorted::filled(task.keys, groups), task, groups)
}

impl Sorted {
    /// All records of `groups`.
    pub(crate) fn filled(keys: u64, groups: Groups) -> Self {
        let record = |index| {
            let key = groups.key(index);
            let mut record = [0; RECORD_BYTES];
            record[..KEY_BYTES].copy_from_slice(&key);
            record[KEY_BYTES..].copy_from_slice(&value(&key, 0));
            record
        };
        let mut records: Vec<_> = (0..keys).map(record).collect();
        records.sort_unstable();
        Self(records)
    }

    fn from(&self, key: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
        let first = self.0.partition_point(|record| record[..KEY_BYTES] < *key);
        self.0[first..].iter().map(|record| record.split_at(KEY_BYTES))
    }
}

impl Reader for Sorted {
    fn get<T>(&self, key: &[u8], show: impl FnOnce(&[u8]) -> T) -> Result<Option<T>> {
        Ok(self.from(key).next().filter(|(found, _)| *found == key).map(|(_, value)| show(value)))
    }

    fn scan(&self, from: &[u8], mut show: impl FnMut(&[u8], &[u8]) -> bool) -> Result<()> {
        self.from(from).all(|(key, value)| show(key, value));
        Ok(())
    }

    fn scan_prefix(&self, prefix: &[u8], mut show: impl FnMut(&[u8], &[u8])) -> Result<()> {
        let inside = self.from(prefix).take_while(|(key, _)| key.starts_with(prefix));
        inside.for_each(|(key, value)| show(key, value));
        Ok(())
    }
}
