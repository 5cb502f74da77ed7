//! Finding the version of a key that a reader may see.

use super::{HashView, table::Slot};
use crate::{Error, Result, core::Core};
use annals_journal::{Address, Kind, SegmentGuard, Seq};
use std::sync::atomic::Ordering;

/// A record that was found, with the guard that keeps it in place.
pub(crate) struct Hit<'a> {
    pub(crate) guard: SegmentGuard<'a>,
    pub(crate) address: Address,
    pub(crate) seq: Seq,
    kind: Kind,
    /// The table says that the key is gone (removed, or expired and swept).
    dead: bool,
    expires_ms: Option<u64>,
    previous: Option<Address>,
    pub(crate) key: (u32, u32),
    pub(crate) value: (u32, u32),
}

/// Which versions a reader may see.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sight {
    /// The latest published one.
    Latest,
    /// The latest one at or before a number, at a time.
    At {
        /// The number.
        seq: Seq,
        /// The time, in milliseconds since 1970.
        time_ms: u64,
    },
}

/// What is behind a slot.
enum Candidate<'a> {
    Hit(Hit<'a>),
    /// The segment is gone; the slot was changed meanwhile.
    Gone,
}

impl Core {
    /// The version of `key`, whose hash is `hash`, that `sight` may see.
    #[inline]
    pub(crate) fn look_up_hashed<'a>(
        &'a self,
        view: &HashView,
        space: u32,
        hash: u64,
        key: &[u8],
        sight: Sight,
    ) -> Result<Option<Hit<'a>>> {
        let mut damaged_before = None;
        loop {
            let mut damaged = None;
            let found =
                view.table.find(hash, |slot| self.candidate(slot, space, key, &mut damaged));
            match (found, damaged) {
                (Some(Candidate::Hit(hit)), _) => return self.visible_version(hit, key, sight),
                // The view is not kept up to date any more; the caller looks in the current one.
                (Some(Candidate::Gone), _) if !self.is_current(view, space) => {
                    return Err(Error::Stale);
                }
                (Some(Candidate::Gone), _) => std::hint::spin_loop(),
                (None, None) => return Ok(None),
                // A slot that was changed while it was read can look damaged; one that looks so
                // twice is.
                (None, Some((slot, error))) => {
                    if !self.is_current(view, space) {
                        return Err(Error::Stale);
                    }
                    if damaged_before == Some(slot) {
                        return Err(Error::Journal(error));
                    }
                    damaged_before = Some(slot);
                }
            }
        }
    }

    /// Whether changes to the keyspace `space` still reach `view`. One that was cleared away, or
    /// belongs to a state that a read-only handle has left, may point to segments that are gone.
    #[cold]
    fn is_current(&self, view: &HashView, space: u32) -> bool {
        let catalog = self.catalog.load();
        let listed = catalog.by_id(space);
        !self.superseded.load(Ordering::Acquire)
            && listed.is_some_and(|listed| std::ptr::eq(&raw const *listed.view, view))
    }

    #[inline]
    fn candidate<'a>(
        &'a self,
        slot: Slot,
        space: u32,
        key: &[u8],
        damaged: &mut Option<(u64, annals_journal::Error)>,
    ) -> Option<Candidate<'a>> {
        let address = Address::unpack(slot.address());
        let Some(guard) = self.journal.guard(address.slot) else { return Some(Candidate::Gone) };
        match self.hit(guard, address, slot.is_dead(), space, key) {
            Ok(hit) => hit.map(Candidate::Hit),
            Err(error) => {
                *damaged = Some((slot.address(), error));
                None
            }
        }
    }

    /// The record at `address` if it is of this key.
    #[inline]
    pub(super) fn hit<'a>(
        &self,
        guard: SegmentGuard<'a>,
        address: Address,
        dead: bool,
        space: u32,
        key: &[u8],
    ) -> annals_journal::Result<Option<Hit<'a>>> {
        let record = guard.record(address.offset)?;
        if record.space != space || record.key != key {
            return Ok(None);
        }
        let (key, value) = (guard.range_of(record.key), guard.range_of(record.value));
        let (seq, kind, previous) = (record.seq, record.kind, record.previous);
        let expires_ms = record.expires_ms;
        Ok(Some(Hit { guard, address, seq, kind, dead, expires_ms, previous, key, value }))
    }

    /// Goes back from the newest version to the one that `sight` may see.
    #[inline]
    pub(crate) fn visible_version<'a>(
        &'a self,
        mut hit: Hit<'a>,
        key: &[u8],
        sight: Sight,
    ) -> Result<Option<Hit<'a>>> {
        let limit = match sight {
            Sight::Latest => self.visible_seq(),
            Sight::At { seq, .. } => seq,
        };
        while hit.seq > limit {
            let Some((address, dead)) = self.version_before(&hit, sight) else {
                // No frame under way covers it: it was published since `limit` was read.
                if matches!(sight, Sight::Latest) {
                    break;
                }
                return Ok(None);
            };
            let Some(address) = address else { return Ok(None) };
            let space = self.space_of(&hit)?;
            let Some(guard) = self.journal.guard(address.slot) else {
                if matches!(sight, Sight::Latest) {
                    break;
                }
                return Ok(None);
            };
            match self.hit(guard, address, dead, space, key)? {
                Some(before) => hit = before,
                None => return Ok(None),
            }
        }
        let gone = match sight {
            Sight::Latest => hit.dead || hit.kind != Kind::Put || self.is_expired(hit.expires_ms),
            Sight::At { time_ms, .. } => {
                hit.kind != Kind::Put || hit.expires_ms.is_some_and(|at| self.was_past(at, time_ms))
            }
        };
        Ok((!gone).then_some(hit))
    }

    fn space_of(&self, hit: &Hit<'_>) -> Result<u32> {
        Ok(hit.guard.record(hit.address.offset)?.space)
    }

    /// The version before: outer `None` if nothing tells, inner `None` if there was none.
    #[cold]
    fn version_before(&self, hit: &Hit<'_>, sight: Sight) -> Option<(Option<Address>, bool)> {
        if let Some(undo) = &*self.undo.load()
            && let Some(before) = undo.before(hit.seq)
        {
            return Some(before.map_or((None, false), |(address, dead)| (Some(address), dead)));
        }
        match sight {
            Sight::Latest => None,
            Sight::At { .. } => {
                // The writer's addresses are its own: after a compaction that this handle has not
                // loaded they name another place here, or none.
                let known =
                    if self.read_only { self.history.before(hit.address) } else { hit.previous };
                Some((known, false))
            }
        }
    }

    /// Whether a record with this expiry is over.
    #[inline]
    pub(crate) fn is_expired(&self, expires_ms: Option<u64>) -> bool {
        expires_ms.is_some_and(|at| self.is_past(at))
    }
}
