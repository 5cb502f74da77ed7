//! Which versions of a key are still needed.

use crate::{Entry, EntryKind, Removals};

/// What becomes of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It stays as it is.
    Keep,
    /// It stays, with the sequence number zero: nobody can ask for anything older, and whatever may yet
    /// come of its key is newer.
    KeepAsOldest,
    /// It stays as a removal: it has expired, and versions below it must not come back.
    KeepAsRemoval,
    /// It goes.
    Drop,
}

/// What is asked of the versions of all keys of a run.
#[derive(Clone, Copy, Debug)]
pub struct Retention<'a> {
    /// The sequence numbers of all live snapshots, in rising order. Readers that are none of these must
    /// read as of a number not lower than any in the run.
    pub snapshots: &'a [u64],
    /// The time, in milliseconds since 1970. No reader may have an earlier one later.
    pub now_ms: u64,
    /// The range removals over the run. Those that are needed still (see
    /// [`Retention::keeps_removal`]) must stay with the versions that do.
    pub removals: &'a Removals,
}

/// Judges the versions of one key, from the newest to the oldest.
#[derive(Clone, Copy, Debug)]
pub struct KeyRetention<'a> {
    of: Retention<'a>,
    /// Whether nothing older of the key exists but what is judged.
    is_bottom: bool,
    /// The sequence number of the version judged last.
    newer: Option<u64>,
}

impl<'a> Retention<'a> {
    /// Starts with a key. `is_bottom` says that no older version of it, and no older range removal over it,
    /// is anywhere but in the run.
    #[must_use]
    pub fn key(self, is_bottom: bool) -> KeyRetention<'a> {
        KeyRetention { of: self, is_bottom, newer: None }
    }

    /// Whether a range removal is needed still. `is_bottom` says that no older version of any key in its
    /// range is anywhere but in the run.
    #[must_use]
    pub fn keeps_removal(&self, seq: u64, is_bottom: bool) -> bool {
        !is_bottom || self.is_asked_below(seq)
    }

    /// Whether somebody may ask as of something older.
    fn is_asked_below(&self, seq: u64) -> bool {
        self.snapshots.first().is_some_and(|&snapshot| snapshot < seq)
    }
}

