//! Sorted keys that go straight to tables: no log, no memtable, no compaction where the deepest level
//! is free.

use crate::{
    Edit, Entry, EntryKind, KeyRange, LEVELS, Levels, Result, ShapeError, Style, Tree, TreeTraffic,
    Work,
    compaction::{
        Action, Compaction, Reason, Running,
        outputs::{OutputPlan, Outputs},
        split::Splitter,
    },
    work,
};
use std::sync::Arc;

/// How long to wait for a flush that another thread does, in nanoseconds.
const WAIT_NS: u64 = 1_000_000;

/// Gives the place of a load back when it has been taken or given up.
struct Claim<'a> {
    tree: &'a Tree,
    compaction: Arc<Compaction>,
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.tree.core.running.lock().end(&self.compaction);
    }
}

impl Tree {
    /// Writes keys with their values, in rising order and each once, straight to tables. All of them
    /// have the sequence number `seq`, higher than that of any record before. Nobody sees any of them
    /// before this returns, and all do then; they are durable then too, whatever the log has. What
    /// the memtables have is flushed before.
    ///
    /// Where no table has keys in their range, they go to the deepest level at once, else to level 0.
    /// Called as a writer: while nobody applies, and what was applied is visible.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`](crate::Error::OutOfOrder) for keys that are not in order;
    /// [`Error::TooLarge`](crate::Error::TooLarge); [`Error::Shape`](crate::Error::Shape) for a
    /// number that is not new; or an error of the files. Nothing was loaded then, unless it is
    /// [`Error::Stopped`](crate::Error::Stopped) from then on.
    pub fn load<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        seq: u64,
        entries: impl IntoIterator<Item = (K, V)>,
        now_ms: u64,
    ) -> Result<u64> {
        self.store.check_ours()?;
        let (store, core) = (&self.store, &self.core);
        let applied = core.view.load().newest_seq().max(self.flushed_through());
        // Those of an earlier load are in tables only.
        let levels = Arc::clone(&core.view.load().version.levels);
        let in_tables = levels.tables().map(|(_, table)| table.highest_seq).max();
        let applied = applied.max(in_tables.unwrap_or(0));
        if seq <= applied {
            let what = "the sequence number of a load";
            return Err(ShapeError::Backwards { what, from: applied, to: seq }.into());
        }
        let deepest = LEVELS - 1;
        let plan = OutputPlan {
            level: deepest,
            options: core.options.table_options(deepest),
            splitter: Splitter::new(core.options.table_bytes, Vec::new()),
            removals: Vec::new(),
            oldest_ms: now_ms,
            newest_ms: now_ms,
            now_ms,
            keeps_to_rate: false,
        };
        let mut outputs = Outputs::new(&store.site, plan);
        let mut count = 0;
        for (key, value) in entries {
            let (key, value) = (key.as_ref(), value.as_ref());
            outputs.add(&Entry { key, seq, kind: EntryKind::Put, expires_ms: None, value })?;
            count += 1;
        }
        self.flush_all(now_ms)?;
        let loaded = outputs.finish()?;
        let Some(span) = KeyRange::span(loaded.iter().map(|table| &table.range)) else {
            return Ok(0);
        };
        // From here on no compaction carries anything into the range at the deepest level.
        let claim = {
            let mut running = core.running.lock();
            let view = core.view.load();
            let free = place(&view.version.levels, &running, span, core.options.style);
            free.map(|compaction| {
                running.begin(Arc::clone(&compaction));
                Claim { tree: self, compaction }
            })
        };
        let level = if claim.is_some() { deepest } else { 0 };
        let edit = Edit { tables_added: work::added(core.id, level, &loaded), ..Edit::default() };
        let more = TreeTraffic { loaded_bytes: work::bytes_of(&loaded), ..TreeTraffic::default() };
        work::commit(store, core, edit, more, &loaded, &[])?;
        Ok(count)
    }

    /// Flushes all memtables, in this thread or by waiting for those who do.
    fn flush_all(&self, now_ms: u64) -> Result<()> {
        self.seal();
        while !self.core.view.load().sealed.is_empty() {
            self.store.check()?;
            self.store.site.check_going_on()?;
            // A flush of a tree that was dropped does nothing, and says that it did it.
            self.check_there()?;
            match Work::flush_of(&self.store, &self.core, now_ms) {
                Some(work) => work.run()?,
                None => (self.store.site.pause)(WAIT_NS),
            }
        }
        Ok(())
    }
}

/// What stands for a load into the deepest level among the running compactions; `None` if it cannot
/// go there.
fn place(
    levels: &Levels,
    running: &Running,
    span: KeyRange,
    style: Style,
) -> Option<Arc<Compaction>> {
    let deepest = LEVELS - 1;
    let is_free = (0..LEVELS).all(|level| levels.overlapping(level, &span).next().is_none());
    if !is_free || matches!(style, Style::Fifo { .. }) {
        return None;
    }
    let compaction = Compaction {
        reason: Reason::Range,
        action: Action::Merge,
        top: deepest,
        output: deepest,
        inputs: Vec::new(),
        span,
    };
    running.admits(&compaction).then(|| Arc::new(compaction))
}
