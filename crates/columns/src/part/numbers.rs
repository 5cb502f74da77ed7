//! The numbers of a chunk: how they are written down, and how each is reached.
//!
//! All are numbers without sign, made so by the column ([`super::column`]). Of the ways there are the shortest is
//! taken; a way other than the plain frame has to be shorter by an eighth, as it is slower to read. Each number
//! is reached by itself, in a few steps, whatever the way.

use crate::{
    kernels::{self, CHUNK, Level, Mask, Packed},
    number::{u16_at, u32_at, u64_at},
};

/// What stands for a chunk in the chunks of its column.
pub(crate) const ENTRY_BYTES: usize = 16;
/// Places in a page are counted in so many bytes.
pub(crate) const UNIT: usize = 8;

const CONSTANT: u8 = 0;
const FRAME: u8 = 1;
const LINE: u8 = 2;
const RUNS: u8 = 3;
const TABLE: u8 = 4;

/// The most runs and the most different numbers for which there is a way of their own.
const RUNS_MAX: usize = 128;
const TABLE_MAX: usize = 64;

/// The numbers of a chunk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Numbers<'p> {
    base: u64,
    way: Way<'p>,
}

#[derive(Clone, Copy, Debug)]
enum Way<'p> {
    /// All are the base.
    Constant,
    /// The base and so much more.
    Frame(Packed<'p>),
    /// The base, a slope for each row before it, and so much more.
    Line(u64, Packed<'p>),
    /// The last row of each run, and its number, less the base, in so many bytes.
    Runs(&'p [u8], &'p [u8], usize),
    /// The different numbers, less the base, and which of them it is.
    Table(&'p [[u8; 8]], Packed<'p>),
}

impl<'p> Numbers<'p> {
    /// The chunk for which `entry` stands; `None` if that makes no sense.
    #[inline]
    pub(crate) fn new(entry: &[u8; ENTRY_BYTES], page: &'p [u8]) -> Option<Self> {
        let base = u64_at(entry, 0)?;
        let (way, width) = (entry[12], entry[13]);
        if way == CONSTANT {
            return Some(Self { base, way: Way::Constant });
        }
        let place = (u32_at(entry, 8)? as usize).checked_mul(UNIT)?;
        let bytes = page.get(place..)?;
        let count = usize::from(u16_at(entry, 14)?);
        let way = match way {
            FRAME => Way::Frame(Packed::new(bytes, width)?),
            LINE => Way::Line(u64_at(bytes, 0)?, Packed::new(bytes.get(8..)?, width)?),
            RUNS => {
                let width = usize::from(width);
                if count == 0 || count > RUNS_MAX || !matches!(width, 1 | 2 | 4 | 8) {
                    return None;
                }
                let (ends, values) = bytes.split_at_checked(count.next_multiple_of(UNIT))?;
                Way::Runs(&ends[..count], values.get(..width * count)?, width)
            }
            TABLE => {
                let (values, codes) = bytes.split_at_checked(8 * count)?;
                if count == 0 || count > TABLE_MAX || width > 6 {
                    return None;
                }
                Way::Table(values.as_chunks().0, Packed::new(codes, width)?)
            }
            _ => return None,
        };
        Some(Self { base, way })
    }

    /// The number of a row, which is below 256.
    #[inline(always)]
    pub(crate) fn get(&self, at: usize) -> u64 {
        let offset = match self.way {
            Way::Constant => 0,
            Way::Frame(packed) => packed.get(at),
            Way::Line(slope, packed) => slope.wrapping_mul(at as u64).wrapping_add(packed.get(at)),
            Way::Runs(ends, values, width) => {
                let run = ends.iter().filter(|end| usize::from(**end) < at).count();
                run_value(values, run.min(ends.len() - 1), width)
            }
            Way::Table(values, codes) => table_value(values, codes.get(at)),
        };
        self.base.wrapping_add(offset)
    }

    /// All numbers. Those of rows that the chunk does not have are anything.
    #[inline]
    pub(crate) fn decode(&self, level: Level, out: &mut [u64; CHUNK]) {
        match self.way {
            Way::Constant => out.fill(self.base),
            Way::Frame(packed) => kernels::unpack_64(level, packed, self.base, out),
            Way::Line(slope, packed) => {
                kernels::unpack_64(level, packed, 0, out);
                let mut line = self.base;
                for number in out {
                    *number = number.wrapping_add(line);
                    line = line.wrapping_add(slope);
                }
            }
            Way::Runs(ends, values, width) => {
                let mut from = 0;
                for (run, end) in ends.iter().enumerate() {
                    let to = (usize::from(*end) + 1).max(from);
                    out[from..to].fill(self.base.wrapping_add(run_value(values, run, width)));
                    from = to;
                }
                let last = self.base.wrapping_add(run_value(values, ends.len() - 1, width));
                out[from..].fill(last);
            }
            Way::Table(values, codes) => {
                kernels::unpack_64(level, codes, 0, out);
                for number in out {
                    *number = self.base.wrapping_add(table_value(values, *number));
                }
            }
        }
    }

    /// Which rows have a number from `low` to `high`, of a column whose numbers have at most 32 bits.
    #[inline]
    pub(crate) fn in_range_32(
        &self,
        level: Level,
        low: u32,
        high: u32,
        out: &mut [u32; CHUNK],
    ) -> Mask {
        if let Way::Table(values, codes) = self.way {
            // The numbers rise, so codes compare as they do.
            let below = |limit: u64| {
                values.partition_point(|value| {
                    self.base.wrapping_add(u64::from_le_bytes(*value)) < limit
                }) as u32
            };
            let (from, behind) = (below(low.into()), below(u64::from(high) + 1));
            if from >= behind {
                return [0; 4];
            }
            kernels::unpack_32(level, codes, 0, out);
            return kernels::in_range_32(level, out, from, behind - 1);
        }
        self.decode_32(level, out);
        kernels::in_range_32(level, out, low, high)
    }

    /// The first row below `len` whose number is `sought` or more, of numbers that rise from `min` to `max` over the rows;
    /// `min` is less than what is sought, and `max` is not.
    pub(crate) fn first_at_least(&self, len: usize, min: u64, max: u64, sought: u64) -> usize {
        let (mut low, mut high) = (0, len.saturating_sub(1).min(CHUNK - 1));
        let (mut low_number, mut high_number) = (min, max);
        let mut steps = 0;
        while low + 1 < high {
            // Times rise evenly more often than not: a guess is near. Where it is not, halving ends it.
            let middle = if steps < 2 || steps % 2 == 0 {
                let share = sought.wrapping_sub(low_number) as f64
                    / high_number.wrapping_sub(low_number).max(1) as f64;
                (low + (share * (high - low) as f64) as usize).clamp(low + 1, high - 1)
            } else {
                low + (high - low) / 2
            };
            steps += 1;
            let number = self.get(middle);
            if number < sought {
                (low, low_number) = (middle, number);
            } else {
                (high, high_number) = (middle, number);
            }
        }
        high
    }

    /// All numbers, of a column whose numbers have at most 32 bits.
    #[inline]
    pub(crate) fn decode_32(&self, level: Level, out: &mut [u32; CHUNK]) {
        match self.way {
            Way::Constant => out.fill(self.base as u32),
            Way::Frame(packed) => kernels::unpack_32(level, packed, self.base as u32, out),
            Way::Table(values, codes) => {
                let mut narrow = [0u32; TABLE_MAX];
                for (to, from) in narrow.iter_mut().zip(values) {
                    *to = (self.base.wrapping_add(u64::from_le_bytes(*from))) as u32;
                }
                kernels::unpack_32(level, codes, 0, out);
                // Codes have six bits at most: the table has a place for each.
                out.iter_mut().for_each(|number| *number = narrow[*number as usize % TABLE_MAX]);
            }
            _ => {
                let mut wide = [0; CHUNK];
                self.decode(level, &mut wide);
                out.iter_mut().zip(&wide).for_each(|(to, from)| *to = *from as u32);
            }
        }
    }
}

/// The number of a row of the chunk for which `entry` stands; `None` if that makes no sense. For a few rows: nothing
/// is made ready for others.
#[inline(always)]
pub(crate) fn get(entry: &[u8; ENTRY_BYTES], page: &[u8], at: usize) -> Option<u64> {
    let (way, width) = (entry[12], usize::from(entry[13]));
    if way != FRAME || width.wrapping_sub(1) >= 32 {
        return Some(Numbers::new(entry, page)?.get(at));
    }
    let place = (u32_at(entry, 8)? as usize).wrapping_mul(UNIT);
    let (lane, bit) = (at % 8, at / 8 * width);
    let (word, shift) = (bit / 32, bit % 32);
    let from = place.wrapping_add(4 * lane + 32 * word);
    // Both words that it may be in, and what lies between them: one look at whether they are there.
    let between = if word + 1 < width { 32 } else { 0 };
    let words = page.get(from..from.wrapping_add(between + 4))?;
    let (low, high) = (words.first_chunk()?, words.last_chunk()?);
    let (low, high) = (u32::from_le_bytes(*low), u32::from_le_bytes(*high));
    let packed = (u64::from(high) << 32 | u64::from(low)) >> shift & ((1 << width) - 1);
    Some(u64_at(entry, 0)?.wrapping_add(packed))
}

/// Asks for what [`get`] will read.
#[inline(always)]
pub(crate) fn ask_for(entry: &[u8; ENTRY_BYTES], page: &[u8], at: usize) {
    let place = (u32_at(entry, 8).unwrap_or_default() as usize).wrapping_mul(UNIT);
    let (way, width) = (entry[12], usize::from(entry[13]));
    if way != FRAME || width > 32 {
        return kernels::ask_for(page, place);
    }
    let from = place.wrapping_add(4 * (at % 8) + at / 8 * width / 32 * 32);
    kernels::ask_for(page, from);
    kernels::ask_for(page, from.wrapping_add(32));
}

#[inline(always)]
fn run_value(values: &[u8], run: usize, width: usize) -> u64 {
    let mut word = [0; 8];
    word[..width].copy_from_slice(&values[run * width..][..width]);
    u64::from_le_bytes(word)
}

#[inline(always)]
fn table_value(values: &[[u8; 8]], code: u64) -> u64 {
    // A damaged code beyond the last number would be caught by the checksum; here it must only not harm.
    values.get(code as usize).map_or(0, |value| u64::from_le_bytes(*value))
}

/// Appends a chunk of 1 to 256 numbers to a page, and what stands for it to `entries`.
pub(crate) fn encode(numbers: &[u64], page: &mut Vec<u8>, entries: &mut Vec<u8>) {
    let plan = Plan::of(numbers);
    let place = (page.len() / UNIT) as u32;
    let (way, width, count) = plan.write(numbers, page);
    page.resize(page.len().next_multiple_of(UNIT), 0);
    entries.extend_from_slice(&plan.base().to_le_bytes());
    entries.extend_from_slice(&place.to_le_bytes());
    entries.extend([way, width]);
    entries.extend_from_slice(&(count as u16).to_le_bytes());
}

/// The way that was chosen for a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Plan {
    Constant(u64),
    Frame { base: u64, width: u8 },
    Line { base: u64, slope: u64, width: u8 },
    Runs { base: u64, width: usize, count: usize },
    Table { base: u64, values: Vec<u64>, width: u8 },
}

