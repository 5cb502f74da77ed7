//! `annals query`: what events of a table come to.

use super::{explain, open, row, which::Which};
use crate::{
    chart::Chart,
    command::Command,
    expression,
    failure::{Failure, Result},
    moment,
    output::{Figure, Form, Table},
    session::Session,
};
use annals::{
    TableQuery, TableView,
    columns::{Group, GroupBy, Key, Measured, Role, Schema, Value, ValueType},
};
use std::{cmp::Ordering, time::Duration};

/// Asks for groups of events and their figures.
#[derive(Debug)]
pub(crate) struct Query {
    pub(crate) table: String,
    pub(crate) which: Which,
    pub(crate) group_by: Vec<String>,
    pub(crate) bucket: Option<Duration>,
    /// In the order in which they are shown.
    pub(crate) wishes: Vec<(Wish, String)>,
    pub(crate) top: Option<u64>,
    pub(crate) manner: Manner,
}

/// How it is asked and answered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manner {
    /// Percentiles are taken from sketches instead of all numbers.
    pub(crate) by_sketch: bool,
    /// The figures are drawn.
    pub(crate) plots: bool,
    /// It is told what the question uses, instead of the answer.
    pub(crate) explains: bool,
}

/// What is asked of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    Sum,
    Average,
    Lowest,
    Highest,
    /// The lowest number that so many of a hundred are not above.
    Percentile(u32),
    /// How many values differ.
    Distinct,
}

impl Wish {
    fn name(self) -> String {
        match self {
            Self::Sum => "sum".to_owned(),
            Self::Average => "avg".to_owned(),
            Self::Lowest => "min".to_owned(),
            Self::Highest => "max".to_owned(),
            Self::Percentile(percent) => format!("p{percent}"),
            Self::Distinct => "distinct".to_owned(),
        }
    }
}

/// The same in terms of a schema.
#[derive(Default)]
struct Asked {
    by: Vec<GroupBy>,
    /// What is measured, and whether with its bounds.
    measures: Vec<(usize, bool)>,
    /// Of what percentiles are asked for, and which.
    quantiles: Vec<(usize, Vec<u32>)>,
    /// Of what different values are counted.
    distinct: Vec<usize>,
    /// What is shown, in its order.
    shown: Vec<Place>,
}

/// Where a figure is found in the answer.
#[derive(Clone, Copy)]
enum Place {
    /// What of which measure.
    Measure(Wish, usize),
    /// Of which field's quantiles which one.
    Quantile(usize, usize),
    Distinct(usize),
}

/// The place of the first that is `wanted`, which is put at the end if there is none.
fn place_of<T>(all: &mut Vec<T>, wanted: impl Fn(&T) -> bool, new: impl FnOnce() -> T) -> usize {
    all.iter().position(wanted).unwrap_or_else(|| {
        all.push(new());
        all.len() - 1
    })
}

/// Events that have the same keys.
struct Line {
    keys: Vec<Shown>,
    rows: u64,
    figures: Vec<Amount>,
}

/// A key: what it sorts by, and what is shown.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Shown {
    Absent,
    Number(u64),
    Time(i64),
    Text(String),
    Flags(String),
}

/// What is known of a group.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Amount {
    Nothing,
    Time(i64),
    Whole(i128),
    /// About so many.
    Estimate(u64),
    Fraction(f64),
}

impl Command for Query {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        if self.manner.plots && session.form() == Form::Json {
            return Err(Failure::usage("--json and --plot contradict each other; leave one away"));
        }
        let db = session.reader()?;
        let table = open(&db, &self.table)?;
        let view = self.which.view(&table, session.form())?;
        let schema = view.schema();
        let asked = self.asked(schema)?;
        let query = self.question(&view, &asked)?;
        if self.manner.explains {
            return session.out.report(&explain::report(&query.explain()?));
        }
        let mut lines = lines(query, schema, &asked)?;
        self.order(&mut lines);
        if self.manner.plots {
            return session.out.raw(self.chart(&lines, schema, &asked).text().as_bytes());
        }
        session.out.table(&self.listed(&lines, schema, &asked, session.form()))
    }
}

