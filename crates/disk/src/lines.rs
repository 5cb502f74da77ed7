//! Memory for large tables: zeroed cache lines, in pages as large as the system gives.
//!
//! A table that is looked into at random places pays for each look with a search of the page
//! tables, which on a virtual machine costs as much again as the memory. In pages of two mebibytes
//! the whole table's translations fit into the processor.

use memmap2::{MmapMut, MmapOptions};
use std::{fmt, ops::Deref, ptr::NonNull, sync::atomic::AtomicU64};

/// Words in a line.
const WORDS: usize = 8;
/// From this size in bytes on, memory is taken from the system page by page as it is touched.
const MAPPED_FROM_BYTES: usize = 1 << 14;
/// So many lines are not worth fewer.
const FEW: usize = MAPPED_FROM_BYTES / size_of::<Line>();
/// From this size in bytes on, these pages are to be large.
const LARGE_FROM_BYTES: usize = 1 << 23;

/// Eight words in one cache line.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Line([AtomicU64; WORDS]);

impl Deref for Line {
    type Target = [AtomicU64; WORDS];

    #[inline]
    fn deref(&self) -> &[AtomicU64; WORDS] {
        &self.0
    }
}

/// A fixed number of lines, zero at first.
pub struct Lines {
    first: NonNull<Line>,
    len: usize,
    _memory: Memory,
}

/// What owns the lines.
enum Memory {
    Boxed { _lines: Box<[Line]> },
    Mapped { _map: MmapMut },
}

// SAFETY: the lines are owned, and atomic; the pointer is to memory that `_memory` keeps in place
// when it moves.
#[allow(unsafe_code, reason = "a pointer into owned memory")]
unsafe impl Send for Lines {}
// SAFETY: as above; shared access is through atomics.
#[allow(unsafe_code, reason = "a pointer into owned memory")]
unsafe impl Sync for Lines {}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lines({})", self.len)
    }
}

impl Lines {
    /// How much memory is taken from the system at once, as `len` lines are touched one after the
    /// other, in bytes: all of it, a page, or a large page, if the system has them.
    #[must_use]
    pub const fn step_bytes(len: usize) -> usize {
        let bytes = len * size_of::<Line>();
        if bytes < MAPPED_FROM_BYTES {
            bytes
        } else if bytes < LARGE_FROM_BYTES {
            1 << 12
        } else {
            1 << 21
        }
    }

    /// `len` lines.
    ///
    /// ```
    /// use annals_disk::Lines;
    /// use std::sync::atomic::Ordering;
    ///
    /// let lines = Lines::zeroed(1 << 17);
    /// lines.get()[7][1].store(1, Ordering::Relaxed);
    /// assert_eq!(lines.get()[7][2].load(Ordering::Relaxed), 0);
    /// ```
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        if len * size_of::<Line>() >= MAPPED_FROM_BYTES
            && let Some(lines) = Self::mapped(len)
        {
            return lines;
        }
        let mut lines: Box<[Line]> = std::iter::repeat_with(Line::default).take(len).collect();
        let first = NonNull::from(&mut *lines).cast();
        Self { first, len, _memory: Memory::Boxed { _lines: lines } }
    }

    /// `len` lines, or fewer if the system refuses a process as many addresses: half of them, half of
    /// that, and so on down to a few.
    #[must_use]
    pub fn up_to(len: usize) -> Self {
        let mut len = len;
        while len > FEW {
            if let Some(lines) = Self::mapped(len) {
                return lines;
            }
            len /= 2;
        }
        Self::zeroed(len)
    }

    fn mapped(len: usize) -> Option<Self> {
        let bytes = len.checked_mul(size_of::<Line>())?;
        let mut map = MmapOptions::new().len(bytes).no_reserve_swap().map_anon().ok()?;
        let first = NonNull::new(map.as_mut_ptr().cast())?;
        // A hint; a system without large pages refuses it.
        #[cfg(target_os = "linux")]
        if bytes >= LARGE_FROM_BYTES {
            let _ = map.advise(memmap2::Advice::HugePage);
        }
        Some(Self { first, len, _memory: Memory::Mapped { _map: map } })
    }

    /// The lines.
    #[inline]
    #[must_use]
    #[allow(unsafe_code, reason = "owned memory becomes a slice")]
    pub fn get(&self) -> &[Line] {
        // SAFETY: `first` points to `len` lines that `_memory` owns and keeps in place: a boxed
        // slice, or an anonymous map of that many bytes, zero at first, which begins at a page and so
        // is aligned. Both live as long as `self`; nobody else has a reference to them. Zeroes are a
        // valid line.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.len) }
    }
}

/// Brings a cache line closer to the processor. A hint: `place` is not read.
#[inline]
#[allow(unsafe_code, reason = "the prefetch instruction takes a raw pointer")]
pub fn prefetch<T: ?Sized>(place: *const T) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing architecturally and never faults, whatever the pointer. SSE is
    // part of x86-64.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(place.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

/// The same for a place that will be written.
#[inline(always)]
#[allow(unsafe_code, reason = "the prefetch instruction takes a raw pointer")]
pub(crate) fn prefetch_for_write(place: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch changes nothing architecturally and never faults, whatever the pointer. SSE is part of
    // x86-64, and a processor without this kind of prefetch takes the instruction for nothing.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_ET0>(place.cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = place;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering;

    #[test]
    fn what_is_too_much_for_the_addresses_there_are_becomes_less() {
        let most = usize::MAX / size_of::<Line>();
        let lines = Lines::up_to(most);
        assert!((FEW..most).contains(&lines.get().len()), "{lines:?}");
        lines.get()[lines.get().len() - 1][0].store(1, Ordering::Relaxed);
        assert_eq!(Lines::up_to(4096).get().len(), 4096);
        assert_eq!(Lines::up_to(3).get().len(), 3);
    }

    #[test]
    fn lines_are_zero_and_keep_what_is_stored_boxed_or_mapped() {
        let lengths = [64, MAPPED_FROM_BYTES, LARGE_FROM_BYTES + 192];
        for len in lengths.map(|bytes| bytes / size_of::<Line>()) {
            let lines = Lines::zeroed(len);
            assert_eq!(lines.get().len(), len);
            let words = || lines.get().iter().flat_map(|line| line.iter());
            assert!(words().all(|word| word.load(Ordering::Relaxed) == 0));
            lines.get()[len - 1][7].store(u64::MAX, Ordering::Relaxed);
            prefetch(&raw const lines.get()[0]);
            assert_eq!(words().last().map(|word| word.load(Ordering::Relaxed)), Some(u64::MAX));
            assert!(lines.get().as_ptr().addr().is_multiple_of(64));
        }
    }
}
