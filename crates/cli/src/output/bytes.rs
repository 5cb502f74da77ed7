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

/// The same of no more than the first 64 bytes, and how many there are in all if there are more: an
/// error is for reading.
pub(crate) fn brief(bytes: &[u8]) -> String {
    const SHOWN_BYTES: usize = 64;
    if bytes.len() <= SHOWN_BYTES {
        return printable(bytes);
    }
    // Not in the middle of a character.
    let is_middle = |byte: u8| byte & 0xc0 == 0x80;
    let end = (SHOWN_BYTES - 3..=SHOWN_BYTES).rev().find(|end| !is_middle(bytes[*end]));
    let shown = printable(&bytes[..end.unwrap_or(SHOWN_BYTES)]);
    format!("{shown}… ({} bytes)", bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_keys_are_shortened_between_characters() {
        assert_eq!(brief(&[b'k'; 64]), "k".repeat(64));
        assert_eq!(brief(&[b'k'; 65_536]), format!("{}… (65536 bytes)", "k".repeat(64)));
        let umlauts = "ü".repeat(40);
        assert_eq!(brief(umlauts.as_bytes()), format!("{}… (80 bytes)", "ü".repeat(32)));
        let shifted = format!("a{umlauts}");
        assert_eq!(brief(shifted.as_bytes()), format!("a{}… (81 bytes)", "ü".repeat(31)));
        assert_eq!(brief(&[0x80; 65]), format!("{}… (65 bytes)", "\\x80".repeat(64)));
    }

    #[test]
    fn text_stays_and_the_rest_is_escaped() {
        assert_eq!(printable("héllo".as_bytes()), "héllo");
        assert_eq!(printable(b"a\x1b[31m\n\xff\xfe"), "a\\u{1b}[31m\\n\\xff\\xfe");
        assert_eq!(printable(b""), "");
    }
}
