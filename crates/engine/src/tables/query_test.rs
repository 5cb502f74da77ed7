//! What is asked through the engine is what a model of plain rows says.

use super::*;
use crate::{
    Database, Error, ErrorKind, Result,
    streams::meanwhile::{self, Moment},
};
use annals_columns::{Batch, Error as ColumnsError, Filter, GroupBy, Key, Schema, WideEvent};
use annals_disk::{SimDisk, SimOptions};
use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    sync::Arc,
};

#[derive(Schema, Clone, Debug, PartialEq)]
#[schema(schema_id = 2, crate = annals_columns)]
struct Request {
    #[ts]
    at: i64,
    #[metric]
    cost: i64,
    #[counter]
    bytes: Option<u64>,
    #[counter]
    tries: u32,
    #[status]
    status: u16,
    #[flags(cached, retried)]
    flags: u16,
    #[dim(bloom)]
    user: String,
    #[dim]
    model: Option<String>,
    #[label]
    path: String,
    #[id]
    id: String,
}

/// Random numbers, the same each time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        let mixed = (self.0 ^ (self.0 >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 32)) % limit
    }

    fn is(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }
}

fn request(n: u64, random: &mut Random) -> Request {
    Request {
        at: match random.below(60) {
            0 => i64::MIN,
            1 => i64::MAX,
            // Many of the same time.
            at => at as i64 / 3 - 5,
        },
        cost: random.below(2_001) as i64 - 1_000,
        bytes: Some(u64::MAX - random.below(9)).filter(|_| !random.is(4)),
        tries: u32::MAX - random.below(5) as u32,
        status: [200, 200, 404, 500, 503][random.below(5) as usize],
        flags: random.below(4) as u16,
        user: format!("user {}", random.below(11)),
        model: Some(format!("model {}", random.below(3))).filter(|_| !random.is(5)),
        path: format!("/v{}/{}", random.below(3), random.below(40)),
        id: n.to_string(),
    }
}

fn batch_of(events: &[Request]) -> Result<Batch> {
    let mut batch = Batch::of::<Request>();
    events.iter().try_for_each(|event| batch.push(event))?;
    Ok(batch)
}

type Test = Box<dyn Fn(&Request) -> bool>;

/// A random filter, and what it means.
fn filter(random: &mut Random, depth: u32) -> (RequestFilter, Test) {
    let all = Request::filter;
    let time = |random: &mut Random| match random.below(12) {
        0 => i64::MIN,
        1 => i64::MAX,
        at => at as i64 * 2 - 6,
    };
    match random.below(if depth == 0 { 12 } else { 16 }) {
        0 => (all(), Box::new(|_| true)),
        1 => {
            let user = format!("user {}", random.below(13));
            (all().user_eq(&user), Box::new(move |of| of.user == user))
        }
        2 => {
            let (since, until) = (time(random), time(random));
            let is_within = move |of: &Request| (since..until).contains(&of.at);
            (all().since(since).until(until), Box::new(is_within))
        }
        3 => {
            let since = time(random);
            (all().since(since), Box::new(move |of| of.at >= since))
        }
        4 => (all().status_ge(500), Box::new(|of| of.status >= 500)),
        5 => (all().flags_set(Request::CACHED), Box::new(|of| of.flags & 1 == 1)),
        6 => (all().flags_unset(Request::RETRIED), Box::new(|of| of.flags & 2 == 0)),
        7 => {
            let models = ["model 0", "model 2", "none"];
            let is_in =
                move |of: &Request| of.model.as_deref().is_some_and(|of| models.contains(&of));
            (all().model_in(models), Box::new(is_in))
        }
        8 => (all().path_prefix("/v1/3"), Box::new(|of| of.path.starts_with("/v1/3"))),
        9 => {
            let bytes = u64::MAX - random.below(9);
            (all().bytes_lt(bytes), Box::new(move |of| of.bytes.is_some_and(|of| of < bytes)))
        }
        10 => {
            let cost = random.below(2_001) as i64 - 1_000;
            (all().cost_le(cost), Box::new(move |of| of.cost <= cost))
        }
        11 => (all().model_absent(), Box::new(|of| of.model.is_none())),
        12 => {
            let (filter, test) = filter(random, depth - 1);
            (!filter, Box::new(move |of| !test(of)))
        }
        13 => {
            let ((one, test), (other, or)) = (filter(random, depth - 1), filter(random, depth - 1));
            (one.or(other), Box::new(move |of| test(of) || or(of)))
        }
        _ => {
            let ((one, test), (other, and)) =
                (filter(random, depth - 1), filter(random, depth - 1));
            (one.and(other), Box::new(move |of| test(of) && and(of)))
        }
    }
}

