//! Databases that earlier builds wrote, as tests use them: as copies, never in place.

use std::path::{Path, PathBuf};

/// The folder of the golden database of this name; what it holds is beside it, as text.
pub(crate) fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1").join(name)
}

/// What the golden database of this name holds.
pub(crate) fn expected(name: &str) -> String {
    std::fs::read_to_string(golden(name).with_extension("txt")).unwrap()
}

/// Copies the files of a folder into another one.
pub(crate) fn copy_files(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, to.join(path.file_name().unwrap())).unwrap();
    }
}
