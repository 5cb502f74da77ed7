//! `annals query --explain`: what a question uses of the parts of a table.

use crate::output::{Figure, Report, Table};
use annals::{ExplainedQuery, columns::Explained};

/// What it uses, in sum and part by part.
pub(super) fn report(explained: &ExplainedQuery) -> Report {
    let all = &explained.parts;
    let count = |of: fn(&Explained) -> u64| all.iter().map(of).sum();
    let mut report = Report::default();
    report
        .count("parts_count", all.len() as u64)
        .count("rows_count", count(|part| part.rows as u64))
        .count("rows_selected_count", count(|part| part.rows_selected))
        .count("fresh_count", explained.fresh);
    let mut parts = Table::new(&[
        "part",
        "rows_count",
        "rows_selected_count",
        "found_by",
        "by_totals",
        "chunks_count",
        "chunks_by_sums_count",
        "chunks_unpacked_count",
        "rows_one_by_one_count",
    ]);
    for (number, part) in (1..).zip(all) {
        let found_by: Vec<String> = part.sources.iter().map(ToString::to_string).collect();
        parts.row(vec![
            Figure::Plain(number),
            Figure::Count(part.rows as u64),
            Figure::Count(part.rows_selected),
            match found_by.is_empty() {
                true => Figure::Absent,
                false => Figure::Text(found_by.join(", ")),
            },
            Figure::Flag(part.is_by_totals),
            Figure::Count(part.chunks as u64),
            Figure::Count(part.chunks_by_sums as u64),
            Figure::Count(part.chunks_unpacked as u64),
            Figure::Count(part.rows_reached as u64),
        ]);
    }
    report.listing("parts", parts);
    report
}
