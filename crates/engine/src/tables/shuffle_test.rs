//! Each id once, at times of all kinds: whatever is appended, deleted, dropped, flushed and merged in which order, there is
//! what a model has, also by another handle and in pages with something between any two.

use super::{tables_test::small, *};
use crate::{Error, Result};
use annals_columns::{Batch, Key, Schema, WideEvent};
use annals_disk::{SimDisk, SimOptions};
use std::collections::BTreeMap;

#[derive(Schema, Clone, Debug, PartialEq)]
#[schema(schema_id = 9, crate = annals_columns)]
struct Step {
    #[ts]
    at: i64,
    #[counter]
    bytes: u64,
    #[dim(bloom, rollup)]
    user: Option<String>,
    #[dim]
    kind: String,
    #[id]
    id: Option<String>,
}

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }
}

const TIMES: [i64; 9] =
    [i64::MIN, i64::MIN + 1, -1, 0, 1, 5, 86_400_000_000_000, i64::MAX - 1, i64::MAX];

fn step(random: &mut Random, ids: u64) -> Step {
    Step {
        at: TIMES[random.below(9) as usize],
        bytes: [0, 1, u64::MAX, 1 << 40][random.below(4) as usize],
        user: (random.below(4) > 0).then(|| format!("u{}", random.below(7))),
        kind: ["", "a", "b"][random.below(3) as usize].to_owned(),
        id: (random.below(8) > 0).then(|| random.below(ids).to_string()),
    }
}

/// Events in the order in which they came.
type Model = Vec<Step>;

fn in_order(model: &Model) -> Vec<Step> {
    let mut all = model.clone();
    all.sort_by_key(|step| step.at);
    all
}

/// In pages, with something between any two.
fn pages(
    table: &EventTable,
    mut scan: Scan,
    mut between: impl FnMut() -> Result<()>,
) -> Result<Vec<Step>> {
    let mut all = Vec::new();
    loop {
        let cursor = {
            let view = table.view()?;
            let page = view.scan(&scan)?;
            all.extend(page.events::<Step>().collect::<Result<Vec<_>>>()?);
            page.cursor()
        };
        let Some(cursor) = cursor else { return Ok(all) };
        scan = scan.after(cursor);
        between()?;
        assert!(all.len() < 10_000, "pages have an end");
    }
}

type Groups = BTreeMap<String, (u64, i128)>;

fn check(table: &EventTable, model: &Model, random: &mut Random) -> Result<()> {
    let right = in_order(model);
    let view = table.view()?;
    assert_eq!(view.len(), model.len() as u64);
    assert_eq!(view.scan(&Scan::new())?.events::<Step>().collect::<Result<Vec<_>>>()?, right);
    let low = TIMES[random.below(9) as usize];
    let user = format!("u{}", random.below(8));
    let width = [1u64, 7, 86_400_000_000_000, i64::MAX as u64, u64::MAX][random.below(5) as usize];
    let fields = Step::fields();
    let query = view.query().filter(Step::filter().at_ge(low).user_eq(&user));
    let query = query.group_by(fields.user()).group_by(fields.kind());
    let found = query.group_by(fields.at().buckets(width)).measure(fields.bytes()).run()?;
    let mut expected = Groups::new();
    for one in right.iter().filter(|one| one.at >= low && one.user.as_ref() == Some(&user)) {
        let start = i128::from(one.at).div_euclid(width.into()) * i128::from(width);
        let start = i64::try_from(start).unwrap_or(i64::MIN);
        let group = expected.entry(format!("{user} {} {start}", one.kind)).or_default();
        *group = (group.0 + 1, group.1 + i128::from(one.bytes));
    }
    let mut groups = Groups::new();
    for group in found.groups() {
        let of: Vec<String> = group
            .keys()
            .iter()
            .map(|key| match key {
                Key::Text(text) => (*text).to_owned(),
                Key::Time(start) => start.to_string(),
                other => format!("{other:?}"),
            })
            .collect();
        let before = groups.insert(of.join(" "), (group.rows(), group.measured("bytes")?.sum));
        assert!(before.is_none(), "a group came twice");
    }
    assert_eq!(groups, expected, "from {low} on by {width}");
    // Each time alone, by a range that ends right behind it.
    for at in TIMES {
        let scan = Scan::new().since(at);
        let scan = at.checked_add(1).map_or(scan.clone(), |until| scan.until(until));
        let of: Vec<Step> = view.scan(&scan)?.events::<Step>().collect::<Result<_>>()?;
        assert!(of.iter().eq(right.iter().filter(|one| one.at == at)), "at {at}");
        let day = at.div_euclid(86_400_000_000_000);
        let sum = |one: &&Step| {
            one.at.div_euclid(86_400_000_000_000) == day && one.user.as_ref() == Some(&user)
        };
        let count = right.iter().filter(sum).count() as u64;
        let found = view.rollup_of(2, day, &user)?.map_or(0, |found| found.events_count);
        assert_eq!(found, count, "{user} of day {day}");
    }
    for id in (0..12).map(|id| id.to_string()) {
        let is_there = model.iter().any(|one| one.id.as_ref() == Some(&id));
        assert_eq!(view.event(&id)?.is_some(), is_there, "id {id}");
    }
    Ok(())
}

