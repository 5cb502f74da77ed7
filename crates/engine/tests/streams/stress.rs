//! Appenders, readers, compaction and checkpoints at once, while segments are given up and used again.

use annals_disk::{Disk, RealDisk};
use annals_engine::{Category, Database, Error, ExpectedVersion, NewEvent, RecordedEvent, Seq};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

/// Streams that all append to, before those that each has alone.
const SHARED: u64 = 4;
const APPENDERS: u64 = 2;
const SECONDS: u64 = 5;
/// So much longer if there was not enough for something to be seen.
const WAIT: Duration = Duration::from_secs(120);

/// Sets the flag when its thread ends, also by a panic.
struct Stopper<'a>(&'a AtomicBool);

impl Drop for Stopper<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Who wrote it, its how many-eth it is, and a filler that both give.
fn data(appender: u64, n: u64) -> Vec<u8> {
    let mut data = [appender.to_le_bytes(), n.to_le_bytes()].concat();
    data.resize(16 + (n % 300) as usize, (appender * 31 + n) as u8);
    data
}

fn check_data(event: &RecordedEvent<'_>) -> (u64, u64) {
    let number = |at: usize| u64::from_le_bytes(event.data()[at..at + 8].try_into().unwrap());
    let (appender, n) = (number(0), number(8));
    assert_eq!(event.data(), data(appender, n), "{event:?} has the data of another one");
    (appender, n)
}

/// A stream that only grows, read whole in both directions: dense, in order, and what each appender wrote
/// in the order in which it did.
fn check_stream(category: &Category, stream: u64, least: u64) -> u64 {
    let (mut next, mut last_seq) = (0, Seq::ZERO);
    let mut last = BTreeMap::new();
    for event in category.read(stream).unwrap() {
        let event = event.unwrap();
        assert_eq!((event.version(), event.stream()), (next, stream.into()));
        assert!(event.seq() > last_seq, "{event:?} after {last_seq}");
        let (appender, n) = check_data(&event);
        assert!(last.insert(appender, n).is_none_or(|before| before < n), "{event:?}");
        (next, last_seq) = (next + 1, event.seq());
    }
    assert!(next >= least, "{stream} had {least} events, and has {next}");
    let mut left = None;
    for event in category.read(stream).unwrap().back() {
        let event = event.unwrap();
        assert!(left.is_none_or(|left| event.version() + 1 == left));
        check_data(&event);
        left = Some(event.version());
    }
    assert!(left.is_none_or(|left| left == 0), "back to {left:?}");
    next
}

