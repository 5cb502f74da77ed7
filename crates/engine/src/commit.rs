//! The commit pipeline: validate, append, apply, publish under the writer lock; then wait for
//! durability outside of it.

use crate::{
    Durability, Error, Result,
    catalog::{Change, Keyspace},
    core::Core,
    hash::{Applying, Approach, Changing, HashView, Placed, Undo},
    streams::{Plan, PlannedRun, read_record},
};
use annals_journal::{
    Address, Appended, FrameBuilder, KEY_BYTES_MAX, Kind, Pin, Seq, VALUE_BYTES_MAX, Writer, pin,
};
use std::{cell::Cell, sync::Arc};

mod events;
mod lone;
mod marks;
mod ordered;
mod run;

pub(crate) use events::{LoneAppend, LoneEvent};
pub(crate) use lone::{Lone, Verdict};
pub(crate) use ordered::{record as tree_record, referring as tree_reference};

/// A commit that went through: the numbers that its records have in the log.
///
/// ```
/// # use annals_engine as annals;
/// use annals::{Database, WriteOptions};
/// use std::time::Duration;
/// let db = Database::open_in_memory()?;
/// let stock = db.keyspace("stock")?;
/// let commit = stock.insert_with("apple", "42", WriteOptions::default())?;
/// assert_eq!(commit.first_seq, commit.last_seq, "one record");
/// // Whoever knows the number can wait for others to see it, in another process too.
/// assert!(db.wait_for(commit.last_seq, Duration::from_secs(1))?);
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The number of its first record.
    pub first_seq: Seq,
    /// The number of its last record.
    pub last_seq: Seq,
}

/// Memory of a frame builder that is kept for the next commit of the thread, in bytes.
const KEEP_BYTES: usize = 1 << 20;

thread_local! {
    static FRAME: Cell<Option<FrameBuilder<'static>>> = const { Cell::new(None) };
}

/// An empty frame builder, with the memory that the thread keeps for it.
#[inline]
pub(crate) fn take_frame<'v>() -> FrameBuilder<'v> {
    // A thread that is ending has none.
    FRAME.try_with(Cell::take).ok().flatten().unwrap_or_default()
}

/// Keeps the memory of `frame` for the next commit of the thread.
#[inline]
pub(crate) fn keep_frame(frame: FrameBuilder<'_>) {
    let _ = FRAME.try_with(|kept| kept.set(Some(frame.emptied(KEEP_BYTES))));
}

/// Runs `work` with the thread's frame builder, empty.
#[inline]
pub(crate) fn with_frame<'v, R>(work: impl FnOnce(&mut FrameBuilder<'v>) -> R) -> R {
    let mut frame = take_frame();
    let done = work(&mut frame);
    keep_frame(frame);
    done
}

pub(crate) fn check_key(key: &[u8]) -> Result<()> {
    if key.len() > KEY_BYTES_MAX {
        return Err(Error::KeyTooLong { bytes: key.len() as u64, limit: KEY_BYTES_MAX as u64 });
    }
    Ok(())
}

pub(crate) fn check_value(value: &[u8]) -> Result<()> {
    if value.len() > VALUE_BYTES_MAX {
        let (bytes, limit) = (value.len() as u64, VALUE_BYTES_MAX as u64);
        return Err(Error::ValueTooLong { bytes, limit });
    }
    Ok(())
}

/// The keyspace and key hash of each record of a frame.
pub(crate) trait Targets {
    fn target(&self, index: usize) -> (&Keyspace, u64);

    /// Each keyspace once.
    fn keyspaces(&self) -> impl Iterator<Item = &Keyspace>;

    /// Changes of the catalog, each of which is one of the first records.
    fn changes(&self) -> &[Change] {
        &[]
    }

    /// Whether some are ordered keyspaces, or all others.
    fn have(&self, ordered: bool) -> bool {
        self.keyspaces().any(|keyspace| keyspace.is_ordered() == ordered)
    }
}

impl Targets for (&Keyspace, u64) {
    #[inline]
    fn keyspaces(&self) -> impl Iterator<Item = &Keyspace> {
        std::iter::once(self.0)
    }

    fn target(&self, _: usize) -> (&Keyspace, u64) {
        *self
    }
}

/// The targets of a batch: few keyspaces, many records.
#[derive(Debug, Default)]
pub(crate) struct BatchTargets {
    keyspaces: Vec<Arc<Keyspace>>,
    /// For each record the place of its keyspace and the hash of its key.
    records: Vec<(u32, u64)>,
}

