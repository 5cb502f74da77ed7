//! What is kept of a persistent subscription in its keyspace, as bytes: what it gives out, how far it has
//! come, and which events are parked.
//!
//! Layout: `docs/formats/persistent-subscriptions.md`.

use super::{
    board::Progress,
    options::{Selection, Settings, Strategy},
};
use annals_journal::Seq;
use std::collections::BTreeMap;

/// The keys. Those of parked events are eight bytes, as no other is.
pub(super) const DEFINITION_KEY: &[u8] = b"definition";
pub(super) const PROGRESS_KEY: &[u8] = b"place";

const VERSION: u8 = 1;
const HAS_CATEGORY: u8 = 0x01;
const HAS_STREAM: u8 = 0x02;

/// A parked event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ParkedRecord {
    /// It is to be given out again, and parked no longer.
    pub(super) is_replayed: bool,
    /// The number of its category.
    pub(super) space: u32,
    pub(super) stream: Vec<u8>,
    pub(super) version: u64,
    pub(super) attempts: u32,
    /// When it was parked, in milliseconds since 1970.
    pub(super) time_ms: u64,
    pub(super) reason: String,
}

pub(super) fn parked_key(seq: Seq) -> [u8; 8] {
    seq.0.to_be_bytes()
}

/// The event that is parked under `key`; `None` if the key is of something else.
pub(super) fn parked_seq(key: &[u8]) -> Option<Seq> {
    Some(Seq(u64::from_be_bytes(key.try_into().ok()?)))
}

pub(super) fn encode_definition(selection: &Selection, settings: &Settings) -> Vec<u8> {
    let has = |flag, is| if is { flag } else { 0 };
    let flags = has(HAS_CATEGORY, selection.category.is_some())
        | has(HAS_STREAM, selection.stream.is_some());
    let mut out = vec![VERSION, flags];
    for text in [selection.category.as_deref().map(str::as_bytes), selection.stream.as_deref()] {
        text.iter().for_each(|text| put_bytes(&mut out, text));
    }
    put(&mut out, selection.types.len() as u64);
    selection.types.iter().for_each(|name| put_bytes(&mut out, name.as_bytes()));
    out.push(match settings.strategy {
        Strategy::ByStream => 0,
        Strategy::Any => 1,
    });
    for number in [
        settings.ack_timeout_ms,
        settings.attempts_max.into(),
        settings.retry_delay_ms,
        settings.in_flight_max.into(),
        settings.write_count.into(),
        settings.write_ms,
    ] {
        put(&mut out, number);
    }
    out
}

/// `None` if the bytes are no definition that this build knows.
pub(super) fn decode_definition(bytes: &[u8]) -> Option<(Selection, Settings)> {
    let [VERSION, flags, rest @ ..] = bytes else { return None };
    if flags & !(HAS_CATEGORY | HAS_STREAM) != 0 {
        return None;
    }
    let mut rest = rest;
    let category = match flags & HAS_CATEGORY {
        0 => None,
        _ => Some(take_text(&mut rest)?),
    };
    let stream = match flags & HAS_STREAM {
        0 => None,
        _ => Some(take_bytes(&mut rest)?.to_vec()),
    };
    let types_count = take(&mut rest)?;
    let types = (0..types_count).map(|_| take_text(&mut rest)).collect::<Option<Vec<_>>>()?;
    let strategy = match rest.split_off_first()? {
        0 => Strategy::ByStream,
        1 => Strategy::Any,
        _ => return None,
    };
    let settings = Settings {
        strategy,
        ack_timeout_ms: take(&mut rest)?,
        attempts_max: take(&mut rest)?.try_into().ok()?,
        retry_delay_ms: take(&mut rest)?,
        in_flight_max: take(&mut rest)?.try_into().ok()?,
        write_count: take(&mut rest)?.try_into().ok()?,
        write_ms: take(&mut rest)?,
    };
    let selection = Selection { category, stream, types };
    rest.is_empty().then_some((selection, settings))
}

pub(super) fn encode_progress(progress: &Progress) -> Vec<u8> {
    let mut out = vec![VERSION];
    put(&mut out, progress.next.0);
    put(&mut out, progress.holes.len() as u64);
    let mut before = 0;
    // They are in their order, so that no step is below zero.
    for (seq, attempts) in &progress.holes {
        put(&mut out, seq.0.saturating_sub(before));
        put(&mut out, (*attempts).into());
        before = seq.0;
    }
    out
}

/// `None` if the bytes are no progress that this build knows.
pub(super) fn decode_progress(bytes: &[u8]) -> Option<Progress> {
    let [VERSION, rest @ ..] = bytes else { return None };
    let mut rest = rest;
    let next = Seq(take(&mut rest)?);
    let count = take(&mut rest)?;
    let mut holes: BTreeMap<Seq, u32> = BTreeMap::new();
    for _ in 0..count {
        let (step, attempts) = (take(&mut rest)?, take(&mut rest)?);
        let before = holes.keys().next_back().map(|seq| seq.0);
        if before.is_some() && step == 0 {
            return None;
        }
        let seq = Seq(before.unwrap_or(0).checked_add(step)?);
        holes.insert(seq, attempts.try_into().ok()?);
    }
    let is_in_front = holes.keys().next_back().is_none_or(|seq| *seq < next);
    (rest.is_empty() && is_in_front).then_some(Progress { next, holes })
}

