//! What a run has found.

use std::collections::BTreeMap;

use crate::group::Group;

/// The memory of the processes of one group.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Peak {
    /// The most that was resident, mapped files included.
    pub(crate) resident_bytes: f64,
    /// Anonymous memory at the end.
    pub(crate) anonymous_bytes: f64,
}

/// All figures of a run.
#[derive(Debug, Default)]
pub(crate) struct Results {
    figures: BTreeMap<(String, String), Vec<f64>>,
    peaks: BTreeMap<(String, Group), Peak>,
    acknowledged: BTreeMap<String, u64>,
    notes: Vec<String>,
}

impl Results {
    /// Adds one repetition of a figure.
    pub(crate) fn add(&mut self, engine: &str, row: &str, value: f64) {
        self.figures.entry((engine.to_owned(), row.to_owned())).or_default().push(value);
    }

    /// Adds the memory of one process of a group: the greatest is kept.
    pub(crate) fn add_peak(&mut self, engine: &str, group: Group, peak: Peak) {
        let kept = self.peaks.entry((engine.to_owned(), group)).or_default();
        kept.resident_bytes = kept.resident_bytes.max(peak.resident_bytes);
        kept.anonymous_bytes = kept.anonymous_bytes.max(peak.anonymous_bytes);
    }

    /// Records how many commits the kill test had acknowledged.
    pub(crate) fn set_acknowledged(&mut self, engine: &str, count: u64) {
        self.acknowledged.insert(engine.to_owned(), count);
    }

    /// Adds a remark; the same one is kept once.
    pub(crate) fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            eprintln!("  note: {note}");
            self.notes.push(note);
        }
    }

    /// The median of a figure.
    pub(crate) fn median(&self, engine: &str, row: &str) -> Option<f64> {
        median(self.figures.get(&(engine.to_owned(), row.to_owned()))?)
    }

    /// Of how many repetitions.
    pub(crate) fn repetitions(&self, engine: &str, row: &str) -> usize {
        self.figures.get(&(engine.to_owned(), row.to_owned())).map_or(0, Vec::len)
    }

    /// The memory of a group's processes.
    pub(crate) fn peak(&self, engine: &str, group: Group) -> Option<Peak> {
        self.peaks.get(&(engine.to_owned(), group)).copied()
    }

    /// How many commits the kill test had acknowledged.
    pub(crate) fn acknowledged(&self, engine: &str) -> Option<u64> {
        self.acknowledged.get(engine).copied()
    }

    /// All remarks.
    pub(crate) fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Whether the engine is known to lose acknowledged records to `kill -9`.
    pub(crate) fn loses(&self, engine: &str) -> bool {
        self.figures
            .get(&(engine.to_owned(), "kill".to_owned()))
            .is_some_and(|lost| lost.iter().any(|lost| *lost > 0.0))
    }
}

/// The middle of `values`, or the mean of the two in the middle.
fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(sorted[middle]),
        _ => Some(f64::midpoint(sorted[middle - 1], sorted[middle])),
    }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0]), Some(2.5));
    }
}
