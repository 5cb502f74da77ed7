//! Events of tables that are not synced yet, for who wants to wait once they are so many: the log counts records, and
//! all events of a batch are one.

use crate::{Durability, Result};
use annals_journal::{Journal, Position};
use parking_lot::Mutex;
use std::collections::VecDeque;

/// Commits that were not synced when they were noted.
#[derive(Debug, Default)]
pub(crate) struct Unsynced {
    /// Where each ends, and how many events it has.
    commits: Mutex<VecDeque<(Position, u64)>>,
}

impl Unsynced {
    /// A commit with so many events is in the log. Syncs if there are `most` that are not synced.
    pub(crate) fn note(&self, journal: &Journal, events_count: u64, most: u64) -> Result<()> {
        let end = journal.end();
        let unsynced: u64 = {
            let mut commits = self.commits.lock();
            commits.push_back((end, events_count));
            let synced = journal.synced();
            while commits.front().is_some_and(|(end, _)| *end <= synced) {
                commits.pop_front();
            }
            commits.iter().map(|(_, events_count)| events_count).sum()
        };
        if unsynced >= most {
            journal.make_durable(end, Durability::Sync)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tables_test::{batch_of, request, small};
    use super::*;
    use annals_disk::{SimDisk, SimOptions};
    use std::time::Duration;

    /// How many events a power cut leaves of batches of 60.
    fn left(seed: u64, events: Option<u64>, bytes: Option<u64>) -> Result<u64> {
        let disk = SimDisk::new(SimOptions::seeded(seed));
        let every = Duration::from_secs(3_600);
        let builder = small(&disk).durability(Durability::Interval { every, events, bytes });
        let db = builder.open("db")?;
        let table = db.table_of::<super::super::tables_test::Request>("requests")?;
        db.sync()?;
        for batch in 0..5 {
            let events: Vec<_> = (0..60).map(|n| request(60 * batch + n, 1)).collect();
            table.append_batch(&batch_of(&events)?)?;
        }
        let cut = disk.restart();
        let db = small(&cut).open("db")?;
        db.open_table("requests")?.view().map(|view| view.len())
    }

    #[test]
    fn at_most_so_many_events_or_bytes_are_lost() -> Result<()> {
        let mut is_any_lost = false;
        for seed in 0..20 {
            is_any_lost |= left(seed, None, None)? < 60;
            assert_eq!(left(seed, Some(60), None)?, 300, "each batch has as many");
            assert!(left(seed, Some(120), None)? >= 240, "each second one is synced");
            assert_eq!(left(seed, None, Some(100))?, 300, "each batch is longer");
        }
        assert!(is_any_lost, "nothing else has synced");
        Ok(())
    }
}
