//! Log compaction: moving what is still current out of segments that are mostly dead.
//!
//! Order of durability: the moved records are written and synced; the tables are told the new
//! addresses; a checkpoint with those addresses is written; the root that names it stops naming
//! the old segments; their files are removed. A crash before the last step but one finds the old
//! checkpoint and the old segments, and forgets the copies.
//!
//! Tables of ordered keyspaces that refer to values are not written again for that: where those were moved
//! to is in the checkpoint too (see `ordered/moved.rs`).

#[cfg(test)]
mod bytes_test;
mod choice;
mod content;
#[cfg(test)]
mod reads_test;
mod victim_trees;
mod victims;

use crate::{
    Result,
    catalog::Catalog,
    checkpoint,
    core::Core,
    hash::{LeftOut, Moved, Placed, hash_key, table::Table},
    maintenance::Zombies,
    ordered::MovedValue,
    streams::{
        EventFate, MovedEvent, Moving,
        meanwhile::{self, Moment},
    },
};
use annals_journal::{
    Address, Age, Draft, FrameBuilder, Kind, Packer, SegmentInfo, SegmentKind, Seq,
};
use annals_ordered::Former;
pub(crate) use choice::{Candidate, choose};
use content::{Chosen, Content};
use std::sync::Arc;
use victim_trees::VictimTrees;
use victims::{Found, Victims};

/// Lets tests see what is so between two events that are noted.
#[cfg(test)]
pub(crate) mod pause {
    use std::{
        sync::atomic::{AtomicU64, Ordering},
        time::Duration,
    };

    /// How long it takes to note an event, in microseconds.
    pub(crate) static PAUSE_US: AtomicU64 = AtomicU64::new(0);

    pub(super) fn between_moves() {
        let pause_us = PAUSE_US.load(Ordering::Relaxed);
        if pause_us > 0 {
            std::thread::sleep(Duration::from_micros(pause_us));
        }
    }
}

/// What a compaction did.
///
/// ```
/// # use annals_engine as annals;
/// let db = annals::Database::open_in_memory()?;
/// let users = db.hash_keyspace("users")?;
/// for year in 0..1_000u32 {
///     users.insert("ada", year.to_be_bytes())?;
/// }
/// let report = db.compact()?;
/// assert!(report.segments_count >= 1 && report.after_bytes < report.before_bytes);
/// assert_eq!((report.moved_count, report.damaged_count), (1, 0));
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompactReport {
    /// Segments rewritten.
    pub segments_count: u64,
    /// Bytes of log content before.
    pub before_bytes: u64,
    /// Bytes of log content after.
    pub after_bytes: u64,
    /// Records moved.
    pub moved_count: u64,
    /// Segments that should have been rewritten and were left as they are, whole, because they are damaged:
    /// [`Database::verify`](crate::Database::verify) tells where.
    pub damaged_count: u64,
}

/// Moved records are collected until a frame has this many bytes.
const FRAME_BYTES: usize = 256 * 1024;
/// So many records are noted under the writer lock at once.
const NOTED_AT_ONCE: usize = 256;
/// So many events that are left out are collected.
const LEFT_OUT_AT_ONCE: usize = 1 << 14;

/// Gives up what is kept no longer. What cannot be given up now, for want of space perhaps, keeps nobody from
/// compacting what was.
fn retire(core: &Core, is_thorough: bool) {
    if let Err(error) = core.retire(is_thorough) {
        tracing::warn!(%error, "not all that is kept no longer was given up");
    }
}

/// Compacts what has fallen under the threshold. The caller holds the maintenance lock.
pub(crate) fn run_due(core: &Core) -> Result<CompactReport> {
    retire(core, false);
    compact(core, core.maintenance.config.compact_below)
}

/// Compacts the segment in this slot, whatever it has to give.
#[cfg(test)]
pub(crate) fn run_on(core: &Core, slot: u32) -> Result<CompactReport> {
    let _exclusive = core.maintenance.exclusive.lock();
    crate::maintenance::tidy(core);
    let candidates = candidates(core);
    let victim = candidates.iter().find(|candidate| candidate.info.slot == slot);
    let info = victim.expect("it is there, and is not given up").info.clone();
    let slots = core.journal.give_up(&[slot]);
    rewrite(core, &candidates, &[Chosen { info, content: Content::Many }], &slots)
}

