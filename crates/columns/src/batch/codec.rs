//! The bytes of a batch (docs/formats/batch.md).
//!
//! They carry no checksum: they are kept in frames, which have one. Nothing they say is believed before it was
//! compared with what is there, and memory is taken for what is there only.

use super::{Batch, Column, ROWS_MAX, TEXT_BYTES_MAX, Texts, Values};
use crate::{
    Error, Field, Result, Schema, ValueType,
    bits::Bits,
    number::{take, take_u8, take_u32, take_u64},
};
use std::sync::Arc;

/// The version of the bytes of a batch.
pub const BATCH_VERSION: u8 = 1;

/// Of a column whose rows all have a value, and of one with a bit for each row.
const ALL_PRESENT: u8 = 0;
const SOME_PRESENT: u8 = 1;

impl Batch {
    /// Appends the batch as bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        // At once: memory that grows is copied again and again.
        out.reserve(self.encoded_bytes_max());
        out.push(BATCH_VERSION);
        out.extend_from_slice(&self.schema.fingerprint().to_le_bytes());
        out.extend_from_slice(&(self.rows as u32).to_le_bytes());
        for column in &self.columns {
            match &column.present {
                Some(present) if present.ones_count() < self.rows => {
                    out.push(SOME_PRESENT);
                    present.put_bytes(out);
                }
                _ => out.push(ALL_PRESENT),
            }
            match &column.values {
                Values::I64(values) => put_all(values, |value| value.to_le_bytes(), out),
                Values::F64(values) => put_all(values, |value| value.to_le_bytes(), out),
                Values::U64(values) => put_all(values, |value| value.to_le_bytes(), out),
                Values::U32(values) => put_all(values, |value| value.to_le_bytes(), out),
                Values::U16(values) => put_all(values, |value| value.to_le_bytes(), out),
                Values::Text(texts) => put_texts(texts, out),
            }
        }
    }

    /// No fewer bytes than it takes.
    fn encoded_bytes_max(&self) -> usize {
        let column = |column: &Column| {
            let values = match &column.values {
                Values::I64(values) => size_of_val(values.as_slice()),
                Values::F64(values) => size_of_val(values.as_slice()),
                Values::U64(values) => size_of_val(values.as_slice()),
                Values::U32(values) => size_of_val(values.as_slice()),
                Values::U16(values) => size_of_val(values.as_slice()),
                Values::Text(texts) => 5 + 4 * texts.len() + texts.bytes_count(),
            };
            1 + column.present.as_ref().map_or(0, |_| self.rows.div_ceil(8)) + values
        };
        13 + self.columns.iter().map(column).sum::<usize>()
    }

    /// A batch from its bytes.
    ///
    /// # Errors
    /// [`Error::OtherSchema`] if it was written with another schema than the one given, [`Error::Version`], or
    /// [`Error::Malformed`].
    pub fn decode(schema: &Arc<Schema>, bytes: &[u8]) -> Result<Self> {
        let mut rest = bytes;
        Self::take(schema, &mut rest).map_err(|fault| fault.at(bytes.len() - rest.len()))
    }

    /// What the bytes of a batch say of it: the fingerprint of its schema, and how many events it has. Nothing else of
    /// them is looked at.
    ///
    /// ```
    /// use annals_columns::{Batch, Role, Schema};
    /// use std::sync::Arc;
    /// let schema = Arc::new(Schema::builder(1).with("at", Role::Ts).build()?);
    /// let mut bytes = Vec::new();
    /// Batch::new(Arc::clone(&schema)).encode(&mut bytes);
    /// assert_eq!(Batch::peek(&bytes)?, (schema.fingerprint(), 0));
    /// # Ok::<(), annals_columns::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Version`] or [`Error::Malformed`].
    pub fn peek(bytes: &[u8]) -> Result<(u64, usize)> {
        let mut rest = bytes;
        Self::take_head(&mut rest).map_err(|fault| fault.at(bytes.len() - rest.len()))
    }

    fn take_head(rest: &mut &[u8]) -> Result<(u64, usize), Fault> {
        let version = take_u8(rest).ok_or("there is nothing")?;
        if version != BATCH_VERSION {
            let (found, expected) = (version.into(), BATCH_VERSION.into());
            return Err(Fault::Error(Error::Version { kind: "batch", found, expected }));
        }
        let fingerprint = take_u64(rest).ok_or(CUT)?;
        let rows = take_u32(rest).ok_or(CUT)? as usize;
        if rows > ROWS_MAX {
            return Err("there are too many rows".into());
        }
        Ok((fingerprint, rows))
    }

    fn take(schema: &Arc<Schema>, rest: &mut &[u8]) -> Result<Self, Fault> {
        let (found, rows) = Self::take_head(rest)?;
        if found != schema.fingerprint() {
            let expected = Arc::clone(schema);
            return Err(Fault::Error(Error::OtherSchema { found, expected }));
        }
        let mut columns = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            columns.push(take_column(field, rows, rest)?);
        }
        if !rest.is_empty() {
            return Err("something follows it".into());
        }
        Ok(Self { schema: Arc::clone(schema), rows, columns })
    }
}

