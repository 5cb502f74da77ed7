//! What is kept no longer is given up, whatever is damaged beside it, and nothing else is.

use super::{
    Category,
    ExpectedVersion::*,
    NewEvent, Retention,
    id::StreamKey,
    mark::Mark,
    meanwhile::{Moment, each_time},
};
use crate::{Background, Builder, Database, Error, ErrorKind, KeyspaceOptions, Result};
use annals_disk::{Disk, SimDisk, SimOptions};
use annals_journal::Seq;
use std::{sync::Arc, time::Duration};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn small(disk: &SimDisk) -> Builder {
    let builder = Database::builder().segment_bytes(64 << 10).disk(Arc::new(disk.clone()));
    builder.background(Background::Manual).compact_below(0.9)
}

fn data(stream: u64, n: u64) -> String {
    format!("event {n:03} of stream {stream:03} {}", "x".repeat(100))
}

fn append(category: &Category, stream: u64, count: u64) -> Result<()> {
    (0..count).try_for_each(|_| {
        let data = data(stream, category.len(stream)?);
        category.append(stream, &NewEvent::bytes("n", data.as_bytes()), Any).map(drop)
    })
}

/// Flips a bit of an event; or back.
fn flip(disk: &SimDisk, stream: u64, n: u64) {
    // The first bit, wherever the event is: what is behind that is as it was.
    let needle = &data(stream, n).into_bytes()[1..];
    let mut found = 0;
    for path in disk.paths() {
        let bytes = disk.file_bytes(&path).unwrap_or_default();
        if let Some(at) = bytes.windows(needle.len()).position(|some| some == needle) {
            disk.flip_bit(&path, at as u64 - 1, 0).expect("flipped");
            found += 1;
        }
    }
    assert!(found > 0, "event {n} of {stream} is nowhere");
}

fn versions(category: &Category, stream: u64) -> Result<Vec<u64>> {
    category.read(stream)?.map(|event| Ok(event?.version())).collect()
}

/// The mark that was written last.
fn mark_of(category: &Category, stream: u64) -> Result<Mark> {
    let key = StreamKey::of(&stream.into()).expect("a key");
    Ok(category.with_key(&key, |core, _, stream| core.mark_of(stream))?.unwrap_or_default())
}

/// Somebody keeps more when it is about to be given up.
#[test]
fn what_somebody_has_just_kept_is_not_given_up() -> Result<()> {
    let db = Database::open_in_memory()?;
    let category = db.category("orders")?;
    append(&category, 7, 100)?;
    category.set_retention(7u64, Retention::default().max_count(10))?;
    let keeper = category.clone();
    let keep = move || {
        let more = Retention::default().max_count(80);
        keeper.set_retention(7u64, more).expect("it is kept");
    };
    each_time(Moment::RetentionKnown, keep, || db.compact())?;
    assert_eq!(versions(&category, 7)?, (20..100).collect::<Vec<_>>());
    category.set_retention(7u64, Retention::default())?;
    assert_eq!(versions(&category, 7)?, (0..100).collect::<Vec<_>>(), "nothing was given up");
    // What nobody wants is.
    category.set_retention(7u64, Retention::default().max_count(10))?;
    db.compact()?;
    category.set_retention(7u64, Retention::default())?;
    assert_eq!(versions(&category, 7)?, (90..100).collect::<Vec<_>>());
    Ok(())
}

/// What cannot be read is not taken for what is over: when it can be read again all is there.
#[test]
fn damage_is_not_taken_for_what_is_over() -> Result<()> {
    for of_category in [false, true] {
        let disk = SimDisk::new(SimOptions::seeded(1));
        let db = small(&disk).open("db")?;
        let options = KeyspaceOptions::default();
        let options = if of_category { options.ttl(DAY) } else { options };
        let category = db.create_category("orders", options)?;
        category.set_retention(7u64, Retention::default().max_age(DAY))?;
        append(&category, 7, 60)?;
        drop(category);
        db.close()?;
        // The last one in front of its waypoint, in the middle of a span, and a waypoint.
        for damaged in [46, 37, 31, 5] {
            flip(&disk, 7, damaged);
            let db = small(&disk).open("db")?;
            let category = db.open_category("orders")?;
            let told = category.info(7u64).map(|info| info.first_version);
            match told {
                Ok(first) => assert_eq!(first, 0, "event {damaged} is damaged"),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}"),
            }
            let found = category.get(7u64, damaged);
            assert!(found.is_err_and(|error| error.kind() == ErrorKind::Corrupt), "{damaged}");
            drop(db.compact());
            assert_eq!(mark_of(&category, 7)?.first, 0, "event {damaged} is damaged");
            drop(category);
            db.close()?;
            flip(&disk, 7, damaged);
            let db = small(&disk).open("db")?;
            let category = db.open_category("orders")?;
            assert_eq!(versions(&category, 7)?, (0..60).collect::<Vec<_>>());
            drop(category);
            db.close()?;
        }
    }
    Ok(())
}

