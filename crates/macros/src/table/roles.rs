//! What a field is for, as its attribute says.

use super::wrong;
use proc_macro2::Span;
use syn::{
    Attribute, Error, Field, Ident, Meta, Result, Token, punctuated::Punctuated,
    spanned::Spanned as _,
};

/// What a field is for.
pub(super) enum Role {
    Ts,
    Metric,
    Counter,
    Latency,
    LatencyDetail,
    Status,
    Flags(Vec<Ident>),
    Dim { bloom: Option<Span>, rollup: bool },
    Label,
    Id,
}

const NAMES: [&str; 9] =
    ["ts", "metric", "counter", "latency", "status", "flags", "dim", "label", "id"];

impl Role {
    /// The role that a field was given, and where.
    pub(super) fn of(field: &Field) -> Result<(Self, &Attribute)> {
        let mut roles =
            field.attrs.iter().filter(|attr| NAMES.iter().any(|name| attr.path().is_ident(name)));
        let Some(attr) = roles.next() else {
            return Err(wrong(
                &field.ident,
                "what this field is for is not said: give it one of `#[ts]`, `#[metric]`, `#[counter]`, \
                 `#[latency]`, `#[status]`, `#[flags(..)]`, `#[dim]`, `#[label]` and `#[id]`",
            ));
        };
        if let Some(second) = roles.next() {
            return Err(wrong(second, "the field has a role already, and may have one only"));
        }
        Ok((Self::parse(attr)?, attr))
    }

    fn parse(attr: &Attribute) -> Result<Self> {
        let path = attr.path();
        let is = |name| path.is_ident(name);
        if is("dim") {
            return Self::parse_dim(attr);
        }
        if is("flags") {
            return Self::parse_flags(attr);
        }
        if is("latency") {
            return match words(attr)?.as_slice() {
                [] => Ok(Self::Latency),
                [word] if word == "detail" => Ok(Self::LatencyDetail),
                [word, ..] => {
                    Err(wrong(word, "unknown: there are `#[latency]` and `#[latency(detail)]`"))
                }
            };
        }
        if let Some(word) = words(attr)?.first() {
            return Err(wrong(word, "this role takes no arguments"));
        }
        Ok(match () {
            () if is("ts") => Self::Ts,
            () if is("metric") => Self::Metric,
            () if is("counter") => Self::Counter,
            () if is("status") => Self::Status,
            () if is("label") => Self::Label,
            () => Self::Id,
        })
    }

    fn parse_dim(attr: &Attribute) -> Result<Self> {
        let (mut bloom, mut rollup) = (None, false);
        for word in words(attr)? {
            let is_first = if word == "bloom" {
                bloom.replace(word.span()).is_none()
            } else if word == "rollup" {
                !std::mem::replace(&mut rollup, true)
            } else {
                return Err(wrong(word, "unknown: a dimension has `bloom` and `rollup`"));
            };
            if !is_first {
                return Err(wrong(word, "given twice"));
            }
        }
        Ok(Self::Dim { bloom, rollup })
    }

    fn parse_flags(attr: &Attribute) -> Result<Self> {
        let names = words(attr)?;
        if names.is_empty() {
            return Err(wrong(
                attr,
                "flags have names, the lowest bit first: `#[flags(cached, retried)]`",
            ));
        }
        Ok(Self::Flags(names))
    }

    /// The role's name, of those that one field may have.
    pub(super) fn single(&self) -> Option<&'static str> {
        Some(match self {
            Self::Ts => "ts",
            Self::Metric => "metric",
            Self::Latency => "latency",
            Self::LatencyDetail => "latency(detail)",
            Self::Status => "status",
            Self::Flags(_) => "flags",
            Self::Id => "id",
            Self::Counter | Self::Dim { .. } | Self::Label => return None,
        })
    }
}

/// The words in the brackets of an attribute.
fn words(attr: &Attribute) -> Result<Vec<Ident>> {
    match &attr.meta {
        Meta::Path(_) => Ok(Vec::new()),
        Meta::List(list) => {
            let words = list.parse_args_with(Punctuated::<Ident, Token![,]>::parse_terminated)?;
            Ok(words.into_iter().collect())
        }
        Meta::NameValue(pair) => {
            Err(Error::new(pair.eq_token.span(), "arguments stand in brackets"))
        }
    }
}
