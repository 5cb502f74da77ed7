//! Which of the types that a Rust type knows an event of a category is of.

use crate::{
    Error, Result,
    catalog::Keyspace,
    streams::{EventType, types::TypeOf},
};
use annals_events::{Event, EventFormat, Known};

/// The type of a program, to be looked for.
pub(super) fn type_of(event_type: &annals_events::EventType) -> TypeOf<'_> {
    let (name, version) = (event_type.name(), event_type.version());
    TypeOf { name, version, layout: event_type.fingerprint().as_u64() }
}

/// What `E` has for archives of a type of the category.
///
/// # Errors
/// [`Error::Event`] if it has nothing of that name and version, [`Error::EventTypes`] if it has another layout: a
/// check of the bytes may well find them in order, and what is read is not what was written.
pub(super) fn known_as<E: Event>(category: &str, stored: &EventType) -> Result<Known<E>> {
    let known = E::find(&stored.name, stored.version)?;
    let own = type_of(known.event_type());
    if own.excludes(stored) { Err(own.differs(category, stored)) } else { Ok(known) }
}

/// The type of an event that came after the handle was made, or why it cannot be read.
#[cold]
pub(super) fn known_of<E: Event>(
    category: &Keyspace,
    type_number: u32,
    format: EventFormat,
) -> Result<Known<E>> {
    let stored = category.types.get(type_number).unwrap_or_else(EventType::unknown);
    find(&category.name, &stored, format)
}

/// What `E` has for an event of this type, or why it cannot be read.
pub(super) fn find<E: Event>(
    category: &str,
    stored: &EventType,
    format: EventFormat,
) -> Result<Known<E>> {
    if format != EventFormat::Archive {
        let category = category.to_owned();
        let why = format!("an event of the type `{stored}` is no archive; read its data as bytes");
        return Err(Error::EventTypes { category, why });
    }
    known_as(category, stored)
}
