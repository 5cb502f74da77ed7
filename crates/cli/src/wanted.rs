//! Which records of a keyspace are asked for.

use crate::failure::{Failure, Result};

/// Which records are asked for: those that fit all that is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// What their keys start with.
    pub(crate) prefix: Vec<u8>,
    /// The lowest key.
    pub(crate) from: Option<Vec<u8>>,
    /// The lowest key behind them.
    pub(crate) to: Option<Vec<u8>>,
    /// Whether the highest key comes first.
    pub(crate) reverse: bool,
}

impl Wanted {
    /// Whether only keys that have an order can be asked that way.
    pub(crate) fn needs_order(&self) -> bool {
        self.from.is_some() || self.to.is_some() || self.reverse
    }

    /// The lowest key asked for, and the lowest key behind all of them, if there is any.
    pub(crate) fn range(&self) -> (Vec<u8>, Option<Vec<u8>>) {
        let from = self.prefix.clone().max(self.from.clone().unwrap_or_default());
        let to = match (behind_prefix(&self.prefix), self.to.clone()) {
            (Some(behind), Some(to)) => Some(behind.min(to)),
            (behind, to) => behind.or(to),
        };
        (from, to)
    }
}

/// Bounds that are the wrong way round were mistyped: no key lies between them.
pub(crate) fn check_bounds(from: Option<&[u8]>, to: Option<&[u8]>) -> Result<()> {
    match (from, to) {
        (Some(from), Some(to)) if from > to => Err(Failure::usage(
            "--from is behind --to, so no key lies between them; with --reverse too, --from is the lower one",
        )),
        _ => Ok(()),
    }
}

/// The lowest key that is higher than all that start with `prefix`; `None` if there is none.
fn behind_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte < u8::MAX)?;
    let mut behind = prefix[..=last].to_vec();
    behind[last] += 1;
    Some(behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(prefix: &[u8], from: Option<&[u8]>, to: Option<&[u8]>) -> (Vec<u8>, Option<Vec<u8>>) {
        let (from, to) = (from.map(<[u8]>::to_vec), to.map(<[u8]>::to_vec));
        Wanted { prefix: prefix.to_vec(), from, to, reverse: false }.range()
    }

    fn of(from: &[u8], to: Option<&[u8]>) -> (Vec<u8>, Option<Vec<u8>>) {
        (from.to_vec(), to.map(<[u8]>::to_vec))
    }

    #[test]
    fn a_prefix_and_bounds_meet_where_both_hold() {
        assert_eq!(range(b"", None, None), of(b"", None));
        assert_eq!(range(b"b", None, None), of(b"b", Some(b"c")));
        assert_eq!(range(b"b", Some(b"ba"), None), of(b"ba", Some(b"c")));
        assert_eq!(range(b"b", Some(b"a"), Some(b"bz")), of(b"b", Some(b"bz")));
        assert_eq!(range(b"b", None, Some(b"z")), of(b"b", Some(b"c")));
        assert_eq!(range(b"", Some(b"x"), Some(b"y")), of(b"x", Some(b"y")));
        let (from, to) = range(b"b", Some(b"d"), Some(b"f"));
        assert!(Some(from) >= to, "nothing fits both");
    }

    #[test]
    fn keys_behind_a_prefix() {
        assert_eq!(behind_prefix(b"a\xff\xff").as_deref(), Some(&b"b"[..]));
        assert_eq!(behind_prefix(b"\xff\xff"), None);
        assert_eq!(behind_prefix(b""), None);
        assert_eq!(behind_prefix(b"a\0").as_deref(), Some(&b"a\x01"[..]));
    }

    #[test]
    fn bounds_the_wrong_way_round_are_a_usage_error() {
        assert_eq!(check_bounds(Some(b"b"), Some(b"a")).unwrap_err().code(), 2);
        for (from, to) in
            [(Some(&b"a"[..]), Some(&b"a"[..])), (None, Some(b"")), (Some(b"a"), None)]
        {
            check_bounds(from, to).unwrap();
        }
    }
}
