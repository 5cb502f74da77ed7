//! Which names a power cut leaves. Run through the disk, so that what is tested is what the engine
//! meets.

use crate::{Disk, SimDisk, SimOptions};
use std::{collections::BTreeSet, path::Path};

fn sim() -> SimDisk {
    SimDisk::new(SimOptions { writeback_chance: 0.0, ..SimOptions::seeded(1) })
}

fn path(name: &str) -> &Path {
    Path::new(name)
}

fn put(disk: &SimDisk, name: &str, text: &str) {
    let mut file = disk.create(path(name)).expect("create");
    file.append(text.as_bytes()).expect("append");
    file.sync().expect("sync");
}

/// All that may be found after a cut: each outcome as `name=text` of all files.
fn outcomes(disk: &SimDisk) -> BTreeSet<String> {
    (0..400)
        .map(|seed| {
            let disk = disk.restart_with_seed(seed);
            let show = |name: &Path| {
                let bytes = disk.file_bytes(name).expect("listed");
                format!("{}={}", name.display(), String::from_utf8_lossy(&bytes))
            };
            disk.paths().iter().map(|name| show(name)).collect::<Vec<_>>().join(" ")
        })
        .collect()
}

fn set<const N: usize>(outcomes: [&str; N]) -> BTreeSet<String> {
    outcomes.map(str::to_owned).into()
}

#[test]
fn a_created_name_is_durable_after_the_sync_of_its_directory() {
    let disk = sim();
    put(&disk, "a", "1");
    assert_eq!(outcomes(&disk), set(["", "a=1"]));

    let disk = sim();
    put(&disk, "a", "1");
    disk.sync_dir(path("")).expect("sync");
    assert_eq!(outcomes(&disk), set(["a=1"]));
}

#[test]
fn a_rename_is_undone_or_done_but_never_half() {
    let disk = sim();
    put(&disk, "old", "1");
    put(&disk, "target", "2");
    disk.sync_dir(path("")).expect("sync");
    disk.rename(path("old"), path("target")).expect("rename");
    assert_eq!(outcomes(&disk), set(["old=1 target=2", "target=1"]));

    let disk = sim();
    put(&disk, "old", "1");
    disk.sync_dir(path("")).expect("sync");
    disk.rename(path("old"), path("new")).expect("rename");
    disk.sync_dir(path("")).expect("sync");
    assert_eq!(outcomes(&disk), set(["new=1"]));
}

#[test]
fn a_removal_can_be_undone() {
    let disk = sim();
    put(&disk, "a", "1");
    disk.sync_dir(path("")).expect("sync");
    disk.remove(path("a")).expect("remove");
    assert_eq!(outcomes(&disk), set(["", "a=1"]));

    let disk = sim();
    put(&disk, "a", "1");
    disk.sync_dir(path("")).expect("sync");
    disk.remove(path("a")).expect("remove");
    disk.sync_dir(path("")).expect("sync");
    assert_eq!(outcomes(&disk), set([""]));
}

#[test]
fn changes_of_different_names_have_no_order() {
    let disk = sim();
    put(&disk, "a", "1");
    put(&disk, "b", "2");
    assert_eq!(outcomes(&disk), set(["", "a=1", "b=2", "a=1 b=2"]));
}

#[test]
fn a_file_that_was_renamed_away_never_vanishes_for_its_successor() {
    let disk = sim();
    put(&disk, "root", "1");
    disk.sync_dir(path("")).expect("sync");
    disk.rename(path("root"), path("root.old")).expect("rename");
    put(&disk, "root", "2");
    // `root=2` alone would need the second change without the first.
    assert_eq!(outcomes(&disk), set(["root=1", "root.old=1", "root=2 root.old=1"]));
}

