//! How many different values there are: counted up to a limit, and estimated above it (HyperLogLog).
//!
//! A value counts by a hash of 64 bits that depends on nothing else, so that what parts come to can be merged in any
//! order. Up to [`COUNTED_MAX`] hashes are kept as they are. Of more, each of 2^14 registers keeps the
//! most leading zeroes that any hash had which chose it. The estimate is that of O. Ertl, "New cardinality
//! estimation algorithms for HyperLogLog sketches" (2017), which has no bias at either end; its standard error is
//! 1.04 / √2^14, which is 0.81 %.

use super::key::Folding;
use crate::part::text_hash;
use std::collections::HashSet;

const REGISTER_BITS: u32 = 14;
const REGISTERS: usize = 1 << REGISTER_BITS;
/// The most leading zeroes, plus one, that are left of a hash.
const TOP: usize = (u64::BITS - REGISTER_BITS) as usize + 1;
/// So many hashes are kept: they take no more memory than registers.
const COUNTED_MAX: usize = REGISTERS / size_of::<u64>();

/// How many different values a field has.
///
/// ```
/// use annals_columns::{Batch, Dimension, Query, Role, Schema};
/// use std::sync::Arc;
/// let schema = Schema::builder(1).with("user", Role::Dimension(Dimension::Plain)).build()?;
/// let mut batch = Batch::new(Arc::new(schema));
/// for user in ["ada", "bob", "ada"] {
///     let mut row = batch.row();
///     row.text(0, user)?;
///     row.finish()?;
/// }
/// let mut answer = Query::new(Arc::clone(batch.schema())).distinct(0).answer()?;
/// answer.add_batch(&batch)?;
/// let distinct = &answer.groups()[0].distinct[0];
/// assert_eq!((distinct.count(), distinct.is_exact()), (2, true));
/// # Ok::<(), annals_columns::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Distinct(Kept);

#[derive(Clone, Debug, PartialEq)]
enum Kept {
    Hashes(HashSet<u64, Folding>),
    Registers(Box<[u8; REGISTERS]>),
}

impl Default for Distinct {
    fn default() -> Self {
        Self(Kept::Hashes(HashSet::default()))
    }
}

