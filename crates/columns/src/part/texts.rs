//! The strings of a chunk that are not in a dictionary: how they are written down, and how each is reached.
//!
//! Ids are mostly numbers in letters: some places are the same in all of them, and the others are of a few letters.
//! Those are written in as few bits as these letters need, and each string is still reached by itself. Longer text is
//! compressed, a chunk at a time, where that pays.

mod ends;
mod letters;
mod pairs;

use self::{
    ends::Ends,
    letters::{Letters, alphabet_of, put_codes},
};
use super::numbers::{ENTRY_BYTES, UNIT};
use crate::{
    bits::Bits,
    kernels,
    number::{u16_at, u32_at},
};
use std::borrow::Cow;

const PLAIN: u8 = 0;
const LZ4: u8 = 1;
const SAME_LENGTH: u8 = 2;
const LETTERS: u8 = 3;

/// A reader believes that text was so many times what it is compressed: LZ4 cannot do better.
const RATIO_MAX: usize = 255;
/// Text of fewer bytes is not compressed: it would have to be decompressed for each look at one string.
const LZ4_FROM_BYTES: usize = 1_024;

/// The strings of a chunk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Texts<'p> {
    count: usize,
    way: Way<'p>,
}

#[derive(Clone, Copy, Debug)]
enum Way<'p> {
    Plain(Plain<'p>),
    /// Plain text compressed: its bytes, how many they were, and the rest of what plain text says.
    Lz4 {
        bytes: &'p [u8],
        raw_bytes: usize,
        width: u8,
        text_bytes: usize,
    },
    SameLength {
        template: &'p [u8],
        varying: &'p [u8],
        varying_count: usize,
        letters: Letters<'p>,
    },
    Letters {
        ends: Ends<'p>,
        prefix: &'p [u8],
        letters: Letters<'p>,
    },
}

/// Strings one behind the other.
#[derive(Clone, Copy, Debug)]
struct Plain<'p> {
    ends: Ends<'p>,
    text: &'p [u8],
}

impl<'p> Texts<'p> {
    /// The chunk of `count` strings for which `entry` stands; `None` if that makes no sense.
    pub(crate) fn new(entry: &[u8; ENTRY_BYTES], page: &'p [u8], count: usize) -> Option<Self> {
        let len = u32_at(entry, 0)? as usize;
        let total = u32_at(entry, 4)? as usize;
        let place = (u32_at(entry, 8)? as usize).checked_mul(UNIT)?;
        let mut bytes = page.get(place..)?.get(..len)?;
        let (way, width) = (entry[12], entry[13]);
        let extra = usize::from(u16_at(entry, 14)?);
        let way = match way {
            PLAIN => Way::Plain(Plain::new(bytes, count, width, total)?),
            LZ4 => {
                let raw_bytes = total.checked_add(count * usize::from(width))?;
                if raw_bytes > len.saturating_mul(RATIO_MAX) {
                    return None;
                }
                Way::Lz4 { bytes, raw_bytes, width, text_bytes: total }
            }
            SAME_LENGTH => {
                let stride = total / count.max(1);
                let template = crate::number::take(&mut bytes, stride)?;
                let varying = crate::number::take(&mut bytes, stride.div_ceil(8))?;
                let alphabet = crate::number::take(&mut bytes, extra)?;
                let varying_count = varying.iter().map(|byte| byte.count_ones() as usize).sum();
                Way::SameLength {
                    template,
                    varying,
                    varying_count,
                    letters: Letters::new(alphabet, bytes)?,
                }
            }
            LETTERS => {
                let ends = Ends::take(&mut bytes, count, width, total)?;
                let prefix = crate::number::take(&mut bytes, extra >> 8)?;
                let alphabet = crate::number::take(&mut bytes, extra & 0xff)?;
                Way::Letters { ends, prefix, letters: Letters::new(alphabet, bytes)? }
            }
            _ => return None,
        };
        Some(Self { count, way })
    }

    /// Whether getting one string means decompressing all.
    pub(crate) fn is_compressed(&self) -> bool {
        matches!(self.way, Way::Lz4 { .. })
    }

    /// The strings decompressed, to be read by [`Unpacked::get`].
    pub(crate) fn unpack(&self) -> Option<Unpacked> {
        let Way::Lz4 { bytes, raw_bytes, width, text_bytes } = self.way else { return None };
        let mut raw = vec![0; raw_bytes];
        let len = lz4_flex::block::decompress_into(bytes, &mut raw).ok()?;
        (len == raw_bytes).then_some(Unpacked { raw, width, text_bytes, count: self.count })
    }

