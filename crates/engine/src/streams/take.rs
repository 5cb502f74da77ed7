//! Who takes the events that a scan comes by: a batch, or somebody who looks at each and goes on.

use super::{
    batch::{Among, Data, EventBatch},
    cursor::Met,
    event::{CategoryRef, Read},
};
use crate::Result;
use annals_journal::{Content, Match, SegmentGuard};

/// Takes events in their order.
pub(crate) trait Taker<'a> {
    /// How many more it takes.
    fn room(&self) -> usize;

    /// Takes an event of this category, which was found in the segment of `guard`.
    fn take(
        &mut self,
        category: &CategoryRef<'a>,
        guard: &SegmentGuard<'a>,
        met: &Met,
    ) -> Result<()>;

    /// Takes one of the same category, in the same segment, right behind.
    fn take_next(&mut self, content: &Content<'_>, record: &Match, read: &Read) -> Result<()>;
}

/// Fills a batch.
pub(crate) struct Filling<'b, 'a> {
    pub(crate) batch: &'b mut EventBatch<'a>,
    /// Where the last one went.
    pub(crate) among: Option<Among>,
}

impl<'a> Taker<'a> for Filling<'_, 'a> {
    #[inline]
    fn room(&self) -> usize {
        self.batch.room()
    }

    #[inline]
    fn take(
        &mut self,
        category: &CategoryRef<'a>,
        guard: &SegmentGuard<'a>,
        met: &Met,
    ) -> Result<()> {
        self.among = Some(self.batch.push(category, guard, met));
        Ok(())
    }

    #[inline(always)]
    fn take_next(&mut self, _: &Content<'_>, record: &Match, read: &Read) -> Result<()> {
        if let Some(among) = self.among {
            self.batch.push_at(among, record, read);
        }
        Ok(())
    }
}

/// Shows the data of each event.
pub(crate) struct Showing<'a, F> {
    pub(crate) each: F,
    /// That of the event that was shown last.
    pub(crate) category: CategoryRef<'a>,
    /// How many more it shows until the next look at what is shown.
    pub(crate) left: usize,
}

impl<F: FnMut(&Data<'_>) -> Result<()>> Showing<'_, F> {
    #[inline(always)]
    fn show(&mut self, bytes: Option<&[u8]>, read: &Read) -> Result<()> {
        self.left -= 1;
        // A label is behind data that are there.
        let (Some(bytes), Some(category)) = (bytes, self.category.get()) else { return Ok(()) };
        let (type_number, format) = (read.label.type_number, read.label.format);
        (self.each)(&Data { category, type_number, format, bytes })
    }
}

impl<'a, F: FnMut(&Data<'_>) -> Result<()>> Taker<'a> for Showing<'a, F> {
    #[inline]
    fn room(&self) -> usize {
        self.left
    }

    #[inline]
    fn take(
        &mut self,
        category: &CategoryRef<'a>,
        guard: &SegmentGuard<'a>,
        met: &Met,
    ) -> Result<()> {
        if !self.category.is(met.space) {
            self.category = category.clone();
        }
        let (start, len) = (met.record.value.0, met.read.data_len);
        self.show(Some(guard.bytes(start, len)), &met.read)
    }

    #[inline(always)]
    fn take_next(&mut self, content: &Content<'_>, record: &Match, read: &Read) -> Result<()> {
        self.show(content.bytes((record.value.0, read.data_len)), read)
    }
}
