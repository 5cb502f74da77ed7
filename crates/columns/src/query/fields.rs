//! What the numbers of one field come to, in one part.

use super::{
    Measured,
    select::{Scratch, both},
};
use crate::{
    CHUNK_ROWS, Mask, Result, ValueType, kernels,
    part::{NumberField, image, rows_of},
};

/// From so many selected rows of a chunk on sums are made of all of it, under a mask.
const MASKED_ROWS: u32 = 64;

/// What the numbers of one field come to, at each place.
pub(super) struct FieldSums<'p> {
    pub(super) field: Option<NumberField<'p>>,
    has_bounds: bool,
    /// Whether sums as they are kept cannot exceed 64 bits.
    is_narrow: bool,
    narrow: Vec<u64>,
    wide: Vec<u128>,
    floats: Vec<f64>,
    /// Of optional fields how many rows have a number.
    counts: Vec<u64>,
    bounds: Vec<(u64, u64)>,
}

const NO_BOUNDS: (u64, u64) = (u64::MAX, 0);

/// Rows of a chunk, each with a place. Where all are meant none is named.
pub(super) struct Picked<'a> {
    pub(super) rows: Option<&'a [u8]>,
    /// Of all rows.
    pub(super) places: &'a [u32; CHUNK_ROWS],
    /// How many rows the chunk has.
    pub(super) len: usize,
}

impl Picked<'_> {
    /// Goes through the rows.
    #[inline(always)]
    pub(super) fn each(&self, mut each: impl FnMut(usize, usize)) {
        match self.rows {
            Some(rows) => rows
                .iter()
                .for_each(|row| each(usize::from(*row), self.places[usize::from(*row)] as usize)),
            None => self.places[..self.len]
                .iter()
                .enumerate()
                .for_each(|(row, place)| each(row, *place as usize)),
        }
    }

    /// Goes through the rows with their numbers.
    #[inline(always)]
    pub(super) fn each_of<T: Copy>(
        &self,
        numbers: &[T; CHUNK_ROWS],
        mut each: impl FnMut(usize, T),
    ) {
        match self.rows {
            Some(rows) => rows.iter().map(|row| usize::from(*row)).for_each(|row| {
                each(self.places[row] as usize, numbers[row]);
            }),
            None => {
                let pairs = self.places[..self.len].iter().zip(numbers);
                pairs.for_each(|(place, number)| each(*place as usize, *number));
            }
        }
    }
}

impl<'p> FieldSums<'p> {
    pub(super) fn new(field: Option<NumberField<'p>>, has_bounds: bool, places: usize) -> Self {
        let limit = crate::ROWS_MAX as u64;
        let is_narrow =
            field.is_some_and(|field| field.column.meta().top.checked_mul(limit).is_some());
        let mut sums = Self {
            field,
            has_bounds,
            is_narrow,
            narrow: Vec::new(),
            wide: Vec::new(),
            floats: Vec::new(),
            counts: Vec::new(),
            bounds: Vec::new(),
        };
        sums.resize(places);
        sums
    }

    /// Whether counts of rows and sums of so many at most can be kept in one number, and in how many of its lowest bits
    /// the count.
    pub(super) fn fuses(&self, rows_limit: u64) -> Option<u32> {
        let field = self.field?;
        let is_plain = field.present.is_none() && field.value_type != ValueType::F64;
        let sum = field.column.meta().top.checked_mul(rows_limit)?;
        let count_bits = u64::BITS - rows_limit.leading_zeros();
        (is_plain && !self.has_bounds && count_bits <= sum.leading_zeros()).then_some(count_bits)
    }

    fn resize(&mut self, places: usize) {
        let Some(field) = &self.field else { return };
        match (field.value_type, self.is_narrow) {
            (ValueType::F64, _) => self.floats.resize(places, 0.0),
            (_, true) => self.narrow.resize(places, 0),
            (_, false) => self.wide.resize(places, 0),
        }
        if field.present.is_some() {
            self.counts.resize(places, 0);
        }
        if self.has_bounds {
            self.bounds.resize(places, NO_BOUNDS);
        }
    }

    pub(super) fn grow(&mut self) {
        let lens = [self.narrow.len(), self.wide.len(), self.floats.len()];
        self.resize(lens.into_iter().fold(0, usize::max) + 1);
    }

