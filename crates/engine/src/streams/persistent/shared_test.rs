use super::{super::reader::READ_WAIT, *};
use crate::{Database, ExpectedVersion, NewEvent, PersistentOptions};
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
