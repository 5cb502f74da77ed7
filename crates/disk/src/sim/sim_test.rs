//! What only the simulated disk does: losing power, failing on order, filling up.
//!
//! Properties that must hold for every seed are checked over many; outcomes that must be possible
//! are searched for, and the search failing is the failure.

use super::{Fault, SimDisk, SimOptions};
use crate::{Access, Disk, LockMode, Region};
use std::{collections::BTreeSet, path::Path};

const PAGE: usize = 4096;

fn sim(seed: u64) -> SimDisk {
    SimDisk::new(SimOptions { writeback_chance: 0.0, ..SimOptions::seeded(seed) })
}

fn path(name: &str) -> &Path {
    Path::new(name)
}

fn put(disk: &SimDisk, name: &str, bytes: &[u8]) {
    let mut file = disk.create(path(name)).expect("create");
    file.append(bytes).expect("append");
    file.sync().expect("sync");
}

/// A region of `pages` pages of ones, synced with its name.
fn region_of_ones(disk: &SimDisk, pages: usize) -> Region {
    let region = disk.create_region(path("seg"), (pages * PAGE) as u64).expect("create");
    region.write(0, &vec![1; pages * PAGE]).expect("write");
    region.sync().expect("sync");
    disk.sync_dir(path("")).expect("sync");
    region
}

/// What may be left of a page of ones that was overwritten with twos.
fn shape(page: &[u8]) -> &'static str {
    let two_count = page.iter().filter(|byte| **byte == 2).count();
    assert!(page.iter().all(|byte| [1, 2].contains(byte)), "bytes nobody wrote");
    for sector in page.chunks(512) {
        assert!(sector.iter().all(|byte| *byte == sector[0]), "a sector is never torn");
    }
    match two_count {
        0 => "old",
        PAGE => "new",
        _ => "torn",
    }
}

#[test]
fn a_synced_page_survives_and_an_unsynced_one_may_be_old_new_or_torn() {
    let mut shapes = BTreeSet::new();
    for seed in 0..200 {
        let disk = sim(seed);
        let region = region_of_ones(&disk, 4);
        region.write(2 * PAGE, &[2; PAGE]).expect("write");
        region.sync().expect("sync");
        region.write(PAGE, &[2; PAGE]).expect("write");
        let bytes = disk.restart().file_bytes("seg").expect("the name was synced");
        assert_eq!(bytes.len(), 4 * PAGE, "seed {seed}");
        assert_eq!(shape(&bytes[..PAGE]), "old", "seed {seed}: never written again");
        assert_eq!(shape(&bytes[2 * PAGE..3 * PAGE]), "new", "seed {seed}: synced");
        shapes.insert(shape(&bytes[PAGE..2 * PAGE]));
    }
    assert_eq!(shapes, BTreeSet::from(["new", "old", "torn"]));
}

#[test]
fn any_subset_of_pages_may_survive() {
    let mut subsets = BTreeSet::new();
    for seed in 0..500 {
        let disk = sim(seed);
        let region = region_of_ones(&disk, 3);
        for page in 0..3 {
            region.write(page * PAGE, &[2; PAGE]).expect("write");
        }
        let bytes = disk.restart().file_bytes("seg").expect("the name was synced");
        let shapes: Vec<_> = bytes.chunks(PAGE).map(shape).collect();
        if !shapes.contains(&"torn") {
            subsets.insert(shapes);
        }
    }
    assert_eq!(subsets.len(), 8, "{subsets:?}");
}

#[test]
fn write_back_lets_versions_survive_that_no_sync_made_durable() {
    let mut found = BTreeSet::new();
    for seed in 0..300 {
        let options = SimOptions { writeback_chance: 0.3, ..SimOptions::seeded(seed) };
        let disk = SimDisk::new(options);
        let region = region_of_ones(&disk, 1);
        for version in 2..6 {
            region.write(0, &[version; PAGE]).expect("write");
        }
        found.insert(disk.restart().file_bytes("seg").expect("the name was synced")[0]);
    }
    assert!(found.is_superset(&BTreeSet::from([1, 3, 5])), "{found:?}");
}

