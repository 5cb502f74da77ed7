//! Records of a CSV file: one heading, then one event each. A record may have line ends between its quotes.

use super::{Cell, Given};
use csv_core::{ReadRecordResult, Reader, ReaderBuilder};

/// The separators that are told by the heading.
const SEPARATORS: [u8; 4] = *b",;\t|";

/// Makes cells of records.
#[derive(Debug)]
pub(crate) struct Csv {
    separator: u8,
    /// Made once: its tables take longer to build than most records to read.
    reader: Box<Reader>,
    names: Vec<String>,
    fields: Vec<u8>,
    ends: Vec<usize>,
}

/// The separator of a heading: the one that is there most often. A heading of one column has any.
pub(super) fn separator_of(heading: &[u8]) -> u8 {
    let count = |separator: u8| heading.iter().filter(|byte| **byte == separator).count();
    let mut best = SEPARATORS[0];
    for separator in SEPARATORS {
        if count(separator) > count(best) {
            best = separator;
        }
    }
    best
}

impl Csv {
    /// Begins with the first record, which names the columns.
    pub(super) fn new(heading: &[u8]) -> Result<Self, String> {
        let heading = heading.strip_prefix(b"\xef\xbb\xbf").unwrap_or(heading);
        let separator = separator_of(heading);
        let mut csv = Self {
            separator,
            reader: Box::new(ReaderBuilder::new().delimiter(separator).build()),
            names: Vec::new(),
            fields: Vec::new(),
            ends: Vec::new(),
        };
        csv.split(heading)?;
        let mut names = Vec::with_capacity(csv.ends.len());
        for at in 0..csv.ends.len() {
            let name = str::from_utf8(csv.field(at)).map_err(|_| "the heading is not UTF-8")?;
            names.push(name.to_owned());
        }
        csv.names = names;
        Ok(csv)
    }

    /// How many columns there are.
    pub(super) fn columns(&self) -> usize {
        self.names.len()
    }

    pub(super) fn parse<'a>(&'a mut self, record: &[u8]) -> Result<Vec<Cell<'a>>, String> {
        self.split(record)?;
        let (found, columns) = (self.ends.len(), self.names.len());
        if found != columns {
            return Err(format!("it has {found} fields, and the heading names {columns}"));
        }
        let cell =
            |at: usize| Cell::new(self.names[at].as_str(), Given::Loose(self.field(at).into()));
        Ok((0..columns).map(cell).collect())
    }

    fn field(&self, at: usize) -> &[u8] {
        let from = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.fields[from..self.ends[at]]
    }

    /// Takes a record apart.
    fn split(&mut self, record: &[u8]) -> Result<(), String> {
        if is_open(record, self.separator) {
            return Err("a quote is never closed".to_owned());
        }
        // No field is longer than what it is written with, and there is one more than separators.
        self.fields.resize(record.len() + 1, 0);
        self.ends.resize(record.len() + 2, 0);
        self.reader.reset();
        let (mut read, mut written, mut ended) = (0, 0, 0);
        loop {
            let (result, nin, nout, nends) = self.reader.read_record(
                &record[read..],
                &mut self.fields[written..],
                &mut self.ends[ended..],
            );
            (read, written, ended) = (read + nin, written + nout, ended + nends);
            match result {
                ReadRecordResult::Record | ReadRecordResult::End => break,
                // Nothing is left to read, and being told so ends the record.
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull | ReadRecordResult::OutputEndsFull => {
                    return Err("it has more fields than bytes".to_owned());
                }
            }
        }
        self.ends.truncate(ended);
        if read < record.len() && !record[read..].iter().all(u8::is_ascii_whitespace) {
            return Err("a line ends in the middle of it".to_owned());
        }
        Ok(())
    }
}

/// Whether a quote was opened and not closed: the record goes on with the next line.
pub(super) fn is_open(record: &[u8], separator: u8) -> bool {
    let (mut is_open, mut is_start) = (false, true);
    let mut bytes = record.iter().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' if is_open && bytes.peek() == Some(&&b'"') => drop(bytes.next()),
            b'"' if is_open => is_open = false,
            b'"' if is_start => is_open = true,
            _ => {}
        }
        is_start = !is_open && *byte == separator;
    }
    is_open
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fields(heading: &str, record: &str) -> Result<Vec<String>, String> {
        let mut csv = Csv::new(heading.as_bytes())?;
        let cells = csv.parse(record.as_bytes())?;
        let told = |cell: &Cell<'_>| match &cell.value {
            Given::Loose(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            other => format!("{other:?}"),
        };
        Ok(cells.iter().map(told).collect())
    }

    #[test]
    fn records_are_taken_apart() {
        assert_eq!(fields("a,b,c", "1,\"x, \"\"y\"\"\nz\",").unwrap(), ["1", "x, \"y\"\nz", ""]);
        assert_eq!(fields("a;b", "1,5;2\r").unwrap(), ["1,5", "2"]);
        assert_eq!(fields("\u{feff}a\tb", "\t").unwrap(), ["", ""]);
        assert_eq!(fields("a", "x").unwrap(), ["x"]);
        assert_eq!(fields("a,b", "5\" disk,x").unwrap(), ["5\" disk", "x"]);
        assert_eq!(Csv::new(b"\xef\xbb\xbf\"a b\",c").unwrap().names, ["a b", "c"]);
    }

    #[test]
    fn what_is_wrong_is_told() {
        assert!(fields("a,b", "1").unwrap_err().contains("1 fields, and the heading names 2"));
        assert!(fields("a,b", "1,2,3").unwrap_err().contains("3 fields"));
        assert!(fields("a,b", "1,\"2").unwrap_err().contains("never closed"));
    }

    #[test]
    fn an_open_quote_goes_on() {
        for (record, open) in [
            ("a,\"b", true),
            ("a,\"b\"", false),
            ("a,\"b\"\"", true),
            ("5\" disk", false),
            ("\"a\n", true),
        ] {
            assert_eq!(is_open(record.as_bytes(), b','), open, "{record}");
        }
    }

    proptest! {
        #[test]
        fn no_record_is_too_much(heading: Vec<u8>, record: Vec<u8>, text in "[\",;\n\ra]{0,30}") {
            for heading in [&heading[..], b"a,b,c", text.as_bytes()] {
                if let Ok(mut csv) = Csv::new(heading) {
                    let _ = csv.parse(&record);
                    let _ = csv.parse(text.as_bytes());
                }
            }
        }
    }
}
