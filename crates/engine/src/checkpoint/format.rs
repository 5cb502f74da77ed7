//! The bytes of a checkpoint file. The layout is described once, in
//! `docs/formats/hash-checkpoint.md`; this file is its image in code.
//!
//! A file is a header and a chain of blocks, each with its length and checksum. A block is checked
//! before anything in it is believed, and nothing is allocated by a length that was not compared
//! with the bytes that are there.

use crate::{
    catalog::{KeyspaceKind, KeyspaceOptions, check_name, decode_options, encode_options},
    hash::table::{
        Group, PACKED_BYTES, PackedGroup, Slot, Table, TableError, TableLoader, WalkPlace, pack,
    },
    ordered::MovedValue,
    streams::EventType,
};
use annals_disk::{File, Result as DiskResult};
use annals_journal::{Address, Seq};

const MAGIC: [u8; 8] = *b"ANNALSCK";
/// The version of the checkpoint format that this build writes.
///
/// ```
/// # use annals_engine as annals;
/// use annals::{CHECKPOINT_VERSION, Database};
/// # let folder = tempfile::tempdir().expect("a directory");
/// # let folder = folder.path();
/// let db = Database::open(folder)?;
/// let report = db.checkpoint()?;
/// let file = std::fs::read(folder.join(format!("{:08}.ckp", report.number))).expect("the file");
/// // Eight magic bytes, then the version.
/// assert_eq!(file[8..10], CHECKPOINT_VERSION.to_le_bytes());
/// # Ok::<(), annals::Error>(())
/// ```
pub const CHECKPOINT_VERSION: u16 = 1;
const ENDIAN_MARK: u16 = 0x1234;
const HEADER_BYTES: usize = 40;
/// Kind, three unused bytes, checksum, length.
const BLOCK_HEADER_BYTES: usize = 16;
/// Groups are collected until a block has at least this many bytes.
const GROUPS_BLOCK_BYTES: usize = 256 * 1024;

const BLOCK_CATALOG: u8 = 1;
const BLOCK_KEYSPACE: u8 = 2;
const BLOCK_GROUPS: u8 = 3;
const BLOCK_TABLE_END: u8 = 4;
const BLOCK_END: u8 = 5;
const BLOCK_ORDERED: u8 = 6;
const BLOCK_MOVED: u8 = 7;
const BLOCK_CATEGORY: u8 = 8;
/// Number, origin, bytes, address.
const MOVED_BYTES: usize = 24;

/// A part of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Section {
    /// What holds for all of the catalog.
    Catalog { clock_ms: u64, next_id: u32 },
    /// A hash keyspace or an event table; its table follows.
    Keyspace {
        id: u32,
        name: String,
        kind: KeyspaceKind,
        options: KeyspaceOptions,
        /// Bytes of current records by the slot of their segment.
        live: Vec<u64>,
        /// When records expire, with the hashes of their keys.
        expiries: Vec<(u64, u64)>,
    },
    /// A category of streams; its tables follow: of newest events, waypoints, ids, strays and marks.
    Category {
        id: u32,
        name: String,
        options: KeyspaceOptions,
        /// Up to here bytes of expired events are not in `live`.
        expired_to: Seq,
        /// Bytes of events by the slot of their segment.
        live: Vec<u64>,
        /// The event types, in the order of their numbers.
        types: Vec<EventType>,
    },
    /// An ordered keyspace; its records are in a tree.
    Ordered { id: u32, tree: u32, name: String, options: KeyspaceOptions },
    /// Where values of ordered keyspaces were moved to, in the order of their numbers.
    Moved { values: Vec<MovedValue> },
}

