//! Parts, batches and schemas written by earlier builds must open, with exactly what they had.
//!
//! `golden/part/v1` holds parts of format version 1: see the README there. They are never written again; a later
//! format gets a folder of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use annals_columns::{Batch, Error, Part, Result, Schema, fuzzing};
use std::{fmt::Write as _, path::PathBuf};

fn golden(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/part/v1").join(name)
}

fn bytes_of(name: &str) -> Vec<u8> {
    std::fs::read(golden(name)).unwrap()
}

/// What a part holds, as text.
fn text(part: &Part<Vec<u8>>) -> Result<String> {
    let view = part.view();
    let mut out = format!("{}\n", view.schema());
    for row in 0..view.rows_count() as u32 {
        let rows = view.rows(&[row])?;
        write!(out, "{row}\t{}", view.arrival(row)?).unwrap();
        for field in 0..view.schema().fields().len() {
            write!(out, "\t{:?}", rows.value(0, field)).unwrap();
        }
        out.push('\n');
    }
    for field in 0..view.schema().fields().len() {
        writeln!(out, "{field}\t{:?}\t{:?}", view.totals(field)?, view.bounds(field)?).unwrap();
    }
    Ok(out)
}

fn expected(name: &str) -> String {
    String::from_utf8(bytes_of(name)).unwrap()
}

/// The files with parts, how many rows each has, and what lists these.
const SAMPLES: [(&str, u64, &str); 2] =
    [("small.part", 20, "small.txt"), ("large.part", 600, "large.txt")];

#[test]
fn parts_of_version_1_open() {
    for (name, rows, contents) in SAMPLES {
        let part = Part::open(bytes_of(name), fuzzing::PART).unwrap();
        assert_eq!(part.view().rows_count() as u64, rows);
        assert_eq!(text(&part).unwrap(), expected(contents), "{name}");
        part.view().verify(&mut |damage| panic!("{damage}"));
        let id = part.view().rows(&[7]).unwrap().value(0, 12).as_text().unwrap().to_owned();
        assert_eq!(part.view().find_id(&id).unwrap(), Some(7));
        assert_eq!(part.view().status_rows(999).unwrap().map(|rows| rows.len()), None);
        let users = (0..50).map(|user| part.view().dimension_rows(8, &format!("user {user:03}")));
        let users = users.map(|rows| rows.unwrap().map_or(0, |rows| rows.len() as u64));
        assert_eq!(users.sum::<u64>(), rows);
    }
}

#[test]
fn a_small_part_a_batch_and_a_schema_are_written_as_in_version_1() {
    // Compressors may find other bytes for the same; in this part nothing is long enough for them.
    assert_eq!(fuzzing::sample_part(20), bytes_of("small.part"));
    let mut batch = Vec::new();
    fuzzing::sample_batch().encode(&mut batch);
    assert_eq!(batch, bytes_of("batch.bin"));
    assert_eq!(Batch::decode(&fuzzing::sample_schema(), &batch).unwrap(), fuzzing::sample_batch());
    let schema = bytes_of("schema.bin");
    assert_eq!(fuzzing::sample_schema().encode(), schema);
    assert_eq!(Schema::decode(&schema).unwrap(), *fuzzing::sample_schema());
}

#[test]
fn a_torn_part_of_version_1_is_refused_and_a_damaged_one_names_the_damage() {
    let torn = Part::open(bytes_of("torn.part"), fuzzing::PART);
    assert!(matches!(torn, Err(Error::Damaged { .. })));
    let part = Part::open(bytes_of("damaged.part"), fuzzing::PART).unwrap();
    let mut damages = Vec::new();
    part.view().verify(&mut |damage| damages.push(damage));
    assert_eq!(damages.len(), 1, "{damages:?}");
    assert!(damages[0].to_string().contains("in its page of `id`"), "{}", damages[0]);
    assert_eq!(part.view().rows(&[0]).err().as_ref(), damages.first());
}

/// Makes the golden files. Refuses to write over anything.
#[test]
#[ignore = "writes the golden files: a run by hand, once for each version, into a folder that is not there; what they say is tested by the other tests of this file"]
fn generate() {
    std::fs::create_dir_all(golden("")).unwrap();
    let put = |name: &str, bytes: &[u8]| {
        assert!(!golden(name).exists(), "{name} is there");
        std::fs::write(golden(name), bytes).unwrap();
    };
    for (name, rows, contents) in SAMPLES {
        let bytes = fuzzing::sample_part(rows);
        put(name, &bytes);
        put(contents, text(&Part::open(bytes, fuzzing::PART).unwrap()).unwrap().as_bytes());
    }
    let small = fuzzing::sample_part(20);
    put("torn.part", &small[..small.len() * 2 / 3]);
    let part = Part::open(small.clone(), fuzzing::PART).unwrap();
    let at = (64..small.len()).find(|at| {
        let mut bytes = small.clone();
        bytes[*at] ^= 4;
        let Ok(part) = Part::open(bytes, fuzzing::PART) else { return false };
        let error = part.view().rows(&[0]).err().map(|error| error.to_string());
        error.is_some_and(|error| error.contains("page of `id`"))
    });
    drop(part);
    let mut damaged = small;
    damaged[at.unwrap()] ^= 4;
    put("damaged.part", &damaged);
    let mut batch = Vec::new();
    fuzzing::sample_batch().encode(&mut batch);
    put("batch.bin", &batch);
    put("schema.bin", &fuzzing::sample_schema().encode());
}
