//! Logs that end near the end of a segment: every distance, over closing and opening again.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use annals_engine::{Background, Database, Result};
use std::sync::Arc;

#[test]
fn closing_and_opening_works_at_every_distance_from_a_segment_end() -> Result<()> {
    const SEGMENT_BYTES: u64 = 64 << 10;
    for rest in (0..400u64).step_by(8) {
        let disk: Arc<dyn annals_disk::Disk> = Arc::new(annals_disk::MemoryDisk::new());
        let open = || {
            Database::builder()
                .segment_bytes(SEGMENT_BYTES)
                .background(Background::Manual)
                .disk(Arc::clone(&disk))
                .open("db")
        };
        let db = open()?;
        let keyspace = db.hash_keyspace("k")?;
        let used = db.stats().log.end.offset;
        let value = vec![1; (SEGMENT_BYTES - u64::from(used) - rest) as usize - 72];
        keyspace.insert("fill", &value)?;
        drop(keyspace);
        db.close()?;
        // Each round ends the log a little nearer to the segment's end.
        for round in 0..6u32 {
            let db = open()?;
            assert!(db.recovery().clean, "rest {rest}, round {round}");
            assert_eq!(db.hash_keyspace("k")?.get("fill")?.unwrap().len(), value.len());
            db.close()?;
        }
        let db = open()?;
        let keyspace = db.hash_keyspace("k")?;
        keyspace.insert("more", "1")?;
        assert!(db.verify(&mut |_| {})?.is_intact());
        drop(keyspace);
        db.close()?;
        assert_eq!(open()?.hash_keyspace("k")?.len(), 2);
    }
    Ok(())
}
