//! What is damaged of a table costs what needs it, and nothing else.

use super::*;
use crate::{Background, Database, Error, ErrorKind, Result};
use annals_columns::{Batch, Schema};
use annals_disk::{SimDisk, SimOptions};
use annals_journal::Damage;
use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

const DAY: i64 = 86_400_000_000_000;
/// Events of each day; those of a day are flushed together.
const ROWS: u64 = 700;

#[derive(Schema, Clone, Debug, PartialEq)]
#[schema(schema_id = 1, crate = annals_columns)]
struct Sale {
    #[ts]
    at: i64,
    #[counter]
    cost: u64,
    #[metric]
    weight: Option<f64>,
    #[status]
    status: u16,
    #[dim(bloom, rollup)]
    user: String,
    #[dim]
    shop: Option<String>,
    #[label]
    note: String,
    #[id]
    id: String,
}

fn sale(day: i64, n: u64) -> Sale {
    let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Sale {
        at: day * DAY + n as i64 * 1_000_003 + (mixed >> 60) as i64,
        cost: mixed >> 40,
        weight: (!n.is_multiple_of(5)).then_some((mixed >> 50) as f64 / 3.0),
        status: [200, 404, 503][n as usize % 3],
        user: format!("user {}", mixed >> 58),
        shop: (!n.is_multiple_of(7)).then(|| format!("shop {}", n % 4)),
        note: format!("{mixed:x} {}", "and so on ".repeat(n as usize % 3)),
        id: format!("{day}-{n}"),
    }
}

fn append(table: &EventTable, day: i64, rows: Range<u64>) -> Result<()> {
    let mut batch = Batch::of::<Sale>();
    for n in rows {
        batch.push(&sale(day, n))?;
    }
    table.append_batch(&batch).map(drop)
}

/// A closed database whose table `sales` has parts of the days 0, 1 and 2, and fresh events of day 3.
struct Sample {
    disk: SimDisk,
    /// By the order of their days.
    parts: Vec<Place>,
    batch: Place,
    right: Vec<(&'static str, String)>,
}

/// Where the value of a record lies, and the record itself.
#[derive(Clone, Debug)]
struct Place {
    path: PathBuf,
    record: u64,
    value: Range<u64>,
    /// Where its sections begin and end, and what they are.
    sections: Vec<(Range<u64>, String)>,
}

fn open(disk: &SimDisk) -> Result<Database> {
    let builder = Database::builder().segment_bytes(4 << 20).disk(Arc::new(disk.clone()));
    builder.background(Background::Manual).open("db")
}

fn place_of(table: &EventTable, key: &[u8]) -> Result<Place> {
    let hit = table.space().hit(key)?.expect("it is there");
    let annals_journal::Error::Damaged { path, .. } = hit.guard.damage(0, "") else {
        panic!("an error of another kind")
    };
    let (at, len) = hit.record.value;
    let value = u64::from(at)..u64::from(at + len);
    Ok(Place { path, record: hit.address.offset.into(), value, sections: Vec::new() })
}

fn sample() -> Result<Sample> {
    let disk = SimDisk::new(SimOptions { writeback_chance: 0.0, ..SimOptions::seeded(4) });
    let db = open(&disk)?;
    let table = db.table_of::<Sale>("sales")?;
    let mut parts = Vec::new();
    for day in 0..3 {
        append(&table, day, 0..ROWS)?;
        table.flush()?;
        let known = table.known()?;
        let number = known.parts.last().expect("one").number;
        let mut place = place_of(&table, &keys::part(number))?;
        let view = table.view()?;
        let mut from = place.value.start + 64;
        for (len, name) in view.parts().last().expect("one").sections() {
            place.sections.push((from..from + len as u64, name));
            from += len as u64;
        }
        parts.push(place);
    }
    append(&table, 3, 0..50)?;
    let known = table.known()?;
    let batch = place_of(&table, &keys::fresh(known.fresh[0].number))?;
    let right = ask(&table.view()?);
    let right = right.into_iter().map(|(name, found)| Ok((name, found?))).collect::<Result<_>>()?;
    drop(table);
    db.close()?;
    Ok(Sample { disk, parts, batch, right })
}

impl Sample {
    /// The database with a byte changed. What was changed before is as it was.
    fn flipped(&self, path: &Path, at: u64) -> Result<Database> {
        let disk = self.disk.restart_clean();
        let mut bytes = disk.file_bytes(path).expect("it is there");
        bytes[at as usize] ^= 0x14;
        disk.set_file_bytes(path, &bytes).expect("written");
        open(&disk)
    }

