//! Entry points for fuzz targets and property tests: each takes any bytes, decodes them, and
//! asserts what must hold of whatever comes out. None of it is for users.
//!
//! Random bytes hardly ever have a right checksum, so each decoder is also given the bytes with
//! their checksums made right: what a checksum cannot keep out must not do harm either.

use crate::{
    Config, Draft, FrameBuilder, FrameHeader, FrameKind, FrameView, Journal, Kind, Look, Position,
    Root, RootSegment, Seq, checksum,
    config::Background,
    format::{
        FRAME_HEADER_BYTES, SEGMENT_HEADER_BYTES, SegmentHeader, SegmentKind, segment_name,
        segment_seed,
    },
    record, varint,
};
use annals_disk::{Disk, MemoryDisk};
use std::{path::Path, sync::Arc};

const ID: u64 = 7;
const BASE: Seq = Seq(1);
const SEGMENT_BYTES: usize = 64 << 10;

fn seed() -> u32 {
    segment_seed(ID, 1)
}

/// A number in seven-bit groups.
pub fn varint(bytes: &[u8]) {
    let mut at = 0;
    let Some(value) = varint::read(bytes, &mut at) else { return };
    assert!(at <= 10 && at <= bytes.len());
    let mut out = [0; 10];
    let len = varint::write(value, &mut out);
    assert_eq!(varint::read(&out[..len], &mut 0), Some(value));
    assert!(len <= at, "the shortest form is not longer");
}

/// A record.
pub fn record(bytes: &[u8]) {
    let Some(parsed) = record::parse(bytes, BASE) else {
        glances(bytes, 1, b"key");
        return;
    };
    let (space, key) = (parsed.record.space, parsed.record.key);
    let this = glances(bytes, space, key);
    assert_eq!(this, Some((parsed.record.seq, parsed.record.value)));
    glances(bytes, space.wrapping_add(0x100), key);
    glances(bytes, space, &[key, &[0]].concat());
    if let Some((first, rest)) = key.split_first() {
        assert_eq!(glances(bytes, space, rest), None);
        assert_eq!(glances(bytes, space, &[&[!first][..], rest].concat()), None);
    }
    assert!(parsed.len <= bytes.len());
    let found = parsed.record;
    let mut out = Vec::new();
    let draft = Draft {
        kind: found.kind,
        space: found.space,
        key: found.key,
        value: found.value,
        expires_ms: found.expires_ms,
        aligned: found.aligned,
    };
    record::encode(&draft, found.previous.is_some(), &mut out);
    let again = record::parse(&out, BASE).expect("what was encoded").record;
    assert_eq!((again.kind, again.space, again.key), (found.kind, found.space, found.key));
    assert_eq!((again.value, again.expires_ms), (found.value, found.expires_ms));
}

/// A look for a key, and a glance, which says the same where it says something. Returns number and
/// value if the record is of this key.
fn glances<'a>(bytes: &'a [u8], space: u32, key: &[u8]) -> Option<(Seq, &'a [u8])> {
    // What is published ends where a record may.
    let bytes = &bytes[..bytes.len() / record::RECORD_ALIGN * record::RECORD_ALIGN];
    let (put, this) = match record::look(bytes, 0, BASE, space, key) {
        Look::This(found) => {
            let (start, len) = (found.value.0 as usize, found.value.1 as usize);
            let put = found.kind == Kind::Put && !found.expires;
            (put, Some((found.seq, &bytes[start..start + len])))
        }
        Look::Other | Look::Damaged => (false, None),
    };
    if let Some(plain) = record::plain(bytes, space, key) {
        let plain = plain.map(|(delta, value)| (Seq(BASE.0 + u64::from(delta)), value));
        assert_eq!(plain, this);
        assert!(put || plain.is_none());
    }
    this
}

/// Makes the checksums of the frame at the start of `bytes` right, as far as it has a shape.
fn mend(bytes: &mut [u8]) {
    let Some(header) = FrameHeader::decode(bytes) else { return };
    let end = (header.len as usize).min(bytes.len());
    let (mut at, mut checksums) = (FRAME_HEADER_BYTES, Vec::new());
    for _ in 0..header.count {
        let Some(parsed) = bytes.get(at..end).and_then(|rest| record::parse(rest, BASE)) else {
            break;
        };
        let len = parsed.len;
        let record = &mut bytes[at..at + len];
        let (body, delta) = (record::body_checksum(record), record::stored_delta(record));
        checksums.extend(record::finish(record, body, seed(), delta).to_le_bytes());
        at += len;
    }
    let head = checksum::append(seed(), &bytes[4..FRAME_HEADER_BYTES]);
    let checksum = checksum::append(head, &checksums);
    bytes[0..4].copy_from_slice(&checksum.to_le_bytes());
}

/// A frame.
pub fn frame(bytes: &[u8]) {
    check_frame(bytes);
    let mut mended = bytes.to_vec();
    mend(&mut mended);
    check_frame(&mended);
}

