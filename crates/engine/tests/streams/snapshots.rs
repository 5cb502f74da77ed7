//! Snapshots that aggregates make by themselves.

use annals_disk::{SimDisk, SimOptions};
use annals_engine::{Aggregate, Aggregates, Background, Database, Error, Result, VALUE_BYTES_MAX};
use annals_events::Event;
use std::{cell::Cell, sync::Arc};

#[derive(Event)]
#[event(crate = annals_events)]
struct Counted {
    count: u64,
}

thread_local! {
    /// How often an aggregate was made into bytes.
    static SAVES_COUNT: Cell<u64> = const { Cell::new(0) };
}

/// What was counted; saved in so many bytes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Count<const BYTES: usize>(u64);

impl<const BYTES: usize> Aggregate for Count<BYTES> {
    type Event = Counted;

    fn apply(&mut self, event: <Counted as Event>::View<'_>) {
        self.0 += event.count.to_native();
    }

    fn save(&self) -> Option<Vec<u8>> {
        SAVES_COUNT.set(SAVES_COUNT.get() + 1);
        let mut bytes = vec![0; BYTES];
        bytes[..8].copy_from_slice(&self.0.to_le_bytes());
        Some(bytes)
    }

    fn load(bytes: &[u8]) -> Option<Self> {
        Some(Self(u64::from_le_bytes(*bytes.first_chunk()?)))
    }
}

const SNAPSHOT_BYTES: usize = 1 << 20;

fn open(disk: &SimDisk) -> Result<Database> {
    let builder = Database::builder().segment_bytes(64 << 10).disk(Arc::new(disk.clone()));
    builder.background(Background::Manual).open("db")
}

fn count_one<const BYTES: usize>(
    counts: &Aggregates<Count<BYTES>>,
    id: &str,
) -> Result<(u64, u64)> {
    let loaded = counts.execute(id, |_| Ok(vec![Counted { count: 1 }]))?;
    Ok((loaded.state.0, loaded.events_count))
}

/// Who is told an error repeats the command, and it would count twice.
#[test]
fn a_command_whose_snapshot_cannot_be_saved_has_happened() -> Result<()> {
    let disk = SimDisk::new(SimOptions::seeded(1));
    let db = open(&disk)?;
    let counts = Aggregates::<Count<SNAPSHOT_BYTES>>::new(&db, "counts")?;
    let snapshots = db.open_hash_keyspace("counts.snapshots")?;
    count_one(&counts, "ada")?;
    let used_bytes: usize =
        disk.paths().iter().filter_map(|path| disk.file_bytes(path)).map(|bytes| bytes.len()).sum();
    // Events find space, and a snapshot none.
    disk.set_capacity((used_bytes + SNAPSHOT_BYTES / 2) as u64);
    for n in 2..=300 {
        assert_eq!(count_one(&counts, "ada")?, (n, n));
    }
    assert_eq!((counts.streams().len("ada")?, snapshots.len()), (300, 0));
    disk.clear_capacity();
    assert_eq!(count_one(&counts, "ada")?, (301, 301));
    assert_eq!(snapshots.len(), 1, "it is saved as soon as there is space");
    drop((counts, snapshots));
    db.close()?;
    let db = open(&disk)?;
    let counts = Aggregates::<Count<SNAPSHOT_BYTES>>::new(&db, "counts")?;
    assert_eq!(counts.load("ada")?.state, Count(301));

    // One that no value is long enough for never is.
    let larger = Aggregates::<Count<{ VALUE_BYTES_MAX + 1 }>>::new(&db, "larger")?;
    let many = (0..255).map(|_| Counted { count: 1 }).collect::<Vec<_>>();
    larger.streams().append_batch("ada", &many)?;
    let before = SAVES_COUNT.get();
    for n in 256..=768 {
        assert_eq!(count_one(&larger, "ada")?, (n, n));
        assert_eq!(SAVES_COUNT.get() - before, n / 256, "not at each command");
    }
    assert_eq!(db.open_hash_keyspace("larger.snapshots")?.len(), 0);
    let refused = larger.save_snapshot("ada", &larger.load("ada")?).unwrap_err();
    assert!(matches!(refused, Error::ValueTooLong { .. }), "{refused}");
    Ok(())
}

