//! Point reads without an engine: an open table of addresses and one buffer of records.
//!
//! A slot holds 16 bits of the hash and 48 bits of address, zero when it is free; collisions go to
//! the next slot. Look-ups do not depend on one another, so the processor overlaps them; but for those of a chain, each of
//! which waits for the value before, as the look-ups of an engine do that have more instructions than the processor looks
//! ahead.

use std::hint::black_box;

use crate::Result;
use crate::child::Task;
use crate::data::{KEY_BYTES, Key, MISSING_FROM, VALUE_BYTES, is_value, mix};
use crate::data::{random_key, shuffled, value};
use crate::emit::emit;
use crate::timing::{self, Timed};

const RECORD_BYTES: usize = KEY_BYTES + VALUE_BYTES;
const ADDRESS: u64 = (1 << 48) - 1;

struct Table {
    slots: Vec<u64>,
    records: Vec<u8>,
}

pub(super) fn run(task: &Task) -> Result<()> {
    let table = Table::filled(task.keys);
    let order = shuffled(task.keys);
    let one = hits(&table, &order, 1)?.rate();
    emit("get.1", one)?;
    emit("get.many", one)?;
    emit("get.2", hits(&table, &order, 2)?.rate())?;
    emit("get.chain", chain(&table, &order)?.rate())?;

    let misses = timing::once(task.keys, || {
        let missing = MISSING_FROM..MISSING_FROM + task.keys;
        if missing.into_iter().any(|index| table.get(&random_key(index)).is_some()) {
            return Err("a key that was never written has a value".into());
        }
        Ok(())
    })?;
    emit("get.miss", misses.rate())
}

fn hits(table: &Table, order: &[u32], threads: usize) -> Result<Timed> {
    timing::in_threads(threads, |_, barrier| {
        barrier.wait();
        timing::once(order.len() as u64, || {
            let mut right = 0;
            for index in order {
                let key = random_key(u64::from(*index));
                right += usize::from(table.get(&key).is_some_and(|v| is_value(v, &key, 0)));
            }
            if right == order.len() { Ok(()) } else { Err("a value is wrong".into()) }
        })
    })
}

/// Look-ups of which each needs to know that the value before was right.
fn chain(table: &Table, order: &[u32]) -> Result<Timed> {
    timing::once(order.len() as u64, || {
        let mut wrong = 0;
        for index in order {
            let key = random_key(u64::from(*index) ^ black_box(wrong));
            wrong |= u64::from(!table.get(&key).is_some_and(|v| is_value(v, &key, 0)));
        }
        if wrong == 0 { Ok(()) } else { Err("a value is wrong".into()) }
    })
}

fn hash(key: &Key) -> u64 {
    let word = u128::from_le_bytes(*key);
    mix(word as u64 ^ (word >> 64) as u64)
}

impl Table {
    fn filled(keys: u64) -> Self {
        let slots = (keys as usize * 3 / 2).next_power_of_two();
        let mut table = Self {
            slots: vec![0; slots],
            records: Vec::with_capacity(RECORD_BYTES * (keys as usize + 1)),
        };
        table.records.resize(RECORD_BYTES, 0);
        for index in 0..keys {
            let key = random_key(index);
            let hash = hash(&key);
            let mut slot = hash as usize & (slots - 1);
            while table.slots[slot] != 0 {
                slot = (slot + 1) & (slots - 1);
            }
            table.slots[slot] = (hash & !ADDRESS) | table.records.len() as u64;
            table.records.extend_from_slice(&key);
            table.records.extend_from_slice(&value(&key, 0));
        }
        table
    }

    #[inline]
    fn get(&self, key: &Key) -> Option<&[u8]> {
        let hash = hash(key);
        let last = self.slots.len() - 1;
        let mut slot = hash as usize & last;
        loop {
            let found = self.slots[slot];
            if found == 0 {
                return None;
            }
            if (found ^ hash) & !ADDRESS == 0 {
                let start = (found & ADDRESS) as usize;
                let record = &self.records[start..start + RECORD_BYTES];
                if record[..KEY_BYTES] == key[..] {
                    return Some(&record[KEY_BYTES..]);
                }
            }
            slot = (slot + 1) & last;
        }
    }
}
