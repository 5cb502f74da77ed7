//! What every disk promises, run over all of them: mapped, positioned, in memory, simulated.

use annals_disk::{
    Access, Disk, LockMode, MemoryDisk, Operation, RealDisk, Region, SimDisk, SimOptions, Via,
    WriteMode,
};
use std::{
    io::ErrorKind,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::mpsc,
};

/// A disk and a directory of it that is the test's own.
struct Bench {
    disk: Box<dyn Disk>,
    dir: PathBuf,
    _kept: Option<tempfile::TempDir>,
}

impl Bench {
    fn real(mode: WriteMode) -> Self {
        let kept = tempfile::tempdir().expect("a directory");
        let disk = Box::new(RealDisk::with_write_mode(mode));
        Self { disk, dir: kept.path().to_owned(), _kept: Some(kept) }
    }

    fn unreal(disk: impl Disk + 'static) -> Self {
        let dir = PathBuf::from("bench");
        disk.create_dir_all(&dir).expect("a directory");
        Self { disk: Box::new(disk), dir, _kept: None }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        let mut file = self.disk.create(&path).expect("create");
        file.append(bytes).expect("append");
        file.sync().expect("sync");
        path
    }

    fn get(&self, name: &str) -> Vec<u8> {
        self.disk.read(&self.path(name), 1 << 20).expect("read")
    }

    fn names(&self) -> Vec<String> {
        self.disk.list(&self.dir).expect("list").into_iter().map(|entry| entry.name).collect()
    }
}

macro_rules! contract {
    ($($case:ident)*) => {
        mod real_auto {
            $(#[test] fn $case() { super::$case(&super::Bench::real(super::WriteMode::Auto)); })*
        }
        mod real_mapped {
            $(#[test] fn $case() { super::$case(&super::Bench::real(super::WriteMode::Mapped)); })*
        }
        mod real_positioned {
            $(#[test] fn $case() {
                super::$case(&super::Bench::real(super::WriteMode::Positioned));
            })*
        }
        mod memory {
            $(#[test] fn $case() {
                super::$case(&super::Bench::unreal(super::MemoryDisk::new()));
            })*
        }
        mod sim {
            $(#[test] fn $case() {
                let disk = super::SimDisk::new(super::SimOptions {
                    writeback_chance: 0.5,
                    ..super::SimOptions::seeded(11)
                });
                super::$case(&super::Bench::unreal(disk));
            })*
        }
    };
}

contract! {
    directories_are_made_with_their_parents
    a_file_in_the_way_of_a_directory_is_an_error
    lists_are_in_order_and_tell_lengths
    len_tells_nothing_from_a_directory
    reading_stops_at_the_limit
    parts_of_a_file_end_where_it_ends
    creating_again_empties
    renaming_replaces
    renaming_what_is_not_a_file_fails
    removing_takes_the_name_only
    a_new_region_is_zero_and_keeps_what_is_written
    a_region_is_created_once
    a_region_needs_a_byte_and_a_directory
    an_empty_file_is_no_region
    a_region_for_reading_refuses_writes
    growing_keeps_bytes_and_adds_zeroes
    opening_never_shrinks
    openings_share_bytes
    appended_files_open_as_regions
    a_region_and_a_whole_read_agree
    both_ways_of_writing_show_the_same
    zeroing_and_populating_show_zeroes
    what_is_outside_of_filled_ranges_is_zero
    truncating_cuts_and_growing_again_shows_zeroes
    leaving_a_region_panics
    threads_write_disjoint_ranges
    readers_see_what_was_published
    an_exclusive_lock_excludes_everybody
    shared_locks_share
    a_lock_names_its_holder
    a_lock_file_stays
    syncs_of_missing_directories_fail
    errors_name_operation_and_path
    clocks_and_randomness_work
}

fn directories_are_made_with_their_parents(bench: &Bench) {
    let deep = bench.path("a/b/c");
    bench.disk.create_dir_all(&deep).expect("make");
    bench.disk.create_dir_all(&deep).expect("make again");
    bench.disk.sync_dir(&deep).expect("sync");
    bench.put("a/b/c/file", b"x");
    let listed = bench.disk.list(&bench.path("a/b")).expect("list");
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].name.as_str(), listed[0].is_dir, listed[0].len), ("c", true, 0));
}

