//! What a user does first, on the real disk.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use annals_engine::{CasOutcome, Database, ErrorKind, KeyspaceOptions, Result, Seq, WriteOptions};
use std::{collections::BTreeMap, time::Duration};

fn open(dir: &tempfile::TempDir) -> Result<Database> {
    Database::open(dir.path().join("db"))
}

fn contents(db: &Database, name: &str) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let keyspace = db.open_hash_keyspace(name).unwrap();
    keyspace.iter().unwrap().map(|entry| entry.unwrap().to_vecs()).collect()
}

#[test]
fn what_was_written_is_read_back_also_after_closing() -> Result<()> {
    let dir = tempfile::tempdir().unwrap();
    let mut model = BTreeMap::new();
    {
        let db = open(&dir)?;
        let users = db.hash_keyspace("users")?;
        for n in 0..5_000u32 {
            let (key, value) = (n.to_be_bytes().to_vec(), vec![n as u8; (n % 300) as usize]);
            users.insert(&key, &value)?;
            model.insert(key, value);
        }
        for n in (0..5_000u32).step_by(3) {
            assert!(users.remove(n.to_be_bytes())?);
            assert!(!users.remove(n.to_be_bytes())?, "already gone");
            model.remove(n.to_be_bytes().as_slice());
        }
        assert_eq!(users.len(), model.len() as u64);
        assert_eq!(contents(&db, "users"), model);
        db.close()?;
    }
    let db = open(&dir)?;
    assert!(db.recovery().clean);
    assert_eq!(db.recovery().records_count, 0, "nothing to replay after closing");
    assert_eq!(contents(&db, "users"), model);
    for (key, value) in &model {
        assert_eq!(db.open_hash_keyspace("users")?.get(key)?.as_deref(), Some(&value[..]));
    }
    Ok(())
}

#[test]
fn empty_keys_empty_values_and_the_longest_keys_work() -> Result<()> {
    let dir = tempfile::tempdir().unwrap();
    let long = vec![7; annals_engine::KEY_BYTES_MAX];
    for _ in 0..2 {
        let db = open(&dir)?;
        let keyspace = db.hash_keyspace("k")?;
        keyspace.insert("", "empty key")?;
        keyspace.insert("empty value", "")?;
        keyspace.insert(&long, "long")?;
        assert_eq!(keyspace.get("")?.as_deref(), Some(&b"empty key"[..]));
        assert_eq!(keyspace.get("empty value")?.as_deref(), Some(&b""[..]));
        assert_eq!(keyspace.get(&long)?.as_deref(), Some(&b"long"[..]));
        let error = keyspace.insert([&long[..], &[1]].concat(), "").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(keyspace.len(), 3);
    }
    Ok(())
}

#[test]
fn values_larger_than_a_segment_work() -> Result<()> {
    let dir = tempfile::tempdir().unwrap();
    let value: Vec<u8> = (0..3_000_000u32).map(|n| n as u8).collect();
    for round in 0..2 {
        let db = Database::builder().segment_bytes(64 << 10).open(dir.path().join("db"))?;
        let keyspace = db.hash_keyspace("k")?;
        if round == 0 {
            keyspace.insert("small", "1")?;
            keyspace.insert("large", &value)?;
            keyspace.insert("after", "2")?;
        }
        assert!(keyspace.get("large")?.is_some_and(|found| found[..] == value[..]));
        assert_eq!(keyspace.get("after")?.as_deref(), Some(&b"2"[..]));
        assert!(db.verify(&mut |_| {})?.is_intact());
    }
    Ok(())
}

#[test]
fn batches_happen_together() -> Result<()> {
    let db = Database::open_in_memory()?;
    let (a, b) = (db.hash_keyspace("a")?, db.hash_keyspace("b")?);
    a.insert("gone", "1")?;
    let mut batch = db.batch();
    batch.insert(&a, "x", "1")?;
    batch.insert(&b, "x", "2")?;
    batch.insert(&a, "x", "3")?;
    batch.remove(&a, "gone")?;
    assert_eq!((a.len(), b.len()), (1, 0), "nothing happens before the commit");
    let commit = batch.commit()?.unwrap();
    assert_eq!(commit.last_seq.0 - commit.first_seq.0, 3);
    assert_eq!(a.get("x")?.as_deref(), Some(&b"3"[..]), "the last write to a key counts");
    assert_eq!(b.get("x")?.as_deref(), Some(&b"2"[..]));
    assert_eq!((a.len(), b.len()), (1, 1));
    assert_eq!(db.batch().commit()?, None);

    let other = Database::open_in_memory()?.hash_keyspace("a")?;
    let error = db.batch().insert(&other, "x", "1").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    Ok(())
}

