//! How figures compare: above one is better for Annals, whichever way the unit runs.

use super::Report;
use crate::bench::{Description, Stores};
use crate::child::LIMIT;
use crate::engine::Kind;
use crate::row::{Row, Unit};

/// One of ours and the peers it is measured by.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Contest {
    /// The heading of its table.
    pub(super) title: &'static str,
    /// Our engine.
    pub(super) ours: &'static str,
    /// Whether only ordered engines are peers.
    ordered: bool,
}

/// The hash keyspace against all.
pub(super) const HASH: Contest = Contest { title: "Ratios", ours: "annals", ordered: false };
/// The ordered keyspace against what is ordered too.
pub(super) const ORDERED: Contest =
    Contest { title: "Ratios of the ordered keyspace", ours: "annals-ordered", ordered: true };

/// The event store against the others.
pub(super) const EVENTS: Contest =
    Contest { title: "Ratios", ours: "annals-events", ordered: false };

/// Event tables against the others.
pub(super) const TABLES: Contest =
    Contest { title: "Ratios", ours: "annals-tables", ordered: false };

/// Whether the engine is ours.
pub(super) fn is_ours(engine: &str) -> bool {
    [HASH.ours, ORDERED.ours, EVENTS.ours, TABLES.ours].contains(&engine)
}

/// The contests of a run: those whose engine of ours took part, or that of all.
pub(super) fn contests(report: &Report<'_>) -> Vec<Contest> {
    let ran = |contest: &Contest| report.engines.iter().any(|engine| engine.name == contest.ours);
    let mut contests: Vec<_> = [HASH, ORDERED, EVENTS, TABLES].into_iter().filter(ran).collect();
    if contests.is_empty() {
        contests.push(match report.plan.stores {
            Stores::KeyValue => HASH,
            Stores::Ordered => ORDERED,
            Stores::Events => EVENTS,
            Stores::Tables => TABLES,
        });
    }
    contests
}

impl Contest {
    /// The rows that our engine has a part in.
    pub(super) fn rows(&self, report: &Report<'_>) -> Vec<&'static Row> {
        let ours = report.engines.iter().find(|engine| engine.name == self.ours);
        report
            .rows()
            .filter(|row| row.unit != Unit::Lost)
            .filter(|row| ours.is_none_or(|ours| ours.groups.contains(&row.group)))
            .collect()
    }

    /// Whether merge trees have a column of their own.
    pub(super) fn names_merge_trees(&self) -> bool {
        self.ordered
    }

    /// The peer that does best in a row, and its figure. An engine that breaks what commits promise
    /// is no peer.
    pub(super) fn best_peer(&self, report: &Report<'_>, row: &Row) -> Option<(&'static str, f64)> {
        best(report, row, |engine| !self.ordered || engine.kind.is_ordered())
    }

    /// The merge tree that does best in a row, and its figure.
    pub(super) fn best_merge_tree(
        &self,
        report: &Report<'_>,
        row: &Row,
    ) -> Option<(&'static str, f64)> {
        best(report, row, |engine| engine.kind == Kind::MergeTree)
    }

    /// Ours against another figure. None if we ourselves break what commits promise.
    pub(super) fn against(&self, report: &Report<'_>, row: &Row, other: f64) -> Option<f64> {
        let breaks = report.breaks_promise(self.ours, row);
        let ours = report.results.median(self.ours, row.id).filter(|_| !breaks)?;
        ratio(row, ours, other)
    }

    /// Ours against the limit.
    pub(super) fn against_limit(&self, report: &Report<'_>, row: &Row) -> Option<f64> {
        self.against(report, row, report.results.median(LIMIT, row.id)?)
    }
}

fn best(
    report: &Report<'_>,
    row: &Row,
    is_peer: impl Fn(&Description) -> bool,
) -> Option<(&'static str, f64)> {
    report
        .engines
        .iter()
        .filter(|engine| !is_ours(engine.name) && is_peer(engine))
        .filter(|engine| !report.breaks_promise(engine.name, row))
        .filter_map(|engine| Some((engine.name, report.results.median(engine.name, row.id)?)))
        .reduce(|best, other| {
            let greater = other.1 > best.1;
            if greater == row.unit.more_is_better() { other } else { best }
        })
}

fn ratio(row: &Row, ours: f64, other: f64) -> Option<f64> {
    let (above, below) = if row.unit.more_is_better() { (ours, other) } else { (other, ours) };
    (below > 0.0).then(|| above / below)
}
