use super::*;
use crate::{
    MemtableWriter,
    test_run::{Owned, TestRun, some_key, some_moves, some_versions},
};
use proptest::prelude::*;

fn spread(versions: &[Owned], over: &[usize], runs: usize) -> Vec<TestRun> {
    let mut parts = vec![Vec::new(); runs];
    for (version, run) in versions.iter().zip(over.iter().cycle()) {
        parts[run % runs].push(version.clone());
    }
    parts.into_iter().map(TestRun::new).collect()
}

proptest! {
    #[test]
    fn several_runs_are_as_one(
        versions in some_versions(),
        over in prop::collection::vec(0..60_usize, 1..60),
        runs in 1..6_usize,
        moves in some_moves(),
    ) {
        let mut one = TestRun::new(versions.clone());
        let mut merge = Merge::new(spread(&versions, &over, runs));
        prop_assert_eq!(merge.entry(), None);
        for step in moves {
            step.apply(&mut one).unwrap();
            step.apply(&mut merge).unwrap();
            prop_assert_eq!(merge.entry(), one.entry(), "after {:?}", step);
        }
    }

    #[test]
    fn stretches_are_what_stepping_shows(
        versions in some_versions(),
        over in prop::collection::vec(0..60_usize, 1..60),
        runs in 1..4_usize,
        moves in some_moves(),
        seq in 0..70_u64,
        end in prop::option::of(some_key()),
    ) {
        let mut merge = Merge::new(spread(&versions, &over, runs));
        for step in moves {
            step.apply(&mut merge).unwrap();
            let mut stepping = merge.clone();
            let mut following = merge.clone();
            for _ in 0..merge.stretch(seq, end.as_deref()) {
                let before = stepping.entry().map(|entry| entry.key.to_vec());
                stepping.advance().unwrap();
                let entry = stepping.entry().expect("it was counted");
                prop_assert!(end.as_deref().is_none_or(|end| entry.key < end));
                prop_assert!(entry.seq <= seq && entry.expires_ms.is_none());
                prop_assert_ne!(entry.kind, crate::EntryKind::Remove);
                let is_new = before.is_some_and(|before| *before < *entry.key);
                prop_assert_eq!(following.follow(), is_new, "after {:?}", step);
                if !is_new {
                    stepping.retreat().unwrap();
                    break;
                }
                prop_assert_eq!(following.entry(), stepping.entry(), "after {:?}", step);
            }
            // Both go on alike.
            following.advance().unwrap();
            stepping.advance().unwrap();
            prop_assert_eq!(following.entry(), stepping.entry());
            following.retreat().unwrap();
            stepping.retreat().unwrap();
            prop_assert_eq!(following.entry(), stepping.entry());
        }
    }

    #[test]
    fn an_error_leaves_it_outside(
        versions in some_versions(),
        over in prop::collection::vec(0..60_usize, 1..60),
        failing in 0..3_usize,
        moves_left in 0..20_usize,
        moves in some_moves(),
    ) {
        let mut runs = spread(&versions, &over, 3);
        runs[failing].moves_left = moves_left;
        let mut merge = Merge::new(runs);
        for step in moves {
            if step.apply(&mut merge).is_err() {
                prop_assert_eq!(merge.entry(), None);
                merge.advance().unwrap();
                merge.retreat().unwrap();
                prop_assert_eq!(merge.entry(), None);
            }
        }
    }

    #[test]
    fn a_version_that_two_runs_have_comes_twice_both_ways(
        versions in some_versions(),
        both in prop::collection::vec(any::<bool>(), 60),
    ) {
        let again = versions.iter().zip(both).filter(|(_, both)| *both).map(|(one, _)| one.clone());
        let runs = [versions.clone(), again.collect()].map(TestRun::new);
        let expected: usize = runs.iter().map(|run| walk(run.clone(), true).len()).sum();
        let merge = Merge::new(runs.to_vec());
        let there = walk(merge.clone(), true);
        let mut back = walk(merge.clone(), false);
        back.reverse();
        prop_assert_eq!(there.len(), expected);
        prop_assert_eq!(&there, &back);
        // Turning round at each place comes by the same entries.
        let mut merge = merge;
        merge.to_first().unwrap();
        for at in 1..there.len() {
            merge.advance().unwrap();
            merge.retreat().unwrap();
            prop_assert_eq!(merge.entry().map(|entry| entry.seq), Some(there[at - 1]));
            merge.advance().unwrap();
            prop_assert_eq!(merge.entry().map(|entry| entry.seq), Some(there[at]));
        }
    }
}

fn walk(mut cursor: impl Cursor, forward: bool) -> Vec<u64> {
    if forward { cursor.to_first() } else { cursor.to_last() }.unwrap();
    let mut seqs = Vec::new();
    while let Some(entry) = cursor.entry() {
        seqs.push(entry.seq);
        if forward { cursor.advance() } else { cursor.retreat() }.unwrap();
    }
    seqs
}

/// Versions that a writer puts between the places of the merge do not lead it astray.
#[test]
fn the_order_holds_while_runs_grow() {
    let mut writers = [MemtableWriter::new(), MemtableWriter::new()];
    let mut seq = 0;
    let mut put = |writers: &mut [MemtableWriter; 2], n: u32| {
        seq += 1;
        writers[(n % 2) as usize].put(&Entry {
            key: &(n * 7919 % 10_007).to_be_bytes(),
            seq,
            kind: crate::EntryKind::Put,
            expires_ms: None,
            value: b"",
        });
    };
    for n in 0..2000 {
        put(&mut writers, n);
    }
    let mut merge = Merge::new(writers.iter().map(|writer| writer.memtable().cursor()).collect());
    merge.to_first().unwrap();
    for n in 0..3000_u32 {
        put(&mut writers, 2000 + n);
        let before = merge.entry().map(|entry| entry.key.to_vec());
        let forward = n % 7 != 3;
        if forward { merge.advance() } else { merge.retreat() }.unwrap();
        if let (Some(before), Some(after)) = (before, merge.entry()) {
            assert_eq!(*before < *after.key, forward);
        }
    }
}
