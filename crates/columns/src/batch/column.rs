//! The values of one field of a batch.

use crate::{Field, Value, ValueType, bits::Bits};

/// The values of one field, one a row; of a row that has none a zero or an empty string.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Column {
    pub(crate) values: Values,
    /// Which rows have a value; `None` if the field is not optional.
    pub(crate) present: Option<Bits>,
    /// How many rows there are: asked for each value that is added, whatever its type is.
    len: usize,
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Texts {
    text: String,
    /// Where the first begins, and where each ends; at the ends of characters.
    bounds: Vec<u32>,
}

impl Default for Texts {
    fn default() -> Self {
        Self { text: String::new(), bounds: vec![0] }
    }
}

impl Texts {
    /// Strings from one that has them all and their bounds, the first of which is zero; `None` if an end is before the one
    /// before it, inside of a character, or the last is not the end.
    pub(crate) fn from_parts(text: String, bounds: Vec<u32>) -> Option<Self> {
        let mut start = 0;
        for end in &bounds {
            if *end < start || !text.is_char_boundary(*end as usize) {
                return None;
            }
            start = *end;
        }
        let is_whole = bounds.first() == Some(&0) && start as usize == text.len();
        is_whole.then_some(Self { text, bounds })
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.bounds.len() - 1
    }

    #[inline]
    pub(crate) fn bytes_count(&self) -> usize {
        self.text.len()
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// The string is short enough, and so are all together: the caller has checked it.
    #[inline]
    pub(crate) fn push(&mut self, text: &str) {
        self.text.push_str(text);
        self.bounds.push(self.text.len() as u32);
    }

    #[inline]
    pub(crate) fn get(&self, at: usize) -> &str {
        &self.text[self.bounds[at] as usize..self.bounds[at + 1] as usize]
    }

    /// Lengths in bytes.
    #[inline]
    pub(crate) fn lens(&self) -> impl ExactSizeIterator<Item = u32> + Clone + '_ {
        self.bounds.iter().zip(&self.bounds[1..]).map(|(start, end)| end - start)
    }

    /// Adds strings behind these; all together are short enough.
    fn append(&mut self, other: &Self) {
        let start = self.text.len() as u32;
        self.text.push_str(&other.text);
        self.bounds.extend(other.bounds[1..].iter().map(|end| start + end));
    }

    fn truncate(&mut self, len: usize) {
        if let Some(end) = self.bounds.get(len) {
            self.text.truncate(*end as usize);
            self.bounds.truncate(len + 1);
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
        Self { values, present: field.is_optional().then(Bits::default), len: 0 }
    }

    /// A column of so many values, and of which rows have one.
    pub(crate) fn of(values: Values, present: Option<Bits>, len: usize) -> Self {
        Self { values, present, len }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_present(&self, row: usize) -> bool {
        self.present.as_ref().is_none_or(|present| present.get(row))
    }

    /// Notes that the value that was just added is one.
    #[inline]
    pub(crate) fn mark_present(&mut self) {
        self.len += 1;
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
        self.len += 1;
        if let Some(present) = &mut self.present {
            present.push(false);
        }
    }

    pub(crate) fn truncate(&mut self, len: usize) {
        self.len = self.len.min(len);
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
            (Values::Text(to), Values::Text(from)) => to.append(from),
            _ => unreachable!("both columns are of one field of a schema"),
        }
        self.len += other.len;
        if let Some(present) = &mut self.present {
            (0..other.len()).for_each(|row| present.push(other.is_present(row)));
        }
    }
}
