//! What people write to say which events they mean: `status >= 500 and path starts with "/x"`.
//!
//! [`words`] takes a text apart, [`parser`] makes a filter of it, in terms of a table's schema. What cannot be read is
//! told with its place. The language is described in docs/query-language.md.

mod parser;
mod words;

use crate::{
    failure::{Failure, Result},
    output::printable,
};
use annals::columns::{Filter, Schema};
use std::ops::Range;

/// What is wrong, and where in the text.
#[derive(Debug, PartialEq, Eq)]
struct Wrong {
    what: String,
    at: Range<usize>,
}

/// The filter that a text is, of events of a schema.
pub(crate) fn filter(text: &str, schema: &Schema, now_ns: i64) -> Result<Filter> {
    let parsed = words::words(text)
        .and_then(|words| parser::Parser::new(text, &words, schema, now_ns).filter());
    parsed.map_err(|wrong| Failure::usage(wrong.pointed(text)))
}

/// The index of a field, or of nothing with the names that there are.
pub(crate) fn field_of(name: &str, schema: &Schema) -> Result<usize> {
    schema.index_of(name).ok_or_else(|| Failure::usage(no_such_field(name, schema)))
}

/// That there is no such field, with those there are.
fn no_such_field(name: &str, schema: &Schema) -> String {
    let shown = printable(name.as_bytes());
    let names: Vec<&str> = schema.fields().iter().map(annals::columns::Field::name).collect();
    let near = names.iter().find(|known| is_near(known, name));
    match near {
        Some(near) => format!("`{shown}` is no field of the table; did you mean `{near}`?"),
        None => format!("`{shown}` is no field of the table; there are {}", names.join(", ")),
    }
}

/// Whether a name is another one mistyped: one letter more, less or another, or two that changed places.
fn is_near(known: &str, name: &str) -> bool {
    let (known, name) = (known.to_ascii_lowercase(), name.to_ascii_lowercase());
    let (known, name): (Vec<char>, Vec<char>) = (known.chars().collect(), name.chars().collect());
    let front = known.iter().zip(&name).take_while(|(one, other)| one == other).count();
    let (known, name) = (&known[front..], &name[front..]);
    let tail_is = |one: usize, other: usize| {
        let tails = (known.get(one..), name.get(other..));
        matches!(tails, (Some(one), Some(other)) if one == other)
    };
    let are_swapped = known.len() > 1
        && name.len() > 1
        && (known[0], known[1]) == (name[1], name[0])
        && tail_is(2, 2);
    tail_is(0, 0) || tail_is(1, 1) || tail_is(1, 0) || tail_is(0, 1) || are_swapped
}

impl Wrong {
    fn new(what: impl Into<String>, at: Range<usize>) -> Self {
        Self { what: what.into(), at }
    }

    /// What is wrong, the text below it, and marks below that.
    fn pointed(&self, text: &str) -> String {
        let shown = |range: Range<usize>| printable(text.get(range).unwrap_or_default().as_bytes());
        let (front, marked) = (shown(0..self.at.start), shown(self.at.clone()));
        let marks = "^".repeat(marked.chars().count().max(1));
        let gap = " ".repeat(front.chars().count());
        format!("{}\n  {}\n  {gap}{marks}", self.what, printable(text.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistyped_names_are_recognised() {
        for name in ["stauts", "status", "statu", "sttus", "statuss", "ztatus", "Status", "tatus"] {
            assert!(is_near("status", name), "{name}");
        }
        for name in ["", "st", "path", "sutats", "statusxy"] {
            assert!(!is_near("status", name), "{name}");
        }
    }

    #[test]
    fn marks_stand_below_what_is_wrong() {
        let text = "é = \tx";
        let at = text.find('x').unwrap();
        let told = Wrong::new("no", at..at + 1).pointed(text);
        assert_eq!(told, "no\n  é = \\tx\n        ^");
    }
}