type Fault = (usize, &'static str);

/// Writes a checkpoint file.
pub(super) struct SectionWriter {
    file: Box<dyn File>,
    seed: u32,
    block: Vec<u8>,
    written: u64,
}

/// The seed of the blocks' checksums: blocks of other files do not pass.
fn seed(database_id: u64, number: u64) -> u32 {
    let mut both = [0; 16];
    both[..8].copy_from_slice(&database_id.to_le_bytes());
    both[8..].copy_from_slice(&number.to_le_bytes());
    crc32c::crc32c(&both)
}

impl SectionWriter {
    pub(super) fn new(mut file: Box<dyn File>, database_id: u64, number: u64) -> DiskResult<Self> {
        let mut header = [0; HEADER_BYTES];
        header[0..8].copy_from_slice(&MAGIC);
        header[8..10].copy_from_slice(&CHECKPOINT_VERSION.to_le_bytes());
        header[10..12].copy_from_slice(&ENDIAN_MARK.to_le_bytes());
        header[16..24].copy_from_slice(&database_id.to_le_bytes());
        header[24..32].copy_from_slice(&number.to_le_bytes());
        let checksum = crc32c::crc32c(&header[..36]);
        header[36..40].copy_from_slice(&checksum.to_le_bytes());
        file.append(&header)?;
        let block = vec![0; BLOCK_HEADER_BYTES];
        Ok(Self { file, seed: seed(database_id, number), block, written: HEADER_BYTES as u64 })
    }

    /// Writes the collected block as one of `kind`.
    fn flush(&mut self, kind: u8) -> DiskResult<()> {
        let len = (self.block.len() - BLOCK_HEADER_BYTES) as u64;
        self.block[0] = kind;
        self.block[1..4].fill(0);
        self.block[8..16].copy_from_slice(&len.to_le_bytes());
        let head = crc32c::crc32c_append(self.seed, &self.block[0..4]);
        let checksum = crc32c::crc32c_append(head, &self.block[8..]);
        self.block[4..8].copy_from_slice(&checksum.to_le_bytes());
        self.file.append(&self.block)?;
        self.written += self.block.len() as u64;
        self.block.truncate(BLOCK_HEADER_BYTES);
        Ok(())
    }

    pub(super) fn section(&mut self, section: &Section) -> DiskResult<()> {
        match section {
            Section::Catalog { clock_ms, next_id } => {
                self.block.extend_from_slice(&clock_ms.to_le_bytes());
                self.block.extend_from_slice(&next_id.to_le_bytes());
                self.flush(BLOCK_CATALOG)
            }
            Section::Keyspace { id, name, kind, options, live, expiries } => {
                self.block.extend_from_slice(&id.to_le_bytes());
                encode_options(*kind, options, &mut self.block);
                put_u32(&mut self.block, name.len());
                put_u32(&mut self.block, live.len());
                put_u32(&mut self.block, expiries.len());
                self.block.extend_from_slice(name.as_bytes());
                for bytes in live {
                    self.block.extend_from_slice(&bytes.to_le_bytes());
                }
                for (expires_ms, hash) in expiries {
                    self.block.extend_from_slice(&expires_ms.to_le_bytes());
                    self.block.extend_from_slice(&hash.to_le_bytes());
                }
                self.flush(BLOCK_KEYSPACE)
            }
            Section::Category { id, name, options, expired_to, live, types } => {
                self.block.extend_from_slice(&id.to_le_bytes());
                encode_options(KeyspaceKind::Streams, options, &mut self.block);
                self.block.extend_from_slice(&expired_to.0.to_le_bytes());
                put_u32(&mut self.block, name.len());
                put_u32(&mut self.block, live.len());
                self.block.extend_from_slice(name.as_bytes());
                for bytes in live {
                    self.block.extend_from_slice(&bytes.to_le_bytes());
                }
                for EventType { name, version, layout } in types {
                    self.block.extend_from_slice(&version.to_le_bytes());
                    self.block.extend_from_slice(&layout.to_le_bytes());
                    put_u32(&mut self.block, name.len());
                    self.block.extend_from_slice(name.as_bytes());
                }
                self.flush(BLOCK_CATEGORY)
            }
            Section::Ordered { id, tree, name, options } => {
                let kind = KeyspaceKind::Ordered;
                self.block.extend_from_slice(&id.to_le_bytes());
                self.block.extend_from_slice(&tree.to_le_bytes());
                encode_options(kind, options, &mut self.block);
                self.block.extend_from_slice(name.as_bytes());
                self.flush(BLOCK_ORDERED)
            }
            Section::Moved { values } => {
                for MovedValue { seq, origin, bytes, at } in values {
                    self.block.extend_from_slice(&seq.to_le_bytes());
                    self.block.extend_from_slice(&origin.to_le_bytes());
                    self.block.extend_from_slice(&bytes.to_le_bytes());
                    self.block.extend_from_slice(&at.to_u64().to_le_bytes());
                }
                self.flush(BLOCK_MOVED)
            }
        }
    }

    /// Writes a table and returns how many keys it has.
    pub(super) fn table(&mut self, table: &Table) -> DiskResult<u64> {
        let mut keys_count = 0;
        let (mut place, mut group) = (WalkPlace::live_only(), Group::default());
        while table.walk_from(&mut place, &mut group) {
            keys_count += group.slots.len() as u64;
            encode_group(&group, &mut self.block);
            if self.block.len() >= GROUPS_BLOCK_BYTES {
                self.flush(BLOCK_GROUPS)?;
            }
        }
        if self.block.len() > BLOCK_HEADER_BYTES {
            self.flush(BLOCK_GROUPS)?;
        }
        self.flush(BLOCK_TABLE_END)?;
        Ok(keys_count)
    }

    /// Ends the file, makes it durable, and returns its length in bytes.
    pub(super) fn finish(mut self) -> DiskResult<u64> {
        self.flush(BLOCK_END)?;
        self.file.sync()?;
        Ok(self.written)
    }
}

fn put_u32(out: &mut Vec<u8>, value: usize) {
    out.extend_from_slice(&(value as u32).to_le_bytes());
}

/// A group: prefix, depth, precision, bytes of a slot, buckets, counts, slots. Slots take as many bytes
/// as the largest of the group needs.
fn encode_group(group: &Group, out: &mut Vec<u8>) {
    let all = group.slots.iter().fold(0, |all, slot| all | pack(*slot));
    let width = (u64::BITS - all.leading_zeros()).div_ceil(8) as usize;
    let width = width.max(*PACKED_BYTES.start());
    out.extend_from_slice(&group.prefix.to_le_bytes());
    out.extend_from_slice(&[group.depth, group.precision, width as u8, 0]);
    out.extend_from_slice(&group.buckets.to_le_bytes());
    put_u32(out, group.slots.len());
    out.extend_from_slice(&group.counts);
    for slot in &group.slots {
        out.extend_from_slice(&pack(*slot).to_le_bytes()[..width]);
    }
}

/// Takes the group off the start of `bytes`.
fn decode_group<'a>(bytes: &mut &'a [u8]) -> Option<PackedGroup<'a>> {
    const HEAD: usize = 20;
    let (head, rest) = bytes.split_first_chunk::<HEAD>()?;
    let prefix = u64::from_le_bytes(*head.first_chunk()?);
    let width = usize::from(head[10]);
    let buckets = u32::from_le_bytes(head[12..16].try_into().ok()?) as usize;
    let slots_count = u32::from_le_bytes(head[16..20].try_into().ok()?) as usize;
    if !PACKED_BYTES.contains(&width) || head[11] != 0 {
        return None;
    }
    let (counts, rest) = rest.split_at_checked(buckets)?;
    let (slots, rest) = rest.split_at_checked(slots_count.checked_mul(width)?)?;
    *bytes = rest;
    Some(PackedGroup { prefix, depth: head[8], precision: head[9], counts, slots, width })
}

