//! What is done to a database: random from a seed, or fixed and short.

use crate::{
    appends::{Events, Marking},
    events::STREAMS,
    manifests::manifests,
    model::Level,
    random::Random,
    ranges::{Keys, random_range, ranges},
    table_script::{lives_of_events, random_care, random_rows},
    table_writes::{Rows, Tidying},
};

/// One step. Keyspaces and keys are numbers; a step on a keyspace that is not there makes it.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Put {
        space: u8,
        key: u8,
        len: u32,
        ttl_ms: Option<u64>,
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
    /// Several writes; one without a length removes. An append comes before each, while there are any; what happens to a
    /// table comes last. In the middle a range of an ordered keyspace is removed.
    Batch {
        writes: Vec<(u8, u8, Option<u32>)>,
        wipe: Option<(u8, Keys)>,
        appends: Vec<Events>,
        rows: Option<Rows>,
        level: Option<Level>,
    },
    Append {
        events: Events,
        level: Option<Level>,
    },
    /// Appends to a stream that is not as expected.
    AppendInVain {
        events: Events,
    },
    /// Appends an event that the stream has.
    AppendAgain {
        events: Events,
    },
    /// Changes what holds for a stream as a whole.
    Mark {
        category: u8,
        stream: u8,
        mark: Marking,
    },
    DropCategory {
        category: u8,
    },
    /// Events are appended to a table, and deleted of it, in one commit.
    Rows {
        rows: Rows,
        level: Option<Level>,
    },
    TidyTable {
        table: u8,
        tidying: Tidying,
    },
    /// All parts of a table are dropped for their age.
    DropParts {
        table: u8,
    },
    DropTable {
        table: u8,
    },
    /// Removes a range of keys of an ordered keyspace, as the next steps are for such ones.
    RemoveRange {
        space: u8,
        keys: Keys,
    },
    PopFirst {
        space: u8,
    },
    /// Compacts some keys of a tree, or all.
    CompactTree {
        space: u8,
        keys: Option<Keys>,
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
    /// Somebody sets the machine's clock back.
    SetClockBack {
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
    /// Another process opens the database read-only and keeps it open.
    OpenReader,
    /// One of those processes reads everything, also what its snapshots see.
    Read {
        which: u8,
    },
    TakeReaderSnapshot {
        which: u8,
    },
    CloseReader {
        which: u8,
    },
    Reopen,
    /// All processes die.
    Kill,
    /// The writing process dies and another one takes over; readers go on.
    KillWriter,
}

pub(crate) const SPACES: u64 = 4;
pub(crate) const KEYS: u64 = 24;
/// In the last one events expire.
const CATEGORIES: u64 = 3;

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

fn events(random: &mut Random) -> Events {
    let (category, stream) = (random.below(CATEGORIES) as u8, random.below(STREAMS.into()) as u8);
    let count = random.pick(&[1, 1, 1, 1, 2, 3, 5, 40]);
    Events { category, stream, count, len: len(random) / u32::from(count) }
}

/// The next step of a random script.
pub(crate) fn random_step(random: &mut Random) -> Step {
    let (space, key) = (random.below(SPACES) as u8, random.below(KEYS) as u8);
    let which = random.below(4) as u8;
    match random.below(180) {
        0..=26 => {
            let ttl_ms = random.pick(&[None, None, None, Some(0), Some(15), Some(70), Some(5_000)]);
            Step::Put { space, key, len: len(random), ttl_ms, level: level(random) }
        }
        27..=36 => Step::Remove { space, key, level: level(random) },
        37..=41 => Step::Swap { space, key, len: len(random), fitting: !random.once_in(4) },
        42..=45 => Step::Update { space, key },
        46..=61 => {
            let writes = (0..=random.below(8))
                .map(|_| {
                    let (space, key) = (random.below(SPACES) as u8, random.below(KEYS) as u8);
                    let removes = random.once_in(4);
                    (space, key, (!removes).then(|| len(random)))
                })
                .collect();
            let appends = if random.once_in(2) { random.below(4) } else { 0 };
            let appends = (0..appends).map(|_| events(random)).collect();
            let rows = random.once_in(3).then(|| random_rows(random));
            let wipe = random.once_in(5).then(|| (space | 1, Keys::random(random)));
            Step::Batch { writes, wipe, appends, rows, level: level(random) }
        }
        62 => Step::Drop { space },
        63 | 64 => Step::Clear { space },
        65..=68 => Step::Sync,
        69..=78 => Step::Tick { ms: random.pick(&[1, 20, 60]) },
        79..=81 => Step::SetClockBack { ms: random.pick(&[5, 50, 500]) },
        82..=84 => Step::Checkpoint,
        85..=87 => Step::Compact,
        88 | 89 => Step::Backup,
        90 | 91 => Step::TakeSnapshot,
        92..=94 => Step::Look,
        95 => Step::DropSnapshot,
        96 => Step::Feed,
        97 | 98 => Step::OpenReader,
        99..=103 => Step::Read { which },
        104 => Step::TakeReaderSnapshot { which },
        105 => Step::CloseReader { which },
        106..=108 => Step::Reopen,
        109..=111 => Step::KillWriter,
        112 | 113 => Step::Kill,
        114..=126 => Step::Append { events: events(random), level: level(random) },
        127 | 128 => Step::AppendInVain { events: events(random) },
        129 | 130 => Step::AppendAgain { events: events(random) },
        131..=136 => {
            let (category, stream) =
                (random.below(CATEGORIES) as u8, random.below(STREAMS.into()) as u8);
            let mark = match random.below(16) {
                0..=7 => Marking::Truncate { share: random.below(9) },
                8..=10 => Marking::Delete,
                11 => Marking::Tombstone,
                12 => Marking::Archive,
                _ => Marking::Restore,
            };
            Step::Mark { category, stream, mark }
        }
        137 => Step::DropCategory { category: random.below(CATEGORIES) as u8 },
        138..=151 => Step::Rows { rows: random_rows(random), level: level(random) },
        152..=163 => random_care(random),
        175..=179 => {
            let (category, stream) =
                (random.below(CATEGORIES) as u8, random.below(STREAMS.into()) as u8);
            let count = random.pick(&[None, None, Some(0), Some(1), Some(3), Some(20), Some(50)]);
            let age_ms = random.pick(&[None, None, Some(15), Some(70), Some(250), Some(5_000)]);
            Step::Mark { category, stream, mark: Marking::Keep { count, age_ms } }
        }
        _ => random_range(random),
    }
}

pub(crate) fn put(space: u8, key: u8, len: u32, level: Level) -> Step {
    Step::Put { space, key, len, ttl_ms: None, level: Some(level) }
}

/// Short scripts that touch each path once; they are cut at every operation.
pub(crate) fn short_scripts() -> Vec<(&'static str, Vec<Step>)> {
    let batch = |level| Step::Batch {
        writes: vec![(0, 1, Some(40)), (1, 1, Some(50)), (0, 2, None), (1, 3, Some(5_000))],
        wipe: None,
        appends: Vec::new(),
        rows: None,
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
            "tables",
            vec![
                put(1, 1, 5_000, Level::Buffered),
                batch(Level::Buffered),
                Step::Checkpoint,
                put(1, 2, 100, Level::Buffered),
                Step::Remove { space: 1, key: 1, level: Some(Level::Buffered) },
                Step::TakeSnapshot,
                Step::Checkpoint,
                put(1, 1, 300, Level::Sync),
                Step::Checkpoint,
                Step::Tick { ms: 20 },
                Step::Look,
                Step::Clear { space: 1 },
                put(1, 4, 100, Level::Buffered),
                Step::Reopen,
                Step::Drop { space: 1 },
                put(1, 5, 10, Level::Sync),
                put(3, 5, 10, Level::Buffered),
                Step::Compact,
                Step::Tick { ms: 60 },
                Step::Kill,
                put(1, 6, 10, Level::Sync),
            ],
        ),
        (
            "values in the log",
            vec![
                put(1, 1, 20_000, Level::Buffered),
                put(1, 2, 300, Level::Buffered),
                put(1, 3, 20_000, Level::Buffered),
                put(0, 1, 30_000, Level::Buffered),
                Step::Checkpoint,
                put(1, 1, 100, Level::Buffered),
                put(1, 3, 20_000, Level::Buffered),
                put(0, 1, 30_000, Level::Buffered),
                Step::TakeSnapshot,
                put(1, 3, 400, Level::Buffered),
                // Of the first segment the value of one key is left, and what the snapshot sees.
                Step::Compact,
                Step::Look,
                put(1, 4, 20_000, Level::Sync),
                put(1, 2, 500, Level::Buffered),
                Step::DropSnapshot,
                Step::Backup,
                Step::Checkpoint,
                // Moved values are moved again.
                Step::Compact,
                Step::Look,
                Step::Kill,
                put(1, 4, 300, Level::Sync),
                Step::Clear { space: 1 },
                put(1, 5, 20_000, Level::Buffered),
                Step::Compact,
                Step::Reopen,
                put(1, 6, 10, Level::Sync),
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
                Step::OpenReader,
                Step::TakeReaderSnapshot { which: 0 },
                put(0, 3, 100, Level::Buffered),
                Step::Compact,
                Step::CloseReader { which: 0 },
                put(0, 3, 60_000, Level::Buffered),
                Step::Compact,
                put(0, 1, 300, Level::Sync),
                put(0, 4, 100, Level::Buffered),
                Step::Kill,
                put(0, 5, 100, Level::Sync),
            ],
        ),
        (
            "expiry and readers",
            vec![
                put(0, 1, 3_000, Level::Buffered),
                Step::Put { space: 0, key: 2, len: 40, ttl_ms: Some(15), level: None },
                Step::OpenReader,
                put(3, 4, 30_000, Level::Sync),
                Step::TakeReaderSnapshot { which: 0 },
                Step::Tick { ms: 20 },
                Step::Look,
                Step::SetClockBack { ms: 50 },
                put(0, 1, 20_000, Level::Buffered),
                Step::Compact,
                Step::Read { which: 0 },
                Step::KillWriter,
                Step::Tick { ms: 60 },
                Step::Look,
                Step::Reopen,
                Step::SetClockBack { ms: 500 },
                put(3, 4, 10, Level::Sync),
                Step::Read { which: 0 },
                Step::Look,
            ],
        ),
        ("manifests", manifests()),
        ("ranges", ranges()),
        ("streams", streams()),
        ("what is left of streams", lives_of_streams()),
        ("how much of streams is kept", keeping()),
        ("event tables", lives_of_events()),
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

fn append(category: u8, stream: u8, count: u8, len: u32, level: Level) -> Step {
    let events = Events { category, stream, count, len };
    Step::Append { events, level: Some(level) }
}

/// Streams whose events are moved one by one, so that those behind them lead to places that are left, and
/// then together.
fn streams() -> Vec<Step> {
    let one = |stream| Events { category: 0, stream, count: 1, len: 30 };
    vec![
        append(0, 1, 1, 20, Level::Sync),
        append(0, 2, 40, 20, Level::Buffered),
        put(0, 1, 60_000, Level::Buffered),
        append(0, 1, 2, 3_000, Level::Buffered),
        put(0, 1, 60_000, Level::Buffered),
        Step::AppendAgain { events: one(1) },
        append(0, 1, 1, 20, Level::Sync),
        Step::OpenReader,
        // The first two segments are rewritten, and what comes behind leads into them.
        Step::Compact,
        Step::AppendInVain { events: one(1) },
        append(0, 1, 1, 20, Level::Buffered),
        Step::Batch {
            writes: vec![(0, 3, Some(40)), (1, 1, Some(50)), (0, 3, None)],
            wipe: None,
            appends: vec![one(1), one(3), one(1)],
            rows: None,
            level: Some(Level::Sync),
        },
        put(0, 1, 60_000, Level::Buffered),
        Step::Checkpoint,
        append(0, 2, 1, 20, Level::Buffered),
        put(0, 1, 10, Level::Buffered),
        Step::Compact,
        Step::Look,
        Step::Backup,
        append(0, 2, 3, 20, Level::Sync),
        Step::KillWriter,
        append(0, 1, 1, 20, Level::Buffered),
        Step::Reopen,
        Step::Look,
        append(1, 1, 1, 20, Level::Buffered),
        Step::DropCategory { category: 0 },
        append(0, 1, 2, 20, Level::Sync),
        Step::Compact,
        Step::Kill,
        append(0, 1, 1, 20, Level::Sync),
    ]
}

/// Streams that are truncated, deleted and archived while their events are moved and left out.
fn lives_of_streams() -> Vec<Step> {
    let mark = |stream, mark| Step::Mark { category: 0, stream, mark };
    let one = |stream| Events { category: 0, stream, count: 1, len: 30 };
    vec![
        append(0, 1, 40, 600, Level::Buffered),
        append(0, 2, 3, 3_000, Level::Sync),
        append(0, 3, 20, 1_000, Level::Buffered),
        Step::OpenReader,
        mark(1, Marking::Truncate { share: 4 }),
        mark(2, Marking::Delete),
        Step::Checkpoint,
        append(0, 2, 1, 20, Level::Sync),
        put(0, 1, 60_000, Level::Buffered),
        Step::Compact,
        Step::Read { which: 0 },
        mark(1, Marking::Truncate { share: 3 }),
        mark(3, Marking::Archive),
        Step::AppendInVain { events: one(3) },
        put(0, 1, 60_000, Level::Sync),
        Step::Compact,
        Step::Kill,
        append(0, 1, 1, 20, Level::Sync),
        mark(3, Marking::Restore),
        append(0, 3, 1, 20, Level::Buffered),
        mark(2, Marking::Tombstone),
        Step::Compact,
        Step::Reopen,
        append(0, 2, 1, 20, Level::Sync),
        Step::Look,
    ]
}

/// Streams of which so many events are kept, or those of such an age, and a category whose events expire, while what is
/// kept no longer is given up and left out, and the clock is set back.
fn keeping() -> Vec<Step> {
    let keep = |stream, count, age_ms| Step::Mark {
        category: 0,
        stream,
        mark: Marking::Keep { count, age_ms },
    };
    let one = |category, stream| Events { category, stream, count: 1, len: 30 };
    vec![
        append(0, 1, 40, 600, Level::Buffered),
        append(0, 2, 20, 1_000, Level::Buffered),
        append(2, 3, 35, 600, Level::Sync),
        keep(1, Some(20), None),
        keep(2, None, Some(70)),
        keep(3, Some(3), None),
        Step::OpenReader,
        Step::Tick { ms: 60 },
        append(0, 2, 18, 20, Level::Sync),
        append(2, 3, 1, 20, Level::Buffered),
        put(0, 1, 60_000, Level::Buffered),
        Step::Compact,
        Step::Tick { ms: 20 },
        // Of the second stream the first twenty are over for their age, and stay so, though no commit has the time.
        Step::Look,
        Step::SetClockBack { ms: 50 },
        Step::Sync,
        append(0, 1, 1, 20, Level::Buffered),
        Step::Checkpoint,
        put(0, 1, 60_000, Level::Buffered),
        Step::Compact,
        Step::Read { which: 0 },
        Step::Kill,
        Step::AppendInVain { events: one(0, 2) },
        append(0, 3, 5, 20, Level::Sync),
        Step::Tick { ms: 60 },
        Step::Tick { ms: 60 },
        // Nothing is left of what expires, and the next event comes behind it.
        Step::Look,
        Step::AppendInVain { events: one(2, 3) },
        put(0, 1, 60_000, Level::Sync),
        Step::Compact,
        Step::SetClockBack { ms: 500 },
        append(2, 3, 2, 20, Level::Buffered),
        Step::Backup,
        Step::KillWriter,
        append(0, 2, 1, 20, Level::Sync),
        keep(1, Some(0), Some(15)),
        Step::Compact,
        Step::Reopen,
        append(0, 1, 1, 20, Level::Sync),
        Step::Look,
    ]
}
