//! A value, borrowed from the log.

use annals_journal::ValueGuard;
use std::{fmt, ops::Deref};

/// A value, read in place: no copy is made. The segment it lies in stays mapped while the guard
/// lives, so a guard that is kept for long keeps disk space from being reclaimed; copy with
/// [`to_vec`](Self::to_vec) what must be kept.
///
/// ```
/// # use annals_engine as annals;
/// let db = annals::Database::open_in_memory()?;
/// let users = db.hash_keyspace("users")?;
/// users.insert("ada", "1815")?;
/// let guard = users.get("ada")?.expect("just written");
/// assert_eq!(&*guard, b"1815");
/// # Ok::<(), annals::Error>(())
/// ```
pub struct Guard<'a>(ValueGuard<'a>);

impl<'a> Guard<'a> {
    #[inline]
    pub(crate) fn new(value: ValueGuard<'a>) -> Self {
        Self(value)
    }

    /// The value as a vector of its own, which holds nothing back: one allocation and one copy.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let users = db.hash_keyspace("users")?;
    /// users.insert("ada", "1815")?;
    /// let kept = users.get("ada")?.map(|guard| guard.to_vec());
    /// users.remove("ada")?;
    /// assert_eq!(kept, Some(b"1815".to_vec()));
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self[..].to_vec()
    }
}

impl Deref for Guard<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Guard<'_> {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl PartialEq<[u8]> for Guard<'_> {
    fn eq(&self, other: &[u8]) -> bool {
        **self == *other
    }
}

impl fmt::Debug for Guard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guard({} bytes)", self.len())
    }
}
