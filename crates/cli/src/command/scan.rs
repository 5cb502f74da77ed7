//! `annals keys` and `annals scan`: a keyspace's records as they come, none of them collected, so
//! that a keyspace larger than memory can be listed. A damaged record does not hide the others: it
//! is left out, and the command says so when it has listed the rest.

use super::{Command, keyspace};
use crate::{
    failure::{Failure, Kind, Result},
    output::Form,
    session::Session,
};

/// Lists the keys that start with a prefix, or whole records.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) keyspace: String,
    pub(crate) prefix: Vec<u8>,
    pub(crate) limit: Option<u64>,
    pub(crate) with_values: bool,
}

impl Command for Scan {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let db = session.reader()?;
        let keyspace = keyspace::open(&db, &self.keyspace)?;
        let out = &mut session.out;
        let mut left = self.limit.unwrap_or(u64::MAX);
        let (mut damaged_count, mut first_damage) = (0_u64, None);
        for entry in keyspace.iter()? {
            let entry = match entry.map_err(Failure::from) {
                Ok(entry) => entry,
                Err(failure) if failure.kind() == Kind::Corrupt => {
                    damaged_count += 1;
                    first_damage.get_or_insert(failure);
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            if !entry.key().starts_with(&self.prefix) {
                continue;
            }
            if left == 0 {
                break;
            }
            left -= 1;
            match (out.form(), self.with_values) {
                (Form::Json, false) => out.object(|object| {
                    object.bytes("key", entry.key());
                })?,
                (Form::Json, true) => out.object(|object| {
                    object.bytes("key", entry.key()).bytes("value", entry.value());
                })?,
                (_, with_values) => {
                    out.data(entry.key())?;
                    if with_values {
                        out.raw(b"\t")?;
                        out.data(entry.value())?;
                    }
                    out.raw(b"\n")?;
                }
            }
        }
        match first_damage {
            None => Ok(()),
            Some(first) => Err(Failure::new(
                Kind::Corrupt,
                format!(
                    "damaged records left out: {damaged_count}; the first: {first}; `annals \
                     verify` names all damage"
                ),
            )),
        }
    }
}
