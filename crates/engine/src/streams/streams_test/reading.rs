//! Reading streams, wherever their events are.

use super::*;

#[test]
fn what_is_appended_is_read_in_order() -> Result<()> {
    let db = Database::open_in_memory()?;
    let category = db.category("orders")?;
    let mut model = Model::new();
    for n in 0..500u64 {
        for id in [1, n % 7, u64::MAX - n % 3] {
            let data = format!("event {n} of {id}").into_bytes();
            let events = model.entry(id).or_default();
            let expected = match events.len() {
                0 => NoStream,
                len => Exact(len as u64 - 1),
            };
            let appended = category.append(id, &NewEvent::bytes("happened", &data), expected)?;
            assert_eq!(appended.last_version, events.len() as u64);
            events.push(data);
        }
    }
    check(&db, &category, &model)?;
    assert_eq!(category.streams_count()?, model.len() as u64);
    let mut told = BTreeMap::new();
    category.each_stream(|id, last| {
        told.insert(id.to_string(), last + 1);
        Ok(())
    })?;
    let wanted = model.iter().map(|(id, events)| (id.to_string(), events.len() as u64));
    assert_eq!(told, wanted.collect());
    Ok(())
}

#[test]
fn streams_of_every_length_and_span_are_read_from_everywhere() -> Result<()> {
    let db = Database::open_in_memory()?;
    let category = db.category("lengths")?;
    for len in [1u64, 2, 15, 16, 17, 31, 32, 33, 100] {
        let data: Vec<[u8; 8]> = (0..len).map(u64::to_le_bytes).collect();
        let events: Vec<_> = data.iter().map(|data| NewEvent::bytes("n", data)).collect();
        category.append_many(len, &events, NoStream)?;
        for from in 0..=len + 1 {
            let read: Vec<u64> =
                category.read(len)?.from(from).map(|e| Ok(e?.version())).collect::<Result<_>>()?;
            assert_eq!(read, (from..len).collect::<Vec<_>>());
            let back: Vec<u64> = category
                .read(len)?
                .back_from(from)
                .map(|e| Ok(e?.version()))
                .collect::<Result<_>>()?;
            assert_eq!(back, (0..len.min(from + 1)).rev().collect::<Vec<_>>());
        }
    }
    Ok(())
}

#[test]
fn nothing_is_lost_by_reopening_compaction_and_a_lost_checkpoint() -> Result<()> {
    for lose_checkpoint in [false, true] {
        let disk = SimDisk::new(SimOptions::seeded(3));
        let mut model = Model::new();
        let mut n = 0u64;
        for round in 0..12u64 {
            let db = small(&disk).open("db")?;
            let (category, hashed) = (db.category("orders")?, db.hash_keyspace("churn")?);
            check(&db, &category, &model)?;
            for _ in 0..300 {
                n += 1;
                let id = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58;
                let data = format!("{n} in round {round}").into_bytes();
                let mut event = NewEvent::bytes("happened", &data);
                if n.is_multiple_of(3) {
                    event = event.id(n.into());
                }
                category.append(id, &event, Any)?;
                model.entry(id).or_default().push(data);
                // What dies, so that segments are given up.
                hashed.insert((n % 10).to_be_bytes(), [1; 400])?;
            }
            let before = db.stats().log.content_bytes;
            let report = db.compact()?;
            assert!(report.moved_count > 0 || round == 0, "round {round}: {report:?}");
            assert!(db.stats().log.content_bytes < before);
            check(&db, &category, &model)?;
            if round % 2 == 0 {
                category.append(1u64, &NewEvent::bytes("happened", b"late"), Any)?;
                model.entry(1).or_default().push(b"late".to_vec());
            }
            assert!(
                category
                    .append(
                        n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 58,
                        &NewEvent::bytes("happened", b"").id((n / 3 * 3).into()),
                        Any
                    )?
                    .was_there
                    || !n.is_multiple_of(3)
            );
            db.close()?;
            if lose_checkpoint {
                let is_one = |path: &PathBuf| path.extension().is_some_and(|end| end == "ckp");
                for path in disk.paths().into_iter().filter(is_one) {
                    disk.remove(&path).expect("removed");
                }
            }
        }
    }
    Ok(())
}

/// A thread remembers by its key which stream it was in: of keys that are alike, and too long to be kept, none is taken
/// for another.
#[test]
fn events_are_got_in_turn_from_streams_with_ids_of_any_length() -> Result<()> {
    const EVENTS: u64 = 40;
    let db = Database::open_in_memory()?;
    let categories = [db.category("orders")?, db.category("carts")?];
    let mut ids: Vec<StreamId<'static>> = vec![0u64.into(), 1u64.into(), 256u64.into()];
    ids.extend([u64::MAX.into(), StreamId::Uuid(7 << 64), StreamId::Uuid(8 << 64)]);
    for len in [1, 2, 21, 22, 23, 24, 25, 26, 60] {
        ids.extend(["x", "y"].map(|end| format!("{}{end}", "x".repeat(len)).into()));
    }
    let data = |category: usize, id: usize, version: u64| {
        [category as u64, id as u64, version].map(u64::to_le_bytes).concat()
    };
    for (at, category) in categories.iter().enumerate() {
        for (index, id) in ids.iter().enumerate() {
            let all: Vec<_> = (0..EVENTS).map(|version| data(at, index, version)).collect();
            let all: Vec<_> = all.iter().map(|data| NewEvent::bytes("n", data)).collect();
            category.append_many(id, &all, Any)?;
        }
    }
    let check = |at: usize, index: usize, version: u64| -> Result<()> {
        let event = categories[at].get(&ids[index], version)?.expect("it was appended");
        assert_eq!(data_of(&event), data(at, index, version), "{} {version}", ids[index]);
        Ok(())
    };
    // Each stream from its beginning, and then the next event of all in turn.
    for index in 0..ids.len() {
        for version in 0..EVENTS {
            check(0, index, version)?;
            check(1, index, version)?;
        }
        (0..EVENTS).try_for_each(|version| check(index % 2, index, version))?;
    }
    for version in 0..EVENTS {
        (0..ids.len()).try_for_each(|index| check(version as usize % 2, index, version))?;
    }
    Ok(())
}
