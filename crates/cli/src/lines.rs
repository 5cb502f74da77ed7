//! Line-based input as records, raw bytes throughout.
//!
//! A line ends with a line feed; the last one may lack it. The line feed is no part of the record,
//! a carriage return before it is: what a file holds is stored, not interpreted; but of
//! lines without keys, which are text, a byte order mark in front of the first is none of it. At most one line
//! is in memory at a time, and none longer than a key, a separator and a value may be. Blank lines are
//! passed over and counted, unless the line's number makes a record of each.

use std::io::{self, BufRead, Read};

/// What some editors and shells put in front of a file of text.
pub(crate) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The longest line: the longest key and value a database takes, and room for a separator.
pub(crate) const LINE_BYTES_MAX: u64 = (1 << 30) + (64 << 10) + (4 << 10);

/// Where a record's key comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyRule {
    /// What stands before the first separator; the rest is the value.
    Separator(Vec<u8>),
    /// The number of the line in ten digits; the whole line is the value.
    LineNumber,
    /// It has none; the whole line is the value.
    Nothing,
}

/// A reader of records.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    input: R,
    rule: KeyRule,
    line_bytes_max: u64,
    number: u64,
    consumed_bytes: u64,
    line: Vec<u8>,
    number_key: Vec<u8>,
    /// Whether `line` was read and not given out.
    is_ahead: bool,
    /// Lines that were passed over because nothing is on them.
    blank_count: u64,
}

/// A record read from a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// Its key.
    pub(crate) key: &'a [u8],
    /// Its value.
    pub(crate) value: &'a [u8],
}

/// A line that is no record.
#[derive(Debug)]
pub(crate) enum LineError {
    /// It lacks the separator.
    NoSeparator {
        /// Which line, counted from 1.
        number: u64,
    },
    /// It is longer than a record may be.
    TooLong {
        /// Which line, counted from 1.
        number: u64,
        /// The most bytes a line may have.
        limit_bytes: u64,
    },
    /// It could not be read.
    Io(io::Error),
}

impl<R: BufRead> Lines<R> {
    /// Reads records from `input`.
    pub(crate) fn new(input: R, rule: KeyRule) -> Self {
        Self {
            input,
            rule,
            line_bytes_max: LINE_BYTES_MAX,
            number: 0,
            consumed_bytes: 0,
            line: Vec::new(),
            number_key: Vec::new(),
            is_ahead: false,
            blank_count: 0,
        }
    }

    /// The number of the line read last, counted from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// How many lines without anything on them were passed over.
    pub(crate) fn blank_count(&self) -> u64 {
        self.blank_count
    }

    /// Bytes of input behind us.
    pub(crate) fn consumed_bytes(&self) -> u64 {
        self.consumed_bytes
    }

    /// Reads the first record, so that nothing is made for input of which even that is none. It comes
    /// again with [`next`](Self::next).
    pub(crate) fn begin(&mut self) -> Result<Option<Line<'_>>, LineError> {
        let is_there = self.next()?.is_some();
        self.is_ahead = is_there;
        if is_there { self.record().map(Some) } else { Ok(None) }
    }

    /// The next record; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Line<'_>>, LineError> {
        if !std::mem::take(&mut self.is_ahead) {
            loop {
                if !self.read()? {
                    return Ok(None);
                }
                if !self.is_blank() {
                    break;
                }
                self.blank_count += 1;
            }
        }
        self.record().map(Some)
    }

    /// Whether nothing is on the line but perhaps a carriage return: no record, and nothing that anybody
    /// meant to be one. Where the line's number is the key it is a record without a value.
    fn is_blank(&self) -> bool {
        matches!(&*self.line, b"" | b"\r")
            && match &self.rule {
                KeyRule::Separator(separator) => find(&self.line, separator).is_none(),
                KeyRule::LineNumber => false,
                KeyRule::Nothing => true,
            }
    }

    /// Reads a line; false at the end.
    fn read(&mut self) -> Result<bool, LineError> {
        // A buffer that one huge line has grown goes back before the next one.
        if self.line.capacity() > 1 << 20 {
            self.line = Vec::new();
        }
        self.line.clear();
        let mut limited = (&mut self.input).take(self.line_bytes_max + 1);
        let read = limited.read_until(b'\n', &mut self.line).map_err(LineError::Io)?;
        if read == 0 {
            return Ok(false);
        }
        self.number += 1;
        self.consumed_bytes += read as u64;
        let number = self.number;
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
        } else if read as u64 > self.line_bytes_max {
            return Err(LineError::TooLong { number, limit_bytes: self.line_bytes_max });
        }
        if number == 1 && self.rule == KeyRule::Nothing && self.line.starts_with(BYTE_ORDER_MARK) {
            self.line.drain(..BYTE_ORDER_MARK.len());
        }
        Ok(true)
    }

    /// The line that was read, as a record.
    fn record(&mut self) -> Result<Line<'_>, LineError> {
        let number = self.number;
        match &self.rule {
            KeyRule::Separator(separator) => {
                let at = find(&self.line, separator).ok_or(LineError::NoSeparator { number })?;
                let (key, rest) = self.line.split_at(at);
                Ok(Line { key, value: &rest[separator.len()..] })
            }
            KeyRule::LineNumber => {
                self.number_key = line_number_key(number);
                Ok(Line { key: &self.number_key, value: &self.line })
            }
            KeyRule::Nothing => Ok(Line { key: &[], value: &self.line }),
        }
    }
}