#[test]
fn compare_and_swap_and_increments_are_atomic() -> Result<()> {
    let db = Database::open_in_memory()?;
    let keyspace = db.hash_keyspace("k")?;
    assert!(matches!(keyspace.compare_and_swap("a", None, Some(b"1"))?, CasOutcome::Swapped(_)));
    let different = keyspace.compare_and_swap("a", None, Some(b"2"))?;
    assert_eq!(different, CasOutcome::Different(Some(b"1".to_vec())));
    assert!(matches!(keyspace.compare_and_swap("a", Some(b"1"), None)?, CasOutcome::Swapped(_)));
    assert!(!keyspace.contains("a")?);

    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    keyspace
                        .fetch_update("n", |value| {
                            let n = value.map_or(0, |v| u64::from_le_bytes(v.try_into().unwrap()));
                            Some((n + 1).to_le_bytes().to_vec())
                        })
                        .unwrap();
                }
            });
        }
    });
    assert_eq!(keyspace.get("n")?.unwrap().to_vec(), 80_000u64.to_le_bytes());
    Ok(())
}

#[test]
fn snapshots_and_iterators_keep_their_state() -> Result<()> {
    let dir = tempfile::tempdir().unwrap();
    let db = Database::builder().segment_bytes(64 << 10).open(dir.path().join("db"))?;
    let keyspace = db.hash_keyspace("k")?;
    let other = db.hash_keyspace("other")?;
    let mut before = BTreeMap::new();
    for n in 0..3_000u32 {
        let (key, value) = (n.to_be_bytes().to_vec(), vec![1; 50]);
        keyspace.insert(&key, &value)?;
        other.insert(&key, &value)?;
        before.insert(key, value);
    }
    let snapshot = db.snapshot();
    let mut iterator = keyspace.iter()?;
    let first = iterator.next().unwrap()?.to_vecs();
    for n in 0..3_000u32 {
        match n % 3 {
            0 => assert!(keyspace.remove(n.to_be_bytes())?),
            1 => keyspace.insert(n.to_be_bytes(), vec![2; 60])?,
            _ => {}
        }
        keyspace.insert((n + 10_000).to_be_bytes(), "new")?;
    }
    db.compact()?;
    for n in 0..3_000u32 {
        keyspace.insert(n.to_be_bytes(), "later")?;
    }
    other.clear()?;
    assert!(other.is_empty());
    other.insert("fresh", "1")?;
    db.compact()?;
    db.drop_keyspace("other")?;
    db.compact()?;
    assert_eq!(other.insert("x", "y").unwrap_err().kind(), ErrorKind::NotFound);
    assert!(db.stats().snapshots.held_segments_count > 0, "what is held back is reported");

    let seen: BTreeMap<_, _> = snapshot.iter("k")?.map(|entry| entry.unwrap().to_vecs()).collect();
    assert_eq!(seen, before);
    let seen: BTreeMap<_, _> =
        snapshot.iter("other")?.map(|entry| entry.unwrap().to_vecs()).collect();
    assert_eq!(seen, before, "a dropped keyspace");
    for key in before.keys() {
        assert_eq!(snapshot.get("k", key)?.as_deref(), Some(&[1; 50][..]));
    }
    assert!(snapshot.get("k", 10_000u32.to_be_bytes())?.is_none());
    let mut rest: BTreeMap<_, _> = iterator.map(|entry| entry.unwrap().to_vecs()).collect();
    rest.insert(first.0, first.1);
    assert_eq!(rest, before, "an iterator made before");

    drop(snapshot);
    db.compact()?;
    assert_eq!(db.stats().snapshots.count, 0);
    assert_eq!(db.stats().snapshots.held_segments_count, 0, "given back");
    assert_eq!(db.stats().keyspaces[0].removed_kept_count, 0);
    let after = contents(&db, "k");
    drop(keyspace);
    drop(other);
    db.close()?;
    let db = open(&dir)?;
    assert_eq!(contents(&db, "k"), after, "inserts after a compaction are kept");
    Ok(())
}