impl Plan {
    fn of(numbers: &[u64]) -> Self {
        let (mut min, mut max) = (u64::MAX, 0);
        for number in numbers {
            (min, max) = (min.min(*number), max.max(*number));
        }
        if min >= max {
            return Self::Constant(min);
        }
        let width = bits_of(max - min);
        let mut best = Self::Frame { base: min, width };
        let mut bytes = 32 * usize::from(width);
        let mut offer = |plan: Self, its_bytes: usize| {
            if its_bytes + bytes / 8 < bytes {
                (best, bytes) = (plan, its_bytes);
            }
        };
        if let Some((base, slope, width)) = line(numbers) {
            offer(Self::Line { base, slope, width }, 8 + 32 * usize::from(width));
        }
        let count = numbers.chunk_by(|one, other| one == other).count();
        if count <= RUNS_MAX {
            let width = usize::from(bits_of(max - min)).div_ceil(8).next_power_of_two();
            let its_bytes = count.next_multiple_of(8) + (width * count).next_multiple_of(8);
            offer(Self::Runs { base: min, width, count }, its_bytes);
        }
        if let Some(values) = different(numbers) {
            let width = bits_of(values.len() as u64 - 1);
            let its_bytes = 8 * values.len() + 32 * usize::from(width);
            offer(Self::Table { base: min, values, width }, its_bytes);
        }
        best
    }

