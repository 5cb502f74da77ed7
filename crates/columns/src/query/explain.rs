//! What an answer uses of a part.

use super::local::Seen;
use crate::PartView;
use std::fmt;

/// What rows are found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Source {
    /// Rows are sorted by time: those of a range are found at once.
    Times,
    /// A list of the rows that have a value.
    Lists,
    /// Several such lists, as a mask for each chunk.
    Bitmaps,
    /// The lowest and the highest number of each chunk, and its numbers where these do not tell.
    Zones,
    /// The values of each chunk.
    Columns,
    /// The list of rows that count as not there.
    Deleted,
}

/// What an answer uses of a part, and how much of it ([`Query::explain`](super::Query::explain)).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explained {
    /// Rows of the part.
    pub rows: usize,
    /// Chunks of the part.
    pub chunks: usize,
    /// By what rows are found; none if all or none are meant.
    pub sources: Vec<Source>,
    /// Whether the sums of the part as a whole were all that was needed.
    pub is_by_totals: bool,
    /// Chunks of which the sums were all that was needed.
    pub chunks_by_sums: usize,
    /// Chunks whose numbers were unpacked for what is asked; those that were unpacked only to find rows are not among them.
    pub chunks_unpacked: usize,
    /// Rows whose numbers were reached one by one.
    pub rows_reached: usize,
    /// Rows that were added up.
    pub rows_selected: u64,
}

impl Explained {
    pub(super) fn new(
        part: PartView<'_>,
        sources: Vec<Source>,
        is_by_totals: bool,
        seen: Seen,
    ) -> Self {
        Self {
            rows: part.rows_count(),
            chunks: part.chunks_count(),
            sources,
            is_by_totals,
            chunks_by_sums: seen.sums,
            chunks_unpacked: seen.unpacked,
            rows_reached: seen.reached,
            rows_selected: seen.rows,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Times => "times",
            Self::Lists => "lists of rows",
            Self::Bitmaps => "bitmaps",
            Self::Zones => "zones and numbers",
            Self::Columns => "values",
            Self::Deleted => "deleted rows",
        })
    }
}

impl fmt::Display for Explained {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} of {} rows", self.rows_selected, self.rows)?;
        let sources: Vec<String> = self.sources.iter().map(Source::to_string).collect();
        if !sources.is_empty() {
            write!(out, ", found by {}", sources.join(", "))?;
        }
        if self.is_by_totals {
            return out.write_str("; by the sums of the part");
        }
        write!(
            out,
            "; of {} chunks {} by their sums, {} unpacked; {} rows one by one",
            self.chunks, self.chunks_by_sums, self.chunks_unpacked, self.rows_reached
        )
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        Batch, Dimension, Filter, GroupBy, Part, PartBuilder, PartIdentity, Query, Role, Schema,
        query::Source,
    };
    use std::sync::Arc;

    #[test]
    fn what_must_look_at_each_number_is_not_said_to_take_sums() {
        let schema = Schema::builder(1)
            .with("at", Role::Ts)
            .with("latency", Role::Latency)
            .with("user", Role::Dimension(Dimension::Plain));
        let schema = Arc::new(schema.build().expect("a schema"));
        let mut batch = Batch::new(Arc::clone(&schema));
        for at in 0..1_024i64 {
            let mut row = batch.row();
            row.i64(0, at).expect("a time");
            row.u32(1, (at * 7 % 300) as u32).expect("a number");
            row.text(2, ["ada", "bob"][at as usize % 2]).expect("a string");
            row.finish().expect("whole");
        }
        let id = PartIdentity { database_id: 7, number: 1 };
        let mut builder = PartBuilder::new(Arc::clone(&schema), id);
        builder.add(&batch, 0).expect("the schema");
        let part = Part::open(builder.finish().expect("rows"), id).expect("a part");
        let query = || Query::new(Arc::clone(&schema));
        let all = |query: Query| {
            let found = query.explain(part.view(), None).expect("readable");
            let chunks = (found.chunks_by_sums, found.chunks_unpacked, found.rows_reached);
            (found.is_by_totals, chunks, found.rows_selected)
        };
        // Rows 100 and up to 900 begin and end in the middle of a chunk.
        let some = Filter::between(0, 100, 900);
        assert_eq!(all(query().measure(1)), (true, (0, 0, 0), 1_024));
        assert_eq!(all(query().measure(1).quantiles(1)), (false, (0, 4, 0), 1_024));
        assert_eq!(all(query().distinct(2)), (false, (0, 4, 0), 1_024));
        assert_eq!(all(query().measure(1).filter(some.clone())), (false, (2, 2, 0), 800));
        assert_eq!(all(query().distinct(1).filter(some.clone())), (false, (0, 4, 0), 800));
        assert_eq!(all(query().filter(some.clone())), (false, (2, 0, 0), 800));
        let few = Filter::between(0, 250, 260);
        assert_eq!(all(query().quantiles_by_sketch(1).filter(few)), (false, (0, 0, 10), 10));
        let days = query().group_by(GroupBy::Time { bucket_ns: 1 << 20 });
        assert_eq!(all(days.clone().measure(1)), (false, (4, 0, 0), 1_024));
        assert_eq!(all(days.quantiles(1)), (false, (0, 4, 0), 1_024));
        assert_eq!(all(query().group_by(GroupBy::Field(2))), (false, (0, 4, 0), 1_024));

        let found = query().filter(some).distinct(2).explain(part.view(), None).expect("readable");
        assert_eq!(found.sources, [Source::Times]);
        let shown = "800 of 1024 rows, found by times; of 4 chunks 0 by their sums, 4 unpacked; 0 rows one by one";
        assert_eq!(found.to_string(), shown);
    }
}
