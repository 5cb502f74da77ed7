//! The derives of Annals. They write code against public items of `annals-events` and hold no knowledge
//! of their own of how an event is stored. Programs get them through the facade, as `annals::Event` and
//! `annals::EventField`; [`Schema`](macro@Schema) is written against `annals-columns`.

mod archive;
mod attributes;
mod debug;
mod enums;
mod event;
mod field;
mod parts;
mod schema;
mod structs;
mod table;
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

/// Makes a struct a schema: its values are events of an event table, and each field is a column.
///
/// Each field has a role, which is an attribute, and a type that fits it. A field that is an `Option` may be
/// absent.
///
/// | role | type | what it is for |
/// |---|---|---|
/// | `#[ts]` | `i64` | when the event happened, in nanoseconds since 1970; the order of events |
/// | `#[metric]` | `i64`, `f64` | what is mostly summed up |
/// | `#[counter]` | `u32`, `u64` | a count; up to 64 of them |
/// | `#[latency]`, `#[latency(detail)]` | `u32` | how long it took, or a part of it, in milliseconds |
/// | `#[status]` | `u16` | how it ended |
/// | `#[flags(a, b, ..)]` | `u16` | up to 16 bits with names, the lowest first |
/// | `#[dim]` | `String` | to filter and group by; up to 256 of them |
/// | `#[dim(bloom)]` | `String` | the same, its events are found without a look at others; one of them |
/// | `#[dim(rollup)]` | `String` | the same, sums by value and day are kept |
/// | `#[label]` | `String` | kept, not indexed; up to 64 of them |
/// | `#[id]` | `String` | what the event is found by |
///
/// ```
/// use annals_columns::{Batch, Schema, WideEvent};
///
/// /// A request that was answered.
/// #[derive(Schema)]
/// #[schema(schema_id = 7, crate = annals_columns)]
/// struct Request {
///     #[ts]
///     at: i64,
///     #[metric]
///     cost: i64,
///     #[counter]
///     bytes: u64,
///     #[status]
///     status: u16,
///     #[flags(cached, retried)]
///     flags: u16,
///     #[dim(bloom, rollup)]
///     user: String,
///     #[dim]
///     model: Option<String>,
/// }
///
/// let mut batch = Batch::of::<Request>();
/// // Borrows its strings; a value of the struct is taken as well.
/// let event = Request::event().at(1_000).cost(7).bytes(512).status(200).user("ada").cached();
/// batch.push(&event.retried())?;
/// let request: Request = batch.event(0)?;
/// assert_eq!((request.user.as_str(), request.model), ("ada", None));
/// assert_eq!(request.flags, Request::CACHED | Request::RETRIED);
/// assert_eq!(Request::schema().fields()[5].name(), "user");
/// # Ok::<(), annals_columns::Error>(())
/// ```
///
/// # What is written
/// The struct implements `WideEvent` and `ToRow`, and has a constant for each flag; `Name::event()` begins a
/// `NameBuilder`, which has a method for each field and each flag. A field is never named by its place.
///
/// `Name::filter()` begins a `NameFilter`, which says which events are meant, and `Name::fields()` names fields to
/// group by and to measure. Constants are of the field's type; anything else does not compile.
///
/// | of | methods of the filter |
/// |---|---|
/// | numbers and strings | `x_eq`, `x_in`, `x_ge`, `x_gt`, `x_le`, `x_lt` |
/// | strings | `x_prefix` as well |
/// | flags | `x_set`, `x_unset`, `x_eq`, `x_in` |
/// | the time | `since` and `until` as well: from the first on and before the second |
/// | what may be absent | `x_present`, `x_absent` as well |
/// | all | `and`, `or`, `not` with the filter as it is so far |
///
/// ```
/// use annals_columns::{Batch, BoundFilter, Query, Schema, WideEvent};
///
/// #[derive(Schema)]
/// #[schema(schema_id = 7, crate = annals_columns)]
/// struct Request {
///     #[ts]
///     at: i64,
///     #[status]
///     status: u16,
///     #[flags(cached, retried)]
///     flags: u16,
///     #[dim(bloom)]
///     user: String,
///     #[dim]
///     model: Option<String>,
///     #[label]
///     path: String,
/// }
///
/// let failed = Request::filter().status_ge(500).flags_unset(Request::RETRIED);
/// let hers = Request::filter().user_eq("ada").since(100).until(200).model_in(["large", "small"]);
/// let filter = failed.or(hers.path_prefix("/v1/")).not();
///
/// let mut batch = Batch::of::<Request>();
/// let event = Request::event().at(150).flags(0).user("ada").model("large").path("/v1/runs");
/// batch.push(&event.status(200))?;
/// batch.push(&event.status(200).at(200))?;
/// batch.push(&event.status(503).at(200))?;
/// let query = Query::new(Request::schema().clone());
/// let mut answer = query.filter(BoundFilter::from(filter).of(Request::schema())?.into_owned()).answer()?;
/// answer.add_batch(&batch)?;
/// assert_eq!(answer.groups()[0].rows, 1);
/// # Ok::<(), annals_columns::Error>(())
/// ```
///
/// # Attributes of the struct
/// * `#[schema(schema_id = N)]`: has to be there. Events of different ids never stand for each other.
/// * `#[schema(crate = path)]`: where `annals_columns` is; `::annals::columns` if not given.
///
/// # Changing a schema
/// The schema is stored with the events. Fields may be added that are an `Option`, at any place; older events
/// lack them. A field may become an `Option`, and flags may be added behind those there are. Anything else is
/// another schema, which events are not opened with.
#[proc_macro_derive(
    Schema,
    attributes(schema, ts, metric, counter, latency, status, flags, dim, label, id)
)]
pub fn derive_schema(input: TokenStream) -> TokenStream {
    finish(syn::parse(input).and_then(|input| table::expand(&input)))
}

fn finish(code: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    code.unwrap_or_else(|error| error.to_compile_error()).into()
}
