//! Verifying a whole part: checksums, that all can be read, and that what is said of columns is so.

use super::{
    CHUNK_ROWS, PartView, image,
    meta::{ColumnMeta, NumberMeta},
    row_set::{self, RowSet},
    zones::{Sums, Zone},
};
use crate::{
    Error, Result, ValueType,
    kernels::{self, CHUNK, Level, Mask},
};

impl PartView<'_> {
    /// Verifies all of the part and tells what is damaged. Where no checksum fails, all rows are read, and what the part
    /// says of its columns without a look at them is compared with them.
    pub fn verify(&self, on_damage: &mut dyn FnMut(Error)) {
        let mut is_whole = true;
        for ordinal in 0..self.sections_count() {
            if let Err(damage) = self.first_touch(ordinal) {
                is_whole = false;
                on_damage(damage);
            }
        }
        if !is_whole {
            return;
        }
        let rows: Vec<u32> = (0..self.rows_count() as u32).collect();
        for rows in rows.chunks(CHUNK_ROWS) {
            if let Err(damage) = self.rows(rows) {
                on_damage(damage);
            }
        }
        let mut check = |meta, sums| {
            if let Err(damage) = self.verify_numbers(meta, sums) {
                on_damage(damage);
            }
        };
        check(self.arrivals(), Sums::Whole);
        for (field, column) in self.schema().fields().iter().zip(self.columns()) {
            match column {
                ColumnMeta::Numbers(meta, _) if field.value_type() == ValueType::F64 => {
                    check(meta, Sums::Float);
                }
                ColumnMeta::Numbers(meta, _) => check(meta, Sums::Whole),
                ColumnMeta::Codes(meta, _) => check(meta, Sums::None),
                ColumnMeta::Nothing | ColumnMeta::Texts(_) => {}
            }
        }
    }

    fn verify_numbers(&self, meta: &NumberMeta, sums: Sums) -> Result<()> {
        let column = self.number_column(meta)?;
        let (zones, present) = (column.zones(sums)?, column.present()?);
        let level = Level::best();
        let (mut sum, mut float_sum, mut top, mut count) = (0u128, 0.0, 0, 0);
        let mut kept = [0; CHUNK];
        for at in 0..self.chunks_count() {
            column.chunk(at)?.decode(level, &mut kept);
            let mask = self.mask_of(at, present);
            let added = kernels::add_64(level, &kept, &mask);
            let in_chunk: u32 = mask.iter().map(|word| word.count_ones()).sum();
            let min = if in_chunk == 0 { 0 } else { added.min };
            let zone = Zone { min, max: added.max, count: in_chunk };
            let is_so = match sums {
                Sums::None => true,
                Sums::Whole => zones.sum(at) == added.sum,
                Sums::Float => {
                    let numbers = row_set::rows_of(0, mask)
                        .map(|row| image::to_f64(column.image(kept[row as usize])));
                    let chunk_sum = numbers.fold(0.0, |sum, number| sum + number);
                    float_sum += chunk_sum;
                    zones.float_sum(at).to_bits() == chunk_sum.to_bits()
                }
            };
            if !is_so || zones.zone(at) != zone {
                return Err(self.contradicts(meta.zones, "it says of a chunk what is not so"));
            }
            sum = sum.wrapping_add(added.sum);
            top = top.max(added.max);
            count += in_chunk;
        }
        let said = match sums {
            Sums::None => sum,
            Sums::Whole => meta.sum,
            Sums::Float if f64::to_bits(float_sum) == meta.sum as u64 => sum,
            Sums::Float => !sum,
        };
        if said != sum || meta.top != top || meta.present_count != count {
            return Err(
                self.contradicts(meta.zones, "what the directory says of the column is not so")
            );
        }
        Ok(())
    }

    /// Which rows of a chunk have a value.
    fn mask_of(&self, chunk: usize, present: Option<RowSet<'_>>) -> Mask {
        if let Some(present) = present {
            return present.mask(chunk as u32);
        }
        row_set::existing(self.rows_count(), chunk)
    }
}
