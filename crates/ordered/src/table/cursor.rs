//! Going through a table.

use super::{Found, Reading, Table, blocks::Body, handle::Child, reader::Node};
use crate::{
    Cursor, Entry, Result,
    block::{Layout, Row, Strip, Wanted},
    table_file::{TableFile, Used},
};
use annals_disk::Kept;
use std::ops::Deref;

/// A place in a table. Keeps the table, however it is given: an `Arc<Table>` or a reference.
///
/// The key of the entry at the place is put together in memory of the cursor; the value is where it is
/// in the file or, of a compressed block, in the decompressed one.
#[derive(Debug)]
pub struct TableCursor<T> {
    table: T,
    reading: Reading,
    /// The way down the index, from the root to the leaf; empty if the cursor was never placed.
    path: Vec<Step>,
    /// The block of entries.
    block: Option<(Body, Layout)>,
    at: usize,
    /// The entry at the place, its key in `key`; none outside of the table.
    row: Option<Row>,
    key: Vec<u8>,
}

/// Keys up to this length are put together without asking for more memory.
const USUAL_KEY_BYTES: usize = 64;

/// A place in an index block.
#[derive(Clone, Copy, Debug)]
struct Step {
    node: Node,
    at: usize,
}

/// An end of a block.
#[derive(Clone, Copy, Debug)]
enum End {
    First,
    Last,
}

impl End {
    fn of(self, layout: &Layout) -> usize {
        match self {
            Self::First => 0,
            Self::Last => layout.count() - 1,
        }
    }
}

impl<T: Deref<Target = Table>> TableCursor<T> {
    /// A cursor outside of the table.
    #[must_use]
    pub fn new(table: T, reading: Reading) -> Self {
        let (path, key) = (Vec::new(), Vec::with_capacity(USUAL_KEY_BYTES));
        Self { table, reading, path, block: None, at: 0, row: None, key }
    }

    /// The table.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Where in the file the block of the entry at the place is; 0 outside.
    pub(crate) fn block_offset(&self) -> u64 {
        let place = self.path.last().map(|step| self.table.child(step.node, step.at));
        place.and_then(Result::ok).map_or(0, |child| child.block.offset)
    }

    /// The entry at the place, if it is a version of `key`.
    pub(super) fn found_at(self, key: &[u8]) -> Option<Found> {
        let (row, (body, _)) = (self.row?, self.block?);
        (self.key == key).then(|| Found::new(&row, body))
    }

    fn leave(&mut self) {
        self.row = None;
    }

    /// Goes down the index from the root; `choose` tells which way in each index block. Returns what
    /// the leaf says of a block of entries; `None` if the table is empty.
    fn descend(&mut self, choose: impl Fn(&Table, Node) -> Result<usize>) -> Result<Option<Child>> {
        self.path.clear();
        let Some(root) = self.table.root else { return Ok(None) };
        let mut node = root;
        loop {
            let at = choose(&self.table, node)?;
            self.path.push(Step { node, at });
            let child = self.table.child(node, at)?;
            if self.path.len() >= self.table.footer.depth as usize {
                return Ok(Some(child));
            }
            self.table.blocks.approach_index(child.block);
            node = self.table.node(child)?;
        }
    }

    /// Opens a block of entries.
    fn open(&mut self, child: Child) -> Result<()> {
        self.table.blocks.approach_start(child.block);
        let body = self.table.blocks.data(child.block, self.reading)?;
        let bytes = self.table.blocks.bytes(&body);
        let layout =
            Layout::of(bytes).ok_or_else(|| self.table.blocks.contradicts(child.block.offset))?;
        self.key.clear();
        self.key.extend_from_slice(layout.prefix(bytes));
        self.block = Some((body, layout));
        Ok(())
    }

    /// Goes to an entry of the open block.
    #[inline]
    fn settle(&mut self, at: usize) -> Result<()> {
        self.row = None;
        let Some((body, layout)) = &self.block else { return Ok(()) };
        let bytes = self.table.blocks.bytes(body);
        match layout.read(bytes, at, &mut self.key) {
            Some(row) => {
                self.at = at;
                self.row = Some(row);
                Ok(())
            }
            None => Err(self.contradicts()),
        }
    }

    #[cold]
    fn contradicts(&self) -> crate::Error {
        match self.path.last().map(|step| self.table.child(step.node, step.at)) {
            Some(Ok(child)) => self.table.blocks.contradicts(child.block.offset),
            Some(Err(error)) => error,
            None => self.table.blocks.contradicts(0),
        }
    }

    /// Goes to an end of the table.
    fn go_to(&mut self, end: End) -> Result<()> {
        self.leave();
        let Some(child) = self.descend(|_, node| Ok(end.of(&node.layout)))? else { return Ok(()) };
        self.open(child)?;
        self.settle_at(end)
    }

    fn settle_at(&mut self, end: End) -> Result<()> {
        let Some((_, layout)) = &self.block else { return Ok(()) };
        self.settle(end.of(layout))
    }

