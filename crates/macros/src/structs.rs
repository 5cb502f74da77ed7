//! An event that is a struct: one event type, and the older versions that lead to it.

use crate::{
    archive,
    attributes::EventAttributes,
    parts::{self, Part},
    schema,
};
use proc_macro2::TokenStream;
use quote::quote;
use syn::{DataStruct, DeriveInput, Result};

pub(crate) fn expand(input: &DeriveInput, data: &DataStruct) -> Result<TokenStream> {
    let attributes = EventAttributes::of(&input.attrs)?;
    attributes.allow_only(
        &["name", "version", "from", "crate", "own_archive"],
        "the view of a struct is a reference to its archive",
    )?;
    let (krate, name) = (&attributes.krate(), &input.ident);
    let (event_name, version) = (attributes.name_or(name)?, attributes.version_or_first()?);
    let schema = schema::of_fields(&data.fields);
    let checks = archive::check_fields(krate, name, &data.fields)?;
    let archive = match attributes.own_archive {
        Some(_) => TokenStream::new(),
        None => archive::of_type(krate, input)?,
    };

    let archived = quote!(<#name as #krate::rkyv::Archive>::Archived);
    let own = quote! { (&[#krate::EventType::new::<#archived>(#event_name, #version, #schema)]) };
    let mut parts = vec![Part {
        types: Some(own),
        readable: quote!(<#name as #krate::Event>::TYPES),
        view: quote!(#krate::archive::access::<#archived>(&Self::READABLE[0], bytes, scratch)),
        decode: quote!(#krate::archive::decode::<#name>(&Self::READABLE[0], bytes)),
    }];
    parts.extend(parts::older(krate, name, &attributes.from));
    let items = parts::items(krate, &parts);
    let assert_older = parts::assert_older(krate, name, &attributes.from)?;

    Ok(quote! {
        #checks
        #archive

        #[automatically_derived]
        impl #krate::Event for #name {
            type View<'__a> = &'__a #archived;
            #items

            #[inline]
            fn type_index(&self) -> usize {
                0
            }

            #[inline]
            fn encode(&self, buffer: &mut #krate::EventBuf) -> #krate::Result<()> {
                #krate::archive::encode(self, &Self::TYPES[0], buffer)
            }
        }

        const _: () = #krate::derived::assert_distinct(<#name as #krate::Event>::READABLE);
        #assert_older
    })
}
