//! Pieces of work that are begun at one time and run at another, in any order, with records and snapshots in
//! between, over what a tree was loaded with, cursors that are kept, and power cuts; against the model.

use crate::support::*;
use annals_disk::SimDisk;
use annals_ordered::{
    AsOf, Compression, Hold, KeyRange, Store, Style, Tree, TreeCursor, TreeOptions, Work,
};

type Seen = Vec<(Vec<u8>, Vec<u8>)>;

struct Kept {
    hold: Hold,
    state: State,
    cursor: TreeCursor,
    window: Seen,
}

struct Run {
    numbers: Numbers,
    log: Log,
    now_ms: u64,
    flushed: u64,
    kept: Vec<Kept>,
    pending: Vec<Work>,
    keys: u64,
    cut: bool,
}

fn key(number: u64) -> Vec<u8> {
    let mut key = format!("{:03}", number / 3).into_bytes();
    match number % 3 {
        0 => {}
        1 => key.push(0),
        _ => key.extend_from_slice(&[b'x'; 9]),
    }
    if number.is_multiple_of(11) {
        key.truncate(1);
    }
    key
}

fn window(state: &State, now_ms: u64, from: &[u8], to: Option<&[u8]>) -> Seen {
    let inside = |key: &[u8]| from <= key && to.is_none_or(|to| key < to);
    seen(state, now_ms).into_iter().filter(|(key, _)| inside(key)).collect()
}

/// Any moves, from any place.
fn zigzag(numbers: &mut Numbers, keys: u64, cursor: &mut TreeCursor, window: &Seen, context: &str) {
    let mut at: Option<usize> = None;
    let mut placed = false;
    let mut trace = Vec::new();
    for _ in 0..14 {
        let sought = key(numbers.below(keys + 30));
        let op = if placed { numbers.below(12) } else { numbers.below(4) };
        trace.push((op, sought.clone()));
        match op {
            0 => {
                cursor.to_first().unwrap();
                at = (!window.is_empty()).then_some(0);
            }
            1 => {
                cursor.to_last().unwrap();
                at = window.len().checked_sub(1);
            }
            2 => {
                cursor.seek(&sought).unwrap();
                at = window.iter().position(|(key, _)| *key >= sought);
            }
            3 => {
                cursor.seek_back(&sought).unwrap();
                at = window.iter().rposition(|(key, _)| *key <= sought);
            }
            4..=7 => {
                cursor.advance().unwrap();
                at = at.map(|at| at + 1).filter(|at| *at < window.len());
            }
            _ => {
                cursor.retreat().unwrap();
                at = at.and_then(|at| at.checked_sub(1));
            }
        }
        placed = true;
        let found = cursor.entry().map(|entry| (entry.key.to_vec(), entry.value.to_vec()));
        assert_eq!(found, at.map(|at| window[at].clone()), "{context}: {trace:?}");
    }
}

impl Run {
    fn some_key(&mut self) -> Vec<u8> {
        key(self.numbers.below(self.keys))
    }

    fn change(&mut self) -> Change {
        match self.numbers.below(20) {
            0..=3 => Change::Remove { key: self.some_key() },
            4..=5 => {
                let (one, other) = (self.some_key(), self.some_key());
                if self.numbers.below(3) == 0 {
                    Change::RemoveRange { from: one.clone().min(other.clone()), to: one.max(other) }
                } else {
                    let to = [&one[..], b"~"].concat();
                    Change::RemoveRange { from: one, to }
                }
            }
            6..=8 => {
                let expires_ms = Some(self.now_ms + self.numbers.below(60));
                Change::Put { key: self.some_key(), value: self.value(), expires_ms }
            }
            _ => Change::Put { key: self.some_key(), value: self.value(), expires_ms: None },
        }
    }

    fn value(&mut self) -> Vec<u8> {
        let len = match self.numbers.below(30) {
            0 => 900,
            1..=3 => 0,
            _ => self.numbers.below(40),
        };
        let seq = self.log.seq();
        let mut value = seq.to_le_bytes().to_vec();
        value.resize(len as usize, seq as u8);
        value
    }

