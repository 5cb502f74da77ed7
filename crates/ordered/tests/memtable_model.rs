//! How a memtable's tree puts two nodes in the place of a full one, in every order in which a writer and a
//! reader can run and see each other's stores.
//!
//! The tree's words lie in memory that a model cannot stand in for, so this is the protocol in small: one
//! parent, whose only child is replaced. `Node::add`, `Node::replace_child` and `Tree::child` are the real
//! ones. A model that finds nothing proves nothing: what the argument rests on is taken away once, and
//! that must be found.

#![allow(clippy::arc_with_non_send_sync, reason = "a model's threads are one of the system's")]

use loom::{
    cell::UnsafeCell,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};
use std::sync::Arc;

const FULL: u64 = 0;
const LOWER: u64 = 1;
const UPPER: u64 = 2;
/// What is in a slot that is not filled yet.
const NOTHING: u64 = 3;

/// What is taken away.
#[derive(Clone, Copy, PartialEq)]
enum Weak {
    Nothing,
    /// The reader does not look at the order word again.
    NoSecondLook,
    /// The lower child is stored without release.
    NoReleaseOfChild,
    /// The order word is stored without release.
    NoReleaseOfOrder,
    /// The lower child takes its place before the upper one is known.
    LowerFirst,
}

struct Parent {
    /// How many slots there are.
    order: AtomicU64,
    children: [AtomicU64; 2],
    /// What is in the children: written before anybody can come to them.
    contents: [UnsafeCell<&'static [u64]>; 4],
}

fn a_reader_and_a_writer(weak: Weak) {
    loom::model(move || {
        let parent = Arc::new(Parent {
            order: AtomicU64::new(1),
            children: [AtomicU64::new(FULL), AtomicU64::new(NOTHING)],
            contents: [&[1, 2][..], &[], &[], &[]].map(UnsafeCell::new),
        });
        let of_writer = Arc::clone(&parent);
        let writer = thread::spawn(move || {
            let Parent { order, children, contents } = &*of_writer;
            let unless = |one| if weak == one { Ordering::Relaxed } else { Ordering::Release };
            let fill = |child: u64, with| {
                // SAFETY: nobody comes to the child before it is published; the model checks it.
                #[allow(unsafe_code, reason = "a model's cell")]
                contents[child as usize].with_mut(|content| unsafe { *content = with });
            };
            fill(LOWER, &[1]);
            fill(UPPER, &[2]);
            if weak == Weak::LowerFirst {
                children[0].store(LOWER, Ordering::Release);
            }
            children[1].store(UPPER, Ordering::Release);
            order.store(2, unless(Weak::NoReleaseOfOrder));
            children[0].store(LOWER, unless(Weak::NoReleaseOfChild));
        });
        let Parent { order, children, contents } = &*parent;
        for key in [1, 2] {
            let mut seen = order.load(Ordering::Acquire);
            let child = loop {
                let place = usize::from(seen == 2 && key == 2);
                let child = children[place].load(Ordering::Acquire);
                if weak == Weak::NoSecondLook {
                    break child;
                }
                let again = order.load(Ordering::Acquire);
                if again == seen {
                    break child;
                }
                seen = again;
            };
            // SAFETY: it is published; the model checks it.
            #[allow(unsafe_code, reason = "a model's cell")]
            let found =
                contents[child as usize].with(|content| unsafe { (*content).contains(&key) });
            assert!(found, "the key is missing");
        }
        writer.join().expect("the writer has not panicked");
    });
}

#[test]
fn no_key_is_missing_while_a_node_is_replaced() {
    a_reader_and_a_writer(Weak::Nothing);
}

#[test]
#[should_panic(expected = "the key is missing")]
fn a_reader_that_does_not_look_twice_is_found() {
    a_reader_and_a_writer(Weak::NoSecondLook);
}

#[test]
#[should_panic(expected = "the key is missing")]
fn a_lower_child_before_the_upper_one_is_found() {
    a_reader_and_a_writer(Weak::LowerFirst);
}

#[test]
#[should_panic(expected = "Causality violation")]
fn a_child_without_release_is_found() {
    a_reader_and_a_writer(Weak::NoReleaseOfChild);
}

#[test]
#[should_panic(expected = "the key is missing")]
fn an_order_without_release_is_found() {
    a_reader_and_a_writer(Weak::NoReleaseOfOrder);
}