/// Compacts everything that has anything to give. The caller holds the maintenance lock.
pub(crate) fn run_all(core: &Core) -> Result<CompactReport> {
    retire(core, true);
    flush(core)?;
    let rolled = core.journal.roll();
    // On a full disk what is complete already is what gives space back.
    let full = matches!(rolled, Err(annals_journal::Error::Full { .. }));
    if !full {
        rolled.clone()?;
    }
    let report = compact(core, 0.99)?;
    if report.segments_count == 0 {
        rolled?;
    }
    Ok(report)
}

/// Merges small tables, and gives up the segments that hold nothing any more and the tables that were replaced,
/// before the database closes: nobody might for long.
/// Where segments are never to be compacted, they stay: they are what feeds can still show. The caller
/// holds the maintenance lock.
pub(crate) fn run_closing(core: &Core) -> Result<CompactReport> {
    flush(core)?;
    core.trees.run_closing(core)?;
    compact(core, core.maintenance.config.compact_below.min(f64::MIN_POSITIVE))
}

/// Brings to tables what ordered keyspaces have in none: it keeps its segments.
fn flush(core: &Core) -> Result<()> {
    let next_seq = {
        let writer = core.journal.quiesce();
        core.trees.seal_all();
        writer.next_seq()
    };
    core.trees.flush_through(core, next_seq)
}

fn candidates(core: &Core) -> Vec<Candidate> {
    let mut live: Vec<u64> = Vec::new();
    for listed in core.catalog.load().iter() {
        for (slot, bytes) in listed.view.needed_bytes().iter().enumerate() {
            if live.len() <= slot {
                live.resize(slot + 1, 0);
            }
            live[slot] += bytes;
        }
    }
    // Records of ordered keyspaces are needed until tables have them, and are never moved: replay would
    // not come across them. Asked after the segments, so that what those have when they are complete
    // has been applied.
    let segments = core.journal.segments();
    let unflushed_from = core.trees.unflushed_from();
    let is_unflushed = |info: &SegmentInfo| {
        info.kind == SegmentKind::Log
            && unflushed_from
                .is_some_and(|from| end_of(info, &segments).is_none_or(|end| from < end))
    };
    let leaving = core.maintenance.leaving();
    for (slot, bytes) in core.referenced_bytes(&segments, &leaving) {
        let slot = slot as usize;
        if live.len() <= slot {
            live.resize(slot + 1, 0);
        }
        live[slot] += bytes;
    }
    let held_from = core.journal.oldest_hold().map(|(_, position)| position.ordinal);
    segments
        .iter()
        .filter(|info| !leaving.contains(&info.slot))
        .map(|info| {
            let unflushed = is_unflushed(info);
            let live_bytes = live.get(info.slot as usize).copied().unwrap_or(0);
            Candidate {
                live_bytes: if unflushed { info.content_bytes } else { live_bytes },
                held: unflushed
                    || info.kind == SegmentKind::Log
                        && held_from.is_some_and(|ordinal| info.ordinal >= ordinal),
                info: info.clone(),
            }
        })
        .collect()
}

/// Up to, and without, which number a segment of the chain reaches at most; the last one has no end yet.
fn end_of(info: &SegmentInfo, segments: &[SegmentInfo]) -> Option<Seq> {
    let later =
        |other: &&SegmentInfo| other.kind == SegmentKind::Log && other.ordinal > info.ordinal;
    segments.iter().filter(later).map(|other| other.base_seq).min()
}

/// Bytes of the log that are needed.
pub(crate) fn live_bytes(core: &Core) -> u64 {
    candidates(core).iter().map(|candidate| candidate.live_bytes).sum()
}

fn compact(core: &Core, below: f64) -> Result<CompactReport> {
    let candidates = candidates(core);
    // A damaged segment stays as it is, whole, and keeps nobody from compacting the others.
    let mut damaged_count = 0;
    let mut victims: Vec<Chosen> = Vec::new();
    for info in choose(&candidates, below) {
        match Content::of(core, &info) {
            Content::Damaged => damaged_count += 1,
            content => victims.push(Chosen { info, content }),
        }
    }
    content::leave_whole(&mut victims);
    let slots: Vec<u32> = victims.iter().map(|victim| victim.info.slot).collect();
    // A feed may have come meanwhile. From here on none begins in what is given up.
    let slots = core.journal.give_up(&slots);
    victims.retain(|victim| slots.contains(&victim.info.slot));
    if victims.is_empty() {
        return Ok(CompactReport { damaged_count, ..CompactReport::default() });
    }
    let outcome = rewrite(core, &candidates, &victims, &slots);
    if outcome.is_err() {
        core.journal.take_back(&slots);
    }
    Ok(CompactReport { damaged_count, ..outcome? })
}

