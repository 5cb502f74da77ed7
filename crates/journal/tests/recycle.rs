//! Segments that serve the log a second time, by the journal's public interface.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use annals_disk::{Disk, SimDisk, SimOptions};
use annals_journal::{
    Address, Background, Config, Draft, Durability, Error, FrameBuilder, Journal, Kind, Opened,
    READERS_NAME, RootCheckpoint, SegmentKind,
};
use std::{path::Path, sync::Arc};

const DIR: &str = "log";
const SEGMENT_BYTES: u64 = 64 << 10;

fn disk() -> SimDisk {
    SimDisk::new(SimOptions { writeback_chance: 0.0, ..SimOptions::seeded(4) })
}

fn config() -> Config {
    Config {
        segment_bytes: SEGMENT_BYTES,
        background: Background::Manual,
        durability: Durability::Buffered,
        ..Config::default()
    }
}

fn create(disk: &SimDisk) -> Journal {
    Journal::create(Arc::new(disk.clone()), Path::new(DIR), config()).unwrap()
}

fn open(disk: &SimDisk, read_only: bool) -> Result<(Opened, Vec<Vec<u8>>), Error> {
    let (shared, dir): (Arc<dyn Disk>, _) = (Arc::new(disk.clone()), Path::new(DIR));
    let mut opening = if read_only {
        Journal::open_read_only(shared, dir, config())?
    } else {
        Journal::open(shared, dir, config())?
    };
    let mut values = Vec::new();
    opening.replay(false, &mut |frame| {
        values.extend(frame.records().map(|(_, _, record)| record.value.to_vec()));
        Ok(())
    })?;
    Ok((opening.finish()?, values))
}

fn append(journal: &Journal, value: &[u8]) -> Address {
    let mut frame = FrameBuilder::new();
    let kind = Kind::Put;
    let draft = Draft { kind, space: 1, key: b"k", value, expires_ms: None, aligned: false };
    frame.push(&draft).unwrap();
    let mut writer = journal.writer(frame.len_bytes(), frame.count()).unwrap();
    let appended = writer.append(&mut frame).unwrap();
    writer.publish();
    appended.address(frame.offset(0))
}

/// Fills `count` segments; returns where a record of each lies.
fn fill(journal: &Journal, count: usize, byte: u8) -> Vec<Address> {
    let mut places = Vec::new();
    while places.len() < count {
        let slot = append(journal, &[byte; 1_000]);
        if places.last().is_none_or(|last: &Address| last.slot != slot.slot) {
            places.push(slot);
        }
    }
    places
}

/// Lets go of all sealed segments, as log compaction does.
fn let_go(journal: &Journal) -> Vec<u32> {
    journal.sync().unwrap();
    let sealed: Vec<u32> =
        journal.segments().iter().filter(|info| info.sealed).map(|info| info.slot).collect();
    let number = journal.checkpoint().map_or(1, |checkpoint| checkpoint.number + 1);
    let (replay_from, next_seq) = (journal.end(), journal.next_seq());
    journal.install(RootCheckpoint { number, replay_from, next_seq }, &sealed).unwrap();
    journal.release(&sealed);
    sealed
}

fn segment_files(disk: &SimDisk) -> Vec<String> {
    let names = disk.list(Path::new(DIR)).unwrap().into_iter().map(|entry| entry.name);
    names.filter(|name| name.ends_with(".seg")).collect()
}

#[test]
fn segments_that_nobody_sees_become_spares_under_a_new_generation() {
    let disk = disk();
    let journal = create(&disk);
    fill(&journal, 4, 1);
    let before = segment_files(&disk);
    assert_eq!(let_go(&journal).len(), 3);
    assert_eq!(journal.reap(), 0);
    assert_eq!(journal.recycled_count(), 3);
    let spares: Vec<_> =
        journal.segments().into_iter().filter(|info| info.kind == SegmentKind::Spare).collect();
    assert_eq!(spares.len(), 3);
    for spare in &spares {
        assert!(before.iter().all(|name| *name != format!("{:08}.seg", spare.generation)));
    }
    assert_eq!(segment_files(&disk).len(), 4, "no file more, none less");

    // They serve, and what they held before is not taken for anything.
    let places = fill(&journal, 3, 2);
    append(&journal, b"last");
    assert!(places[1..].iter().all(|at| spares.iter().any(|spare| spare.slot == at.slot)));
    journal.sync().unwrap();
    assert!(journal.verify(&mut |_| {}).damages.is_empty());
    for clean in [false, true] {
        let next = if clean { disk.restart_clean() } else { disk.restart_with_seed(9) };
        let (opened, values) = open(&next, false).unwrap();
        assert_eq!(values.last().unwrap(), b"last");
        assert!(values.iter().all(|value| value[0] != 1), "nothing of the earlier life");
        assert_eq!(opened.recovery.torn_bytes, 0, "{:?}", opened.recovery.warnings);
        assert!(opened.journal.verify(&mut |_| {}).damages.is_empty());
        append(&opened.journal, b"goes on");
        opened.journal.close().unwrap();
        let (opened, values) = open(&next, false).unwrap();
        assert_eq!(values.last().unwrap(), b"goes on");
        assert!(opened.recovery.clean);
    }
}

