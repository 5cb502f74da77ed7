//! What a user writes in `#[event(..)]` and, as far as it concerns this crate, in `#[rkyv(..)]`.

use proc_macro2::{Span, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{
    Attribute, Error, Ident, LitInt, LitStr, Meta, Path, Result, Token, Type,
    meta::ParseNestedMeta,
    parse::{Parse, ParseStream},
    parse_quote,
    punctuated::Punctuated,
};

/// The longest name that `annals_events` takes; beyond it, its own assertion would tell, without a place.
const NAME_BYTES_MAX: usize = 255;

/// All of `#[event(..)]` on one type or variant.
#[derive(Default)]
pub(crate) struct EventAttributes {
    pub(crate) name: Option<LitStr>,
    pub(crate) version: Option<LitInt>,
    pub(crate) from: Vec<Older>,
    pub(crate) view: Option<Ident>,
    pub(crate) krate: Option<Path>,
    pub(crate) own_archive: Option<Span>,
}

/// One of `from(1 = OrderPlacedV1)`.
pub(crate) struct Older {
    pub(crate) version: Option<LitInt>,
    pub(crate) ty: Type,
}

impl Parse for Older {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let version = if input.peek(LitInt) {
            let version: LitInt = input.parse()?;
            let _: Token![=] = input.parse()?;
            checked_version(&version)?;
            Some(version)
        } else {
            None
        };
        Ok(Self { version, ty: input.parse()? })
    }
}

impl EventAttributes {
    pub(crate) fn of(attrs: &[Attribute]) -> Result<Self> {
        let mut this = Self::default();
        for attr in attrs.iter().filter(|attr| attr.path().is_ident("event")) {
            attr.parse_nested_meta(|meta| this.take(&meta))?;
        }
        Ok(this)
    }

    fn take(&mut self, meta: &ParseNestedMeta<'_>) -> Result<()> {
        if meta.path.is_ident("name") {
            let name: LitStr = meta.value()?.parse()?;
            checked_name(&name)?;
            once(&mut self.name, name, meta)
        } else if meta.path.is_ident("version") {
            let version: LitInt = meta.value()?.parse()?;
            checked_version(&version)?;
            once(&mut self.version, version, meta)
        } else if meta.path.is_ident("from") {
            let content;
            syn::parenthesized!(content in meta.input);
            self.from.extend(Punctuated::<Older, Token![,]>::parse_terminated(&content)?);
            Ok(())
        } else if meta.path.is_ident("view") {
            once(&mut self.view, meta.value()?.parse()?, meta)
        } else if meta.path.is_ident("crate") {
            once(&mut self.krate, meta.value()?.call(Path::parse_mod_style)?, meta)
        } else if meta.path.is_ident("own_archive") {
            once(
                &mut self.own_archive,
                meta.path.get_ident().map_or_else(Span::call_site, Ident::span),
                meta,
            )
        } else {
            Err(meta.error(
                "unknown: an event has `name = \"..\"`, `version = N`, `from(N = Type)`, `view = Name`, \
                 `crate = path` and `own_archive`",
            ))
        }
    }

    /// The path of `annals_events`, as the code written has to name it.
    pub(crate) fn krate(&self) -> Path {
        self.krate.clone().unwrap_or_else(|| parse_quote!(::annals::events))
    }

    /// The name that is stored: the one given, or that of the type or variant.
    pub(crate) fn name_or(&self, ident: &Ident) -> Result<LitStr> {
        use syn::ext::IdentExt as _;
        let name = match &self.name {
            Some(name) => name.clone(),
            None => LitStr::new(&ident.unraw().to_string(), ident.span()),
        };
        checked_name(&name)?;
        Ok(name)
    }

    /// The version that is stored.
    pub(crate) fn version_or_first(&self) -> Result<u32> {
        self.version.as_ref().map_or(Ok(1), checked_version)
    }

    /// Refuses what means nothing where it stands. `what` completes "… of what".
    pub(crate) fn allow_only(&self, allowed: &[&str], why: &str) -> Result<()> {
        let from = self.from.first().map(|older| older.ty.to_token_stream());
        let given = [
            ("name", self.name.as_ref().map(ToTokens::to_token_stream)),
            ("version", self.version.as_ref().map(ToTokens::to_token_stream)),
            ("from", from),
            ("view", self.view.as_ref().map(ToTokens::to_token_stream)),
            ("crate", self.krate.as_ref().map(ToTokens::to_token_stream)),
            (
                "own_archive",
                self.own_archive.map(|span| Ident::new("own_archive", span).to_token_stream()),
            ),
        ];
        for (name, tokens) in given {
            if let Some(tokens) = tokens
                && !allowed.contains(&name)
            {
                return Err(Error::new_spanned(
                    tokens,
                    format!("`{name}` means nothing here: {why}"),
                ));
            }
        }
        Ok(())
    }
}

