//! Waiting for what a writer in another process does: nobody tells, so it is looked for.

use crate::{failure::Result, output::Out};
use std::{thread, time::Duration};

/// How soon it is looked for again. While nothing happens it takes twice as long each time, so that
/// waiting takes no processor.
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(64);

/// Waits until `is_more`; false if nobody reads the output any more.
pub(crate) fn wait(out: &Out, mut is_more: impl FnMut() -> Result<bool>) -> Result<bool> {
    let mut pause = PAUSE_MIN;
    while !is_more()? {
        if out.reader_gone() {
            return Ok(false);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(PAUSE_MAX);
    }
    Ok(true)
}
