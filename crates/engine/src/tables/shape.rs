//! What a table has where, as all its handles know it.

use super::{
    damage::{Lost, Piece},
    deleted::DeletedRows,
    fresh::Fresh,
    opened::Opened,
    options::TableOptions,
    places::PartPlace,
    rollup::MergedDays,
    unique::Uniqueness,
};
use crate::Result;
use annals_columns::{Batch, Schema};
use annals_journal::Seq;
use arc_swap::ArcSwapOption;
use parking_lot::{Mutex, RwLock};
use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

/// What a table has where. Locks are held for as long as it takes to copy or push pointers, never while
/// anything is read or written.
#[derive(Debug, Default)]
pub(crate) struct Shape {
    known: RwLock<Option<Known>>,
    /// The generation of what is known, and how many fresh batches are: for views, which then take no lock that others
    /// take as well. Changed while the lock is held, the generation first.
    pub(super) generation: AtomicU64,
    fresh_count: AtomicUsize,
    /// Parts that were opened.
    pub(super) last_opened: ArcSwapOption<Opened>,
    /// Held by who reads the keyspace to know it.
    pub(super) loading: Mutex<()>,
    /// Held by who turns batches into parts, drops parts, or deletes events.
    pub(super) flushing: Mutex<()>,
    /// Held by who merges parts; taken before the one above.
    pub(super) merging: Mutex<()>,
    /// What was known when nothing was to be merged.
    pub(super) merged_at: AtomicU64,
    /// Parts that are damaged, and are merged no more.
    pub(super) set_aside: Mutex<BTreeSet<u64>>,
    /// What parts come to together by day.
    pub(super) merged_days: MergedDays,
    /// What has to be known for each id to be there once.
    pub(super) uniqueness: Uniqueness,
    /// How often and how long somebody who appended had to wait for flushes.
    pub(super) waits: Mutex<(u64, Duration)>,
}

/// What is known.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) schema: Arc<Schema>,
    pub(super) options: TableOptions,
    /// Those that the table had before, of which there may be batches.
    pub(super) older: Arc<Vec<Arc<Schema>>>,
    pub(super) fresh: Vec<Arc<Fresh>>,
    pub(super) parts: Arc<Vec<Arc<PartPlace>>>,
    /// Batches, and records that cannot be told, that are damaged.
    pub(super) lost: Arc<Vec<Lost>>,
    /// The number of the next fresh batch.
    pub(super) next: u64,
    /// Changes whenever batches may become a part, or have, or a part is dropped, or events are deleted, or the schema is
    /// another one.
    pub(super) generation: u64,
    /// Parts are about to be dropped: whether they are still there is seen in the log only.
    pub(super) is_dropping: bool,
    /// Of what of the log it is known: what was committed behind this number is not there. Of a copy it is where readers
    /// saw when that was made; a read-only handle, which is told by nobody, knows it as of here.
    pub(super) seq: Seq,
    /// Events that are about to be deleted.
    pub(super) coming: Option<Arc<Coming>>,
    /// Rows and bytes of the fresh batches, those that may yet come included.
    pub(super) fresh_rows: usize,
    pub(super) fresh_bytes: usize,
}

/// Which rows will have been deleted once that is committed: all that there are then, of fresh batches and of parts.
#[derive(Debug, Default)]
pub(super) struct Coming {
    pub(super) fresh: HashMap<u64, Arc<DeletedRows>>,
    pub(super) parts: HashMap<u64, Arc<DeletedRows>>,
}

impl Shape {
    /// What is known, if anything is. Nothing of it changes while `seq` says of what of the log it is known, if that is
    /// asked anew: what is committed by then has begun by then, and is known.
    pub(super) fn known(&self, seq: impl FnOnce() -> Option<Seq>) -> Option<Known> {
        let known = self.known.read();
        let mut copy = known.clone()?;
        copy.seq = seq().unwrap_or(copy.seq);
        Some(copy)
    }

    /// Whether anything is known, from at least this number on.
    pub(super) fn is_known(&self, from: Option<Seq>) -> bool {
        let known = self.known.read();
        known.as_ref().is_some_and(|known| from.is_none_or(|from| known.seq >= from))
    }

    /// As if nobody had looked yet.
    #[cfg(test)]
    pub(super) fn forget(&self) {
        *self.known.write() = None;
        self.last_opened.store(None);
    }

    pub(super) fn set(&self, known: Known) {
        let mut now = self.known.write();
        *now = Some(known);
        self.tell(now.as_ref());
    }

    /// Changes what is known; `None` if nothing is.
    pub(super) fn change<R>(&self, change: impl FnOnce(&mut Known) -> R) -> Option<R> {
        let mut known = self.known.write();
        let changed = known.as_mut().map(change);
        self.tell(known.as_ref());
        changed
    }

    /// Takes the schema of who opens the table, if it is equal: that of a Rust type is one for all questions about it, and two
    /// that are one are told equal without a look at their fields.
    pub(super) fn share_schema(&self, schema: &Arc<Schema>) {
        let is_other =
            |known: &Known| !Arc::ptr_eq(&known.schema, schema) && known.schema == *schema;
        if self.look(is_other) != Some(true) {
            return;
        }
        self.change(|known| {
            if is_other(known) {
                known.schema = Arc::clone(schema);
            }
        });
        self.last_opened.store(None);
    }

