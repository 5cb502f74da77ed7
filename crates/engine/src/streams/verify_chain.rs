//! Checking streams whose events carry hashes.

use super::{
    Category, ChainHead, Event, EventHash, Events, RecordedEvent, StreamId,
    filter::Filter,
    id::{StreamKey, id_of_key},
};
use crate::{Database, Error, ErrorKind, Result, VerifyReport, hash::hash_key};
use annals_journal::{Damage, Seq};
use std::collections::HashMap;

const MISSING: &str = "the event with this version is missing";

/// What a check of a chained stream found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifiedChain {
    /// How many events it has left, all of them in order.
    pub events_count: u64,
    /// The last of them; `None` if there are none.
    pub head: Option<ChainHead>,
}

/// How far a chain was checked.
struct Checked {
    /// The version of the first event that is left.
    first: u64,
    /// The version that comes next.
    next: u64,
    /// The hash that it has to refer to; `None` if the event in front of it was given up.
    last: Option<EventHash>,
    /// How many events there were up to a number.
    count: u64,
}

impl Checked {
    fn new(first: u64) -> Self {
        let last = (first == 0).then(EventHash::default);
        Self { first, next: first, last, count: 0 }
    }

    /// Takes the next event; tells what is wrong with it.
    fn take(
        &mut self,
        event: &RecordedEvent<'_>,
        kept: Option<&ChainHead>,
    ) -> Result<Option<&'static str>> {
        if event.version() != self.next {
            return Ok(Some(MISSING));
        }
        let Some(link) = event.link() else { return Ok(Some("the event has no hash")) };
        let Some(content) = event.content_hash()? else {
            return Ok(Some("what stands beside its data is nothing that was written"));
        };
        if content.link(link.before, event.version(), event.time_ms()).own != link.own {
            return Ok(Some("what the event says is not what its hash was made of"));
        }
        if self.last.is_some_and(|last| link.before != last) {
            return Ok(Some("it refers to another event before it than there is"));
        }
        let differs = |version: Option<u64>, hash| {
            kept.is_some_and(|kept| Some(kept.version) == version && kept.hash != hash)
        };
        if differs(self.next.checked_sub(1), link.before) {
            return Ok(Some("the hash before it is another than the one that was kept"));
        }
        if differs(Some(self.next), link.own) {
            return Ok(Some("its hash is another than the one that was kept"));
        }
        (self.next, self.last) = (self.next + 1, Some(link.own));
        Ok(None)
    }
}