impl KeyRetention<'_> {
    /// What becomes of the next older version.
    pub fn judge(&mut self, version: &Entry<'_>) -> Fate {
        let newer = self.newer.replace(version.seq);
        let of = &self.of;
        // The snapshots as of which this is the newest version; the present is one if none is newer.
        let from = of.snapshots.partition_point(|&snapshot| snapshot < version.seq);
        let asked_as_of = match (of.snapshots.get(from), newer) {
            (Some(&snapshot), None) => snapshot,
            (Some(&snapshot), Some(newer)) if snapshot < newer => snapshot,
            (None, None) => u64::MAX,
            _ => return Fate::Drop,
        };
        // What covers it for the earliest who ask covers it for all of them, and so it does what is below.
        let removed = of.removals.newest_over(version.key, asked_as_of);
        if removed > Some(version.seq) {
            return Fate::Drop;
        }
        let has_expired = version.expires_ms.is_some_and(|expires_ms| expires_ms <= of.now_ms);
        let is_last = self.is_bottom && !of.is_asked_below(version.seq);
        if has_expired || version.kind == EntryKind::Remove {
            return match (is_last, has_expired) {
                (true, _) => Fate::Drop,
                (false, true) => Fate::KeepAsRemoval,
                (false, false) => Fate::Keep,
            };
        }
        // A range removal that stays would cover it with a lower number, though it is older.
        if is_last && of.removals.newest_over(version.key, u64::MAX).is_none() {
            return Fate::KeepAsOldest;
        }
        Fate::Keep
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        AsOf, Merge, RangeRemoval, Visible,
        test_run::{Owned, TestRun, some_versions},
    };
    use proptest::prelude::*;

    fn judged(versions: &[Owned], retention: Retention<'_>, is_bottom: bool) -> Vec<Owned> {
        let mut sorted = versions.to_vec();
        sorted.sort_by(|one, other| one.entry().order(&other.entry()));
        let mut kept = Vec::new();
        for versions in sorted.chunk_by(|one, other| one.key == other.key) {
            let mut key = retention.key(is_bottom);
            for version in versions {
                let mut version = version.clone();
                match key.judge(&version.entry()) {
                    Fate::Keep => {}
                    Fate::KeepAsOldest => version.seq = 0,
                    Fate::KeepAsRemoval => {
                        version.kind = EntryKind::Remove;
                        version.expires_ms = None;
                        version.value.clear();
                    }
                    Fate::Drop => continue,
                }
                kept.push(version);
            }
        }
        kept
    }

    type Seen = Vec<(Vec<u8>, EntryKind, Vec<u8>)>;

    fn seen(runs: &[&[Owned]], removals: &Removals, as_of: AsOf) -> Seen {
        let runs = runs.iter().map(|run| TestRun::new(run.to_vec())).collect();
        let mut visible = Visible::new(Merge::new(runs), removals.clone(), as_of, &[], None);
        visible.to_first().unwrap();
        let mut seen = Vec::new();
        while let Some(entry) = visible.entry() {
            seen.push((entry.key.to_vec(), entry.kind, entry.value.to_vec()));
            visible.advance().unwrap();
        }
        seen
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        /// Older tables, a run that is compacted, and newer tables: whoever may still read sees the same
        /// after the compaction as before.
        #[test]
        fn nobody_sees_a_difference(
            versions in some_versions(),
            removals in prop::collection::vec(
                (crate::test_run::some_key(), crate::test_run::some_key(), 0..60_u64),
                0..4,
            ),
            (older, newer) in (0..60_u64, 0..60_u64),
            snapshots in prop::collection::btree_set(0..70_u64, 0..4),
            now_ms in 0..12_u64,
            later_ms in 0..12_u64,
        ) {
            let (older, newer) = (older.min(newer), older.max(newer));
            let part = |from, to| -> Vec<Owned> {
                versions.iter().filter(|one| (from..to).contains(&one.seq)).cloned().collect()
            };
            let (below, run, above) = (part(0, older), part(older, newer), part(newer, 100));
            let all: Removals = removals
                .iter()
                .map(|(from, to, seq)| RangeRemoval::new(from, to, *seq))
                .collect();
            let in_run = |one: &&RangeRemoval| (older..newer).contains(&one.seq);
            let of_run: Removals = all.iter().filter(in_run).cloned().collect();
            let snapshots: Vec<u64> = snapshots.into_iter().collect();
            let retention = Retention { snapshots: &snapshots, now_ms, removals: &of_run };
            let is_bottom = below.is_empty() && all.iter().all(|one| one.seq >= older);
            let kept = judged(&run, retention, is_bottom);
            // Every removal of the run that goes.
            let after: Removals = all
                .iter()
                .filter(|one| !in_run(one) || retention.keeps_removal(one.seq, is_bottom))
                .cloned()
                .collect();
            for seq in snapshots.iter().copied().chain([80, u64::MAX]) {
                for now_ms in [now_ms, now_ms + later_ms] {
                    let as_of = AsOf { seq, now_ms };
                    prop_assert_eq!(
                        seen(&[&below, &run, &above], &all, as_of),
                        seen(&[&below, &kept, &above], &after, as_of)
                    );
                }
            }
        }
    }

    fn version(seq: u64, kind: EntryKind, expires_ms: Option<u64>) -> Owned {
        Owned { key: b"key".to_vec(), seq, kind, expires_ms, value: Vec::new() }
    }

    fn fates(
        versions: &[(u64, EntryKind, Option<u64>)],
        snapshots: &[u64],
        removals: &Removals,
        is_bottom: bool,
    ) -> Vec<Fate> {
        let mut key = Retention { snapshots, now_ms: 100, removals }.key(is_bottom);
        let all = versions.iter().map(|&(seq, kind, expires_ms)| version(seq, kind, expires_ms));
        all.map(|version| key.judge(&version.entry())).collect()
    }

    use EntryKind::{Put, Remove};

    #[test]
    fn without_snapshots_only_the_newest_stays_and_removals_go_at_the_bottom() {
        let none = Removals::default();
        let puts = [(9, Put, None), (8, Put, None), (7, Remove, None), (6, Put, None)];
        let dropped = [Fate::Drop; 3];
        assert_eq!(fates(&puts, &[], &none, false), [&[Fate::Keep], &dropped[..]].concat());
        assert_eq!(fates(&puts, &[], &none, true), [&[Fate::KeepAsOldest], &dropped[..]].concat());
        let removed = &puts[2..];
        assert_eq!(fates(removed, &[], &none, false), [Fate::Keep, Fate::Drop]);
        assert_eq!(fates(removed, &[], &none, true), [Fate::Drop; 2]);
    }

    #[test]
    fn what_has_expired_hides_what_is_below_it() {
        let none = Removals::default();
        let puts = [(9, Put, Some(100)), (8, Put, None)];
        assert_eq!(fates(&puts, &[], &none, false), [Fate::KeepAsRemoval, Fate::Drop]);
        assert_eq!(fates(&puts, &[], &none, true), [Fate::Drop; 2]);
        assert_eq!(fates(&puts, &[8], &none, true), [Fate::KeepAsRemoval, Fate::KeepAsOldest]);
        assert_eq!(fates(&[(9, Put, Some(101))], &[], &none, false), [Fate::Keep]);
    }

    #[test]
    fn snapshots_keep_what_they_see() {
        let none = Removals::default();
        let puts = [(9, Put, None), (8, Remove, None), (6, Put, None), (5, Put, None)];
        let fates = |snapshots: &[u64]| fates(&puts, snapshots, &none, true);
        assert_eq!(fates(&[7]), [Fate::Keep, Fate::Drop, Fate::KeepAsOldest, Fate::Drop]);
        assert_eq!(fates(&[8]), [Fate::Keep, Fate::Drop, Fate::Drop, Fate::Drop]);
        assert_eq!(fates(&[5, 8]), [Fate::Keep, Fate::Keep, Fate::Drop, Fate::KeepAsOldest]);
        assert_eq!(fates(&[9]), [Fate::KeepAsOldest, Fate::Drop, Fate::Drop, Fate::Drop]);
    }

    #[test]
    fn a_range_removal_takes_what_nobody_sees_any_more() {
        let removals: Removals = [RangeRemoval::new(b"a", b"z", 7)].into_iter().collect();
        let puts = [(8, Put, None), (6, Put, None), (5, Remove, None)];
        let fates = |snapshots: &[u64]| fates(&puts, snapshots, &removals, true);
        // The number must stay, so that the range removal, if that does, does not take it.
        assert_eq!(fates(&[]), [Fate::Keep, Fate::Drop, Fate::Drop]);
        assert_eq!(fates(&[7]), [Fate::Keep, Fate::Drop, Fate::Drop]);
        assert_eq!(fates(&[6]), [Fate::Keep, Fate::Keep, Fate::Drop]);
        let retention = Retention { snapshots: &[7], now_ms: 0, removals: &removals };
        assert!(!retention.keeps_removal(7, true));
        assert!(retention.keeps_removal(7, false));
        assert!(retention.keeps_removal(8, true));
    }
}
