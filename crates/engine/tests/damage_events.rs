//! A small database with streams of events, each byte of it flipped, many lengths cut: what is read is
//! what was appended or a typed error that names the file; never another event, never one too few
//! without a word.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "damage_events/archives.rs"]
mod archives;
mod sample;

use annals_disk::{SimDisk, SimOptions};
use annals_engine::{
    Category, Database, Error, ErrorKind, ExpectedVersion, NewEvent, RecordedEvent, Seq, StreamId,
};
use sample::{DIR, Image, builder, content_end};
use std::{cell::RefCell, collections::BTreeSet, sync::Arc};

/// An event that was appended.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    category: String,
    stream: StreamId<'static>,
    version: u64,
    seq: Seq,
    of_type: String,
    data: Vec<u8>,
    id: Option<u128>,
    pairs: Vec<(String, String)>,
}

impl Known {
    fn of(event: &RecordedEvent<'_>) -> Self {
        let pairs = event.pairs().map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            category: event.category().to_owned(),
            stream: event.stream().into_owned(),
            version: event.version(),
            seq: event.seq(),
            of_type: event.event_type().to_string(),
            data: event.data().to_vec(),
            id: event.id(),
            pairs: pairs.collect(),
        }
    }
}

/// The files, all events in their order, and how many there were after each commit.
struct Sample {
    image: Image,
    events: Vec<Known>,
    history: Vec<usize>,
}

/// Fills a database: events of categories that were moved by compaction, in sealed segments, before
/// and behind a checkpoint, in batches with keys, long and short, some of them archives.
fn fill(db: &Database) -> Vec<usize> {
    let (orders, carts) = (db.category("orders").unwrap(), db.category("carts").unwrap());
    let users = db.hash_keyspace("users").unwrap();
    let count = || db.read_all(Seq::ZERO).unwrap().count();
    let history = RefCell::new(Vec::new());
    let note = || history.borrow_mut().push(count());
    let append = |category: &Category, stream: StreamId<'_>, n: u8| {
        let data = vec![n; 3 + usize::from(n % 20)];
        let mut event = NewEvent::bytes(if n.is_multiple_of(3) { "placed" } else { "paid" }, &data);
        if n.is_multiple_of(4) {
            event = event.id(n.into()).correlation(9).with("user", "ada");
        }
        category.append(stream, &event, ExpectedVersion::Any).unwrap();
        note();
    };
    for n in 0..8 {
        append(&orders, StreamId::Number(u64::from(n) % 2), n);
        append(&carts, StreamId::Text("ada".into()), n + 100);
    }
    archives::append(db, 0, note);
    for n in 0..40u8 {
        users.insert([n % 2], [n; 50]).unwrap();
    }
    db.compact().unwrap();
    for n in 8..14 {
        append(&orders, StreamId::Number(u64::from(n) % 2), n);
    }
    let many: Vec<_> = (0..36u8).map(|n| [n; 2]).collect();
    let many: Vec<_> = many.iter().map(|data| NewEvent::bytes("many", data)).collect();
    carts.append_many(StreamId::Uuid(3), &many, ExpectedVersion::NoStream).unwrap();
    let hold = db.changes(db.oldest_seq()).unwrap();
    db.compact().unwrap();
    drop(hold);
    append(&carts, StreamId::Uuid(3), 20);
    archives::append(db, 2, note);
    db.checkpoint().unwrap();
    archives::append(db, 4, note);
    for n in 30..34 {
        append(&orders, StreamId::Number(u64::from(n) % 2), n);
    }
    let mut batch = db.batch();
    for stream in [0u64, 1, 0] {
        let event = NewEvent::json("batched", "{\"a\":1}");
        batch.append(&orders, stream, &[event], ExpectedVersion::StreamExists).unwrap();
        batch.insert(&users, [9], "x").unwrap();
    }
    batch.commit().unwrap();
    let before_last = count();
    append(&orders, StreamId::Number(u64::MAX), 50);
    let mut history = history.into_inner();
    history.push(before_last);
    history.sort_unstable();
    history.dedup();
    history
}

