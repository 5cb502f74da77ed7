//! Asking what events come to.

use super::{
    adding::{self, Source},
    damage,
    explained::ExplainedQuery,
    groups::{Asked, FoundGroups},
    limits::{CancelToken, Limits},
    view::TableView,
};
use crate::Result;
use annals_columns::{
    BoundFilter, Error as ColumnsError, Filter, PartView, Query, Schema, ToField, ToGroupBy,
    ToMeasure,
};
use std::{borrow::Cow, sync::Arc};

/// A question about what the events of a view come to, in parts and fresh. Begun by [`TableView::query`].
///
/// Fields are named by the methods of a Rust type, or by what they are called:
///
/// ```
/// # use annals_engine as annals;
/// use annals::Database;
/// use annals_columns::{Filter, Key, Schema};
///
/// #[derive(Schema)]
/// #[schema(schema_id = 1, crate = annals_columns)]
/// struct Request {
///     #[ts]
///     at: i64,
///     #[metric]
///     cost: i64,
///     #[status]
///     status: u16,
///     #[dim]
///     user: String,
/// }
///
/// let db = Database::open_in_memory()?;
/// let requests = db.table_of::<Request>("requests")?;
/// for (at, cost, user) in [(1, 5, "ada"), (2, 7, "bob"), (3, 30, "ada"), (9, 1, "ada")] {
///     requests.append(&Request::event().at(at).cost(cost).status(200).user(user))?;
/// }
///
/// let (view, fields) = (requests.view()?, Request::fields());
/// let since = Request::filter().since(2);
/// let found = view.query().filter(since).group_by(fields.user()).measure(fields.cost()).run()?;
/// let top = found.top(fields.cost(), 1)?;
/// assert_eq!((top[0].key(fields.user())?, top[0].rows()), (Key::Text("ada"), 2));
/// assert_eq!(top[0].measured(fields.cost())?.sum, 31);
///
/// // The same, of a table whose type is not known.
/// let since = Filter::at_least(view.schema().field("at")?, 2i64);
/// let found = view.query().filter(since).group_by("user").measure("cost").run()?;
/// assert_eq!(found.top("cost", 1)?[0].measured("cost")?.sum, 31);
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a question is asked by `run`"]
pub struct TableQuery<'v> {
    view: &'v TableView<'v>,
    filter: Filter,
    asked: Asked,
    limits: Limits,
    /// What is wrong with it, as the first thing that was.
    refused: Option<ColumnsError>,
    /// Of which times events can be that are asked for.
    times: (i64, i64),
}

impl<'v> TableQuery<'v> {
    pub(super) fn new(view: &'v TableView<'v>, limits: Limits) -> Self {
        let (filter, asked, times) = (Filter::All, Asked::default(), damage::ALWAYS);
        Self { view, filter, asked, limits, refused: None, times }
    }

    /// About those events only that the filter means; of several filters those that all mean.
    pub fn filter(self, filter: impl Into<BoundFilter>) -> Self {
        let filter = filter.into();
        self.with(
            |schema| filter.of(schema).map(Cow::into_owned),
            |this, filter| this.filter = std::mem::take(&mut this.filter).and(filter),
        )
    }

    /// In groups: of a field, or by [buckets](annals_columns::FieldOf::buckets) of the time; by four things at most, of more
    /// [`run`](Self::run) is refused. Where the ranges of what is grouped by multiply to more than 64 bits, as those of ids of
    /// 63 bits and anything else, each event that is meant is looked at by itself, which takes several times as long.
    pub fn group_by(self, by: impl ToGroupBy) -> Self {
        self.with(|schema| by.group_by_in(schema), |this, by| this.asked.by.push(by))
    }

    /// With count and sum of a field's numbers.
    pub fn measure(self, field: impl ToMeasure) -> Self {
        self.with(
            |schema| field.field_in(schema),
            |this, field| this.asked.measures.push((field, false)),
        )
    }

    /// With count, sum, lowest and highest of a field's numbers.
    pub fn measure_bounds(self, field: impl ToMeasure) -> Self {
        self.with(
            |schema| field.field_in(schema),
            |this, field| this.asked.measures.push((field, true)),
        )
    }

