//! What the rows of one part come to: each group has a place.
//!
//! Where there are few groups each has a place from the start, and a row's place is computed of the numbers that stand
//! for its keys. Where there are many, places are given to those that are met.

use super::{
    fields::{FieldSums, Fused, Picked},
    key::{ChunkKeys, Folding, PartKeys},
    plan::Visit,
    select::{Scratch, Selected, both},
    spread::Spread,
};
use crate::{
    CHUNK_ROWS, Error, Mask, PartView, Result,
    part::{NumberField, existing, rows_of, select},
};
use std::collections::HashMap;

/// So many groups of a part have a place each; of more, those that are met get one.
const PLACES_MAX: u64 = 1 << 18;
/// As many places as that are there for each row that may be selected, and some for none.
const PLACES_A_ROW: u64 = 4;
const PLACES_MIN: u64 = 4_096;
/// Of a chunk with fewer selected rows than that nothing is unpacked: rows are collected and reached one by one.
const FEW_ROWS: u32 = 20;
/// So many rows are collected.
const COLLECTED_ROWS: usize = 8_192;

/// What the rows of one part come to.
pub(super) struct Local<'p> {
    part: PartView<'p>,
    pub(super) keys: Vec<PartKeys<'p>>,
    /// What a number of each key counts for in a place.
    strides: Vec<u64>,
    pub(super) columns: Vec<FieldSums<'p>>,
    pub(super) spreads: Vec<Spread<'p>>,
    /// Of each place.
    rows: Vec<u64>,
    /// Whether a spread counts them instead.
    is_counted: bool,
    /// Rows of each place and sums of the first column.
    fused: Option<Fused>,
    /// Which keys are at which place, where not all have one.
    sparse: Option<(HashMap<u64, u32, Folding>, Vec<u64>)>,
    few: Vec<u32>,
    places: Box<[u32; CHUNK_ROWS]>,
    ends: Vec<u16>,
    runs: Vec<(Mask, usize)>,
    pub(super) seen: Seen,
}

/// How much of a part was looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen {
    /// Rows that are selected.
    pub(super) rows: u64,
    /// Chunks whose sums were taken.
    pub(super) sums: usize,
    /// Chunks that were unpacked.
    pub(super) unpacked: usize,
    /// Rows that were reached one by one.
    pub(super) reached: usize,
}

