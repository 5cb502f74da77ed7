//! Writes to keyspaces that see each other before they are committed.

use crate::{AnyKeyspace, Result, WriteBatch};
use std::collections::HashMap;

/// What a [projection](super::Projection) writes: it is read back at once, and committed with many other
/// events' writes. Of several writes to a key the last one is committed.
pub struct Work {
    spaces: Vec<Space>,
    /// How long keys and values are together that are to be committed.
    bytes: usize,
}

struct Space {
    id: u32,
    keyspace: Box<dyn AnyKeyspace>,
    pending: HashMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Work {
    pub(crate) fn new() -> Self {
        Self { spaces: Vec::new(), bytes: 0 }
    }

    fn space(&mut self, keyspace: &dyn AnyKeyspace) -> &mut Space {
        let id = keyspace.target().id();
        let known = self.spaces.iter().position(|space| space.id == id);
        let index = known.unwrap_or_else(|| {
            let pending = HashMap::new();
            self.spaces.push(Space { id, keyspace: keyspace.boxed(), pending });
            self.spaces.len() - 1
        });
        &mut self.spaces[index]
    }

    /// The value of `key`, as it will be.
    ///
    /// # Errors
    /// What reading the keyspace fails with.
    pub fn get(
        &mut self,
        keyspace: &impl AnyKeyspace,
        key: impl AsRef<[u8]>,
    ) -> Result<Option<Vec<u8>>> {
        match self.space(keyspace).pending.get(key.as_ref()) {
            Some(pending) => Ok(pending.clone()),
            None => keyspace.fetch(key.as_ref()),
        }
    }

    /// Will give `key` the value `value`.
    pub fn insert(
        &mut self,
        keyspace: &impl AnyKeyspace,
        key: impl AsRef<[u8]>,
        value: impl Into<Vec<u8>>,
    ) {
        self.put(keyspace, key.as_ref(), Some(value.into()));
    }

    /// Will remove `key`.
    pub fn remove(&mut self, keyspace: &impl AnyKeyspace, key: impl AsRef<[u8]>) {
        self.put(keyspace, key.as_ref(), None);
    }

    fn put(&mut self, keyspace: &dyn AnyKeyspace, key: &[u8], value: Option<Vec<u8>>) {
        let len = |value: &Option<Vec<u8>>| value.as_ref().map_or(0, Vec::len);
        let added = len(&value);
        let pending = &mut self.space(keyspace).pending;
        let removed = match pending.get_mut(key) {
            Some(known) => len(&std::mem::replace(known, value)),
            None => {
                pending.insert(key.to_vec(), value);
                self.bytes += key.len();
                0
            }
        };
        self.bytes = self.bytes + added - removed;
    }

    /// How long keys and values are together that are to be committed.
    pub(crate) fn len_bytes(&self) -> usize {
        self.bytes
    }

    /// Hands everything to `batch`.
    pub(crate) fn drain_into(&mut self, batch: &mut WriteBatch) -> Result<()> {
        self.bytes = 0;
        for space in &mut self.spaces {
            for (key, value) in space.pending.drain() {
                match value {
                    Some(value) => batch.insert(&*space.keyspace, key, value)?,
                    None => batch.remove(&*space.keyspace, key)?,
                }
            }
        }
        Ok(())
    }

    /// Forgets what is not committed.
    pub(crate) fn clear(&mut self) {
        self.spaces.clear();
        self.bytes = 0;
    }
}

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pending: usize = self.spaces.iter().map(|space| space.pending.len()).sum();
        f.debug_struct("Work").field("pending", &pending).finish_non_exhaustive()
    }
}