/// Events by time and by when they came.
type Model = BTreeMap<(i64, u64), Request>;

/// Keys as people read them, with what a group comes to.
type Groups = BTreeMap<Vec<String>, (u64, i128, (u64, i128), Option<(i64, i64)>)>;

/// Of each group the lowest, the middle and the highest cost, the lowest count of bytes, and how many users, models,
/// costs and ids there are.
type Spreads = BTreeMap<Vec<String>, ([Option<i64>; 3], Option<u64>, [u64; 4])>;

/// The place of a share of so many numbers, counted from 0 on.
fn rank(share: f64, count: usize) -> usize {
    ((share * count as f64).ceil() as usize).clamp(1, count) - 1
}

/// Quantiles and counts of different values are those of the model.
fn check_spreads(view: &TableView<'_>, model: &Model, random: &mut Random) -> Result<()> {
    let (filter, test) = filter(random, 2);
    let by: Vec<usize> = (0..3).filter(|_| random.is(3)).collect();
    let fields = Request::fields();
    let mut query = view.query().filter(filter.clone()).threads(random.below(4) as usize);
    for of in &by {
        query = match of {
            0 => query.group_by(fields.user()),
            1 => query.group_by(fields.model()),
            _ => query.group_by("status"),
        };
    }
    let query = query.quantiles(fields.cost()).quantiles("bytes").quantiles_by_sketch("cost");
    let query = query.distinct(fields.user()).distinct("model").distinct(fields.cost());
    let found = query.distinct(fields.id()).run()?;

    let mut groups: BTreeMap<Vec<String>, Vec<&Request>> = BTreeMap::new();
    if by.is_empty() {
        groups.insert(Vec::new(), Vec::new());
    }
    for event in model.values().filter(|event| test(event)) {
        let keys = by.iter().map(|by| key_of(event, *by)).collect();
        groups.entry(keys).or_default().push(event);
    }
    let shares = [0.0, 0.5, 1.0];
    let mut expected = Spreads::new();
    for (keys, events) in &groups {
        let mut costs: Vec<i64> = events.iter().map(|event| event.cost).collect();
        costs.sort_unstable();
        let cost = shares.map(|share| costs.get(rank(share, costs.len().max(1))).copied());
        let bytes = events.iter().filter_map(|event| event.bytes).min();
        let users: BTreeSet<&str> = events.iter().map(|event| event.user.as_str()).collect();
        let models: BTreeSet<&str> =
            events.iter().filter_map(|event| event.model.as_deref()).collect();
        costs.dedup();
        let counts = [users.len(), models.len(), costs.len(), events.len()];
        expected.insert(keys.clone(), (cost, bytes, counts.map(|count| count as u64)));
    }
    let mut spreads = Spreads::new();
    for group in found.groups() {
        let keys = group.keys().iter().map(|key| format!("{key:?}")).collect();
        let exact = group.quantiles(fields.cost())?;
        let sketch = &group.as_group().quantiles[2];
        assert!(exact.is_exact() && !sketch.is_exact());
        assert_eq!((exact.count(), sketch.count()), (group.rows(), group.rows()));
        for (right, near) in exact.at_each(&shares).iter().zip(sketch.at_each(&shares)) {
            let (right, near) = (right.as_i64().unwrap_or(0), near.as_i64().unwrap_or(0));
            assert!(right.abs_diff(near) <= right.unsigned_abs() / 256 + 1, "{near} for {right}");
        }
        let cost = shares.map(|share| exact.at(share).as_i64());
        let bytes = group.quantiles(fields.bytes())?.at(0.0).as_u64();
        let users = group.distinct("user")?.count();
        let (models, costs) = (group.distinct(fields.model())?, group.distinct("cost")?);
        let ids = group.distinct(fields.id())?;
        // Above 2,048 they are estimated.
        let ids = if ids.is_exact() { ids.count() } else { group.rows() };
        let spread = (cost, bytes, [users, models.count(), costs.count(), ids]);
        assert!(spreads.insert(keys, spread).is_none(), "a group came twice");
    }
    assert_eq!(spreads, expected, "{filter:?} by {by:?}");

    let explained = view.query().filter(filter).quantiles("cost").explain()?;
    assert_eq!(explained.parts.len(), view.parts_count());
    let in_parts: u64 = explained.parts.iter().map(|part| part.rows_selected).sum();
    let count = model.values().filter(|event| test(event)).count() as u64;
    assert!(in_parts <= count && count <= in_parts + explained.fresh, "{explained}");
    assert!(explained.parts.iter().all(|part| part.chunks_by_sums == 0), "{explained}");
    Ok(())
}

