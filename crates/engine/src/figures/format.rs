//! The bytes of `annals.figures`: `docs/formats/figures.md`.

use super::{WriterState, WriterStats};
use crate::TreeTraffic;

const MAGIC: [u8; 8] = *b"ANNALSFG";
const VERSION: u16 = 1;
const BYTE_ORDER: u16 = 0x1234;
const IS_LAST: u32 = 1;
/// How many numbers of eight bytes follow the head.
const NUMBERS: usize = 18;
const HEAD_BYTES: usize = 32;
const CHECKSUM_AT: usize = HEAD_BYTES + NUMBERS * 8;
const BYTES: usize = CHECKSUM_AT + 4;

/// What the file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) database_id: u64,
    /// Since when the writer has its lock; 0 if that was not to be known.
    pub(super) locked_ms: u64,
    /// Whether they are the last figures of their opening.
    pub(super) is_last: bool,
    /// Without its state, which the file does not know.
    pub(super) stats: WriterStats,
}

impl Told {
    pub(super) fn encode(&self) -> [u8; BYTES] {
        let stats = &self.stats;
        let numbers: [u64; NUMBERS] = [
            self.locked_ms,
            stats.opened_ms,
            stats.as_of_ms,
            stats.appended_bytes,
            stats.syncs_count,
            stats.cache_hits,
            stats.cache_misses,
            stats.stalls_count,
            stats.stalled_ns,
            stats.compaction_paused_ns,
            stats.flushes,
            stats.compactions,
            stats.traffic.flushed_bytes,
            stats.traffic.loaded_bytes,
            stats.traffic.compaction_read_bytes,
            stats.traffic.compaction_written_bytes,
            stats.held_tables_count,
            stats.held_tables_bytes,
        ];
        let mut bytes = [0; BYTES];
        let mut at = 0;
        let mut put = |part: &[u8]| {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        };
        put(&MAGIC);
        put(&VERSION.to_le_bytes());
        put(&BYTE_ORDER.to_le_bytes());
        put(&stats.epoch.to_le_bytes());
        put(&self.database_id.to_le_bytes());
        put(&stats.pid.to_le_bytes());
        put(&(if self.is_last { IS_LAST } else { 0 }).to_le_bytes());
        for number in numbers {
            put(&number.to_le_bytes());
        }
        let checksum = crc32c::crc32c(&bytes[..CHECKSUM_AT]);
        bytes[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// `None` of anything that this build has not written, or that is not as it was written.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (content, checksum) = <&[u8; BYTES]>::try_from(bytes).ok()?.split_last_chunk::<4>()?;
        if crc32c::crc32c(content).to_le_bytes() != *checksum {
            return None;
        }
        let mut rest = content;
        if (take(&mut rest)?, word(&mut rest)?, word(&mut rest)?) != (MAGIC, VERSION, BYTE_ORDER) {
            return None;
        }
        let epoch = u32::from_le_bytes(take(&mut rest)?);
        let database_id = u64::from_le_bytes(take(&mut rest)?);
        let pid = u32::from_le_bytes(take(&mut rest)?);
        let flags = u32::from_le_bytes(take(&mut rest)?);
        let mut number = || take(&mut rest).map(u64::from_le_bytes);
        // In the order of the file.
        let locked_ms = number()?;
        let stats = WriterStats {
            state: WriterState::Died,
            pid,
            epoch,
            opened_ms: number()?,
            as_of_ms: number()?,
            appended_bytes: number()?,
            syncs_count: number()?,
            cache_hits: number()?,
            cache_misses: number()?,
            stalls_count: number()?,
            stalled_ns: number()?,
            compaction_paused_ns: number()?,
            flushes: number()?,
            compactions: number()?,
            traffic: TreeTraffic {
                flushed_bytes: number()?,
                loaded_bytes: number()?,
                compaction_read_bytes: number()?,
                compaction_written_bytes: number()?,
            },
            held_tables_count: number()?,
            held_tables_bytes: number()?,
        };
        (flags & !IS_LAST == 0).then_some(Self {
            database_id,
            locked_ms,
            is_last: flags == IS_LAST,
            stats,
        })
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, more) = rest.split_first_chunk::<N>()?;
    *rest = more;
    Some(*taken)
}

fn word(rest: &mut &[u8]) -> Option<u16> {
    take(rest).map(u16::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> Told {
        let bytes: Vec<u8> = (0..BYTES as u8).collect();
        let number = |at: usize| u64::from_le_bytes(bytes[at * 8..][..8].try_into().unwrap());
        let stats = WriterStats {
            state: WriterState::Died,
            pid: 17,
            epoch: 3,
            opened_ms: number(1),
            as_of_ms: number(2),
            appended_bytes: number(3),
            syncs_count: number(4),
            cache_hits: number(5),
            cache_misses: number(6),
            stalls_count: number(7),
            stalled_ns: number(8),
            compaction_paused_ns: number(9),
            flushes: number(10),
            compactions: number(11),
            traffic: TreeTraffic {
                flushed_bytes: number(12),
                loaded_bytes: number(13),
                compaction_read_bytes: number(14),
                compaction_written_bytes: number(15),
            },
            held_tables_count: number(16),
            held_tables_bytes: number(17),
        };
        Told { database_id: 0x0102_0304_0506_0708, locked_ms: number(0), is_last: true, stats }
    }

    /// What `docs/formats/figures.md` says.
    #[test]
    fn the_bytes_are_those_of_the_page() {
        let mut page = b"ANNALSFG".to_vec();
        page.extend([
            1, 0, 0x34, 0x12, 3, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1, 17, 0, 0, 0, 1, 0, 0, 0,
        ]);
        page.extend(0..144);
        page.extend([0x30, 0x30, 0x4C, 0x34]);
        assert_eq!(told().encode().to_vec(), page);
        assert_eq!(Told::decode(&page), Some(told()));
        let more = Told { is_last: false, ..told() };
        assert_eq!(Told::decode(&more.encode()), Some(more));
    }

    #[test]
    fn whatever_else_it_holds_says_nothing() {
        let whole = told().encode();
        for len in 0..whole.len() {
            assert_eq!(Told::decode(&whole[..len]), None, "{len} bytes");
        }
        assert_eq!(Told::decode(&[&whole[..], &[0]].concat()), None);
        assert_eq!(Told::decode(&[0; BYTES]), None);
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Told::decode(&flipped), None, "bit {bit}");
        }
    }

    /// With a right checksum: another build wrote it.
    #[test]
    fn other_versions_and_flags_say_nothing() {
        for at in [0, 8, 10, 28, 29] {
            let mut other = told().encode();
            other[at] ^= 2;
            let checksum = crc32c::crc32c(&other[..CHECKSUM_AT]);
            other[CHECKSUM_AT..].copy_from_slice(&checksum.to_le_bytes());
            assert_eq!(Told::decode(&other), None, "byte {at}");
        }
    }
}
