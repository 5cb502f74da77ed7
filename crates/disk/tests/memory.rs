//! What only the memory disk does: files that grow by moving.

use annals_disk::{Access, Disk, MemoryDisk};
use std::{io::ErrorKind, path::Path};

#[test]
fn a_file_that_is_open_for_writing_does_not_move() {
    let (disk, path) = (MemoryDisk::new(), Path::new("seg"));
    let writer = disk.create_region(path, 4096).expect("create");
    let error = disk.open_region(path, Access::Write { len: 8192 }).expect_err("it would move");
    assert_eq!(error.source.kind(), ErrorKind::ResourceBusy);
    assert_eq!(disk.len(path).expect("len"), Some(4096));
    writer.write(0, b"not lost").expect("write");
    drop(writer);
    let grown = disk.open_region(path, Access::Write { len: 8192 }).expect("free to move");
    assert_eq!(grown.read(0, 8), b"not lost");
}

#[test]
fn readers_keep_what_they_have_when_a_file_moves() {
    let (disk, path) = (MemoryDisk::new(), Path::new("seg"));
    disk.create_region(path, 4096).expect("create").write(0, b"published").expect("write");
    let reader = disk.open_region(path, Access::Read).expect("open");
    let grown = disk.open_region(path, Access::Write { len: 1 << 20 }).expect("grow");
    grown.write(9, b" and more").expect("write");
    assert_eq!(reader.read(0, 9), b"published");
    assert_eq!(grown.read(0, 18), b"published and more");
}

#[test]
fn a_file_created_again_leaves_open_regions_alone() {
    let (disk, path) = (MemoryDisk::new(), Path::new("seg"));
    let region = disk.create_region(path, 4096).expect("create");
    region.write(0, b"old").expect("write");
    disk.create(path).expect("create").append(b"new!").expect("append");
    region.write(3, b"er").expect("write");
    region.truncate(1).expect("cut");
    assert_eq!(region.read(0, 5), b"older");
    drop(region);
    assert_eq!(disk.read(path, 100).expect("read"), b"new!");
    disk.open_region(path, Access::Write { len: 8192 }).expect("nobody writes the new one");
}

#[test]
fn clones_share_and_disks_do_not() {
    let (disk, path) = (MemoryDisk::new(), Path::new("file"));
    disk.create(path).expect("create").append(b"x").expect("append");
    let clone = disk.clone();
    assert_eq!(clone.len(Path::new("/file")).expect("len"), Some(1));
    clone.remove(path).expect("remove");
    assert_eq!(disk.len(path).expect("len"), None);
    disk.create(path).expect("create");
    assert_eq!(MemoryDisk::new().len(path).expect("len"), None);
}

#[test]
fn memory_that_cannot_be_had_is_an_error() {
    let (disk, path) = (MemoryDisk::new(), Path::new("seg"));
    assert!(disk.create_region(path, u64::MAX).is_err());
    assert_eq!(disk.len(path).expect("len"), None);
}
