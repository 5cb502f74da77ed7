//! Short batches across many streams: each batch to one of them, and each to as many as it has events.

use super::walk::check;
use super::{SHORT, STREAMS};
use crate::Result;
use crate::child::Task;
use crate::data::shuffled;
use crate::emit::emit;
use crate::engine::Mode;
use crate::event::Batch;
use crate::event_engine::{Ability, EventEngine, Expected};
use crate::timing;

/// Streams of batches that go to many come behind those of batches that go to one.
const BEHIND: u64 = 1 << 32;

pub(super) fn run<E: EventEngine>(task: &Task, mode: Mode) -> Result<()> {
    let (each_row, across_row) = match mode {
        Mode::Buffered => ("events.short", "events.across"),
        Mode::Sync => ("events.short.sync", "events.across.sync"),
    };
    let db = E::open(&task.dir, mode)?;
    let order: Vec<u64> = shuffled(STREAMS).into_iter().map(u64::from).collect();
    let stream_of = |turn: u64| order[(turn % STREAMS) as usize];
    let mut batch = Batch::of(SHORT as usize);

    let appended = timing::up_to(task.keys / SHORT, task.cap, |turn| {
        let first = turn * SHORT;
        db.append(stream_of(turn), batch.fill(first..first + SHORT), Expected::Any)
    })?;
    emit(each_row, appended.rate() * SHORT as f64)?;
    // Streams whose turn has come once more than that of the others have a batch more.
    let batches = |turn: u64| appended.ops / STREAMS + u64::from(turn < appended.ops % STREAMS);
    let mut turns = vec![0; STREAMS as usize];
    (0..).zip(&order).for_each(|(turn, stream)| turns[*stream as usize] = turn);
    let lengths = (0..STREAMS).map(|turn| (stream_of(turn), batches(turn) * SHORT));
    check(&db, lengths.step_by(61), |stream, version| {
        let turn = turns[stream as usize] + version / SHORT * STREAMS;
        turn * SHORT + version % SHORT
    })?;

    if E::can(Ability::Across) {
        let mut streams = Vec::with_capacity(SHORT as usize);
        task.warm_up()?;
        let appended = timing::up_to(task.keys / SHORT, task.cap, |turn| {
            let first = turn * SHORT;
            streams.clear();
            streams.extend((first..first + SHORT).map(|number| BEHIND + stream_of(number)));
            db.append_across(&streams, batch.fill(first..first + SHORT))
        })?;
        emit(across_row, appended.rate() * SHORT as f64)?;
        let events = appended.ops * SHORT;
        let length = |turn: u64| events / STREAMS + u64::from(turn < events % STREAMS);
        let lengths = (0..STREAMS).map(|turn| (BEHIND + stream_of(turn), length(turn)));
        check(&db, lengths.step_by(61), |stream, version| {
            turns[(stream - BEHIND) as usize] + version * STREAMS
        })?;
    }
    db.close()
}