impl BatchTargets {
    pub(crate) fn push(&mut self, keyspace: &Arc<Keyspace>, hash: u64) {
        let last = self.records.last().map(|(index, _)| *index as usize);
        let is_it = |index: &usize| Arc::ptr_eq(&self.keyspaces[*index], keyspace);
        let known = last.filter(is_it).or_else(|| (0..self.keyspaces.len()).find(is_it));
        let index = known.unwrap_or_else(|| {
            self.keyspaces.push(Arc::clone(keyspace));
            self.keyspaces.len() - 1
        });
        self.records.push((index as u32, hash));
    }

    pub(crate) fn len(&self) -> usize {
        self.records.len()
    }
}

impl Targets for BatchTargets {
    fn keyspaces(&self) -> impl Iterator<Item = &Keyspace> {
        self.keyspaces.iter().map(|keyspace| &**keyspace)
    }

    #[inline]
    fn target(&self, index: usize) -> (&Keyspace, u64) {
        let (keyspace, hash) = self.records[index];
        (&self.keyspaces[keyspace as usize], hash)
    }
}

/// The targets of a frame that begins with changes of the catalog.
struct BehindChanges<'a, T> {
    /// The categories that they change.
    categories: &'a [&'a Keyspace],
    changes: &'a [Change],
    targets: &'a T,
}

impl<T: Targets> Targets for BehindChanges<'_, T> {
    fn keyspaces(&self) -> impl Iterator<Item = &Keyspace> {
        self.targets.keyspaces()
    }

    fn target(&self, index: usize) -> (&Keyspace, u64) {
        match index.checked_sub(self.categories.len()) {
            Some(index) => self.targets.target(index),
            None => (self.categories[index], 0),
        }
    }

    fn changes(&self) -> &[Change] {
        self.changes
    }
}

/// The view of the keyspace that was asked for last, so that a run of records of one keyspace
/// looks for it once.
struct LastView<'a> {
    pin: &'a Pin,
    known: Option<(u32, &'a HashView)>,
}

impl<'a> LastView<'a> {
    fn new(pin: &'a Pin) -> Self {
        Self { pin, known: None }
    }

