//! Entry points for fuzz targets and property tests: each takes any bytes, decodes them, and asserts what must
//! hold of whatever comes out. None of it is for users.

use crate::{
    Batch, Constant, Dimension, Filter, GroupBy, Part, PartBuilder, PartIdentity, PartView, Query,
    Role, Schema, ValueType, newest, part,
};
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

/// The part that the samples are.
pub const PART: PartIdentity = PartIdentity { database_id: 7, number: 3 };

/// A part, as it is and with its checksums made right: opening it is an error, or a part that can be read in every way and
/// answers with values or errors.
pub fn part(bytes: &[u8]) {
    let read = |bytes: &[u8]| {
        if let Ok(part) = Part::open(bytes, PART) {
            read_part(part.view());
        }
    };
    read(bytes);
    let mut mended = bytes.to_vec();
    part::mend(&mut mended, PART);
    read(&mended);
}

/// Rows of a part that are read: a damaged one may say that it has millions.
const ROWS_READ: u32 = 2_000;

fn read_part(part: PartView<'_>) {
    let count = part.rows_count() as u32;
    for row in (0..count).take(ROWS_READ as usize).chain([count - 1]) {
        let _ = (part.rows(&[row]), part.arrival(row));
    }
    assert!(part.rows(&[count]).is_err() && part.arrival(count).is_err());
    for ts in [i64::MIN, 0, 1_795_000_000_000_000_000, i64::MAX] {
        if let Ok(row) = part.first_since(ts) {
            assert!(row <= count);
        }
    }
    let _ = part.time_range();
    for (index, field) in part.schema().fields().iter().enumerate() {
        let _ = (part.totals(index), part.bounds(index));
        for text in ["", "user 001", field.name()] {
            if let Ok(Some(rows)) = part.dimension_rows(index, text) {
                let _ = (rows.rows().take(100_000).count(), rows.contains(7));
            }
        }
    }
    for status in [0, 200, 500] {
        if let Ok(Some(rows)) = part.status_rows(status) {
            let _ = rows.rows().take(100_000).count();
        }
    }
    for id in ["", "ev-00000000000-0000"] {
        let _ = part.find_id(id);
    }
    if count <= ROWS_READ {
        ask(part);
        part.verify(&mut |damage| assert!(damage.is_damage()));
    }
}

/// Questions about each field.
fn ask(part: PartView<'_>) {
    let schema = part.schema();
    for (index, field) in schema.fields().iter().enumerate() {
        let constant = match field.value_type() {
            ValueType::I64 => Constant::I64(1_000),
            ValueType::F64 => Constant::F64(0.5),
            ValueType::Text => Constant::from("user 020"),
            _ => Constant::U64(200),
        };
        for filter in [Filter::Eq(index, constant.clone()), Filter::AtLeast(index, constant)] {
            let filter = !filter.or(Filter::Present(index));
            let _ = newest(schema, &[(part, None)], &filter, None, 300);
            let mut query = Query::new(Arc::clone(schema)).filter(!filter);
            if field.value_type() == ValueType::Text {
                query = query.group_by(GroupBy::Field(index));
            } else {
                query = query
                    .group_by(GroupBy::Time { bucket_ns: 1_000_000_000 })
                    .measure_bounds(index);
            }
            if let Ok(mut answer) = query.answer() {
                let _ = answer.add(part, None);
                let _ = answer.groups().len();
            }
        }
    }
}

/// A part that is right, for mutations to start from.
///
/// # Panics
/// Never: it can be.
#[must_use]
pub fn sample_part(rows: u64) -> Vec<u8> {
    let mut batch = Batch::new(sample_schema());
    (0..rows).for_each(|n| add_sample_row(&mut batch, n));
    let mut builder = PartBuilder::new(sample_schema(), PART);
    builder.add(&batch, 1_000).expect("the sample's schema");
    builder.finish().expect("there are rows")
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
