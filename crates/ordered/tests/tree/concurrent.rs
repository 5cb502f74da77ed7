//! A writer, threads that flush and compact, and readers with snapshots, all at once.

use crate::support::*;
use annals_disk::{Disk, RealDisk};
use annals_ordered::{AsOf, Entry, EntryKind, Record, Store, StoreConfig, TreeOptions};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

#[derive(Debug)]
struct NoRoot;

impl annals_ordered::ManifestRoot for NoRoot {
    fn set_manifest(
        &self,
        _: annals_ordered::ManifestPlace,
    ) -> Result<(), annals_ordered::RootError> {
        Ok(())
    }
}

const KEYS: u64 = 2_000;

fn key(number: u64) -> [u8; 8] {
    (number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_be_bytes()
}

/// Every batch writes the same value under all keys of a group: a reader that sees two values in a
/// group has seen half a batch or a hole.
#[test]
fn readers_see_whole_batches_while_tables_come_and_go() {
    let temporary = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(RealDisk::new());
    let config = StoreConfig { memory_bytes: 32 << 20, memtable_bytes: 1 << 10, ..config() };
    let store = Store::create(disk, temporary.path(), ID, config, Arc::new(NoRoot)).unwrap();
    let tree = store
        .create_tree(TREE, TreeOptions { table_bytes: 16 << 10, base_bytes: 32 << 10, ..options() })
        .unwrap();
    let done = AtomicBool::new(false);
    let visible = AtomicU64::new(0);
    // Held while a batch is applied and becomes visible, and while a snapshot is taken.
    let writing = Mutex::new(());
    const BATCHES: u64 = 400;
    std::thread::scope(|scope| {
        for flushes in [true, false] {
            let (store, done) = (&store, &done);
            scope.spawn(move || {
                loop {
                    let ended = done.load(Ordering::Acquire);
                    let next = if flushes { store.next_flush(0) } else { store.next_compaction(0) };
                    match next {
                        Some(work) => work.run().unwrap(),
                        None if ended => break,
                        None => std::thread::yield_now(),
                    }
                }
            });
        }
        for reader in 0..2u64 {
            let (store, tree, done, writing, visible) = (&store, &tree, &done, &writing, &visible);
            scope.spawn(move || {
                let mut numbers = Numbers::new(reader + 7);
                while !done.load(Ordering::Acquire) {
                    let hold = {
                        let _writing = writing.lock().unwrap();
                        store.hold(visible.load(Ordering::Acquire), 0)
                    };
                    let as_of = AsOf { seq: hold.seq(), now_ms: 0 };
                    let expected = hold.seq() / KEYS;
                    let mut cursor = tree.cursor(&[], None, as_of);
                    let found =
                        if reader == 0 { forward(&mut cursor) } else { backward(&mut cursor) };
                    let count = if expected == 0 { 0 } else { KEYS };
                    assert_eq!(found.len() as u64, count);
                    assert!(found.iter().all(|(_, value)| *value == expected.to_le_bytes()));
                    for _ in 0..50 {
                        let key = key(numbers.below(KEYS));
                        let value = tree.get(&key, as_of).unwrap();
                        let expected = (expected > 0).then(|| expected.to_le_bytes().to_vec());
                        assert_eq!(value, expected);
                        // Without a hold: a view first, then what is visible.
                        let view = tree.view();
                        let seq = visible.load(Ordering::Acquire);
                        let now = AsOf { seq, now_ms: 0 };
                        let value = view.get_with(&key, now, |entry| entry.value.to_vec()).unwrap();
                        assert!(value.is_some() || seq < KEYS);
                    }
                }
            });
        }
        for batch in 1..=BATCHES {
            let _writing = writing.lock().unwrap();
            let value = batch.to_le_bytes();
            let first = (batch - 1) * KEYS + 1;
            let keys: Vec<_> = (0..KEYS).map(key).collect();
            let records = (first..).zip(&keys).map(|(seq, key)| {
                let kind = EntryKind::Put;
                Record::Entry(Entry { key, seq, kind, expires_ms: None, value: &value })
            });
            tree.apply(records, 0).unwrap();
            visible.store(batch * KEYS, Ordering::Release);
        }
        done.store(true, Ordering::Release);
    });
    tree.seal();
    work(&store, 0).unwrap();
    let stats = tree.stats();
    assert!(stats.flushes > 3 && stats.compactions > 0, "{stats:?}");
    assert_eq!(tree.flushed_through(), BATCHES * KEYS);
    store.verify(&mut |_, damage| panic!("{damage:?}")).unwrap();
}
