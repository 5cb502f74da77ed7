//! The current one of a succession of shared objects, for readers that take no lock.

use crate::{
    chair::{self, Pin},
    sync::{AtomicPtr, Mutex},
};
use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
};

/// The current one of a succession of shared objects. Reading takes a [`Pin`] and a load; a former
/// object is let go of once nobody is pinned who could have seen it here.
///
/// ```
/// use annals_journal::{Current, pin};
/// use std::sync::Arc;
///
/// let current = Current::new(Arc::new("one"));
/// let pin = pin();
/// let seen = current.read(&pin);
/// current.replace(Arc::new("two"));
/// assert_eq!((*seen, *current.read(&pin)), ("one", "two"));
/// ```
pub struct Current<T> {
    object: AtomicPtr<T>,
    /// Former objects with the age that has to be over; without one they are kept for good.
    former: Mutex<Vec<(Option<u64>, Arc<T>)>>,
}

impl<T: fmt::Debug> fmt::Debug for Current<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Current").field(self.read(&chair::pin())).finish()
    }
}

impl<T> Current<T> {
    /// Shows `object`.
    #[must_use]
    pub fn new(object: Arc<T>) -> Self {
        Self { object: AtomicPtr::new(Arc::into_raw(object).cast_mut()), former: Mutex::default() }
    }

    /// The current object.
    #[inline]
    #[must_use]
    #[allow(unsafe_code, reason = "the pin keeps the pointee alive")]
    pub fn read<'a>(&'a self, _pin: &'a Pin) -> &'a T {
        // SAFETY: the pointer came from `Arc::into_raw`. The count it stands for is dropped only by
        // `tidy`, after an age began when the pointer was out of sight, and once no chair is
        // pinned since before: the pin was taken before this load and outlives the reference, so
        // either the load sees a later object or `tidy` sees the pin. Or it is dropped by
        // `Drop`, which the borrow of `self` excludes.
        unsafe { &*self.object.load(Ordering::Acquire) }
    }

    /// Shows `object` from now on. Calls the system; not for hot paths.
    pub fn replace(&self, object: Arc<T>) {
        self.replace_in(object, chair::begin_age);
    }

    #[allow(unsafe_code, reason = "takes back what `new` or `replace` turned into a pointer")]
    pub(crate) fn replace_in(&self, object: Arc<T>, begin_age: impl FnOnce() -> u64) {
        let mut former = self.former.lock();
        let before = self.object.swap(Arc::into_raw(object).cast_mut(), Ordering::AcqRel);
        // SAFETY: the pointer came from `Arc::into_raw` and was taken out just now, so the count
        // that it stands for is owned here. It is not dropped before its readers are gone.
        let before = unsafe { Arc::from_raw(before) };
        // Kept before the age begins: if the system refuses the fence, that panics, and nobody knows
        // any more who looks at the object.
        former.push((None, before));
        let age = begin_age();
        if let Some(kept) = former.last_mut() {
            kept.0 = Some(age);
        }
        tidy(&mut former);
    }

    /// Lets go of former objects that nobody looks at any more. Returns how many are left.
    pub fn tidy(&self) -> usize {
        let mut former = self.former.lock();
        tidy(&mut former);
        former.len()
    }
}

fn tidy<T>(former: &mut Vec<(Option<u64>, Arc<T>)>) {
    former.retain(|(age, _)| !age.is_some_and(chair::is_over));
}

impl<T> Drop for Current<T> {
    #[allow(unsafe_code, reason = "takes back what `new` or `replace` turned into a pointer")]
    fn drop(&mut self) {
        // SAFETY: `&mut self` says that nobody borrows through `read`; the pointer stands for the
        // count that `new` or `replace` gave.
        drop(unsafe { Arc::from_raw(self.object.load(Ordering::Relaxed)) });
    }
}
