//! The journal by its public interface: appending, reading, rolling, recycling, feeding, holding,
//! packing, waiting, failing.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use annals_disk::{Disk, Fault, MemoryDisk, SimDisk, SimOptions};
use annals_journal::{
    Address, Appended, Background, Config, Draft, Durability, Error, FrameBuilder, FrameKind,
    Journal, Kind, Opened, Position, RootCheckpoint, RootManifest, SegmentKind, Seq,
};
use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Wake, Waker},
    thread,
    time::Duration,
};

const DIR: &str = "log";

fn disk() -> SimDisk {
    SimDisk::new(SimOptions { writeback_chance: 0.0, ..SimOptions::seeded(4) })
}

fn config() -> Config {
    Config {
        segment_bytes: 64 << 10,
        background: Background::Manual,
        durability: Durability::Buffered,
        ..Config::default()
    }
}

fn create(disk: &SimDisk, config: Config) -> Journal {
    Journal::create(Arc::new(disk.clone()), Path::new(DIR), config).unwrap()
}

fn reopen(disk: &SimDisk) -> Result<(Opened, Vec<Vec<u8>>), Error> {
    let mut opening = Journal::open(Arc::new(disk.clone()), Path::new(DIR), config())?;
    let mut values = Vec::new();
    opening.replay(false, &mut |frame| {
        values.extend(frame.records().map(|(_, _, record)| record.value.to_vec()));
        Ok(())
    })?;
    Ok((opening.finish()?, values))
}

fn frame(value: &[u8]) -> FrameBuilder<'static> {
    let mut frame = FrameBuilder::new();
    let kind = Kind::Put;
    let draft = Draft { kind, space: 1, key: b"k", value, expires_ms: None, aligned: false };
    frame.push(&draft).unwrap();
    frame
}

fn append(journal: &Journal, value: &[u8]) -> Result<(Appended, Address), Error> {
    let mut frame = frame(value);
    let mut writer = journal.writer(frame.len_bytes(), frame.count())?;
    let appended = writer.append(&mut frame)?;
    writer.publish();
    drop(writer);
    Ok((appended, appended.address(frame.offset(0))))
}

#[test]
fn what_is_appended_is_read_back_also_in_later_segments() {
    let disk = disk();
    let journal = create(&disk, config());
    let values: Vec<Vec<u8>> =
        (0..300u32).map(|n| vec![n as u8; (n * 7 % 2000) as usize]).collect();
    let places: Vec<_> = values.iter().map(|value| append(&journal, value).unwrap()).collect();
    assert!(places.last().unwrap().0.end.ordinal > 3, "several segments");
    for (value, (appended, address)) in values.iter().zip(&places) {
        let guard = journal.guard(address.slot).unwrap();
        let record = guard.record(address.offset).unwrap();
        assert_eq!((record.value, record.seq), (&value[..], appended.first_seq));
    }
    assert!(places.windows(2).all(|pair| pair[0].0.end < pair[1].0.end));
    journal.close().unwrap();
    assert!(matches!(append(&journal, b"late"), Err(Error::Closed)));
    drop(journal);
    let (opened, read) = reopen(&disk).unwrap();
    assert!(opened.recovery.clean);
    assert_eq!(read, values);
    assert_eq!(opened.journal.epoch(), 2);
}

#[test]
fn a_frame_larger_than_a_segment_gets_one_of_its_own() {
    let disk = disk();
    let journal = create(&disk, config());
    let large: Vec<u8> = (0..300_000u32).map(|n| n as u8).collect();
    append(&journal, b"before").unwrap();
    let (_, address) = append(&journal, &large).unwrap();
    append(&journal, b"after").unwrap();
    let guard = journal.guard(address.slot).unwrap();
    assert_eq!(guard.record(address.offset).unwrap().value, large);
    drop(guard);
    journal.close().unwrap();
    drop(journal);
    assert_eq!(reopen(&disk).unwrap().1, [&b"before"[..], &large, b"after"]);
}

