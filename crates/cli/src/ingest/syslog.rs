//! Lines of system logs: RFC 5424, RFC 3164, and what daemons write into files today.

use super::{Cell, Given, combined::word};
use crate::moment;

const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];
const SEVERITIES: [&str; 8] =
    ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"];

/// `<priority>1 time host app pid msgid [data] message`, or `<priority>time host app[pid]: message`, where the
/// priority may be missing and the time may have no year.
pub(super) fn parse(line: &[u8], now_ns: i64) -> Result<Vec<Cell<'_>>, String> {
    let mut rest = line;
    let mut cells = Vec::with_capacity(9);
    let has_priority = take_priority(&mut rest, &mut cells)?;
    if has_priority && let Some(behind) = rest.strip_prefix(b"1 ") {
        return rfc_5424(behind, cells);
    }
    cells.push(Cell::new(
        "time",
        Given::I64(take_time(&mut rest, now_ns).ok_or("there is no time")?),
    ));
    let host = word(&mut rest).ok_or("there is no host behind the time")?;
    cells.push(Cell::loose("host", host));
    let rest = rest.trim_ascii_start();
    let colon = rest.iter().position(|byte| matches!(byte, b':' | b' '));
    let tag = colon.filter(|at| rest[*at] == b':' && *at > 0).map(|at| rest.split_at(at));
    let Some((tag, message)) = tag else {
        // What the kernel and some relays write has no name.
        cells.push(Cell::new("message", Given::Text(rest.into())));
        return Ok(cells);
    };
    match tag.strip_suffix(b"]").and_then(|tag| split_once(tag, b'[')) {
        Some((app, pid)) => {
            cells.push(text("app", app));
            cells.push(text("pid", pid));
        }
        None => cells.push(text("app", tag)),
    }
    cells.push(text("message", message[1..].trim_ascii_start()));
    Ok(cells)
}

fn rfc_5424<'a>(mut rest: &'a [u8], mut cells: Vec<Cell<'a>>) -> Result<Vec<Cell<'a>>, String> {
    for name in ["time", "host", "app", "pid", "msgid"] {
        let value = word(&mut rest).ok_or_else(|| format!("there is no {name}"))?;
        cells.push(match (name, value) {
            ("time", value) => Cell::loose(name, value),
            (_, b"-") => Cell::new(name, Given::Nothing),
            (_, value) => text(name, value),
        });
    }
    let rest = rest.trim_ascii_start();
    let end = end_of_data(rest).ok_or("there is no structured data, nor a `-` for none")?;
    let (data, message) = rest.split_at(end);
    cells.push(if data == b"-" { Cell::new("data", Given::Nothing) } else { text("data", data) });
    let message = message.trim_ascii_start();
    cells.push(text("message", message.strip_prefix(b"\xef\xbb\xbf").unwrap_or(message)));
    Ok(cells)
}

/// Where structured data end: `-`, or groups in brackets in which a quoted text may have any.
fn end_of_data(bytes: &[u8]) -> Option<usize> {
    if bytes.first() == Some(&b'-') {
        return Some(1);
    }
    let (mut is_inside, mut is_quoted, mut is_escaped) = (false, false, false);
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' if is_inside => is_quoted = !is_quoted,
            b']' if is_inside && !is_quoted => {
                is_inside = false;
                if bytes.get(at + 1) != Some(&b'[') {
                    return Some(at + 1);
                }
            }
            b'[' if !is_inside => is_inside = true,
            _ if !is_inside => return None,
            _ => {}
        }
    }
    None
}

fn take_priority<'a>(rest: &mut &'a [u8], cells: &mut Vec<Cell<'a>>) -> Result<bool, String> {
    let Some(behind) = rest.strip_prefix(b"<") else { return Ok(false) };
    let (digits, behind) = split_once(behind, b'>').ok_or("the priority has no end")?;
    let digits = str::from_utf8(digits).unwrap_or_default();
    let number: usize = digits.parse().map_err(|_| "the priority is no number")?;
    let facility = FACILITIES.get(number / 8).ok_or("the priority is higher than 191")?;
    cells.push(text("facility", facility.as_bytes()));
    cells.push(text("severity", SEVERITIES[number % 8].as_bytes()));
    *rest = behind;
    Ok(true)
}

/// A time without a year, or one word of RFC 3339.
fn take_time(rest: &mut &[u8], now_ns: i64) -> Option<i64> {
    const BARE_BYTES: usize = "May 17 10:05:03".len();
    let bare = rest.get(..BARE_BYTES).and_then(|bytes| str::from_utf8(bytes).ok());
    if let Some(ns) = bare.and_then(|text| moment::of_syslog(text, now_ns)) {
        *rest = &rest[BARE_BYTES..];
        return Some(ns);
    }
    let ns = moment::parse(str::from_utf8(word(rest)?).ok()?)?;
    Some(ns)
}

fn split_once(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = bytes.iter().position(|byte| *byte == at)?;
    Some((&bytes[..place], &bytes[place + 1..]))
}

fn text<'a>(name: &'a str, bytes: &'a [u8]) -> Cell<'a> {
    Cell::new(name, Given::Text(bytes.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 1_431_857_103_000_000_000;

    fn told(line: &str) -> String {
        let told = |value: &Given<'_>| match value {
            Given::Text(bytes) | Given::Loose(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Given::I64(ns) => moment::text(*ns),
            _ => "none".to_owned(),
        };
        let cells = parse(line.as_bytes(), NOW).unwrap();
        let cells: Vec<String> =
            cells.iter().map(|cell| format!("{}={}", cell.name, told(&cell.value))).collect();
        cells.join("|")
    }

    #[test]
    fn all_three_forms_are_read() {
        let old =
            "facility=auth|severity=crit|time=2015-05-17T10:05:03Z|host=box|app=su|message=no: x";
        assert_eq!(told("<34>May 17 10:05:03 box su: no: x"), old);
        let today = "time=2015-05-17T08:05:03.5Z|host=box|app=sshd|pid=17|message=hello there";
        assert_eq!(told("2015-05-17T10:05:03.5+02:00 box sshd[17]: hello there"), today);
        assert_eq!(
            told("<165>1 2015-05-17T10:05:03Z box app - ID47 [a b=\"]\\\"\"][c] hi"),
            "facility=local4|severity=notice|time=2015-05-17T10:05:03Z|host=box|app=app|pid=none|msgid=ID47\
             |data=[a b=\"]\\\"\"][c]|message=hi"
        );
        assert_eq!(
            told("May 17 10:05:03 box last message repeated"),
            "time=2015-05-17T10:05:03Z|host=box|message=last message repeated"
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        for (line, said) in [
            ("", "no time"),
            ("<999>May 17 10:05:03 box", "191"),
            ("<x>", "no number"),
            ("May 17 10:05:03", "no host"),
            ("<1>1 2015-05-17T10:05:03Z box app - - x", "structured"),
        ] {
            assert!(parse(line.as_bytes(), NOW).unwrap_err().contains(said), "{line}");
        }
    }

    proptest! {
        #[test]
        fn no_line_is_too_much(line: Vec<u8>, data in r#"[\[\]"\\a =-]{0,40}"#) {
            let _ = parse(&line, NOW);
            let _ = parse(format!("<1>1 2015-05-17T10:05:03Z a b c d {data}").as_bytes(), NOW);
            let _ = parse([b"May 17 10:05:03 ", &line[..]].concat().as_slice(), NOW);
        }
    }
}
