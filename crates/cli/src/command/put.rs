//! `annals put`: one record.

use super::Command;
use crate::{
    failure::{Failure, Result},
    keyspace::Keyspace,
    lines::LINE_BYTES_MAX,
    session::Session,
};
use annals::{KeyspaceKind, WriteOptions};
use std::{
    borrow::Cow,
    io::{self, Read},
    time::Duration,
};

/// Stores a value under a key.
#[derive(Debug)]
pub(crate) struct Put {
    pub(crate) keyspace: String,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Value,
    pub(crate) ttl: Option<Duration>,
    pub(crate) kind: Option<KeyspaceKind>,
}

/// Where a value comes from.
#[derive(Debug)]
pub(crate) enum Value {
    /// From the command line.
    Given(Vec<u8>),
    /// From standard input, to its end.
    StandardInput,
}

impl Value {
    /// The value.
    pub(super) fn read(&self) -> Result<Cow<'_, [u8]>> {
        match self {
            Self::Given(value) => Ok(Cow::Borrowed(value)),
            Self::StandardInput => {
                let mut value = Vec::new();
                // One byte more than any value may have: the engine then says what the limit is.
                let mut input = io::stdin().lock().take(LINE_BYTES_MAX);
                input.read_to_end(&mut value).map_err(|error| Failure::input(&error))?;
                Ok(Cow::Owned(value))
            }
        }
    }
}

impl Command for Put {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        // The value is read first: nobody shall hold the lock while a person types.
        let value = self.value.read()?;
        let db = session.writer()?;
        let keyspace = Keyspace::open_or_make(&db, &self.keyspace, self.kind)?;
        let mut options = WriteOptions::default();
        if let Some(ttl) = self.ttl {
            options = options.ttl(ttl);
        }
        keyspace.insert(&self.key, &value, options)?;
        db.close()?;
        Ok(())
    }
}