#[test]
fn released_segments_live_while_they_are_read_and_their_slots_come_back() {
    let disk = disk();
    let journal = create(&disk, config());
    let (_, address) = append(&journal, b"held").unwrap();
    journal.roll().unwrap();
    append(&journal, b"next").unwrap();
    journal.sync().unwrap();
    let guard = journal.guard(address.slot).unwrap();
    let checkpoint =
        RootCheckpoint { number: 1, replay_from: journal.end(), next_seq: journal.next_seq() };
    journal.install(checkpoint, &[address.slot]).unwrap();
    journal.release(&[address.slot]);
    assert!(journal.guard(address.slot).is_none(), "nobody finds it any more");
    assert_eq!(guard.record(address.offset).unwrap().value, b"held", "who has it keeps it");
    assert_eq!(journal.reap(), 1);
    drop(guard);
    assert_eq!(journal.reap(), 0);
    journal.tick().unwrap();
    for _ in 0..3 {
        append(&journal, b"x").unwrap();
        journal.roll().unwrap();
    }
    assert!(journal.guard(address.slot).is_some(), "the slot is used again");
    assert_ne!(
        journal.segments().iter().find(|info| info.slot == address.slot).unwrap().generation,
        1,
        "its number is not"
    );
}

#[test]
fn a_feed_reads_in_order_and_holds_the_log() {
    let disk = disk();
    let journal = create(&disk, config());
    for n in 0..200u8 {
        append(&journal, &[n; 900]).unwrap();
    }
    let mut feed = journal.feed("test", Seq(100)).unwrap();
    let mut seen = Vec::new();
    while feed
        .read(&mut |_, record| {
            seen.push(record.seq.0);
            true
        })
        .unwrap()
    {}
    assert_eq!(seen, (100..=200).collect::<Vec<_>>());
    assert!(!feed.wait(Duration::ZERO));
    append(&journal, b"more").unwrap();
    assert!(feed.wait(Duration::ZERO));
    assert_eq!(journal.oldest_hold().unwrap(), ("test".into(), feed.position()));
    drop(feed);
    assert_eq!(journal.oldest_hold(), None);

    let hold = journal.hold("backup", Position { ordinal: 2, offset: 64 });
    hold.advance(Position { ordinal: 1, offset: 64 });
    assert_eq!(journal.oldest_hold().unwrap().1.ordinal, 2, "a hold never goes back");

    let first = journal.segments().into_iter().find(|info| info.ordinal == 1).unwrap();
    journal.sync().unwrap();
    let checkpoint =
        RootCheckpoint { number: 1, replay_from: journal.end(), next_seq: journal.next_seq() };
    journal.install(checkpoint, &[first.slot]).unwrap();
    journal.release(&[first.slot]);
    assert!(matches!(journal.feed("late", Seq(1)), Err(Error::Gone { .. })));
    assert!(journal.feed("late", journal.oldest_seq()).is_ok());
}

#[test]
fn a_feed_stops_inside_a_commit_and_goes_on_there() {
    let disk = disk();
    let journal = create(&disk, config());
    append(&journal, b"before").unwrap();
    let values: Vec<Vec<u8>> = (0..50u8).map(|n| vec![n; 100]).collect();
    let mut frame = FrameBuilder::new();
    for value in &values {
        let kind = Kind::Put;
        let draft = Draft { kind, space: 1, key: b"k", value, expires_ms: None, aligned: false };
        frame.push(&draft).unwrap();
    }
    let mut writer = journal.writer(frame.len_bytes(), frame.count()).unwrap();
    writer.append(&mut frame).unwrap();
    writer.publish();
    drop(writer);
    append(&journal, b"behind").unwrap();
    for at_once in [1, 7, 50, 100] {
        let mut feed = journal.feed("test", Seq(2)).unwrap();
        let place = feed.position();
        let (mut seen, mut calls) = (Vec::new(), 0);
        loop {
            let mut left = at_once;
            let before = seen.len();
            let more = feed
                .read(&mut |header, record| {
                    assert_eq!(header.first_seq.plus(u64::from(header.count)), header.next_seq());
                    seen.push((record.seq.0, record.value.to_vec()));
                    left -= 1;
                    left > 0
                })
                .unwrap();
            assert!(seen.len() - before <= at_once);
            // The commit stays until the last of it is read.
            assert_eq!(feed.position() == place, seen.len() < 50, "{}", seen.len());
            if !more {
                break;
            }
            calls += 1;
        }
        assert!(calls >= 50 / at_once, "{calls}");
        assert_eq!(
            seen.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(),
            (2..=52).collect::<Vec<_>>()
        );
        let read: Vec<_> = seen[..50].iter().map(|(_, value)| value).collect();
        assert!(read.iter().zip(&values).all(|(read, value)| *read == value));
        assert_eq!(seen[50].1, b"behind");
    }
}

