//! Which events of a table are meant.

use crate::{
    clock::now_ns,
    expression,
    failure::{Failure, Result},
    moment,
    output::{Form, note},
    units,
};
use annals::{
    Cursor, EventTable, FoundRows, Scan, TableView,
    columns::{Filter, Schema},
};

/// What was said of it.
#[derive(Debug, Default)]
pub(crate) struct Which {
    pub(crate) expressions: Vec<String>,
    pub(crate) since: Option<String>,
    pub(crate) until: Option<String>,
    pub(crate) without_damage: bool,
}

/// The same in terms of a schema.
#[derive(Debug)]
pub(super) struct Meant {
    /// All but the times.
    filter: Filter,
    since: i64,
    until: Option<i64>,
}

/// So many events are looked at together.
const PAGE_ROWS: u64 = 4_096;

impl Which {
    /// What a table has now; without what is damaged, if that was said, which is told then.
    pub(super) fn view<'t>(&self, table: &'t EventTable, form: Form) -> Result<TableView<'t>> {
        let view = table.view()?;
        if !self.without_damage {
            return Ok(view);
        }
        let view = view.without_damage()?;
        for damage in view.damages() {
            let lost = damage.events_count.unwrap_or_default();
            let count = match damage.events_count {
                Some(count) => format!("{} events", units::count(count)),
                None => "nobody knows how many events".to_owned(),
            };
            let text = match &damage.error {
                annals::Error::DamagedTable { what, cause, .. } => {
                    format!("{count} left out, for {what}: {cause}")
                }
                error => format!("{count} left out: {error}"),
            };
            note(form, &text, "events_left_out_count", lost);
        }
        Ok(view)
    }

    pub(super) fn meant(&self, schema: &Schema) -> Result<Meant> {
        let now = now_ns();
        if (self.since.is_some() || self.until.is_some()) && schema.ts().is_none() {
            return Err(Failure::usage(
                "events of this table have no time; leave --since and --until away",
            ));
        }
        let bound = |name: &str, said: &Option<String>| {
            let read = said.as_ref().map(|text| moment::asked(text, now)).transpose();
            read.map_err(|what| Failure::usage(format!("{name}: {what}")))
        };
        let since = bound("--since", &self.since)?.unwrap_or(i64::MIN);
        let until = bound("--until", &self.until)?;
        let mut filter = Filter::All;
        for text in &self.expressions {
            let one = expression::filter(text, schema, now);
            filter = filter.and(one.map_err(|failure| failure.context("--where"))?);
        }
        Ok(Meant { filter, since, until })
    }
}

impl Meant {
    /// Times and all else.
    pub(super) fn filter(&self, schema: &Schema) -> Filter {
        let Some(ts) = schema.ts() else { return self.filter.clone() };
        let mut filter = self.filter.clone();
        if self.since > i64::MIN {
            filter = filter.and(Filter::at_least(ts, self.since));
        }
        match self.until.map(|until| until.checked_sub(1)) {
            None => filter,
            Some(Some(last)) => filter.and(Filter::at_most(ts, last)),
            Some(None) => Filter::Or(Vec::new()),
        }
    }

    /// The events themselves, the oldest first.
    pub(super) fn scan(&self) -> Scan {
        let scan = Scan::new().filter(self.filter.clone()).since(self.since);
        if let Some(until) = self.until { scan.until(until) } else { scan }
    }

    /// How many there are.
    pub(super) fn count(&self, view: &TableView<'_>) -> Result<u64> {
        Ok(view.query().filter(self.filter(view.schema())).run()?.total()?.rows())
    }

    /// Calls `each` with events that are meant, so many at most: the oldest first, or the newest.
    pub(super) fn each(
        &self,
        view: &TableView<'_>,
        is_newest_first: bool,
        limit: u64,
        mut each: impl FnMut(&FoundRows<'_>, usize) -> Result<()>,
    ) -> Result<()> {
        let mut scan = self.scan();
        scan = if is_newest_first { scan.newest_first() } else { scan };
        let (mut left, mut after) = (limit, None::<Cursor>);
        while left > 0 {
            let mut one = scan.clone().limit(left.min(PAGE_ROWS) as usize);
            one = if let Some(after) = after { one.after(after) } else { one };
            let rows = view.scan(&one)?;
            for at in 0..rows.len() {
                each(&rows, at)?;
                left -= 1;
            }
            after = rows.cursor();
            if after.is_none() {
                break;
            }
        }
        Ok(())
    }
}
