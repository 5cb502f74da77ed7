//! What is done to a database: random from a seed, or fixed and short.

use crate::{model::Level, random::Random};

/// One step. Keyspaces and keys are numbers; a step on a keyspace that is not there makes it.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Put {
        space: u8,
        key: u8,
        len: u32,
        level: Option<Level>,
    },
    Remove {
        space: u8,
        key: u8,
        level: Option<Level>,
    },
    /// Compare-and-swap; with `fitting` off, against a value that is not there.
    Swap {
        space: u8,
        key: u8,
        len: u32,
        fitting: bool,
    },
    Update {
        space: u8,
        key: u8,
    },
    /// Several writes; one without a length removes.
    Batch {
        writes: Vec<(u8, u8, Option<u32>)>,
        level: Option<Level>,
    },
    Drop {
        space: u8,
    },
    Clear {
        space: u8,
    },
    Sync,
    /// Lets time pass, then the background work.
    Tick {
        ms: u64,
    },
    Checkpoint,
    Compact,
    Backup,
    TakeSnapshot,
    /// Reads all snapshots and the state as it is.
    Look,
    DropSnapshot,
    /// Reads the log as a feed.
    Feed,
    /// Opens a second, read-only handle and compares.
    Follow,
    /// Opens a second, read-only handle, and keeps it with a snapshot.
    HoldReader,
    DropReader,
    Reopen,
    Kill,
}

const SPACES: u64 = 4;
const KEYS: u64 = 24;

fn len(random: &mut Random) -> u32 {
    let most = random.pick(&[1, 60, 60, 300, 300, 300, 3_000, 3_000, 12_000, 30_000]);
    if random.once_in(150) { 80_000 } else { random.below(most) as u32 }
}

fn level(random: &mut Random) -> Option<Level> {
    let levels = [
        None,
        None,
        Some(Level::Buffered),
        Some(Level::Interval),
        Some(Level::Events(3)),
        Some(Level::Sync),
    ];
    random.pick(&levels)
}

/// The next step of a random script.
pub(crate) fn random_step(random: &mut Random) -> Step {
    let (space, key) = (random.below(SPACES) as u8, random.below(KEYS) as u8);
    match random.below(100) {
        0..=29 => Step::Put { space, key, len: len(random), level: level(random) },
        30..=39 => Step::Remove { space, key, level: level(random) },
        40..=44 => Step::Swap { space, key, len: len(random), fitting: !random.once_in(4) },
        45..=48 => Step::Update { space, key },
        49..=64 => {
            let writes = (0..=random.below(8))
                .map(|_| {
                    let (space, key) = (random.below(SPACES) as u8, random.below(KEYS) as u8);
                    let removes = random.once_in(4);
                    (space, key, (!removes).then(|| len(random)))
                })
                .collect();
            Step::Batch { writes, level: level(random) }
        }
        65 => Step::Drop { space },
        66 | 67 => Step::Clear { space },
        68..=71 => Step::Sync,
        72..=80 => Step::Tick { ms: random.pick(&[1, 20, 60]) },
        81..=83 => Step::Checkpoint,
        84..=86 => Step::Compact,
        87 => Step::Backup,
        88 => Step::HoldReader,
        89 | 90 => Step::TakeSnapshot,
        91..=92 => Step::Look,
        93 if random.once_in(2) => Step::DropReader,
        93 => Step::DropSnapshot,
        94 => Step::Feed,
        95 => Step::Follow,
        96 | 97 => Step::Reopen,
        _ => Step::Kill,
    }
}

fn put(space: u8, key: u8, len: u32, level: Level) -> Step {
    Step::Put { space, key, len, level: Some(level) }
}

/// Short scripts that touch each path once; they are cut at every operation.
pub(crate) fn short_scripts() -> Vec<(&'static str, Vec<Step>)> {
    let batch = |level| Step::Batch {
        writes: vec![(0, 1, Some(40)), (1, 1, Some(50)), (0, 2, None), (1, 3, Some(5_000))],
        level: Some(level),
    };
    vec![
        (
            "commits",
            vec![
                put(0, 1, 10, Level::Sync),
                put(0, 2, 10, Level::Buffered),
                batch(Level::Interval),
                Step::Tick { ms: 20 },
                put(1, 1, 5_000, Level::Sync),
                Step::Remove { space: 0, key: 1, level: Some(Level::Sync) },
                batch(Level::Sync),
                Step::Tick { ms: 60 },
                put(0, 9, 100, Level::Buffered),
                Step::Sync,
                put(0, 10, 100, Level::Buffered),
            ],
        ),
        (
            "segments",
            vec![
                put(0, 1, 30_000, Level::Buffered),
                put(0, 2, 30_000, Level::Sync),
                put(0, 3, 30_000, Level::Buffered),
                put(0, 4, 90_000, Level::Buffered),
                put(0, 5, 30_000, Level::Buffered),
                put(0, 6, 40_000, Level::Sync),
                Step::Tick { ms: 20 },
                put(0, 7, 40_000, Level::Buffered),
            ],
        ),
        (
            "checkpoint, compaction and closing",
            vec![
                put(0, 1, 30_000, Level::Buffered),
                put(1, 1, 20_000, Level::Buffered),
                Step::Checkpoint,
                put(0, 1, 30_000, Level::Buffered),
                put(0, 2, 100, Level::Sync),
                Step::Remove { space: 1, key: 1, level: Some(Level::Buffered) },
                Step::Compact,
                put(0, 3, 100, Level::Buffered),
                Step::Reopen,
                put(0, 4, 100, Level::Sync),
                Step::Compact,
                put(0, 5, 100, Level::Buffered),
            ],
        ),
        (
            "recycling",
            vec![
                put(0, 1, 60_000, Level::Buffered),
                put(0, 1, 60_000, Level::Buffered),
                put(0, 1, 60_000, Level::Sync),
                Step::Compact,
                put(0, 2, 100, Level::Sync),
                put(0, 2, 60_000, Level::Buffered),
                put(0, 2, 200, Level::Sync),
                put(0, 2, 60_000, Level::Buffered),
                Step::HoldReader,
                put(0, 3, 100, Level::Buffered),
                Step::Compact,
                Step::DropReader,
                put(0, 3, 60_000, Level::Buffered),
                Step::Compact,
                put(0, 1, 300, Level::Sync),
                put(0, 4, 100, Level::Buffered),
                Step::Kill,
                put(0, 5, 100, Level::Sync),
            ],
        ),
        (
            "catalog and backups",
            vec![
                put(0, 1, 100, Level::Buffered),
                put(1, 1, 100, Level::Sync),
                Step::Backup,
                Step::Clear { space: 0 },
                put(0, 2, 9_000, Level::Sync),
                Step::Drop { space: 1 },
                Step::Backup,
                put(1, 5, 100, Level::Buffered),
                Step::Kill,
                put(1, 6, 100, Level::Sync),
            ],
        ),
    ]
}
