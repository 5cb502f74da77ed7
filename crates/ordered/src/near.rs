//! Bringing bytes closer to the processor before they are needed.

use annals_disk::{Line, prefetch};

/// Asks for all lines of these bytes, which should be few. A hint.
#[inline(always)]
pub(crate) fn approach(bytes: &[u8]) {
    for line in bytes.chunks(size_of::<Line>()) {
        prefetch(line.as_ptr());
    }
    // The first of the bytes may be in the middle of a line, and then the last are in one more.
    if let Some(last) = bytes.last() {
        prefetch(last);
    }
}
