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
use crate::table_engine::TableEngine;
use crate::table_engines::{self, TableEngineJob};
use crate::wide::PUBLISHED_SHAPE;
use crate::{Result, packages};

/// Records of a full load.
const KEYS: u64 = 1_000_000;
/// Events of larger tables that have pages of their own, and what these are called.
const LARGER_TABLES: [(u64, &str); 2] =
    [(10_000_000, "-tables-10m"), (100_000_000, "-tables-100m")];
/// Overwrites of a full churn.
const CHURN: u64 = 10_000_000;

/// Which kind of stores runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Stores {
    /// Key-value engines, all of them.
    #[default]
    KeyValue,
    /// Those among them that are ordered.
    Ordered,
    /// Event stores.
    Events,
    /// Stores for wide events.
    Tables,
}

impl Stores {
    /// Whether an engine of that kind runs.
    pub(crate) const fn include(self, kind: Kind) -> bool {
        match self {
            Self::KeyValue => !matches!(kind, Kind::Events | Kind::Tables),
            Self::Ordered => kind.is_ordered(),
            Self::Events => matches!(kind, Kind::Events),
            Self::Tables => matches!(kind, Kind::Tables),
        }
    }

    /// Whether it is some of all engines by their kind: a page then names those that it lacks.
    pub(crate) const fn is_a_kind(self) -> bool {
        !matches!(self, Self::KeyValue)
    }
}

/// What is to be measured.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The engines; all when not given.
    pub(crate) engines: Option<Vec<String>>,
    /// Which kind of stores runs.
    pub(crate) stores: Stores,
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
            stores: Stores::default(),
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
        for name in self.engines.iter().flatten() {
            if !self.stores.include(describe(name)?.kind) {
                let stores = "none of --ordered, --events and --tables, or another of them";
                return Err(format!("{name} is of another kind: it runs with {stores}").into());
            }
        }
        Ok(())
    }

    /// The groups of the kind of engines that run.
    fn groups(&self) -> &'static [Group] {
        match self.stores {
            Stores::KeyValue | Stores::Ordered => Group::RECORDS,
            Stores::Events => Group::EVENTS,
            Stores::Tables => Group::TABLES,
        }
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
        if self.keys != KEYS {
            let larger = LARGER_TABLES.iter().find(|(events, _)| *events == self.keys);
            return match (self.stores, larger) {
                (Stores::Tables, Some((_, suffix))) if !PUBLISHED_SHAPE => suffix,
                _ => PARTIAL,
            };
        }
        match (self.stores, self.rows.is_none()) {
            (Stores::KeyValue, true) if self.engines.is_none() => "",
            (Stores::Ordered, true) => "-ordered",
            (Stores::Ordered, false) if churn() => "-churn",
            (Stores::Events, true) => "-events",
            (Stores::Tables, true) if PUBLISHED_SHAPE => "-tables-published",
            (Stores::Tables, true) => "-tables",
            _ => PARTIAL,
        }
    }

    /// Whether the run may be quoted.
    pub(crate) fn is_full(&self) -> bool {
        self.suffix() != PARTIAL
    }

    /// The names of all engines of the kind that runs.
    pub(crate) fn names(&self) -> &'static [&'static str] {
        match self.stores {
            Stores::KeyValue | Stores::Ordered => engines::NAMES,
            Stores::Events => event_engines::NAMES,
            Stores::Tables => table_engines::NAMES,
        }
    }

    fn engines(&self) -> Result<Vec<Description>> {
        let all = || self.names().iter().map(|name| (*name).to_owned()).collect();
        let names = self.engines.clone().unwrap_or_else(all);
        let mut engines = names.iter().map(|name| describe(name)).collect::<Result<Vec<_>>>()?;
        engines.retain(|engine| self.stores.include(engine.kind));
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
        .or_else(|_| table_engines::with_engine(name, Describe))
        .map_err(|_| {
            let names = [engines::NAMES, event_engines::NAMES, table_engines::NAMES].concat();
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

impl TableEngineJob for Describe {
    type Output = Description;

    fn run<E: TableEngine>(self) -> Description {
        Description {
            name: E::NAME,
            kind: Kind::Tables,
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
    match library {
        Some(library) if package.is_empty() => library,
        Some(library) => format!("{} over {library}", packages::version(package)),
        None => packages::version(package),
    }
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
        if groups::has_limit(*group, plan.keys) {
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

    fn plan(stores: Stores, rows: Option<&str>) -> Plan {
        Plan { stores, rows: rows.map(|row| vec![row.to_owned()]), ..Plan::default() }
    }

    #[test]
    fn pages_are_named_for_what_is_on_them() {
        assert_eq!(plan(Stores::KeyValue, None).suffix(), "");
        assert_eq!(plan(Stores::Ordered, None).suffix(), "-ordered");
        assert_eq!(plan(Stores::Ordered, Some("churn")).suffix(), "-churn");
        assert_eq!(Plan { churn: 7, ..plan(Stores::Ordered, Some("churn")) }.suffix(), PARTIAL);
        assert_eq!(plan(Stores::Ordered, Some("scan")).suffix(), PARTIAL);
        assert_eq!(Plan { keys: 2_000, ..plan(Stores::Ordered, None) }.suffix(), PARTIAL);
        let events = plan(Stores::Events, None);
        assert_eq!(events.suffix(), "-events");
        let tables = if PUBLISHED_SHAPE { "-tables-published" } else { "-tables" };
        assert_eq!(plan(Stores::Tables, None).suffix(), tables);
        assert_eq!(plan(Stores::Tables, Some("tables.id")).suffix(), PARTIAL);
        assert_eq!(Plan { keys: 2_000, ..events }.suffix(), PARTIAL);
        let larger = |stores| Plan { keys: 10_000_000, ..plan(stores, None) }.suffix();
        assert_eq!(larger(Stores::Tables), if PUBLISHED_SHAPE { PARTIAL } else { "-tables-10m" });
        assert_eq!(larger(Stores::Events), PARTIAL);
        let some = Plan { engines: Some(vec!["fjall".to_owned()]), ..plan(Stores::KeyValue, None) };
        assert_eq!(some.suffix(), PARTIAL);
    }

    #[test]
    fn long_rows_run_when_they_are_named() {
        let churn = Row::by_id("churn.write").expect("a row");
        assert!(!plan(Stores::Ordered, None).wants(churn));
        assert!(plan(Stores::Ordered, Some("churn")).wants(churn));
    }

    #[test]
    fn event_stores_run_apart_from_key_value_engines() {
        let (keys, events) = (plan(Stores::KeyValue, None), plan(Stores::Events, None));
        for (row, wanted) in [("insert.batch", [true, false]), ("events.batch", [false, true])] {
            let row = Row::by_id(row).expect("a row");
            assert_eq!([keys.wants(row), events.wants(row)], wanted);
        }
        let kill = Row::by_id("kill").expect("a row");
        assert!(keys.wants(kill) && events.wants(kill));
        assert!(Stores::Events.include(Kind::Events) && !Stores::Events.include(Kind::Tables));
        assert!(!Stores::KeyValue.include(Kind::Tables) && !Stores::Tables.include(Kind::Hash));
    }
}
