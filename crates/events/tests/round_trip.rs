//! What is written is read: in place, as a value, by a struct and by an enum that holds it.

mod shop;

use annals_events::{ErrorKind, Event, EventBuf, Scratch};
use proptest::prelude::*;
use shop::{
    Address, ArchivedPayment, ArchivedShopOrderShipped, Gone, Measured, OrderPlaced, Payment, Shop,
    ShopView,
};
use std::collections::BTreeMap;

fn placed() -> impl Strategy<Value = OrderPlaced> {
    let payment = prop_oneof![
        Just(Payment::Cash),
        (any::<u64>(), ".{0,40}").prop_map(|(cents, card)| Payment::Card { cents, card }),
        any::<u16>().prop_map(Payment::Voucher),
    ];
    let items = proptest::collection::vec((".{0,20}", any::<u32>()), 0..5);
    let notes = proptest::collection::btree_map(".{0,8}", any::<i64>(), 0..4);
    let address = ("[a-z]{0,30}", proptest::option::of(any::<u32>()))
        .prop_map(|(street, number)| Address { street, number });
    (any::<u64>(), items, address, payment, notes)
        .prop_map(|(id, items, to, payment, notes)| OrderPlaced { id, items, to, payment, notes })
}

fn event() -> impl Strategy<Value = Shop> {
    prop_oneof![
        placed().prop_map(Shop::Placed),
        (any::<u64>(), ".{0,300}").prop_map(|(at_ms, by)| Shop::OrderShipped { at_ms, by }),
        Just(Shop::Closed),
        Just(Shop::Gone(Gone)),
    ]
}

/// The view says the same as the value, field for field.
fn assert_same(event: &Shop, view: ShopView<'_>) {
    match (event, view) {
        (Shop::Placed(event), ShopView::Placed(view)) => {
            assert_eq!(view.id, event.id);
            assert_eq!(view.items.len(), event.items.len());
            for (view, event) in view.items.iter().zip(&event.items) {
                assert_eq!((view.0.as_str(), view.1.to_native()), (event.0.as_str(), event.1));
            }
            assert_eq!(view.to.street, event.to.street);
            assert_eq!(view.to.number.as_ref().map(|n| n.to_native()), event.to.number);
            match (&view.payment, &event.payment) {
                (ArchivedPayment::Cash, Payment::Cash) => {}
                (ArchivedPayment::Card { cents, card }, Payment::Card { cents: c, card: d }) => {
                    assert_eq!((cents.to_native(), card.as_str()), (*c, d.as_str()));
                }
                (ArchivedPayment::Voucher(view), Payment::Voucher(event)) => {
                    assert_eq!(view.to_native(), *event);
                }
                _ => panic!("another payment"),
            }
            let notes: BTreeMap<String, i64> =
                view.notes.iter().map(|(k, v)| (k.to_string(), v.to_native())).collect();
            assert_eq!(notes, event.notes);
        }
        (Shop::OrderShipped { at_ms, by }, ShopView::OrderShipped(view)) => {
            let view: &ArchivedShopOrderShipped = view;
            assert_eq!((view.at_ms.to_native(), view.by.as_str()), (*at_ms, by.as_str()));
        }
        (Shop::Closed, ShopView::Closed) | (Shop::Gone(_), ShopView::Gone(_)) => {}
        (event, view) => panic!("{event:?} was read as {view:?}"),
    }
}

proptest! {
    #[test]
    fn events_are_read_as_they_were_written(events in proptest::collection::vec(event(), 1..8)) {
        // One buffer and one scratch for all, as the engine has them.
        let (mut buffer, scratch) = (EventBuf::new(), Scratch::new());
        for event in &events {
            event.encode(&mut buffer)?;
            let ty = event.event_type();
            let known = Shop::find(ty.name(), ty.version())?;
            prop_assert_eq!(known.event_type(), ty);
            assert_same(event, known.view(&buffer, &scratch)?);
            prop_assert_eq!(&known.decode(&buffer)?, event);
            assert_same(event, event.to_view(&Scratch::new())?);
        }
        prop_assert_eq!(scratch.count(), 0, "nothing is copied that can be read in place");
    }

    #[test]
    fn a_struct_reads_what_an_enum_wrote(placed in placed()) {
        let mut buffers = [EventBuf::new(), EventBuf::new()];
        placed.encode(&mut buffers[0])?;
        let in_enum = Shop::Placed(placed.clone());
        in_enum.encode(&mut buffers[1])?;
        prop_assert_eq!(buffers[0].as_bytes(), buffers[1].as_bytes());
        prop_assert_eq!(in_enum.event_type(), placed.event_type());
        prop_assert_eq!(OrderPlaced::decode("order-placed", 1, &buffers[1])?, placed);
    }

    #[test]
    fn bytes_on_any_address_are_refused_or_copied(event in event(), shift in 1usize..8) {
        let (mut buffer, scratch) = (EventBuf::new(), Scratch::new());
        event.encode(&mut buffer)?;
        let ty = event.event_type();
        let moved = EventBuf::copy_of(&[&vec![0; shift], buffer.as_bytes()].concat());
        let odd = &moved[shift..];
        prop_assume!(!odd.is_empty());

        for error in [
            Shop::view(ty.name(), ty.version(), odd, &scratch).map(|_| ()).unwrap_err(),
            Shop::decode(ty.name(), ty.version(), odd).map(|_| ()).unwrap_err(),
        ] {
            prop_assert_eq!(error.kind(), ErrorKind::Misaligned);
            prop_assert_eq!(error.event_type(), Some((ty.name(), ty.version())));
        }
        let copy = EventBuf::copy_of(odd);
        assert_same(&event, Shop::view(ty.name(), ty.version(), &copy, &scratch)?);
    }
}

#[test]
fn a_large_event_needs_no_size_to_be_named() {
    let text = "x".repeat(20 << 20);
    let event = Shop::OrderShipped { at_ms: 1, by: text };
    let mut buffer = EventBuf::new();
    event.encode(&mut buffer).unwrap();
    assert_eq!(Shop::decode("order-shipped", 3, &buffer).unwrap(), event);
    buffer.clear(1 << 20);
    assert_eq!(buffer.capacity_bytes(), 0);
}

#[test]
fn what_needs_sixteen_bytes_behind_a_pointer_is_read_wherever_it_lies() {
    let event = Measured { name: "mass".into(), values: vec![u128::MAX, 7] };
    let (mut buffer, scratch) = (EventBuf::new(), Scratch::new());
    event.encode(&mut buffer).unwrap();
    for shift in [0, 8, 16, 24] {
        let moved = EventBuf::copy_of(&[&vec![0; shift], buffer.as_bytes()].concat());
        let view = Measured::view("measured", 1, &moved[shift..], &scratch).unwrap();
        assert_eq!(view.values[0].to_native(), u128::MAX);
        assert_eq!(Measured::decode("measured", 1, &moved[shift..]).unwrap(), event);
    }
    assert_eq!(scratch.count(), 2, "copied where it lay on eight bytes only");
}

#[test]
fn views_tell_what_they_are() {
    let scratch = Scratch::new();
    let closed = Shop::Closed.to_view(&scratch).unwrap();
    assert_eq!(format!("{closed:?}"), "Closed");
    let shipped = Shop::OrderShipped { at_ms: 5, by: "Ada".into() };
    let text = format!("{:?}", shipped.to_view(&scratch).unwrap());
    assert!(text.starts_with("OrderShipped(") && text.contains("Ada"), "{text}");
}
