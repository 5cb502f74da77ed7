//! Several sorted runs as one.

use crate::{Cursor, Entry, Result, number::word_of};
use std::cmp::Ordering;

/// After so many steps in one run it is likely that more follow, and worth a search how many.
const STEADY: usize = 4;

/// A cursor over the entries of several others, in order. If two have the same version of a key, the one
/// that was given first is in front.
///
/// The one it stands on is kept apart from the others, which are in a heap: as long as the next entry
/// comes from the same run, as it does when there is only one or runs lie side by side, a step costs one
/// comparison at most.
#[derive(Clone, Debug)]
pub struct Merge<C> {
    runs: Vec<C>,
    /// The run whose entry is the merge's. `None` outside.
    top: Option<usize>,
    /// The others that have an entry: behind the top's, or before it when the way is back. The next one
    /// is first.
    heap: Vec<Head>,
    /// How many steps were made since the top changed.
    steady: usize,
    /// Whether the runs without an entry ran out at the end, and not at the beginning.
    is_forward: bool,
    /// Where the merge stood when it turned round.
    turned_at: Vec<u8>,
}

/// A run that has an entry.
#[derive(Clone, Copy, Debug)]
struct Head {
    /// The first bytes of the entry's key: most comparisons need no more, and no look at the run.
    word: u64,
    run: usize,
}

impl<C: Cursor> Merge<C> {
    /// A merge of these, outside of all of them. Each must be sorted, but what is in which does not matter.
    #[must_use]
    pub fn new(runs: Vec<C>) -> Self {
        let heap = Vec::with_capacity(runs.len().saturating_sub(1));
        Self { runs, top: None, heap, steady: 0, is_forward: true, turned_at: Vec::new() }
    }

    /// The cursors that are merged.
    #[must_use]
    pub fn runs(&self) -> &[C] {
        &self.runs
    }

    /// The run that has the entry of the merge, to go through entries that [`stretch`](Cursor::stretch) has
    /// counted, and no further.
    pub(crate) fn top_mut(&mut self) -> Option<&mut C> {
        Some(&mut self.runs[self.top?])
    }

    /// The run as one that has an entry, if it has one.
    #[inline]
    fn head(&self, run: usize) -> Option<Head> {
        let entry = self.runs[run].entry()?;
        Some(Head { word: word_of(entry.key), run })
    }

    /// Whether the entry of one run comes before the entry of another on the way.
    #[inline]
    fn comes_before(&self, one: Head, other: Head) -> bool {
        if one.word != other.word {
            return (one.word < other.word) == self.is_forward;
        }
        self.entry_comes_before(one.run, other.run)
    }

    /// The same for entries whose keys begin alike.
    fn entry_comes_before(&self, one: usize, other: usize) -> bool {
        let (Some(its), Some(others)) = (self.runs[one].entry(), self.runs[other].entry()) else {
            return false;
        };
        let order = its.order(&others).then(one.cmp(&other));
        order == if self.is_forward { Ordering::Less } else { Ordering::Greater }
    }

    /// Moves all runs, and finds where the merge is then.
    fn go(&mut self, is_forward: bool, mut go: impl FnMut(&mut C) -> Result<()>) -> Result<()> {
        self.top = None;
        self.heap.clear();
        self.is_forward = is_forward;
        for run in &mut self.runs {
            go(run)?;
        }
        if let [only] = &*self.runs {
            self.top = only.entry().is_some().then_some(0);
            return Ok(());
        }
        for run in 0..self.runs.len() {
            self.heap.extend(self.head(run));
        }
        for place in (0..self.heap.len() / 2).rev() {
            self.sink(place);
        }
        self.take_top();
        Ok(())
    }

    /// Makes the first of the heap the top.
    fn take_top(&mut self) {
        self.top = (!self.heap.is_empty()).then(|| self.heap.swap_remove(0).run);
        self.steady = 0;
        self.sink(0);
    }

    /// Puts the run at a place of the heap where it belongs below there.
    fn sink(&mut self, mut place: usize) {
        loop {
            let (left, right) = (2 * place + 1, 2 * place + 2);
            if left >= self.heap.len() {
                return;
            }
            let right_first =
                right < self.heap.len() && self.comes_before(self.heap[right], self.heap[left]);
            let child = if right_first { right } else { left };
            if !self.comes_before(self.heap[child], self.heap[place]) {
                return;
            }
            self.heap.swap(place, child);
            place = child;
        }
    }

