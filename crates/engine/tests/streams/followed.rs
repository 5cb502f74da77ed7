//! Followers beside writers, compaction and checkpoints: each is told of each event once, in order.

use annals_engine::{
    Category, Database, ExpectedVersion, NewEvent, PersistentOptions, Result, Seq, Subscription,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::Thread,
    time::Duration,
};

const WRITERS: u64 = 3;
const EVENTS: u64 = 1_000;
const STREAMS: u64 = 4;
const MOMENT: Duration = Duration::from_millis(20);

/// What a follower was told: the number of each event, and what is in it.
type Told = Vec<(Seq, Vec<u8>)>;

/// The number of the last event; 0 while nobody knows.
struct End(AtomicU64);

impl End {
    fn known(&self) -> Option<Seq> {
        Some(Seq(self.0.load(Ordering::Acquire))).filter(|end| *end > Seq::ZERO)
    }
}

/// Writes events of two types to streams that all writers share, alone and several at once.
fn write(db: &Database, categories: &[Category; 2], writer: u64) -> Result<()> {
    let any = ExpectedVersion::Any;
    for n in 0..EVENTS {
        let data = [&writer.to_le_bytes()[..], &n.to_le_bytes(), &[7; 300][..(n % 300) as usize]];
        let (data, name) = (data.concat(), if n % 10 == 3 { "rare" } else { "often" });
        let event = NewEvent::bytes(name, &data);
        let category = &categories[(n % 2) as usize];
        if n % 4 == 1 {
            let mut batch = db.batch();
            for category in categories {
                batch.append(category, n % STREAMS, &[event.clone(), event.clone()], any)?;
            }
            batch.commit()?;
        } else {
            category.append((n * 7 + writer) % STREAMS, &event, any)?;
        }
    }
    Ok(())
}

