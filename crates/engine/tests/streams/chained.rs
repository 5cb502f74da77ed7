//! Streams whose events carry hashes: the chains are right whichever way events come, and whatever is
//! changed later shows, although every checksum was made right again.

use super::tamper::{self, Place, change, find};
use annals_disk::{SimDisk, SimOptions};
use annals_engine::{
    Background, Builder, Category, ChainHead, Database, Error, ErrorKind, EventHash,
    ExpectedVersion, KeyspaceOptions, NewEvent, Result, Retention, VerifyReport,
};
use std::{collections::BTreeMap, path::Path, sync::Arc};
use tempfile::TempDir;

fn small(disk: &SimDisk) -> Builder {
    let builder = Database::builder().segment_bytes(64 << 10).disk(Arc::new(disk.clone()));
    builder.background(Background::Manual)
}

fn chained(db: &Database, name: &str) -> Result<Category> {
    match db.open_category(name) {
        Err(_) => db.create_category(name, KeyspaceOptions::default().chained()),
        known => known,
    }
}

/// The chains of all streams are right, and go on from where they were when `kept` was.
fn check(db: &Database, kept: &mut BTreeMap<u64, ChainHead>) -> Result<()> {
    let audit = db.open_category("audit")?;
    let (mut streams, mut events) = (0, 0);
    audit.each_stream(|id, last| {
        let annals_engine::StreamId::Number(number) = id else { panic!("{id}") };
        let checked = audit.verify_chain(number, kept.get(&number).copied())?;
        assert_eq!(checked.events_count, last + 1);
        assert_eq!(checked.head, audit.chain_head(number)?);
        let hash = audit.last(number)?.and_then(|event| event.hash());
        assert_eq!(checked.head.map(|head| head.hash), hash);
        kept.insert(number, checked.head.expect("it has events"));
        streams += 1;
        events += last + 1;
        Ok(())
    })?;
    let report = db.verify(&mut |_| {})?;
    assert!(report.is_intact(), "{:?}", report.damages);
    assert_eq!((report.chains_count, report.chained_events_count), (streams, events));
    assert!(report.unchecked_chains.is_empty());
    Ok(())
}

#[test]
fn chains_are_right_whichever_way_events_come() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(5));
    let mut db = small(&disk).open("db")?;
    chained(&db, "audit")?;
    let reader = small(&disk).read_only(true).open("db")?;
    let mut kept = BTreeMap::new();
    for round in 0..5u64 {
        let (audit, plain) = (chained(&db, "audit")?, db.category("plain")?);
        let churn = db.hash_keyspace("churn")?;
        let kept_snapshot = (round == 2).then(|| db.snapshot());
        for n in 0..40u64 {
            let (data, id) = (format!("round {round}, event {n}"), u128::from(round * 1_000 + n));
            let event = NewEvent::bytes("noted", data.as_bytes()).version(1 + (n % 3) as u32);
            let event = match n % 4 {
                0 => event.id(id).correlation(7),
                1 => event.causation(id).with("user", "ada").with("", "ü"),
                2 => event.id(id),
                _ => event,
            };
            let done = audit.append(n % 5, &event, ExpectedVersion::Any)?;
            assert!(!done.was_there);
            if n % 2 == 0 {
                assert!(audit.append(n % 5, &event, ExpectedVersion::Any)?.was_there);
            }
            // Too long to be encoded under the lock, and several.
            let long = [n as u8; 3_000];
            let many = [event.clone(), NewEvent::bytes("long", &long), NewEvent::json("j", "{}")];
            let refused = audit.append_many(n % 5, &many, ExpectedVersion::NoStream);
            assert!(refused.is_err());
            audit.append_many(n % 3, &many[1..], ExpectedVersion::StreamExists)?;
            churn.insert([n as u8 % 3], [round as u8; 700])?;
        }
        // One stream several times, several streams and keyspaces; what is refused leaves no trace.
        let mut batch = db.batch();
        for n in 0..30u64 {
            let data = [n as u8; 11];
            let event = NewEvent::bytes("batched", &data);
            batch.append(&audit, n % 4, &[event.clone(), event.clone()], ExpectedVersion::Any)?;
            let refused = batch.append(
                &audit,
                n % 4,
                std::slice::from_ref(&event),
                ExpectedVersion::NoStream,
            );
            assert!(matches!(refused, Err(Error::VersionConflict { .. })));
            batch.append(&plain, n % 4, &[event], ExpectedVersion::Any)?;
            batch.insert(&churn, [9], [n as u8])?;
        }
        // Somebody is faster, so all of it is encoded anew.
        let ahead = NewEvent::bytes("ahead", b"of the batch");
        audit.append(1u64, &ahead, ExpectedVersion::Any)?;
        batch.commit()?;
        drop(kept_snapshot);
        check(&db, &mut kept)?;
        check(&reader, &mut kept)?;
        db.compact()?;
        check(&db, &mut kept)?;
        check(&reader, &mut kept)?;
        if round % 2 == 0 {
            drop((audit, plain, churn));
            db.close()?;
            db = small(&disk).open("db")?;
            assert!(db.open_category("audit")?.options().chained);
            check(&db, &mut kept)?;
        }
    }
    assert_eq!(kept.len(), 5);
    Ok(())
}

