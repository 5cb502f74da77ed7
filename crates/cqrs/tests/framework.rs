//! An account written for `cqrs-es`, kept in a database.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use annals_cqrs::{
    AnnalsCqrs, AnnalsEventRepository, AnnalsEventStore, AnnalsViewRepository,
    annals_aggregate_cqrs, annals_cqrs, annals_snapshot_cqrs,
};
use annals_engine::{Database, EventFormat, ExpectedVersion, NewEvent};
use async_trait::async_trait;
use cqrs_es::{
    Aggregate, AggregateContext, AggregateError, DomainEvent, EventEnvelope, EventStore, Query,
    View,
    event_sink::EventSink,
    persist::{
        EventUpcaster, GenericQuery, PersistedEventRepository, PersistenceError, QueryReplay,
        SemanticVersionEventUpcaster, SerializedEvent, ViewContext, ViewRepository,
    },
};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum AccountEvent {
    Deposited { cents: u64 },
    Withdrawn { cents: u64 },
}

impl DomainEvent for AccountEvent {
    fn event_type(&self) -> String {
        match self {
            Self::Deposited { .. } => "Deposited".into(),
            Self::Withdrawn { .. } => "Withdrawn".into(),
        }
    }

    fn event_version(&self) -> String {
        "1.0".into()
    }
}

#[derive(Clone, Debug)]
enum Command {
    /// So many times.
    Deposit(u64, usize),
    Withdraw(u64),
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("there is not so much")]
struct TooLittle;

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Account {
    cents: u64,
    events_count: u64,
}

impl Aggregate for Account {
    const TYPE: &'static str = "account";
    type Command = Command;
    type Event = AccountEvent;
    type Error = TooLittle;
    type Services = ();

    async fn handle(
        &mut self,
        command: Command,
        _: &(),
        sink: &EventSink<Self>,
    ) -> Result<(), TooLittle> {
        match command {
            Command::Deposit(cents, times) => {
                for _ in 0..times {
                    sink.write(AccountEvent::Deposited { cents }, self).await;
                }
            }
            Command::Withdraw(cents) if cents <= self.cents => {
                sink.write(AccountEvent::Withdrawn { cents }, self).await;
            }
            Command::Withdraw(_) => return Err(TooLittle),
        }
        Ok(())
    }

    fn apply(&mut self, event: AccountEvent) {
        self.events_count += 1;
        match event {
            AccountEvent::Deposited { cents } => self.cents += cents,
            AccountEvent::Withdrawn { cents } => self.cents -= cents,
        }
    }
}

/// What a view is of: the same state, by events.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Statement {
    cents: u64,
    lines: Vec<String>,
}

impl View<Account> for Statement {
    fn update(&mut self, event: &EventEnvelope<Account>) {
        self.lines.push(format!("{} {}", event.sequence, event.payload.event_type()));
        match &event.payload {
            AccountEvent::Deposited { cents } => self.cents += cents,
            AccountEvent::Withdrawn { cents } => self.cents -= cents,
        }
    }
}

type Statements = AnnalsViewRepository<Statement, Account>;

fn statements(db: &Database) -> (Arc<Statements>, Box<dyn Query<Account>>) {
    let views = Arc::new(Statements::new("statements", db.clone()));
    let mut query = GenericQuery::new(Arc::clone(&views));
    query.use_error_handler(Box::new(|error| panic!("{error}")));
    (views, Box::new(query))
}

/// The state that a framework over `db` would load.
async fn state(db: &Database, id: &str) -> Account {
    let mut account = Account::default();
    let events = AnnalsEventRepository::new(db.clone()).get_events::<Account>(id).await.unwrap();
    for event in events {
        account.apply(serde_json::from_value(event.payload).unwrap());
    }
    account
}

