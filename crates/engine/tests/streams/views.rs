//! What is made of events: projections that count each event once, whatever happens to them, and
//! aggregates that several threads change.

use crate::damaged;
use annals_disk::{SimDisk, SimOptions};
use annals_engine::{
    Aggregate, Aggregates, Background, Category, Database, Error, ErrorKind, ExpectedVersion,
    HashKeyspace, KeyspaceOptions, NewEvent, Projection, Projector, RecordedEvent, Result,
    Retention, Seq, Work,
};
use annals_events::Event;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// Numbers of a stream, summed.
struct Sums(HashKeyspace);

fn number(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().unwrap())
}

impl Projection for Sums {
    fn handle(&mut self, event: &RecordedEvent<'_>, work: &mut Work) -> Result<()> {
        let key = event.stream().to_string();
        let before = work.get(&self.0, &key)?.map_or(0, |sum| number(&sum));
        work.insert(&self.0, key, (before + number(event.data())).to_le_bytes());
        Ok(())
    }

    fn reset(&mut self, _: &Database) -> Result<()> {
        self.0.clear()
    }
}

fn sums_of(keyspace: &HashKeyspace) -> Result<BTreeMap<Vec<u8>, u64>> {
    let entries = keyspace.iter()?;
    entries.map(|entry| entry.map(|entry| (entry.key().to_vec(), number(entry.value())))).collect()
}

/// What events in front of `end` come to.
fn sums_until(db: &Database, end: Seq) -> Result<BTreeMap<Vec<u8>, u64>> {
    let mut sums = BTreeMap::new();
    for event in db.read_all(Seq::ZERO)? {
        let event = event?;
        if event.seq() < end {
            *sums.entry(event.stream().to_string().into_bytes()).or_default() +=
                number(event.data());
        }
    }
    Ok(sums)
}

/// Appends, and lets the projection follow, until the power is cut or there is enough.
fn work(disk: &SimDisk, seed: u64) -> Result<()> {
    let db = open(disk)?;
    let (category, sums) = (db.category("numbers")?, db.hash_keyspace("sums")?);
    let mut projector = Projector::new(&db, "sums", Sums(sums))?;
    for n in 0..40u64 {
        let id = (n ^ seed) % 5;
        category.append(id, &NewEvent::bytes("n", &n.to_le_bytes()), ExpectedVersion::Any)?;
        if (n + seed).is_multiple_of(3) {
            projector.step()?;
        }
        if (n + seed).is_multiple_of(11) {
            db.sync()?;
        }
        if n == 25 && seed.is_multiple_of(7) {
            projector.rebuild()?;
        }
        if n == 30 && seed.is_multiple_of(5) {
            db.compact()?;
        }
    }
    projector.catch_up()?;
    drop(projector);
    db.close()
}

fn open(disk: &SimDisk) -> Result<Database> {
    let builder = Database::builder().segment_bytes(64 << 10).disk(Arc::new(disk.clone()));
    builder.background(Background::Manual).open("db")
}

#[test]
fn a_projection_that_is_killed_at_a_thousand_points_ends_as_a_fresh_one() -> Result<()> {
    let mut cut_count = 0;
    for seed in 0..1_000u64 {
        let mut disk = SimDisk::new(SimOptions::seeded(seed));
        for life in 0..2 {
            disk.cut_power_at(15 + (seed * 7 + life * 31) % 160);
            let outcome = work(&disk, seed + life);
            cut_count += u64::from(outcome.is_err());
            assert!(outcome.is_ok() || disk.is_power_cut(), "seed {seed}: {outcome:?}");
            disk = disk.restart();
        }
        let db = open(&disk)?;
        let sums = db.hash_keyspace("sums")?;
        let mut projector = Projector::new(&db, "sums", Sums(sums.clone()))?;
        // What it says it has handled is what its sums are made of, before it goes on.
        assert_eq!(sums_of(&sums)?, sums_until(&db, projector.position())?, "seed {seed}");
        projector.catch_up()?;
        let fresh = db.hash_keyspace("fresh")?;
        Projector::new(&db, "fresh", Sums(fresh.clone()))?.catch_up()?;
        assert_eq!(sums_of(&sums)?, sums_of(&fresh)?, "seed {seed}");
    }
    assert!(cut_count > 1_500, "the power was cut {cut_count} times only");
    Ok(())
}

