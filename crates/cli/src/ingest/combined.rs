//! Lines of web servers: the combined and the common log format.

use super::{Cell, Given};
use std::borrow::Cow;

/// `client ident user [time] "request" status bytes`, and in the combined format `"referer" "agent"`. What stands
/// behind that is `rest`.
pub(super) fn parse(line: &[u8], is_combined: bool) -> Result<Vec<Cell<'_>>, String> {
    let mut rest = line;
    let client = word(&mut rest).ok_or("there is no client")?;
    let ident = word(&mut rest).ok_or("there is no identity behind the client")?;
    let user = word(&mut rest).ok_or("there is no user behind the identity")?;
    let time = between(&mut rest, b'[', b']').ok_or("there is no [time] behind the user")?;
    let request = quoted(&mut rest).ok_or("there is no \"request\" behind the time")?;
    let status = word(&mut rest).ok_or("there is no status behind the request")?;
    let bytes = word(&mut rest).ok_or("there is no number of bytes behind the status")?;
    let mut cells = Vec::with_capacity(12);
    cells.push(Cell::loose("time", time));
    cells.push(Cell::loose("client", client));
    cells.push(Cell::loose_or_dash("ident", ident));
    cells.push(Cell::loose_or_dash("user", user));
    push_request(&mut cells, request);
    cells.push(Cell::loose("status", status));
    cells.push(Cell::loose_or_dash("bytes", bytes));
    if is_combined {
        let referer = quoted(&mut rest).ok_or("there is no \"referer\" behind the bytes")?;
        let agent = quoted(&mut rest).ok_or("there is no \"user agent\" behind the referer")?;
        cells.push(text_or_dash("referer", referer));
        cells.push(text_or_dash("agent", agent));
    }
    let rest = rest.trim_ascii();
    if !rest.is_empty() {
        cells.push(Cell::loose("rest", rest));
    }
    Ok(cells)
}

/// Method, path and protocol; of a request that is no such thing all of it is the path.
fn push_request<'a>(cells: &mut Vec<Cell<'a>>, request: Cow<'a, [u8]>) {
    let (first, last) = (find(&request, b' '), request.iter().rposition(|byte| *byte == b' '));
    if let (Some(first), Some(last)) = (first, last)
        && first < last
        && request[last + 1..].starts_with(b"HTTP/")
    {
        let piece = |from: usize, to: usize| match &request {
            Cow::Borrowed(request) => Cow::Borrowed(&request[from..to]),
            Cow::Owned(request) => Cow::Owned(request[from..to].to_vec()),
        };
        cells.push(text("method", piece(0, first)));
        cells.push(text("path", piece(first + 1, last)));
        return cells.push(text("protocol", piece(last + 1, request.len())));
    }
    cells.push(text("path", request));
}

fn text<'a>(name: &'a str, bytes: Cow<'a, [u8]>) -> Cell<'a> {
    Cell::new(name, Given::Text(bytes))
}

fn text_or_dash<'a>(name: &'a str, bytes: Cow<'a, [u8]>) -> Cell<'a> {
    if *bytes == *b"-" { Cell::new(name, Given::Nothing) } else { text(name, bytes) }
}

fn find(bytes: &[u8], wanted: u8) -> Option<usize> {
    bytes.iter().position(|byte| *byte == wanted)
}

/// What stands before the next space.
pub(super) fn word<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let trimmed = rest.trim_ascii_start();
    let end = find(trimmed, b' ').unwrap_or(trimmed.len());
    let (word, behind) = trimmed.split_at(end);
    *rest = behind;
    (!word.is_empty()).then_some(word)
}

fn between<'a>(rest: &mut &'a [u8], open: u8, close: u8) -> Option<&'a [u8]> {
    let inner = rest.trim_ascii_start().strip_prefix(&[open])?;
    let end = find(inner, close)?;
    *rest = &inner[end + 1..];
    Some(&inner[..end])
}