impl<'p> Local<'p> {
    /// `None` where the keys taken together have more values than a number.
    pub(super) fn new(
        part: PartView<'p>,
        keys: Vec<PartKeys<'p>>,
        columns: Vec<(Option<NumberField<'p>>, bool)>,
        spreads: impl Fn(usize) -> Result<Vec<Spread<'p>>>,
        rows_limit: u64,
    ) -> Result<Option<Self>> {
        let mut count = 1u64;
        let mut strides = vec![1; keys.len()];
        for (stride, part_keys) in strides.iter_mut().zip(&keys).rev() {
            *stride = count;
            let Some(all) = count.checked_mul(part_keys.count()) else { return Ok(None) };
            count = all;
        }
        let limit = rows_limit.saturating_mul(PLACES_A_ROW).clamp(PLACES_MIN, PLACES_MAX);
        let is_sparse = count > limit;
        let places = if is_sparse { 0 } else { count as usize };
        let columns = columns.into_iter();
        let columns: Vec<_> =
            columns.map(|(field, has_bounds)| FieldSums::new(field, has_bounds, places)).collect();
        let fuses = columns.first().and_then(|column| column.fuses(rows_limit));
        let spreads: Vec<Spread<'p>> = spreads(places)?;
        let fused = fuses.filter(|_| !is_sparse && !keys.is_empty());
        let fused = fused.map(|count_bits| Fused::new(count_bits, places));
        let is_counted = fused.is_none() && spreads.first().is_some_and(Spread::counts_rows);
        Ok(Some(Self {
            part,
            strides,
            columns,
            spreads,
            is_counted,
            seen: Seen::default(),
            rows: vec![0; places],
            fused,
            keys,
            sparse: is_sparse.then(Default::default),
            few: Vec::new(),
            places: Box::new([0; CHUNK_ROWS]),
            ends: Vec::new(),
            runs: Vec::new(),
        }))
    }

    /// Adds all rows, by what the part says of itself.
    pub(super) fn add_part(&mut self) {
        self.rows[0] += self.part.rows_count() as u64;
        self.seen.rows += self.part.rows_count() as u64;
        self.columns.iter_mut().for_each(FieldSums::add_part);
    }

    fn place_of(&mut self, combined: u64) -> u32 {
        // In a part that was made up a number may be anything.
        let Some((places, all)) = &mut self.sparse else {
            return combined.min(self.rows.len() as u64 - 1) as u32;
        };
        let next = all.len() as u32;
        let place = *places.entry(combined).or_insert(next);
        if place == next {
            all.push(combined);
            self.rows.push(0);
            self.columns.iter_mut().for_each(FieldSums::grow);
            self.spreads.iter_mut().for_each(Spread::grow);
        }
        place
    }

    /// The numbers of the keys of a chunk's rows, taken together: one for all rows, or for runs of them, whose ends are in
    /// `ends`; or each row's place is in `places`.
    fn chunk_keys(
        &mut self,
        chunk: usize,
        len: usize,
        scratch: &mut Scratch,
    ) -> Result<(ChunkKeys, u64)> {
        let mut base = 0u64;
        let mut runs = None;
        // Of the keys that each row has its own number of.
        let mut combined: Option<Box<[u64; CHUNK_ROWS]>> = None;
        let mut is_each = false;
        for at in 0..self.keys.len() {
            let (key, stride) = (&self.keys[at], self.strides[at]);
            if self.sparse.is_none() && !is_each && stride == 1 {
                // Numbers are places.
                if key.narrow(chunk, scratch.level, &mut self.places)?.is_some() {
                    is_each = true;
                    continue;
                }
            } else if self.sparse.is_none()
                && key.narrow(chunk, scratch.level, &mut scratch.narrow)?.is_some()
            {
                let stride = stride as u32;
                let pairs = self.places.iter_mut().zip(&scratch.narrow);
                if is_each {
                    pairs.for_each(|(place, number)| {
                        *place = place.wrapping_add(number.wrapping_mul(stride));
                    });
                } else {
                    pairs.for_each(|(place, number)| *place = number.wrapping_mul(stride));
                }
                is_each = true;
                continue;
            }
            let is_first = runs.is_none();
            let mut ends = if is_first { std::mem::take(&mut self.ends) } else { Vec::new() };
            match key.numbers(chunk, len, scratch.level, &mut ends, &mut scratch.wide)? {
                ChunkKeys::One(number) => {
                    let number = number.min(key.count() - 1);
                    base = base.wrapping_add(number.wrapping_mul(stride));
                }
                ChunkKeys::Runs(number) if runs.is_none() => {
                    base = base.wrapping_add(number.wrapping_mul(stride));
                    runs = Some(stride);
                }
                ChunkKeys::Runs(number) => {
                    let all = combined.get_or_insert_with(|| Box::new([0; CHUNK_ROWS]));
                    base = base.wrapping_add(number.wrapping_mul(stride));
                    for end in &ends {
                        let rows = all.get_mut(usize::from(*end)..).unwrap_or(&mut []);
                        rows.iter_mut().for_each(|to| *to = to.wrapping_add(stride));
                    }
                }
                ChunkKeys::Each => {
                    let all = combined.get_or_insert_with(|| Box::new([0; CHUNK_ROWS]));
                    for (to, number) in all.iter_mut().zip(&scratch.wide) {
                        *to = to.wrapping_add(number.wrapping_mul(stride));
                    }
                }
            }
            if is_first {
                self.ends = ends;
            }
        }
        if !is_each && combined.is_none() {
            return Ok(match runs {
                Some(stride) => (ChunkKeys::Runs(stride), base),
                None => (ChunkKeys::One(0), base),
            });
        }
        if self.sparse.is_some() {
            let mut all = combined.unwrap_or_else(|| Box::new([0; CHUNK_ROWS]));
            add_runs_to(&mut all, base, runs, &self.ends, |to, more| *to = to.wrapping_add(more));
            scratch.wide = *all;
        } else {
            let places = &mut self.places;
            if !is_each {
                places.fill(0);
            }
            if let Some(all) = combined {
                let pairs = places.iter_mut().zip(all.iter());
                pairs.for_each(|(place, more)| *place = place.wrapping_add(*more as u32));
            }
            let add = |to: &mut u32, more| *to = to.wrapping_add(more as u32);
            add_runs_to(places, base, runs, &self.ends, add);
        }
        Ok((ChunkKeys::Each, 0))
    }

    fn add_chunk(&mut self, chunk: usize, found: Selected, scratch: &mut Scratch) -> Result<()> {
        let all = existing(self.part.rows_count(), chunk);
        let mask = found.mask(all);
        let rows: u32 = mask.iter().map(|word| word.count_ones()).sum();
        if rows < FEW_ROWS && found != Selected::Everything {
            self.few.extend(rows_of(chunk as u32, mask));
            return if self.few.len() >= COLLECTED_ROWS { self.add_few() } else { Ok(()) };
        }
        self.seen.rows += u64::from(rows);
        let len = (self.part.rows_count() - chunk * CHUNK_ROWS).min(CHUNK_ROWS);
        let (keys, base) = self.chunk_keys(chunk, len, scratch)?;
        match keys {
            ChunkKeys::One(_) => {
                let place = self.place_of(base) as usize;
                self.count(place, rows);
                if found == Selected::Everything {
                    let is_read = self.spreads.iter().any(Spread::reads);
                    self.seen.sums += usize::from(!is_read);
                    self.seen.unpacked += usize::from(is_read);
                    let columns = self.columns.iter_mut();
                    columns.for_each(|column| column.add_zones(chunk, chunk + 1, place));
                    self.add_spread_runs(chunk, &[(mask, place)], scratch)
                } else {
                    self.add_runs(chunk, &[(mask, place)], scratch)
                }
            }
            ChunkKeys::Runs(stride) => {
                let ends = std::mem::take(&mut self.ends);
                let mut runs = std::mem::take(&mut self.runs);
                runs.clear();
                let (mut from, mut combined) = (0, base);
                for end in ends.iter().map(|end| usize::from(*end)).chain([len]) {
                    let mut run = [0; 4];
                    if from < end {
                        select(&mut run, from, end - 1);
                    }
                    let run = both(run, mask);
                    let rows: u32 = run.iter().map(|word| word.count_ones()).sum();
                    if rows > 0 {
                        let place = self.place_of(combined) as usize;
                        self.count(place, rows);
                        runs.push((run, place));
                    }
                    (from, combined) = (end.max(from), combined.wrapping_add(stride));
                }
                self.ends = ends;
                let added = self.add_runs(chunk, &runs, scratch);
                self.runs = runs;
                added
            }
            ChunkKeys::Each => self.add_each(chunk, len, mask, scratch),
        }
    }

    #[inline(always)]
    fn count(&mut self, place: usize, rows: u32) {
        if !self.is_counted {
            self.rows[place] += u64::from(rows);
        }
    }

    /// Whether numbers of selected rows are looked at: a count alone needs none.
    fn reads(&self) -> bool {
        self.columns.iter().any(|column| column.field.is_some())
            || self.spreads.iter().any(Spread::reads)
    }

    /// Adds rows of a chunk, in runs of one place each.
    fn add_runs(
        &mut self,
        chunk: usize,
        runs: &[(Mask, usize)],
        scratch: &mut Scratch,
    ) -> Result<()> {
        self.seen.unpacked += usize::from(self.reads());
        let mut columns = self.columns.iter_mut();
        columns.try_for_each(|column| column.add_runs(chunk, runs, scratch))?;
        self.add_spread_runs(chunk, runs, scratch)
    }

    fn add_spread_runs(
        &mut self,
        chunk: usize,
        runs: &[(Mask, usize)],
        scratch: &mut Scratch,
    ) -> Result<()> {
        let mut spreads = self.spreads.iter_mut();
        spreads.try_for_each(|spread| spread.add_runs(chunk, runs, scratch))
    }

    /// Adds rows of a chunk, each of which has a place of its own.
    fn add_each(
        &mut self,
        chunk: usize,
        len: usize,
        mask: Mask,
        scratch: &mut Scratch,
    ) -> Result<()> {
        let mut listed = [0u8; CHUNK_ROWS];
        let mut count = 0;
        let is_all = mask == existing(self.part.rows_count(), chunk);
        if !is_all {
            for row in rows_of(0, mask) {
                listed[count] = row as u8;
                count += 1;
            }
        }
        if self.sparse.is_some() {
            for row in rows_of(0, mask).map(|row| row as usize) {
                self.places[row] = self.place_of(scratch.wide[row]);
            }
        }
        let picked =
            Picked { rows: (!is_all).then_some(&listed[..count]), places: &self.places, len };
        let fuses = self.fused.is_some();
        if let (Some(fused), Some(first)) = (&mut self.fused, self.columns.first()) {
            first.add_fused(chunk, &picked, fused, scratch)?;
        } else if !self.is_counted {
            let rows = self.rows.as_mut_slice();
            picked.each(|_, place| {
                if let Some(count) = rows.get_mut(place) {
                    *count += 1;
                }
            });
        }
        self.seen.unpacked += 1;
        let mut columns = self.columns.iter_mut().skip(usize::from(fuses));
        columns.try_for_each(|column| column.add_each(chunk, &picked, scratch))?;
        let mut spreads = self.spreads.iter_mut();
        spreads.try_for_each(|spread| spread.add_each(chunk, &picked, scratch))
    }

    /// Adds the rows that were collected.
    pub(super) fn add_few(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.few);
        let added = self.add_rows(&rows);
        self.few = rows;
        self.few.clear();
        added
    }

