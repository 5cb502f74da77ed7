//! What is refused, with the words in which it is.

use crate::{event, field};

/// The message for an event.
fn refused(code: &str) -> String {
    told(code, event::expand)
}

fn told(
    code: &str,
    expand: impl Fn(&syn::DeriveInput) -> syn::Result<proc_macro2::TokenStream>,
) -> String {
    expand(&syn::parse_str(code).unwrap()).unwrap_err().to_string()
}

#[track_caller]
fn assert_refused(code: &str, message: &str) {
    let told = refused(code);
    assert!(told.contains(message), "{told}");
}

#[test]
fn generic_parameters_are_refused() {
    assert_refused("struct A<T> { a: T }", "write the types out");
    assert_refused("struct A<'a>(&'a str);", "owned types instead of references");
    assert_refused("enum A<const N: usize> { B([u8; N]) }", "one layout");
}

#[test]
fn unions_and_empty_enums_are_refused() {
    assert_refused("union A { a: u8 }", "a union cannot be read");
    assert_refused("enum A {}", "without variants");
    let message = told("enum A {}", field::expand);
    assert!(message.contains("without variants"), "{message}");
}

#[test]
fn wide_fields_are_pointed_at_wherever_they_are() {
    assert_refused("struct A { a: Vec<Option<u128>> }", "use two u64 or [u8; 16]");
    assert_refused("struct A([(u8, i128); 3]);", "alignment of 16");
    assert_refused("enum A { B { b: NonZeroU128 } }", "alignment of 16");
}

#[test]
fn variants_of_other_shapes_are_refused() {
    assert_refused("enum A { B(u8, u8) }", "or has named fields");
    assert_refused("enum A { B() }", "or has named fields");
}

#[test]
fn names_and_versions_are_checked_where_they_are_written() {
    assert_refused("#[event(name = \"\")] struct A;", "needs a name");
    assert_refused("#[event(name = \"a\\nb\")] struct A;", "control characters");
    let long = format!("#[event(name = \"{}\")] struct A;", "x".repeat(256));
    assert!(refused(&long).contains("at most 255 bytes"));
    assert_refused("#[event(version = 0)] struct A;", "begin at 1");
    assert_refused("#[event(from(0 = B))] struct A;", "begin at 1");
    assert!(refused("#[event(version = 5_000_000_000)] struct A;").contains("too large"));
    assert!(refused("#[event(version = 1, version = 2)] struct A;").contains("given twice"));
    assert!(refused("#[event(verison = 1)] struct A;").contains("an event has `name"));
}

#[test]
fn what_means_nothing_where_it_stands_is_refused() {
    assert_refused("#[event(name = \"a\")] enum A { B }", "event type of its own");
    assert_refused("#[event(view = V)] struct A;", "reference to its archive");
    assert_refused("enum A { #[event(version = 2)] B(C) }", "say it there");
    assert_refused("enum A { #[event(from(C))] B }", "say it at the enum");
    assert_refused("#[rkyv(derive(Debug))] enum A { B }", "has no archive");
    let message = told("#[event(name = \"a\")] struct A;", field::expand);
    assert!(message.contains("no event type of its own"), "{message}");
}

#[test]
fn what_would_be_set_on_another_type_is_refused() {
    assert_refused("#[rkyv(compare(PartialEq))] struct A;", "own_archive");
    assert_refused("#[rkyv(crate = rkyv)] struct A;", "#[event(crate = ..)]");
    assert_refused("enum A { #[rkyv(remote = B)] C }", "own_archive");
    assert!(
        event::expand(
            &syn::parse_str("#[event(own_archive)] #[rkyv(compare(PartialEq))] struct A;").unwrap()
        )
        .is_ok()
    );
}
