//! Reading every byte of a table.

use super::{
    Table, envelope::BlockKind, handle::Child, header::HEADER_BYTES, ranges, reader::Node,
};
use crate::{Error, Result, block::Layout};
use std::{
    cell::Cell,
    path::{Path, PathBuf},
};

/// A place in a table that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub path: PathBuf,
    /// The byte offset of the damaged block in it.
    pub offset: u64,
    /// What does not hold there.
    pub what: &'static str,
    /// From which key on keys are concerned; `None`: that is not known, or none are.
    pub from: Option<Vec<u8>>,
    /// Up to which key; `None`: the last, or that is not known.
    pub to: Option<Vec<u8>>,
    /// Whether `to` itself is concerned too.
    pub to_included: bool,
}

impl Damage {
    /// What is wrong with a table that cannot be opened at all.
    pub(crate) fn of_lost(error: &Error) -> Self {
        let (offset, what) = match error {
            Error::KeysLost { cause, .. } => return Self::of_lost(cause),
            Error::Damaged { offset, what, .. } => (*offset, *what),
            Error::Missing { .. } => (0, "the table is missing"),
            Error::NotATable { .. } => (0, "the file is not a sorted table"),
            Error::Foreign { .. } => (0, "the table belongs to another database"),
            Error::OtherTable { .. } => (0, "the file is another table than its name says"),
            Error::Version { .. } => (0, "the table has another format version"),
            Error::ByteOrder { .. } => (0, "the table was written with the other byte order"),
            _ => (0, "the table cannot be opened"),
        };
        let path = error.lost_path().map(Path::to_owned).unwrap_or_default();
        Self { path, offset, what, from: None, to: None, to_included: true }
    }
}

/// What a verification has looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Blocks that were found right.
    pub blocks_count: u64,
    /// Entries in them.
    pub entries_count: u64,
    /// Places that are damaged.
    pub damages_count: u64,
}

/// What the index knows of a place in the file.
#[derive(Default)]
pub(crate) struct Place {
    /// No entry at the place has a lower key.
    pub(crate) from: Option<Vec<u8>>,
    /// All entries at the place stand before this version of this key; it is `u64::MAX` where they all have
    /// lower keys. `None`: before the end of the table.
    pub(crate) to: Option<(Vec<u8>, u64)>,
    /// The next block behind the place that the index knows of.
    next: Option<u64>,
}

/// What is checked from one block of entries to the next.
#[derive(Default)]
struct Run {
    last: Option<(Vec<u8>, u64)>,
    done: Verified,
}

impl Table {
    /// Reads every byte of the file and reports each place that is damaged: file, offset, and which
    /// keys are concerned as far as the index tells. The rest stays readable.
    ///
    /// Takes memory for a block and an index block of each level.
    pub fn verify(&self, report: &mut dyn FnMut(Damage)) -> Verified {
        let mut run = Run::default();
        let count = Cell::new(0);
        let mut report = |damage: Damage| {
            count.set(count.get() + 1);
            report(damage);
        };
        self.verify_ends(&mut report);
        let (mut at, end) = (HEADER_BYTES as u64, self.blocks.end() as u64);
        while at < end {
            match self.verify_block(at, &mut run) {
                Ok(next) => at = next,
                Err(error) => {
                    let place = self.locate(at);
                    // The damaged block tells its length; that is believed if a block is there.
                    let told = self.blocks.told_end(at);
                    let next =
                        told.filter(|next| *next == end || self.blocks.intact(*next).is_ok());
                    report(self.damage(at, &error, place.from, place.to));
                    at = next.or(place.next.filter(|next| *next > at)).unwrap_or(end);
                    run.last = None;
                }
            }
        }
        let mut done = run.done;
        if count.get() == 0 && done.entries_count != self.properties().entries_count {
            let what = "the table has another number of entries than its properties say";
            let offset = self.footer.properties;
            let path = self.path().to_owned();
            report(Damage { path, offset, what, from: None, to: None, to_included: true });
        }
        done.damages_count = count.get();
        done
    }

    fn damage(
        &self,
        offset: u64,
        error: &Error,
        from: Option<Vec<u8>>,
        to: Option<(Vec<u8>, u64)>,
    ) -> Damage {
        let (offset, what) = match error {
            Error::Damaged { offset, what, .. } => (*offset, *what),
            Error::Codec { .. } => (offset, "this build cannot decompress a block"),
            _ => (offset, "the header does not match"),
        };
        // What stands before a version of a key may be a newer version of it.
        let to_included = to.as_ref().is_none_or(|(_, seq)| *seq != u64::MAX);
        let (path, to) = (self.path().to_owned(), to.map(|(key, _)| key));
        Damage { path, offset, what, from, to, to_included }
    }

