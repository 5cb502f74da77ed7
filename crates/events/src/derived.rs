//! What code written by the derives calls while it is compiled, and nothing else does.

use crate::{
    Event, EventType,
    archive::{self, Checked, Unarchiver},
};
use rkyv::{
    Archive,
    with::{ArchiveWith, DeserializeWith},
};
use std::marker::PhantomData;

/// Fails to compile if `A` cannot lie where the log places events.
pub const fn assert_aligned<A>() {
    assert!(
        align_of::<A>() <= crate::ARCHIVE_ALIGN_BYTES,
        "an event's archive must not need an alignment of more than 8 bytes, as that of u128 does: use \
         two u64 or [u8; 16]"
    );
}

/// Something that a field of an event may be.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a field of an event",
    label = "it has no archive",
    note = "of a type of your own, derive it: `#[derive(annals::EventField)]`"
)]
pub trait Stored {}

#[diagnostic::do_not_recommend]
impl<T: Archive> Stored for T {}

/// Stands in the code written for each field, at its place, and before all other code: so that a type
/// which cannot be stored is told of there, and not of somewhere in what rkyv makes of it.
pub struct Field<T: Stored>(PhantomData<T>);

impl<T: Archive> Field<T> {
    /// Fails to compile if the archive needs more alignment than events have.
    #[must_use]
    pub const fn checked() -> Self {
        assert_aligned::<T::Archived>();
        Self(PhantomData)
    }
}

/// Stands in the code written for each variant that holds an event, at the place of its type.
pub struct Held<E: Event>(PhantomData<E>);

impl<E: Event> Held<E> {
    /// Nothing but that it is an event.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "written by a derive, for its type alone")]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

/// Fails to compile if two of the event types that one Rust type reads have the same name and version:
/// nobody could say which of them stored bytes are of.
pub const fn assert_distinct(readable: &[EventType]) {
    let mut one = 0;
    while one < readable.len() {
        let mut other = one + 1;
        while other < readable.len() {
            assert!(
                readable[one].version() != readable[other].version()
                    || !same(readable[one].name(), readable[other].name()),
                "two event types have the same name and version: give one of them another with \
                 #[event(name = \"..\", version = ..)]"
            );
            other += 1;
        }
        one += 1;
    }
}

/// Fails to compile if `from(1 = Old)` names another version than `Old` has, or if an older version of
/// the same name is not older.
pub const fn assert_older(older: &[EventType], said: Option<u32>, newer: &[EventType]) {
    if let Some(said) = said {
        assert!(
            older[0].version() == said,
            "`from` names another version than the older type has: correct one of them"
        );
    }
    let mut one = 0;
    while one < older.len() {
        let mut other = 0;
        while other < newer.len() {
            assert!(
                older[one].version() < newer[other].version()
                    || !same(older[one].name(), newer[other].name()),
                "the type in `from` has the same event name and no lower version: raise the version of \
                 the newer type"
            );
            other += 1;
        }
        one += 1;
    }
}

const fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    if one.len() != other.len() {
        return false;
    }
    let mut index = 0;
    while index < one.len() {
        if one[index] != other[index] {
            return false;
        }
        index += 1;
    }
    true
}

/// All event types of `parts`, one list after the other. `N` is how many they are.
#[must_use]
pub const fn concat<const N: usize>(parts: &[&[EventType]]) -> [EventType; N] {
    let mut all = [EventType::new::<u8>("none", 1, ""); N];
    let (mut part, mut at) = (0, 0);
    while part < parts.len() {
        let mut index = 0;
        while index < parts[part].len() {
            all[at] = parts[part][index];
            at += 1;
            index += 1;
        }
        part += 1;
    }
    assert!(at == N, "the parts are as many as was said");
    all
}

/// Stops: an index that is none of the event types that `E` reads.
#[cold]
pub fn no_such_type(index: usize, readable: &[EventType]) -> ! {
    panic!("index {index} of {} readable event types", readable.len())
}

/// The value of a variant with fields of its own, by its derived archive `Def`.
pub fn decode_variant<Def, E>(ty: &'static EventType, bytes: &[u8]) -> crate::Result<E>
where
    Def: ArchiveWith<E> + DeserializeWith<Def::Archived, E, Unarchiver>,
    Def::Archived: Checked,
{
    archive::decode_by(ty, bytes, |archived, with| Def::deserialize_with(archived, with))
}
