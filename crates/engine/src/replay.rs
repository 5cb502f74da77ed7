//! Applying records that are in the log already: after a checkpoint, from the whole log, or live
//! in a read-only handle.

use crate::{
    Error, KeyspaceKind, KeyspaceOptions, Result,
    catalog::{Change, Keyspace},
    commit::{tree_record, tree_reference},
    core::Core,
    hash::{Applying, HashView, Placed, hash_key},
    maintenance,
    ordered::stays_in_log,
    replayed::{Changed, Pending, Replayed, in_runs},
    streams::{Mark, read_record},
};
use annals_journal::{Address, Draft, Followed, FrameBuilder, FrameView, Kind, Record, Seq};
use annals_ordered::TreeOptions;
use std::{collections::HashMap, ops::ControlFlow, sync::Arc};

/// How many records ahead of the one that is applied what it has to be compared with is fetched; its place
/// in the table as many before that.
const LOOK_AHEAD: usize = 12;
/// More than any change to the catalog takes.
const ROOM_BYTES: usize = 1024;

impl Core {
    /// Applies what follows a checkpoint, in the order of the log.
    ///
    /// # Errors
    /// If what ordered keyspaces have cannot be flushed to make room.
    pub(crate) fn apply_replayed(&self, replayed: &Replayed) -> Result<()> {
        let mut applied = 0;
        for Changed { change, after, .. } in &replayed.changes {
            self.apply_run(&replayed.records[applied..*after])?;
            self.apply_change(change);
            applied = *after;
        }
        self.apply_run(&replayed.records[applied..])
    }

    fn apply_run(&self, records: &[Pending]) -> Result<()> {
        let catalog = self.catalog.load();
        if catalog.iter().any(|listed| listed.keyspace.is_ordered()) {
            let is_ordered = |pending: &&Pending| {
                catalog.by_id(pending.space).is_some_and(|listed| listed.keyspace.is_ordered())
            };
            self.apply_to_trees(records.iter().filter(is_ordered))?;
        }
        in_runs(records, |space, run| {
            if let Some(listed) = catalog.by_id(space)
                && !listed.keyspace.is_ordered()
            {
                let mut changing = listed.view.change(self);
                if listed.keyspace.is_category() {
                    self.each_warm(&listed.view, run, |pending| changing.replay_event(pending));
                    return;
                }
                #[cfg(debug_assertions)]
                if annals_disk::canary::is_broken(annals_disk::canary::Broken::KeepsStaleRecords) {
                    run.iter().rev().for_each(|pending| changing.replay(pending));
                    return;
                }
                self.each_warm(&listed.view, run, |pending| changing.replay(pending));
            }
        });
        Ok(())
    }