    /// Opens the block behind the open one, or before it, and goes to its near end; outside, if there
    /// is none.
    #[cold]
    fn step_block(&mut self, near: End) -> Result<()> {
        self.leave();
        let depth = self.path.len();
        while let Some(step) = self.path.last_mut() {
            let next = match near {
                End::First => Some(step.at + 1).filter(|at| *at < step.node.layout.count()),
                End::Last => step.at.checked_sub(1),
            };
            if let Some(at) = next {
                step.at = at;
                break;
            }
            self.path.pop();
        }
        let Some(step) = self.path.last().copied() else { return Ok(()) };
        let mut child = self.table.child(step.node, step.at)?;
        while self.path.len() < depth {
            let node = self.table.node(child)?;
            let at = near.of(&node.layout);
            self.path.push(Step { node, at });
            child = self.table.child(node, at)?;
        }
        self.open(child)?;
        self.settle_at(near)
    }

    /// Opens the block that may have the version `seq` of `key`, and searches it: the first entry at
    /// or behind it, which may be behind the block, and whether it is that very version.
    fn search(&mut self, key: &[u8], seq: u64) -> Result<Option<(usize, bool)>> {
        self.leave();
        let Some(child) = self.descend(|table, node| table.floor(node, key, seq))? else {
            return Ok(None);
        };
        self.open(child)?;
        let Some((body, layout)) = &self.block else { return Ok(None) };
        let place = layout
            .search(self.table.blocks.bytes(body), key, seq)
            .ok_or_else(|| self.table.blocks.contradicts(child.block.offset))?;
        Ok(Some((place.at, place.exact)))
    }

    fn count(&self) -> usize {
        self.block.as_ref().map_or(0, |(_, layout)| layout.count())
    }
}

impl TableCursor<Used> {
    /// Puts a strip to the place, behind which `left` plain entries are known to be, and returns the bytes
    /// that it goes through. `None` if the block cannot be gone through so. Until the strip is
    /// [left](Self::leave_strip) or the cursor is sent elsewhere, it is not to be looked at.
    pub(crate) fn strip(&mut self, left: usize, strip: &mut Strip) -> Option<Kept<TableFile>> {
        let (Some(row), Some((Body::Mapped(span), layout))) = (&self.row, &self.block) else {
            return None;
        };
        let span = *span;
        strip
            .place(layout, self.at, row, &mut self.key, left)
            .then(|| self.table.keep(move |table| table.blocks.mapped(span)))
    }

    /// Comes to the place of the strip that it was left for.
    pub(crate) fn leave_strip(&mut self, strip: &mut Strip) -> Result<()> {
        strip.leave(&mut self.key);
        let Some((body, layout)) = &self.block else { return Ok(()) };
        self.row = layout.row(self.table.blocks.bytes(body), strip.at());
        self.at = strip.at();
        if self.row.is_some() { Ok(()) } else { Err(self.contradicts()) }
    }
}

impl<T: Deref<Target = Table>> Cursor for TableCursor<T> {
    #[inline]
    fn entry(&self) -> Option<Entry<'_>> {
        let row = self.row.as_ref()?;
        let (body, _) = self.block.as_ref()?;
        Some(Entry {
            key: &self.key,
            seq: row.seq,
            kind: row.kind,
            expires_ms: row.expires_ms,
            value: self.table.blocks.bytes(body).get(row.value.clone())?,
        })
    }

    fn to_first(&mut self) -> Result<()> {
        self.go_to(End::First)
    }

    fn to_last(&mut self) -> Result<()> {
        self.go_to(End::Last)
    }

    fn seek(&mut self, key: &[u8], seq: u64) -> Result<()> {
        let Some((at, _)) = self.search(key, seq)? else { return Ok(()) };
        if at < self.count() { self.settle(at) } else { self.step_block(End::First) }
    }

    fn seek_back(&mut self, key: &[u8], seq: u64) -> Result<()> {
        let Some((at, is_exact)) = self.search(key, seq)? else { return Ok(()) };
        if is_exact {
            return self.settle(at);
        }
        match at.checked_sub(1) {
            Some(before) => self.settle(before),
            None => self.step_block(End::Last),
        }
    }

    #[inline]
    fn advance(&mut self) -> Result<()> {
        if self.row.is_none() {
            return Ok(());
        }
        if self.at + 1 < self.count() {
            self.settle(self.at + 1)
        } else {
            self.step_block(End::First)
        }
    }

    #[inline]
    fn retreat(&mut self) -> Result<()> {
        if self.row.is_none() {
            return Ok(());
        }
        match self.at.checked_sub(1) {
            Some(before) => self.settle(before),
            None => self.step_block(End::Last),
        }
    }

    /// Within the block that is open.
    fn stretch(&self, seq: u64, end: Option<&[u8]>) -> usize {
        let (Some(_), Some((body, layout))) = (&self.row, &self.block) else { return 0 };
        // Whoever gets here goes through the block, and then comes there.
        self.table.blocks.approach_behind(body);
        let is_all_seen = self.table.properties().largest_seq <= seq;
        let wanted = Wanted { seq: (!is_all_seen).then_some(seq), end };
        layout.stretch(self.table.blocks.bytes(body), self.at, wanted)
    }

    #[inline]
    fn follow(&mut self) -> bool {
        let at = self.at + 1;
        let Some((body, layout)) = &self.block else { return false };
        let bytes = self.table.blocks.bytes(body);
        if layout.has_new_key(bytes, at, &self.key) != Some(true) {
            return false;
        }
        let Some(row) = layout.read(bytes, at, &mut self.key) else {
            // The key as it was: the cursor has not moved.
            self.row = layout.read(bytes, self.at, &mut self.key);
            return false;
        };
        self.at = at;
        self.row = Some(row);
        true
    }
}
