//! The event types of a category, by the numbers that its events carry.
//!
//! A number stands for a name, a version and a layout. Events that are no archives have a type whose layout nobody
//! knows, and may be there before the first archive is: then the same name and version get a second number. What
//! stands in the log of the first one stays as it is, since the hashes of chained events are made with it.

use super::EventType;
use crate::{Error, Result};
use arc_swap::{ArcSwap, Guard};
use std::sync::Arc;

/// A type that is looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TypeOf<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: u32,
    /// 0: it does not matter.
    pub(crate) layout: u64,
}

impl TypeOf<'_> {
    /// Whether it is a type of this name and version.
    #[inline]
    pub(crate) fn is_named(&self, other: &EventType) -> bool {
        self.version == other.version && self.name == other.name
    }

    /// Whether archives of both cannot be in one category: who reads them could not tell them apart.
    pub(crate) fn excludes(&self, other: &EventType) -> bool {
        let is_known = self.layout != 0 && other.layout != 0;
        is_known && self.layout != other.layout && self.is_named(other)
    }

    /// That the category has archives of this one, which has another layout.
    #[cold]
    pub(crate) fn differs(&self, category: &str, there: &EventType) -> Error {
        let why = format!(
            "its archives of the type `{there}` have the layout {:016x}, and these have {:016x}; give the new \
             layout a higher version",
            there.layout, self.layout
        );
        Error::EventTypes { category: category.to_owned(), why }
    }
}

/// The event types that a category had at some time.
pub(crate) struct KnownTypes(Guard<Arc<Vec<Arc<EventType>>>>);

impl KnownTypes {
    /// Whether events of this type may have this number.
    #[inline]
    pub(crate) fn is(&self, number: u32, wanted: &TypeOf<'_>) -> bool {
        let fits = |known: &EventType| {
            (wanted.layout == 0 || wanted.layout == known.layout) && wanted.is_named(known)
        };
        self.0.get(number as usize).is_some_and(|known| fits(known))
    }

    /// The number of a type in the category of this name; `None` if it has none yet.
    ///
    /// # Errors
    /// [`Error::EventTypes`] if the category has archives of another layout.
    pub(crate) fn number(&self, category: &str, wanted: &TypeOf<'_>) -> Result<Option<u32>> {
        let number = (0..self.0.len() as u32).find(|number| self.is(*number, wanted));
        match self.0.iter().find(|known| number.is_none() && wanted.excludes(known)) {
            Some(there) => Err(wanted.differs(category, there)),
            None => Ok(number),
        }
    }

    /// Whether archives whose layout was not told may have this number: that of no type whose layout is known, or what
    /// anybody brought would pass for archives of that layout.
    #[inline]
    pub(crate) fn is_untold(&self, number: u32, wanted: &TypeOf<'_>) -> bool {
        self.0.get(number as usize).is_some_and(|known| known.layout == 0 && wanted.is_named(known))
    }

    /// The number for archives whose layout was not told; `None` if there is none yet.
    pub(crate) fn untold_number(&self, wanted: &TypeOf<'_>) -> Option<u32> {
        (0..self.0.len() as u32).find(|number| self.is_untold(*number, wanted))
    }

    /// The number of this very type, so that one whose layout is not known is not taken for another.
    ///
    /// # Errors
    /// As [`number`](Self::number).
    pub(crate) fn own_number(&self, category: &str, own: &EventType) -> Result<Option<u32>> {
        let wanted = own.wanted();
        match self.0.iter().find(|known| wanted.excludes(known)) {
            Some(there) => Err(wanted.differs(category, there)),
            None => Ok(self.0.iter().position(|known| **known == *own).map(|at| at as u32)),
        }
    }
}

/// The event types of a category. Only ever grows: events carry the numbers.
#[derive(Debug, Default)]
pub(crate) struct EventTypes(ArcSwap<Vec<Arc<EventType>>>);

impl EventTypes {
    /// The type of this number.
    pub(crate) fn get(&self, number: u32) -> Option<Arc<EventType>> {
        self.0.load().get(number as usize).cloned()
    }

    /// Those that are known now, for who looks for the numbers of many.
    pub(crate) fn known(&self) -> KnownTypes {
        KnownTypes(self.0.load())
    }

    /// How many there are; the number of the next.
    pub(crate) fn count(&self) -> u32 {
        self.0.load().len() as u32
    }

    /// Adds the type with this number, if it is the next one. Called by one thread at a time.
    pub(crate) fn add(&self, number: u32, added: EventType) {
        if number == self.count() {
            let mut types = Vec::clone(&self.0.load());
            types.push(Arc::new(added));
            self.0.store(Arc::new(types));
        }
    }

    /// All of them, in the order of their numbers.
    pub(crate) fn all(&self) -> Vec<Arc<EventType>> {
        Vec::clone(&self.0.load())
    }
}
