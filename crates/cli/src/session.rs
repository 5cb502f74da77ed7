//! What every command works with: the settings, the database they name, and where output goes.

use crate::{
    failure::{Failure, Kind, Result},
    output::{Form, Out, note, tell},
};
use annals::{Database, Durability, ErrorKind};
use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
};

/// The options that all commands share.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) data: PathBuf,
    pub(crate) durability: Durability,
    pub(crate) segment_bytes: Option<u64>,
    pub(crate) memory_bytes: Option<u64>,
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

    /// Opens the database to write; makes it if there is none, and says so to a person.
    pub(crate) fn writer(&self) -> Result<Database> {
        self.settings.check_place()?;
        let is_new = self.settings.is_empty();
        let db = self.settings.open(true)?;
        if is_new && io::stderr().is_terminal() {
            tell(format_args!("annals: made a new database in {}", self.settings.data.display()));
        }
        Ok(db)
    }

    /// Opens the database to change what is there; there must be one.
    pub(crate) fn existing_writer(&self) -> Result<Database> {
        self.settings.open(false)
    }

    /// Opens the database to read, beside a writer or without one. Changes nothing.
    pub(crate) fn reader(&self) -> Result<Database> {
        self.settings.open_to_read(&self.settings.data)
    }

    /// Says on standard error what could not be read or had to be repaired: without it figures of what is left
    /// would pass for figures of the whole.
    pub(crate) fn tell_warnings(&self, db: &Database) {
        let warnings = &db.recovery().warnings;
        for warning in warnings {
            note(self.form(), warning, "warnings_count", warnings.len() as u64);
        }
    }
}

impl Settings {
    /// Opens the database to write; `create` says whether one is made where there is none.
    pub(crate) fn open(&self, create: bool) -> Result<Database> {
        let mut builder = Database::builder().durability(self.durability).create(create);
        if let Some(bytes) = self.segment_bytes {
            builder = builder.segment_bytes(bytes);
        }
        if let Some(bytes) = self.memory_bytes {
            builder = builder.memory_bytes(bytes);
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

    /// Opens the database in `data` to read.
    pub(crate) fn open_to_read(&self, data: &Path) -> Result<Database> {
        let mut builder = Database::builder().read_only(true);
        if let Some(bytes) = self.memory_bytes {
            builder = builder.memory_bytes(bytes);
        }
        builder.open(data).map_err(|error| self.explain(error))
    }

    /// Whether there is a directory to make the database's in, and no file in its place.
    pub(crate) fn check_place(&self) -> Result<()> {
        if self.data.is_file() {
            return Err(Failure::no_database(&self.data));
        }
        check_place(&self.data, "database", "name another with --data")
    }

    /// Whether nothing is in the database's place.
    pub(crate) fn is_empty(&self) -> bool {
        let empty = || std::fs::read_dir(&self.data).is_ok_and(|mut found| found.next().is_none());
        !self.data.exists() || empty()
    }

    /// A database that is not there has its own message: "not found" is for keys.
    fn explain(&self, error: annals::Error) -> Failure {
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADatabase
                if self.is_empty() || !self.data.is_dir() =>
            {
                Failure::no_database(&self.data)
            }
            _ => error.into(),
        }
    }
}

/// Whether there is a directory to make `path` in, which is to hold a `what`. Only the last part is ever
/// made: of a name that was mistyped further up a tree of directories would be left.
pub(crate) fn check_place(path: &Path, what: &str, remedy: &str) -> Result<()> {
    let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) else {
        return Ok(());
    };
    let (shown, above) = (path.display(), parent.display());
    if parent.is_dir() {
        Ok(())
    } else if let Some(file) = parent.ancestors().find(|path| path.is_file()) {
        Err(Failure::usage(format!(
            "no {what} can be made in {shown}: {} is a file; {remedy}",
            file.display()
        )))
    } else {
        Err(Failure::usage(format!(
            "no {what} can be made in {shown}: there is no directory {above}; make it, or {remedy}"
        )))
    }
}
