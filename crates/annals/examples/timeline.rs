//! Measurements by place and time: ranges, prefixes, the newest before a moment, retention.
//!
//! Keys sort byte by byte, so a key that begins with the place and goes on with the time in digits of
//! fixed length keeps what is read together side by side.
//!
//!     cargo run --example timeline [DIRECTORY]

use annals::{Database, OrderedKeyspace};
use std::{error::Error, path::Path};

const DAY_S: u64 = 86_400;

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args_os().nth(1) {
        Some(dir) => run(Path::new(&dir)),
        None => run(tempfile::tempdir()?.path()),
    }
}

pub(crate) fn run(dir: &Path) -> Result<(), Box<dyn Error>> {
    let db = Database::open(dir)?;
    let readings = db.keyspace("readings")?;

    // One commit for all: in whatever order they come, they are read in that of their keys.
    let mut batch = db.batch();
    for hour in (0..10 * 24).rev() {
        for place in ["attic", "cellar"] {
            let celsius = if place == "attic" { 20 + hour % 24 } else { 12 };
            batch.insert(&readings, key(place, hour * 3600), celsius.to_string())?;
        }
    }
    batch.commit()?;

    // One day in one place, up to, and without, its end.
    let day = readings.range(key("attic", 3 * DAY_S)..key("attic", 4 * DAY_S))?;
    let warmest = day.map(|entry| Ok(number(entry?.value()))).max_by_key(degrees);
    println!("warmest on the third day: {}", warmest.ok_or("no readings")??);

    // The newest that is not newer than a moment: the first one backwards.
    let moment = 5 * DAY_S + 1800;
    let newest = readings.range(key("cellar", 0)..=key("cellar", moment))?.next_back();
    let newest = newest.ok_or("nothing before that")??;
    assert_eq!(newest.key(), key("cellar", 5 * DAY_S).as_bytes());

    // What is older than a week goes, at the cost of one record each.
    for place in ["attic", "cellar"] {
        readings.remove_range(key(place, 0)..key(place, 3 * DAY_S))?;
    }
    println!("{} readings are left", readings.len()?);
    assert_eq!(count(&readings, "cellar/")?, 7 * 24);
    db.close()?;
    Ok(())
}

/// A place and a time in seconds, in ten digits.
fn key(place: &str, time_s: u64) -> String {
    format!("{place}/{time_s:010}")
}

fn number(value: &[u8]) -> i64 {
    String::from_utf8_lossy(value).parse().unwrap_or_default()
}

/// Damage counts as the warmest, so that it is not overlooked.
fn degrees(reading: &annals::Result<i64>) -> i64 {
    *reading.as_ref().unwrap_or(&i64::MAX)
}

fn count(readings: &OrderedKeyspace, prefix: &str) -> annals::Result<usize> {
    readings.prefix(prefix)?.try_fold(0, |count, entry| entry.map(|_| count + 1))
}
