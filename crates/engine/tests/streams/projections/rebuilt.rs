//! Projections that are built anew.

use super::{Sums, sums_of};
use annals_engine::{
    Background, Database, Error, ExpectedVersion, HashKeyspace, NewEvent, Projection, Projector,
    RecordedEvent, Result, Work,
};

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
