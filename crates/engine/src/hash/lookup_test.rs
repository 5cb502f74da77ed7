//! What a reader does whose way back was given up while it was on it.

use super::{Sight, Undo, hash_key, table::Slot};
use crate::{Background, Database, Error, Result};
use annals_disk::{SimDisk, SimOptions};
use std::sync::Arc;

/// A reader that has found a record of a frame under way looks up what was there before. The frame may
/// be applied by the time it gets there, and what was replaced given up: taken for the answer, another
/// key's record there would say that the key was never stored.
#[test]
fn a_reader_whose_way_back_leads_to_another_record_searches_again() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(1));
    let builder = Database::builder().background(Background::Manual).disk(Arc::new(disk));
    let db = builder.open("db")?;
    let keys = db.hash_keyspace("keys")?;
    keys.insert("other", "1")?;
    keys.insert("key", "before")?;
    keys.insert("key", "now")?;
    let core = &**db.core;
    let listed = core.catalog.load().by_name("keys").map(|listed| Arc::clone(&listed.keyspace));
    let (space, pin) = (listed.expect("it was made").id, annals_journal::pin());
    let view = keys.parts().1.view.read(&pin);
    let slot_of = |key: &[u8]| {
        let of_key = |slot: Slot| core.same_key(slot, space, key).map(|_| slot);
        view.table.find(hash_key(core.hash_seed, key), of_key).expect("it was stored")
    };
    let found = || {
        let hash = hash_key(core.hash_seed, b"key");
        core.look_up_hashed(view, space, hash, b"key", Sight::Latest)
    };
    let seq = found()?.expect("it was stored").record.seq;

    // As if the frame were still being applied, and the place that it replaced had another life.
    core.show(annals_journal::Seq(seq.0 - 1));
    let undo = Undo::new(seq, 1);
    undo.note(seq, slot_of(b"other"));
    core.undo.store(Some(Arc::new(undo)));
    assert!(matches!(found(), Err(Error::Stale)));

    core.undo.store(None);
    core.show(seq);
    assert_eq!(keys.get("key")?.as_deref(), Some(&b"now"[..]));
    Ok(())
}
