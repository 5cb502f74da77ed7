//! A small database with an ordered keyspace, in tables and in the log: every byte of it flipped, lengths cut, files
//! taken away. What is read is what was written, or a typed error that names the file; never another value, never a
//! key that was removed, never one too few without a word. Verification names the file and a place in it.
//!
//! What carries no information and so may change unnoticed: zeroes behind the content of a segment or a manifest, which
//! are reserved space, `annals.lock`, whose text is for people, and `annals.figures`, on which nothing depends.
//! `annals.readers` has no bytes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod sample;

use annals_disk::{Disk, MemoryDisk, SimDisk, SimOptions};
use annals_engine::{
    Compression, Database, Error, ErrorKind, KeyspaceOptions, OrderedKeyspace, Result, TreeOptions,
};
use annals_journal::{Root, SegmentKind};
use sample::{DIR, Image, builder, content_end};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

/// Files that carry no information.
const NO_DATA: [&str; 2] = ["annals.lock", "annals.figures"];

type Records = BTreeMap<Vec<u8>, Vec<u8>>;

/// The records of the ordered keyspace and of the hash one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct State {
    sorted: Records,
    hashed: Records,
}

/// The files, and what the database had after each commit.
struct Sample {
    image: Image,
    history: Vec<State>,
    /// Every key that was ever there.
    ever: BTreeSet<Vec<u8>>,
}

fn key(number: u32) -> Vec<u8> {
    format!("key {number:03}").into_bytes()
}

/// A value that is one of its number and round; some are long enough to stay in the log.
fn value(number: u32, round: u8) -> Vec<u8> {
    let len = if number % 5 == 3 { 90 } else { number as usize % 4 * 7 };
    [&[round][..], &vec![number as u8; len]].concat()
}

/// Small tables of small blocks, some of them compressed.
fn tree() -> TreeOptions {
    TreeOptions {
        table_bytes: 1 << 10,
        base_bytes: 2 << 10,
        ratio: 2,
        level0_tables: 2,
        block_bytes: 256,
        bottom_compression: Compression::Lz4,
        separate_over_bytes: Some(80),
        ..TreeOptions::default()
    }
}

/// Writes to a database, and notes what it should have after each commit.
struct Recorder {
    sorted: OrderedKeyspace,
    history: Vec<State>,
}

impl Recorder {
    fn note(&mut self, change: impl FnOnce(&mut State)) {
        let mut next = self.history.last().cloned().unwrap_or_default();
        change(&mut next);
        self.history.push(next);
    }

    fn put(&mut self, numbers: impl IntoIterator<Item = u32>, round: u8) {
        let records: Records = numbers.into_iter().map(|n| (key(n), value(n, round))).collect();
        self.sorted.insert_many(&records).unwrap();
        self.note(|state| state.sorted.extend(records));
    }

    fn remove_range(&mut self, from: u32, to: u32) {
        let (from, to) = (key(from), key(to));
        self.sorted.remove_range(from.clone()..to.clone()).unwrap();
        self.note(|state| state.sorted.retain(|key, _| *key < from || *key >= to));
    }

    fn remove(&mut self, number: u32) {
        assert!(self.sorted.remove(key(number)).unwrap());
        self.note(|state| drop(state.sorted.remove(&key(number))));
    }
}

/// Several levels of tables, removed keys and ranges and a value that was moved among them, and a log that goes on
/// behind the checkpoint.
fn fill(db: &Database) -> Vec<State> {
    let hashed = db.hash_keyspace("hashed").unwrap();
    let sorted = db.create_keyspace("sorted", KeyspaceOptions::default(), tree()).unwrap();
    let mut recorder = Recorder { sorted, history: Vec::new() };
    recorder.note(|_| {});
    recorder.put(0..40, 1);
    recorder.put(60..70, 1);
    db.checkpoint().unwrap();
    recorder.remove(5);
    recorder.remove_range(20, 25);
    recorder.put((0..40).step_by(7), 2);
    recorder.sorted.compact().unwrap();
    for number in 0..4u8 {
        hashed.insert([number % 2], [number; 30]).unwrap();
        recorder.note(|state| drop(state.hashed.insert(vec![number % 2], vec![number; 30])));
    }
    recorder.put(30..50, 3);
    recorder.remove_range(61, 64);
    db.checkpoint().unwrap();
    db.compact().unwrap();
    recorder.put([62, 90], 4);
    recorder.remove(8);
    db.checkpoint().unwrap();
    // The log alone has the rest.
    recorder.put([5, 63, 91], 5);
    recorder.remove_range(10, 15);
    recorder.put([12, 13], 6);
    recorder.remove(13);
    hashed.insert("late", "1").unwrap();
    recorder.note(|state| drop(state.hashed.insert("late".into(), "1".into())));
    recorder.put([99], 7);
    recorder.history
}