fn rewrite(
    core: &Core,
    candidates: &[Candidate],
    victims: &[Chosen],
    slots: &[u32],
) -> Result<CompactReport> {
    let kept_from = candidates
        .iter()
        .filter(|candidate| candidate.info.kind != SegmentKind::Spare)
        .filter(|candidate| !slots.contains(&candidate.info.slot))
        .filter(|candidate| candidate.info.sealed)
        .map(|candidate| candidate.info.base_seq)
        .min();
    let mut run = Run {
        core,
        packer: core
            .journal
            .packer(victims.iter().map(|victim| victim.info.base_seq).min().unwrap_or_default()),
        frame: FrameBuilder::new(),
        moves: Vec::new(),
        moving: Moving::default(),
        left_out: Vec::new(),
        trees: VictimTrees::of(core),
        values: Vec::new(),
        span: None,
        kept_from,
        moved_count: 0,
    };
    let before_bytes = victims.iter().map(|victim| victim.info.content_bytes).sum();
    let outcome = run.all(victims).and_then(|()| run.flush());
    run.leave_out();
    let (moved_count, after_bytes) = (run.moved_count, run.packer.bytes());
    // The views refer to what was moved, also if the rest could not be: it must be complete before
    // the next root. A failure means a failed sync.
    run.packer.finish().inspect_err(|error| core.journal.poison(&error.to_string()))?;
    outcome?;
    let (values, former) = (run.values, run.trees.map(VictimTrees::into_former));
    if !values.is_empty() {
        core.trees.moved.rcu(|moved| Arc::new(moved.with(&values)));
    }
    for listed in core.catalog.load().iter() {
        listed.view.change(core).forget_slots(slots);
    }
    meanwhile::run(Moment::MovesNoted);
    checkpoint::write(core, slots)?;
    // Snapshots taken from now on find the new addresses; earlier ones may hold old ones. So may walks
    // through tables that were replaced before values were looked for in those there are.
    let ticket = core.snapshots.next_ticket();
    let slots = slots.to_vec();
    let former: Former = former.unwrap_or_default();
    // So may who is pinned.
    let age = Age::begin();
    core.maintenance.zombies.lock().push(Zombies { ticket, age, former, slots });
    crate::maintenance::tidy(core);
    let segments_count = victims.len() as u64;
    Ok(CompactReport { segments_count, before_bytes, after_bytes, moved_count, damaged_count: 0 })
}

/// A record on its way.
struct Move {
    space: u32,
    hash: u64,
    from: Address,
    index: usize,
    /// It is current for nobody, but hides older records.
    hides: bool,
    /// It is a stream's mark.
    is_mark: bool,
    /// Of a value that tables refer to.
    value: Option<ValueMove>,
    /// Of an event.
    event: Option<MovedEvent>,
}

/// What has to be noted of a value that is moved.
#[derive(Clone, Copy)]
struct ValueMove {
    seq: Seq,
    /// The segment in which it was written.
    origin: u32,
}

/// What becomes of a record in a segment that is given up.
#[derive(Clone, Copy)]
enum Fate {
    /// It is current: it moves.
    Moves,
    /// Tables refer to its value, as to one that was written in this segment: it moves.
    Refers { origin: u32 },
    /// It is an event that was given up, from which its stream goes on: it moves without its data.
    MovesEmpty,
    /// It is an event that was given up.
    Ends(LeftOut),
    /// It says that a key is gone, and older records of the key may be left: it stays as a removal.
    Hides,
    /// Nobody needs it.
    Goes,
}

struct Run<'a> {
    core: &'a Core,
    packer: Packer<'a>,
    frame: FrameBuilder<'static>,
    moves: Vec<Move>,
    /// The events of the frame.
    moving: Moving,
    /// Events that are left out, by category and the hash of their stream.
    left_out: Vec<(u32, u64, LeftOut)>,
    /// What refers to values; none if there are no tables.
    trees: Option<VictimTrees>,
    /// Their values that were moved.
    values: Vec<MovedValue>,
    /// The lowest and the highest number in the frame.
    span: Option<(Seq, Seq)>,
    /// The lowest number that a segment which stays may hold; removals of older keys are needed
    /// no more.
    kept_from: Option<Seq>,
    moved_count: u64,
}

