//! The page, in Markdown.

use std::fmt::Write;

use super::contest::{Contest, contests};
use super::figure::{bytes, show, times};
use super::{Report, figure};
use crate::bench::{Stores, describe};
use crate::child::LIMIT;
use crate::data::{KEY_BYTES, LARGE_BYTES, VALUE_BYTES};
use crate::event::FIELD_BYTES;
use crate::group::Group;
use crate::memory::WARM_BYTES;
use crate::row::{Row, Unit};
use crate::wide::{DAYS, SHAPE};

const NONE: &str = "–";
const CHURNED: &str = "overwrites of `churn`";
const LARGE: &str = "large values";

/// Writes the page; `plots` are titles and files.
pub(super) fn page(report: &Report<'_>, plots: &[(&str, String)]) -> String {
    let mut page = String::new();
    head(&mut page, report);
    for contest in contests(report) {
        ratios(&mut page, report, &contest);
    }
    figures(&mut page, report);
    survival(&mut page, report);
    memory(&mut page, report);
    configurations(&mut page, report);
    limits(&mut page, report);
    notes(&mut page, report);
    section(&mut page, "Plots");
    for (title, file) in plots {
        line(&mut page, format_args!("![{title}]({file})\n"));
    }
    page
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = writeln!(page, "{text}");
}

fn section(page: &mut String, title: &str) {
    line(page, format_args!("\n## {title}\n"));
}

fn cells(page: &mut String, cells: &[String]) {
    line(page, format_args!("| {} |", cells.join(" | ")));
}

fn header(page: &mut String, names: &[&str], right_from: usize) {
    line(page, format_args!("| {} |", names.join(" | ")));
    let rule = (0..names.len()).map(|i| if i < right_from { "---" } else { "---:" });
    line(page, format_args!("| {} |", rule.collect::<Vec<_>>().join(" | ")));
}

fn head(page: &mut String, report: &Report<'_>) {
    let (machine, plan) = (report.machine, report.plan);
    line(page, format_args!("# Comparison of {}, commit {}\n", machine.date, machine.commit));
    if machine.modified {
        line(page, format_args!("**The working tree differed from the commit.**\n"));
    }
    if !plan.is_full() {
        line(page, format_args!("**A partial run: not to be quoted.**\n"));
    }
    let ran = |name: &str| report.engines.iter().any(|engine| engine.name == name);
    let left_out: Vec<_> = plan
        .names()
        .iter()
        .filter_map(|name| describe(name).ok())
        .filter(|engine| plan.stores.is_a_kind() && plan.stores.include(engine.kind))
        .filter(|engine| !ran(engine.name))
        .map(|engine| engine.name)
        .collect();
    if !left_out.is_empty() {
        line(page, format_args!("Not in this run: {}.\n", left_out.join(", ")));
    }
    header(page, &["", ""], 2);
    let durable = if machine.durable { "" } else { ", **which does not reach a disk**" };
    for (name, value) in [
        ("processor", format!("{}, {} cores", machine.cpu, machine.cores)),
        ("memory", bytes(machine.memory_bytes as f64)),
        (
            "kernel, file system",
            format!("Linux {}, {}{durable}", machine.kernel, machine.file_system),
        ),
        (
            "records",
            match plan.stores {
                Stores::KeyValue | Stores::Ordered => {
                    format!("{} keys of {KEY_BYTES} bytes, values of {VALUE_BYTES}", plan.keys)
                }
                Stores::Events => format!(
                    "{} events, each two u64, a u32 and a text: {FIELD_BYTES} bytes",
                    plan.keys
                ),
                Stores::Tables => format!(
                    "{} wide events of {DAYS} days: a time, a cost, {SHAPE}, an id",
                    plan.keys
                ),
            },
        ),
        (LARGE, format!("{} KiB", LARGE_BYTES / 1024)),
        (
            "repetitions",
            format!("up to {} within {} s, the median", plan.runs, plan.budget.as_secs()),
        ),
        (
            "before each process, and between rows of writes",
            format!(
                "{} each of small pages, of large ones and of a file touched and freed: a virtual machine may have given \
                 them back to its host",
                bytes(WARM_BYTES as f64)
            ),
        ),
        (CHURNED, plan.churn.to_string()),
        ("duration", format!("{:.1} minutes", report.took.as_secs_f64() / 60.0)),
    ] {
        let measured = |group| report.rows().any(|row| row.group == group);
        let shown = match name {
            CHURNED => measured(Group::Churn),
            LARGE => measured(Group::Large),
            _ => true,
        };
        if shown {
            cells(page, &[name.to_owned(), value]);
        }
    }
}

