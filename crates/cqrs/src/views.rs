//! Views of a query, each under its id.

use crate::error::{persistence, unreadable};
use annals_engine::{CasOutcome, Database, Error, HashKeyspace};
use cqrs_es::{
    Aggregate, View,
    persist::{PersistenceError, ViewContext, ViewRepository},
};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use std::{fmt, marker::PhantomData};

/// The views of a query, kept in a hash keyspace of a database.
pub struct AnnalsViewRepository<V, A> {
    db: Database,
    name: String,
    views: PhantomData<fn() -> (V, A)>,
}

/// A view as it is stored.
#[derive(Serialize, Deserialize)]
struct Stored<P> {
    /// Counts how often it was written.
    version: i64,
    payload: P,
}

impl<V: View<A>, A: Aggregate> AnnalsViewRepository<V, A> {
    /// Keeps views in the hash keyspace `view_name` of `db`, which is made when the first one is written.
    #[must_use]
    pub fn new(view_name: &str, db: Database) -> Self {
        Self { db, name: view_name.to_owned(), views: PhantomData }
    }

    fn views(&self) -> Result<Option<HashKeyspace>, PersistenceError> {
        match self.db.open_hash_keyspace(&self.name) {
            Err(Error::UnknownKeyspace { .. }) => Ok(None),
            views => views.map(Some).map_err(persistence),
        }
    }

    fn find(&self, view_id: &str) -> Result<Option<Stored<V>>, PersistenceError> {
        let Some(views) = self.views()? else { return Ok(None) };
        let stored = views.get(view_id).map_err(persistence)?;
        Ok(stored.map(|stored| serde_json::from_slice(&stored)).transpose()?)
    }

    /// Writes a view if nobody else has since it was loaded.
    fn write(&self, view: &V, context: &ViewContext) -> Result<(), PersistenceError> {
        let views = self.db.hash_keyspace(&self.name).map_err(persistence)?;
        let key = &context.view_instance_id;
        let before = views.get(key).map_err(persistence)?;
        let found = match &before {
            Some(stored) => serde_json::from_slice::<Stored<IgnoredAny>>(stored)?.version,
            None => 0,
        };
        if found != context.version {
            return Err(PersistenceError::OptimisticLockError);
        }
        let next = found.checked_add(1);
        let version = next.ok_or_else(|| unreadable(format!("the version of the view `{key}`")))?;
        let stored = serde_json::to_vec(&Stored { version, payload: view })?;
        match views.compare_and_swap(key, before.as_deref(), Some(&stored)).map_err(persistence)? {
            CasOutcome::Swapped(_) => Ok(()),
            _ => Err(PersistenceError::OptimisticLockError),
        }
    }
}

impl<V: View<A>, A: Aggregate> ViewRepository<V, A> for AnnalsViewRepository<V, A> {
    async fn load(&self, view_id: &str) -> Result<Option<V>, PersistenceError> {
        Ok(self.find(view_id)?.map(|stored| stored.payload))
    }

    async fn load_with_context(
        &self,
        view_id: &str,
    ) -> Result<Option<(V, ViewContext)>, PersistenceError> {
        let context = |version| ViewContext::new(view_id.to_owned(), version);
        Ok(self.find(view_id)?.map(|stored| (stored.payload, context(stored.version))))
    }

    async fn update_view(&self, view: V, context: ViewContext) -> Result<(), PersistenceError> {
        self.write(&view, &context)
    }
}

impl<V, A> Clone for AnnalsViewRepository<V, A> {
    fn clone(&self) -> Self {
        Self { db: self.db.clone(), name: self.name.clone(), views: PhantomData }
    }
}

impl<V, A> fmt::Debug for AnnalsViewRepository<V, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnnalsViewRepository").field("name", &self.name).finish_non_exhaustive()
    }
}
