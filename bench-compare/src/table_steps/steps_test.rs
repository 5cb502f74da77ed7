//! Each step runs on a store in memory, and notices when the store does something else than it should.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::run;
use crate::Result;
use crate::child::Task;
use crate::engine::Mode;
use crate::question::{Answer, Question, right_answer};
use crate::table_engine::{TableEngine, Timed};
use crate::wide::{Coded, Wide};

const EVENTS: u64 = 3_000;

/// What a store does wrong.
const RIGHT: u8 = 0;
const LOSES_A_BATCH: u8 = 1;
const MISCOUNTS: u8 = 2;
const SWAPS_ROWS: u8 = 3;
const CANNOT_ASK: u8 = 4;

/// Knows how many events it has, and gives the right answers about so many.
struct Model<const WRONG: u8> {
    file: PathBuf,
    events: Mutex<u64>,
}

impl<const WRONG: u8> Model<WRONG> {
    fn add(&self, events: u64) {
        *self.events.lock().unwrap_or_else(PoisonError::into_inner) += events;
    }

    fn count(&self) -> u64 {
        *self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<const WRONG: u8> TableEngine for Model<WRONG> {
    const NAME: &'static str = "model";
    const PACKAGE: &'static str = "none";
    const BUFFERED: &'static str = "";
    const SYNC: &'static str = "";
    const SETTINGS: &'static str = "";

    fn open(dir: &Path, _mode: Mode) -> Result<Self> {
        let file = dir.join("count");
        let events = if file.exists() { fs::read_to_string(&file)?.parse()? } else { 0 };
        Ok(Self { file, events: Mutex::new(events) })
    }

    fn append(&self, number: usize, batch: &[Wide]) -> Result<Duration> {
        if WRONG != LOSES_A_BATCH || number != 5 {
            self.add(batch.len() as u64);
        }
        Ok(Duration::from_micros(1))
    }

    fn load(&self, total: u64) -> Result<()> {
        self.add(total);
        Ok(())
    }

    fn ask(&self, questions: &[Question]) -> Result<Option<Vec<Timed>>> {
        if WRONG == CANNOT_ASK {
            return Ok(None);
        }
        let all = Coded::all(self.count());
        let answers = questions.iter().map(|question| {
            let Answer(mut lines) = right_answer(*question, &all);
            match question {
                Question::Newest { .. } if WRONG == SWAPS_ROWS && lines.len() > 1 => {
                    lines.swap(0, 1);
                }
                Question::Failed if WRONG == MISCOUNTS => lines[0].1[0] += 1,
                _ => {}
            }
            (Duration::from_micros(1), Answer(lines))
        });
        Ok(Some(answers.collect()))
    }

    fn close(self) -> Result<()> {
        Ok(fs::write(&self.file, self.count().to_string())?)
    }
}

/// Does the steps one after the other, in one folder.
fn steps<const WRONG: u8>(steps: &[&str]) -> Result<()> {
    let dir = tempfile::tempdir()?;
    steps.iter().try_for_each(|step| {
        run::<Model<WRONG>>(&Task {
            engine: "model".to_owned(),
            step: (*step).to_owned(),
            dir: dir.path().to_owned(),
            keys: EVENTS,
            cap: Duration::from_secs(60),
            extra: String::new(),
        })
    })
}

#[test]
fn a_right_store_passes() {
    steps::<RIGHT>(&["tables-append"]).expect("appends");
    steps::<RIGHT>(&["tables-append-sync"]).expect("appends");
    steps::<RIGHT>(&["tables-load", "tables-ask"]).expect("answers");
    steps::<CANNOT_ASK>(&["tables-load", "tables-ask"]).expect("no answers");
    assert!(steps::<RIGHT>(&["no-such-step"]).is_err());
}

#[test]
fn a_store_that_loses_a_batch_is_found_out() {
    assert!(steps::<LOSES_A_BATCH>(&["tables-append"]).is_err());
    assert!(steps::<LOSES_A_BATCH>(&["tables-append-sync"]).is_err());
}

#[test]
fn wrong_answers_are_found_out() {
    assert!(steps::<MISCOUNTS>(&["tables-load", "tables-ask"]).is_err());
    assert!(steps::<SWAPS_ROWS>(&["tables-load", "tables-ask"]).is_err());
}
