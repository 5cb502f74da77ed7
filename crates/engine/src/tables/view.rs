//! What a table has at one moment.

use super::{
    damage::{ALWAYS, FoundPart, Lost, PartAt, Piece, TableDamage},
    fresh::{Fresh, FreshBatch},
    keys,
    lifetime::Lifetime,
    limits::Limits,
    opened::{Opened, OpenedPart},
    query::TableQuery,
    rollup::{MergedDays, Rollups},
    rows::FoundRows,
    scan::Scan,
    shape::Known,
    table::EventTable,
};
use crate::{
    ErrorKind, Result,
    streams::meanwhile::{self, Moment},
};
use annals_columns::{
    ABSENT_FIELD, BoundFilter, PartView, Query, RowSet, Schema, ToMeasure, Totals, Value, ValueType,
};
use annals_disk::Disk;
use annals_journal::SegmentGuard;
use std::{collections::HashSet, sync::Arc};

/// What a table has at one moment: everything that was appended before it was [made](EventTable::view), in parts and
/// fresh. Reads from it wait for nobody; what it holds stays where it is until it is dropped.
///
/// ```
/// # use annals_engine as annals;
/// use annals::Database;
/// use annals_columns::Schema;
///
/// #[derive(Schema)]
/// #[schema(schema_id = 1, crate = annals_columns)]
/// struct Request {
///     #[ts]
///     at: i64,
///     #[counter]
///     bytes: u32,
///     #[id]
///     id: String,
/// }
///
/// let db = Database::open_in_memory()?;
/// let requests = db.table_of::<Request>("requests")?;
/// requests.append(&Request::event().at(10).bytes(512).id("a"))?;
/// requests.append(&Request::event().at(20).bytes(100).id("b"))?;
///
/// let view = requests.view()?;
/// assert_eq!(view.len(), 2);
/// assert_eq!(view.recent(1)?.event::<Request>(0)?.id, "b");
/// assert_eq!(view.event("a")?.expect("it is there").event::<Request>(0)?.at, 10);
/// assert_eq!(view.totals("bytes")?.expect("numbers").sum, 612);
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Debug)]
pub struct TableView<'t> {
    opened: Arc<Opened>,
    /// Of the segments that have the parts.
    guards: Vec<SegmentGuard<'t>>,
    pub(super) fresh: Vec<Arc<FreshBatch>>,
    /// What cannot be read, and whether nobody asks for it.
    pub(super) lost: Vec<Lost>,
    pub(super) is_without_damage: bool,
    table: &'t EventTable,
}

impl<'t> TableView<'t> {
    pub(super) fn of(table: &'t EventTable) -> Result<Self> {
        // Who only reads is told by nobody when something becomes of parts.
        if !table.is_read_only()
            && let Some(view) = Self::as_opened(table)?
        {
            return Ok(view);
        }
        loop {
            let mut known = table.known()?;
            meanwhile::run(Moment::TableKnown);
            let coming = known.coming.take();
            if let Some(coming) = &coming
                && table.has_come(coming, known.seq)?
            {
                known.delete(coming);
            }
            let view = Self::as_known(table, &known, coming.is_none())?;
            // Where it is told whether that has come may be gone as well.
            let is_told = coming.is_none() || table.generation() == Some(known.generation);
            if let Some(view) = view.filter(|_| is_told) {
                return Ok(view);
            }
        }
    }

    /// By parts that were opened for a view before; `None` if these are out of date.
    fn as_opened(table: &'t EventTable) -> Result<Option<Self>> {
        let (core, keyspace) = table.space().parts();
        keyspace.check_alive()?;
        let shape = table.shape();
        let Some(opened) = shape.opened() else { return Ok(None) };
        let mut known = None;
        if !shape.has_no_fresh(opened.generation) {
            let now = table.known()?;
            if now.generation != opened.generation {
                return Ok(None);
            }
            known = Some(now);
        }
        meanwhile::run(Moment::TableKnown);
        let Some(guards) = opened.guards(&core.journal) else { return Ok(None) };
        meanwhile::run(Moment::PartsLookedUp);
        let mut fresh = Vec::new();
        if let Some(known) = known {
            let has_all = Self::add_fresh(table, &known, &opened, &mut fresh)?;
            if !has_all && table.generation() != Some(known.generation) {
                return Ok(None);
            }
        }
        Ok(Some(Self::new(table, opened, guards, fresh)))
    }

