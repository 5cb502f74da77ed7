//! The formats of lines, and telling which one it is.

use super::{Cell, combined, csv, csv::Csv, ndjson, syslog};
use annals::columns::{Dimension, Role};

/// A format of lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// JSON objects.
    Ndjson,
    /// A heading and records.
    Csv,
    /// Of web servers, with referer and user agent.
    Combined,
    /// Of web servers, without them.
    Common,
    /// Of system logs.
    Syslog,
}

impl Format {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Combined => "combined",
            Self::Common => "common",
            Self::Syslog => "syslog",
        }
    }

    /// The format of most of these lines.
    pub(crate) fn detect(lines: &[&[u8]]) -> Option<Self> {
        let fits = |is_it: &dyn Fn(&[u8]) -> bool| {
            let fitting = lines.iter().filter(|line| is_it(line)).count();
            fitting > 0 && fitting * 2 >= lines.len()
        };
        let is_csv = || {
            let (heading, lines) = lines.split_first()?;
            let mut csv = Csv::new(heading).ok().filter(|csv| csv.columns() > 1)?;
            let separator = separator_of(heading);
            let (mut good, mut all, mut held) = (0, 0, Vec::new());
            for line in lines {
                held.extend_from_slice(line);
                // Quotes hold lines together.
                if csv::is_open(&held, separator) {
                    held.push(b'\n');
                    continue;
                }
                all += 1;
                good += usize::from(csv.parse(&held).is_ok());
                held.clear();
            }
            (good * 2 >= all).then_some(Self::Csv)
        };
        if fits(&ndjson::may_be) {
            Some(Self::Ndjson)
        } else if fits(&|line| combined::parse(line, true).is_ok()) {
            Some(Self::Combined)
        } else if fits(&|line| combined::parse(line, false).is_ok()) {
            Some(Self::Common)
        } else if fits(&|line| syslog::parse(line, i64::MAX).is_ok()) {
            Some(Self::Syslog)
        } else {
            is_csv()
        }
    }

    /// What a field of this name is, where the format says it: its role, and whether it may be missing.
    pub(super) fn role_of(self, name: &str) -> Option<(Role, bool)> {
        let dimension = Role::Dimension(Dimension::Plain);
        let found = Role::Dimension(Dimension::Bloom);
        Some(match (self, name) {
            (Self::Ndjson | Self::Csv, _) => return None,
            (_, "time") => (Role::Ts, false),
            (Self::Syslog, "app") => (found, true),
            (Self::Syslog, "host") => (dimension, false),
            (Self::Syslog, "facility" | "severity" | "pid" | "msgid") => (dimension, true),
            (Self::Syslog, "message") => (Role::Label, false),
            (Self::Syslog, "data") => (Role::Label, true),
            (Self::Syslog, _) => return None,
            (_, "client") => (found, false),
            (_, "path") => (dimension, false),
            (_, "status") => (Role::Status, false),
            (_, "bytes") => (Role::CounterU64, true),
            (_, "ident" | "user" | "method" | "protocol" | "referer" | "agent") => {
                (dimension, true)
            }
            (_, "rest") => (Role::Label, true),
            _ => return None,
        })
    }

    /// Fields that events of this format may have whether or not those looked at have them.
    pub(super) fn usual_fields(self) -> &'static [&'static str] {
        match self {
            Self::Ndjson | Self::Csv => &[],
            Self::Combined => &[
                "time", "client", "user", "method", "path", "protocol", "status", "bytes",
                "referer", "agent",
            ],
            Self::Common => {
                &["time", "client", "user", "method", "path", "protocol", "status", "bytes"]
            }
            Self::Syslog => &["time", "host", "app", "pid", "message"],
        }
    }
}

/// Makes cells of lines.
#[derive(Debug)]
pub(crate) enum Parser {
    Ndjson,
    Csv(Csv),
    Web { is_combined: bool },
    Syslog { now_ns: i64 },
}

impl Parser {
    /// A parser; a CSV file's first record is its heading.
    pub(crate) fn new(format: Format, heading: &[u8], now_ns: i64) -> Result<Self, String> {
        Ok(match format {
            Format::Ndjson => Self::Ndjson,
            Format::Csv => Self::Csv(Csv::new(heading)?),
            Format::Combined => Self::Web { is_combined: true },
            Format::Common => Self::Web { is_combined: false },
            Format::Syslog => Self::Syslog { now_ns },
        })
    }

    /// What a line says, or why it says nothing.
    pub(crate) fn parse<'a>(&'a mut self, line: &'a [u8]) -> Result<Vec<Cell<'a>>, String> {
        // Lines may end as in files of other systems.
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match self {
            Self::Ndjson => ndjson::parse(line),
            Self::Csv(csv) => csv.parse(line),
            Self::Web { is_combined } => combined::parse(line, *is_combined),
            Self::Syslog { now_ns } => syslog::parse(line, *now_ns),
        }
    }
}

/// The separator of a CSV file with this heading.
pub(crate) fn separator_of(heading: &[u8]) -> u8 {
    csv::separator_of(heading)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_most_of_the_lines() {
        let detect = |text: &str| {
            let lines: Vec<&[u8]> = text.lines().map(str::as_bytes).collect();
            Format::detect(&lines)
        };
        assert_eq!(detect("{\"a\":1}\nbroken\n{\"a\":2}"), Some(Format::Ndjson));
        let common = r#"::1 - - [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 5"#;
        assert_eq!(detect(common), Some(Format::Common));
        assert_eq!(detect(&format!("{common} \"-\" \"-\"")), Some(Format::Combined));
        assert_eq!(detect("May 17 10:05:03 box su: x"), Some(Format::Syslog));
        assert_eq!(detect("a,b\n1,2\n3,4"), Some(Format::Csv));
        assert_eq!(detect("a;b\n1;2"), Some(Format::Csv));
        assert_eq!(detect("a;b\n1;\"2\n3\n\""), Some(Format::Csv));
        for none in ["", "some words\nmore", "a\nb"] {
            assert_eq!(detect(none), None, "{none}");
        }
    }
}
