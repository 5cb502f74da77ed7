//! A disk that loses power whenever a test says so.
//!
//! For each file it keeps what readers see and what is durable, for each directory which names are
//! durable and which changes are not yet. `content` knows about pages, `tree` about names, `power`
//! about what a cut leaves, `fault` about failures that are ordered in advance.
//!
//! Invariants:
//! * the same options and the same sequence of calls give the same outcomes. Calls from several
//!   threads come in the order the threads happen to run, and are as random as that is;
//! * closing makes nothing durable; only syncs do, and the kernel's own write-back, which comes at
//!   random before operations and covers random pages;
//! * after the power was cut nothing changes any more, and nothing panics.
//!
//! It is harsher than any file system we know: names and bytes are durable independently, in any
//! order, and a rename between directories needs the sync of both.

mod content;
mod fault;
mod handle;
mod inspect;
mod power;
mod rng;
mod state;
mod tree;
mod world;

pub use fault::Fault;

use parking_lot::Mutex;
use state::State;
use std::sync::Arc;

/// How a simulated disk behaves.
///
/// ```
/// use annals_disk::{Disk, SimDisk, SimOptions};
/// // A small disk on which nothing becomes durable but by a sync.
/// let small = SimOptions {
///     writeback_chance: 0.0,
///     capacity_bytes: Some(1 << 20),
///     ..SimOptions::seeded(7)
/// };
/// let disk = SimDisk::new(small);
/// assert!(disk.create_region("big.seg".as_ref(), 2 << 20).is_err());
/// assert!(disk.create_region("one.seg".as_ref(), 64 << 10).is_ok());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SimOptions {
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// The share of operations (0.0 to 1.0) before which the kernel writes back some of the dirty
    /// pages of one file on its own. 0.05 by default.
    pub writeback_chance: f64,
    /// How many bytes of files fit; no limit by default.
    pub capacity_bytes: Option<u64>,
    /// The wall clock at the start, in milliseconds since 1970-01-01 UTC; a moment in 2023 by
    /// default. It stands still until a test moves it.
    pub start_ms: u64,
}

impl Default for SimOptions {
    fn default() -> Self {
        Self { seed: 0, writeback_chance: 0.05, capacity_bytes: None, start_ms: 1_700_000_000_000 }
    }
}

/// A simulated disk. Clones share it.
///
/// ```
/// use annals_disk::{Disk, SimDisk, SimOptions};
/// use std::path::Path;
///
/// let disk = SimDisk::new(SimOptions::seeded(7));
/// let region = disk.create_region(Path::new("one.seg"), 8192)?;
/// region.write(0, b"synced")?;
/// region.sync()?;
/// disk.sync_dir(Path::new(""))?;
/// region.write(4096, b"not synced: may be there, or not")?;
///
/// let disk = disk.restart();
/// let bytes = disk.read(Path::new("one.seg"), 8192)?;
/// assert_eq!(&bytes[..6], b"synced");
/// # Ok::<(), annals_disk::DiskError>(())
/// ```
///
/// The usual test runs a script once to count its operations, then once for each of them with the
/// power cut there, and looks at what recovery makes of the rest:
///
/// ```
/// use annals_disk::{Disk, SimDisk, SimOptions};
/// use std::path::Path;
///
/// fn replace(disk: &SimDisk) -> annals_disk::Result<()> {
///     let mut file = disk.create(Path::new("root.new"))?;
///     file.append(b"new")?;
///     file.sync()?;
///     disk.rename(Path::new("root.new"), Path::new("root"))?;
///     disk.sync_dir(Path::new(""))
/// }
///
/// let disk = SimDisk::new(SimOptions::seeded(7));
/// replace(&disk)?;
/// for operation in 0..disk.operations() {
///     let disk = SimDisk::new(SimOptions::seeded(operation));
///     disk.set_file_bytes("root", b"old")?;
///     disk.cut_power_at(operation);
///     assert!(replace(&disk).is_err());
///     let found = disk.restart().read(Path::new("root"), 100)?;
///     assert!(found == b"old" || found == b"new");
/// }
/// # Ok::<(), annals_disk::DiskError>(())
/// ```
#[derive(Clone, Debug)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

