//! Bars in a terminal.

use std::fmt::Write;

/// Bars one below the other, each with what it is of and how much that is.
#[derive(Debug)]
pub(crate) struct Chart {
    title: String,
    bars: Vec<(String, String, f64)>,
}

/// How long the longest bar is, in characters.
const BAR_CHARS: usize = 40;
/// More of a label is not shown.
const LABEL_CHARS: usize = 48;
/// Parts of a character, an eighth more each.
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

impl Chart {
    /// So many bars without anything are drawn in a row at most.
    pub(crate) const GAPS_MAX: i64 = 1_000;

    pub(crate) fn new(title: String) -> Self {
        Self { title, bars: Vec::new() }
    }

    /// Adds a bar. What is below nothing has none.
    pub(crate) fn bar(&mut self, label: String, figure: String, length: f64) {
        let label: String = match label.char_indices().nth(LABEL_CHARS) {
            None => label,
            Some((end, _)) => format!("{}…", &label[..end]),
        };
        self.bars.push((crate::output::printable(label.as_bytes()), figure, length));
    }

    pub(crate) fn text(&self) -> String {
        let width = |part: &dyn Fn(&(String, String, f64)) -> usize| {
            self.bars.iter().map(part).max().unwrap_or(0)
        };
        let labels = width(&|(label, ..)| label.chars().count());
        let figures = width(&|(_, figure, _)| figure.chars().count());
        let is_some = |length: &f64| length.is_finite() && *length > 0.0;
        let longest = self.bars.iter().map(|bar| bar.2).filter(is_some).fold(0.0, f64::max);
        let mut out = format!("{}\n", self.title);
        for (label, figure, length) in &self.bars {
            let eighths = match is_some(length) && longest > 0.0 {
                true => (length / longest * (BAR_CHARS * 8) as f64).round() as usize,
                false => 0,
            };
            // Something is never drawn as nothing.
            let eighths = if is_some(length) { eighths.max(1) } else { 0 };
            let bar = "█".repeat(eighths / 8) + EIGHTHS[eighths % 8];
            let line = format!("{label:labels$}  {figure:>figures$}  {bar}");
            // A string takes whatever is written to it.
            let _ = writeln!(out, "{}", line.trim_end());
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_what_they_are_of() {
        let mut chart = Chart::new("events by user".into());
        for (label, length) in [("ada", 8.0), ("bob", 4.0), ("eve", 0.01), ("", 0.0), ("x", -1.0)] {
            chart.bar(label.into(), length.to_string(), length);
        }
        let full = "█".repeat(40);
        let half = "█".repeat(20);
        let wanted = format!(
            "events by user\nada     8  {full}\nbob     4  {half}\neve  0.01  ▏\n        0\nx      -1\n"
        );
        assert_eq!(chart.text(), wanted);
    }

    #[test]
    fn no_bar_is_too_much() {
        assert_eq!(Chart::new("t".into()).text(), "t\n");
        let mut chart = Chart::new("t".into());
        for length in [f64::NAN, f64::INFINITY, f64::MIN, f64::MAX, 0.0] {
            chart.bar("é\u{1b}".repeat(100), "1".into(), length);
        }
        assert!(!chart.text().contains('\u{1b}'));
    }
}
