//! A stream that tells what was stored: appended event by event, each behind the one before it, and read back.

use super::{Stage, broken};
use crate::{clock::Stopwatch, failure::Result, output::Report, units};
use annals::{Category, Error, ExpectedVersion, NewEvent, Seq};

/// The category and its stream.
const CATEGORY: &str = "tour-streams";
const STREAM: &str = "input";
const TYPE: &str = "stored";

/// Each event is a commit of its own: no more of them.
const EVENTS_MAX: usize = 1_000;

const STEP: &str = "append events";

/// Appends an event for each record, sees one refused that comes too late, and reads all back.
pub(super) fn append(stage: &mut Stage<'_>) -> Result<()> {
    let records = stage.input.records().iter().take(EVENTS_MAX);
    let events: Vec<String> = records
        .map(|(key, value)| {
            let key = String::from_utf8_lossy(key);
            serde_json::json!({"key": key, "bytes": value.len()}).to_string()
        })
        .collect();
    let db = stage.open()?;
    let category = db.category(CATEGORY)?;
    let clock = Stopwatch::start();
    let mut expected = ExpectedVersion::NoStream;
    for json in &events {
        let appended = category.append(STREAM, &NewEvent::json(TYPE, json), expected)?;
        expected = ExpectedVersion::Exact(appended.last_version);
    }
    let seconds = clock.seconds();
    let stale = NewEvent::json(TYPE, "null");
    match category.append(STREAM, &stale, ExpectedVersion::NoStream) {
        Err(Error::VersionConflict { .. }) => {}
        _ => return Err(broken(STEP, "an event that came too late was not refused")),
    }
    let clock = Stopwatch::start();
    compare(&category, &events)?;
    let read_seconds = clock.seconds();
    drop(category);
    db.close()?;

    let count = events.len() as u64;
    let mut report = Report::default();
    report
        .count("events_count", count)
        .count("refused_count", 1)
        .seconds("seconds", seconds)
        .rate("events_per_second", units::rate(count, seconds))
        .seconds("read_seconds", read_seconds);
    let append = format!("append {CATEGORY} {STREAM} '{{\"bytes\":7}}' --type {TYPE}");
    let read = format!("read {CATEGORY} {STREAM} --backward --limit 3");
    let commands = [stage.teller.annals_writing(&append), stage.teller.annals(&read)];
    stage.teller.step(STEP, &report, &commands)
}

/// Reads the stream, and all events of the category in their order.
fn compare(category: &Category, events: &[String]) -> Result<()> {
    let (stream, all) = (category.read(STREAM)?, category.read_all(Seq::ZERO)?);
    let ways: [Box<dyn Iterator<Item = _>>; 2] = [Box::new(stream), Box::new(all)];
    for found in ways {
        let mut count = 0;
        for event in found {
            let event = event?;
            let is_it = events.get(count).is_some_and(|json| json.as_bytes() == event.data());
            if !is_it || event.version() != count as u64 {
                return Err(broken(STEP, format!("event {count} is another than was appended")));
            }
            count += 1;
        }
        if count != events.len() {
            return Err(broken(STEP, format!("{count} events instead of {}", events.len())));
        }
    }
    Ok(())
}
