//! Bytes together with what they are part of.

use std::{fmt, ops::Deref, ptr::NonNull, sync::Arc};

/// Bytes of something that is shared, which keep it. Who reads them again and again need not find the way
/// through their owner each time.
///
/// ```
/// use annals_disk::Kept;
/// use std::sync::Arc;
///
/// let owner = Arc::new(vec![b"one".to_vec(), b"two".to_vec()]);
/// let second = Kept::of(owner, |all| &all[1]);
/// assert_eq!(&*second, b"two");
/// ```
pub struct Kept<T> {
    bytes: NonNull<[u8]>,
    /// None of the bytes of nothing.
    owner: Option<Arc<T>>,
}

impl<T: 'static> Kept<T> {
    /// The bytes that `find` finds in `owner`. Costs one count of the owner's users.
    pub fn of(owner: Arc<T>, find: impl for<'a> FnOnce(&'a T) -> &'a [u8]) -> Self {
        let bytes = NonNull::from(find(&owner));
        Self { bytes, owner: Some(owner) }
    }
}

impl<T> Default for Kept<T> {
    /// No bytes of nothing.
    fn default() -> Self {
        Self { bytes: NonNull::from(&[]), owner: None }
    }
}

impl<T> Deref for Kept<T> {
    type Target = [u8];

    #[inline(always)]
    #[allow(unsafe_code, reason = "the borrow of the owner is kept in another form")]
    fn deref(&self) -> &[u8] {
        // SAFETY: `find` takes a borrow of any length, so what it returned is borrowed from the owner, or
        // lives for ever; nobody can have the owner to write to it for as long as it is shared with this. It
        // does not move with `self`, for it is behind a pointer. Without an owner the bytes are a constant.
        unsafe { self.bytes.as_ref() }
    }
}

impl<T> fmt::Debug for Kept<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Kept({} bytes of {})",
            self.len(),
            if self.owner.is_some() { "something" } else { "nothing" }
        )
    }
}

// SAFETY: it is a shared owner and a shared borrow of it, both of which may go where the owner may.
#[allow(unsafe_code, reason = "the pointer is a borrow of the owner")]
unsafe impl<T: Send + Sync> Send for Kept<T> {}
// SAFETY: as above.
#[allow(unsafe_code, reason = "the pointer is a borrow of the owner")]
unsafe impl<T: Send + Sync> Sync for Kept<T> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_lives_as_long_as_its_bytes() {
        let owner = Arc::new(b"hello".to_vec());
        let kept = Kept::of(Arc::clone(&owner), |owner| &owner[1..]);
        let watch = Arc::downgrade(&owner);
        drop(owner);
        let moved = Box::new(kept);
        assert_eq!((&**moved, watch.strong_count()), (&b"ello"[..], 1));
        let elsewhere = std::thread::spawn(move || moved.len());
        assert_eq!(elsewhere.join().expect("no panic"), 4);
        assert_eq!(watch.strong_count(), 0);
        assert_eq!(&*Kept::<u8>::default(), b"");
    }
}
