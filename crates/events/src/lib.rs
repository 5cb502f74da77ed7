//! What an event is for Annals, how it becomes bytes, and how it is read where it lies.
//!
//! An event type has a name and a version. A struct that derives [`Event`](macro@Event) stands for one,
//! an enum for several; each event is archived by itself and read in place, checked, without copying.
//! When a layout changes, the old one is kept and upcast on read. Nothing here knows of a log, a stream
//! or a file: the engine stores the event type beside the bytes and hands both back.
//!
//! ```
//! use annals_events::{Event, EventBuf, EventField, Scratch};
//!
//! #[derive(EventField)]
//! #[event(crate = annals_events)]
//! enum Currency {
//!     Euro,
//!     Franc,
//! }
//!
//! #[derive(Event)]
//! #[event(name = "account-opened", crate = annals_events)]
//! struct Opened {
//!     owner: String,
//!     currency: Currency,
//! }
//!
//! #[derive(Event)]
//! #[event(crate = annals_events)]
//! enum AccountEvent {
//!     Opened(Opened),
//!     #[event(name = "money-deposited")]
//!     Deposited { cents: u64 },
//!     #[event(name = "account-closed")]
//!     Closed,
//! }
//!
//! let events = [
//!     AccountEvent::Opened(Opened { owner: "Ada".into(), currency: Currency::Euro }),
//!     AccountEvent::Deposited { cents: 500 },
//!     AccountEvent::Closed,
//! ];
//! let (mut buffer, mut scratch, mut balance) = (EventBuf::new(), Scratch::new(), 0);
//! for event in &events {
//!     event.encode(&mut buffer)?;
//!     let ty = event.event_type();
//!     match AccountEvent::view(ty.name(), ty.version(), &buffer, &scratch)? {
//!         AccountEventView::Opened(opened) => assert_eq!(opened.owner, "Ada"),
//!         AccountEventView::Deposited(deposited) => balance += deposited.cents.to_native(),
//!         AccountEventView::Closed => assert_eq!(balance, 500),
//!     }
//!     scratch.clear();
//! }
//! # Ok::<(), annals_events::Error>(())
//! ```

#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod archive;
mod buffer;
#[doc(hidden)]
pub mod derived;
mod error;
mod event;
mod event_type;
mod format;
mod known;
mod scratch;

// Events.
pub use event::Event;
pub use event_type::{EventType, Fingerprint, TYPE_NAME_BYTES_MAX};
pub use known::Known;

// Bytes.
pub use buffer::EventBuf;
pub use format::EventFormat;
pub use scratch::Scratch;

// What goes wrong.
pub use error::{Error, ErrorKind, Result};

// What writes the code.
pub use annals_macros::{Event, EventField};

/// The crate that archives are made with: types of archived fields, wrappers for fields
/// (`#[rkyv(with = ..)]`), and derives for who writes them by hand.
pub use rkyv;

/// Where the log places the bytes of an event: on a multiple of this many bytes. An event type whose
/// archive would need more does not compile.
///
/// ```
/// assert_eq!(annals_events::ARCHIVE_ALIGN_BYTES, 8);
/// ```
pub const ARCHIVE_ALIGN_BYTES: usize = 8;
