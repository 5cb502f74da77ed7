//! Every public path, and what may cross threads: a change here is a change for users.

#![allow(unused_imports, reason = "that the paths exist is the test")]

use annals_events::{
    ARCHIVE_ALIGN_BYTES, Error, ErrorKind, Event, EventBuf, EventField, EventFormat, EventType,
    Fingerprint, Known, Result, Scratch, TYPE_NAME_BYTES_MAX, archive, rkyv,
};

#[derive(Event)]
#[event(crate = annals_events)]
struct Paid {
    cents: u64,
}

#[test]
fn what_is_shared_between_threads_may_be() {
    fn sent<T: Send + 'static>() {}
    fn shared<T: Send + Sync>() {}
    fn cloned<T: Clone + Send + Sync + 'static>() {}
    cloned::<Error>();
    sent::<EventBuf>();
    cloned::<EventType>();
    cloned::<Known<Paid>>();
    shared::<Scratch>();
    shared::<<Paid as Event>::View<'_>>();
}

#[test]
fn a_result_is_as_large_as_a_reference_or_two() {
    assert_eq!(size_of::<Error>(), size_of::<usize>());
    assert!(size_of::<Result<<Paid as Event>::View<'_>>>() <= 2 * size_of::<usize>());
    assert!(size_of::<Scratch>() <= 4 * size_of::<usize>());
}
