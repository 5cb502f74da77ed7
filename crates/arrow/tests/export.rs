//! Record batches and Parquet files have what the rows of a table have.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use annals_arrow::{
    Error, FLAGS_KEY, ParquetExport, RecordBatches,
    arrow_array::{
        Array, RecordBatch,
        cast::AsArray,
        types::{
            Float64Type, Int32Type, Int64Type, TimestampNanosecondType, UInt16Type, UInt32Type,
            UInt64Type,
        },
    },
    arrow_schemas::{DataType, TimeUnit},
    parquet::{
        arrow::arrow_reader::ParquetRecordBatchReaderBuilder,
        basic::{Compression, LogicalType, Type},
        file::{
            metadata::ParquetMetaData,
            reader::{FileReader, SerializedFileReader},
        },
    },
};
use annals_columns::{Batch, Dimension, Filter, Role, Schema, Value};
use annals_engine::{CancelToken, Database, ErrorKind, EventTable, Scan, TableView};
use std::{fs::File, io, sync::Arc};

/// A field of each kind, all but the time optional, one with a dot in its name.
fn schema() -> Arc<Schema> {
    let flags = Role::Flags(vec!["secure".to_owned(), "cached".to_owned()]);
    let schema = Schema::builder(1)
        .with("at", Role::Ts)
        .with_optional("cost", Role::MetricI64)
        .with_optional("bytes", Role::CounterU64)
        .with_optional("tries", Role::CounterU32)
        .with_optional("took", Role::Latency)
        .with_optional("http.status", Role::Status)
        .with_optional("flags", flags)
        .with_optional("user", Role::Dimension(Dimension::Bloom))
        .with_optional("path", Role::Dimension(Dimension::Plain))
        .with_optional("note", Role::Label)
        .with_optional("id", Role::Id);
    Arc::new(schema.build().unwrap())
}

/// Events number `from` to `to`, at the ends of what their fields can have, and without some of them.
fn batch(schema: &Arc<Schema>, numbers: std::ops::Range<u64>) -> Batch {
    let mut batch = Batch::new(Arc::clone(schema));
    for n in numbers {
        fn at_ends<T>(n: u64, low: T, high: T, between: T) -> T {
            match n % 11 {
                0 => low,
                1 => high,
                _ => between,
            }
        }
        let number = n as i64;
        let mut row = batch.row();
        row.i64(0, at_ends(n, i64::MIN, i64::MAX, number * 1_000)).unwrap();
        if !n.is_multiple_of(3) {
            row.i64(1, at_ends(n, i64::MIN, i64::MAX, 5 - number)).unwrap();
            row.u64(2, at_ends(n, 0, u64::MAX, n)).unwrap();
            row.u32(3, at_ends(n, 0, u32::MAX, n as u32)).unwrap();
            row.u32(4, n as u32 % 300).unwrap();
        }
        if !n.is_multiple_of(4) {
            row.u16(5, at_ends(n, 0, u16::MAX, 200)).unwrap();
            row.u16(6, n as u16 % 4).unwrap();
        }
        if !n.is_multiple_of(5) {
            row.text(7, &format!("user {}", n % 1_000)).unwrap();
            row.text(8, if n.is_multiple_of(7) { "" } else { "/é" }).unwrap();
            row.text(9, &format!("note {n}")).unwrap();
            row.text(10, &format!("id-{n}")).unwrap();
        }
        row.finish().unwrap();
    }
    batch
}

/// Half of the events in parts, half in none yet.
fn table(db: &Database, count: u64) -> EventTable {
    let schema = schema();
    let table = db.table("events", &schema).unwrap();
    for numbers in [0..count / 4, count / 4..count / 2] {
        table.append_batch(&batch(&schema, numbers)).unwrap();
        table.flush().unwrap();
    }
    table.append_batch(&batch(&schema, count / 2..count)).unwrap();
    table
}

/// A value of an array as the engine tells it.
fn value(array: &dyn Array, at: usize) -> Value<'_> {
    if array.is_null(at) {
        return Value::Absent;
    }
    match array.data_type() {
        DataType::Timestamp(TimeUnit::Nanosecond, Some(zone)) if &**zone == "UTC" => {
            Value::I64(array.as_primitive::<TimestampNanosecondType>().value(at))
        }
        DataType::Int64 => Value::I64(array.as_primitive::<Int64Type>().value(at)),
        DataType::Float64 => Value::F64(array.as_primitive::<Float64Type>().value(at)),
        DataType::UInt64 => Value::U64(array.as_primitive::<UInt64Type>().value(at)),
        DataType::UInt32 => Value::U64(array.as_primitive::<UInt32Type>().value(at).into()),
        DataType::UInt16 => Value::U64(array.as_primitive::<UInt16Type>().value(at).into()),
        DataType::Utf8 => Value::Text(array.as_string::<i32>().value(at)),
        DataType::Dictionary(..) => {
            let array = array.as_dictionary::<Int32Type>();
            let key = array.keys().value(at) as usize;
            Value::Text(array.values().as_string::<i32>().value(key))
        }
        other => panic!("{other}"),
    }
}

