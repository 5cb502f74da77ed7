//! Events without an event store: encoded into a log, flushed, and walked through in memory.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::thread;

use super::flush::over_written_blocks;
use super::mapped;
use crate::Result;
use crate::child::Task;
use crate::emit::emit;
use crate::event::{Event, FIELD_BYTES, Seen};
use crate::event_steps::live::{ROW, ROW_AWAKE, Sent, emit_latencies, followed};
use crate::event_steps::mixed::Mixed;
use crate::event_steps::walk::Walk;
use crate::event_steps::{LONG, SHORT};
use crate::latency::Latencies;
use crate::steps::sync::ops;
use crate::timing;

/// Bytes of an encoded event: its fields, and before them room for stream, version, place, type, length and
/// checksum, as a log has them.
const EVENT_BYTES: usize = 80;
const HEAD_BYTES: usize = EVENT_BYTES - FIELD_BYTES;
/// Bytes before the events of a frame.
const FRAME_BYTES: usize = 32;

type Encoded = [u8; EVENT_BYTES];

fn encode(event: &Event, stream: u64, version: u64, place: u64) -> Encoded {
    let mut bytes = [0; EVENT_BYTES];
    for (at, word) in [(0, stream), (8, version), (16, place)] {
        bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
    }
    bytes[HEAD_BYTES..].copy_from_slice(&event.encode());
    bytes
}

#[inline]
fn decode(bytes: &Encoded) -> Result<Seen<'_>> {
    Seen::decode(&bytes[HEAD_BYTES..]).ok_or_else(|| "an event is none".into())
}

/// Encodes the events of `numbers` into one frame with its checksum.
fn encode_frame(frame: &mut Vec<u8>, event: &mut Event, numbers: std::ops::Range<u64>) {
    frame.clear();
    frame.resize(FRAME_BYTES, 0);
    for number in numbers {
        event.become_number(number);
        frame.extend_from_slice(&encode(event, 0, number, number));
    }
    let checksum = crc32c::crc32c(&frame[4..]);
    frame[..4].copy_from_slice(&checksum.to_le_bytes());
}

fn log_bytes(events: u64, batch: u64) -> usize {
    events as usize * EVENT_BYTES + events.div_ceil(batch) as usize * FRAME_BYTES
}

/// Encodes events and copies them into a mapped log: events a second.
fn into_map(task: &Task, batch: u64) -> Result<f64> {
    let mut map = mapped::create(&task.dir.join("mapped"), log_bytes(task.keys, batch))?;
    let (mut frame, mut event, mut end) = (Vec::new(), Event::of(0), 0);
    let encoded = timing::once(task.keys, || {
        for first in (0..task.keys).step_by(batch as usize) {
            encode_frame(&mut frame, &mut event, first..task.keys.min(first + batch));
            map[end..end + frame.len()].copy_from_slice(&frame);
            end += frame.len();
        }
        Ok(())
    })?;
    Ok(encoded.rate())
}

/// The same into written blocks, each batch flushed.
fn flushed(task: &Task, batch: u64) -> Result<f64> {
    let path = task.dir.join("written");
    drop(mapped::create(&path, log_bytes(task.keys, batch))?);
    let file = OpenOptions::new().write(true).open(path)?;
    let (mut frame, mut event, mut end) = (Vec::new(), Event::of(0), 0);
    let flushed = timing::up_to(task.keys / batch, task.cap, |turn| {
        encode_frame(&mut frame, &mut event, turn * batch..(turn + 1) * batch);
        file.write_all_at(&frame, end)?;
        end += frame.len() as u64;
        Ok(file.sync_data()?)
    })?;
    Ok(flushed.rate() * batch as f64)
}

pub(super) fn batch(task: &Task) -> Result<()> {
    emit("events.batch", into_map(task, LONG)?)?;
    emit("events.disk", FIELD_BYTES as f64)
}

pub(super) fn batch_sync(task: &Task) -> Result<()> {
    emit("events.batch.sync", flushed(task, LONG.min(task.keys))?)
}

pub(super) fn across(task: &Task) -> Result<()> {
    let rate = into_map(task, SHORT)?;
    emit("events.short", rate)?;
    emit("events.across", rate)
}

pub(super) fn across_sync(task: &Task) -> Result<()> {
    let rate = flushed(task, SHORT)?;
    emit("events.short.sync", rate)?;
    emit("events.across.sync", rate)
}