#[test]
fn moved_records_keep_their_numbers() {
    let disk = disk();
    let journal = create(&disk, config());
    append(&journal, b"first").unwrap();
    let mut packer = journal.packer(annals_journal::Seq(1));
    let mut moved = FrameBuilder::new();
    let kind = Kind::Put;
    let draft = Draft { kind, space: 1, key: b"k", value: b"v", expires_ms: None, aligned: false };
    moved.push_moved(&draft, Seq(42)).unwrap();
    moved.push_moved(&draft, Seq(17)).unwrap();
    let at = packer.append(&mut moved).unwrap();
    let slots = packer.finish().unwrap();
    assert_eq!(slots, [at.slot]);
    let guard = journal.guard(at.slot).unwrap();
    let seq = |index| guard.record(at.offset + moved.offset(index)).unwrap().seq;
    assert_eq!((seq(0), seq(1)), (Seq(42), Seq(17)));
    let info = journal.segments().into_iter().find(|info| info.slot == at.slot).unwrap();
    assert!(info.sealed && info.kind == SegmentKind::Packed);
}

#[test]
fn an_interval_with_limits_lets_no_more_wait() {
    let every = Duration::from_secs(3600);
    for durability in [
        Durability::Interval { every, events: Some(10), bytes: None },
        Durability::Interval { every, events: None, bytes: Some(2_000) },
    ] {
        let journal = create(&disk(), config());
        for n in 1..=100u64 {
            let (appended, _) = append(&journal, &[1; 100]).unwrap();
            journal.make_durable(appended.end, durability).unwrap();
            assert!(journal.syncs_count() >= n / 20, "after {n}: {}", journal.syncs_count());
        }
        assert!(journal.syncs_count() <= 11, "{}", journal.syncs_count());
    }
}

#[test]
fn a_failed_sync_stops_all_writing_and_no_reading() {
    let disk = disk();
    let journal = create(&disk, config());
    let (_, address) = append(&journal, b"kept").unwrap();
    disk.fail_nth(Fault::FailSync, 1);
    assert!(matches!(journal.sync(), Err(Error::Poisoned { .. })));
    assert!(matches!(journal.sync(), Err(Error::Poisoned { .. })), "no retry hides it");
    assert!(matches!(append(&journal, b"more"), Err(Error::Poisoned { .. })));
    assert!(journal.poisoned().unwrap().contains("sync"));
    let guard = journal.guard(address.slot).unwrap();
    assert_eq!(guard.record(address.offset).unwrap().value, b"kept");
    drop(guard);
    assert!(matches!(journal.close(), Err(Error::Poisoned { .. })));
}

/// The last commit of an idle log, with a flipped bit, after a kill.
fn flipped(idle: bool) -> Result<(Opened, Vec<Vec<u8>>), Error> {
    let disk = disk();
    let journal = create(&disk, config());
    append(&journal, b"first").unwrap();
    let (appended, address) = append(&journal, b"last").unwrap();
    journal.make_durable(appended.end, Durability::Sync).unwrap();
    if idle {
        let before = journal.end();
        journal.tick().unwrap();
        assert!(journal.end() > before, "a mark");
        journal.tick().unwrap();
    }
    let killed = disk.restart_clean();
    drop(journal);
    let path = Path::new(DIR).join("00000001.seg");
    killed.flip_bit(path, u64::from(address.offset) + 14, 3).unwrap();
    reopen(&killed)
}

#[test]
fn a_flip_in_what_a_mark_says_is_synced_is_damage() {
    let error = flipped(true).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
    // Without the mark nobody can know that the last commit was whole once.
    let (opened, values) = flipped(false).unwrap();
    assert_eq!(values, [b"first"]);
    assert!(opened.recovery.torn_bytes > 0 && opened.recovery.torn_files.len() == 1);
}

