//! What the manifest says of a table: enough to choose compactions without opening it.

use crate::KeyRange;

/// A table as the manifest describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableInfo {
    /// The number in its file's name.
    pub number: u64,
    /// The length of its file in bytes.
    pub bytes: u64,
    /// All keys it says anything about, also by removed ranges.
    pub range: KeyRange,
    /// The lowest sequence number in it.
    pub lowest_seq: u64,
    /// The highest sequence number in it.
    pub highest_seq: u64,
    /// How many versions it has, removals included, removed ranges not.
    pub entries: u64,
    /// How many of them are removals.
    pub removals: u64,
    /// How many removed ranges it has.
    pub range_removals: u64,
    /// How many versions expire at some time.
    pub expiring: u64,
    /// When the first of those expires, in milliseconds since 1970; `u64::MAX` without any.
    pub first_expiry_ms: u64,
    /// When the last of those expires; 0 without any.
    pub last_expiry_ms: u64,
    /// When the oldest of its records came, in milliseconds since 1970.
    pub oldest_ms: u64,
    /// When the newest of its records came.
    pub newest_ms: u64,
    /// The segments of the owner's log that it refers to, in rising order, and the bytes in each.
    pub references: Vec<(u64, u64)>,
}

impl TableInfo {
    /// Whether the fields fit each other.
    #[must_use]
    pub fn is_consistent(&self) -> bool {
        let expiry = if self.expiring == 0 {
            self.first_expiry_ms == u64::MAX && self.last_expiry_ms == 0
        } else {
            self.first_expiry_ms <= self.last_expiry_ms
        };
        let counted = self.entries.checked_add(self.range_removals).is_some_and(|all| all > 0);
        !self.range.is_empty()
            && self.lowest_seq <= self.highest_seq
            && self.oldest_ms <= self.newest_ms
            && self.removals <= self.entries
            && self.expiring <= self.entries
            && counted
            && expiry
            && self.references.is_sorted_by(|one, next| one.0 < next.0)
    }

    /// The bytes in the owner's log that it refers to.
    #[must_use]
    pub fn referenced_bytes(&self) -> u64 {
        self.references.iter().fold(0, |sum, (_, bytes)| sum.saturating_add(*bytes))
    }

    /// How many of its versions have expired at `now_ms`, as far as counts and ends can tell:
    /// expiries are taken to be spread evenly.
    #[must_use]
    pub fn expired_estimate(&self, now_ms: u64) -> u64 {
        if self.expiring == 0 || now_ms < self.first_expiry_ms {
            return 0;
        }
        if now_ms >= self.last_expiry_ms {
            return self.expiring;
        }
        let passed = u128::from(now_ms - self.first_expiry_ms);
        let whole = u128::from(self.last_expiry_ms - self.first_expiry_ms);
        u64::try_from(u128::from(self.expiring) * passed / whole).unwrap_or(self.expiring)
    }

    /// Whether every version in it has expired at `now_ms`. It has no removed range then.
    #[must_use]
    pub fn is_expired(&self, now_ms: u64) -> bool {
        self.range_removals == 0 && self.expiring == self.entries && self.last_expiry_ms <= now_ms
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A table of `bytes` with one version a hundred bytes, for tests of choices.
    pub(crate) fn table(number: u64, first: &[u8], last: &[u8], seqs: (u64, u64)) -> TableInfo {
        TableInfo {
            number,
            bytes: 1000,
            range: KeyRange::closed(first, last),
            lowest_seq: seqs.0,
            highest_seq: seqs.1,
            entries: 10,
            removals: 0,
            range_removals: 0,
            expiring: 0,
            first_expiry_ms: u64::MAX,
            last_expiry_ms: 0,
            oldest_ms: 1,
            newest_ms: 2,
            references: Vec::new(),
        }
    }

    #[test]
    fn fields_that_do_not_fit_each_other_are_found() {
        let right = table(1, b"a", b"c", (1, 9));
        assert!(right.is_consistent());
        let wrong: [fn(&mut TableInfo); 10] = [
            |table| table.range = KeyRange::until(b"a", b"a"),
            |table| table.lowest_seq = 10,
            |table| table.oldest_ms = 3,
            |table| table.removals = 11,
            |table| table.expiring = 11,
            |table| table.entries = 0,
            |table| table.expiring = 1,
            |table| table.last_expiry_ms = 1,
            |table| table.range_removals = u64::MAX,
            |table| table.references = vec![(2, 1), (2, 1)],
        ];
        for (at, change) in wrong.iter().enumerate() {
            let mut table = right.clone();
            change(&mut table);
            assert!(!table.is_consistent(), "{at}");
        }
    }

    #[test]
    fn expired_versions_are_estimated_between_the_ends() {
        let mut table = table(1, b"a", b"c", (1, 9));
        assert_eq!(table.expired_estimate(u64::MAX), 0);
        (table.expiring, table.first_expiry_ms, table.last_expiry_ms) = (10, 100, 200);
        for (now_ms, expired) in [(99, 0), (100, 0), (150, 5), (199, 9), (200, 10), (300, 10)] {
            assert_eq!(table.expired_estimate(now_ms), expired, "{now_ms}");
        }
        assert!(table.is_expired(200) && !table.is_expired(199));
        table.range_removals = 1;
        assert!(!table.is_expired(200));
    }
}
