//! An event that is an enum: an event type for each variant, and an enum of references to read them by.

use crate::{
    archive::{self, Hidden},
    attributes::{EventAttributes, respanned, rkyv_arguments},
    parts::{self, Part},
    schema, unsupported,
};
use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::{
    DataEnum, DeriveInput, Error, Fields, Ident, Path, Result, Type, Variant, spanned::Spanned as _,
};

/// What is written for one variant.
struct Written {
    part: Part,
    /// The variant of the view, with its type.
    view_type: Option<TokenStream>,
    /// Pattern and expressions of `type_index` (beyond the types of the variants before) and `encode`.
    pattern: TokenStream,
    index: TokenStream,
    encode: TokenStream,
    /// Items beside the `impl`.
    items: TokenStream,
}

pub(crate) fn expand(input: &DeriveInput, data: &DataEnum) -> Result<TokenStream> {
    let attributes = EventAttributes::of(&input.attrs)?;
    attributes.allow_only(
        &["from", "view", "crate"],
        "each variant has an event type of its own; say this at the variant, or at the struct in it",
    )?;
    if let Some(word) = rkyv_arguments(&input.attrs).first() {
        return Err(Error::new(
            word.span(),
            "an enum of events has no archive, its variants have: say this at the variant, or at the \
             struct in it",
        ));
    }
    if data.variants.is_empty() {
        return Err(Error::new_spanned(
            &input.ident,
            "an enum without variants has no events to store",
        ));
    }
    let (krate, name, vis) = (&attributes.krate(), &input.ident, &input.vis);
    let view = attributes.view.clone().unwrap_or_else(|| format_ident!("{}View", name));

    let mut written = Vec::new();
    for (at, variant) in data.variants.iter().enumerate() {
        let before: Vec<_> =
            written.iter().filter_map(|before: &Written| before.part.types.clone()).collect();
        written.push(match &variant.fields {
            Fields::Unnamed(fields) if fields.unnamed.len() == 1 => {
                held(krate, &view, variant, &fields.unnamed[0].ty, &before)?
            }
            Fields::Unnamed(fields) => {
                return Err(Error::new_spanned(
                    fields,
                    "a variant holds one struct that derives `Event`, or has named fields, or none",
                ));
            }
            Fields::Named(_) | Fields::Unit => own(krate, input, &view, variant, at, &before)?,
        });
    }

    let view_doc = format!("A [`{name}`], read in place.");
    let view_variants: Vec<_> = written
        .iter()
        .zip(&data.variants)
        .map(|(written, variant)| {
            let (ident, doc) = (&variant.ident, format!("A [`{name}::{}`].", variant.ident));
            let ty = written.view_type.as_ref().map(|ty| quote!((#ty)));
            quote!(#[doc = #doc] #ident #ty)
        })
        .collect();
    let marker = written.iter().all(|written| written.view_type.is_none());
    let view_debug = debug(&view, marker, &written, data);
    // An enum whose variants all are without data would not use the lifetime that every view has.
    let view_lifetime = (!marker).then(|| quote!(<'__a>));

    let patterns: Vec<_> = written.iter().map(|written| &written.pattern).collect();
    let indexes = written.iter().map(|written| &written.index);
    let encodes = written.iter().map(|written| &written.encode);
    let beside = written.iter().map(|written| &written.items);
    let assert_older = parts::assert_older(krate, name, &attributes.from)?;
    let older = parts::older(krate, name, &attributes.from);
    let (type_index, encode, beside) = (
        quote!(#(#patterns => #indexes),*),
        quote!(#(#patterns => #encodes),*),
        quote!(#(#beside)*),
    );
    let parts: Vec<Part> = written.into_iter().map(|written| written.part).chain(older).collect();
    let items = parts::items(krate, &parts);

    Ok(quote! {
        #beside

        #[doc = #view_doc]
        #[derive(::core::clone::Clone, ::core::marker::Copy)]
        #vis enum #view #view_lifetime { #(#view_variants),* }

        #view_debug

        #[automatically_derived]
        impl #krate::Event for #name {
            type View<'__a> = #view #view_lifetime;
            #items

            #[inline]
            fn type_index(&self) -> usize {
                match self { #type_index }
            }

            #[inline]
            fn encode(&self, buffer: &mut #krate::EventBuf) -> #krate::Result<()> {
                match self { #encode }
            }
        }

        const _: () = #krate::derived::assert_distinct(<#name as #krate::Event>::READABLE);
        #assert_older
    })
}

/// A variant that holds a type that is an event itself.
fn held(
    krate: &Path,
    view: &Ident,
    variant: &Variant,
    ty: &Type,
    before: &[TokenStream],
) -> Result<Written> {
    EventAttributes::of(&variant.attrs)?
        .allow_only(&[], "this variant has the event type of what it holds; say it there")?;
    let ident = &variant.ident;
    let event = quote!(<#ty as #krate::Event>);
    let krate = respanned(krate, ty.span());
    Ok(Written {
        part: Part {
            types: Some(quote!(#event::TYPES)),
            readable: quote!(#event::READABLE),
            view: quote!(#event::view_readable(at, bytes, scratch).map(#view::#ident)),
            decode: quote!(#event::decode_readable(at, bytes).map(Self::#ident)),
        },
        view_type: Some(quote!(#event::View<'__a>)),
        pattern: quote!(Self::#ident(event)),
        index: quote!((const { 0 #(+ #before.len())* }) + #event::type_index(event)),
        encode: quote!(#event::encode(event, buffer)),
        items: quote_spanned! { ty.span() =>
            const _: #krate::derived::Held<#ty> = #krate::derived::Held::<#ty>::new();
        },
    })
}

/// A variant that is an event type of its own: number `at` of the enum.
fn own(
    krate: &Path,
    input: &DeriveInput,
    view: &Ident,
    variant: &Variant,
    at: usize,
    before: &[TokenStream],
) -> Result<Written> {
    let attributes = EventAttributes::of(&variant.attrs)?;
    attributes.allow_only(&["name", "version"], "say it at the enum")?;
    unsupported::no_foreign_archive(&variant.attrs)?;
    let (name, ident) = (&input.ident, &variant.ident);
    let (event_name, version) = (attributes.name_or(ident)?, attributes.version_or_first()?);
    let schema = schema::of_fields(&variant.fields);

    let hidden = Hidden {
        krate,
        vis: &input.vis,
        remote: name,
        name: format_ident!("__Archive{}Of{}", ident, name),
        archive: format_ident!("{}{}", name, ident),
    };
    let (definition, hidden_name) = (archive::of_variant(&hidden, variant), &hidden.name);
    let checks = archive::check_fields(krate, name, &variant.fields)?;
    let archived = quote!(<#hidden_name as #krate::rkyv::with::ArchiveWith<#name>>::Archived);
    let own_type = format_ident!("__TYPE_{at}");
    let types = quote!((&[#hidden_name::#own_type]));
    let is_unit = matches!(variant.fields, Fields::Unit);
    let to_view = if is_unit { quote!(|_| #view::#ident) } else { quote!(#view::#ident) };
    let own_event_type = quote!(&#hidden_name::#own_type);
    Ok(Written {
        view_type: (!is_unit).then(|| quote!(&'__a #archived)),
        pattern: quote!(Self::#ident { .. }),
        index: quote!(const { 0 #(+ #before.len())* }),
        encode: quote! {
            #krate::archive::encode(
                #krate::rkyv::with::With::<Self, #hidden_name>::cast(self),
                #own_event_type,
                buffer,
            )
        },
        items: quote! {
            #checks
            #definition
            impl #hidden_name {
                const #own_type: #krate::EventType =
                    #krate::EventType::new::<#archived>(#event_name, #version, #schema);
            }
        },
        part: Part {
            types: Some(types.clone()),
            readable: types,
            view: quote!(#krate::archive::access::<#archived>(#own_event_type, bytes, scratch).map(#to_view)),
            decode: quote!(#krate::derived::decode_variant::<#hidden_name, Self>(#own_event_type, bytes)),
        },
    })
}

/// `Debug` of the view, where all that it refers to has it.
fn debug(view: &Ident, marker: bool, written: &[Written], data: &DataEnum) -> TokenStream {
    let arms = written.iter().zip(&data.variants).map(|(written, variant)| {
        let (ident, text) = (&variant.ident, variant.ident.to_string());
        match &written.view_type {
            Some(_) => quote! {
                Self::#ident(event) => f.debug_tuple(#text).field(event).finish()
            },
            None => quote!(Self::#ident => f.write_str(#text)),
        }
    });
    let lifetime = (!marker).then(|| quote!(<'__a>));
    let bounds = written.iter().filter_map(|written| written.view_type.as_ref());
    quote! {
        #[automatically_derived]
        impl #lifetime ::core::fmt::Debug for #view #lifetime
        where
            #(#bounds: ::core::fmt::Debug,)*
        {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                match self { #(#arms),* }
            }
        }
    }
}
