//! By what events are grouped.

use crate::{
    CHUNK_ROWS, Error, PartView, Result, Schema, Value, ValueType,
    part::{Dictionary, FieldColumn, NumberField, image},
};
use std::collections::HashMap;

/// By what events are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupBy {
    /// The values of a dimension, a counter, a latency, a status or flags.
    Field(usize),
    /// The time, in buckets of so many nanoseconds, counted from 1970 on.
    Time {
        /// The width of a bucket, in nanoseconds.
        bucket_ns: u64,
    },
}

/// What the events of a group have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key<'a> {
    /// No value.
    Absent,
    /// A number.
    Number(u64),
    /// The start of a bucket of time, in nanoseconds since 1970.
    Time(i64),
    /// A string.
    Text(&'a str),
}

/// The start of the bucket of a time. The first bucket may begin before the first time there is: then that is its start.
fn bucket_of(ts: i64, bucket_ns: u64) -> i64 {
    let start = i128::from(ts).div_euclid(bucket_ns.into()) * i128::from(bucket_ns);
    i64::try_from(start).unwrap_or(i64::MIN)
}

impl GroupBy {
    /// Whether events of a schema can be grouped by it.
    pub(crate) fn check(self, schema: &Schema) -> Result<()> {
        let fields = schema.fields();
        let refused = |what| Err(Error::Question { what });
        match self {
            Self::Time { bucket_ns: 0 } => refused("a bucket of time has no width"),
            Self::Time { .. } if schema.ts().is_none() => {
                refused("events have no time to group by")
            }
            Self::Time { .. } => Ok(()),
            Self::Field(index) => {
                let count = fields.len();
                let field = fields.get(index).ok_or(Error::NoField { index, count })?;
                let is_dimension = matches!(field.role(), crate::Role::Dimension(_));
                match field.value_type() {
                    ValueType::U64 | ValueType::U32 | ValueType::U16 => Ok(()),
                    ValueType::Text if is_dimension => Ok(()),
                    _ => refused(
                        "events are grouped by dimensions, counters, latencies, status, flags and time",
                    ),
                }
            }
        }
    }

    /// The key of an event whose values `value_of` gives.
    pub(crate) fn key_of<'v>(
        self,
        schema: &Schema,
        value_of: impl Fn(usize) -> Value<'v>,
    ) -> Key<'v> {
        match self {
            Self::Field(field) => match value_of(field) {
                Value::U64(number) => Key::Number(number),
                Value::Text(text) => Key::Text(text),
                _ => Key::Absent,
            },
            Self::Time { bucket_ns } => match schema.ts().map(value_of) {
                Some(Value::I64(ts)) => Key::Time(bucket_of(ts, bucket_ns)),
                _ => Key::Absent,
            },
        }
    }
}

/// Keys of all parts, each with a number.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interner {
    keys: Vec<OwnedKey>,
    texts: HashMap<Box<str>, u32>,
    numbers: HashMap<(u8, u64), u32>,
}

#[derive(Clone, Debug)]
enum OwnedKey {
    Absent,
    Number(u64),
    Time(i64),
    Text(Box<str>),
}

impl Interner {
    pub(crate) fn number_of(&mut self, key: Key<'_>) -> u32 {
        let next = self.keys.len() as u32;
        let number = match key {
            Key::Text(text) => match self.texts.get(text) {
                Some(number) => *number,
                None => {
                    self.texts.insert(text.into(), next);
                    next
                }
            },
            Key::Absent => *self.numbers.entry((0, 0)).or_insert(next),
            Key::Number(number) => *self.numbers.entry((1, number)).or_insert(next),
            Key::Time(ts) => *self.numbers.entry((2, ts.cast_unsigned())).or_insert(next),
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

    /// Takes in the keys of another; says which number here each of its numbers is.
    pub(crate) fn take_in(&mut self, other: &Self) -> Vec<u32> {
        (0..other.keys.len() as u32).map(|number| self.number_of(other.key(number))).collect()
    }

    pub(crate) fn key(&self, number: u32) -> Key<'_> {
        match &self.keys[number as usize] {
            OwnedKey::Absent => Key::Absent,
            OwnedKey::Number(number) => Key::Number(*number),
            OwnedKey::Time(ts) => Key::Time(*ts),
            OwnedKey::Text(text) => Key::Text(text),
        }
    }
}

/// A part has more groups than can be told apart.
pub(crate) fn too_many() -> Error {
    Error::TooLarge {
        what: "what the events of a part may be grouped by".to_owned(),
        size: u64::MAX,
        limit: u64::MAX - 1,
    }
}

/// By what the rows of one part are grouped: numbers from 0 on, below `count`.
pub(crate) enum PartKeys<'p> {
    /// All rows have no value.
    Nothing,
    Codes(NumberField<'p>, Dictionary<'p>),
    Numbers(NumberField<'p>),
    Times {
        times: NumberField<'p>,
        bucket_ns: u64,
        first: i64,
        count: u64,
    },
}

impl<'p> PartKeys<'p> {
    /// The keys of a part whose field is that of the part's own schema.
    pub(crate) fn new(view: PartView<'p>, by: GroupBy, older: Option<usize>) -> Result<Self> {
        let field = match by {
            GroupBy::Field(_) => older,
            GroupBy::Time { .. } => view.schema().ts(),
        };
        let Some(field) = field else { return Ok(Self::Nothing) };
        Ok(match (by, view.field(field)?) {
            (GroupBy::Time { bucket_ns }, FieldColumn::Numbers(times)) => {
                let of = |kept| bucket_of(image::to_i64(times.column.image(kept)), bucket_ns);
                let (first, last) = (of(0), of(times.column.meta().top));
                let span = i128::from(last) - i128::from(first);
                let count =
                    u64::try_from(span / i128::from(bucket_ns) + 2).map_err(|_| too_many())?;
                Self::Times { times, bucket_ns, first, count }
            }
            (_, FieldColumn::Codes(codes, dictionary)) => Self::Codes(codes, dictionary),
            // One number more is for rows without a value, and the count has to be a number too.
            (_, FieldColumn::Numbers(numbers)) if numbers.column.meta().top >= u64::MAX - 1 => {
                return Err(too_many());
            }
            (_, FieldColumn::Numbers(numbers)) => Self::Numbers(numbers),
            _ => Self::Nothing,
        })
    }