fn a_file_in_the_way_of_a_directory_is_an_error(bench: &Bench) {
    bench.put("file", b"x");
    assert!(bench.disk.create_dir_all(&bench.path("file")).is_err());
    assert!(bench.disk.create_dir_all(&bench.path("file/below")).is_err());
    assert!(bench.disk.list(&bench.path("file")).is_err());
    assert_eq!(bench.get("file"), b"x");
}

fn lists_are_in_order_and_tell_lengths(bench: &Bench) {
    bench.put("b", b"12");
    bench.put("a.z", b"1");
    bench.disk.create_dir_all(&bench.path("a")).expect("make");
    bench.put("a/inside", b"not listed");
    bench.put("B", b"123");
    let listed = bench.disk.list(&bench.dir).expect("list");
    let listed: Vec<_> =
        listed.iter().map(|entry| (entry.name.as_str(), entry.len, entry.is_dir)).collect();
    assert_eq!(listed, [("B", 3, false), ("a", 0, true), ("a.z", 1, false), ("b", 2, false)]);
    let missing = bench.disk.list(&bench.path("missing")).expect_err("not there");
    assert!(missing.is_not_found());
}

fn len_tells_nothing_from_a_directory(bench: &Bench) {
    let path = bench.put("file", b"four");
    assert_eq!(bench.disk.len(&path).expect("len"), Some(4));
    assert_eq!(bench.disk.len(&bench.path("missing")).expect("len"), None);
    assert_eq!(bench.disk.len(&bench.path("no/such/dir")).expect("len"), None);
    let error = bench.disk.len(&bench.dir).expect_err("a directory");
    assert_eq!(error.source.kind(), ErrorKind::IsADirectory);
}

fn reading_stops_at_the_limit(bench: &Bench) {
    let path = bench.put("file", b"12345");
    assert_eq!(bench.disk.read(&path, 5).expect("read"), b"12345");
    let error = bench.disk.read(&path, 4).expect_err("too long");
    assert_eq!(error.source.kind(), ErrorKind::InvalidData);
    assert!(bench.disk.read(&bench.path("missing"), 9).expect_err("not there").is_not_found());
    let error = bench.disk.read(&bench.dir, 9).expect_err("a directory");
    assert_eq!(error.source.kind(), ErrorKind::IsADirectory);
    let empty = bench.put("empty", b"");
    assert_eq!(bench.disk.read(&empty, 0).expect("read"), b"");
}

fn parts_of_a_file_end_where_it_ends(bench: &Bench) {
    let path = bench.put("file", b"12345");
    let part = |offset, len| bench.disk.read_part(&path, offset, len).expect("read");
    assert_eq!(part(0, 5), b"12345");
    assert_eq!(part(1, 3), b"234");
    assert_eq!(part(3, 9), b"45");
    for offset in [5, 6, 1 << 40] {
        assert_eq!(part(offset, 9), b"", "{offset}");
    }
    assert!(
        bench.disk.read_part(&bench.path("missing"), 0, 9).expect_err("not there").is_not_found()
    );
}

fn creating_again_empties(bench: &Bench) {
    let path = bench.put("file", b"a long content");
    let mut file = bench.disk.create(&path).expect("create");
    assert_eq!(bench.disk.len(&path).expect("len"), Some(0));
    file.append(b"a").expect("append");
    file.append(b"").expect("append nothing");
    file.append(b"bc").expect("append");
    file.sync().expect("sync");
    drop(file);
    assert_eq!(bench.get("file"), b"abc");
    assert!(bench.disk.create(&bench.dir).is_err());
    assert!(bench.disk.create(&bench.path("missing/file")).expect_err("no parent").is_not_found());
}

fn renaming_replaces(bench: &Bench) {
    let (one, two) = (bench.put("one", b"1"), bench.put("two", b"2"));
    bench.disk.rename(&one, &two).expect("rename");
    assert_eq!(bench.names(), ["two"]);
    assert_eq!(bench.get("two"), b"1");
    bench.disk.rename(&two, &two).expect("rename to itself");
    assert_eq!(bench.get("two"), b"1");
    bench.disk.create_dir_all(&bench.path("dir")).expect("make");
    bench.disk.rename(&two, &bench.path("dir/three")).expect("rename across");
    assert_eq!(bench.names(), ["dir"]);
    assert_eq!(bench.get("dir/three"), b"1");
}

