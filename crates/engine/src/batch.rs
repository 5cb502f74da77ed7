//! Several writes, in any keyspaces, that happen together or not at all.

use crate::{
    Commit, Durability, Error, HashKeyspace, Result,
    commit::{BatchTargets, check_key, check_value, keep_frame, take_frame},
    hash::hash_key,
    open::Open,
};
use annals_journal::{Draft, FrameBuilder, Kind};
use std::sync::Arc;

/// Several writes that happen together or not at all. Made by
/// [`Database::batch`](crate::Database::batch).
///
/// ```
/// let db = annals_engine::Database::open_in_memory()?;
/// let (stock, orders) = (db.hash_keyspace("stock")?, db.hash_keyspace("orders")?);
/// let mut batch = db.batch();
/// batch.insert(&stock, "apple", "41")?;
/// batch.insert(&orders, "17", "one apple")?;
/// batch.commit()?;
/// assert_eq!(orders.len(), 1);
/// # Ok::<(), annals_engine::Error>(())
/// ```
#[derive(Debug)]
pub struct WriteBatch {
    core: Arc<Open>,
    frame: FrameBuilder<'static>,
    targets: BatchTargets,
    durability: Option<Durability>,
}

impl WriteBatch {
    pub(crate) fn new(core: Arc<Open>) -> Self {
        Self { core, frame: take_frame(), targets: BatchTargets::default(), durability: None }
    }

    /// Sets the durability of this commit, instead of the database's.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = Some(durability);
        self
    }

    /// Will give `key` the value `value` in `keyspace`. The last write to a key counts.
    ///
    /// # Errors
    /// If the key or value is too long, the batch outgrows what one commit may have, or the
    /// keyspace belongs to another database. The batch is then as it was.
    pub fn insert(
        &mut self,
        keyspace: &HashKeyspace,
        key: impl AsRef<[u8]>,
        value: impl AsRef<[u8]>,
    ) -> Result<()> {
        let expires_ms = keyspace.default_expiry();
        self.push(keyspace, Kind::Put, key.as_ref(), value.as_ref(), expires_ms)
    }

    /// Will remove `key` from `keyspace`, if it is there.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn remove(&mut self, keyspace: &HashKeyspace, key: impl AsRef<[u8]>) -> Result<()> {
        self.push(keyspace, Kind::Remove, key.as_ref(), &[], None)
    }

    fn push(
        &mut self,
        keyspace: &HashKeyspace,
        kind: Kind,
        key: &[u8],
        value: &[u8],
        expires_ms: Option<u64>,
    ) -> Result<()> {
        check_key(key)?;
        check_value(value)?;
        if !keyspace.is_of(&self.core) {
            return Err(Error::ForeignKeyspace { name: keyspace.name().to_owned() });
        }
        let target = keyspace.target();
        let space = target.id;
        self.frame.push(&Draft { kind, space, key, value, expires_ms, aligned: false })?;
        self.targets.push(target, hash_key(self.core.hash_seed, key));
        Ok(())
    }

    /// How many writes it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.targets.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.targets.len() == 0
    }

    /// Bytes the commit will take in the log.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.frame.len_bytes()
    }

    /// Does all writes at once. `None` for an empty batch.
    ///
    /// # Errors
    /// [`Error::KeyspaceDropped`] if a keyspace is gone, no space, or a poisoned database; nothing
    /// was written then. An error from waiting for durability (a failed sync) leaves the outcome
    /// open until the database is opened again.
    pub fn commit(mut self) -> Result<Option<Commit>> {
        if self.is_empty() {
            return Ok(None);
        }
        self.core.commit(&mut self.frame, &self.targets, self.durability, |_| Ok(true))
    }
}

impl Drop for WriteBatch {
    fn drop(&mut self) {
        keep_frame(std::mem::take(&mut self.frame));
    }
}
