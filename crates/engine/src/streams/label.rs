//! The label of an event: what stands behind its data in the value of its record.
//!
//! Behind, so that the data begin where the value does, on a boundary where an archive can be read in
//! place. It is read from its end: the last word says what there is and how long it is, and the word in
//! front of that nearly always has the rest. The layout is described in `docs/formats/events.md`.

use annals_events::EventFormat;
use annals_journal::Address;
use std::ops::Deref;

const FLAG_WITHIN: u8 = 0x01;
const FLAG_AT: u8 = 0x02;
const FLAG_EXTRA: u8 = 0x04;
const FORMAT_SHIFT: u32 = 4;
const FORMAT_MASK: u8 = 0x30;
const FLAGS_KNOWN: u8 = FLAG_WITHIN | FLAG_AT | FLAG_EXTRA | FORMAT_MASK;
/// Bits of a time. More milliseconds pass until the year 10889.
const TIME_BITS: u32 = 48;
pub(crate) const TIME_MAX: u64 = (1 << TIME_BITS) - 1;
/// Bytes of the address of the event before it.
const AT_BYTES: usize = 6;
const _: () = assert!(Address::PACKED_BITS as usize <= 8 * AT_BYTES);
/// Bytes of the length of the extra part.
const EXTRA_LEN_BYTES: usize = 4;
/// The last word: time, lengths, flags.
const WORD_BYTES: usize = 8;
/// The most that a label takes beside its extra part.
pub(crate) const LABEL_BYTES_MAX: usize = WORD_BYTES + 4 + 8 + AT_BYTES + EXTRA_LEN_BYTES;

/// Where the event before it in the stream was when an event was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// It is the first that the stream has.
    Nothing,
    /// In the same segment, so many bytes in front of it.
    Within(u32),
    /// There.
    At(Address),
}

/// What is written of an event beside its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Label<'a> {
    /// The number of its type in its category.
    pub(crate) type_number: u32,
    /// Its place in the stream, counted from zero.
    pub(crate) version: u64,
    /// When it was appended, in milliseconds since 1970.
    pub(crate) time_ms: u64,
    pub(crate) format: EventFormat,
    pub(crate) before: Before,
    /// Ids and what users add, as [`extra`](super::extra) lays them out.
    pub(crate) extra: &'a [u8],
}

