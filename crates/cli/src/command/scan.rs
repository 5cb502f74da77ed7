//! `annals keys` and `annals scan`: a keyspace's records as they come, none of them collected, so
//! that a keyspace larger than memory can be listed. A damaged record does not hide the others: it
//! is left out, and the command says so when it has listed the rest.

use super::Command;
use crate::{
    failure::{Failure, Kind, Result},
    keyspace::Keyspace,
    output::{Form, Out},
    session::Session,
    wanted::Wanted,
};
use std::ops::ControlFlow;

/// Lists keys, or whole records.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) keyspace: String,
    pub(crate) wanted: Wanted,
    pub(crate) limit: Option<u64>,
    pub(crate) with_values: bool,
}

impl Command for Scan {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let (_db, keyspace) = Keyspace::open_to_read(session, &self.keyspace)?;
        if self.wanted.needs_order() {
            keyspace.ordered("--from, --to or --reverse")?;
        }
        let out = &mut session.out;
        let mut left = self.limit.unwrap_or(u64::MAX);
        let (mut damaged_count, mut first_damage) = (0_u64, None);
        if left == 0 {
            return Ok(());
        }
        keyspace.visit(&self.wanted, self.with_values, |record| {
            match record {
                Ok((key, value)) => {
                    self.write(out, key, value)?;
                    left -= 1;
                }
                Err(failure) if failure.kind() == Kind::Corrupt => {
                    damaged_count += 1;
                    first_damage.get_or_insert(failure);
                }
                Err(failure) => return Err(failure),
            }
            Ok(if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        match first_damage {
            None => Ok(()),
            Some(first) => Err(Failure::new(
                Kind::Corrupt,
                format!(
                    "damaged places left out: {damaged_count}; the first: {first}; `annals \
                     verify` names all damage"
                ),
            )),
        }
    }
}

impl Scan {
    fn write(&self, out: &mut Out, key: &[u8], value: &[u8]) -> Result<()> {
        if out.form() == Form::Json {
            return out.object(|object| {
                object.bytes("key", key);
                if self.with_values {
                    object.bytes("value", value);
                }
            });
        }
        out.data(key)?;
        if self.with_values {
            out.raw(b"\t")?;
            out.data(value)?;
        }
        out.raw(b"\n")
    }
}
