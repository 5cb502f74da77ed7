//! What the tests of bad input share: images of databases, and what is asked of an error.

use crate::sample;
use crate::sample::{DIR, Image, builder};
use annals_disk::{SimDisk, SimOptions};
use annals_engine::{Error, ErrorKind};
use std::path::Path;
use std::sync::Arc;

/// What each remedy for damage names.
pub(crate) const RESTORE: &str = "restore";

/// Opens `image`, which must fail with `kind` and a text that has all `parts`, and change nothing.
#[track_caller]
pub(crate) fn refused(image: &Image, kind: ErrorKind, parts: &[&str]) {
    let disk = Arc::new(image.memory());
    let error = builder().disk(disk.clone()).open(DIR).unwrap_err();
    told(&error, kind, parts);
    let after = Image::read(&*disk, Path::new(DIR));
    let unchanged = |image: &Image| {
        let mut image = image.clone();
        image.0.remove(&Path::new(DIR).join("annals.lock"));
        image
    };
    assert!(unchanged(image) == unchanged(&after), "a failed opening has changed files");
    let read_only = builder().read_only(true).disk(disk).open(DIR).unwrap_err();
    assert_eq!(read_only.kind(), kind, "{read_only}");
}

#[track_caller]
pub(crate) fn told(error: &Error, kind: ErrorKind, parts: &[&str]) {
    let text = error.to_string();
    assert_eq!(error.kind(), kind, "{text}");
    for part in parts {
        assert!(text.contains(part), "`{text}` does not say `{part}`");
    }
}

/// Opens `image`, which must be repaired with a warning that names `part`, and lose nothing.
#[track_caller]
pub(crate) fn repaired(image: &Image, part: &str) {
    let db = image.open().unwrap();
    let warnings = &db.recovery().warnings;
    assert!(warnings.iter().any(|warning| warning.contains(part)), "{warnings:?}");
    assert_eq!(&sample::contents(&db), sample::closed().last());
}

pub(crate) fn closed() -> Image {
    sample::closed().image
}

pub(crate) fn first_segment(image: &Image) -> String {
    image.names_with(".seg").remove(0)
}

pub(crate) fn checkpoint(image: &Image) -> String {
    image.names_with(".ckp").remove(0)
}

/// Changes the head of a file and makes its checksum right again.
pub(crate) fn forge(bytes: &mut [u8], name: &str, change: impl FnOnce(&mut [u8])) {
    change(bytes);
    let (covered, at) = match name.rsplit('.').next() {
        Some("seg") => (60, 60),
        Some("ckp") => (36, 36),
        _ => (bytes.len() - 4, bytes.len() - 4),
    };
    let checksum = crc32c::crc32c(&bytes[..covered]);
    bytes[at..at + 4].copy_from_slice(&checksum.to_le_bytes());
}

/// A database with the same file names and another id.
pub(crate) fn stranger() -> Image {
    let disk = SimDisk::new(SimOptions { writeback_chance: 0.0, ..SimOptions::seeded(77) });
    let db = builder().disk(Arc::new(disk.clone())).open(DIR).unwrap();
    let mut recorder = sample::Recorder::new(db);
    sample::fill(&mut recorder);
    recorder.db.close().unwrap();
    Image::of(&disk)
}
