//! Sessions and a cache: records that expire by themselves.
//!
//! Expired records are invisible at once; the space they take is reclaimed by compaction.
//!
//!     cargo run --example sessions [DIRECTORY]

use annals::{Database, ErrorKind, HashKeyspace, KeyspaceOptions, WriteOptions};
use std::{error::Error, path::Path, time::Duration};

const HOUR: Duration = Duration::from_secs(3600);

fn main() -> Result<(), Box<dyn Error>> {
    match std::env::args_os().nth(1) {
        Some(dir) => run(Path::new(&dir)),
        None => run(tempfile::tempdir()?.path()),
    }
}

pub(crate) fn run(dir: &Path) -> Result<(), Box<dyn Error>> {
    let db = Database::open(dir)?;
    let sessions = sessions(&db)?;

    sessions.insert("token-1", "ada")?;
    // One that ends sooner than the keyspace says.
    let soon = WriteOptions::default().ttl(Duration::from_millis(20));
    sessions.insert_with("token-2", "charles", soon)?;

    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(user(&sessions, "token-1")?.as_deref(), Some("ada"));
    assert_eq!(user(&sessions, "token-2")?, None);
    println!("{} session is left", sessions.len());

    // Only the one who still finds the session as it was may renew it: a logout in between wins.
    let renewed = sessions.compare_and_swap("token-1", Some(b"ada"), Some(b"ada"))?;
    println!("renewed: {renewed:?}");

    // A logout.
    assert!(sessions.remove("token-1")?);
    assert!(sessions.is_empty());

    // The same as a cache: computed when it is not there (any more).
    let cache = db.hash_keyspace("cache")?;
    for _ in 0..2 {
        let page = cached(&cache, "/index.html", || "<h1>Annals</h1>".to_owned())?;
        println!("{page}");
    }
    db.close()?;
    Ok(())
}

/// The keyspace of the sessions, with its default time to live.
fn sessions(db: &Database) -> annals::Result<HashKeyspace> {
    match db.create_hash_keyspace("sessions", KeyspaceOptions::default().ttl(HOUR)) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => db.open_hash_keyspace("sessions"),
        other => other,
    }
}

fn user(sessions: &HashKeyspace, token: &str) -> annals::Result<Option<String>> {
    Ok(sessions.get(token)?.map(|user| String::from_utf8_lossy(&user).into_owned()))
}

fn cached(
    cache: &HashKeyspace,
    key: &str,
    compute: impl FnOnce() -> String,
) -> annals::Result<String> {
    if let Some(hit) = cache.get(key)? {
        return Ok(String::from_utf8_lossy(&hit).into_owned());
    }
    let value = compute();
    cache.insert_with(key, &value, WriteOptions::default().ttl(HOUR))?;
    Ok(value)
}
