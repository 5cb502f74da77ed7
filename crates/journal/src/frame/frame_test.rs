use super::*;
use crate::record::Kind;

fn draft<'a>(key: &'a [u8], value: &'a [u8]) -> Draft<'a> {
    Draft { kind: Kind::Put, space: 1, key, value, expires_ms: None, aligned: false }
}

fn header(frame: &FrameBuilder) -> FrameHeader {
    FrameHeader {
        kind: FrameKind::Commit,
        len: frame.len_bytes() as u32,
        first_seq: Seq(100),
        time_ms: 5,
        synced_to: Position { ordinal: 1, offset: 64 },
        count: frame.count() as u32,
        epoch: 2,
        term: 0,
        shard: 0,
    }
}

fn sample() -> Vec<u8> {
    let mut frame = FrameBuilder::new();
    frame.push(&draft(b"key", b"value")).unwrap();
    frame.push(&Draft { expires_ms: Some(77), ..draft(b"", &[7; 300]) }).unwrap();
    frame.push(&Draft { aligned: true, ..draft(b"archive", b"read in place") }).unwrap();
    let header = header(&frame);
    frame.finish(&header, Seq(90), 0xdead_beef).to_vec()
}

fn check(bytes: &[u8]) -> Result<FrameView<'_>, FrameFault> {
    FrameView::check(bytes, 3, 64, Seq(90), 0xdead_beef)
}

#[test]
fn frames_round_trip() {
    let bytes = sample();
    let frame = check(&bytes).unwrap();
    let records: Vec<_> = frame.records().collect();
    assert_eq!(records.len(), 3);
    assert_eq!((records[0].2.key, records[0].2.value), (&b"key"[..], &b"value"[..]));
    assert_eq!(records[1].2.expires_ms, Some(77));
    assert_eq!(records[1].2.value, [7; 300]);
    assert_eq!(records[2].2.seq, Seq(102));
    let offset = records[2].0.offset as usize
        + (records[2].2.value.as_ptr() as usize - bytes.as_ptr() as usize)
        - (records[2].0.offset as usize - 64);
    assert!((64 + offset - 64).is_multiple_of(16), "archives start on 16-byte boundaries");
}

#[test]
fn every_flip_and_every_cut_is_found() {
    let bytes = sample();
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut bad = bytes.clone();
            bad[at] ^= 1 << bit;
            assert!(check(&bad).is_err(), "byte {at} bit {bit}");
        }
        assert!(check(&bytes[..at]).is_err(), "cut at {at}");
    }
}

#[test]
fn bytes_of_another_life_do_not_pass() {
    let bytes = sample();
    assert!(FrameView::check(&bytes, 3, 64, Seq(90), 1).is_err(), "another seed");
    assert!(FrameView::check(&bytes, 3, 64, Seq(91), 0xdead_beef).is_err(), "another base");
}

#[test]
fn the_previous_address_is_covered() {
    let mut frame = FrameBuilder::new();
    frame.reserve_previous(true);
    frame.push(&draft(b"a", b"1")).unwrap();
    frame.push(&draft(b"b", b"2")).unwrap();
    let previous = Address { slot: 9, offset: 4096 };
    frame.set_previous(1, previous);
    let header = header(&frame);
    let bytes = frame.finish(&header, Seq(90), 7).to_vec();
    let view = FrameView::check(&bytes, 0, 64, Seq(90), 7).unwrap();
    let found: Vec<_> = view.records().map(|(_, _, record)| record.previous).collect();
    assert_eq!(found, [None, Some(previous)]);
}

#[test]
fn a_frame_larger_than_a_segment_file_is_refused() {
    assert!(check_size(FRAME_HEADER_BYTES, 1 << 30).is_ok());
    assert!(check_size(3 << 30, (1 << 30) - 8192).is_ok());
    let error = check_size(3 << 30, 1 << 30).unwrap_err();
    assert!(matches!(error, crate::Error::FrameTooLarge { .. }), "{error}");
}
