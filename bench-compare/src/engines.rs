//! The engines, one file each behind the feature of its name, and how to reach one by name.

#[cfg(feature = "annals")]
mod annals;
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

use crate::Result;
use crate::engine::Engine;

#[cfg(not(any(
    feature = "annals",
    feature = "canopydb",
    feature = "emdb",
    feature = "fjall",
    feature = "heed",
    feature = "redb",
    feature = "rocksdb",
    feature = "sled",
    feature = "surrealkv"
)))]
compile_error!("name at least one engine with --features");

/// Work to be done with an engine that is only known at run time.
pub(crate) trait EngineJob {
    /// What comes of it.
    type Output;

    /// Does the work with `E`.
    fn run<E: Engine>(self) -> Self::Output;
}

macro_rules! engines {
    ($($feature:literal $engine:path),+ $(,)?) => {
        /// The names of all engines compiled in, in the order of the table.
        pub(crate) const NAMES: &[&str] = &[
            $(#[cfg(feature = $feature)] <$engine as Engine>::NAME,)+
        ];

        /// Does `job` with the engine called `name`.
        pub(crate) fn with_engine<J: EngineJob>(name: &str, job: J) -> Result<J::Output> {
            $(
                #[cfg(feature = $feature)]
                if name == <$engine as Engine>::NAME {
                    return Ok(job.run::<$engine>());
                }
            )+
            let _ = job;
            Err(format!("no engine `{name}` in this build: there are {}", NAMES.join(", ")).into())
        }
    };
}

engines! {
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
