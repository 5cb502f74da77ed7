//! A million events in ten parts: their size, what it takes to make them, and whole rows of them.

mod events;

use annals_columns::{Batch, PartBuilder, PartView};
use criterion::{Criterion, criterion_group, criterion_main};
use events::{ID, PARTS, ROWS, batch, built, identity, parts, schema};
use std::{hint::black_box, time::Duration};

fn newest(view: PartView<'_>, count: u32) -> usize {
    let rows = view.rows_count() as u32;
    let rows: Vec<u32> = (rows - count..rows).rev().collect();
    let rows = view.rows(&rows).expect("readable");
    black_box(&rows);
    rows.len()
}

fn reads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("part");
    group.measurement_time(Duration::from_secs(2)).sample_size(20);
    let small = batch(0);
    group.bench_function("build one", |bench| {
        bench.iter(|| {
            let mut builder = PartBuilder::new(schema(), identity(0));
            builder.add(&small, 0).expect("the schema");
            builder.finish().expect("rows").len()
        });
    });
    let one = batch(1);
    group.bench_function("encode a batch of 1,024", |bench| {
        let mut frame = Batch::new(schema());
        for at in 0..1_024 {
            let mut row = frame.row();
            for field in 0..=ID {
                row.value(field, one.value(at, field)).expect("a value");
            }
            row.finish().expect("whole");
        }
        let mut out = Vec::new();
        bench.iter(|| {
            out.clear();
            frame.encode(&mut out);
            out.len()
        });
    });
    let parts = parts();
    let bytes: usize = (0..PARTS).map(|part| built(part).len()).sum();
    println!("{:.2} bytes an event", bytes as f64 / (PARTS * ROWS) as f64);
    let mut sections: Vec<(usize, String)> = parts[0].view().sections().collect();
    sections.sort_unstable_by_key(|(_, name)| name.rsplit('`').nth(1).map(str::to_owned));
    for (bytes, name) in &sections {
        if *bytes as f64 / ROWS as f64 > 0.005 {
            println!("{:8.3} {name}", *bytes as f64 / ROWS as f64);
        }
    }
    let last = parts[parts.len() - 1].view();
    group.bench_function("100 newest, whole rows", |bench| bench.iter(|| newest(last, 100)));
    group.bench_function("1,000 newest, whole rows", |bench| bench.iter(|| newest(last, 1_000)));
    let ids: Vec<String> = (0..ROWS as u32)
        .step_by(97)
        .map(|row| {
            let rows = parts[3].view().rows(&[row]).expect("readable");
            rows.value(0, ID).as_text().expect("an id").to_owned()
        })
        .collect();
    let mut n = 0;
    group.bench_function("one event by id, of ten parts", |bench| {
        bench.iter(|| {
            n = (n + 1) % ids.len();
            let found = parts.iter().find_map(|part| {
                let row = part.view().find_id(&ids[n]).expect("readable")?;
                Some(part.view().rows(&[row]).expect("readable"))
            });
            found.expect("there").len()
        });
    });
    group.finish();
}

criterion_group!(benches, reads);
criterion_main!(benches);