#[test]
fn of_two_projectors_of_a_name_one_goes_on() -> Result<()> {
    let db = Database::open_in_memory()?;
    let (category, sums) = (db.category("numbers")?, db.hash_keyspace("sums")?);
    let mut one = Projector::new(&db, "sums", Sums(sums.clone()))?;
    let mut other = Projector::new(&db, "sums", Sums(sums.clone()))?;
    category.append(1u64, &NewEvent::bytes("n", &7u64.to_le_bytes()), ExpectedVersion::Any)?;
    assert_eq!(one.step()?, 1);
    for _ in 0..2 {
        assert!(matches!(other.step(), Err(Error::Refused(_))));
    }
    assert_eq!(number(&sums.get("1")?.unwrap()), 7);
    let mut anew = Projector::new(&db, "sums", Sums(sums.clone()))?;
    category.append(1u64, &NewEvent::bytes("n", &1u64.to_le_bytes()), ExpectedVersion::Any)?;
    assert_eq!(anew.catch_up()?, 1);
    assert_eq!(number(&sums.get("1")?.unwrap()), 8);
    Ok(())
}

/// It is behind by what came while it was not called, and goes on with that: when it is run again, and when it is begun
/// again by its name.
#[test]
fn a_projection_runs_until_it_is_stopped_lags_and_goes_on() -> Result<()> {
    let db = Database::open_in_memory()?;
    let (category, sums) = (db.category("numbers")?, db.hash_keyspace("sums")?);
    let append = |count: u64| {
        (0..count).try_for_each(|_| {
            let data = 1u64.to_le_bytes();
            let event = NewEvent::bytes("n", &data);
            category.append(1u64, &event, ExpectedVersion::Any).map(drop)
        })
    };
    let sum = || Ok::<_, Error>(sums.get("1")?.map_or(0, |sum| number(&sum)));
    append(10)?;
    let mut projector = Projector::new(&db, "sums", Sums(sums.clone()))?;
    assert_eq!(projector.lag(), db.last_seq().0 + 1, "it has not begun");
    projector.run(|| true)?;
    assert_eq!(sum()?, 0, "it was stopped in front of the first step");
    let stop = AtomicBool::new(false);
    // Until the sum is `wanted`, while so many more come.
    let run = |projector: &mut Projector<'_, Sums>, more: u64, wanted: u64| {
        std::thread::scope(|scope| -> Result<()> {
            let running = scope.spawn(|| projector.run(|| stop.load(Ordering::Relaxed)));
            // One by one, some while it waits.
            for _ in 0..more {
                append(1)?;
                std::thread::yield_now();
            }
            while sum()? < wanted && !running.is_finished() {
                std::thread::sleep(Duration::from_millis(1));
            }
            stop.store(true, Ordering::Relaxed);
            running.join().unwrap()
        })
    };
    run(&mut projector, 20, 30)?;
    assert_eq!(sum()?, 30);
    let stopped_at = projector.position();
    append(7)?;
    let others = db.hash_keyspace("others")?;
    others.insert("no", "event")?;
    assert_eq!((sum()?, projector.position()), (30, stopped_at), "it is not called");
    assert_eq!(projector.lag(), db.last_seq().0 + 1 - stopped_at.0);
    assert!(projector.lag() >= 8, "the record that is no event counts too: {}", projector.lag());
    assert_eq!(projector.catch_up()?, 7);
    assert_eq!((sum()?, projector.lag()), (37, 0));
    append(5)?;
    drop(projector);
    let mut again = Projector::new(&db, "sums", Sums(sums.clone()))?;
    assert!((5..30).contains(&again.lag()), "{}", again.lag());
    assert_eq!(again.step()?, 5);
    assert_eq!(sum()?, 42);
    // Whoever closes the database ends it too.
    std::thread::scope(|scope| {
        let running = scope.spawn(|| again.run(|| false));
        db.clone().close()?;
        running.join().unwrap()
    })
}

#[derive(Event)]
#[event(crate = annals_events)]
enum AccountEvent {
    Deposited { cents: u64 },
    Withdrawn { cents: u64 },
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Account {
    cents: u64,
    changes_count: u64,
}

impl Aggregate for Account {
    type Event = AccountEvent;

