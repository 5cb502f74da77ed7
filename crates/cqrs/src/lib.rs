//! Annals as the event store and the store of views of programs that are written with the crate
//! [`cqrs-es`](https://docs.rs/cqrs-es). Use it through the facade `annals`, feature `cqrs-es`, as
//! `annals::cqrs`.
//!
//! A program switches by making another store: [`annals_cqrs`] where it had the function of another one, and
//! [`AnnalsViewRepository`] for its views. Its aggregates, events, commands and queries stay as they are.
//!
//! | of `cqrs-es` | here |
//! |---|---|
//! | `Aggregate::TYPE` | the category of that name |
//! | the id of an aggregate | the stream of that text, up to 1,024 bytes |
//! | sequence 1, 2, … | version 0, 1, … |
//! | payload | JSON data, which `annals read` shows |
//! | the version of the event's type, metadata | pairs of texts of the event |
//! | snapshots | the hash keyspace `TYPE.cqrs-snapshots`: JSON under the id of the aggregate |
//! | a view | the hash keyspace of the view's name: JSON under the id of the view |
//!
//! Events and the snapshot that goes with them are one commit, as durable as the
//! [database](annals_engine::Builder::durability) says. Somebody else's commit in between is
//! `OptimisticLockError`, which the framework tells as `AggregateConflict`.
//!
//! The futures are ready when they are first asked: reading takes microseconds, and a commit with
//! `Durability::Sync` keeps its thread waiting for the device. Replays run in a thread of their own, whatever the runtime is.
//!
//! ```
//! use annals_cqrs::{AnnalsViewRepository, annals_cqrs};
//! use cqrs_es::{
//!     Aggregate, DomainEvent, EventEnvelope, View, event_sink::EventSink, persist::GenericQuery,
//! };
//! use serde::{Deserialize, Serialize};
//! use std::sync::Arc;
//!
//! #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
//! enum Event {
//!     Deposited { cents: u64 },
//! }
//!
//! impl DomainEvent for Event {
//!     fn event_type(&self) -> String {
//!         "deposited".into()
//!     }
//!
//!     fn event_version(&self) -> String {
//!         "1.0".into()
//!     }
//! }
//!
//! #[derive(Default, Serialize, Deserialize)]
//! struct Account {
//!     cents: u64,
//! }
//!
//! impl Aggregate for Account {
//!     const TYPE: &'static str = "account";
//!     type Command = u64;
//!     type Event = Event;
//!     type Error = std::fmt::Error;
//!     type Services = ();
//!
//!     async fn handle(
//!         &mut self,
//!         cents: u64,
//!         _: &(),
//!         sink: &EventSink<Self>,
//!     ) -> Result<(), std::fmt::Error> {
//!         sink.write(Event::Deposited { cents }, self).await;
//!         Ok(())
//!     }
//!
//!     fn apply(&mut self, event: Event) {
//!         let Event::Deposited { cents } = event;
//!         self.cents += cents;
//!     }
//! }
//!
//! #[derive(Debug, Default, Serialize, Deserialize)]
//! struct Balance(u64);
//!
//! impl View<Account> for Balance {
//!     fn update(&mut self, event: &EventEnvelope<Account>) {
//!         let Event::Deposited { cents } = event.payload;
//!         self.0 += cents;
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let db = annals_engine::Database::open_in_memory()?;
//! let balances = Arc::new(AnnalsViewRepository::<Balance, Account>::new("balances", db.clone()));
//! let query = GenericQuery::new(Arc::clone(&balances));
//! let cqrs = annals_cqrs::<Account>(db, vec![Box::new(query)], ());
//! cqrs.execute("ada", 500).await?;
//! cqrs.execute("ada", 20).await?;
//! use cqrs_es::persist::ViewRepository;
//! assert_eq!(balances.load("ada").await?.map(|balance| balance.0), Some(520));
//! # Ok(())
//! # }
//! ```

mod error;
mod event;
mod events;
mod framework;
mod replay;
mod snapshot;
mod store;
mod views;

pub use events::AnnalsEventRepository;
pub use framework::{AnnalsCqrs, annals_aggregate_cqrs, annals_cqrs, annals_snapshot_cqrs};
pub use store::{AnnalsAggregateContext, AnnalsEventStore};
pub use views::AnnalsViewRepository;
