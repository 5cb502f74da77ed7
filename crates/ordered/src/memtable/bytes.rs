//! The bytes of a memtable's records: appended by one, read in place by any number.
//!
//! The only `unsafe` code of the crate is here, because a reader is handed slices of memory to which
//! somebody else appends at the same time. Copies in their place would be paid for by every step of
//! a scan, whether anybody wants the value or not.
//!
//! Why it is sound: there is one [`Appender`] for each [`Bytes`], and it needs `&mut self`. It writes
//! only behind the watermark `filled`, and raises it behind what it wrote (release). Readers get only
//! what is in front of a watermark they have seen (acquire). So no byte is ever written that anybody
//! may have a reference to, whatever addresses are asked for.

use annals_disk::{Line, prefetch};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    groups::{FIRST_BYTES, Groups, Room},
    spare::SpareMemory,
};

/// Addresses count in units of so many bytes.
const UNIT: u64 = 8;
/// How far behind the end readers are told of it in a word that seldom changes.
const SETTLED_STEP: u64 = 1 << 16;

/// The bytes, as readers see them.
pub(super) struct Bytes {
    groups: Groups,
    /// Up to here everything has been written for a while. This changes seldom, so that readers on other
    /// processors have it at hand.
    settled: AtomicU64,
    end: End,
}

/// What changes with each record, away from the rest.
#[repr(align(128))]
struct End {
    /// Up to here everything is written.
    filled: AtomicU64,
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({} taken)", self.taken_bytes())
    }
}

impl Bytes {
    /// The memory taken from the system, in bytes.
    pub(super) fn taken_bytes(&self) -> usize {
        self.groups.taken_bytes()
    }

    /// What is written at an address and behind it in the same group: the record that is there, and
    /// those that came next.
    ///
    /// # Panics
    /// If nothing is written there.
    #[inline]
    pub(super) fn at(&self, address: u32) -> &[u8] {
        let at = u64::from(address) * UNIT;
        // Both are ends of records: one that begins in front of either is whole in front of it.
        let mut end = self.settled.load(Ordering::Acquire);
        if at >= end {
            end = self.end.filled.load(Ordering::Acquire);
        }
        assert!((FIRST_BYTES..end).contains(&at), "no record is at {address}");
        let (lines, from) = self.groups.place(at);
        let to = size_of_val(lines).min(from + (end - at) as usize);
        assert!(from <= to, "no record is at {address}");
        // SAFETY: `from..to` is inside of `lines`, which live as long as `self`, and in front of a
        // watermark that was read with acquire. What is in front of a watermark has been written before
        // that was raised, or never is: then it is as the memory was, zero or from another memtable, whose
        // readers are gone, since it had the lines for itself. Nothing in front of it is written again.
        #[allow(unsafe_code, reason = "bytes behind which somebody writes")]
        unsafe {
            std::slice::from_raw_parts(lines.as_ptr().cast::<u8>().add(from), to - from)
        }
    }

    /// Brings the first bytes at an address closer to the processor: a key, most likely. A hint.
    #[inline]
    pub(super) fn prefetch(&self, address: u32) {
        self.approach(address, 2);
    }

    /// The same with all of a short record.
    #[inline]
    pub(super) fn prefetch_all(&self, address: u32) {
        self.approach(address, 3);
    }

    #[inline(always)]
    fn approach(&self, address: u32, lines_count: usize) {
        let (lines, from) = self.groups.place((u64::from(address) * UNIT).max(FIRST_BYTES));
        let place = lines.as_ptr().cast::<u8>().wrapping_add(from);
        for line in 0..lines_count {
            prefetch(place.wrapping_add(line * size_of::<Line>()));
        }
    }
}

/// The one that appends.
#[derive(Debug)]
pub(super) struct Appender {
    bytes: Arc<Bytes>,
    room: Room,
}

impl Appender {
    /// Nothing, and who may add to it. No memory is taken yet; it will come from `spare`, if it is there.
    pub(super) fn new(spare: &Arc<SpareMemory>) -> Self {
        let bytes = Arc::new(Bytes {
            groups: Groups::new(spare),
            settled: AtomicU64::new(FIRST_BYTES),
            end: End { filled: AtomicU64::new(FIRST_BYTES) },
        });
        Self { bytes, room: Room::new() }
    }

