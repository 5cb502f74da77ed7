//! What is done to event tables: random, or fixed and short.

use crate::{
    appends::Events,
    model::Level,
    random::Random,
    script::Step,
    table_writes::{Rows, Tidying},
};

const TABLES: u64 = 2;

/// What happens to some table in a commit.
pub(crate) fn random_rows(random: &mut Random) -> Rows {
    Rows {
        table: random.below(TABLES) as u8,
        count: random.pick(&[0, 1, 1, 2, 5, 5, 40]),
        len: random.pick(&[0, 3, 3, 20, 20, 400]),
        gone: random.pick(&[0, 0, 1, 1, 4]),
        which: random.next(),
    }
}

/// Something that is done to a table, but for commits of events.
pub(crate) fn random_care(random: &mut Random) -> Step {
    let table = random.below(TABLES) as u8;
    let tidying = match random.below(30) {
        0..=16 => Tidying::Flush,
        17..=24 => Tidying::Merge,
        25 | 26 => Tidying::Extend,
        27 | 28 => return Step::DropParts { table },
        _ => return Step::DropTable { table },
    };
    Step::TidyTable { table, tidying }
}

/// Events that become parts, are deleted, merged, moved and dropped.
pub(crate) fn lives_of_events() -> Vec<Step> {
    let rows = |count, gone, level| {
        let rows = Rows { table: 0, count, len: 30, gone, which: 5 };
        Step::Rows { rows, level: Some(level) }
    };
    let tidy = |tidying| Step::TidyTable { table: 0, tidying };
    let put = |len| Step::Put { space: 0, key: 1, len, ttl_ms: None, level: Some(Level::Sync) };
    vec![
        rows(5, 0, Level::Sync),
        tidy(Tidying::Flush),
        Step::OpenReader,
        rows(4, 1, Level::Sync),
        tidy(Tidying::Flush),
        Step::Batch {
            writes: vec![(0, 1, Some(40)), (1, 1, Some(50))],
            wipe: None,
            appends: vec![Events { category: 0, stream: 1, count: 1, len: 30 }],
            rows: Some(Rows { table: 0, count: 3, len: 30, gone: 2, which: 3 }),
            level: Some(Level::Sync),
        },
        tidy(Tidying::Flush),
        tidy(Tidying::Extend),
        rows(5, 0, Level::Buffered),
        tidy(Tidying::Flush),
        tidy(Tidying::Merge),
        rows(2, 1, Level::Sync),
        put(60_000),
        Step::Checkpoint,
        put(60_000),
        // Parts are moved.
        Step::Compact,
        Step::Read { which: 0 },
        rows(1, 4, Level::Sync),
        Step::Backup,
        Step::Reopen,
        rows(3, 2, Level::Buffered),
        Step::KillWriter,
        Step::DropParts { table: 0 },
        rows(1, 0, Level::Sync),
        Step::DropTable { table: 0 },
        rows(1, 0, Level::Sync),
        Step::Look,
    ]
}
