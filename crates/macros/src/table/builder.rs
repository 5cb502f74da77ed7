//! What builds an event without owning its strings: a method a field, a method a flag.

use super::{
    Table,
    column::{Column, Kept},
    docs, named,
    roles::Role,
};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::ext::IdentExt as _;

pub(super) fn expand(table: &Table<'_>) -> TokenStream {
    let Table { input, krate, columns, .. } = table;
    let (name, vis) = (&input.ident, &input.vis);
    let builder = named(&format!("{}Builder", name.unraw()), name.span());
    // Without strings there is nothing to borrow.
    let has_text = columns.iter().any(|column| column.kept == Kept::Text);
    let (generics, elided) = match has_text {
        true => (quote!(<'__a>), quote!(<'_>)),
        false => (TokenStream::new(), TokenStream::new()),
    };
    let types = columns.iter().map(|column| kept_type(column));
    // Names of our own, so that a field may be named as anything.
    let places: Vec<_> = (0..columns.len()).map(|index| format_ident!("field_{index}")).collect();
    let setters = columns.iter().zip(&places).map(|(column, place)| {
        let (ident, ty) = (column.ident, kept_type(column));
        let documented = docs(&column.field.attrs).next().is_some();
        let docs = docs(&column.field.attrs);
        let doc = format!("Sets `{}`.", column.name);
        let docs = if documented { quote!(#(#docs)*) } else { quote!(#[doc = #doc]) };
        quote! {
            #docs
            #[must_use]
            #[inline]
            #vis fn #ident(mut self, value: #ty) -> Self {
                self.#place = ::core::option::Option::Some(value);
                self
            }
        }
    });
    let flags = columns.iter().zip(&places).filter_map(|(column, place)| match &column.role {
        Role::Flags(flags) => Some(flags.iter().enumerate().map(move |(bit, flag)| {
            let bit = 1u16 << bit;
            let doc = format!("Sets the flag `{}`.", flag.unraw());
            quote! {
                #[doc = #doc]
                #[must_use]
                #[inline]
                #vis fn #flag(mut self) -> Self {
                    let set = self.#place.unwrap_or(0);
                    self.#place = ::core::option::Option::Some(set | #bit);
                    self
                }
            }
        })),
        _ => None,
    });
    let flags = flags.flatten();
    let writes = columns.iter().zip(&places).enumerate().map(|(index, (column, place))| {
        let method = column.kept.method();
        quote! {
            if let ::core::option::Option::Some(value) = self.#place {
                row.#method(#index, value)?;
            }
        }
    });
    let doc = format!("Builds an event of [`{name}`] that borrows its strings.");
    let begin = format!(
        "Begins an event that borrows its strings, to be filled by [`{builder}`]'s methods."
    );
    quote! {
        #[doc = #doc]
        #[derive(Clone, Copy, Debug, Default)]
        #[must_use = "an event is added by pushing it"]
        #vis struct #builder #generics {
            #(#places: ::core::option::Option<#types>),*
        }

        #[automatically_derived]
        impl #name {
            #[doc = #begin]
            #[inline]
            #vis fn event #generics () -> #builder #generics {
                ::core::default::Default::default()
            }
        }

        #[automatically_derived]
        impl #generics #builder #generics {
            #(#setters)*
            #(#flags)*
        }

        #[automatically_derived]
        impl #krate::ToRow for #builder #elided {
            type Event = #name;

            #[inline]
            fn to_row(&self, row: &mut #krate::RowBuilder<'_>) -> #krate::Result<()> {
                #(#writes)*
                ::core::result::Result::Ok(())
            }
        }
    }
}

fn kept_type(column: &Column<'_>) -> TokenStream {
    match column.kept {
        Kept::Text => quote!(&'__a str),
        number => number.method(),
    }
}