fn key_of(event: &Request, by: usize) -> String {
    match by {
        0 => format!("{:?}", Key::Text(&event.user)),
        1 => format!("{:?}", event.model.as_deref().map_or(Key::Absent, Key::Text)),
        2 => format!("{:?}", Key::Number(event.status.into())),
        _ => {
            let start = i128::from(event.at).div_euclid(4) * 4;
            format!("{:?}", Key::Time(i64::try_from(start).unwrap_or(i64::MIN)))
        }
    }
}

/// A random question has the answer of the model.
fn check_groups(view: &TableView<'_>, model: &Model, random: &mut Random) -> Result<()> {
    let (filter, test) = filter(random, 2);
    let by: Vec<usize> = (0..4).filter(|_| random.is(3)).collect();
    let fields = Request::fields();
    let mut query = view.query().filter(filter.clone()).threads(random.below(4) as usize);
    for of in &by {
        query = match of {
            0 => query.group_by(fields.user()),
            1 => query.group_by("model"),
            2 => query.group_by(fields.status()),
            _ => query.group_by(fields.at().buckets(4)),
        };
    }
    let query = query.measure(fields.tries()).measure("bytes").measure_bounds(fields.cost());
    let found = query.run()?;
    let mut expected = Groups::new();
    for event in model.values().filter(|event| test(event)) {
        let keys = by.iter().map(|by| key_of(event, *by)).collect();
        let group = expected.entry(keys).or_default();
        group.0 += 1;
        group.1 += i128::from(event.tries);
        group.2.0 += u64::from(event.bytes.is_some());
        group.2.1 += i128::from(event.bytes.unwrap_or(0));
        let (low, high) = group.3.unwrap_or((event.cost, event.cost));
        group.3 = Some((low.min(event.cost), high.max(event.cost)));
    }
    if by.is_empty() && expected.is_empty() {
        expected.insert(Vec::new(), Default::default());
    }
    let mut groups = Groups::new();
    for group in found.groups() {
        let keys = group.keys().iter().map(|key| format!("{key:?}")).collect();
        let (bytes, cost) = (group.measured(fields.bytes())?, group.measured("cost")?);
        let bounds = cost.min().as_i64().zip(cost.max().as_i64());
        let sums = (group.measured("tries")?.sum, (bytes.count, bytes.sum));
        let before = groups.insert(keys, (group.rows(), sums.0, sums.1, bounds));
        assert!(before.is_none(), "a group came twice");
    }
    assert_eq!(found.len(), groups.len());
    assert_eq!(groups, expected, "{filter:?} by {by:?}");
    let count = model.values().filter(|event| test(event)).count() as u64;
    assert_eq!(view.count(filter)?, count);
    let mut sums: Vec<i128> = expected.values().map(|group| group.1).collect();
    sums.sort_unstable_by(|one, other| other.cmp(one));
    let top: Vec<i128> = found
        .top("tries", 3)?
        .iter()
        .map(|group| group.measured("tries").map(|tries| tries.sum))
        .collect::<Result<_>>()?;
    if count > 0 {
        assert_eq!(top, sums[..sums.len().min(3)]);
    }
    Ok(())
}