/// Without its checkpoint all is rebuilt from the log, from which the events that expired are gone.
#[test]
fn a_category_with_a_time_to_live_is_rebuilt_without_its_checkpoint() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(2));
    let db = small(&disk).open("db")?;
    let options = KeyspaceOptions::default().ttl(Duration::from_secs(10));
    let category = db.create_category("clicks", options)?;
    for round in 0..6 {
        for stream in 0..3u64 {
            append(&category, stream, 70 + stream)?;
        }
        if round < 4 {
            disk.advance_ms(20_000);
        }
        db.compact()?;
    }
    let look = |category: &Category| -> Result<_> {
        let infos: Vec<_> = (0..3u64).map(|id| category.info(id)).collect::<Result<_>>()?;
        let read: Vec<_> = (0..3u64).map(|id| versions(category, id)).collect::<Result<_>>()?;
        let all = category.read_all(Seq::ZERO)?.map(|event| Ok(event?.seq()));
        Ok((infos, read, all.collect::<Result<Vec<_>>>()?))
    };
    let known = look(&category)?;
    assert_eq!(known.1[0], (4 * 70..6 * 70).collect::<Vec<_>>());
    drop(category);
    db.close()?;
    let checkpoint = |path: &std::path::PathBuf| path.extension().is_some_and(|of| of == "ckp");
    for path in disk.paths().into_iter().filter(checkpoint) {
        disk.remove(&path).expect("it is there");
    }
    let db = small(&disk).open("db")?;
    let category = db.open_category("clicks")?;
    assert_eq!(look(&category)?, known);
    append(&category, 0, 1)?;
    disk.advance_ms(20_000);
    db.compact()?;
    assert!(versions(&category, 0)?.is_empty() && category.len(0u64)? == 6 * 70 + 1);
    Ok(())
}

/// What was truncated before it expires is counted out once: of the segment more would be taken for needless.
#[test]
fn what_is_truncated_and_expires_is_counted_out_once() -> Result<()> {
    let needed = |truncated: u64| -> Result<u64> {
        let disk = SimDisk::new(SimOptions::seeded(7));
        let db = small(&disk).open("db")?;
        let ttl = KeyspaceOptions::default().ttl(DAY);
        let category = db.create_category("orders", ttl)?;
        append(&category, 7, 100)?;
        category.truncate_before(7u64, truncated)?;
        disk.advance_ms(2 * DAY.as_millis() as u64);
        // In the same segment, and more than what is over.
        append(&category, 8, 150)?;
        db.core.core().retire(true)?;
        let listed = db.core.catalog.load();
        let listed = listed.by_id(category.id()).expect("it is there");
        Ok(listed.view.needed_bytes().iter().sum())
    };
    let least = needed(1)?;
    assert!(least > 150 * 100, "{least}");
    for truncated in [2, 50, 99] {
        assert_eq!(needed(truncated)?, least, "{truncated}");
    }
    Ok(())
}

/// One stream cannot be looked at; what the others keep no longer is given up.
#[test]
fn a_damaged_stream_does_not_keep_others_from_being_given_up() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(4));
    let db = small(&disk).open("db")?;
    let category = db.category("orders")?;
    for stream in 0..6u64 {
        category.set_retention(stream, Retention::default().max_count(5).max_age(DAY))?;
        append(&category, stream, 50)?;
    }
    drop(category);
    db.close()?;
    for stream in [1, 4] {
        // The newest one: nothing is known of the stream without it.
        flip(&disk, stream, 49);
    }
    let db = small(&disk).open("db")?;
    let category = db.open_category("orders")?;
    drop(db.compact());
    for stream in [0u64, 2, 3, 5] {
        assert_eq!(mark_of(&category, stream)?.first, 45, "{stream}");
    }
    for stream in [1u64, 4] {
        assert_eq!(mark_of(&category, stream)?.first, 0, "{stream}");
        let told = category.len(stream).expect_err("it cannot be read");
        assert_eq!(told.kind(), ErrorKind::Corrupt, "{told}");
    }
    Ok(())
}

/// What is in front of a damaged waypoint is not to be found: it is told why, and the rest is read.
#[test]
fn a_damaged_waypoint_is_told_as_what_it_is() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(5));
    let db = small(&disk).open("db")?;
    let category = db.category("orders")?;
    append(&category, 7, 60)?;
    drop(category);
    db.close()?;
    flip(&disk, 7, 31);
    let db = small(&disk).open("db")?;
    let category = db.open_category("orders")?;
    let place = |error: Error| match error {
        Error::Journal(annals_journal::Error::Damaged { offset, what, .. }) => (offset, what),
        other => panic!("{other}"),
    };
    let told = place(category.get(7u64, 31).map(drop).expect_err("it is damaged"));
    for version in 0..60u64 {
        match category.get(7u64, version) {
            Ok(event) => {
                assert!(!(16..32).contains(&version), "{version}");
                assert_eq!(event.map(|event| event.version()), Some(version));
            }
            Err(error) => {
                assert!((16..32).contains(&version), "{version}: {error}");
                assert_eq!(place(error), told, "the waypoint is what is damaged");
            }
        }
    }
    let back: Vec<_> = category.read(7u64)?.back().map_while(Result::ok).collect();
    assert_eq!(back.last().map(|event| event.version()), Some(32));
    append(&category, 7, 1)?;
    assert_eq!(category.len(7u64)?, 61);
    Ok(())
}

