//! Every public path of the facade, and what may cross threads: a change here is a change for users.

#![allow(unused_imports, reason = "that the paths exist is the test")]

use annals::{
    Appended, Background, BackupReport, BatchEvents, Batches, Builder, CHECKPOINT_VERSION,
    CasOutcome, Category, ChainHead, Change, ChangeKind, Changes, CheckpointReport, Commit,
    CompactReport, Damage, Database, Durability, Entry, Error, ErrorKind, EventBatch, EventFormat,
    EventHash, EventType, Events, EventsOf, ExpectedVersion, Guard, HashKeyspace, Holder, Iter,
    KEY_BYTES_MAX, KEYSPACE_NAME_BYTES_MAX, KeyspaceInfo, KeyspaceKind, KeyspaceOptions,
    KeyspaceStats, LogStats, NewEvent, Position, RecordedEvent, Recovery, Result,
    STREAM_ID_BYTES_MAX, Seq, Snapshot, SnapshotStats, Stats, StreamId, StreamReader, TypedBatch,
    TypedBatchEvents, VALUE_BYTES_MAX, VerifiedChain, VerifyReport, WriteBatch, WriteOptions,
    WriterState, WriterStats, data_dir,
    disk::{
        Access, Backing, Disk, DiskError, Entry as DirEntry, Fault, File, Holder as LockHolder,
        Lock, LockMode, MemoryDisk, Operation, RealDisk, Region, Result as DiskResult, SimDisk,
        SimOptions, Via, WriteMode,
    },
};

#[test]
fn handles_are_cheap_to_share() {
    fn shared<T: Clone + Send + Sync + 'static>() {}
    shared::<Database>();
    shared::<HashKeyspace>();
    shared::<Category>();
    shared::<Snapshot>();
    shared::<Error>();
}
