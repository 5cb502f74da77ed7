//! Mapped files.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use memmap2::MmapMut;

use crate::Result;

const CHUNK: usize = 1 << 20;

/// Makes a file of `bytes` zeros, written out, and maps it with every page present.
#[expect(unsafe_code, reason = "mapping a file")]
pub(crate) fn create(path: &Path, bytes: usize) -> Result<MmapMut> {
    let mut file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
    for start in (0..bytes).step_by(CHUNK) {
        file.write_all(&vec![0; CHUNK.min(bytes - start)])?;
    }
    file.sync_all()?;
    // SAFETY: the file was made a moment ago in a folder of this run alone: no one else writes it
    // or cuts it short while it is mapped.
    let mut map = unsafe { MmapMut::map_mut(&file)? };
    for page in map.chunks_mut(4096) {
        page[0] = 0;
    }
    Ok(map)
}
