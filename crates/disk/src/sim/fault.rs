//! Faults that a test orders in advance.

use std::path::Path;

/// What is to fail. An operation that fails this way changes nothing, except where noted.
///
/// ```
/// use annals_disk::{Disk, Fault, SimDisk, SimOptions};
/// let disk = SimDisk::new(SimOptions { writeback_chance: 0.0, ..SimOptions::seeded(7) });
/// disk.set_file_bytes("notes", b"")?;
/// let mut file = disk.create("notes".as_ref())?;
/// file.append(b"hello")?;
/// disk.fail_nth(Fault::FailSync, 1);
/// assert!(file.sync().is_err());
/// // Who tries again is told that all is well, though the bytes are not on the device.
/// assert!(file.sync().is_ok());
/// assert_ne!(disk.durable_bytes("notes").as_deref(), Some(&b"hello"[..]));
/// # Ok::<(), annals_disk::DiskError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// Making a file or directory.
    FailCreate,
    /// Opening a file as a region.
    FailOpen,
    /// Reading a file whole. (Regions are read in memory, which cannot fail.)
    FailRead,
    /// Appending to a file or writing to a region.
    FailWrite,
    /// Syncing a file or region. As on Linux, the pages that were to be written count as clean
    /// from then on: a later sync that succeeds does not bring them back, although reads go on
    /// showing them.
    FailSync,
    /// Syncing a directory. The changes it covered stay undecided for ever: a later sync that
    /// succeeds does not make them durable.
    FailSyncDir,
    /// Growing a file as it is opened.
    FailReserve,
    /// Cutting a file.
    FailTruncate,
    /// Renaming a file.
    FailRename,
    /// Removing a file.
    FailRemove,
    /// Taking a lock.
    FailLock,
}

/// The faults that are still to come.
#[derive(Debug, Default)]
pub(super) struct Faults {
    orders: Vec<Order>,
}

#[derive(Debug)]
struct Order {
    fault: Fault,
    /// Only paths that contain this text count.
    path_part: String,
    /// How many matching operations still pass.
    pass_count: u64,
    /// Whether it goes on failing.
    forever: bool,
}

impl Faults {
    pub(super) fn order(&mut self, fault: Fault, path_part: &str, pass_count: u64, forever: bool) {
        let path_part = path_part.to_owned();
        self.orders.push(Order { fault, path_part, pass_count, forever });
    }

    pub(super) fn clear(&mut self) {
        self.orders.clear();
    }

    /// Counts an operation; `true` if it is to fail.
    pub(super) fn strikes(&mut self, fault: Fault, path: &Path) -> bool {
        let mut struck = false;
        self.orders.retain_mut(|order| {
            if order.fault != fault || !path.to_string_lossy().contains(&order.path_part) {
                return true;
            }
            if order.pass_count > 0 {
                order.pass_count -= 1;
                return true;
            }
            struck = true;
            order.forever
        });
        struck
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_strikes_once_at_its_turn() {
        let mut faults = Faults::default();
        faults.order(Fault::FailSync, "", 2, false);
        let path = Path::new("a");
        assert!(!faults.strikes(Fault::FailSync, path));
        assert!(!faults.strikes(Fault::FailWrite, path));
        assert!(!faults.strikes(Fault::FailSync, path));
        assert!(faults.strikes(Fault::FailSync, path));
        assert!(!faults.strikes(Fault::FailSync, path));
    }

    #[test]
    fn only_matching_paths_count() {
        let mut faults = Faults::default();
        faults.order(Fault::FailSync, ".seg", 0, true);
        assert!(!faults.strikes(Fault::FailSync, Path::new("root")));
        assert!(faults.strikes(Fault::FailSync, Path::new("db/1.seg")));
        assert!(faults.strikes(Fault::FailSync, Path::new("db/2.seg")));
        faults.clear();
        assert!(!faults.strikes(Fault::FailSync, Path::new("db/2.seg")));
    }
}
