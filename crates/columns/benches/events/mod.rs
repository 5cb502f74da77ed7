//! A million events in ten parts.

use annals_columns::{Batch, Dimension, Part, PartBuilder, PartIdentity, Role, Schema};
use std::sync::Arc;

pub(crate) const PARTS: u64 = 10;
pub(crate) const ROWS: u64 = 100_000;
/// Thirty days.
pub(crate) const SPAN_NS: u64 = 30 * 86_400_000_000_000;
pub(crate) const START_NS: i64 = 1_795_000_000_000_000_000;

pub(crate) const METRIC: usize = 1;
pub(crate) const USER: usize = 9;
pub(crate) const ID: usize = 17;

pub(crate) fn schema() -> Arc<Schema> {
    let mut schema = Schema::builder(1).with("at", Role::Ts).with("cost", Role::MetricI64);
    for counter in ["input", "output", "cached", "reasoning"] {
        schema = schema.with(counter, Role::CounterU32);
    }
    schema = schema.with("latency", Role::Latency).with("first", Role::LatencyDetail);
    schema = schema.with("status", Role::Status);
    schema = schema.with("user", Role::Dimension(Dimension::BloomRollup));
    for name in ["team", "model", "region", "tier", "client"] {
        schema = schema.with(name, Role::Dimension(Dimension::Plain));
    }
    let schema = schema.with("path", Role::Label).with("session", Role::Label).with("id", Role::Id);
    Arc::new(schema.build().expect("a schema"))
}

/// Bits in another order, each number to another one.
fn mix(n: u64) -> u64 {
    let n = (n ^ (n >> 31)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    n ^ (n >> 32)
}

/// Few large and many small numbers below `limit`.
fn skewed(random: u64, limit: u64) -> u64 {
    let share = (random >> 11) as f64 / (1u64 << 53) as f64;
    (share * share * share * limit as f64) as u64
}

pub(crate) fn batch(part: u64) -> Batch {
    let mut batch = Batch::new(schema());
    let gap = SPAN_NS / (PARTS * ROWS);
    for n in part * ROWS..(part + 1) * ROWS {
        let mut at = 0;
        let mut next = || {
            at += 1;
            mix(n << 8 | at)
        };
        let mut row = batch.row();
        let mut fill = || {
            row.i64(0, START_NS + (n * gap + next() % gap) as i64)?;
            row.i64(METRIC, skewed(next(), 2_000_000) as i64)?;
            for (counter, limit) in [(2, 8_000), (3, 2_000), (4, 4_000), (5, 500)] {
                row.u32(counter, skewed(next(), limit) as u32)?;
            }
            row.u32(6, 20 + skewed(next(), 30_000) as u32)?.u32(7, skewed(next(), 2_000) as u32)?;
            let status =
                [200, 200, 200, 200, 200, 200, 200, 200, 200, 201, 400, 404, 429, 500, 503];
            row.u16(8, status[(next() % 15) as usize])?;
            row.text(USER, &format!("user-{:06}", skewed(next(), 1_000)))?;
            for (field, limit) in [(10, 200), (11, 20), (12, 6), (13, 10), (14, 5)] {
                row.text(field, &format!("value-{:03}", next() % limit))?;
            }
            row.text(15, &format!("/v1/projects/{}/runs", next() % 500))?;
            row.text(16, &format!("session-{:08x}", next() % 50_000))?;
            row.text(ID, &format!("evt_{:016x}", next())).map(|_| ())
        };
        fill().expect("the schema's values");
        row.finish().expect("all fields");
    }
    batch
}

pub(crate) fn identity(part: u64) -> PartIdentity {
    PartIdentity { database_id: 7, number: part }
}

pub(crate) fn built(part: u64) -> Vec<u8> {
    let mut builder = PartBuilder::new(schema(), identity(part));
    builder.add(&batch(part), part * ROWS).expect("the schema");
    builder.finish().expect("rows")
}

pub(crate) fn parts() -> Vec<Part<Vec<u8>>> {
    (0..PARTS).map(|part| Part::open(built(part), identity(part)).expect("a part")).collect()
}
