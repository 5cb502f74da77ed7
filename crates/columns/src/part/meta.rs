//! What a part says of its columns: where their sections are, and what is true of all rows.

use super::day_sums::DaySumsMeta;
use crate::{
    Field, Schema,
    number::{put_bytes, put_varint, take_bytes, take_u8, take_u32, take_u64, take_varint},
};

const NOTHING: u8 = 0;
const NUMBERS: u8 = 1;
const CODES: u8 = 2;
const TEXTS: u8 = 3;

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ColumnMeta {
    /// No row has a value.
    Nothing,
    /// Numbers.
    Numbers(NumberMeta, Option<u32>),
    /// Strings by their codes in a dictionary.
    Codes(NumberMeta, DictionaryMeta),
    /// Strings one by one.
    Texts(TextMeta),
}

/// Where numbers are. They are kept less `base`, divided by `step`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct NumberMeta {
    /// The lowest image.
    pub(crate) base: u64,
    /// What all images are a multiple of apart; at least 1.
    pub(crate) step: u64,
    /// The highest number as it is kept.
    pub(crate) top: u64,
    /// The sum of all numbers as they are kept; of numbers with fractions the bits of their sum.
    pub(crate) sum: u128,
    /// Rows that have a value.
    pub(crate) present_count: u32,
    /// The sections: which rows these are, the chunks, the zones, the first page.
    pub(crate) present: Option<u32>,
    pub(crate) chunks: u32,
    pub(crate) zones: u32,
    pub(crate) pages: u32,
}

/// Where the strings of codes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DictionaryMeta {
    /// How many strings there are.
    pub(super) count: u32,
    /// The sections: strings, filter, rows of each string.
    pub(super) texts: u32,
    pub(super) filter: Option<u32>,
    pub(super) postings: Option<u32>,
}

/// Where strings are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TextMeta {
    /// Rows that have a value.
    pub(super) present_count: u32,
    /// The sections: which rows these are, the chunks, the first page, and of ids the index.
    pub(super) present: Option<u32>,
    pub(super) chunks: u32,
    pub(super) pages: u32,
    pub(super) id_index: Option<u32>,
}

impl NumberMeta {
    /// The image of what is kept.
    #[inline(always)]
    pub(super) fn image(&self, kept: u64) -> u64 {
        self.base.wrapping_add(self.step.wrapping_mul(kept))
    }
}

/// All columns.
#[derive(Clone, Debug)]
pub(super) struct Columns {
    pub(super) schema: Schema,
    /// The order in which rows came.
    pub(super) arrival: NumberMeta,
    /// Those of the schema.
    pub(super) columns: Vec<ColumnMeta>,
    /// Sums by day and values; from version 2 on.
    pub(super) day_sums: Vec<DaySumsMeta>,
}

impl Columns {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_bytes(&self.schema.encode(), &mut out);
        put_numbers(&self.arrival, &mut out);
        for column in &self.columns {
            match column {
                ColumnMeta::Nothing => out.push(NOTHING),
                ColumnMeta::Numbers(numbers, row_sets) => {
                    out.push(NUMBERS);
                    put_numbers(numbers, &mut out);
                    put_option(*row_sets, &mut out);
                }
                ColumnMeta::Codes(numbers, dictionary) => {
                    out.push(CODES);
                    put_numbers(numbers, &mut out);
                    put_varint(dictionary.count.into(), &mut out);
                    put_varint(dictionary.texts.into(), &mut out);
                    put_option(dictionary.filter, &mut out);
                    put_option(dictionary.postings, &mut out);
                }
                ColumnMeta::Texts(texts) => {
                    out.push(TEXTS);
                    put_varint(texts.present_count.into(), &mut out);
                    put_option(texts.present, &mut out);
                    put_varint(texts.chunks.into(), &mut out);
                    put_varint(texts.pages.into(), &mut out);
                    put_option(texts.id_index, &mut out);
                }
            }
        }
        if !self.day_sums.is_empty() {
            put_varint(self.day_sums.len() as u64, &mut out);
            self.day_sums.iter().for_each(|sums| sums.encode(&mut out));
        }
        out
    }

    /// The columns of a part; `None` if these bytes make no sense.
    pub(super) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let rest = &mut bytes;
        let schema = Schema::decode(take_bytes(rest)?).ok()?;
        let arrival = take_numbers(rest)?;
        let mut columns = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            let column = take_column(rest)?;
            if !fits(field, &column) {
                return None;
            }
            columns.push(column);
        }
        let mut day_sums = Vec::new();
        // Parts of version 1 end here.
        if !rest.is_empty() {
            for _ in 0..take_varint(rest)? {
                day_sums.push(DaySumsMeta::decode(rest, &schema)?);
            }
        }
        rest.is_empty().then_some(Self { schema, arrival, columns, day_sums })
    }
}

