//! Writing a table.

use super::{
    KEY_BYTES_MAX, Properties, TableIdentity, TableNotes, TableOptions, VALUE_BYTES_MAX,
    envelope::{BlockKind, ENVELOPE_BYTES},
    footer::{FOOTER_BYTES, Footer},
    handle::{Child, HANDLE_BYTES},
    out::Out,
    ranges,
};
use crate::{
    Entry, EntryKind, Error, RangeRemoval, Result,
    block::{BlockBuilder, encode_one, shared},
    filter,
    number::compare,
};
use annals_disk::Disk;
use std::{cmp::Ordering, path::Path};

/// How large index blocks become.
const INDEX_BLOCK_BYTES: usize = 1024;
/// Index blocks have so many entries at least, however long their keys, so that each level of the
/// index is smaller than the one below.
const FANOUT_MIN: usize = 8;
/// A block that was larger is not kept memory for.
const SCRATCH_BYTES_MAX: usize = 1 << 22;
/// The most keys of one filter, so that building it takes little memory.
const FILTER_KEYS_MAX: usize = 1 << 16;

/// Writes a table, in memory that does not depend on the table's size.
///
/// A writer that is dropped unfinished leaves a file that is no table; the caller removes it.
#[derive(Debug)]
pub struct TableWriter {
    identity: TableIdentity,
    out: Out,
    options: TableOptions,
    data: BlockBuilder,
    /// The separator before the block in `data`, and its number.
    separator: (Vec<u8>, u64),
    /// Index blocks that are being filled, from the leaf upwards.
    levels: Vec<Level>,
    /// Hashes of the keys below the leaf, and of those in `data`.
    leaf_hashes: Vec<u64>,
    data_hashes: Vec<u64>,
    last_key: Vec<u8>,
    last_seq: u64,
    ranges: Vec<RangeRemoval>,
    properties: Properties,
    scratch: Vec<u8>,
}

/// One level of the index.
#[derive(Debug, Default)]
struct Level {
    block: BlockBuilder,
    /// Blocks of this level that were written.
    written_count: u64,
}

/// A table that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The length of the file in bytes.
    pub file_bytes: u64,
    /// What the table says of itself.
    pub properties: Properties,
}

impl TableWriter {
    /// Begins a table in a new file.
    ///
    /// # Errors
    /// If a setting is out of range (`Config`), or the file cannot be created or written.
    pub fn create(
        disk: &dyn Disk,
        path: &Path,
        identity: TableIdentity,
        options: TableOptions,
    ) -> Result<Self> {
        options.validate()?;
        let out = Out::create(disk, path, identity)?;
        let properties = Properties {
            compression: options.compression,
            filter_bits_per_key: options.filter_bits_per_key,
            filter_prefix_bytes: options.filter_prefix_bytes,
            ..Properties::default()
        };
        Ok(Self {
            identity,
            out,
            options,
            data: BlockBuilder::default(),
            separator: (Vec::new(), 0),
            levels: vec![Level::default()],
            leaf_hashes: Vec::new(),
            data_hashes: Vec::new(),
            last_key: Vec::new(),
            last_seq: 0,
            ranges: Vec::new(),
            properties,
            scratch: Vec::new(),
        })
    }

    /// Adds an entry behind those that were added before, in [`Entry::order`].
    ///
    /// # Errors
    /// `OutOfOrder` if it does not belong there, `TooLarge` for a key over 64 KiB or a value over
    /// 1 GiB (nothing was added then; the writer goes on), or an error of the file.
    pub fn add(&mut self, entry: &Entry<'_>) -> Result<()> {
        let is_new = self.check(entry)?;
        let limit_bytes = self.options.block_bytes as usize;
        if self.data.is_full_for(entry.key, entry.value.len(), limit_bytes) {
            self.flush_data()?;
        }
        let is_first = self.data.is_empty();
        if is_first {
            self.separate(entry);
        }
        self.hash(entry.key, is_first, is_new);
        self.count(entry);
        if is_first && entry.key.len() + entry.value.len() > limit_bytes {
            // A large value is copied only to where it is written from.
            let mut body = std::mem::take(&mut self.scratch);
            body.clear();
            encode_one(entry, &mut body);
            let done = self.write_data(&body);
            if body.capacity() <= SCRATCH_BYTES_MAX {
                self.scratch = body;
            }
            done?;
        } else {
            self.data.add(entry);
        }
        self.last_key.clear();
        self.last_key.extend_from_slice(entry.key);
        self.last_seq = entry.seq;
        Ok(())
    }

    /// Adds the removal of a range, in any order; the same twice counts once. A range without keys is
    /// nothing.
    ///
    /// # Errors
    /// `TooLarge` for a key over 64 KiB.
    pub fn remove_range(&mut self, range: RangeRemoval) -> Result<()> {
        check_len("key", range.from.len().max(range.to.len()), KEY_BYTES_MAX)?;
        if range.from < range.to {
            self.ranges.push(range);
        }
        Ok(())
    }

