//! Waking tasks of read-only handles: nobody tells those when the writer has done something.
//!
//! No runtime is known here, so there is no timer to ask. One thread for all of them sleeps, wakes them, and ends
//! when none has come back: a task that woke itself would look all the time, and take a processor.

use super::subscription::POLL;
use parking_lot::Mutex;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    task::Waker,
};

static SLEEPERS: Mutex<Sleepers> = Mutex::new(Sleepers { tasks: Vec::new(), has_thread: false });

struct Sleepers {
    tasks: Vec<Waker>,
    has_thread: bool,
}

/// Wakes the task in a moment, so that it looks again.
pub(super) fn look_again(waker: &Waker) {
    let tasks = {
        let mut sleepers = SLEEPERS.lock();
        if !sleepers.tasks.iter().any(|known| known.will_wake(waker)) {
            sleepers.tasks.push(waker.clone());
        }
        if sleepers.has_thread {
            return;
        }
        let thread = std::thread::Builder::new().name("annals-look".into());
        sleepers.has_thread = thread.spawn(wake_all_until_none_is_left).is_ok();
        if sleepers.has_thread {
            return;
        }
        std::mem::take(&mut sleepers.tasks)
    };
    // Without a thread they look at once: late is worse than busy.
    tasks.into_iter().for_each(Waker::wake);
}

fn wake_all_until_none_is_left() {
    loop {
        std::thread::sleep(POLL);
        let tasks = {
            let mut sleepers = SLEEPERS.lock();
            if sleepers.tasks.is_empty() {
                sleepers.has_thread = false;
                return;
            }
            std::mem::take(&mut sleepers.tasks)
        };
        for task in tasks {
            // A runtime that panics is not to leave the others asleep.
            let _ = catch_unwind(AssertUnwindSafe(|| task.wake()));
        }
    }
}