/// The batches have what a scan of all has, in the same order.
fn assert_same(view: &TableView<'_>, scan: &Scan, batches: &[RecordBatch]) {
    let rows = view.scan(scan).unwrap();
    let mut row = 0;
    for batch in batches {
        for at in 0..batch.num_rows() {
            for field in 0..view.schema().fields().len() {
                let (found, wanted) = (value(batch.column(field), at), rows.value(row, field));
                assert_eq!(found, wanted, "row {row}, field {field}");
            }
            row += 1;
        }
    }
    assert_eq!(row, rows.len());
}

fn all(batches: RecordBatches<'_>) -> Vec<RecordBatch> {
    batches.map(|batch| batch.unwrap()).collect()
}

/// Writes a file, and reads it back: what it says of itself, and what it has.
fn written(export: ParquetExport<'_>) -> (ParquetMetaData, Vec<RecordBatch>) {
    let file = tempfile::tempfile().unwrap();
    let done = export.write(&file).unwrap();
    assert_eq!(done.bytes_count, file.metadata().unwrap().len());
    let own = |file: &File| file.try_clone().unwrap();
    let metadata = SerializedFileReader::new(own(&file)).unwrap().metadata().clone();
    assert_eq!(metadata.file_metadata().num_rows() as u64, done.events_count);
    assert_eq!(metadata.num_row_groups(), done.groups_count);
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    (metadata, reader.map(|batch| batch.unwrap()).collect())
}

#[test]
fn batches_have_what_the_rows_have() {
    let db = Database::open_in_memory().unwrap();
    let table = table(&db, 3_000);
    assert_eq!(table.delete_events(["id-7", "id-2998"]).unwrap(), 2);
    let view = table.view().unwrap();
    assert_eq!((view.parts_count(), view.len()), (2, 2_998));
    let batches = all(RecordBatches::new(&view, Scan::new()).rows_a_batch(700));
    let counts: Vec<_> = batches.iter().map(RecordBatch::num_rows).collect();
    assert_eq!(counts, [700, 700, 700, 700, 198]);
    assert_same(&view, &Scan::new(), &batches);
    let schema = batches[0].schema();
    let nullable: Vec<_> = schema.fields().iter().map(|field| field.is_nullable()).collect();
    assert_eq!(nullable, [&[false][..], &[true; 10]].concat());
    assert_eq!(schema.field(6).metadata()[FLAGS_KEY], "secure,cached");

    let user = Filter::eq(7, "user 33");
    for scan in [
        Scan::new().newest_first().limit(1_001),
        Scan::new().since(0).until(1_500_000).filter(user),
        Scan::new().limit(0),
    ] {
        assert_same(&view, &scan, &all(RecordBatches::new(&view, scan.clone()).rows_a_batch(100)));
    }
}

#[test]
fn a_batch_has_so_many_bytes_of_strings_at_most_and_a_row_at_least() {
    let db = Database::open_in_memory().unwrap();
    let schema = schema();
    let table = db.table("events", &schema).unwrap();
    let long = "é".repeat(32 << 10);
    let mut batch = Batch::new(Arc::clone(&schema));
    for n in 0..10 {
        let mut row = batch.row();
        row.i64(0, n).unwrap();
        row.text(7, &format!("{n}{long}")).unwrap();
        row.finish().unwrap();
    }
    table.append_batch(&batch).unwrap();
    table.flush().unwrap();
    let view = table.view().unwrap();
    let batches = || RecordBatches::new(&view, Scan::new());
    let counts = |batches| -> Vec<_> { all(batches).iter().map(RecordBatch::num_rows).collect() };
    assert_eq!(counts(batches()), [10]);
    assert_eq!(counts(batches().text_bytes_a_batch(200_000)), [4, 4, 2]);
    assert_eq!(counts(batches().text_bytes_a_batch(0)), [1; 10]);
    assert_eq!(
        counts(batches().rows_a_batch(3).text_bytes_a_batch(130_000)),
        [2, 1, 2, 1, 2, 1, 1]
    );
    assert_same(&view, &Scan::new(), &all(batches().text_bytes_a_batch(200_000)));
    let (_, read) = written(ParquetExport::new(batches().text_bytes_a_batch(200_000)));
    assert_same(&view, &Scan::new(), &read);
}