    fn apply(&mut self, event: AccountEventView<'_>) {
        self.changes_count += 1;
        match event {
            AccountEventView::Deposited(event) => self.cents += event.cents.to_native(),
            AccountEventView::Withdrawn(event) => self.cents -= event.cents.to_native(),
        }
    }

    fn save(&self) -> Option<Vec<u8>> {
        Some([self.cents.to_le_bytes(), self.changes_count.to_le_bytes()].concat())
    }

    fn load(bytes: &[u8]) -> Option<Self> {
        let (cents, changes_count) = bytes.split_at_checked(8)?;
        let changes_count = u64::from_le_bytes(changes_count.try_into().ok()?);
        Some(Self { cents: number(cents), changes_count })
    }
}

#[test]
fn an_aggregate_that_many_change_is_what_its_events_say() -> Result<()> {
    let db = Database::open_in_memory()?;
    let accounts = Aggregates::<Account>::new(&db, "accounts")?;
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4u64)
            .map(|thread| {
                let accounts = &accounts;
                scope.spawn(move || -> Result<u64> {
                    let mut withdrawn = 0;
                    for n in 0..200 {
                        accounts.execute("shared", |_| {
                            Ok(vec![AccountEvent::Deposited { cents: 10 + thread }])
                        })?;
                        // Never below zero, whatever the others do.
                        let done = accounts.execute("shared", |account| {
                            if account.cents < 15 {
                                return Err(Error::Refused("too little".into()));
                            }
                            Ok(vec![AccountEvent::Withdrawn { cents: 15 }])
                        });
                        match done {
                            Ok(_) => withdrawn += 15,
                            Err(Error::Refused(_)) => {}
                            Err(error) => return Err(error),
                        }
                        if n % 50 == 0 {
                            let loaded = accounts.load("shared")?;
                            accounts.save_snapshot("shared", &loaded)?;
                        }
                    }
                    Ok(withdrawn)
                })
            })
            .collect();
        let mut withdrawn = 0;
        for thread in threads {
            withdrawn += thread.join().unwrap()?;
        }
        let deposited: u64 = (0..4).map(|thread| 200 * (10 + thread)).sum();
        let loaded = accounts.load("shared")?;
        assert_eq!(loaded.state.cents, deposited - withdrawn);
        assert_eq!(loaded.state.changes_count, loaded.events_count);
        // The same without what was saved.
        let mut anew = Account::default();
        for event in accounts.streams().read("shared")? {
            anew.apply(event?.view()?);
        }
        assert_eq!(anew, loaded.state);
        Ok::<(), Error>(())
    })
}

#[derive(Event)]
#[event(name = "placed", crate = annals_events)]
struct Placed {
    item: String,
}

#[derive(Event)]
#[event(name = "placed", crate = annals_events)]
struct OtherPlaced {
    item: u64,
    count: u64,
}

#[derive(Event)]
#[event(name = "placed", version = 2, from(1 = Placed), crate = annals_events)]
struct NewPlaced {
    item: String,
    count: u64,
}

impl From<Placed> for NewPlaced {
    fn from(old: Placed) -> Self {
        Self { item: old.item, count: 1 }
    }
}

#[derive(Event)]
#[event(crate = annals_events)]
struct Unrelated {
    n: u64,
}

#[test]
fn a_category_is_opened_for_its_own_events_only() -> Result<()> {
    let db = Database::open_in_memory()?;
    let placed = db.stream::<Placed>("orders")?;
    placed.append(1u64, &Placed { item: "apple".into() })?;
    for error in [
        db.stream::<OtherPlaced>("orders").map(drop).unwrap_err(),
        db.stream::<Unrelated>("orders").map(drop).unwrap_err(),
    ] {
        assert!(matches!(error, Error::EventTypes { .. }), "{error}");
    }
    // One that knows what its events became reads both.
    let newer = db.stream::<NewPlaced>("orders")?;
    newer.append(1u64, &NewPlaced { item: "pear".into(), count: 3 })?;
    let read: Vec<(String, u64)> = newer
        .read(1u64)?
        .map(|event| {
            let event = event?;
            let view = event.view()?;
            Ok((view.item.to_string(), view.count.to_native()))
        })
        .collect::<Result<_>>()?;
    assert_eq!(read, [("apple".to_owned(), 1), ("pear".to_owned(), 3)]);
    // One that does not is told so, not misled.
    assert!(db.stream::<Placed>("orders").is_err());
    assert!(placed.get(1u64, 1)?.unwrap().view().is_err());
    // Bytes and archives live side by side.
    let category: &Category = newer.category();
    category.append(1u64, &NewEvent::json("note", "{}"), ExpectedVersion::Any)?;
    let newer = db.stream::<NewPlaced>("orders")?;
    let note = newer.last(1u64)?.unwrap();
    assert!(note.view().is_err());
    assert_eq!(note.data(), b"{}");
    Ok(())
}