/// Follows until all up to the last event is told. Begins anew, where it was, each time that it was told of so many.
fn follow<'a>(
    begin: impl Fn(Seq) -> Result<Subscription<'a>>,
    from: Seq,
    anew_every: usize,
    end: &End,
) -> Result<Told> {
    let (mut events, mut told) = (begin(from)?, Told::new());
    loop {
        let known = end.known();
        if let Some(event) = events.next_within(MOMENT)? {
            told.push((event.seq(), event.data().to_vec()));
            if told.len().is_multiple_of(anew_every) {
                events = begin(events.position())?;
            }
        } else if known.is_some_and(|end| events.position() > end) {
            return Ok(told);
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// The same in a task, which ends with the last event.
fn follow_in_task(db: &Database) -> Result<Told> {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut events = db.subscribe(Seq::ZERO)?;
    let work = async {
        let mut told = Told::new();
        while let Some(event) = events.next_async().await? {
            told.push((event.seq(), event.data().to_vec()));
            if event.event_type().name == "end" {
                break;
            }
        }
        Ok(told)
    };
    let mut work = std::pin::pin!(work);
    loop {
        match work.as_mut().poll(&mut context) {
            Poll::Ready(told) => return told,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Takes events that others take too, until there are no more.
fn consume(db: &Database, end: &End) -> Result<Told> {
    let consumer = db.open_persistent_subscription("shared")?.consumer()?;
    let mut told = Told::new();
    loop {
        let known = end.known();
        if let Some(event) = consumer.next_within(MOMENT)? {
            told.push((event.seq(), event.data().to_vec()));
            assert!(event.acknowledge()?);
        } else if known.is_some() && consumer.try_next()?.is_none() {
            // What waits behind an event that another one has is given to that one.
            return Ok(told);
        }
    }
}

#[test]
fn subscriptions_miss_and_repeat_nothing_beside_writers_and_compaction() -> Result<()> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    let builder = Database::builder().segment_bytes(64 << 10).checkpoint_every_bytes(100 << 10);
    let db = builder.compact_below(0.8).open(&path)?;
    let categories = [db.category("orders")?, db.category("carts")?];
    let churn = db.hash_keyspace("churn")?;
    // Nobody is so slow that what it has is given to another.
    let options = PersistentOptions::default().ack_timeout(Duration::from_secs(3_600));
    let _shared = db.persistent_subscription("shared", &options)?;
    let reader = Database::builder().read_only(true).open(&path)?;
    let seen_by_reader = reader.open_category("orders")?;
    let (end, oldest) = (End(AtomicU64::new(0)), db.oldest_seq());
    let (db, categories, end, orders) = (&db, &categories, &end, &categories[0]);
    std::thread::scope(|scope| -> Result<()> {
        let writers: Vec<_> =
            (0..WRITERS).map(|writer| scope.spawn(move || write(db, categories, writer))).collect();
        scope.spawn(move || -> Result<()> {
            for round in 0u64.. {
                for n in 0..20u64 {
                    churn.insert(n.to_le_bytes(), vec![round as u8; 900])?;
                }
                if round.is_multiple_of(3) {
                    db.checkpoint()?;
                } else {
                    db.compact()?;
                }
                if end.known().is_some() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            Ok(())
        });
        type Begin<'b> = Box<dyn Fn(Seq) -> Result<Subscription<'b>> + Send + 'b>;
        let all: Begin<'_> = Box::new(|from| db.subscribe(from));
        let resumed: Begin<'_> = Box::new(|from| db.subscribe(from));
        let of_category: Begin<'_> = Box::new(|from| orders.subscribe(from));
        let of_stream: Begin<'_> = Box::new(|from| orders.subscribe_to(1u64, from));
        let of_type: Begin<'_> = Box::new(|from| Ok(db.subscribe(from)?.of_type("rare")));
        let awake: Begin<'_> =
            Box::new(|from| Ok(db.subscribe(from)?.stay_awake(Duration::from_millis(1))));
        let reading: Begin<'_> = Box::new(|from| reader.subscribe(from));
        let resumed_reading: Begin<'_> = Box::new(|from| seen_by_reader.subscribe(from));
        let never = usize::MAX;
        let followers = [
            ("all", all, never),
            ("anew from where it was", resumed, 50),
            ("a category", of_category, 70),
            ("a stream", of_stream, never),
            ("a type", of_type, 30),
            ("awake", awake, never),
            ("a read-only handle", reading, never),
            ("a category in a read-only handle", resumed_reading, 50),
        ];
        let followers: Vec<_> = followers
            .into_iter()
            .map(|(name, begin, anew_every)| {
                (name, scope.spawn(move || follow(begin, Seq::ZERO, anew_every, end)))
            })
            .collect();
        let in_task = scope.spawn(move || follow_in_task(db));
        let consumers = [(); 2].map(|()| scope.spawn(move || consume(db, end)));
        // One that comes late, and is told of nothing that was there.
        let late_from = db.last_seq().plus(1);
        let late = scope.spawn(move || follow(|from| db.subscribe(from), late_from, never, end));

        let written: Vec<_> = writers.into_iter().map(|writer| writer.join()).collect();
        // Also if one has failed: nobody is left waiting.
        let last = orders.append(99u64, &NewEvent::bytes("end", b"end"), ExpectedVersion::Any)?;
        end.0.store(last.last_seq.0, Ordering::Release);
        for writer in written {
            writer.unwrap()?;
        }
        let everything: Vec<_> = db
            .read_all(Seq::ZERO)?
            .map(|event| {
                let event = event?;
                let of_one = event.category() == "orders" && event.stream() == 1u64.into();
                let told = (event.seq(), event.data().to_vec());
                Ok((told, event.category() == "orders", of_one, event.event_type().name == "rare"))
            })
            .collect::<Result<_>>()?;
        let expected: Told = everything.iter().map(|(told, ..)| told.clone()).collect();
        assert!(expected.is_sorted() && expected.len() as u64 > WRITERS * EVENTS);
        for (name, follower) in followers {
            let wanted = everything.iter().filter(|(_, of_orders, of_one, is_rare)| match name {
                "a category" | "a category in a read-only handle" => *of_orders,
                "a stream" => *of_one,
                "a type" => *is_rare,
                _ => true,
            });
            let wanted: Told = wanted.map(|(told, ..)| told.clone()).collect();
            same(name, &follower.join().unwrap()?, &wanted);
        }
        same("a task", &in_task.join().unwrap()?, &expected);
        let behind = expected.iter().filter(|(seq, _)| *seq >= late_from).cloned().collect();
        same("who came late", &late.join().unwrap()?, &behind);
        let mut consumed = Told::new();
        for consumer in consumers {
            consumed.extend(consumer.join().unwrap()?);
        }
        consumed.sort();
        same("consumers together", &consumed, &expected);
        Ok(())
    })?;
    assert!(db.oldest_seq() > oldest, "compaction gave nothing up");
    Ok(())
}

/// Without printing thousands of events.
fn same(name: &str, told: &Told, expected: &Told) {
    let differs = told.iter().zip(expected).position(|(told, expected)| told != expected);
    let at = differs.map(|at| (at, told[at].0, expected[at].0));
    assert_eq!((at, told.len()), (None, expected.len()), "{name}");
}
