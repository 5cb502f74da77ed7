//! Reading a column of numbers.

use super::{
    CHUNK_ROWS, PAGE_CHUNKS, PartView,
    meta::NumberMeta,
    numbers::{self, ENTRY_BYTES, Numbers},
    row_set::RowSet,
    zones::{Sums, Zones},
};
use crate::{Result, kernels};

/// A column of numbers that is being read.
///
/// What is kept of a number is its *image* less the column's base, divided by its step: numbers without sign, in the
/// order of the values. Questions are asked and answered of what is kept, and values made of answers only.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NumberColumn<'p> {
    view: PartView<'p>,
    meta: &'p NumberMeta,
    entries: &'p [[u8; ENTRY_BYTES]],
}

impl<'p> NumberColumn<'p> {
    pub(super) fn new(view: PartView<'p>, meta: &'p NumberMeta) -> Result<Self> {
        let (entries, _) = view.section(meta.chunks)?.as_chunks();
        let entries = entries
            .get(..view.chunks_count())
            .ok_or_else(|| view.contradicts(meta.chunks, "there are fewer chunks than rows"))?;
        Ok(Self { view, meta, entries })
    }

    pub(crate) fn meta(&self) -> &'p NumberMeta {
        self.meta
    }

    /// The numbers of a chunk.
    #[inline]
    pub(crate) fn chunk(&self, at: usize) -> Result<Numbers<'p>> {
        let ordinal = self.meta.pages.wrapping_add((at / PAGE_CHUNKS) as u32);
        let page = self.view.section(ordinal)?;
        let numbers = self.entries.get(at).and_then(|entry| Numbers::new(entry, page));
        numbers.ok_or_else(|| self.makes_no_sense(ordinal))
    }

    /// The number of a row, as it is kept.
    #[inline]
    pub(crate) fn get(&self, row: u32) -> Result<u64> {
        Ok(self.chunk(row as usize / CHUNK_ROWS)?.get(row as usize % CHUNK_ROWS))
    }

    /// Gives the numbers of some rows, as they are kept. For few rows of many chunks: nothing is unpacked, and the steps for each
    /// are so few that several are on their way at once.
    #[inline]
    pub(crate) fn gather(&self, rows: &[u32], mut each: impl FnMut(usize, u64)) -> Result<()> {
        const PAGE_ROWS: usize = PAGE_CHUNKS * CHUNK_ROWS;
        let (mut page, mut ordinal, mut bytes) = (usize::MAX, 0, &[][..]);
        for (at, row) in rows.iter().map(|row| *row as usize).enumerate() {
            if row / PAGE_ROWS != page {
                page = row / PAGE_ROWS;
                ordinal = self.meta.pages.wrapping_add(page as u32);
                bytes = self.view.section(ordinal)?;
            }
            let entry = self.entries.get(row / CHUNK_ROWS);
            let kept = entry.and_then(|entry| numbers::get(entry, bytes, row % CHUNK_ROWS));
            each(at, kept.ok_or_else(|| self.makes_no_sense(ordinal))?);
        }
        Ok(())
    }

    /// Asks for what stands for the chunks of some rows.
    pub(super) fn ask_for_chunks(&self, rows: &[u32]) {
        let entries = self.entries.as_flattened();
        rows.iter().for_each(|row| {
            kernels::ask_for(entries, *row as usize / CHUNK_ROWS * ENTRY_BYTES);
        });
    }

    /// Asks for what [`gather`](Self::gather) will read of some rows.
    pub(super) fn ask_for(&self, rows: &[u32]) {
        const PAGE_ROWS: usize = PAGE_CHUNKS * CHUNK_ROWS;
        let (mut page, mut bytes) = (usize::MAX, &[][..]);
        for row in rows.iter().map(|row| *row as usize) {
            if row / PAGE_ROWS != page {
                page = row / PAGE_ROWS;
                let ordinal = self.meta.pages.wrapping_add(page as u32);
                // Who reads it is told what is wrong.
                bytes = self.view.section(ordinal).unwrap_or_default();
            }
            if let Some(entry) = self.entries.get(row / CHUNK_ROWS) {
                numbers::ask_for(entry, bytes, row % CHUNK_ROWS);
            }
        }
    }

    #[cold]
    fn makes_no_sense(&self, ordinal: u32) -> crate::Error {
        self.view.contradicts(ordinal, "a chunk of numbers makes no sense")
    }

    /// The image of what is kept.
    #[inline(always)]
    pub(crate) fn image(&self, kept: u64) -> u64 {
        self.meta.image(kept)
    }

    /// The lowest number kept whose image is `image` or more; `None` if there is none.
    pub(crate) fn at_least(&self, image: u64) -> Option<u64> {
        let kept = image.saturating_sub(self.meta.base).div_ceil(self.meta.step);
        (kept <= self.meta.top).then_some(kept)
    }

    /// The highest number kept whose image is `image` or less; `None` if there is none.
    pub(crate) fn at_most(&self, image: u64) -> Option<u64> {
        let above = image.checked_sub(self.meta.base)?;
        Some((above / self.meta.step).min(self.meta.top))
    }

    /// What is known of the chunks.
    pub(crate) fn zones(&self, sums: Sums) -> Result<Zones<'p>> {
        let (meta, view) = (self.meta, self.view);
        let bytes = view.section(meta.zones)?;
        Zones::new(bytes, view.rows_count(), meta.top, sums, meta.present.is_some())
            .ok_or_else(|| view.contradicts(meta.zones, "there are fewer zones than chunks"))
    }

    /// Which rows have a number; `None`: all.
    pub(crate) fn present(&self) -> Result<Option<RowSet<'p>>> {
        self.view.row_set(self.meta.present)
    }
}
