//! Directories of the real disk: making, listing, and making their entries durable.

use crate::{DiskError, Entry, Operation, Result, disk::folded};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Makes `path` and its parents, and syncs each directory that gained an entry.
///
/// The parent of the deepest directory that was already there is synced too: a process that was
/// killed after making a directory and before syncing its parent leaves a directory that is
/// visible but may vanish. Nothing is ever made inside a directory before its own entry is synced,
/// so only the deepest one can be in that state.
pub(super) fn create_all(path: &Path) -> Result<()> {
    let failed = |path: &Path, error| DiskError::new(Operation::CreateDir, path, error);
    let mut missing: Vec<PathBuf> = Vec::new();
    let mut there = path;
    loop {
        match fs::metadata(named(there)) {
            Ok(metadata) if metadata.is_dir() => break,
            Ok(_) => return Err(failed(there, io::ErrorKind::NotADirectory.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                missing.push(there.to_owned());
                there = there.parent().ok_or_else(|| failed(path, error))?;
            }
            Err(error) => return Err(failed(there, error)),
        }
    }
    if let Some(parent) = there.parent()
        && !there.as_os_str().is_empty()
    {
        match sync(parent) {
            // A directory whose parent we may not even open was not made by us.
            Err(error) if error.is_read_only() => {}
            other => other?,
        }
    }
    for dir in missing.iter().rev() {
        match fs::create_dir(dir) {
            Ok(()) => {}
            // Another process was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => {}
            Err(error) => return Err(failed(dir, error)),
        }
        if let Some(parent) = dir.parent() {
            sync(parent)?;
        }
    }
    Ok(())
}

/// Makes the entries of `path` durable.
///
/// File systems without directory syncs (some network ones) answer `EINVAL`; they have nothing
/// that could be asked for, so that is no failure.
pub(super) fn sync(path: &Path) -> Result<()> {
    let dir = fs::File::open(named(path))
        .map_err(|error| DiskError::new(Operation::SyncDir, path, error))?;
    match dir.sync_all() {
        Err(error) if error.kind() != io::ErrorKind::InvalidInput => {
            Err(DiskError::new(Operation::SyncDir, path, error))
        }
        _ => Ok(()),
    }
}

/// The entries of `path` in the order of their names. Links are followed; an entry that vanishes
/// meanwhile is left out.
pub(super) fn list(path: &Path) -> Result<Vec<Entry>> {
    let failed = |error| DiskError::new(Operation::List, path, error);
    let mut entries = Vec::new();
    for entry in fs::read_dir(named(path)).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let metadata = match fs::metadata(entry.path()).or_else(|_| entry.metadata()) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(failed(error)),
        };
        let is_dir = metadata.is_dir();
        entries.push(Entry {
            name: entry.file_name().to_string_lossy().into_owned(),
            len: if is_dir { 0 } else { metadata.len() },
            is_dir,
        });
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// Where `path` leads: what is there of it without links, and what is not as it is written.
pub(super) fn resolve(path: &Path) -> Result<PathBuf> {
    let failed = |error| DiskError::new(Operation::Stat, path, error);
    let whole = std::path::absolute(path).map_err(failed)?;
    for there in whole.ancestors() {
        match fs::canonicalize(there) {
            Ok(real) => {
                let rest = whole.strip_prefix(there).unwrap_or(Path::new(""));
                return Ok(folded(&real.join(rest)));
            }
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(folded(&whole))
}

/// The parent of a bare name is the empty path, which the system does not know.
fn named(path: &Path) -> &Path {
    if path.as_os_str().is_empty() { Path::new(".") } else { path }
}
