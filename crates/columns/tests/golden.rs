//! Parts, batches and schemas written by earlier builds must open, with exactly what they had.
//!
//! `golden/part` has a folder for each version: see the README there. What is in them is never written again; a later
//! format gets a folder of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use annals_columns::{Batch, Error, Part, Result, Schema, fuzzing};
use std::{fmt::Write as _, path::PathBuf};

const VERSIONS: [&str; 2] = ["v1", "v2"];
const NEWEST: &str = "v2";

fn golden(version: &str, name: &str) -> PathBuf {
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/part");
    golden.join(version).join(name)
}

fn bytes_of(version: &str, name: &str) -> Vec<u8> {
    std::fs::read(golden(version, name)).unwrap()
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
    for dimensions in [&[8][..], &[10], &[8, 10]] {
        let Some(sums) = view.day_sums(dimensions)? else { continue };
        for day in view.time_range()?.map_or(0..0, |(first, last)| first / DAY..last / DAY + 1) {
            let of_day = sums.clone().day(day)?;
            for at in 0..of_day.len() {
                let values = (0..dimensions.len()).map(|place| of_day.value(at, place));
                let values: Vec<_> = values.collect();
                let totals: Vec<_> = (0..3).map(|field| of_day.totals(at, field)).collect();
                writeln!(out, "{day}\t{values:?}\t{}\t{totals:?}", of_day.events_count(at))
                    .unwrap();
            }
        }
    }
    Ok(out)
}

fn expected(version: &str, name: &str) -> String {
    String::from_utf8(bytes_of(version, name)).unwrap()
}

const DAY: i64 = 86_400_000_000_000;

/// The files with parts, how many rows each has, and what lists these.
const SAMPLES: [(&str, u64, &str); 2] =
    [("small.part", 20, "small.txt"), ("large.part", 600, "large.txt")];

#[test]
fn parts_of_all_versions_open() {
    let samples = VERSIONS.into_iter().flat_map(|version| SAMPLES.map(|sample| (version, sample)));
    for (version, (name, rows, contents)) in samples {
        let part = Part::open(bytes_of(version, name), fuzzing::PART).unwrap();
        assert_eq!(part.view().rows_count() as u64, rows);
        assert_eq!(text(&part).unwrap(), expected(version, contents), "{version} {name}");
        assert_eq!(part.view().day_sums(&[10]).unwrap().is_some(), version > "v1");
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
fn a_small_part_a_batch_and_a_schema_are_written_as_in_the_newest_version() {
    // Compressors may find other bytes for the same; in this part nothing is long enough for them.
    assert_eq!(fuzzing::sample_part(20), bytes_of(NEWEST, "small.part"));
    let mut batch = Vec::new();
    fuzzing::sample_batch().encode(&mut batch);
    // There is one version of these.
    assert!(VERSIONS.iter().all(|version| batch == bytes_of(version, "batch.bin")));
    assert_eq!(Batch::decode(&fuzzing::sample_schema(), &batch).unwrap(), fuzzing::sample_batch());
    let schema = bytes_of("v1", "schema.bin");
    assert_eq!(schema, bytes_of(NEWEST, "schema.bin"));
    assert_eq!(fuzzing::sample_schema().encode(), schema);
    assert_eq!(Schema::decode(&schema).unwrap(), *fuzzing::sample_schema());
}

#[test]
fn a_torn_part_is_refused_and_a_damaged_one_names_the_damage() {
    for version in VERSIONS {
        let torn = Part::open(bytes_of(version, "torn.part"), fuzzing::PART);
        assert!(matches!(torn, Err(Error::Damaged { .. })));
        let part = Part::open(bytes_of(version, "damaged.part"), fuzzing::PART).unwrap();
        let mut damages = Vec::new();
        part.view().verify(&mut |damage| damages.push(damage));
        assert_eq!(damages.len(), 1, "{damages:?}");
        assert!(damages[0].to_string().contains("in its page of `id`"), "{}", damages[0]);
        assert_eq!(part.view().rows(&[0]).err().as_ref(), damages.first());
    }
}

/// Makes the golden files. Refuses to write over anything.
#[test]
#[ignore = "writes the golden files: a run by hand, once for each version, into a folder that is not there; what they say is tested by the other tests of this file"]
fn generate() {
    std::fs::create_dir_all(golden(NEWEST, "")).unwrap();
    let put = |name: &str, bytes: &[u8]| {
        assert!(!golden(NEWEST, name).exists(), "{name} is there");
        std::fs::write(golden(NEWEST, name), bytes).unwrap();
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
