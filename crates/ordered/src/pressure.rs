//! How much writers are slowed while flushes and compactions have much to do.
//!
//! There is no step at which writers stop until something is done, but for the end of the memory: each
//! kind of work that waits slows them from some amount on, at first by almost nothing, and more and more
//! steeply. So they come to rest at the speed at which the work is done.

/// Work that waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// The bytes of all memtables: of those that are written to and of those that are to be flushed.
    pub memtable_bytes: u64,
    /// How many tables, or runs of them, a read must look at one by one.
    pub level0_tables: u64,
    /// How many bytes compaction must go through until all levels are as they should be.
    pub debt_bytes: u64,
}

/// From where on an amount slows writers, and where it slows them most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Up to here there is no delay.
    pub from: u64,
    /// From here on there is the longest.
    pub to: u64,
}

/// When work that waits slows writers, and by how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pressure {
    /// Bytes of memtables. At its end, no write may add any more.
    pub memtable_bytes: Span,
    /// Tables in level 0.
    pub level0_tables: Span,
    /// Bytes that compaction has to go through.
    pub debt_bytes: Span,
    /// How many bytes a second are let through under the highest pressure that is not the end of memory.
    pub slowest_bytes_per_s: u64,
}

/// What a commit has to do before it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It waits so many nanoseconds; zero as long as there is no pressure.
    After {
        /// How long.
        delay_ns: u64,
    },
    /// It waits until a flush has given memory back, and asks again.
    Full,
}

/// No single commit waits longer than this, in nanoseconds, however large it is.
const LONGEST_DELAY_NS: u64 = 20_000_000;

impl Pressure {
    /// What suits a budget of so many bytes for memtables, where each is flushed when it has
    /// `memtable_bytes`, and level 0 is compacted from so many tables on.
    ///
    /// # Panics
    /// If the budget or the number of tables is zero.
    #[must_use]
    pub fn new(budget_bytes: u64, memtable_bytes: u64, level0_tables: u64) -> Self {
        assert!(budget_bytes > 0 && level0_tables > 0, "a tree needs memory and tables");
        // One memtable may be flushed and the next one half full before anybody notices.
        let free = (memtable_bytes + memtable_bytes / 2).min(budget_bytes / 2);
        let debt = budget_bytes.max(64 << 20);
        Self {
            memtable_bytes: Span { from: free, to: budget_bytes },
            level0_tables: Span { from: 2 * level0_tables, to: 8 * level0_tables },
            debt_bytes: Span { from: 16 * debt, to: 128 * debt },
            slowest_bytes_per_s: 2 << 20,
        }
    }

    /// How strained the tree is: 0 without any pressure, 1 under the highest.
    #[must_use]
    pub fn strain(&self, backlog: &Backlog) -> f64 {
        let strains = [
            self.memtable_bytes.part(backlog.memtable_bytes),
            self.level0_tables.part(backlog.level0_tables),
            self.debt_bytes.part(backlog.debt_bytes),
        ];
        strains.into_iter().fold(0.0, f64::max)
    }

    /// What a commit of so many bytes has to do before it goes on. More to do never lets it go earlier, and
    /// a little more to do delays it by a little more only.
    #[must_use]
    pub fn admit(&self, backlog: &Backlog, commit_bytes: u64) -> Admission {
        if backlog.memtable_bytes >= self.memtable_bytes.to {
            return Admission::Full;
        }
        // The cube begins so flat that a short burst costs nothing, and has no step.
        let slow_ns = commit_bytes as f64 * 1e9 / self.slowest_bytes_per_s.max(1) as f64;
        let delay_ns = (slow_ns * self.strain(backlog).powi(3)) as u64;
        Admission::After { delay_ns: delay_ns.min(LONGEST_DELAY_NS) }
    }
}