#[test]
fn an_aggregate_that_was_deleted_begins_anew_and_one_that_was_truncated_goes_on() -> Result<()> {
    let db = Database::open_in_memory()?;
    let accounts = Aggregates::<Account>::new(&db, "accounts")?;
    let deposit = |cents| move |_: &Account| Ok(vec![AccountEvent::Deposited { cents }]);
    for id in [1u64, 2, 3] {
        for _ in 0..10 {
            accounts.execute(id, deposit(5))?;
        }
        accounts.save_snapshot(id, &accounts.load(id)?)?;
    }
    let category = accounts.streams().category();
    category.truncate_before(1u64, 10)?;
    assert_eq!(accounts.load(1u64)?.state.cents, 50, "the snapshot has what was given up");
    assert_eq!(accounts.execute(1u64, deposit(1))?.state.cents, 51);
    category.delete(2u64)?;
    assert_eq!(accounts.load(2u64)?.state, Account::default());
    let again = accounts.execute(2u64, deposit(1))?;
    assert_eq!((again.state.cents, again.events_count), (1, 11));
    accounts.save_snapshot(2u64, &again)?;
    assert_eq!(accounts.execute(2u64, deposit(1))?.state.cents, 2);
    // Without a snapshot nobody can tell.
    let incomplete = Aggregates::<Account>::new(&db, "others")?;
    for _ in 0..5 {
        incomplete.execute(1u64, deposit(5))?;
    }
    incomplete.streams().category().truncate_before(1u64, 3)?;
    let refused = incomplete.load(1u64).unwrap_err();
    assert!(matches!(refused, Error::AggregateIncomplete { first: 3, .. }), "{refused}");
    // Nor is a snapshot of a category of the same name believed that was dropped.
    incomplete.save_snapshot(2u64, &accounts.load(1u64)?)?;
    db.drop_keyspace("others")?;
    let anew = Aggregates::<Account>::new(&db, "others")?;
    for _ in 0..20 {
        anew.execute(2u64, deposit(1))?;
    }
    assert_eq!(anew.load(2u64)?.state.cents, 20);
    category.tombstone(3u64)?;
    let refused = accounts.execute(3u64, deposit(1)).unwrap_err();
    assert!(matches!(refused, Error::StreamClosed { is_tombstone: true, .. }), "{refused}");
    Ok(())
}

/// A command on it would be decided on an empty state, and its events would keep it from being loaded ever again.
#[test]
fn an_aggregate_of_which_nothing_is_left_takes_no_command_until_it_is_deleted() -> Result<()> {
    let db = Database::builder().background(Background::Manual).open_in_memory()?;
    let accounts = Aggregates::<Account>::new(&db, "accounts")?;
    let category = accounts.streams().category().clone();
    let deposit = |cents| move |_: &Account| Ok(vec![AccountEvent::Deposited { cents }]);
    let short = KeyspaceOptions::default().ttl(Duration::from_millis(1));
    db.create_category("brief", short)?;
    let brief = Aggregates::<Account>::new(&db, "brief")?;
    for _ in 0..3 {
        for id in ["truncated", "old", "many"] {
            accounts.execute(id, deposit(5))?;
        }
    }
    brief.streams().append("ada", &AccountEvent::Deposited { cents: 5 })?;
    category.truncate_before("truncated", 3)?;
    category.set_retention("old", Retention::default().max_age(Duration::from_millis(1)))?;
    category.set_retention("many", Retention::default().max_count(0))?;
    while category.exists("old")? || brief.streams().exists("ada")? {
        std::thread::yield_now();
    }
    for (of, id, count) in [
        (&accounts, "truncated", 3),
        (&accounts, "old", 3),
        (&accounts, "many", 3),
        (&brief, "ada", 1),
    ] {
        for refused in [of.load(id), of.execute(id, deposit(7))] {
            let refused = refused.map(|loaded| loaded.events_count).unwrap_err();
            assert!(
                matches!(refused, Error::AggregateIncomplete { first, .. } if first == count),
                "{id}: {refused}"
            );
        }
        assert_eq!(of.streams().len(id)?, count, "{id}");
    }
    // Which begins a new life.
    category.delete("truncated")?;
    assert_eq!(accounts.execute("truncated", deposit(7))?.state.cents, 7);
    assert_eq!(accounts.execute("truncated", deposit(1))?.state.cents, 8);
    Ok(())
}