#[test]
fn without_write_back_only_the_durable_and_the_last_version_survive() {
    for seed in 0..100 {
        let disk = sim(seed);
        let region = region_of_ones(&disk, 1);
        region.write(0, &[9; PAGE]).expect("write");
        region.write(0, &[2; PAGE]).expect("write");
        shape(&disk.restart().file_bytes("seg").expect("the name was synced"));
    }
}

#[test]
fn closing_and_zeroing_make_nothing_durable() {
    let disk = sim(1);
    put(&disk, "file", b"synced");
    let region = region_of_ones(&disk, 1);
    region.zero(0, PAGE).expect("zero");
    drop(region);
    let mut file = disk.create(path("file")).expect("create");
    file.append(b"not synced").expect("append");
    drop(file);
    assert_eq!(disk.durable_bytes("seg"), Some(vec![1; PAGE]));
    assert_eq!(disk.durable_bytes("file"), Some(b"synced".to_vec()));
    assert_eq!(disk.file_bytes("file"), Some(b"not synced".to_vec()));
}

#[test]
fn a_length_that_was_not_synced_may_be_old_or_new_or_between() {
    let (mut lens, mut zero_tail) = (BTreeSet::new(), false);
    for seed in 0..300 {
        let disk = sim(seed);
        put(&disk, "file", &[1; 100]);
        disk.sync_dir(path("")).expect("sync");
        let again = disk.open_region(path("file"), Access::Write { len: 3 * PAGE as u64 });
        again.expect("grow").write(100, &[2; 3 * PAGE - 100]).expect("write");
        let bytes = disk.restart().file_bytes("file").expect("the name was synced");
        assert!((100..=3 * PAGE).contains(&bytes.len()), "seed {seed}: {}", bytes.len());
        assert_eq!(bytes[..100], [1; 100], "seed {seed}");
        assert!(bytes[100..].iter().all(|byte| [0, 2].contains(byte)), "seed {seed}");
        zero_tail |= bytes.len() == 3 * PAGE && bytes.ends_with(&[0; PAGE]);
        lens.insert(bytes.len());
    }
    assert!(lens.contains(&100) && lens.contains(&(3 * PAGE)) && lens.len() > 2, "{lens:?}");
    assert!(zero_tail, "a new length without its data was never seen");
}

#[test]
fn a_cut_file_may_be_whole_again() {
    let mut lens = BTreeSet::new();
    for seed in 0..100 {
        let disk = sim(seed);
        let region = region_of_ones(&disk, 2);
        region.truncate(PAGE).expect("cut");
        lens.insert(disk.restart().file_bytes("seg").expect("the name was synced").len());
        region.sync().expect_err("the power is cut");
    }
    assert_eq!(lens, BTreeSet::from([PAGE, 2 * PAGE]));
    let disk = sim(0);
    let region = region_of_ones(&disk, 2);
    region.truncate(PAGE).expect("cut");
    region.sync().expect("sync");
    assert_eq!(disk.durable_bytes("seg"), Some(vec![1; PAGE]));
    assert!(region.write(PAGE, b"x").is_err(), "the real disk would kill the process");
}

#[test]
fn a_failed_sync_drops_its_pages_for_ever() {
    for seed in 0..50 {
        let disk = sim(seed);
        let region = region_of_ones(&disk, 2);
        region.write(0, &[2; PAGE]).expect("write");
        disk.fail_nth(Fault::FailSync, 1);
        region.sync().expect_err("ordered");
        assert_eq!(region.read(0, PAGE), [2; PAGE], "readers go on seeing it");
        region.write(PAGE, &[2; PAGE]).expect("write");
        region.sync().expect("the next sync claims success");
        let bytes = disk.restart().file_bytes("seg").expect("the name was synced");
        assert_eq!(shape(&bytes[..PAGE]), "old", "seed {seed}: lost by the failed sync");
        assert_eq!(shape(&bytes[PAGE..]), "new", "seed {seed}: synced later");
    }
}

