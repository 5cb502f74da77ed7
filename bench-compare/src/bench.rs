//! The parent: which engines and groups run, how often, in which order.
//!
//! All engines run one group before any runs the next, and the limits of the group first of all, so
//! that figures which are compared were taken close to one another.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::child::LIMIT;
use crate::engine::{Engine, Kind};
use crate::engines::{self, EngineJob};
use crate::event_engine::EventEngine;
use crate::event_engines::{self, EventEngineJob};
use crate::group::Group;
use crate::groups;
use crate::machine::Machine;
use crate::report;
use crate::results::Results;
use crate::row::{ROWS, Row};
use crate::{Result, packages};

/// Records of a full load.
const KEYS: u64 = 1_000_000;
/// Overwrites of a full churn.
const CHURN: u64 = 10_000_000;

/// What is to be measured.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The engines; all when not given.
    pub(crate) engines: Option<Vec<String>>,
    /// Whether only ordered engines run.
    pub(crate) ordered: bool,
    /// Whether event stores run, and no key-value engines.
    pub(crate) events: bool,
    /// Beginnings of names of rows or groups; all when not given.
    pub(crate) rows: Option<Vec<String>>,
    /// Records of the load.
    pub(crate) keys: u64,
    /// Overwrites of a churn.
    pub(crate) churn: u64,
    /// Repetitions.
    pub(crate) runs: u32,
    /// The time within which a group is repeated.
    pub(crate) budget: Duration,
    /// When a row of single commits is cut short.
    pub(crate) cap: Duration,
    /// Where databases are made.
    pub(crate) dir: PathBuf,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            engines: None,
            ordered: false,
            events: false,
            rows: None,
            keys: KEYS,
            churn: CHURN,
            runs: 3,
            budget: Duration::from_secs(8),
            cap: Duration::from_secs(10),
            dir: std::env::temp_dir(),
        }
    }
}

impl Plan {
    /// Refuses what cannot be run.
    pub(crate) fn check(&self) -> Result<()> {
        if !(1_000..=u64::from(u32::MAX)).contains(&self.keys) {
            return Err("--keys is from 1000 to 4294967295".into());
        }
        if self.churn == 0 {
            return Err("--churn is at least 1".into());
        }
        if self.runs == 0 {
            return Err("--runs is at least 1".into());
        }
        if !ROWS.iter().any(|row| self.wants(row)) {
            return Err("--rows names no row: see `list`".into());
        }
        if self.ordered && self.events {
            return Err("event stores have no ordered keys: --ordered or --events".into());
        }
        for name in self.engines.iter().flatten() {
            let engine = describe(name)?;
            if self.events != (engine.kind == Kind::Events) {
                let how = if self.events { "without" } else { "with" };
                return Err(format!("{name} runs {how} --events").into());
            }
            if self.ordered && !engine.kind.is_ordered() {
                return Err(format!("{name} has no order: without --ordered it runs").into());
            }
        }
        Ok(())
    }

    /// The groups of the kind of engines that run.
    fn groups(&self) -> &'static [Group] {
        if self.events { Group::EVENTS } else { Group::RECORDS }
    }

    /// Whether the row is asked for: those of a long group only by name.
    pub(crate) fn wants(&self, row: &Row) -> bool {
        self.groups().contains(&row.group)
            && self.rows.as_ref().map_or(!row.group.is_long(), |wanted| {
                wanted.iter().any(|begin| {
                    row.id.starts_with(begin.as_str())
                        || row.group.name().starts_with(begin.as_str())
                })
            })
    }

    /// What the page is named after the commit: nothing for the run of all engines. Anything that may
    /// not be quoted is `partial`.
    pub(crate) fn suffix(&self) -> &'static str {
        let churn = || -> bool {
            let named = |rows: &Vec<String>| rows.iter().all(|row| row == Group::Churn.name());
            self.rows.as_ref().is_some_and(named) && self.churn == CHURN
        };
        match (self.ordered, self.keys == KEYS) {
            (false, true) if self.events && self.rows.is_none() => "-events",
            (false, true) if self.rows.is_none() && self.engines.is_none() => "",
            (true, true) if self.rows.is_none() => "-ordered",
            (true, true) if churn() => "-churn",
            _ => PARTIAL,
        }
    }

    /// Whether the run may be quoted.
    pub(crate) fn is_full(&self) -> bool {
        self.suffix() != PARTIAL
    }

    /// The names of all engines of the kind that runs.
    pub(crate) fn names(&self) -> &'static [&'static str] {
        if self.events { event_engines::NAMES } else { engines::NAMES }
    }

    fn engines(&self) -> Result<Vec<Description>> {
        let all = || self.names().iter().map(|name| (*name).to_owned()).collect();
        let names = self.engines.clone().unwrap_or_else(all);
        let mut engines = names.iter().map(|name| describe(name)).collect::<Result<Vec<_>>>()?;
        engines.retain(|engine| !self.ordered || engine.kind.is_ordered());
        Ok(engines)
    }
}

const PARTIAL: &str = "-partial";

/// What is known of an engine before it runs.
#[derive(Clone, Debug)]
pub(crate) struct Description {
    /// Its name.
    pub(crate) name: &'static str,
    /// How it keeps its records.
    pub(crate) kind: Kind,
    /// Package and version, and those of a library beneath.
    pub(crate) version: String,
    /// What `Buffered` stands for.
    pub(crate) buffered: &'static str,
    /// What `Sync` stands for.
    pub(crate) sync: &'static str,
    /// What else was set.
    pub(crate) settings: &'static str,
    /// Whether `Sync` reaches the device.
    pub(crate) sync_reaches_device: bool,
    /// The groups it takes part in.
    pub(crate) groups: &'static [Group],
}