fn sample(is_closed: bool) -> Sample {
    let options = SimOptions { writeback_chance: 0.0, ..SimOptions::seeded(20) };
    let disk = SimDisk::new(options);
    let db = builder().disk(Arc::new(disk.clone())).open(DIR).unwrap();
    let history = fill(&db);
    let image = if is_closed {
        db.close().unwrap();
        Image::of(&disk)
    } else {
        let after = disk.restart_clean();
        drop(db);
        Image::of(&after)
    };
    let ever = history.iter().flat_map(|state| state.sorted.keys().chain(state.hashed.keys()));
    let ever = ever.cloned().collect();
    Sample { image, history, ever }
}

/// One damage to one file.
struct Case<'a> {
    sample: &'a Sample,
    /// The files, one of them damaged.
    image: Image,
    name: &'a str,
    what: String,
    /// Whether the damage is where something stands and must be told; `None`: nobody can know.
    informs: Option<bool>,
    /// How many of the last commits may be missing.
    lost_max: usize,
    nth: u64,
}

impl Drop for Case<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the case: {}", self.what);
        }
    }
}

impl Case<'_> {
    fn is_named(&self, error: &Error) {
        let text = error.to_string();
        assert!(text.contains(self.name), "`{text}` does not name {}", self.name);
        let kinds = [ErrorKind::Corrupt, ErrorKind::Version, ErrorKind::NotADatabase];
        assert!(kinds.contains(&error.kind()), "{:?}: {text}", error.kind());
        assert!(self.informs != Some(false), "an error for nothing: {text}");
    }

    /// Judges what comes of it. Tells whether the database opened.
    fn judge(&self) -> bool {
        let disk = Arc::new(self.image.memory());
        let db = match builder().disk(disk.clone()).open(DIR) {
            Ok(db) => db,
            Err(error) => {
                self.is_named(&error);
                self.nothing_changed(&disk);
                return false;
            }
        };
        let state = self.state(&db);
        let is_last = Some(state) == self.sample.history.last();
        let report = db.verify(&mut |_| {}).unwrap();
        let named = report.damages.iter().find(|damage| damage.path.ends_with(self.name));
        let warnings = &db.recovery().warnings;
        assert!(is_last || !warnings.is_empty(), "a loss without a word");
        match named {
            Some(damage) => {
                assert!(self.informs != Some(false), "named for nothing: {damage:?}");
                let len = self.sample.image.clone().file(self.name).len() as u64;
                assert!(damage.offset <= len, "{damage:?} of {len} bytes");
            }
            None => assert!(
                !is_last || self.informs != Some(true) || self.is_mended(warnings),
                "verification overlooks it: {report:?} {warnings:?}"
            ),
        }
        if self.nth.is_multiple_of(16) {
            self.go_on(db, state, &disk);
        }
        true
    }

    /// Whether the opening said that it has put it right: a checkpoint is made anew from the log, and what follows the
    /// last edit that is known to be synced is cut off.
    fn is_mended(&self, warnings: &[String]) -> bool {
        warnings.iter().any(|warning| warning.contains(self.name))
    }

    fn nothing_changed(&self, disk: &MemoryDisk) {
        let (mut before, mut after) = (self.image.clone(), Image::read(disk, Path::new(DIR)));
        // Whoever asks for the lock may leave its file.
        let lock = Path::new(DIR).join("annals.lock");
        before.0.remove(&lock);
        after.0.remove(&lock);
        assert!(before == after, "a failed opening has changed files");
    }

    /// The latest state that the database shows, with errors where it cannot.
    fn state(&self, db: &Database) -> &State {
        let mut why = Vec::new();
        for state in self.sample.history.iter().rev().take(1 + self.lost_max) {
            match self.compare(db, state) {
                Ok(()) => return state,
                Err(difference) => why.push(difference),
            }
        }
        panic!("no state that was promised: {why:?}, {:?}", db.recovery());
    }

    /// Whether every key is that of `state` or an error that names the file.
    fn compare(&self, db: &Database, state: &State) -> Result<(), String> {
        let names: Vec<_> = db.keyspaces().into_iter().map(|info| info.name).collect();
        if names != ["hashed", "sorted"] {
            return Err(format!("keyspaces {names:?}"));
        }
        let sorted = db.open_keyspace("sorted").unwrap();
        let hashed = db.open_hash_keyspace("hashed").unwrap();
        let same =
            |found: Result<Option<Vec<u8>>, Error>, records: &Records, key: &Vec<u8>| match found {
                Ok(found) if found.as_ref() == records.get(key) => Ok(()),
                Ok(found) => Err(format!("{:?} is {found:?}", String::from_utf8_lossy(key))),
                Err(error) => {
                    self.is_named(&error);
                    Ok(())
                }
            };
        for key in &self.sample.ever {
            let found = sorted.get(key).map(|value| value.map(|value| value.to_vec()));
            same(found, &state.sorted, key)?;
            let found = hashed.get(key).map(|value| value.map(|value| value.to_vec()));
            same(found, &state.hashed, key)?;
        }
        self.walk(sorted.iter().unwrap(), state.sorted.iter())?;
        self.walk(sorted.iter().unwrap().rev(), state.sorted.iter().rev())?;
        let (from, to) = (key(7), key(63));
        let between = state.sorted.range(from.clone()..to.clone());
        self.walk(sorted.range(from..to).unwrap(), between)?;
        for found in sorted.salvage::<&str>(..).unwrap() {
            match found {
                Ok(entry) if state.sorted.get(entry.key()).is_some_and(|v| v == entry.value()) => {}
                Ok(entry) => return Err(format!("salvaged {:?}", entry.to_vecs())),
                Err(error) => self.is_named(&error),
            }
        }
        Ok(())
    }

    /// A walk shows what it should up to its end, or to an error that names the file.
    fn walk<'s>(
        &self,
        found: impl Iterator<Item = Result<annals_engine::OrderedEntry>>,
        mut expected: impl Iterator<Item = (&'s Vec<u8>, &'s Vec<u8>)>,
    ) -> Result<(), String> {
        for entry in found {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.is_named(&error);
                    return Ok(());
                }
            };
            if expected.next() != Some((&entry.key().to_vec(), &entry.value().to_vec())) {
                return Err(format!("a walk shows {:?}", entry.to_vecs()));
            }
        }
        match expected.next() {
            None => Ok(()),
            Some((key, _)) => Err(format!("a walk lacks {key:?}")),
        }
    }

    /// Writing, flushing, compacting, closing and opening again keep what is right and hide no damage.
    fn go_on(&self, db: Database, state: &State, disk: &Arc<MemoryDisk>) {
        let may_fail = |outcome: Result<()>| {
            if let Err(error) = outcome {
                self.is_named(&error);
            }
        };
        let sorted = db.open_keyspace("sorted").unwrap();
        for number in 200..210 {
            sorted.insert(key(number), "new").unwrap();
        }
        sorted.remove_range(key(200)..key(300)).unwrap();
        may_fail(db.checkpoint().map(drop));
        may_fail(sorted.compact());
        may_fail(db.compact().map(drop));
        self.compare(&db, state).unwrap();
        drop(sorted);
        may_fail(db.close());
        let disk: Arc<dyn Disk> = disk.clone();
        match builder().disk(disk).open(DIR) {
            Ok(db) => self.compare(&db, state).unwrap(),
            Err(error) => self.is_named(&error),
        }
    }
}

