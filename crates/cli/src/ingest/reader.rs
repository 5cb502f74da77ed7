//! Lines of an input, and records of several lines where quotes hold them together.
//!
//! Lines that were looked at come again: the first ones tell the format and the schema before any of them is taken.
//! A line that is longer than any event is never in memory as a whole.

use super::csv::is_open;
use std::{
    collections::VecDeque,
    io::{self, BufRead, Read},
};

/// The longest line: strings of an event have a mebibyte at most, and there may be some of them.
const LINE_BYTES_MAX: usize = 64 << 20;

/// A reader of lines.
#[derive(Debug)]
pub(crate) struct Reader<R> {
    input: R,
    line_bytes_max: usize,
    /// The separator of records whose quotes may hold line ends.
    separator: Option<u8>,
    /// Lines that were looked at.
    ahead: VecDeque<Vec<u8>>,
    /// The number of the line that was read last, counted from 1, and of the first of its record.
    number: u64,
    first_number: u64,
    consumed_bytes: u64,
    record: Vec<u8>,
    blank_count: u64,
    /// Whether the rest of a line that is too long was not read yet.
    is_cut: bool,
}

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    /// The number of its first line, counted from 1.
    pub(crate) number: u64,
    /// What is on it, without the end of the line.
    pub(crate) bytes: &'a [u8],
    /// Whether this is the beginning of a line that is longer than any may be; [`Reader::rest`] has what follows.
    pub(crate) is_cut: bool,
}

impl<R: BufRead> Reader<R> {
    pub(crate) fn new(input: R) -> Self {
        Self {
            input,
            line_bytes_max: LINE_BYTES_MAX,
            separator: None,
            ahead: VecDeque::new(),
            number: 0,
            first_number: 0,
            consumed_bytes: 0,
            record: Vec::new(),
            blank_count: 0,
            is_cut: false,
        }
    }

    /// Looks at the first lines, so many or so many bytes at most. They come again with [`next`](Self::next).
    pub(crate) fn look(&mut self, lines: usize, bytes: usize) -> io::Result<()> {
        let mut looked = self.ahead.iter().map(Vec::len).sum::<usize>();
        while self.ahead.len() < lines && looked < bytes && !self.is_cut {
            let mut line = Vec::new();
            if !self.read_line(&mut line)? {
                break;
            }
            looked += line.len();
            self.ahead.push_back(line);
        }
        Ok(())
    }

    /// Whether there is nothing behind what was looked at.
    pub(crate) fn is_at_end(&mut self) -> io::Result<bool> {
        Ok(!self.is_cut && self.input.fill_buf()?.is_empty())
    }

    /// The lines that were looked at.
    pub(crate) fn looked_at(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.ahead.iter().map(Vec::as_slice).filter(|line| !is_blank(line))
    }

    /// The records among them; the last one may not be whole, and is left out then.
    pub(crate) fn records_looked_at(&self, mut each: impl FnMut(&[u8])) {
        let mut held = Vec::new();
        for line in self.ahead.iter().filter(|line| !is_blank(line)) {
            if held.is_empty() && !self.separator.is_some_and(|by| is_open(line, by)) {
                each(line);
                continue;
            }
            held.extend_from_slice(line);
            if self.separator.is_some_and(|by| is_open(&held, by)) {
                held.push(b'\n');
            } else {
                each(&std::mem::take(&mut held));
            }
        }
    }

    /// From now on quotes hold lines together.
    pub(crate) fn quoted(&mut self, separator: u8) {
        self.separator = Some(separator);
    }

    /// The same with the number of its last line.
    pub(crate) fn next_with_line(&mut self) -> io::Result<Option<(Record<'_>, u64)>> {
        let Some(Record { number, is_cut, .. }) = self.next()? else { return Ok(None) };
        Ok(Some((Record { number, bytes: &self.record, is_cut }, self.number)))
    }

