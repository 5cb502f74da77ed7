//! A sorted run in a vector, as simple as can be, to test what is built on cursors.

use crate::{Cursor, Entry, EntryKind, Error, Result};
use proptest::prelude::*;

/// An entry that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owned {
    pub(crate) key: Vec<u8>,
    pub(crate) seq: u64,
    pub(crate) kind: EntryKind,
    pub(crate) expires_ms: Option<u64>,
    pub(crate) value: Vec<u8>,
}

impl Owned {
    pub(crate) fn entry(&self) -> Entry<'_> {
        let Self { key, seq, kind, expires_ms, value } = self;
        Entry { key, seq: *seq, kind: *kind, expires_ms: *expires_ms, value }
    }
}

/// A place in a sorted run.
#[derive(Clone, Debug)]
pub(crate) struct TestRun {
    entries: Vec<Owned>,
    /// One more than the place; zero and beyond the end are outside.
    at: usize,
    /// How many moves succeed.
    pub(crate) moves_left: usize,
}

impl TestRun {
    pub(crate) fn new(mut entries: Vec<Owned>) -> Self {
        entries.sort_by(|one, other| one.entry().order(&other.entry()));
        Self { entries, at: 0, moves_left: usize::MAX }
    }

    fn go(&mut self, at: usize) -> Result<()> {
        self.at = 0;
        if self.moves_left == 0 {
            return Err(Error::Damaged {
                path: "run".into(),
                offset: 0,
                what: "no moves are left",
            });
        }
        self.moves_left -= 1;
        self.at = if at > self.entries.len() { 0 } else { at };
        Ok(())
    }

    /// How many entries come before the version `seq` of `key`, or, if it is there, up to it.
    fn rank(&self, key: &[u8], seq: u64, or_at: bool) -> usize {
        let target = Entry { key, seq, kind: EntryKind::Put, expires_ms: None, value: &[] };
        self.entries.partition_point(|one| {
            let order = one.entry().order(&target);
            order.is_lt() || or_at && order.is_eq()
        })
    }
}

impl Cursor for TestRun {
    fn entry(&self) -> Option<Entry<'_>> {
        Some(self.entries[self.at.checked_sub(1)?].entry())
    }

    fn to_first(&mut self) -> Result<()> {
        self.go(1)
    }

    fn to_last(&mut self) -> Result<()> {
        self.go(self.entries.len())
    }

    fn seek(&mut self, key: &[u8], seq: u64) -> Result<()> {
        self.go(self.rank(key, seq, false) + 1)
    }

    fn seek_back(&mut self, key: &[u8], seq: u64) -> Result<()> {
        self.go(self.rank(key, seq, true))
    }

    fn advance(&mut self) -> Result<()> {
        if self.at == 0 { Ok(()) } else { self.go(self.at + 1) }
    }

    fn retreat(&mut self) -> Result<()> {
        if self.at == 0 { Ok(()) } else { self.go(self.at - 1) }
    }

    fn stretch(&self, seq: u64, end: Option<&[u8]>) -> usize {
        if self.at == 0 {
            return 0;
        }
        let is_plain = |one: &&Owned| {
            end.is_none_or(|end| *one.key < *end)
                && one.kind != EntryKind::Remove
                && one.expires_ms.is_none()
                && one.seq <= seq
        };
        self.entries[self.at..].iter().take_while(is_plain).count()
    }

    fn follow(&mut self) -> bool {
        let is_new = self.entries[self.at].key != self.entries[self.at - 1].key;
        if is_new && self.moves_left > 0 {
            self.moves_left -= 1;
            self.at += 1;
            return true;
        }
        false
    }
}

/// Few keys, so that many have several versions.
pub(crate) fn some_key() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(0..3_u8, 0..3)
}

/// Versions with sequence numbers from 1 on, each number once.
pub(crate) fn some_versions() -> impl Strategy<Value = Vec<Owned>> {
    let kind = prop::sample::select(vec![
        EntryKind::Put,
        EntryKind::Put,
        EntryKind::Pointer,
        EntryKind::Remove,
    ]);
    let version = (some_key(), kind, prop::option::weighted(0.3, 0..10_u64), 0..9_usize);
    prop::collection::vec(version, 0..60).prop_map(|all| {
        let numbered = all.into_iter().zip(1..);
        numbered
            .map(|((key, kind, expires_ms, len), seq)| {
                let len = if kind == EntryKind::Remove { 0 } else { len };
                Owned { key, seq, kind, expires_ms, value: vec![seq as u8; len] }
            })
            .collect()
    })
}

/// A move of a cursor.
#[derive(Clone, Debug)]
pub(crate) enum Move {
    First,
    Last,
    Seek(Vec<u8>, u64),
    SeekBack(Vec<u8>, u64),
    On,
    Back,
}

pub(crate) fn some_moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        1 => Just(Move::First),
        1 => Just(Move::Last),
        1 => (some_key(), 0..70_u64).prop_map(|(key, seq)| Move::Seek(key, seq)),
        1 => (some_key(), 0..70_u64).prop_map(|(key, seq)| Move::SeekBack(key, seq)),
        6 => Just(Move::On),
        6 => Just(Move::Back),
    ];
    prop::collection::vec(one, 0..80)
}

impl Move {
    pub(crate) fn apply(&self, cursor: &mut impl Cursor) -> Result<()> {
        match self {
            Self::First => cursor.to_first(),
            Self::Last => cursor.to_last(),
            Self::Seek(key, seq) => cursor.seek(key, *seq),
            Self::SeekBack(key, seq) => cursor.seek_back(key, *seq),
            Self::On => cursor.advance(),
            Self::Back => cursor.retreat(),
        }
    }
}
