//! The durable log of the Annals data engine.
//!
//! A journal is a chain of fixed-size segments. A commit is one [frame](FrameBuilder) of
//! [records](Record); it is appended by an encode, a checksum and a copy into mapped memory,
//! without a system call, and made durable by a sync that concurrent committers share. Readers get
//! slices of the map behind a [guard](SegmentGuard) that keeps the segment alive.
//!
//! What this crate is not: it knows nothing of what keys mean, and keeps no index. Views do that;
//! they are told addresses when records are appended, replayed or moved.
//!
//! ```
//! use annals_disk::MemoryDisk;
//! use annals_journal::{Config, Draft, Durability, FrameBuilder, Journal, Kind};
//! use std::{path::Path, sync::Arc};
//!
//! let disk = Arc::new(MemoryDisk::new());
//! let journal = Journal::create(disk, Path::new("log"), Config::default())?;
//!
//! let mut frame = FrameBuilder::new();
//! let draft = Draft { kind: Kind::Put, space: 1, key: b"k", value: b"v", expires_ms: None, aligned: false };
//! frame.push(&draft)?;
//! let mut writer = journal.writer(frame.len_bytes(), frame.count())?;
//! let appended = writer.append(&mut frame)?;
//! writer.publish();
//! drop(writer);
//! journal.make_durable(appended.end, Durability::Sync)?;
//!
//! let address = appended.address(frame.offset(0));
//! let guard = journal.guard(address.slot).expect("the segment is there");
//! assert_eq!(guard.record(address.offset)?.value, b"v");
//! # Ok::<(), annals_journal::Error>(())
//! ```

mod address;
mod background;
mod beside;
mod chair;
#[cfg(test)]
#[path = "chair/chair_test.rs"]
mod chair_test;
mod checksum;
mod closing;
mod config;
mod current;
#[cfg(test)]
#[path = "current/current_test.rs"]
mod current_test;
mod cursor;
mod durable;
mod error;
mod feed;
mod follow;
mod format;
mod frame;
#[doc(hidden)]
pub mod fuzzing;
mod held;
mod holds;
mod journal;
mod lock;
mod lone;
mod opening;
mod pace;
mod packer;
mod place;
mod readers;
mod reclaim;
mod record;
mod recycle;
mod root;
mod segment;
mod segments;
mod shared;
mod space;
mod sync;
mod tail;
mod takeover;
mod value;
mod varint;
mod verify;
mod walk;
mod way;
mod writer;

// Opening and settings.
pub use config::{Background, Config, Durability};
pub use error::{Error, Result};
pub use journal::{Journal, Opened, PUT_AWAY_NAME};
pub use lock::{FIGURES_NAME, FIGURES_TEMPORARY, LOCK_NAME, lock};
pub use opening::{Opening, Recovery};
pub use readers::{READERS_NAME, enter as read_lock, make_readers_file};
pub use root::{
    ROOT_NAME, ROOT_TEMPORARY, ROOT_VERSION, Root, RootCheckpoint, RootManifest, RootSegment,
    checkpoint_name, is_data_file_name, segment_file_name,
};
pub use takeover::COPY_TEMPORARY;

// Writing.
pub use frame::{FrameBuilder, FrameHeader, FrameKind, FrameView, Run};
pub use lone::LoneFrame;
pub use packer::Packer;
pub use record::{Draft, KEY_BYTES_MAX, Kind, Look, Match, Record, VALUE_BYTES_MAX};
pub use writer::{Appended, Writer};

// Reading.
pub use address::{Address, Position, Seq};
pub use chair::{Age, Pin, Seat, pin};
pub use current::Current;
pub use feed::Feed;
pub use follow::Followed;
pub use format::{SEGMENT_VERSION, SegmentKind};
pub use held::HeldValue;
pub use segments::{Content, Glance, SegmentGuard};
pub use value::ValueGuard;

// Keeping and letting go.
pub use holds::Hold;
pub use reclaim::{RootKeeper, SegmentInfo};
pub use verify::{Damage, LogReport};
