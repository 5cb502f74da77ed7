//! The event types that one type reads, part after part: its own, those of the types it holds, and the
//! older versions that lead to it. Lists and look-ups are written from the same parts in the same order,
//! so that an index means the same everywhere.

use crate::attributes::Older;
use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::{Ident, Path, Result, spanned::Spanned as _};

/// One part.
pub(crate) struct Part {
    /// An expression: the `&[EventType]` that are written.
    pub(crate) types: Option<TokenStream>,
    /// An expression: the `&[EventType]` that are read.
    pub(crate) readable: TokenStream,
    /// An expression: the view, with `at` the index in `readable`.
    pub(crate) view: TokenStream,
    /// An expression: the value.
    pub(crate) decode: TokenStream,
}

/// The older versions, each a part.
pub(crate) fn older(krate: &Path, name: &Ident, from: &[Older]) -> Vec<Part> {
    let parts = from.iter().map(|older| {
        let ty = &older.ty;
        let upcast = quote_spanned! { ty.span() =>
            #krate::archive::upcast::<#ty, #name>(at, bytes)
        };
        Part {
            types: None,
            readable: quote!(<#ty as #krate::Event>::READABLE),
            view: quote!(#upcast.and_then(|event| #krate::Event::to_view(&event, scratch))),
            decode: upcast,
        }
    });
    parts.collect()
}

/// Fails to compile where an older version is not older, or not the one that was said.
pub(crate) fn assert_older(krate: &Path, name: &Ident, from: &[Older]) -> Result<TokenStream> {
    let mut checks = TokenStream::new();
    for older in from {
        let ty = &older.ty;
        let said = match &older.version {
            Some(version) => {
                let version = version.base10_parse::<u32>()?;
                quote!(::core::option::Option::Some(#version))
            }
            None => quote!(::core::option::Option::None),
        };
        checks.extend(quote_spanned! { ty.span() =>
            const _: () = #krate::derived::assert_older(
                <#ty as #krate::Event>::READABLE,
                #said,
                <#name as #krate::Event>::TYPES,
            );
        });
    }
    Ok(checks)
}

/// The items of `impl Event` that are the same for structs and enums.
pub(crate) fn items(krate: &Path, parts: &[Part]) -> TokenStream {
    let types = concat(krate, parts.iter().filter_map(|part| part.types.as_ref()));
    let readable = concat(krate, parts.iter().map(|part| &part.readable));
    let views = look_up(parts, |part| &part.view);
    let decodes = look_up(parts, |part| &part.decode);
    quote! {
        const TYPES: &'static [#krate::EventType] = #types;
        const READABLE: &'static [#krate::EventType] = #readable;

        #[inline]
        fn view_readable<'__a>(
            index: usize,
            bytes: &'__a [u8],
            scratch: &'__a #krate::Scratch,
        ) -> #krate::Result<Self::View<'__a>> {
            let at = index;
            #views
            #krate::derived::no_such_type(index, Self::READABLE)
        }

        fn decode_readable(index: usize, bytes: &[u8]) -> #krate::Result<Self> {
            let at = index;
            #decodes
            #krate::derived::no_such_type(index, Self::READABLE)
        }
    }
}

fn concat<'a>(krate: &Path, lists: impl Iterator<Item = &'a TokenStream>) -> TokenStream {
    let lists: Vec<_> = lists.collect();
    quote!(&#krate::derived::concat::<{ 0 #(+ #lists.len())* }>(&[#(#lists),*]))
}

fn look_up(parts: &[Part], what: impl Fn(&Part) -> &TokenStream) -> TokenStream {
    let steps = parts.iter().map(|part| {
        let (readable, what) = (&part.readable, what(part));
        quote! {
            if at < #readable.len() {
                return #what;
            }
            let at = at - #readable.len();
        }
    });
    quote! {
        #(#steps)*
        let _ = at;
    }
}