#[test]
fn a_lost_page_that_is_written_again_comes_back_whole() {
    let disk = sim(3);
    let region = region_of_ones(&disk, 1);
    region.write(0, &[2; 2048]).expect("write");
    disk.fail_nth_at(Fault::FailSync, "seg", 1);
    region.sync().expect_err("ordered");
    region.write(2048, &[2; 2048]).expect("write");
    region.sync().expect("sync");
    assert_eq!(disk.durable_bytes("seg"), Some(vec![2; PAGE]));
}

#[test]
fn bytes_that_were_cut_never_come_back_after_a_sync() {
    let disk = sim(3);
    let region = region_of_ones(&disk, 3);
    region.truncate(PAGE).expect("cut");
    disk.fail_nth(Fault::FailSync, 1);
    region.sync().expect_err("ordered");
    region.sync().expect("sync");
    drop(region);
    let region = disk.open_region(path("seg"), Access::Write { len: 3 * PAGE as u64 });
    region.expect("grow").sync().expect("sync");
    let bytes = disk.durable_bytes("seg").expect("there");
    assert_eq!(bytes[..PAGE], [1; PAGE]);
    assert_eq!(bytes[PAGE..], [0; 2 * PAGE]);
}

#[test]
fn regions_opened_before_a_file_grew_go_on_sharing_it() {
    let disk = sim(3);
    let small = region_of_ones(&disk, 2);
    let large = disk.open_region(path("seg"), Access::Write { len: 64 * PAGE as u64 });
    let large = large.expect("grow");
    large.write(2 * PAGE - 1, &[2; 2]).expect("write across the old end");
    small.write(0, &[3; 1]).expect("write");
    assert_eq!((small.read(0, 2), small.read(2 * PAGE - 1, 1)), (&[3, 1][..], &[2][..]));
    assert_eq!((large.read(0, 2), large.read(2 * PAGE - 1, 3)), (&[3, 1][..], &[2, 2, 0][..]));
    small.sync().expect("sync");
    let bytes = disk.durable_bytes("seg").expect("there");
    assert_eq!((bytes.len(), bytes[0], bytes[2 * PAGE]), (64 * PAGE, 3, 2));
}

#[test]
fn a_failing_file_sync_drops_what_was_appended() {
    let disk = sim(3);
    let mut file = disk.create(path("file")).expect("create");
    file.append(&[7; 10]).expect("append");
    disk.fail_nth(Fault::FailSync, 1);
    file.sync().expect_err("ordered");
    file.sync().expect("the next sync claims success");
    disk.sync_dir(path("")).expect("sync");
    assert_eq!(disk.durable_bytes("file"), Some(vec![0; 10]), "a length without its data");
    assert_eq!(disk.file_bytes("file"), Some(vec![7; 10]));
}

#[test]
fn the_same_seed_and_calls_give_the_same_disk() {
    let run = |seed: u64| {
        let disk = SimDisk::new(SimOptions { writeback_chance: 0.2, ..SimOptions::seeded(seed) });
        disk.create_dir_all(path("a/b")).expect("make");
        for file in 0..6_u8 {
            let name = format!("a/b/{file}");
            let region = disk.create_region(path(&name), 8 * PAGE as u64).expect("create");
            for page in 0..8 {
                let byte = disk.random_u64() as u8;
                region.write(page * PAGE, &[byte; PAGE]).expect("write");
            }
            if file % 2 == 0 {
                region.sync().expect("sync");
                disk.rename(path(&name), path(&format!("a/b/{file}.done"))).expect("rename");
            }
            if file == 2 {
                disk.sync_dir(path("a/b")).expect("sync");
            }
        }
        let image = |disk: &SimDisk| -> Vec<_> {
            disk.paths().into_iter().map(|path| (disk.file_bytes(&path), path)).collect()
        };
        let once = disk.restart();
        once.create_region(path("later"), PAGE as u64).expect("create");
        let twice = once.restart();
        (image(&once), image(&twice), twice.random_u64(), disk.operations())
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5).0, run(6).0);
}