#[test]
fn every_256_events_an_aggregate_is_saved() -> Result<()> {
    let db = Database::open_in_memory()?;
    let counts = Aggregates::<Count<8>>::new(&db, "counts")?;
    let snapshots = db.open_hash_keyspace("counts.snapshots")?;
    let saved = || snapshots.iter()?.map(|of| Ok(of?.value().to_vec())).collect::<Result<Vec<_>>>();
    let (mut changes, mut last) = (0, Vec::new());
    for n in 1..=1_024 {
        assert_eq!(count_one(&counts, "ada")?, (n, n));
        if saved()? != last {
            (changes, last) = (changes + 1, saved()?);
            assert!(n.is_multiple_of(256), "it was saved at {n}");
            // Whatever was before is not needed.
            counts.streams().category().truncate_before("ada", n)?;
            assert_eq!(counts.load("ada")?.state, Count(n));
        }
    }
    assert_eq!(changes, 4);
    // Several at once, and what is one more than there was when it was saved by hand.
    let many =
        |count: usize| move |_: &Count<8>| Ok((0..count).map(|_| Counted { count: 1 }).collect());
    counts.execute("bob", many(100))?;
    counts.save_snapshot("bob", &counts.load("bob")?)?;
    for (count, is_saved) in [(255, false), (1, true), (255, false), (300, true)] {
        let before = saved()?;
        let loaded = counts.execute("bob", many(count))?;
        assert_eq!(saved()? != before, is_saved, "{count} more: {loaded:?}");
        assert_eq!(counts.load("bob")?, loaded);
    }
    Ok(())
}

#[test]
fn an_older_snapshot_takes_the_place_of_no_newer_one() -> Result<()> {
    let db = Database::open_in_memory()?;
    let counts = Aggregates::<Count<8>>::new(&db, "counts")?;
    for _ in 0..10 {
        count_one(&counts, "ada")?;
    }
    let older = counts.load("ada")?;
    for _ in 0..10 {
        count_one(&counts, "ada")?;
    }
    counts.save_snapshot("ada", &counts.load("ada")?)?;
    counts.streams().category().truncate_before("ada", 20)?;
    counts.save_snapshot("ada", &older)?;
    assert_eq!(counts.load("ada")?.state, Count(20), "what was given up is in the newer one alone");
    assert_eq!(count_one(&counts, "ada")?, (21, 21));
    Ok(())
}

/// How many events there were, and not what they counted; saved elsewhere.
#[derive(Debug, Default, PartialEq, Eq)]
struct Often(u64);

impl Aggregate for Often {
    type Event = Counted;

    const SNAPSHOTS: &'static str = "often";

    fn apply(&mut self, _: <Counted as Event>::View<'_>) {
        self.0 += 1;
    }

    fn save(&self) -> Option<Vec<u8>> {
        Some(self.0.to_le_bytes().to_vec())
    }

    fn load(bytes: &[u8]) -> Option<Self> {
        Some(Self(u64::from_le_bytes(*bytes.first_chunk()?)))
    }
}

#[test]
fn aggregates_over_one_category_have_snapshots_of_their_own() -> Result<()> {
    let db = open(&SimDisk::new(SimOptions::seeded(3)))?;
    let counts = Aggregates::<Count<8>>::new(&db, "counts")?;
    let often = Aggregates::<Often>::new(&db, "counts")?;
    for _ in 0..300 {
        counts.execute("ada", |_| Ok(vec![Counted { count: 2 }]))?;
        often.execute("ada", |_| Ok(vec![Counted { count: 2 }]))?;
    }
    for name in ["counts.snapshots", "counts.often"] {
        assert_eq!(db.open_hash_keyspace(name)?.len(), 1, "{name}");
    }
    assert_eq!(counts.load("ada")?.state, Count(1_200));
    assert_eq!(often.load("ada")?.state, Often(600));
    Ok(())
}
