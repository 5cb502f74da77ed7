//! Doing what was chosen: inputs are merged, what nobody needs any more is left out, and the rest is
//! written.

use super::{
    Compaction,
    beneath::Beneath,
    outputs::{OutputPlan, Outputs},
    split::Splitter,
};
use crate::{
    Cursor, Entry, EntryKind, Fate, KeyRange, LEVELS, Merge, RangeRemoval, Reading, Removals,
    Result, Retention, TableInfo, TreeOptions, holds::Horizon, number::compare, site::Site,
    source::Source, version::Version,
};
use std::sync::Arc;

/// After so many entries it is looked whether work is to stop.
const STEP_ENTRIES: u64 = 256;

/// What is merged into tables.
pub(crate) struct Inputs {
    pub(crate) runs: Vec<Source>,
    /// Their removed ranges.
    pub(crate) removals: Removals,
    /// What is older than all of them.
    pub(crate) beneath: Beneath,
}

/// Merges the inputs of `compaction` into new tables. They are durable, and no edit names them yet.
pub(crate) fn merge_tables(
    site: &Site,
    options: &TreeOptions,
    version: &Version,
    compaction: &Compaction,
    horizon: &Horizon,
    now_ms: u64,
) -> Result<Vec<Arc<TableInfo>>> {
    let inputs = inputs_of(version, compaction);
    let next: Vec<_> = match compaction.output + 1 {
        LEVELS => Vec::new(),
        next => version.levels.overlapping(next, &compaction.span).cloned().collect(),
    };
    // Tables of level 0 are runs: cut in pieces they would be more to look at.
    let table_bytes = if compaction.output == 0 { u64::MAX } else { options.table_bytes };
    let times = compaction.inputs.iter().map(|(_, table)| (table.oldest_ms, table.newest_ms));
    let (oldest_ms, newest_ms) =
        times.fold((u64::MAX, 0), |all, table| (all.0.min(table.0), all.1.max(table.1)));
    let plan = OutputPlan {
        level: compaction.output,
        options: options.table_options(compaction.output),
        splitter: Splitter::new(table_bytes, next),
        removals: Vec::new(),
        oldest_ms,
        newest_ms,
        now_ms,
        keeps_to_rate: true,
    };
    write(site, plan, inputs, horizon)
}

/// The runs of a compaction: each table of level 0, and of each sorted level its tables together.
fn inputs_of(version: &Version, compaction: &Compaction) -> Inputs {
    let mut runs = Vec::new();
    let mut removals = Vec::new();
    for level in compaction.top..=compaction.output.max(compaction.top) {
        let files: Vec<_> = version
            .level(level)
            .iter()
            .filter(|file| compaction.takes(file.info.number))
            .cloned()
            .collect();
        removals.extend(files.iter().map(|file| file.removals.clone()));
        if level == 0 {
            runs.extend(files.iter().map(|file| Source::table(file, Reading::Light)));
        } else if !files.is_empty() {
            let count = files.len();
            runs.push(Source::level(&files.into(), 0..count, Reading::Light));
        }
    }
    Inputs {
        runs,
        removals: Removals::union(&removals),
        beneath: Beneath::of(&version.levels, compaction),
    }
}

/// Merges `inputs` and writes what is to be kept.
pub(crate) fn write(
    site: &Site,
    mut plan: OutputPlan,
    inputs: Inputs,
    horizon: &Horizon,
) -> Result<Vec<Arc<TableInfo>>> {
    let Inputs { runs, removals, mut beneath } = inputs;
    let retention =
        Retention { snapshots: &horizon.snapshots, now_ms: horizon.now_ms, removals: &removals };
    plan.removals = kept_removals(&retention, &beneath, horizon);
    // In level 0 tables are ordered by their sequence numbers, which therefore stay.
    let keeps_seqs = plan.level == 0;
    let mut outputs = Outputs::new(site, plan);
    let mut all = Merge::new(runs);
    let mut key: Option<(Vec<u8>, _)> = None;
    // Whether nothing of the present key was added yet.
    let mut is_new = true;
    all.to_first()?;
    let mut looked = 0u64;
    while let Some(entry) = all.entry() {
        looked += 1;
        // Outputs look too, but know nothing of what is left out.
        if looked.is_multiple_of(STEP_ENTRIES) {
            site.check_going_on()?;
        }
        let judge = match &mut key {
            Some((known, judge)) if compare(known, entry.key).is_eq() => judge,
            slot => {
                is_new = true;
                let is_bottom = beneath.is_empty_at(entry.key);
                let mut known = slot.take().map(|(known, _)| known).unwrap_or_default();
                known.clear();
                known.extend_from_slice(entry.key);
                &mut slot.insert((known, retention.key(is_bottom))).1
            }
        };
        let kept = match judge.judge(&entry) {
            Fate::Keep => Some(entry),
            Fate::KeepAsOldest if keeps_seqs => Some(entry),
            Fate::KeepAsOldest => Some(Entry { seq: 0, ..entry }),
            Fate::KeepAsRemoval => {
                let kind = EntryKind::Remove;
                Some(Entry { kind, expires_ms: None, value: &[], ..entry })
            }
            Fate::Drop => None,
        };
        if let Some(kept) = kept {
            outputs.add(&kept, std::mem::take(&mut is_new))?;
        }
        all.advance()?;
    }
    outputs.finish()
}

/// The removed ranges that are still needed, as few as say the same.
fn kept_removals(
    retention: &Retention<'_>,
    beneath: &Beneath,
    horizon: &Horizon,
) -> Vec<RangeRemoval> {
    let mut kept = retention.removals.fragments(&horizon.snapshots);
    kept.retain(|removal| {
        let range = KeyRange::until(&removal.from, &removal.to);
        retention.keeps_removal(removal.seq, beneath.is_empty_over(&range))
    });
    kept
}
