//! Aligned bytes that archives are written to, one after the other.

use rkyv::{ser::allocator::Arena, util::AlignedVec};
use std::{fmt, ops::Deref};

/// Where the archive of an event is written: bytes that begin on a multiple of 16, grow as needed and
/// are used again. One buffer serves any number of events of any types; each replaces the one before.
///
/// ```
/// use annals_events::{Event, EventBuf, Scratch};
///
/// #[derive(Event)]
/// #[event(crate = annals_events)]
/// struct Paid {
///     cents: u64,
/// }
///
/// let (mut buffer, scratch) = (EventBuf::new(), Scratch::new());
/// for cents in [5, 7] {
///     Paid { cents }.encode(&mut buffer)?;
///     assert_eq!(Paid::view("Paid", 1, buffer.as_bytes(), &scratch)?.cents, cents);
/// }
/// # Ok::<(), annals_events::Error>(())
/// ```
#[derive(Default)]
pub struct EventBuf {
    pub(crate) bytes: AlignedVec,
    /// Where rkyv keeps what it needs while it writes; made when the first event is written.
    pub(crate) arena: Option<Arena>,
}

impl EventBuf {
    /// An empty buffer. Takes no memory until something is written.
    ///
    /// ```
    /// assert!(annals_events::EventBuf::new().as_bytes().is_empty());
    /// ```
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty buffer with room for `bytes` bytes.
    ///
    /// ```
    /// assert!(annals_events::EventBuf::with_capacity_bytes(512).capacity_bytes() >= 512);
    /// ```
    #[must_use]
    pub fn with_capacity_bytes(bytes: usize) -> Self {
        Self { bytes: AlignedVec::with_capacity(bytes), arena: None }
    }

    /// A copy of `bytes` that begins where an archive may: for bytes that came from elsewhere than the
    /// log and lie on any address. Costs a copy and, unless it is empty, an allocation.
    ///
    /// ```
    /// use annals_events::{ErrorKind, Event, EventBuf, Scratch};
    /// # #[derive(Event)]
    /// # #[event(crate = annals_events)]
    /// # struct Paid { cents: u64 }
    /// let (mut buffer, scratch) = (EventBuf::new(), Scratch::new());
    /// Paid { cents: 5 }.encode(&mut buffer)?;
    ///
    /// let odd = [&[0], buffer.as_bytes()].concat();
    /// let copy = EventBuf::copy_of(&odd[1..]);
    /// assert_eq!(Paid::view("Paid", 1, copy.as_bytes(), &scratch)?.cents, 5);
    /// # Ok::<(), annals_events::Error>(())
    /// ```
    #[must_use]
    pub fn copy_of(bytes: &[u8]) -> Self {
        let mut copy = Self::with_capacity_bytes(bytes.len());
        copy.bytes.extend_from_slice(bytes);
        copy
    }

    /// What was written last.
    ///
    /// ```
    /// use annals_events::EventBuf;
    /// assert_eq!(EventBuf::copy_of(b"abc").as_bytes(), b"abc");
    /// ```
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// How many bytes fit without growing.
    ///
    /// ```
    /// assert_eq!(annals_events::EventBuf::new().capacity_bytes(), 0);
    /// ```
    #[must_use]
    pub fn capacity_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// Empties the buffer and gives its memory back if that is more than `keep_bytes`: a buffer that
    /// lives as long as its thread should not stay as large as the largest event ever written.
    ///
    /// ```
    /// use annals_events::EventBuf;
    /// let mut buffer = EventBuf::copy_of(&[0; 100_000]);
    /// buffer.clear(4096);
    /// assert_eq!((buffer.as_bytes().len(), buffer.capacity_bytes()), (0, 0));
    /// ```
    pub fn clear(&mut self, keep_bytes: usize) {
        if self.arena.as_mut().is_some_and(|arena| arena.shrink() > keep_bytes) {
            self.arena = None;
        }
        if self.bytes.capacity() > keep_bytes {
            self.bytes = AlignedVec::new();
        } else {
            self.bytes.clear();
        }
    }
}

impl Deref for EventBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl AsRef<[u8]> for EventBuf {
    fn as_ref(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl fmt::Debug for EventBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventBuf")
            .field("len_bytes", &self.bytes.len())
            .field("capacity_bytes", &self.bytes.capacity())
            .finish()
    }
}
