//! Compaction: tables are merged into others, deeper ones mostly, so that reads have few places to
//! look and superseded versions go.
//!
//! *Choosing* is pure: from levels, options and what is running to a [`Compaction`]. `choice` asks
//! the style of the tree (`leveled`, `tiered`, `fifo`) and looks for tables with much to drop; `small` says
//! which of those that lie side by side had better be one;
//! `range` works through a range that somebody asked for; `targets` says how large levels may be,
//! `split` where outputs end.
//!
//! *Doing*: `run` merges inputs and leaves out what nobody needs any more, for which `beneath` knows
//! what lies deeper; `outputs` writes tables.
//!
//! What every choice keeps, or a key's newest version would no longer be found first:
//! * the inputs contain, of the levels from the top one's next down to the output's, every table
//!   that overlaps the span of all inputs;
//! * of level 0 with an older level below as output, also every older table that overlaps;
//! * two compactions at the same time share no input, and in no level into or through which both
//!   carry tables do their spans overlap ([`Running::admits`]).
//!
//! A table that cannot be read is *set aside*: nothing that would read it, or carry newer data past it, is
//! chosen. It may be dropped where tables go by their age.

pub(crate) mod beneath;
pub(crate) mod choice;
mod fifo;
mod leveled;
pub(crate) mod outputs;
pub(crate) mod range;
pub(crate) mod run;
mod small;
pub(crate) mod split;
pub(crate) mod targets;
mod tiered;

use crate::{Error, KeyRange, Levels, TableInfo};
use std::{collections::BTreeMap, sync::Arc};

/// Why a compaction is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Level 0 has too many tables, or too large ones.
    Level0,
    /// A level is larger than it should be.
    Size,
    /// A table has many removals, which keep space that they made superfluous.
    Removals,
    /// Much of a table has expired.
    Expiry,
    /// There are too many runs.
    Runs,
    /// Tables side by side are so small that they had better be one.
    Small,
    /// The oldest tables are to be dropped.
    Age,
    /// Somebody asked for the range.
    Range,
}

/// What becomes of the inputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// They are read, and what is to be kept is written to new tables.
    Merge,
    /// They are taken over by the output level as they are.
    Move,
    /// They go.
    Drop,
}

/// A compaction that is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Compaction {
    /// Why.
    pub(crate) reason: Reason,
    /// What becomes of the inputs.
    pub(crate) action: Action,
    /// The uppermost level with inputs.
    pub(crate) top: usize,
    /// The level of the outputs.
    pub(crate) output: usize,
    /// The inputs with their levels, from the newest data to the oldest.
    pub(crate) inputs: Vec<(usize, Arc<TableInfo>)>,
    /// All keys of the inputs.
    pub(crate) span: KeyRange,
}

impl Compaction {
    /// A compaction of `inputs`, to which everything is added that has to come along. `None` if
    /// there are no inputs.
    pub(crate) fn into_level(
        levels: &Levels,
        reason: Reason,
        output: usize,
        mut inputs: Vec<(usize, Arc<TableInfo>)>,
    ) -> Option<Self> {
        let mut span = KeyRange::span(inputs.iter().map(|(_, table)| &table.range))?;
        let top = inputs.iter().map(|(level, _)| *level).min()?;
        // Each level's tables may widen the span, and so call for more of the levels above.
        loop {
            let mut grown = false;
            for level in top + 1..=output {
                for table in levels.overlapping(level, &span.clone()) {
                    if !inputs.iter().any(|(_, known)| known.number == table.number) {
                        inputs.push((level, table.clone()));
                        grown |= level < output;
                        span.extend(&table.range);
                    }
                }
            }
            if !grown {
                break;
            }
        }
        inputs.sort_by_key(|(level, _)| *level);
        Some(Self { reason, action: Action::Merge, top, output, inputs, span })
    }

    /// How many bytes it reads.
    pub(crate) fn bytes(&self) -> u64 {
        self.inputs.iter().map(|(_, table)| table.bytes).sum()
    }

    /// Whether `number` is an input.
    pub(crate) fn takes(&self, number: u64) -> bool {
        self.inputs.iter().any(|(_, table)| table.number == number)
    }

    /// Whether it carries tables into `level`, or past it. What only drops its inputs does not.
    fn enters(&self, level: usize) -> bool {
        self.action != Action::Drop
            && (level == self.output || (self.top < level && level < self.output))
    }

