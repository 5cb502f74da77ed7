//! Errors of the engine, as `cqrs-es` has them.

use annals_engine::{Error, ErrorKind};
use cqrs_es::persist::PersistenceError;

/// What a program of `cqrs-es` is to make of an error.
pub(crate) fn persistence(error: Error) -> PersistenceError {
    match error.kind() {
        // Loading it again helps nobody.
        _ if matches!(error, Error::StreamClosed { .. }) => {
            PersistenceError::UnknownError(Box::new(error))
        }
        ErrorKind::Conflict => PersistenceError::OptimisticLockError,
        ErrorKind::Io
        | ErrorKind::Full
        | ErrorKind::Closed
        | ErrorKind::Poisoned
        | ErrorKind::Locked
        | ErrorKind::ReadOnly
        | ErrorKind::Stale => PersistenceError::ConnectionError(Box::new(error)),
        _ => PersistenceError::UnknownError(Box::new(error)),
    }
}

/// What is stored is not what this crate wrote.
pub(crate) fn unreadable(what: String) -> PersistenceError {
    PersistenceError::DeserializationError(what.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn races_are_told_apart_from_failures() {
        let conflict = persistence(Error::Conflict { attempts: 1 });
        assert!(matches!(conflict, PersistenceError::OptimisticLockError));
        let full = persistence(Error::Refused("no".into()));
        assert!(matches!(full, PersistenceError::UnknownError(_)));
        let missing = persistence(Error::Stale);
        assert!(matches!(missing, PersistenceError::ConnectionError(_)));
    }
}