const CUT: &str = "it is cut off";

/// Why a batch cannot be read.
enum Fault {
    Error(Error),
    Malformed(&'static str),
}

impl Fault {
    fn at(self, offset: usize) -> Error {
        match self {
            Self::Error(error) => error,
            Self::Malformed(what) => {
                Error::Malformed { kind: "batch", what, offset: offset as u64 }
            }
        }
    }
}

impl From<&'static str> for Fault {
    fn from(what: &'static str) -> Self {
        Self::Malformed(what)
    }
}

#[inline]
fn put_all<T: Copy, const N: usize>(values: &[T], to: impl Fn(T) -> [u8; N], out: &mut Vec<u8>) {
    put_each(values.iter().copied(), to, out);
}

#[inline]
fn put_each<T, const N: usize>(
    values: impl ExactSizeIterator<Item = T>,
    to: impl Fn(T) -> [u8; N],
    out: &mut Vec<u8>,
) {
    let start = out.len();
    out.resize(start + N * values.len(), 0);
    let (places, _) = out[start..].as_chunks_mut::<N>();
    for (place, value) in places.iter_mut().zip(values) {
        *place = to(value);
    }
}

/// Lengths in as few bytes as the longest needs, then the strings.
fn put_texts(texts: &Texts, out: &mut Vec<u8>) {
    let lens = texts.lens();
    let width = match lens.clone().max().unwrap_or(0) {
        0..=0xff => 1,
        0x100..=0xffff => 2,
        _ => 4,
    };
    out.push(width);
    out.extend_from_slice(&(texts.bytes_count() as u32).to_le_bytes());
    match width {
        1 => put_each(lens, |len| [len as u8], out),
        2 => put_each(lens, |len| (len as u16).to_le_bytes(), out),
        _ => put_each(lens, u32::to_le_bytes, out),
    }
    out.extend_from_slice(texts.as_bytes());
}

fn take_column(field: &Field, rows: usize, rest: &mut &[u8]) -> Result<Column, Fault> {
    let present = match take_u8(rest).ok_or(CUT)? {
        ALL_PRESENT => None,
        SOME_PRESENT if field.is_optional() => {
            let bytes = take(rest, rows.div_ceil(8)).ok_or(CUT)?;
            let present =
                Bits::from_bytes(bytes, rows).ok_or("bits behind the last row are set")?;
            Some(present)
        }
        _ => return Err("what says which rows have a value makes no sense".into()),
    };
    let values = match field.value_type() {
        ValueType::I64 => Values::I64(take_all(rows, i64::from_le_bytes, rest)?),
        ValueType::F64 => Values::F64(take_all(rows, f64::from_le_bytes, rest)?),
        ValueType::U64 => Values::U64(take_all(rows, u64::from_le_bytes, rest)?),
        ValueType::U32 => Values::U32(take_all(rows, u32::from_le_bytes, rest)?),
        ValueType::U16 => Values::U16(take_all(rows, u16::from_le_bytes, rest)?),
        ValueType::Text => Values::Text(take_texts(rows, rest)?),
    };
    let present = present.or_else(|| {
        field.is_optional().then(|| {
            let mut all = Bits::default();
            (0..rows).for_each(|_| all.push(true));
            all
        })
    });
    Ok(Column::of(values, present, rows))
}

fn take_all<T, const N: usize>(
    rows: usize,
    from: impl Fn([u8; N]) -> T,
    rest: &mut &[u8],
) -> Result<Vec<T>, Fault> {
    let (values, _) = take(rest, N * rows).ok_or(CUT)?.as_chunks::<N>();
    Ok(values.iter().map(|value| from(*value)).collect())
}

fn take_texts(rows: usize, rest: &mut &[u8]) -> Result<Texts, Fault> {
    let width = usize::from(take_u8(rest).ok_or(CUT)?);
    if !matches!(width, 1 | 2 | 4) {
        return Err("the lengths of strings have a width that makes no sense".into());
    }
    let bytes_count = take_u32(rest).ok_or(CUT)? as usize;
    let lens = take(rest, width * rows).ok_or(CUT)?;
    let text = take(rest, bytes_count).ok_or(CUT)?;
    let text = str::from_utf8(text).map_err(|_| "a string is not UTF-8")?;
    let mut end = 0u64;
    let mut bounds = Vec::with_capacity(rows + 1);
    bounds.push(0);
    for len in lens.chunks_exact(width) {
        let mut word = [0; 4];
        word[..width].copy_from_slice(len);
        let len = u32::from_le_bytes(word);
        end += u64::from(len);
        if len as usize > TEXT_BYTES_MAX || end > bytes_count as u64 {
            return Err("a string is longer than there is".into());
        }
        bounds.push(end as u32);
    }
    Ok(Texts::from_parts(text.to_owned(), bounds).ok_or("strings do not end where they should")?)
}
