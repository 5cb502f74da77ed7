//! Memory of memtables that are gone, kept for those to come.
//!
//! The system gives memory page by page, cleared, and when it takes it back all processors hear of it. Under a
//! steady load a writer would spend more on that than on finding places, for as much memory as a flush has
//! given back a moment before. And whoever asks for addresses waits until no other thread changes the process's
//! map of them or has pages of it filled, which may take as long as the device does: so short pieces are kept too.

use annals_disk::Lines;
use parking_lot::Mutex;
use std::fmt;

/// Shorter pieces are not asked of the system one by one, in bytes.
const WORTH_BYTES: usize = 1 << 14;

/// Memory that memtables have left, up to a limit. What is in it is of no meaning.
pub(crate) struct SpareMemory {
    kept: Mutex<Vec<Lines>>,
    bytes_max: usize,
    /// A system that gives no more lines than that at once, less those that are kept.
    #[cfg(test)]
    pub(crate) lines_max: std::sync::atomic::AtomicUsize,
}

impl fmt::Debug for SpareMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpareMemory({} of {} bytes)", self.bytes(), self.bytes_max)
    }
}

impl SpareMemory {
    /// None yet, and never more than so many bytes.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            kept: Mutex::new(Vec::new()),
            bytes_max,
            #[cfg(test)]
            lines_max: usize::MAX.into(),
        }
    }

    /// How much is kept, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        bytes_of(&self.kept.lock())
    }

    /// Gives it all back to the system.
    pub(crate) fn clear(&self) {
        let kept = std::mem::take(&mut *self.kept.lock());
        // The system takes its time, and nobody who needs memory waits for that.
        drop(kept);
    }

    /// Gives back so much that no more than `bytes_max` bytes are left, in as few pieces as that takes.
    pub(crate) fn shrink_to(&self, bytes_max: usize) {
        let mut gone = Vec::new();
        let mut kept = self.kept.lock();
        let mut bytes = bytes_of(&kept);
        while bytes > bytes_max {
            // The shortest piece that is enough by itself, or else the longest.
            let rank = |lines: &Lines| {
                let len = size_of_val(lines.get());
                if len >= bytes - bytes_max { (0, len) } else { (1, usize::MAX - len) }
            };
            let Some(at) = (0..kept.len()).min_by_key(|&at| rank(&kept[at])) else { break };
            let lines = kept.swap_remove(at);
            bytes -= size_of_val(lines.get());
            gone.push(lines);
        }
        drop(kept);
        // As above: nobody waits for the system.
        drop(gone);
    }

    /// So many lines, whatever is in them; fewer where the system refuses.
    pub(super) fn take(&self, len: usize) -> Lines {
        let kept = {
            let mut kept = self.kept.lock();
            let at = kept.iter().position(|lines| lines.get().len() == len);
            at.map(|at| kept.swap_remove(at))
        };
        if let Some(lines) = kept {
            return lines;
        }
        let lines = self.ask(len);
        if lines.get().len() >= len || self.bytes() == 0 {
            return lines;
        }
        // What is kept in other lengths may be just what the system lacks, and records for which there is no memory
        // stop all writing.
        drop(lines);
        self.clear();
        self.ask(len)
    }

    /// As many lines of so many as the system gives.
    fn ask(&self, len: usize) -> Lines {
        #[cfg(test)]
        let len = {
            let kept = self.bytes() / size_of::<annals_disk::Line>();
            let lines_max = self.lines_max.load(std::sync::atomic::Ordering::Relaxed);
            len.min(lines_max.saturating_sub(kept))
        };
        Lines::up_to(len)
    }

    /// Keeps what nobody uses any more, if it is worth it and there is room.
    pub(crate) fn keep(&self, lines: Lines) {
        let bytes = size_of_val(lines.get());
        if bytes < WORTH_BYTES {
            return;
        }
        let mut kept = self.kept.lock();
        if bytes_of(&kept) + bytes <= self.bytes_max {
            kept.push(lines);
        }
    }
}