/// The hash of a number, given by its image: each number has another one.
#[inline]
pub(super) fn number_hash(image: u64) -> u64 {
    let mixed = (image ^ image >> 33).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

/// The hash of a string. It is the same in all databases.
pub(super) fn hash_of_text(text: &str) -> u64 {
    text_hash(0, text)
}

impl Distinct {
    /// Adds a value, given by its hash.
    #[inline]
    pub(super) fn add(&mut self, hash: u64) {
        match &mut self.0 {
            Kept::Hashes(hashes) => {
                hashes.insert(hash);
                if hashes.len() > COUNTED_MAX {
                    self.estimate();
                }
            }
            Kept::Registers(registers) => {
                let register = &mut registers[(hash >> (u64::BITS - REGISTER_BITS)) as usize];
                // A bit behind those that are left ends the zeroes.
                let left = hash << REGISTER_BITS | 1 << (REGISTER_BITS - 1);
                *register = (*register).max(left.leading_zeros() as u8 + 1);
            }
        }
    }

    #[cold]
    fn estimate(&mut self) {
        let registers = Self(Kept::Registers(Box::new([0; REGISTERS])));
        if let Kept::Hashes(hashes) = std::mem::replace(&mut self.0, registers.0) {
            hashes.into_iter().for_each(|hash| self.add(hash));
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        match &other.0 {
            Kept::Hashes(hashes) => hashes.iter().for_each(|hash| self.add(*hash)),
            Kept::Registers(theirs) => {
                if self.is_exact() {
                    self.estimate();
                }
                if let Kept::Registers(ours) = &mut self.0 {
                    let pairs = ours.iter_mut().zip(theirs.iter());
                    pairs.for_each(|(ours, theirs)| *ours = (*ours).max(*theirs));
                }
            }
        }
    }

    /// About how many bytes it takes beside itself.
    pub(super) fn memory_bytes(&self) -> u64 {
        let bytes = match &self.0 {
            // A hash and a byte of control; an eighth of the places is left free.
            Kept::Hashes(hashes) => hashes.capacity() * (size_of::<u64>() + 1) * 8 / 7,
            Kept::Registers(_) => REGISTERS,
        };
        bytes as u64
    }

    /// Whether the values were counted: there are 2,048 at most.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        matches!(self.0, Kept::Hashes(_))
    }

    /// How many different values there are; of more than 2,048 an estimate, whose standard error is 0.81 %.
    #[must_use]
    pub fn count(&self) -> u64 {
        let registers = match &self.0 {
            Kept::Hashes(hashes) => return hashes.len() as u64,
            Kept::Registers(registers) => registers,
        };
        let mut counts = [0u32; TOP + 1];
        registers.iter().for_each(|register| counts[usize::from(*register).min(TOP)] += 1);
        let all = REGISTERS as f64;
        let mut sum = all * tau(1.0 - f64::from(counts[TOP]) / all);
        for count in counts[1..TOP].iter().rev() {
            sum = 0.5 * (sum + f64::from(*count));
        }
        sum += all * sigma(f64::from(counts[0]) / all);
        (all * all / (2.0 * std::f64::consts::LN_2 * sum)).round() as u64
    }
}

fn sigma(share: f64) -> f64 {
    if share >= 1.0 {
        return f64::INFINITY;
    }
    let (mut power, mut factor, mut sum) = (share, 1.0, share);
    loop {
        power *= power;
        let last = sum;
        sum += power * factor;
        factor += factor;
        if sum.total_cmp(&last).is_eq() {
            return sum;
        }
    }
}

fn tau(share: f64) -> f64 {
    if share <= 0.0 || share >= 1.0 {
        return 0.0;
    }
    let (mut root, mut factor, mut sum) = (share, 1.0, 1.0 - share);
    loop {
        root = root.sqrt();
        let last = sum;
        factor *= 0.5;
        sum -= (1.0 - root) * (1.0 - root) * factor;
        if sum.total_cmp(&last).is_eq() {
            return sum / 3.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(numbers: impl Iterator<Item = u64>) -> Distinct {
        let mut all = Distinct::default();
        numbers.for_each(|number| all.add(number_hash(number)));
        all
    }

    #[test]
    fn few_are_counted_and_many_are_near() {
        for count in [0, 1, 2, 2_047, 2_048] {
            let found = of((0..count).chain(0..count / 2));
            assert_eq!((found.count(), found.is_exact()), (count, true));
        }
        for count in [2_049, 5_000, 20_000, 100_000, 3_000_000] {
            for start in [0, 1 << 40] {
                let found = of(start..start + count);
                let off = found.count().abs_diff(count) as f64 / count as f64;
                // Four times the standard error.
                assert!(!found.is_exact() && off < 0.033, "{} of {count}", found.count());
            }
        }
        let texts = (0..50_000).map(|n| hash_of_text(&format!("user {n}")));
        let mut found = Distinct::default();
        texts.for_each(|hash| found.add(hash));
        assert!(found.count().abs_diff(50_000) < 1_650, "{}", found.count());
    }

    #[test]
    fn merged_in_any_order_it_is_the_same() {
        for (first, second) in [(10, 20), (2_000, 40), (2_000, 2_000), (9_000, 30), (9_000, 9_000)]
        {
            let whole = of(0..first + second);
            let (one, other) = (of(0..first), of(first / 2..first + second));
            let (mut forth, mut back) = (one.clone(), other.clone());
            forth.merge(&other);
            back.merge(&one);
            assert_eq!(forth, whole);
            assert_eq!(back, whole);
        }
    }
}
