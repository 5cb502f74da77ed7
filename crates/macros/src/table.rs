//! `#[derive(Schema)]`: a struct whose values are events of a table.

mod builder;
mod column;
mod event;
mod filter;
mod roles;
mod rules;

use column::Column;
use proc_macro2::{Span, TokenStream};
use syn::{
    Attribute, Data, DeriveInput, Error, Fields, Ident, LitInt, Path, Result, parse_quote,
    spanned::Spanned as _,
};

/// A struct as the derive understood it.
pub(crate) struct Table<'a> {
    input: &'a DeriveInput,
    krate: Path,
    schema_id: u32,
    columns: Vec<Column<'a>>,
}

pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let table = Table::of(input)?;
    rules::check(&table)?;
    let mut code = event::expand(&table);
    code.extend(builder::expand(&table));
    code.extend(filter::expand(&table));
    Ok(code)
}

impl<'a> Table<'a> {
    fn of(input: &'a DeriveInput) -> Result<Self> {
        if !input.generics.params.is_empty() || input.generics.where_clause.is_some() {
            return Err(Error::new_spanned(
                &input.generics,
                "the events of a table have one layout: write the types out instead of generic parameters, \
                 and `String` instead of references",
            ));
        }
        let fields = match &input.data {
            Data::Struct(data) => &data.fields,
            Data::Enum(data) => return Err(Error::new(data.enum_token.span(), NO_STRUCT)),
            Data::Union(data) => return Err(Error::new(data.union_token.span(), NO_STRUCT)),
        };
        let Fields::Named(fields) = fields else {
            return Err(Error::new_spanned(&input.ident, "the fields of a schema have names"));
        };
        let (krate, schema_id) = attributes(input)?;
        let columns: Result<Vec<_>> = fields.named.iter().map(Column::of).collect();
        let columns = columns?;
        if columns.is_empty() {
            return Err(Error::new_spanned(&input.ident, "a schema has at least one field"));
        }
        Ok(Self { input, krate, schema_id, columns })
    }
}

const NO_STRUCT: &str = "a schema is a struct with a named field for each column";

/// What `#[schema(..)]` of the struct says: where `annals_columns` is, and the schema's id.
fn attributes(input: &DeriveInput) -> Result<(Path, u32)> {
    let (mut krate, mut id) = (None, None);
    for attr in input.attrs.iter().filter(|attr| attr.path().is_ident("schema")) {
        attr.parse_nested_meta(|meta| {
            let is_first = if meta.path.is_ident("schema_id") {
                let number: LitInt = meta.value()?.parse()?;
                id.replace(number.base10_parse::<u32>()?).is_none()
            } else if meta.path.is_ident("crate") {
                krate.replace(meta.value()?.call(Path::parse_mod_style)?).is_none()
            } else {
                return Err(meta.error("unknown: a schema has `schema_id = N` and `crate = path`"));
            };
            if is_first { Ok(()) } else { Err(meta.error("given twice")) }
        })?;
    }
    let Some(id) = id else {
        return Err(Error::new(
            input.ident.span(),
            "`schema_id` is missing: give each schema a number of its own, as \
             `#[schema(schema_id = 1)]`, by which stored events are told apart",
        ));
    };
    Ok((krate.unwrap_or_else(|| parse_quote!(::annals::columns)), id))
}

/// The documentation that the user wrote, to be handed on.
fn docs(attrs: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attrs.iter().filter(|attr| attr.path().is_ident("doc"))
}

/// An error at some tokens.
fn wrong(tokens: impl quote::ToTokens, what: &str) -> Error {
    Error::new_spanned(tokens.to_token_stream(), what)
}

/// An identifier made of several words.
fn named(words: &str, span: Span) -> Ident {
    Ident::new(words, span)
}