    /// With [`Quantiles`](annals_columns::Quantiles) of a field's numbers, exact. All numbers that are meant are kept in
    /// memory for it, 8 bytes each.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::Database;
    /// use annals_columns::{Schema, Value};
    ///
    /// #[derive(Schema)]
    /// #[schema(schema_id = 1, crate = annals_columns)]
    /// struct Request {
    ///     #[ts]
    ///     at: i64,
    ///     #[latency]
    ///     latency_ms: u32,
    ///     #[dim]
    ///     model: String,
    ///     #[dim]
    ///     user: String,
    /// }
    ///
    /// let db = Database::open_in_memory()?;
    /// let requests = db.table_of::<Request>("requests")?;
    /// for n in 1..=1_000u32 {
    ///     let user = (n % 7).to_string();
    ///     let event = Request::event().at(n.into()).latency_ms(n).model("small").user(&user);
    ///     requests.append(&event)?;
    /// }
    /// let (view, fields) = (requests.view()?, Request::fields());
    /// let query = view.query().group_by(fields.model());
    /// let found = query.quantiles(fields.latency_ms()).distinct(fields.user()).run()?;
    /// for group in found.groups() {
    ///     let latency = group.quantiles(fields.latency_ms())?.at_each(&[0.5, 0.99]);
    ///     assert_eq!(latency, [Value::U64(500), Value::U64(990)]);
    ///     assert_eq!(group.distinct(fields.user())?.count(), 7);
    /// }
    /// # Ok::<(), annals::Error>(())
    /// ```
    pub fn quantiles(self, field: impl ToMeasure) -> Self {
        self.with(
            |schema| field.field_in(schema),
            |this, field| this.asked.quantiles.push((field, true)),
        )
    }

    /// With [`Quantiles`](annals_columns::Quantiles) of a field's numbers that are at most one part in 256 beside the right
    /// ones; of whole numbers below 256 exact. What is kept for it does not grow with the events.
    pub fn quantiles_by_sketch(self, field: impl ToMeasure) -> Self {
        self.with(
            |schema| field.field_in(schema),
            |this, field| this.asked.quantiles.push((field, false)),
        )
    }

    /// With a count of a field's [different values](annals_columns::Distinct): up to 2,048 they are counted, and above
    /// that estimated with a standard error of 0.81 %.
    pub fn distinct(self, field: impl ToField) -> Self {
        self.with(|schema| field.field_in(schema), |this, field| this.asked.distinct.push(field))
    }

    /// Ends with [`Error::Cancelled`](crate::Error::Cancelled) soon after the token says so.
    pub fn cancelled_by(mut self, token: &CancelToken) -> Self {
        self.limits.cancel = Some(token.clone());
        self
    }

    /// With so many groups at most: of more it ends with [`Error::TooManyGroups`](crate::Error::TooManyGroups), soon
    /// after they are too many; each thread counts those it has met. Default: 4,194,304.
    pub fn groups_max(mut self, count: usize) -> Self {
        self.limits.groups_max = count;
        self
    }

    /// With so many bytes of memory at most, about, for the groups, for the numbers that exact quantiles are taken of, for sketches
    /// and for counts of different values:
    /// if it would take more it ends with [`Error::TooMuchMemory`](crate::Error::TooMuchMemory), soon after it does; each
    /// thread counts what it keeps. Default: as many as there are.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::{Database, ErrorKind};
    /// use annals_columns::{Batch, Schema};
    ///
    /// #[derive(Schema)]
    /// #[schema(schema_id = 1, crate = annals_columns)]
    /// struct Request {
    ///     #[ts]
    ///     at: i64,
    ///     #[latency]
    ///     latency_ms: u32,
    /// }
    ///
    /// let db = Database::open_in_memory()?;
    /// let requests = db.table_of::<Request>("requests")?;
    /// let mut batch = Batch::of::<Request>();
    /// for n in 0..10_000u32 {
    ///     batch.push(&Request { at: n.into(), latency_ms: n })?;
    /// }
    /// requests.append_batch(&batch)?;
    /// let (view, fields) = (requests.view()?, Request::fields());
    /// let exact = view.query().quantiles(fields.latency_ms()).memory_max(50_000).run();
    /// assert_eq!(exact.unwrap_err().kind(), ErrorKind::TooLarge);
    /// view.query().quantiles_by_sketch(fields.latency_ms()).memory_max(50_000).run()?;
    /// # Ok::<(), annals::Error>(())
    /// ```
    pub fn memory_max(mut self, bytes: u64) -> Self {
        self.limits.memory_max = bytes;
        self
    }

