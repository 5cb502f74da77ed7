//! Which persistent subscriptions are open: all handles of one share what they do.

use super::shared::Shared;
use crate::{Result, open::Open};
use annals_journal::Durability;
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

/// The persistent subscriptions of a database that are open, by name.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    entries: Mutex<HashMap<String, Entry>>,
}

#[derive(Debug)]
struct Entry {
    held: Weak<Held>,
    shared: Arc<Shared>,
}

/// What the handles of one hold: the last of them writes what is not written.
#[derive(Debug)]
pub(super) struct Held {
    open: Arc<Open>,
    shared: Arc<Shared>,
}

impl Held {
    pub(super) fn open(&self) -> &Arc<Open> {
        &self.open
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Registry {
    /// The subscription `name`, which `load` loads if it is not open.
    pub(super) fn open(
        &self,
        open: &Arc<Open>,
        name: &str,
        load: impl FnOnce() -> Result<Shared>,
    ) -> Result<Arc<Held>> {
        let mut entries = self.entries.lock();
        if let Some(held) = held_of(&mut entries, open, name) {
            return Ok(held);
        }
        let shared = Arc::new(load()?);
        let held = Arc::new(Held { open: Arc::clone(open), shared: Arc::clone(&shared) });
        entries.insert(name.to_owned(), Entry { held: Arc::downgrade(&held), shared });
        Ok(held)
    }

    /// The subscription `name`, if it is open.
    pub(super) fn find(&self, open: &Arc<Open>, name: &str) -> Option<Arc<Held>> {
        held_of(&mut self.entries.lock(), open, name)
    }

    /// Removes the subscription `name` by `remove`; those that have it open see that its keyspace is gone.
    pub(super) fn remove(&self, name: &str, remove: impl FnOnce() -> Result<()>) -> Result<()> {
        let mut entries = self.entries.lock();
        remove()?;
        if let Some(entry) = entries.remove(name) {
            entry.shared.signal.hurry();
        }
        Ok(())
    }

    pub(super) fn all(&self) -> Vec<Arc<Shared>> {
        self.entries.lock().values().map(|entry| Arc::clone(&entry.shared)).collect()
    }
}

/// One that is open, also if its last handle is being dropped.
fn held_of(
    entries: &mut HashMap<String, Entry>,
    open: &Arc<Open>,
    name: &str,
) -> Option<Arc<Held>> {
    let entry = entries.get_mut(name)?;
    if let Some(held) = entry.held.upgrade() {
        return Some(held);
    }
    let held = Arc::new(Held { open: Arc::clone(open), shared: Arc::clone(&entry.shared) });
    entry.held = Arc::downgrade(&held);
    Some(held)
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut entries = self.open.subscriptions.entries.lock();
        // One that was removed has nothing to write.
        if let Err(error) = self.shared.flush(&self.open, Durability::Buffered) {
            tracing::debug!(%error, name = self.shared.name, "what was acknowledged is not written");
        }
        let is_ours = |entry: &Entry| Arc::ptr_eq(&entry.shared, &self.shared);
        let is_last = |entry: &Entry| is_ours(entry) && entry.held.strong_count() == 0;
        if entries.get(&self.shared.name).is_some_and(is_last) {
            entries.remove(&self.shared.name);
        }
    }
}
