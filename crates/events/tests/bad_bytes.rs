//! Bytes that are not what was written: read as something or refused, never a panic, and never memory that
//! is not the event's.

mod shop;

use annals_events::{ErrorKind, Event, EventBuf, EventField, Scratch};
use proptest::prelude::*;
use shop::{Address, OrderPlaced, Payment, Shop};

/// Reads `bytes` as everything that there is. Whatever passes the check is read to its last byte.
fn read_as_all(bytes: &[u8]) {
    let scratch = Scratch::new();
    for ty in Shop::READABLE {
        match Shop::view(ty.name(), ty.version(), bytes, &scratch) {
            Ok(view) => assert!(!format!("{view:?}").is_empty()),
            Err(error) => assert!(
                matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Misaligned),
                "{error}"
            ),
        }
        let viewed = Shop::view(ty.name(), ty.version(), bytes, &scratch).is_ok();
        assert_eq!(Shop::decode(ty.name(), ty.version(), bytes).is_ok(), viewed);
    }
}

fn sample() -> EventBuf {
    let event = OrderPlaced {
        id: 7,
        items: vec![("a rather long name of an item".into(), 3), ("egg".into(), 12)],
        to: Address { street: "a street with a long name".into(), number: Some(4) },
        payment: Payment::Card { cents: 1234, card: "number of the card".into() },
        notes: [("one".into(), 1), ("a longer key of a note".into(), -2)].into(),
    };
    let mut buffer = EventBuf::new();
    event.encode(&mut buffer).expect("an event like others");
    buffer
}

proptest! {
    #[test]
    fn random_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        read_as_all(&EventBuf::copy_of(&bytes));
        read_as_all(&bytes);
    }

    #[test]
    fn changed_bytes_are_read_or_refused(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = sample().to_vec();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        read_as_all(&EventBuf::copy_of(&bytes));
    }
}

#[test]
fn every_flipped_bit_is_read_or_refused() {
    let good = sample();
    for at in 0..good.len() * 8 {
        let mut bytes = good.to_vec();
        bytes[at / 8] ^= 1 << (at % 8);
        read_as_all(&EventBuf::copy_of(&bytes));
    }
}

#[test]
fn every_other_length_is_refused_or_read() {
    let good = sample();
    for len in 0..good.len() {
        let cut = EventBuf::copy_of(&good[..len]);
        read_as_all(&cut);
        let front = EventBuf::copy_of(&good[good.len() - len..]);
        read_as_all(&front);
    }
    // Bytes behind the archive that its root would not notice.
    for more in 1..8 {
        let long = EventBuf::copy_of(&[&good[..], &vec![0; more]].concat());
        let error = Shop::decode("order-placed", 1, &long).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
    }
}

#[test]
fn archives_of_other_types_are_refused() {
    let scratch = Scratch::new();
    let error = Shop::view("order-shipped", 3, &sample()[..8], &scratch).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let text = error.to_string();
    assert!(text.contains("`order-shipped` version 3") && !text.contains('\n'), "{text}");

    // No text in UTF-8 where a text has to be.
    let mut buffer = EventBuf::new();
    Shop::OrderShipped { at_ms: 1, by: "somebody with a long name".into() }
        .encode(&mut buffer)
        .unwrap();
    let at = buffer.windows(4).position(|bytes| bytes == b"long").unwrap();
    let mut bytes = buffer.to_vec();
    bytes[at] = 0xff;
    let error = Shop::decode("order-shipped", 3, &EventBuf::copy_of(&bytes)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

/// Nothing in it but another of it.
#[derive(EventField, Debug, PartialEq)]
#[event(crate = annals_events)]
#[rkyv(serialize_bounds(
    __S: annals_events::rkyv::ser::Writer,
    __S::Error: annals_events::rkyv::rancor::Source,
))]
#[rkyv(deserialize_bounds(__D::Error: annals_events::rkyv::rancor::Source))]
#[rkyv(bytecheck(bounds(
    __C: annals_events::rkyv::validation::ArchiveContext,
    __C::Error: annals_events::rkyv::rancor::Source,
)))]
struct Nested {
    #[rkyv(omit_bounds)]
    inner: Option<Box<Nested>>,
}

#[derive(Event, Debug, PartialEq)]
#[event(crate = annals_events)]
struct Deep {
    nested: Nested,
}

fn nested(depth: usize) -> Deep {
    let innermost = Nested { inner: None };
    let nested = (0..depth).fold(innermost, |inner, _| Nested { inner: Some(Box::new(inner)) });
    Deep { nested }
}

/// Bytes of a depth that no event here could be written with.
#[test]
fn what_is_nested_too_deep_is_refused_when_it_is_read() {
    use annals_events::rkyv;
    let bytes = rkyv::to_bytes::<rkyv::rancor::BoxedError>(&nested(5000)).unwrap();
    let error = Deep::decode("Deep", 1, &bytes).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[test]
fn what_is_nested_too_deep_is_refused_when_it_is_written() {
    let mut buffer = EventBuf::new();
    let fits = annals_events::archive::NESTING_MAX;
    nested(fits).encode(&mut buffer).unwrap();
    assert_eq!(Deep::decode("Deep", 1, &buffer).unwrap(), nested(fits));

    let error = nested(fits + 1).encode(&mut buffer).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Encode);
    assert!(error.to_string().contains("more than 256 pointers"), "{error}");
    assert!(buffer.is_empty());
}

/// Shared pointers are checked with a table of their own.
#[derive(Event, Debug, PartialEq)]
#[event(crate = annals_events)]
struct Sharing {
    one: std::sync::Arc<str>,
    two: std::sync::Arc<str>,
}

#[test]
fn shared_pointers_are_checked_and_stay_shared() {
    let text: std::sync::Arc<str> = "a text that both of them have".into();
    let event = Sharing { one: text.clone(), two: text };
    let (mut buffer, scratch) = (EventBuf::new(), Scratch::new());
    event.encode(&mut buffer).unwrap();
    assert!(buffer.len() < 2 * event.one.len(), "written once");
    let view = Sharing::view("Sharing", 1, &buffer, &scratch).unwrap();
    assert_eq!((&*view.one, &*view.two), (&*event.one, &*event.two));
    let decoded = Sharing::decode("Sharing", 1, &buffer).unwrap();
    assert!(std::sync::Arc::ptr_eq(&decoded.one, &decoded.two));
    for at in 0..buffer.len() * 8 {
        let mut bytes = buffer.to_vec();
        bytes[at / 8] ^= 1 << (at % 8);
        let _ = Sharing::decode("Sharing", 1, &EventBuf::copy_of(&bytes)).map(|it| it.one.len());
    }
}
