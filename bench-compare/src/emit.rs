//! The lines by which a child tells its figures: `@ NAME VALUE`.

use std::io::{Write, stdout};

use crate::Result;

/// Tells a figure.
pub(crate) fn emit(name: &str, value: f64) -> Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "@ {name} {value}")?;
    Ok(out.flush()?)
}

/// Reads a line of [`emit`]; `None` for any other line, which an engine may have printed.
pub(crate) fn parse(line: &str) -> Option<(String, f64)> {
    let (name, value) = line.strip_prefix("@ ")?.split_once(' ')?;
    Some((name.to_owned(), value.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn figures_are_told_from_chatter() {
        assert_eq!(parse("@ get.1 1.5"), Some(("get.1".to_owned(), 1.5)));
        assert_eq!(parse("opened @ 12"), None);
    }
}
