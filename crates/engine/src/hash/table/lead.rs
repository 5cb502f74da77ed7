//! The lead: a bucket with a slot that may be the key's, on the straight way of a search.
//!
//! The way has two parts. Up to the first such bucket, or to where the search ends without one, nothing is read but
//! the table: that is all of it for most keys that are not there, and short. Behind it is a record of the log, nearly
//! always the key's. Who finds another key's there has left the straight way: to go on from here would have to keep
//! at hand what nearly no search needs.

use std::sync::atomic::{Ordering, fence};

use super::bucket::Bucket;
use super::shape::FULL;
use super::slot::{Slot, Sought};
use super::view::View;
use super::{Straight, Table};

/// What a look behind a slot told.
pub(crate) enum Seen<R> {
    /// It is the key's, and this came of it.
    Key(R),
    /// It is of another key.
    Other,
    /// It takes [`Table::find`] to tell.
    Unsure,
}

/// Where a search has come to.
pub(crate) struct Lead<'t> {
    view: View<'t>,
    sought: Sought,
    bucket: Bucket<'t>,
    at: usize,
    /// The places in the bucket that may be the key's.
    agreeing: u32,
    /// How many buckets the search may still go to.
    rest: usize,
}

impl<'t> Lead<'t> {
    /// The first bucket with a slot that may be the key's.
    #[inline(always)]
    pub(super) fn find(table: &'t Table, hash: u64) -> Straight<Self> {
        let Ok(view) = View::of(table, hash) else { return Straight::Unsure };
        let buckets = view.head().buckets();
        // Larger ones are few, and their pages are not at hand.
        if buckets.wrapping_sub(1) >= FULL {
            return Straight::Unsure;
        }
        let (at, sought) = view.home(hash);
        let Some(bucket) = view.bucket_at_hand(at) else { return Straight::Unsure };
        let agreeing = bucket.agreeing(sought);
        let mut lead = Self { view, sought, bucket, at, agreeing, rest: buckets - 1 };
        match lead.go_on() {
            Straight::Found(()) => Straight::Found(lead),
            Straight::Absent => Straight::Absent,
            Straight::Unsure => Straight::Unsure,
        }
    }

    /// Goes to the next bucket with such a slot, if this one has none that was not looked at.
    #[inline(always)]
    fn go_on(&mut self) -> Straight<()> {
        while self.agreeing == 0 {
            if !self.view.is_passed(self.at, self.bucket) {
                return if self.view.is_current() { Straight::Absent } else { Straight::Unsure };
            }
            self.at = self.view.after(self.at);
            let Some(rest) = self.rest.checked_sub(1) else { return Straight::Unsure };
            let Some(bucket) = self.view.bucket_at_hand(self.at) else { return Straight::Unsure };
            (self.rest, self.bucket) = (rest, bucket);
            self.agreeing = bucket.agreeing(self.sought);
        }
        Straight::Found(())
    }

    /// Looks behind the first slot that may be the key's; `Other` says that it is not, and that the search has to
    /// go on. `look` may be called with any address, also with one that was never put here: what it says is
    /// validated afterwards.
    #[inline(always)]
    pub(crate) fn look<R>(self, look: impl FnOnce(Slot) -> Seen<R>) -> Seen<R> {
        let place = self.agreeing.trailing_zeros() as usize;
        let raw = self.bucket.word(place);
        // What the slot leads to is visible from here on.
        fence(Ordering::Acquire);
        let Some(slot) = Slot::from_raw(raw) else { return Seen::Unsure };
        let seen = look(slot);
        // If it is in place still, it was this table's, and what it leads to was not recycled meanwhile. That
        // holds for a refusal too: a key that was relocated must not be missed.
        if !self.view.is_current() || self.bucket.word(place) != raw {
            return Seen::Unsure;
        }
        seen
    }
}