#[tokio::test]
async fn commands_make_events_and_views_and_go_on_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    for life in 1..=2u64 {
        let db = Database::open(&path).unwrap();
        let (views, query) = statements(&db);
        let cqrs = annals_cqrs::<Account>(db.clone(), vec![query], ());
        let metadata = HashMap::from([("user".to_owned(), "bob".to_owned())]);
        cqrs.execute_with_metadata("ada", Command::Deposit(100, 2), metadata).await.unwrap();
        cqrs.execute("ada", Command::Withdraw(50)).await.unwrap();
        let refused = cqrs.execute("ada", Command::Withdraw(1_000)).await.unwrap_err();
        assert!(matches!(refused, AggregateError::UserError(TooLittle)));
        cqrs.execute("nobody", Command::Deposit(1, 0)).await.unwrap();

        let view = views.load("ada").await.unwrap().unwrap();
        assert_eq!((view.cents, view.lines.len() as u64), (150 * life, 3 * life));
        assert_eq!(view.lines[2], "3 Withdrawn");
        assert_eq!(views.load("nobody").await.unwrap(), None);
        assert_eq!(state(&db, "ada").await, Account { cents: 150 * life, events_count: 3 * life });

        // What the `annals` command shows.
        let category = db.open_category("account").unwrap();
        let first = category.get("ada", 0).unwrap().unwrap();
        assert_eq!((first.format(), &*first.event_type().name), (EventFormat::Json, "Deposited"));
        assert_eq!(first.data(), br#"{"Deposited":{"cents":100}}"#);
        let pairs: Vec<_> = first.pairs().collect();
        assert_eq!(pairs, [("event_version", "1.0"), ("user", "bob")]);
        assert!(!category.exists("nobody").unwrap());
        drop(first);
        drop((views, cqrs, category));
        db.close().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn commands_that_race_conflict_and_none_is_lost() {
    let db = Database::open_in_memory().unwrap();
    let frameworks: [AnnalsCqrs<Account>; 3] = [
        annals_cqrs(db.clone(), vec![], ()),
        annals_snapshot_cqrs(db.clone(), vec![], 7, ()),
        annals_aggregate_cqrs(db.clone(), vec![], ()),
    ];
    for (index, cqrs) in frameworks.into_iter().enumerate() {
        let (cqrs, id) = (Arc::new(cqrs), format!("account-{index}"));
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                let (cqrs, id) = (Arc::clone(&cqrs), id.clone());
                tokio::spawn(async move {
                    let mut conflicts_count = 0;
                    for n in 0..50 {
                        let command = Command::Deposit(1, n % 3 + 1);
                        loop {
                            match cqrs.execute(&id, command.clone()).await {
                                Ok(()) => break,
                                Err(AggregateError::AggregateConflict) => conflicts_count += 1,
                                Err(error) => panic!("{error}"),
                            }
                            tokio::task::yield_now().await;
                        }
                    }
                    conflicts_count
                })
            })
            .collect();
        for task in tasks {
            let _: u64 = task.await.unwrap();
        }
        let count: u64 = 4 * (0..50).map(|n| n % 3 + 1).sum::<u64>();
        assert_eq!(state(&db, &id).await, Account { cents: count, events_count: count });
        // What each of them loads decides what may be withdrawn: all of it, and no more.
        let refused = cqrs.execute(&id, Command::Withdraw(count + 1)).await.unwrap_err();
        assert!(matches!(refused, AggregateError::UserError(TooLittle)));
        cqrs.execute(&id, Command::Withdraw(count)).await.unwrap();
    }
}

#[tokio::test]
async fn a_stale_commit_is_a_conflict() {
    let db = Database::open_in_memory().unwrap();
    let events = AnnalsEventRepository::new(db);
    let event = |sequence| {
        let payload = serde_json::to_value(AccountEvent::Deposited { cents: 1 }).unwrap();
        let (kind, version) = ("Deposited".into(), "1.0".into());
        let (id, metadata) = ("ada".into(), serde_json::json!({}));
        SerializedEvent::new(id, sequence, "account".into(), kind, version, payload, metadata)
    };
    let state = || Some(("ada".to_owned(), serde_json::json!({"cents": 9}), 1));
    events.persist::<Account>(&[event(1), event(2)], None).await.unwrap();
    for (first, second) in [(1, 2), (2, 3), (4, 5)] {
        let late = [event(first), event(second)];
        let refused = events.persist::<Account>(&late, state()).await.unwrap_err();
        assert!(matches!(refused, PersistenceError::OptimisticLockError), "{refused}");
        // Of what is refused nothing is there.
        assert!(events.get_snapshot::<Account>("ada").await.unwrap().is_none());
    }
    events.persist::<Account>(&[event(3)], state()).await.unwrap();
    assert_eq!(events.get_snapshot::<Account>("ada").await.unwrap().unwrap().current_sequence, 3);
    let all = events.get_events::<Account>("ada").await.unwrap();
    assert_eq!(all, [event(1), event(2), event(3)]);
    assert_eq!(events.get_last_events::<Account>("ada", 2).await.unwrap(), all[2..]);
    assert_eq!(events.get_last_events::<Account>("ada", 3).await.unwrap(), []);
    assert_eq!(events.get_events::<Account>("nobody").await.unwrap(), []);
    let odd = SerializedEvent { metadata: serde_json::json!({"n": 7}), ..event(4) };
    assert!(events.persist::<Account>(&[odd], None).await.is_err());
}

