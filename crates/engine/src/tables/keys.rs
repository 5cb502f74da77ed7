//! The keys of a table's records: a letter that says what it is, and a number.

/// Of the schema.
pub(super) const SCHEMA: &[u8] = b"s";
/// Of the options.
pub(super) const OPTIONS: &[u8] = b"t";
/// Of the mark of whoever appends.
pub(super) const MARK: &[u8] = b"m";
const FRESH: u8 = b'f';
const PART: u8 = b'p';
const DELETED_FRESH: u8 = b'e';
const DELETED: u8 = b'd';
const OLDER: u8 = b'o';
/// A letter and a number.
pub(super) const NUMBERED_BYTES: usize = 9;

/// What a record of a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Schema,
    Options,
    Mark,
    /// A schema that the table had before, by its fingerprint.
    Older(u64),
    Fresh(u64),
    Part(u64),
    /// Which rows of a fresh batch were deleted.
    DeletedFresh(u64),
    /// Which rows of a part were deleted.
    Deleted(u64),
}

impl Key {
    /// Reads a key; `None` if it is none that this build writes.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes == SCHEMA {
            return Some(Self::Schema);
        }
        if bytes == OPTIONS {
            return Some(Self::Options);
        }
        if bytes == MARK {
            return Some(Self::Mark);
        }
        let (letter, number) = bytes.split_first()?;
        let number = u64::from_be_bytes(number.try_into().ok()?);
        match *letter {
            FRESH => Some(Self::Fresh(number)),
            PART => Some(Self::Part(number)),
            DELETED_FRESH => Some(Self::DeletedFresh(number)),
            DELETED => Some(Self::Deleted(number)),
            OLDER => Some(Self::Older(number)),
            _ => None,
        }
    }
}

fn numbered(letter: u8, number: u64) -> [u8; NUMBERED_BYTES] {
    let mut key = [letter; NUMBERED_BYTES];
    key[1..].copy_from_slice(&number.to_be_bytes());
    key
}

/// The key of a fresh batch.
pub(super) fn fresh(number: u64) -> [u8; NUMBERED_BYTES] {
    numbered(FRESH, number)
}

/// The key of a part.
pub(super) fn part(number: u64) -> [u8; NUMBERED_BYTES] {
    numbered(PART, number)
}

/// The key of a schema that the table had before.
pub(super) fn older(fingerprint: u64) -> [u8; NUMBERED_BYTES] {
    numbered(OLDER, fingerprint)
}

/// The key of what was deleted of a fresh batch.
pub(super) fn deleted_fresh(number: u64) -> [u8; NUMBERED_BYTES] {
    numbered(DELETED_FRESH, number)
}

/// The key of what was deleted of a part.
pub(super) fn deleted(number: u64) -> [u8; NUMBERED_BYTES] {
    numbered(DELETED, number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back() {
        assert_eq!(Key::decode(SCHEMA), Some(Key::Schema));
        assert_eq!(Key::decode(OPTIONS), Some(Key::Options));
        assert_eq!(Key::decode(MARK), Some(Key::Mark));
        assert_eq!(Key::decode(&fresh(7)), Some(Key::Fresh(7)));
        assert_eq!(Key::decode(&part(u64::MAX)), Some(Key::Part(u64::MAX)));
        assert_eq!(Key::decode(&deleted_fresh(3)), Some(Key::DeletedFresh(3)));
        assert_eq!(Key::decode(&deleted(4)), Some(Key::Deleted(4)));
        assert_eq!(Key::decode(&older(5)), Some(Key::Older(5)));
        for other in [&b""[..], b"f", b"x12345678", b"f123456789", b"ss"] {
            assert_eq!(Key::decode(other), None, "{other:?}");
        }
    }
}
