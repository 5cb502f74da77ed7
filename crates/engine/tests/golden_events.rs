//! A database with streams of events, some of them moved, as an earlier build wrote it, must open with
//! exactly the events it had.
//!
//! `golden/v1/events` is of format version 1 of segments, checkpoints and events. It is never written
//! again; a later format gets a folder of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod golden_files;

use annals_disk::RealDisk;
use annals_engine::{
    Background, Database, EventFormat, ExpectedVersion, NewEvent, RecordedEvent, Retention, Seq,
    StreamId,
};
use golden_files::copy_files;
use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

const SEGMENT_BYTES: u64 = 64 << 10;

fn golden() -> PathBuf {
    golden_files::golden("events")
}

fn open(path: &Path) -> Database {
    let builder = Database::builder().disk(Arc::new(RealDisk::new()));
    builder.background(Background::Manual).segment_bytes(SEGMENT_BYTES).open(path).unwrap()
}

/// An event with all that it carries, as a line.
fn line(event: &RecordedEvent<'_>) -> String {
    let id = match event.stream() {
        StreamId::Number(number) => format!("number {number}"),
        StreamId::Uuid(uuid) => format!("uuid {uuid:032x}"),
        other => format!("text {}", other.to_string().escape_default()),
    };
    let ids = [event.id(), event.correlation(), event.causation()];
    let ids: Vec<_> = ids.iter().map(|id| id.map_or("-".into(), |id| id.to_string())).collect();
    let pairs: Vec<_> = event.pairs().map(|(name, value)| format!("{name}={value}")).collect();
    let data = event.data();
    format!(
        "{}\t{}\t{id}\t{}\t{}\t{}\t{:?}\t{}\t{}\t{}\t{:08x}\t{}",
        event.seq(),
        event.category(),
        event.version(),
        event.time_ms(),
        event.event_type(),
        event.format(),
        ids.join(" "),
        pairs.join(" "),
        data.len(),
        crc32c::crc32c(data),
        data[..data.len().min(30)].escape_ascii()
    )
}

/// What the database holds, in global order.
fn text(db: &Database) -> String {
    let mut out = String::new();
    for event in db.read_all(Seq::ZERO).unwrap() {
        writeln!(out, "{}", line(&event.unwrap())).unwrap();
    }
    out
}

/// Streams tell the same as the global order does.
fn check_streams(db: &Database) {
    let mut count = 0;
    for category_name in ["orders", "carts", "marked"] {
        let category = db.open_category(category_name).unwrap();
        let mut told = 0;
        category
            .each_stream(|id, last| {
                told += 1;
                let lines: Vec<_> =
                    category.read(&id)?.map(|event| line(&event.unwrap())).collect();
                let info = category.info(&id)?;
                assert_eq!(lines.len() as u64, last + 1 - info.first_version);
                if info.is_archived {
                    return Ok(());
                }
                count += lines.len();
                let all = text(db);
                assert!(lines.iter().all(|line| all.contains(line)), "{lines:?}");
                Ok(())
            })
            .unwrap();
        let deleted_count = u64::from(category_name == "marked");
        assert_eq!(category.streams_count().unwrap(), told + deleted_count);
    }
    assert_eq!(text(db).lines().count(), count);
}

fn expected() -> String {
    golden_files::expected("events")
}

#[test]
fn a_database_with_events_opens() {
    let dir = tempfile::tempdir().unwrap();
    copy_files(&golden(), dir.path());
    for _ in 0..2 {
        let db = open(dir.path());
        assert_eq!(text(&db), expected());
        assert!(db.recovery().clean && db.recovery().warnings.is_empty(), "{:?}", db.recovery());
        check_streams(&db);
        assert!(db.verify(&mut |_| {}).unwrap().is_intact());
        db.compact().unwrap();
        assert_eq!(text(&db), expected());
        check_streams(&db);
        db.close().unwrap();
    }
    // It goes on where it was, and knows which events it has.
    let db = open(dir.path());
    let orders = db.open_category("orders").unwrap();
    let again =
        orders.append(1u64, &NewEvent::bytes("x", b"").id(3), ExpectedVersion::Any).unwrap();
    assert!(again.was_there);
    let len = orders.len(1u64).unwrap();
    let event = NewEvent::json("order-placed", "{}").version(2);
    let done = orders.append(1u64, &event, ExpectedVersion::Exact(len - 1)).unwrap();
    assert_eq!(done.first_version, len);
    assert_eq!(text(&db).lines().count(), expected().lines().count() + 1);
}

/// What is left of its streams is, with its checkpoint and without.
#[test]
fn its_streams_are_left_as_they_were() {
    for with_checkpoint in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        copy_files(&golden(), dir.path());
        if !with_checkpoint {
            let is_one = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "ckp");
            let files = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
            files.filter(is_one).for_each(|path| std::fs::remove_file(path).unwrap());
        }
        let db = open(dir.path());
        let marked = db.open_category("marked").unwrap();
        let infos = [1u64, 2, 3, 4, 5].map(|id| marked.info(id).unwrap());
        let versions = infos.map(|info| (info.first_version, info.next_version, info.life_version));
        assert_eq!(versions, [(17, 20, 0), (20, 20, 20), (0, 20, 0), (15, 20, 0), (0, 0, 0)]);
        assert_eq!(infos.map(|info| info.is_archived), [false, false, true, false, false]);
        assert_eq!(infos.map(|info| info.is_tombstone), [false, false, false, false, true]);
        assert_eq!(infos[3].retention, Retention::default().max_count(5));
    }
}

