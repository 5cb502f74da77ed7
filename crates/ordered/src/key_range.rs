//! A range of keys with both its ends.

use std::fmt;

/// All keys from `first` to `last`. A table's range may end *before* its last key: a removed range
/// does not contain its end, and where outputs of a compaction are split, the removed range of the
/// one ends at the key with which the next begins.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct KeyRange {
    /// The lowest key.
    pub first: Box<[u8]>,
    /// The highest key, or the one behind it.
    pub last: Box<[u8]>,
    /// Whether `last` belongs to the range.
    pub last_included: bool,
}

impl KeyRange {
    /// The keys from `first` to `last`, both included.
    #[must_use]
    pub fn closed(first: &[u8], last: &[u8]) -> Self {
        Self { first: first.into(), last: last.into(), last_included: true }
    }

    /// The keys from `first` on that are lower than `end`.
    #[must_use]
    pub fn until(first: &[u8], end: &[u8]) -> Self {
        Self { first: first.into(), last: end.into(), last_included: false }
    }

    /// Whether no key can be in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        if self.last_included { self.first > self.last } else { self.first >= self.last }
    }

    /// Whether `key` is in it.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        *self.first <= *key && !self.ends_before(key)
    }

    /// Whether all its keys are lower than `key`.
    #[must_use]
    pub fn ends_before(&self, key: &[u8]) -> bool {
        if self.last_included { *self.last < *key } else { *self.last <= *key }
    }

    /// Whether all its keys are lower than all of `other`.
    #[must_use]
    pub fn is_before(&self, other: &Self) -> bool {
        self.ends_before(&other.first)
    }

    /// Whether some key may be in both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        !self.is_before(other) && !other.is_before(self)
    }

    /// Grows it as far as `other` reaches.
    pub fn extend(&mut self, other: &Self) {
        if other.first < self.first {
            self.first = other.first.clone();
        }
        if (&other.last, other.last_included) > (&self.last, self.last_included) {
            self.last = other.last.clone();
            self.last_included = other.last_included;
        }
    }

    /// The smallest range that has all of `ranges`; `None` if there are none.
    pub fn span<'a>(ranges: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        let mut ranges = ranges.into_iter();
        let mut span = ranges.next()?.clone();
        ranges.for_each(|range| span.extend(range));
        Some(span)
    }
}

impl fmt::Display for KeyRange {
    /// Both ends, cut where they are long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN_BYTES: usize = 48;
        let show = |f: &mut fmt::Formatter<'_>, key: &[u8]| {
            let cut = &key[..key.len().min(SHOWN_BYTES)];
            let more = if cut.len() < key.len() { "…" } else { "" };
            write!(f, "\"{}{more}\"", cut.escape_ascii())
        };
        show(f, &self.first)?;
        f.write_str(if self.last_included { " to " } else { " to before " })?;
        show(f, &self.last)
    }
}

impl fmt::Debug for KeyRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_end_before_a_key_do_not_overlap_what_begins_with_it() {
        let (open, closed) = (KeyRange::until(b"a", b"m"), KeyRange::closed(b"a", b"m"));
        let next = KeyRange::closed(b"m", b"z");
        assert!(!open.overlaps(&next) && open.is_before(&next) && !open.contains(b"m"));
        assert!(closed.overlaps(&next) && !closed.is_before(&next) && closed.contains(b"m"));
        assert!(KeyRange::until(b"m", b"m").is_empty() && !KeyRange::closed(b"m", b"m").is_empty());
    }

    #[test]
    fn spans_take_the_furthest_ends() {
        let span = KeyRange::span(&[
            KeyRange::until(b"c", b"m"),
            KeyRange::closed(b"d", b"m"),
            KeyRange::until(b"b", b"l"),
        ]);
        assert_eq!(span, Some(KeyRange::closed(b"b", b"m")));
        assert_eq!(KeyRange::span(&[]), None);
    }

    #[test]
    fn ranges_are_shown_with_keys_escaped_and_cut() {
        assert_eq!(KeyRange::until(b"a\0", b"b").to_string(), r#""a\x00" to before "b""#);
        let long = KeyRange::closed(&[b'x'; 100], b"y").to_string();
        assert!(long.len() < 70 && long.contains('…'), "{long}");
    }
}
