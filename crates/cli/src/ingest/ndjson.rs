//! Lines that are JSON objects. Objects in objects become fields with a dot in their names.

use super::{Cell, Given};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor,
};
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};

/// Objects in objects deeper than this are kept as they are written.
const DEPTH_MAX: usize = 8;

/// The fields of the object on a line.
pub(super) fn parse(line: &[u8]) -> Result<Vec<Cell<'_>>, String> {
    let Ok(text) = str::from_utf8(line) else { return Err(not_utf8(line)) };
    parse_text(text)
}

fn parse_text(text: &str) -> Result<Vec<Cell<'_>>, String> {
    let mut cells = Vec::with_capacity(16);
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = Fields { prefix: "", depth: 0, cells: &mut cells }.deserialize(&mut reader);
    read.and_then(|()| reader.end()).map_err(|error| {
        // Of one line the number is known better.
        let (told, column) = (error.to_string(), error.column());
        let told = told.split(" at line ").next().unwrap_or_default().to_owned();
        if column > 0 { format!("{told}, at column {column}") } else { told }
    })?;
    Ok(cells)
}

/// Which field has bytes that are no text.
fn not_utf8(line: &[u8]) -> String {
    let lossy = String::from_utf8_lossy(line);
    // A character that stands for the bytes, and for nothing else on the line.
    let stand_in = ('\u{e000}'..'\u{f8ff}').find(|c| !lossy.contains(*c));
    let mut shown = String::with_capacity(line.len());
    for chunk in line.utf8_chunks() {
        shown.push_str(chunk.valid());
        if !chunk.invalid().is_empty() {
            shown.extend(stand_in);
        }
    }
    let cells = parse_text(&shown).unwrap_or_default();
    let has = |text: &str| stand_in.is_some_and(|stand_in| text.contains(stand_in));
    for cell in &cells {
        if has(&cell.name) {
            return "the name of a field is not UTF-8".to_owned();
        }
        let is_it = match &cell.value {
            Given::Text(text) => str::from_utf8(text).is_ok_and(has),
            Given::Json(json) => has(json),
            _ => false,
        };
        if is_it {
            return format!("the field `{}` was given bytes that are not UTF-8", cell.name);
        }
    }
    "the line is not UTF-8".to_owned()
}

/// Collects the fields of an object.
struct Fields<'c, 'a, 'p> {
    prefix: &'p str,
    depth: usize,
    cells: &'c mut Vec<Cell<'a>>,
}

impl<'de> DeserializeSeed<'de> for Fields<'_, 'de, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Fields<'_, 'de, '_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(Name(name)) = map.next_key()? {
            let name = match self.prefix {
                "" => name,
                prefix => Cow::Owned(format!("{prefix}.{name}")),
            };
            let raw: &'de RawValue = map.next_value()?;
            let json = raw.get();
            let value = match json.as_bytes().first() {
                Some(b'{') if self.depth < DEPTH_MAX => {
                    let mut inner = serde_json::Deserializer::from_str(json);
                    let fields =
                        Fields { prefix: &name, depth: self.depth + 1, cells: &mut *self.cells };
                    fields.deserialize(&mut inner).map_err(Error::custom)?;
                    continue;
                }
                Some(b'"') => {
                    let Name(text) = serde_json::from_str(json).map_err(Error::custom)?;
                    Given::Text(match text {
                        Cow::Borrowed(text) => text.as_bytes().into(),
                        Cow::Owned(text) => text.into_bytes().into(),
                    })
                }
                Some(b'n') => Given::Nothing,
                Some(b't') => Given::Bool(true),
                Some(b'f') => Given::Bool(false),
                Some(b'{' | b'[') => Given::Json(json),
                _ => number(json),
            };
            self.cells.push(Cell::new(name, value));
        }
        Ok(())
    }
}

fn number(json: &str) -> Given<'_> {
    if let Ok(number) = json.parse::<u64>() {
        return Given::U64(number);
    }
    match json.parse::<i64>() {
        // As a number it would lose its sign.
        Ok(number) if number != 0 => Given::I64(number),
        _ => Given::Number(json),
    }
}

/// A string, borrowed where it has nothing escaped.
struct Name<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Name<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Cow<'de, str>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(text))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(text.to_owned()))
            }

            fn visit_string<E: Error>(self, text: String) -> Result<Self::Value, E> {
                Ok(Cow::Owned(text))
            }
        }
        from.deserialize_str(Text).map(Name)
    }
}

/// Whether a line may be an object at all.
pub(super) fn may_be(line: &[u8]) -> bool {
    let starts = line.trim_ascii_start().starts_with(b"{");
    starts && serde_json::from_slice::<IgnoredAny>(line).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn objects_are_flat_and_types_stay() {
        let line = br#" {"a":"x\n","b":1,"c":-1,"d":1.5,"e":true,"f":null,"g":{"h":{"i":7},"j":[1, 2]},"k":{}} "#;
        let cells = parse(line).unwrap();
        let wanted = [
            ("a", Given::Text(b"x\n".into())),
            ("b", Given::U64(1)),
            ("c", Given::I64(-1)),
            ("d", Given::Number("1.5")),
            ("e", Given::Bool(true)),
            ("f", Given::Nothing),
            ("g.h.i", Given::U64(7)),
            ("g.j", Given::Json("[1, 2]")),
        ];
        assert_eq!(cells, wanted.map(|(name, value)| Cell::new(name, value)));
        let large = parse(br#"{"a":18446744073709551615,"b":18446744073709551616}"#).unwrap();
        assert_eq!(large[0].value, Given::U64(u64::MAX));
        assert_eq!(large[1].value, Given::Number("18446744073709551616"));
        let digits = parse(br#"{"a":-0,"b":1.10,"c":1e400}"#).unwrap();
        let digits: Vec<_> = digits.into_iter().map(|cell| cell.value).collect();
        assert_eq!(digits, [Given::Number("-0"), Given::Number("1.10"), Given::Number("1e400")]);
    }

    #[test]
    fn what_is_wrong_is_told() {
        for (line, said) in [
            (&b"[1]"[..], "an object"),
            (b"{\"a\":1", "EOF"),
            (b"{\"a\":1} x", "trailing"),
            (b"{\"a\":01}", "number"),
            (b"{\"a\":\"x\",\"user\":\"\xff\"}", "`user`"),
            (b"{\"a\":\"\xee\x80\x80\",\"user\":[\"\xff\"]}", "`user`"),
            (b"{\"\xff\":1}", "name"),
            (b"\xff", "the line"),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(said), "{said}: {error}");
        }
    }

    #[test]
    fn no_depth_is_too_much() {
        for depth in [10, 100, 100_000] {
            let line = "{\"a\":".repeat(depth) + "1" + &"}".repeat(depth);
            let _ = parse(line.as_bytes());
        }
    }

    proptest! {
        #[test]
        fn no_line_is_too_much(line: Vec<u8>, json in r#"[{}\[\]",:a1\\. -]{0,40}"#) {
            let _ = (parse(&line), parse(json.as_bytes()), may_be(&line));
            let _ = parse([b"{\"a\":\"", &line[..], b"\"}"].concat().as_slice());
        }
    }
}