    /// The string of a row; made in `out` where it is not there as it is. Not of compressed chunks.
    #[inline]
    pub(crate) fn get<'o>(&self, at: usize, out: &'o mut Vec<u8>) -> Option<Text<'p, 'o>> {
        out.clear();
        Some(match self.put(at, out)? {
            Some(bytes) => Text::There(bytes),
            None => Text::Made(out),
        })
    }

    /// The string of a row, or nothing if it had to be made: then it was appended to `out`. Not of compressed chunks.
    #[inline]
    pub(crate) fn put(&self, at: usize, out: &mut Vec<u8>) -> Option<Option<&'p [u8]>> {
        if at >= self.count {
            return None;
        }
        match self.way {
            Way::Plain(plain) => return plain.get(at).map(Some),
            Way::Lz4 { .. } => return None,
            Way::SameLength { template, varying, varying_count, letters } => {
                let start = out.len();
                out.extend_from_slice(template);
                let made = out.get_mut(start..)?;
                let (mut places, mut first, mut left) = (varying.iter().enumerate(), 0, 0u8);
                let from = at * varying_count;
                letters.each(from..from + varying_count, |letter| {
                    while left == 0 {
                        let Some((n, byte)) = places.next() else { return };
                        (first, left) = (8 * n, *byte);
                    }
                    if let Some(to) = made.get_mut(first + left.trailing_zeros() as usize) {
                        *to = letter;
                    }
                    left &= left - 1;
                })?;
            }
            Way::Letters { ends, prefix, letters } => {
                out.extend_from_slice(prefix);
                let (range, start) = (ends.range(at)?, out.len());
                // What a chunk says of it is believed as far as there are letters.
                let len = range.end.checked_sub(range.start)?;
                if len > 8 * letters.codes.len() / letters.bits {
                    return None;
                }
                out.resize(start + len, 0);
                let mut places = out[start..].iter_mut();
                letters.each(range, |letter| {
                    if let Some(place) = places.next() {
                        *place = letter;
                    }
                })?;
            }
        }
        Some(None)
    }

    /// The string of a row, whatever the way. Slow where the chunk is compressed.
    pub(crate) fn get_any(&self, at: usize) -> Option<Cow<'p, [u8]>> {
        if self.is_compressed() {
            return self.unpack()?.get(at).map(|text| Cow::Owned(text.to_vec()));
        }
        let mut out = Vec::new();
        Some(match self.get(at, &mut out)? {
            Text::There(bytes) => Cow::Borrowed(bytes),
            Text::Made(bytes) => Cow::Owned(bytes.to_vec()),
        })
    }
}

/// Asks for what a string of a chunk of `count` strings is read from.
#[inline]
pub(crate) fn ask_for(entry: &[u8; ENTRY_BYTES], page: &[u8], count: usize, at: usize) {
    let number = |at: usize| u32_at(entry, at).unwrap_or_default() as usize;
    let (len, place) = (number(0), number(8).wrapping_mul(UNIT));
    kernels::ask_for(page, place);
    // Where the letters of one length lie is told well enough by how many strings come before.
    let head = 64.min(len);
    let letters = (len - head) / count.max(1) * at;
    kernels::ask_for(page, place.wrapping_add(head).wrapping_add(letters));
}

/// A string of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Text<'p, 'o> {
    /// It stands in the page.
    There(&'p [u8]),
    /// It was made.
    Made(&'o [u8]),
}

/// A chunk of strings that was decompressed.
#[derive(Debug)]
pub(crate) struct Unpacked {
    raw: Vec<u8>,
    width: u8,
    text_bytes: usize,
    count: usize,
}

impl Unpacked {
    pub(crate) fn get(&self, at: usize) -> Option<&[u8]> {
        Plain::new(&self.raw, self.count, self.width, self.text_bytes)?.get(at)
    }
}

impl<'p> Plain<'p> {
    fn new(mut bytes: &'p [u8], count: usize, width: u8, text_bytes: usize) -> Option<Self> {
        let ends = Ends::take(&mut bytes, count, width, text_bytes)?;
        Some(Self { ends, text: bytes.get(..text_bytes)? })
    }

    #[inline]
    fn get(&self, at: usize) -> Option<&'p [u8]> {
        self.text.get(self.ends.range(at)?)
    }
}

