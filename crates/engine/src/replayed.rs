//! What replay read of the log and has yet to apply. Views look records up by address, which only an
//! opened journal can do; and an opening that fails on the way has nothing to take back.

use crate::{catalog::Change, hash::hash_key};
#[cfg(debug_assertions)]
use annals_disk::canary::{Broken, is_broken};
#[cfg(debug_assertions)]
use annals_journal::FrameHeader;
use annals_journal::{Address, FrameView, Kind, Record, Seq};

/// What replay read.
#[derive(Debug)]
pub(crate) struct Replayed {
    hash_seed: u64,
    pub(crate) changes: Vec<Changed>,
    /// Records of views, in the order in which they were read.
    pub(crate) records: Vec<Pending>,
    /// The length of all frames in bytes.
    pub(crate) bytes: u64,
    /// The latest time of a frame.
    pub(crate) time_ms: u64,
    /// A catalog record that this build does not understand.
    pub(crate) unknown: Option<Address>,
    #[cfg(debug_assertions)]
    canary: Canary,
}

/// What this replay is told to do wrong; frames may be collected in another thread than the one that is told.
#[cfg(debug_assertions)]
#[derive(Debug)]
struct Canary {
    drops_frame: bool,
    halves_commits: bool,
    keeps_keys: bool,
    keeps_ranges: bool,
    forgets_time: bool,
    frames_count: u64,
}

#[cfg(debug_assertions)]
impl Canary {
    fn new() -> Self {
        Self {
            drops_frame: is_broken(Broken::DropsFrame),
            halves_commits: is_broken(Broken::HalvesCommits),
            keeps_keys: is_broken(Broken::KeepsRemovedKeys),
            keeps_ranges: is_broken(Broken::KeepsRemovedRanges),
            forgets_time: is_broken(Broken::ForgetsTime),
            frames_count: 0,
        }
    }

    /// Whether this record is passed over, which must not be.
    fn passes_over(&self, frame: &FrameHeader, record: &Record<'_>) -> bool {
        let is_last = record.seq.plus(1) == frame.next_seq();
        (self.drops_frame && self.frames_count == 2)
            || (self.halves_commits && frame.count > 1 && is_last)
            || (self.keeps_keys && record.kind == Kind::Remove)
            || (self.keeps_ranges && record.kind == Kind::RemoveRange)
    }
}

/// A change to the catalog.
#[derive(Debug)]
pub(crate) struct Changed {
    pub(crate) seq: Seq,
    pub(crate) change: Change,
    /// How many of the records came before it.
    pub(crate) after: usize,
}

/// A record of a view: all that applying it asks for, unless its key is in the table already.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pending {
    /// The hash of its key.
    pub(crate) hash: u64,
    /// Where it is, and two flags.
    place: u64,
    /// Its encoded length in bytes.
    pub(crate) len: u32,
    /// The keyspace it belongs to.
    pub(crate) space: u32,
}

const REMOVAL: u64 = 1 << 63;
const EXPIRES: u64 = 1 << 62;

impl Pending {
    fn new(hash_seed: u64, address: Address, len: u32, record: &Record<'_>) -> Self {
        let place = address.pack()
            | if record.kind == Kind::Remove { REMOVAL } else { 0 }
            | if record.expires_ms.is_some() { EXPIRES } else { 0 };
        Self { hash: hash_key(hash_seed, record.key), place, len, space: record.space }
    }

    /// Where it is.
    #[inline]
    pub(crate) fn address(&self) -> Address {
        Address::unpack(self.place)
    }

    /// Whether it removes its key.
    #[inline]
    pub(crate) fn is_removal(&self) -> bool {
        self.place & REMOVAL != 0
    }

    /// Whether it says when it expires.
    #[inline]
    pub(crate) fn expires(&self) -> bool {
        self.place & EXPIRES != 0
    }
}

impl Replayed {
    /// Begins with nothing.
    pub(crate) fn new(hash_seed: u64) -> Self {
        let (changes, records) = (Vec::new(), Vec::new());
        Self {
            hash_seed,
            changes,
            records,
            bytes: 0,
            time_ms: 0,
            unknown: None,
            #[cfg(debug_assertions)]
            canary: Canary::new(),
        }
    }