#[test]
fn one_cut_has_many_outcomes() {
    let disk = sim(0);
    let region = region_of_ones(&disk, 1);
    region.write(0, &[2; PAGE]).expect("write");
    let of = |seed| disk.restart_with_seed(seed).file_bytes("seg");
    assert!((0..50).any(|seed| of(seed) != of(0)));
    assert_eq!(of(7), of(7));
}

#[test]
fn after_the_cut_everything_fails_and_nothing_changes() {
    let disk = sim(0);
    let region = region_of_ones(&disk, 1);
    let mut file = disk.create(path("file")).expect("create");
    let lock = disk.try_lock(path("LOCK"), LockMode::Exclusive).expect("lock").expect("free");
    disk.sync_dir(path("")).expect("sync");
    let before = (disk.paths(), disk.file_bytes("LOCK"), disk.operations());
    disk.cut_power_at(disk.operations());
    assert!(!disk.is_power_cut());
    assert_eq!(disk.len(path("seg")).expect("reads still work"), Some(PAGE as u64));
    let error = region.write(0, b"x").expect_err("cut");
    assert!(error.to_string().contains("power is cut"), "{error}");
    assert_eq!(error.source.kind(), std::io::ErrorKind::Other);
    assert!(disk.is_power_cut());
    assert!(region.sync().is_err() && region.zero(0, 1).is_err() && region.truncate(1).is_err());
    assert!(file.append(b"x").is_err() && file.sync().is_err());
    assert!(disk.create(path("new")).is_err());
    assert!(disk.create_dir_all(path("dir")).is_err());
    assert!(disk.create_region(path("new"), 1).is_err());
    assert!(disk.open_region(path("seg"), Access::Read).is_err());
    assert!(disk.open_region(path("seg"), Access::Write { len: 1 << 20 }).is_err());
    assert!(disk.rename(path("seg"), path("new")).is_err() && disk.remove(path("seg")).is_err());
    assert!(disk.sync_dir(path("")).is_err() && disk.list(path("")).is_err());
    assert!(disk.len(path("seg")).is_err() && disk.read(path("seg"), 1 << 20).is_err());
    assert!(disk.try_lock(path("L2"), LockMode::Shared).is_err());
    assert!(disk.lock_holder(path("LOCK")).is_err());
    assert_eq!(region.read(0, 1), [1], "memory stays readable");
    drop((region, file, lock));
    assert_eq!((disk.paths(), disk.file_bytes("LOCK"), disk.operations()), before);
}

#[test]
fn every_changing_call_counts_and_can_be_cut() {
    fn script(disk: &SimDisk) -> crate::Result<()> {
        disk.create_dir_all(path("d"))?; // the directory, and the sync of its name
        let region = disk.create_region(path("d/seg"), PAGE as u64)?;
        region.write(0, b"x")?;
        region.zero(100, 100)?;
        region.sync()?;
        region.truncate(50)?;
        disk.open_region(path("d/seg"), Access::Write { len: 100 })?;
        let mut file = disk.create(path("d/file"))?;
        file.append(b"x")?;
        file.sync()?;
        disk.rename(path("d/file"), path("d/other"))?;
        disk.remove(path("d/other"))?;
        disk.sync_dir(path("d"))?;
        let _lock = disk.try_lock(path("d/LOCK"), LockMode::Shared)?;
        // These change nothing and do not count.
        disk.open_region(path("d/seg"), Access::Read)?;
        disk.open_region(path("d/seg"), Access::Write { len: 100 })?;
        disk.list(path("d"))?;
        disk.len(path("d/seg"))?;
        disk.read(path("d/seg"), 100)?;
        Ok(())
    }
    let disk = sim(0);
    script(&disk).expect("runs");
    assert_eq!(disk.operations(), 15);
    for operation in 0..15 {
        let disk = sim(operation);
        disk.cut_power_at(operation);
        script(&disk).expect_err("cut");
        assert_eq!(disk.operations(), operation);
        let restarted = disk.restart();
        assert_eq!(restarted.operations(), 0);
        restarted.create_dir_all(path("after")).expect("the power is back");
    }
    let disk = sim(0);
    disk.cut_power_at(15);
    script(&disk).expect("ends before the cut");
}

