//! A stream is deleted only if it is what was expected.

use annals_engine::{
    Database, Error,
    ExpectedVersion::{self, Any, Exact, NoStream, StreamExists},
    KeyspaceOptions, NewEvent, Result,
};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

fn click() -> NewEvent<'static> {
    NewEvent::bytes("click", b"x")
}

fn is_conflict(refused: Result<()>, of: ExpectedVersion, last: Option<u64>) {
    match refused {
        Err(Error::VersionConflict { category, stream, expected, found }) => {
            assert_eq!((category.as_str(), stream.as_str()), ("clicks", "ada"));
            assert_eq!((expected, found), (of, last));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_stream_that_is_not_as_expected_is_not_deleted() -> Result<()> {
    for for_good in [false, true] {
        let db = Database::open_in_memory()?;
        let clicks = db.category("clicks")?;
        let delete = |expected| match for_good {
            true => clicks.tombstone_expecting("ada", expected),
            false => clicks.delete_expecting("ada", expected),
        };
        for expected in [Exact(0), StreamExists] {
            is_conflict(delete(expected), expected, None);
        }
        assert!(!clicks.info("ada")?.is_tombstone);
        clicks.append_many("ada", &[click(), click(), click()], Any)?;
        let before = (db.last_seq(), clicks.info("ada")?);
        for expected in [Exact(0), Exact(1), Exact(3), NoStream] {
            is_conflict(delete(expected), expected, Some(2));
        }
        assert_eq!((db.last_seq(), clicks.info("ada")?), before, "nothing was written");
        assert_eq!(clicks.read("ada")?.count(), 3);
        delete(if for_good { StreamExists } else { Exact(2) })?;
        let info = clicks.info("ada")?;
        assert_eq!((info.exists(), info.next_version, info.is_tombstone), (false, 3, for_good));
        // To repeat it is harmless; there is nothing any more.
        let after = db.last_seq();
        for expected in [Exact(2), NoStream, Any] {
            delete(expected)?;
        }
        is_conflict(delete(StreamExists), StreamExists, Some(2));
        assert_eq!(db.last_seq(), after);
    }
    Ok(())
}

#[test]
fn a_stream_whose_events_are_all_over_is_expected_to_have_none() -> Result<()> {
    let db = Database::open_in_memory()?;
    let short = KeyspaceOptions::default().ttl(Duration::from_millis(1));
    let clicks = db.create_category("clicks", short)?;
    clicks.append("ada", &click(), Any)?;
    while clicks.exists("ada")? {
        std::thread::yield_now();
    }
    is_conflict(clicks.delete_expecting("ada", StreamExists), StreamExists, Some(0));
    clicks.tombstone_expecting("ada", NoStream)?;
    assert!(clicks.info("ada")?.is_tombstone);
    Ok(())
}

/// Others append all the time: what was not seen is never deleted, and each event is either counted by who deletes
/// or still there.
#[test]
fn nothing_is_deleted_that_who_deletes_has_not_seen() -> Result<()> {
    const EVENTS: u64 = 600;
    let db = Database::open_in_memory()?;
    let clicks = db.category("clicks")?;
    let appended = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..EVENTS / 3 {
                    clicks.append("ada", &click(), Any).unwrap();
                    appended.fetch_add(1, Ordering::Release);
                }
            });
        }
        let mut seen = 0;
        loop {
            let is_done = appended.load(Ordering::Acquire) == EVENTS;
            let events = clicks.read("ada")?.collect::<Result<Vec<_>>>()?;
            let Some(last) = events.last() else {
                if is_done {
                    break;
                }
                std::thread::yield_now();
                continue;
            };
            match clicks.delete_expecting("ada", Exact(last.version())) {
                Ok(()) => seen += events.len() as u64,
                Err(Error::VersionConflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        assert_eq!(seen, EVENTS);
        Ok(())
    })
}