/// No frame behind the last one says that it was synced; the root does.
#[test]
fn a_flip_in_what_the_root_says_is_synced_is_damage() {
    let disk = disk();
    let journal = create(&disk, config());
    append(&journal, b"first").unwrap();
    let (appended, address) = append(&journal, b"last").unwrap();
    journal.make_durable(appended.end, Durability::Sync).unwrap();
    let manifest = RootManifest { number: 1, synced_bytes: 0 };
    journal.root_keeper().set_manifest(manifest).unwrap();
    let killed = disk.restart_clean();
    drop(journal);
    let path = Path::new(DIR).join("00000001.seg");
    killed.flip_bit(path, u64::from(address.offset) + 14, 3).unwrap();
    let error = reopen(&killed).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error}");
}

/// What is cut off is made zero in place: a recovery that is interrupted there must not keep the zeroes
/// instead.
#[test]
fn what_is_cut_off_is_kept_also_if_recovery_is_interrupted() {
    let torn = || {
        let disk = disk();
        let journal = create(&disk, config());
        append(&journal, b"first").unwrap();
        let (_, address) = append(&journal, &[7; 300_000]).unwrap();
        let name = format!("{:08}.seg", journal.segments()[address.slot as usize].generation);
        let killed = disk.restart_clean();
        drop(journal);
        let path = Path::new(DIR).join(name);
        killed.flip_bit(&path, 200_000, 3).unwrap();
        let bytes = killed.file_bytes(&path).unwrap()[64..].to_vec();
        let used = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
        (killed, bytes[..used].to_vec())
    };
    let mut interrupted_count = 0;
    for operation in 0.. {
        let (disk, lost) = torn();
        disk.cut_power_at(operation);
        let first = reopen(&disk);
        let disk = disk.restart_clean();
        reopen(&disk).unwrap();
        let folder = Path::new(DIR).join("put-away");
        let kept: Vec<_> =
            disk.paths().into_iter().filter(|path| path.starts_with(&folder)).collect();
        let has_all = |path| disk.file_bytes(path).is_some_and(|kept| kept.starts_with(&lost));
        assert!(kept.iter().any(has_all), "interrupted at operation {operation}: {kept:?}");
        if first.is_ok() {
            break;
        }
        interrupted_count += 1;
    }
    assert!(interrupted_count > 5, "{interrupted_count}");
}

#[test]
fn no_space_is_an_error_before_the_commit_with_threads_too() {
    let disk = disk();
    let journal = create(&disk, Config { background: Background::Threads, ..config() });
    disk.set_capacity(200_000);
    let mut count = 0u64;
    let error = loop {
        match append(&journal, &[5; 2_000]) {
            Ok(_) => count += 1,
            Err(error) => break error,
        }
        assert!(count < 1_000);
    };
    assert!(matches!(error, Error::Full { .. }), "{error}");
    assert_eq!(journal.next_seq(), Seq(count + 1), "nothing was written");
    // Several writers wait at once: each is told.
    std::thread::scope(|scope| {
        let refused = || matches!(append(&journal, &[5; 2_000]), Err(Error::Full { .. }));
        let writers: Vec<_> = (0..4).map(|_| scope.spawn(refused)).collect();
        assert!(writers.into_iter().all(|writer| writer.join().unwrap()));
    });
    disk.clear_capacity();
    let more = (0..3).any(|_| append(&journal, &[5; 2_000]).is_ok());
    assert!(more, "with space again it goes on");
    journal.close().unwrap();
}

#[test]
fn a_spare_that_was_never_written_to_serves_the_next_writer_too() {
    let spares = |journal: &Journal| -> Vec<(u32, u32)> {
        let segments = journal.segments().into_iter();
        let spares = segments.filter(|info| info.kind == SegmentKind::Spare);
        spares.map(|info| (info.generation, info.slot)).collect()
    };
    for failed_sync in [false, true] {
        let disk = disk();
        let journal = create(&disk, config());
        append(&journal, b"first").unwrap();
        journal.tick().unwrap();
        let before = spares(&journal);
        assert_eq!(before.len(), 1);
        let disk = disk.restart_clean();
        if failed_sync {
            // What is read of such a file may not be what the device has.
            disk.create(&Path::new(DIR).join("sync-failed.tmp")).unwrap();
        }
        let (opened, values) = reopen(&disk).unwrap();
        assert_eq!(values, [b"first"]);
        let kept = spares(&opened.journal);
        assert_eq!(kept, if failed_sync { Vec::new() } else { before.clone() });
        // It is taken when the segment is full, and nothing tells it from a new one.
        for _ in 0..40 {
            append(&opened.journal, &[5; 2_000]).unwrap();
        }
        let used = opened.journal.segments().into_iter().find(|info| info.slot == before[0].1);
        let used = used.unwrap();
        assert_eq!(used.kind, SegmentKind::Log);
        assert_eq!(used.generation == before[0].0, !failed_sync);
        let disk = disk.restart_clean();
        let (opened, values) = reopen(&disk).unwrap();
        assert_eq!(values.len(), 41);
        assert_eq!(opened.recovery.torn_bytes, 0);
    }
}

