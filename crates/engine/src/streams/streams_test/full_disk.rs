//! Log compaction of streams where there is no space for it.

use super::*;
use crate::ErrorKind;

/// Whatever there is space for: what is moved is found, and what is not is found where it was.
#[test]
fn a_compaction_that_has_no_space_leaves_all_events_where_they_are_found() -> Result<()> {
    const STEP_BYTES: u64 = 48 << 10;
    let (mut refused, mut capacity) = (0, STEP_BYTES);
    loop {
        let disk = SimDisk::new(SimOptions::seeded(capacity));
        let db = small(&disk).open("db")?;
        let (category, churn) = (db.category("orders")?, db.hash_keyspace("churn")?);
        let mut model = Model::new();
        let append = |model: &mut Model, n: u64| -> Result<()> {
            let data = [&n.to_le_bytes()[..], &[7; 60]].concat();
            category.append(n % 7, &NewEvent::bytes("happened", &data), Any)?;
            model.entry(n % 7).or_default().push(data);
            // What is overwritten is why segments are compacted.
            churn.insert((n % 5).to_be_bytes(), [1; 200])
        };
        (0..1_500).try_for_each(|n| append(&mut model, n))?;
        disk.set_capacity(capacity);
        let compacted = db.compact();
        if let Err(error) = &compacted {
            assert_eq!(error.kind(), ErrorKind::Full, "{error}");
            refused += 1;
        }
        check(&db, &category, &model)?;
        disk.clear_capacity();
        if compacted.is_ok() {
            assert!(refused > 0, "there was space from the beginning");
            return Ok(());
        }
        // With space it goes on: to append, to compact, and to be opened again.
        (1_500..1_600).try_for_each(|n| append(&mut model, n))?;
        db.compact()?;
        check(&db, &category, &model)?;
        drop((category, churn));
        db.close()?;
        let db = small(&disk).open("db")?;
        check(&db, &db.category("orders")?, &model)?;
        capacity += STEP_BYTES;
    }
}
