//! The derives of Annals. They write code against public items of `annals-events` and hold no knowledge
//! of their own of how an event is stored. Programs get them through the facade, as `annals::Event` and
//! `annals::EventField`.

mod archive;
mod attributes;
mod debug;
mod enums;
mod event;
mod field;
mod parts;
mod schema;
mod structs;
mod unsupported;

use proc_macro::TokenStream;

/// Makes a struct or an enum an event. Nothing else has to be derived: the archive is written by this
/// derive, as `Archived` and the type's name, with the fields' visibility.
///
/// # Structs
/// A struct of any shape stands for one event type. Its fields are anything that rkyv archives (numbers,
/// strings, collections, options, tuples) and the program's own types that derive [`EventField`].
///
/// ```
/// use annals_events::{Event, EventBuf, Scratch};
///
/// #[derive(Event)]
/// #[event(name = "order-placed", crate = annals_events)]
/// struct OrderPlaced {
///     id: u64,
///     items: Vec<String>,
/// }
///
/// let (mut buffer, scratch) = (EventBuf::new(), Scratch::new());
/// OrderPlaced { id: 7, items: vec!["apple".into()] }.encode(&mut buffer)?;
/// let view: &ArchivedOrderPlaced = OrderPlaced::view("order-placed", 1, &buffer, &scratch)?;
/// assert_eq!(view.items[0], "apple");
/// # Ok::<(), annals_events::Error>(())
/// ```
///
/// # Enums
/// Each variant is an event type. A variant with one unnamed field is the type of that field, which
/// derives `Event` itself; a variant with named fields, or without any, is a type of its own. To read
/// there is an enum of references, named as the enum and `View`. Archives do not know of the enum: a
/// variant that is added, moved or renamed (but for its event name) leaves stored events as they are.
///
/// ```
/// use annals_events::{Event, Scratch};
///
/// #[derive(Event)]
/// #[event(crate = annals_events)]
/// struct Deposited {
///     cents: u64,
/// }
///
/// #[derive(Event)]
/// #[event(crate = annals_events)]
/// enum AccountEvent {
///     Deposited(Deposited),
///     #[event(name = "account-renamed", version = 2)]
///     Renamed { to: String },
///     Closed,
/// }
///
/// let names: Vec<_> = AccountEvent::TYPES.iter().map(|ty| (ty.name(), ty.version())).collect();
/// assert_eq!(names, [("Deposited", 1), ("account-renamed", 2), ("Closed", 1)]);
///
/// let scratch = Scratch::new();
/// let AccountEventView::Renamed(renamed) = AccountEvent::Renamed { to: "Ada".into() }.to_view(&scratch)?
/// else { panic!("not what was written") };
/// assert_eq!(renamed.to, "Ada");
/// # Ok::<(), annals_events::Error>(())
/// ```
///
/// # Attributes
/// * `#[event(name = "..")]`: the name that is stored; the name of the struct or variant if there is none.
///   Names are what stored events are found by: renaming the Rust type needs this attribute.
/// * `#[event(version = N)]`: the version of the layout; 1 if there is none.
/// * `#[event(from(1 = OrderPlacedV1, ..))]`: older versions, as types that derive `Event` and that `From`
///   or `TryFrom` leads from. The number may be left out; given, it has to be that of the type. The older
///   types' own `from` are followed. On an enum: event types that are no longer written.
/// * `#[event(view = Name)]`: the name of an enum's view.
/// * `#[event(crate = path)]`: where `annals_events` is; `::annals::events` if not given.
/// * `#[event(own_archive)]`: rkyv's `Archive`, `Serialize` and `Deserialize` are derived beside this one.
/// * `#[rkyv(..)]` on the type and its fields is handed to rkyv's derives: `#[rkyv(derive(Debug))]` for
///   the archive, `#[rkyv(with = ..)]` for a field.
///
/// # What is refused
/// Types with generic parameters:
///
/// ```compile_fail
/// #[derive(annals_events::Event)]
/// #[event(crate = annals_events)]
/// struct Changed<T> {
///     to: T,
/// }
/// ```
///
/// Fields that would have to lie on a multiple of 16, in the field itself or, as a type of the program's,
/// within:
///
/// ```compile_fail
/// #[derive(annals_events::Event)]
/// #[event(crate = annals_events)]
/// struct Measured {
///     values: Vec<u128>,
/// }
/// ```
///
/// ```compile_fail
/// #[derive(annals_events::EventField)]
/// #[event(crate = annals_events)]
/// #[rkyv(attr(repr(align(16))))]
/// struct Wide(u64);
///
/// #[derive(annals_events::Event)]
/// #[event(crate = annals_events)]
/// struct Measured {
///     value: Wide,
/// }
/// ```
///
/// Two event types of one name and version:
///
/// ```compile_fail
/// #[derive(annals_events::Event)]
/// #[event(crate = annals_events)]
/// enum Door {
///     #[event(name = "moved")]
///     Opened,
///     #[event(name = "moved")]
///     Closed,
/// }
/// ```
///
/// An older version that is not older:
///
/// ```compile_fail
/// #[derive(annals_events::Event)]
/// #[event(name = "Moved", crate = annals_events)]
/// struct MovedV1(u32);
///
/// #[derive(annals_events::Event)]
/// #[event(from(MovedV1), crate = annals_events)]
/// struct Moved(u64);
///
/// impl From<MovedV1> for Moved {
///     fn from(old: MovedV1) -> Self {
///         Self(old.0.into())
///     }
/// }
/// ```
#[proc_macro_derive(Event, attributes(event, rkyv))]
pub fn derive_event(input: TokenStream) -> TokenStream {
    finish(syn::parse(input).and_then(|input| event::expand(&input)))
}

/// Lets a struct or an enum be the type of a field of an event. Like [`Event`](macro@Event) it writes the
/// archive, as `Archived` and the type's name; the type has no event type of its own.
///
/// Changing such a type changes the layout of all events that hold it: they need new versions then.
///
/// ```
/// use annals_events::{Event, EventField, Scratch};
///
/// #[derive(EventField)]
/// #[event(crate = annals_events)]
/// struct Item {
///     name: String,
///     size: Size,
/// }
///
/// #[derive(EventField)]
/// #[event(crate = annals_events)]
/// enum Size {
///     Small,
///     Cut { grams: u32 },
/// }
///
/// #[derive(Event)]
/// #[event(crate = annals_events)]
/// struct OrderPlaced {
///     items: Vec<Item>,
/// }
///
/// let scratch = Scratch::new();
/// let items = vec![
///     Item { name: "cheese".into(), size: Size::Cut { grams: 250 } },
///     Item { name: "egg".into(), size: Size::Small },
/// ];
/// let view = OrderPlaced { items }.to_view(&scratch)?;
/// assert!(matches!(&view.items[0].size, ArchivedSize::Cut { grams } if *grams == 250));
/// # Ok::<(), annals_events::Error>(())
/// ```
#[proc_macro_derive(EventField, attributes(event, rkyv))]
pub fn derive_event_field(input: TokenStream) -> TokenStream {
    finish(syn::parse(input).and_then(|input| field::expand(&input)))
}

fn finish(code: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    code.unwrap_or_else(|error| error.to_compile_error()).into()
}