    /// Adds the records of the next frame.
    pub(crate) fn collect(&mut self, frame: &FrameView<'_>) {
        self.bytes += u64::from(frame.header().len);
        self.time_ms = self.time_ms.max(frame.header().time_ms);
        #[cfg(debug_assertions)]
        {
            self.canary.frames_count += u64::from(frame.header().count > 0);
            if self.canary.forgets_time {
                self.time_ms = 0;
            }
        }
        for (address, len, record) in frame.records() {
            #[cfg(debug_assertions)]
            if self.canary.passes_over(frame.header(), &record) {
                continue;
            }
            match record.kind {
                // Intact, by its checksum, and still unknown: a later build wrote it.
                Kind::Catalog => match Change::decode(record.value) {
                    Some(change) => {
                        let after = self.records.len();
                        self.changes.push(Changed { seq: record.seq, change, after });
                    }
                    None => self.unknown = self.unknown.or(Some(address)),
                },
                Kind::Put | Kind::Remove | Kind::RemoveRange | Kind::Event | Kind::Mark => {
                    self.records.push(Pending::new(self.hash_seed, address, len, &record));
                }
                // Kinds of views that this build does not keep.
                _ => {}
            }
        }
    }
}

/// Records are brought into the order of their places in the tables, so that applying goes through
/// each table once and not all over it: this many at a time, by this many places.
const RUN_RECORDS: usize = 1 << 18;
const PLACES_BITS: u32 = 9;
/// Fewer are not worth it.
const FEW: usize = 1 << 10;

/// Splits `records` into runs and hands each to `apply`: records of one keyspace, of which those
/// with the same key come in the order they had.
pub(crate) fn in_runs(records: &[Pending], mut apply: impl FnMut(u32, &[Pending])) {
    let mut sorted = Vec::new();
    for some in records.chunks(RUN_RECORDS) {
        let ordered = if some.len() > FEW {
            sort(some, &mut sorted);
            &sorted[..]
        } else {
            some
        };
        for run in ordered.chunk_by(|a, b| a.space == b.space) {
            apply(run[0].space, run);
        }
    }
}

/// Brings records into the order of their keyspaces, and roughly of their hashes; those with the
/// same hash keep theirs.
fn sort(records: &[Pending], sorted: &mut Vec<Pending>) {
    let mut spaces: Vec<u32> =
        records.chunk_by(|a, b| a.space == b.space).map(|r| r[0].space).collect();
    spaces.sort_unstable();
    spaces.dedup();
    // With many keyspaces, fewer places in each.
    let bits = PLACES_BITS.saturating_sub(spaces.len().ilog2());
    let index = |record: &Pending| {
        let rank =
            if spaces.len() == 1 { 0 } else { spaces.partition_point(|s| *s < record.space) };
        rank << bits | ((record.hash >> 1) >> (u64::BITS - 1 - bits)) as usize
    };
    let mut starts = vec![0usize; (spaces.len() << bits) + 1];
    for record in records {
        starts[index(record) + 1] += 1;
    }
    for at in 1..starts.len() {
        starts[at] += starts[at - 1];
    }
    sorted.clear();
    sorted.resize(records.len(), Pending::default());
    for record in records {
        let next = &mut starts[index(record)];
        sorted[*next] = *record;
        *next += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_keep_the_order_of_each_key() {
        for (records_count, spaces, hashes) in [
            (0, 1, 1),
            (5, 3, 2),
            (5_000, 1, 700),
            (5_000, 3, 700),
            (9_000, 2_000, 5),
            (300_000, 2, 90_000),
        ] {
            let records: Vec<Pending> = (0..records_count as u64)
                .map(|at| {
                    let mixed = at.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                    let hash = (mixed % hashes).wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
                    let space = ((mixed >> 40) % spaces) as u32;
                    Pending { hash, place: at, len: 1, space }
                })
                .collect();
            let mut seen = vec![0u8; records.len()];
            let mut last = std::collections::HashMap::new();
            in_runs(&records, |space, run| {
                for record in run {
                    assert_eq!(record.space, space);
                    seen[record.place as usize] += 1;
                    let before = last.insert((space, record.hash), record.place);
                    assert!(before.is_none_or(|before| before < record.place));
                }
            });
            assert!(seen.iter().all(|times| *times == 1));
        }
    }
}
