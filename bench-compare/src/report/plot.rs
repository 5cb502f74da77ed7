//! Bar plots, as SVG written by hand: one panel a row, one bar an engine, best at the top.

use std::fmt::Write;

use super::Report;
use super::contest::is_ours;
use super::figure::show;
use crate::child::LIMIT;
use crate::row::{ROWS, Row};

/// A plot and the rows on it.
pub(super) struct Plot {
    /// Part of the file's name.
    pub(super) name: &'static str,
    /// The title.
    pub(super) title: &'static str,
    rows: &'static [&'static str],
}

/// All plots.
pub(super) const PLOTS: &[Plot] = &[
    Plot {
        name: "writes",
        title: "Writes, Buffered",
        rows: &["insert.random", "insert.ordered", "insert.batch", "overwrite", "delete"],
    },
    Plot { name: "sync", title: "Writes, Sync", rows: &["sync.1", "sync.8"] },
    Plot { name: "reads", title: "Reads", rows: &["get.1", "get.2", "get.many", "get.miss"] },
    Plot { name: "scans", title: "Scans", rows: &["scan.full", "scan.short", "scan.prefix"] },
    Plot {
        name: "fresh",
        title: "Reads as the load left it, before compaction",
        rows: &["get.fresh", "scan.fresh"],
    },
    Plot { name: "large", title: "Values of 64 KiB", rows: &["large.write", "large.read"] },
    Plot { name: "open", title: "Opening", rows: &["open.clean", "open.killed"] },
    Plot { name: "space", title: "Memory and disk", rows: &["memory", "disk"] },
    Plot {
        name: "ordered-space",
        title: "Memory while writing, disk after compaction",
        rows: &["memory.write.resident", "memory.write.anonymous", "disk.compacted"],
    },
    Plot {
        name: "churn-latency",
        title: "Overwrites while compaction runs: rate and latencies",
        rows: &["churn.rate", "churn.p50", "churn.p99", "churn.p999", "churn.max"],
    },
    Plot {
        name: "churn-amplification",
        title: "Overwrites while compaction runs: amplification",
        rows: &["churn.write", "churn.space", "churn.space.most", "churn.runs"],
    },
    Plot {
        name: "writes",
        title: "Events: appends, Buffered",
        rows: &["events.batch", "events.one", "events.exact", "events.short", "events.across"],
    },
    Plot {
        name: "sync",
        title: "Events: appends, Sync",
        rows: &[
            "events.batch.sync",
            "events.sync.1",
            "events.sync.8",
            "events.short.sync",
            "events.across.sync",
        ],
    },
    Plot {
        name: "reads",
        title: "Events: reads",
        rows: &[
            "events.all",
            "events.stream",
            "events.stream.back",
            "events.get",
            "events.get.at",
            "events.mixed",
        ],
    },
    Plot {
        name: "follow",
        title: "Events: projection and subscription",
        rows: &["events.projection", "events.live.p50", "events.live.p99"],
    },
    Plot {
        name: "space",
        title: "Events: opening, memory and disk",
        rows: &["events.open", "events.open.memory", "events.disk"],
    },
    Plot {
        name: "append",
        title: "Wide events: appends",
        rows: &["tables.append", "tables.append.long", "tables.append.8", "tables.append.buffered"],
    },
    Plot {
        name: "sums",
        title: "Wide events: sums",
        rows: &[
            "tables.sums",
            "tables.sums.user",
            "tables.sums.time",
            "tables.sums.both",
            "tables.user.day",
            "tables.top",
            "tables.quantiles",
            "tables.failed",
        ],
    },
    Plot {
        name: "rows",
        title: "Wide events: whole events",
        rows: &["tables.newest.100", "tables.newest.1000", "tables.newest.user", "tables.id"],
    },
    Plot { name: "disk", title: "Wide events: disk", rows: &["tables.disk"] },
];

const WIDTH: usize = 760;
const NAMES: usize = 110;
const FIGURES: usize = 110;
const BARS: usize = WIDTH - NAMES - FIGURES;
const BAR: usize = 16;
const GAP: usize = 4;
const TITLE: usize = 34;
const PANEL: usize = 30;
/// From this ratio of the longest bar to the shortest, the scale is logarithmic.
const LOG_FROM: f64 = 40.0;

const OURS_COLOUR: &str = "#0b62c4";
const PEER_COLOUR: &str = "#8d99a6";
const BROKEN_COLOUR: &str = "#dcc7a0";
const LIMIT_COLOUR: &str = "#cfe3d4";

