//! Handles of keyspaces of both kinds, for scripts that do not care which.

use crate::model::Records;
use annals_engine::{
    CasOutcome, Commit, Compression, Database, HashKeyspace, KeyspaceOptions, OrderedKeyspace,
    Result, Snapshot, Style, TreeOptions, WriteBatch, WriteOptions,
};

pub(crate) enum Handle {
    Hash(HashKeyspace),
    Ordered(OrderedKeyspace),
}

/// Whether the keyspace of this name is an ordered one: those with odd numbers are.
pub(crate) fn is_ordered(name: &str) -> bool {
    name.starts_with("space-") && name.ends_with(['1', '3'])
}

/// How many ways there are in which trees keep their tables.
pub(crate) const TREES: u64 = 5;

/// One of those ways.
fn tree_options(which: u64) -> TreeOptions {
    let (lz4, zstd) = (Compression::Lz4, Compression::Zstd { level: 1 });
    let zstd = if cfg!(feature = "zstd") { zstd } else { lz4 };
    // Most values of some hundred bytes stay in the log.
    let usual =
        TreeOptions { level0_tables: 2, separate_over_bytes: Some(200), ..TreeOptions::default() };
    match which % TREES {
        0 => usual,
        1 => TreeOptions {
            style: Style::Tiered,
            block_bytes: 256,
            compression: lz4,
            bottom_compression: lz4,
            separate_over_bytes: Some(60),
            ..usual
        },
        // Nothing is dropped for its age, which has a model of its own.
        2 => TreeOptions {
            style: Style::Fifo { keep_ms: 0, bytes_max: 0 },
            compression: zstd,
            bottom_compression: zstd,
            ..usual
        },
        // Many tables in many levels, and all values in them.
        3 => TreeOptions {
            table_bytes: 1 << 10,
            base_bytes: 1 << 10,
            ratio: 2,
            block_bytes: 256,
            filter_bits_per_key: 0,
            compression: lz4,
            bottom_compression: zstd,
            separate_over_bytes: None,
            ..usual
        },
        // Small tables of references.
        _ => TreeOptions {
            style: Style::Tiered,
            table_bytes: 1 << 10,
            filter_prefix_bytes: Some(1),
            separate_over_bytes: Some(0),
            ..usual
        },
    }
}

macro_rules! each {
    ($self:ident, $handle:ident => $call:expr) => {
        match $self {
            Handle::Hash($handle) => $call,
            Handle::Ordered($handle) => $call,
        }
    };
}

impl Handle {
    pub(crate) fn open(db: &Database, name: &str) -> Result<Self> {
        if is_ordered(name) {
            return db.open_keyspace(name).map(Self::Ordered);
        }
        db.open_hash_keyspace(name).map(Self::Hash)
    }

    /// An ordered keyspace gets a tree of the kind `trees`.
    pub(crate) fn create(
        db: &Database,
        name: &str,
        options: KeyspaceOptions,
        trees: u64,
    ) -> Result<()> {
        if is_ordered(name) {
            return db.create_keyspace(name, options, tree_options(trees)).map(drop);
        }
        db.create_hash_keyspace(name, options).map(drop)
    }

    pub(crate) fn insert_with(
        &self,
        key: &[u8],
        value: &[u8],
        options: WriteOptions,
    ) -> Result<Commit> {
        each!(self, handle => handle.insert_with(key, value, options))
    }

    pub(crate) fn remove_with(&self, key: &[u8], options: WriteOptions) -> Result<bool> {
        each!(self, handle => handle.remove_with(key, options))
    }

    pub(crate) fn compare_and_swap(
        &self,
        key: &[u8],
        expected: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> Result<CasOutcome> {
        each!(self, handle => handle.compare_and_swap(key, expected, new))
    }

    pub(crate) fn fetch_update(&self, key: &[u8], new: &[u8]) -> Result<Option<Vec<u8>>> {
        each!(self, handle => handle.fetch_update(key, |_| Some(new.to_vec())))
    }

    pub(crate) fn clear(&self) -> Result<()> {
        each!(self, handle => handle.clear())
    }

    pub(crate) fn len(&self) -> Result<u64> {
        match self {
            Self::Hash(handle) => Ok(handle.len()),
            Self::Ordered(handle) => handle.len(),
        }
    }

    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(match self {
            Self::Hash(handle) => handle.get(key)?.map(|value| value.to_vec()),
            Self::Ordered(handle) => handle.get(key)?.map(|value| value.to_vec()),
        })
    }

    pub(crate) fn insert_in(&self, batch: &mut WriteBatch, key: &[u8], value: &[u8]) {
        each!(self, handle => batch.insert(handle, key, value)).expect("small enough");
    }

    pub(crate) fn remove_in(&self, batch: &mut WriteBatch, key: &[u8]) {
        each!(self, handle => batch.remove(handle, key)).expect("small enough");
    }
}

/// The records of an ordered keyspace as a snapshot sees them.
pub(crate) fn ordered_records(snapshot: &Snapshot, name: &str) -> Result<Records> {
    let seen = snapshot.ordered(name)?;
    let mut records = Records::new();
    for entry in seen.iter()? {
        let (key, value) = entry?.to_vecs();
        let got = seen.get(&key)?.map(|value| value.to_vec());
        assert_eq!(got.as_ref(), Some(&value), "a snapshot's get and iteration differ");
        assert!(
            records.last_key_value().is_none_or(|(last, _)| *last < key),
            "keys come out of order"
        );
        records.insert(key, value.into());
    }
    let back: Vec<_> = seen.iter()?.rev().collect::<Result<_>>()?;
    let forward = records.iter().rev().map(|(key, value)| (&key[..], &value[..]));
    assert!(back.iter().map(|entry| (entry.key(), entry.value())).eq(forward), "back and forth");
    Ok(records)
}
