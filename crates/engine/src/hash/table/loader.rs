//! The loader: makes a table of the groups a walk has copied.
//!
//! Groups are looked at one after the other and get their pages; the pages are filled at the end, by two threads if
//! there are many, because the time it takes is that of the opening.
//!
//! The groups come from a file and are not trusted. What is allocated is in proportion to what they contain: for
//! each group a page, or as many as its slots take; for the directory sixteen entries a group. What cannot be
//! checked is whether tags belong to the keys of the records: a wrong one makes a key unfindable, no more.

use std::{panic, thread};

use super::Table;
use super::arena::Arena;
use super::bucket::SLOTS;
use super::directory::{Directory, ENTRY_BYTES};
use super::entry::{Head, Roots};
use super::error::TableError;
use super::group::{self, Group, PackedGroup};
use super::marks::Passed;
use super::pool::Pool;
use super::shape::{self, FULL, LARGEST, MAX_DEPTH, MIN_PRECISION, PAGE, ROOTS, TAG_BITS};
use super::slot::{self, EMPTY, Slot};
use super::stage::Stage;
use super::writer::{self, Writer};

/// Fewer slots are loaded by one thread.
const MANY: usize = 1 << 17;

/// A table in the making. `K` says which slots may stand in a packed group.
pub(crate) struct TableLoader<'a, K> {
    is_known: K,
    arena: Arena,
    pool: Pool,
    stage: Stage,
    pages: Vec<u32>,
    groups: Vec<Loaded>,
    /// Groups whose pages have yet to be filled.
    planned: Vec<Planned<'a>>,
    /// How many packed groups there were.
    packed_count: usize,
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
    passed: Passed,
    slots: usize,
}

/// A group that has its pages.
struct Planned<'a> {
    group: PackedGroup<'a>,
    roots: Roots,
    /// The number of the packed group.
    number: usize,
}

/// What filling pages came to.
#[derive(Default)]
struct Filled {
    dead: usize,
    /// Memory that was taken.
    bytes: usize,
}

/// What is wrong, and with which of the packed groups if it is one.
#[derive(Debug)]
pub(crate) struct Misfit {
    pub(crate) error: TableError,
    pub(crate) group: Option<usize>,
}

impl From<TableError> for Misfit {
    fn from(error: TableError) -> Self {
        Self { error, group: None }
    }
}

impl<'a, K: Fn(u64) -> bool + Sync> TableLoader<'a, K> {
    /// Begins with no groups.
    pub(crate) fn new(is_known: K) -> Self {
        Self {
            is_known,
            arena: Arena::default(),
            pool: Pool::default(),
            stage: Stage::default(),
            pages: Vec::new(),
            groups: Vec::new(),
            planned: Vec::new(),
            packed_count: 0,
            next: None,
            depth: 0,
            live: 0,
            dead: 0,
        }
    }

    /// Adds the next group. They come in the order of hashes, as a walk yields them.
    pub(crate) fn push(&mut self, group: &Group) -> Result<(), TableError> {
        let precision = self.check_place(group.prefix, group.depth, group.precision)?;
        if group.counts.len() != group.buckets as usize {
            return Err(TableError::Buckets { buckets: group.buckets });
        }
        check_counts(&group.counts, group.slots.len())?;
        let dead = check_slots(group, precision)?;

        let Some(size) = proper_size(group.counts.len(), group.slots.len())? else {
            self.stage.begin(group.counts.len(), precision);
            self.stage.copy(&group.counts, &group.slots);
            return self.add_staged(group, dead);
        };
        self.stage.begin(size, precision);
        self.stage.place(group.slots.iter().filter_map(|&raw| Slot::from_raw(raw)));
        self.add_staged(group, dead)
    }

    /// Adds the next group, as a file has it. Its slots may be found wrong only at the end.
    pub(crate) fn push_packed(&mut self, group: &PackedGroup<'a>) -> Result<(), TableError> {
        let number = self.packed_count;
        self.packed_count += 1;
        let slots = group.slots_count().ok_or(TableError::Counts)?;
        let buckets = group.counts.len();
        if buckets > FULL || proper_size(buckets, slots)?.is_some() {
            let group = group.unpacked();
            if let Some(&raw) = group.slots.iter().find(|&&raw| !(self.is_known)(raw)) {
                return Err(TableError::Unknown { raw });
            }
            return self.push(&group);
        }
        // By far the most.
        const { assert!(FULL == PAGE * ROOTS) };
        let precision = self.check_place(group.prefix, group.depth, group.precision)?;
        check_counts(group.counts, slots)?;
        let pages = buckets.div_ceil(PAGE);
        let roots =
            std::array::from_fn(|at| if at < pages { self.pool.reserve(&self.arena) } else { 0 });
        self.planned.push(Planned { group: *group, roots, number });
        let head = Head::new(u32::from(group.depth), precision, buckets);
        self.add(group.prefix, head, (roots, Passed::of(group.counts)), (slots, 0));
        Ok(())
    }