#[test]
fn a_torn_commit_in_a_recycled_segment_is_cut_off_and_kept_aside() {
    let disk = disk();
    let journal = create(&disk);
    fill(&journal, 3, 1);
    let_go(&journal);
    journal.reap();
    fill(&journal, 2, 2);
    append(&journal, b"kept");
    journal.sync().unwrap();
    let at = append(&journal, &[3; 5_000]);
    append(&journal, &[4; 5_000]);
    let generation = journal.segments().iter().find(|s| s.slot == at.slot).unwrap().generation;
    let killed = disk.restart_clean();
    let path = Path::new(DIR).join(format!("{generation:08}.seg"));
    killed.flip_bit(&path, u64::from(at.offset) + 100, 1).unwrap();
    let (opened, values) = open(&killed, false).unwrap();
    assert_eq!(values.last().unwrap(), b"kept");
    let torn = opened.recovery.torn_bytes;
    assert!((10_000..12_000).contains(&torn), "both commits and nothing else: {torn}");
    append(&opened.journal, b"next");
    drop(opened);
    assert_eq!(open(&killed.restart_clean(), false).unwrap().1.last().unwrap(), b"next");
}

/// The second backup to one place copies the segment in use again; cut off before its root, it leaves
/// frames of a later opening behind the end that the first one's root tells.
#[test]
fn frames_of_a_later_opening_behind_a_clean_end_are_cut_off() {
    let disk = disk();
    let journal = create(&disk);
    fill(&journal, 3, 1);
    let_go(&journal);
    journal.reap();
    fill(&journal, 2, 2);
    append(&journal, b"first");
    journal.close().unwrap();
    let root_path = Path::new(DIR).join("annals.root");
    let first_root = disk.read(&root_path, 1 << 20).unwrap();
    let (opened, _) = open(&disk, false).unwrap();
    let later = append(&opened.journal, b"later");
    let tail = opened.journal.segments().into_iter().find(|info| info.slot == later.slot).unwrap();
    assert!(tail.ordinal > 3, "the tail is in a file that had an earlier life");
    opened.journal.sync().unwrap();

    let mut disk = disk.restart_clean();
    let mut root = disk.create(&root_path).unwrap();
    root.append(&first_root).unwrap();
    root.sync().unwrap();
    for round in 0..3 {
        let (opened, values) = open(&disk, false).unwrap();
        assert_eq!(values.last().unwrap(), b"first", "opened for the {round}. time");
        assert_eq!(opened.recovery.torn_bytes > 0, round == 0);
        disk = disk.restart_clean();
    }
}

#[test]
fn a_flip_in_what_was_synced_in_a_recycled_segment_is_damage() {
    let disk = disk();
    let journal = create(&disk);
    fill(&journal, 3, 1);
    let_go(&journal);
    journal.reap();
    fill(&journal, 2, 2);
    let at = append(&journal, b"synced");
    journal.sync().unwrap();
    append(&journal, b"says so");
    let generation = journal.segments().iter().find(|s| s.slot == at.slot).unwrap().generation;
    let killed = disk.restart_clean();
    let path = Path::new(DIR).join(format!("{generation:08}.seg"));
    killed.flip_bit(&path, u64::from(at.offset) + 14, 3).unwrap();
    let error = open(&killed, false).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
}

#[test]
fn a_segment_that_is_read_is_recycled_once_its_last_guard_is_gone() {
    let disk = disk();
    let journal = create(&disk);
    let places = fill(&journal, 3, 7);
    let guard = journal.guard(places[0].slot).unwrap();
    let_go(&journal);
    assert_eq!(journal.reap(), 1);
    assert_eq!(journal.recycled_count(), 1);
    fill(&journal, 2, 8);
    assert_eq!(guard.record(places[0].offset).unwrap().value, [7; 1_000]);
    drop(guard);
    assert_eq!(journal.reap(), 0);
    assert_eq!(journal.recycled_count(), 2);
}