/// Counts events, and lets others do something while it is emptied.
struct Counts<'a> {
    counts: HashKeyspace,
    meanwhile: Option<Box<dyn FnOnce() + 'a>>,
}

impl Projection for Counts<'_> {
    fn handle(&mut self, _: &RecordedEvent<'_>, work: &mut Work) -> Result<()> {
        let before = work.get(&self.counts, "n")?.map_or(0, |count| count[0]);
        work.insert(&self.counts, "n", [before + 1]);
        Ok(())
    }

    fn reset(&mut self, _: &Database) -> Result<()> {
        self.counts.clear()?;
        if let Some(meanwhile) = self.meanwhile.take() {
            meanwhile();
        }
        Ok(())
    }
}

#[test]
fn events_count_once_when_another_projector_begins_while_one_is_rebuilt() -> Result<()> {
    let db = Database::open_in_memory()?;
    let clicks = db.category("clicks")?;
    for _ in 0..3 {
        clicks.append("ada", &NewEvent::bytes("click", b""), ExpectedVersion::Any)?;
    }
    let counts = db.hash_keyspace("counts")?;
    let plain = || Counts { counts: counts.clone(), meanwhile: None };
    let count = || Ok::<_, Error>(counts.get("n")?.map_or(0, |count| count[0]));
    let mut earlier = Projector::new(&db, "counts", plain())?;
    let meanwhile = || {
        let refused = Projector::new(&db, "counts", plain()).map(drop).unwrap_err();
        assert!(matches!(refused, Error::Refused(_)), "{refused}");
        let refused = earlier.rebuild().unwrap_err();
        assert!(matches!(refused, Error::Refused(_)), "{refused}");
        let refused = earlier.catch_up().unwrap_err();
        assert!(matches!(refused, Error::Refused(_)), "{refused}");
    };
    let counting = Counts { counts: counts.clone(), meanwhile: Some(Box::new(meanwhile)) };
    let mut projector = Projector::new(&db, "counts", counting)?;
    assert_eq!(projector.catch_up()?, 3);
    projector.rebuild()?;
    assert_eq!((count()?, projector.catch_up()?, count()?), (0, 3, 3));
    assert_eq!(Projector::new(&db, "counts", plain())?.catch_up()?, 0);
    Ok(())
}

/// It may have read what was there before.
#[test]
fn who_began_before_a_rebuild_is_refused_at_the_same_number_too() -> Result<()> {
    let db = Database::open_in_memory()?;
    let clicks = db.category("clicks")?;
    clicks.append("ada", &NewEvent::bytes("click", b""), ExpectedVersion::Any)?;
    let counts = db.hash_keyspace("counts")?;
    let plain = || Counts { counts: counts.clone(), meanwhile: None };
    let mut first = Projector::new(&db, "counts", plain())?;
    first.rebuild()?;
    let mut second = Projector::new(&db, "counts", plain())?;
    second.rebuild()?;
    assert_eq!(first.position(), second.position());
    let refused = first.catch_up().unwrap_err();
    assert!(matches!(refused, Error::Refused(_)), "{refused}");
    assert_eq!(second.catch_up()?, 1);
    assert_eq!(counts.get("n")?.as_deref(), Some(&[1][..]));
    Ok(())
}

