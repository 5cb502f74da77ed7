//! Opening a table and answering for one key.

use super::{
    Properties, Reading, Sought, TableCursor, TableIdentity,
    blocks::{Blocks, Body, Span},
    envelope::BlockKind,
    footer::{FOOTER_BYTES, Footer},
    handle::Child,
    header::{self, HEADER_BYTES},
    ranges,
};
use crate::{
    BlockCache, Cursor, EntryKind, Error, RangeRemoval, Result,
    block::{Layout, Row},
    filter,
    near::approach,
};
use annals_disk::{Access, Disk};
use std::{path::Path, sync::Arc};

/// A sorted table that is open for reading. Any number of threads may read at once.
#[derive(Debug)]
pub struct Table {
    pub(super) blocks: Blocks,
    pub(super) identity: TableIdentity,
    pub(super) footer: Footer,
    pub(super) root: Option<Node>,
    properties: Properties,
}

/// An index block.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) span: Span,
    pub(super) layout: Layout,
}

/// The way to a leaf.
struct Way {
    leaf: Child,
    /// Where the separator between this leaf and the next is.
    next: Option<(Node, usize)>,
}

/// The version of a key that was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// The sequence number of the record that brought it.
    pub seq: u64,
    /// What it says about the key.
    pub kind: EntryKind,
    /// From which millisecond since 1970 on it counts as a removal.
    pub expires_ms: Option<u64>,
    body: Body,
    value_start: usize,
    value_len: usize,
}

impl Table {
    /// Opens a table for reading. The header, the footer and the properties are checked here, blocks
    /// when they are first touched. `cache` takes blocks that have to be decompressed.
    ///
    /// # Errors
    /// `NotATable`, `Version`, `ByteOrder`, `Foreign` or `OtherTable` if the file is not what is
    /// expected; `Damaged`, also for a file that was cut off; `Codec` if this build was made without
    /// the table's compression; or an error of the file.
    pub fn open(
        disk: &dyn Disk,
        path: &Path,
        expected: TableIdentity,
        cache: Arc<BlockCache>,
    ) -> Result<Self> {
        if disk.len(path)? == Some(0) {
            return Err(cut_off(path, 0));
        }
        let region = disk.open_region(path, Access::Read)?;
        header::check(region.read(0, region.len().min(HEADER_BYTES)), expected, path)?;
        let Some(data_end) = region.len().checked_sub(FOOTER_BYTES) else {
            return Err(cut_off(path, region.len()));
        };
        let seed = expected.seed();
        let footer = region.read(data_end, FOOTER_BYTES);
        let footer = Footer::decode(footer, seed, region.len() as u64)
            .ok_or_else(|| cut_off(path, data_end))?;
        let blocks = Blocks::new(region, path.to_owned(), seed, data_end, &footer, cache);
        let body = blocks.read_unnumbered(footer.properties, BlockKind::Properties)?;
        let properties = Properties::decode(&body)
            .ok_or_else(|| blocks.damaged(footer.properties, "the properties make no sense"))?;
        let mut table = Self { blocks, identity: expected, footer, root: None, properties };
        if let Some(root) = footer.root {
            table.root = Some(table.node(root)?);
        }
        Ok(table)
    }

    /// What the table says of itself.
    #[must_use]
    pub fn properties(&self) -> &Properties {
        &self.properties
    }

    /// Which table it is.
    #[must_use]
    pub fn identity(&self) -> TableIdentity {
        self.identity
    }

