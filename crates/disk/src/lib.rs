//! Files, clocks and randomness as the engine sees them.
//!
//! Every crate above this one does its input and output through a [`Disk`]. There are three:
//!
//! * [`RealDisk`]: the file system of the machine, with memory-mapped [`Region`]s;
//! * [`MemoryDisk`]: files that live and die with the process;
//! * [`SimDisk`]: files whose durable and volatile bytes are kept apart, so that a test can cut
//!   the power at any operation, tear pages, fail a sync, fill the disk or flip a bit, and get the
//!   same outcome again from the same seed.
//!
//! What this crate is not: it knows nothing of frames, records or keys.
//!
//! ```
//! use annals_disk::{Disk, MemoryDisk};
//! use std::path::Path;
//!
//! let disk = MemoryDisk::new();
//! disk.create_dir_all(Path::new("data"))?;
//! let region = disk.create_region(Path::new("data/one.seg"), 4096)?;
//! region.write(0, b"hello")?;
//! region.sync()?;
//! assert_eq!(region.read(0, 5), b"hello");
//! # Ok::<(), annals_disk::DiskError>(())
//! ```

#[doc(hidden)]
pub mod canary;
mod disk;
mod error;
pub mod fences;
mod hash;
mod holders;
#[doc(hidden)]
pub mod hooked;
mod identity;
mod kept;
mod lines;
mod memory;
mod pages;
mod path;
mod real;
mod region;
mod sim;
mod system;

pub use disk::{Access, Disk, Entry, File, Holder, Lock, LockMode};
pub use error::{DiskError, Operation, Result};
pub use hash::hash_bytes;
pub use kept::Kept;
pub use lines::{Line, Lines, prefetch};
pub use memory::MemoryDisk;
pub use real::{RealDisk, WriteMode};
pub use region::{Backing, Region, Via};
pub use sim::{Fault, SimDisk, SimOptions};