/// What is kept of how far it has come is damaged, or nothing that is known: it is built anew, and counts no event twice.
#[test]
fn a_projection_whose_place_is_lost_is_rebuilt() -> Result<()> {
    for is_damaged in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("db");
        let open = || Database::builder().background(Background::Manual).open(&path);
        let name = "the name of a projection";
        let db = open()?;
        let (category, sums) = (db.category("numbers")?, db.hash_keyspace("sums")?);
        for n in 0..10u64 {
            let data = n.to_le_bytes();
            category.append(n % 3, &NewEvent::bytes("n", &data), ExpectedVersion::Any)?;
        }
        Projector::new(&db, name, Sums(sums.clone()))?.catch_up()?;
        Projector::new(&db, "another", Sums(db.hash_keyspace("others")?))?.catch_up()?;
        let expected = sums_of(&sums)?;
        let progress = db.open_hash_keyspace("annals.projections")?;
        if !is_damaged {
            progress.insert(name, b"nothing that is known")?;
        }
        drop((category, sums, progress));
        db.close()?;
        if is_damaged {
            let files = std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path());
            for file in files.filter(|file| file.extension().is_some_and(|of| of == "seg")) {
                let mut bytes = std::fs::read(&file).unwrap();
                while let Some(at) =
                    bytes.windows(name.len()).position(|some| some == name.as_bytes())
                {
                    bytes[at] ^= 1;
                }
                std::fs::write(&file, bytes).unwrap();
            }
        }
        let db = open()?;
        let sums = db.hash_keyspace("sums")?;
        let listed = db.projections()?;
        assert!(listed.iter().any(|one| one.name == "another" && !one.is_lost), "{listed:?}");
        assert!(
            is_damaged || listed.iter().any(|one| one.name == name && one.is_lost),
            "{listed:?}"
        );
        let mut projector = Projector::new(&db, name, Sums(sums.clone()))?;
        for _ in 0..2 {
            let refused = projector.step().unwrap_err();
            assert!(matches!(refused, Error::Refused(_)), "{refused}");
            assert!(refused.to_string().contains("rebuild it"), "{refused}");
        }
        assert_eq!(sums_of(&sums)?, expected, "nothing was touched");
        // One that was begun before is refused, and cannot count events twice.
        let mut other = Projector::new(&db, name, Sums(sums.clone()))?;
        projector.rebuild()?;
        assert!(sums_of(&sums)?.is_empty());
        assert!(matches!(other.step(), Err(Error::Refused(_))));
        assert_eq!(projector.step()?, 10);
        assert_eq!(sums_of(&sums)?, expected);
        let position = projector.position();
        drop((projector, other));
        assert_eq!(Projector::new(&db, name, Sums(sums))?.position(), position);
    }
    Ok(())
}

/// What is paused stays so over a restart and a rebuild, whoever runs it, and is listed.
#[test]
fn a_projection_stays_paused_until_it_is_resumed() -> Result<()> {
    let dir = tempfile::tempdir().unwrap();
    let open = || Database::builder().background(Background::Manual).open(dir.path().join("db"));
    let db = open()?;
    assert!(db.projections()?.is_empty());
    let unknown = db.pause_projection("sums").unwrap_err();
    assert!(matches!(&unknown, Error::UnknownProjection { name } if name == "sums"), "{unknown}");
    assert_eq!(unknown.kind(), ErrorKind::NotFound);
    let (category, sums) = (db.category("numbers")?, db.hash_keyspace("sums")?);
    let append = |category: &Category, n: u64| {
        let data = n.to_le_bytes();
        category.append(1u64, &NewEvent::bytes("n", &data), ExpectedVersion::Any)
    };
    append(&category, 1)?;
    let mut projector = Projector::new(&db, "sums", Sums(sums.clone()))?;
    assert_eq!(projector.step()?, 1);
    append(&category, 2)?;
    sums.insert("another", 7u64.to_le_bytes())?;
    db.pause_projection("sums")?;
    assert!(matches!(db.resume_projection("sum"), Err(Error::UnknownProjection { .. })));
    assert_eq!((projector.catch_up()?, projector.is_paused()?), (0, true));
    let listed = db.projections()?;
    let lag = db.last_seq().0 + 1 - projector.position().0;
    assert_eq!((listed.len(), &*listed[0].name, listed[0].is_paused), (1, "sums", true));
    assert!((listed[0].position, listed[0].is_lost) == (projector.position(), false), "{listed:?}");
    assert!(listed[0].lag > 0 && listed[0].lag < lag, "from the first event on: {listed:?}");
    drop((projector, category, sums));
    db.close()?;

    let db = open()?;
    let (category, sums) = (db.category("numbers")?, db.hash_keyspace("sums")?);
    let mut projector = Projector::new(&db, "sums", Sums(sums.clone()))?;
    assert_eq!((projector.catch_up()?, projector.is_paused()?), (0, true));
    projector.rebuild()?;
    assert_eq!((projector.step()?, sums.get("1")?.is_none()), (0, true), "it is empty, and paused");
    projector.resume()?;
    projector.resume()?;
    assert_eq!((projector.catch_up()?, number(&sums.get("1")?.unwrap())), (2, 3));
    assert_eq!(db.projections()?[0].lag, 0, "what it writes itself does not count");

    // One that has not begun can be paused by who runs it.
    let fresh = db.hash_keyspace("fresh")?;
    let mut fresh_projector = Projector::new(&db, "fresh", Sums(fresh))?;
    fresh_projector.pause()?;
    assert_eq!(fresh_projector.step()?, 0);
    let listed = db.projections()?;
    assert_eq!(
        (&*listed[0].name, listed[0].position, listed[0].is_paused),
        ("fresh", Seq::ZERO, true)
    );
    db.resume_projection("fresh")?;
    assert_eq!(fresh_projector.step()?, 2);

    // One that runs waits while it is paused, and misses nothing.
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| -> Result<()> {
        projector.pause()?;
        let running = scope.spawn(|| projector.run(|| is_over.load(Ordering::Relaxed)));
        append(&category, 4)?;
        db.resume_projection("sums")?;
        while number(&sums.get("1")?.unwrap()) != 7 && !running.is_finished() {
            std::thread::sleep(Duration::from_millis(1));
        }
        is_over.store(true, Ordering::Relaxed);
        running.join().unwrap()
    })?;
    Ok(())
}

