use super::{super::reader::READ_WAIT, *};
use crate::streams::meanwhile::{Moment, each_time};
use crate::{Database, ErrorKind, ExpectedVersion, NewEvent, PersistentOptions};
use annals_disk::{SimDisk, SimOptions};

fn database(disk: &SimDisk) -> Database {
    let builder = Database::builder().segment_bytes(64 << 10).disk(Arc::new(disk.clone()));
    builder.open("db").unwrap()
}

fn append(db: &Database, stream: u64) {
    let category = db.category("numbers").unwrap();
    category.append(stream, &NewEvent::bytes("n", b""), ExpectedVersion::Any).unwrap();
}

#[test]
fn what_is_acknowledged_in_time_while_the_state_is_held_is_not_late() {
    let disk = SimDisk::new(SimOptions::seeded(1));
    let db = database(&disk);
    let options = PersistentOptions::default().ack_timeout(Duration::from_secs(5)).max_attempts(1);
    let subscription = db.persistent_subscription("s", &options).unwrap();
    let consumer = subscription.consumer().unwrap();
    append(&db, 1);
    let ticket = consumer.try_next().unwrap().unwrap().leave();
    let shared = subscription.shared();
    let mut state = shared.lock().unwrap();
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| subscription.acknowledge(ticket).unwrap());
        while shared.settling.lock().is_empty() {
            std::thread::yield_now();
        }
        disk.advance_ms(5_000);
        // Who comes first does not take it back.
        shared.expire(subscription.open(), &mut state, disk.monotonic_ns());
        drop(state);
        assert!(asked.join().unwrap());
    });
    let info = subscription.info().unwrap();
    assert_eq!((info.parked_count, info.waiting_count, info.lag), (0, 0, 0));
    assert!(shared.settling.lock().is_empty());
}

#[test]
fn while_one_reads_others_settle_are_told_and_get_what_was_read() {
    let db = database(&SimDisk::new(SimOptions::seeded(2)));
    let options = PersistentOptions::default();
    let subscription = db.persistent_subscription("s", &options).unwrap();
    let consumer = subscription.consumer().unwrap();
    for stream in 0..3 {
        append(&db, stream);
    }
    let first = consumer.try_next().unwrap().unwrap();
    append(&db, 4);
    let reading = subscription.shared().reader.lock();
    assert!(first.acknowledge().unwrap());
    assert_eq!(subscription.info().unwrap().waiting_count, 2);
    for _ in 0..2 {
        consumer.try_next().unwrap().unwrap().acknowledge().unwrap();
    }
    // What was not read is not waited for longer than was asked.
    assert!(consumer.next_within(Duration::ZERO).unwrap().is_none());
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| consumer.try_next().unwrap().unwrap().acknowledge().unwrap());
        std::thread::sleep(READ_WAIT * 2);
        drop(reading);
        assert!(waiting.join().unwrap());
    });
}

/// Leaves the disk, and the segment that is written to, no room for anything.
fn fill(disk: &SimDisk, db: &Database) {
    let filler = db.hash_keyspace("filler").unwrap();
    disk.set_capacity(0);
    for len in [10_000, 500, 1] {
        while filler.insert([0], vec![0; len]).is_ok() {}
    }
}

/// What was not written is written later: an event that was parked is neither given out again nor lost.
#[test]
fn what_is_parked_while_there_is_no_space_is_parked_once_there_is_some() {
    let disk = SimDisk::new(SimOptions::seeded(3));
    let db = database(&disk);
    let options = PersistentOptions::default();
    let subscription = db.persistent_subscription("s", &options).unwrap();
    let consumer = subscription.consumer().unwrap();
    append(&db, 1);
    let given = consumer.try_next().unwrap().unwrap();
    let seq = given.seq();
    fill(&disk, &db);
    let error = given.park("it is odd").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Full, "{error}");
    disk.clear_capacity();
    subscription.flush().unwrap();
    drop((consumer, subscription));
    db.close().unwrap();
    let db = database(&disk);
    let subscription = db.persistent_subscription("s", &options).unwrap();
    let parked = subscription.parked().unwrap();
    let parked: Vec<_> = parked.iter().map(|parked| (parked.seq, &*parked.reason)).collect();
    assert_eq!(parked, [(seq, "it is odd")]);
    assert!(subscription.consumer().unwrap().try_next().unwrap().is_none());
}

/// Nobody has an event that was about to be given out when that failed: the next one who asks gets it.
#[test]
fn what_cannot_be_given_out_for_want_of_space_is_given_out_once_there_is_some() {
    let disk = SimDisk::new(SimOptions::seeded(4));
    let db = database(&disk);
    let options = PersistentOptions::default().write_every(1, Duration::from_secs(1));
    let subscription = db.persistent_subscription("s", &options).unwrap();
    let consumer = subscription.consumer().unwrap();
    append(&db, 1);
    append(&db, 2);
    let first = consumer.try_next().unwrap().unwrap();
    fill(&disk, &db);
    assert_eq!(first.acknowledge().unwrap_err().kind(), ErrorKind::Full);
    assert_eq!(consumer.try_next().unwrap_err().kind(), ErrorKind::Full);
    disk.clear_capacity();
    let second = consumer.try_next().unwrap().expect("nobody has it");
    assert_eq!((second.stream(), second.attempt()), (2u64.into(), 1));
    assert!(second.acknowledge().unwrap());
    assert!(consumer.try_next().unwrap().is_none());
}

/// A place that leads to an event of another number leads to nothing that was meant.
#[test]
fn an_event_of_another_number_is_not_the_one_that_was_parked() {
    let db = database(&SimDisk::new(SimOptions::seeded(5)));
    append(&db, 1);
    append(&db, 1);
    let category = db.category("numbers").unwrap();
    let seq = category.last(1u64).unwrap().unwrap().seq();
    let (open, keyspace) = category.parts();
    let key = StreamKey::of(&1u64.into()).unwrap();
    let place = EventPlace { space: keyspace.id, key, version: 1 };
    let found = find(open, seq, &place).unwrap().expect("it is there");
    assert_eq!((found.seq(), found.version()), (seq, 1));
    for other in [Seq(seq.0 - 1), Seq(seq.0 + 1)] {
        assert!(find(open, other, &place).unwrap().is_none());
    }
}

/// Of two who let what is parked be given out again at once one does, and it is given out once.
#[test]
fn what_somebody_else_has_just_replayed_is_not_replayed_again() {
    let db = database(&SimDisk::new(SimOptions::seeded(6)));
    let options = PersistentOptions::default();
    let subscription = db.persistent_subscription("s", &options).unwrap();
    let consumer = subscription.consumer().unwrap();
    append(&db, 1);
    assert!(consumer.try_next().unwrap().unwrap().park("it is odd").unwrap());
    let other = db.persistent_subscription("s", &options).unwrap();
    let (taker, mut times) = (other.consumer().unwrap(), 0);
    let replay_first = move || {
        times += 1;
        if times == 1 {
            assert_eq!(other.replay_parked().unwrap().replayed_count, 1);
            assert!(taker.try_next().unwrap().unwrap().acknowledge().unwrap());
        }
    };
    let replayed =
        each_time(Moment::LimitsKnown, replay_first, || subscription.replay_parked()).unwrap();
    assert_eq!((replayed.replayed_count, replayed.gone_count), (0, 0));
    assert!(consumer.try_next().unwrap().is_none());
    assert_eq!(subscription.info().unwrap().parked_count, 0);
}
