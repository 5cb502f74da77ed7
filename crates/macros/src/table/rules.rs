//! What a schema may not be, told where it was written. The builder of schemas has the same rules for those
//! that are made at run time; what passes here is never refused there.

use super::{Table, roles::Role, wrong};
use std::collections::{HashMap, HashSet};
use syn::{Error, Ident, Result, ext::IdentExt as _};

const COUNTERS_MAX: usize = 64;
const DIMENSIONS_MAX: usize = 256;
const LABELS_MAX: usize = 64;
const FLAGS_MAX: usize = 16;
const NAME_BYTES_MAX: usize = 128;

pub(super) fn check(table: &Table<'_>) -> Result<()> {
    let mut singles = HashSet::new();
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let mut has_bloom = false;
    let mut names = Names::default();
    for column in &table.columns {
        names.take(column.ident)?;
        if column.is_optional && matches!(column.role, Role::Ts) {
            return Err(wrong(
                &column.field.ty,
                "the time cannot be optional: it is the order of events",
            ));
        }
        if let Some(single) = column.role.single()
            && !singles.insert(single)
        {
            let what = format!("another field is `#[{single}]` already, and one may be");
            return Err(wrong(column.role_attr, &what));
        }
        let (many, limit) = match &column.role {
            Role::Counter => ("counters", COUNTERS_MAX),
            Role::Label => ("labels", LABELS_MAX),
            Role::Dim { bloom, .. } => {
                if let Some(span) = bloom
                    && std::mem::replace(&mut has_bloom, true)
                {
                    let what = "another dimension has `bloom` already, and one may have it";
                    return Err(Error::new(*span, what));
                }
                ("dimensions", DIMENSIONS_MAX)
            }
            Role::Flags(flags) => {
                if let Some(beyond) = flags.get(FLAGS_MAX) {
                    return Err(wrong(beyond, "there are at most 16 flags"));
                }
                for flag in flags {
                    names.take(flag)?;
                }
                continue;
            }
            _ => continue,
        };
        let count = counts.entry(many).or_default();
        *count += 1;
        if *count > limit {
            return Err(wrong(column.ident, &format!("there are at most {limit} {many}")));
        }
    }
    Ok(())
}

/// The names so far, of fields and flags: each becomes a method.
#[derive(Default)]
struct Names(HashSet<String>);

impl Names {
    fn take(&mut self, ident: &Ident) -> Result<()> {
        let name = ident.unraw().to_string();
        let what = if !name.is_ascii() {
            "the name is stored: it has letters, digits and `_` of ASCII only"
        } else if name.len() > NAME_BYTES_MAX {
            "the name is longer than 128 bytes"
        } else if !self.0.insert(name) {
            "another field or flag has this name, and each is a method of what builds events"
        } else {
            return Ok(());
        };
        Err(wrong(ident, what))
    }
}
