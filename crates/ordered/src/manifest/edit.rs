//! One step of the manifest: what it says, and its bytes.

use crate::{KeyRange, TableInfo, TreeOptions, TreeTraffic};
use std::sync::Arc;

/// A tree that begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeAdded {
    /// Its id.
    pub tree: u32,
    /// How it keeps its tables.
    pub options: TreeOptions,
}

/// A table that goes. Its file is removed once nobody reads it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableRemoved {
    /// Its tree.
    pub tree: u32,
    /// Its level.
    pub level: usize,
    /// Its number.
    pub number: u64,
}

/// A table that comes. One that moves to another level goes and comes in the same edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableAdded {
    /// Its tree.
    pub tree: u32,
    /// Its level.
    pub level: usize,
    /// What it is.
    pub table: Arc<TableInfo>,
}

/// One step of the manifest: it happens as a whole or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edit {
    /// Trees that end, with all their tables.
    pub trees_removed: Vec<u32>,
    /// Trees that begin.
    pub trees_added: Vec<TreeAdded>,
    /// Tables that go.
    pub tables_removed: Vec<TableRemoved>,
    /// Tables that come.
    pub tables_added: Vec<TableAdded>,
    /// The tables of a tree have all its records up to this sequence number.
    pub flushed_through: Vec<(u32, u64)>,
    /// The next file's number, if that changes.
    pub next_number: Option<u64>,
    /// What was written for a tree in all its life, this edit's included.
    pub traffic: Vec<(u32, TreeTraffic)>,
}

mod tag {
    pub(super) const TREE_REMOVED: u8 = 1;
    pub(super) const TREE_ADDED: u8 = 2;
    pub(super) const TABLE_REMOVED: u8 = 3;
    pub(super) const TABLE_ADDED: u8 = 4;
    pub(super) const FLUSHED_THROUGH: u8 = 5;
    pub(super) const NEXT_NUMBER: u8 = 6;
    pub(super) const REFERENCES: u8 = 7;
    pub(super) const TRAFFIC: u8 = 8;
}

