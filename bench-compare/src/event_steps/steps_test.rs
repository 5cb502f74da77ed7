//! Every step runs on a store in memory, and notices when the store does something else than it should.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex};
use std::time::Duration;

use super::run;
use crate::Result;
use crate::child::Task;
use crate::engine::Mode;
use crate::event::{Event, FIELD_BYTES, Seen};
use crate::event_engine::{Ability, EventEngine, EventJob, EventReader, Expected, Total};

const EVENTS: u64 = 2_000;

/// What a store does wrong.
const RIGHT: u8 = 0;
const LOSES_THE_LAST: u8 = 1;
const SWAPS_TWO: u8 = 2;
const EXPECTS_NOTHING: u8 = 3;
const ADDS_TWICE: u8 = 4;
const CHANGES_ONE: u8 = 5;

type Stored = (u64, [u8; FIELD_BYTES]);

/// All events, in memory while it is open; streams are found by looking at each.
struct Model<const WRONG: u8> {
    file: PathBuf,
    log: Mutex<Vec<Stored>>,
    came: Condvar,
    totals: Mutex<HashMap<u64, Total>>,
}

impl<const WRONG: u8> Model<WRONG> {
    fn stored(&self) -> Vec<Stored> {
        self.log.lock().expect("the log").clone()
    }
}

impl<const WRONG: u8> EventEngine for Model<WRONG> {
    const NAME: &'static str = "model";
    const PACKAGE: &'static str = "none";
    const BUFFERED: &'static str = "";
    const SYNC: &'static str = "";
    // Loads go through a folder in memory, too.
    const ALWAYS_SYNCS: bool = true;
    const SETTINGS: &'static str = "";
    const LACKS: &'static [Ability] = &[];

    fn open(dir: &Path, _mode: Mode) -> Result<Self> {
        let file = dir.join("log");
        let bytes = if file.exists() { fs::read(&file)? } else { Vec::new() };
        let stored = bytes.chunks(8 + FIELD_BYTES).map(|bytes| {
            let (stream, event) = bytes.split_at(8);
            Ok((u64::from_le_bytes(stream.try_into()?), event.try_into()?))
        });
        let log = Mutex::new(stored.collect::<Result<_>>()?);
        Ok(Self { file, log, came: Condvar::new(), totals: Mutex::default() })
    }

    fn append(&self, stream: u64, events: &[Event], expected: Expected) -> Result<()> {
        let mut log = self.log.lock().expect("the log");
        if let Expected::Events(count) = expected {
            let length = log.iter().filter(|(other, _)| *other == stream).count() as u64;
            if length != count && WRONG != EXPECTS_NOTHING {
                return Err("not as expected".into());
            }
        }
        log.extend(events.iter().map(|event| (stream, event.encode())));
        let count = log.len();
        match WRONG {
            SWAPS_TWO if count == 50 => log.swap(20, 21),
            CHANGES_ONE if count == 50 => log[49].1[19] ^= 0x80,
            _ => {}
        }
        self.came.notify_all();
        Ok(())
    }

    fn append_across(&self, streams: &[u64], events: &[Event]) -> Result<()> {
        let mut log = self.log.lock().expect("the log");
        log.extend(streams.iter().zip(events).map(|(stream, event)| (*stream, event.encode())));
        Ok(())
    }

    fn read<J: EventJob>(&self, job: &mut J) -> Result<()> {
        let mut streams: HashMap<u64, Vec<[u8; FIELD_BYTES]>> = HashMap::new();
        let all = self.stored();
        all.iter().for_each(|(stream, event)| streams.entry(*stream).or_default().push(*event));
        job.run(&mut Reader { all, streams })
    }

    fn count_streams(&self) -> Result<u64> {
        let stored = self.stored();
        let streams: std::collections::HashSet<_> = stored.iter().map(|stored| stored.0).collect();
        Ok(streams.len() as u64)
    }

