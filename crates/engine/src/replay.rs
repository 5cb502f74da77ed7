//! Applying records that are in the log already: after a checkpoint, from the whole log, or live
//! in a read-only handle.

use crate::{
    Error, Result,
    catalog::Change,
    core::Core,
    hash::{Applying, HashView, Placed, hash_key},
    replayed::{Changed, Pending, Replayed, in_runs},
};
use annals_journal::{Address, Followed, FrameView, Kind, Record, Seq};
use std::{collections::HashMap, sync::Arc};

/// How many records ahead of the one that is applied what it has to be compared with is fetched.
const LOOK_AHEAD: usize = 12;

impl Core {
    /// Applies what follows a checkpoint, in the order of the log.
    pub(crate) fn apply_replayed(&self, replayed: &Replayed) {
        let mut applied = 0;
        for Changed { change, after, .. } in &replayed.changes {
            self.apply_run(&replayed.records[applied..*after]);
            self.apply_change(change);
            applied = *after;
        }
        self.apply_run(&replayed.records[applied..]);
    }

    fn apply_run(&self, records: &[Pending]) {
        let catalog = self.catalog.load();
        in_runs(records, |space, run| {
            if let Some(listed) = catalog.by_id(space) {
                let mut changing = listed.view.change(self);
                self.each_warm(&listed.view, run, |pending| changing.replay(pending));
            }
        });
    }

    /// Goes through a run of one view. Its places in the table lie side by side; the records found
    /// there, and those to be compared with them, do not, and are fetched ahead.
    fn each_warm(&self, view: &HashView, run: &[Pending], mut apply: impl FnMut(&Pending)) {
        for (index, pending) in run.iter().enumerate() {
            if let Some(next) = run.get(index + LOOK_AHEAD)
                && let Some(found) = view.table.approach(next.hash).candidate()
            {
                self.journal.prefetch(Address::unpack(found));
                self.journal.prefetch(next.address());
            }
            apply(pending);
        }
    }

    fn apply_at(&self, address: Address, hash: u64, how: Applying<'_>) {
        let Some(guard) = self.journal.guard(address.slot) else { return };
        let Ok((record, len)) = guard.record_with_len(address.offset) else { return };
        match record.kind {
            Kind::Catalog => {
                if let Some(change) = Change::decode(record.value) {
                    self.apply_change(&change);
                }
            }
            Kind::Put | Kind::Remove => {
                if let Some(listed) = self.catalog.load().by_id(record.space) {
                    let placed = Placed::of(&record, address, len, hash);
                    listed.view.change(self).apply(&placed, how);
                }
            }
            // Kinds of views that this handle does not keep.
            _ => {}
        }
    }

    fn apply_change(&self, change: &Change) {
        self.catalog.store(Arc::new(self.catalog.load().with(change)));
    }

    /// Rebuilds all views from the whole log. Its records come in no particular order, so the
    /// catalog is settled first, and of each key the record with the highest number wins.
    pub(crate) fn apply_whole(&self, replayed: &mut Replayed) {
        replayed.changes.sort_by_key(|changed| changed.seq);
        let mut cleared: HashMap<u32, Seq> = HashMap::new();
        for Changed { seq, change, .. } in &replayed.changes {
            if let Change::Clear { id } = change {
                cleared.insert(*id, *seq);
            }
            self.apply_change(change);
        }
        let how = Applying { keep_removed: true, unordered: true, undo: None };
        let catalog = self.catalog.load();
        in_runs(&replayed.records, |space, run| {
            let Some(listed) = catalog.by_id(space) else { return };
            let cleared_at = cleared.get(&space);
            let mut changing = listed.view.change(self);
            self.each_warm(&listed.view, run, |pending| {
                let (address, len, hash) = (pending.address(), pending.len, pending.hash);
                let Some(guard) = self.journal.guard(address.slot) else { return };
                let Ok(record) = guard.record(address.offset) else { return };
                if cleared_at.is_none_or(|at| *at < record.seq) {
                    changing.apply(&Placed::of(&record, address, len, hash), how);
                }
            });
        });
        for listed in catalog.iter() {
            listed.view.change(self).bury(None);
        }
    }

    /// Makes a change to the catalog that `decide` finds right under the writer lock.
    pub(crate) fn change_catalog(
        &self,
        decide: impl FnOnce(&crate::catalog::Catalog) -> Result<Change>,
    ) -> Result<()> {
        use annals_journal::{Draft, FrameBuilder};
        /// More than any change to the catalog takes.
        const ROOM_BYTES: usize = 1024;
        let mut writer = self.journal.writer(ROOM_BYTES, 1)?;
        let change = decide(&self.catalog.load())?;
        let (value, key) = (change.encode(), change.id().to_le_bytes());
        let mut frame = FrameBuilder::new();
        let kind = Kind::Catalog;
        frame.push(&Draft {
            kind,
            space: 0,
            key: &key,
            value: &value,
            expires_ms: None,
            aligned: false,
        })?;
        let appended = writer.append(&mut frame)?;
        self.apply_change(&change);
        self.show(appended.first_seq);
        writer.publish();
        drop(writer);
        self.journal.make_durable(appended.end, self.journal.config().durability)?;
        Ok(())
    }

    /// In a read-only handle: applies what the writer has committed since the last call. The
    /// caller holds the lock for that.
    pub(crate) fn follow(&self) -> Result<()> {
        match self.journal.follow(&mut |frame| {
            self.apply_followed(frame);
            Ok(())
        })? {
            Followed::UpToDate(_) => Ok(()),
            Followed::Reload => Err(Error::Stale),
        }
    }

    fn apply_followed(&self, frame: &FrameView<'_>) {
        let count = frame.header().count;
        // What the writer saw expired is expired here too, whatever this machine's clock says.
        self.clock.at_least(frame.header().time_ms);
        let snapshots_live = self.snapshots.count() > 0;
        // Readers of this process must not see half of the frame either.
        let undo = (count > 1).then(|| {
            let undo = crate::hash::Undo::new(frame.header().first_seq, count as usize);
            let undo = Arc::new(undo);
            self.undo.store(Some(Arc::clone(&undo)));
            undo
        });
        let how = Applying {
            undo: undo.as_deref(),
            keep_removed: snapshots_live || count > 1,
            unordered: false,
        };
        for (address, _, record) in frame.records() {
            let hash = hash_key(self.hash_seed, record.key);
            if snapshots_live && let Some(listed) = self.catalog.load().by_id(record.space) {
                self.note_history(&listed.view, address, &record, hash);
            }
            self.apply_at(address, hash, how);
        }
        if count > 0 {
            self.show(Seq(frame.header().next_seq().0 - 1));
        }
        self.undo.store(None);
        if !snapshots_live && count > 1 {
            for listed in self.catalog.load().iter() {
                listed.view.change(self).bury(None);
            }
        }
    }

    fn note_history(&self, view: &HashView, address: Address, record: &Record<'_>, hash: u64) {
        let before = view.table.find(hash, |slot| {
            self.same_key(slot, record.space, record.key).map(|_| Address::unpack(slot.address()))
        });
        if let Some(before) = before {
            self.history.note(address, before);
        }
    }
}
