//! The event types of a category, by the numbers that its events carry.

use super::EventType;
use arc_swap::{ArcSwap, Guard};
use std::sync::Arc;

/// The event types that a category had at some time.
pub(crate) struct KnownTypes(Guard<Arc<Vec<Arc<EventType>>>>);

impl KnownTypes {
    /// Whether the type of this number is that one.
    #[inline]
    pub(crate) fn is(&self, number: u32, name: &str, version: u32) -> bool {
        let known = self.0.get(number as usize);
        known.is_some_and(|known| known.version == version && known.name == name)
    }

    /// The number of a type.
    pub(crate) fn number(&self, name: &str, version: u32) -> Option<u32> {
        (0..self.0.len() as u32).find(|number| self.is(*number, name, version))
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

    /// The number of a type.
    pub(crate) fn number(&self, name: &str, version: u32) -> Option<u32> {
        self.known().number(name, version)
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