fn once<T>(place: &mut Option<T>, value: T, meta: &ParseNestedMeta<'_>) -> Result<()> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(meta.error("given twice")),
    }
}

fn checked_version(version: &LitInt) -> Result<u32> {
    match version.base10_parse::<u32>() {
        Ok(0) => Err(Error::new(version.span(), "versions of event types begin at 1")),
        other => other,
    }
}

fn checked_name(name: &LitStr) -> Result<()> {
    let value = name.value();
    let why = if value.is_empty() {
        "an event type needs a name"
    } else if value.len() > NAME_BYTES_MAX {
        "the name of an event type has at most 255 bytes"
    } else if value.bytes().any(|byte| byte.is_ascii_control()) {
        "the name of an event type has no control characters"
    } else {
        return Ok(());
    };
    Err(Error::new(name.span(), why))
}

/// The `#[rkyv(..)]` of a type, field or variant, to be handed on.
pub(crate) fn rkyv_attributes(attrs: &[Attribute]) -> Vec<&Attribute> {
    attrs.iter().filter(|attr| attr.path().is_ident("rkyv")).collect()
}

/// What the `#[rkyv(..)]` of a type sets: the first word of each argument, with its place.
pub(crate) fn rkyv_arguments(attrs: &[Attribute]) -> Vec<Ident> {
    let mut words = Vec::new();
    for attr in rkyv_attributes(attrs) {
        let Meta::List(list) = &attr.meta else { continue };
        let mut at_start = true;
        for token in list.tokens.clone() {
            match token {
                TokenTree::Ident(word) if at_start => {
                    words.push(word);
                    at_start = false;
                }
                TokenTree::Punct(punct) => at_start = punct.as_char() == ',',
                _ => at_start = false,
            }
        }
    }
    words
}

/// What is given for `word` in the `#[rkyv(..)]` of a type or field: `X` of `word = X`, nothing of `word`.
pub(crate) fn rkyv_argument(attrs: &[Attribute], word: &str) -> Option<TokenStream> {
    for attr in rkyv_attributes(attrs) {
        let Meta::List(list) = &attr.meta else { continue };
        let mut tokens = list.tokens.clone().into_iter();
        let mut depth = 0;
        let mut at_start = true;
        while let Some(token) = tokens.next() {
            if at_start && matches!(&token, TokenTree::Ident(ident) if ident == word) {
                let mut value = TokenStream::new();
                for token in tokens.skip(1) {
                    match &token {
                        TokenTree::Punct(punct) if punct.as_char() == '<' => depth += 1,
                        TokenTree::Punct(punct) if punct.as_char() == '>' => depth -= 1,
                        TokenTree::Punct(punct) if punct.as_char() == ',' && depth == 0 => break,
                        _ => {}
                    }
                    value.extend([token]);
                }
                return Some(value);
            }
            at_start = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == ',');
        }
    }
    None
}

/// Whether a field is archived by a wrapper: then its type says nothing of its archive.
pub(crate) fn is_wrapped(attrs: &[Attribute]) -> bool {
    rkyv_arguments(attrs).iter().any(|word| word == "with")
}

/// Tokens that all point to `span`, so that an error about them does.
pub(crate) fn respanned(tokens: &impl ToTokens, span: Span) -> TokenStream {
    let moved = tokens.to_token_stream().into_iter().map(|mut token| {
        token.set_span(span);
        token
    });
    moved.collect()
}

/// Tokens with each `Self` written out: they are moved to another type.
pub(crate) fn without_self(tokens: TokenStream, name: &Ident) -> TokenStream {
    let replaced = tokens.into_iter().map(|token| match token {
        TokenTree::Ident(ident) if ident == "Self" => {
            TokenTree::Ident(Ident::new(&name.to_string(), ident.span()))
        }
        TokenTree::Group(group) => {
            let mut inner =
                proc_macro2::Group::new(group.delimiter(), without_self(group.stream(), name));
            inner.set_span(group.span());
            TokenTree::Group(inner)
        }
        other => other,
    });
    replaced.collect()
}