fn run(seed: u64) -> Result<()> {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let disk = SimDisk::new(SimOptions::seeded(seed));
    let policy = [Duplicates::Keep, Duplicates::Ignore, Duplicates::Refuse][seed as usize % 3];
    let ids = if seed.is_multiple_of(2) { 12 } else { 4_000 };
    let mut db = small(&disk).open("db")?;
    drop(db.create_table("steps", Step::schema(), TableOptions::default().duplicates(policy))?);
    let reader = small(&disk).read_only(true).open("db")?;
    let mut model = Model::new();
    for _ in 0..40 {
        let table = db.table_of::<Step>("steps")?;
        let action = random.below(12);
        match action {
            0..=4 => {
                // Some are deleted and some are appended, by one commit.
                let gone: Vec<String> =
                    (0..random.below(4)).map(|_| random.below(ids).to_string()).collect();
                let mut commit = db.batch();
                commit.delete_events(&table, &gone)?;
                let mut next = model.clone();
                next.retain(|one| one.id.as_ref().is_none_or(|id| !gone.contains(id)));
                let mut is_refused = false;
                for _ in 0..1 + random.below(2) {
                    let mut batch = Batch::of::<Step>();
                    let before = next.len();
                    let mut has_same = false;
                    let most = if random.below(4) == 0 { 300 } else { 6 };
                    for _ in 0..1 + random.below(most) {
                        let one = step(&mut random, ids);
                        batch.push(&one)?;
                        let is_same = policy != Duplicates::Keep
                            && one.id.is_some()
                            && next.iter().any(|other| other.id == one.id);
                        has_same |= is_same;
                        if !is_same {
                            next.push(one);
                        }
                    }
                    let outcome = commit.append_rows(&table, &batch);
                    if policy == Duplicates::Refuse && has_same {
                        assert!(matches!(outcome, Err(Error::DuplicateId { .. })), "{outcome:?}");
                        next.truncate(before);
                        is_refused = true;
                        break;
                    }
                    outcome?;
                }
                if is_refused {
                    drop(commit);
                } else {
                    commit.commit()?;
                    model = next;
                }
            }
            5 | 6 => drop(table.flush()?),
            7 => drop(table.merge_parts()?),
            8 => {
                let cutoff = TIMES[random.below(9) as usize];
                let report = table.gc(cutoff)?;
                let view = table.view()?;
                let left = view.scan(&Scan::new())?.events::<Step>().collect::<Result<Vec<_>>>()?;
                assert_eq!(left.len() as u64 + report.events_count, model.len() as u64);
                let mut all = in_order(&model).into_iter();
                for one in &left {
                    // What is skipped is older than the cutoff.
                    let older = all.by_ref().take_while(|other| other != one);
                    older.for_each(|other| assert!(other.at < cutoff, "{other:?} {cutoff}"));
                }
                all.for_each(|other| assert!(other.at < cutoff, "{other:?} {cutoff}"));
                drop(view);
                // Of the same time they are in the order in which they came.
                model = left;
            }
            9 => {
                let gone = random.below(ids).to_string();
                let count = table.delete_events([&gone])?;
                let before = model.len();
                model.retain(|one| one.id.as_ref() != Some(&gone));
                assert_eq!(count, (before - model.len()) as u64);
            }
            10 => {
                db.compact()?;
            }
            _ => {
                drop(table);
                db.close()?;
                db = small(&disk).open("db")?;
            }
        }
        let table = db.open_table("steps")?;
        check(&table, &model, &mut random)?;
        check(&reader.open_table("steps")?, &model, &mut random)?;
        let mut turn = random.below(3);
        let limit = 1 + random.below(40) as usize;
        let is_newest_first = turn == 1;
        let scan = Scan::new().limit(limit);
        let scan = if is_newest_first { scan.newest_first() } else { scan };
        let mut found = pages(&table, scan, || {
            turn += 1;
            let what = match turn % 9 {
                3 => format!("{:?}", table.flush()?),
                5 => format!("{:?}", table.merge_parts()?),
                7 => format!("{:?}", db.compact()?),
                _ => return Ok(()),
            };
            let view = table.view()?;
            let (len, parts, fresh) = (view.len(), view.parts_count(), view.fresh_len());
            let told = format!("{len} in {parts} parts and {fresh} fresh");
            assert_eq!(len, model.len() as u64, "turn {turn}: {what}: {told}");
            Ok(())
        })?;
        if is_newest_first {
            found.reverse();
        }
        assert!(found == in_order(&model), "{} events for {}", found.len(), model.len());
    }
    Ok(())
}

