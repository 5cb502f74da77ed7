//! The rows of the table: what is measured, in which unit, and what bounds it on this machine.

use crate::engine::Mode;
use crate::group::Group;

/// How a figure is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Operations a second: more is better.
    OpsPerSecond,
    /// Bytes a second: more is better.
    BytesPerSecond,
    /// Milliseconds: less is better.
    Ms,
    /// Bytes for each key, event or stream: less is better.
    BytesPerKey,
    /// Bytes: less is better.
    Bytes,
    /// Microseconds: less is better.
    Us,
    /// How many times as much: less is better.
    Times,
    /// A number of things: less is better.
    Count,
    /// Acknowledged records lost: none is right.
    Lost,
}

impl Unit {
    /// Whether a greater figure is the better one.
    pub(crate) const fn more_is_better(self) -> bool {
        matches!(self, Self::OpsPerSecond | Self::BytesPerSecond)
    }
}

/// One row.
#[derive(Debug)]
pub(crate) struct Row {
    /// The name on the command line and between processes.
    pub(crate) id: &'static str,
    /// The name in the table.
    pub(crate) title: &'static str,
    /// The group it is measured in.
    pub(crate) group: Group,
    /// The unit.
    pub(crate) unit: Unit,
    /// What commits in it promise: an engine that does not keep the promise is no peer.
    pub(crate) promise: Option<Mode>,
    /// What the `limit` column holds.
    pub(crate) limit: &'static str,
}

const WRITE_CALL: &str = "the `write` call of one encoded record, nothing else";
const TABLE_HIT: &str =
    "independent look-ups in an open table of 64-bit addresses, the value checked in one buffer";

const EVENTS_WALKED: &str = "an array of events of 80 bytes each, walked through";
const EVENTS_COPIED: &str =
    "encode 80 bytes an event, CRC-32C and copy into a mapped file whose pages are there";
const EVENTS_FLUSHED: &str =
    "encode 80 bytes an event, CRC-32C, `write` over written blocks and one `fdatasync` a batch";
const EVENT_WRITTEN: &str = "encode 80 bytes an event and `write` them, nothing else";
const EVENT_CHANNEL: &str = "a number through a channel to a thread that waits in it";
const EVENT_CHANNEL_AWAKE: &str =
    "a number through a channel to a thread that looks into it all the time";

const WIDE_FLUSHED: &str = "copy the fields into rows of bytes, CRC-32C, `write` over written blocks and one \
     `fdatasync` a batch";
const COLUMNS: &str = "a loop of one thread over columns in memory";

const SORTED: &str = "all records sorted in one buffer, found by halving, walked through";

