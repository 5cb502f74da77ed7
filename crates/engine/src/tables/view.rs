//! What a table has at one moment.

use super::{
    fresh::{Fresh, FreshBatch},
    keys,
    places::PartPlace,
    rows::FoundRows,
    scan::Scan,
    shape::Known,
    table::EventTable,
};
use crate::{Guard, Result};
use annals_columns::{PartHead, PartView, Schema, Totals, Value};
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
/// assert_eq!(view.totals(1)?.expect("numbers").sum, 612);
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Debug)]
pub struct TableView<'t> {
    schema: Arc<Schema>,
    parts: Vec<Opened<'t>>,
    pub(super) fresh: Vec<Arc<FreshBatch>>,
}

/// A part and what holds it.
#[derive(Debug)]
struct Opened<'t> {
    bytes: Guard<'t>,
    head: Arc<PartHead>,
}

impl<'t> TableView<'t> {
    pub(super) fn of(table: &'t EventTable) -> Result<Self> {
        loop {
            let known = table.known()?;
            if let Some(view) = Self::as_known(table, &known)? {
                return Ok(view);
            }
        }
    }

    /// What there is of what is known; `None` if that is out of date.
    fn as_known(table: &'t EventTable, known: &Known) -> Result<Option<Self>> {
        let mut parts = Vec::with_capacity(known.parts.len());
        let mut replaced = HashSet::new();
        for place in known.parts.iter() {
            if let Some(opened) = Self::open(table, place)? {
                replaced.extend(place.replaces.iter().copied());
                parts.push(opened);
            }
        }
        let mut fresh = Vec::with_capacity(known.fresh.len());
        for one in known.fresh.iter().filter(|one| !replaced.contains(&one.number)) {
            match Self::read(table, &known.schema, one)? {
                Some(batch) => fresh.push(batch),
                // It may have become a part since. Who only reads knows of none that are not committed, so there
                // it has.
                None if table.is_read_only() || table.generation() != Some(known.generation) => {
                    return Ok(None);
                }
                // It is not committed yet.
                None => {}
            }
        }
        let schema = Arc::clone(&known.schema);
        Ok(Some(Self { schema, parts, fresh }))
    }

    /// The part at a place, if it is there.
    fn open(table: &'t EventTable, place: &PartPlace) -> Result<Option<Opened<'t>>> {
        let Some(hit) = table.space().hit(&keys::part(place.number))? else { return Ok(None) };
        let head = place.head(table.database_id(), &hit)?;
        Ok(Some(Opened { bytes: hit.into_value(), head }))
    }

    /// A fresh batch, if it is committed and no part has it yet.
    fn read(
        table: &EventTable,
        schema: &Arc<Schema>,
        one: &Fresh,
    ) -> Result<Option<Arc<FreshBatch>>> {
        if let Some(known) = one.known() {
            return Ok(Some(Arc::clone(known)));
        }
        let Some(hit) = table.space().hit(&keys::fresh(one.number))? else { return Ok(None) };
        let (at, len) = hit.record.value;
        one.read(schema, hit.guard.bytes(at, len), hit.record.seq).map(Some)
    }

    /// The schema of the events.
    #[must_use]
    pub fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// How many events there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        let parts: usize = self.parts().map(|part| part.rows_count()).sum();
        let fresh: usize = self.fresh.iter().map(|batch| batch.len()).sum();
        (parts + fresh) as u64
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.fresh.is_empty()
    }

    /// How many parts there are.
    #[must_use]
    pub fn parts_count(&self) -> usize {
        self.parts.len()
    }

    /// The parts.
    pub(super) fn parts(&self) -> impl ExactSizeIterator<Item = PartView<'_>> {
        // The head was read from these bytes.
        self.parts.iter().map(|part| part.head.view(&part.bytes).expect("of the head's length"))
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
        // What is fresh came after what is in parts.
        let fresh = self.fresh.iter().enumerate().filter_map(|(at, batch)| {
            let row = batch.find_id(id)?;
            Some((batch.first_arrival + u64::from(row), at, row))
        });
        if let Some((_, at, row)) = fresh.max() {
            return Ok(Some(FoundRows::of_fresh(self, at, row)));
        }
        let mut newest: Option<(u64, PartView<'_>, u32)> = None;
        if self.schema.event_id().is_none() {
            return Ok(None);
        }
        for part in self.parts() {
            let Some(row) = part.find_id(id)? else { continue };
            let arrival = part.arrival(row)?;
            if newest.as_ref().is_none_or(|(latest, ..)| *latest < arrival) {
                newest = Some((arrival, part, row));
            }
        }
        newest.map(|(_, part, row)| FoundRows::of_part(self, part, row)).transpose()
    }

    /// What all numbers of a field come to; `None` if it is a string. Costs no look at any event that is in a
    /// part.
    ///
    /// # Errors
    /// `InvalidInput` if there is no such field.
    pub fn totals(&self, field: usize) -> Result<Option<Totals>> {
        let mut all = Totals { count: 0, sum: 0, float_sum: 0.0 };
        let count = self.schema.fields().len();
        if field >= count {
            return Err(annals_columns::Error::NoField { index: field, count }.into());
        }
        for part in self.parts() {
            let Some(totals) = part.totals(field)? else { return Ok(None) };
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
        let is_text = self.schema.fields()[field].value_type() == annals_columns::ValueType::Text;
        Ok((!is_text).then_some(all))
    }
}