    fn base(&self) -> u64 {
        match self {
            Self::Constant(base)
            | Self::Frame { base, .. }
            | Self::Line { base, .. }
            | Self::Runs { base, .. }
            | Self::Table { base, .. } => *base,
        }
    }

    /// Appends the chunk; says the way, the width and the count for its entry.
    fn write(&self, numbers: &[u64], page: &mut Vec<u8>) -> (u8, u8, usize) {
        // Rows that are not there are as the last one is: they widen nothing.
        let last = numbers.last().copied().unwrap_or(0);
        let padded: [u64; CHUNK] = std::array::from_fn(|at| *numbers.get(at).unwrap_or(&last));
        match self {
            Self::Constant(_) => (CONSTANT, 0, 0),
            Self::Frame { base, width } => {
                kernels::pack(&padded.map(|number| number - base), *width, page);
                (FRAME, *width, 0)
            }
            Self::Line { base, slope, width } => {
                page.extend_from_slice(&slope.to_le_bytes());
                let offsets = std::array::from_fn(|at| {
                    let line = base.wrapping_add(slope.wrapping_mul(at as u64));
                    numbers.get(at).map_or(0, |number| number.wrapping_sub(line))
                });
                kernels::pack(&offsets, *width, page);
                (LINE, *width, 0)
            }
            Self::Runs { base, width, count } => {
                let start = page.len();
                let mut end = 0;
                for run in numbers.chunk_by(|one, other| one == other) {
                    end += run.len();
                    page.push((end - 1) as u8);
                }
                page.resize(start + count.next_multiple_of(UNIT), 0);
                for run in numbers.chunk_by(|one, other| one == other) {
                    page.extend_from_slice(&(run[0] - base).to_le_bytes()[..*width]);
                }
                (RUNS, *width as u8, *count)
            }
            Self::Table { base, values, width } => {
                values
                    .iter()
                    .for_each(|value| page.extend_from_slice(&(value - base).to_le_bytes()));
                let codes =
                    padded.map(|number| values.partition_point(|value| *value < number) as u64);
                kernels::pack(&codes, *width, page);
                (TABLE, *width, values.len())
            }
        }
    }
}