    fn new(
        table: &'t EventTable,
        opened: Arc<Opened>,
        guards: Vec<SegmentGuard<'t>>,
        fresh: Vec<Arc<FreshBatch>>,
    ) -> Self {
        let lost = opened.lost.clone();
        Self { opened, guards, fresh, lost, is_without_damage: false, table }
    }

    /// What there is of what is known; `None` if that is out of date. Where it is settled, others may have what was opened.
    fn as_known(table: &'t EventTable, known: &Known, is_settled: bool) -> Result<Option<Self>> {
        let (mut opened, mut guards) = (Opened::new(known), Vec::new());
        let mut merged = HashSet::new();
        let mut missed_parts = Vec::new();
        let lowest_fresh = known.fresh.iter().map(|one| one.number).min();
        for place in known.parts.iter() {
            let found = table.find_part(place)?;
            meanwhile::run(Moment::PartSought);
            let Some(found) = found else {
                missed_parts.push(place);
                continue;
            };
            let replaces = place.replaces.iter().copied();
            opened.replaced.extend(
                replaces.filter(|number| lowest_fresh.is_some_and(|lowest| *number >= lowest)),
            );
            merged.extend(place.merges.iter().copied());
            match found {
                FoundPart::Whole(PartAt { hit, head, .. }) => {
                    let range = hit.record.value;
                    opened.add((place, head), hit.guard, range, &mut guards);
                }
                FoundPart::Lost(lost) => opened.lost.push(lost),
            }
        }
        opened.parts.retain(|part| !merged.contains(&part.place.number));
        opened.lost.retain(|lost| !merged.iter().any(|number| lost.is_part(*number)));
        missed_parts.retain(|place| !merged.contains(&place.number));
        meanwhile::run(Moment::PartsLookedUp);
        let mut fresh = Vec::with_capacity(known.fresh.len());
        let has_all = Self::add_fresh(table, known, &opened, &mut fresh)?;
        let is_part_missed = !missed_parts.is_empty();
        // What was missed is not committed yet, or gone, or became something else. In the last case that is there now.
        // Who only reads knows of nothing that was not committed.
        if !has_all || is_part_missed {
            if table.is_read_only() {
                return Ok(None);
            }
            for place in missed_parts {
                if table.find_part(place)?.is_some() {
                    return Ok(None);
                }
            }
            if table.generation() != Some(known.generation) {
                return Ok(None);
            }
            // Parts are dropped together: with one that is gone those may be gone that were found before.
            for part in opened.parts.iter().filter(|_| is_part_missed) {
                if table.find_part(&part.place)?.is_none() {
                    return Ok(None);
                }
            }
        }
        if let Some(lifetime) = table.lifetime(known) {
            leave_out_over(table, lifetime, (&mut opened, &guards), &mut fresh)?;
            return Ok(Some(Self::new(table, Arc::new(opened), guards, fresh)));
        }
        let opened = Arc::new(opened);
        if is_settled && !is_part_missed && !table.is_read_only() {
            table.shape().keep(&opened);
        }
        Ok(Some(Self::new(table, opened, guards, fresh)))
    }

    /// Adds the fresh batches that are known and in none of the parts; `false` if some are not there.
    fn add_fresh(
        table: &EventTable,
        known: &Known,
        opened: &Opened,
        fresh: &mut Vec<Arc<FreshBatch>>,
    ) -> Result<bool> {
        let mut has_all = true;
        for one in known.fresh.iter().filter(|one| !opened.replaced.contains(&one.number)) {
            let batch = table.read_fresh(known, one)?;
            meanwhile::run(Moment::BatchSought);
            match batch {
                Some(batch) => fresh.push(batch),
                None => has_all = false,
            }
        }
        Ok(has_all)
    }

