//! Readers while somebody commits.

use super::*;
use crate::{Projection, Projector, RecordedEvent, Work};
use annals_events::Event;

#[derive(Event)]
#[event(crate = annals_events)]
struct Noted {
    n: u64,
}

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

/// Whoever reads, or begins to follow, gets an answer while the lock of the writer is held, and no word of what is not
/// shown yet.
#[test]
fn nobody_who_reads_waits_for_who_appends() -> Result<()> {
    /// Long beyond what any of this takes: it is there to fail instead of to hang.
    const HANGS: Duration = Duration::from_secs(300);
    let db = Database::open_in_memory()?;
    let category = db.category("orders")?;
    let users = db.hash_keyspace("users")?;
    users.insert("ada", "1815")?;
    append(&category, 7, 3)?;
    category.append(8u64, &NewEvent::bytes("happened", &[7; 40]).id(5), Any)?;
    let notes = db.stream::<Noted>("notes")?;
    notes.append(1u64, &Noted { n: 17 })?;
    #[cfg(feature = "chained-events")]
    let audit = {
        let audit = db.create_category("audit", KeyspaceOptions::default().chained())?;
        append(&audit, 1, 1)?;
        audit
    };
    let events_count = if cfg!(feature = "chained-events") { 6 } else { 5 };
    let mails = db.persistent_subscription("mails", &PersistentOptions::default())?;
    let newest = db.hash_keyspace("newest")?;
    let (tell_ready, ready) = mpsc::channel::<()>();
    let (go_on, goes_on) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel::<Result<()>>();
    let (its_db, its_category) = (db, category.clone());
    let read = move || -> Result<Vec<(u64, u64)>> {
        let (db, category) = (its_db, its_category);
        let mut early = category.subscribe(Seq::ZERO)?;
        while early.try_next()?.is_some() {}
        let (consumer, kept) = (mails.consumer()?, newest.clone());
        let mut projector = Projector::new(&db, "newest", Newest(newest))?;
        assert_eq!(projector.catch_up()?, events_count);
        tell_ready.send(()).expect("it is waited for");
        goes_on.recv().expect("it goes on");
        let mut late = None;
        let found = (|| {
            assert_eq!((category.len(7u64)?, category.exists(7u64)?), (3, true));
            assert_eq!(category.info(7u64)?.next_version, 3);
            let last = category.last(7u64)?.expect("an event");
            assert_eq!((last.version(), db.last_seq() > last.seq()), (2, true));
            assert!(category.get(7u64, 2)?.is_some() && category.get(7u64, 3)?.is_none());
            assert_eq!((category.read(7u64)?.count(), category.read(7u64)?.back().count()), (3, 3));
            assert_eq!(category.read(7u64)?.batches().count(), 1);
            assert_eq!(category.read_all(Seq::ZERO)?.count(), 4);
            assert_eq!(category.read_all(Seq::ZERO)?.of_type("happened").count(), 4);
            let all_count = db.read_all(Seq::ZERO)?.count() as u64;
            assert_eq!((all_count, category.streams_count()?), (events_count, 2));
            assert!(category.find(8u64, 5)?.is_some() && category.find(7u64, 5)?.is_none());
            let mut noted = Vec::new();
            notes.read(1u64)?.each_view(|note| {
                noted.push(note.n.to_native());
                Ok(())
            })?;
            assert_eq!(noted, [17]);
            #[cfg(feature = "chained-events")]
            assert_eq!(audit.chain_head(1u64)?.map(|head| head.version), Some(0));
            let delivery = consumer.try_next()?.expect("an event");
            assert_eq!((delivery.category(), delivery.version()), ("orders", 0));
            let _ticket = delivery.leave();
            // Of what is new nothing is shown yet.
            assert_eq!((projector.step()?, kept.len()), (0, 3));
            assert!(db.event_at(last.seq())?.is_some());
            let mut streams_count = 0;
            category.each_stream(|_, _| {
                streams_count += 1;
                Ok(())
            })?;
            assert_eq!(streams_count, 2);
            assert_eq!(users.get("ada")?.as_deref(), Some(&b"1815"[..]));
            assert!(early.try_next()?.is_none());
            let mut events = db.subscribe(Seq::ZERO)?;
            for _ in 0..events_count {
                assert!(events.try_next()?.is_some());
            }
            assert!(events.try_next()?.is_none());
            let anew = category.subscribe_to(7u64, db.last_seq())?;
            late = Some([events, anew]);
            Ok(())
        })();
        let is_read = found.is_ok();
        let _ = tell.send(found);
        if !is_read {
            return Ok(Vec::new());
        }
        goes_on.recv().expect("it goes on");
        // What came meanwhile is told to all of them.
        let mut versions = Vec::new();
        for mut events in late.into_iter().flatten().chain([early]) {
            while let Some(event) = events.try_next()? {
                versions
                    .push((event.stream().to_string().parse().expect("a number"), event.version()));
            }
        }
        Ok(versions)
    };
    let reader = std::thread::spawn(read);
    // Beginning a projection writes: nobody may have the lock yet.
    ready.recv().expect("the reader has begun");
    let going = go_on.clone();
    let others = at_most(1, move || {
        going.send(()).expect("it is there");
        told.recv_timeout(HANGS).expect("a reader waits for who appends").expect("it is read");
    });
    each_time(Moment::EventPlaced, others, || append(&category, 7, 1))?;
    go_on.send(()).expect("it is there");
    assert_eq!(reader.join().expect("no panic")?, [(7, 3); 3]);
    Ok(())
}
