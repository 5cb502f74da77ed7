//! What the process that writes tells those that read: figures that come, go and are not there, and on which
//! nothing depends.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use annals_disk::{Disk, MemoryDisk, SimDisk, SimOptions};
use annals_engine::{
    Background, Builder, Compression, Database, KeyspaceOptions, OrderedKeyspace, TreeOptions,
    WriterState, WriterStats,
};
use std::{fs, path::Path, sync::Arc, thread, time::Duration};

const NAME: &str = "annals.figures";
/// How often it is looked what the background has done.
const LOOKS: u32 = 24_000;

fn builder(disk: Arc<dyn Disk>) -> Builder {
    Database::builder().disk(disk).segment_bytes(64 << 10)
}

/// What a reader is told.
fn told(disk: &Arc<dyn Disk>) -> Option<WriterStats> {
    builder(Arc::clone(disk)).read_only(true).open("db").unwrap().stats().writer
}

/// Looks until the reader is told what is wanted.
fn wait(
    mut look: impl FnMut() -> Option<WriterStats>,
    wanted: impl Fn(&WriterStats) -> bool,
) -> WriterStats {
    let mut last = None;
    for _ in 0..LOOKS {
        last = look();
        if let Some(found) = last.filter(&wanted) {
            return found;
        }
        thread::sleep(Duration::from_millis(5));
    }
    panic!("never came: {last:?}");
}

/// A keyspace whose tables are compressed, so that its reads go through the cache.
fn compressed(db: &Database) -> OrderedKeyspace {
    let (compression, bottom_compression) = (Compression::Lz4, Compression::Lz4);
    let tables = TreeOptions { compression, bottom_compression, ..TreeOptions::default() };
    db.create_keyspace("k", KeyspaceOptions::default(), tables).unwrap()
}

fn fill(keyspace: &OrderedKeyspace) {
    for number in 0..2_000_u32 {
        keyspace.insert(number.to_be_bytes(), [number as u8; 40]).unwrap();
    }
}

#[test]
fn a_reader_is_told_what_the_writer_counts() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let db = builder(Arc::clone(&disk)).open("db").unwrap();
    // One handle from before anything was told, to the end.
    let reader = builder(Arc::clone(&disk)).read_only(true).open("db").unwrap();
    let keyspace = compressed(&db);
    fill(&keyspace);
    db.checkpoint().unwrap();
    for _ in 0..3 {
        assert!(keyspace.contains(7_u32.to_be_bytes()).unwrap());
    }
    let own = db.stats().writer.unwrap();
    assert!(own.cache_hits >= 2 && own.cache_misses >= 1, "{own:?}");
    assert!(own.traffic.flushed_bytes > 0 && own.appended_bytes > 80_000, "{own:?}");
    let found = wait(|| reader.stats().writer, |found| found.cache_hits == own.cache_hits);
    let same = WriterStats { as_of_ms: found.as_of_ms, syncs_count: found.syncs_count, ..own };
    assert_eq!(found, WriterStats { appended_bytes: found.appended_bytes, ..same });
    assert_eq!((found.state, found.pid), (WriterState::Open, std::process::id()));
    assert!(found.opened_ms <= found.as_of_ms);

    // What comes is told too.
    assert!(keyspace.contains(7_u32.to_be_bytes()).unwrap());
    wait(|| reader.stats().writer, |later| later.cache_hits > found.cache_hits);

    let hits = db.stats().writer.unwrap().cache_hits;
    drop(keyspace);
    db.close().unwrap();
    for last in [reader.stats().writer.unwrap(), told(&disk).unwrap()] {
        assert_eq!((last.state, last.cache_hits), (WriterState::Closed, hits));
        assert_eq!((last.epoch, last.opened_ms), (found.epoch, found.opened_ms));
    }
}

#[test]
fn figures_of_an_earlier_opening_are_not_shown() {
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    builder(Arc::clone(&disk)).open("db").unwrap().close().unwrap();
    assert_eq!(told(&disk).unwrap().epoch, 1);
    // One that tells nothing, and changes nothing at what is there.
    let manual = builder(Arc::clone(&disk)).background(Background::Manual);
    let db = manual.open("db").unwrap();
    assert_eq!(told(&disk), None);
    assert_eq!(db.stats().writer.unwrap().epoch, 2, "its own it knows");
    db.close().unwrap();
    assert_eq!(told(&disk), None);
    builder(Arc::clone(&disk)).open("db").unwrap().close().unwrap();
    assert_eq!(told(&disk).unwrap().epoch, 3);
}

