//! What is asked of a table, and the answers that are right.
//!
//! The right answers are found by looking at each event of the times that a question is about, without an index or a
//! column, so that what a store says can be held against them.

use std::collections::BTreeMap;

use crate::data::mix;
use crate::wide::{Coded, DAY_NS, DAYS, MODELS, START_NS, USERS, Wide, model, user};

/// The width of a bucket of failed requests: five minutes.
pub(crate) const BUCKET_NS: i64 = 300_000_000_000;
/// From this status on a request has failed.
pub(crate) const FAILED: u16 = 500;
/// How many models are named of those that cost most.
pub(crate) const TOP: usize = 10;

/// A question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// How many events, and the sums of the cost and of all counters.
    Sums(Only),
    /// The newest events of all, or of a user, whole.
    Newest { count: usize, user: Option<u64> },
    /// For each user and day how many events, and their cost.
    ByUserAndDay,
    /// The models that cost most, and what.
    TopModels,
    /// The median and the 99th percentile of each model's latencies, exact.
    Quantiles,
    /// The same within one hundredth.
    Sketch,
    /// The event of an id.
    Id(u64),
    /// Failed requests in buckets of five minutes.
    Failed,
    /// How many events of a user on a day, and their cost.
    RollupOne { user: u64, day: i64 },
    /// The same for all users and models of a day.
    RollupDay(i64),
}

/// The events that sums are asked of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Only {
    /// Those of a user.
    pub(crate) user: Option<u64>,
    /// Those from a time on and before another.
    pub(crate) between: Option<(i64, i64)>,
}

/// A line of an answer: what it is of, and its numbers.
pub(crate) type Line = (String, Vec<i128>);

/// An answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer(pub(crate) Vec<Line>);

impl Question {
    /// The questions of a row of the table, each with other values where it has any.
    pub(crate) fn of_row(row: &str, total: u64) -> Vec<Self> {
        Self::of_row_in(row, total, 0)
    }

    /// The same in a round: those of another round are of other users, times and events.
    pub(crate) fn of_row_in(row: &str, total: u64, round: u64) -> Vec<Self> {
        let random = |salt: u64, of: u64| mix(salt << 20 | 0xA5) % of;
        let tenth = |salt| {
            let span = DAYS * DAY_NS / 10;
            let from = START_NS + random(salt, (9 * span) as u64) as i64;
            Some((from, from + span))
        };
        // Users differ in how many events they have; these are among those with the fewest and the most.
        let someone = |salt| 5 + random(salt, USERS - 10);
        let many = |make: &dyn Fn(u64) -> Self, count: u64| {
            (1..=count).map(|n| make(round << 16 | n)).collect()
        };
        let same = |question: Self, count: usize| vec![question; count];
        match row {
            "tables.sums" => same(Self::Sums(Only::default()), 100),
            "tables.sums.user" => {
                many(&|n| Self::Sums(Only { user: Some(someone(n)), between: None }), 40)
            }
            "tables.sums.time" => many(&|n| Self::Sums(Only { user: None, between: tenth(n) }), 40),
            "tables.sums.both" => {
                many(&|n| Self::Sums(Only { user: Some(someone(n)), between: tenth(n) }), 40)
            }
            "tables.newest.100" => same(Self::Newest { count: 100, user: None }, 100),
            "tables.newest.1000" => same(Self::Newest { count: 1_000, user: None }, 40),
            "tables.newest.user" => {
                many(&|n| Self::Newest { count: 100, user: Some(someone(n)) }, 40)
            }
            "tables.user.day" => same(Self::ByUserAndDay, 20),
            "tables.top" => same(Self::TopModels, 40),
            "tables.quantiles" => same(Self::Quantiles, 20),
            "tables.sketch" => same(Self::Sketch, 20),
            "tables.id" => many(&|n| Self::Id(random(n, total)), 200),
            "tables.failed" => same(Self::Failed, 40),
            "tables.rollup.one" => many(
                &|n| Self::RollupOne {
                    user: someone(n),
                    day: START_NS / DAY_NS + random(n, DAYS as u64) as i64,
                },
                200,
            ),
            "tables.rollup.day" => {
                many(&|n| Self::RollupDay(START_NS / DAY_NS + random(n, DAYS as u64) as i64), 40)
            }
            _ => Vec::new(),
        }
    }

    /// Whether `answer` is right, given what is.
    pub(crate) fn is_right(self, answer: &Answer, right: &Answer) -> bool {
        if self != Self::Sketch {
            return answer == right;
        }
        let near = |(told, is): (&i128, &i128)| (told - is).abs() * 100 <= *is;
        answer.0.len() == right.0.len()
            && answer.0.iter().zip(&right.0).all(|(told, is)| {
                told.0 == is.0 && told.1.len() == is.1.len() && told.1.iter().zip(&is.1).all(near)
            })
    }
}

impl Answer {
    /// One of one line.
    pub(crate) fn of_numbers(numbers: Vec<i128>) -> Self {
        Self(vec![(String::new(), numbers)])
    }

    /// With its lines in the order of what they are of, where a store has no order.
    pub(crate) fn sorted(mut self) -> Self {
        self.0.sort();
        self
    }
}

/// What a line of a user's day is of.
/// The key of a line of sums by user and model.
pub(crate) fn user_and_model_of(user: &str, model: &str) -> String {
    format!("{user} {model}")
}