#[test]
fn a_parquet_file_has_what_the_rows_have() {
    let db = Database::open_in_memory().unwrap();
    let table = table(&db, 5_000);
    let view = table.view().unwrap();
    let batches = || RecordBatches::new(&view, Scan::new()).rows_a_batch(300);
    let (metadata, read) = written(ParquetExport::new(batches()).group_rows(1_500));
    assert_same(&view, &Scan::new(), &read);
    let groups = metadata.row_groups();
    let counts: Vec<_> = groups.iter().map(|group| group.num_rows()).collect();
    assert_eq!(counts, [1_500, 1_500, 1_500, 500], "the last one has what is left");
    let by_bytes = ParquetExport::new(batches()).group_bytes(20_000);
    let (metadata, read) = written(by_bytes);
    assert!(metadata.num_row_groups() > 3, "{}", metadata.num_row_groups());
    assert_same(&view, &Scan::new(), &read);

    let columns = metadata.file_metadata().schema_descr();
    let of = |at: usize| {
        let column = columns.column(at);
        (column.name().to_owned(), column.physical_type(), column.logical_type_ref().cloned())
    };
    let (name, physical, logical) = of(0);
    assert_eq!((&*name, physical), ("at", Type::INT64));
    assert!(
        matches!(&logical, Some(LogicalType::Timestamp(of)) if of.is_adjusted_to_u_t_c),
        "{logical:?}"
    );
    assert_eq!((&*of(5).0, of(5).1), ("http.status", Type::INT32), "a name, not a path");
    assert_eq!((of(7).1, of(7).2), (Type::BYTE_ARRAY, Some(LogicalType::String)));
    for column in metadata.row_group(0).columns() {
        assert_eq!(column.compression(), Compression::SNAPPY);
    }
}

#[test]
fn a_table_without_events_is_a_file_without_rows() {
    let db = Database::open_in_memory().unwrap();
    let table = db.table("events", &schema()).unwrap();
    let view = table.view().unwrap();
    let batches = RecordBatches::new(&view, Scan::new());
    assert_eq!(batches.schema().fields().len(), 11);
    assert_eq!(all(batches).len(), 0);
    let (metadata, read) = written(ParquetExport::new(RecordBatches::new(&view, Scan::new())));
    assert_eq!((metadata.num_row_groups(), read.len()), (0, 0));
    assert_eq!(metadata.file_metadata().schema_descr().num_columns(), 11);
}

#[test]
fn events_from_before_a_field_was_added_lack_it() {
    let db = Database::open_in_memory().unwrap();
    let first = Schema::builder(1).with("at", Role::Ts).with("price", Role::MetricF64);
    let second = first.clone().with_optional("user", Role::Dimension(Dimension::Plain));
    let (first, second) = (Arc::new(first.build().unwrap()), Arc::new(second.build().unwrap()));
    let table = db.table("events", &first).unwrap();
    let push = |schema: &Arc<Schema>, at: i64, price: f64, user: Option<&str>| {
        let mut batch = Batch::new(Arc::clone(schema));
        let mut row = batch.row();
        row.i64(0, at).unwrap();
        row.f64(1, price).unwrap();
        if let Some(user) = user {
            row.text(2, user).unwrap();
        }
        row.finish().unwrap();
        table.append_batch(&batch).unwrap();
    };
    push(&first, 1, -0.5, None);
    push(&first, 2, f64::INFINITY, None);
    table.flush().unwrap();
    db.table("events", &second).unwrap();
    push(&second, 3, f64::MIN_POSITIVE, Some("ada"));
    let view = table.view().unwrap();
    let (_, read) = written(ParquetExport::new(RecordBatches::new(&view, Scan::new())));
    assert_same(&view, &Scan::new(), &read);
    assert_eq!(read[0].column(2).null_count(), 2);
}

#[test]
fn events_without_times_come_in_the_order_in_which_they_were_appended() {
    let db = Database::open_in_memory().unwrap();
    let schema = Schema::builder(1).with("n", Role::CounterU32).with("id", Role::Id);
    let schema = Arc::new(schema.build().unwrap());
    let table = db.table("events", &schema).unwrap();
    for numbers in [[7, 3], [5, 1]] {
        let mut batch = Batch::new(Arc::clone(&schema));
        for n in numbers {
            let mut row = batch.row();
            row.u32(0, n).unwrap();
            row.text(1, &n.to_string()).unwrap();
            row.finish().unwrap();
        }
        table.append_batch(&batch).unwrap();
        table.flush().unwrap();
    }
    let view = table.view().unwrap();
    let batches = RecordBatches::new(&view, Scan::new()).rows_a_batch(3);
    let (_, read) = written(ParquetExport::new(batches));
    assert_same(&view, &Scan::new(), &read);
    assert_eq!(read[0].column(0).as_primitive::<UInt32Type>().values(), &[7, 3, 5, 1]);
}

#[test]
fn what_goes_wrong_is_told() {
    struct Full(usize);
    impl io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let db = Database::open_in_memory().unwrap();
    let table = table(&db, 2_000);
    let view = table.view().unwrap();
    for room in [0, 3, 5_000] {
        let batches = RecordBatches::new(&view, Scan::new());
        let failed = ParquetExport::new(batches).group_rows(500).write(Full(room)).unwrap_err();
        assert!(
            matches!(&failed, Error::Io(error) if error.kind() == io::ErrorKind::StorageFull),
            "{failed:?}"
        );
    }
    let token = CancelToken::new();
    let scan = Scan::new().cancelled_by(&token);
    let mut batches = RecordBatches::new(&view, scan).rows_a_batch(10);
    assert!(batches.next().unwrap().is_ok());
    token.cancel();
    match batches.next() {
        Some(Err(Error::Engine(error))) => assert_eq!(error.kind(), ErrorKind::Cancelled),
        other => panic!("{other:?}"),
    }
    assert!(batches.next().is_none());
}
