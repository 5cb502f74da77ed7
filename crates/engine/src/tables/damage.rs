//! What of a table is damaged: who does not need it goes on without it, and who does is told, by file and offset.
//!
//! A part has checksums of its own for all of its bytes, so one that is damaged somewhere answers what does not touch that
//! place. What cannot be read at all is *lost*: a part whose directory is damaged, a batch, what was deleted of one, a
//! record of which not even that can be told. What is lost stands in the way of every question that its events may concern, by
//! their times, where these can be told.

use super::{
    flush::GcReport, keys, places::PartPlace, shape::Known, table::EventTable, view::TableView,
};
use crate::{Error, ErrorKind, Result, hash::Hit};
use annals_columns::{Constant, Error as ColumnsError, Filter, PartHead, PartIdentity, PartView};
use annals_journal::SegmentGuard;
use std::{fmt, sync::Arc};

/// A part, a batch, or a record of an event table that cannot be read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TableDamage {
    /// How many events it has, if that can be told.
    pub events_count: Option<u64>,
    /// Their first time and their last, if these can be told.
    pub times: Option<(i64, i64)>,
    /// What is damaged, with file and offset: an error of the kind [`Corrupt`](ErrorKind::Corrupt).
    pub error: Error,
}

/// What is lost.
#[derive(Clone, Debug)]
pub(super) struct Lost {
    pub(super) piece: Piece,
    pub(super) damage: TableDamage,
}

/// What it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Part(u64),
    Batch(u64),
    /// A record whose key is damaged.
    Record,
}

impl fmt::Display for Piece {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Part(number) => write!(out, "part {number}"),
            Self::Batch(number) => write!(out, "batch {number} of the fresh events"),
            Self::Record => out.write_str("a record that cannot be told, which may be any events,"),
        }
    }
}

impl Lost {
    /// Something of which only the damage is known.
    pub(super) fn new(table: &str, piece: Piece, cause: annals_journal::Error) -> Self {
        let error = named(table, &piece.to_string(), cause);
        Self { piece, damage: TableDamage { events_count: None, times: None, error } }
    }

    /// Whether its events may be of any time from the first to the last.
    pub(super) fn may_have(&self, (first, last): (i64, i64)) -> bool {
        first <= last && self.damage.times.is_none_or(|(from, to)| from <= last && first <= to)
    }

    /// Whether it is what this number stands for.
    pub(super) fn is_part(&self, number: u64) -> bool {
        self.piece == Piece::Part(number)
    }
}

/// Damage to what a table has.
pub(super) fn named(table: &str, what: &str, cause: annals_journal::Error) -> Error {
    Error::DamagedTable { table: table.to_owned(), what: what.to_owned(), cause }
}

/// Damage to a part, in terms of the file that has it.
pub(super) fn of_part(
    table: &str,
    (guard, at): (&SegmentGuard<'_>, u32),
    number: u64,
    error: Error,
) -> Error {
    let damage = |offset: u64, what| guard.damage(at.saturating_add(offset as u32), what);
    match error {
        Error::Columns(ColumnsError::Damaged { part, section, offset, what }) if part == number => {
            named(table, &format!("the {section} of part {number}"), damage(offset, what))
        }
        Error::Columns(ColumnsError::NotAPart) => {
            named(table, &format!("part {number}"), damage(0, "it does not begin as a part"))
        }
        Error::Columns(ColumnsError::OtherPart { .. }) => {
            named(table, &format!("part {number}"), damage(0, "it is another part"))
        }
        other => other,
    }
}

/// A part where it lies.
pub(super) struct PartAt<'t> {
    table: &'t EventTable,
    number: u64,
    pub(super) hit: Hit<'t>,
    pub(super) head: Arc<PartHead>,
}

impl PartAt<'_> {
    pub(super) fn view(&self) -> PartView<'_> {
        let (at, len) = self.hit.record.value;
        // The head was read from these bytes.
        self.head.view(self.hit.guard.bytes(at, len)).expect("of the head's length")
    }

    /// How many bytes it has.
    pub(super) fn bytes_count(&self) -> u64 {
        self.hit.record.value.1.into()
    }

    /// Names the file of an error about the part.
    pub(super) fn named(&self, error: impl Into<Error>) -> Error {
        let place = (&self.hit.guard, self.hit.record.value.0);
        of_part(self.table.name(), place, self.number, error.into())
    }
}

/// What a look for a part has found.
pub(super) enum FoundPart<'t> {
    Whole(PartAt<'t>),
    /// It is there, and cannot be read.
    Lost(Lost),
}