impl SimDisk {
    /// An empty disk with its power on.
    ///
    /// ```
    /// use annals_disk::{Disk, SimDisk, SimOptions};
    /// use std::path::Path;
    /// let disk = SimDisk::new(SimOptions::seeded(7));
    /// assert!(disk.list(Path::new(""))?.is_empty());
    /// assert!(!disk.is_power_cut());
    /// # Ok::<(), annals_disk::DiskError>(())
    /// ```
    #[must_use]
    pub fn new(options: SimOptions) -> Self {
        Self { state: Arc::new(Mutex::new(State::new(options))) }
    }

    /// The options it was made with; after a restart, with the seed that was derived.
    ///
    /// ```
    /// use annals_disk::{SimDisk, SimOptions};
    /// let disk = SimDisk::new(SimOptions::seeded(7));
    /// assert_eq!(disk.options().seed, 7);
    /// // What a failed test prints, so that the disk that failed it can be made again.
    /// let found = disk.restart();
    /// assert_eq!(found.options().seed, disk.restart().options().seed);
    /// ```
    #[must_use]
    pub fn options(&self) -> SimOptions {
        self.state.lock().options.clone()
    }

    /// How many operations were begun that change something: creations, appends, writes, syncs,
    /// renames, removals, cuts, reservations and locks. Each directory that `create_dir_all` makes
    /// or syncs counts by itself. Giving a lock back does not count.
    ///
    /// ```
    /// use annals_disk::{Disk, SimDisk, SimOptions};
    /// use std::path::Path;
    /// let disk = SimDisk::new(SimOptions::seeded(7));
    /// let mut file = disk.create(Path::new("notes"))?;
    /// file.append(b"hello")?;
    /// file.sync()?;
    /// assert_eq!(disk.operations(), 3);
    /// // Reading changes nothing.
    /// disk.read(Path::new("notes"), 100)?;
    /// assert_eq!(disk.operations(), 3);
    /// # Ok::<(), annals_disk::DiskError>(())
    /// ```
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state.lock().operation_count
    }

    /// Lets the `nth` operation from now that `fault` applies to fail, once; 1 is the next one.
    ///
    /// ```
    /// use annals_disk::{Disk, Fault, SimDisk, SimOptions};
    /// let disk = SimDisk::new(SimOptions::seeded(7));
    /// disk.fail_nth(Fault::FailWrite, 2);
    /// let mut file = disk.create("notes".as_ref())?;
    /// assert!(file.append(b"hello ").is_ok());
    /// assert!(file.append(b"there").is_err());
    /// assert!(file.append(b"again").is_ok());
    /// # Ok::<(), annals_disk::DiskError>(())
    /// ```
    pub fn fail_nth(&self, fault: Fault, nth: u64) {
        self.fail_nth_at(fault, "", nth);
    }

    /// Like [`SimDisk::fail_nth`], but counts only operations on paths that contain `path_part`.
    ///
    /// ```
    /// use annals_disk::{Disk, Fault, SimDisk, SimOptions};
    /// let disk = SimDisk::new(SimOptions::seeded(7));
    /// disk.fail_nth_at(Fault::FailCreate, ".seg", 1);
    /// assert!(disk.create("root".as_ref()).is_ok());
    /// assert!(disk.create("one.seg".as_ref()).is_err());
    /// assert!(disk.create("one.seg".as_ref()).is_ok());
    /// ```
    pub fn fail_nth_at(&self, fault: Fault, path_part: &str, nth: u64) {
        self.state.lock().faults.order(fault, path_part, nth.saturating_sub(1), false);
    }

    /// Lets every operation fail that `fault` applies to, on paths that contain `path_part`, until
    /// [`SimDisk::clear_faults`].
    ///
    /// ```
    /// use annals_disk::{Disk, Fault, SimDisk, SimOptions};
    /// let disk = SimDisk::new(SimOptions::seeded(7));
    /// disk.fail_always_at(Fault::FailRead, "root");
    /// disk.set_file_bytes("root", b"new")?;
    /// assert!(disk.read("root".as_ref(), 100).is_err());
    /// assert!(disk.read("root".as_ref(), 100).is_err());
    /// # Ok::<(), annals_disk::DiskError>(())
    /// ```
    pub fn fail_always_at(&self, fault: Fault, path_part: &str) {
        self.state.lock().faults.order(fault, path_part, 0, true);
    }

    /// Takes back all ordered faults.
    ///
    /// ```
    /// use annals_disk::{Disk, Fault, SimDisk, SimOptions};
    /// let disk = SimDisk::new(SimOptions::seeded(7));
    /// disk.fail_always_at(Fault::FailCreate, "");
    /// assert!(disk.create("notes".as_ref()).is_err());
    /// disk.clear_faults();
    /// assert!(disk.create("notes".as_ref()).is_ok());
    /// ```
    pub fn clear_faults(&self) {
        self.state.lock().faults.clear();
    }

    /// Limits how many bytes of files fit. What is there already stays, also if it is more. What does not
    /// fit fails with `StorageFull`.
    ///
    /// ```
    /// use annals_disk::{Disk, SimDisk, SimOptions};
    /// let disk = SimDisk::new(SimOptions::seeded(7));
    /// disk.set_file_bytes("notes", b"hello")?;
    /// disk.set_capacity(4096);
    /// let full = disk.create_region("one.seg".as_ref(), 8192).expect_err("it does not fit");
    /// assert_eq!(full.source.kind(), std::io::ErrorKind::StorageFull);
    /// assert_eq!(disk.file_bytes("notes").as_deref(), Some(&b"hello"[..]));
    /// # Ok::<(), annals_disk::DiskError>(())
    /// ```
    pub fn set_capacity(&self, bytes: u64) {
        self.state.lock().capacity_bytes = Some(bytes);
    }

    /// Takes the limit away.
    ///
    /// ```
    /// use annals_disk::{Disk, SimDisk, SimOptions};
    /// let disk = SimDisk::new(SimOptions { capacity_bytes: Some(4096), ..SimOptions::default() });
    /// assert!(disk.create_region("one.seg".as_ref(), 8192).is_err());
    /// // Somebody has made room.
    /// disk.clear_capacity();
    /// assert!(disk.create_region("one.seg".as_ref(), 8192).is_ok());
    /// ```
    pub fn clear_capacity(&self) {
        self.state.lock().capacity_bytes = None;
    }

    /// Moves both clocks forward, by so many milliseconds.
    ///
    /// ```
    /// use annals_disk::{Disk, SimDisk, SimOptions};
    /// let disk = SimDisk::new(SimOptions::seeded(7));
    /// let (now_ms, begun_ns) = (disk.now_ms(), disk.monotonic_ns());
    /// disk.advance_ms(1000);
    /// assert_eq!(disk.now_ms(), now_ms + 1000);
    /// assert!(disk.monotonic_ns() >= begun_ns + 1_000_000_000);
    /// ```
    pub fn advance_ms(&self, ms: u64) {
        let mut state = self.state.lock();
        state.now_ms = state.now_ms.saturating_add(ms);
        state.monotonic_ns = state.monotonic_ns.saturating_add(ms.saturating_mul(1_000_000));
    }

    /// Sets the wall clock, in either direction, to milliseconds since 1970-01-01 UTC. The monotonic
    /// clock does not notice.
    ///
    /// ```
    /// use annals_disk::{Disk, SimDisk, SimOptions};
    /// let disk = SimDisk::new(SimOptions::seeded(7));
    /// // Somebody sets the clock back by an hour.
    /// let (now_ms, begun_ns) = (disk.now_ms(), disk.monotonic_ns());
    /// disk.set_now_ms(now_ms - 3_600_000);
    /// assert!(disk.now_ms() < now_ms && disk.monotonic_ns() > begun_ns);
    /// ```
    pub fn set_now_ms(&self, ms: u64) {
        self.state.lock().now_ms = ms;
    }
}

#[cfg(test)]
mod sim_test;