impl Query {
    fn asked(&self, schema: &Schema) -> Result<Asked> {
        let mut by = Vec::new();
        if let Some(bucket) = self.bucket {
            by.push(GroupBy::Time { bucket_ns: moment::ns_of(bucket).unsigned_abs() });
        }
        for name in &self.group_by {
            let field = expression::field_of(name, schema)?;
            if *schema.fields()[field].role() == Role::Ts {
                return Err(Failure::usage(format!(
                    "`{name}` is the time of events, by which they are put into groups with --bucket TIME, such as --bucket 1d"
                )));
            }
            by.push(GroupBy::Field(field));
        }
        let mut asked = Asked { by, ..Asked::default() };
        for (wish, name) in &self.wishes {
            let field = expression::field_of(name, schema)?;
            let role = schema.fields()[field].role();
            let has_bounds = matches!(wish, Wish::Lowest | Wish::Highest);
            let is_sum = matches!(wish, Wish::Sum | Wish::Average);
            let is_text = role.value_type() == ValueType::Text;
            if (is_text && *wish != Wish::Distinct) || (*role == Role::Ts && is_sum) {
                let takes = match role {
                    Role::Ts => "--bucket and --where take it",
                    Role::Dimension(_) => "--group-by, --distinct and --where take it",
                    _ => "--distinct and --where take it",
                };
                return Err(Failure::usage(format!(
                    "`{name}` is {role}, which has no {}; {takes}",
                    wish.name()
                )));
            }
            let place = match wish {
                Wish::Percentile(percent) => {
                    let all = &mut asked.quantiles;
                    let at = place_of(all, |known| known.0 == field, || (field, Vec::new()));
                    let shares = &mut all[at].1;
                    Place::Quantile(at, place_of(shares, |known| known == percent, || *percent))
                }
                Wish::Distinct => {
                    let all = &mut asked.distinct;
                    Place::Distinct(place_of(all, |known| *known == field, || field))
                }
                Wish::Sum | Wish::Average | Wish::Lowest | Wish::Highest => {
                    let all = &mut asked.measures;
                    let at = place_of(all, |known| known.0 == field, || (field, false));
                    all[at].1 |= has_bounds;
                    Place::Measure(*wish, at)
                }
            };
            asked.shown.push(place);
        }
        Ok(asked)
    }

    /// What is asked of the view.
    fn question<'v>(&self, view: &'v TableView<'_>, asked: &Asked) -> Result<TableQuery<'v>> {
        let schema = view.schema();
        let mut query = view.query().filter(self.which.meant(schema)?.filter(schema));
        for by in &asked.by {
            query = query.group_by(*by);
        }
        for (field, has_bounds) in &asked.measures {
            query = match has_bounds {
                true => query.measure_bounds(*field),
                false => query.measure(*field),
            };
        }
        for (field, _) in &asked.quantiles {
            query = match self.manner.by_sketch {
                true => query.quantiles_by_sketch(*field),
                false => query.quantiles(*field),
            };
        }
        Ok(asked.distinct.iter().fold(query, |query, field| query.distinct(*field)))
    }

    /// The highest first if so many are asked for, else by their keys.
    fn order(&self, lines: &mut Vec<Line>) {
        let by_keys = |one: &Line, other: &Line| one.keys.cmp(&other.keys);
        let Some(top) = self.top else { return lines.sort_by(by_keys) };
        let highest = |one: &Line, other: &Line| other.first().compare(one.first());
        lines.sort_by(|one, other| highest(one, other).then_with(|| by_keys(one, other)));
        lines.truncate(usize::try_from(top).unwrap_or(usize::MAX));
    }

    fn names(&self, schema: &Schema, asked: &Asked) -> Vec<String> {
        let key = |by: &GroupBy| match by {
            GroupBy::Field(field) => schema.fields()[*field].name().to_owned(),
            GroupBy::Time { .. } => {
                schema.ts().map_or("time", |ts| schema.fields()[ts].name()).to_owned()
            }
        };
        asked.by.iter().map(key).collect()
    }

    /// The answer. Programs are told of each count of values whether it is an estimate, which people see by its `~`.
    fn listed(&self, lines: &[Line], schema: &Schema, asked: &Asked, form: Form) -> Table {
        let marks_estimates = form == Form::Json;
        let mut names = self.names(schema, asked);
        names.push("events_count".to_owned());
        for (wish, name) in &self.wishes {
            names.push(format!("{}_{name}", wish.name()));
            if marks_estimates && *wish == Wish::Distinct {
                names.push(format!("distinct_{name}_estimated"));
            }
        }
        let mut table = Table::of(names);
        for line in lines {
            let mut figures: Vec<Figure> = line.keys.iter().map(Shown::figure).collect();
            figures.push(Figure::Count(line.rows));
            for ((wish, _), amount) in self.wishes.iter().zip(&line.figures) {
                figures.push(amount.figure());
                if marks_estimates && *wish == Wish::Distinct {
                    figures.push(Figure::Flag(matches!(amount, Amount::Estimate(_))));
                }
            }
            table.row(figures);
        }
        table
    }

    fn chart(&self, lines: &[Line], schema: &Schema, asked: &Asked) -> Chart {
        let of = match self.wishes.first() {
            Some((wish, name)) => format!("{} of {name}", wish.name()),
            None => "events".to_owned(),
        };
        let by = self.names(schema, asked).join(", ");
        let mut chart = Chart::new(if by.is_empty() { of } else { format!("{of} by {by}") });
        // Buckets without events have a place in the picture as well.
        let bucket = self.bucket.map(moment::ns_of).filter(|_| asked.by.len() == 1);
        let mut last = None;
        for line in lines {
            if let (Some(bucket), Some(Shown::Time(at)), None) =
                (bucket, line.keys.first(), self.top)
            {
                let gaps = last.map_or(0, |last: i64| at.saturating_sub(last) / bucket - 1);
                if (1..=Chart::GAPS_MAX).contains(&gaps) {
                    for gap in 1..=gaps {
                        let at = last.unwrap_or(*at) + gap * bucket;
                        chart.bar(moment::text(at), "0".to_owned(), 0.0);
                    }
                }
                last = Some(*at);
            }
            let keys: Vec<String> = line.keys.iter().map(|key| key.figure().text()).collect();
            let first = line.first();
            chart.bar(keys.join(" "), first.figure().text(), first.as_f64());
        }
        chart
    }
}

