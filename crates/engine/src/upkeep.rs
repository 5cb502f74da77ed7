//! Checkpoints and compaction on demand.

use crate::{
    CheckpointReport, CompactReport, Database, Result, checkpoint, compaction, maintenance, tables,
};

impl Database {
    /// Writes a checkpoint now: the next opening replays only what comes after it. Commits go on
    /// meanwhile. Checkpoints are also written in the background and by closing.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let users = db.hash_keyspace("users")?;
    /// users.insert_many([("ada", "1815"), ("bob", "1")])?;
    /// let report = db.checkpoint()?;
    /// assert_eq!(report.keys_count, 2);
    /// assert_eq!(db.stats().log.checkpoint, Some(report.number));
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// `ReadOnly`, `Poisoned`, `Full`, or what the file system refuses; the checkpoint before then
    /// still stands.
    pub fn checkpoint(&self) -> Result<CheckpointReport> {
        self.check_upkeep()?;
        let _exclusive = self.core.maintenance.exclusive.lock();
        checkpoint::write(&self.core, &[])
    }

    /// Merges the parts of event tables that are due, then rewrites the segments of the log of which a
    /// hundredth or more is no longer current, and gives the space back; as long as it runs, the copies take space too. Commits,
    /// reads and snapshots go on meanwhile; what snapshots still need is given back when they are
    /// gone. The log's history before is no longer to be had as [`changes`](Self::changes), except
    /// what consumers hold back.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let images = db.hash_keyspace("images")?;
    /// images.insert("front", vec![7; 100_000])?;
    /// images.insert("front", vec![8; 100_000])?;
    /// let report = db.compact()?;
    /// assert!(report.before_bytes - report.after_bytes >= 100_000);
    /// assert_eq!(images.get("front")?.as_deref(), Some(&[8; 100_000][..]));
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`checkpoint`](Self::checkpoint), or damage, named, which stops the compaction before
    /// anything is given up.
    pub fn compact(&self) -> Result<CompactReport> {
        self.check_upkeep()?;
        tables::run_thorough(self.core.core());
        let _exclusive = self.core.maintenance.exclusive.lock();
        let report = compaction::run_all(&self.core);
        // What an earlier one gave up may be looked at by nobody any more.
        maintenance::tidy(&self.core);
        report
    }

    fn check_upkeep(&self) -> Result<()> {
        if self.core.read_only {
            return Err(annals_journal::Error::ReadOnly.into());
        }
        Ok(())
    }
}
