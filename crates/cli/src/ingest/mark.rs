//! How far a load has come, as the table keeps it: in the commit of each batch, so that one that was killed goes on exactly
//! behind what is stored.

use super::Record;

const FORM: &[u8; 4] = b"ing1";

/// The last line that is behind a load, and what tells its input from others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Counted from 1.
    pub(crate) line: u64,
    /// Of all records up to there, with their numbers.
    hash: u64,
}

impl Mark {
    const BYTES: usize = FORM.len() + 16;

    /// `None` if another program keeps its own.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (line, hash) = bytes.strip_prefix(FORM)?.split_first_chunk()?;
        let (line, hash) = (u64::from_le_bytes(*line), hash.try_into().ok()?);
        Some(Self { line, hash: u64::from_le_bytes(hash) })
    }

    pub(crate) fn encode(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        let (form, rest) = bytes.split_at_mut(FORM.len());
        form.copy_from_slice(FORM);
        let (line, hash) = rest.split_at_mut(8);
        line.copy_from_slice(&self.line.to_le_bytes());
        hash.copy_from_slice(&self.hash.to_le_bytes());
        bytes
    }

    /// Puts a record behind it that ends with line `line`.
    pub(crate) fn pass(&mut self, record: Record<'_>, line: u64) {
        self.line = line;
        self.mix(record.number);
        self.mix(record.bytes.len() as u64);
        let mut words = record.bytes.chunks_exact(8);
        for word in &mut words {
            self.mix(word.try_into().map_or(0, u64::from_le_bytes));
        }
        let mut last = [0; 8];
        last[..words.remainder().len()].copy_from_slice(words.remainder());
        self.mix(u64::from_le_bytes(last));
    }

    // It is kept on disk: what the standard library hashes by may change.
    fn mix(&mut self, word: u64) {
        let mixed = (self.hash.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.hash = mixed ^ (mixed >> 32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(records: &[(u64, &[u8])]) -> Mark {
        let mut mark = Mark::default();
        for (number, bytes) in records {
            mark.pass(Record { number: *number, bytes, is_cut: false }, *number);
        }
        mark
    }

    #[test]
    fn marks_come_back_and_others_are_none() {
        let mark = of(&[(1, b"a line of more than eight bytes"), (3, b"x")]);
        assert_eq!(mark.line, 3);
        assert_eq!(Mark::decode(&mark.encode()), Some(mark));
        let bytes = mark.encode();
        for other in [&b""[..], b"ing1", b"ing2____________________", &bytes[..19]] {
            assert_eq!(Mark::decode(other), None, "{other:?}");
        }
        assert_eq!(Mark::decode(&[&bytes[..], b"x"].concat()), None);
    }

    #[test]
    fn every_byte_and_number_counts() {
        let mark = of(&[(1, b"0123456789"), (2, b"x")]);
        for other in [
            of(&[(1, b"0123456788"), (2, b"x")]),
            of(&[(1, b"1123456789"), (2, b"x")]),
            of(&[(1, b"0123456789"), (2, b"x\0")]),
            of(&[(1, b"0123456789"), (2, b"")]),
            of(&[(2, b"x")]),
        ] {
            assert_ne!(mark, other);
        }
    }
}