    fn follow(&self, _awake: bool, mut show: impl FnMut(Seen<'_>) -> bool) -> Result<()> {
        let mut next = 0;
        loop {
            let log = self.log.lock().expect("the log");
            let patience = Duration::from_secs(5);
            let waited = self.came.wait_timeout_while(log, patience, |log| log.len() == next);
            let event = waited.expect("the log").0.get(next).copied().ok_or("no event came")?;
            next += 1;
            if !show(Seen::decode(&event.1).ok_or("no event")?) {
                return Ok(());
            }
        }
    }

    fn project(&self, events: u64, _batch: usize) -> Result<()> {
        let mut totals = self.totals.lock().expect("the totals");
        for (at, (stream, event)) in self.stored().iter().take(events as usize).enumerate() {
            let times = if WRONG == ADDS_TWICE && at == 7 { 2 } else { 1 };
            let total = totals.entry(*stream).or_default();
            total.events += times;
            let event = Seen::decode(event).ok_or("no event")?;
            total.quantity += times * u64::from(event.quantity());
        }
        Ok(())
    }

    fn total(&self, stream: u64) -> Result<Total> {
        Ok(self.totals.lock().expect("the totals").get(&stream).copied().unwrap_or_default())
    }

    fn close(self) -> Result<()> {
        let mut bytes = Vec::new();
        let mut stored = self.stored();
        if WRONG == LOSES_THE_LAST {
            stored.pop();
        }
        for (stream, event) in stored {
            bytes.extend_from_slice(&stream.to_le_bytes());
            bytes.extend_from_slice(&event);
        }
        Ok(fs::write(self.file, bytes)?)
    }
}

struct Reader {
    all: Vec<Stored>,
    streams: HashMap<u64, Vec<[u8; FIELD_BYTES]>>,
}

impl Reader {
    fn events(&self, stream: u64) -> impl DoubleEndedIterator<Item = Seen<'_>> {
        let events = self.streams.get(&stream).into_iter().flatten();
        events.map(|event| Seen::decode(event).expect("an event"))
    }
}

impl EventReader for Reader {
    fn get<T>(
        &mut self,
        stream: u64,
        version: u64,
        show: impl FnOnce(Seen<'_>) -> T,
    ) -> Result<Option<T>> {
        let event = self.streams.get(&stream).and_then(|events| events.get(version as usize));
        Ok(event.and_then(|event| Seen::decode(event)).map(show))
    }

    fn get_at<T>(&mut self, place: u64, show: impl FnOnce(Seen<'_>) -> T) -> Result<Option<T>> {
        Ok(self.all.get(place as usize).and_then(|event| Seen::decode(&event.1)).map(show))
    }

    fn all(&mut self, show: impl FnMut(Seen<'_>)) -> Result<()> {
        self.all.iter().filter_map(|event| Seen::decode(&event.1)).for_each(show);
        Ok(())
    }

    fn stream(&mut self, stream: u64, show: impl FnMut(Seen<'_>)) -> Result<()> {
        self.events(stream).for_each(show);
        Ok(())
    }

    fn stream_back(&mut self, stream: u64, show: impl FnMut(Seen<'_>)) -> Result<()> {
        self.events(stream).rev().for_each(show);
        Ok(())
    }
}

/// Does the steps one after the other, in one folder.
fn steps<const WRONG: u8>(steps: &[&str]) -> Result<()> {
    let dir = tempfile::tempdir()?;
    steps.iter().try_for_each(|step| {
        run::<Model<WRONG>>(&Task {
            engine: "model".to_owned(),
            step: (*step).to_owned(),
            dir: dir.path().to_owned(),
            keys: EVENTS,
            cap: Duration::from_secs(60),
            extra: String::new(),
        })
    })
}

#[test]
fn a_right_store_passes() {
    for step in [
        "events-batch",
        "events-batch-sync",
        "events-one",
        "events-sync-1",
        "events-sync-8",
        "events-across",
        "events-across-sync",
        "events-read",
        "events-mixed",
        "events-live",
    ] {
        steps::<RIGHT>(&[step]).unwrap_or_else(|error| panic!("{step}: {error}"));
    }
    steps::<RIGHT>(&["load-streams", "open-streams", "open-streams"]).expect("streams");
    assert!(steps::<RIGHT>(&["no-such-step"]).is_err());
}

#[test]
fn a_store_that_loses_events_is_found_out() {
    for wrong in [&["events-read"][..], &["events-mixed"], &["load-streams", "open-streams"]] {
        assert!(steps::<LOSES_THE_LAST>(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn a_store_that_changes_what_was_appended_is_found_out() {
    for wrong in ["events-one", "events-sync-1", "events-sync-8", "events-mixed", "events-live"] {
        assert!(steps::<CHANGES_ONE>(&[wrong]).is_err(), "{wrong}");
    }
    for wrong in ["events-one", "events-sync-1"] {
        assert!(steps::<SWAPS_TWO>(&[wrong]).is_err(), "{wrong}");
    }
}

#[test]
fn a_store_that_expects_nothing_is_found_out() {
    assert!(steps::<EXPECTS_NOTHING>(&["events-one"]).is_err());
}

#[test]
fn a_projection_that_adds_an_event_twice_is_found_out() {
    assert!(steps::<ADDS_TWICE>(&["events-mixed"]).is_err());
}
