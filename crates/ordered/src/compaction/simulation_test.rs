//! Choices under load, without files: keys are numbers, tables are lists of them, and compactions
//! take as long as what they write. What a choice rests on is checked before each one is begun and
//! after each one has ended; see the bounds in each test.

use super::{
    Action, Compaction, Running,
    choice::{Ask, choose},
    split::Splitter,
    targets::Targets,
};
use crate::{KeyRange, LEVELS, Levels, Style, TableInfo, TreeOptions};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

const RECORD_BYTES: u64 = 100;

#[derive(Clone, Copy, PartialEq, Eq)]
struct Record {
    key: u32,
    seq: u64,
    removal: bool,
}

fn key_bytes(key: u32) -> [u8; 4] {
    key.to_be_bytes()
}

/// A small generator of numbers that look random.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) % below
    }
}

struct Tree {
    options: TreeOptions,
    levels: Levels,
    contents: HashMap<u64, Vec<Record>>,
    /// The newest record of each key.
    model: BTreeMap<u32, Record>,
    running: Running,
    /// What is running with the bytes still to be written.
    jobs: Vec<(Arc<Compaction>, u64)>,
    parallel: usize,
    next_number: u64,
    seq: u64,
    flushed_bytes: u64,
    compacted_bytes: u64,
    most_tables_in_0: usize,
    now_ms: u64,
    /// What a merge may read at most.
    input_bytes_max: u64,
    /// How many compactions were begun while another one ran.
    beside: u64,
    moves: u64,
    numbers: Numbers,
}

impl Tree {
    fn new(options: TreeOptions, parallel: usize, seed: u64) -> Self {
        Self {
            options,
            levels: Levels::default(),
            contents: HashMap::new(),
            model: BTreeMap::new(),
            running: Running::default(),
            jobs: Vec::new(),
            parallel,
            next_number: 1,
            seq: 1,
            flushed_bytes: 0,
            compacted_bytes: 0,
            most_tables_in_0: 0,
            now_ms: 0,
            input_bytes_max: u64::MAX,
            beside: 0,
            moves: 0,
            numbers: Numbers(seed | 1),
        }
    }

    fn table(&mut self, records: Vec<Record>) -> Arc<TableInfo> {
        let number = self.next_number;
        self.next_number += 1;
        let (first, last) = (records[0].key, records[records.len() - 1].key);
        let info = TableInfo {
            number,
            bytes: records.len() as u64 * RECORD_BYTES,
            range: KeyRange::closed(&key_bytes(first), &key_bytes(last)),
            lowest_seq: records.iter().map(|record| record.seq).min().unwrap(),
            highest_seq: records.iter().map(|record| record.seq).max().unwrap(),
            entries: records.len() as u64,
            removals: records.iter().filter(|record| record.removal).count() as u64,
            range_removals: 0,
            expiring: 0,
            first_expiry_ms: u64::MAX,
            last_expiry_ms: 0,
            oldest_ms: self.now_ms,
            newest_ms: self.now_ms,
            references: Vec::new(),
        };
        self.contents.insert(number, records);
        Arc::new(info)
    }

    /// Writes a memtable of these keys, then lets compactions write `speed` times as much.
    fn flush(&mut self, keys: impl IntoIterator<Item = (u32, bool)>, speed: u64) {
        let bytes = self.add(keys);
        self.work(bytes * speed);
    }

    /// Writes a memtable of these keys. How many bytes it has.
    fn add(&mut self, keys: impl IntoIterator<Item = (u32, bool)>) -> u64 {
        let mut memtable = BTreeMap::new();
        for (key, removal) in keys {
            let record = Record { key, seq: self.seq, removal };
            self.seq += 1;
            self.now_ms += 1;
            memtable.insert(key, record);
            self.model.insert(key, record);
        }
        let records: Vec<Record> = memtable.into_values().collect();
        let bytes = records.len() as u64 * RECORD_BYTES;
        let table = self.table(records);
        self.flushed_bytes += bytes;
        self.levels = self.levels.changed(&[], &[(0, table)]).unwrap();
        self.most_tables_in_0 = self.most_tables_in_0.max(self.levels.level(0).len());
        bytes
    }

