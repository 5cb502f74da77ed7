//! Options of keyspaces as bytes.

use super::{KeyspaceKind, KeyspaceOptions};
use crate::clock::as_ms;
use std::time::Duration;

/// Kind and time to live.
const HEAD_BYTES: usize = 9;
/// With the kind: options of a category follow. Each is a number that says which, and eight bytes of value. They
/// stand by rising numbers, and those that are as usual are left out.
const FLAG_MORE: u8 = 0x80;
const CHAINED: u8 = 1;
const ENTRY_BYTES: usize = 9;
/// In place of a time to live.
const NO_TTL: u64 = u64::MAX;

pub(crate) fn encode_options(kind: KeyspaceKind, options: &KeyspaceOptions, out: &mut Vec<u8>) {
    let code = match kind {
        KeyspaceKind::Hash => 1,
        KeyspaceKind::Ordered => 2,
        KeyspaceKind::Streams => 3,
        KeyspaceKind::Table => 4,
    };
    let more: Vec<(u8, u64)> = options.chained.then_some((CHAINED, 1)).into_iter().collect();
    out.push(if more.is_empty() { code } else { code | FLAG_MORE });
    let ttl_ms = options.ttl.map_or(NO_TTL, |ttl| as_ms(ttl).min(NO_TTL - 1));
    out.extend_from_slice(&ttl_ms.to_le_bytes());
    if !more.is_empty() {
        out.push(more.len() as u8);
    }
    for (number, value) in more {
        out.push(number);
        out.extend_from_slice(&value.to_le_bytes());
    }
}

/// Takes options off the start of `bytes`. `None` if they are none that this build writes.
pub(crate) fn decode_options(bytes: &[u8]) -> Option<(KeyspaceKind, KeyspaceOptions, &[u8])> {
    let (head, mut rest) = bytes.split_at_checked(HEAD_BYTES)?;
    let (code, ttl) = head.split_first()?;
    let kind = match code & !FLAG_MORE {
        1 => KeyspaceKind::Hash,
        2 => KeyspaceKind::Ordered,
        3 => KeyspaceKind::Streams,
        4 => KeyspaceKind::Table,
        _ => return None,
    };
    let ttl_ms = u64::from_le_bytes(ttl.try_into().ok()?);
    let ttl = (ttl_ms != NO_TTL).then(|| Duration::from_millis(ttl_ms));
    let mut options = KeyspaceOptions { ttl, ..KeyspaceOptions::default() };
    if code & FLAG_MORE != 0 {
        rest = decode_more(rest, &mut options).filter(|_| kind == KeyspaceKind::Streams)?;
    }
    Some((kind, options, rest))
}

/// Takes the options of a category off the start of `bytes`.
fn decode_more<'a>(bytes: &'a [u8], options: &mut KeyspaceOptions) -> Option<&'a [u8]> {
    let (count, rest) = bytes.split_first()?;
    let (entries, rest) = rest.split_at_checked(usize::from(*count) * ENTRY_BYTES)?;
    let mut last = 0;
    for entry in entries.chunks_exact(ENTRY_BYTES) {
        let (number, value) = entry.split_first()?;
        if *number <= last {
            return None;
        }
        last = *number;
        match (*number, u64::from_le_bytes(value.try_into().ok()?)) {
            (CHAINED, 1) => options.chained = true,
            _ => return None,
        }
    }
    (*count > 0).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_round_trip_and_others_are_refused() {
        let options = KeyspaceOptions::default().ttl(Duration::from_millis(5)).chained();
        let mut bytes = Vec::new();
        encode_options(KeyspaceKind::Streams, &options, &mut bytes);
        let more = [1, CHAINED, 1, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(bytes, [&[0x83, 5, 0, 0, 0, 0, 0, 0, 0][..], &more].concat());
        bytes.push(7);
        assert_eq!(decode_options(&bytes), Some((KeyspaceKind::Streams, options, &[7][..])));
        for cut in 0..bytes.len() - 1 {
            assert_eq!(decode_options(&bytes[..cut]), None, "cut at {cut}");
        }
        bytes[0] = 0x81;
        assert_eq!(decode_options(&bytes), None, "those of a category in a hash keyspace");

        let entry = |number: u8, value: u8| [number, value, 0, 0, 0, 0, 0, 0, 0];
        let unknown = [&[1][..], &entry(200, 1)].concat();
        let other_value = [&[1][..], &entry(CHAINED, 2)].concat();
        let twice = [&[2][..], &entry(CHAINED, 1), &entry(CHAINED, 1)].concat();
        for more in [vec![0], unknown, other_value, twice] {
            let bytes = [&[0x83, 5, 0, 0, 0, 0, 0, 0, 0][..], &more].concat();
            assert_eq!(decode_options(&bytes), None, "{more:?}");
        }
    }

    #[test]
    fn a_time_to_live_without_end_stays_one() {
        for ttl in [Duration::MAX, Duration::from_secs(1 << 62), Duration::from_millis(u64::MAX)] {
            let mut bytes = Vec::new();
            encode_options(KeyspaceKind::Hash, &KeyspaceOptions::default().ttl(ttl), &mut bytes);
            let (_, options, _) = decode_options(&bytes).expect("they were just encoded");
            assert_eq!(options.ttl, Some(Duration::from_millis(u64::MAX - 1)));
        }
    }
}