fn bytes_of(kept: &[Lines]) -> usize {
    kept.iter().map(|lines| size_of_val(lines.get())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cursor, Entry, EntryKind, MemtableWriter};
    use std::sync::Arc;

    /// Keys in no order, those of each round different from all others'.
    fn fill(spare: &Arc<SpareMemory>, round: u64, count: u64) -> MemtableWriter {
        let mut writer = MemtableWriter::with(spare);
        for seq in 1..=count {
            let key = key(round, seq);
            let value = [round as u8; 90];
            let kind = EntryKind::Put;
            writer.put(&Entry { key: &key, seq, kind, expires_ms: None, value: &value });
        }
        writer
    }

    fn key(round: u64, seq: u64) -> Vec<u8> {
        let number = seq.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
        format!("{:016x}{round}", number ^ seq >> 3).into_bytes()
    }

    #[test]
    fn a_memtable_in_used_memory_has_nothing_of_what_was_there() {
        let spare = Arc::new(SpareMemory::new(16 << 20));
        for round in 1..5 {
            let before = spare.bytes();
            let count = 20_000 >> (round % 3);
            let writer = fill(&spare, round, count);
            assert_eq!(before > spare.bytes(), round > 1, "used memory is used again");
            let memtable = Arc::clone(writer.memtable());
            drop(writer);
            let mut cursor = memtable.cursor();
            let mut last = Vec::new();
            let mut met = 0;
            cursor.to_first().unwrap();
            while let Some(entry) = cursor.entry() {
                assert!(entry.key > &last[..] && entry.value == [round as u8; 90]);
                last = entry.key.to_vec();
                met += 1;
                cursor.advance().unwrap();
            }
            assert_eq!(met, count);
            for seq in 1..=count {
                assert_eq!(memtable.find(&key(round, seq), u64::MAX).map(|e| e.seq), Some(seq));
                assert_eq!(memtable.find(&key(round - 1, seq), u64::MAX), None);
            }
        }
        spare.clear();
        assert_eq!(spare.bytes(), 0);
    }

    #[test]
    fn the_next_memtable_asks_the_system_for_nothing() {
        let spare = Arc::new(SpareMemory::new(64 << 20));
        drop(fill(&spare, 1, 40_000));
        let pieces = spare.kept.lock().len();
        // The shortest that the system gives, of the records and of the nodes.
        for bytes in [1 << 14, 1 << 15] {
            let kept = spare.kept.lock();
            assert_eq!(kept.iter().filter(|lines| size_of_val(lines.get()) == bytes).count(), 2);
        }
        let next = fill(&spare, 2, 40_000);
        assert!(spare.kept.lock().is_empty(), "{spare:?}");
        drop(next);
        assert_eq!(spare.kept.lock().len(), pieces);
    }

    #[test]
    fn what_is_too_much_goes_in_few_pieces() {
        let spare = SpareMemory::new(usize::MAX);
        let lengths = [1 << 14, 1 << 15, 1 << 17, 1 << 20, 1 << 21];
        lengths.into_iter().for_each(|bytes| spare.keep(Lines::zeroed(bytes / 64)));
        let all: usize = lengths.iter().sum();
        let mut last = all;
        for (more, goes) in
            [(0, 0), (1, 1 << 14), (100_000, 1 << 17), ((1 << 21) + 1, (1 << 21) + (1 << 15))]
        {
            spare.shrink_to(last - more);
            assert_eq!(spare.bytes(), last - goes, "{more} bytes too much");
            last -= goes;
        }
        spare.shrink_to(0);
        assert_eq!(spare.bytes(), 0);
    }

    #[test]
    fn nothing_is_refused_for_what_is_kept_in_other_lengths() {
        let spare = SpareMemory::new(usize::MAX);
        spare.lines_max.store(2 << 10, std::sync::atomic::Ordering::Relaxed);
        for lines in [256, 512, 1024] {
            spare.keep(Lines::zeroed(lines));
        }
        assert_eq!(spare.take(512).get().len(), 512);
        assert_eq!(spare.bytes(), (256 + 1024) * 64, "{spare:?}");
        assert_eq!(spare.take(2 << 10).get().len(), 2 << 10);
        assert_eq!(spare.bytes(), 0, "the system needs what is kept");
        assert_eq!(spare.take(4 << 10).get().len(), 2 << 10, "and has no more");
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        let spare = Arc::new(SpareMemory::new(3 << 20));
        let memtables: Vec<_> = (1..4).map(|round| fill(&spare, round, 10_000)).collect();
        assert_eq!(spare.bytes(), 0);
        drop(memtables);
        assert!((1..=3 << 20).contains(&spare.bytes()), "{spare:?}");
        let none = Arc::new(SpareMemory::new(0));
        drop(fill(&none, 1, 10_000));
        assert_eq!(none.bytes(), 0);
    }
}