    /// How many keys there may be, the one without a value included.
    pub(crate) fn count(&self) -> u64 {
        match self {
            Self::Nothing => 1,
            Self::Codes(_, dictionary) => dictionary.len() as u64 + 1,
            Self::Numbers(numbers) => numbers.column.meta().top + 2,
            Self::Times { count, .. } => *count,
        }
    }

    /// The key of a number.
    pub(crate) fn key(&self, number: u64) -> Option<Key<'p>> {
        Some(match self {
            Self::Nothing => Key::Absent,
            Self::Codes(_, dictionary) if number < dictionary.len() as u64 => {
                Key::Text(dictionary.get(number)?)
            }
            Self::Numbers(numbers) if number <= numbers.column.meta().top => {
                Key::Number(numbers.column.image(number))
            }
            Self::Codes(..) | Self::Numbers(_) => Key::Absent,
            Self::Times { bucket_ns, first, .. } => {
                let start = i128::from(*first) + i128::from(number) * i128::from(*bucket_ns);
                // The first bucket begins where times do, the next ones where they should.
                let start = bucket_of(i64::try_from(start).unwrap_or(i64::MAX), *bucket_ns);
                Key::Time(if number == 0 { *first } else { start })
            }
        })
    }

    /// The number of all rows of a chunk, or those of each.
    pub(crate) fn numbers(
        &self,
        chunk: usize,
        level: crate::kernels::Level,
        out: &mut [u64; CHUNK_ROWS],
    ) -> Result<Option<u64>> {
        let (numbers, absent) = match self {
            Self::Nothing => return Ok(Some(0)),
            Self::Codes(codes, dictionary) => (codes, dictionary.len() as u64),
            Self::Numbers(numbers) => (numbers, numbers.column.meta().top + 1),
            Self::Times { times, bucket_ns, first, .. } => {
                let number_of = |kept| {
                    let start = bucket_of(image::to_i64(times.column.image(kept)), *bucket_ns);
                    // What begins before there are times is the first.
                    let offset = (i128::from(start) - i128::from(*first)).max(0).cast_unsigned();
                    offset.div_ceil(u128::from(*bucket_ns)) as u64
                };
                let (low, high) =
                    (number_of(times.zones.min(chunk)), number_of(times.zones.max(chunk)));
                if low == high {
                    return Ok(Some(low));
                }
                times.column.chunk(chunk)?.decode(level, out);
                let mut last = (out[0], number_of(out[0]));
                for number in out {
                    if *number != last.0 {
                        last = (*number, number_of(*number));
                    }
                    *number = last.1;
                }
                return Ok(None);
            }
        };
        let zone = numbers.zones.zone(chunk);
        if numbers.present.is_none() && zone.min == zone.max {
            return Ok(Some(zone.min));
        }
        numbers.column.chunk(chunk)?.decode(level, out);
        if let Some(present) = numbers.present {
            let mask = present.mask(chunk as u32);
            for (at, number) in out.iter_mut().enumerate() {
                if mask[at / 64] >> (at % 64) & 1 == 0 {
                    *number = absent;
                }
            }
        }
        Ok(None)
    }
}
