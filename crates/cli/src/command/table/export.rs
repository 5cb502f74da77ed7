//! `annals export`: events of a table in a form that other programs read.

use super::{open, row, which::Which};
use crate::{
    command::Command,
    failure::{Failure, Result},
    output::{Form, Out},
    session::Session,
};
use annals::{FoundRows, columns::Schema};

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExportFormat {
    /// A JSON object an event.
    Ndjson,
    /// A heading, then records.
    Csv,
    Parquet,
}

/// Writes events to standard output, the oldest first.
#[derive(Debug)]
pub(crate) struct Export {
    pub(crate) table: String,
    pub(crate) format: ExportFormat,
    pub(crate) which: Which,
}

impl Command for Export {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        if self.format == ExportFormat::Parquet {
            return Err(Failure::usage(
                "this build writes no Parquet; --format ndjson and csv are read by whatever reads that",
            ));
        }
        if self.format == ExportFormat::Csv && session.form() == Form::Json {
            return Err(Failure::usage(
                "--json and --format csv contradict each other; leave one away",
            ));
        }
        let db = session.reader()?;
        let table = open(&db, &self.table)?;
        let view = table.view()?;
        let schema = view.schema();
        let meant = self.which.meant(schema)?;
        let out = &mut session.out;
        if self.format == ExportFormat::Csv {
            let names = schema.fields().iter().map(|field| field.name().to_owned());
            write_record(out, names)?;
        }
        meant.each(&view, false, u64::MAX, |rows, at| match self.format {
            ExportFormat::Csv => {
                let fields = schema.fields().iter().enumerate();
                write_record(out, fields.map(|(n, field)| row::text(field, rows.value(at, n))))
            }
            ExportFormat::Ndjson | ExportFormat::Parquet => write_object(out, schema, rows, at),
        })
    }
}

fn write_object(out: &mut Out, schema: &Schema, rows: &FoundRows<'_>, at: usize) -> Result<()> {
    out.object(|object| row::fill(object, schema, |field| rows.value(at, field)))
}

fn write_record(out: &mut Out, fields: impl Iterator<Item = String>) -> Result<()> {
    let mut record = String::new();
    for (at, field) in fields.enumerate() {
        record.push_str(if at > 0 { "," } else { "" });
        // Blanks at the ends are kept by few readers.
        let is_plain = !field.contains([',', '"', '\n', '\r']) && field.trim() == field;
        match is_plain {
            true => record.push_str(&field),
            false => {
                record.push('"');
                record.push_str(&field.replace('"', "\"\""));
                record.push('"');
            }
        }
    }
    out.line(&record)
}
