//! What is read from ordered keyspaces: copies, without an allocation where they are short; but large
//! values that are in the log are read there.

use super::log_value::Body;
use crate::{Result, core::Core};
use annals_journal::HeldValue;
use annals_ordered::Entry;
use std::{fmt, ops::Deref};

/// So many bytes are kept in place.
const INLINE_BYTES: usize = 126;

/// Bytes of its own, in place as long as they are few.
#[derive(Clone)]
enum Bytes {
    Inline {
        len: u8,
        bytes: [u8; INLINE_BYTES],
    },
    Boxed(Box<[u8]>),
    /// Bytes of the log.
    Log(HeldValue),
}

impl Bytes {
    /// The two one behind the other.
    #[inline]
    fn joined(first: &[u8], second: &[u8]) -> Self {
        let len = first.len() + second.len();
        if len > INLINE_BYTES {
            return Self::Boxed([first, second].concat().into());
        }
        let mut bytes = [0; INLINE_BYTES];
        bytes[..first.len()].copy_from_slice(first);
        bytes[first.len()..len].copy_from_slice(second);
        Self::Inline { len: len as u8, bytes }
    }

    #[inline]
    fn get(&self) -> &[u8] {
        match self {
            Self::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Self::Boxed(bytes) => bytes,
            Self::Log(bytes) => bytes,
        }
    }
}

/// A value of an ordered keyspace. It is a copy and holds nothing back, unless the keyspace leaves values
/// of its length in the log ([`separate_over_bytes`](crate::TreeOptions::separate_over_bytes)): then it is
/// read there, and keeps the segment from being used again; copy with [`to_vec`](Self::to_vec) what is
/// kept for long.
///
/// ```
/// # use annals_engine as annals;
/// let db = annals::Database::open_in_memory()?;
/// let scores = db.keyspace("scores")?;
/// scores.insert("ada", "12")?;
/// let value = scores.get("ada")?.expect("just written");
/// assert_eq!(&*value, b"12");
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone)]
pub struct Value(Bytes);

impl Value {
    #[inline]
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(Bytes::joined(bytes, &[]))
    }

    #[inline]
    pub(crate) fn of_entry(core: &Core, entry: &Entry<'_>) -> Result<Self> {
        Ok(match core.body(entry)? {
            Body::Tree(value) => Self::of(value),
            Body::Log(value) => Self(Bytes::Log(value)),
        })
    }

    /// The value as a vector of its own, which holds nothing back: one allocation and one copy.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let scores = db.keyspace("scores")?;
    /// scores.insert("ada", "12")?;
    /// let text = scores.get("ada")?.map(|value| String::from_utf8(value.to_vec()));
    /// assert_eq!(text, Some(Ok("12".to_owned())));
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self[..].to_vec()
    }
}

impl Deref for Value {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.0.get()
    }
}

impl AsRef<[u8]> for Value {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Value {}

impl PartialEq<[u8]> for Value {
    fn eq(&self, other: &[u8]) -> bool {
        **self == *other
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({} bytes)", self.len())
    }
}

/// A key of an ordered keyspace with its value: a copy, but for values that stay in the log, see
/// [`Value`].
///
/// ```
/// # use annals_engine as annals;
/// let db = annals::Database::open_in_memory()?;
/// let scores = db.keyspace("scores")?;
/// scores.insert("ada", "12")?;
/// let entry = scores.first()?.expect("just written");
/// assert_eq!((entry.key(), entry.value()), (&b"ada"[..], &b"12"[..]));
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone)]
pub struct OrderedEntry {
    bytes: Bytes,
    key_len: usize,
    /// The value, if it is in the log and not behind the key.
    in_log: Option<Box<HeldValue>>,
}

impl OrderedEntry {
    #[inline]
    pub(crate) fn of(key: &[u8], value: &[u8]) -> Self {
        Self { bytes: Bytes::joined(key, value), key_len: key.len(), in_log: None }
    }

    #[inline]
    pub(super) fn of_body(key: &[u8], body: Body<'_>) -> Self {
        match body {
            Body::Tree(value) => Self::of(key, value),
            Body::Log(value) => Self { in_log: Some(Box::new(value)), ..Self::of(key, &[]) },
        }
    }

    /// The key.
    #[inline]
    #[must_use]
    pub fn key(&self) -> &[u8] {
        &self.bytes.get()[..self.key_len]
    }

    /// The value.
    #[inline]
    #[must_use]
    pub fn value(&self) -> &[u8] {
        match &self.in_log {
            None => &self.bytes.get()[self.key_len..],
            Some(value) => value,
        }
    }

    /// Key and value as vectors of their own, which hold nothing back: two allocations and two copies.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use std::collections::BTreeMap;
    /// let db = annals::Database::open_in_memory()?;
    /// let scores = db.keyspace("scores")?;
    /// scores.insert_many([("ada", "12"), ("charles", "9")])?;
    /// let copied = scores.iter()?.map(|entry| Ok(entry?.to_vecs()));
    /// let copied = copied.collect::<annals::Result<BTreeMap<_, _>>>()?;
    /// assert_eq!(copied[&b"ada"[..]], b"12");
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn to_vecs(&self) -> (Vec<u8>, Vec<u8>) {
        (self.key().to_vec(), self.value().to_vec())
    }
}

impl PartialEq for OrderedEntry {
    fn eq(&self, other: &Self) -> bool {
        (self.key(), self.value()) == (other.key(), other.value())
    }
}

impl Eq for OrderedEntry {}

impl fmt::Debug for OrderedEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, value) = (self.key().len(), self.value().len());
        write!(f, "OrderedEntry(key of {key} bytes, value of {value} bytes)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_bytes_are_the_same_to_the_eye() {
        let all: Vec<u8> = (0..=255).collect();
        for key in [0, 1, 60, 126, 127, 200] {
            for value in [0, 1, 66, 126, 127, 200] {
                let entry = OrderedEntry::of(&all[..key], &all[..value]);
                assert_eq!((entry.key(), entry.value()), (&all[..key], &all[..value]));
                assert_eq!(*Value::of(&all[..value]), all[..value]);
            }
        }
        assert_eq!(size_of::<Value>(), 128);
    }
}
