//! Reading around damage: all that can be told for sure, and what cannot.
//!
//! A place that cannot be read is a *gap*: some keys of some table. What newer memtables and tables say of
//! those keys is right all the same, since the newest version is what counts. What older ones say of them is
//! not, for the gap may have had something newer: it is left out.

use crate::{
    AsOf, Cursor, Entry, EntryKind, Error, KeyRange, Memtable, MemtableCursor, Reading, Removals,
    Result, TableCursor,
    table_file::{TableFile, Used},
};
use std::sync::Arc;

/// What can be read for sure of some keys, in their order, and what is damaged on the way.
///
/// It looks at all memtables and tables with each step: for where a [`TreeCursor`](crate::TreeCursor) has
/// ended at damage.
#[derive(Debug)]
pub struct Salvage {
    /// From the newest data to the oldest.
    runs: Vec<Run>,
    as_of: AsOf,
    to: Option<Vec<u8>>,
    key: Vec<u8>,
    value: Vec<u8>,
    is_over: bool,
}

/// Entries in order, of which each key has what is newer than in all runs behind.
#[derive(Debug)]
struct Run {
    entries: Entries,
    removals: Removals,
    gaps: Vec<Gap>,
}

#[derive(Debug)]
enum Entries {
    Memory(MemtableCursor),
    Tables(Box<Tables>),
}

/// Tables that are sorted and disjoint.
#[derive(Debug)]
struct Tables {
    files: Vec<Arc<TableFile>>,
    at: usize,
    open: Option<TableCursor<Used>>,
    /// Where reading went on in the open table behind the last gap.
    resumed: Option<(Vec<u8>, u64)>,
}

/// Keys of which a run may have had something that cannot be read.
#[derive(Debug)]
struct Gap {
    range: KeyRange,
    why: Error,
    is_told: bool,
}

impl Salvage {
    pub(crate) fn new(
        memtables: impl Iterator<Item = Arc<Memtable>>,
        tables: impl Iterator<Item = Vec<Arc<TableFile>>>,
        from: &[u8],
        to: Option<&[u8]>,
        as_of: AsOf,
    ) -> Self {
        let mut runs = Vec::new();
        for memtable in memtables {
            let (entries, removals) = (Entries::Memory(memtable.cursor()), memtable.removals());
            runs.push(Run { entries, removals, gaps: Vec::new() });
        }
        for mut files in tables {
            files.retain(|file| {
                let range = &file.info.range;
                !range.ends_before(from) && to.is_none_or(|to| *range.first < *to)
            });
            let removals = Removals::union(files.iter().map(|file| &file.removals));
            let tables = Box::new(Tables { files, at: 0, open: None, resumed: None });
            runs.push(Run { entries: Entries::Tables(tables), removals, gaps: Vec::new() });
        }
        let mut salvage = Self {
            runs,
            as_of,
            to: to.map(<[u8]>::to_vec),
            key: Vec::new(),
            value: Vec::new(),
            is_over: false,
        };
        // An error that is no damage comes again with the first step.
        salvage.runs.iter_mut().for_each(|run| run.begin(from));
        salvage
    }

    /// The next key with the version that is seen, a put or a pointer, or the next damage; `None` at the
    /// end. Damage is told before the first key that it may concern. After an error that is none
    /// ([`Error::is_damage`]) nothing comes any more.
    pub fn next_entry(&mut self) -> Option<Result<Entry<'_>>> {
        if self.is_over {
            return None;
        }
        loop {
            let heads = self.runs.iter().filter_map(|run| run.entry().map(|entry| entry.key));
            let to = self.to.as_deref();
            let next = heads.min().filter(|key| to.is_none_or(|to| *key < to));
            match next {
                Some(next) => {
                    self.key.clear();
                    self.key.extend_from_slice(next);
                }
                None => self.is_over = true,
            }
            if let Some(why) = self.untold() {
                self.is_over = !why.is_damage();
                return Some(Err(why));
            }
            if self.is_over {
                return None;
            }
            let found = self.newest();
            for run in &mut self.runs {
                run.leave(&self.key);
            }
            if let Some((seq, kind, expires_ms)) = found {
                let (key, value) = (&*self.key, &*self.value);
                return Some(Ok(Entry { key, seq, kind, expires_ms, value }));
            }
        }
    }

    /// Damage that was met, that may concern the next key, or any if there is none, and was not told.
    fn untold(&mut self) -> Option<Error> {
        let (key, to) = ((!self.is_over).then_some(&*self.key), self.to.as_deref());
        let gaps = self.runs.iter_mut().flat_map(|run| &mut run.gaps);
        let mut due = gaps.filter(|gap| {
            let first = &*gap.range.first;
            !gap.is_told
                && (!gap.why.is_damage()
                    || to.is_none_or(|to| first < to) && key.is_none_or(|key| first <= key))
        });
        let gap = due.next()?;
        gap.is_told = true;
        Some(gap.why.clone())
    }

    /// The version of the key that is seen, its value copied; `None` if that is none, or not known.
    fn newest(&mut self) -> Option<(u64, EntryKind, Option<u64>)> {
        let mut removed = None;
        for run in &mut self.runs {
            run.pass_unseen(&self.key, self.as_of.seq);
            if run.gaps.iter().any(|gap| gap.range.contains(&self.key)) {
                return None;
            }
            removed = removed.max(run.removals.newest_over(&self.key, self.as_of.seq));
            if let Some(entry) = run.entry().filter(|entry| entry.key == self.key) {
                let is_live = entry.kind != EntryKind::Remove
                    && entry.expires_ms.is_none_or(|expires_ms| expires_ms > self.as_of.now_ms)
                    && removed <= Some(entry.seq);
                self.value.clear();
                self.value.extend_from_slice(entry.value);
                return is_live.then_some((entry.seq, entry.kind, entry.expires_ms));
            }
            // What lies deeper is older than the removal.
            if removed.is_some() {
                return None;
            }
        }
        None
    }
}