/// It holds nothing: whatever is wrong with it keeps nobody from what the log has.
#[test]
fn a_spare_that_cannot_be_opened_for_writing_is_let_go_of() {
    let disk = disk();
    let journal = create(&disk, config());
    append(&journal, b"first").unwrap();
    journal.tick().unwrap();
    let segments = journal.segments();
    let spare = segments.iter().find(|info| info.kind == SegmentKind::Spare).unwrap();
    let name = format!("{:08}.seg", spare.generation);
    let disk = disk.restart_clean();
    // The first time it is opened for reading, as every segment is.
    disk.fail_nth_at(Fault::FailOpen, &name, 2);
    let (opened, values) = reopen(&disk).unwrap();
    assert_eq!(values, [b"first"]);
    assert!(disk.len(&Path::new(DIR).join(&name)).unwrap().is_none(), "it stays");
    for _ in 0..40 {
        append(&opened.journal, &[5; 2_000]).unwrap();
    }
    assert!(opened.journal.segments().len() > 1);
    let (_, values) = reopen(&disk.restart_clean()).unwrap();
    assert_eq!(values.len(), 41);
}

#[test]
fn a_fast_log_gets_several_spares_and_a_slow_one_gives_them_back() {
    const PATIENCE_NS: u64 = 60_000_000_000;
    let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new());
    let config = Config { background: Background::Threads, ..config() };
    let journal = Journal::create(Arc::clone(&disk), Path::new(DIR), config).unwrap();
    let spares = || {
        let segments = journal.segments();
        segments.iter().filter(|info| info.kind == SegmentKind::Spare).count()
    };
    let deadline_ns = disk.monotonic_ns() + PATIENCE_NS;
    let in_time = || disk.monotonic_ns() < deadline_ns;
    while spares() < 2 {
        append(&journal, &[5; 2_000]).unwrap();
        assert!(in_time(), "no spares for a log that grows as fast as it can");
    }
    let value = append(&journal, b"last").unwrap().1;
    while spares() > 1 {
        // As maintenance does from time to time.
        journal.reap();
        std::thread::sleep(Duration::from_millis(5));
        assert!(in_time(), "the spares of a log that stands still are kept");
    }
    let guard = journal.guard(value.slot).unwrap();
    assert_eq!(guard.record(value.offset).unwrap().value, b"last");
    for _ in 0..100 {
        append(&journal, &[5; 2_000]).unwrap();
    }
    journal.close().unwrap();
}

#[test]
fn marks_and_closing_frames_carry_no_records() {
    let disk = disk();
    let journal = create(&disk, config());
    let (appended, _) = append(&journal, b"x").unwrap();
    journal.make_durable(appended.end, Durability::Sync).unwrap();
    journal.tick().unwrap();
    journal.close().unwrap();
    drop(journal);
    let mut kinds = Vec::new();
    let dir = Path::new(DIR);
    let disk: Arc<dyn Disk> = Arc::new(disk);
    let mut opening = Journal::open_read_only(disk, dir, config()).unwrap();
    opening
        .replay(false, &mut |frame| {
            kinds.push((frame.header().kind, frame.records().count()));
            Ok(())
        })
        .unwrap();
    assert_eq!(kinds, [(FrameKind::Commit, 1), (FrameKind::Mark, 0), (FrameKind::Close, 0)]);
}

