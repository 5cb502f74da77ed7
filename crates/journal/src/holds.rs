//! What holds back the removal of log segments: consumers that have not read them yet.
//!
//! A hold keeps every segment of the chain from its position on. What all holds keep back is
//! reported; a hold that keeps more than the limit is named in the report, because a forgotten
//! one fills the disk.

use crate::Position;
use parking_lot::Mutex;
use std::{collections::BTreeMap, sync::Arc};

/// The registry of holds.
#[derive(Debug, Default)]
pub(crate) struct Holds {
    inner: Mutex<Registry>,
}

#[derive(Debug, Default)]
struct Registry {
    next: u64,
    held: BTreeMap<u64, (String, Position)>,
}

/// Keeps the log from a position on until it is dropped.
#[derive(Debug)]
pub struct Hold {
    registry: Arc<Holds>,
    number: u64,
}

impl Hold {
    /// Lets go of the log before `position`. Moving back has no effect.
    pub fn advance(&self, position: Position) {
        if let Some((_, held)) = self.registry.inner.lock().held.get_mut(&self.number) {
            *held = position.max(*held);
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.registry.inner.lock().held.remove(&self.number);
    }
}

impl Holds {
    pub(crate) fn add(self: &Arc<Self>, name: &str, position: Position) -> Hold {
        let mut inner = self.inner.lock();
        let number = inner.next;
        inner.next += 1;
        inner.held.insert(number, (name.to_owned(), position));
        Hold { registry: Arc::clone(self), number }
    }

    /// Calls `decide` with the lowest ordinal that is held; meanwhile nobody holds anything new.
    pub(crate) fn settled<R>(&self, decide: impl FnOnce(Option<u32>) -> R) -> R {
        let inner = self.inner.lock();
        decide(inner.held.values().map(|(_, position)| position.ordinal).min())
    }

    /// The lowest position that is held, with its holder's name.
    pub(crate) fn oldest(&self) -> Option<(String, Position)> {
        self.inner.lock().held.values().min_by_key(|(_, position)| *position).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_hold_counts_and_goes_with_its_owner() {
        let at = |offset| Position { ordinal: 1, offset };
        let holds = Arc::new(Holds::default());
        let early = holds.add("backup", at(64));
        let late = holds.add("consumer", at(128));
        assert_eq!(holds.oldest(), Some(("backup".into(), at(64))));
        early.advance(at(256));
        assert_eq!(holds.oldest(), Some(("consumer".into(), at(128))));
        drop(late);
        early.advance(at(64));
        assert_eq!(holds.oldest(), Some(("backup".into(), at(256))));
        drop(early);
        assert_eq!(holds.oldest(), None);
    }
}
