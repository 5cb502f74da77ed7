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
    /// Long batches of events to one stream; disk afterwards.
    EventsBatch,
    /// The same, durable.
    EventsBatchSync,
    /// One event a commit, at any version and at the one expected.
    EventsOne,
    /// Durable commits of one event from one thread.
    EventsSyncOne,
    /// Durable commits of one event from eight threads.
    EventsSyncMany,
    /// Short batches across many streams.
    EventsAcross,
    /// The same, durable.
    EventsAcrossSync,
    /// Reads of all events, of a long stream, and of single events.
    EventsRead,
    /// Streams written in turn: reading them, and a projection.
    EventsMixed,
    /// Opening many short streams.
    EventsStreams,
    /// A subscription.
    EventsLive,
    /// Batches of wide events.
    TablesAppend,
    /// The same, durable.
    TablesAppendSync,
    /// Questions about wide events; disk afterwards.
    TablesAsk,
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
        Self::EventsBatch,
        Self::EventsBatchSync,
        Self::EventsOne,
        Self::EventsSyncOne,
        Self::EventsSyncMany,
        Self::EventsAcross,
        Self::EventsAcrossSync,
        Self::EventsRead,
        Self::EventsMixed,
        Self::EventsStreams,
        Self::EventsLive,
        Self::TablesAppend,
        Self::TablesAppendSync,
        Self::TablesAsk,
        Self::Kill,
        Self::Churn,
    ];

    /// The groups of key-value engines.
    pub(crate) const RECORDS: &'static [Self] = &[
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

    /// The groups of event stores.
    pub(crate) const EVENTS: &'static [Self] = &[
        Self::EventsBatch,
        Self::EventsBatchSync,
        Self::EventsOne,
        Self::EventsSyncOne,
        Self::EventsSyncMany,
        Self::EventsAcross,
        Self::EventsAcrossSync,
        Self::EventsRead,
        Self::EventsMixed,
        Self::EventsStreams,
        Self::EventsLive,
        Self::Kill,
    ];

    /// The groups of stores for wide events.
    pub(crate) const TABLES: &'static [Self] =
        &[Self::TablesAppend, Self::TablesAppendSync, Self::TablesAsk];

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
            Self::EventsBatch => "events-batch",
            Self::EventsBatchSync => "events-batch-sync",
            Self::EventsOne => "events-one",
            Self::EventsSyncOne => "events-sync-1",
            Self::EventsSyncMany => "events-sync-8",
            Self::EventsAcross => "events-across",
            Self::EventsAcrossSync => "events-across-sync",
            Self::EventsRead => "events-read",
            Self::EventsMixed => "events-mixed",
            Self::EventsStreams => "events-streams",
            Self::EventsLive => "events-live",
            Self::TablesAppend => "tables-append",
            Self::TablesAppendSync => "tables-append-sync",
            Self::TablesAsk => "tables-ask",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Group;

    #[test]
    fn every_group_is_of_one_kind_of_engines_or_of_both() {
        for group in Group::ALL {
            let kinds = [Group::RECORDS, Group::EVENTS, Group::TABLES];
            let kinds = kinds.map(|groups| groups.contains(group));
            let [is_events, is_tables] =
                ["events-", "tables-"].map(|of| group.name().starts_with(of));
            let is_of_both = *group == Group::Kill;
            assert_eq!(
                kinds,
                [!is_events && !is_tables, is_events || is_of_both, is_tables],
                "{group:?}"
            );
        }
        let all = Group::RECORDS.len() + Group::EVENTS.len() + Group::TABLES.len();
        assert_eq!(Group::ALL.len() + 1, all);
    }
}
