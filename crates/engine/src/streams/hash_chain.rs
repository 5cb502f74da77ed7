//! The hash that an event of a chained category carries.
//!
//! It is of what the event says and of the hash of the event before it in its stream, and of nothing that
//! has to do with where it lies: compaction moves events without touching it. Both hashes stand in the
//! event, so that a stream can be checked from any of its events on. What is hashed, byte by byte, is
//! described in `docs/formats/events.md`.

use super::{EventType, NewEvent, extra, find::Event, label::Label};
use crate::{Error, Result, catalog::Keyspace};
use annals_events::EventFormat;
use std::{fmt, sync::Arc};

/// Bytes of a hash.
pub(crate) const HASH_BYTES: usize = 32;

/// The hash of an event of a [chained](crate::KeyspaceOptions::chained) category, and so of all that came
/// before it in its stream: SHA-256. Shown as hexadecimal digits.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct EventHash([u8; HASH_BYTES]);

impl EventHash {
    /// The hash with these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; HASH_BYTES]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; HASH_BYTES] {
        &self.0
    }

    /// Reads what [`Display`](fmt::Display) writes; `None` if it is something else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.as_bytes();
        if digits.len() != 2 * HASH_BYTES {
            return None;
        }
        let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
        let mut bytes = [0; HASH_BYTES];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = digit(pair[0])? << 4 | digit(pair[1])?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for EventHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for EventHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventHash({self})")
    }
}

/// An event of a chained stream and its hash. Kept where nobody who could change the database can change
/// it too, it shows later whether the stream is still what it was up to here. Shown as `VERSION:HASH`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChainHead {
    /// The version of the event.
    pub version: u64,
    /// Its hash.
    pub hash: EventHash,
}

impl ChainHead {
    /// Reads what [`Display`](fmt::Display) writes; `None` if it is something else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (version, hash) = text.split_once(':')?;
        Some(Self { version: version.parse().ok()?, hash: EventHash::parse(hash)? })
    }
}

impl fmt::Display for ChainHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.version, self.hash)
    }
}

/// The hash of the event before it, and an event's own. That of no event is all zeroes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) before: EventHash,
    pub(crate) own: EventHash,
}

/// What an event says that is known before it has its place in its stream.
#[cfg_attr(
    not(feature = "chained-events"),
    allow(dead_code, reason = "a build that hashes nothing reads only the name of the category")
)]
#[derive(Clone, Copy)]
pub(crate) struct Content<'a> {
    pub(crate) category: &'a str,
    /// The stream's key.
    pub(crate) key: &'a [u8],
    pub(crate) event_type: &'a EventType,
    pub(crate) format: EventFormat,
    /// The extra part; the link in it is passed over.
    pub(crate) extra: &'a [u8],
    pub(crate) data: &'a [u8],
}

pub(crate) use hashing::ContentHash;

#[cfg(feature = "chained-events")]
mod hashing {
    use super::{Content, EventHash, HASH_BYTES, Link, extra};
    use crate::{Result, streams::label::TIME_MAX};
    use sha2::{Digest, Sha256};

    /// Nothing else that is hashed begins like this.
    const OF_CONTENT: &[u8; 24] = b"annals event content 1\n\0";
    const OF_EVENT: &[u8; 24] = b"annals event in chain 1\n";

    /// The hash of an event's content.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct ContentHash([u8; HASH_BYTES]);

    impl ContentHash {
        /// Hashes an event's content. `None` if its extra part is none.
        pub(crate) fn of(content: &Content<'_>) -> Result<Option<Self>> {
            let Content { category, key, event_type, format, extra: bytes, data } = *content;
            let Some((ids, rest)) = extra::without_link(bytes) else { return Ok(None) };
            let parts: [&[u8]; 6] =
                [category.as_bytes(), key, event_type.name.as_bytes(), &ids, rest, data];
            let mut hasher = Sha256::new();
            hasher.update(OF_CONTENT);
            for number in [u64::from(event_type.version), event_type.layout, format.code().into()] {
                hasher.update(number.to_le_bytes());
            }
            // Each part behind its length: no byte can go over from one into the next.
            for part in parts {
                hasher.update((part.len() as u64).to_le_bytes());
                hasher.update(part);
            }
            Ok(Some(Self(hasher.finalize().into())))
        }

        /// What the event with this content carries in its place.
        pub(crate) fn link(&self, before: EventHash, version: u64, time_ms: u64) -> Link {
            let mut hasher = Sha256::new();
            hasher.update(OF_EVENT);
            hasher.update(version.to_le_bytes());
            // As a label can have it.
            hasher.update(time_ms.min(TIME_MAX).to_le_bytes());
            hasher.update(before.as_bytes());
            hasher.update(self.0);
            Link { before, own: EventHash(hasher.finalize().into()) }
        }
    }
}

#[cfg(not(feature = "chained-events"))]
mod hashing {
    use super::{Content, EventHash, Link};
    use crate::{Error, Result};

    /// The hash of an event's content: this build makes none.
    #[derive(Clone, Copy, Debug)]
    pub(crate) enum ContentHash {}

    impl ContentHash {
        pub(crate) fn of(content: &Content<'_>) -> Result<Option<Self>> {
            Err(Error::NoChains { category: content.category.to_owned() })
        }

        pub(crate) fn link(&self, _: EventHash, _: u64, _: u64) -> Link {
            match *self {}
        }
    }
}

