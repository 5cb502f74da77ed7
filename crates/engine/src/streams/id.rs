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
    /// Reads a UUID as it is printed, with digits of either case: the number that [`StreamId::Uuid`] has, and that ids of
    /// events are. `None` if the text is none.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{NewEvent, StreamId};
    /// let text = "123e4567-e89b-12d3-a456-426614174000";
    /// let uuid = StreamId::parse_uuid(text).expect("a UUID");
    /// assert_eq!(StreamId::Uuid(uuid).to_string(), text);
    /// let event = NewEvent::json("paid", "{}").id(uuid);
    /// assert_eq!(StreamId::parse_uuid("123e4567"), None);
    /// # let _ = event;
    /// ```
    #[must_use]
    pub fn parse_uuid(text: &str) -> Option<u128> {
        const DASHES: [usize; 4] = [8, 13, 18, 23];
        let is_one = text.len() == 36
            && text.bytes().enumerate().all(|(at, byte)| match DASHES.contains(&at) {
                true => byte == b'-',
                false => byte.is_ascii_hexdigit(),
            });
        is_one.then(|| u128::from_str_radix(&text.replace('-', ""), 16).ok())?
    }

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

/// With the feature `uuid`. An id of an event is the number: `uuid.as_u128()`.
///
/// ```
/// # use annals_engine as annals;
/// use annals::{Database, ExpectedVersion, NewEvent};
/// use uuid::Uuid;
/// let db = Database::open_in_memory()?;
/// let (carts, ada) = (db.category("carts")?, Uuid::from_u128(0x1234));
/// let added = NewEvent::json("added", "{}").id(Uuid::from_u128(7).as_u128());
/// carts.append(ada, &added, ExpectedVersion::Any)?;
/// assert_eq!(carts.last(ada)?.expect("one").stream().to_string(), ada.to_string());
/// # Ok::<(), annals::Error>(())
/// ```
#[cfg(feature = "uuid")]
#[cfg_attr(docsrs, doc(cfg(feature = "uuid")))]
impl From<uuid::Uuid> for StreamId<'_> {
    fn from(uuid: uuid::Uuid) -> Self {
        Self::Uuid(uuid.as_u128())
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
    fn a_uuid_is_read_as_it_is_printed_and_nothing_else_is() {
        for uuid in [0, 1, 0x123e_4567_e89b_12d3_a456_4266_1417_4000, u128::MAX >> 1, u128::MAX] {
            let text = StreamId::Uuid(uuid).to_string();
            assert_eq!(StreamId::parse_uuid(&text), Some(uuid));
            assert_eq!(StreamId::parse_uuid(&text.to_uppercase()), Some(uuid));
            #[cfg(feature = "uuid")]
            {
                let other = uuid::Uuid::from_u128(uuid);
                assert_eq!(
                    (StreamId::from(other), other.to_string()),
                    (StreamId::Uuid(uuid), text)
                );
            }
        }
        let text = "123e4567-e89b-12d3-a456-426614174000";
        let (simple, moved) = (text.replace('-', ""), text.replace("4567-e", "4567e-"));
        let (signed, wide) = (format!("+{}", &text[1..]), "é".repeat(18));
        let (braced, long) = (format!("{{{text}}}"), format!("{text}0"));
        for none in ["", &text[1..], &simple, &moved, &signed, &wide, &braced, &long] {
            assert_eq!(StreamId::parse_uuid(none), None, "{none}");
        }
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
