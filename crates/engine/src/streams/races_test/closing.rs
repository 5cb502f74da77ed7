//! The database is closed while somebody waits: what was committed before is told before the end.

use super::*;
use crate::Changes;
use std::{
    pin::pin,
    task::{Context, Poll, Waker},
};

const HOUR: Duration = Duration::from_secs(3_600);

/// Appends an event and closes the database, the first time that it is asked.
fn append_and_close(world: &World) -> impl FnMut() + 'static {
    let world = world.clone();
    at_most(1, move || {
        append(&world.category, 7, 1).expect("it is open");
        world.db.clone().close().expect("it is open");
    })
}

fn next_in_task<R>(work: impl Future<Output = R>) -> R {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(next) => next,
        Poll::Pending => panic!("it waits for a database that is closed"),
    }
}

/// Appended and closed between a follower's two looks: at the events, and at whether more can come.
#[test]
fn what_was_appended_before_closing_is_told_before_the_end() -> Result<()> {
    for way in 0..3 {
        let world = World::new(51, KeyspaceOptions::default())?;
        let mut events = world.category.subscribe(Seq::ZERO)?;
        let mut next = || match way {
            0 => events.next().transpose(),
            1 => events.next_within(HOUR),
            _ => next_in_task(events.next_async()),
        };
        let first = each_time(Moment::NothingCame, append_and_close(&world), &mut next)?;
        assert_eq!(first.map(|event| event.version()), Some(0), "way {way}");
        assert!(next()?.is_none(), "way {way}");
    }
    for way in 0..2 {
        let world = World::new(52, KeyspaceOptions::default())?;
        let (watcher, seq) = (world.db.watcher(), world.db.last_seq().plus(1));
        let wait = || match way {
            0 => watcher.wait_for(seq, HOUR),
            _ => next_in_task(watcher.wait_for_async(seq)),
        };
        assert!(each_time(Moment::NothingCame, append_and_close(&world), wait)?, "way {way}");
    }
    Ok(())
}

/// What `work` comes to. Fails instead of hanging.
fn ends<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> R {
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || tell.send(work()));
    told.recv_timeout(Duration::from_secs(60)).expect("it hangs")
}

/// A state that was loaded after closing would be open: who waits would wait for ever, and the readers' lock would
/// be taken again.
#[test]
fn a_read_only_handle_that_is_closed_follows_nobody() -> Result<()> {
    let world = World::new(53, KeyspaceOptions::default())?;
    append(&world.category, 7, 1)?;
    let reader = small(&world.disk).read_only(true).open("db")?;
    let mut follower = reader.subscribe(Seq::ZERO)?.into_follower();
    let mut changes: Changes = reader.changes(reader.oldest_seq())?;
    let state = Arc::clone(reader.core.core());
    reader.clone().close()?;
    append(&world.category, 7, 1)?;
    (0..8).for_each(|_| world.move_all()());
    let told = ends(move || -> Result<_> {
        let mut events = follower.resume()?;
        events.by_ref().map(|event| Ok(event?.version())).collect::<Result<Vec<_>>>()
    })?;
    assert_eq!(told, [0]);
    let ended = ends(move || changes.by_ref().find_map(|change| change.err()));
    assert!(ended.is_none(), "{ended:?}");
    assert!(Arc::ptr_eq(&state, reader.core.core()));
    Ok(())
}
