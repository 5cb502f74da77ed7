//! The loader: makes a table of the groups a walk has copied.
//!
//! Groups are looked at one after the other; at the end they get their pages, which lie side by side, and these are
//! filled, by two threads if there are many, because the time it takes is that of the opening.
//!
//! The groups come from a file and are not trusted. What is allocated is in proportion to what they contain: for
//! each group a page, or as many as its slots take; for the directory sixteen entries a group. What cannot be
//! checked is whether tags belong to the keys of the records: a wrong one makes a key unfindable, no more.

use std::ops::Range;
use std::{array, panic, thread};

use parking_lot::Mutex;

use super::Table;
use super::arena::Arena;
use super::bucket::SLOTS;
use super::directory::{Directory, ENTRY_BYTES};
use super::entry::{Head, Roots};
use super::error::TableError;
use super::group::{self, Group, PackedGroup};
use super::marks::Passed;
use super::pool::Pool;
use super::shape::{
    self, FULL, LARGEST, MAX_DEPTH, MIN_PRECISION, PAGE, ROOTS, TAG_BITS, TAG_MASK,
};
use super::slot::{self, Slot};
use super::stage::Stage;
use super::writer::{self, Writer};

/// Fewer slots are loaded by one thread.
const MANY: usize = 1 << 17;
/// So many groups are filled before a thread looks for more: some 400 pages.
const SOME_GROUPS: usize = 64;
/// For each number of slots in a bucket, the words that are slots.
const SLOT_MASKS: [[u64; SLOTS]; SLOTS + 1] = slot_masks();

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

/// A group that is to get pages.
struct Planned<'a> {
    group: PackedGroup<'a>,
    /// The number of the packed group.
    number: usize,
    /// The number of the subtable.
    index: usize,
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
        self.planned.push(Planned { group: *group, number, index: self.groups.len() });
        let head = Head::new(u32::from(group.depth), precision, buckets);
        let roots = Roots::default();
        self.add(group.prefix, head, (roots, Passed::of(group.counts)), (slots, 0));
        Ok(())
    }

    /// Gives all planned groups their pages.
    fn reserve_all(&mut self) {
        let pages = |planned: &Planned<'_>| planned.group.counts.len().div_ceil(PAGE);
        self.pool.skip_to_room(&self.arena, self.planned.iter().map(pages).sum());
        for planned in &self.planned {
            let Some(loaded) = self.groups.get_mut(planned.index) else { continue };
            for root in loaded.roots.iter_mut().take(pages(planned)) {
                *root = self.pool.reserve(&self.arena);
            }
        }
    }

    /// Fills the pages of all planned groups.
    fn fill_all(&self) -> Result<Filled, Misfit> {
        let left = Mutex::new(0..self.planned.len());
        if self.live < MANY {
            return self.fill(|| take_first(&left));
        }
        let (some, others) = thread::scope(|scope| {
            let name = "annals-loading".to_owned();
            // One goes forward, the other backward: they meet in one place only, and nowhere else does the system
            // make the same large page for both. Whoever is faster does more.
            let helper = thread::Builder::new()
                .name(name)
                .spawn_scoped(scope, || self.fill(|| take_last(&left)));
            let some = self.fill(|| take_first(&left));
            let others = match helper {
                Ok(helper) => helper.join().unwrap_or_else(|cause| panic::resume_unwind(cause)),
                // Without a thread it takes longer.
                Err(_) => Ok(Filled::default()),
            };
            (some, others)
        });
        let (some, others) = (some?, others?);
        Ok(Filled { dead: some.dead + others.dead, bytes: some.bytes + others.bytes })
    }

    /// Fills the pages of those that `next` names, until it names none.
    fn fill(&self, mut next: impl FnMut() -> Range<usize>) -> Result<Filled, Misfit> {
        let mut filled = Filled::default();
        loop {
            let planned = self.planned.get(next()).unwrap_or_default();
            if planned.is_empty() {
                return Ok(filled);
            }
            for planned in planned {
                let outcome = self.fill_one(planned, &mut filled);
                outcome.map_err(|error| Misfit { error, group: Some(planned.number) })?;
            }
        }
    }

    fn fill_one(&self, planned: &Planned<'_>, filled: &mut Filled) -> Result<(), TableError> {
        let group = &planned.group;
        let roots = self.groups.get(planned.index).map(|loaded| loaded.roots).unwrap_or_default();
        let is_right = match group.width {
            3 => self.fill_group::<3>(group, &roots, filled),
            4 => self.fill_group::<4>(group, &roots, filled),
            5 => self.fill_group::<5>(group, &roots, filled),
            6 => self.fill_group::<6>(group, &roots, filled),
            7 => self.fill_group::<7>(group, &roots, filled),
            8 => self.fill_group::<8>(group, &roots, filled),
            _ => false,
        };
        if is_right { Ok(()) } else { Err(self.fault_of(group)) }
    }

    /// What is wrong with a group.
    #[cold]
    fn fault_of(&self, group: &PackedGroup<'_>) -> TableError {
        let group = group.unpacked();
        if let Some(&raw) = group.slots.iter().find(|&&raw| !(self.is_known)(raw)) {
            return TableError::Unknown { raw };
        }
        check_slots(&group, u32::from(group.precision)).err().unwrap_or(TableError::Counts)
    }

    /// Brings the slots of a group from the file into its pages, and returns whether they are right. `STEP` is what
    /// a slot takes in the file.
    ///
    /// There is no branch that depends on a slot or a count: what is wrong is asked when it is known that something
    /// is.
    fn fill_group<const STEP: usize>(
        &self,
        group: &PackedGroup<'_>,
        roots: &Roots,
        filled: &mut Filled,
    ) -> bool {
        let mut words = [0; FULL * SLOTS + SLOTS];
        let slots = group.slots.as_chunks::<STEP>().0;
        let (mut right, mut dead) = (slots.len() <= FULL * SLOTS, 0);
        for (word, bytes) in words.iter_mut().zip(slots) {
            *word = group::unpack(bytes);
            right &= (self.is_known)(*word) & Slot::is_valid(*word);
            dead += usize::from(slot::is_dead(*word));
        }
        filled.dead += dead;
        let mut sieve = Sieve::new(u32::from(group.precision), group.counts);
        let mut rest = &words[..];
        for (counts, root) in group.counts.chunks(PAGE).zip(roots) {
            filled.bytes += self.arena.provide(*root);
            for (at, &count) in counts.iter().enumerate() {
                let count = usize::from(count);
                let (Some(these), Some(masks)) =
                    (rest.first_chunk::<SLOTS>(), SLOT_MASKS.get(count))
                else {
                    return false;
                };
                rest = &rest[count..];
                let bucket: [u64; SLOTS] = array::from_fn(|at| these[at] & masks[at]);
                right &= sieve.passes(&bucket, masks);
                sieve.step(count);
                if let Some(place) = self.arena.bucket(*root, at) {
                    place.fill(&bucket);
                }
            }
        }
        right
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
        self.reserve_all();
        let filled = self.fill_all()?;
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
    if let Some(&raw) = group.slots.iter().find(|&&raw| !Slot::is_valid(raw)) {
        return Err(TableError::Slot { raw });
    }
    let mut sieve = Sieve::new(precision, &group.counts);
    let mut rest = &group.slots[..];
    for (bucket, count) in group.counts.iter().enumerate() {
        let (slots, others) =
            rest.split_at_checked(usize::from(*count)).ok_or(TableError::Counts)?;
        rest = others;
        if let Some(&raw) = slots.iter().find(|&&raw| sieve.is_displaced(raw)) {
            return Err(TableError::Displaced { raw, bucket: bucket as u32 });
        }
        sieve.step(slots.len());
    }
    Ok(group.slots.iter().filter(|&&raw| slot::is_dead(raw)).count())
}

