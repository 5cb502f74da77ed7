//! The text that a layout's fingerprint is taken of. It is stored with databases: what is written here
//! for a type must never change, or every event type seems to have a new layout.

use crate::attributes::rkyv_attributes;
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::{Fields, Member};

/// Names and types of the fields as written: `item: String, quantity: u32`.
pub(crate) fn of_fields(fields: &Fields) -> String {
    let mut text = String::new();
    for (member, field) in fields.members().zip(fields) {
        if !text.is_empty() {
            text.push_str(", ");
        }
        for attr in rkyv_attributes(&field.attrs) {
            write(&mut text, attr.to_token_stream());
            text.push(' ');
        }
        match member {
            Member::Named(name) => {
                use syn::ext::IdentExt as _;
                text.push_str(&name.unraw().to_string());
            }
            Member::Unnamed(index) => text.push_str(&index.index.to_string()),
        }
        text.push_str(": ");
        write(&mut text, field.ty.to_token_stream());
    }
    text
}

/// Tokens in a form of our own: that of the compiler puts spaces where its version likes to.
fn write(text: &mut String, tokens: TokenStream) {
    let mut after_word = false;
    for token in tokens {
        let is_word = matches!(token, TokenTree::Ident(_) | TokenTree::Literal(_));
        if is_word && after_word {
            text.push(' ');
        }
        after_word = is_word;
        match token {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    Delimiter::Parenthesis => ("(", ")"),
                    Delimiter::Bracket => ("[", "]"),
                    Delimiter::Brace => ("{", "}"),
                    Delimiter::None => ("", ""),
                };
                text.push_str(open);
                write(text, group.stream());
                text.push_str(close);
            }
            TokenTree::Punct(punct) => {
                text.push(punct.as_char());
                if matches!(punct.as_char(), ',' | ';') {
                    text.push(' ');
                }
            }
            word => text.push_str(&word.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use syn::{Data, DataStruct, DeriveInput, parse_str};

    fn schema(code: &str) -> String {
        let input: DeriveInput = parse_str(code).unwrap();
        let Data::Struct(DataStruct { fields, .. }) = input.data else { panic!("not a struct") };
        of_fields(&fields)
    }

    #[test]
    fn fields_are_written_the_same_however_they_are_spaced() {
        let spaced = schema("struct A { b : Vec < Option< u8> > , c:[ u8;4 ] , d :(u8,u16) }");
        assert_eq!(spaced, "b: Vec<Option<u8>>, c: [u8; 4], d: (u8, u16)");
        assert_eq!(spaced, schema("struct A{b:Vec<Option<u8>>,c:[u8;4],d:(u8,u16)}"));
    }

    #[test]
    fn what_changes_the_archive_is_in_the_text() {
        assert_eq!(schema("struct A(u8, std::string::String);"), "0: u8, 1: std::string::String");
        assert_eq!(schema("struct A;"), "");
        assert_eq!(schema("struct A { r#type: u8 }"), "type: u8");
        assert_eq!(
            schema("struct A { /// Doc.\n #[rkyv(with = Inline)] pub b: Box<dyn Fn() + Send> }"),
            "#[rkyv(with=Inline)] b: Box<dyn Fn()+Send>"
        );
    }
}
