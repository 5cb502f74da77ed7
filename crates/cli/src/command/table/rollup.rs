//! `annals rollup`: what the events of each day come to, by the values of dimensions that are marked for it.

use super::{open, which::Which};
use crate::{
    clock::now_ns,
    command::Command,
    expression,
    failure::{Failure, Result},
    moment,
    output::{Figure, Form, Table, brief},
    session::Session,
};
use annals::{
    DayRollup, TableView,
    columns::{GroupBy, Key, Role, Schema, Totals, ValueType},
};

/// Nanoseconds of a day.
const DAY_NS: u64 = 86_400_000_000_000;

/// Lists sums by day and value.
#[derive(Debug)]
pub(crate) struct Rollup {
    pub(crate) table: String,
    /// A time of the only day that is meant.
    pub(crate) day: Option<String>,
    /// The times whose days are meant, and whether damage is left out.
    pub(crate) times: Which,
    /// The dimensions; all that are marked if none is named.
    pub(crate) fields: Vec<String>,
    /// Only this value.
    pub(crate) value: Option<String>,
}

impl Command for Rollup {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let db = session.reader()?;
        let table = open(&db, &self.table)?;
        let view = self.times.view(&table, session.form())?;
        let schema = view.schema();
        let fields = self.fields(schema)?;
        let days = self.days(&view)?;
        let mut listed = Table::of(names(schema));
        for day in days {
            for field in &fields {
                self.add(&mut listed, &view, *field, day)?;
            }
            // A program need not wait for all days, nor have room for them.
            if session.form() == Form::Json {
                session.out.table(&listed)?;
                listed.clear();
            }
        }
        if session.form() == Form::Json { Ok(()) } else { session.out.table(&listed) }
    }
}

impl Rollup {
    /// The dimensions that are meant.
    fn fields(&self, schema: &Schema) -> Result<Vec<usize>> {
        let name = brief(self.table.as_bytes());
        if schema.ts().is_none() {
            return Err(Failure::usage(format!(
                "events of the table `{name}` have no time, and so no days; `annals query {name} --group-by FIELD` sums up"
            )));
        }
        let fields = schema.fields().iter().enumerate();
        let marked = fields.filter(
            |(_, field)| matches!(field.role(), Role::Dimension(kind) if kind.has_rollup()),
        );
        let marked: Vec<usize> = marked.map(|(at, _)| at).collect();
        let named: Result<Vec<usize>> =
            self.fields.iter().map(|name| expression::field_of(name, schema)).collect();
        let named = named?;
        if let Some(at) = named.iter().find(|at| !marked.contains(at)) {
            let (field, role) = (schema.fields()[*at].name(), schema.fields()[*at].role());
            return Err(Failure::usage(format!(
                "no sums by day are kept for `{field}`{}; {}",
                match marked.is_empty() {
                    true => String::new(),
                    false => format!(", but for {}", names_of(&marked, schema)),
                },
                match role {
                    Role::Dimension(_) | Role::Status | Role::Flags(_) =>
                        format!("`annals query {name} --bucket 1d --group-by {field}` makes them"),
                    role => format!("it is {role}: only of dimensions they can be"),
                },
            )));
        }
        if marked.is_empty() {
            return Err(Failure::usage(format!(
                "no dimension of the table `{name}` is marked for sums by day (\"rollup\": true in a schema file); \
                 `annals query {name} --bucket 1d --group-by FIELD` makes them of any dimension"
            )));
        }
        let meant = if named.is_empty() { marked } else { named };
        if self.value.is_some() && meant.len() != 1 {
            return Err(Failure::usage(format!(
                "--value is of one field; name it with --field: {}",
                names_of(&meant, schema)
            )));
        }
        Ok(meant)
    }

    /// The days that are meant and have events, in their order.
    fn days(&self, view: &TableView<'_>) -> Result<Vec<i64>> {
        if let Some(day) = &self.day {
            let at = moment::asked(day, now_ns());
            let at = at.map_err(|what| Failure::usage(format!("--day: {what}")))?;
            return Ok(vec![DayRollup::day_of(at)]);
        }
        // Days are meant as a whole: of the first one also what was before.
        let filter = self.times.meant(view.schema())?.filter(view.schema());
        let by = GroupBy::Time { bucket_ns: DAY_NS };
        let found = view.query().filter(filter).group_by(by).run()?;
        let mut days = Vec::with_capacity(found.len());
        for group in found.groups() {
            if let Some(Key::Time(start)) = group.keys().first() {
                days.push(DayRollup::day_of(*start));
            }
        }
        days.sort_unstable();
        Ok(days)
    }

    /// Adds the rows of a field and a day.
    fn add(&self, to: &mut Table, view: &TableView<'_>, field: usize, day: i64) -> Result<()> {
        let schema = view.schema();
        let mut row = |value: Option<&str>, events_count: u64, totals: Vec<Totals>| {
            let mut figures = vec![
                Figure::Text(moment::day_text(day)),
                Figure::text_of(schema.fields()[field].name()),
                value.map_or(Figure::Absent, Figure::text_of),
                Figure::Count(events_count),
            ];
            let summed = summed(schema).zip(totals);
            figures.extend(summed.map(|(field, totals)| match field.1 {
                ValueType::F64 => Figure::Fraction(totals.float_sum),
                _ => Figure::Whole(totals.sum),
            }));
            to.row(figures);
        };
        if let Some(value) = &self.value {
            if let Some(found) = view.rollup_of(field, day, value)? {
                row(Some(value), found.events_count, found.totals);
            }
            return Ok(());
        }
        for bucket in view.rollup(field, day)?.iter() {
            row(bucket.value(), bucket.events_count, bucket.all_totals().collect());
        }
        Ok(())
    }
}

/// The names and types of what is added up, in the order in which it is.
fn summed(schema: &Schema) -> impl Iterator<Item = (&str, ValueType)> {
    let is_summed = |role: &Role| {
        matches!(role, Role::MetricI64 | Role::MetricF64 | Role::CounterU32 | Role::CounterU64)
    };
    let fields = schema.fields().iter().filter(move |field| is_summed(field.role()));
    fields.map(|field| (field.name(), field.value_type()))
}

fn names(schema: &Schema) -> Vec<String> {
    let first = ["day", "field", "value", "events_count"].map(str::to_owned);
    first.into_iter().chain(summed(schema).map(|(name, _)| format!("sum_{name}"))).collect()
}

fn names_of(fields: &[usize], schema: &Schema) -> String {
    let names: Vec<&str> = fields.iter().map(|at| schema.fields()[*at].name()).collect();
    names.join(", ")
}
