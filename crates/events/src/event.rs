//! The contract between a program's events and the log.

use crate::{Error, EventBuf, EventType, Known, Result, Scratch};

/// Something that happened, as a Rust type: a struct for one event type, an enum for several. Implemented
/// by `#[derive(Event)]`, which [its own page](macro@crate::Event) tells of.
///
/// A stored event is known by the name and version of its event type. Its bytes are the archive of the
/// struct alone, also where an enum was written, so that an enum can grow. They are read in place: a
/// view is a plain reference into them, or a generated enum of such references.
///
/// ```
/// use annals_events::{Event, EventBuf, Scratch};
///
/// #[derive(Event)]
/// #[event(crate = annals_events)]
/// struct OrderPlaced {
///     item: String,
///     quantity: u32,
/// }
///
/// #[derive(Event)]
/// #[event(crate = annals_events)]
/// enum OrderEvent {
///     Placed(OrderPlaced),
///     #[event(name = "OrderShipped")]
///     Shipped { at_ms: u64 },
///     #[event(name = "OrderClosed")]
///     Closed,
/// }
///
/// // Written: the event type beside the bytes.
/// let event = OrderEvent::Placed(OrderPlaced { item: "apple".into(), quantity: 3 });
/// let mut buffer = EventBuf::new();
/// event.encode(&mut buffer)?;
/// let (name, version) = (event.event_type().name(), event.event_type().version());
/// assert_eq!((name, version), ("OrderPlaced", 1));
///
/// // Read in place.
/// let scratch = Scratch::new();
/// match OrderEvent::view(name, version, &buffer, &scratch)? {
///     OrderEventView::Placed(placed) => {
///         assert_eq!(placed.item, "apple");
///         assert_eq!(placed.quantity, 3);
///     }
///     OrderEventView::Shipped(shipped) => println!("at {}", shipped.at_ms),
///     OrderEventView::Closed => println!("closed"),
/// }
///
/// // The same bytes are the struct's, too.
/// assert_eq!(OrderPlaced::decode(name, version, &buffer)?.quantity, 3);
/// # Ok::<(), annals_events::Error>(())
/// ```
///
/// # Older versions
///
/// When a layout changes, the old one is kept as a type of its own, the new one gets a higher version
/// and says what it comes from; conversions (`From`, or `TryFrom` where it may fail) run on read, one
/// after the other:
///
/// ```
/// use annals_events::{Event, EventBuf, Scratch};
///
/// #[derive(Event)]
/// #[event(name = "OrderPlaced", version = 1, crate = annals_events)]
/// struct OrderPlacedV1 {
///     quantity: u32,
/// }
///
/// #[derive(Event)]
/// #[event(version = 2, from(1 = OrderPlacedV1), crate = annals_events)]
/// struct OrderPlaced {
///     item: String,
///     quantity: u32,
/// }
///
/// impl From<OrderPlacedV1> for OrderPlaced {
///     fn from(old: OrderPlacedV1) -> Self {
///         Self { item: "apple".into(), quantity: old.quantity }
///     }
/// }
///
/// let (mut stored, scratch) = (EventBuf::new(), Scratch::new());
/// OrderPlacedV1 { quantity: 3 }.encode(&mut stored)?;
/// // The view is the same whatever the version was.
/// assert_eq!(OrderPlaced::view("OrderPlaced", 1, &stored, &scratch)?.item, "apple");
/// # Ok::<(), annals_events::Error>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event",
    label = "this is not an event",
    note = "derive it: `#[derive(annals::Event)]`; an enum's variants hold one struct that derives it, \
            or have named fields"
)]
pub trait Event: Sized + 'static {
    /// An event read in place: of a struct `&Archived…`, of an enum `…View`, an enum of such references.
    type View<'a>: Copy;

    /// The event types that values are written as: one of a struct, one for each variant of an enum.
    const TYPES: &'static [EventType];

    /// The event types that values can be read from: those of [`TYPES`](Self::TYPES) and the older
    /// versions that lead to them. No two have the same name and version.
    const READABLE: &'static [EventType];

    /// Which of [`TYPES`](Self::TYPES) this value is.
    ///
    /// ```
    /// # use annals_events::Event;
    /// #[derive(Event)]
    /// #[event(crate = annals_events)]
    /// enum Door {
    ///     Opened,
    ///     Closed,
    /// }
    /// assert_eq!(Door::Closed.type_index(), 1);
    /// ```
    fn type_index(&self) -> usize;

    /// Writes the archive of this event over what is in `buffer`. Where the bytes are stored they have to
    /// begin on a multiple of [`ARCHIVE_ALIGN_BYTES`](crate::ARCHIVE_ALIGN_BYTES), and to end where they
    /// end in the buffer.
    ///
    /// # Errors
    /// [`Encode`](crate::ErrorKind::Encode): it cannot be archived; see [`archive::encode`](crate::archive::encode).
    ///
    /// ```
    /// # use annals_events::{Event, EventBuf};
    /// # #[derive(Event)]
    /// # #[event(crate = annals_events)]
    /// # struct Paid { cents: u64 }
    /// let mut buffer = EventBuf::new();
    /// Paid { cents: 5 }.encode(&mut buffer)?;
    /// assert_eq!(buffer.as_bytes(), 5u64.to_le_bytes());
    /// # Ok::<(), annals_events::Error>(())
    /// ```
    fn encode(&self, buffer: &mut EventBuf) -> Result<()>;

    /// As [`view`](Self::view), of the event type `READABLE[index]`. [`Known`] calls it.
    ///
    /// # Errors
    /// As [`view`](Self::view), but for those of the look-up.
    ///
    /// # Panics
    /// If there is no such index.
    fn view_readable<'a>(
        index: usize,
        bytes: &'a [u8],
        scratch: &'a Scratch,
    ) -> Result<Self::View<'a>>;

    /// As [`decode`](Self::decode), of the event type `READABLE[index]`. [`Known`] calls it.
    ///
    /// # Errors
    /// As [`decode`](Self::decode), but for those of the look-up.
    ///
    /// # Panics
    /// If there is no such index.
    fn decode_readable(index: usize, bytes: &[u8]) -> Result<Self>;

    /// The event type of this value: what is stored beside its bytes.
    ///
    /// ```
    /// # use annals_events::Event;
    /// # #[derive(Event)]
    /// # #[event(crate = annals_events)]
    /// # struct Paid { cents: u64 }
    /// assert_eq!(Paid { cents: 5 }.event_type().name(), "Paid");
    /// ```
    fn event_type(&self) -> &'static EventType {
        &Self::TYPES[self.type_index()]
    }

    /// The event type of this name and version, to read events of it by. Compares names with each that is
    /// known: keep what it returns where many events are read.
    ///
    /// # Errors
    /// [`UnknownType`](crate::ErrorKind::UnknownType), [`NewerVersion`](crate::ErrorKind::NewerVersion) or
    /// [`UnknownVersion`](crate::ErrorKind::UnknownVersion), with what this build knows.
    ///
    /// ```
    /// # use annals_events::{ErrorKind, Event};
    /// # #[derive(Event)]
    /// # #[event(crate = annals_events)]
    /// # struct Paid { cents: u64 }
    /// assert_eq!(Paid::find("Paid", 1)?.event_type().version(), 1);
    /// assert_eq!(Paid::find("Refunded", 1).unwrap_err().kind(), ErrorKind::UnknownType);
    /// # Ok::<(), annals_events::Error>(())
    /// ```
    fn find(name: &str, version: u32) -> Result<Known<Self>> {
        Known::find(name, version).ok_or_else(|| {
            Error::not_readable(std::any::type_name::<Self>(), Self::READABLE, name, version)
        })
    }

    /// A stored event, read in place and checked. One of an older version is upcast, and `scratch` keeps
    /// its archive.
    ///
    /// # Errors
    /// Those of [`find`](Self::find); [`Misaligned`](crate::ErrorKind::Misaligned) if `bytes` does not
    /// begin on a multiple of [`ARCHIVE_ALIGN_BYTES`](crate::ARCHIVE_ALIGN_BYTES);
    /// [`Corrupt`](crate::ErrorKind::Corrupt) if it is not an archive of this event type;
    /// [`Upcast`](crate::ErrorKind::Upcast) if the program's conversion refused.
    ///
    /// ```
    /// # use annals_events::{Event, EventBuf, Scratch};
    /// # #[derive(Event)]
    /// # #[event(crate = annals_events)]
    /// # struct Named { name: String }
    /// let (mut buffer, scratch) = (EventBuf::new(), Scratch::new());
    /// Named { name: "Ada".into() }.encode(&mut buffer)?;
    /// assert_eq!(Named::view("Named", 1, &buffer, &scratch)?.name, "Ada");
    /// # Ok::<(), annals_events::Error>(())
    /// ```
    fn view<'a>(
        name: &str,
        version: u32,
        bytes: &'a [u8],
        scratch: &'a Scratch,
    ) -> Result<Self::View<'a>> {
        Self::find(name, version)?.view(bytes, scratch)
    }

    /// A stored event as a value of its own, upcast if it is of an older version.
    ///
    /// # Errors
    /// As [`view`](Self::view).
    ///
    /// ```
    /// # use annals_events::{Event, EventBuf};
    /// # #[derive(Event)]
    /// # #[event(crate = annals_events)]
    /// # struct Named { name: String }
    /// let mut buffer = EventBuf::new();
    /// Named { name: "Ada".into() }.encode(&mut buffer)?;
    /// assert_eq!(Named::decode("Named", 1, &buffer)?.name, "Ada");
    /// # Ok::<(), annals_events::Error>(())
    /// ```
    fn decode(name: &str, version: u32, bytes: &[u8]) -> Result<Self> {
        Self::find(name, version)?.decode(bytes)
    }

    /// This event as one that was stored is seen: for tests of what reads views, and for upcasts.
    ///
    /// # Errors
    /// [`Encode`](crate::ErrorKind::Encode): it cannot be archived.
    ///
    /// ```
    /// # use annals_events::{Event, Scratch};
    /// # #[derive(Event)]
    /// # #[event(crate = annals_events)]
    /// # struct Named { name: String }
    /// let scratch = Scratch::new();
    /// assert_eq!(Named { name: "Ada".into() }.to_view(&scratch)?.name, "Ada");
    /// # Ok::<(), annals_events::Error>(())
    /// ```
    fn to_view<'a>(&self, scratch: &'a Scratch) -> Result<Self::View<'a>> {
        let mut buffer = EventBuf::new();
        self.encode(&mut buffer)?;
        let ty = self.event_type();
        Self::view(ty.name(), ty.version(), scratch.keep(buffer), scratch)
    }
}