#[tokio::test]
async fn snapshots_are_taken_and_hold_what_they_say() {
    let db = Database::open_in_memory().unwrap();
    let events = AnnalsEventRepository::new(db.clone());
    let cqrs = annals_snapshot_cqrs::<Account>(db.clone(), vec![], 5, ());
    let mut taken = Vec::new();
    // Commands with several events go beyond where a snapshot is due.
    for times in [3, 1, 4, 1, 5, 9, 2, 6] {
        cqrs.execute("ada", Command::Deposit(1, times)).await.unwrap();
        if let Some(snapshot) = events.get_snapshot::<Account>("ada").await.unwrap() {
            let account: Account = serde_json::from_value(snapshot.aggregate).unwrap();
            assert_eq!(account.events_count, snapshot.current_sequence as u64);
            taken.push((snapshot.current_snapshot, snapshot.current_sequence));
        }
    }
    assert_eq!(taken, [(1, 8), (1, 8), (2, 14), (3, 23), (4, 25), (5, 31)]);
    // What is loaded is all of it.
    let refused = cqrs.execute("ada", Command::Withdraw(32)).await.unwrap_err();
    assert!(matches!(refused, AggregateError::UserError(TooLittle)));
    cqrs.execute("ada", Command::Withdraw(31)).await.unwrap();

    // In an aggregate store there is one after each command, and events are kept all the same.
    let cqrs = annals_aggregate_cqrs::<Account>(db.clone(), vec![], ());
    cqrs.execute("bob", Command::Deposit(2, 3)).await.unwrap();
    let snapshot = events.get_snapshot::<Account>("bob").await.unwrap().unwrap();
    assert_eq!((snapshot.current_sequence, snapshot.current_snapshot), (3, 1));
    assert_eq!(state(&db, "bob").await.cents, 6);
    cqrs.execute("bob", Command::Withdraw(6)).await.unwrap();
}

/// A snapshot of a stream that was deleted since is none of the next one, whose events go on in number.
#[tokio::test]
async fn a_stream_that_was_deleted_begins_anew_and_one_that_was_truncated_needs_a_snapshot() {
    let db = Database::open_in_memory().unwrap();
    let cqrs = annals_snapshot_cqrs::<Account>(db.clone(), vec![], 5, ());
    for id in ["ada", "bob"] {
        cqrs.execute(id, Command::Deposit(1, 7)).await.unwrap();
    }
    let category = db.open_category(Account::TYPE).unwrap();
    category.delete("ada").unwrap();
    let refused = cqrs.execute("ada", Command::Withdraw(1)).await.unwrap_err();
    assert!(matches!(refused, AggregateError::UserError(TooLittle)), "nothing is left");
    cqrs.execute("ada", Command::Deposit(1, 3)).await.unwrap();
    assert_eq!(state(&db, "ada").await.cents, 3);
    let refused = cqrs.execute("ada", Command::Withdraw(4)).await.unwrap_err();
    assert!(matches!(refused, AggregateError::UserError(TooLittle)), "no more than the three");
    cqrs.execute("ada", Command::Withdraw(3)).await.unwrap();

    // The snapshot behind the seventh event has what was given up.
    category.truncate_before("bob", 6).unwrap();
    cqrs.execute("bob", Command::Withdraw(7)).await.unwrap();
    let plain = annals_cqrs::<Account>(db, vec![], ());
    let incomplete = plain.execute("bob", Command::Deposit(1, 1)).await.unwrap_err();
    assert!(matches!(incomplete, AggregateError::UnexpectedError(_)), "{incomplete}");
}

/// Numbers go on over a deletion, so by those alone what was decided by the old events would begin the new life.
#[tokio::test]
async fn what_was_decided_before_a_stream_was_deleted_is_a_conflict() {
    let db = Database::open_in_memory().unwrap();
    let store = AnnalsEventStore::<Account>::new(AnnalsEventRepository::new(db.clone()));
    let withdraw = || vec![AccountEvent::Withdrawn { cents: 7 }];
    for (id, is_there) in [("ada", true), ("bob", false)] {
        let cqrs = annals_cqrs::<Account>(db.clone(), vec![], ());
        if is_there {
            cqrs.execute(id, Command::Deposit(7, 1)).await.unwrap();
        }
        let context = store.load_aggregate(id).await.unwrap();
        if !is_there {
            cqrs.execute(id, Command::Deposit(7, 1)).await.unwrap();
        }
        db.open_category(Account::TYPE).unwrap().delete(id).unwrap();
        let refused = store.commit(withdraw(), context, HashMap::new()).await.unwrap_err();
        assert!(matches!(refused, AggregateError::AggregateConflict), "{refused}");
        assert_eq!(state(&db, id).await, Account::default());
        // Decided by what is there now.
        let context = store.load_aggregate(id).await.unwrap();
        let deposit = vec![AccountEvent::Deposited { cents: 3 }];
        store.commit(deposit, context, HashMap::new()).await.unwrap();
        assert_eq!(state(&db, id).await.cents, 3);
    }
}

