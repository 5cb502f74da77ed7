use super::{
    tables_test::{Model, Request, batch_of, check, request, small},
    *,
};
use crate::{
    Database, Durability, Result,
    streams::meanwhile::{self, Moment},
};
use annals_disk::{SimDisk, SimOptions};
use std::collections::BTreeSet;

/// Appends and flushes events, so many a part.
fn parts(
    table: &EventTable,
    model: &mut Model,
    numbers: std::ops::Range<u64>,
    rows: u64,
) -> Result<()> {
    for n in numbers {
        // Many of the same time.
        let event = request(n, (n / 7) as i64);
        model.insert((event.at, n), event.clone());
        table.append(&event)?;
        if (n + 1).is_multiple_of(rows) {
            table.flush()?;
        }
    }
    Ok(())
}

#[test]
fn merged_parts_have_the_events_in_their_order_and_not_those_that_were_deleted() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(5));
    let mut db = small(&disk).open("db")?;
    let mut model = Model::new();
    for round in 0..12u64 {
        let table = db.table_of::<Request>("requests")?;
        parts(&table, &mut model, round * 40..round * 40 + 40, 10)?;
        let gone = [round * 40 + 3, round * 30, round * 7].map(|n| n.to_string());
        table.delete_events(&gone)?;
        model.retain(|_, event| !gone.contains(&event.id));
        let before = table.view()?;
        let merged = table.merge_parts()?;
        assert!(
            merged.parts_count > 0 && merged.merged_count >= 4 * merged.parts_count,
            "{merged:?}"
        );
        assert_eq!(before.len(), model.len() as u64, "who has looked before has what there was");
        drop(before);
        check(&table, &model)?;
        let stats = table.stats()?;
        assert!(stats.parts_count <= 10, "{stats:?}");
        if round % 3 == 1 {
            db.compact()?;
            check(&table, &model)?;
        }
        drop(table);
        if round % 4 == 2 {
            db.close()?;
            db = small(&disk).open("db")?;
        }
    }
    let table = db.open_table("requests")?;
    check(&table, &model)?;
    assert!(db.verify(&mut |_| {})?.is_intact());
    assert_eq!(table.merge_parts()?, MergeReport::default(), "there is nothing left to do");
    Ok(())
}

/// What is merged after the log was compacted would lie in it twice, until it is compacted again.
#[test]
fn compacting_merges_first_and_leaves_nothing_twice() -> Result<()> {
    let db = small(&SimDisk::new(SimOptions::seeded(6))).open("db")?;
    let table = db.table_of::<Request>("requests")?;
    let mut model = Model::new();
    parts(&table, &mut model, 0..400, 50)?;
    assert_eq!(table.stats()?.parts_count, 8);
    db.compact()?;
    let stats = table.stats()?;
    assert!(stats.parts_count < 4, "{stats:?}");
    db.tick()?;
    let log = db.stats().log;
    assert!(log.content_bytes - log.live_bytes < log.content_bytes / 10, "{log:?}");
    check(&table, &model)
}

#[test]
fn what_was_deleted_is_gone_for_good_when_half_of_a_part_is() -> Result<()> {
    let db = Database::open_in_memory()?;
    let table = db.table_of::<Request>("requests")?;
    let mut model = Model::new();
    parts(&table, &mut model, 0..20, 10)?;
    table.delete_events((0..4).map(|n| n.to_string()))?;
    assert_eq!(table.merge_parts()?, MergeReport::default(), "less than half");
    assert_eq!(table.stats()?.deleted_count, 4);
    table.delete_events((4..15).map(|n| n.to_string()))?;
    let merged = table.merge_parts()?;
    assert_eq!((merged.merged_count, merged.parts_count, merged.events_count), (2, 1, 5));
    assert_eq!(table.stats()?.deleted_count, 0);
    assert_eq!(table.space().len(), 2, "the schema and a part");
    model.retain(|_, event| event.id.parse::<u64>().expect("a number") >= 15);
    check(&table, &model)
}

#[test]
fn what_is_deleted_dropped_or_flushed_while_parts_are_merged_is_so() -> Result<()> {
    for moment in [Moment::PartMade, Moment::PartCommitted] {
        for what in ["delete", "drop", "flush", "look"] {
            if moment == Moment::PartCommitted && what != "look" {
                // The others wait until it is done.
                continue;
            }
            let db = Database::open_in_memory()?;
            let table = db.table_of::<Request>("requests")?;
            let mut model = Model::new();
            parts(&table, &mut model, 0..40, 10)?;
            let event = request(100, 3);
            table.append(&event)?;
            model.insert((3, 100), event);
            match what {
                "delete" => model.retain(|_, event| event.id != "11" && event.id != "100"),
                "drop" => model.retain(|_, event| event.id.parse::<u64>().expect("one") >= 10),
                _ => {}
            }
            let deed = {
                let (table, mut is_done) = (table.clone(), false);
                move || {
                    if std::mem::replace(&mut is_done, true) {
                        return;
                    }
                    match what {
                        "delete" => {
                            assert_eq!(table.delete_events(["11", "100"]).expect("done"), 2);
                        }
                        "drop" => {
                            assert_eq!(table.gc(2).expect("done").parts_count, 1);
                        }
                        "flush" => {
                            table.flush().expect("flushed");
                        }
                        _ => drop(table.view().expect("a view")),
                    }
                }
            };
            meanwhile::each_time(moment, deed, || table.merge_parts())?;
            check(&table, &model)?;
            table.flush()?;
            check(&table, &model)?;
        }
    }
    Ok(())
}

