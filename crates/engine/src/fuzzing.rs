//! Entry points for fuzz targets and property tests: each takes any bytes, decodes them, and
//! asserts what must hold of whatever comes out. None of it is for users.

use crate::{
    catalog::{Change, KeyspaceKind, KeyspaceOptions},
    checkpoint,
    streams::{
        ChainHead, EventHash, EventType, Label, Link, Mark, NewEvent, StreamKey, encode_extra,
        extra, id_of_key,
    },
};

/// A record of the catalog.
pub fn catalog(bytes: &[u8]) {
    if let Some(change) = Change::decode(bytes) {
        assert_eq!(change.encode(), bytes, "what decodes encodes the same");
    }
}

/// Records of the catalog that are right, for mutations to start from.
#[must_use]
pub fn sample_changes() -> Vec<Vec<u8>> {
    let (kind, options) = <(KeyspaceKind, KeyspaceOptions)>::default();
    let create = Change::Create { id: 7, name: "sessions".into(), kind, options };
    let renew = Change::Renew { id: 7, tree: 8 };
    let replace = Change::Replace { id: 7, tree: 9, records_count: 1000 };
    let event_type = EventType { name: "placed".into(), version: 2, layout: 7 };
    let event_type = Change::EventType { id: 7, number: 1, event_type };
    let name = "audit".into();
    let (kind, options) = (KeyspaceKind::Streams, options.chained());
    let audit = Change::Create { id: 8, name, kind, options };
    let (drop, clear) = (Change::Drop { id: 7 }, Change::Clear { id: 7 });
    let all = [create, drop, clear, renew, replace, event_type, audit];
    all.map(|change| change.encode()).to_vec()
}

/// The value of an event's record: its data, the label behind them, and what it has beside.
pub fn event(bytes: &[u8]) {
    let Some((data_len, label)) = Label::split(bytes) else { return };
    assert!(data_len + label.extra.len() < bytes.len(), "all of it is in the value");
    let mut again = bytes[..data_len].to_vec();
    label.encode(&mut again);
    assert_eq!(Label::split(&again), Some((data_len, label)), "what is split off encodes the same");
    event_extra(label.extra);
}

/// What an event has beside its data: ids, hashes, pairs of texts.
pub fn event_extra(bytes: &[u8]) {
    let link = extra::link(bytes);
    let Some((ids, rest)) = extra::ids(bytes) else {
        assert_eq!(link, None, "what is cut off has no hashes");
        return;
    };
    let mut set = bytes.to_vec();
    let other = Link { before: link.unwrap_or_default().own, own: EventHash::from_bytes([7; 32]) };
    assert_eq!(extra::set_link(&mut set, &other), link.is_some());
    assert_eq!(extra::link(&set), link.map(|_| other), "they are put where they are looked for");
    assert_eq!(extra::ids(&set), Some((ids, rest)), "and nothing else is touched");
    let pairs: Vec<_> = extra::pairs(rest).collect();
    let texts_bytes: usize = pairs.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
    assert!(texts_bytes <= rest.len(), "each text has its bytes in the value");
    let mut again = Vec::new();
    extra::encode(&ids, link.as_ref(), &pairs, &mut again);
    let (ids_again, rest) = extra::ids(&again).expect("what was encoded");
    assert_eq!((ids_again, extra::link(&again)), (ids, link), "what decodes encodes the same");
    assert!(extra::pairs(rest).eq(pairs), "what decodes encodes the same");
}

/// The value of an event that is right, for mutations to start from.
#[must_use]
pub fn sample_event() -> Vec<u8> {
    let new = NewEvent::bytes("placed", b"").id(1).correlation(2).causation(3).with("user", "ada");
    let mut extra = Vec::new();
    encode_extra(&new, true, &mut extra);
    let mut value = b"seven apples".to_vec();
    let before = crate::streams::Before::Within(4096);
    let (format, type_number, version, time_ms) = (new.format, 3, 300, 1_800_000_000_000);
    Label { type_number, version, time_ms, format, before, extra: &extra }.encode(&mut value);
    value
}

/// The mark of a stream.
pub fn mark(bytes: &[u8]) {
    if let Some(mark) = Mark::decode(bytes) {
        assert_eq!(mark.encode(), bytes, "what decodes encodes the same");
    }
}

/// The head of a chained stream, as text.
pub fn chain_head(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(head) = ChainHead::parse(text) {
        assert_eq!(ChainHead::parse(&head.to_string()), Some(head), "what is shown is read");
    }
}

/// The key of a stream's records.
pub fn stream_key(bytes: &[u8]) {
    if let Some(id) = id_of_key(bytes) {
        let key = StreamKey::of(&id).expect("no longer than it may be");
        assert_eq!(key.bytes(), bytes, "each id has one key");
    }
}

/// A checkpoint file.
pub fn checkpoint(bytes: &[u8]) {
    check(bytes);
    let mut mended = bytes.to_vec();
    checkpoint::mend(&mut mended);
    check(&mended);
}

fn check(bytes: &[u8]) {
    let number = |at: usize| {
        let raw = bytes.get(at..at + 8).and_then(|raw| raw.try_into().ok());
        raw.map_or(0, u64::from_le_bytes)
    };
    let slots: Vec<u32> = (0..16).collect();
    if let Ok(loaded) = checkpoint::read(bytes, number(16), number(24), &slots) {
        let keys_of = |listed: &crate::catalog::Listed| {
            let chains: usize = if listed.keyspace.is_category() {
                listed.view.chains().tables().iter().map(|table| table.len()).sum()
            } else {
                0
            };
            listed.view.table.len() + chains + listed.keyspace.types.count() as usize
        };
        let keys: usize = loaded.catalog.iter().map(keys_of).sum();
        assert!(keys <= bytes.len(), "each key has its bytes in the file");
    }
}
