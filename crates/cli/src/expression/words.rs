//! The words of an expression.

use super::Wrong;
use std::ops::Range;

/// A word and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) kind: WordKind,
    pub(super) at: Range<usize>,
}

/// What a word is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WordKind {
    /// As it stands: a name, a number, a time, a string without blanks.
    Bare(String),
    /// Between quotes.
    Quoted(String),
    Open,
    Close,
    Comma,
    Compare(Comparison),
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    AtMost,
    More,
    AtLeast,
}

/// Takes a text apart.
pub(super) fn words(text: &str) -> Result<Vec<Word>, Wrong> {
    let mut words = Vec::new();
    let mut at = 0;
    while let Some(char) = text[at..].chars().next() {
        let from = at;
        at += char.len_utf8();
        let two = |second: char| text[at..].starts_with(second);
        let (kind, is_long) = match char {
            _ if char.is_whitespace() => continue,
            '(' => (WordKind::Open, false),
            ')' => (WordKind::Close, false),
            ',' => (WordKind::Comma, false),
            '=' => (WordKind::Compare(Comparison::Equal), two('=')),
            '!' if two('=') => (WordKind::Compare(Comparison::NotEqual), true),
            '!' => return Err(Wrong::new("`!` alone means nothing; write `not`", from..at)),
            '<' if two('>') => (WordKind::Compare(Comparison::NotEqual), true),
            '<' if two('=') => (WordKind::Compare(Comparison::AtMost), true),
            '<' => (WordKind::Compare(Comparison::Less), false),
            '>' if two('=') => (WordKind::Compare(Comparison::AtLeast), true),
            '>' => (WordKind::Compare(Comparison::More), false),
            '"' | '\'' => {
                let (inner, end) = quoted(text, at, char)?;
                at = end;
                (WordKind::Quoted(inner), false)
            }
            _ => {
                let ends = |c: char| c.is_whitespace() || "(),=!<>\"'".contains(c);
                at = text[from..].find(ends).map_or(text.len(), |length| from + length);
                (WordKind::Bare(text[from..at].to_owned()), false)
            }
        };
        at += usize::from(is_long);
        words.push(Word { kind, at: from..at });
    }
    Ok(words)
}

/// What stands before the next quote, and where that ends.
fn quoted(text: &str, from: usize, quote: char) -> Result<(String, usize), Wrong> {
    let mut inner = String::new();
    let mut chars = text[from..].char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            _ if char == quote => return Ok((inner, from + at + 1)),
            '\\' => match chars.next() {
                Some((_, 'n')) => inner.push('\n'),
                Some((_, 't')) => inner.push('\t'),
                Some((_, escaped @ ('\\' | '"' | '\''))) => inner.push(escaped),
                Some((end, other)) => {
                    let what = format!("`\\{other}` means nothing; write `\\\\` for a backslash");
                    return Err(Wrong::new(what, from + at..from + end + other.len_utf8()));
                }
                None => break,
            },
            _ => inner.push(char),
        }
    }
    Err(Wrong::new("the quote is never closed", from - 1..text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_apart() {
        let kinds = |text: &str| -> Vec<WordKind> {
            words(text).unwrap().into_iter().map(|word| word.kind).collect()
        };
        let bare = |text: &str| WordKind::Bare(text.to_owned());
        assert_eq!(
            kinds("a>=-1h and(b!='x\\'y')"),
            [
                bare("a"),
                WordKind::Compare(Comparison::AtLeast),
                bare("-1h"),
                bare("and"),
                WordKind::Open,
                bare("b"),
                WordKind::Compare(Comparison::NotEqual),
                WordKind::Quoted("x'y".to_owned()),
                WordKind::Close,
            ]
        );
        assert_eq!(
            kinds("path == /a/b.c:d?e&f"),
            [bare("path"), WordKind::Compare(Comparison::Equal), bare("/a/b.c:d?e&f")]
        );
        assert_eq!(kinds(" "), []);
    }

    #[test]
    fn what_is_no_word_is_pointed_at() {
        assert_eq!(words("a = \"b").unwrap_err().at, 4..6);
        assert_eq!(words("! a").unwrap_err().at, 0..1);
        assert_eq!(words("'é\\é'").unwrap_err().at, 3..6);
    }
}