    /// Whether the header of this module holds for it.
    ///
    /// # Errors
    /// What does not.
    pub(crate) fn check(&self, levels: &Levels) -> Result<(), String> {
        for (level, table) in &self.inputs {
            if !levels.level(*level).iter().any(|known| known.number == table.number) {
                return Err(format!("input {} is not in level {level}", table.number));
            }
        }
        for level in self.top + 1..=self.output {
            for table in levels.overlapping(level, &self.span) {
                if !self.takes(table.number) {
                    return Err(format!("{} of level {level} is left behind", table.number));
                }
            }
        }
        if self.top == 0 && self.output > 0 && self.action != Action::Drop {
            let mut newer = Vec::new();
            for table in levels.level(0) {
                if self.takes(table.number) {
                    newer.push(table);
                } else if newer.iter().any(|taken| taken.range.overlaps(&table.range)) {
                    return Err(format!("{} of level 0 is older and stays", table.number));
                }
            }
        }
        Ok(())
    }
}

/// The compactions of a tree that are being done, and the tables that none may read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Running {
    compactions: Vec<Arc<Compaction>>,
    /// By their numbers, with what is wrong with them.
    aside: BTreeMap<u64, Error>,
}

impl Running {
    /// Notes that `compaction` has begun.
    pub(crate) fn begin(&mut self, compaction: Arc<Compaction>) {
        debug_assert!(self.admits(&compaction));
        self.compactions.push(compaction);
    }

    /// Notes that it has ended, however it did.
    pub(crate) fn end(&mut self, compaction: &Arc<Compaction>) {
        self.compactions.retain(|running| !Arc::ptr_eq(running, compaction));
    }

    /// Whether none is running.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.compactions.is_empty()
    }

    /// Those that are running.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Compaction>> {
        self.compactions.iter()
    }

    /// Sets a table aside that cannot be read.
    pub(crate) fn set_aside(&mut self, number: u64, why: Error) {
        self.aside.insert(number, why);
    }

    /// Forgets tables that were set aside and are not there any more. Whether there are others.
    pub(crate) fn retain_aside(&mut self, is_there: impl Fn(u64) -> bool) -> bool {
        self.aside.retain(|number, _| is_there(*number));
        !self.aside.is_empty()
    }

    /// Why nothing can be done any more about what was refused, if it is for a table that was set aside:
    /// nothing is running that could end.
    pub(crate) fn hopeless(&self) -> Option<&Error> {
        if self.compactions.is_empty() { self.aside.values().next() } else { None }
    }

    /// Whether the table cannot be an input: one of them has it, or it was set aside.
    pub(crate) fn takes(&self, number: u64) -> bool {
        self.works_on(number) || self.aside.contains_key(&number)
    }

    /// Whether the table is an input of one of them.
    pub(crate) fn works_on(&self, number: u64) -> bool {
        self.compactions.iter().any(|running| running.takes(number))
    }

    /// Whether `compaction` can be done at the same time as all of them.
    pub(crate) fn admits(&self, compaction: &Compaction) -> bool {
        let reads = compaction.action != Action::Drop;
        let is_aside =
            |(_, table): &(usize, Arc<TableInfo>)| self.aside.contains_key(&table.number);
        if reads && compaction.inputs.iter().any(is_aside) {
            return false;
        }
        self.compactions.iter().all(|running| {
            let shares = compaction.inputs.iter().any(|(_, table)| running.takes(table.number));
            let same_level = (0..=compaction.output)
                .any(|level| compaction.enters(level) && running.enters(level));
            let meets = same_level && running.span.overlaps(&compaction.span);
            !shares && !meets
        })
    }
}

