//! Page-aligned, zeroed heap memory that several regions can share: what a memory map is to the
//! real disk.
//!
//! The memory has no lock of its own. It is shared under the rule of [`crate::region`]: a byte is
//! written only before it is published and read only after, so no byte is read while it is
//! written. Whoever copies into it by other ways (a cut, a flipped bit) must not do so while a
//! slice of those bytes is held.

use std::{
    alloc::{Layout, alloc_zeroed, dealloc},
    io,
    ptr::NonNull,
};

/// The unit of writing to a device, and the alignment of regions.
pub(crate) const PAGE_BYTES: usize = 4096;

/// Zeroed memory of a fixed size.
#[derive(Debug)]
pub(crate) struct Pages {
    /// The first page boundary of the allocation.
    base: NonNull<u8>,
    capacity: usize,
    /// What the allocator gave, for giving it back.
    allocation: NonNull<u8>,
    layout: Layout,
}

// SAFETY: the memory is owned, is freed only in `drop`, and belongs to no thread.
#[allow(unsafe_code, reason = "the pointer is owned")]
unsafe impl Send for Pages {}
// SAFETY: the methods that touch the memory are unsafe and ask their callers to keep reads and
// writes of the same bytes apart.
#[allow(unsafe_code, reason = "shared access is argued by the callers of `read` and `write`")]
unsafe impl Sync for Pages {}

impl Pages {
    /// Allocates at least `len` bytes of zeroes, in whole pages. Memory that is never touched
    /// costs nothing on systems that hand out zeroed pages lazily.
    ///
    /// # Errors
    /// `OutOfMemory` if the allocator refuses.
    #[allow(unsafe_code, reason = "the allocator's interface is unsafe")]
    pub(crate) fn zeroed(len: usize) -> io::Result<Self> {
        let refused = || io::Error::from(io::ErrorKind::OutOfMemory);
        let capacity = len.max(1).checked_next_multiple_of(PAGE_BYTES).ok_or_else(refused)?;
        // The alignment is made here, with a page to spare: asked for more than its natural
        // alignment, the standard allocator clears the memory itself, and so touches all of it.
        let room = capacity.checked_add(PAGE_BYTES).ok_or_else(refused)?;
        let layout = Layout::array::<u64>(room / size_of::<u64>()).map_err(|_| refused())?;
        // SAFETY: the layout's size is at least two pages, so it is not zero.
        let allocation = NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or_else(refused)?;
        let skipped = allocation.as_ptr().align_offset(PAGE_BYTES);
        assert!(skipped < PAGE_BYTES, "the start of the memory cannot be aligned");
        // SAFETY: less than a page is skipped, and the allocation has one more than `capacity`.
        let base = unsafe { allocation.add(skipped) };
        Ok(Self { base, capacity, allocation, layout })
    }

    /// Where the memory starts.
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// The size in bytes, a multiple of [`PAGE_BYTES`].
    pub(crate) fn capacity(&self) -> usize {
        self.capacity
    }

    /// The bytes `offset .. offset + len`.
    ///
    /// # Panics
    /// If the range is not inside the memory.
    ///
    /// # Safety
    /// Nobody may write these bytes as long as the slice lives.
    #[allow(unsafe_code, reason = "the caller keeps readers and writers apart")]
    pub(crate) unsafe fn read(&self, offset: usize, len: usize) -> &[u8] {
        assert!(offset <= self.capacity() && len <= self.capacity() - offset);
        // SAFETY: in bounds by the check above, initialised by `alloc_zeroed`, alive as long as
        // `self`; not written meanwhile by the caller's promise.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr().add(offset), len) }
    }

    /// Copies `bytes` to `offset`.
    ///
    /// # Panics
    /// If the range is not inside the memory.
    ///
    /// # Safety
    /// Nobody may read or write these bytes at the same time, and `bytes` must not be a part of
    /// them.
    #[allow(unsafe_code, reason = "the caller keeps readers and writers apart")]
    pub(crate) unsafe fn write(&self, offset: usize, bytes: &[u8]) {
        assert!(offset <= self.capacity() && bytes.len() <= self.capacity() - offset);
        // SAFETY: in bounds by the check above; exclusive and not overlapping by the caller's
        // promise.
        unsafe {
            std::ptr::copy_nonoverlapping(
                bytes.as_ptr(),
                self.base.as_ptr().add(offset),
                bytes.len(),
            );
        }
    }

    /// Sets `len` bytes at `offset` to zero.
    ///
    /// # Panics
    /// If the range is not inside the memory.
    ///
    /// # Safety
    /// Nobody may read or write these bytes at the same time.
    #[allow(unsafe_code, reason = "the caller keeps readers and writers apart")]
    pub(crate) unsafe fn clear(&self, offset: usize, len: usize) {
        assert!(offset <= self.capacity() && len <= self.capacity() - offset);
        // SAFETY: in bounds by the check above; exclusive by the caller's promise.
        unsafe { std::ptr::write_bytes(self.base.as_ptr().add(offset), 0, len) }
    }
}

impl Drop for Pages {
    #[allow(unsafe_code, reason = "the allocator's interface is unsafe")]
    fn drop(&mut self) {
        // SAFETY: `allocation` came from `alloc_zeroed` with this very layout; it is freed only here.
        unsafe { dealloc(self.allocation.as_ptr(), self.layout) }
    }
}

#[cfg(test)]
#[allow(unsafe_code, reason = "the memory is only reachable through unsafe calls")]
mod tests {
    use super::*;

    #[test]
    fn memory_is_zeroed_aligned_and_whole_pages() {
        let pages = Pages::zeroed(5000).expect("memory");
        assert_eq!(pages.capacity(), 2 * PAGE_BYTES);
        assert_eq!(pages.base().as_ptr().addr() % PAGE_BYTES, 0);
        // SAFETY: this thread is the only one that knows the memory.
        assert!(unsafe { pages.read(0, pages.capacity()) }.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_length_beyond_the_address_space_is_an_error() {
        assert_eq!(
            Pages::zeroed(usize::MAX).expect_err("too much").kind(),
            io::ErrorKind::OutOfMemory
        );
    }

    #[test]
    #[should_panic(expected = "assertion failed")]
    fn a_write_beyond_the_end_panics() {
        let pages = Pages::zeroed(PAGE_BYTES).expect("memory");
        // SAFETY: this thread is the only one that knows the memory.
        unsafe { pages.write(PAGE_BYTES - 1, b"ab") }
    }
}
