use crate::chair::*;

#[test]
fn an_age_is_over_when_the_last_earlier_pin_is_gone() {
    let outer = pin();
    let inner = pin();
    let age = begin_age();
    assert!(!is_over(age));
    drop(inner);
    drop(outer);
    // Other tests pin for moments; what they pin from now on is of a later age.
    while !is_over(age) {
        std::thread::yield_now();
    }
    let _later = pin();
    assert!(is_over(age));
}

#[test]
fn a_chair_is_handed_on() {
    for _ in 0..4 * SEATS {
        std::thread::spawn(seat).join().expect("a thread");
    }
    // One after the other they needed no more than one; other tests have a few.
    assert!(chairs_count() < 2 * SEATS);
}
