//! What this process has written to files, as the kernel counts it.

use std::fs;

use crate::Result;

/// Bytes of the pages of files that this process made dirty, whether through `write` or through a map: a
/// page counts again when it is changed after it went to the disk. (The count of bytes given to `write`
/// would miss what engines change in maps.)
pub(crate) fn written_bytes() -> Result<u64> {
    let counts = fs::read_to_string("/proc/self/io")?;
    let count = counts.lines().find_map(|line| line.strip_prefix("write_bytes:"));
    Ok(count.ok_or("the kernel does not count what is written")?.trim().parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_counts() {
        let before = written_bytes().expect("a count");
        // Beside the test's own file: the folder for temporary files may be in memory.
        let test = std::env::current_exe().expect("a test");
        let dir = tempfile::tempdir_in(test.parent().expect("its folder")).expect("a folder");
        fs::write(dir.path().join("file"), vec![1; 1 << 20]).expect("a file");
        assert!(written_bytes().expect("a count") - before >= 1 << 20);
    }
}
