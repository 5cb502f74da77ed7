//! The event stores, one file each behind the feature of its name, and how to reach one by name.

#[cfg(feature = "annals")]
mod annals;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "varvedb")]
mod varvedb;

use crate::by_name::by_name;
use crate::event_engine::EventEngine;

/// Work to be done with an event store that is only known at run time.
pub(crate) trait EventEngineJob {
    /// What comes of it.
    type Output;

    /// Does the work with `E`.
    fn run<E: EventEngine>(self) -> Self::Output;
}

by_name! {
    EventEngine, EventEngineJob:
    "annals" annals::AnnalsEvents,
    "varvedb" varvedb::Varvedb,
    "sqlite" sqlite::Sqlite,
}