impl Run<'_> {
    fn all(&mut self, victims: &[Chosen]) -> Result<()> {
        let mut records = Victims::of(self.core, victims)?;
        while let Some(found) = records.next()? {
            let record = records.guard(found).record(found.address.offset)?;
            self.record(found, &record)?;
            if self.frame.len_bytes() >= FRAME_BYTES {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn record(&mut self, found: Found, record: &annals_journal::Record<'_>) -> Result<()> {
        let Found { address, len, .. } = found;
        let hash = hash_key(self.core.hash_seed, record.key);
        let fate = self.fate(address, hash, record);
        match fate {
            Fate::Goes => return Ok(()),
            Fate::Ends(left_out) => {
                self.left_out.push((record.space, hash, left_out));
                if self.left_out.len() >= LEFT_OUT_AT_ONCE {
                    self.leave_out();
                }
                return Ok(());
            }
            _ => {}
        }
        self.make_room_for(record.seq)?;
        let annals_journal::Record { kind, space, key, aligned, .. } = *record;
        let (index, hides) = (self.frame.count(), matches!(fate, Fate::Hides));
        let (mut value, mut event) = (None, None);
        if kind == Kind::Event {
            let catalog = self.core.catalog.load();
            let Some(listed) = catalog.by_id(space) else { return Ok(()) };
            let at = (self.frame.next_offset(), matches!(fate, Fate::MovesEmpty));
            let encoded =
                self.moving.encode(self.core, listed, hash, (address, len), record, at)?;
            let Some((value, moved)) = encoded else { return Ok(()) };
            self.frame.reserve_previous(false);
            let draft = Draft { kind, space, key, value, expires_ms: None, aligned };
            self.frame.push_moved(&draft, record.seq)?;
            event = Some(moved);
        } else {
            // Of what expired, only that it is gone is still of use.
            let (kind, value, expires_ms) = match fate {
                Fate::Hides => (Kind::Remove, &[][..], None),
                _ => (kind, record.value, record.expires_ms),
            };
            // A snapshot that needs the version before was there when this one was written.
            let previous = record.previous.filter(|_| self.core.snapshots.count() > 0);
            self.frame.reserve_previous(previous.is_some());
            let draft = Draft { kind, space, key, value, expires_ms, aligned };
            self.frame.push_moved(&draft, record.seq)?;
            if let Some(previous) = previous {
                self.frame.set_previous(index, previous);
            }
        }
        if let Fate::Refers { origin } = fate {
            value = Some(ValueMove { seq: record.seq, origin });
        }
        let is_mark = kind == Kind::Mark;
        self.moves.push(Move { value, event, is_mark, space, hash, from: address, index, hides });
        Ok(())
    }

    /// Begins another frame if the numbers in this one would lie too far apart: a record says how far
    /// its number is from the segment's in 32 bits.
    fn make_room_for(&mut self, seq: Seq) -> Result<()> {
        let wider = |(low, high): (Seq, Seq)| (low.min(seq), high.max(seq));
        let span = self.span.map_or((seq, seq), wider);
        if span.1.0 - span.0.0 > u64::from(u32::MAX) {
            self.flush()?;
            self.span = Some((seq, seq));
        } else {
            self.span = Some(span);
        }
        Ok(())
    }

    fn fate(&self, address: Address, hash: u64, record: &annals_journal::Record<'_>) -> Fate {
        let catalog = self.core.catalog.load();
        if record.kind == Kind::Catalog {
            return Fate::Moves;
        }
        let Some(listed) = catalog.by_id(record.space) else {
            return self.fate_of_value(address, record);
        };
        if listed.keyspace.is_category() && record.kind != Kind::Mark {
            return match Moving::fate(self.core, listed, hash, address, record) {
                EventFate::Moves => Fate::Moves,
                EventFate::MovesEmpty => Fate::MovesEmpty,
                EventFate::Ends(left_out) => Fate::Ends(left_out),
                EventFate::Goes => Fate::Goes,
            };
        }
        if listed.keyspace.is_ordered() {
            // Its tables have it, or the segment would not have been chosen.
            return self.fate_of_value(address, record);
        }
        let packed = address.pack();
        let leads = |table: &Table| {
            table.find(hash, |slot| (slot.address() == packed).then_some(())).is_some()
        };
        if record.kind == Kind::Mark {
            return if leads(&listed.view.chains().marks) { Fate::Moves } else { Fate::Goes };
        }
        if leads(&listed.view.table) {
            return Fate::Moves;
        }
        // A removal whose key is not in the table, and a record that expired, hide older records of
        // the key from a rebuild, as long as there may be any.
        let superseded = listed
            .view
            .table
            .find(hash, |slot| self.core.same_key(slot, record.space, record.key))
            .is_some();
        let hides = record.kind == Kind::Remove || record.expires_ms.is_some();
        let older_left = self.kept_from.is_some_and(|from| from < record.seq);
        if hides && !superseded && older_left { Fate::Hides } else { Fate::Goes }
    }

    /// What becomes of a record that tables have, but for its value perhaps.
    fn fate_of_value(&self, address: Address, record: &annals_journal::Record<'_>) -> Fate {
        let Some(trees) = &self.trees else { return Fate::Goes };
        match trees.reference(record) {
            // A compaction that did not come to its end may have left a copy.
            Ok(Some(reference)) if trees.place(self.core, &reference) == Some(address) => {
                Fate::Refers { origin: reference.segment }
            }
            Ok(_) => Fate::Goes,
            Err(error) => {
                // The rest of a damaged table can be read, or the table mended from a backup.
                tracing::warn!(%error, "nobody can tell whether a value is needed: it stays");
                self.core.trees.note_reference_lost();
                Fate::Refers { origin: MovedValue::UNKNOWN }
            }
        }
    }

    /// Lets nothing lead to events any more that are left out.
    fn leave_out(&mut self) {
        let catalog = self.core.catalog.load();
        for some in self.left_out.chunks(NOTED_AT_ONCE) {
            let _writer = self.core.journal.quiesce();
            for (space, hash, left_out) in some {
                if let Some(listed) = catalog.by_id(*space) {
                    listed.view.change(self.core).leave_out(*space, *hash, left_out);
                }
            }
        }
        self.left_out.clear();
    }

    /// Forgets the strays that the moved events of the frame, whose first byte is at `base`, know themselves.
    fn forget_strays(&self, catalog: &Catalog, base: Address) {
        let is_event = |one: &&Move| one.event.is_some();
        let moved: Vec<&Move> = self.moves.iter().filter(is_event).collect();
        for some in moved.chunks(NOTED_AT_ONCE) {
            let _writer = self.core.journal.quiesce();
            for one in some {
                let Some(listed) = catalog.by_id(one.space) else { continue };
                let Some(MovedEvent { version, .. }) = one.event else { continue };
                let offset = base.offset + self.frame.offset(one.index);
                let (to, len) = (Address { slot: base.slot, offset }, 0);
                let placed = Placed::of(&self.frame.record(one.index), to, len, one.hash);
                listed.view.change(self.core).forget_stray(&placed, version);
            }
        }
    }

    fn flush(&mut self) -> Result<()> {
        if self.frame.count() == 0 {
            return Ok(());
        }
        let base = self.packer.append(&mut self.frame)?;
        meanwhile::run(Moment::FateKnown);
        let catalog = self.core.catalog.load();
        // A few at a time under the writer lock, so that commits hardly notice.
        for moves in self.moves.chunks(NOTED_AT_ONCE) {
            let _writer = self.core.journal.quiesce();
            for one in moves {
                let offset = base.offset + self.frame.offset(one.index);
                let to = Address { slot: base.slot, offset };
                let len = self.frame.record_len(one.index);
                if let Some(ValueMove { seq, origin }) = one.value {
                    // Where it is now is told when all are moved: nothing changes it meanwhile.
                    self.values.push(MovedValue { seq: seq.0, origin, bytes: len, at: to });
                    self.moved_count += 1;
                    continue;
                }
                let Some(listed) = catalog.by_id(one.space) else { continue };
                if let Some(MovedEvent { version, id, len: len_before }) = one.event {
                    let record = self.frame.record(one.index);
                    let placed = Placed::of(&record, to, len, one.hash);
                    let is_known = self.moving.has(one.space, one.hash, version + 1);
                    let from = Moved { address: one.from, len: len_before, id };
                    listed.view.change(self.core).relocate_event(&placed, from, version, is_known);
                    #[cfg(test)]
                    pause::between_moves();
                    self.moved_count += 1;
                    continue;
                }
                if one.is_mark {
                    listed.view.change(self.core).relocate_mark(one.hash, one.from, to, len);
                } else if one.hides {
                    listed.view.change(self.core).keep(to, len);
                } else {
                    listed.view.change(self.core).relocate(one.hash, one.from, to, len);
                }
                self.moved_count += 1;
            }
        }
        self.forget_strays(&catalog, base);
        self.moves.clear();
        self.moving.clear();
        self.span = None;
        self.frame.clear(FRAME_BYTES * 2);
        Ok(())
    }
}
