//! What asks for events of the struct: a filter with a method for each comparison, and the fields by name.

use super::{
    Table,
    column::{Column, Kept},
    named,
    roles::Role,
};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::ext::IdentExt as _;

pub(super) fn expand(table: &Table<'_>) -> TokenStream {
    let mut code = filter(table);
    code.extend(fields(table));
    code
}

fn filter(table: &Table<'_>) -> TokenStream {
    let Table { input, krate, columns, .. } = table;
    let (name, vis) = (&input.ident, &input.vis);
    let filter = named(&format!("{}Filter", name.unraw()), name.span());
    let methods = columns.iter().enumerate().map(|(index, column)| methods(table, index, column));
    let doc = format!(
        "Which events of [`{name}`] are meant: those for which all holds that its methods were told. \
         None of them: all events. An event without a value is not meant by any comparison with it."
    );
    let begin = format!(
        "Begins a filter, which means all events until [`{filter}`]'s methods are told more."
    );
    quote! {
        #[doc = #doc]
        #[derive(Clone, Debug, Default, PartialEq)]
        #[must_use = "a filter does nothing until a question is asked with it"]
        #vis struct #filter(#krate::Filter);

        #[automatically_derived]
        #[allow(dead_code, reason = "who derives it need not use all of it")]
        impl #name {
            #[doc = #begin]
            #vis fn filter() -> #filter {
                ::core::default::Default::default()
            }
        }

        #[automatically_derived]
        #[allow(
            dead_code,
            clippy::should_implement_trait,
            reason = "who derives it need not use all of it, and `not` is a word of filters"
        )]
        impl #filter {
            #(#methods)*

            /// Those for which the other filter holds as well.
            #vis fn and(self, other: Self) -> Self {
                Self(self.0.and(other.0))
            }

            /// Those for which this filter, as it is now, or the other one holds.
            #vis fn or(self, other: Self) -> Self {
                Self(self.0.or(other.0))
            }

            /// Those for which this filter, as it is now, does not hold.
            #vis fn not(self) -> Self {
                Self(::core::ops::Not::not(self.0))
            }

            fn with(self, filter: #krate::Filter) -> Self {
                Self(self.0.and(filter))
            }
        }

        #[automatically_derived]
        impl ::core::ops::Not for #filter {
            type Output = Self;

            fn not(self) -> Self {
                Self(::core::ops::Not::not(self.0))
            }
        }

        #[automatically_derived]
        impl ::core::convert::From<#filter> for #krate::BoundFilter {
            fn from(filter: #filter) -> Self {
                Self::to::<#name>(filter.0)
            }
        }
    }
}

