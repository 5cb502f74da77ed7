//! `export`: files have what standard output gets, and nothing is half there.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Place, web_log};
use serde_json::json;
use std::fs;

/// A table of requests, which are in a part.
fn with_log(lines: u64) -> Place {
    let place = Place::new();
    assert_eq!(place.run_with(&["ingest", "requests", "-"], web_log(lines).as_bytes()).code, 0);
    {
        let db = annals::Database::open(place.data()).unwrap();
        db.open_table("requests").unwrap().flush().unwrap();
        db.close().unwrap();
    }
    place
}

#[test]
fn files_are_what_standard_output_gets() {
    let place = with_log(1_500);
    for (name, format) in [("a.ndjson", "ndjson"), ("a.json", "ndjson"), ("a.csv", "csv")] {
        let wanted = place.ok(&["export", "requests", "--format", format]);
        let report = &place.json(&["export", "requests", name])[0];
        assert_eq!(fs::read_to_string(place.path(name)).unwrap(), wanted, "{name}");
        assert_eq!(
            (&report["events_count"], &report["file_bytes"]),
            (&json!(1_500), &json!(wanted.len())),
            "{report}"
        );
    }
    assert_eq!(place.ok(&["export", "requests", "-"]), place.ok(&["export", "requests"]));
    let args = ["export", "requests", "few", "--format", "csv", "--where", "status = 503"];
    assert!(place.ok(&args).contains("events  30\n"));
    assert_eq!(fs::read_to_string(place.path("few")).unwrap().lines().count(), 31);
    let names = fs::read_dir(place.path(".")).unwrap().map(|entry| entry.unwrap().file_name());
    let partial = |name: &std::ffi::OsString| name.to_str().unwrap().contains("partial");
    assert_eq!(names.filter(partial).count(), 0);
}

#[test]
fn no_file_is_replaced_and_none_is_left_that_is_not_whole() {
    let place = with_log(2_000);
    place.file("there.csv", "dear");
    place.run(&["export", "requests", "there.csv"]).fails(2, "there.csv is there already");
    assert_eq!(fs::read(place.path("there.csv")).unwrap(), b"dear");
    place.run(&["export", "requests", "x.txt"]).fails(2, "add --format");
    place.run(&["export", "requests", "no/x.csv"]).fails(2, "there is no directory no");
    place.run(&["export", "gone", "x.csv"]).fails(1, "there is no event table `gone`");
    let both = ["export", "requests", "--format", "csv", "--json"];
    let told = place.run(&both);
    assert!(told.code == 2 && told.stderr.contains("contradict"), "{told:?}");

    let segments = fs::read_dir(place.data()).unwrap().map(|entry| entry.unwrap().path());
    let (segment, mut bytes, at) = segments
        .filter(|path| path.extension().is_some_and(|end| end == "seg"))
        .find_map(|path| {
            let bytes = fs::read(&path).unwrap();
            let at = bytes.windows(8).position(|window| window == b"ANNALPRT")?;
            Some((path, bytes, at))
        })
        .expect("a part");
    // What says in which order events came.
    bytes[at + 70] ^= 0xff;
    fs::write(segment, bytes).unwrap();
    place.run(&["export", "requests", "x.csv"]).fails(3, "is damaged");
    let mut names: Vec<_> = fs::read_dir(place.path("."))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["data", "there.csv"]);
}

#[cfg(not(feature = "arrow"))]
#[test]
fn a_build_without_parquet_says_how_to_build_it() {
    let place = with_log(10);
    for args in [&["x.parquet"][..], &["--format", "parquet"]] {
        let ended = place.run(&[&["export", "requests"], args].concat());
        ended.fails(2, "cargo build --release -p annals-cli --features arrow");
    }
}

#[cfg(feature = "arrow")]
#[test]
fn parquet_files_have_the_events() {
    use annals::arrow::{
        arrow_array::{
            Array, RecordBatch,
            cast::AsArray,
            types::{TimestampNanosecondType, UInt16Type, UInt64Type},
        },
        parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder,
    };
    /// What is compared: time, client, status, and bytes, which some lack.
    type Row = (i64, String, u64, Option<u64>);

    let rows_of = |batch: &RecordBatch| -> Vec<Row> {
        let of = |name: &str| batch.column_by_name(name).unwrap();
        let times = of("time").as_primitive::<TimestampNanosecondType>();
        let clients = of("client").as_any_dictionary();
        let keys = clients.normalized_keys();
        let names = clients.values().as_string::<i32>();
        let statuses = of("status").as_primitive::<UInt16Type>();
        let bytes = of("bytes").as_primitive::<UInt64Type>();
        let row = |at: usize| {
            let client = names.value(keys[at]).to_owned();
            let bytes = bytes.is_valid(at).then(|| bytes.value(at));
            (times.value(at), client, statuses.value(at).into(), bytes)
        };
        (0..batch.num_rows()).map(row).collect()
    };
    let read = |file: fs::File| -> Vec<Row> {
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        reader.flat_map(|batch| rows_of(&batch.unwrap())).collect()
    };

    let place = with_log(3_000);
    let wanted: Vec<Row> = place
        .json(&["export", "requests"])
        .iter()
        .enumerate()
        .map(|(second, event)| {
            let text = |name: &str| event[name].as_str().unwrap().to_owned();
            let number = |name: &str| event.get(name).and_then(serde_json::Value::as_u64);
            let time = (1_431_856_800 + second as i64) * 1_000_000_000;
            (time, text("client"), number("status").unwrap(), number("bytes"))
        })
        .collect();
    let report = &place.json(&["export", "requests", "all.parquet"])[0];
    assert_eq!(report["events_count"], 3_000);
    let file = place.path("all.parquet");
    assert_eq!(report["file_bytes"], fs::metadata(&file).unwrap().len());
    assert_eq!(read(fs::File::open(&file).unwrap()), wanted);
    assert!(wanted.iter().any(|row| row.3.is_none()));

    // The same through a pipe, and of some events only.
    let ended = place.run(&["export", "requests", "--format", "parquet"]);
    assert_eq!((ended.code, &*ended.stderr), (0, ""));
    assert_eq!(ended.stdout, fs::read(&file).unwrap());
    place.ok(&["export", "requests", "failed.parquet", "--where", "status = 503"]);
    let failed: Vec<Row> = wanted.into_iter().filter(|row| row.2 == 503).collect();
    assert_eq!(read(fs::File::open(place.path("failed.parquet")).unwrap()), failed);

    place.ok(&["export", "requests", "none.parquet", "--since", "now"]);
    assert!(read(fs::File::open(place.path("none.parquet")).unwrap()).is_empty());
    let json = place.run(&["export", "requests", "--format", "parquet", "--json"]);
    assert!(json.code == 2 && json.stderr.contains("contradict"), "{json:?}");
}
