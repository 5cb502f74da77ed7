//! Strings of few different letters, in a few bits each.

use crate::number::{u16_at, u64_at};

/// So many different letters are written in fewer than eight bits.
const LETTERS_MAX: usize = 128;

/// Letters of a few bits each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Letters<'p> {
    pub(super) alphabet: &'p [u8],
    pub(super) codes: &'p [u8],
    pub(super) bits: usize,
}

impl<'p> Letters<'p> {
    pub(super) fn new(alphabet: &'p [u8], codes: &'p [u8]) -> Option<Self> {
        let bits = bits_of(alphabet.len());
        (!alphabet.is_empty() && alphabet.len() <= LETTERS_MAX).then_some(Self {
            alphabet,
            codes,
            bits,
        })
    }

    #[inline(always)]
    pub(super) fn get(&self, at: usize) -> Option<u8> {
        let bit = at * self.bits;
        let word = u16_at(self.codes, bit / 8)? >> (bit % 8);
        self.alphabet.get(usize::from(word) & ((1 << self.bits) - 1)).copied()
    }

    /// Gives the letters from one on and before another, as many at a time as a word has.
    #[inline(always)]
    pub(super) fn each(
        &self,
        range: std::ops::Range<usize>,
        mut each: impl FnMut(u8),
    ) -> Option<()> {
        let (mut at, mask) = (range.start, (1 << self.bits) - 1);
        while at < range.end {
            let bit = at * self.bits;
            let Some(word) = u64_at(self.codes, bit / 8) else {
                each(self.get(at)?);
                at += 1;
                continue;
            };
            let mut word = word >> (bit % 8);
            let count = ((64 - bit % 8) / self.bits).min(range.end - at);
            for _ in 0..count {
                each(*self.alphabet.get(word as usize & mask)?);
                word >>= self.bits;
            }
            at += count;
        }
        Some(())
    }
}

pub(super) fn bits_of(letters_count: usize) -> usize {
    (usize::BITS - letters_count.saturating_sub(1).leading_zeros()).max(1) as usize
}

/// The different letters in their order, if they are few and there are any.
pub(super) fn alphabet_of(values: impl Iterator<Item = u8>) -> Option<Vec<u8>> {
    let mut seen = [false; 256];
    values.for_each(|letter| seen[usize::from(letter)] = true);
    let alphabet: Vec<u8> = (0..=255).filter(|letter| seen[usize::from(*letter)]).collect();
    (1..=LETTERS_MAX).contains(&alphabet.len()).then_some(alphabet)
}

/// Appends codes of a few bits, the lowest first, and a byte that a reader of the last one may look at.
pub(super) fn put_codes(values: impl Iterator<Item = u8>, alphabet: &[u8], out: &mut Vec<u8>) {
    let mut codes = [0u8; 256];
    (0..).zip(alphabet).for_each(|(code, letter)| codes[usize::from(*letter)] = code);
    let bits = bits_of(alphabet.len());
    let (mut word, mut filled) = (0u32, 0);
    for letter in values {
        word |= u32::from(codes[usize::from(letter)]) << filled;
        filled += bits;
        while filled >= 8 {
            out.push(word as u8);
            word >>= 8;
            filled -= 8;
        }
    }
    out.extend([word as u8, 0]);
}