/// What a field can be asked for.
fn methods(table: &Table<'_>, index: usize, column: &Column<'_>) -> TokenStream {
    let (krate, vis) = (&table.krate, &table.input.vis);
    let stored = &column.name;
    let method = |suffix: &str| format_ident!("{}_{suffix}", column.ident);
    let mut code = TokenStream::new();
    let constant = match column.kept {
        Kept::Text => quote!(&str),
        number => number.method(),
    };
    let mut compare = |name: proc_macro2::Ident, doc: String, with: TokenStream| {
        code.extend(quote! {
            #[doc = #doc]
            #vis fn #name(self, value: #constant) -> Self {
                self.with(#krate::Filter::#with(#index, value))
            }
        });
    };
    let is_flags = matches!(column.role, Role::Flags(_));
    compare(method("eq"), format!("`{stored}` is this."), quote!(eq));
    if !is_flags {
        compare(method("ge"), format!("`{stored}` is this or higher."), quote!(at_least));
        compare(method("gt"), format!("`{stored}` is higher than this."), quote!(above));
        compare(method("le"), format!("`{stored}` is this or lower."), quote!(at_most));
        compare(method("lt"), format!("`{stored}` is lower than this."), quote!(below));
    }
    if matches!(column.role, Role::Ts) {
        let since = format!("From this time on: `{stored}` is this or later.");
        compare(format_ident!("since"), since, quote!(at_least));
        let until = format!(
            "Before this time: `{stored}` is earlier. With [`since`](Self::since), the range has its start \
             and not its end; only without an end is an event in it whose time is `i64::MAX`."
        );
        compare(format_ident!("until"), until, quote!(below));
    }
    let is_in = method("in");
    let doc = format!("`{stored}` is one of these; of none, no event is meant.");
    code.extend(match column.kept {
        Kept::Text => quote! {
            #[doc = #doc]
            #vis fn #is_in(
                self,
                values: impl ::core::iter::IntoIterator<Item = impl ::core::convert::AsRef<str>>,
            ) -> Self {
                let values = ::core::iter::IntoIterator::into_iter(values);
                let values = values.map(|value| #krate::Constant::from(value.as_ref()));
                self.with(#krate::Filter::is_in(#index, values))
            }
        },
        _ => quote! {
            #[doc = #doc]
            #vis fn #is_in(
                self,
                values: impl ::core::iter::IntoIterator<Item = #constant>,
            ) -> Self {
                self.with(#krate::Filter::is_in(#index, values))
            }
        },
    });
    if column.kept == Kept::Text {
        let prefix = method("prefix");
        let doc = format!("`{stored}` begins with this.");
        code.extend(quote! {
            #[doc = #doc]
            #vis fn #prefix(self, prefix: &str) -> Self {
                self.with(#krate::Filter::Prefix(#index, ::std::string::String::from(prefix)))
            }
        });
    }
    if is_flags {
        let (set, unset) = (method("set"), method("unset"));
        let (all, none) = (
            format!("All of these bits of `{stored}` are set."),
            format!("None of these bits of `{stored}` is set."),
        );
        code.extend(quote! {
            #[doc = #all]
            #vis fn #set(self, flags: u16) -> Self {
                self.with(#krate::Filter::FlagsSet(#index, flags))
            }

            #[doc = #none]
            #vis fn #unset(self, flags: u16) -> Self {
                self.with(#krate::Filter::FlagsUnset(#index, flags))
            }
        });
    }
    if column.is_optional {
        let (present, absent) = (method("present"), method("absent"));
        let (there, missing) = (
            format!("There is a value of `{stored}`."),
            format!("There is no value of `{stored}`."),
        );
        code.extend(quote! {
            #[doc = #there]
            #vis fn #present(self) -> Self {
                self.with(#krate::Filter::Present(#index))
            }

            #[doc = #missing]
            #vis fn #absent(self) -> Self {
                self.with(::core::ops::Not::not(#krate::Filter::Present(#index)))
            }
        });
    }
    code
}

fn fields(table: &Table<'_>) -> TokenStream {
    let Table { input, krate, columns, .. } = table;
    let (name, vis) = (&input.ident, &input.vis);
    let fields = named(&format!("{}Fields", name.unraw()), name.span());
    let methods = columns.iter().enumerate().map(|(index, column)| {
        let ident = column.ident;
        let kind = match &column.role {
            Role::Ts => quote!(Time),
            Role::Metric => quote!(Metric),
            Role::Counter | Role::Latency | Role::LatencyDetail | Role::Status | Role::Flags(_) => {
                quote!(Count)
            }
            Role::Dim { .. } => quote!(Dimension),
            Role::Label | Role::Id => quote!(Text),
        };
        let doc = format!("The field `{}`.", column.name);
        quote! {
            #[doc = #doc]
            #[must_use]
            #vis const fn #ident(self) -> #krate::FieldOf<#name, #krate::kind::#kind> {
                #krate::derived::field_of(#index)
            }
        }
    });
    let doc = format!("The fields of [`{name}`], to group by and to measure.");
    quote! {
        #[doc = #doc]
        #[derive(Clone, Copy, Debug)]
        #vis struct #fields(());

        #[automatically_derived]
        #[allow(dead_code, reason = "who derives it need not use all of it")]
        impl #name {
            #[doc = #doc]
            #[must_use]
            #vis const fn fields() -> #fields {
                #fields(())
            }
        }

        #[automatically_derived]
        #[allow(dead_code, reason = "who derives it need not use all of it")]
        impl #fields {
            #(#methods)*
        }
    }
}
