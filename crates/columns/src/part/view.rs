//! Reading a part where it lies.

use super::{
    CHUNK_ROWS, PartIdentity, RowSet, Rows,
    column::NumberColumn,
    day_sums::DaySumsMeta,
    dictionary::Dictionary,
    filter,
    frame::{self, PartOutline, Section, damaged, sum_of},
    image,
    meta::{ColumnMeta, Columns, DictionaryMeta, NumberMeta},
    zones::Sums,
};
use crate::{Error, Result, Schema, Value, ValueType, number};
use std::sync::{
    Arc,
    atomic::{AtomicU8, Ordering},
};

/// A part that is open for reading, and what it is kept in: a vector, or a map of a file. Any number of threads may
/// read at once.
#[derive(Debug)]
pub struct Part<B> {
    storage: B,
    head: PartHead,
}

/// What a part says of itself, without its bytes: for who does not have them in one place all the time.
#[derive(Debug)]
pub struct PartHead(Meta);

#[derive(Debug)]
struct Meta {
    identity: PartIdentity,
    seed: u32,
    len: usize,
    rows: usize,
    sections: Vec<Section>,
    /// Of each section whether its checksum was verified, and maybe more than that.
    states: Vec<AtomicU8>,
    schema: Arc<Schema>,
    columns: Columns,
    /// What is wrong with the header.
    damage: Option<Error>,
}

const UNKNOWN: u8 = 0;
const RIGHT: u8 = 1;
/// Its checksum is right, and so is what it says of itself and refers to in other sections.
const SOUND: u8 = 2;

impl<B: AsRef<[u8]>> Part<B> {
    /// Opens a part for reading. Header, footer and directory are checked here, sections when they are first touched.
    ///
    /// # Errors
    /// [`Error::NotAPart`], [`Error::Version`], [`Error::ByteOrder`] or [`Error::OtherPart`] if these bytes are not
    /// what is expected; [`Error::Damaged`], also if they are cut off.
    pub fn open(storage: B, expected: PartIdentity) -> Result<Self> {
        let head = PartHead::read(storage.as_ref(), expected)?;
        Ok(Self { storage, head })
    }

    /// The part to be read. The storage has to give the same bytes each time.
    #[inline]
    #[must_use]
    pub fn view(&self) -> PartView<'_> {
        PartView { bytes: self.storage.as_ref(), meta: &self.head.0 }
    }
}

impl PartHead {
    /// Reads and checks header, footer and directory.
    ///
    /// # Errors
    /// As [`Part::open`].
    pub fn read(bytes: &[u8], expected: PartIdentity) -> Result<Self> {
        let opened = frame::open(bytes, expected)?;
        let columns = Columns::decode(opened.columns).ok_or_else(|| {
            let what = "what it says of the columns makes no sense";
            damaged(expected.number, "directory", opened.columns_at, what)
        })?;
        Ok(Self(Meta {
            identity: expected,
            seed: expected.seed(),
            len: bytes.len(),
            rows: opened.rows,
            states: opened.sections.iter().map(|_| AtomicU8::new(UNKNOWN)).collect(),
            sections: opened.sections,
            damage: opened.damage,
            schema: Arc::new(columns.schema.clone()),
            columns,
        }))
    }

    /// With this schema instead of its own, if they are equal: those of all parts of a table are one then, which is told
    /// without a look at any field.
    ///
    /// ```
    /// use annals_columns::{Batch, PartBuilder, PartHead, PartIdentity, Role, Schema};
    /// use std::sync::Arc;
    /// let schema = Arc::new(Schema::builder(1).with("at", Role::Ts).build()?);
    /// let mut batch = Batch::new(Arc::clone(&schema));
    /// let mut row = batch.row();
    /// row.i64(0, 7)?;
    /// row.finish()?;
    /// let id = PartIdentity { database_id: 7, number: 1 };
    /// let mut builder = PartBuilder::new(Arc::clone(&schema), id);
    /// builder.add(&batch, 0)?;
    /// let bytes = builder.finish()?;
    ///
    /// let head = PartHead::read(&bytes, id)?.sharing_schema(&schema);
    /// assert!(Arc::ptr_eq(head.view(&bytes).expect("the same bytes").schema(), &schema));
    /// # Ok::<(), annals_columns::Error>(())
    /// ```
    #[must_use]
    pub fn sharing_schema(mut self, schema: &Arc<Schema>) -> Self {
        if self.0.schema == *schema {
            self.0.schema = Arc::clone(schema);
        }
        self
    }

