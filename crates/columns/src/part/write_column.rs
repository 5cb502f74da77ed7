//! Writing one column of a part: all its sections.

use super::{
    PAGE_CHUNKS, dictionary, filter,
    frame::Writer,
    id_index, image,
    meta::{DictionaryMeta, NumberMeta, TextMeta},
    numbers, row_set, texts,
    zones::{Sums, Zone, ZonesBuilder},
};
use crate::{kernels::CHUNK, query::Folding};
use std::collections::{BTreeMap, HashSet};

/// The values of a column in the order of the part's rows: of a row without one anything.
pub(super) struct Sorted<T> {
    pub(super) values: Vec<T>,
    /// The rows that have a value; `None`: all.
    pub(super) present: Option<Vec<u32>>,
}

impl<T> Sorted<T> {
    fn present_count(&self) -> usize {
        self.present.as_ref().map_or(self.values.len(), Vec::len)
    }

    fn is_present(&self) -> Vec<bool> {
        let Some(present) = &self.present else { return vec![true; self.values.len()] };
        let mut is_present = vec![false; self.values.len()];
        present.iter().for_each(|row| is_present[*row as usize] = true);
        is_present
    }

    fn write_present(&self, writer: &mut Writer) -> Option<u32> {
        let mut bytes = Vec::new();
        row_set::encode(self.present.as_ref()?, &mut bytes);
        Some(writer.add(&bytes))
    }
}

/// How images are made smaller: all less the lowest, divided by what they are a multiple of apart.
fn scale(images: &Sorted<u64>, is_present: &[bool]) -> (u64, u64) {
    let present =
        || images.values.iter().zip(is_present).filter(|(_, is)| **is).map(|(image, _)| *image);
    let base = present().min().unwrap_or(0);
    let mut step = 0;
    for image in present() {
        step = gcd(image - base, step);
        if step == 1 {
            break;
        }
    }
    (base, step.max(1))
}

fn gcd(mut one: u64, mut other: u64) -> u64 {
    while other != 0 {
        (one, other) = (other, one % other);
    }
    one
}

/// Writes numbers, given by their images.
pub(super) fn write_numbers(
    mut images: Sorted<u64>,
    sums: Sums,
    writer: &mut Writer,
) -> NumberMeta {
    let is_present = images.is_present();
    // Codes stay what they are: they are looked up.
    let (base, step) = if sums == Sums::None { (0, 1) } else { scale(&images, &is_present) };
    let mut meta = NumberMeta {
        base,
        step,
        present_count: images.present_count() as u32,
        ..NumberMeta::default()
    };
    // A row without a number is as the one before it: it widens nothing.
    let mut last = 0;
    for (image, is_present) in images.values.iter_mut().zip(&is_present) {
        if *is_present {
            last = (*image - base) / step;
        }
        *image = last;
        meta.top = meta.top.max(last);
    }
    let mut zones = ZonesBuilder::default();
    let (mut chunks, mut pages) = (Vec::new(), vec![Vec::new()]);
    let mut float_sum = 0.0;
    for (at, kept) in images.values.chunks(CHUNK).enumerate() {
        if at > 0 && at.is_multiple_of(PAGE_CHUNKS) {
            pages.push(Vec::new());
        }
        if let Some(page) = pages.last_mut() {
            numbers::encode(kept, page, &mut chunks);
        }
        let present = || {
            kept.iter().zip(&is_present[at * CHUNK..]).filter(|(_, is)| **is).map(|(kept, _)| *kept)
        };
        let zone = Zone {
            min: present().min().unwrap_or(0),
            max: present().max().unwrap_or(0),
            count: present().count() as u32,
        };
        if sums == Sums::Float {
            let float = |kept: u64| image::to_f64(base.wrapping_add(step.wrapping_mul(kept)));
            let sum: f64 = present().map(float).fold(0.0, |sum, number| sum + number);
            float_sum += sum;
            zones.add(zone, sum.to_bits().into());
        } else {
            let sum = present().map(u128::from).sum();
            meta.sum += sum;
            zones.add(zone, sum);
        }
    }
    if sums == Sums::Float {
        meta.sum = float_sum.to_bits().into();
    }
    meta.present = images.write_present(writer);
    meta.chunks = writer.add(&chunks);
    let mut bytes = Vec::new();
    zones.encode(meta.top, sums, meta.present.is_some(), &mut bytes);
    meta.zones = writer.add(&bytes);
    meta.pages = add_pages(&pages, writer);
    meta
}

/// Adds the pages of a column, one behind the other; says the first one's ordinal.
fn add_pages(pages: &[Vec<u8>], writer: &mut Writer) -> u32 {
    let ordinals: Vec<u32> = pages.iter().map(|page| writer.add(page)).collect();
    ordinals.first().copied().unwrap_or(0)
}

