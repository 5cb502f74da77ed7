//! A database with a chained category, as an earlier build wrote it, must open with exactly the events and
//! the hashes it had, and these must be what `docs/formats/events.md` says they are.
//!
//! `golden/v1/chained` is never written again; a later format gets a folder of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod golden_files;

use annals_engine::{Background, Database, NewEvent, Seq};
use golden_files::copy_files;
use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

fn golden() -> PathBuf {
    golden_files::golden("chained")
}

fn open(path: &Path) -> Database {
    let builder = Database::builder().background(Background::Manual);
    builder.segment_bytes(64 << 10).open(path).unwrap()
}

/// Each event: category, stream, version, data, hash.
fn text(db: &Database) -> String {
    let mut out = String::new();
    for event in db.read_all(Seq::ZERO).unwrap() {
        let event = event.unwrap();
        let (category, stream, version) = (event.category(), event.stream(), event.version());
        let data = event.data()[..event.data().len().min(30)].escape_ascii().to_string();
        let hash = event.hash().map_or_else(|| "-".to_owned(), |hash| hash.to_string());
        writeln!(out, "{category}\t{stream}\t{version}\t{data}\t{hash}").unwrap();
    }
    out
}

fn expected() -> String {
    golden_files::expected("chained")
}

#[test]
fn a_database_with_chained_events_opens() {
    let dir = tempfile::tempdir().unwrap();
    copy_files(&golden(), dir.path());
    let db = open(dir.path());
    assert_eq!(text(&db), expected());
    assert!(db.recovery().clean && db.recovery().warnings.is_empty(), "{:?}", db.recovery());
    assert!(db.open_category("audit").unwrap().options().chained);
    db.compact().unwrap();
    assert_eq!(text(&db), expected());
}

/// A build that cannot hash reads all, and neither appends nor says that anything is in order.
#[cfg(not(feature = "chained-events"))]
#[test]
fn a_build_without_hashes_reads_and_does_not_append() {
    use annals_engine::{Error, ErrorKind, ExpectedVersion, KeyspaceOptions};
    let dir = tempfile::tempdir().unwrap();
    copy_files(&golden(), dir.path());
    let db = open(dir.path());
    let audit = db.open_category("audit").unwrap();
    assert!(audit.chain_head(7u64).unwrap().is_some());
    let event = NewEvent::bytes("noted", b"more");
    let refused = audit.append(7u64, &event, ExpectedVersion::Any).unwrap_err();
    assert!(matches!(refused, Error::NoChains { .. }) && refused.kind() == ErrorKind::Version);
    assert!(matches!(audit.verify_chain(7u64, None), Err(Error::NoChains { .. })));
    let refused = db.create_category("other", KeyspaceOptions::default().chained());
    assert!(matches!(refused, Err(Error::NoChains { .. })));
    let report = db.verify(&mut |_| {}).unwrap();
    assert_eq!((report.chains_count, &*report.unchecked_chains), (0, &["audit".to_owned()][..]));
    assert_eq!(text(&db), expected());
}

#[cfg(feature = "chained-events")]
mod hashing {
    use super::*;
    use annals_engine::{EventFormat, ExpectedVersion, KeyspaceOptions, RecordedEvent, StreamId};
    use sha2::{Digest, Sha256};

    /// The key of a stream, as the format has it.
    fn key(id: &StreamId<'_>) -> Vec<u8> {
        match id {
            StreamId::Number(number) => {
                let bytes = number.to_be_bytes();
                let zeroes = bytes.iter().take_while(|byte| **byte == 0).count();
                [&[1][..], &bytes[zeroes..]].concat()
            }
            StreamId::Uuid(uuid) => [&[2][..], &uuid.to_be_bytes()].concat(),
            StreamId::Text(text) => [&[3][..], text.as_bytes()].concat(),
            _ => unreachable!("no other shape"),
        }
    }

