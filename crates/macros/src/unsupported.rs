//! What no derive here takes, told at the place where it was written.

use crate::attributes::{is_wrapped, rkyv_arguments};
use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::{Attribute, Data, DeriveInput, Error, Field, Result};

/// Types whose archive has to lie on a multiple of 16. Found by their names, so that the message points
/// at them also where they are in a `Vec`; aliases are found by an assertion in the code written.
const WIDE: [&str; 4] = ["u128", "i128", "NonZeroU128", "NonZeroI128"];

/// Refuses generic parameters: a stored event is of one layout, whatever the program is instantiated with.
pub(crate) fn no_generics(input: &DeriveInput) -> Result<()> {
    if input.generics.params.is_empty() && input.generics.where_clause.is_none() {
        return Ok(());
    }
    Err(Error::new_spanned(
        &input.generics,
        "an event has one layout and owns what it holds: write the types out instead of generic \
         parameters, and owned types instead of references",
    ))
}

pub(crate) fn no_union(input: &DeriveInput) -> Result<()> {
    match &input.data {
        Data::Union(union) => {
            Err(Error::new_spanned(union.union_token, "a union cannot be read from stored bytes"))
        }
        Data::Struct(_) | Data::Enum(_) => Ok(()),
    }
}

/// Refuses what cannot be handed on to rkyv's derives, which see another type than the user wrote.
pub(crate) fn no_foreign_archive(attrs: &[Attribute]) -> Result<()> {
    for word in rkyv_arguments(attrs) {
        let why = match word.to_string().as_str() {
            "crate" => "rkyv is found by `#[event(crate = ..)]`",
            "remote" | "as" | "compare" => {
                "this derive writes the archive itself; with `#[event(own_archive)]` and rkyv's own \
                 derives beside it this can be set"
            }
            _ => continue,
        };
        return Err(Error::new(word.span(), why));
    }
    Ok(())
}

pub(crate) fn no_wide_field(field: &Field) -> Result<()> {
    if is_wrapped(&field.attrs) { Ok(()) } else { no_wide(field.ty.to_token_stream()) }
}

fn no_wide(tokens: TokenStream) -> Result<()> {
    for token in tokens {
        match token {
            TokenTree::Ident(ident) if WIDE.iter().any(|wide| ident == wide) => {
                return Err(Error::new(
                    ident.span(),
                    format!(
                        "`{ident}` needs an alignment of 16 bytes, events have 8: use two u64 or [u8; 16]"
                    ),
                ));
            }
            TokenTree::Group(group) => no_wide(group.stream())?,
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "unsupported_test.rs"]
mod tests;
