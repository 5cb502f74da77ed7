//! Stored events outlive the program that wrote them: older versions are upcast, enums grow, types that
//! are not known are told as such.

use annals_events::{ErrorKind, Event, EventBuf, Scratch};

/// The bytes of events as a build of today writes them. They are in databases: what reads them may change,
/// they may not.
mod golden {
    /// `OrderPlaced { id: 7, item: "a long enough name of an item", quantity: 3 }`
    pub(super) const PLACED: &str = "61206c6f6e6720656e6f756768206e616d65206f6620616e206974656d000000\
        07000000000000009d000000d8ffffff0300000000000000";
    /// `Shipped { at_ms: 1_700_000_000_000, by: Some("Ada") }`
    pub(super) const SHIPPED: &str = "0068e5cf8b01000001000000416461ffffffffff00000000";

    pub(super) fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("two digits"))
            .collect()
    }
}

#[derive(Event, Clone, Debug, PartialEq)]
#[event(name = "order-placed", crate = annals_events)]
struct OrderPlaced {
    id: u64,
    item: String,
    quantity: u32,
}

/// The enum as it was.
mod small {
    use super::*;

    #[derive(Event, Clone, Debug, PartialEq)]
    #[event(crate = annals_events)]
    pub(super) enum OrderEvent {
        Placed(OrderPlaced),
        #[event(name = "order-shipped")]
        Shipped {
            at_ms: u64,
            by: Option<String>,
        },
    }
}

/// The enum as it became: another order, more variants, another name of one.
mod grown {
    use super::*;

    #[derive(Event, Clone, Debug, PartialEq)]
    #[event(crate = annals_events)]
    pub(super) enum OrderEvent {
        #[event(name = "order-cancelled")]
        Cancelled,
        #[event(name = "order-shipped")]
        Sent {
            at_ms: u64,
            by: Option<String>,
        },
        #[event(name = "order-returned")]
        Returned {
            why: String,
        },
        Placed(OrderPlaced),
    }
}

fn placed() -> OrderPlaced {
    OrderPlaced { id: 7, item: "a long enough name of an item".into(), quantity: 3 }
}

#[test]
fn stored_bytes_are_what_they_were() {
    let shipped = small::OrderEvent::Shipped { at_ms: 1_700_000_000_000, by: Some("Ada".into()) };
    for (event, hex) in
        [(small::OrderEvent::Placed(placed()), golden::PLACED), (shipped, golden::SHIPPED)]
    {
        let mut buffer = EventBuf::new();
        event.encode(&mut buffer).unwrap();
        let written: String = buffer.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(written, hex, "{event:?}");
    }
}

#[test]
fn an_enum_that_grew_reads_what_the_smaller_one_wrote() {
    let scratch = Scratch::new();
    let placed_bytes = EventBuf::copy_of(&golden::bytes(golden::PLACED));
    let shipped_bytes = EventBuf::copy_of(&golden::bytes(golden::SHIPPED));

    let event = grown::OrderEvent::decode("order-placed", 1, &placed_bytes).unwrap();
    assert_eq!(event, grown::OrderEvent::Placed(placed()));
    let event = grown::OrderEvent::decode("order-shipped", 1, &shipped_bytes).unwrap();
    let by = Some("Ada".into());
    assert_eq!(event, grown::OrderEvent::Sent { at_ms: 1_700_000_000_000, by });
    let view = grown::OrderEvent::view("order-shipped", 1, &shipped_bytes, &scratch).unwrap();
    assert!(matches!(view, grown::OrderEventView::Sent(sent) if sent.at_ms == 1_700_000_000_000));
}

#[test]
fn an_enum_that_did_not_grow_says_what_it_does_not_know() {
    let returned = grown::OrderEvent::Returned { why: "broken".into() };
    let mut buffer = EventBuf::new();
    returned.encode(&mut buffer).unwrap();
    let ty = returned.event_type();
    let error = small::OrderEvent::decode(ty.name(), ty.version(), &buffer).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownType);
    assert_eq!(error.event_type(), Some(("order-returned", 1)));
    let text = error.to_string();
    assert!(text.contains("`order-placed` 1, `order-shipped` 1"), "{text}");
    assert!(text.contains("small::OrderEvent` has no event type `order-returned`"), "{text}");
}

// A chain of versions, in which the first had another name.

#[derive(Event)]
#[event(name = "member-joined", version = 1, crate = annals_events)]
struct JoinedV1 {
    name: String,
}

#[derive(Event)]
#[event(name = "joined", version = 2, from(1 = JoinedV1), crate = annals_events)]
struct JoinedV2 {
    first: String,
    last: String,
}

