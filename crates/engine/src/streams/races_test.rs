//! What comes between two looks of who reads or writes: what they find is what there was at some moment.

#[path = "races_test/appends.rs"]
mod appends;
#[path = "races_test/closing.rs"]
mod closing;
#[path = "races_test/given_up.rs"]
mod given_up;
#[path = "races_test/left_states.rs"]
mod left_states;
#[path = "races_test/lives.rs"]
mod lives;
#[path = "races_test/moving.rs"]
mod moving;
#[path = "races_test/projections.rs"]
mod projections;
#[path = "races_test/readers.rs"]
mod readers;
#[path = "races_test/scans.rs"]
mod scans;
#[path = "races_test/types.rs"]
mod types;

use super::{
    Aggregate, Aggregates, Category,
    ExpectedVersion::*,
    NewEvent, Retention,
    chains::SPAN,
    id::StreamKey,
    label::Before,
    meanwhile::{Moment, each_time},
};
use crate::{
    Background, Builder, Database, Error, HashKeyspace, KeyspaceOptions, PersistentOptions, Result,
    compaction::run_on, maintenance,
};
use annals_disk::{SimDisk, SimOptions};
use annals_journal::Seq;
use std::{
    cell::Cell,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    time::Duration,
};

fn small(disk: &SimDisk) -> Builder {
    let builder = Database::builder().segment_bytes(64 << 10).disk(Arc::new(disk.clone()));
    builder.background(Background::Manual).compact_below(0.9)
}

fn append(category: &Category, stream: u64, count: u64) -> Result<()> {
    for _ in 0..count {
        category.append(stream, &NewEvent::bytes("happened", &[7; 40]), Any)?;
    }
    Ok(())
}

/// Fills segments with what nobody needs any more.
fn churn(churned: &HashKeyspace, round: u64) -> Result<()> {
    (0..100).try_for_each(|n| churned.insert([n], [round as u8; 2_000]))
}

/// Does something the first so many times that it is asked.
fn at_most(times: u32, mut deed: impl FnMut()) -> impl FnMut() {
    let mut left = times;
    move || {
        if left > 0 {
            left -= 1;
            deed();
        }
    }
}

/// A database with a stream, number 7, whose events can be moved one by one.
#[derive(Clone)]
struct World {
    disk: SimDisk,
    db: Database,
    category: Category,
    churned: HashKeyspace,
    round: Rc<Cell<u64>>,
}

impl World {
    fn new(seed: u64, options: KeyspaceOptions) -> Result<Self> {
        let disk = SimDisk::new(SimOptions::seeded(seed));
        let db = small(&disk).open("db")?;
        let category = db.create_category("orders", options)?;
        let churned = db.hash_keyspace("churn")?;
        Ok(Self { disk, db, category, churned, round: Rc::default() })
    }

    /// Appends events, each of which is in a segment of its own.
    fn append_apart(&self, count: u64) -> Result<()> {
        (0..count).try_for_each(|_| {
            append(&self.category, 7, 1)?;
            Ok(self.db.core.journal.roll()?)
        })
    }

    /// Moves one event, to a segment of its own. Where one was before that was moved before, nothing is then,
    /// unless somebody is pinned.
    fn move_event(&self, version: u64) {
        let core = self.db.core.core();
        let slot =
            self.category.with_key(&StreamKey::of(&7u64.into()).expect("a key"), |_, _, stream| {
                let event = core.event_of_version(stream, version)?;
                Ok(event.expect("it is there").hit.address.slot)
            });
        let _ = run_on(core, slot.expect("it is found")).expect("it is moved");
    }

    /// Lets each second event lie elsewhere than the one behind it says, with nothing where that says it is.
    fn have_strays(&self, count: u64) {
        (0..count).step_by(2).for_each(|version| self.move_event(version));
        self.let_go();
    }

    /// Waits until nothing is kept of what was given up. In vain, if this thread is pinned.
    fn let_go(&self) {
        let core = self.db.core.core();
        for _ in 0..100 {
            maintenance::tidy(core);
            if core.maintenance.zombies.lock().is_empty() {
                return;
            }
            // Other tests' threads are pinned for moments.
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Has everything moved.
    fn move_all(&self) -> impl FnMut() + use<> {
        let world = self.clone();
        move || {
            world.round.set(world.round.get() + 1);
            churn(&world.churned, world.round.get()).expect("it is filled");
            world.db.compact().expect("it is compacted");
            world.let_go();
        }
    }
}
