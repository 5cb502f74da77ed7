//! What the parts without locks are made of. `tests/model.rs` compiles the same parts with others that
//! go through all the orders in which threads can run and see each other's stores.

pub(crate) use annals_disk::{fences, prefetch};
pub(crate) use parking_lot::Mutex;
pub(crate) use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize};

/// How many counters of readers there are for each segment.
pub(crate) const SEATS: usize = 32;

/// A static of the process.
macro_rules! of_all {
    ($(#[$doc:meta])* static $name:ident: $type:ty = $value:expr;) => {
        $(#[$doc])*
        static $name: $type = $value;
    };
}

/// A static of each thread.
macro_rules! of_thread {
    ($(#[$doc:meta])* static $name:ident: $type:ty = $value:expr;) => {
        std::thread_local! {
            $(#[$doc])*
            static $name: $type = const { $value };
        }
    };
}

pub(crate) use {of_all, of_thread};
