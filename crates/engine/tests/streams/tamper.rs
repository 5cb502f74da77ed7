//! Changing a log the way somebody would who knows its format: every checksum is made right again.

use annals_engine::{Database, ExpectedVersion, NewEvent};
use std::{
    ops::Range,
    path::{Path, PathBuf},
};

const SEGMENT_HEADER_BYTES: usize = 64;
const FRAME_HEADER_BYTES: usize = 48;

/// Where the parts of an event's record are in its segment.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) file: PathBuf,
    pub(crate) space: usize,
    pub(crate) key: Range<usize>,
    pub(crate) value: Range<usize>,
    /// The byte of its version, if that takes one: 0 takes none.
    pub(crate) version: Option<usize>,
    /// The lowest byte of its time.
    pub(crate) time: usize,
}

fn u32_at(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

fn varint(bytes: &[u8], at: &mut usize) -> usize {
    let (mut number, mut shift) = (0, 0);
    loop {
        let byte = bytes[*at];
        *at += 1;
        number |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return number;
        }
    }
}

/// The parts of the record at `start`, and where the next one begins.
fn record(bytes: &[u8], start: usize) -> (Place, usize) {
    let tag = bytes[start + 8];
    let (space, mut at) = (start + 9, start + 9);
    varint(bytes, &mut at);
    let (key_len, value_len) = (varint(bytes, &mut at), varint(bytes, &mut at));
    at += 8 * usize::from(tag & 0x10 != 0) + 8 * usize::from(tag & 0x20 != 0);
    let key = at..at + key_len;
    let value_at = match tag & 0x40 {
        0 => key.end,
        _ => start + (key.end - start).next_multiple_of(8),
    };
    let value = value_at..value_at + value_len;
    let version = match tag & 0x0f {
        // The time, how long the other numbers are, and flags; the type in front of that, and the version.
        5 => {
            let lengths = bytes[value.end - 2];
            let type_len = [0, 1, 2, 4][usize::from(lengths >> 4 & 3)];
            (lengths & 0x0f == 1).then(|| value.end - 8 - type_len - 1)
        }
        _ => None,
    };
    let next = start + (value.end - start).next_multiple_of(8);
    (
        Place {
            file: PathBuf::new(),
            space,
            key,
            time: value.end.saturating_sub(8),
            value,
            version,
        },
        next,
    )
}

/// Calls `each` with where each frame and its records begin: the last number is the end of the last record.
fn each_frame(bytes: &[u8], mut each: impl FnMut(usize, &[usize])) {
    let mut frame = SEGMENT_HEADER_BYTES;
    while frame + FRAME_HEADER_BYTES <= bytes.len() && u32_at(bytes, frame + 4) != 0 {
        let mut starts = vec![frame + FRAME_HEADER_BYTES];
        for _ in 0..u32_at(bytes, frame + 32) {
            let (_, next) = record(bytes, starts[starts.len() - 1]);
            starts.push(next);
        }
        each(frame, &starts);
        frame += u32_at(bytes, frame + 4);
    }
}

/// Makes every checksum of a segment right.
fn seal(bytes: &mut [u8]) {
    let mut frames = Vec::new();
    each_frame(bytes, |frame, starts| frames.push((frame, starts.to_vec())));
    let seed = crc32c::crc32c(&bytes[16..28]);
    for (frame, starts) in frames {
        let mut of_frame =
            crc32c::crc32c_append(seed, &bytes[frame + 4..frame + FRAME_HEADER_BYTES]);
        for pair in starts.windows(2) {
            let body = crc32c::crc32c(&bytes[pair[0] + 8..pair[1]]);
            let bound = [&body.to_le_bytes()[..], &bytes[pair[0] + 4..pair[0] + 8]].concat();
            let checksum = crc32c::crc32c_append(seed, &bound).to_le_bytes();
            bytes[pair[0]..pair[0] + 4].copy_from_slice(&checksum);
            of_frame = crc32c::crc32c_append(of_frame, &checksum);
        }
        bytes[frame..frame + 4].copy_from_slice(&of_frame.to_le_bytes());
    }
}

fn segments(dir: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let is_segment = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "seg");
    let mut found: Vec<_> = files.filter(is_segment).collect();
    found.sort();
    found
}

/// The events whose data contain `what`, in the order of their segments.
pub(crate) fn find(dir: &Path, what: &[u8]) -> Vec<Place> {
    let mut found = Vec::new();
    for file in segments(dir) {
        let bytes = std::fs::read(&file).unwrap();
        // A spare has no records.
        if bytes.get(12).is_none_or(|kind| *kind == 0) {
            continue;
        }
        each_frame(&bytes, |_, starts| {
            for start in &starts[..starts.len() - 1] {
                let (place, _) = record(&bytes, *start);
                let value = &bytes[place.value.clone()];
                if bytes[start + 8] & 0x0f == 5
                    && value.windows(what.len()).any(|some| some == what)
                {
                    found.push(Place { file: file.clone(), ..place });
                }
            }
        });
    }
    found
}

/// Changes the bytes of a segment and makes its checksums right.
pub(crate) fn change(file: &Path, how: impl FnOnce(&mut [u8])) {
    let mut bytes = std::fs::read(file).unwrap();
    how(&mut bytes);
    seal(&mut bytes);
    std::fs::write(file, bytes).unwrap();
}

/// Has the tables made anew from what the log says.
pub(crate) fn believe_the_log(dir: &Path) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "ckp") {
            std::fs::remove_file(path).unwrap();
        }
    }
    Database::open(dir).unwrap().close().unwrap();
}

/// Nothing is changed by sealing what is sealed.
#[test]
fn what_is_sealed_is_as_it_was_written() {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::open(dir.path()).unwrap();
    let (events, others) = (db.category("c").unwrap(), db.keyspace("k").unwrap());
    for n in 0..20u64 {
        let event = NewEvent::bytes("t", b"some data").with("a", "b");
        events.append(n % 3, &event, ExpectedVersion::Any).unwrap();
        others.insert(n.to_le_bytes(), "value").unwrap();
    }
    let event = NewEvent::bytes("t", b"some data");
    events.append_many("x", &[event.clone(), event], ExpectedVersion::Any).unwrap();
    drop((events, others));
    db.close().unwrap();
    assert_eq!(find(dir.path(), b"some data").len(), 22);
    for file in segments(dir.path()) {
        let before = std::fs::read(&file).unwrap();
        change(&file, |_| {});
        assert!(std::fs::read(&file).unwrap() == before, "{}", file.display());
    }
}
