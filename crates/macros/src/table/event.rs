//! The struct itself: its schema, and its values as events.

use super::{Table, column::Kept, roles::Role};
use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt as _;

pub(super) fn expand(table: &Table<'_>) -> TokenStream {
    let Table { input, krate, schema_id, columns } = table;
    let name = &input.ident;
    let fields = columns.iter().map(|column| {
        let (stored, role) = (&column.name, column.role_tokens(krate));
        match column.is_optional {
            true => quote!(.with_optional(#stored, #role)),
            false => quote!(.with(#stored, #role)),
        }
    });
    let writes = columns.iter().enumerate().map(|(index, column)| {
        let (ident, method) = (column.ident, column.kept.method());
        let taken = match (column.kept, column.is_optional) {
            (Kept::Text, _) => quote!(value),
            (_, _) => quote!(*value),
        };
        match column.is_optional {
            true => quote! {
                if let ::core::option::Option::Some(value) = &self.#ident {
                    row.#method(#index, #taken)?;
                }
            },
            false => quote! {
                let value = &self.#ident;
                row.#method(#index, #taken)?;
            },
        }
    });
    let reads = columns.iter().enumerate().map(|(index, column)| {
        let ident = column.ident;
        let stored = &column.name;
        match column.is_optional {
            true => quote!(#ident: #krate::derived::optional(value(#index), #stored)?),
            false => quote!(#ident: #krate::derived::required(value(#index), #stored)?),
        }
    });
    let flags = columns.iter().flat_map(|column| match &column.role {
        Role::Flags(flags) => flags.as_slice(),
        _ => &[],
    });
    let flags = flags.enumerate().map(|(bit, flag)| {
        let constant = super::named(&flag.unraw().to_string().to_ascii_uppercase(), flag.span());
        let bit = 1u16 << bit;
        let doc = format!("The flag `{}`.", flag.unraw());
        quote! {
            #[doc = #doc]
            pub const #constant: u16 = #bit;
        }
    });
    quote! {
        #[automatically_derived]
        impl #name {
            #(#flags)*
        }

        #[automatically_derived]
        impl #krate::WideEvent for #name {
            fn schema() -> &'static ::std::sync::Arc<#krate::Schema> {
                static SCHEMA: ::std::sync::LazyLock<::std::sync::Arc<#krate::Schema>> =
                    ::std::sync::LazyLock::new(|| {
                        #krate::derived::schema(#krate::Schema::builder(#schema_id) #(#fields)*)
                    });
                &SCHEMA
            }

            fn read<'__v>(
                mut value: impl ::core::ops::FnMut(usize) -> #krate::Value<'__v>,
            ) -> #krate::Result<Self> {
                ::core::result::Result::Ok(Self { #(#reads),* })
            }
        }

        #[automatically_derived]
        impl #krate::ToRow for #name {
            type Event = Self;

            #[inline]
            fn to_row(&self, row: &mut #krate::RowBuilder<'_>) -> #krate::Result<()> {
                #(#writes)*
                ::core::result::Result::Ok(())
            }
        }
    }
}
