//! Events that somebody else appends meanwhile.

use super::*;

/// Of two who append the same event one does, and the other is told where it is.
#[test]
fn an_event_that_somebody_else_has_just_appended_is_there_once() -> Result<()> {
    let db = Database::open_in_memory()?;
    let category = db.category("orders")?;
    append(&category, 7, 1)?;
    for count in [1u128, 2] {
        let events: Vec<_> =
            (0..count).map(|n| NewEvent::bytes("happened", b"x").id(count * 10 + n)).collect();
        let (other, same) = (category.clone(), events.clone());
        let first = Rc::new(Cell::new(None));
        let theirs = Rc::clone(&first);
        let append_them = at_most(1, move || {
            theirs.set(Some(other.append_many(7u64, &same, Any).expect("it is appended")));
        });
        let len = category.len(7u64)?;
        let mine = each_time(Moment::EventSought, append_them, || {
            category.append_many(7u64, &events, Any)
        })?;
        let theirs = first.get().expect("they came");
        assert!(mine.was_there && !theirs.was_there);
        assert_eq!((mine.first_seq, mine.last_seq), (theirs.first_seq, theirs.last_seq));
        assert_eq!(category.len(7u64)?, len + count as u64);
    }
    Ok(())
}

/// Of events that come together some can be found by their ids before the others: whoever appends the same ones is not
/// told that a part of them was there.
#[test]
fn events_that_somebody_else_is_just_appending_are_there_once() -> Result<()> {
    let db = Database::open_in_memory()?;
    let category = db.category("orders")?;
    append(&category, 7, 1)?;
    let events = || [1, 2, 3].map(|id| NewEvent::bytes("happened", b"x").id(id));
    let ((tell, is_between), (go_on, goes_on)) = (mpsc::channel(), mpsc::channel());
    let other = category.clone();
    let theirs = std::thread::spawn(move || {
        let wait = at_most(1, move || {
            tell.send(()).expect("it is waited for");
            // In vain where the other one waits for this thread.
            let _ = goes_on.recv_timeout(Duration::from_millis(200));
        });
        each_time(Moment::NewestShown, wait, || other.append_many(7u64, &events(), Any))
    });
    is_between.recv().expect("it comes there");
    let mine = category.append_many(7u64, &events(), Any);
    let _ = go_on.send(());
    let (mine, theirs) = (mine?, theirs.join().expect("it ends")?);
    assert!(mine.was_there && !theirs.was_there);
    assert_eq!((mine.first_version, mine.last_version), (1, 3));
    assert_eq!((mine.first_seq, mine.last_seq), (theirs.first_seq, theirs.last_seq));
    assert_eq!(category.len(7u64)?, 4);
    Ok(())
}

/// An event is in the log, and readers do not see it yet, when somebody begins to follow: it is one of those that
/// come.
#[test]
fn who_begins_to_follow_while_an_event_comes_is_told_of_it() -> Result<()> {
    let db = Database::open_in_memory()?;
    let category = db.category("orders")?;
    append(&category, 7, 3)?;
    let (tell, has_begun) = mpsc::channel::<()>();
    let (go_on, goes_on) = mpsc::channel::<()>();
    let follower = db;
    let follow = move || -> Result<Vec<u64>> {
        let mut events = follower.subscribe(Seq::ZERO)?;
        let _ = tell.send(());
        goes_on.recv().expect("it goes on");
        let mut versions = Vec::new();
        while let Some(event) = events.try_next()? {
            versions.push(event.version());
        }
        Ok(versions)
    };
    let (mut follow, following) = (Some(follow), Rc::new(Cell::new(None)));
    let thread = Rc::clone(&following);
    let begin = at_most(1, move || {
        thread.set(Some(std::thread::spawn(follow.take().expect("once"))));
        // It may have to wait until the event is shown, and so for this thread.
        let _ = has_begun.recv_timeout(Duration::from_millis(200));
    });
    each_time(Moment::EventPlaced, begin, || append(&category, 7, 1))?;
    go_on.send(()).expect("it is there");
    let versions = following.take().expect("it was begun").join().expect("it ends")?;
    assert_eq!(versions, [0, 1, 2, 3]);
    Ok(())
}