/// What is known of the engine called `name`.
pub(crate) fn describe(name: &str) -> Result<Description> {
    engines::with_engine(name, Describe)
        .or_else(|_| event_engines::with_engine(name, Describe))
        .map_err(|_| {
            let names = [engines::NAMES, event_engines::NAMES].concat();
            format!("no engine `{name}` in this build: there are {}", names.join(", ")).into()
        })
}

struct Describe;

impl EngineJob for Describe {
    type Output = Description;

    fn run<E: Engine>(self) -> Description {
        Description {
            name: E::NAME,
            kind: E::KIND,
            version: version(E::PACKAGE, E::library()),
            buffered: E::BUFFERED,
            sync: E::SYNC,
            settings: E::SETTINGS,
            sync_reaches_device: E::SYNC_REACHES_DEVICE,
            groups: E::GROUPS,
        }
    }
}

impl EventEngineJob for Describe {
    type Output = Description;

    fn run<E: EventEngine>(self) -> Description {
        Description {
            name: E::NAME,
            kind: Kind::Events,
            version: version(E::PACKAGE, E::library()),
            buffered: E::BUFFERED,
            sync: E::SYNC,
            settings: E::SETTINGS,
            sync_reaches_device: true,
            groups: E::GROUPS,
        }
    }
}

fn version(package: &str, library: Option<String>) -> String {
    let version = packages::version(package);
    library.map_or_else(|| version.clone(), |library| format!("{version} over {library}"))
}

/// Measures what `plan` asks for and writes the page.
pub(crate) fn run(plan: &Plan) -> Result<()> {
    let started = Instant::now();
    let machine = Machine::look(&plan.dir)?;
    if !machine.durable {
        eprintln!("warning: {} does not reach a disk: see --dir", machine.file_system);
    }
    let engines = plan.engines()?;
    let mut results = Results::default();
    for group in Group::ALL {
        if !ROWS.iter().any(|row| row.group == *group && plan.wants(row)) {
            continue;
        }
        if groups::has_limit(*group) {
            repeat(plan, LIMIT, *group, &mut results);
        }
        for engine in engines.iter().filter(|engine| engine.groups.contains(group)) {
            repeat(plan, engine.name, *group, &mut results);
        }
    }
    report::write(plan, &machine, &engines, &results, started.elapsed())
}

/// Runs a group on an engine as often as the plan's time allows, at least once.
fn repeat(plan: &Plan, engine: &str, group: Group, results: &mut Results) {
    let started = Instant::now();
    let mut done = 0;
    while done < plan.runs {
        if let Err(error) = groups::run(plan, engine, group, results) {
            results.note(format!("{engine}, {}: {error}", group.name()));
            break;
        }
        done += 1;
        // Limits are cheap, and all else is held against them.
        let over = engine != LIMIT && started.elapsed() * (done + 1) / done > plan.budget;
        // These repeat within themselves.
        let repeats = matches!(group, Group::Kill | Group::OpenClean | Group::EventsStreams);
        if over || repeats || group.is_long() {
            break;
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    eprintln!("{:18} {engine:14} {done} times, {seconds:.1} s", group.name());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(ordered: bool, rows: Option<&str>) -> Plan {
        Plan { ordered, rows: rows.map(|row| vec![row.to_owned()]), ..Plan::default() }
    }

    #[test]
    fn pages_are_named_for_what_is_on_them() {
        assert_eq!(plan(false, None).suffix(), "");
        assert_eq!(plan(true, None).suffix(), "-ordered");
        assert_eq!(plan(true, Some("churn")).suffix(), "-churn");
        assert_eq!(Plan { churn: 7, ..plan(true, Some("churn")) }.suffix(), PARTIAL);
        assert_eq!(plan(true, Some("scan")).suffix(), PARTIAL);
        assert_eq!(Plan { keys: 2_000, ..plan(true, None) }.suffix(), PARTIAL);
        let events = Plan { events: true, ..plan(false, None) };
        assert_eq!(events.suffix(), "-events");
        assert_eq!(Plan { keys: 2_000, ..events }.suffix(), PARTIAL);
        let some = Plan { engines: Some(vec!["fjall".to_owned()]), ..plan(false, None) };
        assert_eq!(some.suffix(), PARTIAL);
    }

    #[test]
    fn long_rows_run_when_they_are_named() {
        let churn = Row::by_id("churn.write").expect("a row");
        assert!(!plan(true, None).wants(churn));
        assert!(plan(true, Some("churn")).wants(churn));
    }

    #[test]
    fn event_stores_run_apart_from_key_value_engines() {
        let (keys, events) = (plan(false, None), Plan { events: true, ..plan(false, None) });
        for (row, wanted) in [("insert.batch", [true, false]), ("events.batch", [false, true])] {
            let row = Row::by_id(row).expect("a row");
            assert_eq!([keys.wants(row), events.wants(row)], wanted);
        }
        let kill = Row::by_id("kill").expect("a row");
        assert!(keys.wants(kill) && events.wants(kill));
        let both = Plan { ordered: true, ..events };
        assert!(both.check().is_err());
    }
}
