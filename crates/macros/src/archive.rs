//! The archive of a type, without the user deriving rkyv's traits.
//!
//! A derive cannot add derives to the type it stands on. It writes a second, hidden type with the same
//! fields, whose derives treat the user's type as a remote one, and forwards rkyv's traits to what they
//! made. What the user writes for rkyv on the type and its fields is written on the hidden type.

use crate::{
    attributes::{
        is_wrapped, respanned, rkyv_argument, rkyv_arguments, rkyv_attributes, without_self,
    },
    debug, unsupported,
};
use proc_macro2::TokenStream;
use quote::{ToTokens as _, format_ident, quote, quote_spanned};
use syn::{
    Attribute, Data, DeriveInput, Field, Fields, Ident, Path, Result, Visibility,
    spanned::Spanned as _,
};

/// The hidden type that has the derives of rkyv.
pub(crate) struct Hidden<'a> {
    pub(crate) krate: &'a Path,
    pub(crate) vis: &'a Visibility,
    /// The user's type.
    pub(crate) remote: &'a Ident,
    /// Its name.
    pub(crate) name: Ident,
    /// The name that its archive has, without `Archived`.
    pub(crate) archive: Ident,
}

impl Hidden<'_> {
    /// The name of the archive: the one given, or `Archived` and that of the type.
    pub(crate) fn archived(&self, attrs: &[Attribute]) -> TokenStream {
        rkyv_argument(attrs, "archived")
            .unwrap_or_else(|| format_ident!("Archived{}", self.archive).into_token_stream())
    }

    /// The derives and attributes; a `struct` or `enum` of the name follows.
    pub(crate) fn head(&self, attrs: &[Attribute]) -> TokenStream {
        let Self { krate, remote, archive, .. } = self;
        let given = rkyv_attributes(attrs);
        let words = rkyv_arguments(attrs);
        let unless = |word: &str, name: Ident| {
            let word_ident = format_ident!("{word}");
            (!words.iter().any(|given| given == word)).then(|| quote!(, #word_ident = #name))
        };
        let archived = unless("archived", format_ident!("Archived{}", archive));
        let resolver = unless("resolver", format_ident!("{}Resolver", archive));
        quote! {
            #[doc(hidden)]
            #[allow(dead_code, missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]
            #[derive(#krate::rkyv::Archive, #krate::rkyv::Serialize, #krate::rkyv::Deserialize)]
            #[rkyv(crate = #krate::rkyv, remote = #remote #archived #resolver)]
            #(#given)*
        }
    }
}

/// A field for the hidden type: its name, type, visibility and what is said to rkyv.
fn hidden_field(field: &Field, owner: &Ident) -> TokenStream {
    let (vis, ident, colon) = (&field.vis, &field.ident, &field.colon_token);
    let attrs = rkyv_attributes(&field.attrs);
    let ty = without_self(field.ty.to_token_stream(), owner);
    quote!(#(#attrs)* #vis #ident #colon #ty)
}

/// Fields for the hidden type, in their braces or parentheses.
fn hidden_fields(fields: &Fields, owner: &Ident) -> TokenStream {
    let inner = fields.iter().map(|field| hidden_field(field, owner));
    match fields {
        Fields::Named(_) => quote!({ #(#inner),* }),
        Fields::Unnamed(_) => quote!((#(#inner),*)),
        Fields::Unit => TokenStream::new(),
    }
}

/// rkyv's three traits for the user's own struct or enum.
pub(crate) fn of_type(krate: &Path, input: &DeriveInput) -> Result<TokenStream> {
    unsupported::no_foreign_archive(&input.attrs)?;
    let name = &input.ident;
    let hidden = Hidden {
        krate,
        vis: &input.vis,
        remote: name,
        // Not `__` alone: rkyv has type parameters with such names, and a type is allowed to be a `D`.
        name: format_ident!("__Archive{}", name),
        archive: format_ident!("{}", name),
    };
    let (head, hidden_name, vis) = (hidden.head(&input.attrs), &hidden.name, hidden.vis);
    let (definition, to_remote) = match &input.data {
        Data::Struct(data) => {
            let fields = hidden_fields(&data.fields, name);
            let end = (!matches!(data.fields, Fields::Named(_))).then(|| quote!(;));
            let members: Vec<_> = data.fields.members().collect();
            (
                quote!(#vis struct #hidden_name #fields #end),
                quote!(#name { #(#members: hidden.#members),* }),
            )
        }
        Data::Enum(data) => {
            let repr = input.attrs.iter().filter(|attr| attr.path().is_ident("repr"));
            let mut variants = Vec::new();
            let mut arms = Vec::new();
            for variant in &data.variants {
                let (ident, attrs) = (&variant.ident, rkyv_attributes(&variant.attrs));
                let fields = hidden_fields(&variant.fields, name);
                let discriminant =
                    variant.discriminant.as_ref().map(|(equals, value)| quote!(#equals #value));
                variants.push(quote!(#(#attrs)* #ident #fields #discriminant));
                let members: Vec<_> = variant.fields.members().collect();
                let bound: Vec<_> =
                    (0..members.len()).map(|at| format_ident!("field_{at}")).collect();
                arms.push(quote! {
                    #hidden_name::#ident { #(#members: #bound),* } =>
                        #name::#ident { #(#members: #bound),* }
                });
            }
            (
                quote!(#(#repr)* #vis enum #hidden_name { #(#variants),* }),
                quote!(match hidden { #(#arms),* }),
            )
        }
        Data::Union(_) => {
            unsupported::no_union(input)?;
            return Ok(TokenStream::new());
        }
    };
    let rkyv = quote!(#krate::rkyv);
    let archived = hidden.archived(&input.attrs);
    let debug = debug::of_type(krate, input, &archived);
    Ok(quote! {
        #head
        #definition
        #debug

        #[automatically_derived]
        impl ::core::convert::From<#hidden_name> for #name {
            fn from(hidden: #hidden_name) -> Self {
                #to_remote
            }
        }

        #[automatically_derived]
        impl #rkyv::Archive for #name {
            type Archived = #archived;
            type Resolver = <#hidden_name as #rkyv::with::ArchiveWith<#name>>::Resolver;

            #[inline]
            fn resolve(&self, resolver: Self::Resolver, out: #rkyv::Place<Self::Archived>) {
                <#hidden_name as #rkyv::with::ArchiveWith<#name>>::resolve_with(self, resolver, out)
            }
        }

        #[automatically_derived]
        impl<__S> #rkyv::Serialize<__S> for #name
        where
            __S: #rkyv::rancor::Fallible + ?::core::marker::Sized,
            #hidden_name: #rkyv::with::SerializeWith<#name, __S>,
        {
            #[inline]
            fn serialize(
                &self,
                serializer: &mut __S,
            ) -> ::core::result::Result<Self::Resolver, <__S as #rkyv::rancor::Fallible>::Error> {
                <#hidden_name as #rkyv::with::SerializeWith<#name, __S>>::serialize_with(self, serializer)
            }
        }

        #[automatically_derived]
        impl<__D> #rkyv::Deserialize<#name, __D> for #archived
        where
            __D: #rkyv::rancor::Fallible + ?::core::marker::Sized,
            #hidden_name: #rkyv::with::DeserializeWith<#archived, #name, __D>,
        {
            #[inline]
            fn deserialize(
                &self,
                deserializer: &mut __D,
            ) -> ::core::result::Result<#name, <__D as #rkyv::rancor::Fallible>::Error> {
                <#hidden_name as #rkyv::with::DeserializeWith<#archived, #name, __D>>
                    ::deserialize_with(self, deserializer)
            }
        }
    })
}

/// A struct for the named fields of one variant, archived straight from the enum: each field is got from
/// the variant by reference, so that nothing is cloned to be written.
pub(crate) fn of_variant(hidden: &Hidden<'_>, variant: &syn::Variant) -> TokenStream {
    let Hidden { krate, vis, remote, name, archive } = hidden;
    let head = hidden.head(&variant.attrs);
    let ident = &variant.ident;
    let mut fields = Vec::new();
    let mut getters = Vec::new();
    for field in &variant.fields {
        let Some(member) = &field.ident else { continue };
        let attrs = rkyv_attributes(&field.attrs);
        let ty = without_self(field.ty.to_token_stream(), remote);
        fields.push(quote!(#(#attrs)* #[rkyv(getter = #name::#member)] #vis #member: #ty));
        getters.push(quote! {
            #[inline]
            fn #member(event: &#remote) -> &#ty {
                match event {
                    #remote::#ident { #member: field, .. } => field,
                    _ => ::core::unreachable!("only this variant is archived by this type"),
                }
            }
        });
    }
    let members: Vec<_> = variant.fields.members().collect();
    let (body, end) = match &variant.fields {
        Fields::Unit => (TokenStream::new(), quote!(;)),
        Fields::Named(_) | Fields::Unnamed(_) => (quote!({ #(#fields),* }), TokenStream::new()),
    };
    let archived = hidden.archived(&variant.attrs);
    let debug = match debug::is_asked_for(&variant.attrs) {
        true => TokenStream::new(),
        false => {
            let printed = format!("Archived{archive}");
            debug::of_struct(krate, remote, &printed, &variant.fields, &archived)
        }
    };
    quote! {
        #head
        #vis struct #name #body #end
        #debug

        #[allow(unreachable_patterns)]
        impl #name {
            #(#getters)*
        }

        #[automatically_derived]
        impl ::core::convert::From<#name> for #remote {
            fn from(hidden: #name) -> Self {
                #remote::#ident { #(#members: hidden.#members),* }
            }
        }
    }
}

/// Fails to compile, at the field, if a field has no archive or one that needs more alignment than events
/// have. Has to come before all other code written.
pub(crate) fn check_fields(krate: &Path, owner: &Ident, fields: &Fields) -> Result<TokenStream> {
    let mut checks = TokenStream::new();
    for field in fields {
        unsupported::no_wide_field(field)?;
        if is_wrapped(&field.attrs) {
            continue;
        }
        let span = field.ty.span();
        let krate = respanned(krate, span);
        let ty = without_self(field.ty.to_token_stream(), owner);
        checks.extend(quote_spanned! { span =>
            const _: #krate::derived::Field<#ty> = #krate::derived::Field::<#ty>::checked();
        });
    }
    Ok(checks)
}
