//! VarveDB: typed events as archives in LMDB, with an index of each stream.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use ::varvedb::{
    GlobalReader, GlobalSequence, Stream, StreamId, StreamReader, StreamSequence, Varve,
    VarveConfig, WriteWatcher,
};

use crate::Result;
use crate::engine::Mode;
use crate::event::{Aligned, Event, Seen};
use crate::event_engine::{Ability, EventEngine, EventJob, EventReader, Expected, NO_EVENT};

/// Addresses set aside; the file behind them grows as it is used.
const MAP_BYTES: usize = 16 << 30;
/// Bytes an event may take, as in its readme.
const BUFFER_BYTES: usize = 1024;

/// A database with one typed stream, which has all stream ids.
pub(crate) struct Varvedb {
    stream: Mutex<Stream<Event, BUFFER_BYTES>>,
    reader: StreamReader<Event>,
    global: GlobalReader,
    watcher: WriteWatcher,
}

impl EventEngine for Varvedb {
    const NAME: &'static str = "varvedb";
    const PACKAGE: &'static str = "varvedb";
    const BUFFERED: &'static str = "as `Sync`: it opens LMDB with default flags and has no other level, so \
         it promises more than rows of `Buffered` ask";
    const SYNC: &'static str =
        "LMDB, default flags: pages by `pwrite`, `fdatasync`, then the meta page";
    const ALWAYS_SYNCS: bool = true;
    const SETTINGS: &'static str = "typed events through `append` and `append_batch`, a map of 16 GiB; \
         `get_archived`, which checks the archive; iterators hand out bytes, which are copied to an \
         aligned buffer where they are not aligned, and checked; writers share the stream through a mutex, \
         as an append needs `&mut`; a subscription is `watcher` and `iter_from` from a cursor of one's own";
    const LACKS: &'static [Ability] = &[
        Ability::Exact,
        Ability::Across,
        Ability::Backward,
        Ability::Count,
        Ability::FollowAwake,
        Ability::Project,
    ];

    fn open(dir: &Path, _mode: Mode) -> Result<Self> {
        let config = VarveConfig { map_size: MAP_BYTES, ..VarveConfig::default() };
        let mut varve = Varve::with_config(dir, config)?;
        let stream = varve.stream("orders")?;
        Ok(Self {
            reader: stream.reader(),
            stream: Mutex::new(stream),
            global: varve.global_reader(),
            watcher: varve.watcher(),
        })
    }

    fn append(&self, stream: u64, events: &[Event], expected: Expected) -> Result<()> {
        if expected != Expected::Any {
            return Err("it expects nothing of a stream".into());
        }
        let mut orders = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        if let [event] = events {
            orders.append(StreamId(stream), event)?;
        } else {
            orders.append_batch(StreamId(stream), events)?;
        }
        Ok(())
    }

    fn read<J: EventJob>(&self, job: &mut J) -> Result<()> {
        job.run(&mut Reader {
            stream: self.reader.clone(),
            global: self.global.clone(),
            aligned: Aligned::default(),
        })
    }

    fn follow(&self, _awake: bool, mut show: impl FnMut(Seen<'_>) -> bool) -> Result<()> {
        let (mut next, mut goes_on, mut right) = (0, true, true);
        while goes_on {
            let mut aligned = Aligned::default();
            let before = next;
            self.global.iter_from(GlobalSequence(next))?.for_each(|event| {
                next += 1;
                right &= goes_on && aligned.show(&event.payload, |event| goes_on = show(event));
            })?;
            if !right {
                return Err(NO_EVENT.into());
            }
            if goes_on && next == before {
                pollster::block_on(self.watcher.wait_for_global_seq(GlobalSequence(next)));
            }
        }
        Ok(())
    }

    fn close(self) -> Result<()> {
        Ok(())
    }
}

struct Reader {
    stream: StreamReader<Event>,
    global: GlobalReader,
    aligned: Aligned,
}

impl EventReader for Reader {
    fn get<T>(
        &mut self,
        stream: u64,
        version: u64,
        show: impl FnOnce(Seen<'_>) -> T,
    ) -> Result<Option<T>> {
        let event = self.stream.get_archived(StreamId(stream), StreamSequence(version))?;
        Ok(event.map(|event| show(event.into())))
    }

    fn get_at<T>(&mut self, place: u64, show: impl FnOnce(Seen<'_>) -> T) -> Result<Option<T>> {
        let Some(bytes) = self.global.get_bytes(GlobalSequence(place))? else {
            return Ok(None);
        };
        let mut shown = None;
        if self.aligned.show(bytes, |event| shown = Some(show(event))) {
            return Ok(shown);
        }
        Err(NO_EVENT.into())
    }

    fn all(&mut self, mut show: impl FnMut(Seen<'_>)) -> Result<()> {
        let mut right = true;
        let (global, aligned) = (&self.global, &mut self.aligned);
        global.iter_from(GlobalSequence(0))?.for_each(|event| {
            right &= aligned.show(&event.payload, &mut show);
        })?;
        if right { Ok(()) } else { Err(NO_EVENT.into()) }
    }

    fn stream(&mut self, stream: u64, mut show: impl FnMut(Seen<'_>)) -> Result<()> {
        let mut right = true;
        let (reader, aligned) = (&self.stream, &mut self.aligned);
        reader.iter_stream(StreamId(stream), None)?.for_each(|_, bytes| {
            right &= aligned.show(bytes, &mut show);
        })?;
        if right { Ok(()) } else { Err(NO_EVENT.into()) }
    }
}
