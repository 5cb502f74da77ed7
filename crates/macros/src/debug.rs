//! `Debug` of archives, so that views can be printed, compared in assertions and unwrapped.
//!
//! It has to be there without being asked for, and must not be the reason why a type does not compile:
//! archives of other crates may lack it. So it is bound to that of the fields. Such a bound on a type
//! without parameters is an error where it does not hold, unless a lifetime is bound in it: then it is
//! looked at where `Debug` is used.

use crate::attributes::{rkyv_argument, rkyv_attributes, without_self};
use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens as _, format_ident, quote};
use syn::{Attribute, Data, DeriveInput, Field, Fields, Ident, Member, Path};

/// Of the archive of a struct or enum. `archived` is its type, `name` its name.
pub(crate) fn of_type(krate: &Path, input: &DeriveInput, archived: &TokenStream) -> TokenStream {
    if is_asked_for(&input.attrs) {
        return TokenStream::new();
    }
    let owner = &input.ident;
    let name = format!("Archived{}", format_ident!("{}", owner));
    match &input.data {
        Data::Struct(data) => of_struct(krate, owner, &name, &data.fields, archived),
        Data::Enum(data) => {
            let fields = data.variants.iter().flat_map(|variant| &variant.fields);
            let bounds = fields.filter_map(|field| bound(krate, owner, field));
            let arms = data.variants.iter().map(|variant| {
                let (ident, text) = (&variant.ident, variant.ident.to_string());
                let members: Vec<_> = variant.fields.members().collect();
                let bound: Vec<_> =
                    (0..members.len()).map(|at| format_ident!("field_{at}")).collect();
                let values = bound.iter().map(|bound| quote!(#bound));
                let print = print(&text, &variant.fields, values);
                quote!(Self::#ident { #(#members: #bound),* } => #print)
            });
            item(archived, &quote!(#(#bounds,)*), &quote!(match self { #(#arms),* }))
        }
        Data::Union(_) => TokenStream::new(),
    }
}

/// Of the archive of a struct with these fields.
pub(crate) fn of_struct(
    krate: &Path,
    owner: &Ident,
    name: &str,
    fields: &Fields,
    archived: &TokenStream,
) -> TokenStream {
    let bounds = fields.iter().filter_map(|field| bound(krate, owner, field));
    let values = fields.members().map(|member| quote!(&self.#member));
    item(archived, &quote!(#(#bounds,)*), &print(name, fields, values))
}

fn item(archived: &TokenStream, bounds: &TokenStream, body: &TokenStream) -> TokenStream {
    quote! {
        #[automatically_derived]
        impl ::core::fmt::Debug for #archived
        where
            #bounds
        {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                #body
            }
        }
    }
}

fn print(name: &str, fields: &Fields, values: impl Iterator<Item = TokenStream>) -> TokenStream {
    match fields {
        Fields::Unit => quote!(f.write_str(#name)),
        Fields::Unnamed(_) => quote!(f.debug_tuple(#name)#(.field(#values))*.finish()),
        Fields::Named(_) => {
            let names = fields.members().map(|member| match member {
                Member::Named(name) => syn::ext::IdentExt::unraw(&name).to_string(),
                Member::Unnamed(index) => index.index.to_string(),
            });
            quote!(f.debug_struct(#name)#(.field(#names, #values))*.finish())
        }
    }
}

/// The bound of one field. None for a field of a type that holds itself, whose bound would lead back to
/// where it comes from; rkyv is told the same of it.
fn bound(krate: &Path, owner: &Ident, field: &Field) -> Option<TokenStream> {
    let wrapper = match rkyv_argument(&field.attrs, "with") {
        _ if rkyv_argument(&field.attrs, "omit_bounds").is_some() => return None,
        Some(wrapper) => without_self(wrapper, owner),
        None => TokenStream::new(),
    };
    let ty = without_self(field.ty.to_token_stream(), owner);
    let archived = if wrapper.is_empty() {
        quote!(<#ty as #krate::rkyv::Archive>::Archived)
    } else {
        quote!(<#wrapper as #krate::rkyv::with::ArchiveWith<#ty>>::Archived)
    };
    Some(quote!(for<'__a> &'__a #archived: ::core::fmt::Debug))
}

/// Whether the user derives `Debug` for the archive.
pub(crate) fn is_asked_for(attrs: &[Attribute]) -> bool {
    fn has(tokens: TokenStream) -> bool {
        tokens.into_iter().any(|token| match token {
            TokenTree::Ident(ident) => ident == "Debug",
            TokenTree::Group(group) => has(group.stream()),
            _ => false,
        })
    }
    rkyv_attributes(attrs).iter().any(|attr| has(attr.meta.to_token_stream()))
}
