//! Random questions about random events, put to an event table of Annals and to DuckDB: the answers have to be the same
//! to the last unit, while events are fresh, when they are in parts, when the parts are merged, and when some were
//! deleted. The table lies on a simulated disk, whose power is cut in between: also in the middle of a flush and of a merge,
//! of which no answer may tell.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use annals::columns::{Batch, Filter, GroupBy, Key, Value};
use annals::disk::{SimDisk, SimOptions};
use annals::{Background, Database, Durability, EventTable, Scan, TableView};
use serde_json::Value as Json;

use crate::Result;
use crate::data::mix;

/// Questions that are put to each state of a table.
const QUESTIONS: usize = 12;
/// Events of a table.
const EVENTS: u64 = 1_500;

/// An event.
#[derive(Clone, Debug, annals::Schema)]
#[schema(schema_id = 2)]
struct Call {
    #[ts]
    at: i64,
    #[metric]
    cost: Option<i64>,
    #[counter]
    tries: u32,
    #[counter]
    large: Option<u64>,
    #[latency]
    ms: u32,
    #[status]
    status: u16,
    #[dim(bloom, rollup)]
    user: String,
    #[dim]
    model: Option<String>,
    #[label]
    note: Option<String>,
    #[id]
    id: String,
}

const COLUMNS: &str = "ts BIGINT, cost BIGINT, tries UINTEGER, large UBIGINT, ms UINTEGER, status USMALLINT, \
     usr TEXT, model TEXT, note TEXT, id TEXT, n BIGINT";
const NAMES: [&str; 10] =
    ["ts", "cost", "tries", "large", "ms", "status", "usr", "model", "note", "id"];
const AT: usize = 0;
const COST: usize = 1;
const TRIES: usize = 2;
const LARGE: usize = 3;
const MS: usize = 4;
const STATUS: usize = 5;
const USER: usize = 6;
const MODEL: usize = 7;
const NOTE: usize = 8;
const TEXTS: [&str; 12] =
    ["", "a", "ab", "abc", "ä", "O'Neil", "x\"y", "z,z", "%_", "\\", "\n", "ab\u{10ffff}"];