fn ratios(page: &mut String, report: &Report<'_>, contest: &Contest) {
    section(page, contest.title);
    line(
        page,
        format_args!(
            "Above 1 is better for Annals, in every row. An engine that breaks what commits in a row \
             promise is no peer in it: nothing acknowledged is lost to `kill -9` under `Buffered`, \
             nor to a power cut under `Sync`.\n"
        ),
    );
    let ours = contest.ours;
    let (to_best, to_merge_tree, to_limit) = (
        format!("{ours} / best peer"),
        format!("{ours} / best merge tree"),
        format!("{ours} / limit"),
    );
    let mut names = vec!["row", ours, "best peer", &to_best];
    if contest.names_merge_trees() {
        names.extend(["best merge tree", &to_merge_tree]);
    }
    names.extend(["limit", &to_limit]);
    header(page, &names, 1);
    for row in contest.rows(report) {
        let against = |peer: Option<(&str, f64)>| {
            let ratio = peer.and_then(|(_, value)| contest.against(report, row, value));
            [
                peer.map_or(NONE.to_owned(), |(name, value)| {
                    format!("{name} {}", show(value, row.unit))
                }),
                ratio.map_or(NONE.to_owned(), times),
            ]
        };
        let mut line = vec![row.title.to_owned(), figure_of(report, ours, row)];
        line.extend(against(contest.best_peer(report, row)));
        if contest.names_merge_trees() {
            line.extend(against(contest.best_merge_tree(report, row)));
        }
        line.push(figure_of(report, LIMIT, row));
        line.push(contest.against_limit(report, row).map_or(NONE.to_owned(), times));
        cells(page, &line);
    }
}

fn figure_of(report: &Report<'_>, engine: &str, row: &Row) -> String {
    let median = report.results.median(engine, row.id);
    median.map_or(NONE.to_owned(), |value| show(value, row.unit))
}

fn figures(page: &mut String, report: &Report<'_>) {
    section(page, "Figures");
    line(
        page,
        format_args!(
            "† breaks what commits in this row promise. A small number counts the repetitions.\n"
        ),
    );
    let mut names = vec!["row", LIMIT];
    names.extend(report.engines.iter().map(|engine| engine.name));
    header(page, &names, 1);
    for row in report.rows().filter(|row| row.unit != Unit::Lost) {
        let mut line = vec![row.title.to_owned()];
        for engine in &names[1..] {
            let runs = match report.results.repetitions(engine, row.id) {
                0 => String::new(),
                runs => format!(" <sub>{runs}</sub>"),
            };
            let breaks = report.breaks_promise(engine, row);
            let mark = if breaks && !runs.is_empty() { " †" } else { "" };
            line.push(format!("{}{mark}{runs}", figure_of(report, engine, row)));
        }
        cells(page, &line);
    }
}

fn survival(page: &mut String, report: &Report<'_>) {
    if !report.rows().any(|row| row.group == Group::Kill) {
        return;
    }
    section(page, "Buffered: survives kill -9?");
    line(
        page,
        format_args!(
            "One record a commit, each acknowledged through a pipe; the writer is killed five times at \
         random moments, and after each time every acknowledged record is looked up.\n"
        ),
    );
    header(page, &["engine", "acknowledged", "survives"], 1);
    for engine in report.engines {
        let Some(lost) = report.results.median(engine.name, "kill") else { continue };
        let count = report.results.acknowledged(engine.name).unwrap_or(0);
        let verdict = if lost > 0.0 { format!("**no** (lost {lost})") } else { "yes".to_owned() };
        cells(page, &[engine.name.to_owned(), count.to_string(), verdict]);
    }
}

fn memory(page: &mut String, report: &Report<'_>) {
    section(page, "Memory of each process");
    line(
        page,
        format_args!(
            "The most that was resident (mapped files included) / anonymous memory at the end.{}\n",
            if matches!(report.plan.stores, Stores::Events | Stores::Tables) {
                String::new()
            } else {
                format!(
                    " The keys' order for random look-ups takes {} of it in the groups `random`, `get`, \
                     `scan`, `large` and `churn`.",
                    bytes(report.plan.keys as f64 * 4.0)
                )
            }
        ),
    );
    let groups: Vec<Group> = Group::ALL
        .iter()
        .copied()
        .filter(|group| *group != Group::Kill && report.rows().any(|row| row.group == *group))
        .collect();
    let mut names = vec!["engine"];
    names.extend(groups.iter().map(|group| group.name()));
    header(page, &names, 1);
    for engine in report.engines {
        let mut line = vec![engine.name.to_owned()];
        line.extend(groups.iter().map(|group| {
            report.results.peak(engine.name, *group).map_or(NONE.to_owned(), |peak| {
                let (resident, anonymous) = (peak.resident_bytes, peak.anonymous_bytes);
                format!("{} / {}", figure::bytes(resident), figure::bytes(anonymous))
            })
        }));
        cells(page, &line);
    }
}

fn configurations(page: &mut String, report: &Report<'_>) {
    section(page, "Configurations");
    header(page, &["engine", "version", "Buffered", "Sync", "settings"], 5);
    for engine in report.engines {
        cells(
            page,
            &[
                engine.name.to_owned(),
                engine.version.clone(),
                engine.buffered.to_owned(),
                engine.sync.to_owned(),
                engine.settings.to_owned(),
            ],
        );
    }
}

fn limits(page: &mut String, report: &Report<'_>) {
    section(page, "Limits");
    line(page, format_args!("Loops written by hand, without an engine, in the same run.\n"));
    for row in report.rows().filter(|row| !row.limit.is_empty()) {
        line(page, format_args!("* {}: {}", row.title, row.limit));
    }
}

fn notes(page: &mut String, report: &Report<'_>) {
    if report.results.notes().is_empty() {
        return;
    }
    section(page, "Notes of the run");
    for note in report.results.notes() {
        line(page, format_args!("* {note}"));
    }
}
