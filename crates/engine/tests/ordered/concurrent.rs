//! Readers and walks beside writers, flushes, compactions, and keyspaces that are cleared and dropped.

use annals_engine::{Database, Durability, Error, OrderedKeyspace, Seq, WriteOptions};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

const KEYS: u64 = 500;

#[test]
fn batches_are_seen_whole_whatever_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let db = Database::builder()
        .durability(Durability::Buffered)
        .memory_bytes(1 << 20)
        .segment_bytes(1 << 20)
        .checkpoint_every_bytes(2 << 20)
        .open(folder.path())
        .unwrap();
    let sorted = db.keyspace("sorted").unwrap();
    let hashed = db.hash_keyspace("hashed").unwrap();
    let (stop, walks) = (AtomicBool::new(false), AtomicU64::new(0));
    let write = |round: u64| {
        let mut batch = db.batch();
        let value = [&round.to_be_bytes()[..], &[0; 60]].concat();
        for key in 0..KEYS {
            batch.insert(&sorted, key.to_be_bytes(), &value).unwrap();
        }
        batch.insert(&hashed, "round", round.to_be_bytes()).unwrap();
        batch.commit().unwrap();
    };
    let round_of = |value: &[u8]| u64::from_be_bytes(value[..8].try_into().unwrap());
    write(0);
    thread::scope(|scope| {
        for reader in 0..3 {
            let (sorted, db, stop, walks) = (&sorted, &db, &stop, &walks);
            scope.spawn(move || {
                let mut least = 0;
                while !stop.load(Ordering::Relaxed) {
                    let rounds: Vec<u64> = match reader {
                        0 => sorted.iter().unwrap().map(|e| round_of(e.unwrap().value())).collect(),
                        1 => {
                            let walk = sorted.iter().unwrap().rev();
                            walk.map(|entry| round_of(entry.unwrap().value())).collect()
                        }
                        _ => {
                            let snapshot = db.snapshot();
                            let round = snapshot.get("hashed", "round").unwrap().unwrap();
                            let round = u64::from_be_bytes((&*round).try_into().unwrap());
                            let seen = snapshot.ordered("sorted").unwrap();
                            let walk = seen.iter().unwrap();
                            let mut all: Vec<_> =
                                walk.map(|entry| round_of(entry.unwrap().value())).collect();
                            all.push(round);
                            all.remove(0);
                            all
                        }
                    };
                    assert_eq!(rounds.len() as u64, KEYS);
                    assert!(rounds.iter().all(|round| *round == rounds[0]), "half a batch");
                    assert!(rounds[0] >= least, "back in time");
                    least = rounds[0];
                    let one = sorted.get(7_u64.to_be_bytes()).unwrap().unwrap();
                    assert!(round_of(&one) >= least);
                    walks.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for round in 1..400 {
            write(round);
            if round % 50 == 0 {
                sorted.compact().unwrap();
                db.compact().unwrap();
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(walks.load(Ordering::Relaxed) > 3);
    let tree = db.stats().keyspaces.into_iter().find_map(|keyspace| keyspace.tree).unwrap();
    assert!(tree.flushes > 3 && tree.compactions > 0, "{tree:?}");
    drop((sorted, hashed));
    db.close().unwrap();
    let db = Database::open(folder.path()).unwrap();
    assert_eq!(db.keyspace("sorted").unwrap().len().unwrap(), KEYS);
}

#[test]
fn clearing_and_dropping_beside_readers_and_writers() {
    let folder = tempfile::tempdir().unwrap();
    let db = Database::builder().memory_bytes(256 << 10).open(folder.path()).unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        for seed in 0..2_u64 {
            let (db, stop) = (&db, &stop);
            scope.spawn(move || {
                let mut number = seed;
                while !stop.load(Ordering::Relaxed) {
                    number += 2;
                    let done = db.keyspace("some").and_then(|sorted| {
                        sorted.insert(number.to_be_bytes(), [1; 200])?;
                        let walked = sorted.iter()?.take(50).count();
                        assert!(walked <= 50);
                        sorted.pop_first().map(drop)
                    });
                    let fine = matches!(
                        done,
                        Ok(()) | Err(Error::KeyspaceDropped { .. } | Error::UnknownKeyspace { .. })
                    );
                    assert!(fine, "{done:?}");
                }
            });
        }
        for round in 0..60 {
            match db.keyspace("some") {
                Ok(sorted) if round % 3 > 0 => sorted.clear().unwrap(),
                Ok(_) => db.drop_keyspace("some").unwrap(),
                Err(error) => panic!("{error}"),
            }
            if round % 7 == 0 {
                db.checkpoint().unwrap();
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    db.close().unwrap();
}

#[test]
fn each_caller_pops_another_key() {
    let db = Database::open_in_memory().unwrap();
    let jobs = db.keyspace("jobs").unwrap();
    jobs.insert_many((0..2_000_u32).map(|n| (n.to_be_bytes(), "job"))).unwrap();
    let popped: Vec<Vec<Vec<u8>>> = thread::scope(|scope| {
        let pop = || {
            let mut own = Vec::new();
            while let Some(job) = jobs.pop_first().unwrap() {
                own.push(job.key().to_vec());
            }
            own
        };
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(pop)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut all: Vec<_> = popped.concat();
    all.sort();
    all.dedup();
    assert_eq!(all.len(), 2_000);
    assert!(jobs.is_empty().unwrap());
}

/// Many threads write the same few keys: what the log says last of a key is what the tree has, now and after
/// it was replayed, and each writer was told the number under which the log has its record.
#[test]
fn the_order_of_numbers_is_the_order_of_the_log_and_of_the_tree() {
    const WRITERS: u64 = 8;
    const ROUNDS: u64 = 1_500;
    let folder = tempfile::tempdir().unwrap();
    let open = || {
        Database::builder()
            .durability(Durability::Buffered)
            .memory_bytes(128 << 10)
            .segment_bytes(1 << 20)
            .checkpoint_every_bytes(1 << 20)
            .open(folder.path())
            .unwrap()
    };
    let db = open();
    let sorted = db.keyspace("sorted").unwrap();
    // Holds back the log.
    let mut changes = db.changes(Seq(db.last_seq().0 + 1)).unwrap();
    let write = &|writer: u64| {
        let mut told = Vec::new();
        for round in 0..ROUNDS {
            let key = (round * WRITERS + writer) % 7;
            let value = [writer.to_be_bytes(), round.to_be_bytes()].concat();
            let options = WriteOptions::default();
            let commit = sorted.insert_with(key.to_be_bytes(), &value, options).unwrap();
            told.push((commit.last_seq, key.to_be_bytes().to_vec(), value));
        }
        told
    };
    let mut told: Vec<_> = thread::scope(|scope| {
        let writers: Vec<_> =
            (0..WRITERS).map(|writer| scope.spawn(move || write(writer))).collect();
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    told.sort();
    let mut logged = Vec::new();
    while let Some(change) = changes.try_next().unwrap() {
        logged.push((change.seq, change.key, change.value.unwrap()));
    }
    assert!(logged.is_sorted_by_key(|(seq, ..)| *seq), "numbers rise along the log");
    assert!(logged == told, "each record has the number that its writer was told");
    let last: BTreeMap<_, _> = told.into_iter().map(|(_, key, value)| (key, value)).collect();
    let found = |sorted: &OrderedKeyspace| -> BTreeMap<Vec<u8>, Vec<u8>> {
        sorted.iter().unwrap().map(|entry| entry.unwrap().to_vecs()).collect()
    };
    assert_eq!(found(&sorted), last);
    drop((changes, sorted));
    db.close().unwrap();
    assert_eq!(found(&open().keyspace("sorted").unwrap()), last);
}
