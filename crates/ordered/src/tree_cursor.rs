//! A place among the keys of a tree.

use crate::{Entry, Merge, Result, Visible, block::Strip, source::Source, table_file::TableFile};
use annals_disk::Kept;

/// A place among the keys of a tree, as somebody sees it. It keeps what it reads from, also when
/// compactions replace it.
#[derive(Debug)]
pub struct TreeCursor {
    seen: Visible<Merge<Source>>,
    /// The place, as long as the way leads through plain entries of one block: `seen` has stayed behind then.
    strip: Strip,
    /// The block that the strip is in.
    block: Kept<TableFile>,
    is_on_strip: bool,
}

/// All moves fail if a table is damaged where they lead; the cursor stands outside then.
#[allow(clippy::missing_errors_doc, reason = "said once for all")]
impl TreeCursor {
    /// A cursor at the place of `seen`.
    pub(crate) fn new(seen: Visible<Merge<Source>>) -> Self {
        let (strip, block) = (Strip::default(), Kept::default());
        Self { seen, strip, block, is_on_strip: false }
    }

    /// The key at the place with the version that is seen, a put or a pointer; `None` outside.
    #[inline]
    #[must_use]
    pub fn entry(&self) -> Option<Entry<'_>> {
        if self.is_on_strip { self.strip.entry(&self.block) } else { self.entry_below() }
    }

    /// The entry where there is no strip. Apart, so that callers take no more into their loops than a strip's
    /// steps.
    #[inline(never)]
    fn entry_below(&self) -> Option<Entry<'_>> {
        self.seen.entry()
    }

    /// Goes to the first key.
    pub fn to_first(&mut self) -> Result<()> {
        self.end_strip();
        self.seen.to_first()?;
        self.begin();
        Ok(())
    }

    /// Goes to the last key.
    pub fn to_last(&mut self) -> Result<()> {
        self.end_strip();
        self.seen.to_last()
    }

    /// Goes to the first key at or behind `key`.
    pub fn seek(&mut self, key: &[u8]) -> Result<()> {
        self.end_strip();
        self.seen.seek(key)?;
        self.begin();
        Ok(())
    }

    /// Goes to the last key at or before `key`.
    pub fn seek_back(&mut self, key: &[u8]) -> Result<()> {
        self.end_strip();
        self.seen.seek_back(key)
    }

    /// Goes one key on.
    #[inline]
    pub fn advance(&mut self) -> Result<()> {
        if self.follow() { Ok(()) } else { self.advance_looking() }
    }

    fn advance_looking(&mut self) -> Result<()> {
        self.leave_strip()?;
        self.seen.advance()?;
        self.take_strip();
        Ok(())
    }

    /// Goes one key on, if it is known already which entry that is, and that it never expires. `false`:
    /// the place is the same as before, and [`advance`](Self::advance) finds the next one.
    #[inline]
    pub fn follow(&mut self) -> bool {
        if self.is_on_strip { self.strip.step(&self.block) } else { self.follow_below() }
    }

    /// Goes one key on, if it is known already which entry that is, and [`put`](Self::put) shows it. `false`: the
    /// place is the same as before; that says nothing of what is behind it.
    #[inline(always)]
    pub fn follow_put(&mut self) -> bool {
        self.is_on_strip && self.strip.has_puts() && self.strip.step(&self.block)
    }

    /// Key and value where [`follow_put`](Self::follow_put) has led to: all that most callers ask for, which is
    /// less than an entry and stays in registers so.
    #[inline(always)]
    #[must_use]
    pub fn put(&self) -> (&[u8], &[u8]) {
        self.strip.put(&self.block)
    }

    #[inline(never)]
    fn follow_below(&mut self) -> bool {
        self.seen.follow()
    }

    /// Goes one key back.
    pub fn retreat(&mut self) -> Result<()> {
        self.leave_strip()?;
        self.seen.retreat()
    }

    /// Sets out from a place that was looked for. What stands there is not on its way yet, as it is where a
    /// strip ends at another.
    #[inline]
    fn begin(&mut self) {
        self.take_strip();
        if self.is_on_strip {
            self.strip.approach(&self.block);
        }
    }

    /// Goes on through plain entries without what is below, if some are ahead.
    #[inline]
    fn take_strip(&mut self) {
        let (merge, left) = self.seen.ahead();
        if left == 0 {
            return;
        }
        let table = merge.top_mut().and_then(Source::open_table);
        if let Some(block) = table.and_then(|table| table.strip(left, &mut self.strip)) {
            (self.block, self.is_on_strip) = (block, true);
        }
    }

    /// Lets go of the block, and of its table.
    #[inline]
    fn end_strip(&mut self) {
        (self.block, self.is_on_strip) = (Kept::default(), false);
    }

    /// Has what is below come to the place.
    #[inline]
    fn leave_strip(&mut self) -> Result<()> {
        if !self.is_on_strip {
            return Ok(());
        }
        self.end_strip();
        let strip = &mut self.strip;
        self.seen.went_on(|merge| {
            let table = merge.top_mut().and_then(Source::open_table);
            table.map_or(Ok(()), |table| table.leave_strip(strip))
        })
    }
}