/// Reads a checkpoint file.
pub(super) struct SectionReader<'a> {
    bytes: &'a [u8],
    at: usize,
    seed: u32,
}

impl<'a> SectionReader<'a> {
    pub(super) fn new(bytes: &'a [u8], database_id: u64, number: u64) -> Result<Self, Fault> {
        let header = bytes.get(..HEADER_BYTES).ok_or((bytes.len(), "the file is cut off"))?;
        if header[0..8] != MAGIC {
            return Err((0, "the file does not start with its magic bytes"));
        }
        if crc32c::crc32c(&header[..36]).to_le_bytes() != header[36..40] {
            return Err((0, "the header does not match its checksum"));
        }
        if header[8..10] != CHECKPOINT_VERSION.to_le_bytes()
            || header[10..12] != ENDIAN_MARK.to_le_bytes()
        {
            return Err((8, "the file has another format version or byte order"));
        }
        if header[16..24] != database_id.to_le_bytes() || header[24..32] != number.to_le_bytes() {
            return Err((16, "the file belongs to another database or is another checkpoint"));
        }
        Ok(Self { bytes, at: HEADER_BYTES, seed: seed(database_id, number) })
    }

    /// The next block, checked: its kind and body.
    fn block(&mut self) -> Result<(u8, &'a [u8], usize), Fault> {
        let start = self.at;
        let head = self
            .bytes
            .get(start..start + BLOCK_HEADER_BYTES)
            .ok_or((start, "the file is cut off before its end"))?;
        let len = u64::from_le_bytes(head[8..16].try_into().expect("eight bytes"));
        let body_start = start + BLOCK_HEADER_BYTES;
        let body = usize::try_from(len)
            .ok()
            .and_then(|len| self.bytes.get(body_start..body_start.checked_add(len)?))
            .ok_or((start, "a block's length leaves the file"))?;
        let checksum = crc32c::crc32c_append(self.seed, &head[0..4]);
        let checksum = crc32c::crc32c_append(checksum, &head[8..16]);
        let checksum = crc32c::crc32c_append(checksum, body);
        if checksum.to_le_bytes() != head[4..8] {
            return Err((start, "a block does not match its checksum"));
        }
        self.at = body_start + body.len();
        Ok((head[0], body, body_start))
    }

