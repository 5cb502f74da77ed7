//! How one version lies in a memtable's bytes.
//!
//! `seq:8 | key length and kind:4 | value length:4 | expires_ms:8, if it expires | key | value`, in the
//! byte order of the processor: this is memory, not a format.

use super::bytes::{Appender, Bytes};
use crate::{Entry, EntryKind};
use std::cmp::Ordering;

/// The longest key in bytes.
const KEY_BYTES_MAX: usize = (1 << 24) - 1;
/// The bytes in front of the key, for what does not expire.
const HEADER: usize = 16;
/// Where the kind is in the word that it shares with the key's length.
const KIND_SHIFT: u32 = 24;
/// Set where an expiry follows the header.
const EXPIRES: u32 = 1 << 31;

/// How many bytes a version takes at most.
#[inline]
pub(super) fn bytes_max(entry: &Entry<'_>) -> u64 {
    (HEADER + 8) as u64 + entry.key.len() as u64 + entry.value.len() as u64
}

/// Writes a version; says where it is.
///
/// # Panics
/// If the key is longer than 16 MiB or the value than 4 GiB.
#[inline]
pub(super) fn append(appender: &mut Appender, entry: &Entry<'_>) -> u32 {
    assert!(entry.key.len() <= KEY_BYTES_MAX, "a key of {} bytes", entry.key.len());
    let value_len = u32::try_from(entry.value.len()).expect("a value is shorter than 4 GiB");
    let kind: u32 = match entry.kind {
        EntryKind::Put => 0,
        EntryKind::Pointer => 1,
        EntryKind::Remove => 2,
    };
    let expires = if entry.expires_ms.is_some() { EXPIRES } else { 0 };
    let lengths = entry.key.len() as u32 | kind << KIND_SHIFT | expires;
    let mut header = [0; HEADER + 8];
    header[..8].copy_from_slice(&entry.seq.to_ne_bytes());
    header[8..12].copy_from_slice(&lengths.to_ne_bytes());
    header[12..16].copy_from_slice(&value_len.to_ne_bytes());
    let header = match entry.expires_ms {
        None => &header[..HEADER],
        Some(expires_ms) => {
            header[HEADER..].copy_from_slice(&expires_ms.to_ne_bytes());
            &header[..]
        }
    };
    appender.append([header, entry.key, entry.value])
}

/// The version at an address.
#[inline]
pub(super) fn read(bytes: &Bytes, address: u32) -> Entry<'_> {
    let record = bytes.at(address);
    let (header, rest) = record.split_at(HEADER);
    let lengths = u32_at(header, 8);
    let (expires_ms, rest) = if lengths & EXPIRES == 0 {
        (None, rest)
    } else {
        let (expires_ms, rest) = rest.split_at(8);
        (Some(u64_at(expires_ms, 0)), rest)
    };
    let (key, rest) = rest.split_at(lengths as usize & KEY_BYTES_MAX);
    let kind = match lengths >> KIND_SHIFT & 3 {
        0 => EntryKind::Put,
        1 => EntryKind::Pointer,
        _ => EntryKind::Remove,
    };
    let value = &rest[..u32_at(header, 12) as usize];
    Entry { key, seq: u64_at(header, 0), kind, expires_ms, value }
}

/// How the version at an address stands to the version `seq` of `key`.
#[inline]
pub(super) fn order(bytes: &Bytes, address: u32, key: &[u8], seq: u64) -> Ordering {
    let (its_key, its_seq) = place(bytes, address);
    its_key.cmp(key).then(seq.cmp(&its_seq))
}

/// The key and sequence number of the version at an address.
#[inline]
pub(super) fn place(bytes: &Bytes, address: u32) -> (&[u8], u64) {
    let record = bytes.at(address);
    let lengths = u32_at(record, 8);
    let from = if lengths & EXPIRES == 0 { HEADER } else { HEADER + 8 };
    (&record[from..][..lengths as usize & KEY_BYTES_MAX], u64_at(record, 0))
}

#[inline(always)]
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |chunk| u32::from_ne_bytes(*chunk))
}

#[inline(always)]
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |chunk| u64::from_ne_bytes(*chunk))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memtable::spare::SpareMemory;
    use std::sync::Arc;

    #[test]
    fn a_version_comes_back_as_it_was() {
        let mut appender = Appender::new(&Arc::new(SpareMemory::new(0)));
        let long = vec![9; 1 << 16];
        let mut seq = 0;
        for kind in [EntryKind::Put, EntryKind::Pointer, EntryKind::Remove] {
            for expires_ms in [None, Some(0), Some(u64::MAX)] {
                for key in [&b""[..], b"k", &long] {
                    for value in [&b""[..], b"v", &long] {
                        seq += u64::MAX / 100;
                        let entry = Entry { key, seq, kind, expires_ms, value };
                        let address = append(&mut appender, &entry);
                        assert_eq!(read(appender.bytes(), address), entry);
                        assert_eq!(place(appender.bytes(), address), (key, seq));
                        assert_eq!(order(appender.bytes(), address, key, seq), Ordering::Equal);
                        assert_eq!(
                            order(appender.bytes(), address, key, seq + 1),
                            Ordering::Greater
                        );
                        assert_eq!(order(appender.bytes(), address, b"l", seq), key.cmp(b"l"));
                    }
                }
            }
        }
    }
}