    /// The next record that is not blank; `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Record<'_>>> {
        let mut record = std::mem::take(&mut self.record);
        // What one huge line has grown goes back before the next one.
        if record.capacity() > 1 << 20 {
            record = Vec::new();
        }
        loop {
            record.clear();
            self.skip_rest()?;
            if !self.next_line(&mut record)? {
                return Ok(None);
            }
            self.first_number = self.number;
            if !is_blank(&record) {
                break;
            }
            self.blank_count += 1;
        }
        while let Some(separator) = self.separator
            && !self.is_cut_here()
            && record.len() < self.line_bytes_max
            && is_open(&record, separator)
        {
            record.push(b'\n');
            if !self.next_line(&mut record)? {
                record.pop();
                break;
            }
        }
        self.record = record;
        let (number, is_cut) = (self.first_number, self.is_cut_here());
        Ok(Some(Record { number, bytes: &self.record, is_cut }))
    }

    /// Whether the line that was read last is the one that was cut.
    fn is_cut_here(&self) -> bool {
        self.is_cut && self.ahead.is_empty()
    }

    /// Reads what is left of a line that is too long.
    pub(crate) fn rest<E: From<io::Error>>(
        &mut self,
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        while std::mem::take(&mut self.is_cut) {
            let mut piece = Vec::new();
            self.is_cut = self.read_piece(&mut piece)?;
            take(&piece)?;
        }
        Ok(())
    }

    fn skip_rest(&mut self) -> io::Result<()> {
        if self.is_cut_here() { self.rest(|_| Ok(())) } else { Ok(()) }
    }

    fn next_line(&mut self, record: &mut Vec<u8>) -> io::Result<bool> {
        let is_there = match self.ahead.pop_front() {
            Some(line) => {
                record.extend_from_slice(&line);
                true
            }
            None => self.read_line(record)?,
        };
        self.number += u64::from(is_there);
        Ok(is_there)
    }

    /// Reads a line behind what `line` has; false at the end.
    fn read_line(&mut self, line: &mut Vec<u8>) -> io::Result<bool> {
        let before = self.consumed_bytes;
        self.is_cut = self.read_piece(line)?;
        Ok(self.consumed_bytes > before)
    }

    /// Reads up to a line's end, or as much as a line may have; whether more of it follows.
    fn read_piece(&mut self, to: &mut Vec<u8>) -> io::Result<bool> {
        let limit = self.line_bytes_max as u64;
        let read = (&mut self.input).take(limit).read_until(b'\n', to)?;
        self.consumed_bytes += read as u64;
        if to.last() == Some(&b'\n') && read > 0 {
            to.pop();
            return Ok(false);
        }
        Ok(read as u64 == limit && !self.input.fill_buf()?.is_empty())
    }

    /// The number of the line that was read last, counted from 1.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Bytes of input behind us.
    pub(crate) fn consumed_bytes(&self) -> u64 {
        self.consumed_bytes
    }

    /// How many lines without anything on them were passed over.
    pub(crate) fn blank_count(&self) -> u64 {
        self.blank_count
    }
}

fn is_blank(line: &[u8]) -> bool {
    matches!(line, b"" | b"\r")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(reader: &mut Reader<&[u8]>) -> Vec<(u64, String)> {
        let mut found = Vec::new();
        while let Some(record) = reader.next().unwrap() {
            found.push((record.number, String::from_utf8_lossy(record.bytes).into_owned()));
        }
        found
    }

    fn numbered(found: &[(u64, &str)]) -> Vec<(u64, String)> {
        found.iter().map(|(number, text)| (*number, (*text).to_owned())).collect()
    }

    #[test]
    fn what_was_looked_at_comes_again() {
        let mut reader = Reader::new(&b"a\n\nb\r\nc"[..]);
        reader.look(3, 100).unwrap();
        assert_eq!(reader.looked_at().collect::<Vec<_>>(), [&b"a"[..], b"b\r"]);
        assert_eq!(all(&mut reader), numbered(&[(1, "a"), (3, "b\r"), (4, "c")]));
        assert_eq!((reader.blank_count(), reader.consumed_bytes()), (1, 7));
    }

    #[test]
    fn quotes_hold_lines_together() {
        let mut reader = Reader::new(&b"a,b\n1,\"x\ny\n\"\n2,z\n3,\"open\nend"[..]);
        reader.look(2, 100).unwrap();
        reader.quoted(b',');
        let mut looked = Vec::new();
        reader.records_looked_at(|record| looked.push(record.to_vec()));
        assert_eq!(looked, [&b"a,b"[..]]);
        reader.look(6, 100).unwrap();
        reader.records_looked_at(|record| looked.push(record.to_vec()));
        assert_eq!(looked[1..], [&b"a,b"[..], b"1,\"x\ny\n\"", b"2,z"]);
        let wanted = [(1, "a,b"), (2, "1,\"x\ny\n\""), (5, "2,z"), (6, "3,\"open\nend")];
        assert_eq!(all(&mut reader), numbered(&wanted));
    }

    #[test]
    fn long_lines_are_cut_and_the_next_one_is_whole() {
        for looked in [0, 2, 10] {
            let mut reader = Reader::new(&b"abcd\nabcde\nabcdefghijk\nx\n12345"[..]);
            reader.line_bytes_max = 5;
            reader.look(looked, 100).unwrap();
            let mut rests = Vec::new();
            let mut found = Vec::new();
            while let Some(record) = reader.next().unwrap() {
                found.push(record.bytes.to_vec());
                if record.is_cut {
                    reader
                        .rest(|piece| {
                            rests.extend_from_slice(piece);
                            Ok::<(), io::Error>(())
                        })
                        .unwrap();
                }
            }
            let found: Vec<&[u8]> = found.iter().map(Vec::as_slice).collect();
            assert_eq!(found, [&b"abcd"[..], b"abcde", b"abcde", b"x", b"12345"], "{looked}");
            assert_eq!(rests, b"fghijk");
        }
    }
}