#[test]
fn nothing_is_recycled_beside_a_reader_and_files_are_removed_instead() {
    let disk = disk();
    let journal = create(&disk);
    let places = fill(&journal, 3, 7);
    journal.sync().unwrap();
    let (reader, _) = open(&disk, true).unwrap();
    let let_go_of = let_go(&journal);
    journal.reap();
    assert_eq!(journal.recycled_count(), 0);
    assert_eq!(segment_files(&disk).len(), 1);
    fill(&journal, 4, 8);
    for at in places.iter().filter(|at| let_go_of.contains(&at.slot)) {
        let guard = reader.journal.guard(at.slot).unwrap();
        assert_eq!(guard.record(at.offset).unwrap().value, [7; 1_000]);
    }
    // A closed handle may still be read from.
    reader.journal.close().unwrap();
    let_go(&journal);
    journal.reap();
    assert_eq!(journal.recycled_count(), 0);
    drop(reader);
    fill(&journal, 3, 9);
    let_go(&journal);
    journal.reap();
    assert_eq!(journal.recycled_count(), 2);
}

#[test]
fn a_reader_follows_into_a_recycled_segment() {
    let disk = disk();
    let journal = create(&disk);
    fill(&journal, 4, 1);
    let_go(&journal);
    journal.reap();
    assert_eq!(journal.recycled_count(), 3);
    journal.sync().unwrap();
    let (reader, mut values) = open(&disk, true).unwrap();
    for byte in 2..150 {
        append(&journal, &[byte; 1_000]);
        assert!(reader.journal.may_have_more());
        let mut follow = |frame: &annals_journal::FrameView<'_>| {
            values.extend(frame.records().map(|(_, _, record)| record.value.to_vec()));
            std::ops::ControlFlow::Continue(())
        };
        reader.journal.follow(&mut follow).unwrap();
        assert_eq!(values.last().unwrap()[0], byte);
        assert!(
            !reader.journal.may_have_more(),
            "what stands behind the end is of an earlier life"
        );
    }
    assert!(journal.end().ordinal > 5);
}

#[test]
fn no_more_is_kept_than_the_log_took() {
    let disk = disk();
    let journal = create(&disk);
    fill(&journal, 30, 1);
    let_go(&journal);
    journal.reap();
    let kept = journal.recycled_count();
    assert!((8..=9).contains(&kept), "{kept}");
    assert_eq!(segment_files(&disk).len() as u64, kept + 1);
    // The log has slowed down: it finds what it needs, the rest is given back.
    fill(&journal, 2, 2);
    let_go(&journal);
    journal.reap();
    fill(&journal, 2, 2);
    let_go(&journal);
    journal.reap();
    assert!(segment_files(&disk).len() <= 3, "{:?}", segment_files(&disk));
    journal.close().unwrap();
    assert_eq!(segment_files(&disk).len(), 1);
}

#[test]
fn what_was_kept_and_not_reaped_is_removed_by_closing() {
    let disk = disk();
    let journal = create(&disk);
    fill(&journal, 4, 1);
    let_go(&journal);
    assert_eq!(segment_files(&disk).len(), 4);
    journal.close().unwrap();
    assert_eq!(segment_files(&disk).len(), 1);
}

/// A reader that came while the file was missing holds no lock, and may live over any number of
/// openings.
#[test]
fn where_the_readers_file_was_missing_once_nothing_is_recycled_any_more() {
    let disk = disk();
    let journal = create(&disk);
    append(&journal, b"x");
    journal.close().unwrap();
    drop(journal);
    disk.remove(&Path::new(DIR).join(READERS_NAME)).unwrap();
    let (reader, _) = open(&disk, true).unwrap();
    assert!(
        disk.len(&Path::new(DIR).join(READERS_NAME)).unwrap().is_none(),
        "only writers make it"
    );
    for opening in 0..3 {
        let (opened, _) = open(&disk, false).unwrap();
        let places = fill(&opened.journal, 3, 1);
        let guard = opened.journal.guard(places[0].slot).unwrap();
        let_go(&opened.journal);
        drop(guard);
        opened.journal.reap();
        assert_eq!(opened.journal.recycled_count(), 0, "opening {opening}");
        opened.journal.close().unwrap();
    }
    drop(reader);
}