impl Category {
    /// The last event of the stream `id` and its hash, to be kept elsewhere; `None` if it has no events.
    /// Reads what the event says of itself, and checks nothing.
    ///
    /// # Errors
    /// [`Error::NotChained`], and as [`get`](Self::get).
    pub fn chain_head<'s>(&self, id: impl Into<StreamId<'s>>) -> Result<Option<ChainHead>> {
        self.check_chained()?;
        let Some(event) = self.last(id)? else { return Ok(None) };
        let (version, hash) = (event.version(), event.hash());
        match hash {
            Some(hash) => Ok(Some(ChainHead { version, hash })),
            None => Err(self.broken(&event.stream(), version, "the event has no hash")),
        }
    }

    /// Computes the hashes of all events of the stream `id` anew, and compares them with those that they
    /// carry, and with `kept`, if that is given: a [head](Self::chain_head) of this stream of some
    /// time before. It may have grown since. Reads the stream once, and hashes it.
    ///
    /// What comes out in order proves that the stream is as it was appended up to `kept`, as far as SHA-256
    /// can be trusted. Without a head that was kept where nobody who changed the database could change
    /// it, it proves less: no event was changed, removed, put in or put elsewhere *by somebody who did not
    /// make all hashes behind it anew*. There is no secret in the hashes, so who knows how they are made can
    /// write the whole stream anew, or cut off its end. Of a stream that was truncated it is proved from the first
    /// event on that is left; that events in front of it were given up, and by whom, is not. Nor does it say who appended an event, or that what
    /// it says is true; and its time is that of the clock of the machine.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// # #[cfg(feature = "chained-events")] {
    /// use annals::{KeyspaceOptions, Database, ExpectedVersion, NewEvent};
    /// let db = Database::open_in_memory()?;
    /// let audit = db.create_category("audit", KeyspaceOptions::default().chained())?;
    /// audit.append("ada", &NewEvent::json("granted", r#"{"role":"admin"}"#), ExpectedVersion::Any)?;
    /// // Written down elsewhere, or given to somebody else.
    /// let kept = audit.chain_head("ada")?;
    /// audit.append("ada", &NewEvent::json("revoked", "{}"), ExpectedVersion::Any)?;
    /// assert_eq!(audit.verify_chain("ada", kept)?.events_count, 2);
    /// # }
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::BrokenChain`] with the lowest version at which it shows that the stream is not what it was;
    /// [`Error::HeadGone`] if what `kept` could be compared with was given up; [`Error::NotChained`];
    /// [`Error::NoChains`] if the build cannot tell; and as [`get`](Self::get).
    pub fn verify_chain<'s>(
        &self,
        id: impl Into<StreamId<'s>>,
        kept: Option<ChainHead>,
    ) -> Result<VerifiedChain> {
        let id = id.into();
        let checked = self.check_chain(&id, kept, Seq::ZERO)?;
        let Checked { first, next, last, .. } = checked;
        let events_count = next - first;
        let hashed = last.filter(|_| events_count > 0);
        let head = hashed.map(|hash| ChainHead { version: next - 1, hash });
        Ok(VerifiedChain { events_count, head })
    }

    /// Checks a stream, and counts its events up to the number `until`.
    fn check_chain(
        &self,
        id: &StreamId<'_>,
        kept: Option<ChainHead>,
        until: Seq,
    ) -> Result<Checked> {
        self.check_chained()?;
        let mut events = match self.read(id) {
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                let why = format!("the last event cannot be read: {error}");
                return Err(self.broken(id, self.first_unread(id)?, why));
            }
            events => events?,
        };
        let (first, end) = events.left();
        let mut checked = Checked::new(first);
        for event in &mut events {
            let event = match event {
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    return Err(self.broken(id, checked.next, error.to_string()));
                }
                event => event?,
            };
            let version = event.version();
            if version > checked.next && self.info(id)?.first_version >= version {
                // What is in front of it was given up since reading began.
                checked = Checked::new(version);
            }
            if let Some(why) = checked.take(&event, kept.as_ref())? {
                return Err(self.broken(id, checked.next, why));
            }
            checked.count += u64::from(event.seq() <= until);
        }
        if checked.next < end && self.info(id)?.first_version < end {
            return Err(self.broken(id, checked.next, MISSING));
        }
        let Some(ChainHead { version, .. }) = kept else { return Ok(checked) };
        if version >= end {
            let why =
                format!("the stream ends before it, and a hash of version {version} was kept");
            return Err(self.broken(id, end, why));
        }
        let first = if checked.next > checked.first { checked.first } else { end + 1 };
        if version + 1 < first {
            let (category, stream) = (self.name().to_owned(), id.to_string());
            return Err(Error::HeadGone { category, stream, version, first: checked.first });
        }
        Ok(checked)
    }

    /// The version behind the last one that can be read of a stream whose last event cannot: nothing leads from that to
    /// the others, so it goes through all events of the category.
    #[cold]
    fn first_unread(&self, id: &StreamId<'_>) -> Result<u64> {
        let (open, keyspace) = self.parts();
        let (mut from, mut version) = (Seq::ZERO, 0);
        loop {
            let filter = Filter::of(self.id(), StreamKey::of(id));
            let mut damage = None;
            for event in Events::of(open, from, filter, Some(keyspace))? {
                match event {
                    Ok(event) => version = event.version() + 1,
                    Err(error) => damage = Some(error),
                }
            }
            match damage {
                Some(Error::DamagedEvents { readable_from, .. }) if readable_from > from => {
                    from = readable_from;
                }
                Some(error) if error.kind() != ErrorKind::Corrupt => return Err(error),
                _ => return Ok(version),
            }
        }
    }

    fn check_chained(&self) -> Result<()> {
        match self.options().chained {
            true => Ok(()),
            false => Err(Error::NotChained { category: self.name().to_owned() }),
        }
    }

    #[cold]
    fn broken(&self, id: &StreamId<'_>, version: u64, why: impl Into<String>) -> Error {
        let (category, stream) = (self.name().to_owned(), id.to_string());
        Error::BrokenChain { category, stream, version, why: why.into() }
    }

    /// Where the event of this version is, as damage is told: by file and offset.
    fn place_of(&self, id: &StreamId<'_>, version: u64) -> Option<Damage> {
        let key = StreamKey::of(id)?;
        let hash = hash_key(self.parts().0.hash_seed, key.bytes());
        let found = self.with_stream(key.bytes(), hash, |core, _, stream| {
            Ok(core.event_of_version(stream, version)?.as_ref().and_then(place))
        });
        found.ok().flatten()
    }

    /// Checks the chains of all its streams. Returns how many events up to the number `until` they have; `None`
    /// if not all of them could be counted.
    fn verify_all(&self, until: Seq, report: &mut VerifyReport) -> Result<Option<u64>> {
        let mut count = Some(0);
        self.each_key(|key| {
            let key = match key {
                Ok(key) => key,
                // The record's damage was told when the keys were looked up.
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    count = None;
                    return Ok(());
                }
                Err(error) => return Err(error),
            };
            let Some(id) = id_of_key(key.bytes()) else { return Ok(()) };
            report.chains_count += 1;
            match self.check_chain(&id, None, until) {
                Ok(checked) => {
                    report.chained_events_count += checked.next - checked.first;
                    count = count.map(|count| count + checked.count);
                }
                Err(error) => {
                    let Error::BrokenChain { version, .. } = error else { return Err(error) };
                    self.note(&id, version, error.to_string(), report);
                    count = None;
                }
            }
            Ok(())
        })?;
        Ok(count)
    }

    fn note(&self, id: &StreamId<'_>, version: u64, what: String, report: &mut VerifyReport) {
        let place = self.place_of(id, version);
        // It may be the event that is missing: the one before it is where it would be told.
        let place = place.or_else(|| self.place_of(id, version.checked_sub(1)?));
        let dir = || Damage {
            path: self.parts().0.journal.dir().to_owned(),
            offset: 0,
            what: String::new(),
        };
        report.damages.push(Damage { what, ..place.unwrap_or_else(dir) });
    }
}

/// Where an event is, as damage is told.
fn place(event: &Event<'_>) -> Option<Damage> {
    match event.hit.guard.damage(event.hit.address.offset, "") {
        annals_journal::Error::Damaged { path, offset, .. } => {
            Some(Damage { path, offset, what: String::new() })
        }
        _ => None,
    }
}

/// Checks the chains of all chained categories, and that the log has no events of them that are in none.
pub(crate) fn verify_chains(db: &Database, report: &mut VerifyReport) -> Result<()> {
    let chained = db.keyspaces().into_iter().filter(|info| info.chained);
    let names: Vec<String> = chained.map(|info| info.name).collect();
    if !cfg!(feature = "chained-events") {
        report.unchecked_chains = names;
        return Ok(());
    }
    let until = db.last_seq();
    let mut counts: HashMap<String, (Category, u64)> = HashMap::new();
    for name in names {
        let checked = db.open_category(&name).and_then(|category| {
            let count = category.verify_all(until, report)?;
            Ok(count.map(|count| (category, count)))
        });
        match checked {
            Ok(counted) => counts.extend(counted.map(|counted| (name, counted))),
            // Dropped meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    if counts.is_empty() {
        return Ok(());
    }
    let mut in_log: HashMap<&str, u64> = HashMap::new();
    // Also those of archived streams, which are counted above: as many that are in no stream would hide behind them.
    let all = Filter::with_archived(None);
    for event in Events::of(&db.core, Seq::ZERO, all, None)?.end_at(until) {
        let event = match event {
            // What cannot be read was told before, and nothing can be counted.
            Err(error) if error.kind() == ErrorKind::Corrupt => return Ok(()),
            event => event?,
        };
        if let Some((name, _)) = counts.get_key_value(event.category()) {
            *in_log.entry(name).or_default() += 1;
        }
    }
    for (name, (category, count)) in &counts {
        if in_log.get(&**name).copied().unwrap_or(0) != *count {
            find_stranger(db, category, until, report)?;
        }
    }
    Ok(())
}

/// Names the first event of the category that the log has and its stream does not.
fn find_stranger(
    db: &Database,
    category: &Category,
    until: Seq,
    report: &mut VerifyReport,
) -> Result<()> {
    let (open, keyspace) = category.parts();
    let all = Filter::with_archived(Some(keyspace.id));
    for event in Events::of(open, Seq::ZERO, all, Some(keyspace))?.end_at(until) {
        let event = event?;
        let (id, version) = (event.stream(), event.version());
        let in_stream = category.get(&id, version)?.map(|event| event.seq());
        if in_stream != Some(event.seq()) && category.info(&id)?.first_version <= version {
            let why = format!(
                "the log has event {} of this version, which is not in the stream",
                event.seq()
            );
            let what = category.broken(&id, version, why).to_string();
            let found = db.core.core().event_at_seq(event.seq())?;
            let damage = found.and_then(|(_, event)| place(&event));
            match damage {
                Some(damage) => report.damages.push(Damage { what, ..damage }),
                None => category.note(&id, version, what, report),
            }
            return Ok(());
        }
    }
    Ok(())
}
