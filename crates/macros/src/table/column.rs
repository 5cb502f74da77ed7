//! A field of the struct: a column.

use super::{roles::Role, wrong};
use proc_macro2::TokenStream;
use quote::quote;
use syn::{
    Attribute, Field, GenericArgument, Ident, PathArguments, PathSegment, Result, Type,
    ext::IdentExt as _,
};

/// What is kept for a field.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    I64,
    F64,
    U64,
    U32,
    U16,
    Text,
}

/// A field of the struct.
pub(super) struct Column<'a> {
    pub(super) field: &'a Field,
    pub(super) ident: &'a Ident,
    /// The name that is stored.
    pub(super) name: String,
    pub(super) role: Role,
    /// Where the role was given.
    pub(super) role_attr: &'a Attribute,
    pub(super) kept: Kept,
    pub(super) is_optional: bool,
}

impl<'a> Column<'a> {
    pub(super) fn of(field: &'a Field) -> Result<Self> {
        let Some(ident) = &field.ident else {
            return Err(wrong(field, "the fields of a schema have names"));
        };
        let (role, role_attr) = Role::of(field)?;
        let (ty, is_optional) = match optional(&field.ty) {
            Some(inner) => (inner, true),
            None => (&field.ty, false),
        };
        let kept = kept(ty).filter(|kept| role.takes().contains(kept));
        let Some(kept) = kept else { return Err(wrong(ty, &role.refusal())) };
        let name = ident.unraw().to_string();
        Ok(Self { field, ident, name, role, role_attr, kept, is_optional })
    }

    /// The role as the builder of schemas takes it.
    pub(super) fn role_tokens(&self, krate: &syn::Path) -> TokenStream {
        match &self.role {
            Role::Ts => quote!(#krate::Role::Ts),
            Role::Metric if self.kept == Kept::F64 => quote!(#krate::Role::MetricF64),
            Role::Metric => quote!(#krate::Role::MetricI64),
            Role::Counter if self.kept == Kept::U64 => quote!(#krate::Role::CounterU64),
            Role::Counter => quote!(#krate::Role::CounterU32),
            Role::Latency => quote!(#krate::Role::Latency),
            Role::LatencyDetail => quote!(#krate::Role::LatencyDetail),
            Role::Status => quote!(#krate::Role::Status),
            Role::Flags(names) => {
                let names = names.iter().map(|name| name.unraw().to_string());
                quote!(#krate::Role::Flags(::std::vec![#(::std::string::String::from(#names)),*]))
            }
            Role::Dim { bloom, rollup } => {
                let kind = match (bloom.is_some(), rollup) {
                    (false, false) => quote!(Plain),
                    (true, false) => quote!(Bloom),
                    (false, true) => quote!(Rollup),
                    (true, true) => quote!(BloomRollup),
                };
                quote!(#krate::Role::Dimension(#krate::Dimension::#kind))
            }
            Role::Label => quote!(#krate::Role::Label),
            Role::Id => quote!(#krate::Role::Id),
        }
    }
}

impl Role {
    /// The types that a field of this role may have.
    fn takes(&self) -> &'static [Kept] {
        match self {
            Self::Ts => &[Kept::I64],
            Self::Metric => &[Kept::I64, Kept::F64],
            Self::Counter => &[Kept::U32, Kept::U64],
            Self::Latency | Self::LatencyDetail => &[Kept::U32],
            Self::Status | Self::Flags(_) => &[Kept::U16],
            Self::Dim { .. } | Self::Label | Self::Id => &[Kept::Text],
        }
    }

    fn refusal(&self) -> String {
        let what = match self {
            Self::Ts => "a time is an `i64`, in nanoseconds since 1970",
            Self::Metric => "a metric is an `i64` or an `f64`",
            Self::Counter => "a counter is a `u32` or a `u64`",
            Self::Latency | Self::LatencyDetail => "a latency is a `u32`, in milliseconds",
            Self::Status => "a status is a `u16`",
            Self::Flags(_) => "flags are a `u16`",
            Self::Dim { .. } => "a dimension is a `String`",
            Self::Label => "a label is a `String`",
            Self::Id => "an id is a `String`",
        };
        let or_none = if matches!(self, Self::Ts) { "" } else { ", or an `Option` of it" };
        format!("{what}{or_none}, written out and not by another name")
    }
}

impl Kept {
    /// The method of row builders that takes it, and the type that setters take.
    pub(super) fn method(self) -> TokenStream {
        match self {
            Self::I64 => quote!(i64),
            Self::F64 => quote!(f64),
            Self::U64 => quote!(u64),
            Self::U32 => quote!(u32),
            Self::U16 => quote!(u16),
            Self::Text => quote!(text),
        }
    }
}

fn last_segment(ty: &Type) -> Option<&PathSegment> {
    let Type::Path(path) = ty else { return None };
    path.qself.is_none().then(|| path.path.segments.last())?
}

/// The type within an `Option`.
fn optional(ty: &Type) -> Option<&Type> {
    let segment = last_segment(ty).filter(|segment| segment.ident == "Option")?;
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    match arguments.args.first()? {
        GenericArgument::Type(inner) => Some(inner),
        _ => None,
    }
}

fn kept(ty: &Type) -> Option<Kept> {
    let segment = last_segment(ty).filter(|segment| segment.arguments.is_none())?;
    Some(match segment.ident.to_string().as_str() {
        "i64" => Kept::I64,
        "f64" => Kept::F64,
        "u64" => Kept::U64,
        "u32" => Kept::U32,
        "u16" => Kept::U16,
        "String" => Kept::Text,
        _ => return None,
    })
}
