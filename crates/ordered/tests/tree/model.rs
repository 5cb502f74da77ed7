//! Random operations against the model: records, range removals, expiry, seals, single steps of
//! work, compactions, snapshots, reopening.

use crate::support::*;
use annals_ordered::{AsOf, Compression, Hold, KeyRange, Store, Style, Tree, TreeOptions};

fn key(number: u64) -> Vec<u8> {
    // Of different lengths, some with others as their beginning.
    let mut key = format!("{:03}", number / 2).into_bytes();
    key.extend(std::iter::repeat_n(b'x', (number % 2) as usize * (number % 7) as usize));
    key
}

struct Run {
    numbers: Numbers,
    keys: u64,
    log: Log,
    now_ms: u64,
    held: Vec<(Hold, State)>,
}

impl Run {
    fn some_key(&mut self) -> Vec<u8> {
        key(self.numbers.below(self.keys))
    }

    fn change(&mut self) -> Change {
        match self.numbers.below(20) {
            0..=3 => Change::Remove { key: self.some_key() },
            4 => {
                let first = self.numbers.below(self.keys);
                let last = first + self.numbers.below(self.keys / 5);
                Change::RemoveRange { from: key(first), to: key(last) }
            }
            5..=7 => {
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
        vec![self.log.seq() as u8; len as usize]
    }

    fn check_range(&mut self, tree: &Tree, as_of: AsOf, state: &State, context: &str) {
        let (from, to) = (self.some_key(), self.some_key());
        let expected: Vec<_> = seen(state, as_of.now_ms)
            .into_iter()
            .filter(|(key, _)| from <= *key && *key < to)
            .collect();
        let mut cursor = tree.cursor(&from, Some(&to), as_of);
        assert_eq!(forward(&mut cursor), expected, "{context}: a range");
        assert_eq!(backward(&mut cursor), expected, "{context}: a range, backward");
        let prefix = &from[..2];
        let expected: Vec<_> = seen(state, as_of.now_ms)
            .into_iter()
            .filter(|(key, _)| key.starts_with(prefix))
            .collect();
        let mut cursor = tree.view().prefix_cursor(prefix, as_of).unwrap();
        assert_eq!(forward(&mut cursor), expected, "{context}: a prefix");
        // To and fro from some place.
        let mut cursor = tree.cursor(&[], None, as_of);
        cursor.seek(&from).unwrap();
        let all = seen(state, as_of.now_ms);
        let mut at = all.iter().position(|(key, _)| *key >= from).unwrap_or(all.len());
        for _ in 0..12 {
            let expected = all.get(at).map(|(key, _)| key.as_slice());
            assert_eq!(cursor.entry().map(|entry| entry.key), expected, "{context}: steps");
            if expected.is_none() {
                break;
            }
            if self.numbers.below(2) == 0 {
                cursor.advance().unwrap();
                at += 1;
            } else {
                cursor.retreat().unwrap();
                if at == 0 {
                    break;
                }
                at -= 1;
            }
        }
    }
}

fn run(seed: u64, options: &TreeOptions, steps: u64) {
    let mut disk = disk(seed);
    let mut store = create(&disk).unwrap();
    let mut tree = store.create_tree(TREE, *options).unwrap();
    let mut run = Run {
        numbers: Numbers::new(seed),
        keys: 400,
        log: Log::default(),
        now_ms: 1000,
        held: Vec::new(),
    };
    for step in 0..steps {
        let context = format!("seed {seed}, step {step}");
        match run.numbers.below(100) {
            0..=54 => {
                let count = 1 + run.numbers.below(30);
                let changes: Vec<_> = (0..count).map(|_| run.change()).collect();
                run.log.write(&tree, &changes, run.now_ms).unwrap();
            }
            55..=64 => {
                tree.seal();
            }
            65..=76 => {
                if let Some(work) = store.next_work(run.now_ms) {
                    work.run().unwrap();
                }
            }
            77..=79 => work(&store, run.now_ms).unwrap(),
            80..=82 => {
                let hold = store.hold(run.log.seq(), run.now_ms);
                run.held.push((hold, run.log.state.clone()));
            }
            83..=84 if !run.held.is_empty() => {
                let at = run.numbers.below(run.held.len() as u64) as usize;
                run.held.swap_remove(at);
            }
            85..=86 => run.now_ms += run.numbers.below(30),
            87 => {
                let (one, other) = (run.some_key(), run.some_key());
                let range = KeyRange::closed((&one).min(&other), (&one).max(&other));
                tree.compact_range(Some(&range), run.now_ms).unwrap();
            }
            88 => {
                tree.seal();
                tree.compact_range(None, run.now_ms).unwrap();
            }
            89..=90 => {
                // Snapshots end with the process.
                run.held.clear();
                let (flushed, life) = (tree.flushed_through(), tree.stats().life);
                drop((tree, store));
                disk = disk.restart_clean();
                store = open(&disk).unwrap();
                tree = store.tree(TREE).unwrap();
                assert_eq!(tree.flushed_through(), flushed, "{context}");
                assert_eq!(tree.stats().life, life, "{context}");
                run.log.replay(&tree, flushed, run.now_ms).unwrap();
            }
            91..=95 => {
                let state = run.log.state.clone();
                run.check_range(&tree, newest(run.now_ms), &state, &context);
            }
            _ => check_all(&mut run, &tree, &context),
        }
    }
    check_all(&mut run, &tree, &format!("seed {seed}, at the end"));
    finish(&mut run, &store, &tree, seed);
}

fn check_all(run: &mut Run, tree: &Tree, context: &str) {
    // Tables whose records are all over go unread.
    let _ = dropped_bytes(tree, context);
    check(tree, &run.log.state, newest(run.now_ms), context);
    let held = std::mem::take(&mut run.held);
    for (hold, state) in &held {
        let as_of = AsOf { seq: hold.seq(), now_ms: hold.now_ms() };
        check(tree, state, as_of, &format!("{context}, snapshot at {}", hold.seq()));
        run.check_range(tree, as_of, state, context);
    }
    run.held = held;
}

/// Without snapshots and with everything compacted, nothing is left of what is not seen.
fn finish(run: &mut Run, store: &Store, tree: &Tree, seed: u64) {
    run.held.clear();
    tree.seal();
    work(store, run.now_ms).unwrap();
    tree.compact_range(None, run.now_ms).unwrap();
    let expected = seen(&run.log.state, run.now_ms).len() as u64;
    let entries: u64 = tree.stats().levels.iter().map(|level| level.entries).sum();
    assert_eq!(entries, expected, "seed {seed}");
    assert_eq!(tree.view().len_estimate(), expected, "seed {seed}");
    store.verify(&mut |_, damage| panic!("{damage:?}")).unwrap();
}

#[test]
fn leveled_trees_do_what_the_model_does() {
    for seed in 0..30 {
        run(seed, &options(), 400);
    }
}

#[test]
fn compressed_trees_do_what_the_model_does() {
    for seed in 100..110 {
        let compressed = TreeOptions {
            compression: Compression::Lz4,
            bottom_compression: Compression::Zstd { level: 3 },
            filter_prefix_bytes: Some(2),
            ..options()
        };
        run(seed, &compressed, 300);
    }
}

#[test]
fn tiered_trees_do_what_the_model_does() {
    for seed in 200..215 {
        run(seed, &TreeOptions { style: Style::Tiered, ..options() }, 400);
    }
}