/// Where the content of a file ends.
fn end_of(name: &str, bytes: &[u8]) -> usize {
    if name.ends_with(".seg") {
        return content_end(bytes);
    }
    if name.ends_with(".man") {
        // Edits end on multiples of eight.
        let last = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
        return last.next_multiple_of(8);
    }
    bytes.len()
}

/// The names of the segments that are ready to be used again: what they have is of their earlier lives.
fn spares(sample: &Sample) -> Vec<String> {
    let root = Root::read(&sample.image.memory(), Path::new(DIR)).unwrap();
    let tail = sample.image.open().unwrap().stats().log.end.ordinal;
    let spares = root.segments.iter().filter(|segment| segment.kind == SegmentKind::Spare);
    let names = spares.map(|segment| format!("{:08}.seg", segment.generation));
    // The log may have gone on in one of them since the root was written.
    let is_tail = |name: &String| {
        let place = sample.image.clone().file(name)[28..32].try_into().unwrap();
        u32::from_le_bytes(place) == tail
    };
    names.filter(|name| !is_tail(name)).collect()
}

/// The files whose bytes mean something, and where their content ends.
fn files(sample: &Sample) -> impl Iterator<Item = (&str, &[u8], usize)> {
    let spares = spares(sample);
    let named = sample.image.0.iter().filter_map(|(path, bytes)| {
        let name = path.file_name()?.to_str()?;
        Some((name, &bytes[..], end_of(name, bytes)))
    });
    named.filter(move |(name, ..)| !spares.iter().any(|spare| spare == name))
}

