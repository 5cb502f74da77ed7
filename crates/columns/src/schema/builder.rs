//! Making a schema.

use super::{
    COUNTERS_MAX, DIMENSIONS_MAX, FLAGS_MAX, Field, LABELS_MAX, NAME_BYTES_MAX, Places, Role,
    Schema, codec,
};
use crate::{Error, Result};
use std::collections::HashSet;

/// Makes a [`Schema`](struct@crate::Schema); what cannot be is said by [`build`](Self::build).
///
/// ```
/// use annals_columns::{Role, Schema};
/// let twice = Schema::builder(1).with("at", Role::Ts).with("then", Role::Ts).build();
/// assert!(twice.unwrap_err().to_string().contains("`then`"));
/// ```
#[derive(Clone, Debug)]
pub struct SchemaBuilder {
    id: u32,
    fields: Vec<Field>,
}

impl SchemaBuilder {
    pub(super) fn new(id: u32) -> Self {
        Self { id, fields: Vec::new() }
    }

    /// Adds a field that every event has.
    #[must_use]
    pub fn with(self, name: &str, role: Role) -> Self {
        self.add(name, role, false)
    }

    /// Adds a field that events may lack.
    #[must_use]
    pub fn with_optional(self, name: &str, role: Role) -> Self {
        self.add(name, role, true)
    }

    pub(super) fn add(mut self, name: &str, role: Role, is_optional: bool) -> Self {
        self.fields.push(Field { name: name.to_owned(), role, is_optional });
        self
    }

    /// The schema.
    ///
    /// # Errors
    /// [`Error::Schema`] names the field and what cannot be: a name that is not letters, digits, `_`, `.` and
    /// `-`, begins with a digit or is there twice; a role there may be one of that is there twice; more
    /// counters, dimensions, labels or flags than there may be; a time that is optional; no field at all.
    pub fn build(self) -> Result<Schema> {
        if self.fields.is_empty() {
            return Err(Error::Schema { field: None, what: "it has no fields" });
        }
        let mut names = HashSet::new();
        let mut counts = Counts::default();
        for field in &self.fields {
            let wrong = |what| Err(Error::Schema { field: Some(field.name.clone()), what });
            if let Err(what) = check_name(&field.name) {
                return wrong(what);
            }
            if !names.insert(field.name.as_str()) {
                return wrong("the name is there twice");
            }
            if field.is_optional && field.role == Role::Ts {
                return wrong("the time cannot be optional, it is the order of events");
            }
            if let Role::Flags(flags) = &field.role
                && let Err(what) = check_flags(flags)
            {
                return wrong(what);
            }
            if let Err(what) = counts.add(&field.role) {
                return wrong(what);
            }
        }
        let fingerprint = codec::fingerprint(self.id, &self.fields);
        let places = Places::of(&self.fields);
        Ok(Schema { id: self.id, fields: self.fields, fingerprint, places })
    }
}

/// How many fields of each role there are so far.
#[derive(Default)]
struct Counts {
    counters: usize,
    dimensions: usize,
    labels: usize,
    blooms: usize,
    singles: HashSet<&'static str>,
}

impl Counts {
    fn add(&mut self, role: &Role) -> Result<(), &'static str> {
        let (count, limit, what) = match role {
            Role::CounterU32 | Role::CounterU64 => {
                (&mut self.counters, COUNTERS_MAX, "there are more than 64 counters")
            }
            Role::Label => (&mut self.labels, LABELS_MAX, "there are more than 64 labels"),
            Role::Dimension(kind) => {
                self.blooms += usize::from(kind.has_bloom());
                if self.blooms > 1 {
                    return Err(
                        "there is a dimension with a bloom filter already, and may be one only",
                    );
                }
                (&mut self.dimensions, DIMENSIONS_MAX, "there are more than 256 dimensions")
            }
            single => {
                let name = match single {
                    Role::Ts => "ts",
                    Role::MetricI64 | Role::MetricF64 => "metric",
                    Role::Latency => "latency",
                    Role::LatencyDetail => "latency_detail",
                    Role::Status => "status",
                    Role::Flags(_) => "flags",
                    _ => "id",
                };
                let is_first = self.singles.insert(name);
                return if is_first {
                    Ok(())
                } else {
                    Err("another field has this role, and one may")
                };
            }
        };
        *count += 1;
        if *count > limit { Err(what) } else { Ok(()) }
    }
}

fn check_name(name: &str) -> Result<(), &'static str> {
    let mut bytes = name.bytes();
    match bytes.next() {
        None => return Err("a name is empty"),
        Some(first) if !(first.is_ascii_alphabetic() || first == b'_') => {
            return Err("the name does not begin with a letter or `_`");
        }
        Some(_) => {}
    }
    if name.len() > NAME_BYTES_MAX {
        return Err("the name is longer than 128 bytes");
    }
    if !bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-')) {
        return Err("the name has others than letters, digits, `_`, `.` and `-`");
    }
    Ok(())
}

fn check_flags(names: &[String]) -> Result<(), &'static str> {
    if names.is_empty() {
        return Err("there are no flags");
    }
    if names.len() > FLAGS_MAX {
        return Err("there are more than 16 flags");
    }
    let mut seen = HashSet::new();
    for name in names {
        check_name(name)?;
        if !seen.insert(name) {
            return Err("the name of a flag is there twice");
        }
    }
    Ok(())
}
