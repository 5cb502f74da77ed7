//! `annals get`: one value, raw, so that it can go into a file or a pipe as it was stored.

use super::Command;
use crate::{
    failure::{Failure, Result},
    keyspace::Keyspace,
    output::{Form, brief},
    session::Session,
};

/// Writes the value of a key.
#[derive(Debug)]
pub(crate) struct Get {
    pub(crate) keyspace: String,
    pub(crate) key: Vec<u8>,
}

impl Command for Get {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let (_db, keyspace) = Keyspace::open_to_read(session, &self.keyspace)?;
        let out = &mut session.out;
        let written = keyspace.get_with(&self.key, |value| match out.form() {
            Form::Json => out.object(|object| {
                object.bytes("key", &self.key).bytes("value", value);
            }),
            Form::Plain => out.raw(value),
            Form::Terminal => {
                out.raw(value)?;
                out.raw(b"\n")
            }
        })?;
        written.unwrap_or_else(|| Err(no_key(&self.key, &self.keyspace)))
    }
}

/// The key is not in the keyspace.
pub(super) fn no_key(key: &[u8], keyspace: &str) -> Failure {
    Failure::not_found(format!("the keyspace `{keyspace}` has no key `{}`", brief(key)))
}
