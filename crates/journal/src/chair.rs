//! Chairs: each thread that reads has one to itself while it lives.
//!
//! What a thread alone writes needs no locked instruction: it counts and marks on its own chair
//! with plain stores, and whoever takes things away looks at all chairs after a
//! [heavy fence](fences::heavy). Chairs are made when they are needed, handed on when a thread
//! ends, and never freed: there are as many as there were threads at once.

use crate::sync::{AtomicU32, AtomicU64, Mutex, fences, of_all, of_thread};
use std::{cell::Cell, marker::PhantomData, sync::atomic::Ordering};

/// How many threads count readers without sharing a counter, and one more, which those beyond share.
pub(crate) use crate::sync::SEATS;
/// The counter that is shared, and changed by locked instructions.
pub(crate) const SHARED_SEAT: usize = SEATS - 1;

/// What one thread has.
#[derive(Debug)]
#[repr(align(128))]
struct Chair {
    /// Its counter in each segment's row of counters.
    seat: usize,
    /// The same if no other chair counts there, else none at all.
    own_seat: usize,
    /// The age in which its thread began to look at what a [`Current`](crate::Current) shows; 0
    /// while it does not.
    pinned: AtomicU64,
    /// How many pins its thread has; changed by it alone.
    pins: AtomicU32,
}

/// All chairs.
#[derive(Debug)]
struct Hall {
    all: Vec<&'static Chair>,
    free: Vec<&'static Chair>,
}

of_all! {
    static HALL: Mutex<Hall> = Mutex::new(Hall { all: Vec::new(), free: Vec::new() });
}

of_all! {
    /// Counts what was taken out of sight. An object taken out in one age can be reached only by who
    /// began to look in an earlier one.
    static AGE: AtomicU64 = AtomicU64::new(1);
}

impl Hall {
    fn take(&mut self) -> &'static Chair {
        if let Some(chair) = self.free.pop() {
            return chair;
        }
        let seat = self.all.len().min(SHARED_SEAT);
        let own_seat = if seat == SHARED_SEAT { usize::MAX } else { seat };
        let (pinned, pins) = (AtomicU64::new(0), AtomicU32::new(0));
        let chair: &'static Chair = Box::leak(Box::new(Chair { seat, own_seat, pinned, pins }));
        self.all.push(chair);
        chair
    }

    fn give_back(&mut self, chair: &'static Chair) {
        self.free.push(chair);
        // The ones with a counter of their own go first.
        self.free.sort_unstable_by_key(|chair| std::cmp::Reverse(chair.seat));
    }
}

/// Gives the thread's chair back when the thread ends.
struct Leaving;

impl Drop for Leaving {
    fn drop(&mut self) {
        // A pin may outlive this in another of the thread's places; its chair then stays taken.
        if let Some(chair) = CHAIR.try_with(Cell::take).ok().flatten()
            && chair.pins.load(Ordering::Relaxed) == 0
        {
            HALL.lock().give_back(chair);
        }
    }
}

of_thread! {
    /// Without a destructor, so that asking costs one load.
    static CHAIR: Cell<Option<&'static Chair>> = Cell::new(None);
}

of_thread! {
    static LEAVING: Leaving = Leaving;
}

/// Takes a chair for this thread. `None` while the thread is being torn down: nobody would give
/// the chair back.
#[cold]
fn sit_down() -> Option<&'static Chair> {
    LEAVING.try_with(|_| ()).ok()?;
    let chair = HALL.lock().take();
    CHAIR.with(|sat| sat.set(Some(chair)));
    Some(chair)
}

/// The calling thread's counter; if it is not [`SHARED_SEAT`], nobody else changes it.
#[inline]
pub(crate) fn seat() -> usize {
    match CHAIR.with(Cell::get) {
        Some(chair) => chair.seat,
        None => sit_down().map_or(SHARED_SEAT, |chair| chair.seat),
    }
}

