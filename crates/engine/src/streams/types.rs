//! The event types of a category, by the numbers that its events carry.

use super::EventType;
use arc_swap::ArcSwap;
use std::sync::Arc;

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
        let is_it = |known: &Arc<EventType>| known.version == version && known.name == name;
        self.0.load().iter().position(is_it).map(|at| at as u32)
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
