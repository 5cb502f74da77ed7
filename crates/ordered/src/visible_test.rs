use super::*;
use crate::{
    Merge, RangeRemoval,
    test_run::{Move, Owned, TestRun, some_key, some_moves, some_versions},
};
use proptest::prelude::*;

/// What is seen, found by looking at everything.
fn seen(
    versions: &[Owned],
    removals: &[RangeRemoval],
    as_of: AsOf,
    from: &[u8],
    to: Option<&[u8]>,
) -> TestRun {
    let newest = versions.iter().filter(|one| {
        let is_newer = |other: &&Owned| other.key == one.key && other.seq > one.seq;
        let in_time = |seq| seq <= as_of.seq;
        in_time(one.seq) && !versions.iter().filter(is_newer).any(|other| in_time(other.seq))
    });
    let live = newest.filter(|one| {
        let over = removals.iter().filter(|removal| removal.covers(&one.key));
        let removed =
            over.filter(|removal| removal.seq <= as_of.seq).map(|removal| removal.seq).max();
        one.kind != EntryKind::Remove
            && one.expires_ms.is_none_or(|expires_ms| as_of.now_ms < expires_ms)
            && removed.is_none_or(|removed| removed <= one.seq)
            && *one.key >= *from
            && to.is_none_or(|to| *one.key < *to)
    });
    TestRun::new(live.cloned().collect())
}

fn some_removals() -> impl Strategy<Value = Vec<RangeRemoval>> {
    let one = (some_key(), some_key(), 0..70_u64)
        .prop_map(|(from, to, seq)| RangeRemoval::new(&from, &to, seq));
    prop::collection::vec(one, 0..5)
}

fn check(
    versions: &[Owned],
    removals: &[RangeRemoval],
    as_of: AsOf,
    (from, to): (&[u8], Option<&[u8]>),
    moves: &[Move],
) {
    let mut expected = seen(versions, removals, as_of, from, to);
    let (one, other) = versions.split_at(versions.len() / 2);
    let runs = [one, other].map(|run| TestRun::new(run.to_vec()));
    let removals = removals.iter().cloned().collect();
    let mut visible = Visible::new(Merge::new(runs.to_vec()), removals, as_of, from, to);
    assert_eq!(visible.entry(), None);
    for step in moves {
        match step {
            Move::First => visible.to_first(),
            Move::Last => visible.to_last(),
            Move::Seek(key, _) => visible.seek(key),
            Move::SeekBack(key, _) => visible.seek_back(key),
            Move::On => visible.advance(),
            Move::Back => visible.retreat(),
        }
        .unwrap();
        match step {
            Move::Seek(key, _) => expected.seek(key, u64::MAX),
            Move::SeekBack(key, _) => expected.seek_back(key, 0),
            step => step.apply(&mut expected),
        }
        .unwrap();
        assert_eq!(visible.entry(), expected.entry(), "after {step:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn a_reader_sees_the_newest_live_version_of_each_key(
        versions in some_versions(),
        removals in some_removals(),
        (seq, now_ms) in (0..70_u64, 0..12_u64),
        from in some_key(),
        to in prop::option::of(some_key()),
        moves in some_moves(),
    ) {
        let as_of = AsOf { seq, now_ms };
        check(&versions, &removals, as_of, (&from, to.as_deref()), &moves);
        check(&versions, &removals, as_of, (&[], None), &moves);
    }
}

fn versions_of(key: u8, seqs: std::ops::Range<u64>) -> impl Iterator<Item = Owned> {
    seqs.map(move |seq| Owned {
        key: vec![key],
        seq,
        kind: EntryKind::Put,
        expires_ms: None,
        value: seq.to_be_bytes().to_vec(),
    })
}

#[test]
fn long_runs_of_what_is_not_seen_are_searched_and_not_stepped_through() {
    let all = [1, 2, 3].into_iter().flat_map(|key| versions_of(key, 1..100_000));
    let all = TestRun::new(all.collect());
    for seq in [1, 10, 50_000, 99_990, 99_999] {
        let mut all = all.clone();
        all.moves_left = 300;
        let as_of = AsOf { seq, now_ms: 0 };
        let mut visible = Visible::new(all, Removals::default(), as_of, &[], None);
        let keys = |visible: &Visible<TestRun>| {
            visible.entry().map(|entry| {
                assert_eq!((entry.seq, entry.value), (seq, &seq.to_be_bytes()[..]));
                entry.key[0]
            })
        };
        visible.to_first().unwrap();
        for key in 1..=3 {
            assert_eq!(keys(&visible), Some(key));
            visible.advance().unwrap();
        }
        assert_eq!(keys(&visible), None);
        visible.to_last().unwrap();
        for key in (1..=3).rev() {
            assert_eq!(keys(&visible), Some(key));
            visible.retreat().unwrap();
        }
        assert_eq!(keys(&visible), None);
    }
}

#[test]
fn an_error_leaves_it_outside() {
    let mut succeeded = false;
    for moves_left in 0..300 {
        let mut all =
            TestRun::new([1, 2].into_iter().flat_map(|key| versions_of(key, 1..30)).collect());
        all.moves_left = moves_left;
        let as_of = AsOf { seq: 15, now_ms: 0 };
        let mut visible = Visible::new(all, Removals::default(), as_of, &[], None);
        type Go = fn(&mut Visible<TestRun>) -> Result<()>;
        let moves: [Go; 6] = [
            Visible::to_first,
            Visible::advance,
            Visible::retreat,
            Visible::to_last,
            Visible::retreat,
            Visible::advance,
        ];
        let failed = moves.iter().find(|go| go(&mut visible).is_err());
        assert_eq!(failed.is_some(), visible.entry().is_none());
        assert!(failed.is_none() || !succeeded);
        succeeded = failed.is_none();
    }
    assert!(succeeded);
}