/// A random scan in pages gives the events of the model.
fn check_scan(view: &TableView<'_>, model: &Model, random: &mut Random) -> Result<()> {
    let (filter, test) = filter(random, 2);
    let is_newest_first = random.is(2);
    let (mut scan, mut since, mut until) = (Scan::new().filter(filter.clone()), i64::MIN, None);
    if random.is(2) {
        since = random.below(20) as i64 - 6;
        scan = scan.since(since);
    }
    if random.is(2) {
        until = Some(random.below(20) as i64 - 2);
        scan = scan.until(until.unwrap_or(0));
    }
    if is_newest_first {
        scan = scan.newest_first();
    }
    let page = 1 + random.below(200) as usize;
    let mut scan = scan.limit(page);
    let mut found = Vec::new();
    loop {
        let rows = view.scan(&scan)?;
        assert!(rows.len() <= page);
        found.extend(rows.events::<Request>().collect::<Result<Vec<_>>>()?);
        match rows.cursor() {
            Some(cursor) => scan = scan.after(cursor),
            None => break,
        }
    }
    let is_within = |of: &&Request| of.at >= since && until.is_none_or(|until| of.at < until);
    let wanted = model.values().filter(is_within).filter(|event| test(event)).cloned();
    let mut wanted: Vec<Request> = wanted.collect();
    if is_newest_first {
        wanted.reverse();
    }
    assert_eq!(found, wanted, "{filter:?}");
    Ok(())
}

#[test]
fn random_questions_have_the_answers_of_a_model() -> Result<()> {
    let mut merged_of_all = 0;
    for seed in 0..6 {
        let mut random = Random(seed);
        let mut disk = SimDisk::new(SimOptions::seeded(seed));
        let open = |disk: &SimDisk| {
            let builder = Database::builder().segment_bytes(256 << 10).disk(Arc::new(disk.clone()));
            let builder = builder.background(crate::Background::Manual);
            builder.durability(crate::Durability::Sync).open("db")
        };
        let mut db = open(&disk)?;
        let (mut model, mut came, mut merged_count) = (Model::new(), 0, 0);
        for round in 0..10 {
            let table = db.table_of::<Request>("requests")?;
            for _ in 0..random.below(6) {
                let mut events = Vec::new();
                for _ in 0..random.below(150) {
                    let event = request(came, &mut random);
                    model.insert((event.at, came), event.clone());
                    events.push(event);
                    came += 1;
                }
                table.append_batch(&batch_of(&events)?)?;
                if !random.is(4) {
                    table.flush()?;
                }
            }
            if random.is(3) && came > 0 {
                let ids: Vec<String> = (0..9).map(|_| random.below(came).to_string()).collect();
                table.delete_events(&ids)?;
                let gone: BTreeSet<&String> = ids.iter().collect();
                model.retain(|_, event| !gone.contains(&event.id));
            }
            if random.is(3) {
                merged_count += table.merge_parts()?.merged_count;
            }
            let view = table.view()?;
            assert_eq!(view.len(), model.len() as u64);
            for _ in 0..12 {
                check_groups(&view, &model, &mut random)?;
                check_spreads(&view, &model, &mut random)?;
                check_scan(&view, &model, &mut random)?;
            }
            drop(view);
            drop(table);
            match round % 4 {
                2 => {
                    db.close()?;
                    db = open(&disk)?;
                }
                0 => {
                    // A power cut: what was not synced is there, or not, or half.
                    let after = disk.restart();
                    drop(db);
                    disk = after;
                    db = open(&disk)?;
                }
                _ => {}
            }
        }
        merged_of_all += merged_count;
    }
    assert!(merged_of_all > 0);
    Ok(())
}

#[test]
fn sums_beyond_what_64_bits_take_are_exact() -> Result<()> {
    let db = Database::open_in_memory()?;
    let table = db.table_of::<Request>("requests")?;
    let (mut random, mut expected) = (Random(1), [0i128; 3]);
    for n in 0..700 {
        let mut event = request(n, &mut random);
        event.bytes = Some(u64::MAX);
        event.tries = u32::MAX;
        event.cost = if n % 3 == 0 { i64::MAX } else { i64::MIN };
        expected[0] += i128::from(u64::MAX);
        expected[1] += i128::from(u32::MAX);
        expected[2] += i128::from(event.cost);
        table.append(&event)?;
        if n == 300 || n == 500 {
            table.flush()?;
        }
    }
    let fields = Request::fields();
    let view = table.view()?;
    for filter in [Request::filter(), Request::filter().user_prefix("user")] {
        let query = view.query().filter(filter).measure(fields.bytes()).measure(fields.tries());
        let found = query.measure_bounds(fields.cost()).run()?;
        let total = found.total()?;
        let sums = ["bytes", "tries", "cost"].map(|name| total.measured(name).map(|of| of.sum));
        assert_eq!(sums.into_iter().collect::<Result<Vec<_>>>()?, expected);
        let cost = total.measured("cost")?;
        assert_eq!((cost.min().as_i64(), cost.max().as_i64()), (Some(i64::MIN), Some(i64::MAX)));
    }
    Ok(())
}