    /// By so many threads at most, that which asks included and each question by itself, instead of as many as the
    /// [database](crate::Builder::query_threads) says; 0: as many as the machine has. Others help where one takes long;
    /// then sums of numbers with fractions are added up in an order that differs from time to time, which may show in
    /// their last digits.
    pub fn threads(mut self, count: usize) -> Self {
        self.limits = self.limits.with_threads(count);
        self
    }

    fn with<T>(
        mut self,
        find: impl FnOnce(&Arc<Schema>) -> annals_columns::Result<T>,
        take: impl FnOnce(&mut Self, T),
    ) -> Self {
        match find(self.view.schema()) {
            Ok(found) => take(&mut self, found),
            Err(error) => drop(self.refused.get_or_insert(error)),
        }
        self
    }

    /// Asks it.
    ///
    /// # Errors
    /// `InvalidInput` if it cannot be asked of these events, with the name of the field; damage to a part, with its
    /// section and offset; [`Error::Cancelled`](crate::Error::Cancelled),
    /// [`Error::TooManyGroups`](crate::Error::TooManyGroups) and [`Error::TooMuchMemory`](crate::Error::TooMuchMemory).
    pub fn run(mut self) -> Result<FoundGroups> {
        let query = self.question()?;
        self.view.check(self.times)?;
        // Parts of other times are not looked at: what is damaged of one is no matter.
        let (from, to) = self.times;
        let may_have = |part: PartView<'_>| match part.time_range() {
            Ok(Some((first, last))) => first <= to && from <= last,
            _ => true,
        };
        let parts = self.view.parts_with_deleted().filter(|(part, _)| may_have(*part));
        let is_in_pieces = query.looks_at_rows() && self.limits.are_asked_for();
        let parts = parts.flat_map(|(part, deleted)| Source::of_part(part, deleted, is_in_pieces));
        let fresh = self.view.fresh.iter().map(|batch| Source::Fresh(batch));
        let sources: Vec<_> = parts.chain(fresh).collect();
        let answer = adding::answer(&query, &sources, &self.limits, self.view.disk());
        let answer = answer.map_err(|error| self.view.named(error))?;
        Ok(FoundGroups::new(Arc::clone(self.view.schema()), answer, self.asked))
    }

    /// What it would use of each part. It is asked for that, by one thread, and what it finds in the parts is thrown away;
    /// what is fresh is not looked at.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::Database;
    /// use annals_columns::{Batch, Schema};
    ///
    /// #[derive(Schema)]
    /// #[schema(schema_id = 1, crate = annals_columns)]
    /// struct Request {
    ///     #[ts]
    ///     at: i64,
    ///     #[metric]
    ///     cost: i64,
    /// }
    ///
    /// let db = Database::open_in_memory()?;
    /// let requests = db.table_of::<Request>("requests")?;
    /// let mut batch = Batch::of::<Request>();
    /// for at in 0..1_000 {
    ///     batch.push(&Request { at, cost: 5 })?;
    /// }
    /// requests.append_batch(&batch)?;
    /// requests.flush()?;
    /// requests.append(&Request { at: 1_000, cost: 5 })?;
    ///
    /// let (view, fields) = (requests.view()?, Request::fields());
    /// let query = view.query().filter(Request::filter().since(900)).measure(fields.cost());
    /// let explained = query.explain()?;
    /// assert_eq!((explained.parts.len(), explained.fresh), (1, 1));
    /// assert_eq!(explained.parts[0].rows_selected, 100);
    /// println!("{explained}");
    /// # Ok::<(), annals::Error>(())
    /// ```
    pub fn explain(mut self) -> Result<ExplainedQuery> {
        let query = self.question()?;
        self.view.check(self.times)?;
        let mut parts = Vec::with_capacity(self.view.parts_count());
        for (part, deleted) in self.view.parts_with_deleted() {
            self.limits.check_cancelled()?;
            let explained = query.explain(part, deleted);
            parts.push(explained.map_err(|error| self.view.named(error.into()))?);
        }
        Ok(ExplainedQuery { parts, fresh: self.view.fresh_len() })
    }

    /// What is asked of each part.
    fn question(&mut self) -> Result<Query> {
        if let Some(error) = self.refused.take() {
            return Err(error.into());
        }
        let filter = std::mem::take(&mut self.filter);
        self.times = damage::times_of(&filter, self.view.schema().ts());
        let query = Query::new(Arc::clone(self.view.schema())).filter(filter);
        Ok(self.asked.of(query))
    }
}