    /// Lets compactions write so many bytes; `u64::MAX` until there is nothing to do.
    fn work(&mut self, mut budget: u64) {
        loop {
            while self.jobs.len() < self.parallel {
                let ask = Ask {
                    levels: &self.levels,
                    options: &self.options,
                    running: &self.running,
                    settled_seq: self.seq,
                    held_seq: None,
                    now_ms: self.now_ms,
                    input_bytes_max: self.input_bytes_max,
                };
                let Some(found) = choose(&ask) else { break };
                found.check(&self.levels).unwrap();
                assert!(self.running.admits(&found));
                self.beside += u64::from(!self.running.is_empty());
                let found = Arc::new(found);
                self.running.begin(found.clone());
                let bytes = if found.action == Action::Merge { found.bytes() } else { 0 };
                self.jobs.push((found, bytes));
            }
            if self.jobs.is_empty() {
                return;
            }
            // They share the device in some way; which ends first is left to chance.
            let at = self.numbers.next(self.jobs.len() as u64) as usize;
            let left = &mut self.jobs[at].1;
            let share = budget.min(*left);
            *left -= share;
            if budget != u64::MAX {
                budget -= share;
            }
            if *left == 0 {
                let (done, _) = self.jobs.swap_remove(at);
                self.finish(&done);
            } else if budget == 0 {
                return;
            }
        }
    }

    fn finish(&mut self, done: &Arc<Compaction>) {
        self.running.end(done);
        let removed: Vec<_> =
            done.inputs.iter().map(|(level, table)| (*level, table.number)).collect();
        let added: Vec<_> = match done.action {
            Action::Drop => Vec::new(),
            Action::Move => {
                self.moves += 1;
                done.inputs.iter().map(|(_, table)| (done.output, table.clone())).collect()
            }
            Action::Merge => {
                self.merge(done).into_iter().map(|table| (done.output, table)).collect()
            }
        };
        self.levels = self.levels.changed(&removed, &added).unwrap();
    }

    fn merge(&mut self, done: &Compaction) -> Vec<Arc<TableInfo>> {
        let mut merged: BTreeMap<u32, Record> = BTreeMap::new();
        for (_, table) in &done.inputs {
            for record in &self.contents[&table.number] {
                let kept = merged.entry(record.key).or_insert(*record);
                if kept.seq < record.seq {
                    *kept = *record;
                }
            }
        }
        let beneath = match done.output + 1 {
            LEVELS => Vec::new(),
            next => self.levels.overlapping(next, &done.span).cloned().collect(),
        };
        let whole = done.output == 0;
        let table_bytes = if whole { u64::MAX } else { self.options.table_bytes };
        let mut splitter = Splitter::new(table_bytes, beneath);
        let (mut outputs, mut open) = (Vec::new(), Vec::new());
        for record in merged.into_values() {
            let key = key_bytes(record.key);
            let point = KeyRange::closed(&key, &key);
            let oldest = done.output > 0 && self.levels.nothing_beneath(done.output, &point);
            if record.removal && oldest {
                continue;
            }
            if splitter.ends_before(&key, open.len() as u64 * RECORD_BYTES) {
                outputs.push(self.table(std::mem::take(&mut open)));
            }
            open.push(record);
        }
        if !open.is_empty() {
            outputs.push(self.table(open));
        }
        self.compacted_bytes += outputs.iter().map(|table| table.bytes).sum::<u64>();
        outputs
    }

    /// Looks keys up as a reader does, the newest tables first, and compares with the model.
    fn check_reads(&mut self, keys: u32) {
        for _ in 0..300 {
            let key = self.numbers.next(u64::from(keys)) as u32;
            let found = self.find(key);
            let expected = self.model.get(&key).copied();
            let value = |record: Option<Record>| record.filter(|record| !record.removal);
            assert!(value(found) == value(expected), "key {key}");
        }
    }

    fn find(&self, key: u32) -> Option<Record> {
        let bytes = key_bytes(key);
        self.levels.tables().filter(|(_, table)| table.range.contains(&bytes)).find_map(
            |(_, table)| {
                let records = &self.contents[&table.number];
                let at = records.binary_search_by_key(&key, |record| record.key).ok()?;
                Some(records[at])
            },
        )
    }

