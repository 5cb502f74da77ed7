//! What an answer takes of memory.

use super::{Answer, Interner};

/// What it takes to find a group by its keys, about.
const FINDING_BYTES: usize = 64;
/// A number of those that exact quantiles are taken of.
const NUMBER_BYTES: u64 = 8;
/// At most that for a sketch of numbers or of different values, about.
const SKETCH_BYTES: u64 = 16 << 10;

impl Answer {
    /// About how many bytes it takes so far: its groups and their keys, and the numbers that exact quantiles are taken of. Takes a look
    /// at each group if there are quantiles or counts of different values.
    ///
    /// ```
    /// use annals_columns::{Batch, Query, Role, Schema};
    /// use std::sync::Arc;
    /// let schema = Schema::builder(1).with("at", Role::Ts).with("took", Role::Latency);
    /// let schema = Arc::new(schema.build()?);
    /// let mut batch = Batch::new(Arc::clone(&schema));
    /// for at in 0..1_000 {
    ///     let mut row = batch.row();
    ///     row.i64(0, at)?.u32(1, at as u32)?;
    ///     row.finish()?;
    /// }
    /// let mut exact = Query::new(Arc::clone(&schema)).quantiles(1).answer()?;
    /// exact.add_batch(&batch)?;
    /// assert!((8_000..10_000).contains(&exact.memory_bytes()));
    /// # Ok::<(), annals_columns::Error>(())
    /// ```
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        let groups = self.keys.len() * (FINDING_BYTES + size_of::<u128>() + size_of::<u64>())
            + size_of_val(&self.measured[..])
            + size_of_val(&self.quantiles[..])
            + size_of_val(&self.distinct[..]);
        let keys: usize = self.interners.iter().map(Interner::memory_bytes).sum();
        let mut all = (groups + keys) as u64;
        let asked = &self.query.quantiles;
        let rows = self.rows.iter().flat_map(|rows| asked.iter().map(move |of| (*rows, of)));
        for (quantiles, (rows, (_, is_exact))) in self.quantiles.iter().zip(rows) {
            all += match is_exact {
                true => quantiles.count() * NUMBER_BYTES,
                false => rows.saturating_mul(NUMBER_BYTES).min(SKETCH_BYTES),
            };
        }
        for distinct in &self.distinct {
            all += match distinct.is_exact() {
                true => 2 * NUMBER_BYTES * distinct.count(),
                false => SKETCH_BYTES,
            };
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use crate::{Batch, Dimension, GroupBy, Query, Result, Role, Schema};
    use std::sync::Arc;

    #[test]
    fn the_texts_of_keys_count() -> Result<()> {
        let user = Role::Dimension(Dimension::Plain);
        let schema = Arc::new(Schema::builder(1).with("user", user).build()?);
        let memory = |len: usize| {
            let mut batch = Batch::new(Arc::clone(&schema));
            for n in 0..100 {
                let mut row = batch.row();
                row.text(0, &format!("{n:0len$}"))?;
                row.finish()?;
            }
            let query = Query::new(Arc::clone(&schema)).group_by(GroupBy::Field(0));
            let (mut answer, mut whole) = (query.clone().answer()?, query.answer()?);
            answer.add_batch(&batch)?;
            whole.merge(&answer)?;
            assert_eq!(whole.memory_bytes(), answer.memory_bytes());
            Ok(answer.memory_bytes())
        };
        assert!(memory(5_003)? - memory(3)? >= 100 * 5_000);
        Ok(())
    }
}
