//! A bit for each row.

/// Bits in the order of rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bits {
    words: Vec<u64>,
    len: usize,
}

impl Bits {
    /// Bits from bytes, the lowest bit of the first byte first; `None` if these are not as many as needed,
    /// or if bits behind the end are set.
    pub(crate) fn from_bytes(bytes: &[u8], len: usize) -> Option<Self> {
        if bytes.len() != len.div_ceil(8) {
            return None;
        }
        let words = bytes
            .chunks(8)
            .map(|chunk| {
                let mut word = [0; 8];
                word[..chunk.len()].copy_from_slice(chunk);
                u64::from_le_bytes(word)
            })
            .collect::<Vec<_>>();
        let is_clean =
            len.is_multiple_of(64) || words.last().is_none_or(|last| last >> (len % 64) == 0);
        is_clean.then_some(Self { words, len })
    }

    /// Appends the bits as bytes.
    pub(crate) fn put_bytes(&self, out: &mut Vec<u8>) {
        let start = out.len();
        self.words.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
        out.truncate(start + self.len.div_ceil(8));
    }

    pub(crate) fn push(&mut self, bit: bool) {
        if self.len.is_multiple_of(64) {
            self.words.push(0);
        }
        if bit && let Some(last) = self.words.last_mut() {
            *last |= 1 << (self.len % 64);
        }
        self.len += 1;
    }

    pub(crate) fn get(&self, at: usize) -> bool {
        at < self.len && self.words[at / 64] >> (at % 64) & 1 == 1
    }

    pub(crate) fn ones_count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        if len >= self.len {
            return;
        }
        self.words.truncate(len.div_ceil(64));
        if !len.is_multiple_of(64)
            && let Some(last) = self.words.last_mut()
        {
            *last &= (1 << (len % 64)) - 1;
        }
        self.len = len;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_come_back_from_bytes_and_none_behind_the_end_are_taken() {
        for len in [0usize, 1, 7, 8, 9, 63, 64, 65, 200] {
            let mut bits = Bits::default();
            (0..len).for_each(|at| bits.push(at % 3 == 0));
            assert_eq!(bits.ones_count(), len.div_ceil(3));
            let mut bytes = Vec::new();
            bits.put_bytes(&mut bytes);
            assert_eq!(Bits::from_bytes(&bytes, len).as_ref(), Some(&bits));
            assert_eq!(Bits::from_bytes(&bytes, len + 8), None);
            if len % 8 != 0 {
                *bytes.last_mut().expect("a byte") |= 0x80;
                assert_eq!(Bits::from_bytes(&bytes, len), None);
            }
            let mut cut = bits.clone();
            cut.truncate(len / 2);
            (len / 2..len).for_each(|at| cut.push(at % 3 == 0));
            assert_eq!(cut, bits);
        }
    }
}