impl EventTable {
    /// A part; `None` if it is not there.
    pub(super) fn find_part(&self, place: &PartPlace) -> Result<Option<FoundPart<'_>>> {
        let number = place.number;
        let hit = match self.space().hit_unsummed(&keys::part(number)) {
            Ok(Some(hit)) => hit,
            Ok(None) => return Ok(None),
            Err(Error::Journal(cause)) if is_damage(&cause) => {
                let lost = Lost::new(self.name(), Piece::Part(number), cause);
                return Ok(Some(FoundPart::Lost(lost)));
            }
            Err(error) => return Err(error),
        };
        let schema = || self.shape().look(|known| Arc::clone(&known.schema));
        let head = match place.head(self.database_id(), &hit, schema) {
            Ok(head) => head,
            Err(error) => {
                let at = (&hit.guard, hit.record.value.0);
                let error = of_part(self.name(), at, number, error);
                if error.kind() != ErrorKind::Corrupt {
                    return Err(error);
                }
                let (at, len) = hit.record.value;
                let outline = PartHead::outline(hit.guard.bytes(at, len), self.identity_of(number));
                let deleted = place.deleted.as_ref().map_or(0, |deleted| deleted.set().len());
                let events_count = outline.map(|one| one.rows.saturating_sub(deleted) as u64);
                let times = outline.and_then(|one| one.times);
                let damage = TableDamage { events_count, times, error };
                return Ok(Some(FoundPart::Lost(Lost { piece: Piece::Part(number), damage })));
            }
        };
        let part = PartAt { table: self, number, hit, head };
        let Some(cause) = &place.unreadable else { return Ok(Some(FoundPart::Whole(part))) };
        let events_count = Some(part.view().rows_count() as u64);
        let what = format!("what was deleted of part {number}");
        let error = named(self.name(), &what, cause.clone());
        let damage = TableDamage { events_count, times: part.view().time_range()?, error };
        Ok(Some(FoundPart::Lost(Lost { piece: Piece::Part(number), damage })))
    }

    /// What its checksums begin with.
    fn identity_of(&self, number: u64) -> PartIdentity {
        PartIdentity { database_id: self.database_id(), number }
    }

    /// A part; `None` if it is not there, an error if it is lost.
    pub(super) fn part(&self, place: &PartPlace) -> Result<Option<PartAt<'_>>> {
        match self.find_part(place)? {
            Some(FoundPart::Whole(part)) => Ok(Some(part)),
            Some(FoundPart::Lost(lost)) => Err(lost.damage.error),
            None => Ok(None),
        }
    }

    /// Drops what is damaged for good: each part of which any byte is not as it was written, and each batch of fresh events.
    /// All other events stay, and all questions are answered again, of those. What is dropped is lost, unless there is a
    /// backup. Reads all parts.
    ///
    /// # Errors
    /// Those of writing; nothing was dropped then. Damage that no event is known to be of stays, and is told.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::Database;
    /// use annals_columns::{Role, Schema};
    /// use std::sync::Arc;
    /// let db = Database::open_in_memory()?;
    /// let ticks = db.table("ticks", &Arc::new(Schema::builder(1).with("at", Role::Ts).build()?))?;
    /// assert_eq!(ticks.drop_damaged()?.parts_count, 0);
    /// # Ok::<(), annals::Error>(())
    /// ```
    pub fn drop_damaged(&self) -> Result<GcReport> {
        let _flushing = self.shape().flushing.lock();
        let known = self.known()?;
        let mut report = GcReport::default();
        let (mut parts, mut batches) = (Vec::new(), Vec::new());
        let mut commit = self.batch_of_commit();
        for place in known.parts.iter() {
            let events_count = match self.find_part(place)? {
                None => continue,
                Some(FoundPart::Lost(lost)) => lost.damage.events_count.unwrap_or_default(),
                Some(FoundPart::Whole(part)) => {
                    let mut is_whole = true;
                    part.view().check(&mut |_| is_whole = false);
                    if is_whole {
                        continue;
                    }
                    place.live_rows(part.view())
                }
            };
            commit.remove(self.space(), keys::part(place.number))?;
            commit.remove(self.space(), keys::deleted(place.number))?;
            report.parts_count += 1;
            report.events_count += events_count;
            parts.push(place.number);
        }
        let mut unknown = None;
        for lost in known.lost.iter() {
            let Piece::Batch(number) = lost.piece else {
                unknown = Some(lost.damage.error.clone());
                continue;
            };
            commit.remove(self.space(), keys::fresh(number))?;
            commit.remove(self.space(), keys::deleted_fresh(number))?;
            report.batches_count += 1;
            report.events_count += lost.damage.events_count.unwrap_or_default();
            batches.push(Piece::Batch(number));
        }
        if !(parts.is_empty() && batches.is_empty()) {
            self.shape().change(Known::begin_dropping);
            let done = commit.commit();
            let gone: &[u64] = if done.is_ok() { &parts } else { &[] };
            self.shape().change(|known| {
                known.remove_parts(gone);
                if done.is_ok() {
                    known.forget_lost(&batches);
                }
            });
            done?;
        }
        match unknown {
            Some(error) if report == GcReport::default() => Err(error),
            _ => Ok(report),
        }
    }
}