impl<'a> Label<'a> {
    /// Appends the label to the data of its event.
    #[inline]
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        if !self.extra.is_empty() {
            out.reserve(self.extra.len() + LABEL_BYTES_MAX + WORD_BYTES);
            out.extend_from_slice(self.extra);
            out.extend_from_slice(&(self.extra.len() as u32).to_le_bytes());
        }
        out.extend_from_slice(&self.end());
    }

    /// What stands behind the extra part, which is all of the label if there is none.
    #[inline(always)]
    pub(crate) fn end(&self) -> LabelEnd {
        let mut flags = self.format.code() << FORMAT_SHIFT;
        if !self.extra.is_empty() {
            flags |= FLAG_EXTRA;
        }
        let type_bytes = match self.type_number {
            0 => 0,
            number if number <= 0xff => 1,
            number if number <= 0xffff => 2,
            _ => 4,
        };
        let version_bytes = bytes_of(self.version);
        let (before, before_bytes, within_bytes) = match self.before {
            Before::Nothing => (0, 0, 1),
            Before::Within(bytes) => {
                flags |= FLAG_WITHIN;
                let words = u64::from(bytes / 8);
                let within_bytes = bytes_of(words).max(1);
                (words, within_bytes, within_bytes)
            }
            Before::At(address) => {
                flags |= FLAG_AT;
                (address.pack(), AT_BYTES, 1)
            }
        };
        let type_code = type_bytes.min(3);
        let lengths = version_bytes | type_code << 4 | (within_bytes - 1) << 6;
        let time_ms = self.time_ms.min(TIME_MAX);
        let word = time_ms | (lengths as u64) << TIME_BITS | u64::from(flags) << 56;
        let type_number = u64::from(self.type_number);
        let len = before_bytes + version_bytes + type_bytes;
        if len < WORD_BYTES {
            // The numbers of nearly all labels, in one word.
            let numbers = before
                | self.version << (8 * before_bytes)
                | type_number << (8 * (before_bytes + version_bytes));
            return LabelEnd::of(&[(numbers, len), (word, WORD_BYTES)]);
        }
        LabelEnd::of(&[
            (before, before_bytes),
            (self.version, version_bytes),
            (type_number, type_bytes),
            (word, WORD_BYTES),
        ])
    }

    /// The length of the data in `value`, and the label behind them. `None` if there is no label.
    #[inline(always)]
    pub(crate) fn split(value: &'a [u8]) -> Option<(usize, Self)> {
        let (rest, word) = value.split_last_chunk::<WORD_BYTES>()?;
        let word = u64::from_le_bytes(*word);
        let Shape { flags, format, type_bytes, version_bytes, before_bytes } = Shape::of(word)?;
        let bytes = type_bytes + version_bytes + before_bytes;
        let mut end = rest.len().checked_sub(bytes)?;
        let (type_number, version, before) = match rest.last_chunk::<WORD_BYTES>() {
            Some(word) if bytes <= WORD_BYTES => {
                let mut word = Word(u64::from_le_bytes(*word));
                (word.take(type_bytes), word.take(version_bytes), word.take(before_bytes))
            }
            _ => {
                let (before, rest) = rest[end..].split_at(before_bytes);
                let (version, type_number) = rest.split_at(version_bytes);
                (number(type_number), number(version), number(before))
            }
        };
        let before = match flags & (FLAG_WITHIN | FLAG_AT) {
            0 => Before::Nothing,
            FLAG_WITHIN => Before::Within(u32::try_from(before * 8).ok()?),
            _ if before >> Address::PACKED_BITS != 0 => return None,
            _ => Before::At(Address::unpack(before)),
        };
        let mut extra = &rest[..0];
        if flags & FLAG_EXTRA != 0 {
            let (rest, len) = rest[..end].split_last_chunk::<EXTRA_LEN_BYTES>()?;
            end = rest.len().checked_sub(u32::from_le_bytes(*len) as usize)?;
            extra = &rest[end..];
        }
        let (type_number, time_ms) = (type_number as u32, word & TIME_MAX);
        Some((end, Self { type_number, version, time_ms, format, before, extra }))
    }

    /// Where the event before one at `address` was when that was written.
    pub(crate) fn address_before(&self, address: Address) -> Option<Address> {
        match self.before {
            Before::Nothing => None,
            Before::Within(bytes) => {
                let offset = address.offset.checked_sub(bytes)?;
                Some(Address { offset, ..address })
            }
            Before::At(before) => Some(before),
        }
    }
}

/// What the last word of a label says of the rest.
struct Shape {
    flags: u8,
    format: EventFormat,
    type_bytes: usize,
    version_bytes: usize,
    before_bytes: usize,
}

impl Shape {
    /// `None` if no label ends so.
    #[inline(always)]
    fn of(word: u64) -> Option<Self> {
        let (flags, lengths) = ((word >> 56) as u8, (word >> TIME_BITS) as usize & 0xff);
        let format = match (flags & FORMAT_MASK) >> FORMAT_SHIFT {
            0 => EventFormat::Bytes,
            1 => EventFormat::Archive,
            2 => EventFormat::Json,
            _ => return None,
        };
        // 0, 1, 2 or 4.
        let (type_bytes, version_bytes) = ((1 << (lengths >> 4 & 0x03)) >> 1, lengths & 0x0f);
        let before_bytes = match flags & (FLAG_WITHIN | FLAG_AT) {
            0 => 0,
            FLAG_WITHIN => 1 + (lengths >> 6),
            FLAG_AT => AT_BYTES,
            _ => return None,
        };
        let is_known = flags & !FLAGS_KNOWN == 0 && version_bytes <= 8;
        is_known.then_some(Self { flags, format, type_bytes, version_bytes, before_bytes })
    }
}

/// What stands behind the extra part of a label.
pub(crate) struct LabelEnd {
    bytes: [u8; END_BYTES],
    len: usize,
}

/// More than it takes, by the bytes of a word that are not its own.
const END_BYTES: usize = 40;
const _: () = assert!(LABEL_BYTES_MAX + WORD_BYTES <= END_BYTES);

impl LabelEnd {
    /// Of each number so many bytes.
    #[inline(always)]
    fn of<const NUMBERS: usize>(numbers: &[(u64, usize); NUMBERS]) -> Self {
        let (mut bytes, mut len) = ([0; END_BYTES], 0);
        for (number, number_bytes) in numbers {
            // As many bytes each time as the processor writes at once, and what is too much written over.
            bytes[len..len + WORD_BYTES].copy_from_slice(&number.to_le_bytes());
            len += number_bytes;
        }
        Self { bytes, len }
    }
}

