//! What a tree's cursors are merged of: a memtable, a table, or the tables of a sorted level one
//! behind the other.

use crate::{
    Cursor, Entry, Error, MemtableCursor, Reading, Result, TableCursor,
    table_file::{TableFile, Used},
};
use std::{ops::Range, sync::Arc};

/// A sorted run of entries of a tree.
#[derive(Debug)]
pub(crate) enum Source {
    Memory(MemtableCursor),
    Table(TableCursor<Used>),
    Level(LevelCursor),
    /// A table that is lost: every move ends there.
    Lost(Error),
}

impl Source {
    /// A cursor over a table.
    pub(crate) fn table(file: &Arc<TableFile>, reading: Reading) -> Self {
        match Used::of(file) {
            Ok(table) => Self::Table(TableCursor::new(table, reading)),
            Err(error) => Self::Lost(error),
        }
    }

    /// The cursor of the table that it stands in.
    pub(crate) fn open_table(&mut self) -> Option<&mut TableCursor<Used>> {
        match self {
            Self::Table(cursor) => Some(cursor),
            Self::Level(level) => level.open.as_mut(),
            Self::Memory(_) | Self::Lost(_) => None,
        }
    }

    /// A cursor over the tables `window` of a sorted level.
    pub(crate) fn level(
        files: &Arc<[Arc<TableFile>]>,
        window: Range<usize>,
        reading: Reading,
    ) -> Self {
        if window.len() == 1 {
            return Self::table(&files[window.start], reading);
        }
        Self::Level(LevelCursor { files: Arc::clone(files), window, at: 0, open: None, reading })
    }
}

/// A cursor over tables that are sorted and disjoint. Of these one is open at a time.
#[derive(Debug)]
pub(crate) struct LevelCursor {
    files: Arc<[Arc<TableFile>]>,
    window: Range<usize>,
    at: usize,
    open: Option<TableCursor<Used>>,
    reading: Reading,
}

impl LevelCursor {
    /// The cursor of the table at `at`, opened if another one is open.
    fn enter(&mut self, at: usize) -> Result<&mut TableCursor<Used>> {
        if self.at != at {
            self.open = None;
            self.at = at;
        }
        match &mut self.open {
            Some(open) => Ok(open),
            none => {
                let table = Used::of(&self.files[at])?;
                Ok(none.insert(TableCursor::new(table, self.reading)))
            }
        }
    }

    /// Goes to the first entry of the table at `at`, or of the next one that has any: some have
    /// nothing but removed ranges.
    fn first_from(&mut self, mut at: usize) -> Result<()> {
        while at < self.window.end {
            let cursor = self.enter(at)?;
            cursor.to_first()?;
            if cursor.entry().is_some() {
                return Ok(());
            }
            at += 1;
        }
        self.open = None;
        Ok(())
    }

    /// Goes to the last entry of the tables before `end`.
    fn last_before(&mut self, mut end: usize) -> Result<()> {
        while end > self.window.start {
            end -= 1;
            let cursor = self.enter(end)?;
            cursor.to_last()?;
            if cursor.entry().is_some() {
                return Ok(());
            }
        }
        self.open = None;
        Ok(())
    }

    /// After an error the cursor stands outside.
    fn outside_after<T>(&mut self, result: Result<T>) -> Result<T> {
        if result.is_err() {
            self.open = None;
        }
        result
    }
}