/// How many cases there were, and how many of the databases opened.
type Counts = (u64, u64);

fn flip_everything(sample: &Sample, lost_max: usize) -> Counts {
    let (mut count, mut opened) = (0, 0);
    for (name, bytes, end) in files(sample) {
        for at in (0..bytes.len()).filter(|at| *at < end + 32 || at.is_multiple_of(997)) {
            let mixed = (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let bit = (mixed >> 61) as u8;
            let mut image = sample.image.clone();
            image.file(name)[at] ^= 1 << bit;
            let what = format!("{name}: bit {bit} of byte {at} of {end} flipped");
            let informs = Some(at < end && !NO_DATA.contains(&name));
            let case = Case { sample, image, name, what, informs, lost_max, nth: count };
            opened += u64::from(case.judge());
            count += 1;
        }
    }
    (count, opened)
}

fn cut_everywhere(sample: &Sample, lost_max: usize) -> Counts {
    let (mut count, mut opened) = (0, 0);
    for (name, bytes, end) in files(sample) {
        let near = |len: &usize| (len + 1) % 8 <= 2 || len.is_multiple_of(13);
        for len in (0..bytes.len()).filter(|len| (*len <= end && near(len)) || len % 1021 == 0) {
            let mut image = sample.image.clone();
            image.file(name).truncate(len);
            let what = format!("{name}: cut to {len} of {end} bytes");
            // Without the room for one more frame behind its end, a log that was not closed may have been longer.
            let undecided = len >= end && !NO_DATA.contains(&name);
            let informs = (!undecided).then_some(len < end && !NO_DATA.contains(&name));
            let case = Case { sample, image, name, what, informs, lost_max, nth: count };
            opened += u64::from(case.judge());
            count += 1;
        }
    }
    (count, opened)
}

#[test]
fn the_sample_has_what_it_claims() {
    let sample = sample(false);
    let db = sample.image.open().unwrap();
    assert!(db.recovery().records_count >= 8, "the log alone has some");
    assert!(db.verify(&mut |_| {}).unwrap().is_intact());
    assert!(sample.image.names_with(".tbl").len() >= 4, "{:?}", sample.image.names());
    assert_eq!(sample.image.names_with(".man").len(), 1);
    let stats = db.stats();
    let tree = stats.keyspaces.iter().find_map(|keyspace| keyspace.tree.as_ref()).unwrap();
    assert!(tree.levels.iter().filter(|level| level.tables > 0).count() >= 2, "{tree:?}");
    assert!(tree.referenced_bytes > 0, "{tree:?}");
    let is_packed = |name: &String| sample.image.clone().file(name)[12] != 1;
    assert!(sample.image.names_with(".seg").iter().any(is_packed), "some values were moved");
    assert!(undamaged(&sample).judge());
}

/// Nothing is wrong, and nothing may be told.
fn undamaged(sample: &Sample) -> Case<'_> {
    let (image, what) = (sample.image.clone(), "nothing".to_owned());
    Case { sample, image, name: "annals.root", what, informs: Some(false), lost_max: 0, nth: 0 }
}

#[cfg(debug_assertions)]
#[test]
#[should_panic = "no state that was promised"]
fn an_opening_that_forgets_a_table_is_noticed() {
    use annals_disk::canary::{Broken, break_openings};
    let sample = sample(true);
    break_openings(Broken::ForgetsTable, || undamaged(&sample).judge());
}

#[test]
fn flips_with_sorted_keys_after_a_clean_close() {
    let (count, opened) = flip_everything(&sample(true), 0);
    assert!(opened > count / 8, "{opened} of {count} opened");
    println!("{count} flips after a clean close, {opened} opened");
}

#[test]
fn flips_with_sorted_keys_after_a_kill() {
    let (count, opened) = flip_everything(&sample(false), 1);
    println!("{count} flips after a kill, {opened} opened");
}

#[test]
fn cuts_with_sorted_keys_after_a_clean_close() {
    let (count, opened) = cut_everywhere(&sample(true), 0);
    println!("{count} cuts after a clean close, {opened} opened");
}

#[test]
fn cuts_with_sorted_keys_after_a_kill() {
    let (count, opened) = cut_everywhere(&sample(false), 1);
    println!("{count} cuts after a kill, {opened} opened");
}
