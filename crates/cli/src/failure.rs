//! What went wrong with a command, and the exit code that says so.
//!
//! The exit codes are a promise to scripts: 0 ok, 1 not found, 2 usage, 3 corrupt, 4 locked,
//! 5 anything else. The kind is finer than the code and is what `--json` shows.

use crate::output::tell;
use annals::ErrorKind;
use std::{fmt, io, path::Path, process::ExitCode};

/// The result of a step of a command.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// A command that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: Kind,
    message: String,
}

/// What kind of failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The key, keyspace or backup asked for is not there.
    NotFound,
    /// The command cannot work as it was written.
    Usage,
    /// Bytes on disk are not what was written.
    Corrupt,
    /// Somebody else holds the database.
    Locked,
    /// Anything else, by name.
    Other(&'static str),
    /// Whoever read our standard output has gone. No failure of ours: it saw all it wanted.
    ReaderGone,
}

impl Failure {
    /// A failure of `kind`.
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// The command cannot work as it was written.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// What was asked for is not there.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    /// There is no database where one must be.
    pub(crate) fn no_database(data: &Path) -> Self {
        if let Some(file) = data.ancestors().find(|path| path.exists() && !path.is_dir()) {
            return Self::is_file(file, "--data names a database's directory");
        }
        Self::new(
            Kind::Other("no_database"),
            format!(
                "there is no database in {}; name its directory with --data, or make one by \
                 storing something: annals --data {} put KEY VALUE",
                data.display(),
                data.display()
            ),
        )
    }

    /// A file is where a directory must be.
    pub(crate) fn is_file(path: &Path, remedy: &str) -> Self {
        Self::usage(format!("{} is a file; {remedy}", path.display()))
    }

    /// The system refused `what` on `path`.
    pub(crate) fn file(what: &str, path: &Path, error: &io::Error) -> Self {
        Self::new(Kind::Other("io"), format!("could not {what} {}: {error}", path.display()))
    }

    /// Writing to standard output failed.
    pub(crate) fn output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::new(Kind::ReaderGone, "the reader has gone"),
            _ => {
                Self::new(Kind::Other("io"), format!("could not write to standard output: {error}"))
            }
        }
    }

    /// Reading standard input failed.
    pub(crate) fn input(error: &io::Error) -> Self {
        Self::new(Kind::Other("io"), format!("could not read standard input: {error}"))
    }

    /// Puts what was being done in front of the message.
    pub(crate) fn context(mut self, doing: &str) -> Self {
        self.message = format!("{doing}: {}", self.message);
        self
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// The kind's name in JSON.
    pub(crate) fn kind_name(&self) -> &'static str {
        match self.kind {
            Kind::NotFound => "not_found",
            Kind::Usage => "usage",
            Kind::Corrupt => "corrupt",
            Kind::Locked => "locked",
            Kind::Other(name) => name,
            Kind::ReaderGone => "reader_gone",
        }
    }

    /// The code a shell sees.
    pub(crate) fn code(&self) -> u8 {
        match self.kind {
            Kind::ReaderGone => 0,
            Kind::NotFound => 1,
            Kind::Usage => 2,
            Kind::Corrupt => 3,
            Kind::Locked => 4,
            Kind::Other(_) => 5,
        }
    }

    /// Tells the user, on standard error, and returns the exit code.
    pub(crate) fn report(&self, json: bool) -> ExitCode {
        if self.kind != Kind::ReaderGone {
            if json {
                let object = serde_json::json!({
                    "error": self.message, "kind": self.kind_name(), "exit_code": self.code(),
                });
                tell(object);
            } else {
                tell(format_args!("annals: {}", self.message));
            }
        }
        ExitCode::from(self.code())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<annals::Error> for Failure {
    fn from(error: annals::Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::NotFound => Kind::NotFound,
            ErrorKind::InvalidInput => Kind::Usage,
            ErrorKind::Corrupt => Kind::Corrupt,
            ErrorKind::Locked => Kind::Locked,
            ErrorKind::AlreadyExists => Kind::Other("already_exists"),
            ErrorKind::Version => Kind::Other("version"),
            ErrorKind::NotADatabase => Kind::Other("not_a_database"),
            ErrorKind::Poisoned => Kind::Other("poisoned"),
            ErrorKind::ReadOnly => Kind::Other("read_only"),
            ErrorKind::Full => Kind::Other("full"),
            ErrorKind::Forbidden => Kind::Other("forbidden"),
            ErrorKind::Io => Kind::Other("io"),
            ErrorKind::Closed => Kind::Other("closed"),
            ErrorKind::Conflict => Kind::Other("conflict"),
            ErrorKind::Stale => Kind::Other("stale"),
            _ => Kind::Other("other"),
        };
        let mut message = error.to_string();
        if kind == Kind::Locked {
            // No command can be told how to open: those that only read do it by themselves.
            message = message.replace(
                ", or open it read-only if that is enough",
                "; commands that only read work beside it",
            );
        }
        if kind == Kind::Other("forbidden") {
            message = message.replace(
                ", or open the database for reading only",
                "; commands that only read work there",
            );
        }
        if kind == Kind::Corrupt {
            message = message.replace(
                "`without_damage` answers all without those events, and `drop_damaged` gives them up",
                "`query`, `rollup`, `recent`, `event` and `export` leave those events out with \
                 --without-damage, and `annals gc TABLE --damaged` gives them up",
            );
        }
        Self::new(kind, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_the_promised_ones() {
        let code = |kind| Failure::new(kind, "").code();
        assert_eq!(code(Kind::NotFound), 1);
        assert_eq!(code(Kind::Usage), 2);
        assert_eq!(code(Kind::Corrupt), 3);
        assert_eq!(code(Kind::Locked), 4);
        assert_eq!(code(Kind::Other("io")), 5);
        assert_eq!(code(Kind::ReaderGone), 0);
    }

    #[test]
    fn a_broken_pipe_is_no_failure() {
        let gone = Failure::output(&io::ErrorKind::BrokenPipe.into());
        assert_eq!(gone.kind(), Kind::ReaderGone);
        let full = Failure::output(&io::ErrorKind::StorageFull.into());
        assert_eq!(full.code(), 5);
    }
}
