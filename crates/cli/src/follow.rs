//! Waiting for what a writer in another process does: nobody tells, so it is looked for.

use crate::{
    failure::Result,
    output::{Form, Out, note},
};
use annals::Seq;
use std::{thread, time::Duration};

/// How soon it is looked for again. While nothing happens it takes twice as long each time, so that
/// waiting takes no processor.
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(64);

/// Tells who begins beyond the last record that there is nothing yet, or, of one who `follows`, that what comes in front of
/// that place is passed over. Right behind the last is where one goes on who has seen all.
pub(crate) fn tell_of_nothing(form: Form, from: Option<Seq>, last: Seq, follows: bool) {
    let Some(from) = from.filter(|from| *from > last) else { return };
    let text = match follows {
        true if from == last.plus(1) => return,
        true => format!(
            "waiting for {from}: the last record is {last}, and what comes between is passed over"
        ),
        false => format!("nothing from {from} on yet: the last record is {last}"),
    };
    note(form, &text, "last_seq", last.0);
}

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