    fn write_amplification(&self) -> f64 {
        (self.flushed_bytes + self.compacted_bytes) as f64 / self.flushed_bytes as f64
    }

    fn live_bytes(&self) -> u64 {
        self.model.values().filter(|record| !record.removal).count() as u64 * RECORD_BYTES
    }

    fn shape(&self) -> String {
        let sizes: Vec<_> = (0..LEVELS)
            .map(|level| (self.levels.level(level).len(), self.levels.bytes(level)))
            .collect();
        format!("levels (tables, bytes) {sizes:?}, amplification {:.1}", self.write_amplification())
    }
}

fn leveled() -> TreeOptions {
    TreeOptions { table_bytes: 50_000, base_bytes: 200_000, ratio: 10, ..TreeOptions::default() }
}

const KEYS: u32 = 100_000;

/// Bounds for overwrites at random, 10 MB of records in three levels below level 0 (0.1, 1 and
/// 10 MB): of each level below the base a byte is written again with at most 10 of the next, on
/// average about half of that; the base is written again once for each compaction of level 0. So
/// fewer than 1 (flush) + 4 + 10 + 10 writes, in practice half.
#[test]
fn levels_keep_their_shape_under_random_overwrites() {
    for (parallel, seed) in [(1, 1), (2, 2), (4, 3)] {
        let mut tree = Tree::new(leveled(), parallel, seed);
        let mut born: HashMap<u64, u64> = HashMap::new();
        let mut oldest_wait = 0;
        for round in 0..900u64 {
            let mut numbers = Numbers(round * 7919 + seed);
            let keys: Vec<_> =
                (0..500).map(|_| (numbers.next(KEYS.into()) as u32, false)).collect();
            tree.flush(keys, 16);
            if round % 50 == 0 {
                tree.check_reads(KEYS);
            }
            if round < 400 {
                continue;
            }
            let targets = Targets::of(&tree.levels, &tree.options);
            for level in 1..LEVELS - 1 {
                let (bytes, target) = (tree.levels.bytes(level), targets.bytes[level]);
                let slack = 4 * 50_000 + 10 * tree.options.table_bytes;
                assert!(bytes <= 2 * target + slack, "level {level}: {}", tree.shape());
            }
            for (level, table) in tree.levels.tables() {
                let since = *born.entry(table.number).or_insert(round);
                if level < LEVELS - 1 {
                    oldest_wait = oldest_wait.max(round - since);
                }
            }
        }
        assert!(tree.most_tables_in_0 <= 12, "{} in level 0", tree.most_tables_in_0);
        assert!(tree.write_amplification() < 15.0, "{}", tree.shape());
        // Nothing above the deepest level is passed over for ever.
        assert!(oldest_wait < 300, "a table waited {oldest_wait} flushes; {}", tree.shape());
        assert_eq!(tree.beside > 0, parallel > 1, "{} at the same time", tree.beside);
        tree.work(u64::MAX);
        let superseded = tree.levels.total_bytes() as f64 / tree.live_bytes() as f64;
        assert!(superseded < 1.35, "{superseded:.2} times the live bytes: {}", tree.shape());
        tree.check_reads(KEYS);
    }
}

/// Records that come in order are written once by the flush, and moved from then on.
#[test]
fn records_in_order_are_moved_and_not_written_again() {
    let mut tree = Tree::new(leveled(), 2, 5);
    for round in 0..400u32 {
        tree.flush((round * 500..(round + 1) * 500).map(|key| (key, false)), 16);
    }
    tree.work(u64::MAX);
    assert!(tree.write_amplification() < 1.2, "{}", tree.shape());
    assert!(tree.moves > 300, "{}", tree.moves);
    assert!(tree.levels.level(0).len() < 4);
    tree.check_reads(200_000);
}

/// What was removed goes, also if nothing is written any more.
#[test]
fn removed_records_leave_no_space_behind() {
    let mut tree = Tree::new(leveled(), 2, 6);
    for round in 0..200u32 {
        tree.flush((0..500).map(|at| (at * 200 + round, false)), 16);
    }
    for round in 0..200u32 {
        tree.flush((0..500).map(|at| (at * 200 + round, at % 50 != 0)), 16);
    }
    tree.work(u64::MAX);
    tree.check_reads(KEYS);
    let (total, live) = (tree.levels.total_bytes(), tree.live_bytes());
    assert!(total < 3 * live, "{total} bytes for {live}: {}", tree.shape());
}

