//! Event tables: what the model says of them, and reading them in every way there is.
//!
//! In the model an event is a record: its id and its number, which no other has, and all else that it is. Several events
//! may have one id.

use crate::model::{Records, State};
use annals_columns::{Key, Schema};
use annals_engine::{Database, DayRollup, Error, EventTable, Scan, TableView};
use std::collections::BTreeMap;

/// Times lie so far apart.
const STEP_NS: i64 = 8 * 3_600_000_000_000;
/// There are so many times.
const TIMES: u64 = 9;
/// There are so many ids.
const IDS: u64 = 50;

/// An event. Its cost is its number.
#[derive(Schema, Clone, Debug, PartialEq)]
#[schema(schema_id = 9, crate = annals_columns)]
pub(crate) struct Call {
    #[ts]
    pub(crate) at: i64,
    #[metric]
    pub(crate) cost: i64,
    #[dim(rollup)]
    pub(crate) user: String,
    #[id]
    pub(crate) id: String,
    #[label]
    pub(crate) note: String,
}

/// The same with one more field.
#[derive(Schema, Clone, Debug, PartialEq)]
#[schema(schema_id = 9, crate = annals_columns)]
pub(crate) struct LongerCall {
    #[ts]
    pub(crate) at: i64,
    #[metric]
    pub(crate) cost: i64,
    #[dim(rollup)]
    pub(crate) user: String,
    #[id]
    pub(crate) id: String,
    #[label]
    pub(crate) note: String,
    #[label]
    pub(crate) more: Option<String>,
}

impl Call {
    /// The event of a number, with a note of a length.
    pub(crate) fn numbered(number: u64, len: usize) -> Self {
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
        Self {
            at: (mixed % TIMES) as i64 * STEP_NS - STEP_NS,
            cost: number as i64,
            user: format!("user {}", mixed / 16 % 4),
            id: (number % IDS).to_string(),
            note: char::from(b'a' + (number % 26) as u8).to_string().repeat(len),
        }
    }

    /// Its key in the model.
    pub(crate) fn key(&self) -> Vec<u8> {
        format!("{}/{:08}", self.id, self.cost).into_bytes()
    }

    /// Its value in the model.
    pub(crate) fn value(&self) -> Vec<u8> {
        format!("{} {} {}", self.at, self.user, self.note).into_bytes()
    }
}

/// The id of the event with this key in the model.
pub(crate) fn id_of(key: &[u8]) -> String {
    let id = key.split(|byte| *byte == b'/').next().unwrap_or_default();
    String::from_utf8_lossy(id).into_owned()
}

/// Whether the keyspace of this name is a table.
pub(crate) fn is_table(name: &str) -> bool {
    name.starts_with("table-")
}

/// The tables of a database as the model has them.
pub(crate) fn tables(db: &Database, names: &[String]) -> Result<State, String> {
    let mut state = State::new();
    for name in names.iter().filter(|name| is_table(name)) {
        let found = match records(db, name) {
            // Who was about to make it did not come to give it a schema.
            Err(Error::NoSchema { .. }) => Ok(Records::new()),
            Err(error) => return Err(format!("reading {name}: {error}")),
            Ok(found) => found,
        };
        state.insert(name.clone(), found.map_err(|what| format!("{name}: {what}"))?);
    }
    Ok(state)
}

fn records(db: &Database, name: &str) -> Result<Result<Records, String>, Error> {
    let table: EventTable = db.open_table(name)?;
    let view = table.view()?;
    let found = view.scan(&Scan::new())?;
    let events: Vec<Call> = found.events::<Call>().collect::<Result<_, Error>>()?;
    let mut records = Records::new();
    for event in &events {
        if records.insert(event.key(), event.value().into()).is_some() {
            return Ok(Err(format!("event {} is there twice", event.cost)));
        }
    }
    if !events.is_sorted_by_key(|event| (event.at, event.cost)) {
        return Ok(Err("events are out of order".into()));
    }
    Ok(agrees(&view, &events)?.map(|()| records))
}

/// Whether what is asked of a view fits the events that it has.
fn agrees(view: &TableView<'_>, events: &[Call]) -> Result<Result<(), String>, Error> {
    let differs = |what: &str| Ok(Err(format!("{what} differs from reading all events")));
    if view.len() != events.len() as u64 {
        return differs("the count of events");
    }
    let sum: i128 = events.iter().map(|event| i128::from(event.cost)).sum();
    if view.totals(1)?.is_none_or(|totals| totals.sum != sum) {
        return differs("the sum");
    }
    let newest = view.recent(5)?;
    for (at, event) in events.iter().rev().take(5).enumerate() {
        if newest.event::<Call>(at)? != *event {
            return differs("one of the newest events");
        }
    }
    // Of each user how many events there are, what they come to, and that by day.
    let mut users: BTreeMap<&str, (u64, i128)> = BTreeMap::new();
    let mut days: BTreeMap<i64, BTreeMap<&str, (u64, i128)>> = BTreeMap::new();
    let mut last_of_ids: BTreeMap<&str, &Call> = BTreeMap::new();
    for event in events {
        let day = days.entry(DayRollup::day_of(event.at)).or_default();
        for sums in [users.entry(&event.user), day.entry(&event.user)] {
            let sums = sums.or_default();
            *sums = (sums.0 + 1, sums.1 + i128::from(event.cost));
        }
        let last = last_of_ids.entry(&event.id).or_insert(event);
        if last.cost < event.cost {
            *last = event;
        }
    }
    let groups = view.query().group_by("user").measure("cost").run()?;
    let mut found = BTreeMap::new();
    for group in groups.groups() {
        let [Key::Text(user)] = group.keys() else { return differs("the key of a group") };
        found.insert(*user, (group.rows(), group.measured("cost")?.sum));
    }
    if found != users {
        return differs("what users come to");
    }
    for day in DayRollup::day_of(-STEP_NS)..=DayRollup::day_of(TIMES as i64 * STEP_NS) {
        let rollup = view.rollup(2, day)?;
        let found: BTreeMap<&str, (u64, i128)> = rollup
            .iter()
            .map(|user| (user.value().unwrap_or_default(), (user.events_count, user.totals(0).sum)))
            .collect();
        if found != days.remove(&day).unwrap_or_default() {
            return differs("what users come to by day");
        }
    }
    for (id, last) in last_of_ids.iter().take(3) {
        match view.event(id)? {
            Some(found) if found.event::<Call>(0)? == **last => {}
            _ => return differs("the event that came last of an id"),
        }
    }
    Ok(Ok(()))
}
