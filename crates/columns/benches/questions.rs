//! What one thread asks of a million events in ten parts, beside loops written by hand over the same columns in plain
//! vectors: those say how quick an answer can be. Both are timed in turn, and what counts is the ratio.
//!
//! An argument takes the rows whose name has it.

mod events;

use annals_columns::{Batch, Filter, GroupBy, Part, Query, Value, newest};
use events::{METRIC, PARTS, START_NS, USER, batch, parts, schema};
use std::{hint::black_box, time::Instant};

const MODEL: usize = 11;
const STATUS: usize = 8;
const LATENCY: usize = 6;
const COUNTERS: [usize; 4] = [2, 3, 4, 5];
const DAY_NS: i64 = 86_400_000_000_000;
const MINUTES_NS: i64 = 300_000_000_000;
const ROUNDS: usize = 25;
/// A user with about a thousand events.
const WHO: &str = "user-000200";

/// The columns as a loop would like them.
struct Plain {
    at: Vec<i64>,
    numbers: Vec<Vec<u32>>,
    metric: Vec<i64>,
    status: Vec<u16>,
    user: Vec<u32>,
    users: usize,
    who: Vec<u32>,
    model: Vec<u32>,
    models: usize,
    batches: Vec<Batch>,
}

fn codes(batches: &[Batch], field: usize) -> (Vec<u32>, Vec<String>) {
    let texts = || {
        batches
            .iter()
            .flat_map(move |batch| (0..batch.len()).map(move |row| text(batch, row, field)))
    };
    let mut all: Vec<String> = texts().map(str::to_owned).collect();
    all.sort_unstable();
    all.dedup();
    let code =
        |text: &str| all.binary_search_by(|one| one.as_str().cmp(text)).expect("one of them");
    (texts().map(|text| code(text) as u32).collect(), all)
}

fn text(batch: &Batch, row: usize, field: usize) -> &str {
    batch.value(row, field).as_text().expect("a string")
}

impl Plain {
    fn new() -> Self {
        let batches: Vec<Batch> = (0..PARTS).map(batch).collect();
        let rows =
            || batches.iter().flat_map(|batch| (0..batch.len()).map(move |row| (batch, row)));
        let number = |field: usize| {
            rows()
                .map(|(batch, row)| batch.value(row, field).as_u64().expect("a number") as u32)
                .collect()
        };
        let whole = |field: usize| {
            rows().map(|(batch, row)| batch.value(row, field).as_i64().expect("a number")).collect()
        };
        let ((user, users), (model, models)) = (codes(&batches, USER), codes(&batches, MODEL));
        let who = users.iter().position(|user| user == WHO).expect("the user") as u32;
        Self {
            at: whole(0),
            numbers: COUNTERS.into_iter().chain([LATENCY]).map(number).collect(),
            metric: whole(METRIC),
            status: number(STATUS).into_iter().map(|status: u32| status as u16).collect(),
            who: (0..).zip(&user).filter(|(_, one)| **one == who).map(|(row, _)| row).collect(),
            user,
            users: users.len(),
            model,
            models: models.len(),
            batches,
        }
    }

    /// Sums of the metric and the counters.
    fn sums(&self, rows: &(impl Iterator<Item = usize> + Clone)) -> [u64; 5] {
        let mut sums = [0; 5];
        sums[0] = rows.clone().map(|row| self.metric[row].cast_unsigned()).sum();
        for (sum, column) in sums[1..].iter_mut().zip(&self.numbers) {
            *sum = rows.clone().map(|row| u64::from(column[row])).sum();
        }
        sums
    }

    fn range(&self, from: i64, to: i64) -> std::ops::Range<usize> {
        self.at.partition_point(|at| *at < from)..self.at.partition_point(|at| *at < to)
    }

    fn sums_of_range(&self, rows: std::ops::Range<usize>) -> [u64; 5] {
        let mut sums = [0; 5];
        sums[0] = self.metric[rows.clone()].iter().map(|one| one.cast_unsigned()).sum();
        for (sum, column) in sums[1..].iter_mut().zip(&self.numbers) {
            *sum = column[rows.clone()].iter().map(|one| u64::from(*one)).sum();
        }
        sums
    }

    fn by_user_and_day(&self) -> usize {
        let mut groups = vec![(0u64, 0u64); self.users * 31];
        for (row, user) in self.user.iter().enumerate() {
            let day = (self.at[row] - START_NS) / DAY_NS;
            let group = &mut groups[day as usize * self.users + *user as usize];
            group.0 += 1;
            group.1 += self.metric[row].cast_unsigned();
        }
        groups.iter().filter(|group| group.0 > 0).count()
    }

    fn by_model(&self) -> usize {
        let mut groups = vec![(0u64, 0u64); self.models];
        for (model, metric) in self.model.iter().zip(&self.metric) {
            let group = &mut groups[*model as usize];
            group.0 += 1;
            group.1 += metric.cast_unsigned();
        }
        groups.sort_unstable_by_key(|group| std::cmp::Reverse(group.1));
        groups.iter().take(10).map(|group| group.1 as usize).sum()
    }

    fn failed_by_minutes(&self) -> usize {
        let mut groups = vec![(0u64, 0u64); (30 * DAY_NS / MINUTES_NS) as usize + 1];
        for (row, status) in self.status.iter().enumerate() {
            if *status >= 500 {
                let group = &mut groups[((self.at[row] - START_NS) / MINUTES_NS) as usize];
                group.0 += 1;
                group.1 += self.metric[row].cast_unsigned();
            }
        }
        groups.iter().filter(|group| group.0 > 0).count()
    }

