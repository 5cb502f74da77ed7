//! What tests do between two looks of who reads or writes, where others may come in between.

/// Between which looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// It is known that the category is there; nothing of it was looked at.
    CategoryThere,
    /// A waypoint was not found; the newest event is asked for.
    WaypointSought,
    /// It is known up to where readers see; the newest event is asked for.
    VisibleKnown,
    /// A walk through a span begins, perhaps again; nothing of it is held.
    WalkBegins,
    /// A walk has an event; the one in front of it is asked for.
    EventHeld,
    /// The last event is known; what limits its stream is asked for.
    LastKnown,
    /// What limits a stream is known; one of its events is asked for.
    LimitsKnown,
    /// The segments are listed; they are asked for.
    SegmentsListed,
    /// An event was found by a scan; it is asked whether readers may see it.
    EventScanned,
    /// Who follows knows that its state was not left; the end of the log is looked at.
    TailSought,
    /// Who waits was told that nothing came; whether the database is closed is heeded.
    NothingCame,
    /// An append has asked whether its event is there already; it is appended.
    EventSought,
    /// The tables lead to an event, which readers do not see yet.
    EventPlaced,
    /// An append knows how its stream stands for who appends.
    StandingKnown,
    /// An event leads to its segment from the newest one; the one before is not noted as a stray yet.
    NewestShown,
    /// What a stream is as a whole is known; its events are asked for.
    StreamKnown,
    /// It is known what a stream keeps no longer; nothing is given up.
    RetentionKnown,
    /// A checkpoint knows where replay begins, and what is counted there; nothing is copied yet.
    PlaceKnown,
    /// Compaction has decided what becomes of the events of a frame; nothing is noted of it.
    FateKnown,
    /// Where moved events are is noted; the checkpoint that says so is not written.
    MovesNoted,
    /// Who reads a table knows what there may be; nothing of it was looked up.
    TableKnown,
    /// The parts of a table were looked up; its fresh batches are asked for.
    PartsLookedUp,
    /// Readers know of a part; it is not committed.
    PartMade,
    /// A part is committed; the batches that it replaces are known still.
    PartCommitted,
    /// It is known which rows are to be deleted; nothing is committed.
    RowsFound,
    /// The ids of events that are to be appended were looked for; nobody is kept from appending others.
    IdsSought,
    /// That they are deleted is committed; what the table is known to have does not say so.
    RowsDeleted,
    /// Readers know of a part that is made of others; it is not committed.
    PartShown,
    /// One of the parts that are known was looked up, more may be.
    PartSought,
    /// One of the fresh batches that are known was looked up, more may be.
    BatchSought,
    /// That parts are dropped is committed; they are known still.
    PartsDropped,
    /// Events are encoded as the table's schema has them; the table does not know of them yet.
    RowsEncoded,
    /// Who has appended is to wait for flushes that are far behind; that has not begun.
    FallenBehind,
    /// A piece of a part is added to an answer; the next one is not begun.
    PieceAdded,
    /// What a projection has handled was not committed; it is asked why.
    ProgressRefused,
}

#[cfg(not(test))]
#[inline(always)]
pub(crate) fn run(_: Moment) {}

#[cfg(test)]
pub(crate) use deeds::{each_time, run};

#[cfg(test)]
mod deeds {
    use super::Moment;
    use std::cell::RefCell;

    type Deed = Box<dyn FnMut()>;

    /// What is to be done.
    struct Deeds {
        all: Vec<(Moment, Option<Deed>)>,
        /// One of those before this is being done. What it does comes to the same moments, and does nothing there.
        from: usize,
    }

    thread_local! {
        static DEEDS: RefCell<Deeds> = const { RefCell::new(Deeds { all: Vec::new(), from: 0 }) };
    }

    /// Each time that this thread comes to the moment, it does this, until `work` is over.
    pub(crate) fn each_time<R>(
        moment: Moment,
        deed: impl FnMut() + 'static,
        work: impl FnOnce() -> R,
    ) -> R {
        DEEDS.with_borrow_mut(|deeds| deeds.all.push((moment, Some(Box::new(deed)))));
        let outcome = work();
        DEEDS.with_borrow_mut(|deeds| deeds.all.pop());
        outcome
    }

    pub(crate) fn run(moment: Moment) {
        let found = DEEDS.with_borrow_mut(|Deeds { all, from }| {
            let is_it = |(when, _): &(Moment, Option<Deed>)| *when == moment;
            let place = *from + all[*from..].iter().rposition(is_it)?;
            let deed = all[place].1.take()?;
            Some((place, deed, std::mem::replace(from, all.len())))
        });
        if let Some((place, mut deed, from)) = found {
            deed();
            DEEDS.with_borrow_mut(|deeds| {
                deeds.all[place].1 = Some(deed);
                deeds.from = from;
            });
        }
    }
}
