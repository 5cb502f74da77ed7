//! Which events are over by the table's time to live.
//!
//! A view leaves out what was over when it was made: of a part, whose rows are in the order of their times, the first
//! ones, as if they were deleted. Parts of which nothing is left are removed in the background.

use super::{
    deleted::DeletedRows, fresh::FreshBatch, places::PartPlace, shape::Known, table::EventTable,
};
use crate::{Result, catalog::Keyspace, clock::as_ms, core::Core, open::Open};
use annals_columns::PartView;
use std::{sync::Arc, time::Duration};

const MS_NS: i128 = 1_000_000;

/// How long events of a table live, at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lifetime {
    ttl_ms: u64,
    now_ms: u64,
    /// The first time whose events are not over.
    first_ns: i64,
    /// The latest time of events that were left out.
    latest_ns: Option<i64>,
}

impl Lifetime {
    fn new(ttl_ms: u64, now_ms: u64) -> Self {
        // An event is over when its time to live is, not only behind that.
        let first_ns = (i128::from(now_ms) - i128::from(ttl_ms)) * MS_NS + 1;
        let first_ns = first_ns.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
        Self { ttl_ms, now_ms, first_ns, latest_ns: None }
    }

    /// The first time whose events are not over.
    pub(super) fn first_ns(&self) -> i64 {
        self.first_ns
    }

    /// The first row of a part that is not over; the count of rows if there is none.
    pub(super) fn first_row(&self, part: PartView<'_>) -> Result<u32> {
        match part.time_range()? {
            Some((first, _)) if first >= self.first_ns => Ok(0),
            Some((_, last)) if last < self.first_ns => Ok(part.rows_count() as u32),
            Some(_) => Ok(part.first_since(self.first_ns)?),
            None => Ok(0),
        }
    }

    /// A part's place without what is over; `None` if nothing is left.
    pub(super) fn of_part(
        &mut self,
        place: &Arc<PartPlace>,
        part: PartView<'_>,
    ) -> Result<Option<Arc<PartPlace>>> {
        let first = self.first_row(part)?;
        if first == 0 {
            return Ok(Some(Arc::clone(place)));
        }
        self.latest_ns = self.latest_ns.max(Some(part.time(first - 1)?));
        if first as usize == part.rows_count() {
            return Ok(None);
        }
        Ok(Some(place.without(first)))
    }

    /// A fresh batch without what is over; `None` if nothing is left.
    pub(super) fn of_batch(&mut self, batch: &Arc<FreshBatch>) -> Result<Option<Arc<FreshBatch>>> {
        let over = batch.partition(|(time, _)| time < self.first_ns);
        if over == 0 {
            return Ok(Some(Arc::clone(batch)));
        }
        self.latest_ns = self.latest_ns.max(Some(batch.moment_at(over - 1).0));
        if over == batch.len() { Ok(None) } else { batch.without(over).map(Some) }
    }

    /// Notes what somebody is about to be told by leaving it out: it stays over, whatever the clock says after a crash.
    pub(super) fn note(&self, core: &Core) {
        if let Some(latest_ns) = self.latest_ns {
            let over_ms = (i128::from(latest_ns) + MS_NS - 1).div_euclid(MS_NS);
            let over_ms = over_ms + i128::from(self.ttl_ms);
            let over_ms = u64::try_from(over_ms).unwrap_or_default().min(self.now_ms);
            core.was_past(over_ms, self.now_ms);
        }
    }
}

/// The time to live of the events of a table, if it can be read.
pub(crate) fn ttl_of(core: &Arc<Open>, table: &Arc<Keyspace>) -> Option<Duration> {
    EventTable::new(Arc::clone(core), Arc::clone(table)).read_options().ok()?.ttl
}

impl EventTable {
    /// How long its events live, as of now; `None`: for ever.
    pub(super) fn lifetime(&self, known: &Known) -> Option<Lifetime> {
        let ttl = known.options.ttl?;
        known.schema.ts()?;
        Some(Lifetime::new(as_ms(ttl), self.now_ms()))
    }

    /// Whether its events are over some day, without a look at what else it has.
    pub(super) fn has_ttl(&self) -> Result<bool> {
        Ok(self.read_options()?.ttl.is_some())
    }

    /// Drops parts whose events are all over.
    pub(super) fn drop_over(&self) -> Result<()> {
        if let Some(lifetime) = self.lifetime(&self.known()?) {
            let report = self.gc(lifetime.first_ns)?;
            if report.parts_count > 0 {
                tracing::debug!(name = self.name(), ?report, "events were over");
            }
        }
        Ok(())
    }
}

impl PartPlace {
    /// The same without the rows below `first`.
    fn without(&self, first: u32) -> Arc<Self> {
        let mut known = self.without.lock();
        match &*known {
            Some((found, place)) if *found == first => Arc::clone(place),
            _ => {
                let deleted = DeletedRows::below(first, self.deleted.as_deref());
                let place = Arc::new(self.with_deleted(Some(Arc::new(deleted))));
                *known = Some((first, Arc::clone(&place)));
                place
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_over_when_its_time_to_live_is() {
        let at = |now_ms, ttl_ms| Lifetime::new(ttl_ms, now_ms).first_ns;
        assert_eq!(at(5, 0), 5_000_001);
        assert_eq!(at(5, 4), 1_000_001);
        assert_eq!(at(5, 7), -1_999_999);
        assert_eq!(at(0, u64::MAX), i64::MIN);
        assert_eq!(at(u64::MAX, 0), i64::MAX);
    }
}
