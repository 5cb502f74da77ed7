//! Figures as a reader takes them in: three digits and a unit.

use crate::row::Unit;

/// A figure of a row.
pub(super) fn show(value: f64, unit: Unit) -> String {
    match unit {
        Unit::OpsPerSecond => format!("{}/s", scaled(value, 1000.0, &["", " k", " M", " G"])),
        Unit::BytesPerSecond => format!("{}/s", bytes(value)),
        Unit::Ms => format!("{} ms", digits(value)),
        Unit::BytesPerKey => format!("{} B", digits(value)),
        Unit::Bytes => bytes(value),
        Unit::Us if value >= 1_000.0 => format!("{} ms", digits(value / 1e3)),
        Unit::Us => format!("{} µs", digits(value)),
        Unit::Times => times(value),
        Unit::Lost | Unit::Count => format!("{value}"),
    }
}

/// A number of bytes.
pub(super) fn bytes(value: f64) -> String {
    scaled(value, 1024.0, &[" B", " KiB", " MiB", " GiB"])
}

/// How many times better.
pub(super) fn times(ratio: f64) -> String {
    format!("{}x", digits(ratio))
}

fn scaled(mut value: f64, step: f64, units: &[&str]) -> String {
    let mut unit = 0;
    while value >= step && unit + 1 < units.len() {
        value /= step;
        unit += 1;
    }
    format!("{}{}", digits(value), units[unit])
}

fn digits(value: f64) -> String {
    match value {
        small if small < 9.995 => format!("{small:.2}"),
        middle if middle < 99.95 => format!("{middle:.1}"),
        large => format!("{large:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_keep_three_digits() {
        assert_eq!(show(561_234.0, Unit::OpsPerSecond), "561 k/s");
        assert_eq!(show(1_370_000.0, Unit::OpsPerSecond), "1.37 M/s");
        assert_eq!(show(0.1312, Unit::Ms), "0.13 ms");
        assert_eq!(show(3.4 * (1u64 << 30) as f64, Unit::BytesPerSecond), "3.40 GiB/s");
        assert_eq!(show(7.25, Unit::Us), "7.25 µs");
        assert_eq!(show(48_300.0, Unit::Us), "48.3 ms");
        assert_eq!(show(9.0, Unit::Count), "9");
        assert_eq!(times(12.34), "12.3x");
    }
}
