//! Memory for events that cannot be read where they lie.
//!
//! A view of an event is a plain reference, also when the event was stored in an older version: then
//! it refers to the archive of the upcast event, which has to live somewhere. It lives here, as long as
//! the scratch does. Archives are only ever added through a shared reference, never moved or removed, so
//! references to them stay good; slots that are filled once each make that possible without unsafe code.

use crate::EventBuf;
use rkyv::util::AlignedVec;
use std::{
    fmt,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

/// Memory that views refer to where an event cannot be read in place: events of older versions, upcast,
/// and copies of bytes that lie on no suitable address. A new one is empty, takes no memory but its own
/// few words, and stays so while events are of their newest version.
///
/// Everything read through it lives as long as it does, or until [`clear`](Self::clear).
///
/// ```
/// use annals_events::{Event, EventBuf, Scratch};
///
/// #[derive(Event)]
/// #[event(name = "paid", version = 1, crate = annals_events)]
/// struct PaidV1 {
///     euros: u32,
/// }
///
/// #[derive(Event)]
/// #[event(name = "paid", version = 2, from(1 = PaidV1), crate = annals_events)]
/// struct Paid {
///     cents: u64,
/// }
///
/// impl From<PaidV1> for Paid {
///     fn from(old: PaidV1) -> Self {
///         Self { cents: u64::from(old.euros) * 100 }
///     }
/// }
///
/// let (mut stored, scratch) = (EventBuf::new(), Scratch::new());
/// PaidV1 { euros: 3 }.encode(&mut stored)?;
/// let view = Paid::view("paid", 1, stored.as_bytes(), &scratch)?;
/// assert_eq!(view.cents, 300);
/// assert_eq!(scratch.count(), 1);
/// # Ok::<(), annals_events::Error>(())
/// ```
#[derive(Default)]
pub struct Scratch {
    /// One pointer for all: there is a scratch with each event that is got, and most hold nothing.
    held: OnceLock<Box<Held>>,
}

struct Held {
    /// What most scratches that hold anything hold.
    first: AlignedVec,
    more: OnceLock<Box<Shelves>>,
}

/// Slots in shelves of twice as many each, so that no slot ever moves.
struct Shelves {
    taken: AtomicUsize,
    shelves: [OnceLock<Box<[OnceLock<AlignedVec>]>>; usize::BITS as usize],
}

impl Scratch {
    /// An empty one.
    ///
    /// ```
    /// assert_eq!(annals_events::Scratch::new().count(), 0);
    /// ```
    #[must_use]
    pub const fn new() -> Self {
        Self { held: OnceLock::new() }
    }

    /// Keeps `buffer` and lends its bytes for as long as the scratch lives. Constant time, one or two
    /// allocations.
    ///
    /// ```
    /// use annals_events::{EventBuf, Scratch};
    /// let scratch = Scratch::new();
    /// let bytes = scratch.keep(EventBuf::copy_of(b"abc"));
    /// assert_eq!(bytes, b"abc");
    /// ```
    pub fn keep(&self, buffer: EventBuf) -> &[u8] {
        let mut bytes = Some(buffer.bytes);
        let held = self.held.get_or_init(|| {
            let first = bytes.take().unwrap_or_default();
            Box::new(Held { first, more: OnceLock::new() })
        });
        let Some(bytes) = bytes else { return held.first.as_slice() };

        let more = held.more.get_or_init(Box::default);
        // Whoever adds to it gets a number of its own; the slot itself orders its bytes.
        let number = more.taken.fetch_add(1, Ordering::Relaxed) + 1;
        let shelf = number.ilog2() as usize;
        let slots = more.shelves[shelf]
            .get_or_init(|| std::iter::repeat_with(OnceLock::new).take(1 << shelf).collect());
        slots[number - (1 << shelf)].get_or_init(|| bytes).as_slice()
    }

    /// How many archives it holds.
    ///
    /// ```
    /// # use annals_events::{EventBuf, Scratch};
    /// let scratch = Scratch::new();
    /// scratch.keep(EventBuf::new());
    /// assert_eq!(scratch.count(), 1);
    /// ```
    #[must_use]
    pub fn count(&self) -> usize {
        let Some(held) = self.held.get() else { return 0 };
        1 + held.more.get().map_or(0, |more| more.taken.load(Ordering::Relaxed))
    }

    /// Forgets what it holds, and gives its memory back: for loops that read one event after the other.
    ///
    /// ```
    /// # use annals_events::{EventBuf, Scratch};
    /// let mut scratch = Scratch::new();
    /// scratch.keep(EventBuf::new());
    /// scratch.clear();
    /// assert_eq!(scratch.count(), 0);
    /// ```
    pub fn clear(&mut self) {
        *self = Self::new();
    }
}

impl Default for Shelves {
    fn default() -> Self {
        Self { taken: AtomicUsize::new(0), shelves: std::array::from_fn(|_| OnceLock::new()) }
    }
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scratch").field("count", &self.count()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_stays_where_it_is_and_what_it_was() {
        let scratch = Scratch::new();
        let kept: Vec<&[u8]> = (0..1000u64)
            .map(|number| scratch.keep(EventBuf::copy_of(&number.to_le_bytes())))
            .collect();
        assert_eq!(scratch.count(), 1000);
        for (number, bytes) in (0u64..).zip(kept) {
            assert_eq!(bytes, number.to_le_bytes());
        }
    }

    #[test]
    fn threads_that_keep_at_the_same_time_get_their_own() {
        let scratch = Scratch::new();
        std::thread::scope(|scope| {
            for thread in 0..4u8 {
                let scratch = &scratch;
                scope.spawn(move || {
                    for round in 0..200u8 {
                        let bytes = scratch.keep(EventBuf::copy_of(&[thread, round]));
                        assert_eq!(bytes, [thread, round]);
                    }
                });
            }
        });
        assert_eq!(scratch.count(), 800);
    }
}