#[test]
fn killing_the_process_keeps_everything_and_frees_locks() {
    let disk = sim(4);
    let region = region_of_ones(&disk, 2);
    region.write(0, &[2; PAGE]).expect("write");
    let mut file = disk.create(path("file")).expect("create");
    file.append(b"appended").expect("append");
    let lock = disk.try_lock(path("LOCK"), LockMode::Exclusive).expect("lock").expect("free");
    let holder = disk.lock_holder(path("LOCK")).expect("look").expect("held");
    let next = disk.restart_clean();
    assert!(region.write(0, b"x").is_err(), "the dead write nothing");
    drop(lock);
    assert_eq!(&next.file_bytes("seg").expect("there")[..PAGE], [2; PAGE]);
    assert_eq!(next.file_bytes("file"), Some(b"appended".to_vec()));
    assert_eq!(next.lock_holder(path("LOCK")).expect("look"), None);
    let _lock = next.try_lock(path("LOCK"), LockMode::Exclusive).expect("lock").expect("free");
    assert_ne!(next.lock_holder(path("LOCK")).expect("look"), Some(holder));
    assert_eq!(next.durable_bytes("seg"), Some(vec![1; 2 * PAGE]), "nothing more is durable");
    assert_eq!(next.durable_bytes("file"), None);
    let seg = next.open_region(path("seg"), Access::Write { len: 0 }).expect("open");
    seg.sync().expect("sync");
    assert_eq!(&next.durable_bytes("seg").expect("there")[..PAGE], [2; PAGE]);
}

#[test]
fn a_full_disk_refuses_growth_and_nothing_else() {
    let disk = sim(0);
    disk.set_capacity(4 * PAGE as u64);
    let region = disk.create_region(path("seg"), 3 * PAGE as u64).expect("fits");
    let error = disk.create_region(path("two"), 2 * PAGE as u64).expect_err("full");
    assert!(error.is_full(), "{error}");
    assert_eq!(disk.len(path("two")).expect("len"), None, "a partial file was left");
    let error = disk.open_region(path("seg"), Access::Write { len: 5 * PAGE as u64 });
    assert!(error.expect_err("full").is_full());
    assert_eq!(disk.len(path("seg")).expect("len"), Some(3 * PAGE as u64));
    region.write(0, &[1; 3 * PAGE]).expect("reserved space takes writes");
    let mut file = disk.create(path("file")).expect("create");
    file.append(&[1; PAGE - 1]).expect("fits");
    assert!(file.append(&[2; 2]).expect_err("full").is_full());
    assert_eq!(disk.len(path("file")).expect("len"), Some(PAGE as u64), "what fits is taken");
    let _lock = disk.try_lock(path("LOCK"), LockMode::Exclusive).expect("lock").expect("free");

    disk.remove(path("seg")).expect("remove");
    assert!(disk.create_region(path("two"), 1).is_err(), "the open region keeps its space");
    drop(region);
    disk.create_region(path("two"), 2 * PAGE as u64).expect("the space is free");
    disk.clear_capacity();
    disk.create_region(path("three"), 100 * PAGE as u64).expect("no limit");
}

#[test]
fn faults_strike_the_operation_they_name() {
    let disk = sim(0);
    put(&disk, "file", b"bytes");
    disk.fail_nth(Fault::FailRead, 2);
    disk.read(path("file"), 9).expect("the first passes");
    disk.read(path("file"), 9).expect_err("the second fails");
    disk.read(path("file"), 9).expect("the third passes");
    for fault in [Fault::FailCreate, Fault::FailRename, Fault::FailRemove, Fault::FailOpen] {
        disk.fail_always_at(fault, "file");
    }
    disk.fail_nth(Fault::FailLock, 1);
    assert!(disk.create(path("file2")).is_err());
    assert!(disk.create_region(path("file2"), 1).is_err());
    assert!(disk.rename(path("file"), path("x")).is_err());
    assert!(disk.remove(path("file")).is_err());
    assert!(disk.open_region(path("file"), Access::Read).is_err());
    assert!(disk.try_lock(path("L"), LockMode::Shared).is_err());
    assert_eq!(disk.paths(), [path("file")]);
    disk.clear_faults();
    let region = disk.open_region(path("file"), Access::Write { len: 1 }).expect("open");
    disk.fail_nth(Fault::FailWrite, 1);
    region.write(0, b"B").expect_err("ordered");
    assert_eq!(region.read(0, 5), b"bytes");
    disk.fail_nth(Fault::FailTruncate, 1);
    region.truncate(1).expect_err("ordered");
    disk.fail_nth(Fault::FailReserve, 1);
    disk.open_region(path("file"), Access::Write { len: 9 }).expect_err("ordered");
    assert_eq!(disk.len(path("file")).expect("len"), Some(5));
}