    /// What a part says of itself in front of everything else, for a part that cannot be [read](Self::read): how many
    /// events are concerned, and of which times. `None` if that is damaged as well.
    #[must_use]
    pub fn outline(bytes: &[u8], expected: PartIdentity) -> Option<PartOutline> {
        frame::check_header(bytes, expected).ok()
    }

    /// The part to be read, in these bytes; `None` if they are of another length. They have to be those that the
    /// head was read from: what was verified once is not verified again.
    ///
    /// ```
    /// use annals_columns::{Batch, PartBuilder, PartHead, PartIdentity, Role, Schema};
    /// use std::sync::Arc;
    /// let schema = Arc::new(Schema::builder(1).with("at", Role::Ts).build()?);
    /// let mut batch = Batch::new(Arc::clone(&schema));
    /// let mut row = batch.row();
    /// row.i64(0, 7)?;
    /// row.finish()?;
    /// let id = PartIdentity { database_id: 7, number: 1 };
    /// let mut builder = PartBuilder::new(schema, id);
    /// builder.add(&batch, 0)?;
    /// let bytes = builder.finish()?;
    ///
    /// let head = PartHead::read(&bytes, id)?;
    /// let part = head.view(&bytes).expect("the same bytes");
    /// assert_eq!(part.time_range()?, Some((7, 7)));
    /// # Ok::<(), annals_columns::Error>(())
    /// ```
    #[inline]
    #[must_use]
    pub fn view<'p>(&'p self, bytes: &'p [u8]) -> Option<PartView<'p>> {
        (bytes.len() == self.0.len).then_some(PartView { bytes, meta: &self.0 })
    }
}

/// A part that is being read. Rows are counted from 0 on, in the order of their times.
#[derive(Clone, Copy, Debug)]
pub struct PartView<'p> {
    bytes: &'p [u8],
    meta: &'p Meta,
}

/// What all numbers of a field come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Totals {
    /// How many rows have one.
    pub count: u64,
    /// Their sum, exact; of numbers with fractions 0.
    pub sum: i128,
    /// The sum of numbers with fractions; of whole ones 0.
    pub float_sum: f64,
}

impl<'p> PartView<'p> {
    /// Which part it is.
    #[must_use]
    pub fn identity(&self) -> PartIdentity {
        self.meta.identity
    }