#[test]
fn one_event_and_none_and_a_long_string_are_answered() -> Result<()> {
    let db = Database::open_in_memory()?;
    let table = db.table_of::<Request>("requests")?;
    let fields = Request::fields();
    assert!(table.append_batch(&Batch::of::<Request>())?.is_none());
    let none = table.view()?;
    let found = none.query().measure(fields.cost()).run()?;
    assert_eq!((found.len(), found.total()?.rows()), (1, 0));
    assert_eq!(none.query().group_by(fields.user()).run()?.len(), 0);
    assert!(none.scan(&Scan::new().filter(Request::filter().user_eq("x")))?.is_empty());
    let long = "ä".repeat(32 << 10);
    let mut event = request(1, &mut Random(1));
    event.user.clone_from(&long);
    table.append(&event)?;
    for _ in 0..2 {
        let view = table.view()?;
        let found = view.query().group_by(fields.user()).measure(fields.cost()).run()?;
        assert_eq!(found.groups()[0].key("user")?, Key::Text(&long));
        assert_eq!(view.count(Request::filter().user_eq(&long))?, 1);
        let scan = Scan::new().filter(Request::filter().user_prefix("ää")).newest_first();
        let rows = view.scan(&scan)?;
        assert_eq!((rows.len(), rows.event::<Request>(0)?), (1, event.clone()));
        assert!(
            rows.cursor().is_none()
                || view.scan(&scan.after(rows.cursor().expect("one")))?.is_empty()
        );
        table.flush()?;
    }
    Ok(())
}

#[test]
fn bytes_that_are_no_text_are_refused_with_the_name_of_the_field() {
    let mut batch = Batch::of::<Request>();
    let field = Request::fields().user().index();
    let refused = batch.row().text_bytes(field, b"\xff").map(drop).unwrap_err();
    assert_eq!(refused, ColumnsError::NotUtf8 { field: "user".to_owned() });
    assert!(batch.is_empty());
}