/// What stands between quotes; a quote or a backslash in there has a backslash in front of it.
fn quoted<'a>(rest: &mut &'a [u8]) -> Option<Cow<'a, [u8]>> {
    let inner = rest.trim_ascii_start().strip_prefix(b"\"")?;
    let mut is_escaped = false;
    let mut has_escapes = false;
    let end = inner.iter().position(|byte| {
        let ends = *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && !is_escaped;
        has_escapes |= is_escaped;
        ends
    })?;
    *rest = &inner[end + 1..];
    let inner = &inner[..end];
    if !has_escapes {
        return Some(Cow::Borrowed(inner));
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match (byte, bytes.peek()) {
            // Others, such as \x0a, stay as they are: the bytes they stand for may be none of a text.
            (b'\\', Some(b'"' | b'\\')) => out.extend(bytes.next()),
            _ => out.push(byte),
        }
    }
    Some(Cow::Owned(out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn named(line: &str, is_combined: bool) -> Vec<(String, String)> {
        let cells = parse(line.as_bytes(), is_combined).unwrap();
        let told = |value: &Given<'_>| match value {
            Given::Text(bytes) | Given::Loose(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            other => format!("{other:?}"),
        };
        cells.iter().map(|cell| (cell.name.to_string(), told(&cell.value))).collect()
    }

    fn value(line: &str, name: &str) -> String {
        let cells = named(line, true);
        cells.iter().find(|cell| cell.0 == name).map(|cell| cell.1.clone()).unwrap_or_default()
    }

    #[test]
    fn a_request_becomes_cells() {
        let line = r#"::1 - ada [17/May/2015:10:05:03 +0000] "GET /a b?c HTTP/1.1" 200 - "-" "curl \"7\" \x0a" 0.1"#;
        let wanted = [
            ("time", "17/May/2015:10:05:03 +0000"),
            ("client", "::1"),
            ("ident", "Nothing"),
            ("user", "ada"),
            ("method", "GET"),
            ("path", "/a b?c"),
            ("protocol", "HTTP/1.1"),
            ("status", "200"),
            ("bytes", "Nothing"),
            ("referer", "Nothing"),
            ("agent", r#"curl "7" \x0a"#),
            ("rest", "0.1"),
        ];
        let cells = named(line, true);
        let cells: Vec<(&str, &str)> =
            cells.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(cells, wanted);
    }

    #[test]
    fn a_request_with_escapes_is_one() {
        for (request, path) in [
            (r#"GET /q\"x HTTP/1.0"#, "/q\"x"),
            (r"GET /q\x22 HTTP/1.0", r"/q\x22"),
            (r"GET /a\tb \\ HTTP/1.0", r"/a\tb \"),
        ] {
            let line = format!(r#"::1 - - [17/May/2015:10:05:03 +0000] "{request}" 400 0 "-" "-""#);
            let cells = ["method", "path", "protocol"].map(|name| value(&line, name));
            assert_eq!(cells, ["GET", path, "HTTP/1.0"]);
        }
    }

    #[test]
    fn a_request_that_is_none_is_its_path() {
        for request in ["-", "quit", r"\x16\x03\x01", "GET /", "a b c"] {
            let line = format!(r#"::1 - - [17/May/2015:10:05:03 +0000] "{request}" 400 0 "-" "-""#);
            assert_eq!(value(&line, "path"), request);
            assert_eq!(value(&line, "method"), "");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        let line = r#"::1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5"#;
        assert!(parse(line.as_bytes(), false).is_ok());
        assert!(parse(line.as_bytes(), true).unwrap_err().contains("referer"));
        assert!(parse(b"::1 - - now", false).unwrap_err().contains("[time]"));
        assert!(parse(b"", false).unwrap_err().contains("client"));
    }

    proptest! {
        #[test]
        fn no_line_is_too_much(line: Vec<u8>, tail in r#"[ \["\\\]x-]{0,40}"#) {
            let _ = (parse(&line, true), parse(&line, false));
            let _ = parse([b"a - - [", tail.as_bytes()].concat().as_slice(), true);
        }
    }
}
