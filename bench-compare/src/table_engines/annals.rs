//! Annals: an event table.

use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use annals::columns::{Batch, Key, Value, WideEvent as _};
use annals::{Database, DayRollup, DayTotals, Durability, EventTable, FoundGroups, Scan};

use crate::Result;
use crate::engine::Mode;
use crate::question::{Answer, BUCKET_NS, FAILED, Question, TOP, user_and_day, user_and_model_of};
use crate::table_engine::{TableEngine, Timed, timed};
use crate::wide::{DAY_NS, Digest, Wide, id, user};

/// Events of a part of the load, and of a batch.
const PARTS: u64 = 10;
const BATCH: u64 = 10_000;

/// A table in a database.
pub(crate) struct AnnalsTables {
    db: Database,
    table: EventTable,
    /// Batches that nobody fills now, emptied: each thread fills one again and again.
    spare: Mutex<Vec<Batch>>,
}

impl AnnalsTables {
    fn append_all<'e>(&self, events: impl Iterator<Item = &'e Wide>) -> Result<()> {
        let spare = self.spare.lock().map_err(|_| "another thread panicked")?.pop();
        let mut batch = spare.unwrap_or_else(Batch::of::<Wide>);
        for event in events {
            batch.push(event)?;
        }
        self.table.append_batch(&batch)?;
        batch.clear();
        self.spare.lock().map_err(|_| "another thread panicked")?.push(batch);
        Ok(())
    }
}

impl AnnalsTables {
    fn sums(&self, question: Question) -> Result<Answer> {
        let Question::Sums(only) = question else { return Err(OTHER.into()) };
        let fields = Wide::fields();
        let view = self.table.view()?;
        let mut filter = Wide::filter();
        if let Some(number) = only.user {
            filter = filter.user_eq(&user(number));
        }
        if let Some((from, to)) = only.between {
            filter = filter.since(from).until(to);
        }
        let query = view.query().filter(filter).measure(fields.cost()).measure(fields.input());
        let query = query.measure(fields.output()).measure(fields.cached());
        let found = query.measure(fields.reasoning()).run()?;
        let total = found.total()?;
        let sums = [
            i128::from(total.rows()),
            total.measured(fields.cost())?.sum,
            total.measured(fields.input())?.sum,
            total.measured(fields.output())?.sum,
            total.measured(fields.cached())?.sum,
            total.measured(fields.reasoning())?.sum,
        ];
        Ok(Answer::of_numbers(sums.to_vec()))
    }

    fn newest(&self, question: Question) -> Result<Vec<u64>> {
        let Question::Newest { count, user: of } = question else { return Err(OTHER.into()) };
        let view = self.table.view()?;
        let scan = Scan::new().newest_first().limit(count);
        let scan = match of {
            Some(number) => scan.filter(Wide::filter().user_eq(&user(number))),
            None => scan,
        };
        digests(&view.scan(&scan)?)
    }

    fn by_id(&self, question: Question) -> Result<Vec<u64>> {
        let Question::Id(number) = question else { return Err(OTHER.into()) };
        let view = self.table.view()?;
        digests(&view.event(&id(number))?.ok_or("no such event")?)
    }

    fn by_user_and_day(&self) -> Result<FoundGroups> {
        let (view, fields) = (self.table.view()?, Wide::fields());
        let query =
            view.query().group_by(fields.user()).group_by(fields.at().buckets(DAY_NS as u64));
        Ok(query.measure(fields.cost()).run()?)
    }

    fn top_models(&self) -> Result<Answer> {
        let (view, fields) = (self.table.view()?, Wide::fields());
        let found = view.query().group_by(fields.model()).measure(fields.cost()).run()?;
        let top = found.top(fields.cost(), TOP)?;
        let lines = top
            .iter()
            .map(|group| Ok((text(group.keys()[0])?, vec![group.measured(fields.cost())?.sum])));
        Ok(Answer(lines.collect::<Result<_>>()?))
    }

    fn quantiles(&self, by_sketch: bool) -> Result<Answer> {
        let (view, fields) = (self.table.view()?, Wide::fields());
        let query = view.query().group_by(fields.model());
        let found = if by_sketch {
            query.quantiles_by_sketch(fields.latency()).run()?
        } else {
            query.quantiles(fields.latency()).run()?
        };
        let lines = found.groups().into_iter().map(|group| {
            let numbers = group.quantiles(fields.latency())?.at_each(&[0.5, 0.99]);
            let numbers = numbers.into_iter().map(|number| match number {
                Value::U64(number) => Ok(number.into()),
                other => Err(format!("{other:?} is no latency").into()),
            });
            Ok((text(group.keys()[0])?, numbers.collect::<Result<_>>()?))
        });
        Ok(Answer(lines.collect::<Result<_>>()?).sorted())
    }

    fn failed(&self) -> Result<FoundGroups> {
        let (view, fields) = (self.table.view()?, Wide::fields());
        let failed = Wide::filter().status_ge(FAILED);
        Ok(view.query().filter(failed).group_by(fields.at().buckets(BUCKET_NS as u64)).run()?)
    }
}