    /// How many bytes the file would have if it were finished now, about; for splitting tables.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        let index: usize = self.levels.iter().map(|level| level.block.size_bytes()).sum();
        let hashes = self.leaf_hashes.len() + self.data_hashes.len();
        let filter = hashes * usize::from(self.options.filter_bits_per_key) / 8;
        let data = if self.data.is_empty() { 0 } else { self.data.size_bytes() };
        self.out.end() + (data + index + filter + FOOTER_BYTES) as u64
    }

    /// Entries so far.
    #[must_use]
    pub fn entries_count(&self) -> u64 {
        self.properties.entries_count
    }

    /// The key of the entry that was added last; `None` before the first.
    #[must_use]
    pub fn last_key(&self) -> Option<&[u8]> {
        (self.properties.entries_count > 0).then_some(&self.last_key)
    }

    /// Writes what is left and syncs the file. The caller syncs the directory, so that the file's
    /// name is durable too.
    ///
    /// # Errors
    /// An error of the file; what is there is no table then.
    pub fn finish(mut self, notes: TableNotes) -> Result<Written> {
        if !self.data.is_empty() {
            self.flush_data()?;
        }
        let (root, depth) = self.finish_index()?;
        let ranges = self.finish_ranges()?;
        self.properties.notes = notes;
        self.properties.largest_key.clone_from(&self.last_key);
        let mut body = Vec::new();
        self.properties.encode(&mut body);
        let properties = self.out.write(BlockKind::Properties, &body)?.offset;
        let footer = Footer {
            root,
            depth,
            ranges,
            properties,
            blocks_count: self.out.blocks_count(),
            is_compressed: self.properties.data_bytes < self.properties.data_raw_bytes,
        };
        let file_bytes = self.out.end() + FOOTER_BYTES as u64;
        self.out.finish(&footer.encode(self.identity.seed(), file_bytes))?;
        Ok(Written { file_bytes, properties: self.properties })
    }

    /// Whether an entry is the first of its key.
    #[inline]
    fn check(&self, entry: &Entry<'_>) -> Result<bool> {
        check_len("key", entry.key.len(), KEY_BYTES_MAX)?;
        check_len("value", entry.value.len(), VALUE_BYTES_MAX)?;
        if self.properties.entries_count == 0 {
            return Ok(true);
        }
        match compare(&self.last_key, entry.key) {
            Ordering::Less => Ok(true),
            Ordering::Equal if entry.seq < self.last_seq => Ok(false),
            _ => Err(Error::OutOfOrder { path: self.out.path().to_owned() }),
        }
    }

    /// Sets the separator before a block that begins with `entry`: not before any entry so far, not
    /// behind this one, and as short as can be.
    fn separate(&mut self, entry: &Entry<'_>) {
        let (key, seq) = &mut self.separator;
        key.clear();
        if self.properties.entries_count == 0 {
            key.extend_from_slice(entry.key);
            *seq = u64::MAX;
            return;
        }
        let shared = shared(&self.last_key, entry.key);
        if shared == entry.key.len() {
            // The same key goes on in the next block, with an older version.
            key.extend_from_slice(entry.key);
            *seq = entry.seq;
        } else {
            key.extend_from_slice(&entry.key[..=shared]);
            *seq = u64::MAX;
        }
    }

    /// Notes the hashes of a key. `is_first` says that it begins a block: a leaf, and with it a
    /// filter, may begin there too, and has to know the key whatever came before. `is_new` says that
    /// the entry is the first of the key.
    #[inline]
    fn hash(&mut self, key: &[u8], is_first: bool, is_new: bool) {
        if self.options.filter_bits_per_key == 0 {
            return;
        }
        let id = self.identity.database_id;
        if is_first || is_new {
            self.data_hashes.push(filter::hash_key(id, key));
        }
        if let Some(len) = self.options.filter_prefix_bytes
            && let Some(prefix) = key.get(..usize::from(len))
            && (is_first || self.last_key.get(..prefix.len()) != Some(prefix))
        {
            self.data_hashes.push(filter::hash_prefix(id, prefix));
        }
    }

    #[inline]
    fn count(&mut self, entry: &Entry<'_>) {
        let p = &mut self.properties;
        if p.entries_count == 0 {
            p.smallest_key = entry.key.to_vec();
            (p.smallest_seq, p.largest_seq) = (entry.seq, entry.seq);
        }
        p.smallest_seq = p.smallest_seq.min(entry.seq);
        p.largest_seq = p.largest_seq.max(entry.seq);
        p.entries_count += 1;
        p.removals_count += u64::from(entry.kind == EntryKind::Remove);
        p.pointers_count += u64::from(entry.kind == EntryKind::Pointer);
        p.key_bytes += entry.key.len() as u64;
        p.value_bytes += entry.value.len() as u64;
        if let Some(ms) = entry.expires_ms {
            p.expires_min_ms = if p.expiring_count == 0 { ms } else { p.expires_min_ms.min(ms) };
            p.expires_max_ms = p.expires_max_ms.max(ms);
            p.expiring_count += 1;
        }
    }

    fn flush_data(&mut self) -> Result<()> {
        let mut body = std::mem::take(&mut self.scratch);
        body.clear();
        self.data.finish(&mut body);
        let done = self.write_data(&body);
        self.scratch = body;
        done
    }

    /// Writes a block of entries and tells the index.
    fn write_data(&mut self, body: &[u8]) -> Result<()> {
        let before = self.out.end();
        let block = self.out.pack(BlockKind::Data, self.options.compression, body)?;
        let (separator, seq) = std::mem::take(&mut self.separator);
        let p = &mut self.properties;
        p.data_raw_bytes += (ENVELOPE_BYTES + body.len()) as u64;
        p.data_bytes += self.out.end() - before;
        p.data_blocks_count += 1;
        self.leaf_hashes.append(&mut self.data_hashes);
        self.push(0, &separator, seq, Child { block, filter: None })?;
        if self.leaf_hashes.len() >= FILTER_KEYS_MAX {
            self.flush_node(0)?;
        }
        self.separator.0 = separator;
        Ok(())
    }

    /// Adds an entry to a level of the index.
    fn push(&mut self, level: usize, separator: &[u8], seq: u64, child: Child) -> Result<()> {
        if level == self.levels.len() {
            self.levels.push(Level::default());
        }
        let mut value = Vec::with_capacity(2 * HANDLE_BYTES);
        child.put(&mut value);
        self.levels[level].block.add(&Entry {
            key: separator,
            seq,
            kind: EntryKind::Put,
            expires_ms: None,
            value: &value,
        });
        // At once, so that in the file an index block and all below it stand together: who looks for
        // what the index knows of a damaged place relies on that.
        let block = &self.levels[level].block;
        if block.count() >= FANOUT_MIN && block.size_bytes() >= INDEX_BLOCK_BYTES {
            self.flush_node(level)?;
        }
        Ok(())
    }

    /// Writes the index block of a level, and of a leaf its filter, and tells the level above.
    fn flush_node(&mut self, level: usize) -> Result<()> {
        let first = self.levels[level].block.first().map(|(key, seq)| (key.to_vec(), seq));
        let Some((separator, seq)) = first else { return Ok(()) };
        let child = self.write_node(level)?;
        self.push(level + 1, &separator, seq, child)
    }

    fn write_node(&mut self, level: usize) -> Result<Child> {
        let mut body = Vec::new();
        let mut filter = None;
        if level == 0 && self.options.filter_bits_per_key > 0 {
            filter::build(&self.leaf_hashes, self.options.filter_bits_per_key, &mut body);
            self.leaf_hashes.clear();
            filter = Some(self.out.write(BlockKind::Filter, &body)?);
            self.properties.filter_bytes += (ENVELOPE_BYTES + body.len()) as u64;
            body.clear();
        }
        self.levels[level].block.finish(&mut body);
        self.levels[level].written_count += 1;
        self.properties.index_bytes += (ENVELOPE_BYTES + body.len()) as u64;
        let block = self.out.write(BlockKind::Index, &body)?;
        Ok(Child { block, filter })
    }

    /// Writes what is left of the index; returns its topmost block and how many levels it has.
    fn finish_index(&mut self) -> Result<(Option<Child>, u32)> {
        if self.properties.entries_count == 0 {
            return Ok((None, 0));
        }
        let mut level = 0;
        loop {
            let is_top = level + 1 == self.levels.len();
            if is_top && self.levels[level].written_count == 0 {
                return Ok((Some(self.write_node(level)?), level as u32 + 1));
            }
            self.flush_node(level)?;
            level += 1;
        }
    }

    fn finish_ranges(&mut self) -> Result<Option<u64>> {
        self.ranges.sort_unstable();
        self.ranges.dedup();
        let (Some(first), Some(last)) =
            (self.ranges.first(), self.ranges.iter().max_by(|one, other| one.to.cmp(&other.to)))
        else {
            return Ok(None);
        };
        let p = &mut self.properties;
        p.range_removals_count = self.ranges.len() as u64;
        p.range_removals_from = first.from.to_vec();
        p.range_removals_to = last.to.to_vec();
        let seqs = || self.ranges.iter().map(|range| range.seq);
        let smallest = seqs().fold(u64::MAX, u64::min);
        p.smallest_seq = if p.entries_count == 0 { smallest } else { p.smallest_seq.min(smallest) };
        p.largest_seq = seqs().fold(p.largest_seq, u64::max);
        let mut body = Vec::new();
        ranges::encode(&self.ranges, &mut body);
        let block = self.out.pack(BlockKind::Ranges, self.options.compression, &body)?;
        Ok(Some(block.offset))
    }
}

#[inline]
fn check_len(what: &'static str, bytes: usize, limit: usize) -> Result<()> {
    if bytes <= limit {
        return Ok(());
    }
    Err(Error::TooLarge { what, bytes: bytes as u64, limit: limit as u64 })
}
