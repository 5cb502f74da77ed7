//! The mark of a stream: what holds for it as a whole. It is a record of its own, whose newest version the
//! table of marks leads to; a stream without one has all of its events.

use crate::clock::as_ms;
use std::time::Duration;

const FLAG_TOMBSTONE: u8 = 0x01;
const FLAG_ARCHIVED: u8 = 0x02;
const FLAGS_KNOWN: u8 = FLAG_TOMBSTONE | FLAG_ARCHIVED;
/// The flags, and five numbers.
pub(crate) const MARK_BYTES: usize = 1 + 5 * 8;
/// So many events are counted out under the writer lock at once.
pub(crate) const COUNTED_AT_ONCE: u64 = 4096;
/// As a number: no limit.
const NONE: u64 = u64::MAX;

/// How much of a stream is kept.
///
/// ```
/// # use annals_engine as annals;
/// use annals::Retention;
/// use std::time::Duration;
/// let day = Retention::default().max_age(Duration::from_secs(24 * 3600)).max_count(10_000);
/// assert_eq!(day.max_count, Some(10_000));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// At most so many events are kept: the last ones. `None`: all.
    pub max_count: Option<u64>,
    /// Events are kept for so long, in steps of a millisecond. `None`: for ever.
    pub max_age: Option<Duration>,
}

impl Retention {
    /// Keeps the last `count` events.
    #[must_use]
    pub fn max_count(mut self, count: u64) -> Self {
        self.max_count = Some(count);
        self
    }

    /// Keeps events for `age`.
    #[must_use]
    pub fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    pub(crate) fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// What a [change](crate::Change) says that holds for a stream as a whole.
///
/// ```
/// # use annals_engine as annals;
/// use annals::{ChangeKind, Database, ExpectedVersion, NewEvent};
/// let db = Database::open_in_memory()?;
/// let carts = db.category("carts")?;
/// for _ in 0..3 {
///     carts.append("ada", &NewEvent::json("added", "{}"), ExpectedVersion::Any)?;
/// }
/// carts.truncate_before("ada", 2)?;
/// let mut changes = db.changes(db.oldest_seq())?;
/// while let Some(change) = changes.try_next()? {
///     if change.kind == ChangeKind::MarkStream {
///         assert_eq!(change.mark.map(|mark| mark.first_version), Some(2));
///     }
/// }
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamMark {
    /// Events of lower versions are given up.
    pub first_version: u64,
    /// The first version since the stream was deleted last; 0 if it never was.
    pub life_version: u64,
    /// Whether it was deleted for good.
    pub is_tombstone: bool,
    /// Whether it is archived.
    pub is_archived: bool,
    /// How much of it is kept.
    pub retention: Retention,
}

/// What holds for a stream as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Events of lower versions are gone.
    pub(crate) first: u64,
    /// Of events of lower versions the bytes are counted as not needed: log compaction leaves them out. Never
    /// more than `first`, and never beyond the newest event.
    pub(crate) counted: u64,
    /// The first version since the stream was deleted last.
    pub(crate) life_from: u64,
    /// No event is appended ever again.
    pub(crate) is_tombstone: bool,
    /// No event is appended, and readers of many streams leave its events out.
    pub(crate) is_archived: bool,
    pub(crate) retention: Retention,
}

impl Mark {
    /// What users are told of it.
    pub(crate) fn told(&self) -> StreamMark {
        let Self { first, life_from, is_tombstone, is_archived, retention, .. } = *self;
        let (first_version, life_version) = (first, life_from);
        StreamMark { first_version, life_version, is_tombstone, is_archived, retention }
    }

    pub(crate) fn encode(&self) -> [u8; MARK_BYTES] {
        let mut out = [0; MARK_BYTES];
        if self.is_tombstone {
            out[0] |= FLAG_TOMBSTONE;
        }
        if self.is_archived {
            out[0] |= FLAG_ARCHIVED;
        }
        let age_ms = |age: Duration| as_ms(age).min(NONE - 1);
        let numbers = [
            self.first,
            self.counted,
            self.life_from,
            self.retention.max_count.unwrap_or(NONE),
            self.retention.max_age.map_or(NONE, age_ms),
        ];
        for (place, number) in out[1..].chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        out
    }

