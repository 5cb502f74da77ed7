//! What an answer takes of memory.

use super::{Answer, Distinct, Interner, Quantiles};

/// What it takes to find a group by its keys, about.
const FINDING_BYTES: usize = 64;

impl Answer {
    /// About how many bytes it takes so far: its groups and their keys, the numbers that exact quantiles are taken of, sketches, and
    /// what different values are counted by. Takes a look at each group if there are quantiles or counts of different values.
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
        let quantiles: u64 = self.quantiles.iter().map(Quantiles::memory_bytes).sum();
        let distinct: u64 = self.distinct.iter().map(Distinct::memory_bytes).sum();
        (groups + keys) as u64 + quantiles + distinct
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        Batch, Dimension, GroupBy, Part, PartBuilder, PartIdentity, Query, Result, Role, Schema,
    };
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

    /// A sketch of numbers of a range takes 8 bytes for each bucket of it; of a few that are far from each other, little.
    #[test]
    fn sketches_are_counted_as_they_are() -> Result<()> {
        let memory = |role: Role, numbers: &[u64]| {
            let schema = Arc::new(Schema::builder(1).with("number", role.clone()).build()?);
            let query = || Query::new(Arc::clone(&schema)).quantiles_by_sketch(0).answer();
            let (mut fresh, mut whole) = (query()?, query()?);
            let none = fresh.memory_bytes();
            let mut batch = Batch::new(Arc::clone(&schema));
            for number in numbers {
                let mut row = batch.row();
                match role {
                    Role::CounterU64 => row.u64(0, *number)?,
                    Role::MetricI64 => row.i64(0, number.cast_signed())?,
                    _ => row.f64(0, f64::from_bits(*number))?,
                };
                row.finish()?;
            }
            fresh.add_batch(&batch)?;
            whole.merge(&fresh)?;
            let id = PartIdentity { database_id: 7, number: 1 };
            let mut builder = PartBuilder::new(Arc::clone(&schema), id);
            builder.add(&batch, 0)?;
            let (part, mut of_part) = (Part::open(builder.finish()?, id)?, query()?);
            of_part.add(part.view(), None)?;
            let all = [&fresh, &whole, &of_part];
            assert!(all.iter().all(|one| one.groups() == fresh.groups()));
            Ok::<_, crate::Error>(all.map(|answer| answer.memory_bytes() - none))
        };
        // All buckets of 64 bits: 128 to a power of two, above the first ones.
        let whole: Vec<u64> =
            (0..64).flat_map(|shift| (0..256u64).map(move |n| (n << 56) >> shift)).collect();
        let buckets = 128 * 58;
        for bytes in memory(Role::CounterU64, &whole)? {
            assert!((8 * buckets..32 * buckets).contains(&bytes), "{bytes}");
        }
        for bytes in memory(Role::MetricI64, &whole)? {
            assert!((16 * buckets - 4_096..64 * buckets).contains(&bytes), "{bytes}");
        }
        // Of numbers with fractions: a thousand of a kind, and one at the other end of all.
        let near = (0..1_000).map(|n| (1.0 + f64::from(n) / 500.0).to_bits());
        let far: Vec<u64> = near.chain([1e-300, 1e300, -1e300, 0.0].map(f64::to_bits)).collect();
        for bytes in memory(Role::MetricF64, &far)? {
            assert!((250 * 8..64 << 10).contains(&bytes), "{bytes}");
        }
        Ok(())
    }
}
