//! Hashes chosen to hurt: the table must end, stay correct, and stay in proportion.

use super::testing::{Model, groups, mix};
use super::{TableLoader, shape};

fn fill(hash: fn(u64) -> u64, keys: u64) -> Model {
    let mut model = Model::new(hash);
    for key in 0..keys {
        model.insert(key, key % 5 == 0);
    }
    model.check();
    model
}

fn check_proportion(model: &Model) {
    let each = model.table.memory_bytes() as f64 / model.slots.len() as f64;
    assert!(each < 48.0, "{each} bytes a key");
}

/// One and the same hash for all keys: found by comparing them all.
#[test]
fn all_hashes_equal() {
    let mut model = fill(|_| 0x0123_4567_89ab_cdef, 6000);
    check_proportion(&model);
    for key in (0..6000).step_by(3) {
        model.remove(key);
    }
    model.check();
    for key in 5000..6500 {
        model.insert(key, false);
        model.relocate(key);
    }
    model.check();
}

/// All ones and all zeros, where tags look like vacated and empty words.
#[test]
fn all_ones_and_all_zeros() {
    check_proportion(&fill(|key| if key % 2 == 0 { 0 } else { u64::MAX }, 3000));
}

/// Hashes that only differ beyond the deepest directory and the tag.
#[test]
fn equal_first_bits() {
    check_proportion(&fill(|key| key, 4000));
    check_proportion(&fill(|key| u64::MAX - key, 4000));
}

/// Hashes that share as many bits as make the directory grow for one side alone.
#[test]
fn crowded_prefix() {
    check_proportion(&fill(|key| mix(key) >> 20, 10_000));
    check_proportion(&fill(|key| mix(key) >> 33, 5_000));
}

/// Good hashes, and thousands of keys crowded into one small range among them.
#[test]
fn crowd_among_good_hashes() {
    let hash = |key: u64| if key & 1 == 0 { mix(key) } else { (mix(key) >> 12) | (0x5a5 << 52) };
    let model = fill(hash, 60_000);
    check_proportion(&model);
    let groups = groups(&model.table);
    let mut loader = TableLoader::new(|_| true);
    for group in &groups {
        loader.push(group).unwrap();
    }
    assert_eq!(loader.finish().unwrap().len(), model.table.len());
}

/// Subtables past the size a directory entry can name pages for: one layer of index pages.
#[test]
fn large_subtables() {
    // Few different tags, so that searching stays fast, but no split ever helps.
    let mut model = Model::new(|key| (key % 6000) << 24 | 1 << 39);
    for key in 0..6000 {
        model.insert(key, false);
    }
    model.check();
    let largest = groups(&model.table).iter().map(|group| group.buckets as usize).max().unwrap();
    assert!(largest > shape::FULL * 2, "{largest}");
    check_proportion(&model);
}

/// A subtable so large that its index pages need index pages: all tags in use, but nothing to split by.
#[test]
fn two_layers_of_index_pages() {
    let mut model = Model::new(|key| (mix(key) & 0x7fff) << 43);
    for key in 0..150_000 {
        model.insert(key, key % 5 == 0);
    }
    model.check();
    let largest = groups(&model.table).iter().map(|group| group.buckets as usize).max().unwrap();
    assert!(largest > shape::FULL * shape::FANOUT, "{largest}");
    check_proportion(&model);
    for key in 0..150_000 {
        if key % 3 == 0 {
            model.remove(key);
        }
        model.insert(key + 75_000, false);
    }
    model.check();
    let mut loader = TableLoader::new(|_| true);
    groups(&model.table).iter().for_each(|group| loader.push(group).unwrap());
    model.table = loader.finish().unwrap();
    model.check();
}
