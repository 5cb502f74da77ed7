//! What a reader sees of all versions.

use crate::{Cursor, Entry, EntryKind, KeyCopy, Removals, Result};

/// So many versions that a reader does not see are stepped over; beyond, a search is cheaper.
const STEPS: usize = 8;

/// As of when somebody reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsOf {
    /// The sequence number of the newest record that is seen.
    pub seq: u64,
    /// The time, in milliseconds since 1970: what expires then or before has expired.
    pub now_ms: u64,
}

/// A cursor over the keys that a reader sees, each with the version that it sees: the newest one that is
/// not newer than the reader, unless that is a removal, has expired, or is covered by a range removal.
///
/// It stands inside or outside as a [`Cursor`] does, but its seeks take no sequence number.
#[derive(Clone, Debug)]
pub struct Visible<C> {
    all: C,
    as_of: AsOf,
    removals: Removals,
    removed: Around,
    from: KeyCopy,
    to: Option<KeyCopy>,
    stand: Stand,
    /// So many entries behind the place are plain: seen, if their keys are new.
    ahead: usize,
    /// The key of the entry, while the way is back.
    key: KeyCopy,
    /// The value of the entry, while the way is back.
    value: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    Outside,
    /// The entry is that of the cursor over all versions.
    Here,
    /// The entry is kept, in `key` and `value`: the cursor over all versions had to go past it to find
    /// that it is the newest one to be seen.
    Kept {
        seq: u64,
        kind: EntryKind,
        expires_ms: Option<u64>,
    },
}

/// What is removed of the keys around the last one that was asked for.
#[derive(Clone, Debug, Default)]
struct Around {
    is_known: bool,
    seq: Option<u64>,
    from: Vec<u8>,
    to: Option<Vec<u8>>,
}

impl<C: Cursor> Visible<C> {
    /// What a reader sees of all versions of the keys from `from` on that are lower than `to` (`None`: to
    /// the last key). `removals` are the range removals over what `all` goes through; those that are newer
    /// than the reader do not count.
    #[must_use]
    pub fn new(all: C, removals: Removals, as_of: AsOf, from: &[u8], to: Option<&[u8]>) -> Self {
        Self {
            all,
            as_of,
            removals,
            removed: Around::default(),
            from: from.into(),
            to: to.map(KeyCopy::from),
            stand: Stand::Outside,
            ahead: 0,
            key: KeyCopy::default(),
            value: Vec::new(),
        }
    }

