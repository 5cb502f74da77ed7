//! A value in a segment, with the count that keeps the segment there.

use crate::segments::{Place, SegmentGuard};
use std::{fmt, mem::ManuallyDrop, ops::Deref, ptr::NonNull};

/// The seat of values that are counted nowhere, because they borrow from a guard that is.
const LENT: u32 = u32::MAX - 1;

/// Bytes of a segment, read in place. The segment stays mapped, and its bytes unchanged, while this
/// lives; may be sent to and dropped by any thread.
pub struct ValueGuard<'a> {
    first: NonNull<u8>,
    /// The length, and in the upper half the seat. In one word, because two halves are stored one by one and loaded
    /// together where a guard is returned: the load then waits until all that came before the stores has ended,
    /// and with it whatever would have been looked up meanwhile.
    len_and_seat: u64,
    place: &'a Place,
}

// SAFETY: the pointer is to published bytes, which nobody writes while the count that this value
// stands for, or that of the guard it borrows from, is not given back; that can be done from any thread
// (see `Place::leave`).
#[allow(unsafe_code, reason = "a pointer to shared bytes that do not change")]
unsafe impl Send for ValueGuard<'_> {}
// SAFETY: as above; all that can be done through a shared reference is to read the bytes.
#[allow(unsafe_code, reason = "a pointer to shared bytes that do not change")]
unsafe impl Sync for ValueGuard<'_> {}

impl<'a> SegmentGuard<'a> {
    /// Keeps the bytes at `range`, offset and length, which a [`Match`](crate::Match) gave.
    ///
    /// # Panics
    /// If the range is not inside what is published of the segment.
    #[inline(always)]
    #[must_use]
    #[allow(unsafe_code, reason = "a guard of a slice of this guard's own")]
    pub fn into_value(self, range: (u32, u32)) -> ValueGuard<'a> {
        let bytes = NonNull::from(self.bytes(range.0, range.1));
        // SAFETY: published bytes of the segment, as `bytes` gives no others.
        unsafe { self.into_guard_of(bytes) }
    }

    /// The same while the guard itself is kept: many values of one guard need no count each.
    ///
    /// # Panics
    /// As [`into_value`](Self::into_value).
    #[inline]
    #[must_use]
    pub fn value(&self, range: (u32, u32)) -> ValueGuard<'_> {
        let bytes = NonNull::from(self.bytes(range.0, range.1));
        let (place, _) = self.count();
        ValueGuard::new(bytes, LENT, place)
    }

    /// Keeps `bytes`.
    ///
    /// # Safety
    /// They must be published bytes of the segment, valid for reads.
    #[inline]
    #[allow(unsafe_code, reason = "the pointer's origin is the caller's to know")]
    pub(crate) unsafe fn into_guard_of(self, bytes: NonNull<[u8]>) -> ValueGuard<'a> {
        // The count goes over to the value.
        let guard = ManuallyDrop::new(self);
        let (place, seat) = guard.count();
        ValueGuard::new(bytes, seat as u32, place)
    }
}

impl<'a> ValueGuard<'a> {
    #[inline(always)]
    fn new(bytes: NonNull<[u8]>, seat: u32, place: &'a Place) -> Self {
        let len_and_seat = bytes.len() as u64 | u64::from(seat) << 32;
        Self { first: bytes.cast(), len_and_seat, place }
    }
}

impl Deref for ValueGuard<'_> {
    type Target = [u8];

    #[inline]
    #[allow(unsafe_code, reason = "the count keeps the pointee in place")]
    fn deref(&self) -> &[u8] {
        // SAFETY: `first` and the length were a slice of published bytes of a segment. The guard they came
        // from was counted in, and its count is given back only when this value is dropped, or when the
        // guard is that this value borrows from; so the segment is neither unmapped nor its published
        // bytes changed while the slice is borrowed.
        unsafe {
            std::slice::from_raw_parts(self.first.as_ptr(), self.len_and_seat as u32 as usize)
        }
    }
}

impl Drop for ValueGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        let seat = (self.len_and_seat >> 32) as u32;
        if !self.place.leave_own(seat as usize) && seat != LENT {
            self.place.leave(seat as usize);
        }
    }
}

impl fmt::Debug for ValueGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ValueGuard({} bytes)", self.len())
    }
}