impl Cursor for LevelCursor {
    #[inline]
    fn entry(&self) -> Option<Entry<'_>> {
        self.open.as_ref()?.entry()
    }

    fn to_first(&mut self) -> Result<()> {
        let done = self.first_from(self.window.start);
        self.outside_after(done)
    }

    fn to_last(&mut self) -> Result<()> {
        let done = self.last_before(self.window.end);
        self.outside_after(done)
    }

    fn seek(&mut self, key: &[u8], seq: u64) -> Result<()> {
        let tables = &self.files[self.window.clone()];
        // Most cursors begin in the first one.
        let at = match tables.first() {
            Some(first) if !first.info.range.ends_before(key) => 0,
            _ => tables.partition_point(|file| file.info.range.ends_before(key)),
        };
        let at = self.window.start + at;
        if at == self.window.end {
            self.open = None;
            return Ok(());
        }
        let sought = self.enter(at).and_then(|cursor| {
            cursor.seek(key, seq)?;
            Ok(cursor.entry().is_none())
        });
        let done = match sought {
            Ok(true) => self.first_from(at + 1),
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        self.outside_after(done)
    }

    fn seek_back(&mut self, key: &[u8], seq: u64) -> Result<()> {
        let tables = &self.files[self.window.clone()];
        let end = self.window.start + tables.partition_point(|file| *file.info.range.first <= *key);
        if end == self.window.start {
            self.open = None;
            return Ok(());
        }
        let sought = self.enter(end - 1).and_then(|cursor| {
            cursor.seek_back(key, seq)?;
            Ok(cursor.entry().is_none())
        });
        let done = match sought {
            Ok(true) => self.last_before(end - 1),
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        self.outside_after(done)
    }

    #[inline]
    fn advance(&mut self) -> Result<()> {
        let Some(cursor) = &mut self.open else { return Ok(()) };
        let moved = cursor.advance();
        if moved.is_ok() && cursor.has_entry() {
            return Ok(());
        }
        let done = moved.and_then(|()| self.first_from(self.at + 1));
        self.outside_after(done)
    }

    #[inline]
    fn retreat(&mut self) -> Result<()> {
        let Some(cursor) = &mut self.open else { return Ok(()) };
        let moved = cursor.retreat();
        if moved.is_ok() && cursor.entry().is_some() {
            return Ok(());
        }
        let done = moved.and_then(|()| self.last_before(self.at));
        self.outside_after(done)
    }

    fn stretch(&self, seq: u64, end: Option<&[u8]>) -> usize {
        self.open.as_ref().map_or(0, |cursor| cursor.stretch(seq, end))
    }

    #[inline]
    fn follow(&mut self) -> bool {
        self.open.as_mut().is_some_and(Cursor::follow)
    }
}

macro_rules! each {
    ($self:ident, $cursor:ident => $call:expr, $error:pat => $lost:expr) => {
        match $self {
            Source::Memory($cursor) => $call,
            Source::Table($cursor) => $call,
            Source::Level($cursor) => $call,
            Source::Lost($error) => $lost,
        }
    };
}

impl Cursor for Source {
    #[inline]
    fn entry(&self) -> Option<Entry<'_>> {
        each!(self, cursor => cursor.entry(), _ => None)
    }

    #[inline]
    fn has_entry(&self) -> bool {
        each!(self, cursor => cursor.has_entry(), _ => false)
    }

    fn to_first(&mut self) -> Result<()> {
        each!(self, cursor => cursor.to_first(), error => Err(error.clone()))
    }

    fn to_last(&mut self) -> Result<()> {
        each!(self, cursor => cursor.to_last(), error => Err(error.clone()))
    }

    fn seek(&mut self, key: &[u8], seq: u64) -> Result<()> {
        each!(self, cursor => cursor.seek(key, seq), error => Err(error.clone()))
    }

    fn seek_back(&mut self, key: &[u8], seq: u64) -> Result<()> {
        each!(self, cursor => cursor.seek_back(key, seq), error => Err(error.clone()))
    }

    #[inline]
    fn advance(&mut self) -> Result<()> {
        each!(self, cursor => cursor.advance(), error => Err(error.clone()))
    }

    #[inline]
    fn retreat(&mut self) -> Result<()> {
        each!(self, cursor => cursor.retreat(), error => Err(error.clone()))
    }

    fn stretch(&self, seq: u64, end: Option<&[u8]>) -> usize {
        each!(self, cursor => cursor.stretch(seq, end), _ => 0)
    }

    #[inline]
    fn follow(&mut self) -> bool {
        each!(self, cursor => cursor.follow(), _ => false)
    }
}
