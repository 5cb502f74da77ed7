//! Damage takes what it hit: what stands behind it is read.

use annals_engine::{
    Background, Database, Error, ErrorKind, ExpectedVersion, NewEvent, RecordedEvent, Result, Seq,
};
use std::path::Path;

pub(super) fn open(dir: &Path) -> Database {
    let builder = Database::builder().segment_bytes(64 << 10).background(Background::Manual);
    builder.open(dir.join("db")).unwrap()
}

pub(super) fn data(n: u64) -> String {
    format!("event number {n:05} {}", "x".repeat(200))
}

/// Flips a bit of the data of event `n`, in whichever segment that is.
pub(super) fn damage(dir: &Path, n: u64) {
    let data = data(n);
    for entry in std::fs::read_dir(dir.join("db")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "seg") {
            continue;
        }
        let mut bytes = std::fs::read(&path).unwrap();
        let found = bytes.windows(data.len()).position(|some| some == data.as_bytes());
        if let Some(at) = found {
            bytes[at + 20] ^= 1;
            std::fs::write(&path, bytes).unwrap();
            return;
        }
    }
    panic!("event {n} is in no segment");
}

fn number(event: &RecordedEvent<'_>) -> u64 {
    event.version()
}

pub(super) fn is_damage<T>(outcome: &Result<T>) -> bool {
    let of_the_log =
        |error: &Error| matches!(error, Error::Journal(_) | Error::DamagedEvents { .. });
    outcome.as_ref().is_err_and(|error| of_the_log(error) && error.kind() == ErrorKind::Corrupt)
}

#[test]
fn events_behind_damage_are_read_by_who_begins_there() {
    const COUNT: u64 = 150;
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let category = db.category("orders").unwrap();
    let seqs: Vec<Seq> = (0..COUNT)
        .map(|n| {
            let data = data(n);
            let event = NewEvent::bytes(if n % 2 == 0 { "even" } else { "odd" }, data.as_bytes());
            category.append(7u64, &event, ExpectedVersion::Any).unwrap().first_seq
        })
        .collect();
    drop(category);
    db.close().unwrap();
    // Two in a row, and one further on.
    let damaged = [40, 41, 90];
    damaged.iter().for_each(|n| damage(dir.path(), *n));
    let db = open(dir.path());
    let category = db.open_category("orders").unwrap();
    for from in [0, 39, 40, 41, 42, 60, 90, 91, COUNT - 1] {
        let seq = seqs[from as usize];
        let end = damaged.into_iter().find(|n| *n >= from).unwrap_or(COUNT);
        let expected: Vec<u64> = (from..end).collect();
        let check = |events: &mut dyn Iterator<Item = Result<RecordedEvent<'_>>>| {
            let mut read = Vec::new();
            for event in events {
                match event {
                    Ok(event) => read.push(number(&event)),
                    Err(error) => {
                        assert!(is_damage::<()>(&Err(error)));
                        assert!(end < COUNT, "there is no damage behind {from}");
                        break;
                    }
                }
            }
            read
        };
        assert_eq!(check(&mut db.read_all(seq).unwrap()), expected, "from {from}");
        assert_eq!(check(&mut category.read_all(seq).unwrap()), expected, "from {from}");
        let odd: Vec<u64> = expected.iter().copied().filter(|n| n % 2 == 1).collect();
        assert_eq!(check(&mut db.read_all(seq).unwrap().of_type("odd")), odd, "from {from}");
        let mut events = db.subscribe(seq).unwrap();
        let mut subscribed = Vec::new();
        while let Ok(Some(event)) = events.try_next() {
            subscribed.push(number(&event));
        }
        assert_eq!(subscribed, expected, "from {from}");
        // What was hit is told each time, and not passed over.
        assert_eq!(is_damage(&events.try_next()), end < COUNT, "from {from}");
    }
    for (n, seq) in (0..COUNT).zip(&seqs) {
        let found = db.event_at(*seq);
        match damaged.contains(&n) {
            true => assert!(is_damage(&found), "{found:?}"),
            false => assert_eq!(found.unwrap().map(|event| number(&event)), Some(n)),
        }
    }
}

/// Whether it is the one that cannot be read nobody can tell: to store it once more would be to have it twice.
#[test]
fn an_event_whose_id_may_be_that_of_a_damaged_one_is_not_stored_again() {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let category = db.category("orders").unwrap();
    let texts: Vec<_> = (0..3).map(data).collect();
    let event = |n: usize| NewEvent::bytes("n", texts[n].as_bytes()).id(n as u128 + 1);
    for n in 0..3 {
        category.append(7u64, &event(n), ExpectedVersion::Any).unwrap();
    }
    drop(category);
    db.close().unwrap();
    damage(dir.path(), 1);
    let db = open(dir.path());
    let category = db.open_category("orders").unwrap();
    for _ in 0..2 {
        assert!(is_damage(&category.append(7u64, &event(1), ExpectedVersion::Any)));
        let both = [event(1), event(2)];
        assert!(is_damage(&category.append_many(7u64, &both, ExpectedVersion::Any)));
        let mut batch = db.batch();
        assert!(is_damage(&batch.append(&category, 7u64, &[event(1)], ExpectedVersion::Any)));
    }
    assert!(category.append(7u64, &event(2), ExpectedVersion::Any).unwrap().was_there);
    let new = NewEvent::bytes("n", b"").id(9);
    assert_eq!(category.append(7u64, &new, ExpectedVersion::Any).unwrap().last_version, 3);
}
