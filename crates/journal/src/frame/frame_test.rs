use super::*;
use crate::record::Kind;

fn draft<'a>(key: &'a [u8], value: &'a [u8]) -> Draft<'a> {
    Draft { kind: Kind::Put, space: 1, key, value, expires_ms: None, aligned: false }
}

fn header(frame: &FrameBuilder<'_>) -> FrameHeader {
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
    frame.finish(&header, Seq(90), 0xdead_beef).concat()
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
    assert!((64 + offset - 64).is_multiple_of(8), "archives start on 8-byte boundaries");
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
    let bytes = frame.finish(&header, Seq(90), 7).concat();
    let view = FrameView::check(&bytes, 0, 64, Seq(90), 7).unwrap();
    let found: Vec<_> = view.records().map(|(_, _, record)| record.previous).collect();
    assert_eq!(found, [None, Some(previous)]);
}

/// Frames with values that are lent come out as those that hold all their bytes.
#[test]
fn lent_values_leave_no_trace() {
    for (len, aligned) in [(LEND_FROM_BYTES, false), (5001, true), (70_000, false), (1, true)] {
        let value: Vec<u8> = (0..len).map(|at| (at % 255) as u8).collect();
        let large = Draft {
            aligned,
            expires_ms: Some(9),
            space: 300,
            ..draft(b"a key of some length", &value)
        };
        for (with_previous, shape) in [(false, 0), (false, 1), (true, 2), (true, 3), (false, 4)] {
            let (mut held, mut lent) = (FrameBuilder::new(), FrameBuilder::new());
            for frame in [&mut held, &mut lent] {
                frame.reserve_previous(with_previous);
                if shape % 2 == 1 {
                    frame.push(&draft(b"before", b"it")).unwrap();
                }
            }
            held.push(&large).unwrap();
            lent.lend(&large).unwrap();
            let last = held.count() - 1;
            assert_eq!(lent.record(last), held.record(last));
            if shape == 4 {
                held.push(&draft(b"behind", b"it")).unwrap();
                lent.push(&draft(b"behind", b"it")).unwrap();
            }
            if with_previous {
                let previous = Address { slot: 1, offset: 64 };
                held.set_previous(last, previous);
                lent.set_previous(last, previous);
                assert_eq!(lent.record(last).previous, Some(previous));
            }
            assert_eq!(lent.len_bytes(), held.len_bytes());
            let header = header(&held);
            let bytes = held.finish(&header, Seq(90), 0xdead_beef).concat();
            assert_eq!(lent.finish(&header, Seq(90), 0xdead_beef).concat(), bytes);
            assert_eq!(bytes.len(), header.len as usize);
            assert!(check(&bytes).is_ok());
            lent.make_room_for_previous().unwrap();
            held.make_room_for_previous().unwrap();
            assert_eq!(lent.record(last), held.record(last));
            assert_eq!(lent.len_bytes(), held.len_bytes());
        }
    }
}

/// Memory that is used each time stays; what one large frame took goes.
#[test]
fn memory_follows_use() {
    const KEEP: usize = 4096;
    let mut frame = FrameBuilder::new();
    let large = vec![1; 16 * KEEP];
    for _ in 0..4 {
        frame.push(&draft(b"k", &large)).unwrap();
        let before = frame.bytes.capacity();
        frame.clear(KEEP);
        assert_eq!(frame.bytes.capacity(), before, "given back although it is in use");
    }
    for _ in 0..8 {
        frame.push(&draft(b"k", b"v")).unwrap();
        frame.clear(KEEP);
    }
    assert!(frame.bytes.capacity() <= KEEP, "{} bytes stay", frame.bytes.capacity());
}

#[test]
fn a_frame_larger_than_a_segment_file_is_refused() {
    assert!(check_size(FRAME_HEADER_BYTES, 1 << 30).is_ok());
    assert!(check_size(3 << 30, (1 << 30) - 8192).is_ok());
    let error = check_size(3 << 30, 1 << 30).unwrap_err();
    assert!(matches!(error, crate::Error::FrameTooLarge { .. }), "{error}");
}

#[test]
fn deeds_are_those_of_the_records() {
    let bytes = vec![9; 40_000];
    for with_previous in [false, true] {
        for (key_len, value_len) in [(0, 0), (127, 127), (128, 128), (5, 16_384), (300, 20_000)] {
            for expires_ms in [None, Some(0), Some(u64::MAX - 1)] {
                for (space, aligned, lent) in
                    [(1, false, true), (128, true, false), (9, true, true)]
                {
                    let mut builder = FrameBuilder::new();
                    builder.reserve_previous(with_previous);
                    let (key, value) = (&bytes[..key_len], &bytes[..value_len]);
                    let kind = if value_len == 0 { Kind::Remove } else { Kind::Put };
                    let draft = Draft { kind, space, key, value, expires_ms, aligned };
                    builder.push(&draft).unwrap();
                    if lent { builder.lend(&draft) } else { builder.push(&draft) }.unwrap();
                    for index in 0..2 {
                        if with_previous {
                            builder.set_previous(index, Address { slot: 3, offset: 64 });
                        }
                        assert_eq!(builder.deed(index), (kind, key, expires_ms));
                    }
                }
            }
        }
    }
}

#[test]
fn records_of_a_run_are_those_that_are_pushed_one_by_one() {
    let bytes: Vec<u8> = (0..700).map(|n| (n % 251) as u8 | 1).collect();
    for (space, key_len) in [(1, 0), (1, 8), (127, 15), (128, 16), (1 << 30, 21), (1, 40), (1, 300)]
    {
        for with_previous in [false, true] {
            let key = &bytes[..key_len];
            let (mut one_by_one, mut together) = (FrameBuilder::new(), FrameBuilder::new());
            one_by_one.reserve_previous(with_previous);
            together.reserve_previous(with_previous);
            let mut run = Run::aligned(Kind::Event, space, key);
            // Longer and shorter than the one before, of its length, and beyond what is short.
            for (data_len, rest_len) in (0..150)
                .flat_map(|len| [(len, 12), (len, 12), (len % 40, len), (600 - len, len % 20)])
            {
                let (data, rest) = (&bytes[..data_len], &bytes[data_len..data_len + rest_len]);
                let (kind, value) = (Kind::Event, &bytes[..data_len + rest_len]);
                let draft = Draft { kind, space, key, value, expires_ms: None, aligned: true };
                one_by_one.push(&draft).unwrap();
                together.push_in(&mut run, data, rest).unwrap();
            }
            let header = header(&one_by_one);
            assert_eq!(
                together.finish(&header, Seq(90), 7).concat(),
                one_by_one.finish(&header, Seq(90), 7).concat(),
                "space {space}, key of {key_len}, {with_previous}"
            );
        }
    }
}

#[test]
fn a_record_of_a_run_stands_behind_a_value_that_was_lent() {
    let large = [7; LEND_FROM_BYTES];
    let mut frame = FrameBuilder::new();
    frame.lend(&draft(b"large", &large)).unwrap();
    frame.push_in(&mut Run::aligned(Kind::Event, 1, b"small"), b"data", b"label").unwrap();
    assert_eq!(frame.record(0).value, large);
    assert_eq!(frame.record(1).value, b"datalabel");
}