    /// Says what those want to know who take no lock.
    fn tell(&self, known: Option<&Known>) {
        let Some(known) = known else { return };
        if self.generation.swap(known.generation, Ordering::Release) != known.generation {
            // What nobody needs any more is not kept until somebody asks.
            self.last_opened.store(None);
        }
        self.fresh_count.store(known.fresh.len(), Ordering::Release);
    }

    /// Whether nothing is fresh while this generation is known.
    pub(super) fn has_no_fresh(&self, generation: u64) -> bool {
        // The generation is looked at last: it was told first.
        self.fresh_count.load(Ordering::Acquire) == 0
            && self.generation.load(Ordering::Acquire) == generation
    }

    /// Looks at what is known; `None` if nothing is.
    pub(super) fn look<R>(&self, look: impl FnOnce(&Known) -> R) -> Option<R> {
        self.known.read().as_ref().map(look)
    }
}

impl Known {
    /// A fresh batch may come, of this many rows and bytes.
    pub(super) fn begin(&mut self, rows: usize, bytes: usize, now_ms: u64) -> u64 {
        let number = self.next;
        self.next += 1;
        self.add_fresh(Arc::new(Fresh::new(number, (rows, bytes), now_ms)));
        number
    }

    /// The schema that a batch was written with.
    pub(super) fn schema_of(&self, batch: &[u8]) -> Result<&Arc<Schema>> {
        let (found, _) = Batch::peek(batch)?;
        let mut all = std::iter::once(&self.schema).chain(self.older.iter());
        all.find(|schema| schema.fingerprint() == found).ok_or_else(|| {
            let expected = Arc::clone(&self.schema);
            annals_columns::Error::OtherSchema { found, expected }.into()
        })
    }

    /// The table has another schema, which reads what the one before has written.
    pub(super) fn extend(&mut self, schema: &Arc<Schema>) {
        self.generation += 1;
        let mut older = Vec::clone(&self.older);
        older.push(std::mem::replace(&mut self.schema, Arc::clone(schema)));
        self.older = Arc::new(older);
        // What was read of them is as the former schema has it.
        for one in &mut self.fresh {
            *one = Arc::new(one.with_deleted(one.deleted.clone()));
        }
    }

    pub(super) fn add_fresh(&mut self, fresh: Arc<Fresh>) {
        self.fresh_rows += fresh.size.0;
        self.fresh_bytes += fresh.size.1;
        self.fresh.push(fresh);
    }

    /// Of these batches nobody need know any more.
    pub(super) fn forget(&mut self, numbers: &[u64]) {
        let (rows, bytes) = (&mut self.fresh_rows, &mut self.fresh_bytes);
        self.fresh.retain(|fresh| {
            let is_kept = !numbers.contains(&fresh.number);
            if !is_kept {
                *rows -= fresh.size.0;
                *bytes -= fresh.size.1;
            }
            is_kept
        });
    }

    /// A fresh batch is found damaged: what becomes of the others does not wait for it.
    pub(super) fn lose(&mut self, lost: Lost) {
        self.generation += 1;
        if let Piece::Batch(number) = lost.piece {
            self.forget(&[number]);
        }
        Arc::make_mut(&mut self.lost).push(lost);
    }

    /// What was lost is gone for good.
    pub(super) fn forget_lost(&mut self, pieces: &[Piece]) {
        self.generation += 1;
        Arc::make_mut(&mut self.lost).retain(|lost| !pieces.contains(&lost.piece));
    }

    /// Rows may be deleted, or will not be.
    pub(super) fn expect(&mut self, coming: Option<Arc<Coming>>) {
        self.generation += 1;
        self.coming = coming;
    }

    /// Of these batches and parts other rows were deleted than before: all are known of at once.
    pub(super) fn delete(&mut self, coming: &Coming) {
        for one in &mut self.fresh {
            if let Some(deleted) = coming.fresh.get(&one.number) {
                *one = Arc::new(one.with_deleted(Some(Arc::clone(deleted))));
            }
        }
        let places = self.parts.iter().map(|place| match coming.parts.get(&place.number) {
            Some(deleted) => Arc::new(place.with_deleted(Some(Arc::clone(deleted)))),
            None => Arc::clone(place),
        });
        self.parts = Arc::new(places.collect());
    }

    /// The highest number of a part; 0 if there is none.
    pub(super) fn highest_part(&self) -> u64 {
        self.parts.iter().map(|place| place.number).max().unwrap_or(0)
    }

    /// Parts may come.
    pub(super) fn add_parts(&mut self, places: impl Iterator<Item = Arc<PartPlace>>) {
        self.generation += 1;
        let mut parts = Vec::clone(&self.parts);
        parts.extend(places);
        self.parts = Arc::new(parts);
    }

    /// Parts may go, with nothing in their place.
    pub(super) fn begin_dropping(&mut self) {
        self.generation += 1;
        self.is_dropping = true;
    }

    /// These parts are gone, or did not come.
    pub(super) fn remove_parts(&mut self, numbers: &[u64]) {
        self.generation += 1;
        self.is_dropping = false;
        let left = self.parts.iter().filter(|place| !numbers.contains(&place.number));
        self.parts = Arc::new(left.cloned().collect());
    }
}