/// Appends a chunk of 1 to 256 strings to a page, and what stands for it to `entries`.
pub(crate) fn encode(texts: &[&[u8]], page: &mut Vec<u8>, entries: &mut Vec<u8>) {
    let (place, start) = ((page.len() / UNIT) as u32, page.len());
    let lens: Vec<usize> = texts.iter().map(|text| text.len()).collect();
    let text_bytes: usize = lens.iter().sum();
    let mut plain = Vec::with_capacity(text_bytes);
    let width = Ends::put(&lens, &mut plain);
    texts.iter().for_each(|text| plain.extend_from_slice(text));

    let mut written = Written { way: PLAIN, width, total: text_bytes, extra: 0 };
    let mut best = Cow::Borrowed(&plain);
    for (bytes, offered) in [same_length(texts), letters(texts)].into_iter().flatten() {
        if bytes.len() < best.len() {
            (best, written) = (Cow::Owned(bytes), offered);
        }
    }
    if plain.len() >= LZ4_FROM_BYTES {
        let packed = lz4_flex::block::compress(&plain);
        // By a quarter, as all strings have to be decompressed to read one.
        if packed.len() + best.len() / 4 < best.len() && plain.len() <= packed.len() * RATIO_MAX {
            best = Cow::Owned(packed);
            written = Written { way: LZ4, width, total: text_bytes, extra: 0 };
        }
    }
    page.extend_from_slice(&best);
    entries.extend_from_slice(&((page.len() - start) as u32).to_le_bytes());
    entries.extend_from_slice(&(written.total as u32).to_le_bytes());
    entries.extend_from_slice(&place.to_le_bytes());
    entries.extend([written.way, written.width]);
    entries.extend_from_slice(&written.extra.to_le_bytes());
    page.resize(page.len().next_multiple_of(UNIT), 0);
}

/// What an entry says of a chunk.
struct Written {
    way: u8,
    width: u8,
    total: usize,
    extra: u16,
}

/// Strings of one length: a template, which places of it vary, and the letters there.
fn same_length(texts: &[&[u8]]) -> Option<(Vec<u8>, Written)> {
    let template = *texts.first()?;
    let stride = template.len();
    if stride == 0 || texts.iter().any(|text| text.len() != stride) {
        return None;
    }
    let varies = |place: &usize| texts.iter().any(|text| text[*place] != template[*place]);
    let places: Vec<usize> = (0..stride).filter(varies).collect();
    let values = || texts.iter().flat_map(|text| places.iter().map(|place| text[*place]));
    let alphabet = if places.is_empty() { vec![0] } else { alphabet_of(values())? };
    let mut out = template.to_vec();
    let mut varying = Bits::default();
    (0..stride).for_each(|place| varying.push(places.binary_search(&place).is_ok()));
    varying.put_bytes(&mut out);
    out.extend_from_slice(&alphabet);
    put_codes(values(), &alphabet, &mut out);
    let (total, extra) = (stride * texts.len(), alphabet.len() as u16);
    Some((out, Written { way: SAME_LENGTH, width: 0, total, extra }))
}

