//! Aggregates: several threads change them, and streams of which not all is left.

use annals_engine::{
    Aggregate, Aggregates, Background, Database, Error, KeyspaceOptions, Result, Retention,
};
use annals_events::Event;
use std::time::Duration;

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
        Some(Self { cents: u64::from_le_bytes(cents.try_into().ok()?), changes_count })
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
