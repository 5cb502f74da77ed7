//! An audit log that nobody changes unseen: each entry carries a hash of itself and of all before it. Here
//! somebody does change one, who knows the format and makes every checksum right again.
//!
//!     cargo run --release --example audit_log --features chained-events [DIRECTORY]

use annals::{ChainHead, Database, ExpectedVersion, KeyspaceOptions, NewEvent};
use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
};

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args_os().nth(1) {
        Some(dir) => run(Path::new(&dir)),
        None => run(tempfile::tempdir()?.path()),
    }
}

pub(crate) fn run(dir: &Path) -> Result<(), Box<dyn Error>> {
    let dir = dir.join(format!("log-{}", fs::read_dir(dir)?.count()));
    let kept = record(&dir)?;
    println!("kept elsewhere: {kept}");

    // Nobody has touched it.
    let db = Database::open(&dir)?;
    assert!(db.verify(&mut |_| {})?.is_intact());
    let checked = db.open_category("audit")?.verify_chain("payroll", Some(kept))?;
    assert_eq!(checked.events_count, 3);
    db.close()?;

    // One digit more for Eve, in the file.
    tamper(&dir, br#"{"to":"eve","cents":1000}"#, br#"{"to":"eve","cents":9000}"#)?;
    let db = Database::open(&dir)?;
    let audit = db.open_category("audit")?;
    let entry = audit.get("payroll", 1)?.ok_or("the entry is there")?;
    assert_eq!(entry.data(), br#"{"to":"eve","cents":9000}"#, "and the log seems to be in order");
    let report = db.verify(&mut |_| {})?;
    for damage in &report.damages {
        println!("{}: byte {}: {}", damage.path.display(), damage.offset, damage.what);
    }
    assert!(report.damages[0].what.contains("`payroll` of `audit` is broken at version 1"));

    // Who makes the whole log anew, with hashes that are right, is found out by what was kept elsewhere.
    drop(entry);
    drop(audit);
    db.close()?;
    let forged = dir.with_extension("forged");
    let db = Database::open(&forged)?;
    let audit = db.create_category("audit", KeyspaceOptions::default().chained())?;
    for data in [r#"{"to":"bob","cents":700}"#, r#"{"to":"eve","cents":9000}"#, "{}"] {
        audit.append("payroll", &NewEvent::json("paid", data), ExpectedVersion::Any)?;
    }
    assert!(audit.verify_chain("payroll", None).is_ok());
    let refused = audit.verify_chain("payroll", Some(kept)).map(drop).expect_err("another stream");
    println!("{refused}");
    drop(audit);
    db.close()?;
    Ok(())
}

/// Records three payments. Returns what is to be kept where nobody who can change the log can change it: printed,
/// sent by mail, in another system.
fn record(dir: &Path) -> Result<ChainHead, Box<dyn Error>> {
    let db = Database::open(dir)?;
    let audit = db.create_category("audit", KeyspaceOptions::default().chained())?;
    for (to, cents) in [("bob", 700), ("eve", 1_000), ("ada", 900)] {
        let data = format!(r#"{{"to":"{to}","cents":{cents}}}"#);
        let entry = NewEvent::json("paid", &data).with("approved by", "carol");
        audit.append("payroll", &entry, ExpectedVersion::Any)?;
    }
    let head = audit.chain_head("payroll")?.ok_or("three entries")?;
    drop(audit);
    db.close()?;
    Ok(head)
}

/// Changes bytes of the log, and makes the checksums right of the frame they are in, which has one record.
fn tamper(dir: &Path, what: &[u8], by: &[u8]) -> Result<(), Box<dyn Error>> {
    const SEGMENT_HEADER: usize = 64;
    const FRAME_HEADER: usize = 48;
    let number = |bytes: &[u8], at: usize| {
        let number = bytes[at..at + 4].first_chunk().map(|raw| u32::from_le_bytes(*raw));
        number.map_or(0, |number| number as usize)
    };
    for path in segments(dir)? {
        let mut bytes = fs::read(&path)?;
        let Some(at) = bytes.windows(what.len()).position(|some| some == what) else { continue };
        bytes[at..at + by.len()].copy_from_slice(by);
        let mut frame = SEGMENT_HEADER;
        while frame + number(&bytes, frame + 4) <= at {
            frame += number(&bytes, frame + 4);
        }
        let record = frame + FRAME_HEADER;
        let mut end = frame + number(&bytes, frame + 4);
        // A frame is filled up with zeroes to a multiple of 16 bytes, a record to one of 8.
        if bytes[end - 8..end] == [0; 8] {
            end -= 8;
        }
        // All checksums of a segment go on from that of its database's and its own number.
        let seed = crc32c::crc32c(&bytes[16..28]);
        let body = crc32c::crc32c(&bytes[record + 8..end]).to_le_bytes();
        let bound = [&body[..], &bytes[record + 4..record + 8]].concat();
        let of_record = crc32c::crc32c_append(seed, &bound).to_le_bytes();
        bytes[record..record + 4].copy_from_slice(&of_record);
        let of_header = crc32c::crc32c_append(seed, &bytes[frame + 4..record]);
        let of_frame = crc32c::crc32c_append(of_header, &of_record).to_le_bytes();
        bytes[frame..frame + 4].copy_from_slice(&of_frame);
        fs::write(&path, bytes)?;
        return Ok(());
    }
    Err("the entry is in none of the segments".into())
}

fn segments(dir: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let files: Result<Vec<_>, _> = fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect();
    let mut files: Vec<PathBuf> = files.map_err(|error: std::io::Error| error)?;
    files.retain(|path| path.extension().is_some_and(|ending| ending == "seg"));
    Ok(files)
}
