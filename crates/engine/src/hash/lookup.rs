//! Finding the version of a key that a reader may see.

use super::{
    Guard, HashView,
    table::{Seen, Slot, Table},
};
use crate::{Error, Result, core::Core};
use annals_journal::{Address, Glance, Kind, Look, Match, Seat, SegmentGuard, Seq};
use std::sync::atomic::Ordering;

/// A record that was found, with the guard that keeps it in place.
pub(crate) struct Hit<'a> {
    pub(crate) guard: SegmentGuard<'a>,
    pub(crate) address: Address,
    pub(crate) record: Match,
    /// The table says that the key is gone (removed, or expired and swept).
    dead: bool,
}

impl<'a> Hit<'a> {
    /// A record at a known address.
    pub(crate) fn new(guard: SegmentGuard<'a>, address: Address, record: Match) -> Self {
        Self { guard, address, record, dead: false }
    }

    /// Its value.
    #[inline]
    pub(crate) fn into_value(self) -> Guard<'a> {
        Guard::new(self.guard.into_value(self.record.value))
    }
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

/// What is behind a slot that ends a search.
enum Candidate<'a> {
    Hit(Hit<'a>),
    /// The segment is gone; the slot was changed meanwhile.
    Gone,
}

impl Core {
    /// The value of `key` that a slot leads to, as far as one glance tells: whether it is one that
    /// everybody sees.
    ///
    /// Not a part of the search in the table: what it needs would push that out of registers.
    #[inline(never)]
    pub(super) fn glance_behind(
        &self,
        slot: Slot,
        seat: Seat<'_>,
        space: u32,
        key: &[u8],
    ) -> Seen<Guard<'_>> {
        match self.journal.glance(Address::unpack(slot.address()), seat, space, key) {
            Glance::Value(value, seq) if !slot.is_dead() && seq <= self.visible_seq() => {
                Seen::Key(Guard::new(value))
            }
            Glance::Other => Seen::Other,
            _ => Seen::Unsure,
        }
    }

    /// The newest version of `key`, whose hash is `hash`, published or not.
    pub(crate) fn newest<'a>(
        &'a self,
        view: &HashView,
        space: u32,
        hash: u64,
        key: &[u8],
    ) -> Result<Option<Hit<'a>>> {
        self.newest_in(&view.table, view, space, hash, key)
    }

    /// The record of `key` that this table of the view leads to, published or not.
    pub(crate) fn newest_in<'a>(
        &'a self,
        table: &Table,
        view: &HashView,
        space: u32,
        hash: u64,
        key: &[u8],
    ) -> Result<Option<Hit<'a>>> {
        let mut damaged_before = None;
        loop {
            let mut damaged = None;
            let found = table.find(hash, |slot| {
                let address = Address::unpack(slot.address());
                let Some(guard) = self.journal.guard(address.slot) else {
                    return Some(Candidate::Gone);
                };
                match guard.look(address.offset, space, key) {
                    Look::This(record) => {
                        Some(Candidate::Hit(Hit { guard, address, record, dead: slot.is_dead() }))
                    }
                    Look::Other => None,
                    Look::Damaged => {
                        damaged = Some(slot);
                        None
                    }
                }
            });
            match found {
                Some(Candidate::Hit(hit)) => return Ok(Some(hit)),
                None if damaged.is_none() => return Ok(None),
                _ => self.ponder(view, space, damaged, &mut damaged_before)?,
            }
        }
    }

    /// The version of `key`, whose hash is `hash`, that `sight` may see.
    pub(crate) fn look_up_hashed<'a>(
        &'a self,
        view: &HashView,
        space: u32,
        hash: u64,
        key: &[u8],
        sight: Sight,
    ) -> Result<Option<Hit<'a>>> {
        match self.newest(view, space, hash, key)? {
            Some(hit) => self.visible_version(hit, key, space, sight),
            None => Ok(None),
        }
    }

    /// The newest version of `key` whose value says itself whether it is as it was written: the record's checksum is
    /// not looked at, so neither is the value, and one that is damaged is found all the same.
    ///
    /// What the record says beside its value has no other checksum. So whatever is unusual about it is looked at again
    /// in the ordinary way, and is not believed of a damaged one.
    pub(super) fn look_up_unsummed<'a>(
        &'a self,
        view: &HashView,
        space: u32,
        hash: u64,
        key: &[u8],
    ) -> Result<Option<Hit<'a>>> {
        let found = view.table.find(hash, |slot| {
            let address = Address::unpack(slot.address());
            let guard = self.journal.guard(address.slot)?;
            let (its_space, record) = guard.match_in_frame(address.offset).ok()?;
            let is_it = its_space == space && guard.bytes(record.key.0, record.key.1) == key;
            is_it.then(|| Hit { guard, address, record, dead: slot.is_dead() })
        });
        if let Some(hit) = &found
            && !hit.dead
            && hit.record.kind == Kind::Put
            && !hit.record.expires
            && hit.record.seq <= self.visible_seq()
        {
            return Ok(found);
        }
        match self.look_up_hashed(view, space, hash, key, Sight::Latest) {
            // The table leads to it by the hash of its key: it is there, and only its value can be read.
            Err(Error::Journal(annals_journal::Error::Damaged { .. }))
                if found.as_ref().is_some_and(|hit| !hit.dead) =>
            {
                Ok(found)
            }
            outcome => outcome,
        }
    }

    /// Decides whether a search that led to a segment that is gone, or to a damaged record, is
    /// worth repeating.
    #[cold]
    fn ponder(
        &self,
        view: &HashView,
        space: u32,
        damaged: Option<Slot>,
        damaged_before: &mut Option<Slot>,
    ) -> Result<()> {
        // The view is not kept up to date any more; the caller looks in the current one.
        if !self.is_current(view, space) {
            return Err(Error::Stale);
        }
        // A slot that was changed while it was read can look damaged; one that looks so twice is.
        if damaged.is_some() && *damaged_before == damaged {
            let address = damaged.map(|slot| Address::unpack(slot.address()));
            let guard = address.and_then(|address| self.journal.guard(address.slot));
            if let (Some(address), Some(guard)) = (address, guard) {
                guard.record(address.offset)?;
            }
        }
        *damaged_before = damaged;
        std::hint::spin_loop();
        Ok(())
    }

    /// Whether changes to the keyspace `space` still reach `view`. One that was cleared away, or
    /// belongs to a state that a read-only handle has left, may point to segments that are gone.
    fn is_current(&self, view: &HashView, space: u32) -> bool {
        let catalog = self.catalog.load();
        let listed = catalog.by_id(space);
        !self.superseded.load(Ordering::Acquire)
            && listed.is_some_and(|listed| std::ptr::eq(&raw const *listed.view, view))
    }

    /// The record at `address` if it is of this key.
    pub(super) fn hit<'a>(
        &self,
        guard: SegmentGuard<'a>,
        address: Address,
        dead: bool,
        space: u32,
        key: &[u8],
    ) -> annals_journal::Result<Option<Hit<'a>>> {
        match guard.look(address.offset, space, key) {
            Look::This(record) => Ok(Some(Hit { guard, address, record, dead })),
            Look::Other => Ok(None),
            Look::Damaged => guard.record(address.offset).map(|_| None),
        }
    }

    /// Goes back from the newest version to the one that `sight` may see.
    pub(crate) fn visible_version<'a>(
        &'a self,
        mut hit: Hit<'a>,
        key: &[u8],
        space: u32,
        sight: Sight,
    ) -> Result<Option<Hit<'a>>> {
        let limit = match sight {
            Sight::Latest => self.visible_seq(),
            Sight::At { seq, .. } => seq,
        };
        while hit.record.seq > limit {
            let Some((address, dead)) = self.version_before(&hit, sight)? else {
                // No frame under way covers it: it was published since `limit` was read.
                if matches!(sight, Sight::Latest) {
                    break;
                }
                return Ok(None);
            };
            let Some(address) = address else { return Ok(None) };
            let Some(guard) = self.journal.guard(address.slot) else {
                if matches!(sight, Sight::Latest) {
                    break;
                }
                return Ok(None);
            };
            match self.hit(guard, address, dead, space, key) {
                Ok(Some(before)) => hit = before,
                // The frame is applied by now, and what it replaced was given up and its place taken:
                // the search begins again.
                Ok(None) | Err(_) if matches!(sight, Sight::Latest) => return Err(Error::Stale),
                Ok(None) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        let expires_ms = if hit.record.expires {
            hit.guard.record(hit.address.offset)?.expires_ms
        } else {
            None
        };
        let over = match sight {
            Sight::Latest => hit.dead || expires_ms.is_some_and(|at| self.is_past(at)),
            Sight::At { time_ms, .. } => expires_ms.is_some_and(|at| self.was_past(at, time_ms)),
        };
        Ok((!over && hit.record.kind == Kind::Put).then_some(hit))
    }

    /// The version before: outer `None` if nothing tells, inner `None` if there was none.
    #[cold]
    fn version_before(
        &self,
        hit: &Hit<'_>,
        sight: Sight,
    ) -> Result<Option<(Option<Address>, bool)>> {
        if let Some(undo) = &*self.undo.load()
            && let Some(before) = undo.before(hit.record.seq)
        {
            let nothing = (None, false);
            return Ok(Some(before.map_or(nothing, |(address, dead)| (Some(address), dead))));
        }
        match sight {
            Sight::Latest => Ok(None),
            Sight::At { .. } => {
                // The writer's addresses are its own: after a compaction that this handle has not
                // loaded they name another place here, or none.
                let known = if self.read_only {
                    self.history.before(hit.address)
                } else {
                    hit.guard.record(hit.address.offset)?.previous
                };
                Ok(Some((known, false)))
            }
        }
    }
}