impl Deref for LabelEnd {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// What a label says of the data in front of it. Whoever goes through many events and asks for nothing else is
/// spared the rest of their labels, which is most of the way to their data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Glance {
    pub(crate) data_len: u32,
    pub(crate) type_number: u32,
    pub(crate) format: EventFormat,
}

impl Glance {
    /// `None` if the value has no label. What it does not read is not checked.
    #[inline(always)]
    pub(crate) fn of(value: &[u8]) -> Option<Self> {
        let (rest, word) = value.split_last_chunk::<WORD_BYTES>()?;
        let shape = Shape::of(u64::from_le_bytes(*word))?;
        if shape.flags & FLAG_EXTRA != 0 {
            return Self::before_extra(value);
        }
        let bytes = shape.type_bytes + shape.version_bytes + shape.before_bytes;
        let data_len = rest.len().checked_sub(bytes)? as u32;
        let type_number = match rest.last_chunk::<WORD_BYTES>() {
            Some(word) => Word(u64::from_le_bytes(*word)).take(shape.type_bytes),
            None => number(&rest[rest.len() - shape.type_bytes..]),
        };
        Some(Self { data_len, type_number: type_number as u32, format: shape.format })
    }

    #[cold]
    fn before_extra(value: &[u8]) -> Option<Self> {
        let (data_len, Label { type_number, format, .. }) = Label::split(value)?;
        Some(Self { data_len: data_len as u32, type_number, format })
    }
}

/// The last eight bytes of something, of which numbers are taken off the end.
struct Word(u64);

impl Word {
    /// Takes the number of so many bytes, up to eight, that ends it.
    #[inline]
    fn take(&mut self, bytes: usize) -> u64 {
        // A shift by all bits of a word is none: there are two.
        let bits = 4 * bytes as u32;
        let number = self.0 >> (32 - bits) >> (32 - bits);
        self.0 = self.0 << bits << bits;
        number
    }
}

/// How many bytes a number has that are not zeroes in front.
fn bytes_of(number: u64) -> usize {
    8 - (number.leading_zeros() / 8) as usize
}

/// The number with these bytes, eight at most.
#[cold]
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn before() -> impl Strategy<Value = Before> {
        prop_oneof![
            Just(Before::Nothing),
            (0..1u32 << 29).prop_map(|words| Before::Within(words * 8)),
            (0..Address::SLOTS_MAX, 0..1u32 << 29)
                .prop_map(|(slot, words)| Before::At(Address { slot, offset: words * 8 })),
        ]
    }

    /// Numbers of all lengths.
    fn number_of<const BITS: u32>() -> impl Strategy<Value = u64> {
        (any::<u64>(), 0..BITS).prop_map(|(number, bits)| number >> (63 - bits))
    }

    proptest! {
        #[test]
        fn labels_round_trip(
            data in prop::collection::vec(any::<u8>(), 0..40),
            extra in prop::collection::vec(any::<u8>(), 0..200),
            (type_number, version) in (number_of::<32>(), number_of::<64>()),
            time_ms in 0..=TIME_MAX,
            format in 0u8..3,
            before in before(),
        ) {
            let format = EventFormat::from_code(format).expect("a known one");
            let type_number = type_number as u32;
            let label = Label { type_number, version, time_ms, format, before, extra: &extra };
            let mut value = data.clone();
            label.encode(&mut value);
            prop_assert!(value.len() <= data.len() + extra.len() + LABEL_BYTES_MAX);
            prop_assert_eq!(Label::split(&value), Some((data.len(), label)));
            let glance = Glance { data_len: data.len() as u32, type_number, format };
            prop_assert_eq!(Glance::of(&value), Some(glance));
        }

        #[test]
        fn any_bytes_are_taken_or_refused(value in prop::collection::vec(any::<u8>(), 0..64)) {
            let glance = Glance::of(&value);
            if let Some((len, label)) = Label::split(&value) {
                prop_assert!(len + label.extra.len() < value.len());
                let Label { type_number, format, .. } = label;
                let data_len = len as u32;
                prop_assert_eq!(glance, Some(Glance { data_len, type_number, format }));
            }
            prop_assert!(glance.is_none_or(|glance| (glance.data_len as usize) < value.len()));
        }
    }
}
