//! A small database with an event table that has all that a table can have: a merged part, others, fresh batches,
//! events that were deleted of each, events from before the table had more columns, some of them moved by compaction,
//! before and behind a checkpoint.

#![allow(dead_code, reason = "each test uses the part it needs")]

use annals_columns::{Batch, Filter, Key, Schema};
use annals_engine::{Database, DayRollup, Error, EventTable, Scan};
use std::fmt::Write as _;

/// Half a day.
const STEP_NS: i64 = 12 * 3_600_000_000_000;

/// An event.
#[derive(Schema, Clone, Debug, PartialEq)]
#[schema(schema_id = 12, crate = annals_columns)]
pub(crate) struct Call {
    #[ts]
    pub(crate) at: i64,
    #[metric]
    pub(crate) cost: Option<i64>,
    #[counter]
    pub(crate) tries: u32,
    #[latency]
    pub(crate) ms: u32,
    #[status]
    pub(crate) status: u16,
    #[flags(cached, slow)]
    pub(crate) bits: u16,
    #[dim(bloom, rollup)]
    pub(crate) user: String,
    #[dim]
    pub(crate) model: Option<String>,
    #[id]
    pub(crate) id: String,
    #[label]
    pub(crate) note: String,
}

/// The same with one more field.
#[derive(Schema, Clone, Debug, PartialEq)]
#[schema(schema_id = 12, crate = annals_columns)]
pub(crate) struct LongerCall {
    #[ts]
    pub(crate) at: i64,
    #[metric]
    pub(crate) cost: Option<i64>,
    #[counter]
    pub(crate) tries: u32,
    #[latency]
    pub(crate) ms: u32,
    #[status]
    pub(crate) status: u16,
    #[flags(cached, slow)]
    pub(crate) bits: u16,
    #[dim(bloom, rollup)]
    pub(crate) user: String,
    #[dim]
    pub(crate) model: Option<String>,
    #[id]
    pub(crate) id: String,
    #[label]
    pub(crate) note: String,
    #[counter]
    pub(crate) large: Option<u64>,
}

/// The event of a number.
pub(crate) fn call(n: u32) -> Call {
    let number = i64::from(n);
    Call {
        at: (number * 7 % 11 - 3) * STEP_NS + number % 2,
        cost: (!n.is_multiple_of(4)).then_some([number, i64::MIN, -number][n as usize % 3]),
        tries: n,
        ms: u32::MAX - n,
        status: [200, 404, 503][n as usize % 3],
        bits: n as u16 % 4,
        user: ["ada", "", "bob", "ünal"][n as usize % 4].to_owned(),
        model: (!n.is_multiple_of(5)).then(|| format!("model {}", n % 3)),
        id: format!("{:04}", n % 90),
        note: "note ".repeat(n as usize % 4),
    }
}

/// The same of a table that has more columns.
pub(crate) fn longer_call(n: u32) -> LongerCall {
    let Call { at, cost, tries, ms, status, bits, user, model, id, note } = call(n);
    let large = Some(u64::MAX - u64::from(n)).filter(|_| !n.is_multiple_of(3));
    LongerCall { at, cost, tries, ms, status, bits, user, model, id, note, large }
}

/// The name of the table.
pub(crate) const NAME: &str = "calls";

fn append(table: &EventTable, numbers: std::ops::Range<u32>) {
    let mut batch = Batch::of::<Call>();
    numbers.for_each(|n| batch.push(&call(n)).unwrap());
    table.append_batch(&batch).unwrap();
}

/// Fills a database; says what the table had after each commit of events.
pub(crate) fn fill(db: &Database) -> Vec<Vec<String>> {
    let mut history = Vec::new();
    let mut note = || history.push(lines(db).unwrap());
    let users = db.hash_keyspace("users").unwrap();
    let table = db.table_of::<Call>(NAME).unwrap();
    note();
    for round in 0..4 {
        append(&table, round * 10..round * 10 + 10);
        note();
        table.flush().unwrap();
    }
    assert_eq!(table.merge_parts().unwrap().merged_count, 4);
    append(&table, 40..52);
    note();
    table.flush().unwrap();
    table.delete_events(["0003", "0017", "0044"]).unwrap();
    note();
    append(&table, 52..60);
    note();
    table.delete_events(["0005", "0053"]).unwrap();
    note();
    for n in 0..40u8 {
        users.insert([n % 2], [n; 50]).unwrap();
    }
    db.compact().unwrap();
    let longer = db.table_of::<LongerCall>(NAME).unwrap();
    let mut batch = Batch::of::<LongerCall>();
    (60..66).for_each(|n| batch.push(&longer_call(n)).unwrap());
    longer.append_batch(&batch).unwrap();
    note();
    db.checkpoint().unwrap();
    append(&table, 66..70);
    note();
    let mut commit = db.batch();
    commit.delete_events(&table, ["0066", "0001"]).unwrap();
    let mut batch = Batch::of::<LongerCall>();
    (70..73).for_each(|n| batch.push(&longer_call(n)).unwrap());
    commit.append_rows(&table, &batch).unwrap();
    commit.insert(&users, [9], "x").unwrap();
    commit.commit().unwrap();
    note();
    append(&table, 100..102);
    note();
    history
}

/// The events of the table, and what they come to, each in a line.
pub(crate) fn lines(db: &Database) -> Result<Vec<String>, Error> {
    let table = match db.open_table(NAME) {
        Err(Error::UnknownKeyspace { .. }) => return Ok(Vec::new()),
        table => table?,
    };
    let view = table.view()?;
    let found = view.scan(&Scan::new())?;
    let mut lines = Vec::new();
    for at in 0..found.len() {
        let event = found.event::<LongerCall>(at)?;
        lines.push(format!("{event:?}"));
        if view.event(&event.id)?.is_none() {
            lines.push(format!("{} is not found by its id", event.id));
        }
    }
    for (field, name) in ["cost", "tries", "ms", "status"].into_iter().enumerate() {
        lines.push(format!("{name}: {:?}", view.totals(1 + field)?));
    }
    let groups = view.query().group_by("user").measure_bounds("cost").run()?;
    for group in groups.sorted() {
        let [Key::Text(user)] = group.keys() else { continue };
        let mut line = format!("{user:?}: {} events, {:?}", group.rows(), group.measured("cost")?);
        for day in DayRollup::day_of(-3 * STEP_NS)..=DayRollup::day_of(8 * STEP_NS) {
            if let Some(of_day) = view.rollup_of(6, day, user)? {
                write!(line, "; {day}: {} {:?}", of_day.events_count, of_day.totals).unwrap();
            }
        }
        lines.push(line);
    }
    let field = |name: &str| Ok::<_, Error>(view.schema().field(name)?);
    let filter = Filter::eq(field("status")?, 404u16).and(Filter::eq(field("user")?, "ada"));
    lines.push(format!("404: {}", view.count(filter)?));
    Ok(lines)
}