    /// The offset of the next block.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn section(&mut self) -> Result<Option<Section>, Fault> {
        let start = self.at;
        let (kind, body, _) = self.block()?;
        let section = match kind {
            BLOCK_END if self.at == self.bytes.len() => return Ok(None),
            BLOCK_END => return Err((self.at, "there are bytes behind the end of the file")),
            BLOCK_CATALOG => decode_catalog(body),
            BLOCK_KEYSPACE => decode_keyspace(body),
            BLOCK_ORDERED => decode_ordered(body),
            BLOCK_CATEGORY => decode_category(body),
            BLOCK_MOVED => decode_moved(body),
            _ => None,
        };
        section.map(Some).ok_or((start, "a block is not of the kind its place asks for"))
    }

    pub(super) fn table(&mut self, slot_known: &[bool]) -> Result<Table, Fault> {
        // A removed key is never in a file.
        let mut loader = TableLoader::new(|raw| {
            let slot = Address::unpack(raw).slot as usize;
            let is_dead = Slot::from_raw(raw).is_some_and(Slot::is_dead);
            !is_dead && slot_known.get(slot).copied().unwrap_or(false)
        });
        let what = |error| match error {
            TableError::Unknown { .. } => "a key's address is in no segment of the log",
            TableError::Incomplete | TableError::Disproportion { .. } => "the table is incomplete",
            _ => "a group of the table contradicts itself",
        };
        let mut offsets = Vec::new();
        loop {
            let start = self.at;
            let (kind, mut body, body_start) = self.block()?;
            let whole = body.len();
            match kind {
                BLOCK_GROUPS => {
                    while !body.is_empty() {
                        let at = body_start + (whole - body.len());
                        let group = decode_group(&mut body)
                            .ok_or((at, "a group of the table is malformed"))?;
                        offsets.push(at);
                        loader.push_packed(&group).map_err(|error| (at, what(error)))?;
                    }
                }
                BLOCK_TABLE_END => {
                    return loader.finish().map_err(|misfit| {
                        let at = misfit.group.and_then(|number| offsets.get(number));
                        (at.copied().unwrap_or(start), what(misfit.error))
                    });
                }
                _ => return Err((start, "a block is not of the kind its place asks for")),
            }
        }
    }
}

/// Makes the checksums of header and blocks right, as far as they have a shape. For fuzzing.
pub(crate) fn mend(bytes: &mut [u8]) {
    if bytes.len() < HEADER_BYTES {
        return;
    }
    let checksum = crc32c::crc32c(&bytes[..36]);
    bytes[36..40].copy_from_slice(&checksum.to_le_bytes());
    let number = |at: usize| bytes[at..at + 8].try_into().map_or(0, u64::from_le_bytes);
    let seed = seed(number(16), number(24));
    let mut rest = &mut bytes[HEADER_BYTES..];
    while rest.len() >= BLOCK_HEADER_BYTES {
        let len = rest[8..16].try_into().map_or(0, u64::from_le_bytes);
        let end = (BLOCK_HEADER_BYTES as u64).saturating_add(len).min(rest.len() as u64) as usize;
        let head = crc32c::crc32c_append(seed, &rest[0..4]);
        let checksum = crc32c::crc32c_append(head, &rest[8..end]);
        rest[4..8].copy_from_slice(&checksum.to_le_bytes());
        rest = &mut rest[end..];
    }
}

