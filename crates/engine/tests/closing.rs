//! Closing while other handles are at work on the files.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use annals_engine::{Database, ErrorKind};
use std::{thread, time::Duration};

/// A checkpoint that goes on after the database was closed would replace or remove the one that
/// closing wrote, in a directory that may be another opener's by then.
#[test]
fn a_checkpoint_beside_closing_leaves_the_one_that_closing_wrote() {
    for round in 0..20 {
        let dir = tempfile::tempdir().unwrap();
        let db = Database::open(dir.path()).unwrap();
        let keys = db.hash_keyspace("keys").unwrap();
        keys.insert_many((0..500u32).map(|number| (number.to_le_bytes(), "value"))).unwrap();
        let other = db.clone();
        let checkpoints = thread::spawn(move || (0..5).find_map(|_| other.checkpoint().err()));
        thread::sleep(Duration::from_micros(150 * round));
        db.close().unwrap();
        let refused = checkpoints.join().unwrap();
        assert!(refused.is_none_or(|error| error.kind() == ErrorKind::Closed));

        let db = Database::open(dir.path()).unwrap();
        assert!(db.recovery().clean && db.recovery().warnings.is_empty(), "{:?}", db.recovery());
        assert_eq!(db.open_keyspace("keys").unwrap().len(), 500);
    }
}
