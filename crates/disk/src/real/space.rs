//! Reserving space ahead of writing.
//!
//! `fallocate` gives a file real blocks on ext4 and XFS and real pages on tmpfs: a later write
//! into them cannot find the disk full. Copy-on-write and network file systems accept the call
//! and still need fresh space at write time, so only known file systems count as a promise.
//! Elsewhere zeroes are written, which at least finds a full disk now, and regions are written
//! with `pwrite`, where a full disk is an error and not a `SIGBUS`.
//!
//! What it cannot see: a file whose blocks are shared by `cp --reflink` on XFS needs fresh space
//! when written, promise or not.

use std::{fs::File, io, ops::Range, os::unix::fs::FileExt};

/// File systems whose account of space is relied upon, by their magic numbers.
#[cfg(target_os = "linux")]
fn is_known(file: &File) -> io::Result<bool> {
    const EXT4: u64 = 0xef53;
    const XFS: u64 = 0x5846_5342;
    const TMPFS: u64 = 0x0102_1994;

    // The magic number is a signed word here and an unsigned one there; all known ones fit 32 bits.
    let kind = rustix::fs::fstatfs(file)?.f_type as u64 & 0xffff_ffff;
    Ok([EXT4, XFS, TMPFS].contains(&kind))
}

/// Whether a store to the file's mapped memory can still find the disk full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Promise {
    /// It cannot.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "nobody else promises"))]
    Kept,
    /// It can.
    Missing,
}

/// Gives `file`, which has `from` bytes, `to` bytes with space behind each.
///
/// Where the system can promise space the whole file is asked for, not only what is gained: a
/// sparse copy of a file (made by a backup tool) has holes that a mapped write would fault on.
pub(super) fn reserve(file: &File, from: u64, to: u64) -> io::Result<Promise> {
    if to == 0 {
        return Ok(Promise::Missing);
    }
    #[cfg(target_os = "linux")]
    if allocate(file, to)? {
        return Ok(Promise::Kept);
    }
    fill(file, from, to - from)?;
    Ok(Promise::Missing)
}

/// Writes `len` real zeroes at `offset`.
pub(super) fn fill(file: &File, mut offset: u64, mut len: u64) -> io::Result<()> {
    static ZEROES: [u8; 1 << 16] = [0; 1 << 16];
    while len > 0 {
        let step = len.min(ZEROES.len() as u64);
        file.write_all_at(&ZEROES[..step as usize], offset)?;
        offset += step;
        len -= step;
    }
    Ok(())
}

/// The first range of `file` at or behind `from` that may have anything but zeroes. Elsewhere than
/// on the known file systems, whose answer counts what was stored to a map and is not on the device
/// yet, everything may.
pub(super) fn filled(file: &File, from: u64) -> Option<Range<u64>> {
    #[cfg(target_os = "linux")]
    if is_known(file).unwrap_or(false) {
        use rustix::{
            fs::{SeekFrom, seek},
            io::Errno,
        };
        // Nobody uses the file's own position.
        return match seek(file, SeekFrom::Data(from)) {
            Ok(start) => Some(start..seek(file, SeekFrom::Hole(start)).unwrap_or(u64::MAX)),
            Err(Errno::NXIO) => None,
            Err(_) => Some(from..u64::MAX),
        };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = file;
    Some(from..u64::MAX)
}

/// Allocates blocks for the first `len` bytes; `false` if the file system gives no promise.
#[cfg(target_os = "linux")]
fn allocate(file: &File, len: u64) -> io::Result<bool> {
    use rustix::{
        fs::{FallocateFlags, fallocate},
        io::Errno,
    };

    if !is_known(file)? {
        return Ok(false);
    }
    loop {
        match fallocate(file, FallocateFlags::empty(), 0, len) {
            Ok(()) => return Ok(true),
            // tmpfs gives up when a signal arrives.
            Err(Errno::INTR) => {}
            // ext4 has the magic number of ext2 and ext3, which cannot allocate ahead.
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeroes_are_written_over_what_was_there() {
        let file = tempfile::tempfile().expect("a file");
        let len = (1 << 16) + 77;
        file.write_all_at(&vec![7; len + 2], 0).expect("write");
        fill(&file, 1, len as u64).expect("fill");
        let mut bytes = vec![1; len + 2];
        file.read_exact_at(&mut bytes, 0).expect("read");
        assert_eq!((bytes[0], bytes[len + 1]), (7, 7));
        assert!(bytes[1..=len].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn reserved_space_is_really_there() {
        use std::os::unix::fs::MetadataExt;
        let file = tempfile::tempfile().expect("a file");
        reserve(&file, 0, 1 << 20).expect("reserve");
        let metadata = file.metadata().expect("metadata");
        assert_eq!(metadata.len(), 1 << 20);
        assert!(metadata.blocks() * 512 >= 1 << 20, "the file is sparse");
    }

    #[test]
    fn what_was_never_written_is_told_from_what_was() {
        let file = tempfile::tempfile().expect("a file");
        reserve(&file, 0, 1 << 20).expect("reserve");
        file.write_all_at(b"late", 600_000).expect("write");
        let range = filled(&file, 0).expect("a filled range");
        assert!(range.contains(&600_000), "{range:?}");
        assert!(filled(&file, 600_002).is_some_and(|range| range.contains(&600_003)));
        if range.start > 0 {
            // A file system that keeps account.
            assert!(range.end < 1 << 20, "{range:?}");
            assert_eq!(filled(&file, range.end), None);
        }
    }

    #[test]
    fn the_holes_of_a_sparse_file_are_filled() {
        use std::os::unix::fs::MetadataExt;
        let file = tempfile::tempfile().expect("a file");
        file.set_len(1 << 20).expect("a hole");
        if reserve(&file, 1 << 20, 1 << 20).expect("reserve") == Promise::Kept {
            assert!(file.metadata().expect("metadata").blocks() * 512 >= 1 << 20);
        }
    }
}