    /// Finds the top again after it was moved one step on.
    #[inline]
    fn settle(&mut self, top: usize, moved: Result<()>) -> Result<()> {
        if moved.is_err() {
            self.top = None;
            self.heap.clear();
            return moved;
        }
        if self.heap.is_empty() {
            // Nobody comes before it, whatever its key is.
            self.top = self.runs[top].has_entry().then_some(top);
            self.steady += 1;
            return Ok(());
        }
        match (self.heap.first(), self.head(top)) {
            (None, None) => self.top = None,
            (Some(&next), Some(head)) if self.comes_before(next, head) => {
                self.heap[0] = head;
                self.top = Some(next.run);
                self.steady = 0;
                self.sink(0);
            }
            (_, Some(_)) => self.steady += 1,
            (Some(_), None) => self.take_top(),
        }
        Ok(())
    }

    /// Turns the way round: all runs but the top go to the other side of its entry.
    #[cold]
    fn turn(&mut self, top: usize) -> Result<()> {
        let Some(entry) = self.runs[top].entry() else { return Ok(()) };
        let seq = entry.seq;
        self.turned_at.clear();
        self.turned_at.extend_from_slice(entry.key);
        self.is_forward = !self.is_forward;
        self.top = None;
        self.heap.clear();
        for run in 0..self.runs.len() {
            if run != top {
                self.turn_run(run, seq, run < top)?;
                self.heap.extend(self.head(run));
            }
        }
        for place in (0..self.heap.len() / 2).rev() {
            self.sink(place);
        }
        self.top = Some(top);
        Ok(())
    }

    /// Moves a run to the other side of where the merge turns round.
    fn turn_run(&mut self, run: usize, seq: u64, is_in_front: bool) -> Result<()> {
        let is_forward = self.is_forward;
        let run = &mut self.runs[run];
        match run.entry() {
            // It ran out on the side that the way led to, though something may have come there since.
            None if is_forward => run.seek(&self.turned_at, seq)?,
            None => run.seek_back(&self.turned_at, seq)?,
            Some(_) => {}
        }
        let here = Entry {
            key: &self.turned_at,
            seq,
            kind: crate::EntryKind::Remove,
            expires_ms: None,
            value: &[],
        };
        // One step, as a rule: more only where a writer has put new versions in between.
        while let Some(entry) = run.entry() {
            // The same version in two runs: the one in front comes first.
            match (is_forward, entry.order(&here)) {
                (true, Ordering::Greater) | (false, Ordering::Less) => break,
                (_, Ordering::Equal) if is_forward != is_in_front => break,
                (true, _) => run.advance()?,
                (false, _) => run.retreat()?,
            }
        }
        Ok(())
    }
}

impl<C: Cursor> Cursor for Merge<C> {
    #[inline]
    fn entry(&self) -> Option<Entry<'_>> {
        self.runs[self.top?].entry()
    }

    fn to_first(&mut self) -> Result<()> {
        self.go(true, C::to_first)
    }

    fn to_last(&mut self) -> Result<()> {
        self.go(false, C::to_last)
    }

    fn seek(&mut self, key: &[u8], seq: u64) -> Result<()> {
        self.go(true, |run| run.seek(key, seq))
    }

    fn seek_back(&mut self, key: &[u8], seq: u64) -> Result<()> {
        self.go(false, |run| run.seek_back(key, seq))
    }

    #[inline]
    fn advance(&mut self) -> Result<()> {
        let Some(top) = self.top else { return Ok(()) };
        if !self.is_forward {
            self.turn(top)?;
        }
        let moved = self.runs[top].advance();
        self.settle(top, moved)
    }

    #[inline]
    fn retreat(&mut self) -> Result<()> {
        let Some(top) = self.top else { return Ok(()) };
        if self.is_forward {
            self.turn(top)?;
        }
        let moved = self.runs[top].retreat();
        self.settle(top, moved)
    }

    /// Up to where the next one of the other runs stands.
    #[inline]
    fn stretch(&self, seq: u64, end: Option<&[u8]>) -> usize {
        let Some(top) = self.top.filter(|_| self.is_forward) else { return 0 };
        let Some(next) = self.heap.first() else { return self.runs[top].stretch(seq, end) };
        if self.steady < STEADY {
            return 0;
        }
        let Some(next) = self.runs[next.run].entry() else { return 0 };
        let end = end.map_or(next.key, |end| end.min(next.key));
        self.runs[top].stretch(seq, Some(end))
    }

    #[inline]
    fn follow(&mut self) -> bool {
        self.top.is_some_and(|top| self.runs[top].follow())
    }
}

#[cfg(test)]
#[path = "merge_test.rs"]
mod tests;
