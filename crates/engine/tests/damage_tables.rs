//! A small database with an event table, each byte of it flipped, many lengths cut: what is read is what was appended
//! and not deleted, or a typed error that names the file, or the section of the part; never another event, never one too
//! few without a word.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod sample;
mod table_sample;

use annals_disk::{MemoryDisk, SimDisk, SimOptions};
use annals_engine::{Database, Error, ErrorKind};
use sample::{DIR, Image, builder, content_end};
use std::sync::Arc;
use table_sample::{Call, NAME, call, fill, lines};

/// The files, and what the table had after each commit.
struct Sample {
    image: Image,
    history: Vec<Vec<String>>,
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
    Sample { image, history }
}

fn is_named(error: &Error, name: &str) {
    let text = error.to_string();
    assert!(text.contains(name), "`{text}` does not name {name}");
    let kinds = [ErrorKind::Corrupt, ErrorKind::Version, ErrorKind::NotADatabase];
    assert!(kinds.contains(&error.kind()), "{:?}: {text}", error.kind());
}

/// Judges one damage to the file `name`. `lost_max` commits may be missing. Tells whether reading failed.
fn judge(
    sample: &Sample,
    image: &Image,
    name: &str,
    what: &str,
    lost_max: usize,
    nth: u64,
) -> bool {
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
        Err(error) => {
            is_named(&error, name);
            return false;
        }
    };
    let found = match lines(&db) {
        Ok(found) => found,
        Err(error) => {
            is_named(&error, name);
            // Nothing is made of what is damaged, and nothing is lost by trying.
            if nth.is_multiple_of(16) {
                tidy(&db, name);
                is_named(&lines(&db).unwrap_err(), name);
            }
            return true;
        }
    };
    let promised = sample.history.iter().rev().take(1 + lost_max);
    let is_last = sample.history.last() == Some(&found);
    assert!(promised.into_iter().any(|state| *state == found), "no state that was promised");
    let is_recycled = image.0.iter().any(|(path, bytes)| {
        path.ends_with(name) && name.ends_with(".seg") && bytes.get(13).is_some_and(|b| b & 1 == 1)
    });
    let is_told = !db.recovery().warnings.is_empty() || is_recycled;
    assert!(is_last || is_told, "a loss without a word");
    if nth.is_multiple_of(16) {
        go_on(db, disk, &found, name);
    }
    false
}

fn tidy(db: &Database, name: &str) {
    let Ok(table) = db.table_of::<Call>(NAME) else { return };
    for outcome in [table.flush().map(drop), table.merge_parts().map(drop)] {
        if let Err(error) = outcome {
            is_named(&error, name);
        }
    }
}

/// What is there is flushed, merged, moved, closed and opened again, or an error names the file.
fn go_on(db: Database, disk: Arc<MemoryDisk>, found: &[String], name: &str) {
    let check = |db: &Database| match lines(db) {
        Ok(now) => assert_eq!(now, found),
        Err(error) => is_named(&error, name),
    };
    tidy(&db, name);
    check(&db);
    db.compact().unwrap();
    check(&db);
    if let Ok(table) = db.table_of::<Call>(NAME)
        && table.append(&call(355)).is_ok()
    {
        assert_eq!(table.delete_events([call(355).id]).unwrap(), 1);
    }
    db.close().unwrap();
    match builder().disk(disk).open(DIR) {
        Ok(db) => check(&db),
        Err(error) => is_named(&error, name),
    }
}

fn files(sample: &Sample) -> impl Iterator<Item = (&str, usize)> {
    let named =
        |path: &std::path::PathBuf| path.file_name().and_then(|name| name.to_str()).is_some();
    sample.image.0.iter().filter(move |(path, _)| named(path)).filter_map(|(path, bytes)| {
        let name = path.file_name()?.to_str()?;
        match name.rsplit_once('.')?.1 {
            "seg" => Some((name, content_end(bytes))),
            "ckp" => Some((name, bytes.len())),
            _ => None,
        }
    })
}

fn flip_everything(sample: &Sample, lost_max: usize) -> (u64, u64) {
    let (mut count, mut failed) = (0, 0);
    for (name, end) in files(sample) {
        for at in 0..end {
            let mixed = (at as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let bit = (mixed >> 61) as u8;
            let mut image = sample.image.clone();
            image.file(name)[at] ^= 1 << bit;
            let what = format!("{name}: bit {bit} of byte {at} flipped");
            failed += u64::from(judge(sample, &image, name, &what, lost_max, count));
            count += 1;
        }
    }
    (count, failed)
}

fn cut_everywhere(sample: &Sample, lost_max: usize) -> (u64, u64) {
    let (mut count, mut failed) = (0, 0);
    for (name, end) in files(sample) {
        for len in (0..end).filter(|len| len.is_multiple_of(8) || len.is_multiple_of(13)) {
            let mut image = sample.image.clone();
            image.file(name).truncate(len);
            let what = format!("{name}: cut to {len} bytes");
            failed += u64::from(judge(sample, &image, name, &what, lost_max, count));
            count += 1;
        }
    }
    (count, failed)
}

#[test]
fn the_sample_has_what_it_claims() {
    let sample = sample(true);
    let db = sample.image.open().unwrap();
    assert_eq!(Some(&lines(&db).unwrap()), sample.history.last());
    let stats = db.open_table(NAME).unwrap().stats().unwrap();
    assert!(stats.parts_count >= 2 && stats.batches_count >= 4, "{stats:?}");
    assert!(stats.deleted_count >= 3, "{stats:?}");
    let is_packed = |name: &String| sample.image.clone().file(name)[12] != 1;
    assert!(sample.image.names_with(".seg").iter().any(is_packed), "some were moved");
}

#[test]
fn flips_in_tables_after_a_clean_close() {
    let (count, failed) = flip_everything(&sample(true), 0);
    assert!(failed > count / 8, "{failed} of {count} were met by who reads");
    println!("{count} flips after a clean close, {failed} met");
}

#[test]
fn flips_in_tables_after_a_kill() {
    let (count, failed) = flip_everything(&sample(false), 1);
    println!("{count} flips after a kill, {failed} met");
}

#[test]
fn cuts_in_tables_after_a_clean_close() {
    let (count, failed) = cut_everywhere(&sample(true), 0);
    println!("{count} cuts after a clean close, {failed} met");
}

#[test]
fn cuts_in_tables_after_a_kill() {
    let (count, failed) = cut_everywhere(&sample(false), 1);
    println!("{count} cuts after a kill, {failed} met");
}
