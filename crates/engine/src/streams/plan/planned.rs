//! A stream that a commit appends to: as it was when that was planned, and what its next event gets.

use super::super::{
    ExpectedVersion, extra,
    find::Stream,
    hash_chain::{ContentHash, EventHash, hash_of},
    id::{StreamKey, id_of_key},
    label::{Before, Label},
    left::Standing,
    lifecycle::closed,
    mark::Mark,
    meanwhile::{self, Moment},
};
use crate::{Error, Result, catalog::Keyspace, clock::as_ms, core::Core};
use annals_events::EventFormat;
use annals_journal::{Address, FrameBuilder, Run, pin};
use std::sync::Arc;

/// A stream that is appended to.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) category: Arc<Keyspace>,
    pub(super) hash: u64,
    pub(super) key: StreamKey,
    /// Its newest event when this was planned.
    newest: Option<Newest>,
    /// What it was for who appends then, and the mark that said so.
    pub(super) standing: Standing,
    mark: Option<Mark>,
    /// What it is for who appends behind an event of this commit.
    behind: Standing,
    /// The version that the next event gets.
    pub(super) next: u64,
    /// Where its last event in the frame begins.
    pub(super) last_at: Option<u32>,
    /// The hash that the next event refers to; of use only if the category is chained.
    pub(super) last_hash: EventHash,
}

/// The newest event of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Newest {
    address: Address,
    /// That of its segment: what is used again has the slot and not the number.
    generation: u32,
    version: u64,
    time_ms: u64,
    hash: EventHash,
}

/// What does not follow from its place of the label of an event that has nothing beside its data.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlainLabel {
    pub(super) type_number: u32,
    pub(super) time_ms: u64,
    pub(super) format: EventFormat,
}

impl Planned {
    /// A stream that was not [looked](Self::look) at yet.
    pub(super) fn new(category: Arc<Keyspace>, hash: u64, key: StreamKey) -> Self {
        Self {
            category,
            hash,
            key,
            newest: None,
            standing: Standing::Open,
            mark: None,
            behind: Standing::Open,
            next: 0,
            last_at: None,
            last_hash: EventHash::default(),
        }
    }

    /// Its newest event, what it is for who appends, and its mark.
    pub(super) fn look(&self, core: &Core) -> Result<(Option<Newest>, Standing, Option<Mark>)> {
        let pin = pin();
        let view = self.category.view.read(&pin);
        let (space, hash, key) = (self.category.id, self.hash, self.key.bytes());
        let stream = Stream { view, space, hash, key };
        // First: if it is the same under the lock, so is what the stream was taken for by it.
        let mark = core.mark_of(&stream)?;
        let found = core.newest_event(&stream)?;
        let standing = core.standing(&self.category, &stream, found.as_ref())?;
        meanwhile::run(Moment::StandingKnown);
        let newest = match &found {
            Some(event) => Some(Newest {
                address: event.hit.address,
                generation: event.hit.guard.generation(),
                version: event.version(),
                time_ms: event.read.label.time_ms,
                hash: hash_of(&self.category, Some(event))?,
            }),
            None => None,
        };
        Ok((newest, standing, mark))
    }

    /// Whether nobody has appended since: a look at the table alone.
    pub(super) fn is_as_it_was(&self, core: &Core) -> bool {
        let pin = pin();
        let view = self.category.view.read(&pin);
        let space = self.category.id;
        let stream = Stream { view, space, hash: self.hash, key: self.key.bytes() };
        if core.mark_of(&stream).ok() != Some(self.mark) {
            return false;
        }
        match self.newest {
            Some(newest) => {
                let guard = core.journal.guard(newest.address.slot);
                if guard.is_none_or(|guard| guard.generation() != newest.generation) {
                    return false;
                }
                let packed = newest.address.pack();
                let leads =
                    |slot: crate::hash::table::Slot| (slot.address() == packed).then_some(());
                view.table.find(self.hash, leads).is_some()
            }
            None => {
                let key = self.key.bytes();
                let is_it = |slot| core.same_key(slot, space, key).map(|_| ());
                view.table.find(self.hash, is_it).is_none()
            }
        }
    }

