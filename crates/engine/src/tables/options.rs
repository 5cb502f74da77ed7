//! What an event table is told about itself when it is made, or later.

use super::{
    delete::Deleting, deleted::DeletedRows, keys, lifetime::Lifetime, table::EventTable,
    unique::Duplicates,
};
use crate::{Error, Result, clock::as_ms};
use annals_columns::Schema;
use std::{collections::HashMap, sync::Arc, time::Duration};

/// An option is a number that says which, and eight bytes of value.
const ENTRY_BYTES: usize = 9;
const TTL: u8 = 1;
const DUPLICATES: u8 = 2;
const REFUSE: u64 = 1;
const IGNORE: u64 = 2;

/// Options of an event table, kept with it.
///
/// ```
/// # use annals_engine as annals;
/// use annals::{Database, TableOptions};
/// use annals_columns::{Role, Schema};
/// use std::{sync::Arc, time::Duration};
/// let schema = Arc::new(Schema::builder(1).with("at", Role::Ts).build()?);
/// let db = Database::open_in_memory()?;
/// let week = TableOptions::default().ttl(Duration::from_secs(7 * 86_400));
/// let ticks = db.create_table("ticks", &schema, week)?;
/// assert_eq!(ticks.options()?, week);
/// ticks.set_options(TableOptions::default())?;
/// assert_eq!(ticks.options()?.ttl, None);
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableOptions {
    /// How long events live, from their own times on; `None`: for ever.
    pub ttl: Option<Duration>,
    /// What becomes of an event that is appended with an id that is there already.
    pub duplicates: Duplicates,
}

impl TableOptions {
    /// Lets events be over so long after their times, which are nanoseconds since 1970 for that, in steps of a
    /// millisecond.
    ///
    /// What is over is in no answer of a [view](EventTable::view) that is made from then on; who has a view from before
    /// goes on to have it. Its space is given back in the background, a whole part when all of its events are over and
    /// others when they are merged; nothing is written anew for it. An event whose time lies far ahead keeps
    /// the space of those it shares a part with. One that is over when it is appended is never seen. The clock
    /// never runs backwards for this, also not across a restart.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Says what becomes of an event that is appended with an id that is there already.
    #[must_use]
    pub fn duplicates(mut self, duplicates: Duplicates) -> Self {
        self.duplicates = duplicates;
        self
    }

    /// As the value of a record: entries by rising numbers, those that are as usual left out.
    pub(super) fn encode(self) -> Vec<u8> {
        let ttl = self.ttl.map(|ttl| (TTL, as_ms(ttl)));
        let mut out = Vec::new();
        let duplicates = match self.duplicates {
            Duplicates::Keep => None,
            Duplicates::Refuse => Some((DUPLICATES, REFUSE)),
            Duplicates::Ignore => Some((DUPLICATES, IGNORE)),
        };
        for (number, value) in [ttl, duplicates].into_iter().flatten() {
            out.push(number);
            out.extend_from_slice(&value.to_le_bytes());
        }
        out
    }

    /// Those of a record; `None` if they are none that this build writes.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (entries, rest) = bytes.as_chunks::<ENTRY_BYTES>();
        let (mut options, mut last) = (Self::default(), 0);
        for [number, value @ ..] in entries {
            if *number <= last {
                return None;
            }
            last = *number;
            match (*number, u64::from_le_bytes(*value)) {
                (TTL, ttl_ms) => options.ttl = Some(Duration::from_millis(ttl_ms)),
                (DUPLICATES, REFUSE) => options.duplicates = Duplicates::Refuse,
                (DUPLICATES, IGNORE) => options.duplicates = Duplicates::Ignore,
                _ => return None,
            }
        }
        rest.is_empty().then_some(options)
    }

    /// Whether a table of this schema can have these.
    pub(super) fn check(self, name: &str, schema: &Schema) -> Result<()> {
        if self.ttl.is_some() && schema.ts().is_none() {
            return Err(Error::NoTimes { name: name.to_owned() });
        }
        if self.duplicates != Duplicates::Keep && schema.event_id().is_none() {
            return Err(Error::NoIds { name: name.to_owned() });
        }
        Ok(())
    }

    /// As they are kept.
    fn kept(self) -> Self {
        Self::decode(&self.encode()).unwrap_or(self)
    }
}

impl EventTable {
    /// Its options.
    ///
    /// # Errors
    /// As [`schema`](Self::schema).
    pub fn options(&self) -> Result<TableOptions> {
        Ok(self.known()?.options)
    }