/// Strings of any length: what all begin with, and the letters behind that.
fn letters(texts: &[&[u8]]) -> Option<(Vec<u8>, Written)> {
    let first = *texts.first()?;
    let common =
        |text: &&[u8]| first.iter().zip(*text).take_while(|(one, other)| one == other).count();
    let prefix = &first[..texts.iter().map(common).min()?.min(255)];
    let values = || texts.iter().flat_map(|text| text[prefix.len()..].iter().copied());
    let alphabet = alphabet_of(values())?;
    let mut out = Vec::new();
    let lens: Vec<usize> = texts.iter().map(|text| text.len() - prefix.len()).collect();
    let width = Ends::put(&lens, &mut out);
    out.extend_from_slice(prefix);
    out.extend_from_slice(&alphabet);
    put_codes(values(), &alphabet, &mut out);
    let extra = (prefix.len() << 8 | alphabet.len()) as u16;
    Some((out, Written { way: LETTERS, width, total: lens.iter().sum(), extra }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(texts: &[String]) -> u8 {
        let (mut page, mut entries) = (vec![9; 24], Vec::new());
        let bytes: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
        encode(&bytes, &mut page, &mut entries);
        let entry = entries.first_chunk().expect("an entry");
        let chunk = Texts::new(entry, &page, texts.len()).expect("a chunk");
        for (at, text) in texts.iter().enumerate() {
            assert_eq!(chunk.get_any(at).as_deref(), Some(text.as_bytes()), "{at}");
        }
        assert_eq!(chunk.get_any(texts.len()), None);
        if let Some(pairs) = chunk.pairs() {
            for (at, text) in texts.iter().enumerate() {
                let mut made = vec![7];
                assert_eq!(pairs.put(at, &mut made), Some(()));
                assert_eq!(&made[1..], text.as_bytes(), "{at}");
            }
            assert_eq!(pairs.put(texts.len(), &mut Vec::new()), None);
        }
        for len in 24..page.len().min(400) {
            if let Some(cut) = Texts::new(entry, &page[..len], texts.len()) {
                (0..texts.len()).for_each(|at| drop(cut.get_any(at)));
                put_all(&cut, texts.len());
            }
        }
        entry[12]
    }

    /// Whatever the bytes are, nothing panics.
    fn put_all(chunk: &Texts<'_>, count: usize) {
        if let Some(pairs) = chunk.pairs() {
            let put = |at| pairs.put(at, &mut Vec::new()).is_some();
            assert!((0..=count).filter(|at| put(*at)).count() <= count);
        }
    }

    fn made(count: u64, text: impl Fn(u64) -> String) -> Vec<String> {
        (0..count).map(text).collect()
    }

    #[test]
    fn hexadecimal_ids_are_read_two_letters_at_a_time() {
        let mixed = |n: u64| (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let pairs_of = |texts: &[String], way: u8| {
            assert_eq!(check(texts), way);
            let (mut page, mut entries) = (Vec::new(), Vec::new());
            let bytes: Vec<&[u8]> = texts.iter().map(|text| text.as_bytes()).collect();
            encode(&bytes, &mut page, &mut entries);
            let entry = entries.first_chunk().expect("an entry");
            Texts::new(entry, &page, texts.len()).expect("a chunk").pairs().map(|one| one.places)
        };
        let ids = made(256, |n| format!("e_{:04x}-{:04x}", mixed(n) >> 48, mixed(n) & 0xffff));
        assert_eq!(pairs_of(&ids, SAME_LENGTH), Some(vec![2, 4, 7, 9]));
        let behind = made(256, |n| format!("evt_{:08x}", mixed(n) >> 32));
        assert_eq!(pairs_of(&behind, LETTERS), Some(vec![4, 6, 8, 10]));
        let odd = made(256, |n| format!("{:03x}-{:05x}", mixed(n) >> 52, mixed(n) & 0xfffff));
        assert_eq!(pairs_of(&odd, SAME_LENGTH), None, "a pair is not side by side");
        let few = made(200, |n| format!("{:08b}", mixed(n) >> 56));
        assert_eq!(pairs_of(&few, LETTERS), None, "a letter has one bit");
    }

    #[test]
    fn each_way_is_taken_for_what_it_is_good_for() {
        let mixed = |n: u64| (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        assert_eq!(
            check(&made(256, |n| format!("{:08x}-{:04x}-ev", mixed(n) >> 32, mixed(n) & 0xffff))),
            SAME_LENGTH
        );
        assert_eq!(check(&made(256, |n| format!("request {}", mixed(n) >> (n % 40)))), LETTERS);
        assert_eq!(
            check(&made(256, |n| format!("{} said and said and said {n}", mixed(n) % 7))),
            LZ4
        );
        assert_eq!(check(&made(256, |n| "same".repeat((n % 2) as usize))), LETTERS);
        assert_eq!(check(&made(1, |_| String::new())), PLAIN);
        assert_eq!(check(&made(256, |_| String::new())), PLAIN);
        assert_eq!(check(&made(256, |_| "always".into())), SAME_LENGTH);
        let any = |n: u64| char::from_u32((mixed(n) >> 48) as u32 % 50_000 + 32).unwrap_or('x');
        check(&made(256, |n| (0..20).map(|m| any(100 * n + m)).collect()));
        check(&made(3, |n| "y".repeat(65_536 * n as usize)));
        check(&made(256, |n| if n == 255 { "z".repeat(1 << 20) } else { String::new() }));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_texts(
            texts in prop::collection::vec(".{0,20}", 1..=256),
            hex in prop::collection::vec("[0-9a-f]{0,30}", 1..=256),
            same in prop::collection::vec("x[0-9]{9}-[A-Z]{3}", 1..=256),
        ) {
            check(&texts);
            check(&hex);
            check(&same);
        }

        #[test]
        fn any_entry(
            entry in any::<[u8; 16]>(),
            (way, width) in (0u8..5, 0u8..5),
            page in prop::collection::vec(any::<u8>(), 0..400),
            count in 0usize..=256,
        ) {
            let mut entry = entry;
            entry[1..4].fill(0);
            entry[6..12].fill(0);
            (entry[12], entry[13], entry[15]) = (way, width, entry[15] % 3);
            if let Some(chunk) = Texts::new(&entry, &page, count) {
                (0..count).for_each(|at| drop(chunk.get_any(at)));
                put_all(&chunk, count);
            }
        }
    }
}
