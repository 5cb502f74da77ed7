//! Tells each step: its figures, and how to repeat it.

use crate::{
    failure::Result,
    output::{Form, Out, Report},
};
use annals::KeyspaceKind;
use std::path::Path;

/// Prints steps as they are done.
pub(super) struct Teller<'a> {
    out: &'a mut Out,
    data: String,
    segment_bytes: u64,
    kind: KeyspaceKind,
    number: u32,
}

impl<'a> Teller<'a> {
    /// `data` is the database's directory in the commands, `segment_bytes` what it is written with,
    /// `kind` that of its keyspaces.
    pub(super) fn new(
        out: &'a mut Out,
        data: &Path,
        segment_bytes: u64,
        kind: KeyspaceKind,
    ) -> Self {
        Self { out, data: quote(data), segment_bytes, kind, number: 0 }
    }

    /// The options of a command that makes a keyspace.
    pub(super) fn makes(&self, keyspace: &str) -> String {
        if self.kind == KeyspaceKind::default() {
            format!("-k {keyspace}")
        } else {
            format!("-k {keyspace} --kind {}", self.kind)
        }
    }

    /// The start of a command on the tour's database.
    pub(super) fn annals(&self, rest: &str) -> String {
        format!("annals --data {} {rest}", self.data)
    }

    /// The start of a command that writes to it.
    pub(super) fn annals_writing(&self, rest: &str) -> String {
        format!("annals --data {} --segment-bytes {} {rest}", self.data, self.segment_bytes)
    }

    /// Tells a step. It is seen at once: the next one may take a while.
    pub(super) fn step(&mut self, name: &str, report: &Report, commands: &[String]) -> Result<()> {
        self.number += 1;
        if self.out.form() == Form::Json {
            self.out.object(|object| {
                object.value("step", name);
                report.fill(object);
                object.value("commands", commands);
            })?;
        } else {
            self.out.line(&format!("{:2}. {name:22} {}", self.number, report.inline()))?;
            for command in commands {
                self.out.line(&format!("      $ {command}"))?;
            }
        }
        self.out.flush()
    }
}

/// A path as a shell takes it.
pub(super) fn quote(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) && !text.starts_with('-') {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_survive_a_shell() {
        assert_eq!(quote("../a/b.log".as_ref()), "../a/b.log");
        assert_eq!(quote("it's here".as_ref()), r"'it'\''s here'");
        assert_eq!(quote("-x".as_ref()), "'-x'");
        assert_eq!(quote("".as_ref()), "''");
    }
}
