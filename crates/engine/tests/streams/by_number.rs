//! An event found by its number is the one that all readers tell of, wherever it has gone meanwhile.

use annals_disk::{SimDisk, SimOptions};
use annals_engine::{
    Background, Builder, Database, ExpectedVersion, NewEvent, RecordedEvent, Result, Seq,
};
use std::{collections::BTreeMap, sync::Arc};

fn small(disk: &SimDisk) -> Builder {
    let builder = Database::builder().segment_bytes(64 << 10).disk(Arc::new(disk.clone()));
    builder.background(Background::Manual)
}

type Told = (String, String, u64, Vec<u8>);

fn told(event: &RecordedEvent<'_>) -> Told {
    let stream = event.stream().to_string();
    (event.category().to_owned(), stream, event.version(), event.data().to_vec())
}

/// Each number leads to what `read_all` tells, or to nothing.
fn check(db: &Database) -> Result<BTreeMap<Seq, Told>> {
    let mut all = BTreeMap::new();
    for event in db.read_all(Seq::ZERO)? {
        let event = event?;
        all.insert(event.seq(), told(&event));
    }
    let last = db.last_seq();
    // Once from behind and once from the front: what was learned on the way must not lead astray.
    let numbers = (0..=last.0 + 3).rev().chain(0..=last.0 + 3);
    for seq in numbers.map(Seq).chain([Seq(u64::MAX)]) {
        let found = db.event_at(seq)?;
        assert!(found.as_ref().is_none_or(|event| event.seq() == seq));
        assert_eq!(found.as_ref().map(told).as_ref(), all.get(&seq), "{seq}");
    }
    Ok(all)
}

#[test]
fn each_number_leads_to_its_event_wherever_that_was_moved() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(3));
    let mut db = small(&disk).open("db")?;
    let reader = small(&disk).read_only(true).open("db")?;
    let mut all = BTreeMap::new();
    for round in 0..6u64 {
        let (orders, carts) = (db.category("orders")?, db.category("carts")?);
        let churn = db.hash_keyspace("churn")?;
        let tables = db.keyspace("tables")?;
        for n in 0..150u64 {
            let data = vec![n as u8; (n * 7 % 300) as usize];
            orders.append(n % 13, &NewEvent::bytes("n", &data), ExpectedVersion::Any)?;
            churn.insert((n % 11).to_le_bytes(), vec![round as u8; 900])?;
            tables.insert(n.to_le_bytes(), [round as u8; 20])?;
        }
        // A commit that is longer than a step, of events and other records.
        let mut batch = db.batch();
        for n in 0..300u64 {
            let data = [n as u8; 60];
            batch.append(&carts, n % 3, &[NewEvent::bytes("n", &data)], ExpectedVersion::Any)?;
            if n % 4 == 0 {
                batch.insert(&churn, b"one", [n as u8; 30])?;
            }
        }
        batch.commit()?;
        let now = check(&db)?;
        assert_eq!(check(&reader)?, now);
        assert!(all.iter().all(|(seq, told)| now.get(seq) == Some(told)), "numbers stay");
        assert_eq!(now.len() as u64, (round + 1) * 450);
        all = now;
        match round % 3 {
            0 => {
                db.compact()?;
            }
            1 => {
                db.compact()?;
                drop((orders, carts, churn, tables));
                db.close()?;
                db = small(&disk).open("db")?;
            }
            _ => {
                // Not closed, and tables taken from the log.
                drop((orders, carts, churn, tables));
                let copy = disk.clone();
                db.sync()?;
                assert_eq!(check(&small(&copy).read_only(true).open("db")?)?, all);
            }
        }
        assert_eq!(check(&db)?, all);
        assert_eq!(check(&reader)?, all);
    }
    // What is given up is not found from then on, and what is archived is, by who asks for just that.
    let (orders, carts) = (db.category("orders")?, db.category("carts")?);
    orders.truncate_before(1u64, 3)?;
    carts.delete(2u64)?;
    for _ in 0..2 {
        let left = check(&db)?;
        assert_eq!(check(&reader)?, left);
        let is_left = |told: &Told| match (&*told.0, &*told.1) {
            ("orders", "1") => told.2 >= 3,
            ("carts", "2") => false,
            _ => true,
        };
        assert!(all.iter().all(|(seq, told)| left.contains_key(seq) == is_left(told)));
        db.compact()?;
    }
    let archived = orders.last(3u64)?.expect("an event").seq();
    orders.archive(3u64)?;
    assert!(db.event_at(archived)?.is_some());
    orders.restore(3u64)?;
    db.drop_keyspace("carts")?;
    let left = check(&db)?;
    assert!(left.values().all(|(category, ..)| category == "orders") && left.len() == 900 - 3);
    assert_eq!(check(&reader)?, left);
    Ok(())
}

#[test]
fn events_are_found_while_they_are_moved() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(4));
    let db = small(&disk).open("db")?;
    let (orders, churn) = (db.category("orders")?, db.hash_keyspace("churn")?);
    let mut seqs = Vec::new();
    for n in 0..400u64 {
        let data = n.to_le_bytes();
        let event = NewEvent::bytes("n", &data).with("some", "more bytes");
        seqs.push(orders.append(n % 7, &event, ExpectedVersion::Any)?.first_seq);
        churn.insert([1], [0; 500])?;
    }
    std::thread::scope(|scope| {
        let (db, seqs) = (&db, &seqs);
        let looking: Vec<_> = (0..3)
            .map(|thread| {
                scope.spawn(move || {
                    for round in 0..40 {
                        for n in (thread..seqs.len()).step_by(3) {
                            let event = db.event_at(seqs[n]).unwrap();
                            let event = event.unwrap_or_else(|| panic!("{n} in round {round}"));
                            assert_eq!(event.data(), (n as u64).to_le_bytes());
                        }
                    }
                })
            })
            .collect();
        while looking.iter().any(|thread| !thread.is_finished()) {
            for _ in 0..200 {
                churn.insert([1], [1; 500]).unwrap();
            }
            db.compact().unwrap();
        }
    });
    Ok(())
}
