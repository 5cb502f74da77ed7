//! The code written by the derives stands in programs that name things as they like.

#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, unreachable_pub, dead_code)]
#![allow(non_camel_case_types, reason = "names of the prelude are taken")]

use annals_events as renamed;

/// Names that generated code must not meet.
mod taken {
    pub(crate) struct Option;
    pub(crate) struct Result;
    pub(crate) struct Vec;
    pub(crate) fn drop() {}
    pub(crate) mod core {}
    pub(crate) mod std {}
    pub(crate) mod rkyv {}
}

mod events {
    #![allow(unused_imports, reason = "they are there to be in the way")]
    use crate::taken::*;

    #[derive(crate::renamed::EventField)]
    #[event(crate = crate::renamed)]
    pub(crate) struct Wrapped(pub(crate) u8, pub(crate) ::std::vec::Vec<Self>);

    #[derive(crate::renamed::Event)]
    #[event(crate = crate::renamed)]
    pub(crate) struct r#struct {
        pub(crate) r#type: u8,
        pub(crate) index: u16,
        pub(crate) bytes: u32,
        pub(crate) scratch: u64,
        pub(crate) buffer: bool,
    }

    #[derive(crate::renamed::Event)]
    #[event(crate = crate::renamed, view = Seen)]
    pub(crate) enum Ok {
        Err(r#struct),
        Some { r#fn: u8, event: u8, at: u8 },
        None,
        Held(Inner),
    }

    /// An enum in an enum.
    #[derive(crate::renamed::Event)]
    #[event(crate = crate::renamed)]
    pub(crate) enum Inner {
        Left { x: u8 },
        Right,
    }

    #[derive(crate::renamed::Event)]
    #[event(crate = crate::renamed)]
    pub(crate) enum OnlyNames {
        On,
        Off,
    }

    #[derive(crate::renamed::Event)]
    #[event(crate = crate::renamed)]
    pub(crate) enum Alone {
        Only { it: u8 },
    }
}

use events::{Alone, Inner, InnerView, Ok as Event, OnlyNames, OnlyNamesView, Seen};
use renamed::{Event as _, EventBuf, Scratch};

#[test]
fn names_of_the_program_are_not_in_the_way() {
    let taken: (taken::Option, taken::Result, taken::Vec) =
        (taken::Option, taken::Result, taken::Vec);
    let _ = taken;
    taken::drop();

    let scratch = Scratch::new();
    let event =
        Event::Err(events::r#struct { r#type: 1, index: 2, bytes: 3, scratch: 4, buffer: true });
    assert_eq!((event.event_type().name(), event.type_index()), ("struct", 0));
    assert_eq!(
        event.event_type().schema(),
        "type: u8, index: u16, bytes: u32, scratch: u64, buffer: bool"
    );
    assert!(
        matches!(event.to_view(&scratch).unwrap(), Seen::Err(it) if it.r#type == 1 && it.buffer)
    );
    let event = Event::Some { r#fn: 1, event: 2, at: 3 };
    assert!(
        matches!(event.to_view(&scratch).unwrap(), Seen::Some(it) if it.r#fn == 1 && it.at == 3)
    );
    assert!(matches!(Event::None.to_view(&scratch).unwrap(), Seen::None));
}

#[test]
fn enums_hold_enums() {
    let scratch = Scratch::new();
    let names: Vec<_> = Event::TYPES.iter().map(renamed::EventType::name).collect();
    assert_eq!(names, ["struct", "Some", "None", "Left", "Right"]);
    let event = Event::Held(Inner::Right);
    assert_eq!((event.type_index(), event.event_type().name()), (4, "Right"));
    assert!(matches!(event.to_view(&scratch).unwrap(), Seen::Held(InnerView::Right)));
    let event = Event::Held(Inner::Left { x: 9 });
    assert!(
        matches!(event.to_view(&scratch).unwrap(), Seen::Held(InnerView::Left(it)) if it.x == 9)
    );
}

#[test]
fn enums_of_names_alone_take_no_bytes() {
    let (mut buffer, scratch) = (EventBuf::new(), Scratch::new());
    OnlyNames::On.encode(&mut buffer).unwrap();
    assert!(buffer.is_empty());
    assert!(matches!(OnlyNames::view("On", 1, &buffer, &scratch), Ok(OnlyNamesView::On)));
    assert!(matches!(OnlyNames::view("Off", 1, &[], &scratch), Ok(OnlyNamesView::Off)));
    assert!(OnlyNames::view("Off", 1, &[0; 8], &scratch).is_err());
    assert_eq!(
        Alone::Only { it: 3 }.to_view(&scratch).map(|_| ()).map_err(|e| e.to_string()),
        Ok(())
    );
}

mod own {
    //! A program that derives rkyv's traits itself.
    use annals_events::rkyv;

    #[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize, annals_events::Event)]
    #[rkyv(crate = annals_events::rkyv, compare(PartialEq))]
    #[event(crate = annals_events, own_archive)]
    pub(crate) struct Own {
        pub(crate) it: u32,
    }
}

#[test]
fn who_derives_the_archive_may() {
    let scratch = Scratch::new();
    assert!(*own::Own { it: 3 }.to_view(&scratch).unwrap() == own::Own { it: 3 });
}

mod letters {
    //! Names that rkyv's derives give type parameters, with two underscores in front of them.

    /// An event type for each of them, with a field of a type of one name too.
    macro_rules! each {
        ($($module:ident: $name:ident),*) => {$(
            mod $module {
                #[derive(annals_events::EventField)]
                #[event(crate = annals_events)]
                pub(super) struct $name {
                    pub(super) it: u32,
                }

                pub(super) mod event {
                    #[derive(annals_events::Event)]
                    #[event(crate = annals_events)]
                    pub(in super::super) struct $name {
                        pub(in super::super) it: super::$name,
                    }

                    pub(in super::super) fn of(it: u32) -> $name {
                        $name { it: super::$name { it } }
                    }
                }
            }
        )*

            #[test]
            fn are_names_of_types() {
                let scratch = annals_events::Scratch::new();
                $({
                    use annals_events::Event as _;
                    assert_eq!($module::event::of(7).to_view(&scratch).unwrap().it.it, 7);
                })*
            }
        };
    }

    each!(a: A, c: C, d: D, e: E, h: H, r: R, s: S, t: T, v: V);
}
