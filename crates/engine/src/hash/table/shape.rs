//! The sizes and positions of the table: how large a subtable may be, how full, and where a tag belongs in it.

use super::bucket::SLOTS;

/// Buckets in a page, the unit in which memory is taken and recycled.
pub(super) const PAGE: usize = 16;
/// Pages a directory entry names itself.
pub(super) const ROOTS: usize = 7;
/// Words in a page, which is how many pages an index page names.
pub(super) const FANOUT: usize = PAGE * SLOTS;
/// Buckets of a subtable that is due to split.
pub(super) const FULL: usize = PAGE * ROOTS;
/// Buckets of the subtable a new table starts with.
pub(super) const FIRST: usize = 4;
/// Buckets no subtable outgrows; its size has to fit the head of a directory entry.
pub(super) const LARGEST: usize = (1 << 23) - PAGE;

/// Bits of a tag.
pub(super) const TAG_BITS: u32 = 17;
/// All bits of a tag.
pub(super) const TAG_MASK: u64 = (1 << TAG_BITS) - 1;
/// A split that would leave fewer known bits than this fills all tags anew. Some seven bits say no more than
/// where the slot is, so with 15 a slot in the way is mistaken for the one sought once in 256 times or less. To
/// do without more bits would hardly save any hashes: one is asked for 1.14 times a key as it is, and each key
/// has to be asked for once.
pub(super) const MIN_PRECISION: u32 = 15;
/// The deepest directory: 16 M entries serve some ten billion keys.
pub(super) const MAX_DEPTH: u32 = 24;
/// The directory may double while its entries are at most this many times the subtables...
const SLACK: usize = 16;
/// ... or at most this many, so that hashes that agree in their first bits cannot make it explode.
const SMALL: usize = 16;

/// The known bits of a tag.
#[inline]
pub(super) fn known(precision: u32) -> u64 {
    TAG_MASK & !(TAG_MASK >> precision)
}

/// The tag of a hash in a subtable of this depth: the bits after the prefix.
#[inline]
pub(super) fn tag(hash: u64, depth: u32) -> u64 {
    (hash << depth) >> (u64::BITS - TAG_BITS)
}

/// The home bucket of a tag of which some bits are known. It grows with the tag, so that the order of hashes is the order of buckets.
#[inline]
pub(super) fn home(tag: u64, known: u64, buckets: usize) -> usize {
    (((tag & known) * buckets as u64) >> TAG_BITS) as usize
}

/// The entry of a hash in a directory of this depth.
#[inline]
pub(super) fn index(hash: u64, depth: u32) -> usize {
    ((hash >> 1) >> (u64::BITS - 1 - depth)) as usize
}

/// The first hash of a subtable: the prefix alone.
pub(super) fn prefix(hash: u64, depth: u32) -> u64 {
    hash & !(u64::MAX.checked_shr(depth).unwrap_or(0))
}

/// Words of a subtable that may be in use before it grows: 85 %.
#[inline]
pub(super) fn limit(buckets: usize) -> usize {
    buckets * SLOTS * 85 / 100
}

/// Sizes from a page on to [`FULL`]. Each is larger by a half or so, and the last one is that much smaller than two
/// halves of a split: a key is moved some three times while the number of keys doubles, and of the words of many
/// subtables hardly less than three fifths are in use.
const STEPS: [usize; 5] = [PAGE, 2 * PAGE, 3 * PAGE, 5 * PAGE, FULL];

/// The next larger size. A subtable that cannot split goes on in steps of a fourth.
pub(super) fn next(buckets: usize) -> usize {
    if buckets < PAGE {
        return (buckets * 2).max(FIRST);
    }
    STEPS.into_iter().find(|step| *step > buckets).unwrap_or_else(|| {
        let pages = buckets / PAGE;
        (pages + (pages / 4).max(1)) * PAGE
    })
}

/// The size for a number of slots that leaves a little room to grow.
pub(super) fn size(slots: usize) -> usize {
    let mut buckets = FIRST;
    while limit(buckets) < slots + slots / 32 + 1 {
        buckets = next(buckets);
    }
    buckets
}

/// Whether a subtable can have this size.
pub(super) fn is_size(buckets: usize) -> bool {
    match buckets {
        0..PAGE => buckets.is_power_of_two() && buckets >= FIRST,
        PAGE..=LARGEST => buckets.is_multiple_of(PAGE),
        _ => false,
    }
}

/// Whether a directory of this depth is in proportion to the subtables it would serve.
pub(super) fn is_proportionate(depth: u32, subtables: usize) -> bool {
    depth <= MAX_DEPTH && (1usize << depth) <= subtables.saturating_mul(SLACK).max(SMALL)
}

/// How many pages each root stands for: one, or as many as its index pages name.
pub(super) fn index_span(buckets: usize) -> usize {
    let pages = buckets.div_ceil(PAGE);
    let mut span = 1;
    while span * ROOTS < pages {
        span *= FANOUT;
    }
    span
}