#[test]
fn streams_stay_whole_beside_compaction_and_checkpoints() {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::builder()
        .segment_bytes(64 << 10)
        .checkpoint_every_bytes(100 << 10)
        .compact_below(0.8)
        .open(dir.path().join("db"))
        .unwrap();
    let categories = [db.category("orders").unwrap(), db.category("carts").unwrap()];
    let churn = db.hash_keyspace("churn").unwrap();
    let (stop, appends, reads) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let clock = RealDisk::new();
    let end_ns = clock.monotonic_ns() + Duration::from_secs(SECONDS).as_nanos() as u64;
    // On a machine that is busy it takes longer until a segment is used again.
    let is_over = || {
        let now_ns = clock.monotonic_ns();
        let is_reused = || db.stats().log.recycled_count > 0;
        now_ns >= end_ns && (is_reused() || now_ns >= end_ns + WAIT.as_nanos() as u64)
    };
    let go_on = || !stop.load(Ordering::Relaxed) && !is_over();
    std::thread::scope(|scope| {
        for appender in 0..APPENDERS {
            let (db, categories, churn) = (&db, &categories, &churn);
            let (go_on, stop, appends) = (&go_on, &stop, &appends);
            scope.spawn(move || {
                let _stopper = Stopper(stop);
                let own = SHARED + appender;
                for n in 0u64.. {
                    if !go_on() {
                        return;
                    }
                    let category = &categories[(n % 2) as usize];
                    let stream = if n.is_multiple_of(3) { own } else { n % SHARED };
                    let data = data(appender, n);
                    let mut event = NewEvent::bytes("happened", &data);
                    if n.is_multiple_of(5) {
                        event = event.id(u128::from(appender) << 64 | u128::from(n));
                    }
                    let len = category.len(stream).unwrap();
                    let exact = match len.checked_sub(1) {
                        Some(last) => ExpectedVersion::Exact(last),
                        None => ExpectedVersion::NoStream,
                    };
                    let done = match n % 4 {
                        0 => category.append(stream, &event, exact),
                        1 => {
                            let mut batch = db.batch();
                            batch.insert(churn, n.to_le_bytes(), [1; 300]).unwrap();
                            let events = [event.clone()];
                            let other = &categories[1 - (n % 2) as usize];
                            let any = ExpectedVersion::Any;
                            batch.append(category, stream, &events, any).unwrap();
                            batch.append(other, own, &events, any).unwrap();
                            batch.remove(churn, n.to_le_bytes()).unwrap();
                            batch.commit().unwrap();
                            appends.fetch_add(2, Ordering::Relaxed);
                            continue;
                        }
                        _ => category.append(stream, &event, ExpectedVersion::Any),
                    };
                    match done {
                        Ok(done) => {
                            let there = category.get(stream, done.last_version).unwrap().unwrap();
                            assert_eq!((there.seq(), there.data()), (done.last_seq, &data[..]));
                            if n.is_multiple_of(5) {
                                let again = category.append(stream, &event, exact).unwrap();
                                assert!(again.was_there && again.first_seq == done.first_seq);
                            }
                            appends.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(Error::VersionConflict { found, .. }) => {
                            assert!(n.is_multiple_of(4) && stream != own, "nobody else appends");
                            assert!(found.is_some_and(|found| found >= len));
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
        {
            let (churn, go_on, stop) = (&churn, &go_on, &stop);
            scope.spawn(move || {
                let _stopper = Stopper(stop);
                for n in 0u64.. {
                    if !go_on() {
                        return;
                    }
                    churn.insert((n % 20).to_le_bytes(), vec![1; 900]).unwrap();
                    if n.is_multiple_of(64) {
                        std::thread::yield_now();
                    }
                }
            });
        }
        {
            let (db, go_on, stop) = (&db, &go_on, &stop);
            scope.spawn(move || {
                let _stopper = Stopper(stop);
                for round in 0u64.. {
                    if !go_on() {
                        return;
                    }
                    match round % 3 {
                        0 => drop(db.compact().unwrap()),
                        1 => drop(db.checkpoint().unwrap()),
                        _ => drop(db.snapshot()),
                    }
                    std::thread::sleep(Duration::from_millis(3));
                }
            });
        }
        for reader in 0..2u64 {
            let (db, categories) = (&db, &categories);
            let (go_on, stop, reads) = (&go_on, &stop, &reads);
            scope.spawn(move || {
                let _stopper = Stopper(stop);
                let mut least = BTreeMap::new();
                for round in reader.. {
                    if !go_on() {
                        return;
                    }
                    let which = round % 2;
                    let category = &categories[which as usize];
                    let stream = (round / 2) % (SHARED + APPENDERS);
                    let known = least.entry((which, stream)).or_insert(0);
                    *known = check_stream(category, stream, *known);
                    for version in [0, *known / 2, *known / 3] {
                        let got = category.get(stream, version).unwrap();
                        assert!(*known == 0 || got.is_some_and(|got| got.version() == version));
                    }
                    let mut streams_count = 0;
                    category
                        .each_stream(|_, _| {
                            streams_count += 1;
                            Ok(())
                        })
                        .unwrap();
                    assert!(streams_count <= SHARED + APPENDERS, "{streams_count} streams");
                    if round % 8 == reader {
                        check_all(db);
                    }
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let recycled = db.stats().log.recycled_count;
    println!("{appends:?} appends, {reads:?} reads, {recycled} segments recycled");
    assert!(recycled > 0, "no segment was used again");
    assert!(appends.load(Ordering::Relaxed) > 0 && reads.load(Ordering::Relaxed) > 0);
    let lens = |db: &Database| -> Vec<u64> {
        let categories = ["orders", "carts"].map(|name| db.open_category(name).unwrap());
        let streams = 0..SHARED + APPENDERS;
        let of = |category: &Category| -> Vec<u64> {
            streams.clone().map(|stream| check_stream(category, stream, 0)).collect()
        };
        categories.iter().flat_map(of).collect()
    };
    let before = lens(&db);
    assert_eq!(before.iter().sum::<u64>(), appends.load(Ordering::Relaxed));
    check_all(&db);
    assert!(db.verify(&mut |_| {}).unwrap().is_intact());
    drop((categories, churn));
    db.close().unwrap();
    let db = Database::open(dir.path().join("db")).unwrap();
    assert_eq!(lens(&db), before);
    check_all(&db);
}

/// Streams that are appended to by one thread each, and truncated by another, while their events are moved and left
/// out.
#[test]
fn streams_that_are_truncated_have_no_gap_but_in_front() {
    const STREAMS: u64 = 4;
    /// So many events are always left.
    const LEFT: u64 = 5;
    let dir = tempfile::tempdir().unwrap();
    let db = Database::builder()
        .segment_bytes(64 << 10)
        .checkpoint_every_bytes(100 << 10)
        .compact_below(0.8)
        .open(dir.path().join("db"))
        .unwrap();
    let category = db.category("orders").unwrap();
    let stop = AtomicBool::new(false);
    let clock = RealDisk::new();
    let end_ns = clock.monotonic_ns() + Duration::from_secs(3).as_nanos() as u64;
    let go_on = || !stop.load(Ordering::Relaxed) && clock.monotonic_ns() < end_ns;
    let data = |stream: u64, version: u64| vec![(stream + version) as u8; (version % 400) as usize];
    let reads = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let (db, category, go_on, stop, reads) = (&db, &category, &go_on, &stop, &reads);
        for appender in 0..2u64 {
            scope.spawn(move || {
                let _stopper = Stopper(stop);
                for version in 0u64.. {
                    for stream in [appender, appender + 2] {
                        let data = data(stream, version);
                        let event = NewEvent::bytes("n", &data).id(version.into());
                        let done = category.append(stream, &event, ExpectedVersion::Any).unwrap();
                        assert_eq!(done.first_version, version);
                    }
                    if !go_on() {
                        return;
                    }
                }
            });
        }
        scope.spawn(move || {
            let _stopper = Stopper(stop);
            for round in 0u64.. {
                if !go_on() {
                    return;
                }
                let stream = round % STREAMS;
                let len = category.len(stream).unwrap();
                let before = len.saturating_sub(LEFT + round % 60);
                let first = category.truncate_before(stream, before).unwrap();
                assert!(first >= before && category.info(stream).unwrap().first_version >= before);
                if round.is_multiple_of(8) {
                    db.compact().unwrap();
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        for reader in 0..2u64 {
            scope.spawn(move || {
                let _stopper = Stopper(stop);
                for round in reader.. {
                    if !go_on() {
                        return;
                    }
                    let stream = round % STREAMS;
                    let known = category.info(stream).unwrap();
                    let mut next = None;
                    for event in category.read(stream).unwrap() {
                        let event = event.unwrap();
                        let version = event.version();
                        assert_eq!(event.data(), data(stream, version));
                        if next != Some(version) {
                            // What was in front of it is gone by now.
                            let first = category.info(stream).unwrap().first_version;
                            assert!(next < Some(version) && version <= first, "{next:?} {version}");
                            assert!(version >= known.first_version);
                        }
                        next = Some(version + 1);
                    }
                    if next.unwrap_or(0) < known.next_version {
                        // A slow reader: the rest was truncated before it came there.
                        let first = category.info(stream).unwrap().first_version;
                        assert!(first >= known.next_version, "{next:?}, {known:?}, {first}");
                    }
                    let mut last = None;
                    for event in category.read(stream).unwrap().back() {
                        let version = event.unwrap().version();
                        assert!(last.is_none_or(|last| version + 1 == last));
                        last = Some(version);
                    }
                    let known_ones = [known.first_version, known.next_version / 2];
                    for version in known_ones.into_iter().filter(|_| known.exists()) {
                        match category.get(stream, version).unwrap() {
                            Some(event) => assert_eq!(event.data(), data(stream, version)),
                            None => {
                                let info = category.info(stream).unwrap();
                                let is_left = info.first_version..info.next_version;
                                assert!(!is_left.contains(&version), "{version} of {info:?}");
                            }
                        }
                    }
                    let mut seen = BTreeMap::new();
                    for event in category.read_all(Seq::ZERO).unwrap() {
                        let event = event.unwrap();
                        let next = seen.insert(event.stream().to_string(), event.version() + 1);
                        // Truncated while it was read, it may begin again further behind.
                        assert!(next.is_none_or(|next| next <= event.version()), "{event:?}");
                    }
                    reads.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    println!("{reads:?} reads");
    assert!(reads.load(Ordering::Relaxed) > 0);
    let infos: Vec<_> = (0..STREAMS).map(|stream| category.info(stream).unwrap()).collect();
    assert!(db.verify(&mut |_| {}).unwrap().is_intact());
    drop(category);
    db.close().unwrap();
    let db = Database::open(dir.path().join("db")).unwrap();
    let category = db.open_category("orders").unwrap();
    for (stream, info) in (0..STREAMS).zip(infos) {
        assert_eq!(category.info(stream).unwrap(), info);
        let versions = category.read(stream).unwrap().map(|event| event.unwrap().version());
        assert!(versions.eq(info.first_version..info.next_version));
    }
}

/// All events in their global order: each stream's versions are dense, and a second look up to the same
/// number finds the same.
fn check_all(db: &Database) {
    let events = db.read_all(Seq::ZERO).unwrap();
    let until = events.until();
    let mut next = BTreeMap::new();
    let (mut last_seq, mut seqs, mut of_orders) = (Seq::ZERO, Vec::new(), Vec::new());
    for event in events {
        let event = event.unwrap();
        assert!(event.seq() > last_seq && event.seq() <= until, "{event:?} after {last_seq}");
        check_data(&event);
        let stream = (event.category().to_owned(), event.stream().to_string());
        let version = next.entry(stream).or_insert(0);
        assert_eq!(event.version(), *version, "{event:?}");
        *version += 1;
        last_seq = event.seq();
        seqs.push(last_seq);
        if event.category() == "orders" {
            of_orders.push(last_seq);
        }
    }
    let again = db.read_all(Seq::ZERO).unwrap().map(|event| event.unwrap().seq());
    assert!(again.take_while(|seq| *seq <= until).eq(seqs), "what was read, and what is there");
    let category = db.open_category("orders").unwrap();
    let orders =
        category.read_all(Seq::ZERO).unwrap().of_type("happened").map(|event| event.unwrap().seq());
    assert!(orders.take_while(|seq| *seq <= until).eq(of_orders), "the orders alone");
}
