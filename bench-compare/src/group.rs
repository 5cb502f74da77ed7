//! Rows that are measured together: one group, one engine, one process of its own.

/// A group of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    /// One record a commit, random keys: insert, overwrite, delete.
    Random,
    /// One record a commit, ascending keys.
    Ordered,
    /// A thousand records a commit; memory and disk afterwards.
    Batch,
    /// Durable commits from one thread.
    SyncOne,
    /// Durable commits from eight threads.
    SyncMany,
    /// Point reads.
    Get,
    /// Values of 64 KiB.
    Large,
    /// Opening after a clean close.
    OpenClean,
    /// Opening after `kill -9`.
    OpenKilled,
    /// What `kill -9` takes.
    Kill,
}

impl Group {
    /// All groups, in the order they run.
    pub(crate) const ALL: &'static [Self] = &[
        Self::Random,
        Self::Ordered,
        Self::Batch,
        Self::SyncOne,
        Self::SyncMany,
        Self::Get,
        Self::Large,
        Self::OpenClean,
        Self::OpenKilled,
        Self::Kill,
    ];

    /// The name in tables and on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Ordered => "ordered",
            Self::Batch => "batch",
            Self::SyncOne => "sync-1",
            Self::SyncMany => "sync-8",
            Self::Get => "get",
            Self::Large => "large",
            Self::OpenClean => "open-clean",
            Self::OpenKilled => "open-killed",
            Self::Kill => "kill",
        }
    }
}