#[test]
fn a_flipped_bit_is_seen_now_and_after_a_cut() {
    let disk = sim(0);
    let region = region_of_ones(&disk, 2);
    region.write(PAGE, &[2; PAGE]).expect("write");
    disk.flip_bit("seg", 5, 7).expect("flip");
    assert_eq!(region.read(4, 3), [1, 0x81, 1]);
    assert_eq!(disk.durable_bytes("seg").expect("there")[4..7], [1, 0x81, 1]);
    disk.flip_bit("seg", PAGE as u64, 0).expect("flip");
    assert_eq!(region.read(PAGE, 2), [3, 2]);
    assert_eq!(disk.durable_bytes("seg").expect("there")[PAGE..PAGE + 2], [0, 1]);
    assert!(disk.flip_bit("seg", 2 * PAGE as u64, 0).is_err());
    assert!(disk.flip_bit("none", 0, 0).is_err());
    assert_eq!(disk.restart().file_bytes("seg").expect("there")[5], 0x81);
}

#[test]
fn files_set_by_a_test_are_durable_and_disturb_nothing() {
    let disk = sim(0);
    disk.create_dir_all(path("new")).expect("make");
    put(&disk, "other", b"its name is not synced");
    disk.set_file_bytes("new/deep/file", b"set").expect("set");
    disk.set_file_bytes("new/deep/file", b"set again").expect("set");
    assert_eq!(disk.durable_bytes("new/deep/file"), Some(b"set again".to_vec()));
    assert_eq!(disk.durable_bytes("other"), None);
    assert!(disk.set_file_bytes("other/below", b"").is_err());
    assert!(disk.set_file_bytes("new", b"").is_err());
    assert_eq!(disk.paths(), [path("new/deep/file"), path("other")]);
    for seed in 0..20 {
        let found = disk.restart_with_seed(seed).file_bytes("new/deep/file");
        assert_eq!(found, Some(b"set again".to_vec()));
    }
}

#[test]
fn time_stands_still_until_it_is_moved() {
    let disk = SimDisk::new(SimOptions { start_ms: 1000, ..SimOptions::seeded(0) });
    assert_eq!((disk.now_ms(), disk.now_ms()), (1000, 1000));
    let before = disk.monotonic_ns();
    disk.advance_ms(5);
    assert_eq!(disk.now_ms(), 1005);
    assert_eq!(disk.monotonic_ns() - before, 5_000_001);
    disk.set_now_ms(3);
    assert_eq!(disk.now_ms(), 3);
    assert!(disk.monotonic_ns() > before);
    assert_eq!(disk.restart().now_ms(), 3);
}

#[test]
#[cfg(target_pointer_width = "64")]
fn large_reserved_files_cost_what_is_written() {
    let disk = sim(0);
    let region = disk.create_region(path("seg"), 1 << 32).expect("memory is taken lazily");
    region.zero(0, 1 << 32).expect("zero");
    region.write(1 << 31, b"middle").expect("write");
    region.sync().expect("sync");
    disk.sync_dir(path("")).expect("sync");
    let next = disk.restart();
    let region = next.open_region(path("seg"), Access::Read).expect("open");
    assert_eq!(region.read(1 << 31, 6), b"middle");
    assert_eq!(region.len(), 1 << 32);
}
