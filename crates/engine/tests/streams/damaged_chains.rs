//! Damage in the log of chained categories is told as what it is, and where it is: nobody is misled, nothing panics.

use annals_disk::{SimDisk, SimOptions};
use annals_engine::{
    Background, Builder, Category, ChainHead, Database, Error, ErrorKind, ExpectedVersion,
    KeyspaceOptions, NewEvent, Result,
};
use std::{path::PathBuf, sync::Arc};

const STREAMS: [&str; 2] = ["ada", "bob"];
/// No frame of the sample is longer.
const FRAME_BYTES_MAX: u64 = 1 << 10;
const SEGMENT_HEADER_BYTES: u64 = 64;

fn builder(disk: &SimDisk) -> Builder {
    let builder = Database::builder().segment_bytes(64 << 10).disk(Arc::new(disk.clone()));
    builder.background(Background::Manual)
}

fn text(stream: &str, n: u64) -> String {
    format!("{stream} event {n}")
}

/// A database with two chained streams, closed, and where they end.
fn sample(disk: &SimDisk) -> Result<[ChainHead; 2]> {
    let db = builder(disk).open("db")?;
    let audit = db.create_category("audit", KeyspaceOptions::default().chained())?;
    for n in 0..20 {
        for stream in STREAMS {
            let text = text(stream, n);
            let event = NewEvent::bytes("noted", text.as_bytes()).with("by", "carol");
            audit.append(stream, &event.id(u128::from(n) + 1), ExpectedVersion::Any)?;
        }
    }
    let many = [NewEvent::bytes("noted", b"one"), NewEvent::bytes("other", b"two")];
    audit.append_many("bob", &many, ExpectedVersion::Any)?;
    let heads = STREAMS.map(|stream| audit.chain_head(stream));
    let [ada, bob] = heads.map(|head| head.map(|head| head.expect("it has events")));
    drop(audit);
    db.close()?;
    Ok([ada?, bob?])
}

/// The segment that has the events, and where its content ends.
fn segment(disk: &SimDisk) -> (PathBuf, u64) {
    let needle = text("ada", 0);
    let segments = disk.paths().into_iter().filter_map(|path| {
        let bytes = disk.file_bytes(&path)?;
        bytes.windows(needle.len()).position(|some| some == needle.as_bytes())?;
        let end = bytes.iter().rposition(|byte| *byte != 0)? + 1;
        path.extension().is_some_and(|of| of == "seg").then_some((path, end as u64))
    });
    let all: Vec<_> = segments.collect();
    let [segment] = &all[..] else { panic!("{all:?}") };
    segment.clone()
}

/// Whether all of a stream is read as it was written; what is not is told to be damaged.
fn is_whole(audit: &Category, stream: &str, head: ChainHead) -> Result<bool> {
    let mut is_whole = true;
    for version in 0..=head.version {
        match audit.get(stream, version) {
            Ok(event) => {
                let event = event.expect("no event is missing without a word");
                assert_eq!(event.version(), version);
                if version < 20 {
                    assert_eq!(event.data(), text(stream, version).as_bytes());
                }
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
                is_whole = false;
            }
        }
    }
    Ok(is_whole)
}

#[test]
fn whichever_byte_is_damaged_it_is_told_where() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(21));
    let heads = sample(&disk)?;
    let (path, end) = segment(&disk);
    let (mut told, mut broken) = (0u64, 0u64);
    let places: Vec<u64> = (SEGMENT_HEADER_BYTES..end).step_by(5).collect();
    for at in &places {
        let bit = (at % 8) as u8;
        disk.flip_bit(&path, *at, bit).expect("flipped");
        let db = match builder(&disk).read_only(true).open("db") {
            Ok(db) => db,
            // Of what stands behind the checkpoint nothing is made without it.
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "byte {at}: {error}");
                told += 1;
                disk.flip_bit(&path, *at, bit).expect("flipped back");
                continue;
            }
        };
        let report = db.verify(&mut |_| {})?;
        let here = |offset: u64| offset.abs_diff(*at) < FRAME_BYTES_MAX;
        if !report.is_intact() {
            told += 1;
            let is_named =
                report.damages.iter().any(|damage| damage.path == path && here(damage.offset));
            assert!(is_named, "byte {at}: {:?}", report.damages);
        }
        let audit = db.open_category("audit")?;
        for (stream, head) in STREAMS.into_iter().zip(heads) {
            let is_whole = is_whole(&audit, stream, head)?;
            assert!(is_whole || !report.is_intact(), "byte {at} of `{stream}` is told by nobody");
            match audit.verify_chain(stream, Some(head)) {
                Ok(checked) => assert!(is_whole && checked.head == Some(head), "byte {at}"),
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
                    assert!(!is_whole, "byte {at}: {error}");
                    broken += 1;
                }
            }
        }
        drop((audit, db));
        disk.flip_bit(&path, *at, bit).expect("flipped back");
    }
    // Of what is left out only padding may be changed by nobody's notice.
    assert!(told > places.len() as u64 * 9 / 10, "{told} of {}", places.len());
    assert!(broken > places.len() as u64 / 2, "{broken} of {}", places.len());
    Ok(())
}

/// Nothing leads from the last event to the others if it cannot be read.
#[test]
fn a_damaged_last_event_is_told_with_its_version() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(22));
    let heads = sample(&disk)?;
    let (path, _) = segment(&disk);
    let bytes = disk.file_bytes(&path).expect("it is there");
    let needle = text("ada", heads[0].version).into_bytes();
    let at = bytes.windows(needle.len()).position(|some| some == needle).expect("the event");
    disk.flip_bit(&path, at as u64, 0).expect("flipped");
    let db = builder(&disk).read_only(true).open("db")?;
    let told = db.open_category("audit")?.verify_chain("ada", None).unwrap_err();
    assert!(
        matches!(told, Error::BrokenChain { version, .. } if version == heads[0].version),
        "{told}"
    );
    Ok(())
}

/// Who writes on a damaged stream is told, or goes on from what is there: never from something else.
#[test]
fn nobody_goes_on_from_a_damaged_event() -> Result<()> {
    let count = {
        let disk = SimDisk::new(SimOptions::seeded(22));
        sample(&disk)?;
        segment(&disk).1
    };
    for at in (SEGMENT_HEADER_BYTES..count).step_by(97) {
        let disk = SimDisk::new(SimOptions::seeded(22));
        let heads = sample(&disk)?;
        let (path, _) = segment(&disk);
        disk.flip_bit(&path, at, 3).expect("flipped");
        let db = match builder(&disk).open("db") {
            Ok(db) => db,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
                continue;
            }
        };
        let audit = db.open_category("audit")?;
        for (stream, head) in STREAMS.into_iter().zip(heads) {
            let event = NewEvent::bytes("noted", b"behind").id(1_000);
            match audit.append(stream, &event, ExpectedVersion::Exact(head.version)) {
                Ok(appended) => {
                    assert_eq!(appended.first_version, head.version + 1);
                    let link = audit.get(stream, head.version)?.and_then(|event| event.hash());
                    assert_eq!(link, Some(head.hash), "byte {at} of `{stream}`");
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}"),
            }
        }
        drop(audit);
        drop(db.compact());
        drop(db);
    }
    Ok(())
}