fn bits_of(number: u64) -> u8 {
    (u64::BITS - number.leading_zeros()) as u8
}

/// A line below the numbers: base, slope, and how many bits what lies above it needs.
fn line(numbers: &[u64]) -> Option<(u64, u64, u8)> {
    let (first, last) = (*numbers.first()?, *numbers.last()?);
    let slope = last.checked_sub(first)?.checked_div(numbers.len() as u64 - 1)?;
    if slope == 0 {
        return None;
    }
    let above = |(at, number): (usize, &u64)| i128::from(*number) - i128::from(slope) * at as i128;
    let (mut min, mut max) = (i128::MAX, i128::MIN);
    for offset in numbers.iter().enumerate().map(above) {
        (min, max) = (min.min(offset), max.max(offset));
    }
    let spread = u64::try_from(max - min).ok()?;
    Some((min as u64, slope, bits_of(spread)))
}

/// The different numbers in their order, if they are few.
fn different(numbers: &[u64]) -> Option<Vec<u64>> {
    let mut values: Vec<u64> = Vec::new();
    for number in numbers {
        if let Err(at) = values.binary_search(number) {
            if values.len() == TABLE_MAX {
                return None;
            }
            values.insert(at, *number);
        }
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(numbers: &[u64]) -> u8 {
        let (mut page, mut entries) = (vec![9; 16], Vec::new());
        encode(numbers, &mut page, &mut entries);
        let entry = entries.first_chunk().expect("an entry");
        let chunk = Numbers::new(entry, &page).expect("a chunk");
        for level in Level::all() {
            let mut out = [1; CHUNK];
            chunk.decode(level, &mut out);
            assert_eq!(&out[..numbers.len()], numbers);
            let mut narrow = [1; CHUNK];
            chunk.decode_32(level, &mut narrow);
            let is_narrow = numbers.iter().all(|number| u32::try_from(*number).is_ok());
            let same = |(one, other): (&u32, &u64)| u64::from(*one) == *other;
            assert!(!is_narrow || narrow.iter().zip(numbers).all(same));
        }
        for (at, number) in numbers.iter().enumerate() {
            assert_eq!((chunk.get(at), get(entry, &page, at)), (*number, Some(*number)), "{at}");
            ask_for(entry, &page, at);
        }
        for len in 16..page.len() {
            if let Some(cut) = Numbers::new(entry, &page[..len]) {
                let _ = (cut.get(255), cut.decode(Level::Plain, &mut [0; CHUNK]));
            }
            let _ = get(entry, &page[..len], 255);
            ask_for(entry, &page[..len], 255);
        }
        entry[12]
    }

    #[test]
    fn each_way_is_taken_for_what_it_is_good_for() {
        let rows = || 0..256u64;
        let mixed = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        assert_eq!(check(&[u64::MAX; 256]), CONSTANT);
        assert_eq!(check(&rows().map(|n| mixed(n) >> 50).collect::<Vec<_>>()), FRAME);
        assert_eq!(check(&rows().map(|n| (1 << 60) + n * 1_000_000).collect::<Vec<_>>()), LINE);
        assert_eq!(check(&rows().map(|n| n * (u64::MAX / 255)).collect::<Vec<_>>()), LINE);
        assert_eq!(check(&rows().map(|n| mixed(n / 50)).collect::<Vec<_>>()), RUNS);
        assert_eq!(check(&rows().map(|n| mixed(mixed(n) >> 62)).collect::<Vec<_>>()), TABLE);
        assert_eq!(check(&rows().map(mixed).collect::<Vec<_>>()), FRAME);
        let two = |len: usize| (0..len).map(|n| if n % 2 == 0 { 0 } else { u64::MAX });
        for len in [1, 2, 3, 255, 256] {
            check(&two(len).collect::<Vec<_>>());
            check(&(0..len as u64).rev().collect::<Vec<_>>());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_numbers(
            numbers in prop::collection::vec(any::<u64>(), 1..=CHUNK),
            shift in 0u32..64,
            slope in any::<u32>(),
        ) {
            check(&numbers.iter().map(|number| number >> shift).collect::<Vec<_>>());
            check(&numbers.iter().map(|number| number << shift).collect::<Vec<_>>());
            let mut sum = 0;
            let rising = numbers.iter().map(|number| {
                sum += u64::from(slope) + (number >> shift >> 9);
                sum
            });
            check(&rising.collect::<Vec<_>>());
        }

        #[test]
        fn any_entry(entry in any::<[u8; 16]>(), way in 0u8..6, page in prop::collection::vec(any::<u8>(), 0..900)) {
            let mut entry = entry;
            entry[8..12].fill(0);
            entry[12] = way;
            entry[13] %= 66;
            entry[15] = 0;
            for at in 0..CHUNK {
                let _ = get(&entry, &page, at);
            }
            if let Some(chunk) = Numbers::new(&entry, &page) {
                let _ = (chunk.get(0), chunk.get(255), chunk.decode(Level::best(), &mut [0; CHUNK]));
            }
        }
    }
}