#[test]
fn a_rename_between_directories_needs_the_sync_of_both() {
    let start = || {
        let disk = sim();
        disk.create_dir_all(path("from")).expect("make");
        disk.create_dir_all(path("to")).expect("make");
        put(&disk, "from/a", "1");
        disk.sync_dir(path("from")).expect("sync");
        disk.rename(path("from/a"), path("to/a")).expect("rename");
        disk
    };
    let undecided = set(["from/a=1", "to/a=1"]);
    let disk = start();
    assert_eq!(outcomes(&disk), undecided);
    for (one, two) in [("from", "to"), ("to", "from")] {
        let disk = start();
        disk.sync_dir(path(one)).expect("sync");
        assert_eq!(outcomes(&disk), undecided, "after the sync of {one} alone");
        let disk = start();
        disk.sync_dir(path(one)).expect("sync");
        disk.sync_dir(path(two)).expect("sync");
        assert_eq!(outcomes(&disk), set(["to/a=1"]));
    }
}

#[test]
fn a_sync_brings_what_it_builds_upon() {
    let disk = sim();
    disk.create_dir_all(path("from")).expect("make");
    disk.create_dir_all(path("to")).expect("make");
    put(&disk, "from/a", "1");
    disk.rename(path("from/a"), path("to/a")).expect("rename");
    disk.remove(path("to/a")).expect("remove");
    disk.sync_dir(path("to")).expect("sync");
    // The removal is durable, so the rename and the creation before it have happened.
    assert_eq!(outcomes(&disk), set([""]));
}

#[test]
fn a_directory_vanishes_with_all_that_is_in_it() {
    let disk = sim();
    // The name of `d` is synced by `create_dir_all`, so cut in between: the third operation.
    disk.create_dir_all(path("kept")).expect("make");
    disk.cut_power_at(disk.operations() + 1);
    disk.create_dir_all(path("d")).expect_err("cut before the sync of its name");
    let lens: BTreeSet<usize> = (0..50)
        .map(|seed| disk.restart_with_seed(seed).list(path("")).expect("list").len())
        .collect();
    assert_eq!(lens, BTreeSet::from([1, 2]));
}

#[test]
fn a_directory_left_by_a_killed_process_is_synced_by_the_next() {
    let disk = sim();
    disk.fail_nth(crate::Fault::FailSyncDir, 1);
    disk.create_dir_all(path("d")).expect_err("ordered");
    let disk = disk.restart_clean();
    disk.create_dir_all(path("d")).expect("there already");
    put(&disk, "d/a", "1");
    disk.sync_dir(path("d")).expect("sync");
    let found = outcomes(&disk);
    // The failed sync leaves the name undecided for ever, here as on a disk that lost the write.
    assert_eq!(found, set(["", "d/a=1"]));

    let disk = sim();
    disk.cut_power_at(1);
    disk.create_dir_all(path("d")).expect_err("stopped between the name and its sync");
    let disk = disk.restart_clean();
    disk.create_dir_all(path("d")).expect("there already");
    put(&disk, "d/a", "1");
    disk.sync_dir(path("d")).expect("sync");
    assert_eq!(outcomes(&disk), set(["d/a=1"]));
}

#[test]
fn a_failed_directory_sync_is_not_mended_by_the_next() {
    let disk = sim();
    put(&disk, "a", "1");
    disk.fail_nth(crate::Fault::FailSyncDir, 1);
    disk.sync_dir(path("")).expect_err("ordered");
    disk.sync_dir(path("")).expect("claims success");
    put(&disk, "b", "2");
    disk.sync_dir(path("")).expect("sync");
    assert_eq!(outcomes(&disk), set(["b=2", "a=1 b=2"]));
}

#[test]
fn removed_files_are_forgotten_once_nothing_can_bring_them_back() {
    let disk = sim();
    for index in 0..10 {
        put(&disk, "a", &index.to_string());
        disk.sync_dir(path("")).expect("sync");
        disk.remove(path("a")).expect("remove");
        disk.sync_dir(path("")).expect("sync");
    }
    assert_eq!(disk.state.lock().files.len(), 0);
}

#[test]
fn a_kill_decides_nothing_about_a_removal() {
    let disk = sim();
    put(&disk, "a", "1");
    disk.sync_dir(path("")).expect("sync");
    disk.remove(path("a")).expect("remove");
    let next = disk.restart_clean();
    assert_eq!(next.len(path("a")).expect("len"), None);
    assert_eq!(outcomes(&next), set(["", "a=1"]));
}