#[tokio::test]
async fn a_view_is_written_by_one_of_those_who_loaded_it() {
    let db = Database::open_in_memory().unwrap();
    let views = Statements::new("statements", db.clone());
    assert!(views.load_with_context("ada").await.unwrap().is_none());
    let new = || ViewContext::new("ada".into(), 0);
    views.update_view(Statement::default(), new()).await.unwrap();
    let late = views.update_view(Statement::default(), new()).await.unwrap_err();
    assert!(matches!(late, PersistenceError::OptimisticLockError));
    let (view, context) = views.load_with_context("ada").await.unwrap().unwrap();
    assert_eq!((view, context.version), (Statement::default(), 1));
    views.clone().update_view(Statement { cents: 7, lines: vec![] }, context).await.unwrap();
    let again = ViewContext::new("ada".into(), 1);
    assert!(views.update_view(Statement::default(), again).await.is_err());
    assert_eq!(views.load("ada").await.unwrap().unwrap().cents, 7);
    db.hash_keyspace("statements").unwrap().insert("ada", "{}").unwrap();
    let error = views.load("ada").await.unwrap_err();
    assert!(matches!(error, PersistenceError::DeserializationError(_)), "{error}");
}

/// Notes the events that it is told.
struct Noted(Arc<Mutex<Vec<(String, usize)>>>);

#[async_trait]
impl Query<Account> for Noted {
    async fn dispatch(&self, id: &str, events: &[EventEnvelope<Account>]) {
        let noted = events.iter().map(|event| (id.to_owned(), event.sequence));
        self.0.lock().unwrap().extend(noted);
    }
}

#[tokio::test]
async fn events_are_replayed_to_a_query_in_their_order() {
    let db = Database::open_in_memory().unwrap();
    let cqrs = annals_cqrs::<Account>(db.clone(), vec![], ());
    let mut wanted = Vec::new();
    for n in 0..300 {
        let id = ["ada", "bob"][n % 2];
        cqrs.execute(id, Command::Deposit(1, 1)).await.unwrap();
        wanted.push((id.to_owned(), n / 2 + 1));
    }
    let noted = Arc::new(Mutex::new(Vec::new()));
    let events = AnnalsEventRepository::new(db.clone()).with_streaming_channel_size(3);
    let mut replay = QueryReplay::<_, _, Account>::new(events, Noted(Arc::clone(&noted)));
    let errors = Arc::new(Mutex::new(0));
    let count = Arc::clone(&errors);
    replay.use_error_handler(Box::new(move |_| *count.lock().unwrap() += 1));
    replay.replay_all().await.unwrap();
    assert_eq!(std::mem::take(&mut *noted.lock().unwrap()), wanted);
    replay.replay("bob").await.unwrap();
    wanted.retain(|(id, _)| id == "bob");
    assert_eq!(std::mem::take(&mut *noted.lock().unwrap()), wanted);
    replay.replay("nobody").await.unwrap();
    assert!(noted.lock().unwrap().is_empty());

    // An event that is not of this kind is told, and the others come.
    let category = db.category("account").unwrap();
    let bytes = NewEvent::bytes("Deposited", b"\x01");
    category.append("bob", &bytes, ExpectedVersion::Any).unwrap();
    let json = NewEvent::json("Deposited", "{}");
    category.append("bob", &json, ExpectedVersion::Any).unwrap();
    replay.replay("bob").await.unwrap();
    assert_eq!((noted.lock().unwrap().len(), *errors.lock().unwrap()), (150, 2));
    let error = cqrs.execute("bob", Command::Deposit(1, 1)).await.unwrap_err();
    assert!(matches!(error, AggregateError::DeserializationError(_)), "{error}");
}

#[tokio::test]
async fn a_snapshot_is_none_of_a_category_that_was_dropped_and_made_again() {
    let db = Database::open_in_memory().unwrap();
    annals_aggregate_cqrs::<Account>(db.clone(), vec![], ())
        .execute("ada", Command::Deposit(100, 4))
        .await
        .unwrap();
    db.drop_keyspace("account").unwrap();
    let plain = annals_cqrs::<Account>(db.clone(), vec![], ());
    plain.execute("ada", Command::Deposit(1, 5)).await.unwrap();
    assert_eq!(state(&db, "ada").await, Account { cents: 5, events_count: 5 });
    let cqrs = annals_snapshot_cqrs::<Account>(db.clone(), vec![], 100, ());
    let refused = cqrs.execute("ada", Command::Withdraw(300)).await;
    assert!(refused.is_err(), "300 cents of 5 were withdrawn");
    cqrs.execute("ada", Command::Withdraw(5)).await.unwrap();
}

