//! Quantities as people write and read them.

use std::{num::NonZeroU64, time::Duration};

const UNITS: [(&str, u64); 4] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// `1234567` as `1,234,567`.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `-1234567` as `-1,234,567`.
pub(crate) fn whole(n: i128) -> String {
    match u64::try_from(n.unsigned_abs()) {
        Ok(size) => format!("{}{}", if n < 0 { "-" } else { "" }, count(size)),
        Err(_) => n.to_string(),
    }
}

/// A number with a fraction, in up to six digits behind its whole part.
pub(crate) fn fraction(n: f64) -> String {
    if n != 0.0 && n.is_finite() && !(1e-3..1e15).contains(&n.abs()) {
        return format!("{n:.6e}");
    }
    let text = format!("{n:.6}");
    let cut = text.trim_end_matches('0').trim_end_matches('.');
    if text.contains('.') { cut.to_owned() } else { text }
}

/// `1536` as `1.5 KiB`.
pub(crate) fn bytes(n: u64) -> String {
    match UNITS.iter().find(|(_, unit)| n >= *unit) {
        Some((name, unit)) => format!("{:.1} {name}", n as f64 / *unit as f64),
        None => format!("{n} B"),
    }
}

/// A time in the unit that shows it in few digits.
pub(crate) fn seconds(seconds: f64) -> String {
    if seconds >= 60.0 {
        long_time(seconds.round() as u64)
    } else if seconds >= 1.0 {
        format!("{seconds:.2} s")
    } else if seconds >= 1e-3 {
        format!("{:.2} ms", seconds * 1e3)
    } else if seconds >= 1e-6 {
        format!("{:.2} us", seconds * 1e6)
    } else {
        format!("{:.0} ns", seconds * 1e9)
    }
}

/// Minutes and more, in the two largest units.
fn long_time(seconds: u64) -> String {
    let units = [("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];
    let mut rest = seconds;
    let mut parts = Vec::new();
    for (name, unit) in units {
        let number = rest / unit;
        rest %= unit;
        if number > 0 {
            parts.push(format!("{number} {name}"));
        }
    }
    parts.truncate(2);
    parts.join(" ")
}

/// Milliseconds since 1970 as a date and time in UTC.
pub(crate) fn time(ms: u64) -> String {
    let (days, of_day_ms) = (ms / 86_400_000, ms % 86_400_000);
    // Days since 0000-03-01, in eras of 400 years, years that start in March.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (second, ms) = (of_day_ms / 1000, of_day_ms % 1000);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z")
}

/// How many a second; 0 if no time passed.
pub(crate) fn rate(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
}

/// Reads `90`, `250ms`, `10s`, `5m`, `2h` or `7d`; a bare number is seconds.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split_number(text)?;
    let unit_ms = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(format!("`{unit}` is no unit of time; write ms, s, m, h or d")),
    };
    match number.checked_mul(unit_ms) {
        Some(0) => Err("it must be longer than 0".to_owned()),
        Some(ms) => Ok(Duration::from_millis(ms)),
        None => Err("it is too long".to_owned()),
    }
}

/// Reads a whole number. What the language itself says of one that is none, or too large, tells nobody what to write.
pub(crate) fn parse_number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("write a whole number from 0 to {}", u64::MAX))
}

/// Reads a whole number that 32 bits hold.
pub(crate) fn parse_number_32(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("write a whole number from 0 to {}", u32::MAX))
}

/// Reads how many, where none makes no sense.
pub(crate) fn parse_from_one(text: &str) -> Result<NonZeroU64, String> {
    text.parse().map_err(|_| format!("write a whole number from 1 to {}", u64::MAX))
}

/// Reads `4096`, `64KiB`, `1MiB` or `2GiB`; a bare number is bytes.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = split_number(text)?;
    let factor = match unit {
        "" | "B" => 1,
        unit => UNITS
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(unit))
            .map(|(_, factor)| *factor)
            .ok_or_else(|| format!("`{unit}` is no unit of size; write B, KiB, MiB or GiB"))?,
    };
    number.checked_mul(factor).ok_or_else(|| "it is too large".to_owned())
}

fn split_number(text: &str) -> Result<(u64, &str), String> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let number = match number.parse::<u64>() {
        Ok(number) => number,
        Err(_) if number.is_empty() => {
            return Err(format!("`{text}` does not start with a number"));
        }
        Err(_) => return Err(format!("`{number}` is too large")),
    };
    Ok((number, unit.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!([whole(-1_234), whole(i128::MIN)], ["-1,234".to_owned(), i128::MIN.to_string()]);
        let shown = [0.0, 1.5, -2.0, 1.0 / 3.0, 1e-9, 1e300, f64::NAN].map(fraction);
        assert_eq!(shown, ["0", "1.5", "-2", "0.333333", "1.000000e-9", "1.000000e300", "NaN"]);
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(3 << 30), "3.0 GiB");
        assert_eq!(seconds(604_800.0), "7 d");
        assert_eq!(seconds(93_784.0), "1 d 2 h");
        assert_eq!(seconds(1_800.0), "30 min");
        assert_eq!(seconds(90.4), "1 min 30 s");
        assert_eq!(seconds(2.0), "2.00 s");
        assert_eq!(seconds(0.0025), "2.50 ms");
        assert_eq!(seconds(0.000_002_5), "2.50 us");
        assert_eq!(seconds(0.000_000_042), "42 ns");
        assert_eq!(rate(10, 0.0).to_bits(), 0.0_f64.to_bits());
    }

    #[test]
    fn times_are_dates() {
        assert_eq!(time(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(time(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(time(951_868_800_000), "2000-03-01T00:00:00.000Z");
        assert_eq!(time(1_431_857_103_042), "2015-05-17T10:05:03.042Z");
        assert_eq!(time(4_107_542_399_999), "2100-02-28T23:59:59.999Z");
        assert_eq!(time(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn written_quantities_are_read() {
        assert_eq!(parse_duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("2 h"), Ok(Duration::from_secs(7200)));
        for bad in ["", "s", "-1s", "0", "1y", "99999999999999999999", "18446744073709551615d"] {
            assert!(parse_duration(bad).is_err(), "{bad:?}");
        }
        assert_eq!(parse_bytes("4096"), Ok(4096));
        assert_eq!(parse_bytes("64kib"), Ok(65536));
        assert_eq!(parse_bytes("1 MiB"), Ok(1 << 20));
        for bad in ["", "KiB", "1.5MiB", "1MB", "99999999TiB"] {
            assert!(parse_bytes(bad).is_err(), "{bad:?}");
        }
        let huge = parse_bytes("99999999999999999999KiB").unwrap_err();
        assert_eq!(huge, "`99999999999999999999` is too large");
    }
}
