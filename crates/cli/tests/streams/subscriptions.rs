//! Persistent subscriptions: listed.

use super::common::Place;
use annals_engine::{Database, PersistentOptions, Result, StartAt};
use serde_json::json;

#[test]
fn persistent_subscriptions_are_listed_with_what_they_are_behind_and_what_is_parked() -> Result<()>
{
    let place = Place::new();
    for n in 0..3 {
        place.ok(&["append", "orders", "7", &n.to_string()]);
    }
    assert!(place.json(&["subscriptions"]).is_empty());
    let ended = place.run(&["subscriptions"]);
    assert_eq!(
        (ended.code, &*ended.stderr),
        (0, "annals: the database has no persistent subscriptions\n")
    );
    let db = Database::open(place.data())?;
    let options = PersistentOptions::default().category("orders").start(StartAt::Beginning);
    let mails = db.persistent_subscription("mails", &options)?;
    db.persistent_subscription("bills", &options)?;
    let consumer = mails.consumer()?;
    consumer.try_next()?.expect("an event").park("no address")?;
    consumer.try_next()?.expect("an event").acknowledge()?;
    mails.flush()?;
    drop(consumer);
    drop(mails);
    db.close()?;

    let told = Database::open_read_only(place.data())?.persistent_subscriptions()?;
    let wanted: Vec<_> = told
        .iter()
        .map(|info| {
            json!({
                "subscription": info.name, "state": "active", "position": info.position.0,
                "lag_count": info.lag, "parked_count": info.parked_count,
            })
        })
        .collect();
    assert_eq!(place.json(&["subscriptions"]), wanted);
    assert_eq!(
        (&wanted[0]["subscription"], &wanted[1]["parked_count"]),
        (&json!("bills"), &json!(1))
    );
    assert!(wanted[0]["lag_count"].as_u64() > wanted[1]["lag_count"].as_u64(), "{wanted:?}");
    assert!(place.ok(&["subscriptions"]).contains("mails"));
    Ok(())
}