/// The key of a line: its number in ten digits, so that keys sort as lines do.
pub(crate) fn line_number_key(number: u64) -> Vec<u8> {
    format!("{number:010}").into_bytes()
}

/// Where `needle`, which is not empty, first stands in `hay`.
pub(crate) fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    let (first, rest) = needle.split_first()?;
    let mut from = 0;
    while let Some(step) = hay[from..].iter().position(|byte| byte == first) {
        let at = from + step;
        if hay[at + 1..].starts_with(rest) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    type Record = (Vec<u8>, Vec<u8>);

    fn all(input: &[u8], rule: KeyRule) -> Result<Vec<Record>, LineError> {
        let mut lines = Lines::new(input, rule);
        let mut records = Vec::new();
        while let Some(line) = lines.next()? {
            records.push((line.key.to_vec(), line.value.to_vec()));
        }
        assert_eq!(lines.consumed_bytes(), input.len() as u64);
        Ok(records)
    }

    fn separated(input: &[u8], separator: &[u8]) -> Result<Vec<Record>, LineError> {
        all(input, KeyRule::Separator(separator.to_vec()))
    }

    fn record(key: &[u8], value: &[u8]) -> Record {
        (key.to_vec(), value.to_vec())
    }

    #[test]
    fn the_first_separator_counts() {
        let records = separated(b"a,1,2\n,empty key\nempty value,\n", b",").unwrap();
        let wanted = [record(b"a", b"1,2"), record(b"", b"empty key"), record(b"empty value", b"")];
        assert_eq!(records, wanted);
        let records = separated(b"a:b::c::d", b"::").unwrap();
        assert_eq!(records, [record(b"a:b", b"c::d")]);
    }

    #[test]
    fn any_bytes_the_last_line_and_carriage_returns() {
        let records = separated(b"\xff\x00,\x80\r\nlast,\xfe", b",").unwrap();
        assert_eq!(records, [record(b"\xff\x00", b"\x80\r"), record(b"last", b"\xfe")]);
        assert_eq!(separated(b"", b",").unwrap(), []);
    }

    #[test]
    fn line_numbers_have_ten_digits() {
        let records = all(b"x\n\ny,z", KeyRule::LineNumber).unwrap();
        let wanted = [
            record(b"0000000001", b"x"),
            record(b"0000000002", b""),
            record(b"0000000003", b"y,z"),
        ];
        assert_eq!(records, wanted);
    }

    #[test]
    fn lines_without_a_key_are_values() {
        let mut lines = Lines::new(&b"\r\na,1\n\nb\n"[..], KeyRule::Nothing);
        let first = Line { key: b"", value: b"a,1" };
        assert_eq!(lines.begin().unwrap(), Some(first));
        assert_eq!(lines.next().unwrap(), Some(first));
        assert_eq!(lines.next().unwrap(), Some(Line { key: b"", value: b"b" }));
        assert_eq!(lines.next().unwrap(), None);
        assert_eq!(lines.blank_count(), 2);
    }

    /// In a key or a value it may be meant, and nobody could tell any more that it was there.
    #[test]
    fn a_byte_order_mark_is_none_of_the_first_line_of_text_and_stays_in_records() {
        let input = b"\xef\xbb\xbfa,1\n\xef\xbb\xbfb,2\n";
        let values = all(input, KeyRule::Nothing).unwrap();
        assert_eq!(values, [record(b"", b"a,1"), record(b"", b"\xef\xbb\xbfb,2")]);
        assert_eq!(separated(input, b",").unwrap()[0], record(b"\xef\xbb\xbfa", b"1"));
        let numbered = all(input, KeyRule::LineNumber).unwrap();
        assert_eq!(numbered[0], record(b"0000000001", b"\xef\xbb\xbfa,1"));
    }

    #[test]
    fn a_line_without_separator_is_named() {
        for input in [&b"a,1\nb\nc,3\n"[..], b"a,1\n \nc,3", b"\nb\r\n"] {
            let error = separated(input, b",").unwrap_err();
            assert!(matches!(error, LineError::NoSeparator { number: 2 }), "{error:?}");
        }
    }

    #[test]
    fn blank_lines_are_passed_over_and_counted() {
        let mut lines =
            Lines::new(&b"\n\r\na,1\n\n\nb,2\r\n\r\n\n"[..], KeyRule::Separator(b",".into()));
        lines.begin().unwrap();
        assert_eq!(lines.next().unwrap(), Some(Line { key: b"a", value: b"1" }));
        assert_eq!(lines.number(), 3, "they count as lines");
        assert_eq!(lines.next().unwrap(), Some(Line { key: b"b", value: b"2\r" }));
        assert_eq!(lines.next().unwrap(), None);
        assert_eq!(lines.blank_count(), 6);
        // A carriage return may be what separates.
        assert_eq!(separated(b"\r\n", b"\r").unwrap(), [record(b"", b"")]);
    }

    #[test]
    fn long_lines_stop_before_they_fill_the_memory() {
        let mut lines = Lines::new(&b"abcd\nabcde\n"[..], KeyRule::LineNumber);
        lines.line_bytes_max = 4;
        assert_eq!(lines.next().unwrap().unwrap().value, b"abcd");
        let error = lines.next().unwrap_err();
        assert!(matches!(error, LineError::TooLong { number: 2, limit_bytes: 4 }), "{error:?}");
    }

    #[test]
    fn needles_are_found() {
        assert_eq!(find(b"aab", b"ab"), Some(1));
        assert_eq!(find(b"aaa", b"ab"), None);
        assert_eq!(find(b"a", b"ab"), None);
        assert_eq!(find(b"", b"a"), None);
    }
}
