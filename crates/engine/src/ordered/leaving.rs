//! Trees that no keyspace needs and that could not be dropped yet.

use crate::{ErrorKind, Result};
use std::collections::BTreeMap;

/// Their numbers, each with what was told of why it stays.
#[derive(Debug, Default)]
pub(super) struct Leaving(BTreeMap<u32, String>);

impl Leaving {
    /// One more goes.
    pub(super) fn add(&mut self, id: u32) {
        self.0.entry(id).or_default();
    }

    /// This one is gone.
    pub(super) fn remove(&mut self, id: u32) {
        self.0.remove(&id);
    }

    /// Has `drop_tree` drop all. Those for which there is no space stay; whatever else went wrong, the next opening
    /// does it. That one stays is told once for each reason: it is tried with every look for flushes, and a disk
    /// may be full for long.
    pub(super) fn drop_all(&mut self, mut drop_tree: impl FnMut(u32) -> Result<()>) {
        self.0.retain(|&id, told| {
            let Err(error) = drop_tree(id) else { return false };
            let why = error.to_string();
            if *told != why {
                tracing::warn!(%error, tree = id, "a tree that is not needed any more stays");
                *told = why;
            }
            error.kind() == ErrorKind::Full
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };
    use tracing::{Event, Id, Metadata, Subscriber, span};

    /// Counts what this thread tells.
    #[derive(Default)]
    struct Told(Arc<AtomicUsize>);

    impl Subscriber for Told {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &span::Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &span::Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, _: &Event<'_>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn why_a_tree_stays_is_told_once() {
        let full = |name: &str| annals_journal::Error::Full { path: name.into() };
        let told = Told::default();
        let count = Arc::clone(&told.0);
        tracing::subscriber::with_default(told, || {
            let mut leaving = Leaving::default();
            leaving.add(1);
            for _ in 0..3 {
                leaving.drop_all(|_| Err(full("log").into()));
            }
            assert_eq!(count.load(Ordering::Relaxed), 1, "again and again the same");
            leaving.drop_all(|_| Err(full("manifest").into()));
            assert_eq!(count.load(Ordering::Relaxed), 2, "for another reason");
            leaving.add(1);
            leaving.add(2);
            leaving.drop_all(|_| Err(full("manifest").into()));
            assert_eq!(count.load(Ordering::Relaxed), 3, "of another tree");
            let mut tried = Vec::new();
            leaving.drop_all(|id| {
                tried.push(id);
                Ok(())
            });
            assert_eq!(tried, [1, 2]);
            leaving.add(1);
            leaving.drop_all(|_| Err(full("manifest").into()));
            assert_eq!(count.load(Ordering::Relaxed), 4, "it has to go once more");
            leaving.drop_all(|_| Err(annals_journal::Error::Closed.into()));
            assert_eq!(count.load(Ordering::Relaxed), 5);
        });
    }
}