    /// The key and its version at the place; `None` outside. It is a put or a pointer.
    #[inline]
    #[must_use]
    pub fn entry(&self) -> Option<Entry<'_>> {
        match self.stand {
            Stand::Outside => None,
            Stand::Here => self.all.entry(),
            Stand::Kept { seq, kind, expires_ms } => {
                Some(Entry { key: &self.key, seq, kind, expires_ms, value: &self.value })
            }
        }
    }

    /// The cursor below, and how many entries behind the place are plain: so many the caller may go through
    /// there by itself. If it has, it says [`went_on`](Self::went_on) before it looks here again.
    pub(crate) fn ahead(&mut self) -> (&mut C, usize) {
        (&mut self.all, self.ahead)
    }

    /// Has `go` bring the cursor below to the last of the plain entries that the caller has gone through, and
    /// takes that as the place.
    ///
    /// # Errors
    /// What `go` reports: the place is outside then.
    pub(crate) fn went_on(&mut self, go: impl FnOnce(&mut C) -> Result<()>) -> Result<()> {
        self.ahead = 0;
        let gone = go(&mut self.all);
        if gone.is_err() {
            self.leave();
        }
        gone
    }

    fn leave(&mut self) {
        self.stand = Stand::Outside;
        self.ahead = 0;
    }

    /// Goes to the first key.
    ///
    /// # Errors
    /// What the cursors below report, here and in the other moves.
    pub fn to_first(&mut self) -> Result<()> {
        self.leave();
        if self.from.is_empty() {
            self.all.to_first()?;
        } else {
            self.all.seek(&self.from, u64::MAX)?;
        }
        self.find_forward()
    }

    /// Goes to the last key.
    ///
    /// # Errors
    /// See [`Visible::to_first`].
    pub fn to_last(&mut self) -> Result<()> {
        self.leave();
        match &self.to {
            None => self.all.to_last()?,
            Some(to) => {
                self.all.seek_back(to, u64::MAX)?;
                if self.all.entry().is_some_and(|entry| *entry.key == **to) {
                    self.all.retreat()?;
                }
            }
        }
        self.find_back()
    }

    /// Goes to the first key at or behind `key`.
    ///
    /// # Errors
    /// See [`Visible::to_first`].
    pub fn seek(&mut self, key: &[u8]) -> Result<()> {
        if *key <= *self.from {
            return self.to_first();
        }
        self.leave();
        // Not newer than the reader: those are not seen.
        self.all.seek(key, self.as_of.seq)?;
        self.find_forward()
    }

    /// Goes to the last key at or before `key`.
    ///
    /// # Errors
    /// See [`Visible::to_first`].
    pub fn seek_back(&mut self, key: &[u8]) -> Result<()> {
        if self.to.as_ref().is_some_and(|to| **to <= *key) {
            return self.to_last();
        }
        self.leave();
        self.all.seek_back(key, 0)?;
        self.find_back()
    }

    /// Goes one key on.
    ///
    /// # Errors
    /// See [`Visible::to_first`].
    #[inline]
    pub fn advance(&mut self) -> Result<()> {
        if self.follow() { Ok(()) } else { self.advance_looking() }
    }

    /// Goes one key on, if that one is known to be seen with an entry that never expires; `false` if it
    /// has to be looked for: then the place is the same as before.
    #[inline]
    pub fn follow(&mut self) -> bool {
        if self.ahead == 0 {
            return false;
        }
        let is_there = self.all.follow();
        self.ahead = if is_there { self.ahead - 1 } else { 0 };
        is_there
    }

    fn advance_looking(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.stand, Stand::Outside) {
            Stand::Outside => return Ok(()),
            Stand::Here => self.leave_key()?,
            Stand::Kept { .. } => self.seek_behind_key()?,
        }
        self.find_forward()
    }

    /// Goes one key back.
    ///
    /// # Errors
    /// See [`Visible::to_first`].
    #[inline]
    pub fn retreat(&mut self) -> Result<()> {
        self.ahead = 0;
        match std::mem::replace(&mut self.stand, Stand::Outside) {
            Stand::Outside => return Ok(()),
            // Newer versions of the key may be in front; they are not seen.
            Stand::Here => self.all.retreat()?,
            Stand::Kept { .. } => {}
        }
        self.find_back()
    }

    /// Finds the next key that is seen, from the place of the cursor below on. That is at or in front of the
    /// newest version of its key which the reader may see.
    #[inline]
    fn find_forward(&mut self) -> Result<()> {
        let mut unseen = 0;
        while let Some(entry) = self.all.entry() {
            if self.to.as_ref().is_some_and(|to| **to <= *entry.key) {
                break;
            }
            if entry.seq > self.as_of.seq {
                unseen += 1;
                if unseen > STEPS {
                    unseen = 0;
                    self.key.set(entry.key);
                    self.all.seek(&self.key, self.as_of.seq)?;
                } else {
                    self.all.advance()?;
                }
                continue;
            }
            unseen = 0;
            if is_live(&entry, self.as_of, &self.removals, &mut self.removed) {
                self.stand = Stand::Here;
                if self.removals.is_empty() {
                    self.ahead = self.all.stretch(self.as_of.seq, self.to.as_deref());
                }
                break;
            }
            self.leave_key()?;
        }
        Ok(())
    }

    /// Goes past all versions of the key that the cursor below stands on.
    #[inline]
    fn leave_key(&mut self) -> Result<()> {
        let Some(entry) = self.all.entry() else { return Ok(()) };
        self.key.set(entry.key);
        for _ in 0..STEPS {
            self.all.advance()?;
            if self.all.entry().is_none_or(|entry| *entry.key != *self.key) {
                return Ok(());
            }
        }
        self.seek_behind_key()
    }

    /// Goes past all versions of the key that was kept.
    fn seek_behind_key(&mut self) -> Result<()> {
        self.all.seek(&self.key, 0)?;
        while self.all.entry().is_some_and(|entry| *entry.key == *self.key) {
            self.all.advance()?;
        }
        Ok(())
    }

    /// Finds the last key that is seen, from the place of the cursor below back, and keeps it.
    #[inline]
    fn find_back(&mut self) -> Result<()> {
        let mut unseen = 0;
        while let Some(entry) = self.all.entry() {
            if is_before(entry.key, &self.from) {
                break;
            }
            if entry.seq <= self.as_of.seq {
                unseen = 0;
                if self.keep_newest()? {
                    break;
                }
                continue;
            }
            unseen += 1;
            if unseen > STEPS {
                unseen = 0;
                // What is left of this key is newer.
                self.key.set(entry.key);
                self.all.seek_back(&self.key, u64::MAX)?;
                if self.all.entry().is_some_and(|entry| *entry.key == *self.key) {
                    self.all.retreat()?;
                }
            } else {
                self.all.retreat()?;
            }
        }
        Ok(())
    }

    /// Goes back past the versions of a key that the reader may see, and keeps the newest of them, if it is
    /// live.
    fn keep_newest(&mut self) -> Result<bool> {
        let mut newest = None;
        let mut steps = 0;
        while let Some(entry) = self.all.entry() {
            if newest.is_none() {
                self.key.set(entry.key);
            } else if entry.seq > self.as_of.seq || *entry.key != *self.key {
                break;
            }
            copy(&mut self.value, entry.value);
            newest = Some((entry.seq, entry.kind, entry.expires_ms));
            steps += 1;
            if steps == STEPS {
                // Straight to the newest, and from there one back.
                self.all.seek(&self.key, self.as_of.seq)?;
            } else {
                self.all.retreat()?;
            }
        }
        let Some((seq, kind, expires_ms)) = newest else { return Ok(false) };
        let entry = Entry { key: &self.key, seq, kind, expires_ms, value: &self.value };
        let is_live = is_live(&entry, self.as_of, &self.removals, &mut self.removed);
        if is_live {
            self.stand = Stand::Kept { seq, kind, expires_ms };
        }
        Ok(is_live)
    }
}

