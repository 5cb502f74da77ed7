//! An event type that was looked up, so that reading needs no look-up of names.

use crate::{Event, EventType, Result, Scratch};
use std::{fmt, marker::PhantomData};

/// An event type that an `E` can be read from: its newest version or an older one. Looked up once for
/// all stored events of that name and version by [`Event::find`]; reading by it compares no names.
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
/// let paid = Paid::find("Paid", 1)?;
/// let (mut buffer, mut scratch, mut sum) = (EventBuf::new(), Scratch::new(), 0);
/// for cents in [5, 7] {
///     Paid { cents }.encode(&mut buffer)?;
///     sum += paid.view(&buffer, &scratch)?.cents.to_native();
///     scratch.clear();
/// }
/// assert_eq!(sum, 12);
/// # Ok::<(), annals_events::Error>(())
/// ```
pub struct Known<E> {
    /// An index of `E::READABLE`; nothing but [`Event::find`] makes one.
    index: u32,
    event: PhantomData<fn() -> E>,
}

impl<E: Event> Known<E> {
    pub(crate) fn find(name: &str, version: u32) -> Option<Self> {
        let fits = |ty: &EventType| ty.version() == version && ty.name() == name;
        let index = E::READABLE.iter().position(fits)?;
        Some(Self { index: index as u32, event: PhantomData })
    }

    /// Its name, version and layout.
    ///
    /// ```
    /// # use annals_events::Event;
    /// # #[derive(Event)]
    /// # #[event(crate = annals_events)]
    /// # struct Paid { cents: u64 }
    /// assert_eq!(Paid::find("Paid", 1)?.event_type(), &Paid::TYPES[0]);
    /// # Ok::<(), annals_events::Error>(())
    /// ```
    #[must_use]
    pub fn event_type(self) -> &'static EventType {
        &E::READABLE[self.index as usize]
    }

    /// As [`Event::view`].
    ///
    /// # Errors
    /// As there, but for those of the look-up.
    ///
    /// ```
    /// # use annals_events::{Event, EventBuf, Scratch};
    /// # #[derive(Event)]
    /// # #[event(crate = annals_events)]
    /// # struct Paid { cents: u64 }
    /// # let (mut buffer, scratch) = (EventBuf::new(), Scratch::new());
    /// Paid { cents: 5 }.encode(&mut buffer)?;
    /// assert_eq!(Paid::find("Paid", 1)?.view(&buffer, &scratch)?.cents, 5);
    /// # Ok::<(), annals_events::Error>(())
    /// ```
    #[inline(always)]
    pub fn view<'a>(self, bytes: &'a [u8], scratch: &'a Scratch) -> Result<E::View<'a>> {
        E::view_readable(self.index as usize, bytes, scratch)
    }

    /// As [`Event::decode`].
    ///
    /// # Errors
    /// As there, but for those of the look-up.
    ///
    /// ```
    /// # use annals_events::{Event, EventBuf};
    /// # #[derive(Event)]
    /// # #[event(crate = annals_events)]
    /// # struct Paid { cents: u64 }
    /// # let mut buffer = EventBuf::new();
    /// Paid { cents: 5 }.encode(&mut buffer)?;
    /// assert_eq!(Paid::find("Paid", 1)?.decode(&buffer)?.cents, 5);
    /// # Ok::<(), annals_events::Error>(())
    /// ```
    pub fn decode(self, bytes: &[u8]) -> Result<E> {
        E::decode_readable(self.index as usize, bytes)
    }
}

impl<E> Clone for Known<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Known<E> {}

impl<E: Event> fmt::Debug for Known<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Known").field(self.event_type()).finish()
    }
}