#[test]
fn chains_are_right_when_many_append_at_once() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(6));
    let db = small(&disk).open("db")?;
    let audit = chained(&db, "audit")?;
    std::thread::scope(|scope| {
        for thread in 0..4u64 {
            let (db, audit) = (&db, &audit);
            scope.spawn(move || {
                let snapshot = (thread == 3).then(|| db.snapshot());
                for n in 0..60u64 {
                    let data = [thread as u8; 50];
                    let event = NewEvent::bytes("n", &data).id(u128::from(thread * 1_000 + n));
                    if (n + thread).is_multiple_of(3) {
                        let mut batch = db.batch();
                        for id in 0..2u64 {
                            let events = [event.clone(), NewEvent::bytes("n", b"")];
                            batch.append(audit, id, &events, ExpectedVersion::Any).unwrap();
                        }
                        batch.commit().unwrap();
                    } else {
                        audit.append(n % 2, &event, ExpectedVersion::Any).unwrap();
                    }
                    if n == 30 && thread == 0 {
                        db.compact().unwrap();
                    }
                }
                drop(snapshot);
            });
        }
    });
    let mut kept = BTreeMap::new();
    check(&db, &mut kept)?;
    let events: u64 = kept.values().map(|head| head.version + 1).sum();
    assert_eq!(events, 4 * (40 + 20 * 4));
    // What was not closed is in the log.
    check(&small(&disk).read_only(true).open("db")?, &mut kept)
}

