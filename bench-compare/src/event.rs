//! Events, each derived from its number.
//!
//! As with values of keys, a reader holds no copy: from the number alone it can tell every field, so each
//! event read is checked whole.

/// Bytes of the text of an event.
pub(crate) const NAME_BYTES: usize = 10;
/// Bytes of the fields of an event, nothing around them.
pub(crate) const FIELD_BYTES: usize = 8 + 8 + 4 + NAME_BYTES;
/// The type of all events, where a store wants one.
#[allow(dead_code, reason = "a build may have no store that wants one")]
pub(crate) const TYPE: &str = "OrderPlaced";

const ORDER_STEP: u64 = 0x9e37_79b9_7f4a_7c15;
const CENTS_STEP: u64 = 0xbf58_476d_1ce4_e5b9;

/// What the fields of the event of that number are made of. No two events share it, and it costs next to
/// nothing, so that a walk measures the store and not the check.
const fn word_of(number: u64) -> u64 {
    number.wrapping_add(1).wrapping_mul(ORDER_STEP)
}

/// An event as the caller of a store has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "annals", derive(annals::Event))]
#[cfg_attr(all(feature = "rkyv", not(feature = "annals")), derive(rkyv::Archive, rkyv::Serialize))]
pub(crate) struct Event {
    order: u64,
    cents: u64,
    quantity: u32,
    name: String,
}

/// An event as a reader sees it, wherever it lies.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    order: u64,
    cents: u64,
    quantity: u32,
    name: &'a [u8],
}

/// The quantity of the event of that number.
pub(crate) const fn quantity(number: u64) -> u32 {
    (word_of(number) >> 29) as u32
}

/// The name of the event of that number, first eight bytes and last two: letters from `a` to `p`.
const fn name(word: u64) -> (u64, u16) {
    const LOW: u64 = 0x0f0f_0f0f_0f0f_0f0f;
    const A: u64 = 0x6161_6161_6161_6161;
    ((word & LOW) + A, ((word >> 4 & LOW) + A) as u16)
}

impl Event {
    /// The event of that number.
    pub(crate) fn of(number: u64) -> Self {
        let mut event = Self::default();
        event.become_number(number);
        event
    }

    /// Becomes the event of that number, without a new string.
    pub(crate) fn become_number(&mut self, number: u64) {
        let word = word_of(number);
        self.order = word;
        self.cents = word.wrapping_mul(CENTS_STEP);
        self.quantity = quantity(number);
        let (first, last) = name(word);
        let mut bytes = [0; NAME_BYTES];
        bytes[..8].copy_from_slice(&first.to_le_bytes());
        bytes[8..].copy_from_slice(&last.to_le_bytes());
        self.name.clear();
        self.name.push_str(str::from_utf8(&bytes).expect("letters"));
    }

    /// The fields one after the other.
    pub(crate) fn encode(&self) -> [u8; FIELD_BYTES] {
        let mut bytes = [0; FIELD_BYTES];
        bytes[..8].copy_from_slice(&self.order.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.cents.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.quantity.to_le_bytes());
        bytes[20..].copy_from_slice(self.name.as_bytes());
        bytes
    }
}