pub(super) fn one(task: &Task) -> Result<()> {
    let mut file = File::create(task.dir.join("log"))?;
    let mut event = Event::of(0);
    let written = timing::up_to(task.keys, task.cap, |number| {
        event.become_number(number);
        Ok(file.write_all(&encode(&event, 0, number, number))?)
    })?;
    emit("events.one", written.rate())?;
    emit("events.exact", written.rate())
}

pub(super) fn sync(task: &Task, threads: u64) -> Result<()> {
    let flushes = ops(threads, task.keys) / threads;
    let row = if threads == 1 { "events.sync.1" } else { "events.sync.8" };
    emit(row, over_written_blocks(task, flushes, threads)?)
}

pub(super) fn read(task: &Task) -> Result<()> {
    let events: Vec<Encoded> =
        (0..task.keys).map(|number| encode(&Event::of(number), 0, number, number)).collect();
    let forward = || {
        let mut walk = Walk::new();
        for event in &events {
            walk.see(&decode(event)?, |seen| seen);
        }
        walk.check(task.keys)
    };
    forward()?;
    let forward = timing::once(task.keys, forward)?.rate();
    for row in ["events.all", "events.stream", "events.get", "events.get.at"] {
        emit(row, forward)?;
    }
    let back = timing::once(task.keys, || {
        let mut walk = Walk::new();
        for event in events.iter().rev() {
            walk.see(&decode(event)?, |seen| task.keys.wrapping_sub(seen + 1));
        }
        walk.check(task.keys)
    })?;
    emit("events.stream.back", back.rate())
}

pub(super) fn mixed(task: &Task) -> Result<()> {
    let mixed = Mixed::of(task.keys);
    let encode_number =
        |number| encode(&Event::of(number), number % mixed.streams, number / mixed.streams, number);
    let events: Vec<Encoded> = (0..mixed.events()).map(encode_number).collect();
    let places: Vec<Vec<u32>> = (0..mixed.streams)
        .map(|stream| (0..mixed.length).map(|v| mixed.number(stream, v) as u32).collect())
        .collect();
    let streams = || {
        for (stream, places) in (0..).zip(&places) {
            let mut walk = Walk::new();
            for place in places {
                let event = decode(&events[*place as usize])?;
                walk.see(&event, |version| mixed.number(stream, version));
            }
            walk.check(mixed.length)?;
        }
        Ok(())
    };
    streams()?;
    emit("events.mixed", timing::once(mixed.events(), streams)?.rate())?;

    let mut totals: HashMap<[u8; 8], (u64, u64)> = HashMap::new();
    let projected = timing::once(mixed.events(), || {
        for event in &events {
            let mut stream = [0; 8];
            stream.copy_from_slice(&event[..8]);
            let total = totals.entry(stream).or_default();
            total.0 += 1;
            total.1 += u64::from(decode(event)?.quantity());
        }
        Ok(())
    })?;
    if totals.len() as u64 != mixed.streams {
        return Err("a stream is missing".into());
    }
    emit("events.projection", projected.rate())
}

/// A thread that waits in a channel for a number; and one that looks into it all the time.
pub(super) fn live(task: &Task) -> Result<()> {
    let events = followed(task.keys);
    through_channel(ROW, events, |follow| follow.recv().ok())?;
    through_channel(ROW_AWAKE, events, |follow| {
        loop {
            match follow.try_recv() {
                Ok(number) => return Some(number),
                Err(TryRecvError::Empty) => std::hint::spin_loop(),
                Err(TryRecvError::Disconnected) => return None,
            }
        }
    })
}

fn through_channel(
    row: &str,
    events: u64,
    take: impl Fn(&Receiver<u64>) -> Option<u64> + Send,
) -> Result<()> {
    let sent = Sent::new();
    thread::scope(|scope| {
        let (send, follow) = mpsc::channel();
        let (received, receive) = mpsc::channel();
        let sent = &sent;
        let follower = scope.spawn(move || {
            let mut latencies = Latencies::new();
            let mut next = 0;
            while next < events && take(&follow) == Some(next) {
                latencies.add(sent.since());
                next += 1;
                if received.send(()).is_err() {
                    break;
                }
            }
            latencies
        });
        sent.each(events, &receive, |number| {
            sent.now();
            Ok(send.send(number)?)
        })?;
        emit_latencies(row, &follower.join().map_err(|_| "the follower panicked")?)
    })
}