    /// What is appended to.
    pub(super) fn bytes(&self) -> &Arc<Bytes> {
        &self.bytes
    }

    /// Sees to it that so many bytes can be appended in one piece. False if memory for them cannot be had.
    #[inline]
    pub(super) fn reserve(&mut self, bytes: u64) -> bool {
        self.room.reserve(&self.bytes.groups, bytes.next_multiple_of(UNIT).max(UNIT))
    }

    /// Whether the system has refused to give as much memory as was asked for.
    pub(super) fn is_short(&self) -> bool {
        self.room.is_short()
    }

    /// Appends the parts, one behind the other, and says where.
    ///
    /// # Panics
    /// If 32 GiB are full.
    #[inline]
    pub(super) fn append(&mut self, parts: [&[u8]; 3]) -> u32 {
        let len = parts.iter().map(|part| part.len()).sum::<usize>();
        let at = self.room.take(&self.bytes.groups, (len as u64).next_multiple_of(UNIT).max(UNIT));
        let (lines, mut to) = self.bytes.groups.place(at);
        assert!(to + len <= size_of_val(lines), "a record lies in one group");
        for part in parts {
            // SAFETY: the target is inside of `lines`, as asserted, and these consist of atomics, so that
            // they may be written through a shared reference. It is behind the watermark, so nobody
            // has a reference to these bytes or reads them; nobody else writes, since there is one
            // appender and this needs it mutably. `part` is elsewhere: a slice of this memory is in
            // front of the watermark.
            #[allow(unsafe_code, reason = "bytes in front of which others read")]
            unsafe {
                let target = lines.as_ptr().cast::<u8>().add(to).cast_mut();
                std::ptr::copy_nonoverlapping(part.as_ptr(), target, part.len());
            }
            to += part.len();
        }
        let end = self.room.end();
        if end - self.bytes.settled.load(Ordering::Relaxed) >= SETTLED_STEP {
            self.bytes.settled.store(end, Ordering::Release);
        }
        self.bytes.end.filled.store(end, Ordering::Release);
        (at / UNIT) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_appended_stays_where_it_is() {
        let mut appender = Appender::new(&Arc::new(SpareMemory::new(0)));
        assert_eq!(appender.bytes().taken_bytes(), 0);
        let bytes = Arc::clone(appender.bytes());
        let parts: Vec<Vec<u8>> = (0..5000_usize).map(|n| vec![n as u8; n * 7 % 300]).collect();
        let places: Vec<u32> =
            parts.iter().map(|part| appender.append([part, b"", b"x"])).collect();
        for (part, place) in parts.iter().zip(places) {
            assert_eq!(&bytes.at(place)[..part.len()], part);
            assert_eq!(bytes.at(place)[part.len()], b'x');
        }
    }

    #[test]
    fn a_long_record_is_in_one_piece() {
        let mut appender = Appender::new(&Arc::new(SpareMemory::new(0)));
        appender.append([b"short", b"", b""]);
        let long = vec![7; (1 << 20) + 1];
        let place = appender.append([b"", &long, b""]);
        let behind = appender.append([b"behind", b"", b""]);
        assert_eq!(appender.bytes().at(place)[..long.len()], long);
        assert_eq!(appender.bytes().at(behind), b"behind\0\0");
    }

    #[test]
    #[should_panic(expected = "no record is at")]
    fn nothing_is_handed_out_behind_the_end() {
        let mut appender = Appender::new(&Arc::new(SpareMemory::new(0)));
        let place = appender.append([b"one", b"", b""]);
        appender.bytes().at(place + 1);
    }

    #[test]
    #[should_panic(expected = "no record is at")]
    fn nothing_is_handed_out_in_front_of_the_beginning() {
        let mut appender = Appender::new(&Arc::new(SpareMemory::new(0)));
        appender.append([b"one", b"", b""]);
        appender.bytes().at(0);
    }
}
