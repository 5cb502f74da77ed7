//! How figures compare: above one is better for Annals, whichever way the unit runs.

use super::Report;
use crate::child::LIMIT;
use crate::row::Row;

/// The engine all others are peers of.
pub(super) const OURS: &str = "annals";

/// The peer that does best in a row, and its figure. An engine that breaks what commits promise is
/// no peer.
pub(super) fn best_peer(report: &Report<'_>, row: &Row) -> Option<(&'static str, f64)> {
    report
        .engines
        .iter()
        .filter(|engine| engine.name != OURS)
        .filter(|engine| !report.breaks_promise(engine.name, row))
        .filter_map(|engine| Some((engine.name, report.results.median(engine.name, row.id)?)))
        .reduce(|best, other| {
            let greater = other.1 > best.1;
            if greater == row.unit.more_is_better() { other } else { best }
        })
}

/// Ours, unless we ourselves break what commits promise.
fn ours(report: &Report<'_>, row: &Row) -> Option<f64> {
    let breaks = report.breaks_promise(OURS, row);
    report.results.median(OURS, row.id).filter(|_| !breaks)
}

/// Ours against the best peer.
pub(super) fn against_best(report: &Report<'_>, row: &Row) -> Option<f64> {
    let ours = ours(report, row)?;
    ratio(row, ours, best_peer(report, row)?.1)
}

/// Ours against the limit.
pub(super) fn against_limit(report: &Report<'_>, row: &Row) -> Option<f64> {
    let ours = ours(report, row)?;
    ratio(row, ours, report.results.median(LIMIT, row.id)?)
}

fn ratio(row: &Row, ours: f64, other: f64) -> Option<f64> {
    let (above, below) = if row.unit.more_is_better() { (ours, other) } else { (other, ours) };
    (below > 0.0).then(|| above / below)
}