/// Marks that come while a checkpoint is written are in it, but not what they count.
#[test]
fn what_is_given_up_beside_a_checkpoint_is_counted_out_by_replay() -> Result<()> {
    let needed = |db: &Database| -> u64 {
        let catalog = db.core.catalog.load();
        let listed = catalog.iter().find(|listed| listed.keyspace.name == "orders");
        listed.expect("it is there").view.needed_bytes().iter().sum()
    };
    for before in [0, 40] {
        let disk = SimDisk::new(SimOptions { writeback_chance: 0.0, ..SimOptions::seeded(6) });
        let db = small(&disk).open("db")?;
        let category = db.category("orders")?;
        append(&category, 7, 300)?;
        category.truncate_before(7u64, before)?;
        let giving_up = category.clone();
        let give_up = move || {
            giving_up.truncate_before(7u64, 150).expect("it is truncated");
            giving_up.truncate_before(7u64, 290).expect("it is truncated");
        };
        each_time(Moment::PlaceKnown, give_up, || db.checkpoint())?;
        let known = needed(&db);
        let killed = disk.restart_clean();
        drop((category, db));
        let db = small(&killed).open("db")?;
        assert_eq!(versions(&db.open_category("orders")?, 7)?, (290..300).collect::<Vec<_>>());
        let found = needed(&db);
        assert!(found <= known, "{found} bytes are needed, and {known} were");
        assert!(before > 0 || found == known, "{found} and {known}");
    }
    Ok(())
}

/// Events of a batch were put into it long before it was committed.
#[test]
fn what_is_committed_is_as_new_as_its_commit() -> Result<()> {
    for by_retention in [false, true] {
        let disk = SimDisk::new(SimOptions::seeded(7));
        let db = small(&disk).open("db")?;
        let options = KeyspaceOptions::default();
        let options = if by_retention { options } else { options.ttl(Duration::from_secs(10)) };
        let category = db.create_category("orders", options)?;
        append(&category, 1, 1)?;
        if by_retention {
            category.set_retention(1u64, Retention::default().max_age(Duration::from_secs(10)))?;
        }
        let batch = || {
            let mut batch = db.batch();
            batch.append(&category, 1u64, &[NewEvent::bytes("n", b"late")], StreamExists)?;
            Ok::<_, Error>(batch)
        };
        let refused = batch()?;
        disk.advance_ms(11_000);
        let refused = refused.commit();
        assert!(matches!(refused, Err(Error::VersionConflict { .. })), "{refused:?}");
        append(&category, 1, 1)?;
        disk.advance_ms(9_000);
        let mut late = db.batch();
        late.append(&category, 2u64, &[NewEvent::bytes("n", b"late")], NoStream)?;
        late.append(&category, 1u64, &[NewEvent::bytes("n", b"late")], StreamExists)?;
        disk.advance_ms(900);
        late.commit()?;
        disk.advance_ms(9_500);
        assert_eq!(versions(&category, 1)?, [2]);
        assert_eq!(versions(&category, 2)?, [0]);
    }
    Ok(())
}

/// A segment that is used again has the place of what was moved out of it.
#[test]
fn another_event_at_the_place_of_the_newest_is_not_taken_for_it() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(8));
    let db = small(&disk).open("db")?;
    let category = db.category("orders")?;
    // Its type is known from here on.
    append(&category, 2, 1)?;
    let key = StreamKey::of(&1u64.into()).expect("a key");
    let newest = || {
        category.with_key(&key, |core, _, stream| {
            Ok(core.newest_event(stream)?.expect("an event").hit.address)
        })
    };
    db.core.core().journal.roll()?;
    append(&category, 1, 1)?;
    let place = newest()?;
    let mut batch = db.batch();
    batch.append(&category, 1u64, &[NewEvent::bytes("n", b"refused")], Exact(0))?;
    db.core.core().journal.roll()?;
    append(&category, 1, 1)?;
    db.compact()?;
    // What is read in another thread of the tests keeps segments from being used again.
    for _ in 0..2_000 {
        db.core.core().journal.roll()?;
        append(&category, 1, 1)?;
        if newest()? == place {
            break;
        }
        db.compact()?;
        db.tick()?;
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(newest()?, place, "nothing is shown");
    let last = category.len(1u64)? - 1;
    let refused = batch.commit();
    assert!(
        matches!(refused, Err(Error::VersionConflict { found: Some(found), .. }) if found == last),
        "{refused:?}"
    );
    assert_eq!(versions(&category, 1)?.len() as u64, last + 1);
    Ok(())
}
