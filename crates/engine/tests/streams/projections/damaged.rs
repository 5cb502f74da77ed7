//! Projections that come to damage.

use super::Newest;
use crate::damaged;
use annals_engine::{Error, ExpectedVersion, NewEvent, Projector, Result, Seq};

#[test]
fn a_projection_goes_on_behind_damage_once_that_is_skipped() -> Result<()> {
    const COUNT: u64 = 100;
    const DAMAGED: [u64; 3] = [40, 41, 90];
    let dir = tempfile::tempdir().unwrap();
    let db = damaged::open(dir.path());
    let category = db.category("orders")?;
    for n in 0..COUNT {
        let data = damaged::data(n);
        category.append(n, &NewEvent::bytes("n", data.as_bytes()), ExpectedVersion::Any)?;
    }
    drop(category);
    db.close()?;
    DAMAGED.iter().for_each(|n| damaged::damage(dir.path(), *n));

    let db = damaged::open(dir.path());
    let newest = db.hash_keyspace("newest")?;
    let streams = || -> Result<Vec<u64>> {
        let mut streams = Vec::new();
        for entry in newest.iter()? {
            streams.push(str::from_utf8(entry?.key()).unwrap().parse().unwrap());
        }
        streams.sort_unstable();
        Ok(streams)
    };
    let mut projector = Projector::new(&db, "newest", Newest(newest.clone()))?;
    let mut other = Projector::new(&db, "newest", Newest(newest.clone()))?;
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
    let mut ahead = Projector::new(&db, "ahead", Newest(elsewhere))?;
    ahead.skip_to(db.last_seq())?;
    let listed = db.projections()?;
    let names: Vec<_> = listed.iter().map(|info| (&*info.name, info.position)).collect();
    assert_eq!(names, [("ahead", ahead.position()), ("newest", begun)]);
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
    let mut projector = Projector::new(&db, "newest", Newest(newest.clone()))?;
    assert_eq!((projector.position(), projector.step()?), (readable_from, 48));
    while let Err(error) = projector.catch_up() {
        let Error::DamagedEvents { readable_from, .. } = error else { return Err(error) };
        projector.skip_to(readable_from)?;
    }
    let whole: Vec<u64> = (0..COUNT).filter(|n| !DAMAGED.contains(n)).collect();
    assert_eq!(streams()?, whole);
    Ok(())
}