/// Numbers from a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 += 1;
        mix(self.0) % limit
    }

    fn pick<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }

    fn time(&mut self) -> i64 {
        match self.below(30) {
            0 => i64::MIN,
            1 => i64::MAX,
            2 => self.below(u64::MAX) as i64,
            _ => self.below(2_000) as i64 - 500,
        }
    }

    fn cost(&mut self) -> i64 {
        match self.below(9) {
            0 => i64::MIN,
            1 => i64::MAX,
            2 => self.below(u64::MAX) as i64,
            _ => self.below(40) as i64 - 20,
        }
    }

    fn large(&mut self) -> u64 {
        let any = self.below(u64::MAX);
        self.pick(&[0, 1, 7, u64::MAX, any])
    }

    fn small(&mut self) -> u32 {
        let any = self.below(1 << 32) as u32;
        self.pick(&[0, 1, 2, 3, 100, u32::MAX, any])
    }

    fn event(&mut self, number: u64) -> Call {
        let model = self.pick(&TEXTS);
        Call {
            at: self.time(),
            cost: (self.below(5) > 0).then(|| self.cost()),
            tries: self.small(),
            large: (self.below(3) > 0).then(|| self.large()),
            ms: self.small(),
            status: self.pick(&[0, 200, 404, 500, 503, u16::MAX]),
            user: format!("{}{}", self.pick(&TEXTS), self.below(9)),
            model: (self.below(4) > 0).then(|| model.to_owned()),
            note: (self.below(4) > 0).then(|| self.pick(&TEXTS).repeat(self.below(40) as usize)),
            id: number.to_string(),
        }
    }

    /// A filter, and the same in SQL. What has no value is meant by no comparison.
    fn filter(&mut self, depth: u32) -> (Filter, String) {
        match self.below(if depth == 0 { 12 } else { 17 }) {
            0 => (Filter::All, "true".to_owned()),
            1 | 2 => {
                let (from, until) = (self.time(), self.time());
                let sql = format!("(ts >= {from} AND ts < {until})");
                (Filter::between(AT, from, until), sql)
            }
            3 => {
                let cost = self.cost();
                match self.below(3) {
                    0 => (Filter::eq(COST, cost), compared("cost", "=", &cost.to_string())),
                    1 => (Filter::above(COST, cost), compared("cost", ">", &cost.to_string())),
                    _ => (Filter::at_most(COST, cost), compared("cost", "<=", &cost.to_string())),
                }
            }
            4 => {
                let large = self.large();
                (Filter::below(LARGE, large), compared("large", "<", &large.to_string()))
            }
            5 => {
                let tries = self.small();
                (Filter::at_least(TRIES, tries), compared("tries", ">=", &tries.to_string()))
            }
            6 => {
                let status = self.pick(&[0u16, 200, 404, 499, 503, u16::MAX]);
                if self.below(2) == 0 {
                    (Filter::eq(STATUS, status), compared("status", "=", &status.to_string()))
                } else {
                    (
                        Filter::at_least(STATUS, status),
                        compared("status", ">=", &status.to_string()),
                    )
                }
            }
            7 | 8 => {
                let user = format!("{}{}", self.pick(&TEXTS), self.below(11));
                (Filter::eq(USER, user.as_str()), compared("usr", "=", &quoted(&user)))
            }
            9 => {
                let (field, text) = (self.pick(&[USER, MODEL, NOTE]), self.pick(&TEXTS));
                let sql =
                    format!("coalesce(starts_with({}, {}), false)", NAMES[field], quoted(text));
                (Filter::Prefix(field, text.to_owned()), sql)
            }
            10 => {
                let (field, text) = (self.pick(&[MODEL, NOTE]), self.pick(&TEXTS));
                (Filter::at_least(field, text), compared(NAMES[field], ">=", &quoted(text)))
            }
            11 => {
                let field = self.pick(&[COST, LARGE, MODEL, NOTE]);
                (Filter::Present(field), format!("({} IS NOT NULL)", NAMES[field]))
            }
            12 => {
                let texts: Vec<&str> = (0..3).map(|_| self.pick(&TEXTS)).collect();
                let all: Vec<_> = texts.iter().map(|text| quoted(text)).collect();
                let sql = format!("coalesce(model IN ({}), false)", all.join(", "));
                (Filter::is_in(MODEL, texts), sql)
            }
            13 => {
                let (filter, sql) = self.filter(depth - 1);
                (!filter, format!("(NOT {sql})"))
            }
            kind => {
                let ((one, one_sql), (other, other_sql)) =
                    (self.filter(depth - 1), self.filter(depth - 1));
                match kind {
                    14 | 15 => (one.and(other), format!("({one_sql} AND {other_sql})")),
                    _ => (one.or(other), format!("({one_sql} OR {other_sql})")),
                }
            }
        }
    }
}