/// Its lock is still held, by a file that has no name any more.
#[test]
fn nothing_is_recycled_or_cut_once_the_readers_file_was_removed_by_hand() {
    let disk = disk();
    let journal = create(&disk);
    fill(&journal, 3, 1);
    let (reader, _) = open(&disk, true).unwrap();
    disk.remove(&Path::new(DIR).join(READERS_NAME)).unwrap();
    // A reader that comes now must not make the file again: the writer would trust it.
    let (later, _) = open(&disk, true).unwrap();
    drop(later);
    let_go(&journal);
    journal.reap();
    assert_eq!(journal.recycled_count(), 0);
    journal.close().unwrap();
    drop(journal);
    let (opened, _) = open(&disk, false).unwrap();
    fill(&opened.journal, 3, 1);
    let_go(&opened.journal);
    opened.journal.reap();
    assert_eq!(opened.journal.recycled_count(), 0);
    drop((opened, reader));
}

/// A reader may be looking behind the end, and would die of bytes that are gone.
#[test]
fn closing_beside_a_reader_cuts_nothing_off() {
    let disk = disk();
    let journal = create(&disk);
    append(&journal, b"x");
    journal.sync().unwrap();
    let file_bytes = || disk.len(&Path::new(DIR).join("00000001.seg")).unwrap().unwrap();
    let (reader, _) = open(&disk, true).unwrap();
    journal.close().unwrap();
    drop(journal);
    assert_eq!(file_bytes(), SEGMENT_BYTES);
    drop(reader);
    let (opened, values) = open(&disk, false).unwrap();
    assert_eq!((opened.recovery.clean, &*values), (true, &[b"x".to_vec()][..]));
    opened.journal.close().unwrap();
    assert_eq!(file_bytes(), 8192);
}

#[test]
fn the_unused_end_of_a_segment_that_a_large_commit_closed_is_given_back() {
    let disk = disk();
    let journal = create(&disk);
    let at = append(&journal, b"small");
    append(&journal, &[1; 300_000]);
    journal.sync().unwrap();
    let file_bytes = || {
        let info = journal.segments().into_iter().find(|info| info.slot == at.slot).unwrap();
        (info.file_bytes, disk.len(&Path::new(DIR).join("00000001.seg")).unwrap().unwrap())
    };
    assert_eq!(file_bytes(), (SEGMENT_BYTES, SEGMENT_BYTES));
    // A reader may be looking behind the end at this moment.
    let (reader, _) = open(&disk, true).unwrap();
    journal.tick().unwrap();
    assert_eq!(file_bytes(), (SEGMENT_BYTES, SEGMENT_BYTES));
    drop(reader);
    journal.tick().unwrap();
    assert_eq!(file_bytes(), (4096, 4096));
    let values = open(&disk.restart(), false).unwrap().1;
    assert_eq!(values, [&b"small"[..], &[1; 300_000]]);
}

#[test]
fn what_commits_did_not_fit_into_is_given_back_by_closing_and_got_anew_by_recycling() {
    let disk = disk();
    let journal = create(&disk);
    // Four a segment, and a seventh of it is left.
    let places: Vec<_> = (0..9u8).map(|byte| append(&journal, &[byte; 14_000])).collect();
    assert_eq!(places[3].slot, places[0].slot);
    assert_ne!(places[4].slot, places[0].slot);
    let lengths = || {
        let files = segment_files(&disk).into_iter();
        files.map(|name| disk.len(&Path::new(DIR).join(name)).unwrap().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(lengths()[..2], [SEGMENT_BYTES; 2]);
    let guard = journal.guard(places[3].slot).unwrap();
    journal.close().unwrap();
    assert_eq!(lengths()[..2], [57_344; 2], "four commits, in whole pages");
    assert_eq!(guard.record(places[3].offset).unwrap().value, [3; 14_000]);
    drop(guard);
    drop(journal);

    let (opened, values) = open(&disk, false).unwrap();
    assert!(opened.recovery.clean);
    assert!(values.iter().zip(0..9u8).all(|(value, byte)| value[..] == [byte; 14_000]));
    assert!(opened.journal.verify(&mut |_| {}).damages.is_empty());
    let_go(&opened.journal);
    opened.journal.reap();
    assert_eq!(opened.journal.recycled_count(), 1, "as many as are kept");
    assert!(lengths().iter().all(|len| *len == SEGMENT_BYTES), "{:?}", lengths());
    for byte in 0..9 {
        append(&opened.journal, &[byte; 15_000]);
    }
    opened.journal.sync().unwrap();
    assert!(opened.journal.verify(&mut |_| {}).damages.is_empty());
    let (_, values) = open(&disk.restart_with_seed(3), false).unwrap();
    assert_eq!(values.last().unwrap()[..], [8; 15_000]);
}