    /// Asks a table all questions: each is answered as it was without damage, or with an error that names the file. Says
    /// which were answered.
    fn answered(&self, view: &TableView<'_>, path: &Path) -> Vec<&'static str> {
        let found = ask(view).into_iter().zip(&self.right);
        let right = found.filter(|((name, found), (_, right))| match found {
            Ok(found) => {
                assert!(found == right, "{name}");
                true
            }
            Err(error) => {
                is_named(error, path);
                false
            }
        });
        right.map(|((name, _), _)| name).collect()
    }
}

fn is_named(error: &Error, path: &Path) {
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    let text = error.to_string();
    assert!(text.contains(&*path.to_string_lossy()) && text.contains("`sales`"), "{text}");
    assert!(text.contains("restore it from a backup") && text.contains("drop_damaged"), "{text}");
}

/// What a group has, without the answer that it is of.
fn group_text(group: &FoundGroup<'_>) -> String {
    let text = format!("{group:?}");
    text.split_once(", of: ").map_or_else(String::new, |(text, _)| text.to_owned())
}

/// All questions, with what comes of them.
fn ask(view: &TableView<'_>) -> Vec<(&'static str, Result<String>)> {
    let fields = Sale::fields();
    let groups = |query: TableQuery<'_>| -> Result<String> {
        let found = query.run()?;
        let mut lines: Vec<_> = found.groups().iter().map(|group| group_text(group)).collect();
        lines.sort();
        Ok(lines.join("\n"))
    };
    let rows = |scan: Scan| -> Result<String> {
        let found = view.scan(&scan)?;
        let all = found.events::<Sale>().collect::<Result<Vec<_>>>()?;
        Ok(format!("{all:?}"))
    };
    let event = |id: &str| -> Result<String> {
        let found = view.event(id)?.map(|found| found.event::<Sale>(0)).transpose()?;
        Ok(format!("{found:?}"))
    };
    let of_day = |day: i64| Sale::filter().since(day * DAY).until((day + 1) * DAY);
    let rollup = |day| Ok(format!("{:?}", view.rollup(4, day)?.iter().collect::<Vec<_>>()));
    let median = || -> Result<String> {
        let found = view.query().quantiles(fields.cost()).run()?;
        Ok(format!("{:?}", found.total()?.quantiles(fields.cost())?.at_each(&[0.5])))
    };
    vec![
        ("count", view.count(Sale::filter().status_ge(0)).map(|count| count.to_string())),
        ("cost", groups(view.query().measure_bounds(fields.cost()))),
        ("weight", view.totals(2).map(|totals| format!("{totals:?}"))),
        (
            "errors",
            groups(view.query().filter(Sale::filter().status_ge(500)).measure(fields.cost())),
        ),
        ("by user", groups(view.query().group_by(fields.user()).measure(fields.cost()))),
        ("by shop", groups(view.query().group_by(fields.shop()))),
        (
            "one user",
            groups(view.query().filter(Sale::filter().user_eq("user 3")).measure(fields.cost())),
        ),
        ("median", median()),
        ("day 0", groups(view.query().filter(of_day(0)).measure(fields.cost()))),
        ("day 1", groups(view.query().filter(of_day(1)).measure(fields.cost()))),
        ("day 2", groups(view.query().filter(of_day(2)).group_by(fields.user()))),
        ("day 3", groups(view.query().filter(of_day(3)).group_by(fields.shop()))),
        ("newest", rows(Scan::new().newest_first().limit(60))),
        ("oldest", rows(Scan::new().limit(ROWS as usize))),
        ("all", rows(Scan::new())),
        ("rows of day 2", rows(Scan::new().since(2 * DAY).until(3 * DAY))),
        ("rows of day 1", rows(Scan::new().filter(of_day(1)))),
        ("event 0", event("0-5")),
        ("event 1", event("1-5")),
        ("event 3", event("3-5")),
        ("no event", event("nobody")),
        ("rollup 0", rollup(0)),
        ("rollup 1", rollup(1)),
        ("rollup 2", rollup(2)),
    ]
}

/// What is asked of other days than that of the middle part.
const OF_OTHER_DAYS: [&str; 9] = [
    "day 0",
    "day 2",
    "day 3",
    "newest",
    "oldest",
    "rows of day 2",
    "rollup 0",
    "rollup 2",
    "event 3",
];

/// Events go on to be appended, flushed, merged and dropped.
fn goes_on(table: &EventTable) -> Result<()> {
    let before = table.view()?.len();
    append(table, 4, 0..20)?;
    assert!(table.flush()?.parts_count > 0);
    for day in 5..9 {
        append(table, day, 0..20)?;
        table.flush()?;
    }
    assert!(table.merge_parts()?.merged_count >= 4);
    assert_eq!(table.view()?.len(), before + 100);
    let of_day = Sale::filter().since(4 * DAY);
    assert_eq!(table.view()?.count(of_day)?, 100);
    Ok(())
}

/// What is left without the damaged events is the same by a view and for good.
fn drop_damaged(db: &Database, lost: u64) -> Result<()> {
    let table = db.open_table("sales")?;
    let all = table.view()?.len();
    let view = table.view()?.without_damage()?;
    assert!(view.damages().len() > 0);
    let left = view.len();
    let answers = ask(&view);
    let answers: Vec<String> =
        answers.into_iter().map(|(_, found)| found).collect::<Result<_>>()?;
    drop(view);
    let report = table.drop_damaged()?;
    assert_eq!((report.parts_count + report.batches_count, report.events_count), (1, lost));
    for _ in 0..2 {
        let view = table.view()?;
        assert_eq!((view.len(), view.damages().len()), (left, 0));
        let now = ask(&view).into_iter().map(|(_, found)| found).collect::<Result<Vec<_>>>()?;
        assert!(now == answers);
        table.shape().forget();
    }
    assert!(all >= left && all <= left + lost);
    assert_eq!(table.drop_damaged()?, GcReport::default(), "that was all");
    append(&table, 9, 0..5)?;
    assert_eq!(table.delete_events(["9-1"])?, 1);
    Ok(())
}

#[test]
fn a_damaged_section_costs_the_questions_that_need_it() -> Result<()> {
    let sample = sample()?;
    let place = &sample.parts[1];
    let mut costs = Vec::new();
    for (range, name) in place.sections.iter().filter(|(range, _)| !range.is_empty()) {
        let at = range.start.midpoint(range.end);
        let db = sample.flipped(&place.path, at)?;
        let table = db.open_table("sales")?;
        let view = table.view()?;
        assert_eq!((view.len(), view.damages().len()), (3 * ROWS + 50, 0), "{name}");
        let answered = sample.answered(&view, &place.path);
        assert!(OF_OTHER_DAYS.iter().all(|one| answered.contains(one)), "{name}: {answered:?}");
        costs.push((name.as_str(), sample.right.len() - answered.len()));
        if let Err(error) = ask(&view).swap_remove(14).1 {
            assert!(error.to_string().contains(name.as_str()), "{name}: {error}");
        }
        drop(view);
        let verified = db.verify(&mut |_| {})?;
        let is_told = |damage: &Damage| {
            let whose = format!("the {name} of part");
            damage.what.contains(&whose) && damage.what.contains("the event table `sales`")
        };
        assert!(verified.damages.iter().any(is_told), "{:?}", verified.damages);
        goes_on(&table)?;
        assert_eq!(table.gc(DAY)?.parts_count, 1, "of day 0");
        assert_eq!(table.gc(2 * DAY)?.events_count, ROWS, "the damaged one");
        assert_eq!(table.view()?.count(Sale::filter().until(2 * DAY))?, 0);
        drop(table);
        drop_damaged(&sample.flipped(&place.path, at)?, ROWS)?;
    }
    let cost = |name: &str| costs.iter().find(|(known, _)| *known == name).map(|(_, cost)| *cost);
    assert_eq!(cost("rows by value of `user`"), Some(1), "{costs:?}");
    assert!(cost("sums by day of `user`") == Some(1), "{costs:?}");
    // None is asked for by these questions of what bounds there are for the order of arrival.
    let is_asked = |(name, cost): &(&str, usize)| *cost > 0 || name.starts_with("zones");
    assert!(costs.iter().all(|cost| is_asked(cost) && cost.1 < 15), "{costs:?}");
    Ok(())
}

/// What is read where it lies is verified first: who asks for the day is told, and nobody of what is wrong in it.
#[test]
fn damage_to_sums_by_day_is_told_by_who_asks_for_the_day() -> Result<()> {
    let sample = sample()?;
    let place = &sample.parts[1];
    for wanted in ["sums by day of `user`", "dictionary of `user`"] {
        let section = place.sections.iter().find(|(_, name)| name == wanted);
        let (range, _) = section.expect("it is there");
        for at in range.clone().step_by(37) {
            let db = sample.flipped(&place.path, at)?;
            let table = db.open_table("sales")?;
            let view = table.view()?;
            for error in [view.rollup(4, 1).err(), view.rollup_day(1).err()] {
                let error = error.expect("it is damaged");
                is_named(&error, &place.path);
                assert!(error.to_string().contains(wanted), "{error}");
            }
            is_named(&view.rollup_of(4, 1, "user 3").unwrap_err(), &place.path);
            let others = [0, 2].map(|day| view.rollup(4, day).map(|day| day.is_in_place()));
            assert!(
                others
                    .into_iter()
                    .all(|is_in_place| is_in_place.is_ok_and(|is_in_place| is_in_place))
            );
        }
    }
    Ok(())
}

#[test]
fn a_part_that_is_damaged_as_a_whole_is_in_the_way_of_its_events() -> Result<()> {
    let sample = sample()?;
    let place = &sample.parts[1];
    let behind = place.sections.last().expect("some").0.end;
    let (header, directory, footer) = (place.value.start + 20, behind + 30, place.value.end - 40);
    {
        let db = sample.flipped(&place.path, header)?;
        let table = db.open_table("sales")?;
        let view = table.view()?;
        let answered = sample.answered(&view, &place.path);
        assert_eq!(answered.len(), sample.right.len(), "the footer has it");
        assert_eq!(view.without_damage()?.damages().len(), 1, "it is damaged nevertheless");
    }
    let (key, len) = (place.value.start - 2, place.record + 11);
    for (at, is_told) in [(directory, true), (footer, true), (len, true), (key, false)] {
        let db = sample.flipped(&place.path, at)?;
        let table = db.open_table("sales")?;
        let view = table.view()?;
        assert_eq!((view.len(), view.damages().len()), (2 * ROWS + 50, 1), "{at}");
        let answered = sample.answered(&view, &place.path);
        let damage = view.damages().next().expect("one");
        is_named(&damage.error, &place.path);
        if is_told {
            assert!(OF_OTHER_DAYS.iter().all(|one| answered.contains(one)), "{at}: {answered:?}");
            assert_eq!(damage.events_count, Some(ROWS));
            assert_eq!(damage.times.map(|(first, last)| (first / DAY, last / DAY)), Some((1, 1)));
        } else {
            assert!(answered.is_empty(), "it may be any events: {answered:?}");
        }
        assert_eq!(table.stats()?.damages_count, 1);
        drop(view);
        append(&table, 3, 50..60)?;
        table.flush()?;
        let left = table.view()?.without_damage()?;
        let count = left.count(Sale::filter().status_ge(0))?;
        assert_eq!((left.len(), count), (2 * ROWS + 60, 2 * ROWS + 60));
        drop(left);
        if is_told {
            goes_on(&table)?;
            assert_eq!(table.gc(2 * DAY)?.events_count, 2 * ROWS, "the damaged one, too");
            assert_eq!(table.view()?.damages().len(), 0);
            drop(table);
            drop_damaged(&sample.flipped(&place.path, at)?, ROWS)?;
        } else {
            is_named(&table.drop_damaged().expect_err("nobody knows its key"), &place.path);
        }
    }
    Ok(())
}

#[test]
fn a_damaged_batch_is_in_the_way_of_all_but_what_goes_on() -> Result<()> {
    let sample = sample()?;
    let place = &sample.batch;
    for at in
        [place.value.start + 6, place.value.start + 200, place.value.end - 3, place.record + 1]
    {
        let db = sample.flipped(&place.path, at)?;
        let table = db.open_table("sales")?;
        let verified = db.verify(&mut |_| {})?;
        let is_told = |damage: &Damage| damage.what.contains("of the event table `sales`");
        assert!(verified.damages.iter().any(is_told), "{:?}", verified.damages);
        let view = table.view()?;
        assert_eq!((view.len(), view.damages().len()), (3 * ROWS, 1));
        assert_eq!(sample.answered(&view, &place.path), Vec::<&str>::new());
        drop(view);
        goes_on(&table).expect_err("nobody knows of which times the lost ones are");
        assert_eq!(table.stats()?.damages_count, 1);
        assert_eq!(table.gc(DAY)?.events_count, ROWS);
        is_named(&table.delete_events(["2-5"]).unwrap_err(), &place.path);
        drop(table);
        let db = sample.flipped(&place.path, at)?;
        drop_damaged(&db, 0)?;
        db.close()?;
    }
    Ok(())
}

/// What was deleted, the mark, the options and the schema are records beside parts and batches.
#[test]
fn what_is_beside_the_events_is_in_the_way_of_what_it_is_about() -> Result<()> {
    let disk = SimDisk::new(SimOptions { writeback_chance: 0.0, ..SimOptions::seeded(5) });
    let db = open(&disk)?;
    let table = db.table_of::<Sale>("sales")?;
    for day in 0..3 {
        append(&table, day, 0..ROWS)?;
        table.flush()?;
    }
    let mut last = Batch::of::<Sale>();
    last.push(&sale(3, 0))?;
    last.push(&sale(3, 1))?;
    table.append_batch_marked(&last, b"as far as this")?;
    table.delete_events(["1-5", "3-1"])?;
    let options = TableOptions::default().ttl(std::time::Duration::from_secs(1 << 32));
    table.set_options(options)?;
    let known = table.known()?;
    let (part, batch) = (known.parts[1].number, known.fresh[0].number);
    let keys: [&[u8]; 5] = [
        &keys::deleted(part),
        &keys::deleted_fresh(batch),
        keys::MARK,
        keys::OPTIONS,
        keys::SCHEMA,
    ];
    let places: Vec<Place> = keys.iter().map(|key| place_of(&table, key)).collect::<Result<_>>()?;
    let right = ask(&table.view()?);
    let right = right.into_iter().map(|(name, found)| Ok((name, found?))).collect::<Result<_>>()?;
    drop((table, known));
    db.close()?;
    let sample = Sample { disk, parts: Vec::new(), batch: places[0].clone(), right };
    let all = 3 * ROWS;
    for (at, place) in places.iter().enumerate() {
        // In the value, and in the key.
        for byte in [place.value.end - 1, place.value.start - 1] {
            let db = sample.flipped(&place.path, byte)?;
            let table = db.open_table("sales")?;
            let is_value = byte >= place.value.start;
            if at >= 3 {
                is_named(&table.view().unwrap_err(), &place.path);
                is_named(&append(&table, 5, 0..1).unwrap_err(), &place.path);
                continue;
            }
            let view = table.view()?;
            let answered = sample.answered(&view, &place.path);
            match at {
                0 if is_value => {
                    let of_others = |one: &&str| *one == "event 3" || answered.contains(one);
                    assert!(OF_OTHER_DAYS.iter().all(of_others), "{answered:?}");
                    assert!(!answered.contains(&"event 1"), "it may be one that was deleted");
                    assert_eq!((view.len(), view.damages().len()), (all - ROWS + 1, 1));
                }
                1 if is_value => {
                    assert!(answered.is_empty(), "{answered:?}");
                    assert_eq!((view.len(), view.damages().len()), (all - 1, 1));
                }
                2 => {
                    assert_eq!(answered.len(), sample.right.len());
                    let error = table.mark().unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
                    let batch = Batch::of::<Sale>();
                    table.append_batch_marked(&batch, b"anew")?;
                    assert_eq!(table.mark()?.as_deref(), Some(&b"anew"[..]));
                }
                _ => assert!(answered.is_empty(), "it may be any record: {answered:?}"),
            }
            drop(view);
            append(&table, 4, 0..10)?;
            table.flush()?;
            if is_value && at < 2 {
                let lost = if at == 0 { ROWS } else { 0 };
                drop(table);
                drop_damaged(&db, lost)?;
            }
        }
    }
    Ok(())
}

#[test]
fn who_only_reads_is_told_the_same() -> Result<()> {
    let sample = sample()?;
    let place = &sample.parts[1];
    let at = place.sections[0].0.start;
    drop(sample.flipped(&place.path, at)?);
    let disk = sample.disk.restart_clean();
    for at in [at, place.value.end - 40, place.value.start - 2] {
        let mut bytes = disk.file_bytes(&place.path).expect("it is there");
        let right = bytes.clone();
        bytes[at as usize] ^= 0x14;
        disk.set_file_bytes(&place.path, &bytes).expect("written");
        let builder = Database::builder().disk(Arc::new(disk.clone())).read_only(true);
        let db = builder.open("db")?;
        let table = db.open_table("sales")?;
        let answered = sample.answered(&table.view()?, &place.path);
        assert_eq!(answered.contains(&"day 0"), at >= place.value.start, "{answered:?}");
        assert!(!answered.contains(&"all"));
        let left = table.view()?.without_damage()?;
        assert_eq!((left.len(), left.damages().len()), (2 * ROWS + 50, 1));
        let refused = table.drop_damaged().unwrap_err().kind();
        let is_known = at >= place.value.start;
        assert_eq!(refused, if is_known { ErrorKind::ReadOnly } else { ErrorKind::Corrupt });
        drop(left);
        drop((table, db));
        disk.set_file_bytes(&place.path, &right).expect("written");
    }
    Ok(())
}
