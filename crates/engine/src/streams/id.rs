//! The id of a stream, and the key it has in the log.

use std::{borrow::Cow, fmt};

/// The longest text that a stream's id may be, in bytes.
pub const STREAM_ID_BYTES_MAX: usize = 1024;

/// Names a stream in its category: a number, a UUID or a text. Ids of different shapes are different
/// streams: the number 7 and the text "7" have nothing to do with each other.
///
/// ```
/// # use annals_engine as annals;
/// use annals::StreamId;
/// assert_eq!(StreamId::from(7u64).to_string(), "7");
/// assert_eq!(StreamId::from("cart-7").to_string(), "cart-7");
/// assert_eq!(StreamId::Uuid(0x1234).to_string(), "00000000-0000-0000-0000-000000001234");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StreamId<'a> {
    /// A number.
    Number(u64),
    /// A UUID, as the number whose bytes are in the order in which they are printed.
    Uuid(u128),
    /// A text of at most [`STREAM_ID_BYTES_MAX`] bytes.
    Text(Cow<'a, str>),
}

impl StreamId<'_> {
    /// The same id with nothing borrowed.
    #[must_use]
    pub fn into_owned(self) -> StreamId<'static> {
        match self {
            Self::Number(number) => StreamId::Number(number),
            Self::Uuid(uuid) => StreamId::Uuid(uuid),
            Self::Text(text) => StreamId::Text(Cow::Owned(text.into_owned())),
        }
    }
}

impl From<u64> for StreamId<'_> {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<u32> for StreamId<'_> {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl<'a> From<&'a str> for StreamId<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl<'a> From<&'a String> for StreamId<'a> {
    fn from(text: &'a String) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for StreamId<'_> {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl<'a> From<&'a StreamId<'_>> for StreamId<'a> {
    fn from(id: &'a StreamId<'_>) -> Self {
        match id {
            StreamId::Number(number) => Self::Number(*number),
            StreamId::Uuid(uuid) => Self::Uuid(*uuid),
            StreamId::Text(text) => Self::Text(Cow::Borrowed(text)),
        }
    }
}

impl fmt::Display for StreamId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Uuid(uuid) => {
                let hex = format!("{uuid:032x}");
                let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
                f.write_str(&parts.join("-"))
            }
            Self::Text(text) => f.write_str(text),
        }
    }
}

const TAG_NUMBER: u8 = 1;
const TAG_UUID: u8 = 2;
const TAG_TEXT: u8 = 3;
/// Keys up to this length need no memory of their own.
const SHORT_BYTES: usize = 40;

/// The key of a stream's records: a byte that says of which shape the id is, and the id. Numbers go
/// without their leading zero bytes: most are small, and each event carries its stream's key.
#[derive(Clone)]
pub(crate) struct StreamKey {
    short: [u8; SHORT_BYTES],
    len: usize,
    long: Option<Box<[u8]>>,
}

impl StreamKey {
    /// The key of `id`; `None` if that is too long.
    pub(crate) fn of(id: &StreamId<'_>) -> Option<Self> {
        match id {
            StreamId::Number(number) => {
                let zeroes = (number.leading_zeros() / 8) as usize;
                Some(Self::new(TAG_NUMBER, &number.to_be_bytes()[zeroes..]))
            }
            StreamId::Uuid(uuid) => Some(Self::new(TAG_UUID, &uuid.to_be_bytes())),
            StreamId::Text(text) => {
                (text.len() <= STREAM_ID_BYTES_MAX).then(|| Self::new(TAG_TEXT, text.as_bytes()))
            }
        }
    }

    fn new(tag: u8, id: &[u8]) -> Self {
        let len = 1 + id.len();
        let mut short = [0; SHORT_BYTES];
        if len > SHORT_BYTES {
            let long = [&[tag][..], id].concat().into_boxed_slice();
            return Self { short, len, long: Some(long) };
        }
        short[0] = tag;
        short[1..len].copy_from_slice(id);
        Self { short, len, long: None }
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        match &self.long {
            Some(long) => long,
            None => &self.short[..self.len],
        }
    }
}

/// The key of a stream whose id is a number: a small value, made without a branch.
pub(crate) struct NumberKey {
    bytes: [u8; 9],
    len: usize,
}

impl NumberKey {
    #[inline]
    pub(crate) fn of(number: u64) -> Self {
        let zeroes = number.leading_zeros() / 8;
        let mut bytes = [TAG_NUMBER; 9];
        // A shift by all bits of a word is none: there are two.
        bytes[1..].copy_from_slice(&(number << (4 * zeroes) << (4 * zeroes)).to_be_bytes());
        Self { bytes, len: 9 - zeroes as usize }
    }

    #[inline]
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl fmt::Debug for StreamKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamKey({})", self.bytes().escape_ascii())
    }
}

/// The id whose key this is; `None` if it is that of none.
pub(crate) fn id_of_key(key: &[u8]) -> Option<StreamId<'_>> {
    let (tag, id) = key.split_first()?;
    match *tag {
        TAG_NUMBER if id.len() <= 8 && id.first() != Some(&0) => {
            Some(StreamId::Number(id.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))))
        }
        TAG_UUID => Some(StreamId::Uuid(u128::from_be_bytes(id.try_into().ok()?))),
        TAG_TEXT if id.len() <= STREAM_ID_BYTES_MAX => {
            Some(StreamId::Text(Cow::Borrowed(std::str::from_utf8(id).ok()?)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn each_id_has_one_key_and_each_key_one_id() {
        let long = "x".repeat(STREAM_ID_BYTES_MAX);
        let ids = [
            StreamId::from(0u64),
            StreamId::from(1u64),
            StreamId::from(255u64),
            StreamId::from(256u64),
            StreamId::from(u64::MAX),
            StreamId::Uuid(0),
            StreamId::Uuid(u128::MAX),
            StreamId::from(""),
            StreamId::from("1"),
            StreamId::from("\u{1}"),
            StreamId::from("x".repeat(SHORT_BYTES - 1)),
            StreamId::from("x".repeat(SHORT_BYTES)),
            StreamId::from(&long),
        ];
        let mut keys = HashSet::new();
        for id in &ids {
            let key = StreamKey::of(id).expect("short enough");
            assert_eq!(id_of_key(key.bytes()).as_ref(), Some(id));
            if let StreamId::Number(number) = id {
                assert_eq!(NumberKey::of(*number).bytes(), key.bytes());
            }
            assert!(keys.insert(key.bytes().to_vec()), "{id}");
        }
        let longer = StreamId::from(format!("{long}x"));
        assert!(StreamKey::of(&longer).is_none());
    }

    #[test]
    fn keys_of_no_id_are_refused() {
        let keys: [&[u8]; 7] =
            [b"", b"\0", b"\x01\0", b"\x01\x01234567890", b"\x02short", b"\x03\xff", b"x"];
        for key in keys {
            assert_eq!(id_of_key(key), None, "{key:?}");
        }
    }
}