    /// The schema that its events were written with.
    #[must_use]
    pub fn schema(&self) -> &'p Arc<Schema> {
        &self.meta.schema
    }

    /// How many rows it has, at least one.
    #[must_use]
    pub fn rows_count(&self) -> usize {
        self.meta.rows
    }

    pub(crate) fn chunks_count(&self) -> usize {
        self.meta.rows.div_ceil(CHUNK_ROWS)
    }

    pub(super) fn columns(&self) -> &'p [ColumnMeta] {
        &self.meta.columns.columns
    }

    pub(super) fn day_sums_metas(&self) -> &'p [DaySumsMeta] {
        &self.meta.columns.day_sums
    }

    /// The length in bytes of each section, and what it is, for people.
    pub fn sections(&self) -> impl Iterator<Item = (usize, String)> + use<'p> {
        let view = *self;
        let lens = view.meta.sections.iter().map(|section| section.len);
        lens.enumerate().map(move |(ordinal, len)| (len, view.name_of(ordinal as u32)))
    }

    /// What is wrong with the header, where the footer took its place.
    pub(super) fn header_damage(&self) -> Option<&'p Error> {
        self.meta.damage.as_ref()
    }

    pub(super) fn sections_count(&self) -> usize {
        self.meta.sections.len()
    }

    /// The column that says in which order rows came.
    pub(super) fn arrivals(&self) -> &'p NumberMeta {
        &self.meta.columns.arrival
    }

    /// A section, verified once.
    #[inline]
    pub(super) fn section(&self, ordinal: u32) -> Result<&'p [u8]> {
        let at = ordinal as usize;
        if let (Some(section), Some(state)) = (self.meta.sections.get(at), self.meta.states.get(at))
            && state.load(Ordering::Relaxed) >= RIGHT
            && let Some(bytes) = self.bytes.get(section.offset..section.offset + section.len)
        {
            return Ok(bytes);
        }
        self.first_touch(at)
    }

    #[cold]
    pub(super) fn first_touch(&self, at: usize) -> Result<&'p [u8]> {
        let Some(section) = self.meta.sections.get(at) else {
            let what = "it names a section that is not there";
            return Err(damaged(self.identity().number, "directory", 0, what));
        };
        let end = section.offset + section.len;
        let bytes = self.bytes.get(section.offset..end);
        let bytes = bytes.filter(|bytes| sum_of(self.meta.seed, at, bytes) == section.sum);
        let bytes =
            bytes.ok_or_else(|| self.contradicts(at as u32, "its checksum does not match"))?;
        self.meta.states[at].store(RIGHT, Ordering::Relaxed);
        Ok(bytes)
    }

    /// Whether somebody [noted](Self::note_sound) that a section makes sense.
    pub(super) fn is_sound(&self, ordinal: u32) -> bool {
        let state = self.meta.states.get(ordinal as usize);
        state.is_some_and(|state| state.load(Ordering::Relaxed) == SOUND)
    }

    /// Notes that a section makes sense, by a look at all of it.
    pub(super) fn note_sound(&self, ordinal: u32) {
        if let Some(state) = self.meta.states.get(ordinal as usize) {
            state.store(SOUND, Ordering::Relaxed);
        }
    }

    /// An error about a section.
    #[cold]
    pub(super) fn contradicts(&self, ordinal: u32, what: &'static str) -> Error {
        let offset = self.meta.sections.get(ordinal as usize).map_or(0, |section| section.offset);
        damaged(self.identity().number, &self.name_of(ordinal), offset, what)
    }

    /// What a section is, for people.
    fn name_of(&self, ordinal: u32) -> String {
        let numbers = |meta: &NumberMeta| {
            if meta.present == Some(ordinal) {
                Some("present rows")
            } else if meta.chunks == ordinal {
                Some("chunks")
            } else if meta.zones == ordinal {
                Some("zones")
            } else {
                self.is_page(meta.pages, ordinal).then_some("page")
            }
        };
        if let Some(kind) = numbers(&self.meta.columns.arrival) {
            return format!("{kind} of the order of arrival");
        }
        for (field, column) in self.meta.schema.fields().iter().zip(self.columns()) {
            let found = match column {
                ColumnMeta::Nothing => None,
                ColumnMeta::Numbers(meta, row_sets) => {
                    if *row_sets == Some(ordinal) {
                        Some("rows by value")
                    } else {
                        numbers(meta)
                    }
                }
                ColumnMeta::Codes(meta, dictionary) => {
                    if dictionary.texts == ordinal {
                        Some("dictionary")
                    } else if dictionary.filter == Some(ordinal) {
                        Some("filter")
                    } else if dictionary.postings == Some(ordinal) {
                        Some("rows by value")
                    } else {
                        numbers(meta)
                    }
                }
                ColumnMeta::Texts(meta) => {
                    if meta.present == Some(ordinal) {
                        Some("present rows")
                    } else if meta.chunks == ordinal {
                        Some("chunks")
                    } else if meta.id_index == Some(ordinal) {
                        Some("index")
                    } else {
                        self.is_page(meta.pages, ordinal).then_some("page")
                    }
                }
            };
            if let Some(kind) = found {
                return format!("{kind} of `{}`", field.name());
            }
        }
        if let Some(sums) = self.day_sums_metas().iter().find(|sums| sums.section == ordinal) {
            let name = |field: &u32| self.meta.schema.fields()[*field as usize].name();
            let names: Vec<&str> = sums.dimensions.iter().map(name).collect();
            return format!("sums by day of `{}`", names.join("`, `"));
        }
        format!("section {ordinal}")
    }

    fn is_page(&self, first: u32, ordinal: u32) -> bool {
        let pages_count = self.chunks_count().div_ceil(super::PAGE_CHUNKS) as u32;
        ordinal.checked_sub(first).is_some_and(|at| at < pages_count)
    }

    pub(super) fn check_rows(&self, rows: &[u32]) -> Result<()> {
        let count = self.meta.rows;
        match rows.iter().find(|row| **row as usize >= count) {
            Some(row) => Err(Error::NoRow { row: *row, count }),
            None => Ok(()),
        }
    }

    pub(super) fn number_column(&self, meta: &'p NumberMeta) -> Result<NumberColumn<'p>> {
        NumberColumn::new(*self, meta)
    }

    pub(super) fn dictionary(&self, meta: &DictionaryMeta) -> Result<Dictionary<'p>> {
        Dictionary::new(self.section(meta.texts)?, meta.count as usize)
            .ok_or_else(|| self.contradicts(meta.texts, "it has another count of strings"))
    }

    /// A dictionary of which all strings are there. Looks at all of them, once.
    pub(super) fn sound_dictionary(&self, meta: &DictionaryMeta) -> Result<Dictionary<'p>> {
        let dictionary = self.dictionary(meta)?;
        if !self.is_sound(meta.texts) {
            if !dictionary.is_sound() {
                return Err(self.contradicts(meta.texts, "it has what are no strings"));
            }
            self.note_sound(meta.texts);
        }
        Ok(dictionary)
    }

    pub(super) fn row_set(&self, ordinal: Option<u32>) -> Result<Option<RowSet<'p>>> {
        let Some(ordinal) = ordinal else { return Ok(None) };
        let set = RowSet::new(self.section(ordinal)?);
        Ok(Some(set.ok_or_else(|| self.contradicts(ordinal, "a set of rows makes no sense"))?))
    }

    pub(super) fn column(&self, field: usize) -> Result<&'p ColumnMeta> {
        let columns = self.columns();
        columns.get(field).ok_or(Error::NoField { index: field, count: columns.len() })
    }

    /// Whole rows, in the order in which they are asked for.
    ///
    /// # Errors
    /// [`Error::NoRow`] or [`Error::Damaged`].
    pub fn rows(&self, rows: &[u32]) -> Result<Rows<'p>> {
        Rows::read(*self, rows, None)
    }

    /// As [`rows`](Self::rows), of some fields only: those that `wanted` has `true` for. The others read as absent.
    pub(crate) fn rows_of_fields(&self, rows: &[u32], wanted: &[bool]) -> Result<Rows<'p>> {
        Rows::read(*self, rows, Some(wanted))
    }

    /// When the event of a row came, compared with others ([`PartBuilder::add`](super::PartBuilder::add)).
    ///
    /// # Errors
    /// [`Error::NoRow`] or [`Error::Damaged`].
    pub fn arrival(&self, row: u32) -> Result<u64> {
        self.check_rows(&[row])?;
        let column = self.number_column(&self.meta.columns.arrival)?;
        Ok(column.image(column.get(row)?))
    }

    /// When the event of a row happened; 0 if events have no time.
    ///
    /// # Errors
    /// [`Error::NoRow`] or [`Error::Damaged`].
    pub fn time(&self, row: u32) -> Result<i64> {
        self.check_rows(&[row])?;
        let Some(column) = self.times()? else { return Ok(0) };
        Ok(image::to_i64(column.image(column.get(row)?)))
    }

    /// The column of the times.
    pub(super) fn times(&self) -> Result<Option<NumberColumn<'p>>> {
        let Some(field) = self.meta.schema.ts() else { return Ok(None) };
        match self.column(field)? {
            ColumnMeta::Numbers(meta, _) => Ok(Some(self.number_column(meta)?)),
            _ => Ok(None),
        }
    }

    /// The first and the last time; `None` if events have none.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn time_range(&self) -> Result<Option<(i64, i64)>> {
        let Some(field) = self.meta.schema.ts() else { return Ok(None) };
        // The directory says it: where the times themselves are damaged, it still shows which these are.
        let ColumnMeta::Numbers(times, _) = self.column(field)? else { return Ok(None) };
        Ok(Some((image::to_i64(times.image(0)), image::to_i64(times.image(times.top)))))
    }

    /// The first row whose time is `ts` or later; the count of rows if there is none, or if events have no time.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn first_since(&self, ts: i64) -> Result<u32> {
        let rows = self.meta.rows as u32;
        let Some(times) = self.times()? else { return Ok(rows) };
        let Some(sought) = times.at_least(image::of_i64(ts)) else { return Ok(rows) };
        let zones = times.zones(Sums::Whole)?;
        let (mut low, mut high) = (0, self.chunks_count());
        while low < high {
            let middle = low + (high - low) / 2;
            if zones.max(middle) < sought { low = middle + 1 } else { high = middle }
        }
        if low == self.chunks_count() {
            return Ok(rows);
        }
        let chunk = times.chunk(low)?;
        let (mut from, mut to) =
            (0, self.meta.rows.saturating_sub(low * CHUNK_ROWS).min(CHUNK_ROWS));
        while from < to {
            let middle = from + (to - from) / 2;
            if chunk.get(middle) < sought { from = middle + 1 } else { to = middle }
        }
        Ok((low * CHUNK_ROWS + from) as u32)
    }

    /// What all numbers of a field come to, without a look at any; `None` if it is a string.
    ///
    /// # Errors
    /// [`Error::NoField`].
    pub fn totals(&self, field: usize) -> Result<Option<Totals>> {
        let value_type = self.value_type(field)?;
        Ok(match self.column(field)? {
            ColumnMeta::Nothing if value_type != ValueType::Text => {
                Some(Totals { count: 0, sum: 0, float_sum: 0.0 })
            }
            ColumnMeta::Numbers(meta, _) => {
                let count = meta.present_count.into();
                if value_type == ValueType::F64 {
                    let float_sum = f64::from_bits(meta.sum as u64);
                    Some(Totals { count, sum: 0, float_sum })
                } else {
                    let base = i128::from(meta.base) - image::bias(value_type);
                    // What a part that is right says never overflows: 2^24 rows of 64 bits.
                    let kept = i128::from(meta.step).wrapping_mul(meta.sum.cast_signed());
                    let sum = base.wrapping_mul(count.into()).wrapping_add(kept);
                    Some(Totals { count: meta.present_count.into(), sum, float_sum: 0.0 })
                }
            }
            _ => None,
        })
    }

    pub(super) fn value_type(&self, field: usize) -> Result<ValueType> {
        let fields = self.meta.schema.fields();
        let found = fields.get(field).map(crate::Field::value_type);
        found.ok_or(Error::NoField { index: field, count: fields.len() })
    }

    /// The lowest and the highest number of a field; absent if no row has one, or if it is a string.
    ///
    /// # Errors
    /// [`Error::NoField`].
    pub fn bounds(&self, field: usize) -> Result<(Value<'static>, Value<'static>)> {
        let value_type = self.value_type(field)?;
        Ok(match self.column(field)? {
            ColumnMeta::Numbers(meta, _) => {
                let highest = meta.base.wrapping_add(meta.step.wrapping_mul(meta.top));
                (image::value(value_type, meta.base), image::value(value_type, highest))
            }
            _ => (Value::Absent, Value::Absent),
        })
    }

    /// The rows with this status; `None` if there are none, or if events have no status.
    ///
    /// # Errors
    /// [`Error::Damaged`].
    pub fn status_rows(&self, status: u16) -> Result<Option<RowSet<'p>>> {
        Ok(self.status_sets(status.into(), status.into())?.pop())
    }

    /// The rows of each status from `low` to `high`.
    pub(crate) fn status_sets(&self, low: u64, high: u64) -> Result<Vec<RowSet<'p>>> {
        let Some(field) = self.meta.schema.status() else { return Ok(Vec::new()) };
        let ColumnMeta::Numbers(_, Some(ordinal)) = self.column(field)? else {
            return Ok(Vec::new());
        };
        let broken = || self.contradicts(*ordinal, "it makes no sense");
        let bytes = self.section(*ordinal)?;
        let count = number::u32_at(bytes, 0).ok_or_else(broken)? as usize;
        let (values, _) = bytes.get(4..).ok_or_else(broken)?.as_chunks::<2>();
        let values = values.get(..count).ok_or_else(broken)?;
        let sets = bytes.get((4 + 2 * count).next_multiple_of(8)..).ok_or_else(broken)?;
        let value = |value: &[u8; 2]| u64::from(u16::from_le_bytes(*value));
        let first = values.partition_point(|one| value(one) < low);
        let chosen = values[first..].iter().take_while(|one| value(one) <= high);
        let places = first..first + chosen.count();
        places.map(|at| nth_set(sets, at).ok_or_else(broken)).collect()
    }

    /// The rows whose dimension has this value, where lists of rows are kept ([`Dimension::Bloom`]).
    ///
    /// # Errors
    /// [`Error::NoField`], [`Error::NotIndexed`] or [`Error::Damaged`].
    ///
    /// [`Dimension::Bloom`]: crate::Dimension::Bloom
    pub fn dimension_rows(&self, field: usize, text: &str) -> Result<Option<RowSet<'p>>> {
        let dictionary = match self.column(field)? {
            ColumnMeta::Codes(_, dictionary) if dictionary.postings.is_some() => dictionary,
            ColumnMeta::Nothing => return Ok(None),
            _ => {
                return Err(Error::NotIndexed {
                    field: self.meta.schema.fields()[field].name().to_owned(),
                });
            }
        };
        if let Some(ordinal) = dictionary.filter {
            let hash = filter::hash(self.meta.identity.database_id, text);
            if !filter::may_have(self.section(ordinal)?, hash) {
                return Ok(None);
            }
        }
        let Some(code) = self.dictionary(dictionary)?.find(text) else { return Ok(None) };
        let Some(ordinal) = dictionary.postings else { return Ok(None) };
        let set = nth_set(self.section(ordinal)?, code as usize);
        set.map(Some).ok_or_else(|| self.contradicts(ordinal, "it makes no sense"))
    }
}

/// One of several sets of rows, behind the places where they begin.
fn nth_set(bytes: &[u8], at: usize) -> Option<RowSet<'_>> {
    let place = number::u32_at(bytes, 4 * at)? as usize;
    RowSet::new(bytes.get(place..)?)
}