    /// The schema of the events.
    #[must_use]
    pub fn schema(&self) -> &Arc<Schema> {
        &self.opened.schema
    }

    /// How many events there are. Those that [cannot be read](Self::damages) are not counted.
    #[must_use]
    pub fn len(&self) -> u64 {
        let parts: u64 = (0..self.parts_count()).map(|at| self.live_rows(at)).sum();
        parts + self.fresh_len()
    }

    /// How many of a part's rows are there.
    pub(super) fn live_rows(&self, at: usize) -> u64 {
        self.opened.parts[at].place.live_rows(self.part(at))
    }

    /// Leaves out parts that are lost.
    pub(super) fn leave_out(&mut self, lost: Vec<Lost>) {
        if !lost.is_empty() {
            let is_kept = |number| !lost.iter().any(|lost| lost.is_part(number));
            self.opened = Arc::new(self.opened.only(is_kept));
            self.lost.extend(lost);
        }
    }

    /// Where a part lies.
    pub(super) fn place_of(&self, number: u64) -> Option<(&SegmentGuard<'t>, u32)> {
        let part = self.opened.parts.iter().find(|part| part.place.number == number)?;
        Some(part.place(&self.guards))
    }

    pub(super) fn table(&self) -> &'t EventTable {
        self.table
    }

    /// How many of them are in no part yet.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::Database;
    /// use annals_columns::Schema;
    ///
    /// #[derive(Schema)]
    /// #[schema(schema_id = 1, crate = annals_columns)]
    /// struct Tick {
    ///     #[ts]
    ///     at: i64,
    /// }
    ///
    /// let db = Database::open_in_memory()?;
    /// let ticks = db.table_of::<Tick>("ticks")?;
    /// ticks.append(&Tick { at: 1 })?;
    /// assert_eq!(ticks.view()?.fresh_len(), 1);
    /// ticks.flush()?;
    /// let view = ticks.view()?;
    /// assert_eq!((view.len(), view.fresh_len(), view.parts_count()), (1, 0, 1));
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn fresh_len(&self) -> u64 {
        self.fresh.iter().map(|batch| batch.len() as u64).sum()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many parts there are.
    #[must_use]
    pub fn parts_count(&self) -> usize {
        self.opened.parts.len()
    }

    /// The bytes of all parts.
    pub(super) fn parts_bytes(&self) -> u64 {
        self.opened.parts.iter().map(OpenedPart::bytes_count).sum()
    }

    /// What the events of the parts come to by day.
    pub(super) fn rollups_of_parts(&self) -> impl Iterator<Item = &Rollups> {
        self.opened.parts.iter().map(|part| &part.place.rollups)
    }

    /// What several parts come to together by day.
    pub(super) fn merged_days(&self) -> &MergedDays {
        &self.table.shape().merged_days
    }

    /// The parts.
    pub(super) fn parts(&self) -> impl ExactSizeIterator<Item = PartView<'_>> {
        (0..self.opened.parts.len()).map(|at| self.part(at))
    }

    /// A part.
    pub(super) fn part(&self, at: usize) -> PartView<'_> {
        self.opened.parts[at].view(&self.guards)
    }

    /// What tells the time.
    pub(super) fn disk(&self) -> &Arc<dyn Disk> {
        self.table.disk()
    }

    /// Begins a question about what the events come to.
    pub fn query(&self) -> TableQuery<'_> {
        TableQuery::new(self, Limits::default().with_threads(self.table.query_threads()))
    }

    /// How many events a filter means.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::Database;
    /// use annals_columns::Schema;
    ///
    /// #[derive(Schema)]
    /// #[schema(schema_id = 1, crate = annals_columns)]
    /// struct Request {
    ///     #[ts]
    ///     at: i64,
    ///     #[status]
    ///     status: u16,
    /// }
    ///
    /// let db = Database::open_in_memory()?;
    /// let requests = db.table_of::<Request>("requests")?;
    /// requests.append(&Request { at: 1, status: 200 })?;
    /// requests.append(&Request { at: 2, status: 503 })?;
    /// assert_eq!(requests.view()?.count(Request::filter().status_ge(500))?, 1);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`TableQuery::run`].
    pub fn count(&self, filter: impl Into<BoundFilter>) -> Result<u64> {
        Ok(self.query().filter(filter).run()?.total()?.rows())
    }

    /// The parts, and which of their rows were deleted.
    pub(super) fn parts_with_deleted(
        &self,
    ) -> impl ExactSizeIterator<Item = (PartView<'_>, Option<RowSet<'_>>)> {
        let deleted = self.opened.parts.iter().map(|part| part.place.deleted.as_ref());
        self.parts().zip(deleted).map(|(part, deleted)| (part, deleted.map(|rows| rows.set())))
    }

    /// The newest events, the newest first; of the same time the one that came last.
    ///
    /// # Errors
    /// Damage to a part, with its section and offset.
    pub fn recent(&self, count: usize) -> Result<FoundRows<'_>> {
        self.scan(&Scan::new().newest_first().limit(count))
    }

    /// The events that a scan asks for.
    ///
    /// # Errors
    /// Damage to a part, with its section and offset.
    pub fn scan(&self, scan: &Scan) -> Result<FoundRows<'_>> {
        scan.run(self)
    }

    /// The event with this id; of several the one that came last. None if events have no id.
    ///
    /// # Errors
    /// Damage to a part, with its section and offset.
    pub fn event(&self, id: &str) -> Result<Option<FoundRows<'_>>> {
        self.find_event(id).map_err(|error| self.named(error))
    }

    fn find_event(&self, id: &str) -> Result<Option<FoundRows<'_>>> {
        // A part that is lost is older than what is fresh.
        if let Some(lost) = self.lost().find(|lost| !matches!(lost.piece, Piece::Part(_))) {
            return Err(lost.damage.error.clone());
        }
        // What is fresh came after what is in parts.
        let fresh = self.fresh.iter().enumerate().filter_map(|(at, batch)| {
            let row = batch.find_id(id)?;
            Some((batch.arrival(row), at, row))
        });
        if let Some((_, at, row)) = fresh.max() {
            return Ok(Some(FoundRows::of_fresh(self, at, row)));
        }
        if self.schema().event_id().is_none() {
            return Ok(None);
        }
        self.check(ALWAYS)?;
        let mut found = Vec::new();
        PartView::find_id_in(self.parts(), id, |at, row| {
            let deleted = self.opened.parts[at].place.deleted.as_ref();
            if !deleted.is_some_and(|deleted| deleted.set().contains(row)) {
                found.push((at, row));
            }
        })?;
        let newest = match found.as_slice() {
            [] => None,
            [one] => Some(*one),
            // Rows are in the order of their times, and the last of them may have come first.
            all => {
                let mut newest: Option<(u64, (usize, u32))> = None;
                for one in all {
                    let arrival = self.part(one.0).arrival(one.1)?;
                    if newest.is_none_or(|(latest, _)| latest < arrival) {
                        newest = Some((arrival, *one));
                    }
                }
                newest.map(|(_, one)| one)
            }
        };
        newest.map(|(at, row)| FoundRows::of_part(self, self.part(at), row)).transpose()
    }

    /// What all numbers of a field come to, named by a method of a Rust type, by what it is called, or by its index; `None`
    /// if it is a string. Costs no look at any event that is in a part.
    ///
    /// # Errors
    /// `InvalidInput` if there is no such field.
    pub fn totals(&self, field: impl ToMeasure) -> Result<Option<Totals>> {
        self.totals_of_field(field.field_in(self.schema())?)
    }

    fn totals_of_field(&self, field: usize) -> Result<Option<Totals>> {
        self.find_totals(field).map_err(|error| self.named(error))
    }

    fn find_totals(&self, field: usize) -> Result<Option<Totals>> {
        let mut all = Totals { count: 0, sum: 0, float_sum: 0.0 };
        let count = self.schema().fields().len();
        if field == ABSENT_FIELD {
            return Ok(Some(all));
        }
        if field >= count {
            return Err(annals_columns::Error::NoField { index: field, count }.into());
        }
        self.check(ALWAYS)?;
        for (part, deleted) in self.parts_with_deleted() {
            // What the part says of itself is about all of its rows and its own fields.
            let totals = match deleted {
                None if part.schema() == self.schema() => part.totals(field)?,
                deleted => self.totals_without(part, deleted, field)?,
            };
            let Some(totals) = totals else { return Ok(None) };
            all.count += totals.count;
            all.sum += totals.sum;
            all.float_sum += totals.float_sum;
        }
        for batch in &self.fresh {
            for row in 0..batch.len() {
                match batch.batch.value(row, field) {
                    Value::Absent => continue,
                    Value::I64(number) => all.sum += i128::from(number),
                    Value::U64(number) => all.sum += i128::from(number),
                    Value::F64(number) => all.float_sum += number,
                    Value::Text(_) => return Ok(None),
                }
                all.count += 1;
            }
        }
        let is_text = self.schema().fields()[field].value_type() == ValueType::Text;
        Ok((!is_text).then_some(all))
    }
    /// What the numbers of a field of a part come to, without some rows.
    fn totals_without(
        &self,
        part: PartView<'_>,
        deleted: Option<RowSet<'_>>,
        field: usize,
    ) -> Result<Option<Totals>> {
        if self.schema().fields()[field].value_type() == ValueType::Text {
            return Ok(None);
        }
        let mut answer = Query::new(Arc::clone(self.schema())).measure(field).answer()?;
        answer.add(part, deleted)?;
        let all = answer.groups();
        let measured = all.first().and_then(|group| group.measured.first());
        Ok(measured.map(|measured| {
            let (count, sum, float_sum) = (measured.count, measured.sum, measured.float_sum);
            Totals { count, sum, float_sum }
        }))
    }
}

