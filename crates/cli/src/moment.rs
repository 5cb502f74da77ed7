//! Times as logs and people write them, in nanoseconds since 1970.

use jiff::{Timestamp, civil::DateTime, fmt::strtime, tz::TimeZone};
use std::time::Duration;

/// Numbers below this are no moments in what people ask: they are years, or mistakes.
const ASKED_SECONDS_MIN: i64 = 100_000_000;

/// A time as RFC 3339 or a date, as web servers write it (`17/May/2015:10:05:03 +0000`), or a number since 1970.
/// Without a zone it is in UTC.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let text = text.trim();
    let bytes = text.as_bytes();
    // Each form is told by its look: a try costs more than the look.
    match bytes.get(4) {
        Some(b'-') => return written(text),
        _ if bytes.get(2) == Some(&b'/') => return of_web_server(text),
        _ => {}
    }
    match text.parse::<i64>() {
        Ok(number) => of_number(number),
        Err(_) if text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-')) => {
            of_seconds(text.parse().ok()?)
        }
        Err(_) => written(text),
    }
}

/// RFC 3339, also without its zone, its time or its `T`.
fn written(text: &str) -> Option<i64> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return in_range(moment);
    }
    let local = text.parse::<DateTime>().ok()?;
    in_range(local.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// `17/May/2015:10:05:03 +0000`
pub(crate) fn of_web_server(text: &str) -> Option<i64> {
    let parsed = strtime::parse("%d/%b/%Y:%H:%M:%S %z", text).ok()?;
    in_range(parsed.to_timestamp().ok()?)
}

/// `May 17 10:05:03`, in the last year in which that is not more than a day behind `now_ns`.
pub(crate) fn of_syslog(text: &str, now_ns: i64) -> Option<i64> {
    const DAY_NS: i64 = 86_400_000_000_000;
    let now = Timestamp::from_nanosecond(now_ns.into()).ok()?;
    let this_year = now.to_zoned(TimeZone::UTC).year();
    // A leap day is in one year of eight at least.
    (0..=8).find_map(|back| {
        let with_year = format!("{} {text}", this_year + 1 - back);
        let parsed = strtime::parse("%Y %b %e %H:%M:%S", &with_year).ok()?;
        let moment = parsed.to_datetime().ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp();
        in_range(moment).filter(|ns| *ns <= now_ns.saturating_add(DAY_NS))
    })
}

/// A whole number since 1970: of seconds, milli-, micro- or nanoseconds, by how large it is.
pub(crate) fn of_number(number: i64) -> Option<i64> {
    let unit_ns = match number.unsigned_abs() {
        0..100_000_000_000 => 1_000_000_000,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        _ => 1,
    };
    number.checked_mul(unit_ns)
}

/// Seconds since 1970 with a fraction.
pub(crate) fn of_seconds(seconds: f64) -> Option<i64> {
    // Of larger numbers only whole ones are written, and those are none of seconds.
    (seconds.abs() < 9.2e9).then(|| (seconds * 1e6).round() as i64 * 1_000)
}

fn in_range(moment: Timestamp) -> Option<i64> {
    moment.as_nanosecond().try_into().ok()
}

/// A moment that somebody asks for: as [`parse`] reads it, `now`, or so long ago, such as `-1h`.
pub(crate) fn asked(text: &str, now_ns: i64) -> Result<i64, String> {
    let text = text.trim();
    if text == "now" {
        return Ok(now_ns);
    }
    if let Some(ago) = text.strip_prefix('-').filter(|ago| ago.ends_with(char::is_alphabetic)) {
        let ago = crate::units::parse_duration(ago)?;
        return Ok(now_ns.saturating_sub(ns_of(ago)));
    }
    let is_small = |number: i64| number.abs() < ASKED_SECONDS_MIN;
    if text.parse().is_ok_and(is_small) {
        return Err(format!("`{text}` is no time; write a date such as 2015-05-17"));
    }
    parse(text).ok_or_else(|| {
        format!("`{text}` is no time; write 2015-05-17, 2015-05-17T10:05:03Z, now, or -1h")
    })
}

/// A length of time in nanoseconds, the longest there is if it is longer.
pub(crate) fn ns_of(length: Duration) -> i64 {
    length.as_nanos().try_into().unwrap_or(i64::MAX)
}

/// As RFC 3339 in UTC, with as many digits as it has.
pub(crate) fn text(ns: i64) -> String {
    // Every number of 64 bits is a time that has a date.
    Timestamp::from_nanosecond(ns.into()).map_or_else(|_| ns.to_string(), |time| time.to_string())
}

/// The date of a day, counted from 1970 on.
pub(crate) fn day_text(day: i64) -> String {
    let ns = i128::from(day) * 86_400_000_000_000;
    let moment = Timestamp::from_nanosecond(ns).map(|time| time.to_zoned(TimeZone::UTC).date());
    moment.map_or_else(|_| day.to_string(), |date| date.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOON: i64 = 1_431_857_103_000_000_000;

    #[test]
    fn moments_are_read_in_all_their_forms() {
        for form in [
            "2015-05-17T10:05:03Z",
            "2015-05-17T12:05:03+02:00",
            "2015-05-17 10:05:03",
            "2015-05-17T10:05:03.000000000",
            "17/May/2015:10:05:03 +0000",
            "17/May/2015:03:05:03 -0700",
            "1431857103",
            "1431857103000",
            "1431857103000000",
            "1431857103000000000",
            "1431857103.0",
        ] {
            assert_eq!(parse(form), Some(NOON), "{form}");
        }
        assert_eq!(text(NOON), "2015-05-17T10:05:03Z");
        assert_eq!(text(NOON + 42_000_000), "2015-05-17T10:05:03.042Z");
        assert_eq!(parse("2015-05-17"), Some(1_431_820_800_000_000_000));
        for bad in ["", "yesterday", "2015-13-01", "32/May/2015:10:05:03 +0000", "1.2.3", "é/é/é"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_time_without_a_year_is_in_the_last_one_that_can_be() {
        let at = |text| of_syslog(text, NOON).map(super::text).unwrap();
        assert_eq!(at("May 17 10:05:03"), "2015-05-17T10:05:03Z");
        assert_eq!(at("May  7 10:05:03"), "2015-05-07T10:05:03Z");
        assert_eq!(at("Dec 31 23:59:59"), "2014-12-31T23:59:59Z");
        assert_eq!(at("Feb 29 00:00:00"), "2012-02-29T00:00:00Z");
        assert_eq!(of_syslog("Foo 17 10:05:03", NOON), None);
    }

    #[test]
    fn days_have_dates() {
        for (day, date) in [(0, "1970-01-01"), (-1, "1969-12-31"), (16_572, "2015-05-17")] {
            assert_eq!(day_text(day), date);
        }
        let first = i64::MIN.div_euclid(86_400_000_000_000);
        assert_eq!(day_text(first), "1677-09-21", "the day begins before the first time there is");
        assert_eq!(day_text(i64::MAX), i64::MAX.to_string());
    }

    #[test]
    fn what_is_asked_for_may_be_relative() {
        assert_eq!(asked("now", NOON), Ok(NOON));
        assert_eq!(asked("-1h", NOON), Ok(NOON - 3_600_000_000_000));
        assert_eq!(asked("2015-05-17T10:05:03Z", 0), Ok(NOON));
        for bad in ["2015", "-1y", "soon", "-", ""] {
            assert!(asked(bad, NOON).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_is_too_much(text in ".*") {
            let _ = (parse(&text), of_web_server(&text), of_syslog(&text, NOON), asked(&text, NOON));
        }

        #[test]
        fn what_is_written_is_read(ns: i64) {
            prop_assert_eq!(parse(&text(ns)), Some(ns));
        }
    }
}
