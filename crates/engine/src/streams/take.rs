//! Who takes the events that a scan comes by: a batch, or somebody who looks at each and goes on.

use super::{
    batch::{Among, Data, EventBatch},
    cursor::Met,
    event::{CategoryRef, Read},
    label::Glance,
};
use crate::Result;
use annals_journal::{Match, SegmentGuard};

/// What is read of the label of an event.
pub(crate) trait OfLabel: Sized {
    /// `None` if the value has no label.
    fn of(value: &[u8]) -> Option<Self>;

    /// The number of its type.
    fn type_number(&self) -> u32;
}

impl OfLabel for Read {
    #[inline(always)]
    fn of(value: &[u8]) -> Option<Self> {
        Self::of(value)
    }

    #[inline(always)]
    fn type_number(&self) -> u32 {
        self.label.type_number
    }
}

impl OfLabel for Glance {
    #[inline(always)]
    fn of(value: &[u8]) -> Option<Self> {
        Self::of(value)
    }

    #[inline(always)]
    fn type_number(&self) -> u32 {
        self.type_number
    }
}

/// Takes events in their order.
pub(crate) trait Taker<'a> {
    /// What it has to know of those that come in a row.
    type Next: OfLabel;

    /// How many more it takes.
    fn room(&self) -> usize;

    /// Takes an event of this category, which was found in the segment of `guard`.
    fn take(
        &mut self,
        category: &CategoryRef<'a>,
        guard: &SegmentGuard<'a>,
        met: &Met,
    ) -> Result<()>;

    /// Takes one of the same category, in the same segment, right behind, whose record has this value.
    fn take_next(&mut self, value: &[u8], record: &Match, read: &Self::Next) -> Result<()>;
}

/// Fills a batch.
pub(crate) struct Filling<'b, 'a> {
    pub(crate) batch: &'b mut EventBatch<'a>,
    /// Where the last one went.
    pub(crate) among: Option<Among>,
}

impl<'a> Taker<'a> for Filling<'_, 'a> {
    type Next = Read;

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
    fn take_next(&mut self, _: &[u8], record: &Match, read: &Read) -> Result<()> {
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
    fn show(
        &mut self,
        value: &[u8],
        Glance { data_len, type_number, format }: Glance,
    ) -> Result<()> {
        self.left -= 1;
        // A label is behind data that are there.
        let (Some(bytes), Some(category)) = (value.get(..data_len as usize), self.category.get())
        else {
            return Ok(());
        };
        (self.each)(&Data { category, type_number, format, bytes })
    }
}

impl<'a, F: FnMut(&Data<'_>) -> Result<()>> Taker<'a> for Showing<'a, F> {
    type Next = Glance;

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
        let (value, Read { label, data_len }) = (met.record.value, met.read);
        let (type_number, format) = (label.type_number, label.format);
        self.show(guard.bytes(value.0, value.1), Glance { data_len, type_number, format })
    }

    #[inline(always)]
    fn take_next(&mut self, value: &[u8], _: &Match, read: &Glance) -> Result<()> {
        self.show(value, *read)
    }
}
