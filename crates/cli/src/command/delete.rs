//! `annals delete`: one record less.

use super::{Command, get::no_key};
use crate::{failure::Result, keyspace::Keyspace, session::Session};

/// Removes a key.
#[derive(Debug)]
pub(crate) struct Delete {
    pub(crate) keyspace: String,
    pub(crate) key: Vec<u8>,
}

impl Command for Delete {
    fn run(self: Box<Self>, session: &mut Session) -> Result<()> {
        let db = session.existing_writer()?;
        let removed = Keyspace::open(&db, &self.keyspace)?.remove(&self.key)?;
        db.close()?;
        if removed { Ok(()) } else { Err(no_key(&self.key, &self.keyspace)) }
    }
}
