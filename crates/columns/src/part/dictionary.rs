//! The different strings of a column, in their order: a string's *code* is its place.

use crate::{kernels, number::u32_at, query::Folding};
use std::collections::HashMap;

const HEAD_BYTES: usize = 8;
/// So many bytes are looked through for each string that is wanted.
const WHOLE_BYTES: usize = 16;

/// The different strings of a column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dictionary<'p> {
    ends: &'p [[u8; 4]],
    text: &'p [u8],
}

impl<'p> Dictionary<'p> {
    /// A dictionary of `count` strings; `None` if there is none.
    pub(crate) fn new(bytes: &'p [u8], count: usize) -> Option<Self> {
        if u32_at(bytes, 0)? as usize != count {
            return None;
        }
        let (ends, _) = bytes.get(HEAD_BYTES..)?.as_chunks::<4>();
        let ends = ends.get(..count)?;
        Some(Self { ends, text: bytes.get(HEAD_BYTES + 4 * count..)? })
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether all of its strings are there, and are such.
    pub(crate) fn is_sound(&self) -> bool {
        let end_of = |end: &[u8; 4]| u32::from_le_bytes(*end) as usize;
        let text = self.text.get(..self.ends.last().map_or(0, end_of));
        let Some(text) = text.and_then(|text| str::from_utf8(text).ok()) else { return false };
        let mut start = 0;
        self.ends
            .iter()
            .map(end_of)
            .all(|end| text.get(std::mem::replace(&mut start, end)..end).is_some())
    }

    #[inline]
    fn bytes(&self, code: usize) -> Option<&'p [u8]> {
        let end = |code: usize| Some(u32::from_le_bytes(*self.ends.get(code)?) as usize);
        let start = if code == 0 { 0 } else { end(code - 1)? };
        self.text.get(start..end(code)?)
    }

    /// All strings, if they are short enough to be looked through for `count` of them: each of these costs less then.
    pub(crate) fn whole(&self, count: usize) -> Option<Strings<'p>> {
        if self.text.len() > count.saturating_mul(WHOLE_BYTES) {
            return None;
        }
        Some(Strings { ends: self.ends, text: str::from_utf8(self.text).ok()? })
    }

    /// Asks for what tells where the string of a code is.
    #[inline]
    pub(crate) fn ask_for_bounds(&self, code: u64) {
        kernels::ask_for(self.ends.as_flattened(), (code as usize).wrapping_mul(4));
    }

    /// Asks for the string of a code.
    #[inline]
    pub(crate) fn ask_for(&self, code: u64) {
        if let Some(end) = self.ends.get(code as usize) {
            kernels::ask_for(self.text, (u32::from_le_bytes(*end) as usize).wrapping_sub(1));
        }
    }

    /// The string of a code.
    #[inline]
    pub(crate) fn get(&self, code: u64) -> Option<&'p str> {
        str::from_utf8(self.bytes(usize::try_from(code).ok()?)?).ok()
    }

    /// How many strings are before `text`.
    fn rank(&self, is_before: impl Fn(&[u8]) -> bool) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.bytes(middle).is_some_and(&is_before) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The code of a string.
    pub(crate) fn find(&self, text: &str) -> Option<u64> {
        let at = self.rank(|found| found < text.as_bytes());
        (self.bytes(at)? == text.as_bytes()).then_some(at as u64)
    }

    /// The codes of all strings from `low` to `high`: the first, and the one behind the last.
    pub(crate) fn find_between(&self, low: Option<&str>, high: Option<&str>) -> (u64, u64) {
        let first = low.map_or(0, |low| self.rank(|found| found < low.as_bytes()));
        let behind = high.map_or(self.len(), |high| self.rank(|found| found <= high.as_bytes()));
        (first as u64, behind as u64)
    }

    /// The codes of all strings that begin with `prefix`: the first, and the one behind the last.
    pub(crate) fn find_prefix(&self, prefix: &str) -> (u64, u64) {
        let prefix = prefix.as_bytes();
        let first = self.rank(|found| found < prefix);
        let behind = self.rank(|found| found < prefix || found.starts_with(prefix));
        (first as u64, behind as u64)
    }
}

/// The strings of a dictionary, known to be such.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strings<'p> {
    ends: &'p [[u8; 4]],
    text: &'p str,
}