struct Bar<'a> {
    name: &'a str,
    value: f64,
    colour: &'static str,
    label: String,
}

impl Plot {
    /// Draws the plot; `None` if nothing on it was measured.
    pub(super) fn draw(&self, report: &Report<'_>) -> Option<String> {
        let panels: Vec<_> = ROWS
            .iter()
            .filter(|row| self.rows.contains(&row.id))
            .map(|row| (row, bars(report, row)))
            .filter(|(_, bars)| !bars.is_empty())
            .collect();
        if panels.is_empty() {
            return None;
        }
        let mut body = String::new();
        let mut y = TITLE;
        for (row, bars) in &panels {
            y = draw_panel(&mut body, row, bars, y);
        }
        y += BAR;
        let day = format!("{} {}", report.machine.date, report.machine.commit);
        let legend =
            format!("{day} · blue: annals · green: limit · sand: breaks the row's promise");
        text(&mut body, 8, y, "start", "#57606a", &legend);
        Some(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n\
             <title>{title}</title>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
             <text x=\"8\" y=\"22\" font-size=\"16\" font-weight=\"bold\">{title}</text>\n\
             {body}</svg>\n",
            height = y + 10,
            title = self.title,
        ))
    }
}

fn bars<'a>(report: &'a Report<'_>, row: &Row) -> Vec<Bar<'a>> {
    let names = std::iter::once(LIMIT).chain(report.engines.iter().map(|engine| engine.name));
    let mut bars: Vec<_> = names
        .filter_map(|name| {
            let value = report.results.median(name, row.id)?;
            let breaks = report.breaks_promise(name, row);
            let colour = match name {
                LIMIT => LIMIT_COLOUR,
                ours if is_ours(ours) => OURS_COLOUR,
                _ if breaks => BROKEN_COLOUR,
                _ => PEER_COLOUR,
            };
            Some(Bar { name, value, colour, label: show(value, row.unit) })
        })
        .collect();
    bars.sort_by(|a, b| {
        let ascending = a.value.total_cmp(&b.value);
        if row.unit.more_is_better() { ascending.reverse() } else { ascending }
    });
    bars
}

fn draw_panel(body: &mut String, row: &Row, bars: &[Bar<'_>], top: usize) -> usize {
    let scale = Scale::of(bars);
    let better = if row.unit.more_is_better() { "more" } else { "less" };
    let kind = if scale.logarithmic { ", logarithmic" } else { "" };
    let mut y = top + PANEL - 10;
    text(body, 8, y, "start", "#1f2328", &format!("{} ({better} is better{kind})", row.title));
    y += 10;
    for bar in bars {
        text(body, NAMES - 6, y + 12, "end", "#1f2328", bar.name);
        let length = scale.length(bar.value);
        let colour = bar.colour;
        put(
            body,
            format_args!(
                "<rect x=\"{NAMES}\" y=\"{y}\" width=\"{length}\" height=\"{BAR}\" fill=\"{colour}\"/>"
            ),
        );
        text(body, NAMES + length + 6, y + 12, "start", "#1f2328", &bar.label);
        y += BAR + GAP;
    }
    y
}

fn text(body: &mut String, x: usize, y: usize, anchor: &str, colour: &str, text: &str) {
    put(
        body,
        format_args!(
            "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\" fill=\"{colour}\">{text}</text>"
        ),
    );
}

fn put(body: &mut String, element: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = writeln!(body, "{element}");
}

struct Scale {
    least: f64,
    most: f64,
    logarithmic: bool,
}

impl Scale {
    fn of(bars: &[Bar<'_>]) -> Self {
        let above_zero = bars.iter().map(|bar| bar.value).filter(|value| *value > 0.0);
        let (least, most) = above_zero
            .fold((f64::INFINITY, 0.0_f64), |(least, most), v| (least.min(v), most.max(v)));
        Self { least, most, logarithmic: most / least > LOG_FROM }
    }

    fn length(&self, value: f64) -> usize {
        let part = if value <= 0.0 {
            0.0
        } else if self.logarithmic {
            // The shortest bar keeps a twentieth of the longest.
            0.05 + 0.95 * (value / self.least).ln() / (self.most / self.least).ln()
        } else {
            value / self.most
        };
        (part * BARS as f64).max(1.0) as usize
    }
}