/// A queue: records are written at the one end and removed at the other.
#[test]
fn a_queue_does_not_fill_up_with_removals() {
    let mut tree = Tree::new(leveled(), 1, 7);
    for round in 0..600u32 {
        let written = (round * 400..(round + 1) * 400).map(|key| (key, false));
        let taken = round.saturating_sub(50);
        let removed = (taken * 400..(taken + 1) * 400).map(|key| (key, true));
        tree.flush(written.chain(removed.filter(|_| round >= 50)), 16);
    }
    tree.work(u64::MAX);
    tree.check_reads(600 * 400);
    let (total, live) = (tree.levels.total_bytes(), tree.live_bytes());
    assert!(total < 2 * live + 400_000, "{total} bytes for {live}: {}", tree.shape());
}

/// A tree that shrinks gives up its upper levels.
#[test]
fn a_tree_that_shrinks_has_fewer_levels() {
    let mut tree = Tree::new(leveled(), 2, 8);
    for round in 0..300u32 {
        tree.flush((0..500).map(|at| (at * 200 + round % 200, false)), 16);
    }
    let before = Targets::of(&tree.levels, &tree.options).base;
    for round in 0..200u32 {
        tree.flush((0..500).map(|at| (at * 200 + round, true)), 16);
    }
    tree.work(u64::MAX);
    let after = Targets::of(&tree.levels, &tree.options).base;
    assert!(before < LEVELS - 1 && after == LEVELS - 1, "{before} to {after}: {}", tree.shape());
}

/// Programs that open a tree for a record at a time: each leaves a table, and does at the end what little there is
/// to do. As in a tree of usual size, an eighth of a table is what it may read.
fn leave_one_by_one(tree: &mut Tree, count: u32, key: impl Fn(u32) -> u32) -> usize {
    tree.input_bytes_max = tree.options.table_bytes / 8;
    let mut most_tables = 0;
    for number in 0..count {
        tree.add([(key(number), false)]);
        tree.work(u64::MAX);
        most_tables = most_tables.max(tree.levels.tables().count());
    }
    most_tables
}

/// A table is small under 64 KiB here, some 650 records.
fn of_few_records() -> TreeOptions {
    TreeOptions { table_bytes: 1 << 20, base_bytes: 2 << 20, ..TreeOptions::default() }
}

