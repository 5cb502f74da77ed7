//! `#[derive(Event)]`.

use crate::{enums, structs, unsupported};
use proc_macro2::TokenStream;
use syn::{Data, DeriveInput, Result};

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    unsupported::no_generics(input)?;
    unsupported::no_union(input)?;
    match &input.data {
        Data::Struct(data) => structs::expand(input, data),
        Data::Enum(data) => enums::expand(input, data),
        Data::Union(_) => Ok(TokenStream::new()),
    }
}
