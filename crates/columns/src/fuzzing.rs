//! Entry points for fuzz targets and property tests: each takes any bytes, decodes them, and asserts what must
//! hold of whatever comes out. None of it is for users.

use crate::{Batch, Dimension, Role, Schema};
use std::sync::Arc;

/// A schema: an error, or one that has the same bytes again.
pub fn schema(bytes: &[u8]) {
    if let Ok(schema) = Schema::decode(bytes) {
        assert_eq!(Schema::decode(&schema.encode()).as_ref(), Ok(&schema));
        assert!(schema.to_string().lines().count() > schema.fields().len());
    }
}

/// A batch of the sample's schema: an error, or one that can be read and comes back from its bytes.
pub fn batch(bytes: &[u8]) {
    let schema = sample_schema();
    let Ok(batch) = Batch::decode(&schema, bytes) else { return };
    for row in 0..batch.len() {
        for field in 0..schema.fields().len() {
            let _ = batch.value(row, field);
        }
    }
    assert_eq!(batch.sorted_rows().len(), batch.len());
    let mut again = Vec::new();
    batch.encode(&mut again);
    assert_eq!(Batch::decode(&schema, &again).as_ref(), Ok(&batch));
}

/// A schema with something of everything.
///
/// # Panics
/// Never: it can be.
#[must_use]
pub fn sample_schema() -> Arc<Schema> {
    let schema = Schema::builder(11)
        .with("at", Role::Ts)
        .with("cost", Role::MetricI64)
        .with("tokens", Role::CounterU32)
        .with_optional("bytes", Role::CounterU64)
        .with("latency", Role::Latency)
        .with_optional("first", Role::LatencyDetail)
        .with("status", Role::Status)
        .with("flags", Role::Flags(vec!["cached".into(), "streamed".into(), "retried".into()]))
        .with("user", Role::Dimension(Dimension::BloomRollup))
        .with_optional("model", Role::Dimension(Dimension::Plain))
        .with("region", Role::Dimension(Dimension::Rollup))
        .with_optional("note", Role::Label)
        .with("id", Role::Id);
    Arc::new(schema.build().expect("a schema that can be"))
}

/// Adds a row to a batch of the sample's schema; what is in it follows from `n`.
///
/// # Panics
/// If the batch has another schema.
pub fn add_sample_row(batch: &mut Batch, n: u64) {
    let mixed = (n ^ n >> 31).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
    let mut row = batch.row();
    let mut add = || {
        row.i64(0, 1_795_000_000_000_000_000 + 1_000_000 * (n * 40 + mixed % 97) as i64)?;
        row.i64(1, mixed as i64 % 5_000 - 100)?.u32(2, (mixed % 900) as u32)?;
        if n.is_multiple_of(3) {
            row.u64(3, mixed << 9)?;
        }
        row.u32(4, (mixed % 250) as u32)?;
        if n % 5 != 4 {
            row.u32(5, (mixed % 40) as u32)?;
        }
        row.u16(6, [200, 200, 200, 200, 404, 500][mixed as usize % 6])?.u16(7, mixed as u16 % 8)?;
        row.text(8, &format!("user {:03}", mixed % 50))?;
        if n % 7 != 1 {
            row.text(9, ["small", "large", "middling"][mixed as usize % 3])?;
        }
        row.text(10, ["eu", "us"][(mixed >> 7) as usize % 2])?;
        if n.is_multiple_of(2) {
            row.text(
                11,
                &format!("a note about {n}, {}", "and so on ".repeat((mixed % 4) as usize)),
            )?;
        }
        row.text(12, &format!("ev-{mixed:011x}-{n:04}")).map(|_| ())
    };
    add().expect("the sample's schema");
    row.finish().expect("all fields");
}

/// A batch that is right, for mutations to start from.
#[must_use]
pub fn sample_batch() -> Batch {
    let mut batch = Batch::new(sample_schema());
    (0..20).for_each(|n| add_sample_row(&mut batch, n));
    batch
}