/// Whether this build can append to the category `name` and check it, if that is chained.
pub(crate) fn check_built(name: &str, is_chained: bool) -> Result<()> {
    if is_chained && !cfg!(feature = "chained-events") {
        return Err(Error::NoChains { category: name.to_owned() });
    }
    Ok(())
}

/// The hash of the content of an event that is to be appended, whose type has this number, or none yet; `None` if
/// its category is not chained.
pub(crate) fn content_hash(
    category: &Keyspace,
    key: &[u8],
    event: &NewEvent<'_>,
    type_number: Option<u32>,
    extra: &[u8],
) -> Result<Option<ContentHash>> {
    if !category.is_chained() {
        return Ok(None);
    }
    // What stands in the catalog: a layout is known there that who appends JSON does not know.
    let known = type_number.and_then(|number| category.types.get(number));
    let known = known.unwrap_or_else(|| Arc::new(event.event_type()));
    let (category, event_type) = (&*category.name, &*known);
    let (format, data) = (event.format, event.data);
    ContentHash::of(&Content { category, key, event_type, format, extra, data })
}

/// The hash that the event behind `newest` refers to: its own, or zeroes where there is none.
pub(crate) fn hash_of(category: &Keyspace, newest: Option<&Event<'_>>) -> Result<EventHash> {
    let Some(event) = newest.filter(|_| category.is_chained()) else {
        return Ok(EventHash::default());
    };
    let guard = &event.hit.guard;
    let (start, len) = event.hit.record.value;
    let link =
        Label::split(guard.bytes(start, len)).and_then(|(_, label)| extra::link(label.extra));
    match link {
        Some(link) => Ok(link.own),
        None => {
            let what = "the event has no hash, and its category is chained";
            Err(guard.damage(event.hit.address.offset, what).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_and_heads_are_read_as_they_are_shown() {
        let bytes: [u8; HASH_BYTES] = std::array::from_fn(|at| (at as u8).wrapping_mul(9));
        let hash = EventHash::from_bytes(bytes);
        assert_eq!(EventHash::parse(&hash.to_string()), Some(hash));
        assert_eq!(EventHash::parse(&hash.to_string().to_uppercase()), Some(hash));
        let head = ChainHead { version: u64::MAX, hash };
        assert_eq!(ChainHead::parse(&head.to_string()), Some(head));
        let text = hash.to_string();
        let others =
            ["", &text[1..], &format!("{text}0"), &text.replace("09", "0x"), &"é".repeat(32)];
        for other in others {
            assert_eq!(EventHash::parse(other), None, "{other}");
            assert_eq!(ChainHead::parse(&format!("7:{other}")), None, "{other}");
        }
        for other in [text.clone(), format!("-1:{text}"), format!(":{text}")] {
            assert_eq!(ChainHead::parse(&other), None, "{other}");
        }
    }

    /// Every part of what an event says changes its hash, and none can take over bytes of another.
    #[cfg(feature = "chained-events")]
    #[test]
    fn whatever_changes_changes_the_hash() {
        use super::super::extra::Ids;
        let hash = |content: &Content<'_>| {
            let content = ContentHash::of(content).expect("built").expect("well-formed");
            content.link(EventHash::default(), 3, 1_000).own
        };
        let event_type = EventType { name: "paid".into(), version: 2, layout: 7 };
        let mut beside = Vec::new();
        let ids = Ids { event: Some(1), ..Ids::default() };
        extra::encode(&ids, None, &[("user", "ada")], &mut beside);
        let content = Content {
            category: "audit",
            key: b"\x03account",
            event_type: &event_type,
            format: EventFormat::Json,
            extra: &beside,
            data: b"{}",
        };
        let own = hash(&content);
        let mut linked = Vec::new();
        let link = Link { before: own, own };
        extra::encode(&ids, Some(&link), &[("user", "ada")], &mut linked);
        assert_eq!(hash(&Content { extra: &linked, ..content }), own, "not of the link itself");

        let mut others = vec![own];
        let mut add = |hash: EventHash| {
            assert!(!others.contains(&hash));
            others.push(hash);
        };
        add(hash(&Content { category: "audi", key: b"t\x03account", ..content }));
        add(hash(&Content { key: b"\x03accounts", ..content }));
        for event_type in [
            EventType { version: 3, ..event_type.clone() },
            EventType { layout: 8, ..event_type.clone() },
            EventType { name: "pai".into(), ..event_type.clone() },
        ] {
            add(hash(&Content { event_type: &event_type, ..content }));
        }
        add(hash(&Content { format: EventFormat::Bytes, ..content }));
        add(hash(&Content { data: b"{ }", ..content }));
        add(hash(&Content { extra: &[], ..content }));
        for (ids, pairs) in [
            (Ids { correlation: Some(1), ..Ids::default() }, [("user", "ada")]),
            (Ids { event: Some(2), ..Ids::default() }, [("user", "ada")]),
            (ids, [("usera", "da")]),
        ] {
            let mut beside = Vec::new();
            extra::encode(&ids, None, &pairs, &mut beside);
            add(hash(&Content { extra: &beside, ..content }));
        }
        let content = ContentHash::of(&content).expect("built").expect("well-formed");
        add(content.link(own, 3, 1_000).own);
        add(content.link(EventHash::default(), 4, 1_000).own);
        add(content.link(EventHash::default(), 3, 1_001).own);
    }
}
