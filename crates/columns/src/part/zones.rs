//! Of each chunk of a column the lowest and the highest number, the sum, and how many there are.
//!
//! They are written in as few bytes as the column's highest number needs.

use super::numbers::UNIT;
use crate::kernels::CHUNK;

/// What is known of a chunk without a look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Zone {
    /// The lowest number; zero if there is none.
    pub(crate) min: u64,
    /// The highest number.
    pub(crate) max: u64,
    /// How many rows have one.
    pub(crate) count: u32,
}

/// How the sums of a column are written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sums {
    /// There are none: codes of strings.
    None,
    /// Whole numbers.
    Whole,
    /// Numbers with fractions.
    Float,
}

/// What is known of the chunks of a column.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Zones<'p> {
    mins: &'p [u8],
    maxs: &'p [u8],
    sums: &'p [u8],
    counts: &'p [u8],
    width: usize,
    sum_width: usize,
    rows: usize,
}

fn width_of(top: u64) -> usize {
    ((u64::BITS - top.leading_zeros()).div_ceil(8) as usize).next_power_of_two()
}

fn sum_width_of(top: u64, sums: Sums) -> usize {
    match sums {
        Sums::None => 0,
        Sums::Float => 8,
        Sums::Whole => match top.checked_mul(CHUNK as u64) {
            Some(sum) if sum <= u64::from(u32::MAX) => 4,
            Some(_) => 8,
            None => 16,
        },
    }
}

#[inline(always)]
fn number(bytes: &[u8], at: usize, width: usize) -> u64 {
    match width {
        1 => bytes.get(at).copied().map_or(0, u64::from),
        2 => crate::number::u16_at(bytes, 2 * at).map_or(0, u64::from),
        4 => crate::number::u32_at(bytes, 4 * at).map_or(0, u64::from),
        _ => crate::number::u64_at(bytes, 8 * at).unwrap_or(0),
    }
}

impl<'p> Zones<'p> {
    /// The zones of a column with `rows` rows and numbers up to `top`; `None` if these are not as long.
    pub(crate) fn new(
        mut bytes: &'p [u8],
        rows: usize,
        top: u64,
        sums: Sums,
        has_counts: bool,
    ) -> Option<Self> {
        let chunks_count = rows.div_ceil(CHUNK);
        let (width, sum_width) = (width_of(top), sum_width_of(top, sums));
        let mut take = |width: usize| {
            let len = (width * chunks_count).next_multiple_of(UNIT);
            crate::number::take(&mut bytes, len).and_then(|taken| taken.get(..width * chunks_count))
        };
        let (mins, maxs) = (take(width)?, take(width)?);
        let sums = take(sum_width)?;
        let counts = take(if has_counts { 2 } else { 0 })?;
        Some(Self { mins, maxs, sums, counts, width, sum_width, rows })
    }

    #[inline(always)]
    pub(crate) fn zone(&self, chunk: usize) -> Zone {
        let (min, max) =
            (number(self.mins, chunk, self.width), number(self.maxs, chunk, self.width));
        Zone { min, max, count: self.count(chunk) }
    }

    /// The lowest number of a chunk.
    #[inline(always)]
    pub(crate) fn min(&self, chunk: usize) -> u64 {
        number(self.mins, chunk, self.width)
    }

    /// The highest number of a chunk.
    #[inline(always)]
    pub(crate) fn max(&self, chunk: usize) -> u64 {
        number(self.maxs, chunk, self.width)
    }

    /// How many rows of a chunk have a number.
    #[inline(always)]
    pub(crate) fn count(&self, chunk: usize) -> u32 {
        if self.counts.is_empty() {
            return self.rows.saturating_sub(chunk * CHUNK).min(CHUNK) as u32;
        }
        (number(self.counts, chunk, 2) as u32).min(CHUNK as u32)
    }

    /// What the whole numbers of a chunk add up to.
    #[inline(always)]
    pub(crate) fn sum(&self, chunk: usize) -> u128 {
        match self.sum_width {
            16 => {
                let (low, high) =
                    (number(self.sums, 2 * chunk, 8), number(self.sums, 2 * chunk + 1, 8));
                u128::from(high) << 64 | u128::from(low)
            }
            width => u128::from(number(self.sums, chunk, width)),
        }
    }

