//! JSON objects written field by field, in the order they are given, without a tree in between.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::Serialize;

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
        if !std::mem::take(&mut self.empty) {
            self.to.push(b',');
        }
        write(self.to, name);
        self.to.push(b':');
        write(self.to, value);
        self
    }

    /// A field of bytes: a string under `name` if they are UTF-8, else under `name_base64`.
    pub(crate) fn bytes(&mut self, name: &str, bytes: &[u8]) -> &mut Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.value(name, text),
            Err(_) => self.value(&format!("{name}_base64"), STANDARD.encode(bytes)),
        }
    }
}

fn write(to: &mut Vec<u8>, value: impl Serialize) {
    serde_json::to_writer(to, &value).expect("a vector takes whatever is written to it");
}

#[cfg(test)]
mod tests {
    use super::*;

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
