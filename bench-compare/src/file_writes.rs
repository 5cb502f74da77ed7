//! What this process has written to files, as the kernel counts it.

use std::fs;

use crate::Result;

/// What the kernel has counted. Either count misses something, so the greater one is taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileWrites {
    /// Bytes given to `write` and its kin: not what is changed in mapped files.
    given: u64,
    /// Bytes of the pages of files that were made dirty, in either way: not what changes a page again
    /// before it went to the disk.
    dirtied: u64,
}

impl FileWrites {
    /// The counts of this process so far.
    pub(crate) fn now() -> Result<Self> {
        let counts = fs::read_to_string("/proc/self/io")?;
        let count = |name: &str| -> Result<u64> {
            let count = counts.lines().find_map(|line| line.strip_prefix(name));
            Ok(count.ok_or("the kernel does not count what is written")?.trim().parse()?)
        };
        Ok(Self { given: count("wchar:")?, dirtied: count("write_bytes:")? })
    }

    /// Bytes written since `before`, by the count that has more.
    pub(crate) fn since(self, before: Self) -> u64 {
        (self.given - before.given).max(self.dirtied - before.dirtied)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::mapped;

    #[test]
    fn what_is_written_counts_in_either_way() {
        // Beside the test's own file: the folder for temporary files may be in memory.
        let test = std::env::current_exe().expect("a test");
        let dir = tempfile::tempdir_in(test.parent().expect("its folder")).expect("a folder");
        let path = dir.path().join("file");
        let before = FileWrites::now().expect("counts");
        for _ in 0..4 {
            fs::write(&path, vec![1; 1 << 20]).expect("a file");
        }
        let written = FileWrites::now().expect("counts").since(before);
        assert!(written >= 4 << 20, "{written}");

        let before = FileWrites::now().expect("counts");
        // Written once by calls, put on the disk, and changed in the map.
        mapped::create(&dir.path().join("map"), 1 << 20).expect("a map");
        let changed = FileWrites::now().expect("counts").since(before);
        assert!(changed >= 2 << 20, "{changed}");
    }
}