    fn verify_ends(&self, report: &mut dyn FnMut(Damage)) {
        if let Err(error) = self.check_header() {
            report(self.damage(0, &error, None, None));
        }
        if !self.is_footer_intact() {
            let offset = self.blocks.end() as u64;
            let what = "the footer is damaged";
            let path = self.path().to_owned();
            report(Damage { path, offset, what, from: None, to: None, to_included: true });
        }
    }

    /// Checks the block at `at`, and returns where the next one is.
    fn verify_block(&self, at: u64, run: &mut Run) -> Result<u64> {
        let (envelope, span) = self.blocks.intact(at)?;
        let broken = || self.blocks.contradicts(at);
        match envelope.kind {
            BlockKind::Data | BlockKind::Index => {
                let body = self.blocks.unpack(at, envelope, span)?;
                let layout = Layout::of(&body).ok_or_else(broken)?;
                if !layout.is_sound(&body) {
                    return Err(broken());
                }
                if envelope.kind == BlockKind::Data {
                    run.pass(&layout, &body).ok_or_else(broken)?;
                }
            }
            BlockKind::Filter | BlockKind::Properties => {}
            BlockKind::Ranges => {
                let body = self.blocks.unpack(at, envelope, span)?;
                ranges::decode(&body).ok_or_else(broken)?;
            }
        }
        run.done.blocks_count += 1;
        Ok(span.end())
    }

    /// What the index knows of the block at `offset`.
    pub(crate) fn locate(&self, offset: u64) -> Place {
        let mut place = Place::default();
        let Some(root) = self.root else { return place };
        let mut node = root;
        for level in (0..self.footer.depth).rev() {
            let Some(found) = self.locate_in(node, level, offset, &mut place) else {
                return place;
            };
            if level == 0 || found.block.offset == offset {
                return place;
            }
            match self.node(found) {
                Ok(below) => node = below,
                Err(_) => return place,
            }
        }
        place
    }

    /// Where the first block below an index block of a level is, or the first that can be reached.
    fn first_below(&self, mut child: Child, level: u32) -> u64 {
        for _ in 0..level {
            match self.node(child).and_then(|node| self.child(node, 0)) {
                Ok(first) => child = first,
                Err(_) => break,
            }
        }
        child.block.offset
    }

    /// Narrows `place` down to the first entry of an index block that ends at or behind `offset`:
    /// whatever is below an index block stands before it in the file.
    fn locate_in(&self, node: Node, level: u32, offset: u64, place: &mut Place) -> Option<Child> {
        let count = node.layout.count();
        let child = |at| self.child(node, at).ok();
        let at =
            (0..count).find(|at| child(*at).is_some_and(|child| child.block.offset >= offset))?;
        let found = child(at)?;
        let key = |at: usize| {
            let mut key = Vec::new();
            self.key(node, at, &mut key).ok().map(|seq| (key, seq))
        };
        place.from = key(at).map(|(key, _)| key);
        if at + 1 < count {
            place.to = key(at + 1);
        }
        let candidates = [found.filter.map(|handle| handle.offset), Some(found.block.offset)];
        let sibling = child(at + 1).map(|child| self.first_below(child, level));
        let behind = candidates.into_iter().flatten().chain(sibling);
        place.next = behind.filter(|next| *next > offset).min().or(place.next);
        if found.filter.is_some_and(|filter| filter.offset == offset) {
            // No key is concerned: a filter that is damaged excludes nothing.
            (place.from, place.to) = (None, None);
        }
        (found.filter.map(|handle| handle.offset) != Some(offset)).then_some(found)
    }
}

impl Run {
    /// Counts the entries of a block; `None` if it does not belong behind the one before.
    fn pass(&mut self, layout: &Layout, body: &[u8]) -> Option<()> {
        let mut key = layout.prefix(body).to_vec();
        let first = layout.read(body, 0, &mut key)?;
        if let Some((last, seq)) = &self.last
            && last.cmp(&key).then(first.seq.cmp(seq)) != std::cmp::Ordering::Less
        {
            return None;
        }
        let last = layout.read(body, layout.count() - 1, &mut key)?;
        self.last = Some((key, last.seq));
        self.done.entries_count += layout.count() as u64;
        Some(())
    }
}