fn decode_catalog(body: &[u8]) -> Option<Section> {
    let (clock_ms, rest) = body.split_first_chunk::<8>()?;
    let (next_id, rest) = rest.split_first_chunk::<4>()?;
    rest.is_empty().then_some(())?;
    let next_id = u32::from_le_bytes(*next_id);
    Some(Section::Catalog { clock_ms: u64::from_le_bytes(*clock_ms), next_id })
}

fn decode_keyspace(body: &[u8]) -> Option<Section> {
    let (id, rest) = body.split_first_chunk::<4>()?;
    let (kind, options, rest) = decode_options(rest)?;
    if !matches!(kind, KeyspaceKind::Hash | KeyspaceKind::Table) {
        return None;
    }
    let (lens, rest) = rest.split_first_chunk::<12>()?;
    let len =
        |at: usize| lens[at..at + 4].try_into().map(|raw| u32::from_le_bytes(raw) as usize).ok();
    let (name_len, live_len, expiries_len) = (len(0)?, len(4)?, len(8)?);
    if live_len > Address::SLOTS_MAX as usize {
        return None;
    }
    let (name, rest) = rest.split_at_checked(name_len)?;
    let (live, rest) = rest.split_at_checked(live_len.checked_mul(8)?)?;
    if rest.len() != expiries_len.checked_mul(16)? {
        return None;
    }
    let name = std::str::from_utf8(name).ok()?.to_owned();
    check_name(&name).ok()?;
    let number = |raw: &[u8]| raw.try_into().map(u64::from_le_bytes).unwrap_or(0);
    let live = live.chunks_exact(8).map(number).collect();
    let expiries =
        rest.chunks_exact(16).map(|pair| (number(&pair[..8]), number(&pair[8..]))).collect();
    Some(Section::Keyspace { id: u32::from_le_bytes(*id), name, kind, options, live, expiries })
}

fn decode_category(body: &[u8]) -> Option<Section> {
    let take = |bytes: &mut &[u8]| -> Option<u32> {
        let (raw, rest) = bytes.split_first_chunk::<4>()?;
        *bytes = rest;
        Some(u32::from_le_bytes(*raw))
    };
    let mut rest = body;
    let id = take(&mut rest)?;
    let (kind, options, behind) = decode_options(rest)?;
    let (expired_to, behind) = behind.split_first_chunk::<8>()?;
    let expired_to = Seq(u64::from_le_bytes(*expired_to));
    rest = behind;
    let (name_len, live_len) = (take(&mut rest)? as usize, take(&mut rest)? as usize);
    if kind != KeyspaceKind::Streams || live_len > Address::SLOTS_MAX as usize {
        return None;
    }
    let (name, behind) = rest.split_at_checked(name_len)?;
    let name = std::str::from_utf8(name).ok()?.to_owned();
    check_name(&name).ok()?;
    let (live, behind) = behind.split_at_checked(live_len.checked_mul(8)?)?;
    rest = behind;
    let (live, _) = live.as_chunks::<8>();
    let live = live.iter().map(|raw| u64::from_le_bytes(*raw)).collect();
    let mut types = Vec::new();
    while !rest.is_empty() {
        let version = take(&mut rest)?;
        let (layout, behind) = rest.split_first_chunk::<8>()?;
        rest = behind;
        let (layout, len) = (u64::from_le_bytes(*layout), take(&mut rest)? as usize);
        let (name, behind) = rest.split_at_checked(len)?;
        rest = behind;
        let name = std::str::from_utf8(name).ok()?.to_owned();
        check_name(&name).ok()?;
        types.push(EventType { name, version, layout });
    }
    Some(Section::Category { id, name, options, expired_to, live, types })
}