    /// Gives the table other options, from now on. What is over by the time to live that it had stays so, whatever
    /// the new one is.
    ///
    /// # Errors
    /// [`Error::NoTimes`] if events are to be over and have no time, [`Error::NoIds`] if ids are to be there once and events have
    /// none; those of writing, and nothing has changed then, unless it was
    /// waiting for durability that failed.
    pub fn set_options(&self, options: TableOptions) -> Result<()> {
        let options = options.kept();
        // Nothing becomes a part meanwhile with what is deleted here.
        let flushing = self.shape().flushing.lock();
        let known = self.known()?;
        if known.options == options {
            return Ok(());
        }
        options.check(self.name(), &known.schema)?;
        let mut over = Over::default();
        if let Some(lifetime) = self.lifetime(&known)
            && options.ttl.is_none_or(|ttl| known.options.ttl < Some(ttl))
        {
            over = self.over(&known, &lifetime)?;
        }
        let mut commit = self.batch_of_commit();
        commit.insert(self.space(), keys::OPTIONS, options.encode())?;
        for number in &over.gone {
            commit.remove(self.space(), keys::part(*number))?;
            commit.remove(self.space(), keys::deleted(*number))?;
        }
        let deleting = Deleting::new(self, over.fresh, over.parts, flushing);
        deleting.write(&mut commit)?;
        let done = commit.commit();
        // One that failed while it waited for durability may be there all the same.
        let is_there = || self.read_options().is_ok_and(|found| found == options);
        if done.is_ok() || is_there() {
            deleting.done_with(|known| {
                known.options = options;
                known.remove_parts(&over.gone);
            });
        }
        done.map(drop)
    }

    /// What its record says of them.
    pub(super) fn read_options(&self) -> Result<TableOptions> {
        let Some(value) = self.space().get(keys::OPTIONS)? else {
            return Ok(TableOptions::default());
        };
        let foreign = || Error::ForeignRecord { name: self.name().to_owned() };
        TableOptions::decode(&value).ok_or_else(foreign)
    }

    /// Everything that is over.
    fn over(&self, known: &super::shape::Known, lifetime: &Lifetime) -> Result<Over> {
        // Which of its events are over cannot be told.
        if let Some(lost) = known.lost.first() {
            return Err(lost.damage.error.clone());
        }
        let mut over = Over::default();
        for place in known.parts.iter() {
            let Some(part) = self.part(place)? else { continue };
            let first = lifetime.first_row(part.view()).map_err(|error| part.named(error))?;
            if first as usize == part.view().rows_count() {
                over.gone.push(place.number);
            } else if first > 0 {
                let rows = DeletedRows::below(first, place.deleted.as_deref());
                over.parts.insert(place.number, Arc::new(rows));
            }
        }
        for one in &known.fresh {
            let Some(batch) = self.read_fresh(known, one)? else { continue };
            let rows: Vec<u32> = batch.rows_before(lifetime.first_ns()).collect();
            if !rows.is_empty() {
                let rows = DeletedRows::with(one.deleted.as_deref(), rows);
                over.fresh.insert(one.number, Arc::new(rows));
            }
        }
        Ok(over)
    }
}

/// What of a table is over.
#[derive(Default)]
struct Over {
    /// Parts of which nothing is left.
    gone: Vec<u64>,
    /// Rows of others that are over or deleted.
    parts: HashMap<u64, Arc<DeletedRows>>,
    /// The same of fresh batches.
    fresh: HashMap<u64, Arc<DeletedRows>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_round_trip_and_others_are_refused() {
        let options = TableOptions::default();
        assert!(options.encode().is_empty());
        assert_eq!(TableOptions::decode(&[]), Some(options));
        let options = options.ttl(Duration::from_millis(5));
        let bytes = options.encode();
        assert_eq!(bytes, [TTL, 5, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(TableOptions::decode(&bytes), Some(options));
        for cut in 1..bytes.len() {
            assert_eq!(TableOptions::decode(&bytes[..cut]), None, "cut at {cut}");
        }
        assert_eq!(TableOptions::decode(&[&bytes[..], &bytes].concat()), None, "twice");
        for duplicates in [Duplicates::Keep, Duplicates::Refuse, Duplicates::Ignore] {
            let options = options.duplicates(duplicates);
            assert_eq!(TableOptions::decode(&options.encode()), Some(options));
        }
        assert_eq!(TableOptions::decode(&[2, 9, 0, 0, 0, 0, 0, 0, 0]), None, "another value");
        assert_eq!(TableOptions::decode(&[200, 1, 0, 0, 0, 0, 0, 0, 0]), None, "unknown");
        let long = TableOptions::default().ttl(Duration::MAX).kept();
        assert_eq!(long.ttl, Some(Duration::from_millis(u64::MAX)));
    }
}