/// A name, and the key of each program in turn.
type Order = (&'static str, fn(u32) -> u32);

/// Orders in which the keys of 3,000 programs may come.
fn orders() -> [Order; 4] {
    [
        ("rising", |number| 50_000 + number),
        ("falling", |number| 50_000 - number),
        ("random", |number| number.wrapping_mul(0x9e37_79b1) % KEYS),
        ("from both ends", |number| if number % 2 == 0 { number } else { KEYS - number }),
    ]
}

/// Tables grow by a factor from one to the next until they are small no more, and so does how often a record is
/// written again, whatever is beneath.
#[test]
fn a_table_for_each_record_does_not_stay() {
    for loaded in [0, 15_000, 50_000u32] {
        for (order, key) in orders() {
            let mut tree = Tree::new(of_few_records(), 1, 11);
            if loaded > 0 {
                tree.add((0..loaded).map(|at| (KEYS / loaded * at, false)));
                tree.add((0..loaded).map(|at| (KEYS / loaded * at + 1, false)));
                tree.work(u64::MAX);
            }
            let before = tree.levels.tables().count();
            (tree.flushed_bytes, tree.compacted_bytes) = (0, 0);
            let most = leave_one_by_one(&mut tree, 3_000, key);
            assert!(most - before <= 16, "{order} over {loaded}: {most} tables, {before} before");
            let amplification = tree.write_amplification();
            assert!(amplification < 12.0, "{order} over {loaded}: {}", tree.shape());
            tree.input_bytes_max = u64::MAX;
            tree.work(u64::MAX);
            // What closing had no time for is done by who stays open.
            assert!(tree.levels.level(0).len() < 4, "{order} over {loaded}: {}", tree.shape());
            tree.check_reads(KEYS);
        }
    }
}

/// Tables of all sizes, and several compactions at a time: each takes only what it may, and small tables do not
/// pile up.
#[test]
fn tables_of_all_sizes_get_on_beside_each_other() {
    for (parallel, seed) in [(1, 13), (2, 14), (4, 15)] {
        let mut tree = Tree::new(leveled(), parallel, seed);
        for round in 0..1_500u64 {
            let mut numbers = Numbers(round * 7919 + seed);
            let count = 1u64 << numbers.next(10);
            let mut next = || (numbers.next(KEYS.into()) as u32, numbers.next(8) == 0);
            let keys: Vec<_> = (0..count).map(|_| next()).collect();
            tree.flush(keys, 16);
            if round % 100 == 0 {
                tree.check_reads(KEYS);
            }
        }
        tree.work(u64::MAX);
        tree.check_reads(KEYS);
        assert!(tree.most_tables_in_0 <= 24, "{} in level 0", tree.most_tables_in_0);
        assert!(tree.write_amplification() < 15.0, "{}", tree.shape());
        let tables = tree.levels.tables().count() as u64;
        let full = tree.levels.total_bytes() / tree.options.table_bytes;
        assert!(tables <= 3 * full + 20, "{}", tree.shape());
    }
}

/// A level full of small tables, however it came to have them, is put in order.
#[test]
fn small_tables_that_are_there_already_become_few() {
    let mut tree = Tree::new(of_few_records(), 1, 12);
    for number in 0..1_000 {
        let table = tree.table(vec![Record { key: number, seq: 1, removal: false }]);
        tree.levels = tree.levels.changed(&[], &[(LEVELS - 1, table)]).unwrap();
    }
    tree.work(u64::MAX);
    assert!(tree.levels.tables().count() <= 3, "{}", tree.shape());
    assert!(tree.compacted_bytes <= 2 * 1_000 * RECORD_BYTES, "{}", tree.shape());
}

/// Tiered trees write less and hold more. Merging everything takes as long as dozens of flushes
/// here, and runs pile up meanwhile.
#[test]
fn runs_stay_few_under_random_overwrites() {
    for parallel in [1, 2] {
        let options = TreeOptions { style: Style::Tiered, ..leveled() };
        let mut tree = Tree::new(options, parallel, 9);
        for round in 0..600u64 {
            let mut numbers = Numbers(round * 104_729 + 1);
            let keys: Vec<_> =
                (0..500).map(|_| (numbers.next(KEYS.into()) as u32, false)).collect();
            tree.flush(keys, 8);
            if round % 50 == 0 {
                tree.check_reads(KEYS);
            }
        }
        tree.work(u64::MAX);
        let runs = tree.levels.level(0).len()
            + (1..LEVELS).filter(|level| !tree.levels.level(*level).is_empty()).count();
        assert!(runs <= 6, "{runs} runs: {}", tree.shape());
        assert!(tree.most_tables_in_0 <= 60, "{} in level 0", tree.most_tables_in_0);
        assert!(tree.write_amplification() < 9.0, "{}", tree.shape());
        let superseded = tree.levels.total_bytes() as f64 / tree.live_bytes() as f64;
        assert!(superseded < 2.6, "{superseded:.2}: {}", tree.shape());
        tree.check_reads(KEYS);
    }
}

/// Where the oldest records go, every record is written at most twice.
#[test]
fn first_in_first_out_keeps_what_it_should() {
    let style = Style::Fifo { keep_ms: 20_000, bytes_max: 0 };
    let mut tree = Tree::new(TreeOptions { style, ..leveled() }, 1, 10);
    for round in 0..400u32 {
        tree.flush((0..100).map(|at| (round * 100 + at, false)), 8);
    }
    tree.work(u64::MAX);
    assert!(tree.write_amplification() <= 2.0, "{}", tree.shape());
    let kept = tree.levels.total_bytes() / RECORD_BYTES;
    assert!((20_000..21_000).contains(&kept), "{kept} records: {}", tree.shape());
    assert!(tree.levels.level(0).len() < 60, "{}", tree.shape());
}