    fn add_rows(&mut self, rows: &[u32]) -> Result<()> {
        self.seen.rows += rows.len() as u64;
        if self.reads() || !self.keys.is_empty() {
            self.seen.reached += rows.len();
        }
        if self.keys.is_empty() {
            self.count(0, rows.len() as u32);
            self.columns.iter_mut().try_for_each(|column| column.add_rows(rows, None))?;
            return self.spreads.iter_mut().try_for_each(|spread| spread.add_rows(rows, None));
        }
        let mut combined = vec![0u64; rows.len()];
        for (key, stride) in self.keys.iter().zip(&self.strides) {
            key.gather(rows, |at, number| {
                combined[at] = combined[at].wrapping_add(number.wrapping_mul(*stride));
            })?;
        }
        let places: Vec<u32> = combined.iter().map(|combined| self.place_of(*combined)).collect();
        places.iter().for_each(|place| self.count(*place as usize, 1));
        self.columns.iter_mut().try_for_each(|column| column.add_rows(rows, Some(&places)))?;
        self.spreads.iter_mut().try_for_each(|spread| spread.add_rows(rows, Some(&places)))
    }

    /// Ends adding: gives each group that has rows, by the numbers of its keys, its place, and how many rows it has.
    pub(super) fn finish(
        mut self,
        mut each: impl FnMut(&Self, &[u64], usize, u64) -> Result<()>,
    ) -> Result<()> {
        self.add_few()?;
        self.spreads.iter_mut().for_each(Spread::finish);
        if let (Some(fused), Some(first)) = (&self.fused, self.columns.first_mut()) {
            for (place, rows, sum) in fused.iter() {
                self.rows[place] += rows;
                first.add_sum(place, sum.into());
            }
        }
        if self.is_counted
            && let Some(spread) = self.spreads.first()
        {
            let rows = self.rows.iter_mut().enumerate();
            rows.for_each(|(place, rows)| *rows = spread.rows_count(place));
        }
        let mut numbers = vec![0; self.keys.len()];
        if let Some((_, all)) = &self.sparse {
            for (place, combined) in all.iter().enumerate() {
                let mut rest = *combined;
                for (number, stride) in numbers.iter_mut().zip(&self.strides) {
                    (*number, rest) = (rest / stride, rest % stride);
                }
                each(&self, &numbers, place, self.rows[place])?;
            }
            return Ok(());
        }
        for (place, rows) in self.rows.iter().enumerate() {
            if *rows > 0 {
                each(&self, &numbers, place, *rows)?;
            }
            // The numbers of the next place: the last one counts up, and carries.
            for (number, key) in numbers.iter_mut().zip(&self.keys).rev() {
                *number += 1;
                if *number < key.count() {
                    break;
                }
                *number = 0;
            }
        }
        Ok(())
    }
}