/// The key of a line of sums by user and day.
pub(crate) fn user_and_day(user: &str, day: i64) -> String {
    format!("{user} {day}")
}

/// The right answer to the question about a table of these events, which are in the order of their times: looks at each
/// of the times it is about.
pub(crate) fn right_answer(question: Question, all: &[Coded]) -> Answer {
    let events = || all.iter();
    let mut whole = Wide::default();
    let mut digest = |event: &Coded| {
        whole.become_coded(event);
        (String::new(), vec![whole.digest().sum().into()])
    };
    match question {
        Question::Sums(Only { user, between }) => {
            let (from, to) = between.unwrap_or((i64::MIN, i64::MAX));
            let is_theirs = |event: &&Coded| user.is_none_or(|user| u64::from(event.user) == user);
            sums(of_times(all, from, to).iter().filter(is_theirs))
        }
        Question::Newest { count, user } => {
            let of = |event: &&Coded| user.is_none_or(|user| u64::from(event.user) == user);
            Answer(events().rev().filter(of).take(count).map(digest).collect())
        }
        Question::Id(number) => Answer(vec![digest(&all[number as usize])]),
        Question::ByUserAndDay => {
            let groups = grouped(events().map(|event| ((event.user, event.day()), costs(event))));
            lines(groups, |(of, day)| user_and_day(&user(of.into()), day)).sorted()
        }
        Question::TopModels => {
            let groups = grouped(events().map(|event| (event.model, [event.cost.into(), 0])));
            let mut lines = only_first(lines(groups, |number| model(number.into()))).0;
            lines.sort_by_key(|(_, numbers)| std::cmp::Reverse(numbers[0]));
            lines.truncate(TOP);
            Answer(lines)
        }
        Question::Quantiles | Question::Sketch => {
            let mut latencies = vec![Vec::new(); MODELS as usize];
            events().for_each(|event| latencies[usize::from(event.model)].push(event.latency));
            let lines =
                (0..).zip(latencies).filter(|(_, of)| !of.is_empty()).map(|(number, mut of)| {
                    of.sort_unstable();
                    let at = |part: f64| i128::from(of[quantile_place(of.len(), part)]);
                    (model(number), vec![at(0.5), at(0.99)])
                });
            Answer(lines.collect())
        }
        Question::Failed => {
            let failed = events().filter(|event| event.status >= FAILED);
            let bucket = |at: i64| at.div_euclid(BUCKET_NS) * BUCKET_NS;
            let groups = grouped(failed.map(|event| (bucket(event.at), [1, 0])));
            only_first(lines(groups, |bucket| bucket.to_string())).sorted()
        }
        Question::RollupOne { user, day } => {
            let of = of_day(all, day).iter().filter(|event| u64::from(event.user) == user);
            let both =
                of.fold([0, 0], |[count, cost], event| [count + 1, cost + i128::from(event.cost)]);
            if both[0] == 0 { Answer::default() } else { Answer::of_numbers(both.to_vec()) }
        }
        Question::RollupDay(day) => {
            let of = of_day(all, day).iter();
            let groups = grouped(of.map(|event| ((event.user, event.model), costs(event))));
            let key = |(of, by)| user_and_model_of(&user(u64::from(of)), &model(u64::from(by)));
            lines(groups, key).sorted()
        }
    }
}

/// The events from a time on and before another.
fn of_times(all: &[Coded], from: i64, to: i64) -> &[Coded] {
    let before = |at: i64| all.partition_point(|event| event.at < at);
    &all[before(from)..before(to)]
}

fn of_day(all: &[Coded], day: i64) -> &[Coded] {
    of_times(all, day * DAY_NS, (day + 1) * DAY_NS)
}

/// One event, and its cost.
fn costs(event: &Coded) -> [i128; 2] {
    [1, event.cost.into()]
}

/// With the first number of each line alone.
fn only_first(mut answer: Answer) -> Answer {
    answer.0.iter_mut().for_each(|(_, numbers)| numbers.truncate(1));
    answer
}

/// The place of a quantile among `count` sorted numbers: the first that so many are not above.
pub(crate) fn quantile_place(count: usize, part: f64) -> usize {
    ((part * count as f64).ceil() as usize).clamp(1, count) - 1
}

fn sums<'e>(events: impl Iterator<Item = &'e Coded>) -> Answer {
    let mut numbers = vec![0; 6];
    for event in events {
        numbers[0] += 1;
        numbers[1] += i128::from(event.cost);
        for (sum, counter) in numbers[2..].iter_mut().zip(event.counters) {
            *sum += i128::from(counter);
        }
    }
    Answer::of_numbers(numbers)
}

/// The sums of each key's numbers.
fn grouped<K: Ord>(events: impl Iterator<Item = (K, [i128; 2])>) -> BTreeMap<K, [i128; 2]> {
    let mut groups = BTreeMap::<K, [i128; 2]>::new();
    for (key, numbers) in events {
        let group = groups.entry(key).or_default();
        group[0] += numbers[0];
        group[1] += numbers[1];
    }
    groups
}

/// An answer of a line for each group.
fn lines<K>(groups: BTreeMap<K, [i128; 2]>, name: impl Fn(K) -> String) -> Answer {
    Answer(groups.into_iter().map(|(key, numbers)| (name(key), numbers.to_vec())).collect())
}