    fn bounds(&mut self) -> (Vec<u8>, Option<Vec<u8>>) {
        let (one, other) = (self.some_key(), self.some_key());
        match self.numbers.below(4) {
            0 => (vec![], None),
            1 => (vec![], Some(one)),
            2 => (one, None),
            _ => (one, Some(other)),
        }
    }

    fn check(&mut self, tree: &Tree, context: &str) {
        check(tree, &self.log.state, newest(self.now_ms), context);
        let (from, to) = self.bounds();
        let expected = window(&self.log.state, self.now_ms, &from, to.as_deref());
        let mut cursor = tree.cursor(&from, to.as_deref(), newest(self.now_ms));
        zigzag(&mut self.numbers, self.keys, &mut cursor, &expected, context);
        let mut prefix = self.some_key();
        prefix.truncate(self.numbers.below(5) as usize);
        let expected: Seen = seen(&self.log.state, self.now_ms)
            .into_iter()
            .filter(|(key, _)| key.starts_with(&prefix))
            .collect();
        let mut cursor = tree.view().prefix_cursor(&prefix, newest(self.now_ms)).unwrap();
        assert_eq!(forward(&mut cursor), expected, "{context}: a prefix");
        zigzag(&mut self.numbers, self.keys, &mut cursor, &expected, context);
        let mut kept = std::mem::take(&mut self.kept);
        for one in &mut kept {
            let context = format!("{context}, held {}", one.hold.seq());
            let as_of = AsOf { seq: one.hold.seq(), now_ms: one.hold.now_ms() };
            check(tree, &one.state, as_of, &context);
            zigzag(&mut self.numbers, self.keys, &mut one.cursor, &one.window, &context);
            let (from, to) = self.bounds();
            let expected = window(&one.state, as_of.now_ms, &from, to.as_deref());
            let mut cursor = tree.cursor(&from, to.as_deref(), as_of);
            zigzag(&mut self.numbers, self.keys, &mut cursor, &expected, &context);
        }
        self.kept = kept;
    }

    fn run_pending(&mut self, tree: &Tree, at: usize) -> annals_ordered::Result<()> {
        let done = self.pending.swap_remove(at).run();
        self.flushed = self.flushed.max(tree.flushed_through());
        done
    }

    fn step(
        &mut self,
        store: &Store,
        tree: &Tree,
        op: u64,
        context: &str,
    ) -> annals_ordered::Result<()> {
        match op {
            0..=39 => {
                let count = 1 + self.numbers.below(20);
                let changes: Vec<_> = (0..count).map(|_| self.change()).collect();
                // What is in the log is not lost when the tree takes no more.
                self.log.write(tree, &changes, self.now_ms)?;
            }
            40..=47 => {
                tree.seal();
            }
            48..=62 => {
                let next = if op.is_multiple_of(2) {
                    store.next_work(self.now_ms)
                } else {
                    store.next_compaction(self.now_ms)
                };
                self.pending.extend(next);
            }
            63..=74 if !self.pending.is_empty() => {
                let at = self.numbers.below(self.pending.len() as u64) as usize;
                self.run_pending(tree, at)?;
            }
            75 if !self.pending.is_empty() => {
                let at = self.numbers.below(self.pending.len() as u64) as usize;
                drop(self.pending.swap_remove(at));
            }
            76..=79 => {
                let hold = store.hold(self.log.seq(), self.now_ms);
                let as_of = AsOf { seq: hold.seq(), now_ms: hold.now_ms() };
                let (from, to) = self.bounds();
                let cursor = tree.cursor(&from, to.as_deref(), as_of);
                let window = window(&self.log.state, self.now_ms, &from, to.as_deref());
                self.kept.push(Kept { hold, state: self.log.state.clone(), cursor, window });
            }
            80..=82 if !self.kept.is_empty() => {
                let at = self.numbers.below(self.kept.len() as u64) as usize;
                self.kept.swap_remove(at);
            }
            83..=84 => self.now_ms += self.numbers.below(30),
            85 | 86 => {
                while !self.pending.is_empty() {
                    self.run_pending(tree, 0)?;
                }
                let (one, other) = (self.some_key(), self.some_key());
                let range = KeyRange::closed((&one).min(&other), (&one).max(&other));
                let range = (op == 85).then_some(&range);
                tree.compact_range(range, self.now_ms)?;
                self.flushed = self.flushed.max(tree.flushed_through());
            }
            _ => {
                if !self.cut {
                    self.check(tree, context);
                }
            }
        }
        Ok(())
    }
}