fn sample(closed: bool) -> Sample {
    let options = SimOptions { writeback_chance: 0.0, ..SimOptions::seeded(20) };
    let disk = SimDisk::new(options);
    let db = builder().disk(Arc::new(disk.clone())).open(DIR).unwrap();
    let history = fill(&db);
    let read = db.read_all(Seq::ZERO).unwrap();
    let events: Vec<_> = read.map(|event| Known::of(&event.unwrap())).collect();
    let image = if closed {
        db.close().unwrap();
        Image::of(&disk)
    } else {
        let after = disk.restart_clean();
        drop(db);
        Image::of(&after)
    };
    Sample { image, events, history }
}

fn is_named(error: &Error, name: &str) {
    let text = error.to_string();
    assert!(text.contains(name), "`{text}` does not name {name}");
    let kinds = [ErrorKind::Corrupt, ErrorKind::Version, ErrorKind::NotADatabase];
    assert!(kinds.contains(&error.kind()), "{:?}: {text}", error.kind());
}

/// Whether all events numbered `from` or higher are read from there, as an error said.
fn goes_on(db: &Database, events: &[Known], from: Seq) -> Result<(), String> {
    let rest: Result<Vec<_>, _> = db
        .read_all(from)
        .map_err(|error| error.to_string())?
        .map(|event| Ok(Known::of(&event?)))
        .collect();
    let rest = rest.map_err(|error: Error| format!("from {from} on, as was said: {error}"))?;
    if rest.iter().ne(events.iter().filter(|event| event.seq >= from)) {
        return Err(format!("from {from} on other events are read"));
    }
    Ok(())
}

/// Whether everything that is read is what `events` says, or an error that names the file. Tells how many
/// errors there were.
fn compare(db: &Database, events: &[Known], name: &str) -> Result<usize, String> {
    let mut errors = 0;
    let mut failed = |error: &Error| {
        is_named(error, name);
        errors += 1;
    };
    // In global order: right up to the first error, and whole without one.
    let mut expected = events.iter();
    let mut broke = false;
    for event in db.read_all(Seq::ZERO).map_err(|error| error.to_string())? {
        match event {
            Ok(event) => {
                let (found, wanted) = (Known::of(&event), expected.next());
                if broke || wanted != Some(&found) {
                    return Err(format!("{found:?} where {wanted:?} comes"));
                }
            }
            Err(error) => {
                failed(&error);
                if let Error::DamagedEvents { readable_from, .. } = error {
                    goes_on(db, events, readable_from)?;
                }
                broke = true;
            }
        }
    }
    if !broke && expected.next().is_some() {
        return Err("events are missing, in global order".into());
    }
    let mut expected = events.iter();
    let mut broke = false;
    for batch in db.read_all(Seq::ZERO).map_err(|error| error.to_string())?.batches() {
        match batch {
            Ok(batch) => {
                for event in &batch {
                    let (found, wanted) = (Known::of(&event), expected.next());
                    if broke || wanted != Some(&found) {
                        return Err(format!("{found:?} where {wanted:?} comes, in a batch"));
                    }
                }
            }
            Err(error) => {
                failed(&error);
                broke = true;
            }
        }
    }
    if !broke && expected.next().is_some() {
        return Err("events are missing in batches".into());
    }
    let ids: BTreeSet<_> =
        events.iter().map(|event| (event.category.clone(), event.stream.to_string())).collect();
    for (category_name, stream) in ids {
        let of_stream: Vec<_> = events
            .iter()
            .filter(|event| event.category == category_name && event.stream.to_string() == stream)
            .collect();
        let id = of_stream[0].stream.clone();
        let category = db.open_category(&category_name).map_err(|error| error.to_string())?;
        match category.len(&id) {
            Ok(len) if len == of_stream.len() as u64 => {}
            Ok(len) => return Err(format!("{stream}: {len} events, not {}", of_stream.len())),
            Err(error) => failed(&error),
        }
        for is_back in [false, true] {
            let reader = match category.read(&id) {
                Ok(reader) if is_back => reader.back(),
                Ok(reader) => reader,
                Err(error) => {
                    failed(&error);
                    continue;
                }
            };
            let mut left = of_stream.clone();
            if is_back {
                left.reverse();
            }
            let mut left = left.into_iter();
            let mut broke = false;
            for event in reader {
                match event {
                    Ok(event) => {
                        let (found, wanted) = (Known::of(&event), left.next());
                        if broke || wanted != Some(&found) {
                            return Err(format!("{stream}: {found:?} where {wanted:?} comes"));
                        }
                    }
                    Err(error) => {
                        failed(&error);
                        broke = true;
                    }
                }
            }
            if !broke && left.next().is_some() {
                return Err(format!("{stream}: events are missing"));
            }
        }
        for (version, wanted) in (0..).zip(&of_stream) {
            match category.get(&id, version) {
                Ok(Some(event)) if Known::of(&event) == **wanted => {}
                Ok(other) => return Err(format!("{stream}, version {version}: {other:?}")),
                Err(error) => failed(&error),
            }
        }
        match category.get(&id, of_stream.len() as u64) {
            Ok(None) => {}
            Ok(Some(event)) => return Err(format!("{event:?} is too much")),
            Err(error) => failed(&error),
        }
    }
    for category_name in ["orders", "carts", "typed"] {
        let category = db.open_category(category_name).map_err(|error| error.to_string())?;
        let told = category.each_stream(|id, last| {
            let is_it = |event: &&Known| event.category == category_name && event.stream == id;
            assert_eq!(events.iter().filter(is_it).count() as u64, last + 1, "{id}");
            Ok(())
        });
        if let Err(error) = told {
            failed(&error);
        }
    }
    archives::compare(db, events, failed)?;
    Ok(errors)
}

