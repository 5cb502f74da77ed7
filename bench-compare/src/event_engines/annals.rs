//! Annals: a category of streams over the durable log.

use std::path::Path;
use std::time::Duration;

use ::annals::{
    Database, ExpectedVersion, HashKeyspace, Projection, Projector, RecordedEvent, Seq, StreamId,
    Streams, Work,
};

use crate::Result;
use crate::engine::Mode;
use crate::engines::annals::open_database;
use crate::event::{Event, Seen};
use crate::event_engine::{Ability, EventEngine, EventJob, EventReader, Expected, NO_EVENT, Total};

/// A database with one category of streams, and a keyspace for what is projected.
pub(crate) struct AnnalsEvents {
    db: Database,
    orders: Streams<Event>,
    totals: HashKeyspace,
}

impl EventEngine for AnnalsEvents {
    const NAME: &'static str = "annals-events";
    const PACKAGE: &'static str = "annals";
    const BUFFERED: &'static str = "`Durability::Buffered`";
    const SYNC: &'static str = "`Durability::Sync`";
    const SETTINGS: &'static str = "typed events of one category, defaults otherwise; all of a stream, or of \
         the category, are read by `each_view`, single ones by `get` and `view`: in \
         place, the archive checked; a place is looked up by `event_at`, counted from the first event's number; \
         a subscription is `subscribe`, one that is awake has `stay_awake` for 10 ms; the projection is a `Projection` that writes to a hash keyspace, and \
         the projector decides how many events it commits together";
    const LACKS: &'static [Ability] = &[];

    fn open(dir: &Path, mode: Mode) -> Result<Self> {
        let db = open_database(dir, mode)?;
        let (orders, totals) = (db.stream("orders")?, db.hash_keyspace("totals")?);
        Ok(Self { db, orders, totals })
    }

    fn append(&self, stream: u64, events: &[Event], expected: Expected) -> Result<()> {
        let expected = match expected {
            Expected::Any => ExpectedVersion::Any,
            Expected::Events(0) => ExpectedVersion::NoStream,
            Expected::Events(count) => ExpectedVersion::Exact(count - 1),
        };
        if let [event] = events {
            self.orders.append_expecting(stream, event, expected)?;
        } else {
            self.orders.append_batch_expecting(stream, events, expected)?;
        }
        Ok(())
    }

    fn append_across(&self, streams: &[u64], events: &[Event]) -> Result<()> {
        let mut batch = self.db.batch();
        for (stream, event) in streams.iter().zip(events) {
            let event = std::slice::from_ref(event);
            self.orders.append_in(&mut batch, *stream, event, ExpectedVersion::Any)?;
        }
        batch.commit()?;
        Ok(())
    }

    fn read<J: EventJob>(&self, job: &mut J) -> Result<()> {
        job.run(&mut Reader { events: self, first: None })
    }

    fn count_streams(&self) -> Result<u64> {
        Ok(self.orders.category().streams_count()?)
    }

