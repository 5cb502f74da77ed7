//! Questions about a table that was loaded by another process. The kernel's page cache is warm.

use std::time::Instant;

use super::{ASKED, median_us};
use crate::child::Task;
use crate::emit::emit;
use crate::engine::Mode;
use crate::question::{Answer, Question, right_answer};
use crate::table_engine::TableEngine;
use crate::wide::Coded;
use crate::{Result, memory};

/// Stores all events.
pub(super) fn load<E: TableEngine>(task: &Task) -> Result<()> {
    let db = E::open(&task.dir, Mode::Buffered)?;
    db.load(task.keys)?;
    db.close()
}

/// Asks the questions of each row: the median of the times, in microseconds. In the end each answer is
/// held against the right one.
pub(super) fn run<E: TableEngine>(task: &Task) -> Result<()> {
    let db = E::open(&task.dir, Mode::Buffered)?;
    let mut all = Vec::new();
    for row in ASKED {
        let questions = Question::of_row(row, task.keys);
        if !is_warmed_up(&db, row, task)? {
            continue;
        }
        let Some(answers) = db.ask(&questions)? else { continue };
        if answers.len() != questions.len() {
            return Err(format!("{row}: {} answers", answers.len()).into());
        }
        let mut times: Vec<_> = answers.iter().map(|(took, _)| *took).collect();
        emit(row, median_us(&mut times))?;
        all.push((row, questions, answers));
    }
    db.close()?;
    // What follows takes memory that the store did not.
    memory::tell()?;
    let events = Coded::all(task.keys);
    for (row, questions, answers) in all {
        let mut known: Vec<(Question, Answer)> = Vec::new();
        for (question, (_, answer)) in questions.into_iter().zip(answers) {
            if !known.iter().any(|(other, _)| *other == question) {
                known.push((question, right_answer(question, &events)));
            }
            let right = known.iter().find(|(other, _)| *other == question);
            if !right.is_some_and(|(_, right)| question.is_right(&answer, right)) {
                return Err(format!("{row}: a wrong answer to {question:?}").into());
            }
        }
    }
    Ok(())
}

/// A share of the time a row may take, in which other questions of its kind are asked before.
const WARM_SHARE: u32 = 20;

/// Asks others of the row's questions for a while, so that none pays for what is only done once: a store may read, map
/// and check each part of its files when that is first asked for. False if the store has no answer to them.
fn is_warmed_up<E: TableEngine>(db: &E, row: &str, task: &Task) -> Result<bool> {
    let started = Instant::now();
    let mut others = (1..).flat_map(|round| Question::of_row_in(row, task.keys, round));
    loop {
        let some: Vec<_> = others.by_ref().take(3).collect();
        if some.is_empty() || db.ask(&some)?.is_none() {
            return Ok(false);
        }
        if started.elapsed() >= task.cap / WARM_SHARE {
            return Ok(true);
        }
    }
}
