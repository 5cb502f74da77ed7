//! The power is cut at every operation of flushes, compactions and roll-overs of the manifest, and
//! again at operations of the recovery. What the tables were said to have is there, the log's rest
//! brings back the rest, and nothing is left that has no owner.

use crate::support::*;
use annals_disk::{Disk, SimDisk, SimOptions};
use annals_ordered::{Result, Store, TreeOptions};
use std::collections::BTreeSet;

/// What the caller of a store knows when the power goes: what it wrote, and how much of it the tables
/// were said to have, so that the log before is gone.
#[derive(Default)]
struct Known {
    log: Log,
    flushed_through: u64,
    /// The highest number of a table that was ever seen.
    highest: u64,
    has_tree: bool,
}

fn small() -> TreeOptions {
    TreeOptions { table_bytes: 1 << 10, base_bytes: 2 << 10, level0_tables: 2, ..options() }
}

/// Keys so long that a few edits fill a manifest.
fn key(number: u64, long: bool) -> Vec<u8> {
    let mut key = format!("{number:04}").into_bytes();
    if long {
        key.resize(12_000, b'k');
    }
    key
}

fn write(known: &mut Known, store: &Store, seed: u64, rounds: u64, long: bool) -> Result<()> {
    if !known.has_tree {
        match store.tree(TREE) {
            Some(_) => {}
            None => drop(store.create_tree(TREE, small())?),
        }
        known.has_tree = true;
    }
    let tree = store.tree(TREE).unwrap();
    let mut numbers = Numbers::new(seed);
    for _ in 0..rounds {
        let changes: Vec<_> = (0..8)
            .map(|_| {
                let key_of = |number| key(number, long);
                match numbers.below(8) {
                    0 => Change::Remove { key: key_of(numbers.below(30)) },
                    1 => {
                        let from = numbers.below(30);
                        Change::RemoveRange { from: key_of(from), to: key_of(from + 3) }
                    }
                    _ => {
                        let len = numbers.below(90) as usize;
                        Change::put(&key_of(numbers.below(30)), &vec![known.log.seq() as u8; len])
                    }
                }
            })
            .collect();
        known.log.write(&tree, &changes, 0)?;
        tree.seal();
        while let Some(work) = store.next_work(0) {
            let done = work.run();
            known.flushed_through = known.flushed_through.max(tree.flushed_through());
            done?;
        }
    }
    Ok(())
}

fn note_files(known: &mut Known, disk: &SimDisk) {
    for name in files(disk) {
        let number = u64::from_str_radix(&name[1..17], 16).unwrap();
        known.highest = known.highest.max(number);
    }
}

/// Opens what the cut has left, with the power cut again at some operations, and checks all.
fn recover(known: &mut Known, mut disk: SimDisk, context: &str) -> Option<(SimDisk, Store)> {
    if Root::place(&disk).is_none() {
        assert_eq!(known.flushed_through, 0, "{context}: without a root nothing is promised");
        return None;
    }
    note_files(known, &disk);
    for cut in [0, 1, 2, 3, 5, 8] {
        let from = disk.operations();
        disk.cut_power_at(from + cut);
        let opened = open(&disk);
        if !disk.is_power_cut() {
            opened.unwrap();
            disk = disk.restart();
            break;
        }
        disk = disk.restart();
    }
    let store = open(&disk).unwrap_or_else(|error| panic!("{context}: {error}"));
    let Some(tree) = store.tree(TREE) else {
        assert!(!known.has_tree, "{context}: the tree is gone");
        return Some((disk, store));
    };
    assert!(tree.flushed_through() >= known.flushed_through, "{context}: what was flushed is not");
    known.log.replay(&tree, known.flushed_through, 0).unwrap();
    check(&tree, &known.log.state, newest(0), context);
    // Nothing expires, so no table goes unread: what was written was noted with the tables.
    assert_eq!(dropped_bytes(&tree, context), 0, "{context}");
    let manifest = store.manifest_place();
    let tables: u64 = tree.stats().levels.iter().map(|level| level.tables).sum();
    let left: BTreeSet<String> = files(&disk).into_iter().collect();
    assert_eq!(left.len() as u64, tables + 1, "{context}: files without an owner: {left:?}");
    assert!(left.contains(&format!("m{:016x}.man", manifest.number)), "{context}");
    Some((disk, store))
}

fn cuts(seeds: std::ops::Range<u64>, rounds: u64, long: bool, every: u64) -> (u64, u64) {
    let (mut recovered, mut rolled) = (0, 0);
    for seed in seeds {
        let run = disk(seed);
        let from = run.operations();
        let store = create(&run).unwrap();
        let first = store.manifest_place().number;
        write(&mut Known::default(), &store, seed, rounds, long).unwrap();
        rolled += u64::from(store.manifest_place().number != first);
        for operation in (from + seed % every..run.operations()).step_by(every as usize) {
            let context = format!("seed {seed}, cut at {operation}");
            let disk = SimDisk::new(SimOptions::seeded(seed));
            disk.create_dir_all(&dir()).unwrap();
            disk.cut_power_at(operation);
            let mut known = Known::default();
            let result =
                create(&disk).and_then(|store| write(&mut known, &store, seed, rounds, long));
            // Removals that fail are left to the next opening, and notes are not needed.
            assert!(disk.is_power_cut(), "{context}: the power went");
            drop(result);
            if known.log.changes.is_empty() {
                known.has_tree = false;
            }
            let Some((disk, store)) = recover(&mut known, disk.restart(), &context) else {
                continue;
            };
            // It goes on, with numbers that no file ever had.
            let highest = known.highest;
            let before: BTreeSet<String> = files(&disk).into_iter().collect();
            write(&mut known, &store, seed + 1000, 2, long).unwrap();
            for name in files(&disk).iter().filter(|name| !before.contains(*name)) {
                let number = u64::from_str_radix(&name[1..17], 16).unwrap();
                assert!(number > highest, "{context}: {name} after {highest:x}");
            }
            let tree = store.tree(TREE).unwrap();
            check(&tree, &known.log.state, newest(0), &context);
            drop((tree, store));
            assert!(recover(&mut known, disk.restart(), &context).is_some());
            recovered += 1;
        }
    }
    (recovered, rolled)
}

#[test]
fn power_cuts_at_every_operation_of_flushes_and_compactions() {
    let (recovered, _) = cuts(0..2, 8, false, 1);
    assert!(recovered > 200, "{recovered}");
    let (recovered, _) = cuts(2..12, 14, false, 7);
    assert!(recovered > 200, "{recovered}");
}

#[test]
fn power_cuts_while_the_manifest_rolls_over() {
    let (recovered, rolled) = cuts(50..53, 5, true, 2);
    assert!(recovered > 50 && rolled == 3, "{recovered} recoveries, {rolled} roll-overs");
}