/// Without its checkpoint the log says the same.
#[test]
fn its_events_are_in_the_log_whole() {
    let dir = tempfile::tempdir().unwrap();
    copy_files(&golden(), dir.path());
    let is_one = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "ckp");
    let files = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
    let checkpoints: Vec<_> = files.filter(is_one).collect();
    assert_eq!(checkpoints.len(), 1);
    std::fs::remove_file(&checkpoints[0]).unwrap();
    let db = open(dir.path());
    assert_eq!(text(&db), expected());
    check_streams(&db);
}

/// The golden database has what it is for.
#[test]
fn some_of_its_events_were_moved() {
    let files = std::fs::read_dir(golden()).unwrap().map(|entry| entry.unwrap().path());
    let mut segments = files.filter(|path| path.extension().is_some_and(|ending| ending == "seg"));
    let is_packed = |path: PathBuf| {
        let bytes = std::fs::read(path).unwrap();
        bytes[12] != 1 && bytes.windows(8).any(|some| some == b"an event")
    };
    assert!(segments.any(is_packed));
}

/// Makes the golden files of the current format. Never writes over any.
#[test]
#[ignore = "writes the golden files: a run by hand, once for each version, into a folder that is not there; what they say is tested by the other tests of this file"]
fn generate() {
    let target = golden();
    assert!(!target.exists(), "golden files are never written again");
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let (orders, carts) = (db.category("orders").unwrap(), db.category("carts").unwrap());
    let churn = db.hash_keyspace("churn").unwrap();
    let append = |round: u32| {
        for n in 0..12u32 {
            let data = format!("an event, {n} of round {round}");
            let event = NewEvent::bytes("order-placed", data.as_bytes()).version(1 + n % 2);
            let event = match n % 3 {
                0 => event.id(u128::from(round * 100 + n)).correlation(u128::MAX),
                1 => event.causation(7).with("user", "ada").with("", "ünicode"),
                _ => event,
            };
            orders.append(u64::from(n % 4), &event, ExpectedVersion::Any).unwrap();
        }
        orders
            .append(u64::MAX, &NewEvent::json("rounds", "{\"a\":1}"), ExpectedVersion::Any)
            .unwrap();
        let archive = NewEvent::new("large", EventFormat::Archive, &[7; 3_000]);
        carts.append(StreamId::Uuid(0x1234), &archive, ExpectedVersion::Any).unwrap();
        let data: Vec<_> = (0..20u8).map(|n| [n; 5]).collect();
        let many: Vec<_> = data.iter().map(|data| NewEvent::bytes("many", data)).collect();
        carts.append_many("a cart, ü", &many, ExpectedVersion::Any).unwrap();
        churn.insert([1], vec![round as u8; 20_000]).unwrap();
    };
    // So that those of number 1 with an id are known: 3, 9, and more in later rounds.
    for n in [1u128, 3] {
        let event = NewEvent::bytes("first", b"an event with an id").id(n);
        orders.append(1u64, &event, ExpectedVersion::Any).unwrap();
    }
    let marked = db.category("marked").unwrap();
    for (id, n) in [1u64, 2, 3, 4].into_iter().flat_map(|id| (0..20u8).map(move |n| (id, n))) {
        let data = [n];
        let event = NewEvent::bytes("n", &data).id(u128::from(id) << 8 | u128::from(n));
        marked.append(id, &event, ExpectedVersion::Any).unwrap();
    }
    marked.truncate_before(1u64, 17).unwrap();
    marked.delete(2u64).unwrap();
    append(1);
    append(2);
    db.compact().unwrap();
    marked.archive(3u64).unwrap();
    marked.set_retention(4u64, Retention::default().max_count(5)).unwrap();
    marked.tombstone(5u64).unwrap();
    append(3);
    let mut batch = db.batch();
    for n in 0..3u64 {
        batch
            .append(&orders, n % 2, &[NewEvent::bytes("batched", b"b")], ExpectedVersion::Any)
            .unwrap();
        batch.insert(&churn, [2], [n as u8]).unwrap();
    }
    batch.commit().unwrap();
    db.category("gone")
        .unwrap()
        .append(1u64, &NewEvent::bytes("x", b"x"), ExpectedVersion::Any)
        .unwrap();
    db.drop_keyspace("gone").unwrap();
    check_streams(&db);
    let text = text(&db);
    drop((orders, carts, marked, churn));
    db.close().unwrap();
    std::fs::create_dir_all(&target).unwrap();
    copy_files(dir.path(), &target);
    std::fs::write(target.with_extension("txt"), text).unwrap();
}
