//! JSON objects written field by field, in the order they are given, without a tree in between.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Serialize, de::IgnoredAny};

/// An object being written.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    to: &'a mut Vec<u8>,
    empty: bool,
}

impl<'a> Object<'a> {
    pub(crate) fn open(to: &'a mut Vec<u8>) -> Self {
        to.push(b'{');
        Self { to, empty: true }
    }

    pub(crate) fn close(self) {
        self.to.push(b'}');
    }

    /// A field of any value.
    pub(crate) fn value(&mut self, name: &str, value: impl Serialize) -> &mut Self {
        self.name(name);
        write(self.to, value);
        self
    }

    fn name(&mut self, name: &str) {
        if !std::mem::take(&mut self.empty) {
            self.to.push(b',');
        }
        write(self.to, name);
        self.to.push(b':');
    }

    /// A field of bytes: a string under `name` if they are UTF-8, else under `name_base64`.
    pub(crate) fn bytes(&mut self, name: &str, bytes: &[u8]) -> &mut Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.value(name, text),
            Err(_) => self.base64(&format!("{name}_base64"), bytes),
        }
    }

    /// A field of bytes in base64.
    pub(crate) fn base64(&mut self, name: &str, bytes: &[u8]) -> &mut Self {
        self.value(name, STANDARD.encode(bytes))
    }

    /// A field that is JSON already, on one line.
    pub(crate) fn json(&mut self, name: &str, json: &[u8]) -> &mut Self {
        self.name(name);
        self.to.extend_from_slice(json);
        self
    }
}

fn write(to: &mut Vec<u8>, value: impl Serialize) {
    serde_json::to_writer(to, &value).expect("a vector takes whatever is written to it");
}

/// Whether the bytes are one JSON value.
pub(crate) fn is_json(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok() && serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

/// The JSON without what stands between its parts, so that it is on one line; numbers, texts and the order of
/// fields stay as they are. `None` if it is none.
pub(crate) fn compact_json(bytes: &[u8]) -> Option<Vec<u8>> {
    if !is_json(bytes) {
        return None;
    }
    let mut out = Vec::with_capacity(bytes.len());
    let (mut in_text, mut is_escaped) = (false, false);
    for &byte in bytes {
        if !in_text && byte.is_ascii_whitespace() {
            continue;
        }
        out.push(byte);
        if byte == b'"' && !is_escaped {
            in_text = !in_text;
        }
        is_escaped = in_text && byte == b'\\' && !is_escaped;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_comes_on_one_line_and_stays_what_it_was() {
        let spread = b" { \"b\" :\n1.50e+900,\t\"a \\\" \\\\\" : [ \" x\" , null ] }\r\n";
        let compact = compact_json(spread).unwrap();
        assert_eq!(String::from_utf8(compact).unwrap(), r#"{"b":1.50e+900,"a \" \\":[" x",null]}"#);
        let deep = "[".repeat(10_000) + &"]".repeat(10_000);
        assert_eq!(compact_json(deep.as_bytes()).as_deref(), Some(deep.as_bytes()));
        for bad in [&b""[..], b"x", b"{} {}", b"{\"a\":}", b"\"\xff\"", b"\"\n\"", b"01"] {
            assert!(!is_json(bad) && compact_json(bad).is_none(), "{bad:?}");
        }
    }

    #[test]
    fn fields_keep_their_order_and_bytes_choose_their_name() {
        let mut line = Vec::new();
        let mut object = Object::open(&mut line);
        object.bytes("key", b"b\"\n").bytes("value", b"\xff\x00").value("a", 1);
        object.close();
        let text = String::from_utf8(line).unwrap();
        assert_eq!(text, r#"{"key":"b\"\n","value_base64":"/wA=","a":1}"#);
        let mut line = Vec::new();
        Object::open(&mut line).close();
        assert_eq!(line, b"{}");
    }
}