impl Visit for Local<'_> {
    fn stretch(&mut self, from: u32, to: u32, scratch: &mut Scratch) -> Result<()> {
        if !self.keys.is_empty() || self.spreads.iter().any(Spread::reads) {
            let mut chunks = from..to;
            return chunks.try_for_each(|chunk| {
                self.add_chunk(chunk as usize, Selected::Everything, scratch)
            });
        }
        let (from, to) = (from as usize, to as usize);
        let rows = (to * CHUNK_ROWS).min(self.part.rows_count()).saturating_sub(from * CHUNK_ROWS);
        self.rows[0] += rows as u64;
        self.seen.rows += rows as u64;
        self.seen.sums += to - from;
        self.columns.iter_mut().for_each(|column| column.add_zones(from, to, 0));
        Ok(())
    }

    fn chunk(&mut self, chunk: u32, found: Selected, scratch: &mut Scratch) -> Result<()> {
        self.add_chunk(chunk as usize, found, scratch)
    }

    fn rows(&mut self, rows: &[u32]) -> Result<()> {
        rows.chunks(COLLECTED_ROWS).try_for_each(|rows| self.add_rows(rows))
    }
}

/// Adds to numbers of rows what they have in common: a base, and a stride more from each of the ends on.
#[inline(always)]
fn add_runs_to<T>(
    all: &mut [T; CHUNK_ROWS],
    base: u64,
    runs: Option<u64>,
    ends: &[u16],
    add: impl Fn(&mut T, u64),
) {
    let Some(stride) = runs else {
        if base > 0 {
            all.iter_mut().for_each(|to| add(to, base));
        }
        return;
    };
    let (mut from, mut more) = (0, base);
    for end in ends.iter().map(|end| usize::from(*end)).chain([CHUNK_ROWS]) {
        all[from..end].iter_mut().for_each(|to| add(to, more));
        (from, more) = (end, more.wrapping_add(stride));
    }
}

/// A code of a part has no string. Which part that is, who asked it knows.
pub(super) fn broken() -> Error {
    let (section, what) = ("dictionary".to_owned(), "a code has no string");
    Error::Damaged { part: 0, section, offset: 0, what }
}
