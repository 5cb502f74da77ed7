//! Waking the consumers of a persistent subscription: those that block, and tasks.

use parking_lot::{Condvar, Mutex};
use std::{
    sync::Arc,
    task::{Wake, Waker},
    time::Duration,
};

/// Wakes who waits for something to do. As a waker it is woken by the log.
#[derive(Debug, Default)]
pub(super) struct Signal {
    waiting: Mutex<Waiting>,
    blocked: Condvar,
    alarm: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Counts the wakings: who has looked before one is not to sleep through it.
    wakings_count: u64,
    blocked_count: usize,
    tasks: Vec<Waker>,
    /// Whether a thread waits for what is due later, on behalf of tasks.
    has_alarm: bool,
}

impl Signal {
    /// To be asked before looking whether there is something to do.
    pub(super) fn wakings_count(&self) -> u64 {
        self.waiting.lock().wakings_count
    }

    /// Wakes everybody.
    pub(super) fn wake_all(&self) {
        let tasks = {
            let mut waiting = self.waiting.lock();
            waiting.wakings_count += 1;
            if waiting.blocked_count > 0 {
                self.blocked.notify_all();
            }
            std::mem::take(&mut waiting.tasks)
        };
        tasks.into_iter().for_each(Waker::wake);
    }

    /// Waits until somebody wakes, or `timeout` is over; not if there was a waking since `seen`.
    pub(super) fn wait(&self, seen: u64, timeout: Duration) {
        let mut waiting = self.waiting.lock();
        if waiting.wakings_count == seen {
            waiting.blocked_count += 1;
            self.blocked.wait_for(&mut waiting, timeout);
            waiting.blocked_count -= 1;
        }
    }

    /// Lets `waker` be woken by the next waking. False if there was one since `seen`; nobody is woken then.
    pub(super) fn watch(&self, seen: u64, waker: &Waker) -> bool {
        let mut waiting = self.waiting.lock();
        if waiting.wakings_count != seen {
            return false;
        }
        if !waiting.tasks.iter().any(|known| known.will_wake(waker)) {
            waiting.tasks.push(waker.clone());
        }
        true
    }

    /// Whether the caller is to be the thread that waits on behalf of tasks: there is none.
    pub(super) fn begin_alarm(&self) -> bool {
        !std::mem::replace(&mut self.waiting.lock().has_alarm, true)
    }

    /// Whether that thread is to go on. If not, it is the thread no longer.
    pub(super) fn keep_alarm(&self, has_consumers: bool) -> bool {
        let mut waiting = self.waiting.lock();
        waiting.has_alarm = has_consumers || !waiting.tasks.is_empty();
        waiting.has_alarm
    }

    /// Lets that thread sleep until `timeout` is over, or somebody is in a [hurry](Self::hurry); not if there was a
    /// waking since `seen`.
    pub(super) fn sleep(&self, seen: u64, timeout: Duration) {
        let mut waiting = self.waiting.lock();
        if waiting.wakings_count == seen {
            self.alarm.wait_for(&mut waiting, timeout);
        }
    }

    /// Wakes everybody, also that thread: something is due earlier than was known.
    pub(super) fn hurry(&self) {
        self.wake_all();
        self.alarm.notify_all();
    }

    pub(super) fn end_alarm(&self) {
        self.waiting.lock().has_alarm = false;
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// Who had asked before how long to sleep would sleep too long.
    #[test]
    fn who_looks_at_the_time_does_not_sleep_through_a_hurry_that_came_before() {
        const HOUR: Duration = Duration::from_secs(3_600);
        let signal = Arc::new(Signal::default());
        let seen = signal.wakings_count();
        signal.hurry();
        let (sleeper, (tell, told)) = (Arc::clone(&signal), mpsc::channel());
        std::thread::spawn(move || {
            sleeper.sleep(seen, HOUR);
            let _ = tell.send(());
        });
        told.recv_timeout(HOUR / 12).expect("it does not sleep");
    }
}