    #[inline]
    fn of(&mut self, keyspace: &'a Keyspace) -> &'a HashView {
        match self.known {
            Some((id, view)) if id == keyspace.id => view,
            _ => {
                let view = keyspace.view.read(self.pin);
                self.known = Some((keyspace.id, view));
                view
            }
        }
    }
}

/// How many records ahead of the one that is applied its place in the table is fetched, and how
/// many ahead the record that is found there.
const PLACE_AHEAD: usize = 32;
const RECORD_AHEAD: usize = 16;

impl Core {
    /// Commits `frame`, whose records go where `targets` says, if `precondition` holds under the
    /// writer lock; `None` if it does not.
    pub(crate) fn commit<T: Targets>(
        &self,
        frame: &mut FrameBuilder<'_>,
        targets: &T,
        durability: Option<Durability>,
        precondition: impl FnMut(&Writer<'_>) -> Result<bool>,
    ) -> Result<Option<Commit>> {
        self.commit_planned(frame, targets, &mut Plan::default(), durability, precondition)
    }

    /// The same, of a frame in which events of streams are as `plan` says.
    pub(crate) fn commit_planned<T: Targets>(
        &self,
        frame: &mut FrameBuilder<'_>,
        targets: &T,
        plan: &mut Plan,
        durability: Option<Durability>,
        mut precondition: impl FnMut(&Writer<'_>) -> Result<bool>,
    ) -> Result<Option<Commit>> {
        let (any_hash, any_ordered) = (targets.have(false), targets.have(true));
        if any_hash {
            self.warm_up(targets, frame.count());
        }
        if any_ordered {
            self.trees.admit(self, frame.len_bytes())?;
        }
        let mut is_moved = false;
        let writer = loop {
            let bytes = frame.len_bytes() + plan.slack_bytes();
            let writer = self.journal.writer(bytes, frame.count() + plan.slack_records())?;
            if self.snapshots.count() == 0 || frame.has_room_for_previous() {
                break writer;
            }
            drop(writer);
            frame.make_room_for_previous()?;
            is_moved = true;
        };
        for index in 0..frame.count() {
            targets.target(index).0.check_alive()?;
        }
        if any_ordered {
            self.trees.check()?;
        }
        if !precondition(&writer)? {
            drop(writer);
            self.note_past();
            return Ok(None);
        }
        if !plan.is_empty() {
            plan.settle(self, frame, is_moved)?;
        }
        let (first, changes): (Vec<_>, Vec<_>) =
            plan.changes().map(|(category, change)| (&**category, change)).unzip();
        if first.is_empty() {
            let run = plan.only_run(frame.count());
            return self.commit_settled(writer, frame, targets, run, durability).map(Some);
        }
        let targets = BehindChanges { categories: &first, changes: &changes, targets };
        self.commit_settled(writer, frame, &targets, None, durability).map(Some)
    }

    /// Commits a frame that is as it should be; all of it is `run`, if that is there.
    fn commit_settled<T: Targets>(
        &self,
        mut writer: Writer<'_>,
        frame: &mut FrameBuilder<'_>,
        targets: &T,
        run: Option<PlannedRun<'_>>,
        durability: Option<Durability>,
    ) -> Result<Commit> {
        let (any_hash, any_ordered) = (targets.have(false), targets.have(true));
        if frame.has_room_for_previous() {
            self.note_previous(frame, targets);
        }
        let appended = writer.append(frame)?;
        for change in targets.changes() {
            self.apply_change(change);
        }
        if any_ordered {
            self.apply_ordered(frame, targets, &appended)?;
        }
        let last_seq = if let Some(run) = run {
            self.apply_planned_run(frame, &run, &appended)
        } else if any_hash {
            self.apply(frame, targets, &appended)
        } else {
            let last_seq = appended.first_seq.plus(frame.count() as u64 - 1);
            self.show(last_seq);
            last_seq
        };
        let commit = self.conclude(writer, &appended, last_seq, durability)?;
        // What was asked for comes behind.
        let first_seq = commit.first_seq.plus(targets.changes().len() as u64);
        Ok(Commit { first_seq, ..commit })
    }

    /// Publishes what was applied, lets go of the writer lock and waits for durability.
    #[inline]
    fn conclude(
        &self,
        mut writer: Writer<'_>,
        appended: &Appended,
        last_seq: Seq,
        durability: Option<Durability>,
    ) -> Result<Commit> {
        writer.publish();
        drop(writer);
        // Readers that met expired records meanwhile found the lock taken.
        self.note_past();
        self.maintenance.note_appended(&self.journal);
        let durability = durability.unwrap_or(self.journal.config().durability);
        self.journal.make_durable(appended.end, durability)?;
        Ok(Commit { first_seq: appended.first_seq, last_seq })
    }

    /// Brings closer what applying will look at first, outside the lock: the places in the tables
    /// of the first records, then the records found there, so that the processor waits for them
    /// side by side. What comes later in a long frame is fetched while applying.
    #[inline]
    fn warm_up<T: Targets>(&self, targets: &T, count: usize) {
        let pin = pin();
        let mut view = LastView::new(&pin);
        let mut places = [Approach::default(); PLACE_AHEAD];
        for (index, place) in places.iter_mut().enumerate().take(count) {
            let (keyspace, hash) = targets.target(index);
            *place = view.of(keyspace).table.approach(hash);
        }
        for address in places.iter().take(RECORD_AHEAD).filter_map(|place| place.candidate()) {
            self.journal.prefetch(Address::unpack(address));
        }
    }

    /// Fills in where the versions lie that the frame's records replace.
    #[cold]
    fn note_previous<T: Targets>(&self, frame: &mut FrameBuilder<'_>, targets: &T) {
        for index in 0..frame.count() {
            let (keyspace, hash) = targets.target(index);
            let record = frame.record(index);
            if matches!(record.kind, Kind::Event | Kind::Catalog) {
                // It says itself where the event before it is, or replaces nothing.
                continue;
            }
            let pin = pin();
            let before = keyspace.view.read(&pin).table.find(hash, |slot| {
                self.same_key(slot, record.space, record.key)
                    .map(|_| Address::unpack(slot.address()))
            });
            if let Some(before) = before {
                frame.set_previous(index, before);
            }
        }
    }

    /// Applies an appended frame to the hash views and lets readers see it.
    fn apply<T: Targets>(&self, frame: &FrameBuilder<'_>, targets: &T, appended: &Appended) -> Seq {
        let count = frame.count();
        let last_seq = appended.first_seq.plus(count as u64 - 1);
        let snapshots_live = self.snapshots.count() > 0;
        let placed = |index: usize| {
            let (keyspace, hash) = targets.target(index);
            let (kind, key, expires_ms) = frame.deed(index);
            let address = appended.address(frame.offset(index));
            let (len, seq) = (frame.record_len(index), appended.first_seq.plus(index as u64));
            Placed { address, len, seq, hash, kind, space: keyspace.id, key, expires_ms }
        };
        let event = |index: usize, kind: Kind| match kind {
            Kind::Event => read_record(&frame.record(index)),
            _ => None,
        };
        let pin = pin();
        if count == 1 {
            let mut changing = targets.target(0).0.view.read(&pin).change(self);
            let placed = placed(0);
            if let Some((read, id)) = event(0, placed.kind) {
                changing.append(&placed, &read, id);
                self.show(last_seq);
                return last_seq;
            }
            let how = Applying { keep_removed: snapshots_live, ..Applying::default() };
            changing.apply(&placed, how);
            self.show(last_seq);
            return last_seq;
        }
        // Until the whole frame is applied, readers that come across a part of it see what was
        // there before.
        let undo = Arc::new(Undo::new(appended.first_seq, count));
        self.undo.store(Some(Arc::clone(&undo)));
        let how = Applying { undo: Some(&undo), keep_removed: true, ..Applying::default() };
        let [mut view, mut ahead, mut announced] = [(); 3].map(|()| LastView::new(&pin));
        let mut approach = |index: usize| {
            let (keyspace, hash) = targets.target(index);
            ahead.of(keyspace).table.approach(hash)
        };
        // The places of the records ahead, each at its number modulo how many there are.
        let mut places = [Approach::default(); PLACE_AHEAD];
        for (index, place) in places.iter_mut().enumerate().take(count) {
            *place = approach(index);
        }
        let mut changing: Option<Changing<'_>> = None;
        // Whether the next record is the next event of the same stream.
        let is_followed = |index: usize| {
            let next = index + 1;
            next < count && {
                let (one, other) = (targets.target(index), targets.target(next));
                let (kind, key, _) = frame.deed(next);
                kind == Kind::Event
                    && one.1 == other.1
                    && one.0.id == other.0.id
                    && key == frame.deed(index).1
            }
        };
        // Where the event in front of a run of one stream's events is.
        let mut run: Option<Option<Address>> = None;
        for index in 0..count {
            if index + 2 * PLACE_AHEAD < count {
                let (keyspace, hash) = targets.target(index + 2 * PLACE_AHEAD);
                announced.of(keyspace).table.announce(hash);
            }
            if index + PLACE_AHEAD < count {
                places[index % PLACE_AHEAD] = approach(index + PLACE_AHEAD);
            }
            if index + RECORD_AHEAD < count
                && let Some(address) = places[(index + RECORD_AHEAD) % PLACE_AHEAD].candidate()
            {
                self.journal.prefetch(Address::unpack(address));
            }
            let keyspace = targets.target(index).0;
            if keyspace.is_ordered() {
                continue;
            }
            let placed = placed(index);
            if placed.kind == Kind::Catalog {
                continue;
            }
            let view = view.of(keyspace);
            if changing.as_ref().is_some_and(|changing| !std::ptr::eq(changing.view(), view)) {
                // Let go of before the next one is asked for: it may be asked for again.
                changing = None;
            }
            let changing = changing.get_or_insert_with(|| view.change(self));
            match event(index, placed.kind) {
                Some((read, id)) => {
                    changing.begin_frame(appended.first_seq);
                    let first = run.take().unwrap_or(read.label.address_before(placed.address));
                    if is_followed(index) {
                        // Readers come in by the last event of a stream only.
                        changing.lead_to(&placed, read.label.version, id);
                        run = Some(first);
                    } else {
                        changing.append_run(&placed, first, &read, id);
                    }
                }
                None => changing.apply(&placed, how),
            }
        }
        self.show(last_seq);
        self.undo.store(None);
        drop(changing);
        if !snapshots_live {
            for index in 0..count {
                let view = view.of(targets.target(index).0);
                if view.table.dead_len() > 0 {
                    view.change(self).bury(None);
                }
            }
        }
        last_seq
    }
}