    #[inline(always)]
    pub(super) fn add_sum(&mut self, place: usize, sum: u128) {
        // In a part that was made up sums may be anything.
        if self.is_narrow {
            if let Some(narrow) = self.narrow.get_mut(place) {
                *narrow = narrow.wrapping_add(sum as u64);
            }
        } else if let Some(wide) = self.wide.get_mut(place) {
            *wide = wide.wrapping_add(sum);
        }
    }

    #[inline(always)]
    fn add_bounds(&mut self, place: usize, min: u64, max: u64) {
        if let Some(bounds) = self.bounds.get_mut(place) {
            *bounds = (bounds.0.min(min), bounds.1.max(max));
        }
    }

    #[inline(always)]
    fn add_number(&mut self, place: usize, kept: u64, field: &NumberField<'_>) {
        if field.value_type != ValueType::F64 {
            self.add_sum(place, kept.into());
        } else if let Some(float) = self.floats.get_mut(place) {
            *float += image::to_f64(field.column.image(kept));
        }
        self.add_bounds(place, kept, kept);
    }

    /// Adds the whole part, by what it says of itself.
    pub(super) fn add_part(&mut self) {
        let Some(field) = self.field else { return };
        let meta = field.column.meta();
        if field.value_type == ValueType::F64 {
            self.floats[0] += f64::from_bits(meta.sum as u64);
        } else {
            self.add_sum(0, meta.sum);
        }
        if let Some(count) = self.counts.first_mut() {
            *count += u64::from(meta.present_count);
        }
        if meta.present_count > 0 {
            self.add_bounds(0, 0, meta.top);
        }
    }

    /// Adds whole chunks, from the first on and before the second, by their zones.
    pub(super) fn add_zones(&mut self, from: usize, to: usize, place: usize) {
        let Some(field) = self.field else { return };
        if field.value_type != ValueType::F64 && field.present.is_none() && !self.has_bounds {
            return self.add_sum(place, field.zones.sum_between(from, to));
        }
        for chunk in from..to {
            let zone = field.zones.zone(chunk);
            if zone.count == 0 {
                continue;
            }
            if field.value_type != ValueType::F64 {
                self.add_sum(place, field.zones.sum(chunk));
            } else if let Some(float) = self.floats.get_mut(place) {
                *float += field.zones.float_sum(chunk);
            }
            if let Some(count) = self.counts.get_mut(place) {
                *count += u64::from(zone.count);
            }
            self.add_bounds(place, zone.min, zone.max);
        }
    }

    /// Adds rows of a chunk, in runs of one place each.
    pub(super) fn add_runs(
        &mut self,
        chunk: usize,
        runs: &[(Mask, usize)],
        scratch: &mut Scratch,
    ) -> Result<()> {
        let Some(field) = self.field else { return Ok(()) };
        let present = field.present.map(|set| set.mask(chunk as u32));
        let numbers = field.column.chunk(chunk)?;
        let is_narrow = u32::try_from(field.column.meta().top).is_ok();
        if is_narrow {
            numbers.decode_32(scratch.level, &mut scratch.narrow);
        } else {
            numbers.decode(scratch.level, &mut scratch.wide);
        }
        for (mask, place) in runs {
            let (mask, place) = (present.map_or(*mask, |present| both(*mask, present)), *place);
            let rows: u32 = mask.iter().map(|word| word.count_ones()).sum();
            if rows == 0 {
                continue;
            }
            if let Some(count) = self.counts.get_mut(place) {
                *count += u64::from(rows);
            }
            let is_float = field.value_type == ValueType::F64;
            if rows >= MASKED_ROWS && !is_float {
                let added = if is_narrow {
                    kernels::add_32(scratch.level, &scratch.narrow, &mask)
                } else {
                    kernels::add_64(scratch.level, &scratch.wide, &mask)
                };
                self.add_sum(place, added.sum);
                self.add_bounds(place, added.min, added.max);
            } else if is_narrow && !is_float && !self.has_bounds {
                let kept = |row: u32| u64::from(scratch.narrow[row as usize]);
                let sum: u64 = rows_of(0, mask).map(kept).sum();
                self.add_sum(place, sum.into());
            } else {
                for row in rows_of(0, mask).map(|row| row as usize) {
                    let kept =
                        if is_narrow { scratch.narrow[row].into() } else { scratch.wide[row] };
                    self.add_number(place, kept, &field);
                }
            }
        }
        Ok(())
    }

