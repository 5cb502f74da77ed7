//! What a line says: values by name.

use std::borrow::Cow;

/// A value and its name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cell<'a> {
    /// The name as the line, or its heading, has it.
    pub(crate) name: Cow<'a, str>,
    pub(crate) value: Given<'a>,
}

/// A value as a line has it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Given<'a> {
    /// None.
    Nothing,
    /// A string that cannot be anything else; perhaps not UTF-8.
    Text(Cow<'a, [u8]>),
    /// Bytes of a format without types: a string, a number or a time. Without any of them nothing, where nothing is
    /// possible.
    Loose(Cow<'a, [u8]>),
    U64(u64),
    I64(i64),
    /// A number that is neither, by its digits: a float in their place would make one text of different ids.
    Number(&'a str),
    Bool(bool),
    /// A list or an object, as it is written.
    Json(&'a str),
}

impl<'a> Cell<'a> {
    pub(crate) fn new(name: impl Into<Cow<'a, str>>, value: Given<'a>) -> Self {
        Self { name: name.into(), value }
    }

    /// A value of a format without types.
    pub(crate) fn loose(name: &'a str, bytes: &'a [u8]) -> Self {
        Self::new(name, Given::Loose(bytes.into()))
    }

    /// The same where `-` stands for no value.
    pub(crate) fn loose_or_dash(name: &'a str, bytes: &'a [u8]) -> Self {
        match bytes {
            b"-" => Self::new(name, Given::Nothing),
            bytes => Self::loose(name, bytes),
        }
    }
}

/// The name of the field that values of this name go to: names in schemas are letters, digits, `_`, `.` and `-`.
pub(crate) fn field_name(name: &str) -> Cow<'_, str> {
    const NAME_BYTES_MAX: usize = 128;
    let is_fit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let starts = |c: char| c.is_ascii_alphabetic() || c == '_';
    if name.starts_with(starts) && name.len() <= NAME_BYTES_MAX && name.chars().all(is_fit) {
        return Cow::Borrowed(name);
    }
    let trimmed = name.trim().trim_start_matches('@');
    let mut out: String =
        trimmed.chars().map(|c| if is_fit(c) { c } else { '_' }).take(NAME_BYTES_MAX - 1).collect();
    if !out.starts_with(starts) {
        out.insert(0, '_');
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_becomes_one_of_a_field() {
        for (name, field) in [
            ("status", "status"),
            ("@timestamp", "timestamp"),
            ("User Agent", "User_Agent"),
            ("http.status", "http.status"),
            ("1st", "_1st"),
            ("", "_"),
            ("größe", "gr__e"),
        ] {
            assert_eq!(field_name(name), field);
        }
        assert_eq!(field_name(&"x".repeat(500)).len(), 127);
    }
}
