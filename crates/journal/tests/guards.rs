//! Guards that leave their thread: a segment goes exactly when the last of them is gone, wherever
//! that is.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use annals_disk::MemoryDisk;
use annals_journal::{
    Address, Background, Config, Draft, Durability, FrameBuilder, HeldValue, Journal, Kind,
    RootCheckpoint, SegmentGuard, Seq,
};
use std::{
    path::Path,
    sync::{
        Arc, Barrier, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
};

const SEGMENT_BYTES: u64 = 64 << 10;
/// Under Miri everything takes a thousand times as long.
const FEW: bool = cfg!(miri);

fn create() -> Journal {
    let config = Config {
        segment_bytes: SEGMENT_BYTES,
        background: Background::Manual,
        durability: Durability::Buffered,
        ..Config::default()
    };
    Journal::create(Arc::new(MemoryDisk::new()), Path::new("log"), config).unwrap()
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

/// Takes the segment of a record out, as log compaction does. Returns how many segments have readers.
fn take_out(journal: &Journal, at: Address) -> usize {
    journal.roll().unwrap();
    journal.sync().unwrap();
    let number = journal.checkpoint().map_or(1, |checkpoint| checkpoint.number + 1);
    let (replay_from, next_seq) = (journal.end(), journal.next_seq());
    let checkpoint = RootCheckpoint { number, replay_from, next_seq };
    journal.install(checkpoint, &[at.slot]).unwrap();
    journal.release(&[at.slot]);
    journal.reap()
}

fn is_whole(guard: &SegmentGuard<'_>, at: Address, byte: u8) -> bool {
    guard.record(at.offset).is_ok_and(|record| record.value == [byte; 100])
}

#[test]
fn a_guard_that_outlives_its_thread_keeps_the_segment() {
    let journal = create();
    for round in 0..if FEW { 3 } else { 40u8 } {
        let at = append(&journal, &[round; 100]);
        // The thread's chair goes to the next one, which reads and ends too.
        let guard =
            thread::scope(|scope| scope.spawn(|| journal.guard(at.slot).unwrap()).join().unwrap());
        thread::scope(|scope| {
            scope.spawn(|| drop(journal.guard(at.slot).unwrap()));
        });
        assert_eq!(take_out(&journal, at), 1, "round {round}");
        assert!(is_whole(&guard, at, round));
        thread::scope(|scope| {
            scope.spawn(|| drop(guard));
        });
        assert_eq!(journal.reap(), 0, "round {round}");
    }
}

/// More threads than there are counters of their own: those beyond share one.
#[test]
fn guards_of_more_threads_than_seats_are_counted_at_home_and_abroad() {
    const THREADS: usize = 48;
    const LOOKS: usize = if FEW { 2 } else { 100_000 };
    let journal = create();
    for round in 0..if FEW { 1 } else { 8u8 } {
        let at = append(&journal, &[round; 100]);
        let (sender, receiver) = mpsc::channel();
        let [made, looked, taken_out] = [0; 3].map(|_| Barrier::new(THREADS + 1));
        thread::scope(|scope| {
            for number in 0..THREADS {
                let (journal, made, looked, taken_out) = (&journal, &made, &looked, &taken_out);
                let sender = sender.clone();
                scope.spawn(move || {
                    let guards = [0; 3].map(|_| journal.guard(at.slot).unwrap());
                    // Now nobody gets another's counter any more.
                    made.wait();
                    for _ in 0..LOOKS {
                        drop(journal.guard(at.slot).unwrap());
                    }
                    looked.wait();
                    taken_out.wait();
                    assert!(guards.iter().all(|guard| is_whole(guard, at, round)));
                    if number % 2 == 0 {
                        drop(guards);
                    } else {
                        sender.send(guards).unwrap();
                    }
                });
            }
            drop(sender);
            made.wait();
            looked.wait();
            assert_eq!(take_out(&journal, at), 1);
            taken_out.wait();
        });
        // All threads have ended; half of their guards are still there.
        let mut guards: Vec<_> = receiver.into_iter().flatten().collect();
        assert_eq!(guards.len(), THREADS / 2 * 3);
        while let Some(guard) = guards.pop() {
            assert_eq!(journal.reap(), 1, "round {round}, {} guards are left", guards.len());
            assert!(is_whole(&guard, at, round));
        }
        assert_eq!(journal.reap(), 0, "round {round}");
    }
}

/// Guards wander while segments are taken out under them.
#[test]
#[cfg_attr(miri, ignore = "threads that wait for each other take too long")]
fn guards_on_their_way_between_threads_stay_whole() {
    const ROUNDS: usize = 150;
    let journal = create();
    let (to_droppers, from_readers) = mpsc::sync_channel::<(SegmentGuard<'_>, Address, u8)>(64);
    let latest = Mutex::new((append(&journal, &[0; 100]), 0u8));
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..3 {
            let (journal, latest, over) = (&journal, &latest, &over);
            let to_droppers = to_droppers.clone();
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let (at, byte) = *latest.lock().unwrap();
                    // It may be taken out by now, and its slot have another segment.
                    let Some(guard) = journal.guard(at.slot) else { continue };
                    if is_whole(&guard, at, byte) {
                        to_droppers.send((guard, at, byte)).unwrap();
                    }
                }
            });
        }
        drop(to_droppers);
        scope.spawn(move || {
            for (guard, at, byte) in from_readers {
                assert!(is_whole(&guard, at, byte));
            }
        });
        for round in 1..ROUNDS {
            let before = latest.lock().unwrap().0;
            let byte = round as u8;
            // Into the next segment: the one before has nothing that is current any more.
            journal.roll().unwrap();
            *latest.lock().unwrap() = (append(&journal, &[byte; 100]), byte);
            take_out(&journal, before);
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(journal.reap(), 0, "every guard is gone, here or there");
}

fn hold(journal: &Journal, at: Address) -> HeldValue {
    let guard = journal.guard(at.slot).unwrap();
    let seq = guard.record(at.offset).unwrap().seq;
    let other = Seq(seq.0 + 1);
    assert!(journal.held_value(&guard, at.offset, b"k", other).unwrap().is_none());
    assert!(journal.held_value(&guard, at.offset, b"l", seq).unwrap().is_none());
    journal.held_value(&guard, at.offset, b"k", seq).unwrap().unwrap()
}

/// A value that is held keeps its segment from being used again until the last copy is gone, on
/// whatever thread, and also when the journal is.
#[test]
fn a_value_that_is_held_stays_as_it_was() {
    let journal = create();
    for round in 0..if FEW { 3 } else { 40u8 } {
        let at = append(&journal, &[round; 100]);
        let held = hold(&journal, at);
        let copy = held.clone();
        assert_eq!(take_out(&journal, at), 1, "round {round}");
        // Were its segment a spare by now, the log would go on in it.
        for _ in 0..4 {
            append(&journal, &[0xee; 100]);
            journal.roll().unwrap();
        }
        drop(held);
        assert_eq!(journal.reap(), 1, "round {round}: a copy is left");
        assert_eq!(*copy, [round; 100]);
        thread::scope(|scope| {
            scope.spawn(move || drop(copy));
        });
        assert_eq!(journal.reap(), 0, "round {round}");
    }
    let at = append(&journal, &[77; 100]);
    let held = hold(&journal, at);
    journal.close().unwrap();
    drop(journal);
    assert_eq!(*held, [77; 100]);
}

#[test]
fn a_guard_of_a_segment_that_was_taken_out_can_be_made_of_another() {
    let journal = create();
    for round in 0..if FEW { 3 } else { 40u8 } {
        let at = append(&journal, &[round; 100]);
        let first = journal.guard(at.slot).unwrap();
        let second = first.again();
        assert_eq!(take_out(&journal, at), 1, "round {round}");
        let third = second.again();
        drop((first, second));
        assert_eq!(journal.reap(), 1, "round {round}");
        assert!(is_whole(&third, at, round));
        thread::scope(|scope| {
            scope.spawn(|| drop(third.again().again()));
        });
        assert_eq!(journal.reap(), 1, "round {round}");
        // Dropped by another thread than the one that made it.
        thread::scope(|scope| {
            scope.spawn(|| drop(third));
        });
        assert_eq!(journal.reap(), 0, "round {round}");
    }
}

/// Takes guards, and gives on others that were made of them, until it is over.
fn hand_on<'j>(
    begun: &Barrier,
    is_over: &AtomicBool,
    (at, round): (Address, u8),
    from: &mpsc::Receiver<SegmentGuard<'j>>,
    to: &mpsc::Sender<SegmentGuard<'j>>,
) {
    begun.wait();
    while let Ok(guard) = from.recv() {
        assert!(is_whole(&guard, at, round));
        let next = guard.again();
        drop(guard);
        let next = next.again();
        if is_over.load(Ordering::Relaxed) || to.send(next).is_err() {
            break;
        }
    }
}

/// Guards are made of guards, in one thread and in others, while somebody looks whether any is left.
#[test]
fn a_segment_stays_while_its_guards_are_handed_on() {
    let journal = create();
    for round in 0..if FEW { 1 } else { 10u8 } {
        let at = append(&journal, &[round; 100]);
        let begun = Barrier::new(3);
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let (to_other, from_one) = mpsc::channel::<SegmentGuard<'_>>();
            let (to_one, from_other) = mpsc::channel::<SegmentGuard<'_>>();
            to_one.send(journal.guard(at.slot).unwrap()).unwrap();
            let (begun, is_over) = (&begun, &is_over);
            scope.spawn(move || hand_on(begun, is_over, (at, round), &from_one, &to_one));
            scope.spawn(move || hand_on(begun, is_over, (at, round), &from_other, &to_other));
            begun.wait();
            assert_eq!(take_out(&journal, at), 1, "round {round}");
            for _ in 0..if FEW { 20 } else { 20_000 } {
                assert_eq!(journal.reap(), 1, "round {round}");
            }
            is_over.store(true, Ordering::Relaxed);
        });
        assert_eq!(journal.reap(), 0, "round {round}");
    }
}