/// The next groups from the front.
fn take_first(left: &Mutex<Range<usize>>) -> Range<usize> {
    let mut left = left.lock();
    let from = left.start;
    left.start = left.end.min(from + SOME_GROUPS);
    from..left.start
}

/// The next groups from the end.
fn take_last(left: &Mutex<Range<usize>>) -> Range<usize> {
    let mut left = left.lock();
    let to = left.end;
    left.end = left.start.max(to.saturating_sub(SOME_GROUPS));
    left.end..to
}

const fn slot_masks() -> [[u64; SLOTS]; SLOTS + 1] {
    let mut masks = [[0; SLOTS]; SLOTS + 1];
    let mut count = 0;
    while count <= SLOTS {
        let mut at = 0;
        while at < count {
            masks[count][at] = u64::MAX;
            at += 1;
        }
        count += 1;
    }
    masks
}

/// Goes through the buckets of a group, from the first to the last, and knows which tags belong in each: those whose
/// home it is, or one of the full buckets right before it.
struct Sieve {
    known: u32,
    buckets: u64,
    /// The bucket.
    at: u64,
    /// The first tag that belongs in it, in rounds: below zero are tags of homes at the end.
    from: i64,
    /// The tag after the last one.
    to: i64,
}

impl Sieve {
    fn new(precision: u32, counts: &[u8]) -> Self {
        // The full buckets before the first one are at the end.
        let full = |count: &&u8| usize::from(**count) == SLOTS;
        let reach = counts.iter().rev().take_while(full).count();
        let buckets = counts.len().max(1) as u64;
        let known = shape::known(precision) as u32;
        let mut sieve = Self { known, buckets, at: 0, from: 0, to: 0 };
        sieve.from = sieve.first_tag(buckets - reach as u64) - (1 << TAG_BITS);
        sieve.to = sieve.first_tag(1);
        sieve
    }

    /// The lowest tag whose home is the bucket.
    #[inline(always)]
    fn first_tag(&self, bucket: u64) -> i64 {
        (bucket << TAG_BITS).div_ceil(self.buckets) as i64
    }

    /// Goes on to the next bucket; this one has so many slots.
    #[inline(always)]
    fn step(&mut self, count: usize) {
        if count != SLOTS {
            self.from = self.to;
        }
        self.at += 1;
        self.to = self.first_tag(self.at + 1);
    }

    /// Whether those of the words whose mask is set belong in the bucket.
    #[inline(always)]
    fn passes(&self, words: &[u64; SLOTS], masks: &[u64; SLOTS]) -> bool {
        let (from, span) = (self.from as u32, (self.to - self.from) as u32);
        let mut displaced = 0;
        for (word, mask) in words.iter().zip(masks) {
            displaced |= u32::from(self.is_out(*word, from, span)) & *mask as u32;
        }
        displaced == 0
    }

    /// Whether the slot does not belong in the bucket.
    fn is_displaced(&self, raw: u64) -> bool {
        self.is_out(raw, self.from as u32, (self.to - self.from) as u32)
    }

    #[inline(always)]
    fn is_out(&self, raw: u64, from: u32, span: u32) -> bool {
        let tag = slot::tag_of(raw) as u32 & self.known;
        // Tags follow one another in a circle.
        tag.wrapping_sub(from) & TAG_MASK as u32 >= span
    }
}
