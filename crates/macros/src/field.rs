//! `#[derive(EventField)]`.

use crate::{archive, attributes::EventAttributes, unsupported};
use proc_macro2::TokenStream;
use syn::{Data, DeriveInput, Error, Result};

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    unsupported::no_generics(input)?;
    unsupported::no_union(input)?;
    let attributes = EventAttributes::of(&input.attrs)?;
    attributes.allow_only(&["crate"], "a field's type has no event type of its own")?;
    if let Data::Enum(data) = &input.data
        && data.variants.is_empty()
    {
        return Err(Error::new_spanned(
            &input.ident,
            "an enum without variants has no values to store",
        ));
    }
    let krate = attributes.krate();
    let mut code = TokenStream::new();
    match &input.data {
        Data::Struct(data) => {
            code.extend(archive::check_fields(&krate, &input.ident, &data.fields)?);
        }
        Data::Enum(data) => {
            for variant in &data.variants {
                code.extend(archive::check_fields(&krate, &input.ident, &variant.fields)?);
            }
        }
        Data::Union(_) => {}
    }
    code.extend(archive::of_type(&krate, input)?);
    Ok(code)
}
