//! The values of one field of a batch.

use crate::{Field, Value, ValueType, bits::Bits};

/// The values of one field, one a row; of a row that has none a zero or an empty string.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Column {
    pub(crate) values: Values,
    /// Which rows have a value; `None` if the field is not optional.
    pub(crate) present: Option<Bits>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Values {
    I64(Vec<i64>),
    F64(Vec<f64>),
    U64(Vec<u64>),
    U32(Vec<u32>),
    U16(Vec<u16>),
    Text(Texts),
}

/// Strings one behind the other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Texts {
    text: String,
    /// Where each ends; at the ends of characters.
    ends: Vec<u32>,
}

impl Texts {
    /// Strings from one that has them all and their ends; `None` if an end is before the one before it, inside
    /// of a character, or the last is not the end.
    pub(crate) fn from_parts(text: String, ends: Vec<u32>) -> Option<Self> {
        let mut start = 0;
        for end in &ends {
            if *end < start || !text.is_char_boundary(*end as usize) {
                return None;
            }
            start = *end;
        }
        (start as usize == text.len()).then_some(Self { text, ends })
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn bytes_count(&self) -> usize {
        self.text.len()
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// The string is short enough, and so are all together: the caller has checked it.
    pub(crate) fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.ends.push(self.text.len() as u32);
    }

    pub(crate) fn get(&self, at: usize) -> &str {
        let start = if at == 0 { 0 } else { self.ends[at - 1] as usize };
        &self.text[start..self.ends[at] as usize]
    }

    /// Lengths in bytes.
    pub(crate) fn lens(&self) -> impl Iterator<Item = u32> + '_ {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        self.ends.iter().zip(starts).map(|(end, start)| end - start)
    }

    fn truncate(&mut self, len: usize) {
        if len < self.ends.len() {
            self.ends.truncate(len);
            self.text.truncate(self.ends.last().map_or(0, |end| *end as usize));
        }
    }
}

impl Column {
    pub(crate) fn new(field: &Field) -> Self {
        let values = match field.value_type() {
            ValueType::I64 => Values::I64(Vec::new()),
            ValueType::F64 => Values::F64(Vec::new()),
            ValueType::U64 => Values::U64(Vec::new()),
            ValueType::U32 => Values::U32(Vec::new()),
            ValueType::U16 => Values::U16(Vec::new()),
            ValueType::Text => Values::Text(Texts::default()),
        };
        Self { values, present: field.is_optional().then(Bits::default) }
    }

    pub(crate) fn len(&self) -> usize {
        match &self.values {
            Values::I64(values) => values.len(),
            Values::F64(values) => values.len(),
            Values::U64(values) => values.len(),
            Values::U32(values) => values.len(),
            Values::U16(values) => values.len(),
            Values::Text(texts) => texts.len(),
        }
    }

    pub(crate) fn is_present(&self, row: usize) -> bool {
        self.present.as_ref().is_none_or(|present| present.get(row))
    }

    /// Notes that the value that was just added is one.
    #[inline]
    pub(crate) fn mark_present(&mut self) {
        if let Some(present) = &mut self.present {
            present.push(true);
        }
    }

    /// A row without a value.
    pub(crate) fn push_absent(&mut self) {
        match &mut self.values {
            Values::I64(values) => values.push(0),
            Values::F64(values) => values.push(0.0),
            Values::U64(values) => values.push(0),
            Values::U32(values) => values.push(0),
            Values::U16(values) => values.push(0),
            Values::Text(texts) => texts.push(""),
        }
        if let Some(present) = &mut self.present {
            present.push(false);
        }
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        match &mut self.values {
            Values::I64(values) => values.truncate(len),
            Values::F64(values) => values.truncate(len),
            Values::U64(values) => values.truncate(len),
            Values::U32(values) => values.truncate(len),
            Values::U16(values) => values.truncate(len),
            Values::Text(texts) => texts.truncate(len),
        }
        if let Some(present) = &mut self.present {
            present.truncate(len);
        }
    }

    pub(crate) fn get(&self, row: usize) -> Value<'_> {
        if !self.is_present(row) {
            return Value::Absent;
        }
        match &self.values {
            Values::I64(values) => Value::I64(values[row]),
            Values::F64(values) => Value::F64(values[row]),
            Values::U64(values) => Value::U64(values[row]),
            Values::U32(values) => Value::U64(values[row].into()),
            Values::U16(values) => Value::U64(values[row].into()),
            Values::Text(texts) => Value::Text(texts.get(row)),
        }
    }

    /// Adds the values of a column of the same type behind its own.
    pub(crate) fn append(&mut self, other: &Self) {
        match (&mut self.values, &other.values) {
            (Values::I64(to), Values::I64(from)) => to.extend_from_slice(from),
            (Values::F64(to), Values::F64(from)) => to.extend_from_slice(from),
            (Values::U64(to), Values::U64(from)) => to.extend_from_slice(from),
            (Values::U32(to), Values::U32(from)) => to.extend_from_slice(from),
            (Values::U16(to), Values::U16(from)) => to.extend_from_slice(from),
            (Values::Text(to), Values::Text(from)) => {
                let start = to.text.len() as u32;
                to.text.push_str(&from.text);
                to.ends.extend(from.ends.iter().map(|end| start + end));
            }
            _ => unreachable!("both columns are of one field of a schema"),
        }
        if let Some(present) = &mut self.present {
            (0..other.len()).for_each(|row| present.push(other.is_present(row)));
        }
    }
}
