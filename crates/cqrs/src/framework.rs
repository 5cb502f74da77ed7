//! Frameworks over a database, ready to be used.

use crate::{AnnalsEventRepository, AnnalsEventStore};
use annals_engine::Database;
use cqrs_es::{Aggregate, CqrsFramework, Query};

/// A framework whose events are in a database.
pub type AnnalsCqrs<A> = CqrsFramework<A, AnnalsEventStore<A>>;

/// A framework in which an aggregate is what its events say.
pub fn annals_cqrs<A: Aggregate>(
    db: Database,
    queries: Vec<Box<dyn Query<A>>>,
    services: A::Services,
) -> AnnalsCqrs<A> {
    let store = AnnalsEventStore::new(AnnalsEventRepository::new(db));
    CqrsFramework::new(store, queries, services)
}

/// The same with [snapshots](AnnalsEventStore::with_snapshots), one each `snapshot_size` events.
pub fn annals_snapshot_cqrs<A: Aggregate>(
    db: Database,
    queries: Vec<Box<dyn Query<A>>>,
    snapshot_size: usize,
    services: A::Services,
) -> AnnalsCqrs<A> {
    let store = AnnalsEventStore::new(AnnalsEventRepository::new(db));
    CqrsFramework::new(store.with_snapshots(snapshot_size), queries, services)
}

/// The same with a snapshot for each command: an aggregate is loaded by one look-up, however many events it
/// has.
pub fn annals_aggregate_cqrs<A: Aggregate>(
    db: Database,
    queries: Vec<Box<dyn Query<A>>>,
    services: A::Services,
) -> AnnalsCqrs<A> {
    annals_snapshot_cqrs(db, queries, 1, services)
}