/// Handles an event, and is paused before that is committed, and resumed too if it is to be.
struct PausedMeanwhile {
    sums: Sums,
    db: Database,
    is_paused: bool,
    is_resumed: bool,
}

impl Projection for PausedMeanwhile {
    fn handle(&mut self, event: &RecordedEvent<'_>, work: &mut Work) -> Result<()> {
        if !std::mem::replace(&mut self.is_paused, true) {
            self.db.pause_projection("sums")?;
            if self.is_resumed {
                self.db.resume_projection("sums")?;
            }
        }
        self.sums.handle(event, work)
    }

    fn reset(&mut self, db: &Database) -> Result<()> {
        self.sums.reset(db)
    }
}

#[test]
fn what_was_handled_when_a_projection_was_paused_comes_again_unless_it_was_resumed() -> Result<()> {
    for is_resumed in [false, true] {
        let db = Database::open_in_memory()?;
        let (category, sums) = (db.category("numbers")?, db.hash_keyspace("sums")?);
        let append = |n: u64| {
            category.append(1u64, &NewEvent::bytes("n", &n.to_le_bytes()), ExpectedVersion::Any)
        };
        let projection = |is_paused| PausedMeanwhile {
            sums: Sums(sums.clone()),
            db: db.clone(),
            is_paused,
            is_resumed,
        };
        append(1)?;
        let mut projector = Projector::new(&db, "sums", projection(true))?;
        assert_eq!(projector.step()?, 1);
        drop(projector);
        append(2)?;
        append(3)?;
        let mut projector = Projector::new(&db, "sums", projection(false))?;
        if !is_resumed {
            let before = projector.position();
            assert_eq!((projector.step()?, projector.position()), (0, before));
            assert_eq!(number(&sums.get("1")?.unwrap()), 1);
            projector.resume()?;
        }
        assert_eq!((projector.catch_up()?, number(&sums.get("1")?.unwrap())), (2, 6));
    }
    Ok(())
}

/// Keeps what each event has.
struct Copies(HashKeyspace);

impl Projection for Copies {
    fn handle(&mut self, event: &RecordedEvent<'_>, work: &mut Work) -> Result<()> {
        work.insert(&self.0, event.version().to_be_bytes(), event.data());
        Ok(())
    }

    fn reset(&mut self, _: &Database) -> Result<()> {
        self.0.clear()
    }
}