    /// Fills the pages of all planned groups.
    fn fill_all(&self, planned: &[Planned<'_>]) -> Result<Filled, Misfit> {
        if self.live < MANY {
            return self.fill(planned);
        }
        let (some, others) = planned.split_at(planned.len() / 2);
        let (some, others) = thread::scope(|scope| {
            let name = "annals-loading".to_owned();
            let helper =
                thread::Builder::new().name(name).spawn_scoped(scope, || self.fill(others));
            let some = self.fill(some);
            let others = match helper {
                Ok(helper) => helper.join().unwrap_or_else(|cause| panic::resume_unwind(cause)),
                // Without a thread it takes longer.
                Err(_) => self.fill(others),
            };
            (some, others)
        });
        let (some, others) = (some?, others?);
        Ok(Filled { dead: some.dead + others.dead, bytes: some.bytes + others.bytes })
    }

    fn fill(&self, planned: &[Planned<'_>]) -> Result<Filled, Misfit> {
        let mut filled = Filled::default();
        for Planned { group, roots, number } in planned {
            let outcome = match group.width {
                3 => self.fill_group::<3>(group, roots, &mut filled),
                4 => self.fill_group::<4>(group, roots, &mut filled),
                5 => self.fill_group::<5>(group, roots, &mut filled),
                6 => self.fill_group::<6>(group, roots, &mut filled),
                7 => self.fill_group::<7>(group, roots, &mut filled),
                8 => self.fill_group::<8>(group, roots, &mut filled),
                _ => Err(TableError::Counts),
            };
            outcome.map_err(|error| Misfit { error, group: Some(*number) })?;
        }
        Ok(filled)
    }

    /// Brings the slots of a group from the file into its pages, and checks them on the way. `STEP` is what a slot
    /// takes in the file.
    fn fill_group<const STEP: usize>(
        &self,
        group: &PackedGroup<'_>,
        roots: &Roots,
        filled: &mut Filled,
    ) -> Result<(), TableError> {
        let mut rest = group.slots.as_chunks::<STEP>().0;
        let mut sieve = Sieve::new(u32::from(group.precision), group.counts);
        for ((page, counts), root) in group.counts.chunks(PAGE).enumerate().zip(roots) {
            filled.bytes += self.arena.provide(*root);
            for (at, &count) in counts.iter().enumerate() {
                let (these, others) =
                    rest.split_at_checked(usize::from(count)).ok_or(TableError::Counts)?;
                rest = others;
                let mut words = [EMPTY; SLOTS];
                let mut known = true;
                for (word, bytes) in words.iter_mut().zip(these) {
                    *word = group::unpack(bytes);
                    known &= (self.is_known)(*word);
                }
                let slots = &words[..these.len()];
                if !known {
                    let unknown = slots.iter().find(|&&raw| !(self.is_known)(raw));
                    return Err(TableError::Unknown { raw: unknown.copied().unwrap_or_default() });
                }
                sieve.check(page * PAGE + at, slots)?;
                if let Some(bucket) = self.arena.bucket(*root, at) {
                    bucket.fill(&words);
                }
            }
        }
        filled.dead += sieve.dead;
        Ok(())
    }

    fn add_staged(&mut self, group: &Group, dead: usize) -> Result<(), TableError> {
        let buckets = self.stage.counts().len();
        let roots = writer::write(&self.stage, &mut self.pool, &mut self.pages, &self.arena);
        let head = Head::new(u32::from(group.depth), u32::from(group.precision), buckets);
        let passed = Passed::of(self.stage.counts());
        self.add(group.prefix, head, (roots, passed), (group.slots.len(), dead));
        Ok(())
    }

    /// Notes a subtable that is in its pages, with how many slots it has and how many of them are dead.
    fn add(
        &mut self,
        prefix: u64,
        head: Head,
        (roots, passed): (Roots, Passed),
        (slots, dead): (usize, usize),
    ) {
        self.live += slots - dead;
        self.dead += dead;
        self.depth = self.depth.max(head.depth());
        self.next =
            1u64.checked_shl(u64::BITS - head.depth()).and_then(|range| prefix.checked_add(range));
        self.groups.push(Loaded { prefix, head, roots, passed, slots });
    }

    /// Checks that a group is the next one and returns its precision.
    fn check_place(&self, prefix: u64, depth: u8, precision: u8) -> Result<u32, TableError> {
        if u32::from(depth) > MAX_DEPTH || shape::prefix(prefix, u32::from(depth)) != prefix {
            return Err(TableError::Depth { depth });
        }
        let expected = if self.groups.is_empty() { Some(0) } else { self.next };
        if expected != Some(prefix) {
            return Err(TableError::Order { prefix });
        }
        if !(MIN_PRECISION..=TAG_BITS).contains(&u32::from(precision)) {
            return Err(TableError::Precision { precision });
        }
        Ok(u32::from(precision))
    }

    /// Makes the table, if the groups are all there and their slots are right.
    pub(crate) fn finish(mut self) -> Result<Table, Misfit> {
        if self.groups.is_empty() || self.next.is_some() {
            return Err(TableError::Incomplete.into());
        }
        if !shape::is_proportionate(self.depth, self.groups.len()) {
            return Err(TableError::Disproportion { depth: self.depth as u8 }.into());
        }
        let filled = self.fill_all(&self.planned)?;
        self.pool.note_provided(filled.bytes);
        self.live -= filled.dead;
        self.dead += filled.dead;
        let directory = Directory::new(self.depth);
        let mut writer = Writer::new(self.pool, self.depth, ENTRY_BYTES << self.depth);
        for group in &self.groups {
            directory.publish(group.prefix, group.head, &group.roots, group.passed);
            writer.add(shape::index(group.prefix, self.depth), group.slots);
        }
        Ok(Table::assemble(directory, self.arena, writer, self.live, self.dead))
    }
}

/// The size that a group should rather have; `None` if its own will do. A size that is out of proportion to the slots
/// is not taken over.
fn proper_size(buckets: usize, slots: usize) -> Result<Option<usize>, TableError> {
    let proper = shape::size(slots);
    if proper > LARGEST {
        return Err(TableError::Counts);
    }
    let out_of_proportion = buckets > proper.saturating_mul(2) || slots > shape::limit(buckets);
    Ok(out_of_proportion.then_some(proper))
}

/// Checks that there can be as many buckets as there are counts, and that these add up to the slots.
fn check_counts(counts: &[u8], slots: usize) -> Result<(), TableError> {
    if !shape::is_size(counts.len()) {
        return Err(TableError::Buckets { buckets: counts.len() as u32 });
    }
    let sum: usize = counts.iter().map(|&count| usize::from(count)).sum();
    if sum != slots || counts.iter().any(|&count| usize::from(count) > SLOTS) {
        return Err(TableError::Counts);
    }
    Ok(())
}

/// Checks that each slot is one, and where a search would find it: no further from its home than there are full
/// buckets before its own. Returns how many are dead.
fn check_slots(group: &Group, precision: u32) -> Result<usize, TableError> {
    let mut sieve = Sieve::new(precision, &group.counts);
    let mut rest = &group.slots[..];
    for (bucket, count) in group.counts.iter().enumerate() {
        let (slots, others) = rest.split_at(usize::from(*count));
        rest = others;
        sieve.check(bucket, slots)?;
    }
    Ok(sieve.dead)
}

/// Goes through the buckets of a group, from the first to the last.
struct Sieve {
    buckets: usize,
    known: u64,
    /// How many full buckets there are right before the next one.
    reach: usize,
    dead: usize,
}

impl Sieve {
    fn new(precision: u32, counts: &[u8]) -> Self {
        let known = shape::known(precision);
        // The full buckets before the first one are at the end.
        let full = |count: &&u8| usize::from(**count) == SLOTS;
        let reach = counts.iter().rev().take_while(full).count();
        Self { buckets: counts.len(), known, reach, dead: 0 }
    }

    /// Checks the slots of the next bucket.
    #[inline(always)]
    fn check(&mut self, bucket: usize, slots: &[u64]) -> Result<(), TableError> {
        // What is wrong is only asked when something is: no branches for each slot.
        let mut wrong = false;
        for &raw in slots {
            wrong |= !Slot::is_valid(raw) | (self.distance(raw, bucket) > self.reach);
            self.dead += usize::from(slot::is_dead(raw));
        }
        if wrong {
            return Err(self.fault(bucket, slots));
        }
        self.reach = if slots.len() == SLOTS { self.reach + 1 } else { 0 };
        Ok(())
    }

    /// How far a bucket is from the home of the slot.
    #[inline(always)]
    fn distance(&self, raw: u64, bucket: usize) -> usize {
        let home = shape::home(slot::tag_of(raw), self.known, self.buckets);
        bucket.wrapping_sub(home).wrapping_add(if bucket < home { self.buckets } else { 0 })
    }

    #[cold]
    fn fault(&self, bucket: usize, slots: &[u64]) -> TableError {
        let raw = slots.iter().find(|&&raw| !Slot::is_valid(raw));
        let displaced = slots.iter().find(|&&raw| self.distance(raw, bucket) > self.reach);
        match (raw, displaced) {
            (None, Some(&raw)) => TableError::Displaced { raw, bucket: bucket as u32 },
            (raw, _) => TableError::Slot { raw: raw.copied().unwrap_or_default() },
        }
    }
}
