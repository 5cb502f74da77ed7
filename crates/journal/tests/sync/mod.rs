//! What stands in for `src/sync.rs` in a model.

pub use loom::sync::atomic::{AtomicPtr, AtomicU32};
use std::{cell::Cell, sync::atomic::Ordering};

/// What is left out of the argument, to see whether that is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weak {
    Nothing,
    /// The fence between a reader's mark and its look.
    Fence,
    /// That a reader's looks come before its mark goes.
    Unpin,
    /// That they come before its next mark, too.
    Repin,
    /// That they come before it is counted out, at home or abroad.
    Leave,
}

std::thread_local! {
    /// A model and all of its threads run on one thread of the system.
    static WEAK: Cell<Weak> = const { Cell::new(Weak::Nothing) };
}

/// Leaves `weak` out until the value is dropped.
pub fn weakened(weak: Weak) -> impl Drop {
    struct Back;
    impl Drop for Back {
        fn drop(&mut self) {
            WEAK.set(Weak::Nothing);
        }
    }
    WEAK.set(weak);
    Back
}

pub mod fences {
    use super::{Ordering, WEAK, Weak};

    pub fn light() {
        if WEAK.get() != Weak::Fence {
            loom::sync::atomic::fence(Ordering::SeqCst);
        }
    }

    pub fn heavy() {
        loom::sync::atomic::fence(Ordering::SeqCst);
    }
}

#[derive(Debug)]
pub struct AtomicU64(loom::sync::atomic::AtomicU64);

impl AtomicU64 {
    pub fn new(value: u64) -> Self {
        Self(loom::sync::atomic::AtomicU64::new(value))
    }

    pub fn load(&self, ordering: Ordering) -> u64 {
        self.0.load(ordering)
    }

    pub fn store(&self, value: u64, ordering: Ordering) {
        let left_out = match WEAK.get() {
            Weak::Unpin => value == 0,
            Weak::Repin => value != 0,
            Weak::Nothing | Weak::Fence | Weak::Leave => false,
        };
        self.0.store(value, if left_out { Ordering::Relaxed } else { ordering });
    }

    pub fn fetch_add(&self, value: u64, ordering: Ordering) -> u64 {
        self.0.fetch_add(value, ordering)
    }
}

/// A counter of readers.
#[derive(Debug)]
pub struct AtomicUsize(loom::sync::atomic::AtomicUsize);

impl AtomicUsize {
    pub fn new(value: usize) -> Self {
        Self(loom::sync::atomic::AtomicUsize::new(value))
    }

    pub fn load(&self, ordering: Ordering) -> usize {
        self.0.load(ordering)
    }

    pub fn store(&self, value: usize, ordering: Ordering) {
        self.0.store(value, of_leaving(ordering));
    }

    pub fn fetch_add(&self, value: usize, ordering: Ordering) -> usize {
        self.0.fetch_add(value, of_leaving(ordering))
    }

    pub fn fetch_sub(&self, value: usize, ordering: Ordering) -> usize {
        self.0.fetch_sub(value, of_leaving(ordering))
    }
}

fn of_leaving(ordering: Ordering) -> Ordering {
    if WEAK.get() == Weak::Leave { Ordering::Relaxed } else { ordering }
}

/// Two threads with a counter of their own, one seat that nobody has, and the shared one.
pub const SEATS: usize = 4;

pub fn prefetch<T>(_place: *const T) {}

#[derive(Debug)]
pub struct Mutex<T>(loom::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub fn new(value: T) -> Self {
        Self(loom::sync::Mutex::new(value))
    }

    pub fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
        self.0.lock().expect("no panic in a model goes on")
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

macro_rules! of_all {
    ($(#[$doc:meta])* static $name:ident: $type:ty = $value:expr;) => {
        loom::lazy_static! {
            $(#[$doc])*
            static ref $name: $type = $value;
        }
    };
}

macro_rules! of_thread {
    ($(#[$doc:meta])* static $name:ident: $type:ty = $value:expr;) => {
        loom::thread_local! {
            $(#[$doc])*
            static $name: $type = $value;
        }
    };
}

pub(crate) use {of_all, of_thread};
