//! A subscription: how long an event takes from the call that appends it to the thread that follows.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::Result;
use crate::child::Task;
use crate::emit::emit;
use crate::engine::Mode;
use crate::event::Batch;
use crate::event_engine::{Ability, EventEngine, Expected};
use crate::latency::Latencies;

/// Events that are followed.
const EVENTS: u64 = 10_000;
/// The writer's pause between two events: the follower waits by the time one comes.
const PAUSE: Duration = Duration::from_micros(100);
/// A follower that sleeps while it waits, and one that does not.
pub(crate) const ROW: &str = "events.live";
pub(crate) const ROW_AWAKE: &str = "events.live.awake";
/// How long an event may take.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn run<E: EventEngine>(task: &Task) -> Result<()> {
    for (ability, row) in [(Ability::Follow, ROW), (Ability::FollowAwake, ROW_AWAKE)] {
        if E::can(ability) {
            let dir = task.dir.join(row);
            std::fs::create_dir(&dir)?;
            let db = E::open(&dir, Mode::Buffered)?;
            run_one(&db, followed(task.keys), ability == Ability::FollowAwake, row)?;
            db.close()?;
        }
    }
    Ok(())
}

fn run_one<E: EventEngine>(db: &E, events: u64, awake: bool, row: &str) -> Result<()> {
    let (store, sent) = (db, &Sent::new());
    thread::scope(|scope| {
        let (received, receive) = mpsc::channel();
        let follower = scope.spawn(move || follow(store, events, awake, sent, &received));
        let mut batch = Batch::of(1);
        let written = sent.each(events, &receive, |number| {
            let event = batch.fill(number..=number);
            sent.now();
            db.append(0, event, Expected::Any)
        });
        match written {
            Ok(()) => emit_latencies(row, &follower.join().map_err(|_| "the follower panicked")??),
            // What the follower has to say explains why the writer heard nothing of it.
            Err(error) if receive.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Disconnected) => {
                follower.join().map_err(|_| "the follower panicked")??;
                Err(error)
            }
            // It waits for an event that never comes.
            Err(error) => {
                eprintln!("{error}");
                std::process::exit(1)
            }
        }
    })
}

/// Follows from the beginning until `events` events have come; tells of each.
fn follow<E: EventEngine>(
    db: &E,
    events: u64,
    awake: bool,
    sent: &Sent,
    received: &Sender<()>,
) -> Result<Latencies> {
    let mut latencies = Latencies::new();
    let (mut next, mut right, mut heard) = (0, true, true);
    db.follow(awake, |event| {
        latencies.add(sent.since());
        right = event.is(next);
        next += 1;
        heard = received.send(()).is_ok();
        right && heard && next < events
    })?;
    if right && next == events {
        return Ok(latencies);
    }
    Err(format!("the follower saw {next} events, the last of them {right}").into())
}

/// When the last event was sent.
pub(crate) struct Sent {
    started: Instant,
    last_ns: AtomicU64,
}

impl Sent {
    /// None so far.
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), last_ns: AtomicU64::new(0) }
    }

    /// The next event is sent.
    pub(crate) fn now(&self) {
        self.last_ns.store(self.started.elapsed().as_nanos() as u64, Ordering::Release);
    }

    /// Lets `send` say that it is [`now`](Self::now) and send each of `events` events, when the one before it was
    /// received, after a pause.
    pub(crate) fn each(
        &self,
        events: u64,
        received: &Receiver<()>,
        mut send: impl FnMut(u64) -> Result<()>,
    ) -> Result<()> {
        for number in 0..events {
            thread::sleep(PAUSE);
            send(number)?;
            let waited = received.recv_timeout(PATIENCE);
            waited.map_err(|error| format!("event {number} was not received: {error}"))?;
        }
        Ok(())
    }

    /// The time since the last event was sent.
    pub(crate) fn since(&self) -> Duration {
        let now = self.started.elapsed();
        now.saturating_sub(Duration::from_nanos(self.last_ns.load(Ordering::Acquire)))
    }
}

/// Tells the latencies of `row`.
pub(crate) fn emit_latencies(row: &str, latencies: &Latencies) -> Result<()> {
    emit(&format!("{row}.p50"), latencies.quantile_us(0.5))?;
    emit(&format!("{row}.p99"), latencies.quantile_us(0.99))
}

/// Events that are followed in a load of `events`.
pub(crate) fn followed(events: u64) -> u64 {
    EVENTS.min(events)
}
