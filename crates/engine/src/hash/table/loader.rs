//! The loader: makes a table of the groups a walk has copied.
//!
//! The groups come from a file and are not trusted. What is allocated is in proportion to what they contain: for
//! each group a page, or as many as its slots take; for the directory sixteen entries a group. What cannot be
//! checked is whether tags belong to the keys of the records: a wrong one makes a key unfindable, no more.

use super::Table;
use super::arena::Arena;
use super::bucket::SLOTS;
use super::directory::Directory;
use super::entry::{Entry, Head, Roots};
use super::error::TableError;
use super::group::Group;
use super::pool::Pool;
use super::shape::{self, LARGEST, MAX_DEPTH, MIN_PRECISION, TAG_BITS};
use super::slot::{self, Slot};
use super::stage::Stage;
use super::writer::{self, Writer};

/// A table in the making.
#[derive(Default)]
pub(crate) struct TableLoader {
    arena: Arena,
    pool: Pool,
    stage: Stage,
    pages: Vec<u32>,
    groups: Vec<Loaded>,
    /// Where the next group has to begin, once there is one.
    next: Option<u64>,
    depth: u32,
    live: usize,
    dead: usize,
}

/// A subtable the directory will have.
struct Loaded {
    prefix: u64,
    head: Head,
    roots: Roots,
    slots: usize,
}

impl TableLoader {
    /// Begins with no groups.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds the next group. They come in the order of hashes, as a walk yields them.
    pub(crate) fn push(&mut self, group: &Group) -> Result<(), TableError> {
        let depth = u32::from(group.depth);
        if depth > MAX_DEPTH || shape::prefix(group.prefix, depth) != group.prefix {
            return Err(TableError::Depth { depth: group.depth });
        }
        let expected = if self.groups.is_empty() { Some(0) } else { self.next };
        if expected != Some(group.prefix) {
            return Err(TableError::Order { prefix: group.prefix });
        }
        let precision = u32::from(group.precision);
        if !(MIN_PRECISION..=TAG_BITS).contains(&precision) {
            return Err(TableError::Precision { precision: group.precision });
        }
        check_counts(group)?;
        let dead = check_slots(group, precision)?;

        // A size that is out of proportion to the slots is not taken over.
        let proper = shape::size(group.slots.len());
        let buckets = group.buckets as usize;
        let roomy = buckets > proper.saturating_mul(2);
        if proper > LARGEST {
            return Err(TableError::Counts);
        }
        let (buckets, moved) = if roomy || group.slots.len() > shape::limit(buckets) {
            (proper, true)
        } else {
            (buckets, false)
        };
        self.stage.begin(buckets, precision);
        if moved {
            group
                .slots
                .iter()
                .filter_map(|&raw| Slot::from_raw(raw))
                .for_each(|slot| self.stage.place(slot));
        } else {
            self.stage.copy(&group.counts, &group.slots);
        }
        let roots = writer::write(&self.stage, &mut self.pool, &mut self.pages, &self.arena);

        self.live += group.slots.len() - dead;
        self.dead += dead;
        self.depth = self.depth.max(depth);
        self.next =
            1u64.checked_shl(u64::BITS - depth).and_then(|range| group.prefix.checked_add(range));
        let head = Head::new(depth, precision, buckets);
        self.groups.push(Loaded { prefix: group.prefix, head, roots, slots: group.slots.len() });
        Ok(())
    }

    /// Makes the table, if the groups are all there.
    pub(crate) fn finish(self) -> Result<Table, TableError> {
        if self.groups.is_empty() || self.next.is_some() {
            return Err(TableError::Incomplete);
        }
        if !shape::is_proportionate(self.depth, self.groups.len()) {
            return Err(TableError::Disproportion { depth: self.depth as u8 });
        }
        let directory = Directory::new(self.depth);
        let mut writer = Writer::new(self.pool, self.depth, size_of::<Entry>() << self.depth);
        for group in &self.groups {
            directory.publish(group.prefix, group.head, &group.roots);
            writer.add(shape::index(group.prefix, self.depth), group.slots);
        }
        Ok(Table::assemble(directory, self.arena, writer, self.live, self.dead))
    }
}

/// Checks that the counts are as many as the buckets and add up to the slots.
fn check_counts(group: &Group) -> Result<(), TableError> {
    let buckets = group.buckets as usize;
    if !shape::is_size(buckets) || group.counts.len() != buckets {
        return Err(TableError::Buckets { buckets: group.buckets });
    }
    let sum: usize = group.counts.iter().map(|&count| usize::from(count)).sum();
    if sum != group.slots.len() || group.counts.iter().any(|&count| usize::from(count) > SLOTS) {
        return Err(TableError::Counts);
    }
    Ok(())
}

/// Checks that each slot is one, and where a search would find it: no further from its home than there are full
/// buckets before its own. Returns how many are dead.
fn check_slots(group: &Group, precision: u32) -> Result<usize, TableError> {
    let buckets = group.counts.len();
    let known = shape::known(precision);
    let full = |count: &u8| usize::from(*count) == SLOTS;
    let distance = |raw: u64, bucket: usize| {
        let home = shape::home(slot::tag_of(raw), known, buckets);
        bucket.wrapping_sub(home).wrapping_add(if bucket < home { buckets } else { 0 })
    };
    // The full buckets before the first one are at the end.
    let mut reach = group.counts.iter().rev().take_while(|count| full(count)).count();
    let mut rest = &group.slots[..];
    let mut dead = 0;
    for (bucket, count) in group.counts.iter().enumerate() {
        let (slots, others) = rest.split_at(usize::from(*count));
        rest = others;
        // What is wrong is only asked when something is: no branches for each slot.
        let mut wrong = false;
        for &raw in slots {
            wrong |= !Slot::is_valid(raw) | (distance(raw, bucket) > reach);
            dead += (raw >> 63) as usize;
        }
        if wrong {
            let raw = slots.iter().find(|&&raw| !Slot::is_valid(raw));
            let displaced = slots.iter().find(|&&raw| distance(raw, bucket) > reach);
            return Err(match (raw, displaced) {
                (None, Some(&raw)) => TableError::Displaced { raw, bucket: bucket as u32 },
                (raw, _) => TableError::Slot { raw: raw.copied().unwrap_or_default() },
            });
        }
        reach = if full(count) { reach + 1 } else { 0 };
    }
    Ok(dead)
}
