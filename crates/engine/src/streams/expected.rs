//! What has to be so for an append to happen.

use std::fmt;

/// What a stream must be for an append to it to happen.
///
/// ```
/// # use annals_engine as annals;
/// use annals::{Database, ExpectedVersion, NewEvent};
/// let db = Database::open_in_memory()?;
/// let orders = db.category("orders")?;
/// let placed = NewEvent::bytes("placed", b"7 apples");
/// orders.append(1u64, &placed, ExpectedVersion::NoStream)?;
/// assert!(orders.append(1u64, &placed, ExpectedVersion::NoStream).is_err());
/// orders.append(1u64, &placed, ExpectedVersion::Exact(0))?;
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ExpectedVersion {
    /// Anything.
    #[default]
    Any,
    /// It has no events, or was deleted.
    NoStream,
    /// The last event that it ever had has this version.
    Exact(u64),
    /// It has events.
    StreamExists,
}

impl ExpectedVersion {
    /// Whether a stream whose last event has this version is as expected. Of one that `is_gone` none of its
    /// events is left.
    pub(crate) fn holds(self, last: Option<u64>, is_gone: bool) -> bool {
        match self {
            Self::Any => true,
            Self::NoStream => last.is_none() || is_gone,
            Self::Exact(version) => last == Some(version),
            Self::StreamExists => last.is_some() && !is_gone,
        }
    }
}

impl fmt::Display for ExpectedVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("anything"),
            Self::NoStream => f.write_str("no events"),
            Self::Exact(version) => write!(f, "version {version}"),
            Self::StreamExists => f.write_str("events"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_says_what_it_says() {
        use ExpectedVersion::{Any, Exact, NoStream, StreamExists};
        let table = [
            (Any, [true, true, true]),
            (NoStream, [true, false, false]),
            (Exact(0), [false, true, false]),
            (Exact(7), [false, false, true]),
            (StreamExists, [false, true, true]),
        ];
        for (expected, holds) in table {
            assert_eq!([None, Some(0), Some(7)].map(|last| expected.holds(last, false)), holds);
        }
        let of_gone = [Any, NoStream, Exact(7), Exact(0), StreamExists];
        let holds = of_gone.map(|expected| expected.holds(Some(7), true));
        assert_eq!(holds, [true, true, true, false, false]);
    }
}
