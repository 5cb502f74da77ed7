//! The names of files: `t{number:016x}.tbl` for tables, `m{number:016x}.man` for manifests.
//!
//! Tables and manifests take their numbers from one counter, and no number is given twice, also not
//! that of a file which a crash left without an owner: a name then never means two things.

use std::path::{Path, PathBuf};

/// A file of a store, as its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileName {
    /// A table with this number.
    Table(u64),
    /// A manifest with this number.
    Manifest(u64),
}

impl FileName {
    /// What `name` is the name of. Names that differ in anything, also in the case of a letter, are
    /// not ours.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let number = |digits: &str| u64::from_str_radix(digits, 16).ok();
        let found = if let Some(rest) = name.strip_prefix('t') {
            Self::Table(number(rest.strip_suffix(".tbl")?)?)
        } else {
            Self::Manifest(number(name.strip_prefix('m')?.strip_suffix(".man")?)?)
        };
        (found.name() == name).then_some(found)
    }

    /// The name without its directory.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Table(number) => format!("t{number:016x}.tbl"),
            Self::Manifest(number) => format!("m{number:016x}.man"),
        }
    }

    /// The path in the directory `dir`.
    #[must_use]
    pub fn path(self, dir: &Path) -> PathBuf {
        dir.join(self.name())
    }

    /// The number in the name.
    #[must_use]
    pub fn number(self) -> u64 {
        match self {
            Self::Table(number) | Self::Manifest(number) => number,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_others() {
        assert_eq!(FileName::Table(0xab).name(), "t00000000000000ab.tbl");
        for name in [FileName::Table(0), FileName::Manifest(u64::MAX), FileName::Table(77)] {
            assert_eq!(FileName::parse(&name.name()), Some(name));
        }
        for name in [
            "",
            "t.tbl",
            "tab.tbl",
            "t00000000000000AB.tbl",
            "t+0000000000000ab.tbl",
            "m00000000000000ab.tbl",
            "t00000000000000ab.tbl.tmp",
            "t100000000000000ab.tbl",
        ] {
            assert_eq!(FileName::parse(name), None, "{name}");
        }
    }
}
