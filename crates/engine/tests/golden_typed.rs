//! Events of Rust types, as an earlier build wrote them, must be read in place as exactly what they were: archives of
//! older versions too.
//!
//! `golden/v1/typed` is never written again; a later format, or another layout of archives, gets a folder of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod golden_files;

use annals_engine::{Background, Database, Seq};
use annals_events::{Event, EventField};
use golden_files::copy_files;
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    path::{Path, PathBuf},
};

#[derive(Event)]
#[event(name = "Placed", crate = annals_events)]
struct OldPlaced {
    item: String,
    quantity: u32,
}

#[derive(Event, Debug)]
#[event(version = 2, from(1 = OldPlaced), crate = annals_events)]
struct Placed {
    lines: Vec<Line>,
    note: Option<String>,
    by_shop: BTreeMap<String, i64>,
}

#[derive(EventField, Debug)]
#[event(crate = annals_events)]
struct Line {
    item: String,
    quantity: u32,
    is_gift: bool,
}

impl From<OldPlaced> for Placed {
    fn from(OldPlaced { item, quantity }: OldPlaced) -> Self {
        let lines = vec![Line { item, quantity, is_gift: false }];
        Self { lines, note: None, by_shop: BTreeMap::new() }
    }
}

#[derive(Event, Debug)]
#[event(crate = annals_events)]
enum OrderEvent {
    Placed(Placed),
    #[event(name = "Shipped")]
    Shipped {
        at_ms: u64,
        weight: f64,
        code: [u8; 5],
    },
    #[event(name = "Closed")]
    Closed,
}

fn golden() -> PathBuf {
    golden_files::golden("typed")
}

fn open(path: &Path) -> Database {
    let builder = Database::builder().background(Background::Manual);
    builder.segment_bytes(64 << 10).open(path).unwrap()
}

/// Each event: stream, version, type, its bytes, and what it is.
fn text(db: &Database) -> String {
    let orders = db.stream::<OrderEvent>("orders").unwrap();
    let mut out = String::new();
    for event in orders.read_all(Seq::ZERO).unwrap() {
        let event = event.unwrap();
        let (stream, version, of_type) = (event.stream(), event.version(), event.event_type());
        let bytes = event.data().escape_ascii();
        writeln!(out, "{stream}\t{version}\t{of_type}\t{bytes}\t{:?}", event.decode().unwrap())
            .unwrap();
    }
    out
}

/// What is read in place, in few words.
fn seen(view: &OrderEventView<'_>) -> String {
    match view {
        OrderEventView::Placed(placed) => {
            let line = |line: &annals_events::rkyv::Archived<Line>| {
                format!("{} x {}, {}", line.quantity.to_native(), line.item, line.is_gift)
            };
            let lines: Vec<_> = placed.lines.iter().map(line).collect();
            let shops = placed.by_shop.iter().map(|(shop, n)| format!("{shop} {}", n.to_native()));
            format!("{lines:?} {:?} {:?}", placed.note.as_deref(), shops.collect::<Vec<_>>())
        }
        OrderEventView::Shipped(shipped) => {
            let (at_ms, weight) = (shipped.at_ms.to_native(), shipped.weight.to_native());
            format!("{at_ms} {weight} {:?}", shipped.code)
        }
        OrderEventView::Closed => "closed".to_owned(),
    }
}

#[test]
fn events_of_all_versions_are_what_they_were() {
    let dir = tempfile::tempdir().unwrap();
    copy_files(&golden(), dir.path());
    let db = open(dir.path());
    assert!(db.recovery().clean && db.recovery().warnings.is_empty(), "{:?}", db.recovery());
    for _ in 0..2 {
        assert_eq!(text(&db), golden_files::expected("typed"));
        let orders = db.stream::<OrderEvent>("orders").unwrap();
        let mut views = Vec::new();
        orders
            .read(7u64)
            .unwrap()
            .each_view(|view| {
                views.push(seen(&view));
                Ok(())
            })
            .unwrap();
        assert_eq!(
            views,
            [
                r#"["3 x apple, false"] None []"#,
                r#"["70000 x a pear of many letters, true", "0 x , false"] Some("ünicode") ["east -5", "west 9223372036854775807"]"#,
                "1700000000000 -0.5 [1, 2, 3, 4, 255]",
                "closed",
                r#"[] None []"#,
            ]
        );
        let batches = orders.read(7u64).unwrap().batches();
        let seen_in_batches: Vec<_> = batches
            .flat_map(|batch| {
                let batch = batch.unwrap();
                batch.views().map(|view| seen(&view.unwrap())).collect::<Vec<_>>()
            })
            .collect();
        assert_eq!(seen_in_batches, views);
        db.compact().unwrap();
    }
    // More of the same goes behind it.
    let orders = db.stream::<OrderEvent>("orders").unwrap();
    let done = orders.append(7u64, &OrderEvent::Closed).unwrap();
    assert_eq!(done.first_version, 5);
    assert_eq!(orders.category().event_types().len(), 4);
}

/// Makes the golden files of the current format. Never writes over any.
#[test]
#[ignore = "writes the golden files: a run by hand, once for each version, into a folder that is not there; what they say is tested by the other tests of this file"]
fn generate() {
    let target = golden();
    assert!(!target.exists(), "golden files are never written again");
    let dir = tempfile::tempdir().unwrap();
    let db = open(dir.path());
    let old = db.stream::<OldPlaced>("orders").unwrap();
    let apple = || OldPlaced { item: "apple".into(), quantity: 3 };
    old.append(7u64, &apple()).unwrap();
    old.append(
        "a text",
        &OldPlaced { item: "an apple of many letters".into(), quantity: u32::MAX },
    )
    .unwrap();
    drop(old);
    let orders = db.stream::<OrderEvent>("orders").unwrap();
    let line = |item: &str, quantity, is_gift| Line { item: item.into(), quantity, is_gift };
    let placed = Placed {
        lines: vec![line("a pear of many letters", 70_000, true), line("", 0, false)],
        note: Some("ünicode".into()),
        by_shop: [("west".to_owned(), i64::MAX), ("east".to_owned(), -5)].into(),
    };
    let shipped =
        OrderEvent::Shipped { at_ms: 1_700_000_000_000, weight: -0.5, code: [1, 2, 3, 4, 255] };
    orders.append(7u64, &OrderEvent::Placed(placed)).unwrap();
    orders.append_batch(7u64, &[shipped, OrderEvent::Closed]).unwrap();
    let empty = Placed { lines: Vec::new(), note: None, by_shop: BTreeMap::new() };
    orders.append(7u64, &OrderEvent::Placed(empty)).unwrap();
    let text = text(&db);
    drop(orders);
    db.close().unwrap();
    std::fs::create_dir_all(&target).unwrap();
    copy_files(dir.path(), &target);
    std::fs::write(target.with_extension("txt"), text).unwrap();
}
