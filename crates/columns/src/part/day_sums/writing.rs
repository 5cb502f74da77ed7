//! Adding up the rows of a part by day and by values, and writing what they come to.

use super::{DAY_NS, DaySumsMeta, SumMeta, rolled_up, summed};
use crate::{
    Batch,
    batch::{Column, Values},
    part::{dictionary, frame::Writer},
    query::Folding,
};
use std::collections::HashMap;

/// Sums are kept if there are this many rows to a bucket at least: fewer are soon added up.
const ROWS_MIN: usize = 2;

/// What the values of a bucket come to.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    count: u32,
    whole: i128,
    float: f64,
}

/// A dimension: of each row of the batch the place of its value among all, from 1 on; 0: it has none.
struct Codes {
    codes: Vec<u32>,
    count: u32,
}

impl Codes {
    fn of(column: &Column) -> Option<Self> {
        let Values::Text(texts) = &column.values else { return None };
        let is_there = |row: usize| column.present.as_ref().is_none_or(|present| present.get(row));
        let all = (0..texts.len()).map(|row| is_there(row).then(|| texts.get(row)));
        let (different, codes) = dictionary::coded(all);
        Some(Self { codes, count: different.len() as u32 })
    }

    /// Bits of a code.
    fn bits(&self) -> u32 {
        u32::BITS - self.count.leading_zeros()
    }

    /// Bytes of a code.
    fn width(&self) -> u8 {
        match self.count {
            0..=0xff => 1,
            0x100..=0xffff => 2,
            _ => 4,
        }
    }
}

/// Writes the tables of sums that a part has, of these rows in this order.
pub(in crate::part) fn write_all(
    batch: &Batch,
    order: &[u32],
    writer: &mut Writer,
) -> Vec<DaySumsMeta> {
    let schema = batch.schema();
    let Some(times) = batch.times() else { return Vec::new() };
    let dimensions: Vec<usize> = rolled_up(schema).collect();
    let codes = dimensions.iter().map(|field| Codes::of(&batch.columns()[*field]));
    let Some(codes) = codes.collect::<Option<Vec<_>>>() else { return Vec::new() };
    let mut sets: Vec<Vec<usize>> = (0..dimensions.len()).map(|at| vec![at]).collect();
    if dimensions.len() > 1 {
        sets.push((0..dimensions.len()).collect());
    }
    let fields: Vec<&Column> = summed(schema).map(|field| &batch.columns()[field]).collect();
    let mut metas = Vec::new();
    for set in sets {
        let codes: Vec<&Codes> = set.iter().map(|at| &codes[*at]).collect();
        let Some(table) = Table::add_up(times, order, &codes, &fields) else { continue };
        let dimensions = set.iter().map(|at| dimensions[*at] as u32).collect();
        metas.push(table.write(dimensions, &codes, &fields, writer));
    }
    metas
}

/// All buckets, by day and by codes.
struct Table {
    days: Vec<i64>,
    /// Where each day begins, and where the last one ends.
    firsts: Vec<u32>,
    keys: Vec<u128>,
    events: Vec<u32>,
    /// Of each bucket those of all fields.
    sums: Vec<Sum>,
}

impl Table {
    /// `None` if there are too many buckets for it to be worth it.
    fn add_up(times: &[i64], order: &[u32], codes: &[&Codes], fields: &[&Column]) -> Option<Self> {
        if codes.iter().map(|codes| codes.bits()).sum::<u32>() > u128::BITS {
            return None;
        }
        let (mut days, mut firsts) = (Vec::new(), vec![0]);
        let (mut keys, mut events, mut sums) = (Vec::new(), Vec::new(), Vec::new());
        let limit = order.len() / ROWS_MIN;
        let day_of = |row: &u32| times[*row as usize].div_euclid(DAY_NS);
        for rows in order.chunk_by(|one, other| day_of(one) == day_of(other)) {
            let mut buckets: HashMap<u128, (u32, Vec<Sum>), Folding> = HashMap::default();
            for row in rows.iter().map(|row| *row as usize) {
                let key = codes
                    .iter()
                    .fold(0, |key, codes| key << codes.bits() | u128::from(codes.codes[row]));
                let new = || (0, vec![Sum::default(); fields.len()]);
                let (events, sums) = buckets.entry(key).or_insert_with(new);
                *events += 1;
                sums.iter_mut().zip(fields).for_each(|(sum, field)| sum.add(field, row));
            }
            if keys.len() + buckets.len() > limit {
                return None;
            }
            let mut buckets: Vec<_> = buckets.into_iter().collect();
            buckets.sort_unstable_by_key(|(key, _)| *key);
            for (key, (count, of_fields)) in buckets {
                keys.push(key);
                events.push(count);
                sums.extend(of_fields);
            }
            days.extend(rows.first().map(day_of));
            firsts.push(keys.len() as u32);
        }
        Some(Self { days, firsts, keys, events, sums })
    }

