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
    /// Scans: all, short ones, by prefix; disk after compaction.
    Scan,
    /// Values of 64 KiB.
    Large,
    /// Opening after a clean close.
    OpenClean,
    /// Opening after `kill -9`.
    OpenKilled,
    /// What `kill -9` takes.
    Kill,
    /// Overwrites over and over, while compaction runs: amplification and latencies.
    Churn,
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
        Self::Scan,
        Self::Large,
        Self::OpenClean,
        Self::OpenKilled,
        Self::Kill,
        Self::Churn,
    ];

    /// The groups that an engine without an order takes part in.
    #[allow(dead_code, reason = "a build may have no such engine")]
    pub(crate) const UNORDERED: &'static [Self] = &[
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

    /// Whether the group takes so long that it only runs when it is named.
    pub(crate) const fn is_long(self) -> bool {
        matches!(self, Self::Churn)
    }

    /// The name in tables and on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Ordered => "ordered",
            Self::Batch => "batch",
            Self::SyncOne => "sync-1",
            Self::SyncMany => "sync-8",
            Self::Get => "get",
            Self::Scan => "scan",
            Self::Large => "large",
            Self::OpenClean => "open-clean",
            Self::OpenKilled => "open-killed",
            Self::Kill => "kill",
            Self::Churn => "churn",
        }
    }
}