/// Leaves out what is over.
fn leave_out_over(
    table: &EventTable,
    mut lifetime: Lifetime,
    (opened, guards): (&mut Opened, &[SegmentGuard<'_>]),
    fresh: &mut Vec<Arc<FreshBatch>>,
) -> Result<()> {
    for mut part in std::mem::take(&mut opened.parts) {
        let found = lifetime.of_part(&part.place, part.view(guards));
        match found.map_err(|error| part.named(table.name(), guards, error)) {
            Ok(Some(place)) => {
                part.place = place;
                opened.parts.push(part);
            }
            Ok(None) => {}
            // Which of its events are over cannot be told, and they must not come back.
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                let view = part.view(guards);
                let events_count = Some(part.place.live_rows(view));
                let damage = TableDamage { events_count, times: view.time_range()?, error };
                opened.lost.push(Lost { piece: Piece::Part(part.place.number), damage });
            }
            Err(error) => return Err(error),
        }
    }
    let first = lifetime.first_ns();
    opened.lost.retain(|lost| lost.may_have((first, i64::MAX)));
    for batch in std::mem::take(fresh) {
        fresh.extend(lifetime.of_batch(&batch)?);
    }
    lifetime.note(table.core());
    Ok(())
}

impl EventTable {
    /// A fresh batch, if it was committed when the table was known so, and no part has it yet.
    pub(super) fn read_fresh(&self, known: &Known, one: &Fresh) -> Result<Option<Arc<FreshBatch>>> {
        if let Some(read) = one.known() {
            return Ok((read.seq() <= known.seq).then(|| Arc::clone(read)));
        }
        let Some(hit) = self.space().hit(&keys::fresh(one.number))? else { return Ok(None) };
        if hit.record.seq > known.seq {
            return Ok(None);
        }
        let (at, len) = hit.record.value;
        one.read(known, hit.guard.bytes(at, len), hit.record.seq).map(Some)
    }
}