    /// How long after they were appended its events are over, in milliseconds; `None` if they never are.
    pub(super) fn age_ms(&self) -> Option<u64> {
        let by_mark = self.mark.and_then(|mark| mark.retention.max_age);
        [by_mark, self.category.options.ttl].into_iter().flatten().min().map(as_ms)
    }

    /// Goes back to before the first event of the frame.
    pub(super) fn begin(&mut self, found: (Option<Newest>, Standing, Option<Mark>)) {
        let (newest, ..) = found;
        (self.newest, self.standing, self.mark) = found;
        self.behind = if self.keeps_none() { Standing::Gone } else { Standing::Open };
        self.next = newest.map_or(0, |newest| newest.version + 1);
        self.last_at = None;
        self.last_hash = newest.map_or_else(EventHash::default, |newest| newest.hash);
    }

    /// Puts the hashes of the next event, whose content has this one, into its extra part.
    pub(super) fn link(&mut self, content: &ContentHash, time_ms: u64, extra: &mut [u8]) {
        let link = content.link(self.last_hash, self.next, time_ms);
        let has_room = extra::set_link(extra, &link);
        debug_assert!(has_room, "it was encoded with room for hashes");
        self.last_hash = link.own;
    }

    pub(super) fn check(&self, expected: ExpectedVersion) -> Result<()> {
        check(&self.category, self.key.bytes(), expected, self.next.checked_sub(1), self.standing)
    }

    /// When its next event is appended: not before the one in front of it, whatever came in between.
    pub(super) fn time_ms(&self, time_ms: u64) -> u64 {
        self.newest.map_or(time_ms, |newest| newest.time_ms.max(time_ms))
    }

    /// Adds its next event to the frame, one that has nothing beside its data and is not chained.
    #[inline]
    pub(super) fn push_plain(
        &mut self,
        frame: &mut FrameBuilder<'_>,
        run: &mut Run<'_>,
        data: &[u8],
        label: PlainLabel,
    ) -> Result<()> {
        let at = frame.next_offset();
        let PlainLabel { type_number, time_ms, format } = label;
        let (version, before, extra) = (self.next, self.before(at), &[][..]);
        let label = Label { type_number, version, time_ms, format, before, extra };
        frame.push_in(run, data, &label.end())?;
        self.note_event(at);
        Ok(())
    }

    /// Its next event is in the frame, at `at`.
    pub(super) fn note_event(&mut self, at: u32) {
        self.last_at = Some(at);
        self.next += 1;
        self.standing = self.behind;
    }

    /// Whether its events are kept no longer as soon as they are there.
    fn keeps_none(&self) -> bool {
        let none_by_count = self.mark.is_some_and(|mark| mark.retention.max_count == Some(0));
        none_by_count || self.age_ms() == Some(0)
    }

    pub(super) fn before(&self, at: u32) -> Before {
        match (self.last_at, self.newest) {
            (Some(last_at), _) => Before::Within(at - last_at),
            (None, Some(newest)) => Before::At(newest.address),
            (None, None) => Before::Nothing,
        }
    }
}

/// Whether a stream may be appended to, as `expected`, whose last event has version `found`.
pub(crate) fn check(
    category: &Keyspace,
    key: &[u8],
    expected: ExpectedVersion,
    found: Option<u64>,
    standing: Standing,
) -> Result<()> {
    match standing {
        Standing::Archived | Standing::Tombstone => {
            let stream = id_of_key(key).map_or_else(String::new, |id| id.to_string());
            Err(closed(&category.name, stream, standing == Standing::Tombstone))
        }
        _ if expected.holds(found, standing == Standing::Gone) => Ok(()),
        _ => Err(conflict(category, key, expected, found)),
    }
}

/// The stream is not as expected.
#[cold]
pub(in super::super) fn conflict(
    category: &Keyspace,
    key: &[u8],
    expected: ExpectedVersion,
    found: Option<u64>,
) -> Error {
    let stream = id_of_key(key).map_or_else(String::new, |id| id.to_string());
    Error::VersionConflict { category: category.name.clone(), stream, expected, found }
}