#[test]
fn a_projection_goes_on_behind_damage_once_that_is_skipped() -> Result<()> {
    const COUNT: u64 = 100;
    const DAMAGED: [u64; 3] = [40, 41, 90];
    let dir = tempfile::tempdir().unwrap();
    let db = damaged::open(dir.path());
    let category = db.category("orders")?;
    for n in 0..COUNT {
        let data = damaged::data(n);
        category.append(7u64, &NewEvent::bytes("n", data.as_bytes()), ExpectedVersion::Any)?;
    }
    drop(category);
    db.close()?;
    DAMAGED.iter().for_each(|n| damaged::damage(dir.path(), *n));

    let db = damaged::open(dir.path());
    let copies = db.hash_keyspace("copies")?;
    let versions = || -> Result<Vec<u64>> {
        let mut versions = Vec::new();
        for entry in copies.iter()? {
            versions.push(u64::from_be_bytes(entry?.key().try_into().unwrap()));
        }
        versions.sort_unstable();
        Ok(versions)
    };
    let mut projector = Projector::new(&db, "copies", Copies(copies.clone()))?;
    let mut other = Projector::new(&db, "copies", Copies(copies.clone()))?;
    assert_eq!(projector.step()?, 40);
    let begun = projector.position();
    for _ in 0..2 {
        assert!(damaged::is_damage(&projector.step()));
    }
    projector.skip_to(Seq::ZERO)?;
    assert_eq!(projector.position(), begun, "it is there already");
    let refused = other.skip_to(begun.plus(1)).unwrap_err();
    assert!(matches!(refused, Error::Refused(_)), "{refused}");
    // One that stands in front of damage hides no other.
    let elsewhere = db.hash_keyspace("elsewhere")?;
    let mut ahead = Projector::new(&db, "ahead", Copies(elsewhere))?;
    ahead.skip_to(db.last_seq())?;
    let listed = db.projections()?;
    let names: Vec<_> = listed.iter().map(|info| (&*info.name, info.position)).collect();
    assert_eq!(names, [("ahead", ahead.position()), ("copies", begun)]);
    assert_eq!(listed[1].lag, db.last_seq().0 + 1 - begun.0);

    // What is skipped stays so: while it is paused, and for who runs it next.
    let Error::DamagedEvents { readable_from, .. } = projector.step().unwrap_err() else {
        panic!("it says where to go on");
    };
    projector.pause()?;
    projector.skip_to(readable_from)?;
    assert!(projector.is_paused()?);
    assert_eq!(projector.step()?, 0);
    projector.resume()?;
    drop((projector, other));
    let mut projector = Projector::new(&db, "copies", Copies(copies.clone()))?;
    assert_eq!((projector.position(), projector.step()?), (readable_from, 48));
    while let Err(error) = projector.catch_up() {
        let Error::DamagedEvents { readable_from, .. } = error else { return Err(error) };
        projector.skip_to(readable_from)?;
    }
    let whole: Vec<u64> = (0..COUNT).filter(|n| !DAMAGED.contains(n)).collect();
    assert_eq!(versions()?, whole);
    Ok(())
}

/// A thousand large ones would have to be in memory, and might be too long for a commit for ever.
#[test]
fn few_events_whose_writes_are_long_are_committed_together() -> Result<()> {
    let db = Database::open_in_memory()?;
    let (category, copies) = (db.category("orders")?, db.hash_keyspace("copies")?);
    let data = vec![7; 1 << 20];
    for _ in 0..20 {
        category.append(7u64, &NewEvent::bytes("n", &data), ExpectedVersion::Any)?;
    }
    let mut projector = Projector::new(&db, "copies", Copies(copies.clone()))?;
    assert_eq!([projector.step()?, projector.step()?, projector.step()?], [16, 4, 0]);
    assert_eq!(copies.len(), 20);
    // What is written in place of something else counts once.
    let newest = db.hash_keyspace("newest")?;
    let mut projector = Projector::new(&db, "newest", Newest(newest))?;
    assert_eq!(projector.step()?, 20);
    Ok(())
}

/// Keeps what the last event of each stream has.
struct Newest(HashKeyspace);

impl Projection for Newest {
    fn handle(&mut self, event: &RecordedEvent<'_>, work: &mut Work) -> Result<()> {
        work.insert(&self.0, event.stream().to_string(), event.data());
        Ok(())
    }

    fn reset(&mut self, _: &Database) -> Result<()> {
        self.0.clear()
    }
}