/// The dimension of whose values there are sums by day.
fn rolled_up() -> Result<usize> {
    Ok(Wide::schema().field("user")?)
}

impl AnnalsTables {
    fn rollup_of_one(&self, question: Question) -> Result<Option<DayTotals>> {
        let Question::RollupOne { user: number, day } = question else { return Err(OTHER.into()) };
        Ok(self.table.view()?.rollup_of(rolled_up()?, day, &user(number))?)
    }

    /// Days of a view, which has to be there for as long as one of them is looked at: that it is made is timed, and so is a look
    /// at all of the day, of which nothing is read before.
    fn rollups_of_days(&self, questions: &[Question]) -> Result<Option<Vec<Timed>>> {
        let mut all = Vec::with_capacity(questions.len());
        for question in questions {
            let Question::RollupDay(day) = question else { return Err(OTHER.into()) };
            let started = Instant::now();
            let view = self.table.view()?;
            let day = view.rollup_day(*day)?;
            std::hint::black_box(day.iter().map(|bucket| bucket.totals(0).sum).sum::<i128>());
            all.push((started.elapsed(), of_rollup(&day)?));
        }
        Ok(Some(all))
    }
}

/// The first field that is added up is the cost.
fn of_totals(found: Option<DayTotals>) -> Result<Answer> {
    Ok(found.map_or_else(Answer::default, |found| {
        Answer::of_numbers(vec![found.events_count.into(), found.totals[0].sum])
    }))
}

fn of_rollup(day: &DayRollup<'_>) -> Result<Answer> {
    let value =
        |at: usize, dimension| day.value(at, dimension).ok_or("an event that lacks a value");
    let lines = day.iter().enumerate().map(|(at, bucket)| {
        let both = user_and_model_of(value(at, 0)?, value(at, 1)?);
        Ok((both, vec![bucket.events_count.into(), bucket.totals(0).sum]))
    });
    Ok(Answer(lines.collect::<Result<_>>()?).sorted())
}

const OTHER: &str = "questions of two kinds";

fn text(key: Key<'_>) -> Result<String> {
    match key {
        Key::Text(text) => Ok(text.to_owned()),
        other => Err(format!("{other:?} is no text").into()),
    }
}

fn time(key: Key<'_>) -> Result<i64> {
    match key {
        Key::Time(start) => Ok(start),
        other => Err(format!("{other:?} is no time").into()),
    }
}

fn of_days(found: &FoundGroups) -> Result<Answer> {
    let lines = found.groups().into_iter().map(|group| {
        let day = time(group.keys()[1])? / DAY_NS;
        let cost = group.measured(Wide::fields().cost())?.sum;
        Ok((user_and_day(&text(group.keys()[0])?, day), vec![group.rows().into(), cost]))
    });
    Ok(Answer(lines.collect::<Result<_>>()?).sorted())
}

fn of_buckets(found: &FoundGroups) -> Result<Answer> {
    let lines = found.groups().into_iter();
    let lines =
        lines.map(|group| Ok((time(group.keys()[0])?.to_string(), vec![group.rows().into()])));
    Ok(Answer(lines.collect::<Result<_>>()?).sorted())
}

/// What the rows that were found are, each read whole.
fn digests(found: &annals::FoundRows<'_>) -> Result<Vec<u64>> {
    (0..found.len())
        .map(|row| {
            let mut digest = Digest::default();
            for field in 0..Wide::schema().fields().len() {
                match found.value(row, field) {
                    Value::I64(number) => digest.number(number),
                    Value::U64(number) => digest.number(number as i64),
                    Value::Text(text) => digest.text(text),
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
         fill a batch with the events, one that was filled before, and commit it; the load is flushed into ten parts, and the log compacted; rows that are found \
         borrow their texts";

    fn open(dir: &Path, mode: Mode) -> Result<Self> {
        let durability = match mode {
            Mode::Buffered => Durability::Buffered,
            Mode::Sync => Durability::Sync,
        };
        let db = Database::builder().durability(durability).open(dir)?;
        let table = db.table_of::<Wide>("requests")?;
        Ok(Self { db, table, spare: Mutex::default() })
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
            Question::Sums(_) => timed(questions, |question| self.sums(question), Ok),
            Question::Newest { .. } => {
                timed(questions, |question| self.newest(question), of_digests)
            }
            Question::Id(_) => timed(questions, |question| self.by_id(question), of_digests),
            Question::ByUserAndDay => {
                timed(questions, |_| self.by_user_and_day(), |found| of_days(&found))
            }
            Question::TopModels => timed(questions, |_| self.top_models(), Ok),
            Question::Failed => timed(questions, |_| self.failed(), |found| of_buckets(&found)),
            Question::Quantiles => timed(questions, |_| self.quantiles(false), Ok),
            Question::Sketch => timed(questions, |_| self.quantiles(true), Ok),
            Question::RollupOne { .. } => {
                timed(questions, |question| self.rollup_of_one(question), of_totals)
            }
            Question::RollupDay(_) => self.rollups_of_days(questions),
        }
    }

    fn close(self) -> Result<()> {
        drop(self.table);
        Ok(self.db.close()?)
    }
}