impl TableView<'_> {
    /// What of the table cannot be read at all. Where only a place in a part is damaged, the part is not among these: what does
    /// not need that place is answered, and a question that does ends with an error that names it.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::Database;
    /// use annals_columns::{Role, Schema};
    /// use std::sync::Arc;
    /// let db = Database::open_in_memory()?;
    /// let ticks = db.table("ticks", &Arc::new(Schema::builder(1).with("at", Role::Ts).build()?))?;
    /// assert_eq!(ticks.view()?.damages().count(), 0);
    /// # Ok::<(), annals::Error>(())
    /// ```
    pub fn damages(&self) -> impl ExactSizeIterator<Item = &TableDamage> {
        self.lost.iter().map(|lost| &lost.damage)
    }

    /// The view without all that is damaged: its questions are answered of the rest, as if the other events were not
    /// there. [`damages`](Self::damages) tells what is left out: each part of which any byte is not as it was written, and
    /// what cannot be read at all. Reads all parts once.
    ///
    /// # Errors
    /// None that is about damage.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// use annals::Database;
    /// use annals_columns::{Role, Schema};
    /// use std::sync::Arc;
    /// let db = Database::open_in_memory()?;
    /// let ticks = db.table("ticks", &Arc::new(Schema::builder(1).with("at", Role::Ts).build()?))?;
    /// let view = ticks.view()?.without_damage()?;
    /// let lost: u64 = view.damages().filter_map(|damage| damage.events_count).sum();
    /// assert_eq!(lost, 0, "of a table that is whole");
    /// # Ok::<(), annals::Error>(())
    /// ```
    pub fn without_damage(mut self) -> Result<Self> {
        let mut lost = Vec::new();
        for at in 0..self.parts_count() {
            let part = self.part(at);
            let mut first = None;
            part.check(&mut |damage| first = first.take().or(Some(damage)));
            if let Some(damage) = first {
                let error = self.named(damage.into());
                let events_count = Some(self.live_rows(at));
                let damage = TableDamage { events_count, times: part.time_range()?, error };
                lost.push(Lost { piece: Piece::Part(part.identity().number), damage });
            }
        }
        self.leave_out(lost);
        self.is_without_damage = true;
        Ok(self)
    }

    /// Refuses to answer what lost events may concern, if any may be of a time from the first to the last.
    pub(super) fn check(&self, times: (i64, i64)) -> Result<()> {
        let in_the_way = self.lost.iter().find(|lost| lost.may_have(times));
        match in_the_way.filter(|_| !self.is_without_damage) {
            Some(lost) => Err(lost.damage.error.clone()),
            None => Ok(()),
        }
    }

    /// What is lost and is in the way of questions.
    pub(super) fn lost(&self) -> impl Iterator<Item = &Lost> {
        self.lost.iter().filter(|_| !self.is_without_damage)
    }

    /// Names the file of an error about a part.
    pub(super) fn named(&self, error: Error) -> Error {
        let Error::Columns(ColumnsError::Damaged { part, .. }) = &error else { return error };
        let number = *part;
        match self.place_of(number) {
            Some(place) => of_part(self.table().name(), place, number, error),
            None => error,
        }
    }
}

/// All times.
pub(super) const ALWAYS: (i64, i64) = (i64::MIN, i64::MAX);

/// The first and the last time that events can have which a filter means; the first is above the last if there is none.
pub(super) fn times_of(filter: &Filter, ts: Option<usize>) -> (i64, i64) {
    const NEVER: (i64, i64) = (i64::MAX, i64::MIN);
    let Some(ts) = ts else { return ALWAYS };
    let both = |one: (i64, i64), other: (i64, i64)| (one.0.max(other.0), one.1.min(other.1));
    let any = |one: (i64, i64), other: (i64, i64)| match (one.0 <= one.1, other.0 <= other.1) {
        (true, true) => (one.0.min(other.0), one.1.max(other.1)),
        (true, false) => one,
        _ => other,
    };
    match filter {
        Filter::Eq(field, Constant::I64(time)) if *field == ts => (*time, *time),
        Filter::AtLeast(field, Constant::I64(time)) if *field == ts => (*time, i64::MAX),
        Filter::AtMost(field, Constant::I64(time)) if *field == ts => (i64::MIN, *time),
        Filter::In(field, all) if *field == ts => {
            let times = all.iter().map(|one| match one {
                Constant::I64(time) => (*time, *time),
                _ => NEVER,
            });
            times.fold(NEVER, any)
        }
        Filter::And(all) => {
            all.iter().fold(ALWAYS, |times, one| both(times, times_of(one, Some(ts))))
        }
        Filter::Or(all) => all.iter().fold(NEVER, |times, one| any(times, times_of(one, Some(ts)))),
        _ => ALWAYS,
    }
}

/// Whether bytes are not as they were written.
pub(super) fn is_damage(error: &annals_journal::Error) -> bool {
    matches!(error, annals_journal::Error::Damaged { .. })
}
