//! From lines of some format to events of a schema.
//!
//! A [`parser`](Parser) makes [`Cell`]s of a line: values by name, as the line has them. They are looked at to
//! [infer](infer) a schema, and [filled](Filler) into the rows of one. A line that cannot be taken says why and stops
//! nobody; no bytes make any of this panic.

mod cell;
mod combined;
mod csv;
mod fill;
mod format;
mod infer;
mod mark;
mod ndjson;
mod reader;
mod rejects;

mod schema_file;
mod syslog;

pub(crate) use fill::Filler;
pub(crate) use format::{Format, Parser, separator_of};
pub(crate) use infer::{Inference, Inferred};
pub(crate) use mark::Mark;
pub(crate) use reader::{Reader, Record};
pub(crate) use rejects::{REASONS_END, Rejects, reasons_path};
pub(crate) use schema_file::{read_schema, show_schema};

use cell::{Cell, Given, field_name};