    /// The file, for errors.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.blocks.path()
    }

    /// The length of the file in bytes.
    #[must_use]
    pub fn file_bytes(&self) -> u64 {
        self.blocks.end() as u64 + FOOTER_BYTES as u64
    }

    /// The removals of ranges, sorted by where they begin. Read from the file with each call.
    ///
    /// # Errors
    /// `Damaged`, or `Codec`.
    pub fn range_removals(&self) -> Result<Vec<RangeRemoval>> {
        let Some(offset) = self.footer.ranges else { return Ok(Vec::new()) };
        let body = self.blocks.read_unnumbered(offset, BlockKind::Ranges)?;
        ranges::decode(&body)
            .ok_or_else(|| self.blocks.damaged(offset, "the range removals make no sense"))
    }

    /// The newest version of a key that is not newer than asked for, whatever it says: a removal and
    /// an expired value are found too. Removals of ranges are not looked at.
    ///
    /// Touches a line of the filter, and if that does not exclude the key, the way down the index and
    /// one block.
    ///
    /// # Errors
    /// `Damaged`, or `Codec`.
    #[inline]
    pub fn get(&self, sought: &Sought<'_>) -> Result<Option<Found>> {
        let Some(node) = self.leaf(sought)? else { return Ok(None) };
        let (key, seq) = (sought.key, sought.seq);
        let child = self.child(node, self.floor(node, key, seq)?)?;
        self.blocks.approach_start(child.block);
        let body = self.blocks.data(child.block, Reading::Usual)?;
        let bytes = self.blocks.bytes(&body);
        let broken = || self.blocks.contradicts(child.block.offset);
        let layout = Layout::of(bytes).ok_or_else(broken)?;
        let place = layout.search(bytes, key, seq).ok_or_else(broken)?;
        if place.same_key {
            let row = layout.row(bytes, place.at).ok_or_else(broken)?;
            return Ok(Some(Found::new(&row, body)));
        }
        // The versions of a key may go on in the next block.
        if place.at == layout.count() && layout.ends_with_key(bytes, key) == Some(true) {
            return self.get_behind(key, seq);
        }
        Ok(None)
    }

    /// The value of what was found in this table.
    ///
    /// # Panics
    /// If it was found in another table, perhaps.
    #[inline]
    #[must_use]
    pub fn value<'a>(&'a self, found: &'a Found) -> &'a [u8] {
        &self.blocks.bytes(&found.body)[found.value_start..][..found.value_len]
    }

    /// Whether the filter tells that no version of a key is here. Without one it never does.
    ///
    /// # Errors
    /// `Damaged`.
    pub fn excludes(&self, sought: &Sought<'_>) -> Result<bool> {
        Ok(self.leaf(sought)?.is_none())
    }

    /// Whether the table may have keys that begin with `prefix`. Says no only if it has none.
    ///
    /// # Errors
    /// `Damaged`, or `Codec`.
    pub fn may_have_prefix(&self, prefix: &[u8]) -> Result<bool> {
        let Some(len) = self.properties.filter_prefix_bytes else { return Ok(self.root.is_some()) };
        let Some(start) = prefix.get(..usize::from(len)) else { return Ok(self.root.is_some()) };
        let hash = filter::hash_prefix(self.identity.database_id, start);
        let Some(Way { leaf, next }) = self.leaf_of(start, u64::MAX)? else { return Ok(false) };
        if self.passes(leaf, hash) {
            return Ok(true);
        }
        // Keys with this beginning that are not in this leaf are in the next, and then the separator
        // between the two has the beginning too: it is as short as can be, but not before this leaf.
        let Some((node, at)) = next else { return Ok(false) };
        let mut key = Vec::new();
        self.key(node, at, &mut key)?;
        Ok(key.starts_with(start))
    }

    /// About how many bytes of the file stand before a key; for estimates of sizes. Reads the index
    /// only.
    ///
    /// # Errors
    /// `Damaged`.
    pub fn offset_of(&self, key: &[u8]) -> Result<u64> {
        let Some(Way { leaf, .. }) = self.leaf_of(key, u64::MAX)? else { return Ok(0) };
        let node = self.node(leaf)?;
        Ok(self.child(node, self.floor(node, key, u64::MAX)?)?.block.offset)
    }

    /// Checks the header once more.
    pub(super) fn check_header(&self) -> Result<()> {
        let header = self.blocks.raw(0, HEADER_BYTES).unwrap_or_default();
        header::check(header, self.identity, self.path())
    }

    /// Checks the footer once more.
    pub(super) fn is_footer_intact(&self) -> bool {
        let found = Footer::decode(self.blocks.footer(), self.identity.seed(), self.file_bytes());
        found == Some(self.footer)
    }

    /// The leaf whose blocks may have a key, if its filter does not exclude it.
    #[inline(always)]
    fn leaf(&self, sought: &Sought<'_>) -> Result<Option<Node>> {
        let Some(mut node) = self.root else { return Ok(None) };
        let mut child = self.footer.root;
        for _ in 1..self.footer.depth {
            let below = self.child(node, self.floor(node, sought.key, sought.seq)?)?;
            child = Some(below);
            if below.filter.is_none() {
                node = self.node(below)?;
            }
        }
        match child {
            Some(leaf) if leaf.filter.is_some() && self.footer.depth > 1 => {
                // The line of the filter first: nothing else is needed of a table without the key. The
                // start of the leaf is on its way while that is waited for.
                let line = self.filter_of(leaf).and_then(|bytes| filter::line(bytes, sought.hash));
                line.into_iter().for_each(|line| approach(line));
                self.blocks.approach_start(leaf.block);
                if !self.passes(leaf, sought.hash) {
                    return Ok(None);
                }
                self.blocks.approach_index(leaf.block);
                Ok(Some(self.node(leaf)?))
            }
            Some(root) if !self.passes(root, sought.hash) => Ok(None),
            _ => Ok(Some(node)),
        }
    }

    /// The leaf whose blocks may have a key, and where the separator behind it is.
    fn leaf_of(&self, key: &[u8], seq: u64) -> Result<Option<Way>> {
        let (Some(mut leaf), Some(mut node)) = (self.footer.root, self.root) else {
            return Ok(None);
        };
        let mut next = None;
        for _ in 1..self.footer.depth {
            let at = self.floor(node, key, seq)?;
            if at + 1 < node.layout.count() {
                next = Some((node, at + 1));
            }
            leaf = self.child(node, at)?;
            node = self.node(leaf)?;
        }
        Ok(Some(Way { leaf, next }))
    }

    /// Whether the filter of a leaf does not exclude a hash. A filter that is damaged excludes
    /// nothing: what it stands for is readable all the same.
    #[inline(always)]
    pub(super) fn passes(&self, leaf: Child, hash: u64) -> bool {
        let filter = self.filter_of(leaf);
        filter.and_then(|filter| filter::may_have(filter, hash)).unwrap_or(true)
    }

    /// The filter of a leaf, if it has one that is intact.
    #[inline(always)]
    pub(super) fn filter_of(&self, leaf: Child) -> Option<&[u8]> {
        let span = self.blocks.span(leaf.filter?, BlockKind::Filter).ok()?;
        Some(self.blocks.mapped(span))
    }

    /// The index block of a child.
    #[inline(always)]
    pub(super) fn node(&self, child: Child) -> Result<Node> {
        let span = self.blocks.span(child.block, BlockKind::Index)?;
        let layout = Layout::of(self.blocks.mapped(span))
            .ok_or_else(|| self.blocks.contradicts(child.block.offset))?;
        Ok(Node { span, layout })
    }

    /// The last entry of an index block that is not behind the version `seq` of `key`; the first if
    /// all are.
    #[inline(always)]
    pub(super) fn floor(&self, node: Node, key: &[u8], seq: u64) -> Result<usize> {
        let place = node
            .layout
            .search(self.blocks.mapped(node.span), key, seq)
            .ok_or_else(|| self.node_contradicts(node))?;
        Ok(if place.exact { place.at } else { place.at.saturating_sub(1) })
    }

    /// What an entry of an index block says.
    #[inline(always)]
    pub(super) fn child(&self, node: Node, at: usize) -> Result<Child> {
        let value = node.layout.value(self.blocks.mapped(node.span), at);
        value.and_then(Child::read).ok_or_else(|| self.node_contradicts(node))
    }

    /// Puts the key of an entry of an index block into `key`, and returns its number.
    pub(super) fn key(&self, node: Node, at: usize, key: &mut Vec<u8>) -> Result<u64> {
        let bytes = self.blocks.mapped(node.span);
        key.clear();
        key.extend_from_slice(node.layout.prefix(bytes));
        let row = node.layout.read(bytes, at, key).ok_or_else(|| self.node_contradicts(node))?;
        Ok(row.seq)
    }

    #[cold]
    pub(super) fn node_contradicts(&self, node: Node) -> Error {
        self.blocks.contradicts(node.span.envelope())
    }

    /// The newest version that will do, where it is not in the block that the index names first.
    #[cold]
    fn get_behind(&self, key: &[u8], seq: u64) -> Result<Option<Found>> {
        let mut cursor = TableCursor::new(self, Reading::Usual);
        cursor.seek(key, seq)?;
        Ok(cursor.found_at(key))
    }
}

impl Found {
    pub(super) fn new(row: &Row, body: Body) -> Self {
        Self {
            seq: row.seq,
            kind: row.kind,
            expires_ms: row.expires_ms,
            body,
            value_start: row.value.start,
            value_len: row.value.len(),
        }
    }
}

fn cut_off(path: &Path, offset: usize) -> Error {
    let what = "the file is cut off, or its footer is damaged";
    Error::Damaged { path: path.to_owned(), offset: offset as u64, what }
}
