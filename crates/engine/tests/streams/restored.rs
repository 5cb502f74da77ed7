//! Places beyond the end of what happened: they are waited for, also where a backup was restored that ends in front of them.

use annals_engine::{Database, ExpectedVersion, NewEvent, Result, Seq};

fn append(db: &Database, n: u64) -> Result<Seq> {
    let data = n.to_string();
    let event = NewEvent::bytes("t", data.as_bytes());
    Ok(db.category("c")?.append(7u64, &event, ExpectedVersion::Any)?.last_seq)
}

/// Who asks for a number that nobody has yet is told of nothing before it, and of it when it comes.
#[test]
fn a_number_that_is_not_given_out_yet_is_waited_for() -> Result<()> {
    let db = Database::open_in_memory()?;
    let last = append(&db, 0)?;
    let wanted = last.plus(3);
    let category = db.category("c")?;
    let mut subscriptions = [db.subscribe(wanted)?, category.subscribe(wanted)?];
    let mut changes = db.changes(wanted)?;
    let mut never = (db.subscribe(Seq(u64::MAX))?, db.changes(Seq(u64::MAX))?);
    for n in 1..=4 {
        assert!(db.read_all(wanted)?.next().is_none());
        assert!(changes.try_next()?.is_none());
        for subscription in &mut subscriptions {
            assert!(subscription.try_next()?.is_none());
        }
        // The third is the one that is wanted.
        if append(&db, n)? == wanted {
            break;
        }
    }
    assert_eq!(db.last_seq(), wanted);
    append(&db, 9)?;
    for next in [wanted, wanted.plus(1)] {
        assert_eq!(changes.try_next()?.map(|change| change.seq), Some(next));
        for subscription in &mut subscriptions {
            assert_eq!(subscription.try_next()?.map(|event| event.seq()), Some(next));
        }
    }
    assert_eq!(db.read_all(wanted)?.count(), 2);
    assert!(never.0.try_next()?.is_none() && never.1.try_next()?.is_none());
    assert!(db.read_all(Seq(u64::MAX))?.next().is_none());
    Ok(())
}

/// What `restore` says of numbers, and of where followers begin again.
#[test]
fn behind_an_older_backup_numbers_come_again() -> Result<()> {
    let folder = tempfile::tempdir().expect("a directory");
    let at = |name: &str| folder.path().join(name);
    let db = Database::open(at("live"))?;
    append(&db, 0)?;
    db.backup_to(at("backup"))?;
    let seen = (1..=3).map(|n| append(&db, n)).collect::<Result<Vec<_>>>()?;
    db.close()?;

    let report = Database::restore(at("backup"), at("restored"))?;
    let db = Database::open(at("restored"))?;
    assert_eq!(report.up_to, db.last_seq());
    let again = report.up_to.plus(1);
    assert_eq!(again, seen[0]);
    // One that has seen all that the original told, and one that begins again behind what was restored.
    let mut further = db.subscribe(seen[2].plus(1))?;
    let mut begun_again = db.subscribe(again)?;
    for n in 11..=14 {
        append(&db, n)?;
    }
    assert_eq!(further.try_next()?.expect("the fourth").data(), b"14", "it was told of no other");
    for n in 11..=14 {
        let event = begun_again.try_next()?.expect("each of them");
        assert_eq!(event.data(), n.to_string().as_bytes());
    }
    Ok(())
}