    /// The hash of an event by the description of the format alone.
    fn hash(event: &RecordedEvent<'_>, before: &[u8; 32]) -> [u8; 32] {
        let event_type = event.event_type();
        let ids = [event.id(), event.correlation(), event.causation()];
        let flags = ids.iter().enumerate().map(|(bit, id)| u8::from(id.is_some()) << bit).sum();
        let mut pairs = Vec::new();
        for text in event.pairs().flat_map(|(name, value)| [name, value]) {
            pairs.extend((text.len() as u32).to_le_bytes());
            pairs.extend(text.as_bytes());
        }
        let mut beside = Vec::new();
        if flags != 0 || !pairs.is_empty() {
            beside.push(flags);
        }
        beside.extend(ids.into_iter().flatten().flat_map(u128::to_be_bytes));
        let mut content = Sha256::new();
        content.update(b"annals event content 1\n\0");
        content.update(u64::from(event_type.version).to_le_bytes());
        content.update(event_type.layout.to_le_bytes());
        let format: u64 = match event.format() {
            EventFormat::Bytes => 0,
            EventFormat::Archive => 1,
            _ => 2,
        };
        content.update(format.to_le_bytes());
        let key = key(&event.stream());
        let name = event_type.name.as_bytes();
        for part in [event.category().as_bytes(), &key, name, &beside, &pairs, event.data()] {
            content.update((part.len() as u64).to_le_bytes());
            content.update(part);
        }
        let mut own = Sha256::new();
        own.update(b"annals event in chain 1\n");
        own.update(event.version().to_le_bytes());
        own.update(event.time_ms().to_le_bytes());
        own.update(before);
        own.update(content.finalize());
        own.finalize().into()
    }

    #[test]
    fn its_hashes_are_what_the_format_says() {
        let dir = tempfile::tempdir().unwrap();
        copy_files(&golden(), dir.path());
        let db = open(dir.path());
        let audit = db.open_category("audit").unwrap();
        let mut checked = 0;
        audit
            .each_stream(|id, last| {
                let mut before = [0; 32];
                for event in audit.read(&id)? {
                    let event = event?;
                    before = hash(&event, &before);
                    assert_eq!(event.hash().unwrap().as_bytes(), &before, "{event:?}");
                    checked += 1;
                }
                assert_eq!(audit.verify_chain(&id, None)?.events_count, last + 1);
                Ok(())
            })
            .unwrap();
        assert_eq!(checked, expected().lines().filter(|line| line.starts_with("audit\t")).count());
        let report = db.verify(&mut |_| {}).unwrap();
        assert!(report.is_intact(), "{:?}", report.damages);
        assert_eq!(report.chained_events_count, checked as u64);
        // It goes on from there.
        let event = NewEvent::bytes("noted", b"more");
        audit.append(7u64, &event, ExpectedVersion::StreamExists).unwrap();
        audit.verify_chain(7u64, None).unwrap();
    }

    /// Makes the golden files of the current format. Never writes over any.
    #[test]
    #[ignore = "writes the golden files: a run by hand, once for each version, into a folder that is not there; what they say is tested by the other tests of this file"]
    fn generate() {
        let target = golden();
        assert!(!target.exists(), "golden files are never written again");
        let dir = tempfile::tempdir().unwrap();
        let db = open(dir.path());
        let audit = db.create_category("audit", KeyspaceOptions::default().chained()).unwrap();
        let (plain, churn) = (db.category("plain").unwrap(), db.hash_keyspace("churn").unwrap());
        for round in 0..3u32 {
            for n in 0..12u32 {
                let data = format!("noted, {n} of round {round}");
                let event = NewEvent::bytes("noted", data.as_bytes()).version(1 + n % 2);
                let event = match n % 4 {
                    0 => event.id(u128::from(round * 100 + n)).correlation(u128::MAX),
                    1 => event.causation(7).with("user", "ada").with("", "ünicode"),
                    2 => event.with("a", "b"),
                    _ => event,
                };
                let id = if n % 3 == 0 { StreamId::from(7u64) } else { StreamId::from("ada, ü") };
                audit.append(id, &event, ExpectedVersion::Any).unwrap();
            }
            let json = NewEvent::json("json", "{\"a\":1}").id(u128::from(round));
            let large = [round as u8; 2_000];
            let archive = NewEvent::new("large", EventFormat::Archive, &large);
            let uuid = StreamId::Uuid(0x1234);
            audit.append_many(&uuid, &[json.clone(), archive], ExpectedVersion::Any).unwrap();
            plain.append(7u64, &json, ExpectedVersion::Any).unwrap();
            churn.insert([1], vec![round as u8; 30_000]).unwrap();
            if round == 1 {
                db.compact().unwrap();
            }
        }
        let text = text(&db);
        drop((audit, plain, churn));
        db.close().unwrap();
        std::fs::create_dir_all(&target).unwrap();
        copy_files(dir.path(), &target);
        std::fs::write(target.with_extension("txt"), text).unwrap();
    }
}