pub(super) fn encode_parked(parked: &ParkedRecord) -> Vec<u8> {
    let mut out = vec![VERSION, parked.is_replayed.into()];
    put(&mut out, parked.space.into());
    put_bytes(&mut out, &parked.stream);
    for number in [parked.version, parked.attempts.into(), parked.time_ms] {
        put(&mut out, number);
    }
    put_bytes(&mut out, parked.reason.as_bytes());
    out
}

/// `None` if the bytes are no parked event that this build knows.
pub(super) fn decode_parked(bytes: &[u8]) -> Option<ParkedRecord> {
    let [VERSION, is_replayed @ (0 | 1), rest @ ..] = bytes else { return None };
    let mut rest = rest;
    let parked = ParkedRecord {
        is_replayed: *is_replayed == 1,
        space: take(&mut rest)?.try_into().ok()?,
        stream: take_bytes(&mut rest)?.to_vec(),
        version: take(&mut rest)?,
        attempts: take(&mut rest)?.try_into().ok()?,
        time_ms: take(&mut rest)?,
        reason: take_text(&mut rest)?,
    };
    rest.is_empty().then_some(parked)
}

/// Appends a number, seven bits a byte, the lowest first.
fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn take(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *rest.split_off_first()?;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            return None;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn take_bytes<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let len = usize::try_from(take(rest)?).ok()?;
    rest.split_off(..len)
}

fn take_text(rest: &mut &[u8]) -> Option<String> {
    Some(std::str::from_utf8(take_bytes(rest)?).ok()?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection() -> Selection {
        Selection {
            category: Some("orders".into()),
            stream: Some(vec![1, 17]),
            types: vec!["paid".into(), "placed".into()],
        }
    }

    fn parked() -> ParkedRecord {
        let (stream, reason) = (vec![3, b'a'], "no such user".to_owned());
        let (version, attempts, time_ms) = (300, 10, 1_795_000_000_000);
        ParkedRecord { is_replayed: true, space: 7, stream, version, attempts, time_ms, reason }
    }

    #[test]
    fn what_is_written_is_what_the_format_says() {
        let progress = Progress { next: Seq(1_000), holes: [(Seq(5), 0), (Seq(300), 2)].into() };
        assert_eq!(encode_progress(&progress), [1, 0xe8, 7, 2, 5, 0, 0xa7, 2, 2]);
        let definition = encode_definition(&selection(), &Settings::default());
        let texts = b"\x01\x03\x06orders\x02\x01\x11\x02\x04paid\x06placed\x00".to_vec();
        let numbers = [0xb0, 0xea, 1, 10, 0xe8, 7, 0xe8, 7, 0xc8, 1, 0xe8, 7];
        assert_eq!(definition, [texts, numbers.to_vec()].concat());
        let bytes = encode_parked(&parked());
        assert_eq!(bytes[..8], [1, 1, 7, 2, 3, b'a', 0xac, 2]);
        assert_eq!(parked_seq(&parked_key(Seq(7))), Some(Seq(7)));
        assert_eq!((parked_seq(PROGRESS_KEY), parked_seq(DEFINITION_KEY)), (None, None));
    }

    /// Each of the decoders, as whether it takes the bytes and writes the same again.
    fn round_trips(bytes: &[u8]) -> [Option<bool>; 3] {
        let definition = decode_definition(bytes).map(|(what, how)| encode_definition(&what, &how));
        let progress = decode_progress(bytes).map(|progress| encode_progress(&progress));
        let parked = decode_parked(bytes).map(|parked| encode_parked(&parked));
        [definition, progress, parked].map(|again| again.map(|again| again == bytes))
    }

    #[test]
    fn what_is_cut_or_changed_is_refused_or_something_else_and_never_a_panic() {
        let progress = Progress { next: Seq(u64::MAX), holes: [(Seq(1), 1), (Seq(2), 9)].into() };
        let all = [
            encode_definition(&selection(), &Settings::default()),
            encode_definition(&Selection::default(), &Settings::default()),
            encode_progress(&progress),
            encode_parked(&parked()),
        ];
        for (index, bytes) in all.iter().enumerate() {
            let decoder = [0, 0, 1, 2][index];
            assert_eq!(round_trips(bytes)[decoder], Some(true), "{index}");
            for len in 0..bytes.len() {
                assert_eq!(round_trips(&bytes[..len])[decoder], None, "{index} cut at {len}");
            }
            for at in 0..bytes.len() {
                for bit in 0..8 {
                    let mut changed = bytes.clone();
                    changed[at] ^= 1 << bit;
                    let _ = round_trips(&changed);
                }
            }
            let longer = [&bytes[..], &[0]].concat();
            assert_eq!(round_trips(&longer)[decoder], None);
        }
        let far = [&[1, 1][..], &[0xff; 9], &[1]].concat();
        assert_eq!(round_trips(&far), [None; 3]);
    }

    #[test]
    fn holes_that_cannot_be_are_refused() {
        assert_eq!(decode_progress(&[1, 9, 2, 3, 0, 0, 0]), None, "the same twice");
        assert_eq!(decode_progress(&[1, 9, 1, 9, 0]), None, "behind what was read");
    }
}
