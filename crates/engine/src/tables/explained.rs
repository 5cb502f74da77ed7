//! What a question uses of the parts of a table.

use annals_columns::Explained;
use std::fmt;

/// What a question uses of each part ([`TableQuery::explain`](super::TableQuery::explain)).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExplainedQuery {
    /// Of each part what is used.
    pub parts: Vec<Explained>,
    /// So many events are in no part yet: each is looked at.
    pub fresh: u64,
}

impl fmt::Display for ExplainedQuery {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, part) in (1..).zip(&self.parts) {
            writeln!(out, "part {at}: {part}")?;
        }
        write!(out, "fresh: {} events, one by one", self.fresh)
    }
}
