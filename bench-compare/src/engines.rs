//! The engines, one file each behind the feature of its name, and how to reach one by name.

#[cfg(feature = "annals")]
pub(crate) mod annals;
#[cfg(feature = "annals")]
mod annals_ordered;
#[cfg(feature = "canopydb")]
mod canopydb;
#[cfg(feature = "emdb")]
mod emdb;
#[cfg(feature = "fjall")]
mod fjall;
#[cfg(feature = "heed")]
mod heed;
#[cfg(feature = "redb")]
mod redb;
#[cfg(feature = "redb")]
mod redb_none;
#[cfg(feature = "rocksdb")]
mod rocksdb;
#[cfg(feature = "sled")]
mod sled;
#[cfg(feature = "surrealkv")]
mod surrealkv;

use crate::by_name::by_name;
use crate::engine::Engine;

/// Work to be done with an engine that is only known at run time.
pub(crate) trait EngineJob {
    /// What comes of it.
    type Output;

    /// Does the work with `E`.
    fn run<E: Engine>(self) -> Self::Output;
}

by_name! {
    Engine, EngineJob:
    "annals" annals::Annals,
    "annals" annals_ordered::AnnalsOrdered,
    "emdb" emdb::Emdb,
    "heed" heed::Lmdb,
    "fjall" fjall::Fjall,
    "canopydb" canopydb::Canopydb,
    "surrealkv" surrealkv::Surrealkv,
    "rocksdb" rocksdb::Rocksdb,
    "redb" redb::Redb,
    "redb" redb_none::RedbNone,
    "sled" sled::Sled,
}