#[test]
fn a_writer_that_died_is_told_apart() {
    let sim = SimDisk::new(SimOptions::seeded(3));
    let disk: Arc<dyn Disk> = Arc::new(sim.clone());
    let db = builder(Arc::clone(&disk)).open("db").unwrap();
    let look = || {
        sim.advance_ms(1_000);
        told(&disk)
    };
    assert_eq!(wait(look, |_| true).state, WriterState::Open);
    let killed: Arc<dyn Disk> = Arc::new(sim.restart_clean());
    drop(db);
    assert_eq!(told(&killed).unwrap().state, WriterState::Died);
    // Who has the lock now has not begun to write, and is another one than that of the figures.
    let lock = killed.try_lock("db/annals.lock".as_ref(), annals_disk::LockMode::Exclusive);
    let _held = lock.unwrap().unwrap();
    assert_eq!(told(&killed).unwrap().state, WriterState::Died);
}

#[test]
fn without_threads_the_disk_sees_nothing_of_it() {
    let sim = SimDisk::new(SimOptions::seeded(1));
    let db = builder(Arc::new(sim.clone())).background(Background::Manual).open("db").unwrap();
    fill(&compressed(&db));
    for _ in 0..3 {
        sim.advance_ms(5_000);
        db.tick().unwrap();
        db.checkpoint().unwrap();
    }
    assert!(db.stats().writer.unwrap().traffic.flushed_bytes > 0);
    db.close().unwrap();
    assert!(sim.paths().iter().all(|path| !path.to_string_lossy().contains(NAME)));
}

fn read_only(dir: &Path) -> Option<WriterStats> {
    let reader = Database::builder().read_only(true).open(dir).unwrap();
    let report = reader.verify(&mut |_| {}).unwrap();
    assert!(report.is_intact(), "{report:?}");
    reader.stats().writer
}

#[test]
fn nothing_depends_on_them() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    for dir in [&one, &other] {
        let db = Database::open(dir).unwrap();
        db.keyspace("k").unwrap().insert("a", "1").unwrap();
        db.close().unwrap();
    }
    let figures = one.join(NAME);
    let whole = fs::read(&figures).unwrap();
    assert!(read_only(&one).is_some());

    let mut flipped = whole.clone();
    flipped[80] ^= 4;
    let of_other = fs::read(other.join(NAME)).unwrap();
    let long = [0; 100_000];
    for bytes in [&flipped[..], &whole[..100], &[], &[0; 180], &of_other, &long] {
        fs::write(&figures, bytes).unwrap();
        assert_eq!(read_only(&one), None, "{} bytes", bytes.len());
        let writer = Database::builder().background(Background::Manual).open(&one).unwrap();
        assert_eq!(writer.keyspace("k").unwrap().get("a").unwrap().as_deref(), Some(&b"1"[..]));
        assert_eq!(writer.recovery().warnings, [""; 0]);
        drop(writer);
        assert_eq!(fs::read(&figures).unwrap(), bytes, "left alone");
    }
    fs::remove_file(&figures).unwrap();
    assert_eq!(read_only(&one), None);

    // Not even a folder in its place keeps anybody from writing.
    fs::create_dir(&figures).unwrap();
    let db = Database::open(&one).unwrap();
    db.keyspace("k").unwrap().insert("b", "2").unwrap();
    db.close().unwrap();
    assert_eq!(read_only(&one), None);
    assert!(!one.join("annals.figures.tmp").exists(), "what was not published is not left");
    fs::remove_dir(&figures).unwrap();
    let db = Database::open(&one).unwrap();
    assert_eq!(db.keyspace("k").unwrap().len().unwrap(), 2);

    // Copies have none, and begin their own.
    let copy = folder.path().join("copy");
    db.backup_to(&copy).unwrap();
    db.close().unwrap();
    assert!(figures.exists() && !copy.join(NAME).exists());
    assert_eq!(read_only(&copy), None);
    Database::open(&copy).unwrap().close().unwrap();
    assert_eq!(read_only(&copy).unwrap().state, WriterState::Closed);
}

/// They are all that is left of a database that was removed by hand.
#[test]
fn a_database_is_made_where_others_have_left_figures() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..2 {
        let db = Database::open(folder.path()).unwrap();
        assert_eq!(db.stats().writer.unwrap().epoch, 1, "round {round}");
        db.close().unwrap();
        for entry in fs::read_dir(folder.path()).unwrap() {
            let path = entry.unwrap().path();
            if !path.ends_with(NAME) {
                fs::remove_file(path).unwrap();
            }
        }
    }
    assert!(folder.path().join(NAME).exists());
}
