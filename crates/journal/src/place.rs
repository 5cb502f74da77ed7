//! One slot of the table of segments: who reads, and what.
//!
//! A reader first counts itself in, then loads the pointer. Taking an object away is the mirror image:
//! clear the pointer, then wait until the counters were seen to add up to zero. Between the two steps
//! the reader has a [light fence](fences::light) and the remover a heavy one, so either the reader sees
//! the cleared pointer, or the remover sees the reader's count.

use crate::{
    chair::{self, SEATS, SHARED_SEAT},
    sync::{AtomicPtr, AtomicUsize, fences, prefetch},
};
use std::{
    array,
    ptr::{self, NonNull},
    sync::atomic::Ordering,
};

/// The seat of guards that were made of another guard: all of them are counted abroad, as fewer dropped.
pub(crate) const NO_SEAT: usize = u32::MAX as usize;

/// A counter on a line of its own.
#[repr(align(64))]
struct Counter(AtomicUsize);

impl Counter {
    fn zero() -> Self {
        Self(AtomicUsize::new(0))
    }
}

/// One slot.
pub(crate) struct Place<T> {
    object: AtomicPtr<T>,
    /// The first byte of the object's memory, for prefetching only: it may be stale.
    base: std::sync::atomic::AtomicPtr<u8>,
    /// Guards made, less guards dropped, by seat.
    readers: [Counter; SEATS],
    /// Guards that were dropped by another thread than the one that made them, less those that were made
    /// of others and live.
    abroad: Counter,
}

impl<T> Default for Place<T> {
    fn default() -> Self {
        Self {
            object: AtomicPtr::new(ptr::null_mut()),
            base: std::sync::atomic::AtomicPtr::default(),
            readers: array::from_fn(|_| Counter::zero()),
            abroad: Counter::zero(),
        }
    }
}

impl<T> Place<T> {
    /// Shows an object, whose memory begins at `base`. Returns what was shown before.
    pub(crate) fn show(&self, object: *mut T, base: *mut u8) -> *mut T {
        let before = self.object.swap(object, Ordering::SeqCst);
        self.base.store(base, Ordering::Relaxed);
        before
    }

    /// Takes the object out, if there is one. From now on nobody gets it, and whoever has got it is seen
    /// counted.
    pub(crate) fn hide(&self) -> *mut T {
        let object = self.object.swap(ptr::null_mut(), Ordering::SeqCst);
        if !object.is_null() {
            fences::heavy();
        }
        object
    }

    /// Counts the caller in and returns the object, which stays until the caller is counted out; if
    /// there is none, the caller is not counted in either. `seat` must be one that no other thread
    /// counts on now, or the shared one.
    #[inline(always)]
    pub(crate) fn enter(&self, seat: usize) -> Option<NonNull<T>> {
        let counter = &self.readers[seat].0;
        if seat == SHARED_SEAT {
            counter.fetch_add(1, Ordering::Relaxed);
        } else {
            counter.store(counter.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
        }
        fences::light();
        let object = NonNull::new(self.object.load(Ordering::Acquire));
        if object.is_none() {
            // Where it was counted in, whatever the thread's own seat is: counted abroad it might be
            // taken for somebody else's leaving by who has looked at this counter already.
            self.leave_home(seat);
        }
        object
    }

    /// Counts one guard more of an object that the caller has a guard of, also if it was hidden since.
    ///
    /// Seats would not do: [`is_idle`](Self::is_idle) may have looked at this thread's already, and find the
    /// guard that this one was made of gone. What it looks at last it cannot miss.
    #[inline]
    pub(crate) fn again(&self) -> usize {
        self.abroad.0.fetch_sub(1, Ordering::Relaxed);
        NO_SEAT
    }

    /// Counts a guard out that was counted in at `seat`. Release: everything read through the guard
    /// was read before the count falls.
    #[inline]
    pub(crate) fn leave(&self, seat: usize) {
        if !self.leave_own(seat) {
            self.leave_other(seat);
        }
    }

    /// The same if nobody but the calling thread counts at `seat`; false if others may, and nothing is done.
    #[inline]
    pub(crate) fn leave_own(&self, seat: usize) -> bool {
        if !chair::is_own(seat) {
            return false;
        }
        let Some(counter) = self.readers.get(seat) else { return false };
        counter.0.store(counter.0.load(Ordering::Relaxed).wrapping_sub(1), Ordering::Release);
        true
    }

    #[cold]
    fn leave_other(&self, seat: usize) {
        if seat == SHARED_SEAT {
            self.leave_home(seat);
        } else {
            self.abroad.0.fetch_add(1, Ordering::Release);
        }
    }

    #[inline]
    fn leave_home(&self, seat: usize) {
        let counter = &self.readers[seat].0;
        if seat == SHARED_SEAT {
            counter.fetch_sub(1, Ordering::Release);
        } else {
            counter.store(counter.load(Ordering::Relaxed).wrapping_sub(1), Ordering::Release);
        }
    }

    /// Brings what lies at `offset` closer. A hint: the object may go away meanwhile.
    #[inline]
    pub(crate) fn prefetch(&self, offset: u32) {
        let at = self.base.load(Ordering::Relaxed).wrapping_add(offset as usize);
        prefetch(at);
        // A short record is seldom in one line.
        prefetch(at.wrapping_add(64));
    }

    /// The same, and of a record that is to be read as a whole what comes next: where the value ends is known only
    /// when the first bytes are there, and who asks for its last line then waits a second time.
    #[inline]
    pub(crate) fn prefetch_value(&self, offset: u32) {
        let at = self.base.load(Ordering::Relaxed).wrapping_add(offset as usize);
        prefetch(at);
        prefetch(at.wrapping_add(64));
        prefetch(at.wrapping_add(128));
    }

    /// Whether no guard is left. Asked after the object was hidden: from then on nobody gets a guard any
    /// more. A count taken early may include guards that are gone when the next one is taken, never the
    /// other way round, because those abroad are counted last; so zero is really zero.
    pub(crate) fn is_idle(&self) -> bool {
        let made = self
            .readers
            .iter()
            .fold(0usize, |sum, counter| sum.wrapping_add(counter.0.load(Ordering::Acquire)));
        made == self.abroad.0.load(Ordering::Acquire)
    }
}
