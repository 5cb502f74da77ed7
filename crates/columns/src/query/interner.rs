//! Keys of all parts, each with a number.

use super::key::{Folding, GroupBy, Key};
use std::collections::HashMap;

/// Keys of all parts, each with a number.
#[derive(Clone, Debug)]
pub(crate) struct Interner {
    keys: Vec<OwnedKey>,
    texts: HashMap<Box<str>, u32, Folding>,
    numbers: HashMap<(u8, u64), u32, Folding>,
    times: Option<Times>,
    /// Bytes of all texts.
    text_bytes: usize,
}

#[derive(Clone, Debug)]
enum OwnedKey {
    Absent,
    Number(u64),
    Time(i64),
    Text(Box<str>),
}

impl OwnedKey {
    fn get(&self) -> Key<'_> {
        match self {
            Self::Absent => Key::Absent,
            Self::Number(number) => Key::Number(*number),
            Self::Time(ts) => Key::Time(*ts),
            Self::Text(text) => Key::Text(text),
        }
    }
}

/// Buckets of time that lie close together.
#[derive(Clone, Debug)]
struct Times {
    bucket_ns: i64,
    /// The first bucket, counted from 1970 on.
    first: i64,
    /// The numbers of it and of those behind it.
    numbers: Vec<u32>,
}

/// So many buckets of time are there for each that was met, at most, or they lie far from each other; and so many may
/// always.
const TIMES_SPARE: usize = 8;
const TIMES_MIN: usize = 1_024;
/// No key has this number.
const NONE: u32 = u32::MAX;

impl Times {
    /// Where the number of a bucket is kept; `None` if it is far from the others.
    #[inline]
    fn number(&mut self, ts: i64, met_count: usize) -> Option<&mut u32> {
        let bucket = ts.div_euclid(self.bucket_ns);
        let at = bucket.wrapping_sub(self.first).cast_unsigned();
        if at >= self.numbers.len() as u64 {
            self.widen(bucket, met_count)?;
        }
        self.numbers.get_mut(bucket.abs_diff(self.first) as usize)
    }

    #[cold]
    fn widen(&mut self, bucket: i64, met_count: usize) -> Option<()> {
        let (mut low, mut high) = (bucket, bucket);
        if !self.numbers.is_empty() {
            low = low.min(self.first);
            high = high.max(self.first + (self.numbers.len() as i64 - 1));
        }
        let limit = (met_count * TIMES_SPARE).max(TIMES_MIN);
        let width = usize::try_from(high.abs_diff(low)).ok().filter(|width| *width < limit)? + 1;
        if self.numbers.is_empty() || low == self.first {
            self.first = low;
            self.numbers.resize(width, NONE);
            return Some(());
        }
        // As many again in front, so that what comes from the newest on is not moved for each.
        let first = low.saturating_sub_unsigned(self.numbers.len() as u64);
        let more = first.abs_diff(self.first) as usize;
        drop(self.numbers.splice(..0, std::iter::repeat_n(NONE, more)));
        self.first = first;
        Some(())
    }
}

impl Interner {
    pub(crate) fn new(by: GroupBy) -> Self {
        let times = match by {
            GroupBy::Time { bucket_ns } => {
                // Of wider ones there are two, which are told apart all the same.
                let bucket_ns = i64::try_from(bucket_ns).unwrap_or(i64::MAX).max(1);
                Some(Times { bucket_ns, first: 0, numbers: Vec::new() })
            }
            GroupBy::Field(_) => None,
        };
        let (texts, numbers) = (HashMap::default(), HashMap::default());
        Self { keys: Vec::new(), texts, numbers, times, text_bytes: 0 }
    }

    /// The number of a bucket of time that has none yet becomes `next`.
    fn number_of_time(&mut self, ts: i64, next: u32) -> u32 {
        if let Some(times) = &mut self.times {
            if let Some(number) = times.number(ts, self.keys.len()) {
                if *number == NONE {
                    *number = next;
                }
                return *number;
            }
            // From now on they are where other numbers are.
            self.times = None;
            for (number, key) in (0..).zip(&self.keys) {
                if let OwnedKey::Time(ts) = key {
                    self.numbers.insert((2, ts.cast_unsigned()), number);
                }
            }
        }
        *self.numbers.entry((2, ts.cast_unsigned())).or_insert(next)
    }

    /// As [`number_of`](Self::number_of), where it may be `guess`: parts have much the same keys in the same order.
    pub(crate) fn number_near(&mut self, guess: u32, key: Key<'_>) -> u32 {
        match self.keys.get(guess as usize) {
            Some(found) if found.get() == key => guess,
            _ => self.number_of(key),
        }
    }

    pub(crate) fn number_of(&mut self, key: Key<'_>) -> u32 {
        let next = self.keys.len() as u32;
        let number = match key {
            Key::Text(text) => match self.texts.get(text) {
                Some(number) => *number,
                None => {
                    self.texts.insert(text.into(), next);
                    self.text_bytes += text.len();
                    next
                }
            },
            Key::Absent => *self.numbers.entry((0, 0)).or_insert(next),
            Key::Number(number) => *self.numbers.entry((1, number)).or_insert(next),
            Key::Time(ts) => self.number_of_time(ts, next),
        };
        if number == next {
            self.keys.push(match key {
                Key::Absent => OwnedKey::Absent,
                Key::Number(number) => OwnedKey::Number(number),
                Key::Time(ts) => OwnedKey::Time(ts),
                Key::Text(text) => OwnedKey::Text(text.into()),
            });
        }
        number
    }

    /// About how many bytes its keys take: a text is kept twice, and found by one of them.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.keys.len() * 2 * size_of::<OwnedKey>() + 2 * self.text_bytes
    }

    /// Takes in the keys of another; says which number here each of its numbers is.
    pub(crate) fn take_in(&mut self, other: &Self) -> Vec<u32> {
        let mut last = u32::MAX;
        let mut number = |number| {
            last = self.number_near(last.wrapping_add(1), other.key(number));
            last
        };
        (0..other.keys.len() as u32).map(&mut number).collect()
    }

    pub(crate) fn key(&self, number: u32) -> Key<'_> {
        self.keys[number as usize].get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn each_bucket_of_time_keeps_its_number(
            bucket_ns in prop_oneof![1u64..10, Just(1 << 40), Just(i64::MAX as u64), Just(u64::MAX)],
            times in prop::collection::vec((any::<i64>(), 0u32..64), 1..400),
            near in any::<i64>(),
        ) {
            let mut interner = Interner::new(GroupBy::Time { bucket_ns });
            let mut expected: HashMap<i64, u32> = HashMap::new();
            for (at, (ts, shift)) in times.iter().chain(&times).enumerate() {
                let ts = if at % 3 == 0 { near.saturating_add((at % 500) as i64) } else { ts >> shift };
                let start = super::super::key::bucket_of(ts, bucket_ns);
                let next = expected.len() as u32;
                let number = interner.number_of(Key::Time(start));
                prop_assert_eq!(number, *expected.entry(start).or_insert(next));
                prop_assert_eq!(interner.key(number), Key::Time(start));
            }
        }
    }
}
