//! The tables that a flush, a compaction or a bulk load writes.

use super::split::Splitter;
use crate::{
    Entry, EntryKind, FileName, KeyRange, RangeRemoval, Reference, ReferencedBytes, Result,
    TableIdentity, TableInfo, TableNotes, TableOptions, TableWriter, Written, site::Site,
};
use std::sync::Arc;

/// After so many entries work looks whether it is to stop, and pays for what it wrote.
const STEP_ENTRIES: u64 = 256;

/// What outputs have in common.
#[derive(Debug)]
pub(crate) struct OutputPlan {
    /// The level that they are written for.
    pub(crate) level: usize,
    /// How they are written.
    pub(crate) options: TableOptions,
    /// Where they end.
    pub(crate) splitter: Splitter,
    /// The removed ranges that go with them, sorted by where they begin.
    pub(crate) removals: Vec<RangeRemoval>,
    /// When the oldest of their records came, in milliseconds since 1970.
    pub(crate) oldest_ms: u64,
    /// When the newest of their records came.
    pub(crate) newest_ms: u64,
    /// What time it is.
    pub(crate) now_ms: u64,
    /// Whether they are written no faster than compactions may.
    pub(crate) keeps_to_rate: bool,
}

/// Tables that are being written. Dropping them unfinished removes them.
#[derive(Debug)]
pub(crate) struct Outputs<'a> {
    site: &'a Site,
    plan: OutputPlan,
    open: Option<(u64, TableWriter)>,
    /// Where the present output begins; `None` for the first.
    from: Option<Vec<u8>>,
    /// The last key of the output that was ended last.
    ended_key: Option<Vec<u8>>,
    entries: u64,
    paid_bytes: u64,
    /// What the present output refers to.
    references: ReferencedBytes,
    done: Vec<Arc<TableInfo>>,
    /// All files that were begun, as long as nobody has taken them over.
    begun: Vec<u64>,
}

impl<'a> Outputs<'a> {
    pub(crate) fn new(site: &'a Site, plan: OutputPlan) -> Self {
        Self {
            site,
            plan,
            open: None,
            from: None,
            ended_key: None,
            entries: 0,
            paid_bytes: 0,
            references: ReferencedBytes::default(),
            done: Vec::new(),
            begun: Vec::new(),
        }
    }

    /// The key of the last entry that was added.
    pub(crate) fn last_key(&self) -> Option<&[u8]> {
        let open = self.open.as_ref().and_then(|(_, writer)| writer.last_key());
        open.or(self.ended_key.as_deref())
    }

    /// Adds an entry behind those before, and ends an output in front of it if that is due. `is_new` says that
    /// none of its key was added before.
    pub(crate) fn add(&mut self, entry: &Entry<'_>, is_new: bool) -> Result<()> {
        if is_new && self.plan.splitter.may_end() {
            let bytes = self.open.as_ref().map_or(0, |(_, writer)| writer.size_bytes());
            if self.plan.splitter.ends_before(entry.key, bytes) {
                self.finish_one(Some(entry.key))?;
            }
        }
        self.entries += 1;
        if self.entries.is_multiple_of(STEP_ENTRIES) {
            self.site.check_going_on()?;
            self.pay()?;
        }
        if entry.kind == EntryKind::Pointer
            && let Some(reference) = Reference::decode(entry.value)
        {
            self.references.add(&reference);
        }
        self.writer()?.add(entry)
    }

    /// Pays for what the present output has grown by.
    fn pay(&mut self) -> Result<()> {
        if !self.plan.keeps_to_rate {
            return Ok(());
        }
        let bytes = self.open.as_ref().map_or(0, |(_, writer)| writer.size_bytes());
        let more_bytes = bytes.saturating_sub(self.paid_bytes);
        self.paid_bytes = self.paid_bytes.max(bytes);
        self.site.pay(more_bytes)
    }

    fn writer(&mut self) -> Result<&mut TableWriter> {
        if self.open.is_none() {
            let number = self.site.new_number();
            let path = FileName::Table(number).path(&self.site.dir);
            let identity = TableIdentity { database_id: self.site.database_id, number };
            self.begun.push(number);
            let options = self.plan.options.clone();
            let writer = TableWriter::create(&*self.site.disk, &path, identity, options)?;
            self.open = Some((number, writer));
        }
        Ok(&mut self.open.as_mut().expect("it was just made").1)
    }

    /// Ends the present output before `to`, with the parts of removed ranges that lie in it.
    fn finish_one(&mut self, to: Option<&[u8]>) -> Result<()> {
        let from = self.from.take().unwrap_or_default();
        let inside: Vec<RangeRemoval> =
            self.plan.removals.iter().filter_map(|removal| removal.within(&from, to)).collect();
        if let Some(to) = to {
            self.plan.removals.retain(|removal| *removal.to > *to);
        }
        self.from = to.map(<[u8]>::to_vec);
        if self.open.is_none() && inside.is_empty() {
            return Ok(());
        }
        let writer = self.writer()?;
        for removal in inside {
            writer.remove_range(removal)?;
        }
        self.pay()?;
        self.paid_bytes = 0;
        let (number, writer) = self.open.take().expect("it is there");
        if let Some(last) = writer.last_key() {
            self.ended_key = Some(last.to_vec());
        }
        let notes = TableNotes {
            level: self.plan.level as u32,
            created_ms: self.plan.now_ms,
            references: std::mem::take(&mut self.references).into_pairs(),
        };
        let written = writer.finish(notes)?;
        self.done.push(Arc::new(info(number, &written, &self.plan)));
        Ok(())
    }

    /// Ends the last output and makes the names of all durable. The files are the caller's then.
    pub(crate) fn finish(mut self) -> Result<Vec<Arc<TableInfo>>> {
        self.finish_one(None)?;
        if !self.done.is_empty() {
            self.site.disk.sync_dir(&self.site.dir)?;
        }
        self.begun.clear();
        Ok(std::mem::take(&mut self.done))
    }
}

impl Drop for Outputs<'_> {
    fn drop(&mut self) {
        self.open = None;
        self.site.discard(self.begun.drain(..).map(FileName::Table));
    }
}

/// What the manifest says of a table that was written.
fn info(number: u64, written: &Written, plan: &OutputPlan) -> TableInfo {
    let of = &written.properties;
    let entries =
        (of.entries_count > 0).then(|| KeyRange::closed(&of.smallest_key, &of.largest_key));
    let removals = (of.range_removals_count > 0)
        .then(|| KeyRange::until(&of.range_removals_from, &of.range_removals_to));
    let range = KeyRange::span(entries.iter().chain(&removals));
    let info = TableInfo {
        number,
        bytes: written.file_bytes,
        range: range.expect("a table is not begun for nothing"),
        lowest_seq: of.smallest_seq,
        highest_seq: of.largest_seq,
        entries: of.entries_count,
        removals: of.removals_count,
        range_removals: of.range_removals_count,
        expiring: of.expiring_count,
        first_expiry_ms: if of.expiring_count > 0 { of.expires_min_ms } else { u64::MAX },
        last_expiry_ms: of.expires_max_ms,
        oldest_ms: plan.oldest_ms,
        newest_ms: plan.newest_ms,
        references: of.notes.references.clone(),
    };
    assert!(info.is_consistent(), "what was written contradicts itself: {info:?}");
    info
}