#[test]
fn what_cannot_be_asked_is_refused_with_the_name() -> Result<()> {
    #[derive(Schema)]
    #[schema(schema_id = 2, crate = annals_columns)]
    struct Other {
        #[ts]
        at: i64,
        #[metric]
        cost: i64,
        #[dim]
        user: String,
    }
    let db = Database::open_in_memory()?;
    let table = db.table_of::<Request>("requests")?;
    let view = table.view()?;
    let refusals = [
        (view.query().group_by("usr").run(), "no field `usr`; it has at, cost"),
        (view.query().measure("kost").run(), "no field `kost`"),
        (view.query().measure("user").run(), "strings have no sum"),
        (view.query().quantiles("user").run(), "strings have no quantiles"),
        (view.query().quantiles_by_sketch("kost").run(), "no field `kost`"),
        (view.query().distinct("usr").run(), "no field `usr`"),
        (view.query().distinct(Other::fields().user()).run(), "events of another type"),
        (view.query().group_by("path").run(), "grouped by dimensions"),
        (view.query().group_by(99).run(), "no field 99"),
        (view.query().group_by(GroupBy::Time { bucket_ns: 0 }).run(), "no width"),
        (view.query().filter(Filter::eq(0, "x")).run(), "`at` takes i64"),
        (view.query().filter(Other::filter().since(1)).run(), "events of another type"),
        (view.query().group_by(Other::fields().user()).run(), "events of another type"),
        (view.query().measure(Other::fields().cost()).run(), "events of another type"),
    ];
    for (outcome, expected) in refusals {
        let error = outcome.map(drop).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
    let scan = Scan::new().filter(Other::filter().user_eq("ada"));
    assert_eq!(view.scan(&scan).map(drop).unwrap_err().kind(), ErrorKind::InvalidInput);
    let found = view.query().group_by("user").measure("cost").run()?;
    assert_eq!(found.top("tries", 1).map(drop).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(found.total().map(drop).unwrap_err().kind(), ErrorKind::InvalidInput);
    let found = view.query().measure("cost").quantiles("tries").distinct("user").run()?;
    let total = found.total()?;
    assert_eq!(total.quantiles("cost").map(drop).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(total.distinct("tries").map(drop).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(view.query().measure("kost").explain().unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(Other::schema().id(), Request::schema().id());
    Ok(())
}

#[test]
fn a_question_ends_at_its_limits() -> Result<()> {
    let db = Database::open_in_memory()?;
    let table = db.table_of::<Request>("requests")?;
    let mut random = Random(4);
    for part in 0..6 {
        let events: Vec<Request> = (0..100).map(|n| request(part * 100 + n, &mut random)).collect();
        table.append_batch(&batch_of(&events)?)?;
        if part < 4 {
            table.flush()?;
        }
    }
    let (view, fields) = (table.view()?, Request::fields());
    for threads in [1, 4] {
        let query = || view.query().threads(threads).group_by(fields.user());
        assert_eq!(query().groups_max(11).run()?.len(), 11);
        let error = query().groups_max(10).run().map(drop).unwrap_err();
        assert!(matches!(error, Error::TooManyGroups { groups: 11, limit: 10 }), "{error}");
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(error.to_string().contains("`groups_max`"), "{error}");
        let exact = || query().quantiles(fields.cost());
        assert_eq!(exact().memory_max(1 << 20).run()?.len(), 11);
        for (refused, limit) in
            [(exact().memory_max(3_000).run(), 3_000), (query().memory_max(500).run(), 500)]
        {
            let error = refused.map(drop).unwrap_err();
            assert!(
                matches!(error, Error::TooMuchMemory { bytes, limit: found } if found == limit && bytes > limit),
                "{error}"
            );
            assert_eq!(error.kind(), ErrorKind::TooLarge);
            assert!(error.to_string().contains("`memory_max`"), "{error}");
        }
        let token = CancelToken::new();
        assert_eq!(query().cancelled_by(&token).run()?.len(), 11);
        token.clone().cancel();
        let error = query().cancelled_by(&token).run().map(drop).unwrap_err();
        assert!(matches!(error, Error::Cancelled));
        let scan = Scan::new().cancelled_by(&token);
        assert!(matches!(view.scan(&scan), Err(Error::Cancelled)));
    }
    Ok(())
}

#[test]
fn no_more_threads_than_asked_for_help() -> Result<()> {
    for of_database in [1, 2, 5] {
        let db = Database::builder().query_threads(of_database).open_in_memory()?;
        let table = db.table_of::<Request>("requests")?;
        let mut random = Random(4);
        for part in 0..9 {
            let events: Vec<Request> =
                (0..100).map(|n| request(part * 100 + n, &mut random)).collect();
            table.append_batch(&batch_of(&events)?)?;
            if part < 6 {
                table.flush()?;
            }
        }
        let (view, fields) = (table.view()?, Request::fields());
        let helpers = |query: TableQuery<'_>| {
            assert_eq!(query.group_by(fields.user()).run()?.len(), 11);
            Ok::<_, Error>(super::adding::HELPERS.get())
        };
        // There is more than one piece of work for each.
        assert_eq!(helpers(view.query())?, of_database - 1);
        for threads in 1..=4 {
            assert_eq!(helpers(view.query().threads(threads))?, threads - 1);
        }
        let of_machine = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        assert!(helpers(view.query().threads(0))? < of_machine);
    }
    Ok(())
}

#[test]
fn a_question_is_called_off_in_the_middle_of_a_part() -> Result<()> {
    let db = Database::open_in_memory()?;
    let table = db.table_of::<Request>("requests")?;
    let mut random = Random(4);
    let events: Vec<Request> = (0..5_000).map(|n| request(n, &mut random)).collect();
    table.append_batch(&batch_of(&events)?)?;
    table.flush()?;
    let (view, fields) = (table.view()?, Request::fields());
    assert_eq!(view.parts_count(), 1);
    let (token, pieces) = (CancelToken::new(), Rc::new(Cell::new(0)));
    let deed = {
        let (token, pieces) = (token.clone(), Rc::clone(&pieces));
        move || {
            pieces.set(pieces.get() + 1);
            if pieces.get() == 2 {
                token.cancel();
            }
        }
    };
    let query = view.query().threads(1).group_by(fields.user()).cancelled_by(&token);
    let outcome = meanwhile::each_time(Moment::PieceAdded, deed, || query.run());
    assert!(matches!(outcome.map(drop), Err(Error::Cancelled)));
    assert_eq!(pieces.get(), 2, "the other ones were not begun");
    Ok(())
}
