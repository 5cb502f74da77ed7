//! Where the strings of a chunk end.

use crate::number::{u16_at, u32_at};

/// Where each of several strings ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends<'p> {
    bytes: &'p [u8],
    pub(super) width: u8,
    /// Of width 0: the length of each.
    pub(super) stride: usize,
}

impl<'p> Ends<'p> {
    /// Ends of `count` strings, `total` long together, in front of `bytes`.
    pub(super) fn take(
        bytes: &mut &'p [u8],
        count: usize,
        width: u8,
        total: usize,
    ) -> Option<Self> {
        if !matches!(width, 0 | 1 | 2 | 4) {
            return None;
        }
        let taken = crate::number::take(bytes, count * usize::from(width))?;
        Some(Self { bytes: taken, width, stride: total / count.max(1) })
    }

    #[inline]
    pub(super) fn end(&self, at: usize) -> Option<usize> {
        Some(match self.width {
            0 => (at + 1) * self.stride,
            1 => usize::from(*self.bytes.get(at)?),
            2 => usize::from(u16_at(self.bytes, 2 * at)?),
            _ => u32_at(self.bytes, 4 * at)? as usize,
        })
    }

    #[inline]
    pub(super) fn range(&self, at: usize) -> Option<std::ops::Range<usize>> {
        let start = if at == 0 { 0 } else { self.end(at - 1)? };
        Some(start..self.end(at)?)
    }

    pub(super) fn put(lens: &[usize], out: &mut Vec<u8>) -> u8 {
        let total: usize = lens.iter().sum();
        let width = match total {
            _ if lens.windows(2).all(|pair| pair[0] == pair[1]) => 0,
            0..=0xff => 1,
            0x100..=0xffff => 2,
            _ => 4,
        };
        let mut end = 0u32;
        for len in lens {
            end += *len as u32;
            out.extend_from_slice(&end.to_le_bytes()[..usize::from(width)]);
        }
        width
    }
}
