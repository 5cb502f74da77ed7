//! Range removals that no more are added to, and an index of them.
//!
//! The ends of all ranges cut the keys into pieces. To note for each piece all removals over it would take
//! the square of their number, if they lie one inside the other; so they are noted in a tree over the
//! pieces, each at the few nodes that together are its range.

use super::RangeRemoval;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The removals and their index.
#[derive(Debug)]
pub(super) struct Fixed {
    /// By their sequence numbers.
    removals: Vec<RangeRemoval>,
    /// Where pieces begin or end.
    bounds: Vec<Arc<[u8]>>,
    /// For each node, where its sequence numbers begin. Node `n` has the children `2n` and `2n + 1`;
    /// the piece in front of bound `b + 1` is node `b + pieces`.
    starts: Vec<u32>,
    /// The sequence numbers of all nodes, in rising order for each.
    seqs: Vec<u64>,
}

impl Fixed {
    /// An index of at least one removal, none of them empty.
    pub(super) fn new(mut removals: Vec<RangeRemoval>) -> Self {
        removals.sort_unstable_by_key(|removal| removal.seq);
        let ends = removals.iter().flat_map(|removal| [&removal.from, &removal.to]);
        let bounds: BTreeSet<_> = ends.cloned().collect();
        let bounds: Vec<_> = bounds.into_iter().collect();
        let pieces = bounds.len() - 1;
        let mut at_node = Vec::new();
        for removal in &removals {
            let place = |key| bounds.partition_point(|bound| bound < key) + pieces;
            let (mut from, mut to) = (place(&removal.from), place(&removal.to));
            while from < to {
                if from % 2 == 1 {
                    at_node.push((from as u32, removal.seq));
                    from += 1;
                }
                if to % 2 == 1 {
                    to -= 1;
                    at_node.push((to as u32, removal.seq));
                }
                (from, to) = (from / 2, to / 2);
            }
        }
        at_node.sort_unstable();
        at_node.dedup();
        let mut starts = vec![0; 2 * pieces + 1];
        for &(node, _) in &at_node {
            starts[node as usize + 1] += 1;
        }
        for node in 1..starts.len() {
            starts[node] += starts[node - 1];
        }
        let seqs = at_node.into_iter().map(|(_, seq)| seq).collect();
        Self { removals, bounds, starts, seqs }
    }

    /// The removals, by their sequence numbers.
    pub(super) fn removals(&self) -> &[RangeRemoval] {
        &self.removals
    }

    pub(super) fn oldest_seq(&self) -> u64 {
        self.removals.first().map_or(u64::MAX, |removal| removal.seq)
    }

    pub(super) fn newest_seq(&self) -> u64 {
        self.removals.last().map_or(0, |removal| removal.seq)
    }

    /// The newest removal not newer than `seq` whose range the key is in.
    pub(super) fn newest_over(&self, key: &[u8], seq: u64) -> Option<u64> {
        let pieces = self.bounds.len() - 1;
        let behind = self.bounds.partition_point(|bound| **bound <= *key);
        if behind == 0 || behind > pieces {
            return None;
        }
        let mut newest = None;
        let mut node = behind - 1 + pieces;
        while node > 0 {
            let seqs = &self.seqs[self.starts[node] as usize..self.starts[node + 1] as usize];
            let older = seqs.partition_point(|&one| one <= seq);
            newest = newest.max(seqs[..older].last().copied());
            node /= 2;
        }
        newest
    }

    /// Where the piece begins and ends that the key is in.
    pub(super) fn bounds_around(&self, key: &[u8]) -> (Option<&[u8]>, Option<&[u8]>) {
        let behind = self.bounds.partition_point(|bound| **bound <= *key);
        let from = behind.checked_sub(1).map(|at| &*self.bounds[at]);
        (from, self.bounds.get(behind).map(|bound| &**bound))
    }

    /// About how much memory this takes, in bytes.
    pub(super) fn memory_bytes(&self) -> usize {
        let keys = self.removals.iter().map(|removal| removal.from.len() + removal.to.len() + 32);
        size_of::<Self>()
            + keys.sum::<usize>()
            + self.removals.capacity() * size_of::<RangeRemoval>()
            + self.bounds.capacity() * size_of::<Arc<[u8]>>()
            + self.starts.capacity() * size_of::<u32>()
            + self.seqs.capacity() * size_of::<u64>()
    }
}

/// See [`super::Removals::fragments`].
pub(super) fn fragments<'r>(
    removals: impl Iterator<Item = &'r RangeRemoval>,
    snapshots: &[u64],
) -> Vec<RangeRemoval> {
    // At each bound, the sequence numbers of which one range more, or less, is open behind it.
    let mut bounds: BTreeMap<&Arc<[u8]>, Vec<(u64, isize)>> = BTreeMap::new();
    for removal in removals {
        bounds.entry(&removal.from).or_default().push((removal.seq, 1));
        bounds.entry(&removal.to).or_default().push((removal.seq, -1));
    }
    let mut over: BTreeMap<u64, isize> = BTreeMap::new();
    let mut open: BTreeMap<u64, &Arc<[u8]>> = BTreeMap::new();
    let mut done = Vec::new();
    for (bound, changes) in bounds {
        for (seq, change) in changes {
            let count = over.entry(seq).or_default();
            *count += change;
            if *count == 0 {
                over.remove(&seq);
            }
        }
        let newest = |as_of| over.range(..=as_of).next_back().map(|(&seq, _)| seq);
        let needed: BTreeSet<u64> =
            snapshots.iter().copied().chain([u64::MAX]).filter_map(newest).collect();
        open.retain(|&seq, from| {
            let stays = needed.contains(&seq);
            if !stays {
                done.push(RangeRemoval { from: Arc::clone(from), to: Arc::clone(bound), seq });
            }
            stays
        });
        for seq in needed {
            open.entry(seq).or_insert(bound);
        }
    }
    done.sort_unstable();
    done
}