#[test]
fn steps_in_any_order_leave_what_a_model_has() -> Result<()> {
    for seed in 0..30 {
        println!("seed {seed}");
        run(seed)?;
    }
    Ok(())
}

/// Numbers are also taken for what comes to nothing; the next opening counts from the records on. A part that got the
/// number of one that is there would take its place, and its events would be gone.
#[test]
fn a_part_gets_no_number_of_one_that_another_opening_has_made() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(1));
    let mut model = Model::new();
    let mut random = Random(7);
    let mut append_and_flush = |table: &EventTable, model: &mut Model| -> Result<()> {
        model.push(step(&mut random, 4_000));
        table.append(model.last().expect("one"))?;
        table.flush().map(drop)
    };
    let parts = |table: &EventTable| -> Result<Vec<u64>> {
        Ok(table.known()?.parts.iter().map(|place| place.number).collect())
    };
    let db = small(&disk).open("db")?;
    let table = db.table_of::<Step>("steps")?;
    let taken = (0..100).map(|_| db.core.next_part(0)).max().expect("some");
    append_and_flush(&table, &mut model)?;
    assert_eq!(parts(&table)?, [taken + 1]);
    drop(table);
    db.close()?;

    let db = small(&disk).open("db")?;
    let table = db.table_of::<Step>("steps")?;
    assert!(db.core.next_part(0) < taken, "the numbers before are forgotten");
    while db.core.next_part(0) < taken {}
    append_and_flush(&table, &mut model)?;
    let parts = parts(&table)?;
    assert_eq!(parts.len(), 2);
    assert_ne!(parts[0], parts[1]);
    let found = table.view()?.scan(&Scan::new())?.events::<Step>().collect::<Result<Vec<_>>>()?;
    assert_eq!(found, in_order(&model));
    db.close()
}
