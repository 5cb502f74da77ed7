//! The memory of this process, as the kernel counts it.

use std::fs;

use crate::Result;

/// The most memory the process ever had resident, in bytes: anonymous pages and touched pages of
/// mapped files.
pub(crate) fn peak_bytes() -> Result<u64> {
    field("VmHWM:")
}

/// Anonymous memory now, in bytes: without the pages of mapped files.
pub(crate) fn anonymous_bytes() -> Result<u64> {
    field("RssAnon:")
}

fn field(name: &str) -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.split_whitespace().next()).ok_or("no such field")?;
    Ok(kib.parse::<u64>()? * 1024)
}