/// Whether a column may be that of a field.
fn fits(field: &Field, column: &ColumnMeta) -> bool {
    let is_text = field.value_type() == crate::ValueType::Text;
    let has_all = |present: &Option<u32>| field.is_optional() || present.is_none();
    match column {
        ColumnMeta::Nothing => field.is_optional(),
        ColumnMeta::Numbers(numbers, _) => !is_text && has_all(&numbers.present),
        ColumnMeta::Codes(numbers, _) => is_text && has_all(&numbers.present),
        ColumnMeta::Texts(texts) => is_text && has_all(&texts.present),
    }
}

/// Ordinals from 1 on; 0 is none.
fn put_option(ordinal: Option<u32>, out: &mut Vec<u8>) {
    put_varint(ordinal.map_or(0, |ordinal| u64::from(ordinal) + 1), out);
}

fn take_option(rest: &mut &[u8]) -> Option<Option<u32>> {
    match take_varint(rest)? {
        0 => Some(None),
        ordinal => Some(Some(u32::try_from(ordinal - 1).ok()?)),
    }
}

fn take_ordinal(rest: &mut &[u8]) -> Option<u32> {
    u32::try_from(take_varint(rest)?).ok()
}

fn put_numbers(numbers: &NumberMeta, out: &mut Vec<u8>) {
    for number in [numbers.base, numbers.step, numbers.top] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out.extend_from_slice(&numbers.sum.to_le_bytes());
    out.extend_from_slice(&numbers.present_count.to_le_bytes());
    put_option(numbers.present, out);
    [numbers.chunks, numbers.zones, numbers.pages]
        .into_iter()
        .for_each(|at| put_varint(at.into(), out));
}

fn take_numbers(rest: &mut &[u8]) -> Option<NumberMeta> {
    let (base, step, top) = (take_u64(rest)?, take_u64(rest)?, take_u64(rest)?);
    let (low, high) = (take_u64(rest)?, take_u64(rest)?);
    let numbers = NumberMeta {
        base,
        step,
        top,
        sum: u128::from(high) << 64 | u128::from(low),
        present_count: take_u32(rest)?,
        present: take_option(rest)?,
        chunks: take_ordinal(rest)?,
        zones: take_ordinal(rest)?,
        pages: take_ordinal(rest)?,
    };
    (step > 0).then_some(numbers)
}

fn take_column(rest: &mut &[u8]) -> Option<ColumnMeta> {
    Some(match take_u8(rest)? {
        NOTHING => ColumnMeta::Nothing,
        NUMBERS => ColumnMeta::Numbers(take_numbers(rest)?, take_option(rest)?),
        CODES => {
            let numbers = take_numbers(rest)?;
            let dictionary = DictionaryMeta {
                count: take_ordinal(rest)?,
                texts: take_ordinal(rest)?,
                filter: take_option(rest)?,
                postings: take_option(rest)?,
            };
            ColumnMeta::Codes(numbers, dictionary)
        }
        TEXTS => ColumnMeta::Texts(TextMeta {
            present_count: take_ordinal(rest)?,
            present: take_option(rest)?,
            chunks: take_ordinal(rest)?,
            pages: take_ordinal(rest)?,
            id_index: take_option(rest)?,
        }),
        _ => return None,
    })
}
