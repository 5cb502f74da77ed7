//! Which parts become one.
//!
//! A pure function of what parts there are. Parts that lie side by side in time and are of similar size become one when
//! there are enough of them, so that an event is written again about as often as parts can grow by a factor before they
//! are as large as they may be, and what is dropped by time stays in parts of few times.

use std::cmp::Ordering;

/// So many parts of a size become one at least.
const PARTS_MIN: usize = 4;
/// So many parts become one at most.
const PARTS_MAX: usize = 64;

/// A part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) number: u64,
    pub(super) rows: u64,
    /// How many of the rows were deleted.
    pub(super) deleted: u64,
    pub(super) bytes: u64,
    /// The first and the last time.
    pub(super) times: (i64, i64),
}

/// What a part may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

impl Candidate {
    fn live(&self) -> u64 {
        self.rows.saturating_sub(self.deleted)
    }
}

/// The numbers of the parts that are to become one; none if all is well. A part of which half is deleted is written
/// anew alone.
pub(super) fn choose(mut parts: Vec<Candidate>, limits: Limits) -> Vec<u64> {
    if let Some(part) = parts.iter().find(|part| part.deleted > 0 && part.deleted >= part.live()) {
        return vec![part.number];
    }
    parts.sort_by_key(|part| (part.times.1, part.times.0, part.number));
    let mut best: Option<(&[Candidate], u64)> = None;
    for from in 0..parts.len() {
        let (mut rows, mut bytes, mut largest) = (0, 0, 0);
        for (at, part) in parts.iter().enumerate().skip(from).take(PARTS_MAX) {
            rows += part.live();
            bytes += part.bytes;
            largest = largest.max(part.live());
            if rows > limits.rows || bytes > limits.bytes {
                break;
            }
            let run = &parts[from..=at];
            // To write a large part again for the sake of a few small ones would be done again and again.
            let of_a_size = run.iter().filter(|part| part.live() >= largest / 2).count();
            let is_worth_it = of_a_size >= PARTS_MIN;
            if is_worth_it && best.is_none_or(|best| is_better((run, rows), best)) {
                best = Some((run, rows));
            }
        }
    }
    best.map_or_else(Vec::new, |(run, _)| run.iter().map(|part| part.number).collect())
}

/// Whether a run of parts is smaller on average than another one, or of equal ones longer.
fn is_better(one: (&[Candidate], u64), other: (&[Candidate], u64)) -> bool {
    // The averages, both times the product of the lengths.
    let (mine, others) = (other.0.len() as u64, one.0.len() as u64);
    match (one.1 * mine).cmp(&(other.1 * others)) {
        Ordering::Less => true,
        Ordering::Equal => one.0.len() > other.0.len(),
        Ordering::Greater => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { rows: 1 << 20, bytes: 256 << 20 };
    const NONE: [u64; 0] = [];

    fn part(number: u64, rows: u64) -> Candidate {
        let at = number as i64 * 10;
        Candidate { number, rows, deleted: 0, bytes: 60 * rows, times: (at, at + 12) }
    }

    #[test]
    fn four_of_a_size_side_by_side_become_one_and_fewer_do_not() {
        let parts = |rows: &[u64]| (1..).zip(rows).map(|(n, rows)| part(n, *rows)).collect();
        assert_eq!(choose(parts(&[100, 100, 100]), LIMITS), NONE);
        assert_eq!(choose(parts(&[100, 100, 100, 100]), LIMITS), [1, 2, 3, 4]);
        assert_eq!(choose(parts(&[400, 100, 100, 100]), LIMITS), NONE, "one has most");
        assert_eq!(choose(parts(&[400, 100, 100, 100, 100]), LIMITS), [2, 3, 4, 5]);
        assert_eq!(choose(parts(&[1 << 19, 1 << 19, 1 << 19, 1 << 19]), LIMITS), NONE, "too large");
        assert_eq!(choose(Vec::new(), LIMITS), NONE);
        let wide = Limits { bytes: 20_000, ..LIMITS };
        assert_eq!(choose(parts(&[100, 100, 100, 100]), wide), NONE, "too many bytes");
    }

    #[test]
    fn a_part_of_which_half_is_deleted_is_written_anew() {
        let mut half = part(7, 100);
        half.deleted = 49;
        assert_eq!(choose(vec![half.clone()], LIMITS), NONE);
        half.deleted = 50;
        assert_eq!(choose(vec![part(1, 10), half.clone()], LIMITS), [7]);
        half.deleted = 100;
        assert_eq!(choose(vec![half], LIMITS), [7]);
    }

    /// Parts of a size come one after the other, for long: few are left, none is too large, and each event was written
    /// again a few times only.
    #[test]
    fn parts_stay_few_and_little_is_written_again() {
        for (rows, count) in [(1 << 16, 1_000u64), (300, 5_000), (1, 3_000)] {
            let (mut parts, mut written) = (Vec::<Candidate>::new(), 0);
            for n in 0..count {
                parts.push(part(n, rows));
                loop {
                    let chosen = choose(parts.clone(), LIMITS);
                    let Some(last) = chosen.last() else { break };
                    let (old, kept): (Vec<_>, Vec<_>) =
                        parts.into_iter().partition(|part| chosen.contains(&part.number));
                    parts = kept;
                    let rows: u64 = old.iter().map(Candidate::live).sum();
                    written += rows;
                    let times = (old[0].times.0, old[old.len() - 1].times.1);
                    let (number, bytes) = (*last, 60 * rows);
                    parts.push(Candidate { number, rows, deleted: 0, bytes, times });
                    parts.sort_by_key(|part| part.times);
                }
            }
            let all = rows * count;
            assert_eq!(parts.iter().map(Candidate::live).sum::<u64>(), all);
            assert!(parts.iter().all(|part| part.live() <= LIMITS.rows));
            let least = all.div_ceil(LIMITS.rows) as usize;
            assert!(parts.len() <= 2 * least + 40, "{} parts of {all} events", parts.len());
            assert!(written <= 8 * all, "{written} written of {all}");
            let spans = parts.windows(2).all(|pair| pair[0].times.1 <= pair[1].times.1);
            assert!(spans, "they are still side by side");
        }
    }
}
