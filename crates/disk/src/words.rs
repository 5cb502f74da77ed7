//! Memory for large tables: zeroed words, in pages as large as the system gives.
//!
//! A table that is looked into at random places pays for each look with a search of the page
//! tables, which on a virtual machine costs as much again as the memory. In pages of two mebibytes
//! the whole table's translations fit into the processor.

use memmap2::MmapMut;
use std::{fmt, ptr::NonNull, sync::atomic::AtomicU64};

/// From this size on memory is mapped by itself, with the advice to use large pages.
const MAPPED_FROM_BYTES: usize = 1 << 21;

/// A fixed number of words, zero at first.
pub struct Words {
    first: NonNull<AtomicU64>,
    len: usize,
    _memory: Memory,
}

/// What owns the words.
enum Memory {
    Boxed { _words: Box<[AtomicU64]> },
    Mapped { _map: MmapMut },
}

// SAFETY: the words are owned, and atomic; the pointer is to memory that `_memory` keeps in place
// when it moves.
#[allow(unsafe_code, reason = "a pointer into owned memory")]
unsafe impl Send for Words {}
// SAFETY: as above; shared access is through atomics.
#[allow(unsafe_code, reason = "a pointer into owned memory")]
unsafe impl Sync for Words {}

impl fmt::Debug for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Words({})", self.get().len())
    }
}

impl Words {
    /// `len` words. From two mebibytes on, memory is taken from the system as it is touched.
    ///
    /// ```
    /// use annals_disk::Words;
    /// use std::sync::atomic::Ordering;
    ///
    /// let words = Words::zeroed(1 << 20);
    /// words.get()[7].store(1, Ordering::Relaxed);
    /// assert_eq!(words.get()[8].load(Ordering::Relaxed), 0);
    /// ```
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        let bytes = len * size_of::<AtomicU64>();
        if bytes >= MAPPED_FROM_BYTES
            && let Ok(mut map) = MmapMut::map_anon(bytes)
            && let Some(first) = NonNull::new(map.as_mut_ptr().cast())
        {
            // A hint; a system without large pages refuses it.
            #[cfg(target_os = "linux")]
            let _ = map.advise(memmap2::Advice::HugePage);
            return Self { first, len, _memory: Memory::Mapped { _map: map } };
        }
        let mut words: Box<[AtomicU64]> =
            std::iter::repeat_with(AtomicU64::default).take(len).collect();
        let first = NonNull::from(&mut *words).cast();
        Self { first, len, _memory: Memory::Boxed { _words: words } }
    }

    /// The words.
    #[inline]
    #[must_use]
    #[allow(unsafe_code, reason = "owned memory becomes a slice")]
    pub fn get(&self) -> &[AtomicU64] {
        // SAFETY: `first` points to `len` words that `_memory` owns and keeps in place: a boxed
        // slice, or an anonymous map of that many bytes, zero at first, which begins at a page and so
        // is aligned. Both live as long as `self`; nobody else has a reference to them.
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering;

    #[test]
    fn words_are_zero_and_keep_what_is_stored_boxed_or_mapped() {
        for len in [1, 1000, (MAPPED_FROM_BYTES / 8) + 3] {
            let words = Words::zeroed(len);
            assert_eq!(words.get().len(), len);
            assert!(words.get().iter().all(|word| word.load(Ordering::Relaxed) == 0));
            words.get()[len - 1].store(u64::MAX, Ordering::Relaxed);
            prefetch(&raw const words.get()[0]);
            assert_eq!(words.get()[len - 1].load(Ordering::Relaxed), u64::MAX);
        }
    }
}
