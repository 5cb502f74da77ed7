//! Many handles that append at once: who wins, and what readers may rely on.

use annals_engine::{Appended, Category, Database, Error, ExpectedVersion, NewEvent, Seq};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Barrier, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

fn event(data: &[u8]) -> NewEvent<'_> {
    NewEvent::bytes("happened", data)
}

/// A database with a writer that lets the log be compacted and segments be used again.
fn small(dir: &std::path::Path) -> Database {
    let builder = Database::builder().segment_bytes(64 << 10).checkpoint_every_bytes(100 << 10);
    builder.compact_below(0.8).open(dir.join("db")).unwrap()
}

/// Sets the flag when its thread ends, also by a panic.
struct Stopper<'a>(&'a AtomicBool);

impl Drop for Stopper<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_thousand_appenders_of_one_stream_have_one_winner_for_each_version() {
    const APPENDERS: u64 = 1_000;
    const VERSIONS: u64 = 20;
    let db = Database::open_in_memory().unwrap();
    let category = db.category("orders").unwrap();
    let (barrier, winners) = (Barrier::new(APPENDERS as usize), Mutex::new(BTreeMap::new()));
    std::thread::scope(|scope| {
        for appender in 0..APPENDERS {
            let (category, barrier, winners) = (category.clone(), &barrier, &winners);
            let run = move || {
                for version in 0..VERSIONS {
                    barrier.wait();
                    let expected = match version.checked_sub(1) {
                        Some(last) => ExpectedVersion::Exact(last),
                        None => ExpectedVersion::NoStream,
                    };
                    let data = appender.to_le_bytes();
                    match category.append("one", &event(&data), expected) {
                        Ok(done) => {
                            assert_eq!(done.first_version, version);
                            let before = winners.lock().unwrap().insert(version, appender);
                            assert_eq!(before, None, "two winners of version {version}");
                        }
                        Err(Error::VersionConflict { found, .. }) => {
                            assert_eq!(found, Some(version), "{appender} was late for {version}");
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            };
            std::thread::Builder::new().stack_size(256 << 10).spawn_scoped(scope, run).unwrap();
        }
    });
    let winners = winners.into_inner().unwrap();
    assert_eq!(winners.len() as u64, VERSIONS);
    for event in category.read("one").unwrap() {
        let event = event.unwrap();
        assert_eq!(event.data(), winners[&event.version()].to_le_bytes());
    }
    assert_eq!(category.len("one").unwrap(), VERSIONS);
}

/// Who fails reads the version that it was told, and tries again: nobody starves for ever, and no version
/// is given twice, whether events come alone or many at a time.
#[test]
fn appenders_that_retry_share_a_stream_without_gap_or_duplicate() {
    const APPENDERS: u64 = 8;
    const EACH: u64 = 150;
    let dir = tempfile::tempdir().unwrap();
    let db = small(dir.path());
    let category = db.category("orders").unwrap();
    let wins = Mutex::new(BTreeMap::new());
    std::thread::scope(|scope| {
        for appender in 0..APPENDERS {
            let (category, wins, db) = (category.clone(), &wins, db.clone());
            scope.spawn(move || {
                for n in 0..EACH {
                    let count = if n % 5 == 4 { 3 } else { 1 };
                    let data = [appender.to_le_bytes(), n.to_le_bytes()].concat();
                    let events = vec![event(&data); count];
                    let mut expected = ExpectedVersion::NoStream;
                    let first = loop {
                        let tried = if n % 7 == 6 {
                            let mut batch = db.batch();
                            batch
                                .append(&category, "one", &events, expected)
                                .and_then(|()| batch.commit())
                                .map(|_| match expected {
                                    ExpectedVersion::Exact(last) => last + 1,
                                    _ => 0,
                                })
                        } else {
                            let done = category.append_many("one", &events, expected);
                            done.map(|done| done.first_version)
                        };
                        match tried {
                            Ok(first) => break first,
                            Err(Error::VersionConflict { found, .. }) => {
                                expected = ExpectedVersion::Exact(found.expect("somebody won"));
                            }
                            Err(error) => panic!("{error}"),
                        }
                    };
                    let mut wins = wins.lock().unwrap();
                    for version in first..first + count as u64 {
                        let before = wins.insert(version, data.clone());
                        assert_eq!(before, None, "two winners of version {version}");
                    }
                }
            });
        }
    });
    let wins = wins.into_inner().unwrap();
    for ((version, event), (won, data)) in (0u64..).zip(category.read("one").unwrap()).zip(&wins) {
        let event = event.unwrap();
        assert_eq!((event.version(), *won), (version, version));
        assert_eq!(event.data(), &data[..]);
    }
    assert_eq!(category.len("one").unwrap(), wins.len() as u64);
}

#[test]
fn versions_are_dense_and_positions_monotone_under_many_handles() {
    const HANDLES: u64 = 12;
    const ROUNDS: u64 = 120;
    const STREAMS: u64 = 3;
    let dir = tempfile::tempdir().unwrap();
    let db = small(dir.path());
    let category = db.category("orders").unwrap();
    let done: Mutex<Vec<(u64, Appended, u64)>> = Mutex::default();
    std::thread::scope(|scope| {
        for handle in 0..HANDLES {
            let (db, done) = (db.clone(), &done);
            scope.spawn(move || {
                // Each has its own handles of everything.
                let (own, churn) =
                    (db.category("orders").unwrap(), db.hash_keyspace("churn").unwrap());
                for round in 0..ROUNDS {
                    let stream = (handle + round) % STREAMS;
                    let mark = handle << 32 | round;
                    let data = mark.to_le_bytes();
                    let count = [1, 1, 2, 40][(round % 4) as usize];
                    let events = vec![event(&data); count];
                    let appended = own.append_many(stream, &events, ExpectedVersion::Any).unwrap();
                    assert_eq!(
                        appended.last_seq.0 - appended.first_seq.0,
                        appended.last_version - appended.first_version,
                        "one append lies together, in its stream and among all"
                    );
                    // What has returned is what readers see, from then on.
                    assert!(own.len(stream).unwrap() > appended.last_version);
                    let seen = own.get(stream, appended.last_version).unwrap().unwrap();
                    assert_eq!((seen.seq(), seen.data()), (appended.last_seq, &data[..]));
                    done.lock().unwrap().push((stream, appended, mark));
                    churn.insert((round % 3).to_le_bytes(), vec![7; 2_000]).unwrap();
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap();
    done.sort_by_key(|(_, appended, _)| appended.first_seq);
    let mut next = BTreeMap::<u64, u64>::new();
    let mut last_seq = Seq::ZERO;
    let mut all = BTreeMap::new();
    for (stream, appended, mark) in done {
        let version = next.entry(stream).or_default();
        assert_eq!(appended.first_version, *version, "stream {stream}");
        assert!(appended.first_seq > last_seq, "positions are given once, in the order of commits");
        (*version, last_seq) = (appended.last_version + 1, appended.last_seq);
        for (version, seq) in
            (appended.first_version..=appended.last_version).zip(appended.first_seq.0..)
        {
            all.insert(Seq(seq), (stream, version, mark));
        }
    }
    let read: BTreeMap<_, _> = db
        .read_all(Seq::ZERO)
        .unwrap()
        .map(|event| {
            let event = event.unwrap();
            let annals_engine::StreamId::Number(stream) = event.stream() else { panic!() };
            let mark = u64::from_le_bytes(event.data().try_into().unwrap());
            (event.seq(), (stream, event.version(), mark))
        })
        .collect();
    assert_eq!(read, all);
    drop(category);
}

/// Whoever is told a watermark can read everything up to it, then and later; and the loop "read from the
/// cursor, if there is nothing wait" sees each event once, what was there before it began included.
#[test]
fn whoever_is_told_the_watermark_can_read_everything_up_to_it() {
    const APPENDERS: u64 = 3;
    const EACH: u64 = 700;
    const BACKLOG: u64 = 100;
    let dir = tempfile::tempdir().unwrap();
    let db = small(dir.path());
    let category = db.category("orders").unwrap();
    for n in 0..BACKLOG {
        category.append(n % 5, &event(b"before"), ExpectedVersion::Any).unwrap();
    }
    let (over, left) = (AtomicBool::new(false), AtomicU64::new(APPENDERS));
    // The highest number that somebody was told is committed.
    let told = AtomicU64::new(0);
    let appended = Mutex::new(BTreeSet::new());
    std::thread::scope(|scope| {
        for appender in 0..APPENDERS {
            let (db, category, told) = (&db, category.clone(), &told);
            let (left, over, appended) = (&left, &over, &appended);
            scope.spawn(move || {
                let stopper = Stopper(over);
                let churn = db.hash_keyspace("churn").unwrap();
                for n in 0..EACH {
                    let events = vec![event(b"x"); if n.is_multiple_of(50) { 40 } else { 1 }];
                    let stream = (appender * n) % 5;
                    let done = category.append_many(stream, &events, ExpectedVersion::Any).unwrap();
                    told.fetch_max(done.last_seq.0, Ordering::SeqCst);
                    appended.lock().unwrap().extend(done.first_seq.0..=done.last_seq.0);
                    churn.insert((n % 4).to_le_bytes(), vec![7; 1_000]).unwrap();
                    if n.is_multiple_of(128) {
                        db.compact().unwrap();
                    }
                }
                if left.fetch_sub(1, Ordering::SeqCst) > 1 {
                    std::mem::forget(stopper);
                }
            });
        }
        for of_category in [false, true] {
            let (db, category, over, told) = (&db, &category, &over, &told);
            let appended = &appended;
            scope.spawn(move || {
                let _stopper = Stopper(over);
                let mut cursor = Seq::ZERO;
                let mut seen = BTreeSet::new();
                let mut is_last = false;
                loop {
                    let least = told.load(Ordering::SeqCst);
                    let events = match of_category {
                        true => category.read_all(cursor).unwrap(),
                        false => db.read_all(cursor).unwrap(),
                    };
                    let until = events.until();
                    assert!(until.0 >= least, "what has returned is under the watermark");
                    for event in events {
                        let event = event.unwrap();
                        assert!(event.seq() >= cursor && event.seq() <= until);
                        assert!(seen.insert(event.seq().0), "{} came twice", event.seq());
                        // It is in its stream too.
                        let version = event.version();
                        let there = category.get(event.stream(), version).unwrap();
                        assert_eq!(there.map(|there| there.seq()), Some(event.seq()));
                        cursor = event.seq().plus(1);
                    }
                    // Nothing under the watermark comes later.
                    cursor = cursor.max(until.plus(1));
                    if is_last {
                        break;
                    }
                    is_last = over.load(Ordering::SeqCst);
                }
                let appended = appended.lock().unwrap();
                assert!(appended.is_subset(&seen), "gaps: {:?}", appended.difference(&seen).next());
                assert_eq!(seen.len() as u64, appended.len() as u64 + BACKLOG);
            });
        }
    });
    check_dense(&category);
}

fn check_dense(category: &Category) {
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    for event in category.read_all(Seq::ZERO).unwrap() {
        let event = event.unwrap();
        let next = last.entry(event.stream().to_string()).or_default();
        assert_eq!(event.version(), *next, "{event:?}");
        *next += 1;
    }
}

#[test]
fn streams_of_a_batch_are_counted_whole() {
    const BATCH: u64 = 300;
    let db = Database::open_in_memory().unwrap();
    let categories = [db.category("left").unwrap(), db.category("right").unwrap()];
    let (over, partial) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for category in &categories {
            let (over, partial) = (&over, &partial);
            scope.spawn(move || {
                while !over.load(Ordering::SeqCst) {
                    let count = category.streams_count().unwrap();
                    if !count.is_multiple_of(BATCH) {
                        partial.store(count, Ordering::SeqCst);
                    }
                }
            });
        }
        let _stopper = Stopper(&over);
        for round in 0..200u64 {
            let mut batch = db.batch();
            for n in 0..BATCH {
                for category in &categories {
                    let id = round * BATCH + n;
                    batch.append(category, id, &[event(b"x")], ExpectedVersion::NoStream).unwrap();
                }
            }
            batch.commit().unwrap();
            let count = (round + 1) * BATCH;
            let counted = categories.each_ref().map(|category| category.streams_count().unwrap());
            assert_eq!(counted, [count, count]);
        }
    });
    assert_eq!(partial.into_inner(), 0, "so many streams of a batch were counted");
}