fn renaming_what_is_not_a_file_fails(bench: &Bench) {
    bench.disk.create_dir_all(&bench.path("dir")).expect("make");
    let file = bench.put("file", b"x");
    let missing = bench.disk.rename(&bench.path("missing"), &file).expect_err("not there");
    assert!(missing.is_not_found());
    assert!(bench.disk.rename(&bench.path("dir"), &bench.path("other")).is_err());
    assert!(bench.disk.rename(&file, &bench.path("dir")).is_err());
    assert!(bench.disk.rename(&file, &bench.path("no/such")).is_err());
    assert_eq!(bench.names(), ["dir", "file"]);
    assert_eq!(bench.get("file"), b"x");
}

fn removing_takes_the_name_only(bench: &Bench) {
    let path = bench.path("seg");
    let region = bench.disk.create_region(&path, 8192).expect("create");
    region.write(5000, b"still here").expect("write");
    let reader = bench.disk.open_region(&path, Access::Read).expect("open");
    bench.disk.remove(&path).expect("remove");
    assert_eq!(bench.disk.len(&path).expect("len"), None);
    assert_eq!(region.read(5000, 10), b"still here");
    assert_eq!(reader.read(5000, 10), b"still here");
    region.sync().expect("sync");
    assert!(bench.disk.remove(&path).expect_err("gone").is_not_found());
    assert!(bench.disk.remove(&bench.dir).is_err());
    let again = bench.disk.create_region(&path, 4096).expect("create again");
    assert_eq!(again.read(0, 10), [0; 10]);
    assert_eq!(region.read(5000, 10), b"still here");
}

fn a_new_region_is_zero_and_keeps_what_is_written(bench: &Bench) {
    let path = bench.path("seg");
    // A length that is no multiple of a page.
    let region = bench.disk.create_region(&path, 10_001).expect("create");
    assert_eq!(region.len(), 10_001);
    assert_eq!(region.path(), path);
    assert!(region.read(0, 10_001).iter().all(|byte| *byte == 0));
    region.write(0, b"first").expect("write");
    region.write(4090, b"across pages").expect("write");
    region.write(10_000, b"z").expect("write");
    region.write(10_001, b"").expect("write nothing at the end");
    region.sync().expect("sync");
    let expect = |region: &Region| {
        assert_eq!(region.read(0, 5), b"first");
        assert_eq!(region.read(4090, 12), b"across pages");
        assert_eq!(region.read(10_000, 1), b"z");
        assert_eq!(region.read(10_001, 0), b"");
    };
    expect(&region);
    drop(region);
    assert_eq!(bench.disk.len(&path).expect("len"), Some(10_001));
    expect(&bench.disk.open_region(&path, Access::Read).expect("open"));
    expect(&bench.disk.open_region(&path, Access::Write { len: 0 }).expect("open"));
}

fn a_region_is_created_once(bench: &Bench) {
    let path = bench.put("seg", b"mine");
    let error = bench.disk.create_region(&path, 4096).expect_err("there already");
    assert_eq!(error.source.kind(), ErrorKind::AlreadyExists);
    assert_eq!(bench.get("seg"), b"mine");
}

fn a_region_needs_a_byte_and_a_directory(bench: &Bench) {
    let error = bench.disk.create_region(&bench.path("seg"), 0).expect_err("no bytes");
    assert_eq!(error.source.kind(), ErrorKind::InvalidInput);
    let error = bench.disk.create_region(&bench.path("no/seg"), 1).expect_err("no directory");
    assert!(error.is_not_found());
    assert!(bench.names().is_empty());
}

fn an_empty_file_is_no_region(bench: &Bench) {
    let path = bench.put("empty", b"");
    for access in [Access::Read, Access::Write { len: 0 }] {
        let error = bench.disk.open_region(&path, access).expect_err("empty");
        assert_eq!(error.source.kind(), ErrorKind::InvalidData, "{access:?}");
        let error = bench.disk.open_region(&bench.path("missing"), access).expect_err("missing");
        assert!(error.is_not_found(), "{access:?}");
        let error = bench.disk.open_region(&bench.dir, access).expect_err("a directory");
        assert_eq!(error.source.kind(), ErrorKind::IsADirectory, "{access:?}");
    }
    let grown = bench.disk.open_region(&path, Access::Write { len: 100 }).expect("grown");
    assert_eq!(grown.read(0, 100), [0; 100]);
}