fn reopened(run: &mut Run, disk: &SimDisk, context: &str) -> (Store, Tree) {
    let store = open(disk).unwrap_or_else(|error| panic!("{context}: {error}"));
    let tree = store.tree(TREE).unwrap();
    assert!(tree.flushed_through() >= run.flushed, "{context}");
    run.log.replay(&tree, run.flushed, run.now_ms).unwrap();
    run.flushed = tree.flushed_through();
    run.cut = false;
    (store, tree)
}

fn run(seed: u64, options: &TreeOptions, steps: u64) {
    let mut disk = disk(seed);
    let mut store = create(&disk).unwrap();
    let (mut numbers, mut log) = (Numbers::new(seed + 77), Log::default());
    let mut keys: Vec<_> =
        (0..240).filter(|_| seed.is_multiple_of(2) && numbers.below(3) > 0).map(key).collect();
    keys.sort();
    keys.dedup();
    let records = keys.into_iter().map(|key| (key, vec![7; numbers.below(90) as usize]));
    let records: Vec<_> = records.collect();
    let mut tree = loaded(&store, &mut log, *options, records).unwrap();
    let mut run = Run {
        numbers,
        log,
        now_ms: 1000,
        flushed: 0,
        kept: Vec::new(),
        pending: Vec::new(),
        keys: 240,
        cut: false,
    };
    for step in 0..steps {
        let context = format!("seed {seed}, step {step}");
        let op = run.numbers.below(100);
        if run.numbers.below(60) == 0 && !run.cut {
            let operation = disk.operations() + run.numbers.below(40);
            disk.cut_power_at(operation);
            run.cut = true;
        }
        let done = run.step(&store, &tree, op, &context);
        if run.cut {
            if done.is_err() || run.numbers.below(20) == 0 {
                run.kept.clear();
                run.pending.clear();
                drop((tree, store));
                disk = disk.restart();
                (store, tree) = reopened(&mut run, &disk, &context);
                check(&tree, &run.log.state, newest(run.now_ms), &context);
            }
        } else {
            done.unwrap_or_else(|error| panic!("{context}: {error}"));
        }
    }
    if run.cut {
        run.kept.clear();
        run.pending.clear();
        drop((tree, store));
        disk = disk.restart();
        (store, tree) = reopened(&mut run, &disk, "the end");
    }
    run.kept.clear();
    while !run.pending.is_empty() {
        run.run_pending(&tree, 0).unwrap();
    }
    tree.seal();
    work(&store, run.now_ms).unwrap();
    run.check(&tree, &format!("seed {seed}, the end"));
    store.verify(&mut |_, damage| panic!("{damage:?}")).unwrap();
    let tables: u64 = tree.stats().levels.iter().map(|level| level.tables).sum();
    assert_eq!(files(&disk).len() as u64, tables + 1, "seed {seed}: files without an owner");
}

fn seeds(usual: std::ops::Range<u64>) -> std::ops::Range<u64> {
    match std::env::var("INTERLEAVED_SEEDS") {
        Ok(count) => usual.start..usual.start + count.parse::<u64>().unwrap(),
        Err(_) => usual,
    }
}

#[test]
fn leveled() {
    for seed in seeds(1000..1040) {
        let filter_prefix_bytes = (seed % 3 == 0).then_some(2);
        let compression = if seed % 4 == 0 { Compression::Lz4 } else { Compression::None };
        run(seed, &TreeOptions { filter_prefix_bytes, compression, ..options() }, 300);
    }
}

#[test]
fn tiered() {
    for seed in seeds(2000..2040) {
        run(seed, &TreeOptions { style: Style::Tiered, ..options() }, 300);
    }
}

#[test]
fn fifo() {
    for seed in seeds(3000..3040) {
        let style = Style::Fifo { keep_ms: 0, bytes_max: 0 };
        run(seed, &TreeOptions { style, table_bytes: 8 << 10, ..options() }, 300);
    }
}