/// Many frames are looked at by another thread while the next are checked, and a few are not.
#[test]
fn what_is_replayed_beside_is_what_is_replayed() {
    let many = Config { segment_bytes: 1 << 20, ..config() };
    for (frames_count, in_thread) in [(4_000u32, true), (40, false)] {
        let disk = disk();
        let journal = create(&disk, many.clone());
        for n in 0..frames_count {
            append(&journal, &vec![n as u8; (n * 7 % 1200) as usize]).unwrap();
        }
        drop(journal);
        let threads = Config { background: Background::Threads, ..many.clone() };
        let open = || {
            let disk: Arc<dyn Disk> = Arc::new(disk.clone());
            Journal::open_read_only(disk, Path::new(DIR), threads.clone()).unwrap()
        };
        let seen_of = |frame: &annals_journal::FrameView<'_>| {
            let records = frame.records();
            let records =
                records.map(|(at, len, record)| (at, len, record.seq, record.value.to_vec()));
            (*frame.header(), records.collect::<Vec<_>>())
        };
        let mut seen = Vec::new();
        open()
            .replay(false, &mut |frame| {
                seen.push(seen_of(frame));
                Ok(())
            })
            .unwrap();
        assert!(seen.len() >= frames_count as usize);

        let (mut beside, mut elsewhere) = (Vec::new(), 0);
        let here = std::thread::current().id();
        open()
            .replay_beside(false, &mut |frame| {
                beside.push(seen_of(frame));
                elsewhere += usize::from(std::thread::current().id() != here);
            })
            .unwrap();
        assert_eq!(elsewhere > 0, in_thread);
        assert!(beside == seen, "{frames_count} frames");
    }
}

/// What was stored after a damaged place is not lost with it.
#[test]
fn a_feed_begins_behind_damage_in_the_same_segment() {
    let disk = disk();
    let journal = create(&disk, config());
    let places: Vec<_> = (0..20u8).map(|n| append(&journal, &[n; 300]).unwrap().0).collect();
    let bad = places[8];
    let path = Path::new(DIR).join("00000001.seg");
    disk.flip_bit(&path, u64::from(bad.offset) + 200, 3).unwrap();
    let read = |from: Seq| {
        let mut seen = Vec::new();
        let mut feed = journal.feed("test", from)?;
        while feed.read(&mut |_, record| {
            seen.push(record.seq);
            true
        })? {}
        Ok::<_, Error>(seen)
    };
    let behind = bad.first_seq.plus(1);
    assert_eq!(
        read(behind).unwrap(),
        places[9..].iter().map(|at| at.first_seq).collect::<Vec<_>>()
    );
    assert_eq!(read(places[15].first_seq).unwrap().len(), 5);
    // What is wanted may have been in the damage, or before it.
    for from in [bad.first_seq, places[3].first_seq] {
        assert!(matches!(read(from), Err(Error::Damaged { .. })), "{from}");
    }
}

/// Who finds the log closed, and then nothing to read, takes that for the end.
#[test]
fn a_log_is_not_closed_while_a_commit_is_on_its_way() {
    let (journal, mut frame) = (create(&disk(), config()), frame(b"last"));
    let mut feed = journal.feed("test", Seq(1)).unwrap();
    thread::scope(|scope| {
        let mut writer = journal.writer(frame.len_bytes(), frame.count()).unwrap();
        writer.append(&mut frame).unwrap();
        let closing = scope.spawn(|| journal.close());
        // Far more than it takes to say so; one that is too slow for this is not accused.
        for _ in 0..100_000 {
            assert!(!journal.is_closed(), "nobody would look for what is appended");
            thread::yield_now();
        }
        writer.publish();
        drop(writer);
        closing.join().unwrap().unwrap();
    });
    assert!(feed.is_closed() && feed.read(&mut |_, _| true).unwrap());
}

/// A runtime that panics leaves nobody else asleep, and the commit that woke it is one all the same.
#[test]
fn a_task_that_cannot_be_woken_keeps_nobody_from_being_woken() {
    struct Panicking;
    impl Wake for Panicking {
        fn wake(self: Arc<Self>) {
            panic!("a runtime that panics");
        }
    }
    struct Woken(AtomicBool);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let (journal, woken) = (create(&disk(), config()), Arc::new(Woken(AtomicBool::new(false))));
    for waker in [Waker::from(Arc::new(Panicking)), Waker::from(Arc::clone(&woken))] {
        assert!(!journal.watch_beyond(journal.end(), &waker));
    }
    append(&journal, b"one").unwrap();
    assert!(woken.0.load(Ordering::Relaxed));
}