/// Whether a version, the newest of its key that a reader may see, says that the key has a value.
#[inline]
fn is_live(entry: &Entry<'_>, as_of: AsOf, removals: &Removals, removed: &mut Around) -> bool {
    entry.kind != EntryKind::Remove
        && entry.expires_ms.is_none_or(|expires_ms| expires_ms > as_of.now_ms)
        && (removals.is_empty() || removed.over(entry.key, as_of.seq, removals) <= Some(entry.seq))
}

impl Around {
    /// The newest removal over a key that a reader sees.
    fn over(&mut self, key: &[u8], seq: u64, removals: &Removals) -> Option<u64> {
        let holds = self.is_known
            && !is_before(key, &self.from)
            && self.to.as_ref().is_none_or(|to| *key < **to);
        if !holds {
            let around = removals.around(key, seq);
            self.is_known = true;
            self.seq = around.seq;
            copy(&mut self.from, around.from.unwrap_or_default());
            self.to = around.to.map(<[u8]>::to_vec);
        }
        self.seq
    }
}

/// Whether a key comes before a bound. An empty bound is not compared: where a vector has no memory, the
/// comparison of the C library may touch a page that is not there, which takes long to be passed over.
#[inline]
fn is_before(key: &[u8], bound: &[u8]) -> bool {
    !bound.is_empty() && key < bound
}

#[inline]
fn copy(to: &mut Vec<u8>, from: &[u8]) {
    to.clear();
    to.extend_from_slice(from);
}

#[cfg(test)]
#[path = "visible_test.rs"]
mod tests;
