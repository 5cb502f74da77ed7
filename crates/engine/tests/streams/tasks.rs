//! Tasks of a runtime with several threads follow, consume and wait; what they await may be given up at any time.

use annals_engine::{
    Category, Database, ExpectedVersion, NewEvent, PersistentOptions, Result, Seq,
};
use std::{
    future::ready,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

const EVENTS: u64 = 300;

/// Follows until it was told of all events. Gives each second future up that has nothing at once.
async fn follow(category: Category) -> Result<Vec<u64>> {
    let mut events = category.subscribe(Seq::ZERO)?;
    let (mut versions, mut given_up_count) = (Vec::new(), 0u64);
    while (versions.len() as u64) < EVENTS {
        let event = tokio::select! {
            biased;
            event = events.next_async() => event?,
            () = ready(()), if given_up_count.is_multiple_of(2) => {
                given_up_count += 1;
                tokio::task::yield_now().await;
                continue;
            }
        };
        given_up_count += 1;
        versions.push(event.expect("it is open").version());
    }
    Ok(versions)
}

/// Acknowledges events until the database is closed. Gives futures up likewise.
async fn consume(db: Database, handled_count: Arc<AtomicU64>) -> Result<Vec<u64>> {
    let consumer = db.open_persistent_subscription("shared")?.consumer()?;
    let mut versions = Vec::new();
    loop {
        let event = tokio::select! {
            biased;
            event = consumer.next_async() => event?,
            () = ready(()), if versions.len().is_multiple_of(2) => {
                tokio::task::yield_now().await;
                consumer.next_async().await?
            }
        };
        let Some(event) = event else { return Ok(versions) };
        versions.push(event.version());
        assert!(event.acknowledge()?);
        handled_count.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_are_told_of_each_event_once_whatever_futures_are_dropped() -> Result<()> {
    let db = Database::open_in_memory()?;
    let category = db.category("orders")?;
    let options = PersistentOptions::default().ack_timeout(std::time::Duration::from_secs(3_600));
    let _shared = db.persistent_subscription("shared", &options)?;
    let handled_count = Arc::new(AtomicU64::new(0));
    let followers = [(); 3].map(|()| tokio::spawn(follow(category.clone())));
    let consumers = [(); 2].map(|()| tokio::spawn(consume(db.clone(), Arc::clone(&handled_count))));
    // Ended while it waits: nobody else is kept from being woken.
    let ended = tokio::spawn(consume(db.clone(), Arc::clone(&handled_count)));
    tokio::task::yield_now().await;
    ended.abort();
    assert!(ended.await.is_err_and(|error| error.is_cancelled()));
    let watcher = db.watcher();
    let (known, knows) = std::sync::mpsc::channel::<Seq>();
    let waiting = tokio::spawn(async move {
        let last = tokio::task::spawn_blocking(move || knows.recv()).await.unwrap().unwrap();
        watcher.wait_for_async(last).await
    });
    for n in 0..EVENTS {
        let data = n.to_le_bytes();
        let event = NewEvent::bytes("n", &data);
        let done = category.append(7u64, &event, ExpectedVersion::Any)?;
        if n == EVENTS / 2 {
            known.send(Seq(done.last_seq.0 + EVENTS / 2 - 1)).unwrap();
        }
        if n.is_multiple_of(3) {
            tokio::task::yield_now().await;
        }
    }
    for follower in followers {
        assert_eq!(follower.await.unwrap()?, (0..EVENTS).collect::<Vec<_>>());
    }
    assert!(waiting.await.unwrap()?, "it is open");
    let is_one_over = || consumers.iter().any(tokio::task::JoinHandle::is_finished);
    while handled_count.load(Ordering::Relaxed) < EVENTS && !is_one_over() {
        tokio::task::yield_now().await;
    }
    db.close()?;
    let mut consumed = Vec::new();
    for consumer in consumers {
        consumed.extend(consumer.await.unwrap()?);
    }
    consumed.sort_unstable();
    assert_eq!(consumed, (0..EVENTS).collect::<Vec<_>>());
    Ok(())
}