#[test]
fn what_is_left_of_a_stream_is_checked_from_its_first_event_on() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(7));
    let mut db = small(&disk).open("db")?;
    let mut audit = chained(&db, "audit")?;
    let mut heads = Vec::new();
    for n in 0..40u8 {
        audit.append("ada", &NewEvent::bytes("n", &[n; 700]), ExpectedVersion::Any)?;
        heads.extend(audit.chain_head("ada")?);
    }
    for (round, first) in [7u64, 16, 39].into_iter().enumerate() {
        audit.truncate_before("ada", first)?;
        for _ in 0..2 {
            let checked = audit.verify_chain("ada", None)?;
            assert_eq!((checked.events_count, checked.head), (40 - first, heads.last().copied()));
            // The head of the last event that is gone is what the first that is left refers to.
            for kept in &heads[first as usize - 1..] {
                assert_eq!(audit.verify_chain("ada", Some(*kept))?, checked);
                let hash = EventHash::from_bytes([1; 32]);
                let other = ChainHead { hash, ..*kept };
                let error = audit.verify_chain("ada", Some(other)).unwrap_err();
                assert!(matches!(error, Error::BrokenChain { .. }), "{error}");
            }
            let error = audit.verify_chain("ada", Some(heads[first as usize - 2])).unwrap_err();
            assert!(matches!(error, Error::HeadGone { .. }), "{error}");
            assert_eq!(error.kind(), ErrorKind::NotFound);
            let report = db.verify(&mut |_| {})?;
            assert!(report.is_intact(), "{:?}", report.damages);
            assert_eq!(report.chained_events_count, 40 - first);
            db.compact()?;
        }
        if round == 1 {
            drop(audit);
            db.close()?;
            db = small(&disk).open("db")?;
            audit = db.open_category("audit")?;
        }
    }
    // All of it is gone, and what comes then goes on from there, also if its last event is an empty one now.
    audit.delete("ada")?;
    for is_compacted in [false, true] {
        let nothing = audit.verify_chain("ada", None)?;
        assert_eq!((nothing.events_count, nothing.head), (0, None));
        assert!(matches!(audit.verify_chain("ada", Some(heads[39])), Err(Error::HeadGone { .. })));
        assert!(db.verify(&mut |_| {})?.is_intact());
        if !is_compacted {
            db.compact()?;
        }
    }
    let two = [NewEvent::bytes("n", b"x"), NewEvent::bytes("n", b"y")];
    audit.append_many("ada", &two, ExpectedVersion::NoStream)?;
    assert_eq!(audit.verify_chain("ada", Some(heads[39]))?.events_count, 2);
    audit.set_retention("ada", Retention::default().max_count(1))?;
    assert_eq!(audit.verify_chain("ada", None)?.events_count, 1);
    db.compact()?;
    assert_eq!(audit.verify_chain("ada", None)?.events_count, 1);
    audit.archive("ada")?;
    assert_eq!(audit.verify_chain("ada", None)?.events_count, 1);
    let report = db.verify(&mut |_| {})?;
    assert!(report.is_intact(), "{:?}", report.damages);
    Ok(())
}

#[test]
fn who_asks_for_what_is_not_there_is_told() -> Result<()> {
    let db = Database::open_in_memory()?;
    let plain = db.category("plain")?;
    plain.append(1u64, &NewEvent::bytes("n", b""), ExpectedVersion::Any)?;
    assert_eq!(plain.last(1u64)?.expect("one").hash(), None);
    assert!(matches!(plain.chain_head(1u64), Err(Error::NotChained { .. })));
    assert!(matches!(plain.verify_chain(1u64, None), Err(Error::NotChained { .. })));
    let options = KeyspaceOptions::default().chained();
    assert!(matches!(db.create_category("plain", options), Err(Error::KeyspaceExists { .. })));
    let refused = db.create_hash_keyspace("other", options).unwrap_err();
    assert!(matches!(refused, Error::OptionOfStreams { .. }), "{refused}");
    let refused = db.create_keyspace("other", options, Default::default()).unwrap_err();
    assert!(refused.to_string().contains("of the kind `ordered` cannot be chained"), "{refused}");
    let audit = db.create_category("audit", options)?;
    assert_eq!((audit.options(), db.category("audit")?.options()), (options, options));
    assert!(db.keyspaces().iter().all(|info| info.chained == (info.name == "audit")));
    assert_eq!(audit.chain_head(1u64)?, None);
    let nothing = audit.verify_chain(1u64, None)?;
    assert_eq!((nothing.events_count, nothing.head), (0, None));
    let kept = ChainHead { version: 0, hash: EventHash::from_bytes([1; 32]) };
    let error = audit.verify_chain(1u64, Some(kept)).unwrap_err();
    assert!(error.to_string().contains("a hash of version 0 was kept"), "{error}");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    Ok(())
}

