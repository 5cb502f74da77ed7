//! Projections that others pause and resume meanwhile.

use super::*;
use crate::{Projection, Projector, RecordedEvent, Work};

/// Is paused by the first event, before that is committed.
struct Paused {
    db: Database,
    is_paused: bool,
}

impl Projection for Paused {
    fn handle(&mut self, _: &RecordedEvent<'_>, _: &mut Work) -> Result<()> {
        if !std::mem::replace(&mut self.is_paused, true) {
            self.db.pause_projection("counts")?;
        }
        Ok(())
    }

    fn reset(&mut self, _: &Database) -> Result<()> {
        Ok(())
    }
}

/// It is not told that another one of its name has gone on.
#[test]
fn one_that_is_resumed_while_it_is_asked_why_nothing_was_committed_goes_on() -> Result<()> {
    let db = Database::open_in_memory()?;
    let category = db.category("orders")?;
    append(&category, 7, 1)?;
    let run = |is_paused| Projector::new(&db, "counts", Paused { db: db.clone(), is_paused });
    assert_eq!(run(true)?.step()?, 1);
    append(&category, 7, 2)?;
    let mut projector = run(false)?;
    let other = db.clone();
    let resume = at_most(1, move || other.resume_projection("counts").expect("it is there"));
    assert_eq!(each_time(Moment::ProgressRefused, resume, || projector.step())?, 2);
    Ok(())
}