    /// The newest rows of the user, with their strings.
    fn newest_of_user(&self, count: usize) -> usize {
        let rows = self.who.iter().rev().take(count).map(|row| *row as usize);
        let len = self.batches[0].len();
        let owned = rows.map(|row| {
            let batch = &self.batches[row / len];
            (0..batch.schema().fields().len())
                .map(|field| match batch.value(row % len, field) {
                    Value::Text(text) => (0, text.to_owned()),
                    Value::I64(number) => (number.cast_unsigned(), String::new()),
                    Value::U64(number) => (number, String::new()),
                    _ => (0, String::new()),
                })
                .collect::<Vec<_>>()
        });
        owned.collect::<Vec<_>>().len()
    }
}

#[allow(clippy::disallowed_methods, reason = "what is measured is real time")]
fn now() -> Instant {
    Instant::now()
}

/// Times two things in turn; prints what each takes, and the ratio.
fn compare(name: &str, mut ours: impl FnMut() -> usize, mut limit: impl FnMut() -> usize) {
    let chosen: Vec<String> =
        std::env::args().skip(1).filter(|one| !one.starts_with('-')).collect();
    if !chosen.is_empty() && !chosen.iter().any(|one| name.contains(one)) {
        return;
    }
    let once = |ask: &mut dyn FnMut() -> usize| {
        let start = now();
        black_box(ask());
        start.elapsed().as_nanos() as f64
    };
    let (first_ours, first_limit) = (once(&mut ours), once(&mut limit));
    // So many at a time that the clock does not count.
    let repeats = |ns: f64| (1_000_000.0 / ns).clamp(1.0, 2_000.0) as usize;
    let (many_ours, many_limit) = (repeats(first_ours), repeats(first_limit));
    let (mut times_ours, mut times_limit) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        times_ours.push((0..many_ours).map(|_| once(&mut ours)).sum::<f64>() / many_ours as f64);
        times_limit
            .push((0..many_limit).map(|_| once(&mut limit)).sum::<f64>() / many_limit as f64);
    }
    let median = |times: &mut Vec<f64>| {
        times.sort_unstable_by(f64::total_cmp);
        times[times.len() / 2] / 1_000.0
    };
    let (ours, limit) = (median(&mut times_ours), median(&mut times_limit));
    println!("{name:42} {ours:10.1} us   limit {limit:10.1} us   ratio {:6.2}", ours / limit);
}

fn answer(parts: &[Part<Vec<u8>>], query: &Query) -> usize {
    let mut answer = query.clone().answer().expect("a question");
    parts.iter().for_each(|part| answer.add(part.view(), None).expect("readable"));
    answer.top(0, 10).len() + answer.iter().map(|group| group.rows).sum::<u64>() as usize
}

fn main() {
    let (parts, plain) = (parts(), Plain::new());
    let count = plain.at.len();
    let all = || COUNTERS.into_iter().fold(Query::new(schema()).measure(METRIC), Query::measure);
    let (from, to) = (START_NS + 2 * DAY_NS, START_NS + 5 * DAY_NS);
    let (user, tenth) = (Filter::eq(USER, WHO), Filter::between(0, from, to));
    let by = |by: &[GroupBy]| by.iter().fold(Query::new(schema()), |query, by| query.group_by(*by));
    let sum = |sums: [u64; 5]| sums.iter().sum::<u64>() as usize;

    let ask = |name: &str, query: Query, limit: &mut dyn FnMut() -> usize| {
        compare(name, || answer(&parts, &query), limit);
    };
    ask("aggregate, no filter", all(), &mut || sum(plain.sums_of_range(0..count)));
    let rows = || plain.who.iter().map(|row| *row as usize);
    ask("aggregate, one user", all().filter(user.clone()), &mut || sum(plain.sums(&rows())));
    ask("aggregate, a tenth of the time", all().filter(tenth.clone()), &mut || {
        sum(plain.sums_of_range(plain.range(from, to)))
    });
    ask("aggregate, user and time", all().filter(user.clone().and(tenth)), &mut || {
        let range = plain.range(from, to);
        let place = |row: usize| plain.who.partition_point(|one| (*one as usize) < row);
        let rows = &plain.who[place(range.start)..place(range.end)];
        sum(plain.sums(&rows.iter().map(|row| *row as usize)))
    });
    let model = plain.model[0];
    ask(
        "aggregate, one model (no list of rows)",
        all().filter(Filter::eq(MODEL, text(&plain.batches[0], 0, MODEL))),
        &mut || sum(plain.sums(&(0..count).filter(|row| plain.model[*row] == model))),
    );
    let days = GroupBy::Time { bucket_ns: DAY_NS.cast_unsigned() };
    ask("group by user and day", by(&[GroupBy::Field(USER), days]).measure(METRIC), &mut || {
        plain.by_user_and_day()
    });
    ask("top 10 models by metric", by(&[GroupBy::Field(MODEL)]).measure(METRIC), &mut || {
        plain.by_model()
    });
    let minutes = GroupBy::Time { bucket_ns: MINUTES_NS.cast_unsigned() };
    let failed = by(&[minutes]).filter(Filter::at_least(STATUS, 500u16)).measure(METRIC);
    ask("status >= 500 by 5 minutes", failed, &mut || plain.failed_by_minutes());

    let views: Vec<_> = parts.iter().map(|part| (part.view(), None)).collect();
    let schema = schema();
    compare(
        "100 newest of one user, whole rows",
        || {
            let found = newest(&schema, &views, &user, None, 100).expect("readable");
            let of_part = found.chunk_by(|one, other| one.part == other.part);
            let read = of_part.map(|found| {
                let rows: Vec<u32> = found.iter().map(|found| found.row).collect();
                views[found[0].part].0.rows(&rows).expect("readable").len()
            });
            read.sum()
        },
        || plain.newest_of_user(100),
    );
}
