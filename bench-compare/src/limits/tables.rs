//! Wide events without a store: rows of bytes into a file, and loops over columns in memory.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::hint::black_box;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use super::mapped;
use crate::Result;
use crate::child::Task;
use crate::emit::emit;
use crate::question::{BUCKET_NS, FAILED, Only, Question, TOP, quantile_place};
use crate::table_steps::{ASKED, BATCH, BATCHES, LONG_BATCH, THREADS, median_us};
use crate::wide::{Coded, DAY_NS, DAYS, Digest, MODELS, START_NS, USERS, Wide, id};

/// Copies the fields of events one after the other, a checksum before them.
fn encode(bytes: &mut Vec<u8>, events: &[Wide]) {
    bytes.clear();
    bytes.extend_from_slice(&[0; 4]);
    for event in events {
        for number in event.numbers() {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for text in event.texts() {
            bytes.extend_from_slice(&(text.len() as u32).to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        }
    }
    let checksum = crc32c::crc32c(&bytes[4..]);
    bytes[..4].copy_from_slice(&checksum.to_le_bytes());
}

fn events(count: usize) -> Vec<Wide> {
    (0..count as u64).map(|number| Wide::of(number, count as u64)).collect()
}

pub(super) fn append(task: &Task) -> Result<()> {
    let (events, mut bytes) = (events(BATCH), Vec::new());
    encode(&mut bytes, &events);
    let mut map = mapped::create(&task.dir.join("mapped"), bytes.len() * BATCHES)?;
    let mut times = Vec::new();
    for place in map.chunks_exact_mut(bytes.len()) {
        let started = Instant::now();
        encode(&mut bytes, &events);
        place.copy_from_slice(&bytes);
        times.push(started.elapsed());
    }
    emit("tables.append.buffered", median_us(&mut times))
}

pub(super) fn append_sync(task: &Task) -> Result<()> {
    emit("tables.append", flushed(task, BATCH, 1)?)?;
    emit("tables.append.long", flushed(task, LONG_BATCH, 1)?)?;
    emit("tables.append.8", flushed(task, BATCH, THREADS)?)
}

/// So many batches over written blocks, and one flush: how long that takes.
fn flushed(task: &Task, size: usize, together: usize) -> Result<f64> {
    let (events, mut bytes) = (events(size), Vec::new());
    encode(&mut bytes, &events);
    let path = task.dir.join(format!("written-{size}-{together}"));
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    let round = bytes.len() * together;
    for _ in 0..BATCHES {
        file.write_all(&vec![0; round])?;
    }
    file.sync_all()?;
    let mut times = Vec::new();
    for at in 0..BATCHES {
        let started = Instant::now();
        for batch in 0..together {
            encode(&mut bytes, &events);
            file.write_all_at(&bytes, (at * round + batch * bytes.len()) as u64)?;
        }
        file.sync_data()?;
        times.push(started.elapsed());
    }
    Ok(median_us(&mut times))
}

pub(super) fn ask(task: &Task) -> Result<()> {
    let columns = Columns::new(task.keys);
    for row in ASKED.iter().filter(|row| **row != "tables.sketch") {
        let mut times: Vec<Duration> = Vec::new();
        for question in Question::of_row(row, task.keys) {
            let started = Instant::now();
            columns.answer(question);
            times.push(started.elapsed());
        }
        emit(row, median_us(&mut times))?;
    }
    Ok(())
}

/// All events, by column and whole.
struct Columns {
    at: Vec<i64>,
    cost: Vec<i64>,
    counters: [Vec<u32>; 4],
    latency: Vec<u32>,
    status: Vec<u16>,
    user: Vec<u16>,
    model: Vec<u16>,
    whole: Vec<Wide>,
    /// The places of each user's events.
    of_user: Vec<Vec<u32>>,
    by_id: HashMap<String, u32>,
    rollup: HashMap<(u64, i64), (u64, i64)>,
    /// Of each day the sums of all users and models.
    rollup_of_day: Vec<Vec<(u64, i64)>>,
}

impl Columns {
    fn new(total: u64) -> Self {
        let all = Coded::all(total);
        let mut of_user = vec![Vec::new(); USERS as usize];
        let mut rollup = HashMap::<_, (u64, i64)>::new();
        let mut rollup_of_day = vec![vec![(0, 0); (USERS * MODELS) as usize]; DAYS as usize];
        for (place, event) in (0..).zip(&all) {
            of_user[usize::from(event.user)].push(place);
            let sums = rollup.entry((event.user.into(), event.day())).or_default();
            *sums = (sums.0 + 1, sums.1 + event.cost);
            let day = (event.day() - START_NS / DAY_NS) as usize;
            let bucket = u64::from(event.user) * MODELS + u64::from(event.model);
            let sums: &mut (u64, i64) = &mut rollup_of_day[day][bucket as usize];
            *sums = (sums.0 + 1, sums.1 + event.cost);
        }
        Self {
            at: all.iter().map(|event| event.at).collect(),
            cost: all.iter().map(|event| event.cost).collect(),
            counters: [0, 1, 2, 3].map(|n| all.iter().map(|event| event.counters[n]).collect()),
            latency: all.iter().map(|event| event.latency).collect(),
            status: all.iter().map(|event| event.status).collect(),
            user: all.iter().map(|event| event.user).collect(),
            model: all.iter().map(|event| event.model).collect(),
            whole: (0..total).map(|number| Wide::of(number, total)).collect(),
            of_user,
            by_id: (0..total).map(|number| (id(number), number as u32)).collect(),
            rollup,
            rollup_of_day,
        }
    }

    fn answer(&self, question: Question) {
        match question {
            Question::Sums(only) => {
                black_box(self.sums(only));
            }
            Question::Newest { count, user: None } => {
                copy(self.whole.iter().rev().take(count));
            }
            Question::Newest { count, user: Some(user) } => {
                let places = self.of_user[user as usize].iter().rev().take(count);
                copy(places.map(|place| &self.whole[*place as usize]));
            }
            Question::Id(number) => {
                let place = self.by_id[&id(number)];
                copy(std::iter::once(&self.whole[place as usize]));
            }
            Question::ByUserAndDay => self.by_user_and_day(),
            Question::TopModels => self.top_models(),
            Question::Quantiles | Question::Sketch => self.quantiles(),
            Question::Failed => self.failed(),
            Question::RollupOne { user, day } => {
                black_box(self.rollup.get(&(user, day)));
            }
            Question::RollupDay(day) => {
                let day = &self.rollup_of_day[(day - START_NS / DAY_NS) as usize];
                black_box(day.iter().filter(|sums| sums.0 > 0).copied().collect::<Vec<_>>());
            }
        }
    }

    fn between(&self, between: Option<(i64, i64)>) -> std::ops::Range<usize> {
        between.map_or(0..self.at.len(), |(from, to)| {
            let place = |time| self.at.partition_point(|at| *at < time);
            place(from)..place(to)
        })
    }

    fn sums(&self, only: Only) -> [i64; 6] {
        let range = self.between(only.between);
        let mut sums = [range.len() as i64, 0, 0, 0, 0, 0];
        let Some(user) = only.user else {
            sums[1] = self.cost[range.clone()].iter().sum();
            for (sum, counter) in sums[2..].iter_mut().zip(&self.counters) {
                *sum = counter[range.clone()].iter().map(|count| u64::from(*count)).sum::<u64>()
                    as i64;
            }
            return sums;
        };
        let places = &self.of_user[user as usize];
        let from = places.partition_point(|place| (*place as usize) < range.start);
        let to = places.partition_point(|place| (*place as usize) < range.end);
        sums[0] = (to - from) as i64;
        for place in places[from..to].iter().map(|place| *place as usize) {
            sums[1] += self.cost[place];
            for (sum, counter) in sums[2..].iter_mut().zip(&self.counters) {
                *sum += i64::from(counter[place]);
            }
        }
        sums
    }

    fn by_user_and_day(&self) {
        let mut groups = vec![(0u32, 0i64); (USERS * DAYS as u64) as usize];
        for ((user, at), cost) in self.user.iter().zip(&self.at).zip(&self.cost) {
            let day = (*at - START_NS) / DAY_NS;
            let group = &mut groups[usize::from(*user) * DAYS as usize + day as usize];
            *group = (group.0 + 1, group.1 + cost);
        }
        black_box(groups);
    }

    fn top_models(&self) {
        let mut costs = [(0i64, 0usize); MODELS as usize];
        costs.iter_mut().enumerate().for_each(|(model, cost)| cost.1 = model);
        for (model, cost) in self.model.iter().zip(&self.cost) {
            costs[usize::from(*model)].0 += cost;
        }
        costs.sort_unstable_by_key(|cost| std::cmp::Reverse(cost.0));
        black_box(&costs[..TOP]);
    }

    fn quantiles(&self) {
        let mut latencies = vec![Vec::new(); MODELS as usize];
        for (model, latency) in self.model.iter().zip(&self.latency) {
            latencies[usize::from(*model)].push(*latency);
        }
        for of in latencies.iter_mut().filter(|of| !of.is_empty()) {
            let places = [0.5, 0.99].map(|part| quantile_place(of.len(), part));
            let (_, high, _) = of.select_nth_unstable(places[1]);
            black_box(*high);
            black_box(*of.select_nth_unstable(places[0]).1);
        }
    }

    fn failed(&self) {
        let buckets = (DAYS * DAY_NS / BUCKET_NS) as usize;
        let mut counts = vec![0u32; buckets];
        for (status, at) in self.status.iter().zip(&self.at) {
            if *status >= FAILED {
                counts[((at - START_NS) / BUCKET_NS) as usize] += 1;
            }
        }
        black_box(counts);
    }
}

/// Copies events, texts and all, and reads each field.
fn copy<'e>(events: impl Iterator<Item = &'e Wide>) {
    let copies: Vec<Wide> = events.cloned().collect();
    let digests: Vec<u64> = copies.iter().map(|copy| Digest::sum(copy.digest())).collect();
    black_box((copies, digests));
}
