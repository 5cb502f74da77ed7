//! Every public path of what others build on, and what may cross threads: a change here is a change
//! for the crates above.

#![allow(unused_imports, reason = "that the paths exist is the test")]

use annals_ordered::{
    Admission, AsOf, Backlog, BlockCache, CacheStats, Compression, Cursor, Damage, Edit, Entry,
    EntryKind, Error, FileName, HeldTables, Hold, KEY_BYTES_MAX, KeyCopy, KeyRange, LEVELS,
    LevelStats, Levels, MANIFEST_VERSION, Manifest, ManifestPlace, ManifestRead, ManifestRoot,
    Memtable, MemtableWriter, Merge, Pause, Pressure, RangeRemoval, Record, Removals, Result,
    RootError, Salvage, ShapeError, State, Store, StoreConfig, StoreStats, Style, Table, TableInfo,
    TableOptions, TableWriter, Tree, TreeCursor, TreeOptions, TreeStats, TreeTraffic,
    VALUE_BYTES_MAX, View, Visible, Work, behind_prefix, read_manifest,
};

#[test]
fn what_is_shared_between_threads_may_be() {
    fn shared<T: Send + Sync>() {}
    fn sent<T: Send>() {}
    shared::<Store>();
    shared::<Tree>();
    shared::<View>();
    shared::<Hold>();
    shared::<Error>();
    sent::<Work>();
    sent::<TreeCursor>();
    sent::<Salvage>();
}