/// Whether `seat` is the calling thread's counter, and nobody else's.
#[inline]
pub(crate) fn is_own(seat: usize) -> bool {
    CHAIR.with(Cell::get).is_some_and(|chair| chair.own_seat == seat)
}

/// While it lives, nothing is freed that its thread can reach through a
/// [`Current`](crate::Current). Cheap: two plain stores. To be held for moments.
#[derive(Debug)]
pub struct Pin {
    chair: &'static Chair,
    /// Whether the chair is to be given back with the pin.
    borrowed: bool,
    /// A chair belongs to one thread.
    _of_thread: PhantomData<*const ()>,
}

/// Pins what the calling thread is about to look at.
#[inline]
#[must_use]
pub fn pin() -> Pin {
    let (chair, borrowed) = match CHAIR.with(Cell::get) {
        Some(chair) => (chair, false),
        None => borrow(),
    };
    let pins = chair.pins.load(Ordering::Relaxed);
    chair.pins.store(pins + 1, Ordering::Relaxed);
    if pins == 0 {
        // Acquire: who reads an age sees everything that was out of sight when it began. Release: who
        // sees this mark, and not the zero before it, knows that what was looked at until then was
        // looked at before.
        chair.pinned.store(AGE.load(Ordering::Acquire), Ordering::Release);
        fences::light();
    }
    Pin { chair, borrowed, _of_thread: PhantomData }
}

#[cold]
fn borrow() -> (&'static Chair, bool) {
    match sit_down() {
        Some(chair) => (chair, false),
        None => (HALL.lock().take(), true),
    }
}

impl Pin {
    /// What a look at the log needs of it.
    #[inline]
    #[must_use]
    pub fn seat(&self) -> Seat<'_> {
        Seat { counter: self.chair.seat, _of_pin: PhantomData }
    }
}

/// The counter of a thread that is [pinned](pin), and stays so meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Seat<'a> {
    pub(crate) counter: usize,
    _of_pin: PhantomData<&'a Pin>,
}

impl Drop for Pin {
    #[inline]
    fn drop(&mut self) {
        let pins = self.chair.pins.load(Ordering::Relaxed) - 1;
        self.chair.pins.store(pins, Ordering::Relaxed);
        if pins == 0 {
            // Release: what was looked at was looked at before.
            self.chair.pinned.store(0, Ordering::Release);
            if self.borrowed {
                HALL.lock().give_back(self.chair);
            }
        }
    }
}

/// A moment, for whoever gives something up and has to know when nobody looks at it any more who was
/// [pinned](pin) before.
///
/// ```
/// use annals_journal::{Age, pin};
/// let pin = pin();
/// let age = Age::begin();
/// assert!(!age.is_over());
/// drop(pin);
/// # // Other threads may be pinned.
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Age(u64);

impl Age {
    /// Now. Calls the system.
    #[must_use]
    pub fn begin() -> Self {
        Self(begin_age())
    }

    /// Whether nobody is pinned any more who was before.
    #[must_use]
    pub fn is_over(self) -> bool {
        is_over(self.0)
    }
}

/// Begins a new age; called after something was taken out of sight, and before [`is_over`] is asked
/// about the age that is returned.
pub(crate) fn begin_age() -> u64 {
    let age = AGE.fetch_add(1, Ordering::AcqRel) + 1;
    // Whoever is not seen pinned after this will not find what was taken out of sight.
    fences::heavy();
    age
}

/// Whether nobody is left who began to look before `age`.
pub(crate) fn is_over(age: u64) -> bool {
    let hall = HALL.lock();
    hall.all.iter().all(|chair| {
        let pinned = chair.pinned.load(Ordering::Acquire);
        pinned == 0 || pinned >= age
    })
}

/// How many chairs there are.
#[cfg(test)]
pub(crate) fn chairs_count() -> usize {
    HALL.lock().all.len()
}