    /// What the whole numbers of the chunks from the first on and before the second add up to.
    pub(crate) fn sum_between(&self, from: usize, to: usize) -> u128 {
        let sums = self.sums.get(self.sum_width * from..self.sum_width * to).unwrap_or(&[]);
        match self.sum_width {
            4 => {
                let words =
                    sums.as_chunks().0.iter().map(|sum| u64::from(u32::from_le_bytes(*sum)));
                words.sum::<u64>().into()
            }
            8 => {
                // The halves are added apart: neither can overflow.
                let (mut low, mut high) = (0u64, 0u64);
                for sum in sums.as_chunks().0.iter().map(|sum| u64::from_le_bytes(*sum)) {
                    low += sum & 0xffff_ffff;
                    high += sum >> 32;
                }
                u128::from(low) + (u128::from(high) << 32)
            }
            _ => (from..to).fold(0u128, |all, chunk| all.wrapping_add(self.sum(chunk))),
        }
    }

    /// What the numbers with fractions of a chunk add up to.
    pub(crate) fn float_sum(&self, chunk: usize) -> f64 {
        f64::from_bits(number(self.sums, chunk, 8))
    }
}

/// What zones are made of, chunk by chunk.
#[derive(Clone, Debug, Default)]
pub(crate) struct ZonesBuilder {
    zones: Vec<Zone>,
    sums: Vec<u128>,
}

impl ZonesBuilder {
    /// Adds a chunk. The sum of numbers with fractions is given by its bits.
    pub(crate) fn add(&mut self, zone: Zone, sum: u128) {
        self.zones.push(zone);
        self.sums.push(sum);
    }

    /// Appends the zones of a column whose highest number is `top`.
    pub(crate) fn encode(&self, top: u64, sums: Sums, has_counts: bool, out: &mut Vec<u8>) {
        let pad = |out: &mut Vec<u8>| out.resize(out.len().next_multiple_of(UNIT), 0);
        let (width, sum_width) = (width_of(top), sum_width_of(top, sums));
        for bound in [|zone: &Zone| zone.min, |zone: &Zone| zone.max] {
            for zone in &self.zones {
                out.extend_from_slice(&bound(zone).to_le_bytes()[..width]);
            }
            pad(out);
        }
        self.sums.iter().for_each(|sum| out.extend_from_slice(&sum.to_le_bytes()[..sum_width]));
        pad(out);
        if has_counts {
            self.zones
                .iter()
                .for_each(|zone| out.extend_from_slice(&(zone.count as u16).to_le_bytes()));
            pad(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_of_every_width_come_back() {
        for top in [0, 255, 256, 65_535, 65_536, 1 << 24, u64::from(u32::MAX), 1 << 56, u64::MAX] {
            for (sums, has_counts) in
                [(Sums::Whole, true), (Sums::Whole, false), (Sums::None, true)]
            {
                let mut builder = ZonesBuilder::default();
                for at in 0..5 {
                    let zone = Zone { min: top / 5 * at, max: top, count: 256 };
                    builder.add(zone, u128::from(top) * 256 / (u128::from(at) + 1));
                }
                let mut bytes = Vec::new();
                builder.encode(top, sums, has_counts, &mut bytes);
                let zones = Zones::new(&bytes, 5 * CHUNK, top, sums, has_counts).expect("zones");
                for at in 0..5 {
                    assert_eq!(zones.zone(at), builder.zones[at]);
                    if sums == Sums::Whole {
                        assert_eq!(zones.sum(at), builder.sums[at]);
                    }
                }
                if sums == Sums::Whole {
                    for (from, to) in [(0, 5), (1, 4), (2, 2), (0, 1)] {
                        let expected: u128 = builder.sums[from..to].iter().sum();
                        assert_eq!(zones.sum_between(from, to), expected);
                    }
                }
                assert!(Zones::new(&bytes[8..], 5 * CHUNK, top, sums, has_counts).is_none());
            }
        }
    }
}