fn a_region_for_reading_refuses_writes(bench: &Bench) {
    let path = bench.put("seg", b"fixed");
    let region = bench.disk.open_region(&path, Access::Read).expect("open");
    assert_eq!(region.len(), 5);
    assert!(region.write(0, b"F").expect_err("read-only").is_read_only());
    assert!(region.zero(0, 5).is_err());
    assert!(region.truncate(1).is_err());
    region.populate(0, 5);
    assert_eq!(region.read(0, 5), b"fixed");
    assert_eq!(bench.get("seg"), b"fixed");
}

fn growing_keeps_bytes_and_adds_zeroes(bench: &Bench) {
    let path = bench.put("seg", b"kept");
    let region = bench.disk.open_region(&path, Access::Write { len: 20_000 }).expect("grow");
    assert_eq!(region.len(), 20_000);
    assert_eq!(region.read(0, 4), b"kept");
    assert!(region.read(4, 19_996).iter().all(|byte| *byte == 0));
    region.write(19_000, b"new").expect("write");
    assert_eq!(bench.disk.len(&path).expect("len"), Some(20_000));
    assert_eq!(&bench.get("seg")[19_000..19_003], b"new");
}

fn opening_never_shrinks(bench: &Bench) {
    let path = bench.put("seg", b"five!");
    let region = bench.disk.open_region(&path, Access::Write { len: 2 }).expect("open");
    assert_eq!(region.len(), 5);
    assert_eq!(region.read(0, 5), b"five!");
    assert_eq!(bench.disk.len(&path).expect("len"), Some(5));
}

fn openings_share_bytes(bench: &Bench) {
    let path = bench.path("seg");
    let writer = bench.disk.create_region(&path, 8192).expect("create");
    let reader = bench.disk.open_region(&path, Access::Read).expect("open");
    let other = bench.disk.open_region(&path, Access::Write { len: 8192 }).expect("open");
    writer.write(10, b"from one").expect("write");
    other.write(5000, b"from another").expect("write");
    for region in [&writer, &reader, &other] {
        assert_eq!(region.read(10, 8), b"from one");
        assert_eq!(region.read(5000, 12), b"from another");
    }
}

fn appended_files_open_as_regions(bench: &Bench) {
    let path = bench.path("file");
    let mut file = bench.disk.create(&path).expect("create");
    file.append(&[7; 5000]).expect("append");
    let early = bench.disk.open_region(&path, Access::Read).expect("open");
    file.append(&[8; 100_000]).expect("append");
    file.sync().expect("sync");
    let late = bench.disk.open_region(&path, Access::Read).expect("open");
    assert_eq!((early.len(), late.len()), (5000, 105_000));
    assert_eq!(early.read(0, 5000), [7; 5000]);
    assert_eq!(late.read(0, 5000), [7; 5000]);
    assert!(late.read(5000, 100_000).iter().all(|byte| *byte == 8));
}

fn a_region_and_a_whole_read_agree(bench: &Bench) {
    let path = bench.path("seg");
    let region = bench.disk.create_region(&path, 3 * 4096).expect("create");
    for page in 0..3_u8 {
        region.write(usize::from(page) * 4096, &[page + 1; 4096]).expect("write");
    }
    assert_eq!(bench.get("seg"), region.read(0, region.len()));
}

fn both_ways_of_writing_show_the_same(bench: &Bench) {
    let path = bench.path("seg");
    let region = bench.disk.create_region(&path, 64 * 4096).expect("create");
    let reader = bench.disk.open_region(&path, Access::Read).expect("open");
    let middle = vec![7; 100_000];
    let parts: [&[u8]; 4] = [b"head", b"", &middle, b"tail"];
    let whole = parts.concat();
    let mut at = 1;
    for via in [Via::Memory, Via::Call, Via::Memory, Via::Call] {
        let len = if at < 2 { whole.len() } else { 5 };
        if at < 2 {
            region.write_parts(at, &parts, via).expect("write");
        } else {
            region.write_parts(at, &[&whole[..5]], via).expect("write");
        }
        assert_eq!(region.read(at, len), &whole[..len], "{via:?}");
        assert_eq!(reader.read(at, len), &whole[..len], "{via:?}");
        at += len;
    }
    region.write_parts(at, &parts, Via::Call).expect("write");
    assert_eq!(region.read(at, whole.len()), whole);
    region.sync().expect("sync");
    assert_eq!(bench.get("seg")[at..at + whole.len()], whole);
    assert!(bench.get("seg")[at + whole.len()..].iter().all(|byte| *byte == 0));
    let refused = reader.write_parts(0, &parts, Via::Call).expect_err("read only");
    assert_eq!(refused.operation, Operation::Write);
}

