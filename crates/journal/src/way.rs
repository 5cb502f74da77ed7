//! Which way a frame goes into its segment.
//!
//! A copy to the map costs no system call, but its first store to a page after a sync makes all of
//! that page dirty, and where the kernel maps files by large pages that is 2 MiB: a log that is
//! synced after every few commits would write 2 MiB for each of them. A call makes dirty only the
//! blocks that it touches. So what is synced at short notice goes by calls, and a log that collects
//! much between two syncs, or is not synced at all, goes through the map.
//!
//! Long frames of which a sync covers only a few go by calls: beside so many bytes a call costs nothing, and what
//! large pages add to a sync is as much as the frames themselves, or several times that.

use annals_disk::Via;

/// A log that has this many bytes to sync is busy. Not more: a log of small commits that go by calls
/// would never get that far within an interval.
pub(crate) const BUSY_BYTES: u64 = 256 << 10;

/// A frame of so many bytes is a long one.
const LONG_BYTES: usize = 32 << 10;

/// A log of long frames is busy from this many bytes on that it has to sync: what large pages add to those is little
/// beside them. And if a sync covers this many frames.
const BUSY_LONG_BYTES: u64 = 8 << 20;
const BUSY_FRAMES: u64 = 8;

/// The way of a frame of `len` bytes that leaves `unsynced` bytes to sync, in a log of which the last sync covered
/// `covered` bytes that were not synced before.
#[inline]
pub(crate) fn way(len: usize, unsynced: u64, covered: u64) -> Via {
    let busy_bytes =
        if len < LONG_BYTES { BUSY_BYTES } else { BUSY_LONG_BYTES.max(BUSY_FRAMES * len as u64) };
    if unsynced.max(covered) >= busy_bytes { Via::Memory } else { Via::Call }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_is_synced_commit_by_commit_goes_by_calls() {
        assert_eq!(way(200, 200, 200), Via::Call);
        assert_eq!(way(200, 8 * 200, 8 * 200), Via::Call, "also where several share a sync");
        assert_eq!(way(200, 64 << 10, 64 << 10), Via::Call);
    }

    #[test]
    fn a_busy_log_goes_through_the_map() {
        assert_eq!(way(200, BUSY_BYTES, 0), Via::Memory, "not synced for long");
        assert_eq!(way(200, 200, BUSY_BYTES), Via::Memory, "right behind the sync of a busy log");
    }

    #[test]
    fn long_frames_go_by_calls_if_a_sync_covers_few() {
        assert_eq!(way(LONG_BYTES, 8 * LONG_BYTES as u64, 8 * LONG_BYTES as u64), Via::Call);
        assert_eq!(way(LONG_BYTES, 0, BUSY_LONG_BYTES), Via::Memory);
        const LONG: usize = 2 << 20;
        assert_eq!(way(LONG, 0, BUSY_LONG_BYTES), Via::Call);
        assert_eq!(way(LONG, 0, BUSY_FRAMES * LONG as u64), Via::Memory);
        assert_eq!(way(LONG, 0, u64::MAX), Via::Memory, "nobody is expected to sync");
    }

    #[test]
    fn a_log_that_calms_down_goes_by_calls_after_one_more_sync() {
        assert_eq!(way(200, 200, 2 * BUSY_BYTES), Via::Memory);
        assert_eq!(way(200, 200, 200), Via::Call);
    }
}
