//! Projections: listed, paused, resumed.

use super::{common::Place, error, help};
use annals_engine::{Database, HashKeyspace, Projection, Projector, RecordedEvent, Result, Work};
use serde_json::json;

/// The last event of each stream.
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

#[test]
fn projections_are_listed_paused_and_resumed() -> Result<()> {
    let place = Place::new();
    place.ok(&["append", "orders", "7", "1"]);
    assert!(place.json(&["projections"]).is_empty());
    let project = || -> Result<u64> {
        let db = Database::open(place.data())?;
        let newest = db.hash_keyspace("newest")?;
        let handled_count = Projector::new(&db, "newest", Newest(newest))?.catch_up()?;
        db.close()?;
        Ok(handled_count)
    };
    assert_eq!(project()?, 1);
    let listed = place.json(&["projections"]);
    let position = listed[0]["position"].clone();
    let wanted = |state: &str, lag: u64| json!({"projection": "newest", "state": state, "position": position, "lag_count": lag});
    assert_eq!(listed, [wanted("active", 0)]);
    place.ok(&["projections", "pause", "newest"]);
    place.ok(&["append", "orders", "7", "2"]);
    assert_eq!(place.json(&["projections"]), [wanted("paused", 1)]);
    let told = place.ok(&["projections"]);
    assert!(told.contains("paused"), "{told}");
    assert_eq!(project()?, 0);
    place.ok(&["projections", "resume", "newest", "--durability", "sync"]);
    assert_eq!(project()?, 1);
    assert_eq!(place.json(&["projections"])[0]["lag_count"], 0);
    let (code, object) = error(&place, &["projections", "pause", "oldest"]);
    assert_eq!((code, object["kind"].as_str()), (1, Some("not_found")));
    assert!(object["error"].as_str().unwrap().contains("there are `newest`"), "{object}");
    Ok(())
}

/// Who pauses a projection has a program that runs it, and that has the lock: it is told before it is tried.
#[test]
fn beside_a_program_that_writes_nothing_is_paused_and_help_says_so() -> Result<()> {
    let place = Place::new();
    let db = Database::open(place.data())?;
    for deed in ["pause", "resume"] {
        assert_eq!(error(&place, &["projections", deed, "newest"]).0, 4);
        let help = help(&place, &["projections", deed]);
        assert!(help.contains("exit code 4") && help.contains("Database::"), "{help}");
    }
    db.close()
}