impl Run {
    fn entry(&self) -> Option<Entry<'_>> {
        match &self.entries {
            Entries::Memory(cursor) => cursor.entry(),
            Entries::Tables(tables) => tables.open.as_ref()?.entry(),
        }
    }

    /// Goes to the first entry at or behind `from`.
    fn begin(&mut self, from: &[u8]) {
        match &mut self.entries {
            // Memory cannot be damaged.
            Entries::Memory(cursor) => drop(cursor.seek(from, u64::MAX)),
            Entries::Tables(tables) => {
                tables.enter(&mut self.gaps, |open| open.seek(from, u64::MAX));
            }
        }
    }

    fn advance(&mut self) {
        match &mut self.entries {
            Entries::Memory(cursor) => drop(cursor.advance()),
            Entries::Tables(tables) => tables.go(&mut self.gaps, Cursor::advance),
        }
    }

    /// Goes past versions of `key` that are newer than `seq`.
    fn pass_unseen(&mut self, key: &[u8], seq: u64) {
        while self.entry().is_some_and(|entry| entry.key == key && entry.seq > seq) {
            self.advance();
        }
    }

    /// Goes past all versions of `key`.
    fn leave(&mut self, key: &[u8]) {
        while self.entry().is_some_and(|entry| entry.key == key) {
            self.advance();
        }
    }
}

impl Tables {
    /// Opens the table at the place, or the first behind it that is not lost, and moves in it.
    fn enter(
        &mut self,
        gaps: &mut Vec<Gap>,
        first_move: impl FnOnce(&mut TableCursor<Used>) -> Result<()>,
    ) {
        (self.open, self.resumed) = (None, None);
        while let Some(file) = self.files.get(self.at) {
            match Used::of(file) {
                Ok(table) => {
                    self.open = Some(TableCursor::new(table, Reading::Light));
                    return self.go(gaps, first_move);
                }
                Err(why) => {
                    let range = file.info.range.clone();
                    gaps.push(Gap { range, why, is_told: false });
                    self.at += 1;
                }
            }
        }
    }

    /// Moves, around what is damaged, and on to the next table at the end of one.
    fn go(
        &mut self,
        gaps: &mut Vec<Gap>,
        first_move: impl FnOnce(&mut TableCursor<Used>) -> Result<()>,
    ) {
        let Some(open) = &mut self.open else { return };
        let mut moved = first_move(open);
        loop {
            let Some(open) = &mut self.open else { return };
            match moved {
                Ok(()) if open.entry().is_some() => return,
                Ok(()) => {
                    self.at += 1;
                    return self.enter(gaps, Cursor::to_first);
                }
                Err(why) => {
                    let (gap, behind) = gap(&self.files[self.at], why, self.resumed.as_ref());
                    gaps.push(gap);
                    let Some((key, seq)) = behind else {
                        self.at += 1;
                        return self.enter(gaps, Cursor::to_first);
                    };
                    moved = open.seek(&key, seq);
                    self.resumed = Some((key, seq));
                }
            }
        }
    }
}

/// Which keys are concerned where a table cannot be read, and behind which version it can be again, if
/// that is known and further on than the last time.
fn gap(
    file: &TableFile,
    why: Error,
    resumed: Option<&(Vec<u8>, u64)>,
) -> (Gap, Option<(Vec<u8>, u64)>) {
    let all = &file.info.range;
    let place = match (&why, file.table()) {
        (Error::Damaged { offset, .. }, Ok(table)) => table.locate(*offset),
        _ => Default::default(),
    };
    let first = place.from.map_or_else(|| all.first.clone(), Into::into);
    let is_further = |(key, seq): &(Vec<u8>, u64)| {
        resumed.is_none_or(|(before, from)| before.cmp(key).then(seq.cmp(from)).is_lt())
    };
    let behind = place.to.filter(is_further);
    let range = match &behind {
        // The next place may begin with an older version of the same key.
        Some((key, seq)) => {
            KeyRange { first, last: key.as_slice().into(), last_included: *seq != u64::MAX }
        }
        None => KeyRange { first, ..all.clone() },
    };
    let why = if why.is_damage() {
        Error::KeysLost { cause: Arc::new(why), range: range.clone() }
    } else {
        why
    };
    (Gap { range, why, is_told: false }, behind)
}