    /// Brings records to the trees of their keyspaces again, in the order of their numbers. What tables
    /// have already is passed over, and so is what was of trees that are gone.
    fn apply_to_trees<'a>(&self, records: impl Iterator<Item = &'a Pending>) -> Result<()> {
        /// So many records are applied before looking whether memory runs short.
        const SOME: usize = 1 << 10;
        let catalog = self.catalog.load();
        let now_ms = self.clock.now_ms();
        for (index, pending) in records.enumerate() {
            let Some(listed) = catalog.by_id(pending.space) else { continue };
            let Some(tree) = &listed.tree.tree else { continue };
            let address = pending.address();
            let Some(guard) = self.journal.guard(address.slot) else { continue };
            let Ok((record, bytes)) = guard.record_with_len(address.offset) else { continue };
            let Record { kind, key, value, expires_ms, seq, .. } = record;
            let reference = if stays_in_log(tree, kind, value) {
                self.reference_to(address, bytes, seq)
            } else {
                None
            };
            let applied = match &reference {
                Some(reference) => Some(tree_reference(key, reference, expires_ms, seq)),
                None => tree_record(kind, key, value, expires_ms, seq),
            };
            tree.apply(applied, now_ms)?;
            if index % SOME == SOME - 1 || self.trees.is_short() {
                self.trees.flush_some(self)?;
            }
        }
        Ok(())
    }

    /// Goes through a run of one view. Its places in the table lie side by side; the records found
    /// there, and those to be compared with them, do not, and are fetched ahead.
    fn each_warm(&self, view: &HashView, run: &[Pending], mut apply: impl FnMut(&Pending)) {
        for (index, pending) in run.iter().enumerate() {
            if let Some(later) = run.get(index + 2 * LOOK_AHEAD) {
                view.table.approach(later.hash);
            }
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
            Kind::Event => {
                if let Some(listed) = self.catalog.load().by_id(record.space)
                    && listed.keyspace.is_category()
                    && let Some((read, id)) = read_record(&record)
                {
                    let placed = Placed::of(&record, address, len, hash);
                    let mut changing = listed.view.change(self);
                    if let Some(undo) = how.undo {
                        changing.begin_frame(undo.first_seq());
                    }
                    changing.append(&placed, &read, id);
                }
            }
            Kind::Mark => {
                if let Some(listed) = self.catalog.load().by_id(record.space)
                    && listed.keyspace.is_category()
                    && let Some(mark) = Mark::decode(record.value)
                {
                    let placed = Placed::of(&record, address, len, hash);
                    listed.view.change(self).mark(&placed, &mark);
                }
            }
            Kind::Put | Kind::Remove => {
                if let Some(listed) = self.catalog.load().by_id(record.space)
                    && !listed.keyspace.is_ordered()
                {
                    let placed = Placed::of(&record, address, len, hash);
                    listed.view.change(self).apply(&placed, how);
                }
            }
            // Kinds of views that this handle does not keep.
            _ => {}
        }
    }

    pub(crate) fn apply_change(&self, change: &Change) {
        let next = self.catalog.load().with(change, |id| {
            let read_only = self.read_only && !self.trees.is_lost();
            let begun = read_only.then(|| self.trees.begun_tree(self, id));
            self.trees.tree_view(id, begun.unwrap_or_else(|| self.trees.tree(id)))
        });
        self.catalog.store(Arc::new(next));
    }

    /// Rebuilds all views from the whole log. Its records come in no particular order, so the
    /// catalog is settled first, and of each key the record with the highest number wins.
    ///
    /// # Errors
    /// As [`apply_replayed`](Self::apply_replayed).
    pub(crate) fn apply_whole(&self, replayed: &mut Replayed) -> Result<()> {
        replayed.changes.sort_by_key(|changed| changed.seq);
        let mut cleared: HashMap<u32, Seq> = HashMap::new();
        for Changed { seq, change, .. } in &replayed.changes {
            if let Change::Clear { id } | Change::Renew { id, .. } | Change::Replace { id, .. } =
                change
            {
                cleared.insert(*id, *seq);
            }
            self.apply_change(change);
        }
        let how = Applying { keep_removed: true, unordered: true, ..Applying::default() };
        let catalog = self.catalog.load();
        in_runs(&replayed.records, |space, run| {
            let Some(listed) = catalog.by_id(space) else { return };
            if listed.keyspace.is_ordered() || listed.keyspace.is_category() {
                return;
            }
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
        let (mut of_trees, mut events) = (Vec::new(), Vec::new());
        for pending in &replayed.records {
            let Some(listed) = catalog.by_id(pending.space) else { continue };
            let keyspace = &listed.keyspace;
            if !keyspace.is_ordered() && !keyspace.is_category() {
                continue;
            }
            let address = pending.address();
            let seq = self
                .journal
                .guard(address.slot)
                .and_then(|guard| guard.record(address.offset).ok().map(|record| record.seq));
            let cleared_at = cleared.get(&pending.space);
            if let Some(seq) = seq.filter(|seq| cleared_at.is_none_or(|at| at < seq)) {
                if keyspace.is_category() { &mut events } else { &mut of_trees }
                    .push((seq, pending));
            }
        }
        events.sort_unstable_by_key(|(seq, _)| *seq);
        for (_, pending) in events {
            if let Some(listed) = catalog.by_id(pending.space) {
                listed.view.change(self).replay_event(pending);
            }
        }
        of_trees.sort_unstable_by_key(|(seq, _)| *seq);
        let places = of_trees.iter().map(|(_, pending)| (pending.space, pending.address()));
        self.find_moved(places);
        self.apply_to_trees(of_trees.into_iter().map(|(_, pending)| pending))
    }

    /// Creates an ordered keyspace: its tree is durable before the log names it.
    pub(crate) fn create_ordered(
        &self,
        name: &str,
        options: KeyspaceOptions,
        tree_options: TreeOptions,
    ) -> Result<()> {
        let _changing = self.changing.lock();
        let id = {
            let catalog = self.catalog.load();
            if catalog.by_name(name).is_some() {
                return Err(Error::KeyspaceExists { name: name.to_owned() });
            }
            catalog.next_id
        };
        self.check_takes_records()?;
        self.trees.make(self, id, tree_options)?;
        let kind = KeyspaceKind::Ordered;
        let name = name.to_owned();
        self.log_change(|_| Ok(Some(Change::Create { id, name, kind, options }))).map(drop)
    }

    /// Whether anything can be written at all.
    pub(crate) fn check_takes_records(&self) -> Result<()> {
        drop(self.journal.writer(ROOM_BYTES, 1)?);
        Ok(())
    }

    /// Clears an ordered keyspace: an empty tree takes the place of the one it has.
    pub(crate) fn clear_ordered(&self, keyspace: &Keyspace) -> Result<()> {
        let _changing = self.changing.lock();
        let (before, next_id) = {
            let catalog = self.catalog.load();
            let listed = catalog.by_id(keyspace.id);
            let Some(listed) = listed else { return keyspace.check_alive() };
            (Arc::clone(&listed.tree), catalog.next_id)
        };
        let options = *before.of(keyspace)?.options();
        self.check_takes_records()?;
        self.trees.make(self, next_id, options)?;
        self.log_change(|_| Ok(Some(Change::Renew { id: keyspace.id, tree: next_id })))?;
        self.trees.retire(self, before.id);
        Ok(())
    }

    /// Makes a change to the catalog that `decide` finds right under the writer lock.
    pub(crate) fn change_catalog(
        &self,
        decide: impl FnOnce(&crate::catalog::Catalog) -> Result<Change>,
    ) -> Result<()> {
        self.change_catalog_if(|catalog| decide(catalog).map(Some))
    }

    /// The same, if there is anything to change.
    pub(crate) fn change_catalog_if(
        &self,
        decide: impl FnOnce(&crate::catalog::Catalog) -> Result<Option<Change>>,
    ) -> Result<()> {
        let _changing = self.changing.lock();
        let mut dropped = None;
        self.log_change(|catalog| {
            let change = decide(catalog)?;
            if let Some(Change::Drop { id }) = change {
                let listed = catalog.by_id(id).filter(|listed| listed.keyspace.is_ordered());
                dropped = listed.map(|listed| (Arc::clone(&listed.keyspace), listed.tree.id));
            }
            Ok(change)
        })?;
        if let Some((keyspace, tree)) = dropped {
            maintenance::note_dropped(self, &keyspace);
            self.trees.retire(self, tree);
        }
        Ok(())
    }

    /// Makes a change to the catalog. The number of its record; `None` if there was nothing to change.
    pub(crate) fn log_change(
        &self,
        decide: impl FnOnce(&crate::catalog::Catalog) -> Result<Option<Change>>,
    ) -> Result<Option<Seq>> {
        let mut writer = self.journal.writer(ROOM_BYTES, 1)?;
        let Some(change) = decide(&self.catalog.load())? else { return Ok(None) };
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
        Ok(Some(appended.first_seq))
    }

    /// In a read-only handle: applies what the writer has committed since the last call. The
    /// caller holds the lock for that.
    pub(crate) fn follow(&self) -> Result<()> {
        if self.trees.check_whole().is_err() {
            return Err(Error::Stale);
        }
        // What tables lack was replaced by records, or was over at a time, that the log has by now.
        self.trees.look(&self.journal)?;
        let (step_bytes, mut unchecked_bytes) = (self.trees.follow_step_bytes(), 0);
        let followed = self.journal.follow(&mut |frame| {
            if !self.can_follow(frame) {
                self.trees.lose(Error::Stale);
                return ControlFlow::Break(());
            }
            self.apply_followed(frame);
            unchecked_bytes += u64::from(frame.header().len);
            if unchecked_bytes < step_bytes {
                return ControlFlow::Continue(());
            }
            unchecked_bytes = 0;
            if self.trees.should_load_anew(&self.journal) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        self.trees.check_whole()?;
        match followed {
            Followed::UpToDate(_) => {
                self.trees.show(self.visible_seq());
                Ok(())
            }
            Followed::Stopped | Followed::Reload => Err(Error::Stale),
        }
    }

    /// Whether what the frame says can be shown before the end of the log: where a keyspace gets a tree with
    /// records, those of it that the log has behind the frame may be in its tables by now.
    fn can_follow(&self, frame: &FrameView<'_>) -> bool {
        let changed = frame.records().next().filter(|(_, _, first)| first.kind == Kind::Catalog);
        match changed.and_then(|(_, _, first)| Change::decode(first.value)) {
            Some(Change::Replace { tree, .. }) => self.trees.show_replaced(&self.journal, tree),
            _ => true,
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
            ..Applying::default()
        };
        for (address, _, record) in frame.records() {
            let hash = hash_key(self.hash_seed, record.key);
            if snapshots_live
                && let Some(listed) = self.catalog.load().by_id(record.space)
                && !listed.keyspace.is_ordered()
            {
                self.note_history(&listed.view, address, &record, hash);
            }
            self.apply_at(address, hash, how);
        }
        self.apply_followed_to_trees(frame);
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

    /// Each tree takes its own together, so that none of its memtables ends in the middle of a commit.
    fn apply_followed_to_trees(&self, frame: &FrameView<'_>) {
        if self.trees.store().is_none() {
            return;
        }
        let catalog = self.catalog.load();
        let mut done: Vec<u32> = Vec::new();
        for (_, _, Record { space, .. }) in frame.records() {
            if done.contains(&space) {
                continue;
            }
            done.push(space);
            let Some(tree) = catalog.by_id(space).and_then(|listed| listed.tree.tree.as_ref())
            else {
                continue;
            };
            let own = frame.records().map(|(_, _, record)| record);
            let own = own.filter(|record| record.space == space).filter_map(|record| {
                let Record { kind, key, value, expires_ms, seq, .. } = record;
                tree_record(kind, key, value, expires_ms, seq)
            });
            if let Err(error) = tree.apply(own, frame.header().time_ms) {
                self.trees.lose(error.into());
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
