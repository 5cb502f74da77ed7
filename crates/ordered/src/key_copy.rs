//! A copy of a key.

use std::{fmt, ops::Deref};

/// So many bytes are kept in place.
const INLINE_BYTES: usize = 38;

/// A copy of a key, or of a part of one, that takes no memory of its own as long as it is short: cursors are
/// made and dropped more often than they go far.
///
/// ```
/// use annals_ordered::KeyCopy;
///
/// assert_eq!(&*KeyCopy::from(&b"key"[..]), b"key");
/// ```
#[derive(Clone)]
pub struct KeyCopy(Bytes);

#[derive(Clone)]
enum Bytes {
    Inline { len: u8, bytes: [u8; INLINE_BYTES] },
    Apart(Vec<u8>),
}

impl KeyCopy {
    /// A copy of `key` with `last` behind it.
    #[must_use]
    pub fn with_last(key: &[u8], last: u8) -> Self {
        let Some(mut bytes) = inline(key).filter(|_| key.len() < INLINE_BYTES) else {
            return Self(Bytes::Apart([key, &[last]].concat()));
        };
        bytes[key.len()] = last;
        Self(Bytes::Inline { len: key.len() as u8 + 1, bytes })
    }

    /// Makes it a copy of another key. Memory that it has taken is used again.
    #[inline]
    pub fn set(&mut self, key: &[u8]) {
        match &mut self.0 {
            Bytes::Apart(bytes) => {
                bytes.clear();
                bytes.extend_from_slice(key);
            }
            Bytes::Inline { .. } => *self = key.into(),
        }
    }
}

/// The first key behind all that begin with `prefix`; `None` if there is none.
#[must_use]
pub fn behind_prefix(prefix: &[u8]) -> Option<KeyCopy> {
    let at = prefix.iter().rposition(|byte| *byte < 0xff)?;
    Some(KeyCopy::with_last(&prefix[..at], prefix[at] + 1))
}

/// The bytes in place, if they are few.
#[inline]
fn inline(key: &[u8]) -> Option<[u8; INLINE_BYTES]> {
    let mut bytes = [0; INLINE_BYTES];
    bytes.get_mut(..key.len())?.copy_from_slice(key);
    Some(bytes)
}

impl From<&[u8]> for KeyCopy {
    #[inline]
    fn from(key: &[u8]) -> Self {
        Self(match inline(key) {
            Some(bytes) => Bytes::Inline { len: key.len() as u8, bytes },
            None => Bytes::Apart(key.to_vec()),
        })
    }
}

impl Default for KeyCopy {
    /// The empty key.
    fn default() -> Self {
        Self(Bytes::Inline { len: 0, bytes: [0; INLINE_BYTES] })
    }
}

impl Deref for KeyCopy {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.0 {
            Bytes::Inline { len, bytes } => &bytes[..usize::from(*len)],
            Bytes::Apart(bytes) => bytes,
        }
    }
}

impl fmt::Debug for KeyCopy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long_keys_are_copied_alike() {
        let all: Vec<u8> = (0..=255).collect();
        for len in [0, 1, 37, 38, 39, 40, 200] {
            assert_eq!(*KeyCopy::from(&all[..len]), all[..len]);
            assert_eq!(*KeyCopy::with_last(&all[..len], len as u8), all[..=len]);
            let mut copy = KeyCopy::default();
            for other in [200, len, 0, 39, 3] {
                copy.set(&all[..other]);
                assert_eq!(*copy, all[..other]);
            }
        }
    }

    #[test]
    fn what_is_behind_a_prefix() {
        let behind = |prefix: &[u8]| behind_prefix(prefix).map(|key| key.to_vec());
        assert_eq!(behind(b"ab"), Some(b"ac".to_vec()));
        assert_eq!(behind(b"a\xff\xff"), Some(b"b".to_vec()));
        assert_eq!(behind(&[7; 60]), Some([&[7; 59][..], &[8]].concat()));
        assert_eq!(behind(b"\xff"), None);
        assert_eq!(behind(b""), None);
    }
}