#[test]
fn records_expire_and_stay_expired() -> Result<()> {
    let db = Database::open_in_memory()?;
    let options = KeyspaceOptions::default().ttl(Duration::from_millis(30));
    let sessions = db.create_hash_keyspace("sessions", options)?;
    sessions.insert("short", "1")?;
    let long = WriteOptions::default().ttl(Duration::from_secs(3600));
    sessions.insert_with("long", "2", long)?;
    assert_eq!(sessions.len(), 2);
    std::thread::sleep(Duration::from_millis(60));
    assert!(sessions.get("short")?.is_none());
    assert!(sessions.get("long")?.is_some());
    assert_eq!(sessions.len(), 1, "exact");
    assert!(!sessions.remove("short")?);
    let outcome = sessions.compare_and_swap("short", None, Some(b"again"))?;
    assert!(matches!(outcome, CasOutcome::Swapped(_)));
    Ok(())
}

#[test]
fn many_reads_at_once_give_what_single_reads_give() -> Result<()> {
    let db = Database::open_in_memory()?;
    let keyspace = db.hash_keyspace("k")?;
    keyspace.insert_many((0..1_000u32).map(|n| (n.to_be_bytes(), n.to_le_bytes())))?;
    let keys: Vec<[u8; 4]> = (0..1_500u32).rev().map(u32::to_be_bytes).collect();
    let many = keyspace.get_many(&keys)?;
    for (key, found) in keys.iter().zip(&many) {
        assert_eq!(found.as_deref(), keyspace.get(key)?.as_deref());
    }
    assert_eq!(many.iter().flatten().count(), 1_000);
    Ok(())
}

#[test]
fn a_second_opener_is_told_who_has_it_and_a_reader_follows_live() -> Result<()> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    assert_eq!(
        Database::open_read_only(&path).unwrap_err().kind(),
        ErrorKind::NotADatabase,
        "a reader creates nothing"
    );
    let db = Database::builder().segment_bytes(64 << 10).open(&path)?;
    let error = Database::open(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked);
    assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
    assert_eq!(Database::lock_holder(&path)?.unwrap().pid, std::process::id());
    assert_eq!(Database::break_lock(&path).unwrap_err().kind(), ErrorKind::Locked);

    let keyspace = db.hash_keyspace("k")?;
    keyspace.insert("a", "1")?;
    let reader = Database::open_read_only(&path)?;
    let seen = reader.open_hash_keyspace("k")?;
    assert_eq!(seen.get("a")?.as_deref(), Some(&b"1"[..]));
    assert_eq!(seen.insert("a", "2").unwrap_err().kind(), ErrorKind::ReadOnly);
    let before = reader.snapshot();
    for n in 0..5_000u32 {
        keyspace.insert(n.to_be_bytes(), n.to_le_bytes())?;
        if n % 500 == 0 {
            assert_eq!(seen.get(n.to_be_bytes())?.as_deref(), Some(&n.to_le_bytes()[..]));
        }
    }
    keyspace.insert("a", "3")?;
    assert_eq!(seen.get("a")?.as_deref(), Some(&b"3"[..]));
    assert_eq!(seen.len(), 5_001);
    assert_eq!(before.get("k", "a")?.as_deref(), Some(&b"1"[..]), "a reader's own snapshot");
    assert_eq!(before.iter("k")?.count(), 1);
    Ok(())
}

#[test]
fn a_reader_of_a_closed_database_follows_who_opens_it_next() -> Result<()> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let db = Database::open(&path)?;
    db.hash_keyspace("k")?.insert("n", "start")?;
    db.close()?;
    let reader = Database::open_read_only(&path)?;
    let seen = reader.open_hash_keyspace("k")?;
    let db = Database::open(&path)?;
    let keyspace = db.hash_keyspace("k")?;
    for n in 0..2_000u32 {
        keyspace.insert("n", n.to_le_bytes())?;
        if n % 100 == 0 {
            assert_eq!(seen.get("n")?.as_deref(), Some(&n.to_le_bytes()[..]));
        }
    }
    assert_eq!(seen.get("n")?.as_deref(), Some(&1_999u32.to_le_bytes()[..]));
    assert_eq!(reader.last_seq(), db.last_seq());
    Ok(())
}

