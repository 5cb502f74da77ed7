//! `annals get`: one value, raw, so that it can go into a file or a pipe as it was stored.

use super::{Command, keyspace};
use crate::{
    failure::{Failure, Result},
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
        let db = session.reader()?;
        let keyspace = keyspace::open(&db, &self.keyspace)?;
        let Some(value) = keyspace.get(&self.key)? else {
            return Err(no_key(&self.key, &self.keyspace));
        };
        match session.form() {
            Form::Json => session.out.object(|object| {
                object.bytes("key", &self.key).bytes("value", &value);
            }),
            Form::Plain => session.out.raw(&value),
            Form::Terminal => {
                session.out.raw(&value)?;
                session.out.raw(b"\n")
            }
        }
    }
}

/// The key is not in the keyspace.
pub(super) fn no_key(key: &[u8], keyspace: &str) -> Failure {
    Failure::not_found(format!("the keyspace `{keyspace}` has no key `{}`", brief(key)))
}
