//! Annals: an event table.

use std::path::Path;
use std::time::{Duration, Instant};

use annals::columns::{Batch, WideEvent as _};
use annals::{Database, Durability, EventTable};

use crate::Result;
use crate::engine::Mode;
use crate::question::{Answer, Question};
use crate::table_engine::{TableEngine, Timed, timed};
use crate::wide::{Digest, Wide, id};

/// Events of a part of the load, and of a batch.
const PARTS: u64 = 10;
const BATCH: u64 = 10_000;

/// A table in a database.
pub(crate) struct AnnalsTables {
    db: Database,
    table: EventTable,
}

impl AnnalsTables {
    fn append_all<'e>(&self, events: impl Iterator<Item = &'e Wide>) -> Result<()> {
        let mut batch = Batch::of::<Wide>();
        for event in events {
            batch.push(event)?;
        }
        self.table.append_batch(&batch)?;
        Ok(())
    }
}

/// What the rows that were found are, each read whole.
fn digests(found: &annals::FoundRows<'_>) -> Result<Vec<u64>> {
    (0..found.len())
        .map(|row| {
            let mut digest = Digest::default();
            for field in 0..Wide::schema().fields().len() {
                match found.value(row, field) {
                    annals::columns::Value::I64(number) => digest.number(number),
                    annals::columns::Value::U64(number) => digest.number(number as i64),
                    annals::columns::Value::Text(text) => digest.text(text),
                    other => return Err(format!("{other:?} in an event").into()),
                }
            }
            Ok(digest.sum())
        })
        .collect()
}

fn of_digests(digests: Vec<u64>) -> Result<Answer> {
    Ok(Answer(digests.into_iter().map(|sum| (String::new(), vec![sum.into()])).collect()))
}

impl TableEngine for AnnalsTables {
    const NAME: &'static str = "annals-tables";
    const PACKAGE: &'static str = "annals";
    const BUFFERED: &'static str = "`Durability::Buffered`";
    const SYNC: &'static str = "`Durability::Sync`";
    const SETTINGS: &'static str = "an event table of a type that derives `Schema`, defaults otherwise; appends \
         make a batch of the events and commit it; the load is flushed into ten parts, and the log compacted; rows that are found \
         borrow their texts";

    fn open(dir: &Path, mode: Mode) -> Result<Self> {
        let durability = match mode {
            Mode::Buffered => Durability::Buffered,
            Mode::Sync => Durability::Sync,
        };
        let db = Database::builder().durability(durability).open(dir)?;
        let table = db.table_of::<Wide>("requests")?;
        Ok(Self { db, table })
    }

    fn append(&self, _number: usize, batch: &[Wide]) -> Result<Duration> {
        let started = Instant::now();
        self.append_all(batch.iter())?;
        Ok(started.elapsed())
    }

    fn load(&self, total: u64) -> Result<()> {
        let part = total.div_ceil(PARTS);
        for first in (0..total).step_by(part as usize) {
            let end = total.min(first + part);
            for from in (first..end).step_by(BATCH as usize) {
                let numbers = from..end.min(from + BATCH);
                let events: Vec<_> = numbers.map(|number| Wide::of(number, total)).collect();
                self.append_all(events.iter())?;
            }
            self.table.flush()?;
        }
        // The log still has what was fresh.
        self.db.compact()?;
        Ok(())
    }

    fn ask(&self, questions: &[Question]) -> Result<Option<Vec<Timed>>> {
        let Some(first) = questions.first() else { return Ok(None) };
        match first {
            Question::Newest { user: None, .. } => timed(
                questions,
                |question| match question {
                    Question::Newest { count, .. } => digests(&self.table.view()?.recent(count)?),
                    _ => Err("questions of two kinds".into()),
                },
                of_digests,
            ),
            Question::Id(_) => timed(
                questions,
                |question| match question {
                    Question::Id(number) => {
                        let view = self.table.view()?;
                        digests(&view.event(&id(number))?.ok_or("no such event")?)
                    }
                    _ => Err("questions of two kinds".into()),
                },
                of_digests,
            ),
            _ => Ok(None),
        }
    }

    fn close(self) -> Result<()> {
        drop(self.table);
        Ok(self.db.close()?)
    }
}
