//! Looking for an id in parts.
//!
//! In several parts a step of all of them is taken at a time: each step asks for the memory of the next one, so that no part
//! waits for that of another.

use super::{
    CHUNK_ROWS, PartView, filter, id_index::IdIndex, meta::ColumnMeta, meta::TextMeta, texts::Text,
};
use crate::{Result, part::rows::text_chunk};
use std::ops::Range;

/// So many parts are gone through side by side.
const SIDE_BY_SIDE: usize = 16;

/// The ids of a part, and which of its index may be the one that is sought.
#[derive(Clone, Copy)]
struct Ids<'p> {
    meta: &'p TextMeta,
    ordinal: u32,
    index: IdIndex<'p>,
    hash: u64,
}

/// A part that is gone through beside others.
struct Sought<'p> {
    at: usize,
    part: PartView<'p>,
    ids: Ids<'p>,
    /// Which entries of its index are looked at.
    bucket: Range<u32>,
}

impl<'p> PartView<'p> {
    /// The row of the event with this id; of several the last. `None` if there is none, or if events have no id.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged).
    pub fn find_id(&self, id: &str) -> Result<Option<u32>> {
        self.find_id_if(id, |_| true)
    }

    /// The last row of an event with this id for which `is_wanted` says so: it is asked about each such row from the
    /// last on, until it does.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged).
    pub fn find_id_if(
        &self,
        id: &str,
        mut is_wanted: impl FnMut(u32) -> bool,
    ) -> Result<Option<u32>> {
        let Some(ids) = self.ids(id)? else { return Ok(None) };
        self.find_among(&ids, ids.index.bucket(ids.hash), id, &mut is_wanted)
    }

    /// Gives each row of several parts whose event has this id: which of the parts it is, and the row there; of a part
    /// the last one first.
    ///
    /// ```
    /// use annals_columns::{Batch, Part, PartBuilder, PartIdentity, PartView, Role, Schema};
    /// use std::sync::Arc;
    /// let schema = Arc::new(Schema::builder(1).with("id", Role::Id).build()?);
    /// let mut parts = Vec::new();
    /// for (number, ids) in [(1, ["a", "b"]), (2, ["c", "a"])] {
    ///     let mut batch = Batch::new(Arc::clone(&schema));
    ///     for id in ids {
    ///         let mut row = batch.row();
    ///         row.text(0, id)?;
    ///         row.finish()?;
    ///     }
    ///     let id = PartIdentity { database_id: 7, number };
    ///     let mut builder = PartBuilder::new(Arc::clone(&schema), id);
    ///     builder.add(&batch, 0)?;
    ///     parts.push(Part::open(builder.finish()?, id)?);
    /// }
    /// let mut found = Vec::new();
    /// PartView::find_id_in(parts.iter().map(|part| part.view()), "a", |part, row| found.push((part, row)))?;
    /// assert_eq!(found, [(0, 0), (1, 1)]);
    /// # Ok::<(), annals_columns::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged).
    pub fn find_id_in(
        parts: impl Iterator<Item = Self>,
        id: &str,
        mut each: impl FnMut(usize, u32),
    ) -> Result<()> {
        let mut parts = parts.enumerate();
        loop {
            let mut all = [const { None::<Sought<'p>> }; SIDE_BY_SIDE];
            let mut count = 0;
            for ((at, part), place) in parts.by_ref().take(SIDE_BY_SIDE).zip(&mut all) {
                count += 1;
                let Some(ids) = part.ids(id)? else { continue };
                ids.index.ask_for_bucket(ids.hash);
                *place = Some(Sought { at, part, ids, bucket: 0..0 });
            }
            for Sought { ids, bucket, .. } in all[..count].iter_mut().flatten() {
                *bucket = ids.index.bucket(ids.hash);
                ids.index.ask_for(bucket);
            }
            for Sought { at, part, ids, bucket } in all[..count].iter().flatten() {
                part.find_among(ids, bucket.clone(), id, |row| {
                    each(*at, row);
                    false
                })?;
            }
            if count < SIDE_BY_SIDE {
                return Ok(());
            }
        }
    }

    /// The ids of the part; `None` if it has none.
    #[inline]
    fn ids(&self, id: &str) -> Result<Option<Ids<'p>>> {
        let Some(field) = self.schema().event_id() else { return Ok(None) };
        let ColumnMeta::Texts(meta) = self.column(field)? else { return Ok(None) };
        let Some(ordinal) = meta.id_index else { return Ok(None) };
        let index = IdIndex::new(self.section(ordinal)?)
            .ok_or_else(|| self.contradicts(ordinal, "it makes no sense"))?;
        let hash = filter::hash(self.identity().database_id, id);
        Ok(Some(Ids { meta, ordinal, index, hash }))
    }

    #[inline]
    fn find_among(
        &self,
        ids: &Ids<'p>,
        bucket: Range<u32>,
        id: &str,
        mut is_wanted: impl FnMut(u32) -> bool,
    ) -> Result<Option<u32>> {
        for row in ids.index.candidates(ids.hash, bucket) {
            if row as usize >= self.rows_count() {
                return Err(self.contradicts(ids.ordinal, "it names a row that is not there"));
            }
            if self.has_text(ids.meta, row, id)? && is_wanted(row) {
                return Ok(Some(row));
            }
        }
        Ok(None)
    }

    fn has_text(&self, meta: &TextMeta, row: u32, text: &str) -> Result<bool> {
        let texts = text_chunk(*self, meta, row as usize / CHUNK_ROWS)?;
        let place = row as usize % CHUNK_ROWS;
        if texts.is_compressed() {
            return Ok(texts.get_any(place).is_some_and(|found| *found == *text.as_bytes()));
        }
        let mut made = Vec::with_capacity(text.len());
        let found = texts.get(place, &mut made);
        Ok(found.is_some_and(|(Text::There(found) | Text::Made(found))| found == text.as_bytes()))
    }
}