#[derive(Event, Clone, Debug, PartialEq)]
#[event(name = "joined", version = 5, from(2 = JoinedV2), crate = annals_events)]
struct Joined {
    first: String,
    last: String,
    age: u32,
}

#[derive(Event, Clone, Debug, PartialEq)]
#[event(from(Retired), crate = annals_events)]
enum Members {
    Joined(Joined),
    Left,
}

/// No longer written.
#[derive(Event)]
#[event(name = "member-expelled", crate = annals_events)]
struct Retired {
    why: String,
}

impl From<JoinedV1> for JoinedV2 {
    fn from(old: JoinedV1) -> Self {
        let (first, last) = old.name.split_once(' ').unwrap_or((&old.name, ""));
        Self { first: first.to_owned(), last: last.to_owned() }
    }
}

impl TryFrom<JoinedV2> for Joined {
    type Error = String;

    fn try_from(old: JoinedV2) -> Result<Self, String> {
        if old.last.is_empty() {
            return Err(format!("{} has no last name", old.first));
        }
        Ok(Self { first: old.first, last: old.last, age: 0 })
    }
}

impl From<Retired> for Members {
    fn from(old: Retired) -> Self {
        assert!(!old.why.is_empty());
        Self::Left
    }
}

#[test]
fn older_versions_go_through_all_steps_to_the_newest() {
    let (mut buffer, scratch) = (EventBuf::new(), Scratch::new());
    let expected = Joined { first: "Ada".into(), last: "Lovelace".into(), age: 0 };

    JoinedV1 { name: "Ada Lovelace".into() }.encode(&mut buffer).unwrap();
    assert_eq!(Joined::decode("member-joined", 1, &buffer).unwrap(), expected);
    let view = Joined::view("member-joined", 1, &buffer, &scratch).unwrap();
    assert_eq!((view.first.as_str(), view.last.as_str()), ("Ada", "Lovelace"));
    let in_enum = Members::view("member-joined", 1, &buffer, &scratch).unwrap();
    assert!(matches!(in_enum, MembersView::Joined(joined) if joined.last == "Lovelace"));
    assert_eq!(
        Members::decode("member-joined", 1, &buffer).unwrap(),
        Members::Joined(expected.clone())
    );

    let mut second = EventBuf::new();
    JoinedV2 { first: "Ada".into(), last: "Lovelace".into() }.encode(&mut second).unwrap();
    assert_eq!(Joined::decode("joined", 2, &second).unwrap(), expected);
    let other = Joined::view("joined", 2, &second, &scratch).unwrap();
    // What was read before is still good.
    assert_eq!((view.first.as_str(), other.first.as_str()), ("Ada", "Ada"));
}

#[test]
fn an_event_type_that_is_no_longer_written_leads_to_one_that_is() {
    let (mut buffer, scratch) = (EventBuf::new(), Scratch::new());
    Retired { why: "dues".into() }.encode(&mut buffer).unwrap();
    let view = Members::view("member-expelled", 1, &buffer, &scratch).unwrap();
    assert!(matches!(view, MembersView::Left));
    assert_eq!(Members::decode("member-expelled", 1, &buffer).unwrap(), Members::Left);
    assert!(Members::TYPES.iter().all(|ty| ty.name() != "member-expelled"));
}

#[test]
fn a_conversion_that_refuses_is_told_with_its_reason() {
    let (mut buffer, scratch) = (EventBuf::new(), Scratch::new());
    JoinedV1 { name: "Ada".into() }.encode(&mut buffer).unwrap();
    let error = Joined::view("member-joined", 1, &buffer, &scratch).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Upcast);
    assert!(error.to_string().contains("Ada has no last name"), "{error}");
    assert_eq!(scratch.count(), 0);
}

#[test]
fn versions_that_are_not_known_are_told_apart() {
    for (version, kind) in [
        (6, ErrorKind::NewerVersion),
        (3, ErrorKind::UnknownVersion),
        (0, ErrorKind::UnknownVersion),
    ] {
        let error = Joined::find("joined", version).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(error.event_type(), Some(("joined", version)));
        assert!(error.to_string().contains("2, 5"), "{error}");
    }
}

#[test]
fn damage_of_an_older_version_is_told_of_that_version() {
    let (mut buffer, scratch) = (EventBuf::new(), Scratch::new());
    JoinedV1 { name: "a name that is longer than others".into() }.encode(&mut buffer).unwrap();
    let cut = EventBuf::copy_of(&buffer[..4]);
    let error = Members::view("member-joined", 1, &cut, &scratch).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(error.event_type(), Some(("member-joined", 1)));
}
