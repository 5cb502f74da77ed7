//! Every public path, and what may cross threads: a change here is a change for users.

#![allow(unused_imports, reason = "that the paths exist is the test")]

use annals_engine::{
    AnyKeyspace, Background, BackupReport, Builder, CHECKPOINT_VERSION, CacheStats, CasOutcome,
    Change, ChangeKind, Changes, CheckpointReport, Commit, CompactReport, Compression, Damage,
    Database, Durability, Entry, Error, ErrorKind, Guard, HashKeyspace, Holder, Iter,
    KEY_BYTES_MAX, KEYSPACE_NAME_BYTES_MAX, Keys, KeyspaceInfo, KeyspaceKind, KeyspaceOptions,
    KeyspaceStats, LEVELS, LevelStats, LogStats, OrderedEntry, OrderedKeyspace, OrderedSnapshot,
    Position, Range, Recovery, Replaced, Result, Salvage, Seq, Snapshot, SnapshotStats, Stats,
    Style, TableStats, TreeOptions, TreeStats, TreeTraffic, VALUE_BYTES_MAX, Value, VerifyReport,
    WriteBatch, WriteOptions, WriterState, WriterStats, data_dir,
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