/// Judges one damage to the file `name`. `lost_max` commits may be missing.
fn judge(sample: &Sample, image: &Image, name: &str, what: &str, lost_max: usize, nth: u64) {
    struct Case<'a>(&'a str);
    impl Drop for Case<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("the case: {}", self.0);
            }
        }
    }
    let _case = Case(what);
    let disk = Arc::new(image.memory());
    let db = match builder().disk(disk.clone()).open(DIR) {
        Ok(db) => db,
        Err(error) => return is_named(&error, name),
    };
    let mut why = Vec::new();
    let promised = sample.history.iter().rev().take(1 + lost_max);
    let found =
        promised.copied().find(|count| match compare(&db, &sample.events[..*count], name) {
            Ok(_) => true,
            Err(difference) => {
                why.push(difference);
                false
            }
        });
    let Some(count) = found else { panic!("no state that was promised: {why:?}") };
    let warnings = &db.recovery().warnings;
    // Behind the end of a segment that was recycled stand frames of its earlier life: nobody can tell the
    // last commit from them, once it is damaged.
    let is_recycled = image.0.iter().any(|(path, bytes)| {
        path.ends_with(name) && name.ends_with(".seg") && bytes.get(13).is_some_and(|b| b & 1 == 1)
    });
    let is_told = !warnings.is_empty() || is_recycled;
    assert!(count == sample.events.len() || is_told, "a loss without a word: {why:?}");
    if nth.is_multiple_of(16) {
        go_on(db, disk, &sample.events[..count], name);
    }
}

/// Appending goes on with the right versions, or with an error that names the file; compacting and opening
/// again keep what is right.
fn go_on(db: Database, disk: Arc<annals_disk::MemoryDisk>, events: &[Known], name: &str) {
    let mut events = events.to_vec();
    let category = db.open_category("orders").unwrap();
    for stream in [0u64, 1, 77] {
        let is_it = |event: &&Known| event.category == "orders" && event.stream == stream.into();
        let len = events.iter().filter(is_it).count() as u64;
        match category.append(stream, &NewEvent::bytes("paid", b"more"), ExpectedVersion::Any) {
            Ok(done) => {
                assert_eq!(done.first_version, len, "stream {stream}");
                let event = category.get(stream, len).unwrap().unwrap();
                events.push(Known::of(&event));
            }
            Err(error) => is_named(&error, name),
        }
    }
    compare(&db, &events, name).unwrap();
    db.compact().unwrap();
    compare(&db, &events, name).unwrap();
    drop(category);
    db.close().unwrap();
    match builder().disk(disk).open(DIR) {
        Ok(db) => drop(compare(&db, &events, name).unwrap()),
        Err(error) => is_named(&error, name),
    }
}

