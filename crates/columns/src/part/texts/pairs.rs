//! Strings whose letters are taken two at a time.

use super::{Texts, Way};

/// Letters of so many bits are taken two at a time.
const PAIRED_BITS: usize = 4;

/// Strings of one length whose letters vary in twos that stand side by side, sixteen different ones at most: ids in
/// hexadecimal digits.
#[derive(Debug)]
pub(crate) struct Pairs<'p> {
    count: usize,
    template: Vec<u8>,
    /// Where each pair stands.
    pub(super) places: Vec<usize>,
    codes: &'p [u8],
    /// The letters of two codes.
    letters_of: [[u8; 2]; 256],
}

impl Pairs<'_> {
    /// Appends the string of a row.
    #[inline]
    pub(crate) fn put(&self, at: usize, out: &mut Vec<u8>) -> Option<()> {
        let count = self.places.len();
        let codes = self.codes.get(at * count..)?.get(..count)?;
        if at >= self.count {
            return None;
        }
        let start = out.len();
        out.extend_from_slice(&self.template);
        let made = out.get_mut(start..)?;
        for (code, place) in codes.iter().zip(&self.places) {
            let to = made.get_mut(*place..)?.first_chunk_mut::<2>()?;
            *to = self.letters_of[usize::from(*code)];
        }
        Some(())
    }
}

impl<'p> Texts<'p> {
    /// For many strings of the chunk; `None` if they are not such.
    pub(crate) fn pairs(&self) -> Option<Pairs<'p>> {
        let (mut template, varying, letters): (_, Vec<usize>, _) = match self.way {
            Way::SameLength { template, varying, letters, .. } => {
                let bits = (0..template.len()).filter(|at| varying[at / 8] >> (at % 8) & 1 == 1);
                (template.to_vec(), bits.collect(), letters)
            }
            Way::Letters { ends, prefix, letters } if ends.width == 0 => {
                // The length of each is believed if all have their letters.
                if ends.stride.checked_mul(self.count)? > 2 * letters.codes.len() {
                    return None;
                }
                (prefix.to_vec(), (prefix.len()..prefix.len() + ends.stride).collect(), letters)
            }
            _ => return None,
        };
        if letters.bits != PAIRED_BITS || !varying.len().is_multiple_of(2) {
            return None;
        }
        let mut places = Vec::with_capacity(varying.len() / 2);
        for pair in varying.as_chunks::<2>().0 {
            (pair[0] + 1 == pair[1]).then(|| places.push(pair[0]))?;
        }
        if let Some(last) = places.last() {
            template.resize(template.len().max(last + 2), 0);
        }
        // No string has this letter: that a code has none is found when the strings are looked at.
        let letter = |code: usize| letters.alphabet.get(code).copied().unwrap_or(0xff);
        let pair = |byte: usize| [letter(byte % 16), letter(byte / 16)];
        let letters_of = std::array::from_fn(pair);
        Some(Pairs { count: self.count, template, places, codes: letters.codes, letters_of })
    }
}
