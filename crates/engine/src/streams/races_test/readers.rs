//! Readers while somebody commits.

use super::*;

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
    append(&category, 8, 1)?;
    let (go_on, goes_on) = mpsc::channel::<()>();
    let (tell, told) = mpsc::channel::<Result<()>>();
    let (its_db, its_category) = (db, category.clone());
    let read = move || -> Result<Vec<(u64, u64)>> {
        let (db, category) = (its_db, its_category);
        let mut early = category.subscribe(Seq::ZERO)?;
        while early.try_next()?.is_some() {}
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
            assert_eq!((db.read_all(Seq::ZERO)?.count(), category.streams_count()?), (4, 2));
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
            for _ in 0..4 {
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