fn decode_ordered(body: &[u8]) -> Option<Section> {
    let (id, rest) = body.split_first_chunk::<4>()?;
    let (tree, rest) = rest.split_first_chunk::<4>()?;
    let (kind, options, name) = decode_options(rest)?;
    let (id, tree) = (u32::from_le_bytes(*id), u32::from_le_bytes(*tree));
    let name = std::str::from_utf8(name).ok()?.to_owned();
    check_name(&name).ok()?;
    let fits = kind == KeyspaceKind::Ordered && tree < u32::MAX;
    fits.then_some(Section::Ordered { id, tree, name, options })
}

fn decode_moved(body: &[u8]) -> Option<Section> {
    let (values, []) = body.as_chunks::<MOVED_BYTES>() else { return None };
    let value = |raw: &[u8; MOVED_BYTES]| {
        let at = Address::from_u64(u64::from_le_bytes(*raw.last_chunk()?));
        let value = MovedValue {
            seq: u64::from_le_bytes(*raw.first_chunk()?),
            origin: u32::from_le_bytes(raw[8..12].try_into().ok()?),
            bytes: u32::from_le_bytes(raw[12..16].try_into().ok()?),
            at,
        };
        at.offset.is_multiple_of(8).then_some(value)
    };
    let values = values.iter().map(value).collect::<Option<Vec<_>>>()?;
    (!values.is_empty()).then_some(Section::Moved { values })
}

#[cfg(test)]
mod tests {
    use super::*;
    use annals_disk::{Disk, MemoryDisk};
    use std::path::Path;

    #[test]
    fn counts_of_more_segments_than_there_can_be_are_damage() {
        let disk = MemoryDisk::new();
        let path = Path::new("file");
        for (live_len, fits) in [(1 << 17, true), ((1 << 17) + 1, false), (1 << 18, false)] {
            let file = disk.create(path).expect("a file in memory");
            let mut out = SectionWriter::new(file, 7, 1).expect("a header");
            let section = Section::Keyspace {
                id: 1,
                name: "a".to_owned(),
                kind: KeyspaceKind::Hash,
                options: KeyspaceOptions::default(),
                live: vec![1; live_len],
                expiries: Vec::new(),
            };
            out.section(&section).expect("a section");
            out.table(&Table::new()).expect("a table");
            out.finish().expect("an end");
            let region = disk.open_region(path, annals_disk::Access::Read).expect("the file");
            let loaded = super::super::read(region.read(0, region.len()), 7, 1, &[]);
            assert_eq!(loaded.map(|_| ()).is_ok(), fits, "{live_len} counts");
        }
    }

    #[test]
    fn moved_values_come_back_and_what_cannot_be_is_damage() {
        let disk = MemoryDisk::new();
        let path = Path::new("file");
        let value = |seq, slot, offset| MovedValue {
            seq,
            origin: 3,
            bytes: 400,
            at: Address { slot, offset },
        };
        let cases: [(&[&[MovedValue]], bool); 6] = [
            (&[&[value(5, 1, 64), value(9, 1, 8)], &[value(10, 1, 64)]], true),
            (&[&[value(5, 1, 64), value(5, 1, 128)]], false),
            (&[&[value(5, 1, 64)], &[value(4, 1, 128)]], false),
            (&[&[value(5, 2, 64)]], false),
            (&[&[value(5, 1, 65)]], false),
            (&[&[]], false),
        ];
        for (blocks, fits) in cases {
            let file = disk.create(path).expect("a file in memory");
            let mut out = SectionWriter::new(file, 7, 1).expect("a header");
            for values in blocks {
                out.section(&Section::Moved { values: values.to_vec() }).expect("a section");
            }
            out.finish().expect("an end");
            let region = disk.open_region(path, annals_disk::Access::Read).expect("the file");
            let loaded = super::super::read(region.read(0, region.len()), 7, 1, &[1]);
            assert_eq!(loaded.is_ok(), fits, "{blocks:?}");
            if let Ok(loaded) = loaded {
                let found: Vec<_> = loaded.moved.outside(&[]).copied().collect();
                assert_eq!(found, blocks.concat());
                let cut = super::super::read(region.read(0, region.len() - 17), 7, 1, &[1]);
                assert!(cut.is_err());
            }
        }
    }
}
