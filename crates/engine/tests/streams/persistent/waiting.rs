//! Waiting for events, in threads and in tasks.

use super::*;
use std::sync::atomic::AtomicBool;

#[test]
fn who_waits_is_woken_by_events_and_by_time() -> Result<()> {
    let db = Database::open_in_memory()?;
    let category = db.category("numbers")?;
    let options = PersistentOptions::default().ack_timeout(Duration::from_millis(50));
    let subscription = db.persistent_subscription("s", &options)?;
    let consumer = subscription.consumer()?;
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| consumer.next_within(MINUTE).unwrap().unwrap().leave());
        append(&category, 1, 1).unwrap();
        let ticket = waiting.join().unwrap();
        // Not acknowledged in time.
        let again = consumer.next_within(MINUTE).unwrap().unwrap();
        assert_eq!(again.attempt(), 2);
        assert!(!subscription.acknowledge(ticket).unwrap());
        again.retry_after(Duration::from_millis(10)).unwrap();
        let again = consumer.next_within(MINUTE).unwrap().unwrap();
        assert_eq!(again.attempt(), 3);
        again.acknowledge().unwrap();
    });
    // A database that is closed has no more.
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| (&consumer).next().is_none());
        db.clone().close().unwrap();
        assert!(waiting.join().unwrap());
    });
    Ok(())
}

/// Runs a task on this thread.
fn block_on<T>(task: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let (mut context, mut task) = (Context::from_waker(&waker), pin!(task));
    loop {
        match task.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

#[test]
fn tasks_are_woken_by_events_by_time_and_by_what_others_give_back() -> Result<()> {
    let db = Database::open_in_memory()?;
    let category = db.category("numbers")?;
    let options = PersistentOptions::default().ack_timeout(Duration::from_millis(100));
    let subscription = db.persistent_subscription("s", &options)?;
    let consumer = subscription.consumer()?;
    let ((tell, done), (give, turn)) = (std::sync::mpsc::channel(), std::sync::mpsc::channel());
    std::thread::scope(|scope| {
        let consumer = &consumer;
        let task = scope.spawn(move || {
            block_on(async {
                for n in 0..100 {
                    let event = consumer.next_async().await.unwrap().unwrap();
                    assert_eq!(number(&event), n);
                    event.acknowledge().unwrap();
                }
                // Nothing but time brings these.
                let event = consumer.next_async().await.unwrap().unwrap();
                event.retry_after(Duration::from_millis(20)).unwrap();
                let event = consumer.next_async().await.unwrap().unwrap();
                assert_eq!(event.attempt(), 2);
                let _ticket = event.leave();
                let event = consumer.next_async().await.unwrap().unwrap();
                assert_eq!(event.attempt(), 3);
                event.acknowledge().unwrap();
                tell.send(()).unwrap();
                // Somebody else has this one, and goes away, or does not handle it in time.
                for n in [101, 102] {
                    turn.recv().unwrap();
                    let event = consumer.next_async().await.unwrap().unwrap();
                    assert_eq!(number(&event), n);
                    event.acknowledge().unwrap();
                    tell.send(()).unwrap();
                }
                assert!(consumer.next_async().await.unwrap().is_none());
            });
        });
        for n in 0..=100 {
            append(&category, n % 3, n).unwrap();
        }
        let wait = || done_by_task(&done);
        wait();
        for n in [101, 102] {
            let other = subscription.consumer().unwrap();
            append(&category, 9, n).unwrap();
            let taken = other.try_next().unwrap().unwrap();
            give.send(()).unwrap();
            std::thread::sleep(Duration::from_millis(20));
            if n == 101 {
                let _ticket = taken.leave();
                drop(other);
                wait();
            } else {
                wait();
                assert!(!taken.acknowledge().unwrap());
            }
        }
        db.clone().close().unwrap();
        task.join().unwrap();
    });
    Ok(())
}

/// Waits until the task has done its part.
fn done_by_task(done: &std::sync::mpsc::Receiver<()>) {
    done.recv_timeout(MINUTE).unwrap();
}

/// Whether a task was woken.
#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// A task sleeps until it is woken: nothing that is in its way may go without that.
#[test]
fn a_task_is_woken_by_who_takes_away_what_is_in_its_way() -> Result<()> {
    let db = Database::open_in_memory()?;
    let category = db.category("numbers")?;
    // What is acknowledged is not written meanwhile: that would wake it too.
    let options = || PersistentOptions::default().ack_timeout(60 * MINUTE).write_every(9, MINUTE);
    for n in 0..2 {
        append(&category, 1, n)?;
    }
    let too_many = || options().max_in_flight(1).strategy(Strategy::Any);
    for (name, options) in [
        ("too many", too_many()),
        ("of the same stream", options()),
        ("removed", too_many()),
        ("changed", too_many()),
    ] {
        let subscription = db.persistent_subscription(name, &options)?;
        let (other, consumer) = (subscription.consumer()?, subscription.consumer()?);
        let taken = other.try_next()?.unwrap();
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let (mut context, mut next) = (Context::from_waker(&waker), pin!(consumer.next_async()));
        assert!(next.as_mut().poll(&mut context).is_pending(), "{name}");
        // By what came before: it looks again, and in vain.
        while woken.0.swap(false, Ordering::SeqCst) {
            assert!(next.as_mut().poll(&mut context).is_pending());
        }
        let is_removed = name == "removed";
        match name {
            "removed" => db.remove_persistent_subscription(name)?,
            "changed" => drop(db.persistent_subscription(name, &options.max_in_flight(2))?),
            _ => assert!(taken.acknowledge()?),
        }
        assert!(woken.0.load(Ordering::SeqCst), "{name}: it sleeps");
        match next.as_mut().poll(&mut context) {
            Poll::Ready(Ok(Some(event))) if !is_removed => assert_eq!(number(&event), 1),
            Poll::Ready(Err(Error::UnknownSubscription { .. })) if is_removed => {}
            other => panic!("{name}: {other:?}"),
        }
    }
    Ok(())
}