/// The groups of events that are meant.
fn lines(query: TableQuery<'_>, schema: &Schema, asked: &Asked) -> Result<Vec<Line>> {
    let found = query.run()?;
    let line = |group: &Group<'_>| {
        let keys = group.keys.iter().zip(&asked.by);
        let keys = keys.map(|(key, by)| shown(*key, *by, schema)).collect();
        let quantiles = group.quantiles.iter().zip(&asked.quantiles);
        let quantiles: Vec<_> = quantiles
            .map(|(found, (_, percents))| {
                let shares: Vec<f64> = percents.iter().map(|n| f64::from(*n) / 100.0).collect();
                found.at_each(&shares)
            })
            .collect();
        let figure = |place: &Place| match *place {
            Place::Measure(wish, at) => {
                let is_time = Some(asked.measures[at].0) == schema.ts();
                measured_amount(wish, &group.measured[at], is_time)
            }
            Place::Quantile(at, which) => {
                let is_time = Some(asked.quantiles[at].0) == schema.ts();
                amount(quantiles[at][which], is_time)
            }
            Place::Distinct(at) => match group.distinct[at].is_exact() {
                true => Amount::Whole(group.distinct[at].count().into()),
                false => Amount::Estimate(group.distinct[at].count()),
            },
        };
        Line { keys, rows: group.rows, figures: asked.shown.iter().map(figure).collect() }
    };
    Ok(found.groups().iter().map(|group| line(group.as_group())).collect())
}

impl Line {
    /// What it is ordered and drawn by.
    fn first(&self) -> Amount {
        self.figures.first().copied().unwrap_or(Amount::Whole(self.rows.into()))
    }
}

fn shown(key: Key<'_>, by: GroupBy, schema: &Schema) -> Shown {
    match (key, by) {
        (Key::Absent, _) => Shown::Absent,
        (Key::Time(ns), _) => Shown::Time(ns),
        (Key::Text(text), _) => Shown::Text(text.to_owned()),
        (Key::Number(bits), GroupBy::Field(field))
            if matches!(schema.fields()[field].role(), Role::Flags(_)) =>
        {
            Shown::Flags(row::text(&schema.fields()[field], Value::U64(bits)))
        }
        (Key::Number(number), _) => Shown::Number(number),
    }
}

impl Shown {
    fn figure(&self) -> Figure {
        match self {
            Self::Absent => Figure::Absent,
            Self::Number(number) => Figure::Plain(*number),
            Self::Time(ns) => Figure::Text(moment::text(*ns)),
            Self::Text(text) | Self::Flags(text) => Figure::text_of(text),
        }
    }
}

fn measured_amount(wish: Wish, measured: &Measured, is_time: bool) -> Amount {
    match wish {
        Wish::Lowest => amount(measured.min(), is_time),
        Wish::Highest => amount(measured.max(), is_time),
        Wish::Average => measured.average().map_or(Amount::Nothing, Amount::Fraction),
        // One of both is 0.
        Wish::Sum if measured.sum == 0 && measured.float_sum != 0.0 => {
            Amount::Fraction(measured.float_sum)
        }
        Wish::Sum => Amount::Whole(measured.sum),
        // They have places of their own.
        Wish::Percentile(_) | Wish::Distinct => Amount::Nothing,
    }
}

fn amount(value: Value<'_>, is_time: bool) -> Amount {
    match value {
        Value::I64(ns) if is_time => Amount::Time(ns),
        Value::I64(number) => Amount::Whole(number.into()),
        Value::U64(number) => Amount::Whole(number.into()),
        Value::F64(number) => Amount::Fraction(number),
        Value::Absent | Value::Text(_) => Amount::Nothing,
    }
}

impl Amount {
    fn as_f64(self) -> f64 {
        match self {
            Self::Nothing => 0.0,
            Self::Time(ns) => ns as f64,
            Self::Whole(number) => number as f64,
            Self::Estimate(number) => number as f64,
            Self::Fraction(number) => number,
        }
    }

    fn compare(self, other: Self) -> Ordering {
        match (self, other) {
            (Self::Whole(one), Self::Whole(other)) => one.cmp(&other),
            (Self::Time(one), Self::Time(other)) => one.cmp(&other),
            (Self::Nothing, Self::Nothing) => Ordering::Equal,
            (Self::Nothing, _) => Ordering::Less,
            (_, Self::Nothing) => Ordering::Greater,
            (one, other) => one.as_f64().total_cmp(&other.as_f64()),
        }
    }

    fn figure(self) -> Figure {
        match self {
            Self::Nothing => Figure::Absent,
            Self::Time(ns) => Figure::Text(moment::text(ns)),
            Self::Whole(number) => Figure::Whole(number),
            Self::Estimate(number) => Figure::Estimate(number),
            Self::Fraction(number) => Figure::Fraction(number),
        }
    }
}