impl<'a> Seen<'a> {
    /// The event in `bytes`, as [`Event::encode`] writes it.
    #[inline]
    pub(crate) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let bytes: &[u8; FIELD_BYTES] = bytes.try_into().ok()?;
        Some(Self {
            order: word(bytes, 0),
            cents: word(bytes, 8),
            quantity: u32::from_le_bytes([bytes[16], bytes[17], bytes[18], bytes[19]]),
            name: &bytes[20..],
        })
    }

    /// The event in an archive: `None` if the bytes are no archive of one. They are checked whole, as
    /// bytes from a disk have to be.
    #[cfg(feature = "rkyv")]
    #[inline]
    pub(crate) fn archived(bytes: &'a [u8]) -> Option<Self> {
        let event = rkyv::access::<ArchivedEvent, rkyv::rancor::Failure>(bytes).ok()?;
        Some(event.into())
    }

    /// Whether it is the event of that number.
    #[inline]
    pub(crate) fn is(&self, number: u64) -> bool {
        let word = word_of(number);
        let (first, last) = name(word);
        let Ok(bytes) = <&[u8; NAME_BYTES]>::try_from(self.name) else {
            return false;
        };
        let wrong = (self.order ^ word)
            | (self.cents ^ word.wrapping_mul(CENTS_STEP))
            | u64::from(self.quantity ^ quantity(number))
            | (self::word(bytes, 0) ^ first)
            | u64::from(u16::from_le_bytes([bytes[8], bytes[9]]) ^ last);
        wrong == 0
    }

    /// How many were ordered: what the projection adds up.
    #[allow(dead_code, reason = "a build may have no store with projections")]
    pub(crate) fn quantity(&self) -> u32 {
        self.quantity
    }
}

#[cfg(feature = "rkyv")]
impl<'a> From<&'a ArchivedEvent> for Seen<'a> {
    #[inline]
    fn from(event: &'a ArchivedEvent) -> Self {
        Self {
            order: event.order.to_native(),
            cents: event.cents.to_native(),
            quantity: event.quantity.to_native(),
            name: event.name.as_bytes(),
        }
    }
}

#[inline]
fn word(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

/// A buffer for bytes that are not aligned as an archive has to be.
#[cfg(feature = "rkyv")]
#[derive(Default)]
pub(crate) struct Aligned(rkyv::util::AlignedVec);

#[cfg(feature = "rkyv")]
impl Aligned {
    /// Shows the event of the archive in `bytes`, copied if it has to be; false if it is none.
    #[inline]
    pub(crate) fn show(&mut self, bytes: &[u8], show: impl FnOnce(Seen<'_>)) -> bool {
        let bytes = if bytes.as_ptr().addr().is_multiple_of(align_of::<ArchivedEvent>()) {
            bytes
        } else {
            self.0.clear();
            self.0.extend_from_slice(bytes);
            &self.0
        };
        Seen::archived(bytes).map(show).is_some()
    }
}

/// Events that are filled again and again, so that a row measures a store and not the making of strings.
pub(crate) struct Batch(Vec<Event>);

impl Batch {
    /// Room for so many events.
    pub(crate) fn of(count: usize) -> Self {
        Self(vec![Event::of(0); count])
    }

    /// The events of `numbers`, which are no more than there is room for.
    pub(crate) fn fill(&mut self, numbers: impl Iterator<Item = u64>) -> &[Event] {
        let mut count = 0;
        for (event, number) in self.0.iter_mut().zip(numbers) {
            event.become_number(number);
            count += 1;
        }
        &self.0[..count]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_told_from_all_that_differ() {
        let bytes = Event::of(7).encode();
        let seen = |bytes: &[u8], number| Seen::decode(bytes).is_some_and(|event| event.is(number));
        assert!(seen(&bytes, 7));
        assert!(!seen(&bytes, 8));
        assert!(!seen(&bytes[1..], 7));
        for at in 0..FIELD_BYTES {
            let mut other = bytes;
            other[at] ^= 1;
            assert!(!seen(&other, 7), "byte {at}");
        }
    }

    #[test]
    fn events_are_filled_in_place() {
        let mut batch = Batch::of(3);
        assert_eq!(batch.fill(5..8), [Event::of(5), Event::of(6), Event::of(7)]);
        assert_eq!(batch.fill(8..9), [Event::of(8)]);
        assert!(Event::of(5).name.bytes().all(|byte| byte.is_ascii_lowercase()));
    }

    #[cfg(feature = "rkyv")]
    #[test]
    fn an_archive_is_an_event() {
        let bytes = rkyv::to_bytes::<rkyv::rancor::Error>(&Event::of(9)).expect("an archive");
        assert!(Seen::archived(&bytes).is_some_and(|event| event.is(9)));
        assert!(Seen::archived(&bytes[..bytes.len() - 8]).is_none());
    }
}