impl Edit {
    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items() == 0
    }

    /// How many items its bytes have.
    pub(super) fn items(&self) -> usize {
        self.trees_removed.len()
            + self.trees_added.len()
            + self.tables_removed.len()
            + self.tables_added.len()
            + self.flushed_through.len()
            + usize::from(self.next_number.is_some())
            + self.referring().count()
            + self.traffic.len()
    }

    /// The tables that come and refer to a log.
    fn referring(&self) -> impl Iterator<Item = &Arc<TableInfo>> {
        let tables = self.tables_added.iter().map(|added| &added.table);
        tables.filter(|table| !table.references.is_empty())
    }

    /// Its items, one behind the other, in the order of their tags.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for tree in &self.trees_removed {
            out.push(tag::TREE_REMOVED);
            put_u32(&mut out, *tree);
        }
        for added in &self.trees_added {
            let fields = added.options.fields();
            out.push(tag::TREE_ADDED);
            put_u32(&mut out, added.tree);
            put_u32(&mut out, fields.len() as u32);
            for (field, value) in fields {
                put_u64(&mut out, field);
                put_u64(&mut out, value);
            }
        }
        for removed in &self.tables_removed {
            out.push(tag::TABLE_REMOVED);
            put_u32(&mut out, removed.tree);
            out.push(removed.level as u8);
            put_u64(&mut out, removed.number);
        }
        for added in &self.tables_added {
            out.push(tag::TABLE_ADDED);
            put_u32(&mut out, added.tree);
            out.push(added.level as u8);
            put_table(&mut out, &added.table);
        }
        for (tree, seq) in &self.flushed_through {
            out.push(tag::FLUSHED_THROUGH);
            put_u32(&mut out, *tree);
            put_u64(&mut out, *seq);
        }
        if let Some(number) = self.next_number {
            out.push(tag::NEXT_NUMBER);
            put_u64(&mut out, number);
        }
        for table in self.referring() {
            out.push(tag::REFERENCES);
            put_u64(&mut out, table.number);
            put_u32(&mut out, table.references.len() as u32);
            for (segment, bytes) in &table.references {
                put_u64(&mut out, *segment);
                put_u64(&mut out, *bytes);
            }
        }
        for (tree, traffic) in &self.traffic {
            out.push(tag::TRAFFIC);
            put_u32(&mut out, *tree);
            for number in traffic.numbers() {
                put_u64(&mut out, number);
            }
        }
        out
    }

    /// Reads an edit of `items` items from `payload`, which has up to seven zeroes behind them.
    ///
    /// # Errors
    /// The offset in `payload` at which it is not an edit, and why.
    pub(super) fn decode(payload: &[u8], items: u32) -> Result<Self, (usize, &'static str)> {
        let mut reader = Reader { bytes: payload, at: 0 };
        let mut edit = Self::default();
        let mut last_tag = 0;
        for _ in 0..items {
            let start = reader.at;
            let cut = (start, "an item of an edit is cut off");
            let tag = reader.u8().ok_or(cut)?;
            if tag < last_tag {
                return Err((start, "the items of an edit are not in their order"));
            }
            last_tag = tag;
            match tag {
                tag::TREE_REMOVED => edit.trees_removed.push(reader.u32().ok_or(cut)?),
                tag::TREE_ADDED => {
                    let tree = reader.u32().ok_or(cut)?;
                    let fields = reader.fields().ok_or(cut)?;
                    let options = TreeOptions::from_fields(fields).ok_or((
                        start,
                        "a tree has an option that this build does not know or take",
                    ))?;
                    edit.trees_added.push(TreeAdded { tree, options });
                }
                tag::TABLE_REMOVED => {
                    let (tree, level) = reader.place().ok_or(cut)?;
                    let number = reader.u64().ok_or(cut)?;
                    edit.tables_removed.push(TableRemoved { tree, level, number });
                }
                tag::TABLE_ADDED => {
                    let (tree, level) = reader.place().ok_or(cut)?;
                    let table = Arc::new(reader.table().ok_or(cut)?);
                    edit.tables_added.push(TableAdded { tree, level, table });
                }
                tag::FLUSHED_THROUGH => {
                    let tree = reader.u32().ok_or(cut)?;
                    edit.flushed_through.push((tree, reader.u64().ok_or(cut)?));
                }
                tag::NEXT_NUMBER => edit.next_number = Some(reader.u64().ok_or(cut)?),
                tag::REFERENCES => {
                    let number = reader.u64().ok_or(cut)?;
                    let references = reader.fields().ok_or(cut)?;
                    let comes = |added: &&mut TableAdded| {
                        added.table.number == number && added.table.references.is_empty()
                    };
                    let added = edit.tables_added.iter_mut().find(comes);
                    match added.filter(|_| !references.is_empty()) {
                        Some(added) => Arc::make_mut(&mut added.table).references = references,
                        None => return Err((start, "a table refers that does not come, or twice")),
                    }
                }
                tag::TRAFFIC => {
                    let tree = reader.u32().ok_or(cut)?;
                    let traffic = TreeTraffic::from_numbers(reader.numbers().ok_or(cut)?);
                    edit.traffic.push((tree, traffic));
                }
                _ => return Err((start, "an edit has an item of unknown kind")),
            }
        }
        let rest = &payload[reader.at..];
        if rest.len() >= 8 || rest.iter().any(|byte| *byte != 0) {
            return Err((reader.at, "an edit has bytes behind its items"));
        }
        Ok(edit)
    }
}

fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_table(out: &mut Vec<u8>, table: &TableInfo) {
    for value in numbers_of(table) {
        put_u64(out, value);
    }
    out.push(u8::from(table.range.last_included));
    for key in [&table.range.first, &table.range.last] {
        put_u32(out, key.len() as u32);
        out.extend_from_slice(key);
    }
}

/// The numbers of a table in the order in which they stand in an edit.
fn numbers_of(table: &TableInfo) -> [u64; 12] {
    [
        table.number,
        table.bytes,
        table.lowest_seq,
        table.highest_seq,
        table.entries,
        table.removals,
        table.range_removals,
        table.expiring,
        table.first_expiry_ms,
        table.last_expiry_ms,
        table.oldest_ms,
        table.newest_ms,
    ]
}