    /// Adds rows of a chunk, each at its place, and counts them in the lowest bits of `fused`.
    pub(super) fn add_fused(
        &self,
        chunk: usize,
        picked: &Picked<'_>,
        fused: &mut Fused,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let Some(field) = self.field else { return Ok(()) };
        let numbers = field.column.chunk(chunk)?;
        if u32::try_from(field.column.meta().top).is_ok() {
            numbers.decode_32(scratch.level, &mut scratch.narrow);
            picked.each_of(&scratch.narrow, |place, kept| fused.add(place, kept.into()));
        } else {
            numbers.decode(scratch.level, &mut scratch.wide);
            picked.each_of(&scratch.wide, |place, kept| fused.add(place, kept));
        }
        Ok(())
    }

    /// Adds rows of a chunk, each at its place.
    pub(super) fn add_each(
        &mut self,
        chunk: usize,
        picked: &Picked<'_>,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let Some(field) = self.field else { return Ok(()) };
        let numbers = field.column.chunk(chunk)?;
        let is_plain = field.present.is_none()
            && !self.has_bounds
            && self.is_narrow
            && field.value_type != ValueType::F64;
        if is_plain && u32::try_from(field.column.meta().top).is_ok() {
            numbers.decode_32(scratch.level, &mut scratch.narrow);
            let sums = self.narrow.as_mut_slice();
            picked.each_of(&scratch.narrow, |place, kept| {
                if let Some(sum) = sums.get_mut(place) {
                    *sum = sum.wrapping_add(kept.into());
                }
            });
            return Ok(());
        }
        numbers.decode(scratch.level, &mut scratch.wide);
        let present = field.present.map_or([u64::MAX; 4], |set| set.mask(chunk as u32));
        picked.each(|row, place| {
            if present[row / 64] >> (row % 64) & 1 == 1 {
                if let Some(count) = self.counts.get_mut(place) {
                    *count += 1;
                }
                self.add_number(place, scratch.wide[row], &field);
            }
        });
        Ok(())
    }

    /// Adds rows, which rise, each at its place; without places all at the first.
    pub(super) fn add_rows(&mut self, rows: &[u32], places: Option<&[u32]>) -> Result<()> {
        let Some(field) = self.field else { return Ok(()) };
        let is_plain = field.present.is_none()
            && !self.has_bounds
            && self.is_narrow
            && field.value_type != ValueType::F64;
        if is_plain && places.is_none() {
            let mut sum = 0u64;
            field.column.gather(rows, |_, kept| sum = sum.wrapping_add(kept))?;
            self.add_sum(0, sum.into());
            return Ok(());
        }
        field.column.gather(rows, |at, kept| {
            if field.present.is_none_or(|present| present.contains(rows[at])) {
                let place = places.map_or(0, |places| places[at] as usize);
                if let Some(count) = self.counts.get_mut(place) {
                    *count += 1;
                }
                self.add_number(place, kept, &field);
            }
        })
    }

    /// What is at a place, as values.
    pub(super) fn give(&self, place: usize, rows: u64, to: &mut Measured) {
        let Some(field) = &self.field else { return };
        let count = self.counts.get(place).copied().unwrap_or(rows);
        let bounds = match self.bounds.get(place) {
            Some((min, max)) if min <= max => (field.column.image(*min), field.column.image(*max)),
            _ => NO_BOUNDS,
        };
        if field.value_type == ValueType::F64 {
            return to.add(count, 0, self.floats[place], bounds);
        }
        let kept = if self.is_narrow { self.narrow[place].into() } else { self.wide[place] };
        let meta = field.column.meta();
        let base = i128::from(meta.base) - image::bias(field.value_type);
        let kept = i128::from(meta.step).wrapping_mul(kept.cast_signed());
        to.add(count, base.wrapping_mul(count.into()).wrapping_add(kept), 0.0, bounds);
    }
}

/// Counts of rows and sums of their numbers at each place, both in one number.
pub(super) struct Fused {
    /// In how many of the lowest bits the count is.
    count_bits: u32,
    all: Vec<u64>,
}

impl Fused {
    pub(super) fn new(count_bits: u32, places: usize) -> Self {
        Self { count_bits, all: vec![0; places] }
    }

    #[inline(always)]
    fn add(&mut self, place: usize, kept: u64) {
        if let Some(both) = self.all.get_mut(place) {
            *both = both.wrapping_add(kept << self.count_bits | 1);
        }
    }

    /// The places that have rows: which one, how many, and the sum.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, u64, u64)> {
        let bits = self.count_bits;
        let places = self.all.iter().enumerate().filter(|(_, both)| **both > 0);
        places.map(move |(place, both)| (place, both & ((1 << bits) - 1), both >> bits))
    }
}
