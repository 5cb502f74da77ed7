//! Events of all shapes, for the tests beside.

#![allow(dead_code, reason = "no test uses all of them")]

use annals_events::{Event, EventField};
use std::collections::BTreeMap;

#[derive(Event, Clone, Debug, PartialEq)]
#[event(name = "order-placed", crate = annals_events)]
pub(crate) struct OrderPlaced {
    pub(crate) id: u64,
    pub(crate) items: Vec<(String, u32)>,
    pub(crate) to: Address,
    pub(crate) payment: Payment,
    pub(crate) notes: BTreeMap<String, i64>,
}

#[derive(EventField, Clone, Debug, PartialEq)]
#[event(crate = annals_events)]
pub(crate) struct Address {
    pub(crate) street: String,
    pub(crate) number: Option<u32>,
}

#[derive(EventField, Clone, Debug, PartialEq)]
#[event(crate = annals_events)]
pub(crate) enum Payment {
    Cash,
    Card { cents: u64, card: String },
    Voucher(u16),
}

#[derive(Event, Clone, Debug, PartialEq)]
#[event(name = "shop-gone", crate = annals_events)]
pub(crate) struct Gone;

#[derive(Event, Clone, Debug, PartialEq)]
#[event(crate = annals_events)]
pub(crate) enum Shop {
    Placed(OrderPlaced),
    #[event(name = "order-shipped", version = 3)]
    #[rkyv(derive(Debug))]
    OrderShipped {
        at_ms: u64,
        by: String,
    },
    Closed,
    Gone(Gone),
}

/// A name that does not say how wide it is.
pub(crate) type Wide = u128;

#[derive(Event, Clone, Debug, PartialEq)]
#[event(name = "measured", crate = annals_events)]
pub(crate) struct Measured {
    pub(crate) name: String,
    pub(crate) values: Vec<Wide>,
}
