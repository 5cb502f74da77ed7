//! Paths of the disks that live in memory: the list of the names from the root.
//!
//! `""`, `"."` and `"/"` are the root, so that `"db"` and `"/db"` are the same directory: such a
//! disk has no working directory that could differ from its root.

use std::path::{Component, Path};

/// The names of `path` from the root on; `..` goes up, and stays at the root.
pub(crate) fn parts(path: &Path) -> Vec<String> {
    let mut parts = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => parts.push(name.to_string_lossy().into_owned()),
            Component::ParentDir => {
                parts.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_has_three_names() {
        for root in ["", ".", "/", "./", "a/..", "../.."] {
            assert!(parts(Path::new(root)).is_empty(), "{root}");
        }
        assert_eq!(parts(Path::new("/a//b/./c")), ["a", "b", "c"]);
        assert_eq!(parts(Path::new("a/../b")), ["b"]);
    }
}