fn zeroing_and_populating_show_zeroes(bench: &Bench) {
    let region = bench.disk.create_region(&bench.path("seg"), 5 * 4096).expect("create");
    region.write(0, &[9; 5 * 4096]).expect("write");
    region.zero(4000, 9000).expect("zero");
    region.populate(100, 8192);
    region.populate(4096, 0);
    region.populate(5 * 4096, 4096);
    region.populate(usize::MAX, usize::MAX);
    region.sync().expect("sync");
    assert_eq!(region.read(0, 4000), [9; 4000]);
    assert!(region.read(4000, 9000).iter().all(|byte| *byte == 0));
    assert!(region.read(13_000, 5 * 4096 - 13_000).iter().all(|byte| *byte == 9));
    region.write(4000, b"after").expect("write");
    assert_eq!(region.read(4000, 5), b"after");
}

fn what_is_outside_of_filled_ranges_is_zero(bench: &Bench) {
    let path = bench.path("seg");
    let len = 1 << 20;
    let region = bench.disk.create_region(&path, len as u64).expect("create");
    region.write(70_001, b"early").expect("write");
    region.write(len - 1, b"z").expect("write");
    let check = |region: &Region| {
        let (mut at, mut outside, mut found) = (0, Vec::new(), 0);
        while let Some(range) = region.filled(at) {
            assert!(at <= range.start && range.start < range.end && range.end <= len);
            outside.push(at..range.start);
            found += region.read(range.start, range.len()).iter().filter(|b| **b != 0).count();
            at = range.end;
        }
        outside.push(at..len);
        assert_eq!(found, 6, "everything is inside of a range");
        for range in outside {
            assert!(region.read(range.start, range.len()).iter().all(|byte| *byte == 0));
        }
        assert_eq!(region.filled(len), None);
    };
    check(&region);
    // Read once more by others, before and after it is on the device.
    check(&bench.disk.open_region(&path, Access::Read).expect("open"));
    region.sync().expect("sync");
    check(&bench.disk.open_region(&path, Access::Write { len: 0 }).expect("open"));
}

fn truncating_cuts_and_growing_again_shows_zeroes(bench: &Bench) {
    let path = bench.path("seg");
    let region = bench.disk.create_region(&path, 4 * 4096).expect("create");
    region.write(0, &[5; 4 * 4096]).expect("write");
    region.truncate(5000).expect("cut");
    region.truncate(1 << 30).expect("cutting never grows");
    region.sync().expect("sync");
    assert_eq!(bench.disk.len(&path).expect("len"), Some(5000));
    assert_eq!(bench.get("seg"), [5; 5000]);
    drop(region);
    let region = bench.disk.open_region(&path, Access::Write { len: 4 * 4096 }).expect("grow");
    assert_eq!(region.read(0, 5000), [5; 5000]);
    assert!(region.read(5000, 4 * 4096 - 5000).iter().all(|byte| *byte == 0));
}

fn leaving_a_region_panics(bench: &Bench) {
    let region = bench.disk.create_region(&bench.path("seg"), 100).expect("create");
    let panics = |act: &dyn Fn()| catch_unwind(AssertUnwindSafe(act)).is_err();
    assert!(panics(&|| drop(region.read(100, 1).to_vec())));
    assert!(panics(&|| drop(region.read(usize::MAX, 2).to_vec())));
    assert!(panics(&|| drop(region.write(99, b"ab"))));
    assert!(panics(&|| drop(region.write(usize::MAX, b"ab"))));
    assert!(panics(&|| drop(region.zero(50, 51))));
    assert_eq!(region.read(0, 100), [0; 100]);
}

fn threads_write_disjoint_ranges(bench: &Bench) {
    const THREAD_COUNT: usize = 4;
    let region = bench.disk.create_region(&bench.path("seg"), 1 << 16).expect("create");
    std::thread::scope(|scope| {
        for thread in 0..THREAD_COUNT {
            let region = &region;
            scope.spawn(move || {
                for index in (thread..1024).step_by(THREAD_COUNT) {
                    region.write(index * 64, &[thread as u8 + 1; 64]).expect("write");
                }
            });
        }
    });
    for index in 0..1024 {
        assert_eq!(region.read(index * 64, 64), [(index % THREAD_COUNT) as u8 + 1; 64]);
    }
}

