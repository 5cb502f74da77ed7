//! The database is closed while somebody waits: what was committed before is told before the end.

use super::*;
use crate::Changes;
use annals_disk::{
    DiskError, Operation,
    hooked::{Act, Hook, hooked},
};
use std::{
    io,
    path::Path,
    pin::pin,
    sync::atomic::AtomicBool,
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

/// A disk that makes no checkpoints, from some time on.
#[derive(Debug, Default)]
struct NoCheckpoints(AtomicBool);

impl Hook for NoCheckpoints {
    fn before(&self, act: Act, path: &Path) -> annals_disk::Result<bool> {
        let is_one = act == Act::Create && path.extension().is_some_and(|end| end == "ckp");
        if is_one && self.0.load(Ordering::Relaxed) {
            let source = io::Error::other("no checkpoints here");
            return Err(DiskError::new(Operation::Create, path, source));
        }
        Ok(true)
    }
}

/// Nobody would come to close it once more.
#[test]
fn a_database_that_fails_to_write_its_last_checkpoint_is_closed_all_the_same() -> Result<()> {
    let (sim, hook) = (SimDisk::new(SimOptions::default()), Arc::new(NoCheckpoints::default()));
    let disk = hooked(Arc::new(sim.clone()), Arc::clone(&hook));
    let db = small(&sim).disk(disk).open("db")?;
    let rooms = db.category("rooms")?;
    append(&rooms, 7, 1)?;
    let mut follower = rooms.subscribe(Seq::ZERO)?.into_follower();
    hook.0.store(true, Ordering::Relaxed);
    let error = db.clone().close().expect_err("it has no checkpoint");
    assert!(error.to_string().contains("no checkpoints here"), "{error}");
    let told =
        ends(move || follower.resume()?.by_ref().collect::<Result<Vec<_>>>().map(|all| all.len()));
    assert_eq!(told?, 1);
    drop((rooms, db));
    assert_eq!(small(&sim).open("db")?.category("rooms")?.len(7u64)?, 1);
    Ok(())
}