fn check_frame(bytes: &[u8]) {
    let Ok(frame) = FrameView::check(bytes, 3, 0, BASE, seed()) else { return };
    let header = frame.header();
    assert!(header.len as usize <= bytes.len());
    assert_eq!(frame.records().count(), header.count as usize);
    let mut head = [0; FRAME_HEADER_BYTES];
    let checksum = header.encode(&mut head, seed());
    assert_eq!(head[4..], bytes[4..FRAME_HEADER_BYTES]);
    assert_eq!(checksum, checksum::append(seed(), &head[4..]));
    for (address, len, record) in frame.records() {
        assert!(address.offset + len <= header.len && record.seq >= BASE);
    }
}

/// A frame that is right, for mutations to start from.
#[must_use]
pub fn sample_frame() -> Vec<u8> {
    let mut frame = FrameBuilder::new();
    let draft = |key, value| Draft {
        kind: Kind::Put,
        space: 1,
        key,
        value,
        expires_ms: None,
        aligned: false,
    };
    let long = [7; 300];
    for draft in [
        draft(b"key", b"value"),
        Draft { expires_ms: Some(77), ..draft(b"", &long) },
        Draft { kind: Kind::Remove, space: 300, ..draft(b"gone", b"") },
        Draft { aligned: true, ..draft(b"archive", b"read in place") },
    ] {
        frame.push(&draft).expect("a small frame");
    }
    let header = FrameHeader {
        kind: FrameKind::Commit,
        len: frame.len_bytes() as u32,
        first_seq: BASE,
        time_ms: 5,
        synced_to: Position::default(),
        count: frame.count() as u32,
        epoch: 1,
        term: 0,
        shard: 0,
    };
    frame.finish(&header, BASE, seed()).concat()
}

/// The header of a segment.
pub fn segment_header(bytes: &[u8]) {
    let mut mended = bytes.to_vec();
    if mended.len() >= SEGMENT_HEADER_BYTES {
        let checksum = checksum::of(&mended[..60]);
        mended[60..64].copy_from_slice(&checksum.to_le_bytes());
    }
    for bytes in [bytes, &mended] {
        if let Ok(header) = SegmentHeader::decode(bytes, ID) {
            assert_eq!(SegmentHeader::decode(&header.encode(), ID), Ok(header));
        }
    }
}

/// The content of a segment behind its header: opening a log with it is an error or a log that can
/// be read, written and opened again.
pub fn segment(content: &[u8]) {
    open_with(content);
    let mut mended = content.to_vec();
    mend(&mut mended);
    open_with(&mended);
}

fn open_with(content: &[u8]) {
    let header = SegmentHeader {
        kind: SegmentKind::Log,
        database_id: ID,
        generation: 1,
        ordinal: 1,
        base_seq: BASE,
        epoch: 1,
        recycled: false,
    };
    let mut bytes = header.encode().to_vec();
    bytes.extend_from_slice(content);
    bytes.resize(SEGMENT_BYTES, 0);
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let put = |name: &str, bytes: &[u8]| {
        disk.create(Path::new(name)).expect("memory").append(bytes).expect("memory");
    };
    put(&segment_name(1), &bytes);
    put(crate::ROOT_NAME, &sample_root());
    let config = Config {
        segment_bytes: SEGMENT_BYTES as u64,
        background: Background::Manual,
        spares: 0,
        ..Config::default()
    };
    let open = || -> crate::Result<(Journal, usize)> {
        let mut opening = Journal::open(Arc::clone(&disk), Path::new(""), config.clone())?;
        let mut records_count = 0;
        opening.replay(false, &mut |frame| {
            records_count += frame.records().count();
            Ok(())
        })?;
        Ok((opening.finish()?.journal, records_count))
    };
    let Ok((journal, count)) = open() else { return };
    assert!(journal.verify(&mut |_| {}).damages.is_empty(), "what was replayed is intact");
    let Ok(()) = journal.close() else { return };
    drop(journal);
    let (_, again) = open().expect("a log that was closed");
    assert_eq!(again, count);
}

/// A root that is right, for mutations to start from.
#[must_use]
pub fn sample_root() -> Vec<u8> {
    let segment =
        RootSegment { generation: 1, slot: 0, kind: SegmentKind::Log, ordinal: 1, end: 0 };
    let root = Root {
        database_id: ID,
        hash_seed: 2,
        epoch: 1,
        clean_end: None,
        synced_to: Position::default(),
        next_seq: BASE,
        clock_ms: 0,
        next_generation: 2,
        unseen_readers: false,
        copy: false,
        checkpoint: None,
        manifest: None,
        segments: vec![segment],
    };
    root.encode()
}

/// A root.
pub fn root(bytes: &[u8]) {
    let mut mended = bytes.to_vec();
    if let Some(at) = mended.len().checked_sub(4) {
        let checksum = checksum::of(&mended[..at]);
        mended[at..].copy_from_slice(&checksum.to_le_bytes());
    }
    for bytes in [bytes, &mended] {
        if let Ok(root) = Root::decode(bytes, Path::new("annals.root")) {
            assert_eq!(root.encode(), bytes, "what decodes encodes the same");
        }
    }
}