fn readers_see_what_was_published(bench: &Bench) {
    let path = bench.path("seg");
    let region = bench.disk.create_region(&path, 1 << 16).expect("create");
    let reader = bench.disk.open_region(&path, Access::Read).expect("open");
    let (publish, published) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for index in published {
                let index: usize = index;
                assert_eq!(reader.read(index * 16, 16), [index as u8 | 1; 16]);
            }
        });
        for index in 0..4096 {
            region.write(index * 16, &[index as u8 | 1; 16]).expect("write");
            publish.send(index).expect("the reader failed");
        }
        drop(publish);
    });
}

fn an_exclusive_lock_excludes_everybody(bench: &Bench) {
    let path = bench.path("LOCK");
    let take = |mode| bench.disk.try_lock(&path, mode).expect("lock");
    let held = take(LockMode::Exclusive).expect("free");
    assert!(take(LockMode::Exclusive).is_none());
    assert!(take(LockMode::Shared).is_none());
    drop(held);
    let again = take(LockMode::Exclusive).expect("free again");
    assert!(take(LockMode::Shared).is_none());
    drop(again);
    assert!(take(LockMode::Shared).is_some());
    assert!(bench.disk.try_lock(&bench.path("no/LOCK"), LockMode::Exclusive).is_err());
}

fn shared_locks_share(bench: &Bench) {
    let path = bench.path("LOCK");
    let take = |mode| bench.disk.try_lock(&path, mode).expect("lock");
    let one = take(LockMode::Shared).expect("free");
    let two = take(LockMode::Shared).expect("shared");
    assert!(take(LockMode::Exclusive).is_none());
    drop(one);
    assert!(take(LockMode::Exclusive).is_none());
    assert_eq!(bench.disk.lock_holder(&path).expect("look"), None);
    drop(two);
    assert!(take(LockMode::Exclusive).is_some());
}

fn a_lock_names_its_holder(bench: &Bench) {
    let path = bench.path("LOCK");
    let holder = || bench.disk.lock_holder(&path).expect("look");
    assert_eq!(holder(), None);
    let before_ms = bench.disk.now_ms();
    let held = bench.disk.try_lock(&path, LockMode::Exclusive).expect("lock").expect("free");
    let named = holder().expect("held");
    assert!(named.pid > 0);
    assert!(!named.host.is_empty());
    assert!((before_ms..=bench.disk.now_ms()).contains(&named.since_ms));
    let text = String::from_utf8(bench.get("LOCK")).expect("text");
    assert!(text.contains(&format!("pid={}\n", named.pid)), "{text}");
    // Being refused must not change what the file says.
    assert!(bench.disk.try_lock(&path, LockMode::Exclusive).expect("lock").is_none());
    assert_eq!(holder(), Some(named));
    drop(held);
    assert_eq!(holder(), None);
}

fn a_lock_file_stays(bench: &Bench) {
    let path = bench.put(
        "LOCK",
        b"left by a process that died, and longer than what we write here, \
        so that a rest of it would be seen behind the identity of the next holder",
    );
    assert_eq!(bench.disk.lock_holder(&path).expect("look"), None);
    let held = bench.disk.try_lock(&path, LockMode::Exclusive).expect("lock").expect("free");
    let text = String::from_utf8(bench.get("LOCK")).expect("text");
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(text.starts_with("pid=") && text.ends_with('\n'), "{text}");
    drop(held);
    assert_eq!(bench.disk.len(&path).expect("len"), Some(0));
}

fn syncs_of_missing_directories_fail(bench: &Bench) {
    bench.disk.sync_dir(&bench.dir).expect("sync");
    assert!(bench.disk.sync_dir(&bench.path("missing")).expect_err("missing").is_not_found());
}

fn errors_name_operation_and_path(bench: &Bench) {
    let path = bench.path("missing");
    let error = bench.disk.remove(&path).expect_err("missing");
    assert_eq!((error.operation, &error.path), (Operation::Remove, &path));
    assert!(error.to_string().starts_with("could not remove "), "{error}");
    let error = bench.disk.rename(&path, &bench.path("x")).expect_err("missing");
    assert_eq!((error.operation, &error.path), (Operation::Rename, &path));
}

fn clocks_and_randomness_work(bench: &Bench) {
    // 2020-01-01; whoever sets the clock before that has other worries.
    assert!(bench.disk.now_ms() > 1_577_836_800_000);
    let first = bench.disk.monotonic_ns();
    assert!(bench.disk.monotonic_ns() >= first);
    assert_ne!(bench.disk.random_u64(), bench.disk.random_u64());
}