    fn follow(&self, awake: bool, mut show: impl FnMut(Seen<'_>) -> bool) -> Result<()> {
        let awake = if awake { AWAKE } else { Duration::ZERO };
        for event in self.orders.subscribe(self.db.oldest_seq())?.stay_awake(awake) {
            if !show(event?.view()?.into()) {
                break;
            }
        }
        Ok(())
    }

    fn project(&self, events: u64, _batch: usize) -> Result<()> {
        let totals = Totals(self.totals.clone());
        let projected = Projector::new(&self.db, "totals", totals)?.catch_up()?;
        if projected == events {
            return Ok(());
        }
        Err(format!("{projected} events of {events} were projected").into())
    }

    fn total(&self, stream: u64) -> Result<Total> {
        let bytes = self.totals.get(stream.to_le_bytes())?;
        bytes.map_or(Ok(Total::default()), |bytes| decode(&bytes).ok_or_else(|| NO_TOTAL.into()))
    }

    fn close(self) -> Result<()> {
        drop((self.orders, self.totals));
        self.db.close()?;
        Ok(())
    }
}

/// Longer than anybody waits for an event.
const AWAKE: Duration = Duration::from_millis(10);

/// Keeps the totals of streams.
struct Totals(HashKeyspace);

impl Projection for Totals {
    fn handle(&mut self, event: &RecordedEvent<'_>, work: &mut Work) -> ::annals::Result<()> {
        let refused = |what: &str| ::annals::Error::Refused(what.to_owned());
        let StreamId::Number(stream) = event.stream() else {
            return Err(refused("a stream whose id is no number"));
        };
        let key = stream.to_le_bytes();
        let mut total = match work.get(&self.0, key)? {
            Some(bytes) => decode(&bytes).ok_or_else(|| refused(NO_TOTAL))?,
            None => Total::default(),
        };
        let event = Seen::archived(event.data()).ok_or_else(|| refused(NO_EVENT))?;
        total.events += 1;
        total.quantity += u64::from(event.quantity());
        work.insert(&self.0, key, encode(total));
        Ok(())
    }

    fn reset(&mut self, _db: &Database) -> ::annals::Result<()> {
        self.0.clear()
    }
}

const NO_TOTAL: &str = "a total is none";

fn encode(total: Total) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&total.events.to_le_bytes());
    bytes[8..].copy_from_slice(&total.quantity.to_le_bytes());
    bytes
}

fn decode(bytes: &[u8]) -> Option<Total> {
    let ([events, quantity], []) = bytes.as_chunks::<8>() else { return None };
    let (events, quantity) = (u64::from_le_bytes(*events), u64::from_le_bytes(*quantity));
    Some(Total { events, quantity })
}

struct Reader<'a> {
    events: &'a AnnalsEvents,
    /// The number of the first event, once it was asked for.
    first: Option<Seq>,
}

impl Reader<'_> {
    /// The number of the first event. Keyspaces take numbers too; nothing but events was written behind it.
    #[cold]
    fn find_first(&mut self) -> Result<Seq> {
        let first = self.events.orders.read_all(self.events.db.oldest_seq())?.next().transpose()?;
        let first = first.ok_or("there is no event")?.seq();
        self.first = Some(first);
        Ok(first)
    }
}

impl EventReader for Reader<'_> {
    fn get<T>(
        &mut self,
        stream: u64,
        version: u64,
        show: impl FnOnce(Seen<'_>) -> T,
    ) -> Result<Option<T>> {
        let Some(event) = self.events.orders.get(stream, version)? else { return Ok(None) };
        Ok(Some(show(event.view()?.into())))
    }

    fn get_at<T>(&mut self, place: u64, show: impl FnOnce(Seen<'_>) -> T) -> Result<Option<T>> {
        let first = self.first.map_or_else(|| self.find_first(), Ok)?;
        let Some(event) = self.events.db.event_at(Seq(first.0 + place))? else { return Ok(None) };
        let event = Seen::archived(event.data()).ok_or(NO_EVENT)?;
        Ok(Some(show(event)))
    }

    fn all(&mut self, mut show: impl FnMut(Seen<'_>)) -> Result<()> {
        let all = self.events.orders.read_all(self.events.db.oldest_seq())?;
        all.each_view(|event| {
            show(event.into());
            Ok(())
        })?;
        Ok(())
    }

    fn stream(&mut self, stream: u64, mut show: impl FnMut(Seen<'_>)) -> Result<()> {
        self.events.orders.read(stream)?.each_view(|event| {
            show(event.into());
            Ok(())
        })?;
        Ok(())
    }

    fn stream_back(&mut self, stream: u64, mut show: impl FnMut(Seen<'_>)) -> Result<()> {
        self.events.orders.read_back(stream)?.each_view(|event| {
            show(event.into());
            Ok(())
        })?;
        Ok(())
    }
}