/// Writes numbers of few values, and which rows have each.
pub(super) fn write_with_row_sets(
    images: Sorted<u64>,
    writer: &mut Writer,
) -> (NumberMeta, Option<u32>) {
    let mut rows_of: BTreeMap<u16, Vec<u32>> = BTreeMap::new();
    let is_present = images.is_present();
    for (row, (image, is_present)) in (0..).zip(images.values.iter().zip(&is_present)) {
        if *is_present {
            rows_of.entry(*image as u16).or_default().push(row);
        }
    }
    let meta = write_numbers(images, Sums::Whole, writer);
    let mut bytes = Vec::new();
    bytes.extend_from_slice(&(rows_of.len() as u32).to_le_bytes());
    rows_of.keys().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    let lists: Vec<Vec<u32>> = rows_of.into_values().collect();
    put_row_sets(&lists, &mut bytes);
    (meta, Some(writer.add(&bytes)))
}

/// Appends sets of rows: where each begins, from the start of these places on, then the sets.
fn put_row_sets(lists: &[Vec<u32>], out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + 4 * lists.len(), 0);
    for (at, rows) in lists.iter().enumerate() {
        let place = ((out.len() - start) as u32).to_le_bytes();
        out[start + 4 * at..][..4].copy_from_slice(&place);
        row_set::encode(rows, out);
    }
}

/// What there is for the strings of a column beside their codes.
#[derive(Clone, Copy)]
pub(super) struct Indexing {
    /// A filter, and which rows have each string.
    pub(super) has_bloom: bool,
    pub(super) database_id: u64,
}

/// Writes strings by their codes in a dictionary.
pub(super) fn write_codes(
    strings: &Sorted<&str>,
    indexing: Indexing,
    writer: &mut Writer,
) -> (NumberMeta, DictionaryMeta) {
    let is_present = strings.is_present();
    let all = strings.values.iter().zip(&is_present);
    let (different, codes) = dictionary::coded(all.map(|(text, is)| is.then_some(*text)));
    // A row without a string has any code.
    let values: Vec<u64> = codes.into_iter().map(|code| code.saturating_sub(1).into()).collect();
    let mut dictionary_bytes = Vec::new();
    dictionary::encode(&different, &mut dictionary_bytes);
    let mut meta = DictionaryMeta {
        count: different.len() as u32,
        texts: writer.add(&dictionary_bytes),
        filter: None,
        postings: None,
    };
    if indexing.has_bloom {
        let hashes: Vec<u64> =
            different.iter().map(|text| filter::hash(indexing.database_id, text)).collect();
        let mut bytes = Vec::new();
        filter::encode(&hashes, &mut bytes);
        meta.filter = Some(writer.add(&bytes));
        let mut lists = vec![Vec::new(); different.len()];
        for (row, (code, is_present)) in (0..).zip(values.iter().zip(&is_present)) {
            if *is_present {
                lists[*code as usize].push(row);
            }
        }
        let mut bytes = Vec::new();
        put_row_sets(&lists, &mut bytes);
        meta.postings = Some(writer.add(&bytes));
    }
    let present = strings.present.clone();
    (write_numbers(Sorted { values, present }, Sums::None, writer), meta)
}

/// Whether strings are so often the same that a dictionary pays: looked at in a part of them.
pub(super) fn are_few(strings: &Sorted<&str>) -> bool {
    let mut seen = HashSet::<&str, Folding>::default();
    let limit = strings.values.len() / 4;
    strings.values.iter().all(|text| {
        seen.insert(*text);
        seen.len() <= limit
    })
}

/// Writes strings one by one; ids with an index of their hashes.
pub(super) fn write_texts(
    strings: &Sorted<&str>,
    id_seed: Option<u64>,
    writer: &mut Writer,
) -> TextMeta {
    let (mut chunks, mut pages) = (Vec::new(), vec![Vec::new()]);
    for (at, strings) in strings.values.chunks(CHUNK).enumerate() {
        if at > 0 && at.is_multiple_of(PAGE_CHUNKS) {
            pages.push(Vec::new());
        }
        let bytes: Vec<&[u8]> = strings.iter().map(|text| text.as_bytes()).collect();
        if let Some(page) = pages.last_mut() {
            texts::encode(&bytes, page, &mut chunks);
        }
    }
    let present = strings.write_present(writer);
    let chunks = writer.add(&chunks);
    let pages = add_pages(&pages, writer);
    let id_index = id_seed.map(|seed| {
        let is_present = strings.is_present();
        let ids = (0..).zip(strings.values.iter().zip(&is_present));
        let hashes =
            ids.filter(|(_, (_, is))| **is).map(|(row, (text, _))| (filter::hash(seed, text), row));
        let mut bytes = Vec::new();
        id_index::encode(hashes.collect(), strings.values.len(), &mut bytes);
        writer.add(&bytes)
    });
    let present_count = strings.present_count() as u32;
    TextMeta { present_count, present, chunks, pages, id_index }
}
