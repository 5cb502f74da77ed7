//! What is done again because nobody was told how it ended is done once.

use annals_disk::{SimDisk, SimOptions};
use annals_engine::{
    Background, Database, Durability, Error, ExpectedVersion::Any, NewEvent, Result,
};
use std::sync::Arc;

fn open(disk: &SimDisk) -> Result<Database> {
    let builder = Database::builder().segment_bytes(64 << 10).disk(Arc::new(disk.clone()));
    builder.background(Background::Manual).durability(Durability::Sync).open("db")
}

/// Sells an apple: state, and an event that has the id of the command, between two others in another stream.
fn sell(db: &Database, command: u64) -> Result<bool> {
    let (orders, stock) = (db.category("orders")?, db.hash_keyspace("stock")?);
    let sold =
        stock.get("sold")?.map_or(0, |sold| u64::from_le_bytes(sold[..].try_into().unwrap()));
    let mut batch = db.batch();
    batch.insert(&stock, "sold", (sold + 1).to_le_bytes())?;
    let note = [NewEvent::bytes("note", b"sold")];
    batch.append(&orders, "notes", &note, Any)?;
    let event = NewEvent::bytes("sold", b"1").id(u128::from(command));
    let appended = batch.append(&orders, command % 3, &[event], Any);
    match appended.and_then(|()| batch.commit()) {
        Ok(Some(commit)) => {
            // Which version each got is found by the numbers of the commit.
            let of = |place| Ok::<_, Error>(db.event_at(commit.first_seq.plus(place))?.unwrap());
            assert_eq!((of(1)?.stream(), of(2)?.stream()), ("notes".into(), (command % 3).into()));
            assert_eq!(of(2)?.version(), command / 3);
            assert_eq!(of(2)?.id(), Some(u128::from(command)));
            Ok(true)
        }
        Ok(None) => panic!("it was not empty"),
        Err(Error::DuplicateEvent { id, .. }) => {
            assert_eq!(id, u128::from(command));
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

#[test]
fn a_batch_that_is_repeated_after_a_power_cut_happens_once() -> Result<()> {
    const COMMANDS: u64 = 12;
    let mut repeated_count = 0;
    for seed in 0..200u64 {
        let mut disk = SimDisk::new(SimOptions::seeded(seed));
        let mut next = 0;
        for life in 0..3 {
            disk.cut_power_at(10 + (seed * 7 + life * 31) % 90);
            let lived = (|| {
                let db = open(&disk)?;
                // The last one that came to its end is done again as well.
                for command in u64::saturating_sub(next, 1)..COMMANDS {
                    repeated_count += u64::from(!sell(&db, command)?);
                    next = command + 1;
                }
                db.close()
            })();
            assert!(lived.is_ok() || disk.is_power_cut(), "seed {seed}: {lived:?}");
            disk = disk.restart();
        }
        let db = open(&disk)?;
        for command in next..COMMANDS {
            sell(&db, command)?;
        }
        for command in 0..COMMANDS {
            assert!(!sell(&db, command)?, "seed {seed}, command {command}");
        }
        let (orders, stock) = (db.open_category("orders")?, db.hash_keyspace("stock")?);
        let counts = (0..3u64).map(|id| orders.len(id)).collect::<Result<Vec<_>>>()?;
        assert_eq!((counts, orders.len("notes")?), (vec![COMMANDS / 3; 3], COMMANDS));
        assert_eq!(stock.get("sold")?.as_deref(), Some(&COMMANDS.to_le_bytes()[..]));
    }
    assert!(repeated_count > 200, "only {repeated_count} were repeated");
    Ok(())
}