/// A database with a chained stream `ada` of eight events, with others in between, closed.
fn sample() -> (TempDir, ChainHead) {
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let audit = chained(&db, "audit").unwrap();
    let plain = db.category("free").unwrap();
    for n in 0..8 {
        for stream in ["ada", "bob"] {
            let data = format!("{stream} event {n}");
            let event = NewEvent::bytes("noted", data.as_bytes()).with("by", "carol");
            audit.append(stream, &event, ExpectedVersion::Any).unwrap();
        }
        let data = format!("free event {n}");
        plain
            .append("ada", &NewEvent::bytes("noted", data.as_bytes()), ExpectedVersion::Any)
            .unwrap();
    }
    let head = audit.chain_head("ada").unwrap().unwrap();
    drop((audit, plain));
    db.close().unwrap();
    (dir, head)
}

fn open(dir: &Path) -> Database {
    Database::builder().background(Background::Manual).open(dir).unwrap()
}

fn verify(dir: &Path) -> VerifyReport {
    open(dir).verify(&mut |_| {}).unwrap()
}

fn place(dir: &Path, data: &str) -> Place {
    let found = find(dir, data.as_bytes());
    let [place] = &found[..] else { panic!("{data}: {found:?}") };
    place.clone()
}

/// Verification names the stream `ada` and this version, in a segment; and so does the check of the stream.
fn is_told(dir: &Path, version: u64, why: &str) {
    let report = verify(dir);
    let told = format!("stream `ada` of `audit` is broken at version {version}: ");
    let is_it = |damage: &&annals_engine::Damage| damage.what.contains(&told);
    let damage = report.damages.iter().find(is_it);
    let damage = damage.unwrap_or_else(|| panic!("{version}: {:?}", report.damages));
    assert!(damage.what.contains(why), "{}", damage.what);
    assert!(damage.path.extension().is_some_and(|ending| ending == "seg") && damage.offset > 0);
    // The log itself seems to be as it was written.
    assert_eq!(
        report
            .damages
            .iter()
            .filter(|damage| !damage.what.contains("is broken at version"))
            .count(),
        0,
        "{:?}",
        report.damages
    );
}

fn broken_at(dir: &Path, kept: Option<ChainHead>) -> u64 {
    let error = open(dir).open_category("audit").unwrap().verify_chain("ada", kept).unwrap_err();
    let Error::BrokenChain { stream, version, .. } = &error else { panic!("{error}") };
    assert_eq!(stream, "ada");
    *version
}

#[test]
fn what_nobody_touched_is_intact() {
    let (dir, head) = sample();
    let report = verify(dir.path());
    assert!(report.is_intact(), "{:?}", report.damages);
    assert_eq!((report.chains_count, report.chained_events_count), (2, 16));
    tamper::believe_the_log(dir.path());
    let db = open(dir.path());
    let checked = db.open_category("audit").unwrap().verify_chain("ada", Some(head)).unwrap();
    assert_eq!(checked.head, Some(head));
}

#[test]
fn a_changed_event_shows() {
    for version in [0, 3, 7] {
        for (what, by) in [(format!("ada event {version}"), "Ada"), ("carol".into(), "karol")] {
            let (dir, head) = sample();
            let event = place(dir.path(), &format!("ada event {version}"));
            change(&event.file, |bytes| {
                let value = &mut bytes[event.value.clone()];
                let at =
                    value.windows(what.len()).position(|some| some == what.as_bytes()).unwrap();
                value[at..at + by.len()].copy_from_slice(by.as_bytes());
            });
            is_told(dir.path(), version, "what the event says is not what its hash was made of");
            assert_eq!(broken_at(dir.path(), None), version);
            assert_eq!(broken_at(dir.path(), Some(head)), version);
        }
    }
    // The time, which is in the label.
    let (dir, _) = sample();
    let event = place(dir.path(), "ada event 5");
    change(&event.file, |bytes| bytes[event.time] ^= 1);
    is_told(dir.path(), 5, "what the event says is not what its hash was made of");
}

