//! The stores for wide events, one file each, and how to reach one by name.

#[cfg(feature = "annals")]
mod annals;
#[cfg(feature = "duckdb")]
mod duckdb;
mod sql;
#[cfg(feature = "sqlite")]
mod sqlite;

use crate::by_name::by_name;
use crate::table_engine::TableEngine;

/// Work to be done with a store for wide events that is only known at run time.
pub(crate) trait TableEngineJob {
    /// What comes of it.
    type Output;

    /// Does the work with `E`.
    fn run<E: TableEngine>(self) -> Self::Output;
}

by_name! {
    TableEngine, TableEngineJob:
    "annals" annals::AnnalsTables,
    "duckdb" duckdb::DuckDb,
    "sqlite" sqlite::SqliteTables,
}