impl Span {
    /// How far into the span an amount is, from 0 to 1.
    fn part(&self, amount: u64) -> f64 {
        let (into, all) = (amount.saturating_sub(self.from), self.to.saturating_sub(self.from));
        if into >= all {
            // A span without length is a step; nothing is in front of it.
            return if amount > self.from || all > 0 { 1.0 } else { 0.0 };
        }
        into as f64 / all as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BUDGET: u64 = 96 << 20;

    fn pressure() -> Pressure {
        Pressure::new(BUDGET, 24 << 20, 4)
    }

    /// The delay in nanoseconds; none is longer than waiting for memory.
    fn delay_ns(backlog: &Backlog, commit_bytes: u64) -> u64 {
        match pressure().admit(backlog, commit_bytes) {
            Admission::After { delay_ns } => delay_ns,
            Admission::Full => u64::MAX,
        }
    }

    fn backlog() -> impl Strategy<Value = Backlog> {
        (0..BUDGET + 9, 0..50_u64, 0..200 * BUDGET).prop_map(
            |(memtable_bytes, level0_tables, debt_bytes)| Backlog {
                memtable_bytes,
                level0_tables,
                debt_bytes,
            },
        )
    }

    proptest! {
        #[test]
        fn more_to_do_never_means_less_delay(
            one in backlog(),
            more in backlog(),
            bytes in 0..1_u64 << 24,
            more_bytes in 0..1_u64 << 24,
        ) {
            let strained = Backlog {
                memtable_bytes: one.memtable_bytes.max(more.memtable_bytes),
                level0_tables: one.level0_tables.max(more.level0_tables),
                debt_bytes: one.debt_bytes.max(more.debt_bytes),
            };
            prop_assert!(delay_ns(&strained, bytes) >= delay_ns(&one, bytes));
            prop_assert!(delay_ns(&one, bytes.max(more_bytes)) >= delay_ns(&one, bytes));
            prop_assert!(pressure().strain(&strained) >= pressure().strain(&one));
        }

        #[test]
        fn a_little_more_to_do_means_a_little_more_delay(one in backlog()) {
            let bytes = 1 << 10;
            let slowest = bytes * 1_000_000_000 / pressure().slowest_bytes_per_s;
            let more = [
                Backlog { memtable_bytes: one.memtable_bytes + BUDGET / 1000, ..one },
                Backlog { debt_bytes: one.debt_bytes + BUDGET / 10, ..one },
            ];
            for more in more.iter().filter(|more| more.memtable_bytes < BUDGET) {
                let step = delay_ns(more, bytes) - delay_ns(&one, bytes);
                prop_assert!(step <= slowest / 100, "{step} of {slowest}");
            }
        }

        #[test]
        fn writers_stop_at_the_end_of_memory_and_nowhere_else(one in backlog(), bytes in any::<u64>()) {
            let is_full = pressure().admit(&one, bytes) == Admission::Full;
            prop_assert_eq!(is_full, one.memtable_bytes >= BUDGET);
            prop_assert!(is_full || delay_ns(&one, bytes) <= LONGEST_DELAY_NS);
        }
    }

    #[test]
    fn there_is_no_delay_while_work_keeps_up() {
        let calm = Backlog { memtable_bytes: 36 << 20, level0_tables: 8, debt_bytes: 16 * BUDGET };
        assert_eq!(delay_ns(&calm, u64::MAX), 0);
        assert_eq!(delay_ns(&Backlog::default(), 1 << 30), 0);
    }

    #[test]
    fn under_the_highest_pressure_writers_go_at_the_slowest_rate() {
        let strained = Backlog { level0_tables: 32, ..Backlog::default() };
        assert_eq!(delay_ns(&strained, 2 << 10), 1_000_000_000 / 1024);
        assert_eq!(delay_ns(&Backlog { level0_tables: 1000, ..strained }, 2 << 10), 976_562);
    }

    /// Writers that are faster than flushes come to rest in front of the end of memory, at the speed of the
    /// flushes.
    #[test]
    fn writers_come_to_rest_at_the_speed_of_the_work() {
        let (write_ns, flush_bytes_per_s, commit) = (1_000_u64, 50_u64 << 20, 128_u64);
        let pressure = pressure();
        let (mut memtable_bytes, mut clock_ns, mut flushed) = (0_f64, 0_u64, 0_f64);
        let mut longest = 0;
        for _ in 0..5_000_000_u64 {
            let backlog = Backlog { memtable_bytes: memtable_bytes as u64, ..Backlog::default() };
            let Admission::After { delay_ns } = pressure.admit(&backlog, commit) else {
                panic!("the end of memory is reached");
            };
            longest = longest.max(delay_ns);
            let ns = write_ns + delay_ns;
            clock_ns += ns;
            let flush = (ns as f64 * flush_bytes_per_s as f64 / 1e9).min(memtable_bytes);
            memtable_bytes += commit as f64 - flush;
            flushed += flush;
        }
        let rate = flushed * 1e9 / clock_ns as f64;
        assert!(rate > 0.9 * flush_bytes_per_s as f64, "{rate} bytes a second");
        assert!(longest < 10_000, "{longest} ns");
    }
}