    fn write(
        &self,
        dimensions: Vec<u32>,
        codes: &[&Codes],
        fields: &[&Column],
        writer: &mut Writer,
    ) -> DaySumsMeta {
        let mut out = Vec::new();
        let end = |out: &mut Vec<u8>| out.resize(out.len().next_multiple_of(8), 0);
        self.days.iter().for_each(|day| out.extend_from_slice(&day.to_le_bytes()));
        self.firsts.iter().for_each(|first| out.extend_from_slice(&first.to_le_bytes()));
        end(&mut out);
        let mut behind: u32 = codes.iter().map(|codes| codes.bits()).sum();
        for codes in codes {
            behind -= codes.bits();
            let (mask, width) = ((1u128 << codes.bits()) - 1, usize::from(codes.width()));
            for key in &self.keys {
                let code = key.checked_shr(behind).unwrap_or_default() & mask;
                out.extend_from_slice(&code.to_le_bytes()[..width]);
            }
            end(&mut out);
        }
        self.events.iter().for_each(|events| out.extend_from_slice(&events.to_le_bytes()));
        end(&mut out);
        let mut sums = Vec::with_capacity(fields.len());
        for (at, field) in fields.iter().enumerate() {
            let of_field = || self.sums.iter().skip(at).step_by(fields.len());
            let has_counts = of_field().zip(&self.events).any(|(sum, events)| sum.count != *events);
            if has_counts {
                of_field().for_each(|sum| out.extend_from_slice(&sum.count.to_le_bytes()));
                end(&mut out);
            }
            let is_float = matches!(field.values, Values::F64(_));
            let width = if is_float { 8 } else { width_of(of_field().map(|sum| sum.whole)) };
            for sum in of_field() {
                match is_float {
                    true => out.extend_from_slice(&sum.float.to_le_bytes()),
                    false => out.extend_from_slice(&sum.whole.to_le_bytes()[..usize::from(width)]),
                }
            }
            end(&mut out);
            sums.push(SumMeta { width, has_counts });
        }
        DaySumsMeta {
            dimensions,
            days_count: self.days.len() as u32,
            buckets_count: self.keys.len() as u32,
            section: writer.add(&out),
            key_widths: codes.iter().map(|codes| codes.width()).collect(),
            sums,
        }
    }
}

/// Bytes that all these fit in.
fn width_of(sums: impl Iterator<Item = i128>) -> u8 {
    let (low, high) = sums.fold((0, 0), |(low, high), sum| (sum.min(low), sum.max(high)));
    if (low, high) == (0, 0) {
        0
    } else if low >= 0 && u32::try_from(high).is_ok() {
        4
    } else if i64::try_from(low).is_ok() && i64::try_from(high).is_ok() {
        8
    } else {
        16
    }
}

impl Sum {
    fn add(&mut self, column: &Column, row: usize) {
        if column.present.as_ref().is_some_and(|present| !present.get(row)) {
            return;
        }
        self.count += 1;
        match &column.values {
            Values::I64(numbers) => self.whole += i128::from(numbers[row]),
            Values::U64(numbers) => self.whole += i128::from(numbers[row]),
            Values::U32(numbers) => self.whole += i128::from(numbers[row]),
            Values::U16(numbers) => self.whole += i128::from(numbers[row]),
            Values::F64(numbers) => self.float += numbers[row],
            Values::Text(_) => {}
        }
    }
}
