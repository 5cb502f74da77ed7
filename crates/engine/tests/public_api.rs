//! Every public path, and what may cross threads: a change here is a change for users.

#![allow(unused_imports, reason = "that the paths exist is the test")]

use annals_engine::{
    AnyKeyspace, Background, BackupReport, Builder, CHECKPOINT_VERSION, CacheStats, CasOutcome,
    Category, Change, ChangeKind, Changes, CheckpointReport, Commit, CompactReport, Compression,
    Consumer, Damage, Database, Delivery, Durability, Entry, Error, ErrorKind, EventBatch, Events,
    EventsOf, Guard, HashKeyspace, Holder, Iter, KEY_BYTES_MAX, KEYSPACE_NAME_BYTES_MAX, Keys,
    KeyspaceInfo, KeyspaceKind, KeyspaceOptions, KeyspaceStats, LEVELS, LevelStats, LogStats,
    OrderedEntry, OrderedKeyspace, OrderedSnapshot, PersistentSubscription, Position, Projector,
    Range, RecordedEvent, Recovery, Replaced, Result, Salvage, Seq, Snapshot, SnapshotStats, Stats,
    StreamReader, Streams, Style, Subscription, TableStats, TreeOptions, TreeStats, TreeTraffic,
    VALUE_BYTES_MAX, Value, VerifyReport, Watcher, Work, WriteBatch, WriteOptions, WriterState,
    WriterStats, data_dir,
};

#[test]
fn what_is_shared_between_threads_may_be() {
    fn shared<T: Send + Sync>() {}
    fn cloned<T: Clone + Send + Sync + 'static>() {}
    cloned::<Database>();
    cloned::<HashKeyspace>();
    cloned::<OrderedKeyspace>();
    cloned::<OrderedSnapshot>();
    cloned::<Value>();
    cloned::<OrderedEntry>();
    shared::<Range>();
    shared::<Salvage>();
    cloned::<Snapshot>();
    cloned::<Builder>();
    cloned::<Error>();
    shared::<Guard<'_>>();
    shared::<Entry<'_>>();
    shared::<Iter<'_>>();
    shared::<WriteBatch>();
    shared::<Changes>();
    shared::<Stats>();
}

#[test]
fn what_reads_events_may_cross_threads_and_be_awaited_in_tasks() {
    #[derive(annals_events::Event)]
    #[event(crate = annals_events)]
    struct Noted {
        by: String,
    }

    fn shared<T: Send + Sync>() {}
    fn cloned<T: Clone + Send + Sync + 'static>() {}
    fn sent(_: impl Send) {}
    cloned::<Category>();
    cloned::<Streams<Noted>>();
    cloned::<Watcher>();
    cloned::<PersistentSubscription>();
    shared::<StreamReader<'_>>();
    shared::<Events<'_>>();
    shared::<Subscription<'_>>();
    shared::<EventsOf<Noted, StreamReader<'_>>>();
    shared::<EventsOf<Noted, Subscription<'_>>>();
    shared::<RecordedEvent<'_>>();
    shared::<EventBatch<'_>>();
    shared::<Consumer>();
    shared::<Work>();
    shared::<Projector<'_, ()>>();
    shared::<Delivery<'_>>();
    // They are made, and never run.
    let _ = |mut events: Subscription<'_>, mut typed: EventsOf<Noted, Subscription<'_>>| {
        sent(events.next_async());
        sent(typed.next_async());
    };
    let _ = |consumer: Consumer, watcher: Watcher| {
        sent(consumer.next_async());
        sent(watcher.wait_for_async(Seq::ZERO));
    };
}