#[cfg(test)]
mod simulation_test;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table_info::tests::table;

    fn levels(tables: &[(usize, u64, &str, &str)]) -> Levels {
        let added: Vec<_> = tables
            .iter()
            .map(|(level, number, first, last)| {
                let table =
                    table(*number, first.as_bytes(), last.as_bytes(), (*number * 10, *number * 10));
                (*level, Arc::new(table))
            })
            .collect();
        Levels::default().changed(&[], &added).unwrap()
    }

    fn of(levels: &Levels, output: usize, inputs: &[(usize, u64)]) -> Compaction {
        let inputs = inputs
            .iter()
            .map(|(level, number)| {
                let found = levels.level(*level).iter().find(|table| table.number == *number);
                (*level, found.unwrap().clone())
            })
            .collect();
        Compaction::into_level(levels, Reason::Size, output, inputs).unwrap()
    }

    #[test]
    fn what_lies_in_between_comes_along() {
        let levels = levels(&[
            (1, 1, "c", "d"),
            (2, 2, "d", "k"),
            (2, 3, "m", "p"),
            (3, 4, "i", "n"),
            (3, 5, "q", "r"),
        ]);
        let compaction = of(&levels, 3, &[(1, 1)]);
        let numbers: Vec<u64> = compaction.inputs.iter().map(|(_, table)| table.number).collect();
        assert_eq!(numbers, [1, 2, 3, 4], "what the span reaches once it is known");
        assert_eq!(compaction.check(&levels), Ok(()));
        let short = Compaction { inputs: compaction.inputs[..1].to_vec(), ..compaction };
        assert!(short.check(&levels).is_err());
    }

    #[test]
    fn compactions_run_beside_each_other_where_they_do_not_meet() {
        let levels = levels(&[
            (1, 1, "a", "c"),
            (1, 2, "m", "p"),
            (1, 3, "q", "r"),
            (2, 4, "b", "l"),
            (2, 5, "o", "q"),
            (3, 6, "a", "z"),
        ]);
        let mut running = Running::default();
        let first = Arc::new(of(&levels, 2, &[(1, 1)]));
        running.begin(first.clone());
        assert!(running.takes(4) && !running.takes(5));
        assert!(running.admits(&of(&levels, 2, &[(1, 2)])));
        assert!(!running.admits(&of(&levels, 2, &[(1, 1)])), "the same input");
        assert!(!running.admits(&of(&levels, 3, &[(2, 4)])), "its lower input");
        running.begin(Arc::new(of(&levels, 2, &[(1, 2)])));
        assert!(!running.admits(&of(&levels, 2, &[(1, 3)])), "both would take table 5");
        running.end(&first);
        assert!(running.admits(&of(&levels, 2, &[(1, 1)])));
        assert_eq!(running.iter().count(), 1);
    }

    /// What the one writes may reach over a gap between its inputs, and so over what the other writes there.
    #[test]
    fn two_that_share_nothing_and_write_to_a_level_side_by_side_do_not_run_at_once() {
        let levels = levels(&[(0, 4, "m", "n"), (1, 1, "a", "b"), (1, 2, "y", "z")]);
        let mut running = Running::default();
        let over_the_gap = Arc::new(of(&levels, 2, &[(1, 1), (1, 2)]));
        running.begin(over_the_gap.clone());
        let into_the_gap = of(&levels, 2, &[(0, 4)]);
        assert_eq!(into_the_gap.inputs.len(), 1);
        assert!(!running.admits(&into_the_gap), "their tables would overlap in level 2");
        assert!(running.admits(&of(&levels, 1, &[(0, 4)])), "to another level");
        assert!(running.admits(&Compaction { action: Action::Drop, ..into_the_gap.clone() }));
        running.end(&over_the_gap);
        // Nothing may come to lie in a level through which others are carried, or newer data would pass it.
        running.begin(Arc::new(into_the_gap));
        let range = KeyRange::closed(b"a", b"z");
        let through = Compaction { output: 1, top: 0, span: range, ..of(&levels, 1, &[(1, 1)]) };
        assert!(!running.admits(&through));
    }

    #[test]
    fn a_table_that_was_set_aside_is_read_by_none() {
        let levels = levels(&[(1, 1, "a", "c"), (1, 2, "m", "p"), (2, 3, "b", "c")]);
        let mut running = Running::default();
        let (path, what) = ("3.table".into(), "it is damaged");
        running.set_aside(3, Error::Damaged { path, offset: 7, what });
        let over = of(&levels, 2, &[(1, 1)]);
        assert!(!running.admits(&over), "it would be merged");
        assert!(running.admits(&of(&levels, 2, &[(1, 2)])), "beside it");
        assert!(running.admits(&Compaction { action: Action::Drop, ..over }), "dropped unread");
        assert!(running.takes(3) && !running.works_on(3) && running.hopeless().is_some());
        running.begin(Arc::new(of(&levels, 2, &[(1, 2)])));
        assert!(running.hopeless().is_none(), "what is running may end");
    }
}