#[test]
fn who_looks_while_parts_are_merged_sees_each_event_once() -> Result<()> {
    for moment in [Moment::TableKnown, Moment::PartsLookedUp] {
        let db = Database::open_in_memory()?;
        let table = db.table_of::<Request>("requests")?;
        let mut model = Model::new();
        parts(&table, &mut model, 0..40, 10)?;
        let deed = {
            let (table, mut round) = (table.clone(), 0);
            move || {
                round += 1;
                if round < 4 {
                    for n in 0..4 {
                        table.append(&request(1_000 * round + n, 500)).expect("appended");
                        table.flush().expect("flushed");
                    }
                    table.merge_parts().expect("merged");
                }
            }
        };
        let view = meanwhile::each_time(moment, deed, || table.view())?;
        let all = view.scan(&Scan::new().until(500))?;
        let ids: BTreeSet<_> = (0..all.len()).filter_map(|at| all.value(at, 3).as_text()).collect();
        assert_eq!((ids.len(), all.len()), (40, 40), "{moment:?}");
    }
    Ok(())
}

#[test]
fn a_damaged_part_is_left_alone_and_the_rest_is_merged() -> Result<()> {
    let db = Database::open_in_memory()?;
    let table = db.table_of::<Request>("requests")?;
    parts(&table, &mut Model::new(), 0..40, 10)?;
    let number = table.known()?.parts[1].number;
    // Behind a right checksum of the log.
    let mut bytes = table.space().get(keys::part(number))?.expect("there").to_vec();
    bytes[70] ^= 1;
    table.space().insert(keys::part(number), &bytes)?;
    assert_eq!(table.merge_parts().expect_err("damaged").kind(), crate::ErrorKind::Corrupt);
    assert_eq!(table.view()?.parts_count(), 4, "nothing was given up");
    parts(&table, &mut Model::new(), 40..50, 10)?;
    // In the background it is not tried again.
    while table.merge_some(&|| false)?.is_some() {}
    assert_eq!(table.view()?.parts_count(), 2, "that one, and what was made of the others");
    Ok(())
}

/// Appends, flushes, deletes, merges, drops; says what there is after each step that returned.
fn script(disk: &SimDisk, told: &mut Vec<BTreeSet<u64>>) -> Result<()> {
    let db = small(disk).durability(Durability::Sync).open("db")?;
    let table = db.table_of::<Request>("requests")?;
    let mut now = BTreeSet::new();
    told.push(now.clone());
    for n in 0..9u64 {
        let two = [request(2 * n, n as i64), request(2 * n + 1, n as i64)];
        table.append_batch(&batch_of(&two)?)?;
        now.extend([2 * n, 2 * n + 1]);
        told.push(now.clone());
        if n < 8 {
            table.flush()?;
        }
        if n % 4 == 3 {
            let gone = [2 * n, 2 * n - 3, 1];
            table.delete_events(gone.map(|id| id.to_string()))?;
            now.retain(|id| !gone.contains(id));
            told.push(now.clone());
            assert!(table.merge_parts()?.parts_count > 0);
            db.checkpoint()?;
        }
    }
    table.gc(5)?;
    now.retain(|id| *id >= 8);
    told.push(now.clone());
    db.compact()?;
    table.delete_events(["16"])?;
    now.remove(&16);
    told.push(now);
    Ok(())
}

#[test]
fn a_power_cut_at_any_operation_leaves_what_there_was_before_or_after_a_step() -> Result<()> {
    let whole = SimDisk::new(SimOptions::seeded(9));
    let mut steps = Vec::new();
    script(&whole, &mut steps)?;
    for cut in 0..whole.operations() {
        let disk = SimDisk::new(SimOptions::seeded(cut));
        disk.cut_power_at(cut);
        let mut told = Vec::new();
        let _cut_off = script(&disk, &mut told);
        let disk = disk.restart();
        let db = small(&disk).open("db")?;
        let table = db.table_of::<Request>("requests")?;
        let view = table.view()?;
        let all = view.scan(&Scan::new())?;
        let ids: Vec<u64> = (0..all.len())
            .map(|at| all.value(at, 3).as_text().expect("an id").parse().expect("a number"))
            .collect();
        assert!(ids.is_sorted_by(|one, other| one < other), "cut at {cut}: {ids:?}");
        let found: BTreeSet<u64> = ids.into_iter().collect();
        let may_be = &steps[told.len().saturating_sub(1)..steps.len().min(told.len() + 1)];
        assert!(may_be.contains(&found), "cut at {cut}: {found:?} of {may_be:?}");
    }
    Ok(())
}