fn flip_everything(sample: &Sample, lost_max: usize) -> u64 {
    let mut count = 0;
    for (path, bytes) in &sample.image.0 {
        let name = path.file_name().unwrap().to_str().unwrap();
        if !(name.ends_with(".seg") || name.ends_with(".ckp")) {
            continue;
        }
        let end = if name.ends_with(".seg") { content_end(bytes) } else { bytes.len() };
        for at in 0..end {
            let mixed = (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let bit = (mixed >> 61) as u8;
            let mut image = sample.image.clone();
            image.file(name)[at] ^= 1 << bit;
            let what = format!("{name}: bit {bit} of byte {at} flipped");
            judge(sample, &image, name, &what, lost_max, count);
            count += 1;
        }
    }
    count
}

fn cut_everywhere(sample: &Sample, lost_max: usize) -> u64 {
    let mut count = 0;
    for (path, bytes) in &sample.image.0 {
        let name = path.file_name().unwrap().to_str().unwrap();
        if !(name.ends_with(".seg") || name.ends_with(".ckp")) {
            continue;
        }
        let end = if name.ends_with(".seg") { content_end(bytes) } else { bytes.len() };
        for len in (0..end).filter(|len| len.is_multiple_of(8) || len.is_multiple_of(13)) {
            let mut image = sample.image.clone();
            image.file(name).truncate(len);
            let what = format!("{name}: cut to {len} bytes");
            judge(sample, &image, name, &what, lost_max, count);
            count += 1;
        }
    }
    count
}

#[test]
fn the_sample_has_what_it_claims() {
    let sample = sample(true);
    assert!(sample.image.names_with(".seg").len() >= 3, "{:?}", sample.image.names());
    assert_eq!(sample.image.names_with(".ckp").len(), 1);
    assert!(sample.events.len() > 60, "{} events", sample.events.len());
    assert_eq!(sample.history.last(), Some(&sample.events.len()));
    let db = sample.image.open().unwrap();
    assert_eq!(compare(&db, &sample.events, "").unwrap(), 0);
    // Some were moved.
    let is_packed = |name: &String| sample.image.clone().file(name)[12] != 1;
    assert!(sample.image.names_with(".seg").iter().any(is_packed));
}

#[test]
fn damage_says_where_to_go_on() {
    let sample = sample(true);
    let mut told = 0;
    for name in sample.image.names_with(".seg") {
        let mut image = sample.image.clone();
        let middle = content_end(image.file(&name)) / 2;
        image.file(&name)[middle] ^= 1;
        let Ok(db) = builder().disk(Arc::new(image.memory())).open(DIR) else { continue };
        let error = db.read_all(Seq::ZERO).unwrap().find_map(Result::err);
        let Some(Error::DamagedEvents { readable_from, .. }) = &error else { continue };
        let text = error.as_ref().unwrap().to_string();
        assert!(text.contains(&name), "{text}");
        assert!(text.ends_with(&format!("again from number {readable_from} on")), "{text}");
        goes_on(&db, &sample.events, *readable_from).unwrap();
        told += 1;
    }
    assert!(told > 0, "no segment's damage was met by who reads events in order");
}

#[test]
fn flips_in_events_after_a_clean_close() {
    let count = flip_everything(&sample(true), 0);
    println!("{count} flips after a clean close");
}

#[test]
fn flips_in_events_after_a_kill() {
    let count = flip_everything(&sample(false), 1);
    println!("{count} flips after a kill");
}

#[test]
fn cuts_in_events_after_a_clean_close() {
    let count = cut_everywhere(&sample(true), 0);
    println!("{count} cuts after a clean close");
}

#[test]
fn cuts_in_events_after_a_kill() {
    let count = cut_everywhere(&sample(false), 1);
    println!("{count} cuts after a kill");
}
