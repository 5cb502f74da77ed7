//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use crate::bench::{self, Plan, Stores};
use crate::row::ROWS;
use crate::{Result, child, engines, event_engines, table_engines};

const HELP: &str = "\
Usage: bench-compare run [OPTIONS]   measure, and write a page with plots into results/
       bench-compare list            name the engines and rows of this build
       bench-compare check N | A..B  ask event tables of so many seeds, and DuckDB, the same random
                                     questions; fails at the first answer that differs

Options of run:
  --engines A,B   only these engines (default: all of this build)
  --ordered       only ordered engines; the page's name ends in `-ordered`
  --events        event stores in place of key-value engines; the page's name ends in `-events`
  --tables        stores for wide events in their place; the page's name ends in `-tables`
  --rows A,B      only rows whose name, or group's name, begins so (default: all but
                  `churn`, which takes long)
  --keys N        records of the load (default: 1000000)
  --churn N       overwrites of `churn` (default: 10000000)
  --runs N        repetitions a figure is the median of, as far as time allows (default: 3)
  --budget S      seconds within which a group is repeated (default: 8)
  --cap S         seconds after which a row of single commits is cut short (default: 10)
  --dir DIR       folder on the disk to measure (default: the folder for temporary files)

A run that leaves out engines or rows, or has other than the default number of keys, is written
to a page whose name ends in `-partial`. A run of one kind of stores names those that it left out; `--ordered --rows churn` is written to a page whose name ends in `-churn`, `--tables` with 10000000 or 100000000 events to one in `-tables-10m` or `-tables-100m`.";

/// Does what the arguments say.
pub(crate) fn run(args: Vec<String>) -> Result<()> {
    let mut args = args.into_iter();
    match args.next().as_deref() {
        Some("run") => bench::run(&plan(args)?),
        Some("list") => {
            list();
            Ok(())
        }
        Some("check") => check(args.next().as_deref().unwrap_or("100")),
        Some("child") => child::main(args),
        Some("help" | "--help" | "-h") | None => {
            println!("{HELP}");
            Ok(())
        }
        Some(other) => Err(format!("no command `{other}`\n\n{HELP}").into()),
    }
}

#[cfg(all(feature = "annals", feature = "duckdb"))]
fn check(seeds: &str) -> Result<()> {
    let (from, to) = seeds.split_once("..").unwrap_or(("0", seeds));
    crate::table_check::run(from.parse()?..to.parse()?)
}

#[cfg(not(all(feature = "annals", feature = "duckdb")))]
fn check(_: &str) -> Result<()> {
    Err("NOT CHECKED: this build lacks the feature `annals` or `duckdb`".into())
}

fn list() {
    println!("engines: {}", engines::NAMES.join(" "));
    println!("event stores, with --events: {}", event_engines::NAMES.join(" "));
    println!("stores for wide events, with --tables: {}", table_engines::NAMES.join(" "));
    println!("rows:");
    for row in ROWS {
        println!("  {:24} {:18} {}", row.id, row.group.name(), row.title);
    }
}

fn plan(mut args: impl Iterator<Item = String>) -> Result<Plan> {
    let mut plan = Plan::default();
    while let Some(option) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("`{option}` needs a value"));
        match option.as_str() {
            "--engines" => plan.engines = Some(names(&value()?)),
            "--ordered" => choose(&mut plan, Stores::Ordered)?,
            "--events" => choose(&mut plan, Stores::Events)?,
            "--tables" => choose(&mut plan, Stores::Tables)?,
            "--rows" => plan.rows = Some(names(&value()?)),
            "--keys" => plan.keys = value()?.replace('_', "").parse()?,
            "--churn" => plan.churn = value()?.replace('_', "").parse()?,
            "--runs" => plan.runs = value()?.parse()?,
            "--budget" => plan.budget = Duration::from_secs(value()?.parse()?),
            "--cap" => plan.cap = Duration::from_secs(value()?.parse()?),
            "--dir" => plan.dir = PathBuf::from(value()?),
            other => return Err(format!("no option `{other}`\n\n{HELP}").into()),
        }
    }
    plan.check()?;
    Ok(plan)
}

fn choose(plan: &mut Plan, stores: Stores) -> Result<()> {
    if plan.stores.is_a_kind() {
        return Err("only one of --ordered, --events and --tables".into());
    }
    plan.stores = stores;
    Ok(())
}

fn names(list: &str) -> Vec<String> {
    list.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}
