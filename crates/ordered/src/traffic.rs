//! How many bytes flushes, loads and compactions wrote to the tables of a tree, and read from them.

/// Bytes of tables' files that were written for a tree, and read to write them.
///
/// ```
/// use annals_ordered::TreeTraffic;
///
/// let traffic = TreeTraffic {
///     flushed_bytes: 100,
///     compaction_read_bytes: 160,
///     compaction_written_bytes: 150,
///     ..TreeTraffic::default()
/// };
/// assert_eq!(traffic.write_amplification(), Some(2.5));
/// assert_eq!(TreeTraffic::default().write_amplification(), None);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TreeTraffic {
    /// What flushes wrote, in bytes.
    pub flushed_bytes: u64,
    /// What loads of sorted keys wrote, in bytes.
    pub loaded_bytes: u64,
    /// What compactions read, in bytes of their inputs.
    pub compaction_read_bytes: u64,
    /// What they wrote, in bytes.
    pub compaction_written_bytes: u64,
}

impl TreeTraffic {
    /// How many bytes were written to tables for each byte that flushes and loads brought; 1 if
    /// nothing was compacted, `None` if nothing was brought.
    ///
    /// ```
    /// # use annals_ordered as annals;
    /// use annals::TreeTraffic;
    /// let flushed = TreeTraffic { flushed_bytes: 100, ..TreeTraffic::default() };
    /// assert_eq!(flushed.write_amplification(), Some(1.0));
    /// let compacted = TreeTraffic { compaction_written_bytes: 300, ..flushed };
    /// assert_eq!(compacted.write_amplification(), Some(4.0));
    /// ```
    #[must_use]
    pub fn write_amplification(&self) -> Option<f64> {
        let brought = self.flushed_bytes as f64 + self.loaded_bytes as f64;
        (brought > 0.0).then(|| (brought + self.compaction_written_bytes as f64) / brought)
    }

    /// This and `more`. A number that no work can reach, but a file can say, stays at the highest.
    pub(crate) fn plus(&self, more: &Self) -> Self {
        let [ours, more] = [self.numbers(), more.numbers()];
        Self::from_numbers(std::array::from_fn(|at| ours[at].saturating_add(more[at])))
    }

    /// Its numbers in the order in which the manifest has them.
    pub(crate) fn numbers(&self) -> [u64; 4] {
        let Self { flushed_bytes, loaded_bytes, compaction_read_bytes, compaction_written_bytes } =
            *self;
        [flushed_bytes, loaded_bytes, compaction_read_bytes, compaction_written_bytes]
    }

    /// What has these [`numbers`](Self::numbers).
    pub(crate) fn from_numbers(numbers: [u64; 4]) -> Self {
        let [flushed_bytes, loaded_bytes, compaction_read_bytes, compaction_written_bytes] =
            numbers;
        Self { flushed_bytes, loaded_bytes, compaction_read_bytes, compaction_written_bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_stay_at_the_highest_number() {
        let one = TreeTraffic::from_numbers([1, 2, u64::MAX, 4]);
        assert_eq!(one.plus(&one), TreeTraffic::from_numbers([2, 4, u64::MAX, 8]));
        let most = TreeTraffic::from_numbers([u64::MAX; 4]);
        assert_eq!(most.plus(&one), most);
        assert_eq!(most.write_amplification(), Some(1.5));
    }
}