/// All rows, in the order of the table.
pub(crate) const ROWS: &[Row] = &[
    row("insert.random", "insert, one a commit, random keys", Group::Random, WRITE_CALL).buffered(),
    row("insert.ordered", "insert, one a commit, keys in order", Group::Ordered, WRITE_CALL)
        .buffered(),
    row(
        "insert.batch",
        "insert, 1,000 a commit",
        Group::Batch,
        "encode, CRC-32C and copy into a mapped file whose pages are there",
    )
    .buffered(),
    row("overwrite", "overwrite, one a commit", Group::Random, WRITE_CALL).buffered(),
    row("delete", "delete, one a commit", Group::Random, WRITE_CALL).buffered(),
    row(
        "sync.1",
        "insert, Sync, 1 thread",
        Group::SyncOne,
        "200 bytes over written blocks and one `fdatasync`",
    )
    .synced(),
    row(
        "sync.1.append",
        "the same, appending",
        Group::SyncOne,
        "200 bytes appended and one `fdatasync`",
    ),
    row(
        "sync.8",
        "insert, Sync, 8 threads",
        Group::SyncMany,
        "8 records a flush over written blocks",
    )
    .synced(),
    row("get.1", "get, hits, random, 1 thread", Group::Get, TABLE_HIT),
    row(
        "get.chain",
        "the same, one after the other",
        Group::Get,
        "look-ups in the same table, each of which waits for the value of the one before",
    ),
    row("get.2", "get, hits, random, 2 threads", Group::Get, TABLE_HIT),
    row("get.many", "get_many of 64, hits, random", Group::Get, TABLE_HIT),
    row("get.miss", "get, misses", Group::Get, "the table alone"),
    row("get.fresh", "get, hits, random, as the load left it", Group::Scan, ""),
    row("get.reopened", "get, hits, random, the first after reopening", Group::Get, ""),
    row("scan.full", "full scan, entries", Group::Scan, SORTED),
    row("scan.fresh", "full scan, entries, as the load left it", Group::Scan, ""),
    row("scan.short", "scans of 100 entries from random keys", Group::Scan, SORTED),
    row("scan.prefix", "scans of a prefix, 15 or 16 keys", Group::Scan, SORTED),
    row("large.write", "64 KiB values, write", Group::Large, "`write` of 64 KiB")
        .buffered()
        .unit(Unit::BytesPerSecond),
    row("large.read", "64 KiB values, read and summed", Group::Large, "summing a mapped file")
        .unit(Unit::BytesPerSecond),
    row("open.clean", "open and one get, after a clean close", Group::OpenClean, "").unit(Unit::Ms),
    row("open.killed", "open and one get, after kill -9", Group::OpenKilled, "").unit(Unit::Ms),
    row("memory", "anonymous memory grown by the load", Group::Batch, "").unit(Unit::BytesPerKey),
    row("disk", "disk after load and close", Group::Batch, "keys and values alone")
        .unit(Unit::Bytes),
    row("disk.compacted", "disk after load, compaction and close", Group::Scan, "")
        .unit(Unit::Bytes),
    row(
        "memory.write.resident",
        "peak resident memory of insert, overwrite and delete",
        Group::Random,
        "",
    )
    .unit(Unit::Bytes),
    row("memory.write.anonymous", "the same, anonymous memory alone", Group::Random, "")
        .unit(Unit::Bytes),
    churn("churn.rate", "churn: overwrite, one a commit", Unit::OpsPerSecond),
    churn("churn.p50", "churn: insert, p50", Unit::Us),
    churn("churn.p99", "churn: insert, p99", Unit::Us),
    churn("churn.p999", "churn: insert, p99.9", Unit::Us),
    churn("churn.max", "churn: insert, longest", Unit::Us),
    churn("churn.write", "churn: bytes written to files for each byte inserted", Unit::Times),
    churn("churn.space", "churn: disk at the end for each byte of live records", Unit::Times),
    churn("churn.space.most", "churn: the same, the most there was", Unit::Times),
    churn("churn.runs", "churn: sorted runs at the end", Unit::Count),
    row("events.batch", "append, 10,000 a commit, one stream", Group::EventsBatch, EVENTS_COPIED)
        .buffered(),
    row(
        "events.batch.sync",
        "append, 10,000 a commit, one stream, Sync",
        Group::EventsBatchSync,
        EVENTS_FLUSHED,
    )
    .synced(),
    row("events.one", "append, one a commit, expecting nothing", Group::EventsOne, EVENT_WRITTEN)
        .buffered(),
    row(
        "events.exact",
        "append, one a commit, expecting the exact version",
        Group::EventsOne,
        EVENT_WRITTEN,
    )
    .buffered(),
    row(
        "events.sync.1",
        "append, one a commit, Sync, 1 thread",
        Group::EventsSyncOne,
        "200 bytes over written blocks and one `fdatasync`",
    )
    .synced(),
    row(
        "events.sync.8",
        "append, one a commit, Sync, 8 threads",
        Group::EventsSyncMany,
        "8 records a flush over written blocks",
    )
    .synced(),
    row(
        "events.short",
        "append, 100 a commit to one of 10,000 streams",
        Group::EventsAcross,
        EVENTS_COPIED,
    )
    .buffered(),
    row(
        "events.short.sync",
        "append, 100 a commit to one of 10,000 streams, Sync",
        Group::EventsAcrossSync,
        EVENTS_FLUSHED,
    )
    .synced(),
    row(
        "events.across",
        "append, 100 a commit to 100 of 10,000 streams",
        Group::EventsAcross,
        EVENTS_COPIED,
    )
    .buffered(),
    row(
        "events.across.sync",
        "append, 100 a commit to 100 of 10,000 streams, Sync",
        Group::EventsAcrossSync,
        EVENTS_FLUSHED,
    )
    .synced(),
    row("events.all", "all events in global order", Group::EventsRead, EVENTS_WALKED),
    row(
        "events.all.reopened",
        "all events in global order, the first after reopening",
        Group::EventsRead,
        "",
    ),
    row("events.stream", "one long stream, forward", Group::EventsRead, EVENTS_WALKED),
    row("events.stream.back", "one long stream, backward", Group::EventsRead, EVENTS_WALKED),
    row("events.get", "get by stream and version, in sequence", Group::EventsRead, EVENTS_WALKED),
    row("events.get.at", "get by global place, in sequence", Group::EventsRead, EVENTS_WALKED),
    row(
        "events.mixed",
        "10,000 streams written in turn, one read after the other",
        Group::EventsMixed,
        "the array of events, and for each stream an array of the places of its events",
    ),
    row(
        "events.projection",
        "projection of all into totals of 10,000 streams, 1,000 events a commit",
        Group::EventsMixed,
        "the array of events walked through, each added to a hash table in memory",
    )
    .buffered(),
    row(
        "events.live.p50",
        "subscription: from append to the follower, p50",
        Group::EventsLive,
        EVENT_CHANNEL,
    )
    .unit(Unit::Us)
    .buffered(),
    row("events.live.p99", "the same, p99", Group::EventsLive, EVENT_CHANNEL)
        .unit(Unit::Us)
        .buffered(),
    row(
        "events.live.awake.p50",
        "subscription: from append to a follower that is awake, p50",
        Group::EventsLive,
        EVENT_CHANNEL_AWAKE,
    )
    .unit(Unit::Us)
    .buffered(),
    row("events.live.awake.p99", "the same, p99", Group::EventsLive, EVENT_CHANNEL_AWAKE)
        .unit(Unit::Us)
        .buffered(),
    row(
        "events.open",
        "a stream of 5 events for each key: open, and read one",
        Group::EventsStreams,
        "",
    )
    .unit(Unit::Ms),
    row("events.count", "the same: count the streams", Group::EventsStreams, "").unit(Unit::Ms),
    row(
        "events.open.memory",
        "the same: anonymous memory a stream, one stream read",
        Group::EventsStreams,
        "",
    )
    .unit(Unit::BytesPerKey),
    row(
        "events.open.memory.read",
        "the same: anonymous memory a stream, all streams read",
        Group::EventsStreams,
        "",
    )
    .unit(Unit::BytesPerKey),
    row(
        "events.disk",
        "disk an event, after load and close",
        Group::EventsBatch,
        "the fields alone",
    )
    .unit(Unit::BytesPerKey),
    table("tables.append", "append, 1,024 a commit, Sync", Group::TablesAppendSync, WIDE_FLUSHED)
        .synced(),
    table("tables.append.long", "append, 4,096 a commit, Sync", Group::TablesAppendSync, WIDE_FLUSHED)
        .synced(),
    table(
        "tables.append.8",
        "8 threads, each 1,024 a commit, Sync: a round",
        Group::TablesAppendSync,
        "the same by one thread after another, and one `fdatasync` for all",
    )
    .synced(),
    table(
        "tables.append.buffered",
        "append, 1,024 a commit",
        Group::TablesAppend,
        "copy the fields into rows of bytes, CRC-32C and copy into a mapped file whose pages are there",
    )
    .buffered(),
    ask("tables.sums", "count and sums of five columns, all", COLUMNS),
    ask("tables.sums.user", "the same of one user", "the places of the user's events, and columns in memory"),
    ask("tables.sums.time", "the same of a tenth of the time", "halving, and columns in memory"),
    ask("tables.sums.both", "the same of one user in a tenth of the time", "both of these"),
    ask("tables.newest.100", "the 100 newest, whole", "an array of events, their texts copied"),
    ask("tables.newest.1000", "the 1,000 newest, whole", "the same"),
    ask("tables.newest.user", "the 100 newest of one user, whole", "the same, by the places of the user's events"),
    ask("tables.user.day", "count and cost by user and day", COLUMNS),
    ask("tables.top", "the 10 models of the highest cost", COLUMNS),
    ask("tables.quantiles", "p50 and p99 of latency by model, exact", "columns in memory, and selecting"),
    ask("tables.sketch", "the same within one hundredth", ""),
    ask("tables.id", "one event by its id, whole", "a hash table of ids in memory"),
    ask("tables.failed", "status >= 500 by 5 minutes, counted", COLUMNS),
    ask("tables.rollup.one", "rollup: one user, one day", "a hash table in memory"),
    ask("tables.rollup.day", "rollup: all users and models of a day", "an array in memory"),
    row("tables.disk", "disk an event, after load and close", Group::TablesAsk, "")
        .unit(Unit::BytesPerKey),
    row("kill", "acknowledged records lost to kill -9", Group::Kill, "").unit(Unit::Lost),
];

const fn row(id: &'static str, title: &'static str, group: Group, limit: &'static str) -> Row {
    Row { id, title, group, unit: Unit::OpsPerSecond, promise: None, limit }
}

const fn table(id: &'static str, title: &'static str, group: Group, limit: &'static str) -> Row {
    row(id, title, group, limit).unit(Unit::Us)
}

const fn ask(id: &'static str, title: &'static str, limit: &'static str) -> Row {
    table(id, title, Group::TablesAsk, limit)
}

const fn churn(id: &'static str, title: &'static str, unit: Unit) -> Row {
    row(id, title, Group::Churn, "").unit(unit).buffered()
}

impl Row {
    const fn unit(mut self, unit: Unit) -> Self {
        self.unit = unit;
        self
    }

    const fn buffered(mut self) -> Self {
        self.promise = Some(Mode::Buffered);
        self
    }

    const fn synced(mut self) -> Self {
        self.promise = Some(Mode::Sync);
        self
    }

    /// The row of that name.
    pub(crate) fn by_id(id: &str) -> Option<&'static Self> {
        ROWS.iter().find(|row| row.id == id)
    }
}
