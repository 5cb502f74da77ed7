//! The parts without locks, in every order in which their threads can run and see each other's stores,
//! as far as a bound on preemptions allows. Full fences stand for the unequal ones; what these do is
//! tested where they are.
//!
//! A model that finds nothing proves nothing: each ordering that the argument rests on is taken away
//! once, and that must be found.

#![allow(clippy::unwrap_used, dead_code, unreachable_pub, reason = "a part of a crate, in a test")]

#[path = "../src/chair.rs"]
mod chair;
#[path = "../src/current.rs"]
mod current;
mod sync;

use current::Current;
use loom::{cell::UnsafeCell, thread};
use std::sync::Arc;
use sync::{Weak, weakened};

/// Something whose end must not come while somebody looks at it.
struct Object(&'static UnsafeCell<u32>);

impl Object {
    fn new() -> Arc<Self> {
        Arc::new(Self(Box::leak(Box::new(UnsafeCell::new(7)))))
    }

    fn look(&self) {
        self.0.with(|_| ());
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        self.0.with_mut(|_| ());
    }
}

/// A reader that looks again and again, and a writer that replaces what it looks at.
fn readers_and_a_writer() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let current = Arc::new(Current::new(Object::new()));
        let of_reader = Arc::clone(&current);
        let reader = thread::spawn(move || {
            for _ in 0..2 {
                let pin = chair::pin();
                of_reader.read(&pin).look();
            }
        });
        let of_writer = Arc::clone(&current);
        let writer = thread::spawn(move || {
            of_writer.replace(Object::new());
            of_writer.tidy();
        });
        reader.join().unwrap();
        writer.join().unwrap();
        thread::spawn(move || assert_eq!(current.tidy(), 0, "nobody looks any more"))
            .join()
            .unwrap();
    });
}

#[test]
fn no_object_ends_while_a_reader_looks_at_it() {
    readers_and_a_writer();
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_pin_without_its_fence_is_found() {
    let _weakened = weakened(Weak::Fence);
    readers_and_a_writer();
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_pin_that_is_let_go_without_release_is_found() {
    let _weakened = weakened(Weak::Unpin);
    readers_and_a_writer();
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_later_pin_that_hides_the_end_of_an_earlier_one_is_found() {
    let _weakened = weakened(Weak::Repin);
    readers_and_a_writer();
}