#[test]
fn a_reader_follows_over_compactions() -> Result<()> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let db = Database::builder().segment_bytes(64 << 10).open(&path)?;
    let keyspace = db.hash_keyspace("k")?;
    keyspace.insert("constant", "1")?;
    let reader = Database::open_read_only(&path)?;
    let seen = reader.open_hash_keyspace("k")?;
    let kept = seen.get("constant")?.unwrap();
    let before = reader.snapshot();
    for round in 0..20u32 {
        for n in 0..1_000u32 {
            keyspace.insert(n.to_be_bytes(), round.to_le_bytes())?;
        }
        db.compact()?;
        for n in (0..1_000u32).step_by(97) {
            let value = seen.get(n.to_be_bytes())?.map(|value| value.to_vec());
            assert_eq!(value, Some(round.to_le_bytes().to_vec()), "round {round}, key {n}");
        }
        assert_eq!(seen.len(), 1_001);
        assert_eq!(seen.iter()?.count(), 1_001);
        let keys: Vec<_> = (0..64u32).map(u32::to_be_bytes).collect();
        assert!(seen.get_many(&keys)?.iter().all(Option::is_some));
    }
    assert_eq!(&*kept, b"1", "a guard from before the compactions");
    assert_eq!(before.get("k", "constant")?.as_deref(), Some(&b"1"[..]));
    assert_eq!(before.iter("k")?.count(), 1);
    Ok(())
}

#[test]
fn changes_replay_and_follow() -> Result<()> {
    let dir = tempfile::tempdir().unwrap();
    let db = open(&dir)?;
    let keyspace = db.hash_keyspace("k")?;
    for n in 0..100u32 {
        keyspace.insert(n.to_be_bytes(), "x")?;
    }
    let changes = db.changes(Seq(1))?;
    let follower = std::thread::spawn(move || changes.map(|c| c.unwrap()).collect::<Vec<_>>());
    for n in 0..100u32 {
        keyspace.remove(n.to_be_bytes())?;
    }
    drop(keyspace);
    db.close()?;
    let all = follower.join().unwrap();
    assert_eq!(all.len(), 201);
    assert!(all.windows(2).all(|pair| pair[0].seq < pair[1].seq));
    assert_eq!(all[200].key, 99u32.to_be_bytes());
    assert_eq!(all[200].keyspace.as_deref(), Some("k"));
    Ok(())
}

#[test]
fn backups_open_and_grow() -> Result<()> {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("backup");
    let db = Database::builder().segment_bytes(64 << 10).open(dir.path().join("db"))?;
    let keyspace = db.hash_keyspace("k")?;
    for n in 0..2_000u32 {
        keyspace.insert(n.to_be_bytes(), [1; 100])?;
    }
    let first = db.backup_to(&target)?;
    assert!(first.copied_bytes > 200_000 && first.reused_bytes == 0);
    for n in 2_000..2_200u32 {
        keyspace.insert(n.to_be_bytes(), [1; 100])?;
    }
    let second = db.backup_to(&target)?;
    assert!(second.copied_bytes < first.copied_bytes / 2, "{second:?}");
    assert!(second.reused_bytes > 0);
    {
        let copy = Database::open_read_only(&target)?;
        assert_eq!(contents(&copy, "k"), contents(&db, "k"));
        assert!(copy.verify(&mut |_| {})?.is_intact());
    }
    // A copy that went its own way is never overwritten.
    {
        let copy = Database::open(&target)?;
        copy.hash_keyspace("k")?.insert("own", "1")?;
        copy.close()?;
    }
    assert_eq!(db.backup_to(&target).unwrap_err().kind(), ErrorKind::InvalidInput);
    std::fs::remove_dir_all(&target).unwrap();
    db.backup_to(&target)?;
    let restored = dir.path().join("restored");
    Database::restore(&target, &restored)?;
    let copy = Database::open(&restored)?;
    assert_eq!(contents(&copy, "k"), contents(&db, "k"));
    copy.hash_keyspace("k")?.insert("more", "1")?;
    let open = Database::open(&target)?;
    assert_eq!(db.backup_to(&target).unwrap_err().kind(), ErrorKind::InvalidInput, "in use");
    drop(open);
    let error = Database::restore(&target, &restored).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    Ok(())
}
