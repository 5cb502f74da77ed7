//! Keys and values are any bytes; a terminal and JSON are not.

/// The bytes as text that does a terminal no harm: control characters and what is not UTF-8 are
/// escaped.
pub(crate) fn printable(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            if char.is_control() {
                out.extend(char.escape_default());
            } else {
                out.push(char);
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_and_the_rest_is_escaped() {
        assert_eq!(printable("héllo".as_bytes()), "héllo");
        assert_eq!(printable(b"a\x1b[31m\n\xff\xfe"), "a\\u{1b}[31m\\n\\xff\\xfe");
        assert_eq!(printable(b""), "");
    }
}