impl<'p> Strings<'p> {
    /// The string of a code.
    #[inline(always)]
    pub(crate) fn get(&self, code: u64) -> Option<&'p str> {
        let code = usize::try_from(code).ok()?;
        let end = u32::from_le_bytes(*self.ends.get(code)?) as usize;
        let start = match code.checked_sub(1) {
            Some(before) => u32::from_le_bytes(*self.ends.get(before)?) as usize,
            None => 0,
        };
        self.text.get(start..end)
    }
}

/// The different ones of some strings, in their order, and of each of these its place among them, from 1 on; 0 of what is
/// none.
pub(super) fn coded<'t>(all: impl Iterator<Item = Option<&'t str>>) -> (Vec<&'t str>, Vec<u32>) {
    let (mut met, mut codes) = (HashMap::<&str, u32, Folding>::default(), Vec::new());
    codes.reserve(all.size_hint().0);
    for text in all {
        codes.push(text.map_or(0, |text| {
            let next = met.len() as u32 + 1;
            *met.entry(text).or_insert(next)
        }));
    }
    let mut different: Vec<(&str, u32)> = met.into_iter().collect();
    different.sort_unstable();
    let mut places = vec![0; different.len() + 1];
    for (place, (_, code)) in (1..).zip(&different) {
        places[*code as usize] = place;
    }
    codes.iter_mut().for_each(|code| *code = places[*code as usize]);
    (different.into_iter().map(|(text, _)| text).collect(), codes)
}

/// Appends a dictionary of these strings, which are in order, each once.
pub(crate) fn encode(texts: &[&str], out: &mut Vec<u8>) {
    out.extend_from_slice(&(texts.len() as u32).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    let mut end = 0u32;
    for text in texts {
        end += text.len() as u32;
        out.extend_from_slice(&end.to_le_bytes());
    }
    texts.iter().for_each(|text| out.extend_from_slice(text.as_bytes()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_places_in_the_order_of_strings() {
        let all = [Some("b"), None, Some(""), Some("b"), Some("a\0"), Some("a"), None];
        let (different, codes) = coded(all.into_iter());
        assert_eq!(different, ["", "a", "a\0", "b"]);
        assert_eq!(codes, [4, 0, 1, 4, 3, 2, 0]);
        assert_eq!(coded([None].into_iter()), (vec![], vec![0]));
    }

    #[test]
    fn strings_are_found_by_code_by_themselves_and_by_what_they_begin_with() {
        let texts = ["", "a", "ab", "abc", "b", "ba", "\u{e9}"];
        let mut bytes = Vec::new();
        encode(&texts, &mut bytes);
        let dictionary = Dictionary::new(&bytes, 7).expect("a dictionary");
        for (code, text) in (0..).zip(texts) {
            assert_eq!((dictionary.get(code), dictionary.find(text)), (Some(text), Some(code)));
            assert_eq!(dictionary.whole(1).expect("it is short").get(code), Some(text));
        }
        assert!(dictionary.is_sound());
        assert!(dictionary.whole(0).is_none() && dictionary.whole(1).unwrap().get(7).is_none());
        assert_eq!((dictionary.get(7), dictionary.find("aa")), (None, None));
        for (prefix, expected) in
            [("", (0, 7)), ("a", (1, 4)), ("ab", (2, 4)), ("c", (6, 6)), ("zz", (6, 6))]
        {
            assert_eq!(dictionary.find_prefix(prefix), expected, "{prefix}");
        }
        assert!(Dictionary::new(&bytes, 6).is_none());
        for len in 0..bytes.len() {
            if let Some(cut) = Dictionary::new(&bytes[..len], 7) {
                assert!(!cut.is_sound());
                let _ = (cut.get(6), cut.find("ab"), cut.find_prefix("b"));
            }
        }
        // Of each end and of the text something else: ends that fall, halves of a letter, no text.
        for (at, byte) in [(12, 9), (28, 10), (32, 10), (32, 12), (36, 0xc3)] {
            let mut made_up = bytes.clone();
            made_up[at] = byte;
            assert!(!Dictionary::new(&made_up, 7).expect("as many").is_sound(), "{at}");
        }
    }
}
