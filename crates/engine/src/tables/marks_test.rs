//! The mark of whoever appends is that of what is there, whatever happens to either.

use super::{
    tables_test::{Request, batch_of, request, small},
    *,
};
use crate::{Database, Durability, Error, Result};
use annals_columns::{Batch, WideEvent};
use annals_disk::{SimDisk, SimOptions};
use std::{collections::BTreeSet, time::Duration};

/// Appends batches of two with their numbers as marks; what becomes of them goes on in between.
fn script(disk: &SimDisk, told: &mut Vec<u64>) -> Result<()> {
    let db = small(disk).durability(Durability::Sync).open("db")?;
    let once = TableOptions::default().duplicates(Duplicates::Ignore);
    let table = match db.open_table("requests") {
        Ok(table) => table,
        Err(_) => db.create_table("requests", Request::schema(), once)?,
    };
    for n in 0..9u64 {
        let batch = batch_of(&[request(2 * n, n as i64), request(2 * n + 1, n as i64)])?;
        table.append_batch_marked(&batch, &n.to_le_bytes())?;
        told.push(n);
        match n {
            2 | 4 | 6 => drop(table.flush()?),
            3 => db.checkpoint().map(drop)?,
            5 => db.compact().map(drop)?,
            _ => {}
        }
    }
    // Only how far it has come is new.
    table.append_batch_marked(&Batch::of::<Request>(), &9u64.to_le_bytes())?;
    told.push(9);
    table.merge_parts()?;
    Ok(())
}

/// The mark, and the numbers of the events; they have to go together.
fn found(table: &EventTable) -> Result<Option<u64>> {
    let mark = table.mark()?.map(|mark| u64::from_le_bytes(mark.try_into().expect("eight bytes")));
    let view = table.view()?;
    let events = view.scan(&Scan::new())?;
    let ids: BTreeSet<u64> = events
        .events::<Request>()
        .map(|event| Ok(event?.id.parse().expect("a number")))
        .collect::<Result<_>>()?;
    let expected = mark.map_or(0, |mark| 2 * (mark + 1).min(9));
    assert_eq!((ids.len(), events.len()), (expected as usize, expected as usize), "{mark:?}");
    assert!(ids.last().is_none_or(|last| last + 1 == expected), "{mark:?}: {ids:?}");
    Ok(mark)
}

#[test]
fn a_power_cut_at_any_operation_leaves_the_mark_of_what_is_there() -> Result<()> {
    let whole = SimDisk::new(SimOptions::seeded(31));
    script(&whole, &mut Vec::new())?;
    for cut in 0..whole.operations() {
        let disk = SimDisk::new(SimOptions::seeded(cut));
        disk.cut_power_at(cut);
        let mut told = Vec::new();
        let _cut_off = script(&disk, &mut told);
        let disk = disk.restart();
        let db = small(&disk).open("db")?;
        let table = match db.open_table("requests") {
            Ok(table) => table,
            Err(Error::UnknownKeyspace { .. }) if told.is_empty() => continue,
            Err(error) => return Err(error),
        };
        let mark = match found(&table) {
            Err(Error::NoSchema { .. }) if told.is_empty() => continue,
            mark => mark?,
        };
        assert!(mark >= told.last().copied(), "cut at {cut}: {mark:?}, and {told:?} was told");
    }
    Ok(())
}

#[test]
fn a_mark_outlives_its_events_and_goes_along_with_the_table() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(32));
    script(&disk, &mut Vec::new())?;
    let db = small(&disk).open("db")?;
    let reader = small(&disk).read_only(true).open("db")?;
    let seen = reader.open_table("requests")?;
    assert_eq!((found(&db.open_table("requests")?)?, found(&seen)?), (Some(9), Some(9)));
    db.backup_to("backup")?;
    let table = db.open_table("requests")?;
    table.flush()?;
    assert_eq!(table.gc(i64::MAX)?.events_count, 18);
    table.append_batch_marked(&batch_of(&[request(1, 1)])?, b"later")?;
    table.delete_events(["1"])?;
    table.set_options(TableOptions::default().ttl(Duration::from_millis(1)))?;
    db.compact()?;
    for table in [&table, &seen] {
        assert_eq!((table.mark()?.as_deref(), table.view()?.len()), (Some(&b"later"[..]), 0));
    }
    let refused = TableOptions::default().duplicates(Duplicates::Refuse);
    table.set_options(refused)?;
    let twice = batch_of(&[request(5, 1), request(5, 2)])?;
    assert!(table.append_batch_marked(&twice, b"never").is_err());
    assert!(seen.append_batch_marked(&twice, b"never").is_err());
    assert_eq!(table.mark()?.as_deref(), Some(&b"later"[..]), "nothing was appended");
    drop((table, seen, reader));
    db.close()?;
    let copy: Database = small(&disk).open("backup")?;
    assert_eq!(found(&copy.open_table("requests")?)?, Some(9));
    Ok(())
}
