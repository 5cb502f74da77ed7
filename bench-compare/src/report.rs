//! The page of a run and its plots, written into `results/`.

mod contest;
mod figure;
mod page;
mod plot;

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::Result;
use crate::bench::{Description, Plan};
use crate::engine::Mode;
use crate::machine::Machine;
use crate::results::Results;
use crate::row::{ROWS, Row};

/// All that goes onto the page.
pub(crate) struct Report<'a> {
    plan: &'a Plan,
    machine: &'a Machine,
    engines: &'a [Description],
    results: &'a Results,
    took: Duration,
}

impl Report<'_> {
    /// Whether the engine is known to break what commits in the row promise.
    fn breaks_promise(&self, engine: &str, row: &Row) -> bool {
        match row.promise {
            None => false,
            Some(Mode::Buffered) => self.results.loses(engine),
            Some(Mode::Sync) => {
                self.engines.iter().any(|e| e.name == engine && !e.sync_reaches_device)
            }
        }
    }

    /// The rows that were asked for.
    fn rows(&self) -> impl Iterator<Item = &'static Row> {
        ROWS.iter().filter(|row| self.plan.wants(row))
    }
}

/// Writes the page and its plots, and prints the page.
pub(crate) fn write(
    plan: &Plan,
    machine: &Machine,
    engines: &[Description],
    results: &Results,
    took: Duration,
) -> Result<()> {
    let report = Report { plan, machine, engines, results, took };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("results");
    fs::create_dir_all(&folder)?;
    let name = format!("{}-{}{}", machine.date, machine.commit, plan.suffix());
    let mut plots = Vec::new();
    for plot in plot::PLOTS {
        if let Some(svg) = plot.draw(&report) {
            let file = format!("{name}-{}.svg", plot.name);
            fs::write(folder.join(&file), svg)?;
            plots.push((plot.title, file));
        }
    }
    let page = page::page(&report, &plots);
    println!("{page}");
    Ok(fs::write(folder.join(format!("{name}.md")), page)?)
}