#[test]
fn an_event_whose_hash_is_made_anew_shows_in_the_next_one() {
    let (dir, _) = sample();
    // Its own hash is right for what it says if it is that of another database's event.
    let other = tempfile::tempdir().unwrap();
    let db = open(other.path());
    let audit = chained(&db, "audit").unwrap();
    for n in 0..4 {
        let data = format!("eve event {n}");
        audit
            .append("ada", &NewEvent::bytes("noted", data.as_bytes()), ExpectedVersion::Any)
            .unwrap();
    }
    let hash = audit.get("ada", 3).unwrap().unwrap().hash().unwrap();
    drop(audit);
    db.close().unwrap();
    let event = place(dir.path(), "ada event 3");
    change(&event.file, |bytes| {
        // Behind the data, the flags and the hash before it.
        let at = event.value.start + "ada event 3".len() + 1 + 32;
        bytes[at..at + 32].copy_from_slice(hash.as_bytes());
    });
    is_told(dir.path(), 3, "what the event says is not what its hash was made of");
}

/// An event that was made elsewhere, with hashes that are right for it, refers to what is in front of it there.
#[test]
fn an_event_that_is_put_in_with_its_hashes_shows() {
    let (dir, _) = sample();
    let other = tempfile::tempdir().unwrap();
    let db = open(other.path());
    let audit = chained(&db, "audit").unwrap();
    for n in 0..4 {
        let data = format!("eve event {n}");
        let event = NewEvent::bytes("noted", data.as_bytes()).with("by", "carol");
        audit.append("ada", &event, ExpectedVersion::Any).unwrap();
    }
    drop(audit);
    db.close().unwrap();
    let (event, by) = (place(dir.path(), "ada event 3"), place(other.path(), "eve event 3"));
    let by_bytes = std::fs::read(&by.file).unwrap();
    change(&event.file, |bytes| {
        // The data, and beside them flags, two hashes and a pair of texts; and the time.
        let len = "ada event 3".len() + 1 + 64 + (4 + 2) + (4 + 5);
        for (to, from, len) in [(event.value.start, by.value.start, len), (event.time, by.time, 6)]
        {
            bytes[to..to + len].copy_from_slice(&by_bytes[from..from + len]);
        }
    });
    is_told(dir.path(), 3, "it refers to another event before it than there is");
    assert_eq!(broken_at(dir.path(), None), 3);
}

#[test]
fn reordered_events_show() {
    let (dir, _) = sample();
    let (one, other) = (place(dir.path(), "ada event 2"), place(dir.path(), "ada event 5"));
    assert_eq!(one.file, other.file);
    // All but the labels, hashes included.
    let len = "ada event 2".len() + 1 + 64;
    change(&one.file, |bytes| {
        let first = bytes[one.value.start..][..len].to_vec();
        bytes.copy_within(other.value.start..other.value.start + len, one.value.start);
        bytes[other.value.start..][..len].copy_from_slice(&first);
    });
    is_told(dir.path(), 2, "what the event says");
    assert_eq!(broken_at(dir.path(), None), 2);
}

/// Gives an event another version, of one byte as the one it has.
fn set_version(bytes: &mut [u8], event: &Place, version: u8) {
    match event.version {
        Some(at) => bytes[at] = version,
        None => assert_eq!(version, 0, "there is no room for it"),
    }
}

/// Gives the versions of the events from `from` on, of the stream `ada`, one more or less.
fn renumber(dir: &Path, from: u64, by: i8) {
    for n in from..8 {
        let event = place(dir, &format!("ada event {n}"));
        change(&event.file, |bytes| set_version(bytes, &event, (n as u8).wrapping_add_signed(by)));
    }
}

