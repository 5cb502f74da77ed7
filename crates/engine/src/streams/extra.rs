//! What an event may carry beside its data: ids, hashes, and pairs of texts that users add.
//!
//! A byte that says what there is; the ids, of sixteen bytes each; in chained categories two hashes; then
//! the pairs, each text behind its length.

use super::hash_chain::{EventHash, HASH_BYTES, Link};

const HAS_ID: u8 = 0x01;
const HAS_CORRELATION: u8 = 0x02;
const HAS_CAUSATION: u8 = 0x04;
const HAS_LINK: u8 = 0x08;
const IDS: u8 = HAS_ID | HAS_CORRELATION | HAS_CAUSATION;
const KNOWN: u8 = IDS | HAS_LINK;
const ID_BYTES: usize = 16;
const LINK_BYTES: usize = 2 * HASH_BYTES;

/// The ids of an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ids {
    /// Its own: appending an event of an id that the stream has changes nothing.
    pub(crate) event: Option<u128>,
    pub(crate) correlation: Option<u128>,
    pub(crate) causation: Option<u128>,
}

/// As many bytes ids, hashes, and pairs of texts of these lengths, take at most.
pub(crate) fn bytes_of(pairs: impl Iterator<Item = usize>) -> usize {
    pairs.fold(1 + 3 * ID_BYTES + LINK_BYTES, |bytes, texts| {
        bytes.saturating_add(8).saturating_add(texts)
    })
}

/// Appends ids, hashes and pairs; nothing if there are none.
#[inline]
pub(crate) fn encode(ids: &Ids, link: Option<&Link>, pairs: &[(&str, &str)], out: &mut Vec<u8>) {
    let has_ids = ids.event.is_some() || ids.correlation.is_some() || ids.causation.is_some();
    if link.is_some() || !pairs.is_empty() || has_ids {
        encode_some(ids, link, pairs, out);
    }
}

fn encode_some(ids: &Ids, link: Option<&Link>, pairs: &[(&str, &str)], out: &mut Vec<u8>) {
    let all =
        [(HAS_ID, ids.event), (HAS_CORRELATION, ids.correlation), (HAS_CAUSATION, ids.causation)];
    let there = all.iter().filter(|(_, id)| id.is_some()).fold(0, |there, (flag, _)| there | flag);
    let there = if link.is_some() { there | HAS_LINK } else { there };
    out.push(there);
    for (_, id) in all {
        out.extend(id.iter().flat_map(|id| id.to_be_bytes()));
    }
    if let Some(link) = link {
        out.extend_from_slice(link.before.as_bytes());
        out.extend_from_slice(link.own.as_bytes());
    }
    for text in pairs.iter().flat_map(|(name, value)| [name, value]) {
        out.extend_from_slice(&(text.len() as u32).to_le_bytes());
        out.extend_from_slice(text.as_bytes());
    }
}

/// The ids, and where the pairs begin. `None` if the bytes are none of these.
pub(crate) fn ids(extra: &[u8]) -> Option<(Ids, &[u8])> {
    let Some((there, mut rest)) = extra.split_first() else { return Some((Ids::default(), extra)) };
    if there & !KNOWN != 0 {
        return None;
    }
    let mut take = |flag: u8| -> Option<Option<u128>> {
        if there & flag == 0 {
            return Some(None);
        }
        let (id, behind) = rest.split_first_chunk::<16>()?;
        rest = behind;
        Some(Some(u128::from_be_bytes(*id)))
    };
    let ids = Ids {
        event: take(HAS_ID)?,
        correlation: take(HAS_CORRELATION)?,
        causation: take(HAS_CAUSATION)?,
    };
    if there & HAS_LINK != 0 {
        rest = rest.get(LINK_BYTES..)?;
    }
    Some((ids, rest))
}

/// Where the hashes are, if there are any.
fn link_at(extra: &[u8]) -> Option<std::ops::Range<usize>> {
    let there = *extra.first()?;
    if there & !KNOWN != 0 || there & HAS_LINK == 0 {
        return None;
    }
    let start = 1 + (there & IDS).count_ones() as usize * ID_BYTES;
    (start + LINK_BYTES <= extra.len()).then_some(start..start + LINK_BYTES)
}

/// The hashes; `None` if there are none.
pub(crate) fn link(extra: &[u8]) -> Option<Link> {
    let (before, own) = extra[link_at(extra)?].split_first_chunk::<HASH_BYTES>()?;
    let own = EventHash::from_bytes(own.try_into().ok()?);
    Some(Link { before: EventHash::from_bytes(*before), own })
}

/// Puts hashes where some are. False if there are none.
pub(crate) fn set_link(extra: &mut [u8], link: &Link) -> bool {
    let Some(at) = link_at(extra) else { return false };
    let (before, own) = extra[at].split_at_mut(HASH_BYTES);
    before.copy_from_slice(link.before.as_bytes());
    own.copy_from_slice(link.own.as_bytes());
    true
}

/// What there is beside the hashes, as it is hashed: the ids and which there are, none of these bytes if there
/// are no ids and no pairs; and the pairs. `None` if the bytes are no extra part.
#[cfg(feature = "chained-events")]
pub(crate) fn without_link(extra: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (of_event, rest) = ids(extra)?;
    let mut out = Vec::new();
    encode(&of_event, None, &[], &mut out);
    if out.is_empty() && !rest.is_empty() {
        out.push(0);
    }
    Some((out, rest))
}

/// The pairs behind the ids, up to the first bytes that are none.
pub(crate) fn pairs(mut rest: &[u8]) -> impl Iterator<Item = (&str, &str)> {
    let mut text = move || -> Option<&str> {
        let (len, behind) = rest.split_first_chunk::<4>()?;
        let (text, behind) = behind.split_at_checked(u32::from_le_bytes(*len) as usize)?;
        rest = behind;
        std::str::from_utf8(text).ok()
    };
    std::iter::from_fn(move || Some((text()?, text()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_in_comes_out() {
        let all: [Ids; 3] = [
            Ids::default(),
            Ids { correlation: Some(7), ..Ids::default() },
            Ids { event: Some(1), correlation: Some(u128::MAX), causation: Some(3) },
        ];
        let some = EventHash::from_bytes([7; HASH_BYTES]);
        let links = [None, Some(Link::default()), Some(Link { before: some, own: some })];
        for (of_event, linked) in all.into_iter().flat_map(|ids| links.map(|link| (ids, link))) {
            for given in [&[][..], &[("user", "ada")], &[("", ""), ("a", "ü")]] {
                let mut bytes = Vec::new();
                encode(&of_event, linked.as_ref(), given, &mut bytes);
                let is_nothing = of_event == Ids::default() && given.is_empty() && linked.is_none();
                assert_eq!(bytes.is_empty(), is_nothing);
                let (found, rest) = ids(&bytes).expect("what was encoded");
                assert_eq!((found, link(&bytes)), (of_event, linked));
                assert_eq!(pairs(rest).collect::<Vec<_>>(), given);
                let mut set = bytes.clone();
                let other = Link { before: some, own: EventHash::default() };
                assert_eq!(set_link(&mut set, &other), linked.is_some());
                assert_eq!(link(&set), linked.map(|_| other));
                assert_eq!(set.len(), bytes.len());
                for cut in 1..bytes.len() {
                    // Cut off, it is refused or has less; it is never read beyond.
                    if let Some((_, rest)) = ids(&bytes[..cut]) {
                        assert!(pairs(rest).count() <= given.len());
                    }
                }
            }
        }
        assert_eq!(ids(&[0x80]), None);
    }
}
