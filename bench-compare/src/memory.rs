//! The memory of this process, as the kernel counts it.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use memmap2::{Advice, MmapMut};

use crate::Result;
use crate::emit::emit;

/// The most memory the process ever had resident, in bytes: anonymous pages and touched pages of
/// mapped files.
pub(crate) fn peak_bytes() -> Result<u64> {
    field("VmHWM:")
}

/// Tells the memory of this process so far; of a child that tells it twice, the first time counts.
pub(crate) fn tell() -> Result<()> {
    emit("peak", peak_bytes()? as f64)?;
    emit("anonymous", anonymous_bytes()? as f64)
}

/// Anonymous memory now, in bytes: without the pages of mapped files.
pub(crate) fn anonymous_bytes() -> Result<u64> {
    field("RssAnon:")
}

/// How often anonymous memory that is watched is looked at. The kernel keeps no record of its peak.
const EVERY: Duration = Duration::from_millis(20);

/// Watches the most anonymous memory that this process has.
pub(crate) struct Watch {
    stop: Sender<()>,
    thread: JoinHandle<Result<u64>>,
}

impl Watch {
    /// Watches from now on.
    pub(crate) fn start() -> Self {
        let (stop, stopped) = mpsc::channel();
        let thread = thread::spawn(move || {
            let mut most = anonymous_bytes()?;
            loop {
                let goes_on = stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout);
                most = most.max(anonymous_bytes()?);
                if !goes_on {
                    return Ok(most);
                }
            }
        });
        Self { stop, thread }
    }

    /// The most there was, the present included.
    pub(crate) fn most_bytes(self) -> Result<u64> {
        drop(self.stop);
        self.thread.join().map_err(|_| "watching memory failed")?
    }
}

/// How much memory of each kind is made warm, in bytes.
pub(crate) const WARM_BYTES: usize = 512 << 20;

/// Takes memory from the system, also by a file in `dir`, and gives it back. A virtual machine may return free memory to
/// its host, and who gets it first then waits for the host: that is nothing an engine should be blamed for. The
/// kernel does not take pages of files, small pages and large ones from the same places, so all three kinds are held at
/// once: without the large ones, long writes to files got memory that was as cold as before.
pub(crate) fn warm_up(dir: &Path) -> Result<()> {
    const STEP_BYTES: usize = 1 << 20;
    let mut file = tempfile::tempfile_in(dir)?;
    let memory = touched(Advice::Normal)?;
    memory.chunks(STEP_BYTES).try_for_each(|step| file.write_all(step))?;
    let large = touched(Advice::HugePage)?;
    std::hint::black_box((&memory, &large));
    Ok(())
}

/// The same, of memory alone and in the process that is measured, before it does anything else: what its parent gives
/// back is not always what it gets. What it took does not count among the most that was resident.
pub(crate) fn warm_up_here() -> Result<()> {
    std::hint::black_box((touched(Advice::Normal)?, touched(Advice::HugePage)?));
    Ok(fs::write("/proc/self/clear_refs", "5")?)
}

/// Memory of which each page was written to, in pages of the size that is advised.
fn touched(pages: Advice) -> Result<MmapMut> {
    let mut memory = MmapMut::map_anon(WARM_BYTES)?;
    // A kernel without large pages refuses, and takes none for anybody.
    let _ = memory.advise(pages);
    memory.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
    Ok(memory)
}

fn field(name: &str) -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.split_whitespace().next()).ok_or("no such field")?;
    Ok(kib.parse::<u64>()? * 1024)
}
