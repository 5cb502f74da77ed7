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

use std::{fs::File, io, os::unix::fs::FileExt};

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

/// Allocates blocks for the first `len` bytes; `false` if the file system gives no promise.
#[cfg(target_os = "linux")]
fn allocate(file: &File, len: u64) -> io::Result<bool> {
    use rustix::{
        fs::{FallocateFlags, fallocate, fstatfs},
        io::Errno,
    };
    const EXT4: u64 = 0xef53;
    const XFS: u64 = 0x5846_5342;
    const TMPFS: u64 = 0x0102_1994;

    // The magic number is a signed word here and an unsigned one there; all known ones fit 32 bits.
    let kind = fstatfs(file)?.f_type as u64 & 0xffff_ffff;
    if ![EXT4, XFS, TMPFS].contains(&kind) {
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
    fn the_holes_of_a_sparse_file_are_filled() {
        use std::os::unix::fs::MetadataExt;
        let file = tempfile::tempfile().expect("a file");
        file.set_len(1 << 20).expect("a hole");
        if reserve(&file, 1 << 20, 1 << 20).expect("reserve") == Promise::Kept {
            assert!(file.metadata().expect("metadata").blocks() * 512 >= 1 << 20);
        }
    }
}