#[test]
fn a_removed_event_shows() {
    for version in [0u64, 3] {
        let (dir, head) = sample();
        let event = place(dir.path(), &format!("ada event {version}"));
        renumber(dir.path(), version + 1, -1);
        // It becomes the first event of another stream.
        change(&event.file, |bytes| {
            bytes[event.key.start + 1] = b'z';
            set_version(bytes, &event, 0);
        });
        tamper::believe_the_log(dir.path());
        is_told(dir.path(), version, "what the event says is not what its hash was made of");
        assert_eq!(broken_at(dir.path(), Some(head)), version);
        let report = verify(dir.path());
        let other = "stream `zda` of `audit` is broken at version 0";
        assert!(
            report.damages.iter().any(|damage| damage.what.contains(other)),
            "{:?}",
            report.damages
        );
    }
}

#[test]
fn an_inserted_event_shows() {
    let (dir, head) = sample();
    let space = |place: &Place| std::fs::read(&place.file).unwrap()[place.space];
    let (audit, inserted) = (place(dir.path(), "ada event 3"), place(dir.path(), "free event 3"));
    let audit_id = space(&audit);
    // Events of the other category that come later would miss it.
    for n in 4..8 {
        let event = place(dir.path(), &format!("free event {n}"));
        change(&event.file, |bytes| set_version(bytes, &event, n - 1));
    }
    renumber(dir.path(), 4, 1);
    change(&inserted.file, |bytes| {
        bytes[inserted.space] = audit_id;
        set_version(bytes, &inserted, 4);
    });
    tamper::believe_the_log(dir.path());
    is_told(dir.path(), 4, "the event has no hash");
    assert_eq!(broken_at(dir.path(), Some(head)), 4);
}

/// The tables of a checkpoint lead around it, and all events of the log are read all the same.
#[test]
fn an_event_that_is_in_the_log_alone_shows() {
    let (dir, _) = sample();
    show_what_is_in_the_log_alone(&dir);
}

/// The archived stream has as many events as are put in.
#[test]
fn an_event_that_is_in_the_log_alone_shows_beside_an_archived_stream() {
    let (dir, _) = sample();
    let db = open(dir.path());
    let audit = db.open_category("audit").unwrap();
    audit.append("zed", &NewEvent::bytes("noted", b"old"), ExpectedVersion::Any).unwrap();
    audit.archive("zed").unwrap();
    drop(audit);
    db.close().unwrap();
    assert!(verify(dir.path()).is_intact());
    show_what_is_in_the_log_alone(&dir);
}

fn show_what_is_in_the_log_alone(dir: &TempDir) {
    let space = |place: &Place| std::fs::read(&place.file).unwrap()[place.space];
    let audit_id = space(&place(dir.path(), "ada event 3"));
    let inserted = place(dir.path(), "free event 7");
    change(&inserted.file, |bytes| bytes[inserted.space] = audit_id);
    is_told(dir.path(), 7, "which is not in the stream");
}

#[test]
fn only_a_kept_head_shows_that_the_end_is_gone_or_all_was_written_anew() {
    let (dir, head) = sample();
    let event = place(dir.path(), "ada event 7");
    change(&event.file, |bytes| bytes[event.space] = 99);
    tamper::believe_the_log(dir.path());
    assert_eq!(broken_at(dir.path(), Some(head)), 7);
    let audit = open(dir.path()).open_category("audit").unwrap();
    let checked = audit.verify_chain("ada", None).unwrap();
    assert_eq!(checked.events_count, 7, "what is left is in order");

    let other = tempfile::tempdir().unwrap();
    let db = open(other.path());
    let audit = chained(&db, "audit").unwrap();
    for n in 0..9 {
        let data = format!("ada event {n}");
        audit
            .append("ada", &NewEvent::bytes("noted", data.as_bytes()), ExpectedVersion::Any)
            .unwrap();
    }
    assert!(audit.verify_chain("ada", None).is_ok());
    let error = audit.verify_chain("ada", Some(head)).unwrap_err();
    assert!(error.to_string().contains("version 7: its hash is another"), "{error}");
}
