//! The parts without locks, in every order in which their threads can run and see each other's stores,
//! as far as a bound on preemptions allows. Full fences stand for the unequal ones; what these do is
//! tested where they are.
//!
//! A model that finds nothing proves nothing: each ordering that the argument rests on is taken away
//! once, and that must be found.

#![allow(clippy::unwrap_used, dead_code, unreachable_pub, reason = "a part of a crate, in a test")]
#![allow(clippy::arc_with_non_send_sync, reason = "a model's threads are one of the system's")]

#[path = "../src/chair.rs"]
mod chair;
#[path = "../src/current.rs"]
mod current;
#[path = "../src/place.rs"]
mod place;
mod sync;

use current::Current;
use loom::{cell::UnsafeCell, thread};
use place::Place;
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

/// How a reader's guard ends.
#[derive(Clone, Copy, PartialEq)]
enum End {
    AtHome,
    OnTheSharedSeat,
    Abroad,
}

/// A reader, a remover, and one that comes too late, while its thread is being torn down and counts on
/// a borrowed seat.
fn a_reader_and_a_remover(end: End, late: bool) {
    const BORROWED: usize = sync::SEATS - 2;
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(move || {
        let object: &'static UnsafeCell<u32> = Box::leak(Box::new(UnsafeCell::new(7)));
        let raw = std::ptr::from_ref(object).cast_mut();
        let place = Arc::new(Place::default());
        assert!(place.show(raw, std::ptr::null_mut()).is_null());
        let of_reader = Arc::clone(&place);
        let reader = thread::spawn(move || {
            // The first thread that asks for its seat gets the first: here when it leaves.
            let seat = match end {
                End::AtHome => 0,
                End::Abroad => 1,
                End::OnTheSharedSeat => chair::SHARED_SEAT,
            };
            let entered = of_reader.enter(seat).is_some();
            if !entered {
                return;
            }
            object.with(|_| ());
            if end != End::Abroad {
                of_reader.leave(seat);
                return;
            }
            let elsewhere = Arc::clone(&of_reader);
            thread::spawn(move || {
                object.with(|_| ());
                elsewhere.leave(seat);
            })
            .join()
            .unwrap();
        });
        let of_late = Arc::clone(&place);
        let latecomer = late.then(|| {
            thread::spawn(move || {
                if of_late.enter(BORROWED).is_some() {
                    object.with(|_| ());
                    of_late.leave(BORROWED);
                }
            })
        });
        let hidden = place.hide();
        assert_eq!(hidden, raw);
        if place.is_idle() {
            object.with_mut(|_| ());
        }
        reader.join().unwrap();
        if let Some(latecomer) = latecomer {
            latecomer.join().unwrap();
        }
        assert!(place.is_idle(), "everybody has left");
    });
}

#[test]
fn nothing_goes_while_it_is_read_wherever_the_guard_ends() {
    for end in [End::AtHome, End::OnTheSharedSeat, End::Abroad] {
        a_reader_and_a_remover(end, false);
    }
    a_reader_and_a_remover(End::AtHome, true);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn counting_in_without_its_fence_is_found() {
    let _weakened = weakened(Weak::Fence);
    a_reader_and_a_remover(End::AtHome, false);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn counting_out_without_release_is_found() {
    let _weakened = weakened(Weak::Leave);
    a_reader_and_a_remover(End::AtHome, false);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn counting_out_abroad_without_release_is_found() {
    let _weakened = weakened(Weak::Leave);
    a_reader_and_a_remover(End::Abroad, false);
}