/// A place in an edit's bytes. Nothing is read, nor memory taken, beyond them.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(len)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn numbers<const COUNT: usize>(&mut self) -> Option<[u64; COUNT]> {
        let mut numbers = [0; COUNT];
        for number in &mut numbers {
            *number = self.u64()?;
        }
        Some(numbers)
    }

    fn place(&mut self) -> Option<(u32, usize)> {
        Some((self.u32()?, usize::from(self.u8()?)))
    }

    fn fields(&mut self) -> Option<Vec<(u64, u64)>> {
        let count = self.u32()?;
        let mut fields = Vec::new();
        for _ in 0..count {
            fields.push((self.u64()?, self.u64()?));
        }
        Some(fields)
    }

    fn key(&mut self) -> Option<Box<[u8]>> {
        let len = self.u32()? as usize;
        Some(self.take(len)?.into())
    }

    fn table(&mut self) -> Option<TableInfo> {
        let numbers: [u64; 12] = self.numbers()?;
        let last_included = match self.u8()? {
            0 => false,
            1 => true,
            _ => return None,
        };
        let range = KeyRange { first: self.key()?, last: self.key()?, last_included };
        let [number, bytes, lowest_seq, highest_seq, entries, removals, rest @ ..] = numbers;
        let [range_removals, expiring, first_expiry_ms, last_expiry_ms, oldest_ms, newest_ms] =
            rest;
        Some(TableInfo {
            number,
            bytes,
            range,
            lowest_seq,
            highest_seq,
            entries,
            removals,
            range_removals,
            expiring,
            first_expiry_ms,
            last_expiry_ms,
            oldest_ms,
            newest_ms,
            references: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table_info::tests::table;

    fn edit() -> Edit {
        Edit {
            trees_removed: vec![9],
            trees_added: vec![TreeAdded { tree: 3, options: TreeOptions::default() }],
            tables_removed: vec![TableRemoved { tree: 1, level: 0, number: 4 }],
            tables_added: vec![TableAdded {
                tree: 1,
                level: 6,
                table: Arc::new(TableInfo {
                    range: KeyRange::until(b"", b"zz"),
                    references: vec![(3, 100), (9, u64::MAX)],
                    ..table(5, b"", b"", (0, 7))
                }),
            }],
            flushed_through: vec![(1, 77), (3, 0)],
            next_number: Some(6),
            traffic: vec![(1, TreeTraffic::from_numbers([1, 2, 3, u64::MAX]))],
        }
    }

    #[test]
    fn edits_round_trip_and_are_refused_when_cut() {
        let edit = edit();
        let bytes = edit.encode();
        let items = edit.items() as u32;
        assert_eq!(Edit::decode(&bytes, items), Ok(edit));
        for cut in 0..bytes.len() {
            assert!(Edit::decode(&bytes[..cut], items).is_err(), "cut at {cut}");
        }
        let padded = [&bytes[..], &[0; 7]].concat();
        assert!(Edit::decode(&padded, items).is_ok());
        assert!(Edit::decode(&[&bytes[..], &[0; 8]].concat(), items).is_err());
        assert!(Edit::decode(&[&bytes[..], &[1]].concat(), items).is_err());
        assert!(Edit::decode(&padded, items - 1).is_err());
        let unmoved = Edit { traffic: Vec::new(), ..self::edit() };
        let (bytes, items) = (unmoved.encode(), unmoved.items() as u32);
        let stranger = Edit { tables_added: Vec::new(), ..unmoved };
        let own = stranger.encode();
        let references = &bytes[bytes.len() - (1 + 8 + 4 + 32)..];
        let refused = Edit::decode(&[&own[..], references].concat(), stranger.items() as u32 + 1);
        assert_eq!(refused.unwrap_err().1, "a table refers that does not come, or twice");
        let twice = Edit::decode(&[&bytes[..], references].concat(), items + 1);
        assert_eq!(twice.unwrap_err().1, "a table refers that does not come, or twice");
        assert_eq!(Edit::decode(&[], 0), Ok(Edit::default()));
    }

    #[test]
    fn lengths_that_leave_the_edit_take_no_memory() {
        let mut bytes = vec![tag::TREE_ADDED];
        put_u32(&mut bytes, 1);
        put_u32(&mut bytes, u32::MAX);
        assert!(Edit::decode(&bytes, 1).is_err());
        assert!(Edit::decode(&bytes, u32::MAX).is_err());
    }
}
