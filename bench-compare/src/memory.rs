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

/// How much memory is made warm, in bytes.
pub(crate) const WARM_BYTES: usize = 512 << 20;

/// Takes memory from the system and gives it back. A virtual machine may return free memory to its
/// host, and who gets it first then waits for the host: that is nothing an engine should be blamed for.
pub(crate) fn warm_up() {
    let mut memory = vec![0u8; WARM_BYTES];
    memory.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
    std::hint::black_box(&memory);
}

fn field(name: &str) -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.split_whitespace().next()).ok_or("no such field")?;
    Ok(kib.parse::<u64>()? * 1024)
}
