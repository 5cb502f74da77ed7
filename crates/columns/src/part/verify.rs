//! Verifying a whole part: checksums, that all can be read, and that what is said of columns is so.

use super::{
    CHUNK_ROWS, PartView,
    day_sums::{self, DAY_NS, DaySumsMeta},
    image,
    meta::{ColumnMeta, NumberMeta},
    row_set::{self, RowSet},
    zones::{Sums, Zone},
};
use crate::{
    Error, Result, Value, ValueType,
    kernels::{self, CHUNK, Level, Mask},
};
use std::collections::BTreeMap;

impl PartView<'_> {
    /// Looks at the checksums of all sections and tells which do not match: all that a flipped bit can do. Reads all
    /// bytes of the part that nobody has read, and makes nothing of them.
    pub fn check(&self, on_damage: &mut dyn FnMut(Error)) {
        self.header_damage().into_iter().for_each(|damage| on_damage(damage.clone()));
        for ordinal in 0..self.sections_count() {
            if let Err(damage) = self.section(ordinal as u32) {
                on_damage(damage);
            }
        }
    }

    /// Verifies all of the part and tells what is damaged. Where no checksum fails, all rows are read, and what the part
    /// says of its columns without a look at them is compared with them.
    pub fn verify(&self, on_damage: &mut dyn FnMut(Error)) {
        let mut is_whole = true;
        if let Some(damage) = self.header_damage() {
            is_whole = false;
            on_damage(damage.clone());
        }
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
        for meta in self.day_sums_metas() {
            if let Err(damage) = self.verify_day_sums(meta) {
                on_damage(damage);
            }
        }
    }

    /// Adds up all rows by day and values, and compares.
    fn verify_day_sums(&self, meta: &DaySumsMeta) -> Result<()> {
        let sums = self.read_day_sums(meta)?;
        let fields: Vec<usize> = day_sums::summed(self.schema()).collect();
        let Some(ts) = self.schema().ts() else {
            return Err(self.contradicts(meta.section, "events have no time"));
        };
        type Found = BTreeMap<(i64, Vec<Option<String>>), (u64, Vec<(u64, i128, f64)>)>;
        let mut expected: Found = BTreeMap::new();
        for from in (0..self.rows_count()).step_by(CHUNK_ROWS) {
            let rows: Vec<u32> =
                (from..self.rows_count()).take(CHUNK_ROWS).map(|row| row as u32).collect();
            let taken = self.rows(&rows)?;
            for at in 0..rows.len() {
                let day = taken.value(at, ts).as_i64().unwrap_or_default().div_euclid(DAY_NS);
                let text =
                    |field: &u32| taken.value(at, *field as usize).as_text().map(str::to_owned);
                let key = (day, meta.dimensions.iter().map(text).collect());
                let (events, sums) =
                    expected.entry(key).or_insert_with(|| (0, vec![(0, 0, 0.0); fields.len()]));
                *events += 1;
                for (sum, field) in sums.iter_mut().zip(&fields) {
                    match taken.value(at, *field) {
                        Value::I64(number) => sum.1 += i128::from(number),
                        Value::U64(number) => sum.1 += i128::from(number),
                        Value::F64(number) => sum.2 += number,
                        Value::Absent | Value::Text(_) => continue,
                    }
                    sum.0 += 1;
                }
            }
        }
        let mut expected = expected.into_iter();
        let mut count = 0;
        let mut is_so = true;
        for day in sums.days() {
            let buckets = sums.clone().day(day)?;
            count += buckets.len();
            for at in 0..buckets.len() {
                let Some((key, (events, of_fields))) = expected.next() else {
                    is_so = false;
                    break;
                };
                is_so &= key.0 == day && buckets.events_count(at) == events;
                for (place, text) in key.1.iter().enumerate() {
                    is_so &= buckets.value(at, place) == text.as_deref();
                }
                for (place, (values, sum, float)) in of_fields.into_iter().enumerate() {
                    let found = buckets.totals(at, place);
                    let is_float = found.float_sum.to_bits() == float.to_bits();
                    is_so &= found.count == values && found.sum == sum && is_float;
                }
            }
        }
        if is_so && expected.next().is_none() && count == sums.buckets_count() {
            return Ok(());
        }
        Err(self.contradicts(meta.section, "it says of a day what is not so"))
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