    /// Reads a mark; `None` if the bytes are none.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; MARK_BYTES] = bytes.try_into().ok()?;
        let (flags, numbers) = bytes.split_first()?;
        let (numbers, []) = numbers.as_chunks::<8>() else { return None };
        let number = |index: usize| u64::from_le_bytes(numbers[index]);
        let limit = |index: usize| Some(number(index)).filter(|number| *number != NONE);
        let mark = Self {
            first: number(0),
            counted: number(1),
            life_from: number(2),
            is_tombstone: flags & FLAG_TOMBSTONE != 0,
            is_archived: flags & FLAG_ARCHIVED != 0,
            retention: Retention {
                max_count: limit(3),
                max_age: limit(4).map(Duration::from_millis),
            },
        };
        let fits = mark.counted <= mark.first && mark.life_from <= mark.first;
        (flags & !FLAGS_KNOWN == 0 && fits).then_some(mark)
    }

    /// What the mark in front of this one counted, at least.
    pub(crate) fn counted_before_at_least(&self) -> u64 {
        self.counted.saturating_sub(COUNTED_AT_ONCE)
    }

    /// The first version that is left by number, if the last event has version `last`.
    pub(crate) fn first_by_number(&self, last: u64) -> u64 {
        let by_count = self.retention.max_count.map_or(0, |count| (last + 1).saturating_sub(count));
        self.first.max(by_count)
    }

    /// The next mark on the way to counting all events in front of the first one, if the newest event has
    /// version `newest`: at most `step` events at once. `None` if they are counted.
    pub(crate) fn counted_on(&self, newest: u64, step: u64) -> Option<Self> {
        // The newest event is what the next one goes on from.
        let end = self.first.min(newest);
        (self.counted < end)
            .then(|| Self { counted: end.min(self.counted.saturating_add(step)), ..*self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn marks_round_trip(
            (first, before) in any::<(u64, u64)>(),
            (is_tombstone, is_archived) in any::<(bool, bool)>(),
            max_count in prop::option::of(0..u64::MAX),
            age_ms in prop::option::of(0..u64::MAX),
        ) {
            let retention = Retention { max_count, max_age: age_ms.map(Duration::from_millis) };
            let counted = first.saturating_sub(before);
            let life_from = first.saturating_sub(before / 2);
            let mark = Mark { first, counted, life_from, is_tombstone, is_archived, retention };
            prop_assert_eq!(Mark::decode(&mark.encode()), Some(mark));
        }

        #[test]
        fn any_bytes_are_taken_or_refused(
            mut bytes in prop::collection::vec(any::<u8>(), MARK_BYTES - 1..MARK_BYTES + 2),
            flags in 0..5u8,
        ) {
            bytes[0] = flags;
            if let Some(mark) = Mark::decode(&bytes) {
                prop_assert_eq!(&mark.encode()[..], &bytes[..]);
                prop_assert!(mark.counted <= mark.first && mark.life_from <= mark.first);
            }
        }
    }

    /// No event is counted out that is not given up, and no life begins behind what is left.
    #[test]
    fn a_mark_that_cannot_be_is_refused() {
        let mark = Mark { first: 7, counted: 7, life_from: 7, ..Mark::default() };
        assert_eq!(Mark::decode(&mark.encode()), Some(mark));
        for wrong in [Mark { counted: 8, ..mark }, Mark { life_from: 8, ..mark }] {
            assert_eq!(Mark::decode(&wrong.encode()), None, "{wrong:?}");
        }
        let mut unknown = mark.encode();
        unknown[0] |= 0x80;
        assert_eq!(Mark::decode(&unknown), None);
    }

    #[test]
    fn what_is_counted_never_passes_the_first_or_the_newest() {
        let mark = Mark { first: 10, ..Mark::default() };
        let counted = |mark: Mark, newest| mark.counted_on(newest, 4).map(|mark| mark.counted);
        assert_eq!(counted(mark, 20), Some(4));
        assert_eq!(counted(Mark { counted: 8, ..mark }, 20), Some(10));
        assert_eq!(counted(Mark { counted: 10, ..mark }, 20), None);
        assert_eq!(counted(Mark { counted: 7, ..mark }, 9), Some(9), "the newest one stays");
        assert_eq!(counted(Mark { counted: 9, ..mark }, 9), None);
    }

    #[test]
    fn the_last_ones_are_left() {
        let mark = Mark { retention: Retention::default().max_count(3), ..Mark::default() };
        assert_eq!([0, 2, 3, 9].map(|last| mark.first_by_number(last)), [0, 0, 1, 7]);
        assert_eq!(Mark { first: 8, ..mark }.first_by_number(9), 8);
        let none = Mark { retention: Retention::default().max_count(0), ..Mark::default() };
        assert_eq!(none.first_by_number(4), 5);
    }
}