/// A command on it would be decided on an empty state, and its events would keep it from being loaded ever again.
#[tokio::test]
async fn an_aggregate_whose_events_were_given_up_takes_no_command_until_it_is_deleted() {
    let db = Database::open_in_memory().unwrap();
    let cqrs = annals_cqrs::<Account>(db.clone(), vec![], ());
    cqrs.execute("ada", Command::Deposit(1, 3)).await.unwrap();
    let category = db.open_category("account").unwrap();
    category.truncate_before("ada", 3).unwrap();
    let refused = cqrs.execute("ada", Command::Deposit(1, 1)).await.unwrap_err();
    assert!(refused.to_string().contains("delete the stream"), "{refused}");
    category.delete("ada").unwrap();
    cqrs.execute("ada", Command::Deposit(7, 1)).await.unwrap();
    assert_eq!(state(&db, "ada").await, Account { cents: 7, events_count: 1 });
    cqrs.execute("ada", Command::Withdraw(7)).await.unwrap();
}

/// Brings deposits in front of `version` to that: what was `from`, so many of which are one `to`, is `to`.
fn upcaster(
    version: &str,
    from: &'static str,
    to: &'static str,
    times: u64,
) -> Box<dyn EventUpcaster> {
    let convert = move |payload: serde_json::Value| {
        let count = payload["Deposited"][from].as_u64().expect("an event of the version before");
        serde_json::json!({"Deposited": {to: count * times}})
    };
    Box::new(SemanticVersionEventUpcaster::new("Deposited", version, Box::new(convert)))
}

/// Each goes through those that come after its version, in their order, wherever its stream is read from.
#[tokio::test]
async fn events_of_older_versions_are_brought_to_the_newest() {
    let db = Database::open_in_memory().unwrap();
    let repository = AnnalsEventRepository::new(db);
    let deposited = |sequence, version: &str, unit: &str, count: u64| {
        let payload = serde_json::json!({"Deposited": {unit: count}});
        let (id, kind, metadata) = ("ada".into(), "Deposited".into(), serde_json::json!({}));
        SerializedEvent::new(
            id,
            sequence,
            "account".into(),
            kind,
            version.into(),
            payload,
            metadata,
        )
    };
    let stored = [
        deposited(1, "0.1", "euros", 3),
        deposited(2, "0.2", "dimes", 4),
        deposited(3, "1.0", "cents", 5),
        deposited(4, "0.1", "euros", 1),
    ];
    repository.persist::<Account>(&stored, None).await.unwrap();
    let upcasters =
        || vec![upcaster("0.2", "euros", "dimes", 10), upcaster("1.0", "dimes", "cents", 10)];
    for snapshots in [0, 2] {
        let store = AnnalsEventStore::<Account>::new(repository.clone());
        let store = store.with_snapshots(snapshots).with_upcasters(upcasters());
        let events = store.load_events("ada").await.unwrap();
        let payloads = events[..4].iter().map(|event| event.payload.clone());
        let wanted = [300, 40, 5, 100].map(|cents| AccountEvent::Deposited { cents });
        assert_eq!(payloads.collect::<Vec<_>>(), wanted);
        let mut loaded = store.load_aggregate("ada").await.unwrap();
        assert_eq!(loaded.aggregate().cents, 445);
        // What a command adds is of the newest version, and stored events stay as they are.
        let cqrs = AnnalsCqrs::new(store, vec![], ());
        cqrs.execute("ada", Command::Deposit(2, 1)).await.unwrap();
        let refused = cqrs.execute("ada", Command::Withdraw(448)).await.unwrap_err();
        assert!(matches!(refused, AggregateError::UserError(TooLittle)));
        let all = repository.get_events::<Account>("ada").await.unwrap();
        assert_eq!((&all[..4], &*all[4].event_version), (&stored[..], "1.0"));
        // The second round begins where the first one did.
        if snapshots == 0 {
            cqrs.execute("ada", Command::Withdraw(2)).await.unwrap();
        }
    }
    // Without them they cannot be read, and nothing is made up.
    let plain = AnnalsEventStore::<Account>::new(repository);
    assert!(plain.load_events("ada").await.is_err());
}