fn compared(name: &str, how: &str, with: &str) -> String {
    format!("coalesce({name} {how} {with}, false)")
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn or_null<T>(value: &Option<T>, tell: impl Fn(&T) -> String) -> String {
    value.as_ref().map_or_else(|| "NULL".to_owned(), tell)
}

impl Call {
    fn sql(&self) -> String {
        let Self { at, cost, tries, large, ms, status, user, model, note, id } = self;
        let text = |text: &Option<String>| or_null(text, |text| quoted(text));
        let (cost, large) = (or_null(cost, i64::to_string), or_null(large, u64::to_string));
        let (user, model, note) = (quoted(user), text(model), text(note));
        format!(
            "({at}, {cost}, {tries}, {large}, {ms}, {status}, {user}, {model}, {note}, '{id}', {id})"
        )
    }
}

/// DuckDB, in a process of its own.
struct Duck {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Duck {
    fn start() -> Result<Self> {
        let python = std::env::var("BENCH_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let mut child = Command::new(python)
            .args(["-c", include_str!("table_engines/duckdb.py"), ":memory:"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let to = child.stdin.take().ok_or("no standard input")?;
        let from = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        let mut duck = Self { child, to, from };
        duck.read().map_err(|_| "NOT CHECKED: there is no DuckDB; `pip install duckdb`")?;
        Ok(duck)
    }

    fn read(&mut self) -> Result<Json> {
        let mut line = String::new();
        self.from.read_line(&mut line)?;
        Ok(serde_json::from_str(&line).map_err(|_| "the process of DuckDB ended")?)
    }

    /// The rows of an answer, the cells of each side by side: all of them are texts.
    fn rows(&mut self, sql: &str) -> Result<Vec<String>> {
        writeln!(self.to, "{}", Json::from(sql))?;
        self.to.flush()?;
        let told = self.read()?;
        if let Some(error) = told["error"].as_str() {
            return Err(format!("DuckDB: {error}, of {}", &sql[..sql.len().min(900)]).into());
        }
        let rows = told["rows"].as_array().ok_or("DuckDB tells no rows")?;
        let text = |cell: &Json| cell.as_str().map_or_else(|| cell.to_string(), str::to_owned);
        let row = |row: &Json| row.as_array().map(|row| row.iter().map(text).collect::<Vec<_>>());
        Ok(rows.iter().filter_map(row).map(|row| row.join("|")).collect())
    }

    fn close(self) -> Result<()> {
        let Self { mut child, to, .. } = self;
        drop(to);
        child.wait()?;
        Ok(())
    }
}

/// A number or `-`.
fn told(value: Value<'_>) -> String {
    match value {
        Value::I64(number) => number.to_string(),
        Value::U64(number) => number.to_string(),
        _ => "-".to_owned(),
    }
}

const MEASURED: [usize; 5] = [AT, COST, TRIES, LARGE, MS];

/// Groups: by what, and what of each.
fn ask_groups(view: &TableView<'_>, random: &mut Random) -> Result<(Vec<String>, String)> {
    let (filter, condition) = random.filter(2);
    let mut query = view.query().filter(filter);
    let mut keys = Vec::new();
    let mut left = vec![USER, MODEL, STATUS, TRIES, AT];
    for _ in 0..random.below(4) {
        let by = left.swap_remove(random.below(left.len() as u64) as usize);
        if by == AT {
            let bucket_ns = random.pick(&[1u64 << 50, 1 << 61, 86_400_000_000_000_000]);
            query = query.group_by(GroupBy::Time { bucket_ns });
            // The first bucket begins before the first time there is.
            let low =
                format!("ts::HUGEINT - ((ts::HUGEINT % {bucket_ns} + {bucket_ns}) % {bucket_ns})");
            keys.push(format!("greatest({low}, {}::HUGEINT)", i64::MIN));
        } else {
            query = query.group_by(by);
            keys.push(NAMES[by].to_owned());
        }
    }
    for field in MEASURED {
        query = query.measure_bounds(field);
    }
    let found = query.quantiles(MS).quantiles(COST).distinct(NOTE).distinct(MODEL).run()?;
    let groups = if keys.is_empty() { vec![found.total()?] } else { found.groups() };
    let mut lines = Vec::new();
    for group in groups {
        let mut line = String::new();
        for key in group.keys() {
            match key {
                Key::Absent => line += "-|",
                Key::Number(number) => write!(line, "{number}|")?,
                Key::Time(start) => write!(line, "{start}|")?,
                Key::Text(text) => write!(line, "{text}|")?,
            }
        }
        write!(line, "{}", group.rows())?;
        for field in MEASURED {
            let of = group.measured(field)?;
            write!(line, "|{}|{}|{}|{}", of.count, of.sum, told(of.min()), told(of.max()))?;
        }
        for field in [MS, COST] {
            for share in group.quantiles(field)?.at_each(&[0.0, 0.5, 0.99, 1.0]) {
                write!(line, "|{}", told(share))?;
            }
        }
        for field in [NOTE, MODEL] {
            write!(line, "|{}", group.distinct(field)?.count())?;
        }
        lines.push(line);
    }
    let mut sql = "SELECT ".to_owned();
    for key in &keys {
        write!(sql, "coalesce(({key})::VARCHAR, '-'), ")?;
    }
    sql += "count(*)::VARCHAR";
    let of = |what: String, none: &str| format!(", coalesce(({what})::VARCHAR, '{none}')");
    for name in MEASURED.map(|field| NAMES[field]) {
        sql += &of(format!("count({name})"), "0");
        sql += &of(format!("sum({name}::HUGEINT)"), "0");
        sql += &of(format!("min({name})"), "-");
        sql += &of(format!("max({name})"), "-");
    }
    for name in ["ms", "cost"] {
        for share in ["0.0", "0.5", "0.99", "1.0"] {
            sql += &of(format!("quantile_disc({name}, {share})"), "-");
        }
    }
    sql += ", count(DISTINCT note)::VARCHAR, count(DISTINCT model)::VARCHAR";
    write!(sql, " FROM calls WHERE {condition}")?;
    if !keys.is_empty() {
        write!(sql, " GROUP BY {}", keys.join(", "))?;
    }
    Ok((lines, sql))
}

/// The ids of some events in the order of their times, from one of its ends on.
fn ask_rows(view: &TableView<'_>, random: &mut Random) -> Result<(Vec<String>, String)> {
    let (filter, condition) = random.filter(2);
    let limit = random.pick(&[1, 10, 200, 5_000]);
    let mut scan = Scan::new().filter(filter).limit(limit);
    let is_newest_first = random.below(2) == 0;
    if is_newest_first {
        scan = scan.newest_first();
    }
    let found = view.scan(&scan)?;
    let ids = found.events::<Call>().map(|event| Ok(event?.id)).collect::<Result<Vec<_>>>()?;
    let order = if is_newest_first { "DESC" } else { "ASC" };
    let sql = format!(
        "SELECT id FROM calls WHERE {condition} ORDER BY ts {order}, n {order} LIMIT {limit}"
    );
    Ok((ids, sql))
}

fn compare(state: &str, table: &EventTable, duck: &mut Duck, random: &mut Random) -> Result<u64> {
    for n in 0..QUESTIONS {
        let view = table.view()?;
        let is_rows = n % 3 == 2;
        let (mut ours, sql) =
            if is_rows { ask_rows(&view, random)? } else { ask_groups(&view, random)? };
        let mut theirs = duck.rows(&sql)?;
        if !is_rows {
            ours.sort();
            theirs.sort();
        }
        if ours != theirs {
            let at = (0..ours.len().max(theirs.len())).find(|at| ours.get(*at) != theirs.get(*at));
            let at = at.unwrap_or_default();
            let (ours, theirs) = (ours.get(at), theirs.get(at));
            return Err(format!(
                "{state}: {sql}\n  line {at}\n  annals {ours:?}\n  DuckDB {theirs:?}"
            )
            .into());
        }
    }
    Ok(QUESTIONS as u64)
}

/// A table on a simulated disk.
struct Store {
    disk: SimDisk,
    db: Database,
    table: EventTable,
}

impl Store {
    fn open(disk: SimDisk) -> Result<Self> {
        let builder = Database::builder().disk(std::sync::Arc::new(disk.clone()));
        // What is acknowledged is there after any power cut; and nobody works beside the caller, so that each seed does the
        // same again.
        let builder = builder.durability(Durability::Sync).background(Background::Manual);
        let db = builder.open("db")?;
        let table = db.table_of::<Call>("calls")?;
        Ok(Self { disk, db, table })
    }

    /// Does something while the power is cut at one of the next operations of the disk, and opens what is left.
    fn cut_power(self, after: u64, work: impl FnOnce(&EventTable)) -> Result<Self> {
        let Self { disk, db, table } = self;
        disk.cut_power_at(disk.operations() + after);
        work(&table);
        drop((table, db));
        Self::open(disk.restart())
    }
}

/// One table of random events; says how many questions were put.
fn check(seed: u64, duck: &mut Duck) -> Result<u64> {
    let random = &mut Random(seed << 32);
    let mut store = Store::open(SimDisk::new(SimOptions::seeded(seed)))?;
    duck.rows(&format!("CREATE OR REPLACE TABLE calls ({COLUMNS})"))?;
    let count = 1 + random.below(EVENTS);
    let events: Vec<Call> = (0..count).map(|number| random.event(number)).collect();
    for some in events.chunks(500) {
        let all: Vec<String> = some.iter().map(Call::sql).collect();
        duck.rows(&format!("INSERT INTO calls VALUES {}", all.join(", ")))?;
    }
    // Fresh; some in parts; all in parts; these merged; some deleted of parts and of what is fresh.
    let batches = 4 + random.below(6);
    let rows = events.len().div_ceil(batches as usize).max(1);
    let append = |table: &EventTable, some: &[Call]| -> Result<()> {
        let mut batch = Batch::of::<Call>();
        some.iter().try_for_each(|event| batch.push(event))?;
        table.append_batch(&batch)?;
        Ok(())
    };
    events.chunks(rows).try_for_each(|some| append(&store.table, some))?;
    let mut asked = compare("fresh", &store.table, duck, random)?;
    store = store.cut_power(0, |_| ())?;
    asked += compare("fresh, after a power cut", &store.table, duck, random)?;
    store = store.cut_power(random.below(8), |table| drop(table.flush()))?;
    asked += compare("after a power cut in a flush", &store.table, duck, random)?;
    store.table.flush()?;
    asked += compare("one part", &store.table, duck, random)?;
    store.table.gc(i64::MIN)?;
    let ids = (0..events.len()).map(|n| n.to_string());
    store.table.delete_events(ids)?;
    for (n, some) in events.chunks(rows).enumerate() {
        append(&store.table, some)?;
        if n as u64 != batches - 1 {
            store.table.flush()?;
        }
    }
    asked += compare("parts", &store.table, duck, random)?;
    store = store.cut_power(random.below(12), |table| drop(table.merge_parts()))?;
    asked += compare("after a power cut in a merge", &store.table, duck, random)?;
    store.table.merge_parts()?;
    asked += compare("merged parts", &store.table, duck, random)?;
    let gone: Vec<String> =
        (0..events.len()).filter(|_| random.below(3) == 0).map(|n| n.to_string()).collect();
    store.table.delete_events(&gone)?;
    let all: Vec<String> = gone.iter().map(|id| quoted(id)).chain(["''".to_owned()]).collect();
    duck.rows(&format!("DELETE FROM calls WHERE id IN ({})", all.join(", ")))?;
    asked += compare("what is left", &store.table, duck, random)?;
    store = store.cut_power(0, |_| ())?;
    asked += compare("what is left after a power cut", &store.table, duck, random)?;
    store.table.flush()?;
    store.table.merge_parts()?;
    Ok(asked + compare("what is left, in parts", &store.table, duck, random)?)
}

/// Checks tables of the seeds below `seeds`.
pub(crate) fn run(seeds: std::ops::Range<u64>) -> Result<()> {
    let mut duck = Duck::start()?;
    let mut asked = 0;
    for seed in seeds.clone() {
        asked += check(seed, &mut duck).map_err(|error| format!("seed {seed}: {error}"))?;
    }
    duck.close()?;
    println!("{} tables, {asked} questions: DuckDB says the same", seeds.end - seeds.start);
    Ok(())
}
