use crate::{Current, chair};
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, atomic::Ordering};

#[derive(Debug)]
struct Counted<'a>(usize, &'a AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.1.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn a_former_object_lives_as_long_as_its_reader() {
    let dropped = AtomicUsize::new(0);
    let current = Current::new(Arc::new(Counted(1, &dropped)));
    {
        let pin = chair::pin();
        let seen = current.read(&pin);
        current.replace(Arc::new(Counted(2, &dropped)));
        assert_eq!(current.tidy(), 1);
        assert_eq!((seen.0, dropped.load(Ordering::SeqCst)), (1, 0));
    }
    while current.tidy() > 0 {
        std::thread::yield_now();
    }
    assert_eq!(dropped.load(Ordering::SeqCst), 1);
    drop(current);
    assert_eq!(dropped.load(Ordering::SeqCst), 2);
}

/// A system that refuses the fence it promised leaves it unknown who looks at the object.
#[test]
fn an_object_whose_age_never_began_is_kept() {
    let dropped = AtomicUsize::new(0);
    let current = Current::new(Arc::new(Counted(1, &dropped)));
    let pin = chair::pin();
    let seen = current.read(&pin);
    let refused = std::panic::AssertUnwindSafe(|| {
        current.replace_in(Arc::new(Counted(2, &dropped)), || panic!("the fence is refused"));
    });
    assert!(std::panic::catch_unwind(refused).is_err());
    assert_eq!((seen.0, dropped.load(Ordering::SeqCst)), (1, 0));
    drop(pin);
    assert_eq!((current.tidy(), dropped.load(Ordering::SeqCst)), (1, 0));
    drop(current);
    assert_eq!(dropped.load(Ordering::SeqCst), 2);
}

#[test]
fn pins_may_be_dropped_in_any_order() {
    let dropped = AtomicUsize::new(0);
    let current = Current::new(Arc::new(Counted(1, &dropped)));
    let (outer, inner) = (chair::pin(), chair::pin());
    drop(outer);
    let seen = current.read(&inner);
    current.replace(Arc::new(Counted(2, &dropped)));
    assert_eq!((seen.0, dropped.load(Ordering::SeqCst)), (1, 0));
}

#[test]
fn readers_on_many_threads_never_see_a_dropped_object() {
    const ROUNDS: usize = 500;
    /// Shows whether it was dropped.
    struct Alive(AtomicBool);
    impl Drop for Alive {
        fn drop(&mut self) {
            self.0.store(false, Ordering::SeqCst);
        }
    }
    let alive = || Arc::new(Alive(AtomicBool::new(true)));
    let current = Current::new(alive());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    let pin = chair::pin();
                    let seen = current.read(&pin);
                    assert!(seen.0.load(Ordering::SeqCst));
                    std::hint::spin_loop();
                    assert!(seen.0.load(Ordering::SeqCst));
                }
            });
        }
        for _ in 0..ROUNDS {
            current.replace(alive());
        }
        done.store(true, Ordering::Relaxed);
    });
}
