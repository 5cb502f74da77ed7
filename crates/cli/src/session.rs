//! What every command works with: the settings, the database they name, and where output goes.

use crate::{
    failure::{Failure, Kind, Result},
    output::{Form, Out},
};
use annals::{Database, Durability, ErrorKind};
use std::path::PathBuf;

/// The options that all commands share.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) data: PathBuf,
    pub(crate) durability: Durability,
    pub(crate) segment_bytes: Option<u64>,
}

/// One run of the command.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) settings: Settings,
    pub(crate) out: Out,
}

impl Session {
    pub(crate) fn new(settings: Settings, form: Form) -> Self {
        Self { settings, out: Out::new(form) }
    }

    pub(crate) fn form(&self) -> Form {
        self.out.form()
    }

    /// Opens the database to write; makes it if there is none.
    pub(crate) fn writer(&self) -> Result<Database> {
        self.settings.open(true)
    }

    /// Opens the database to change what is there; there must be one.
    pub(crate) fn existing_writer(&self) -> Result<Database> {
        self.settings.open(false)
    }

    /// Opens the database to read, beside a writer or without one. Changes nothing.
    pub(crate) fn reader(&self) -> Result<Database> {
        Database::open_read_only(&self.settings.data).map_err(|error| self.settings.explain(error))
    }
}

impl Settings {
    /// Opens the database to write; `create` says whether one is made where there is none.
    pub(crate) fn open(&self, create: bool) -> Result<Database> {
        let mut builder = Database::builder().durability(self.durability).create(create);
        if let Some(bytes) = self.segment_bytes {
            builder = builder.segment_bytes(bytes);
        }
        builder.open(&self.data).map_err(|error| match error.kind() {
            // Nothing was looked for: the system has no place for what should be made.
            ErrorKind::NotFound if create => {
                let data = self.data.display();
                Failure::new(
                    Kind::Other("io"),
                    format!("no database can be made in {data}: {error}"),
                )
            }
            _ if create => error.into(),
            _ => self.explain(error),
        })
    }

    /// A database that is not there has its own message: "not found" is for keys.
    fn explain(&self, error: annals::Error) -> Failure {
        let empty = || std::fs::read_dir(&self.data).is_ok_and(|mut found| found.next().is_none());
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADatabase if !self.data.exists() || empty() => {
                Failure::no_database(&self.data)
            }
            _ => error.into(),
        }
    }
}
