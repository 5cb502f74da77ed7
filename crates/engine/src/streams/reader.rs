//! Reading one stream, forward or backward.

use super::{
    Category, RecordedEvent,
    ahead::Ahead,
    batch::{Batches, Data, EventBatch, InBatches},
    id::StreamKey,
};
use crate::Result;

/// Reads a stream. An iterator over what is left of it in its direction; clones go on by themselves.
///
/// Takes no lock and waits for nobody. The events it gives are read in place and may be kept. Some hundred of
/// them are looked up at a time: who wants a single one [gets](Category::get) it.
///
/// ```
/// # use annals_engine as annals;
/// use annals::{Database, ExpectedVersion, NewEvent};
/// let db = Database::open_in_memory()?;
/// let clicks = db.category("clicks")?;
/// for n in 0..10u8 {
///     clicks.append("ada", &NewEvent::bytes("click", &[n]), ExpectedVersion::Any)?;
/// }
/// let back: Vec<u64> = clicks
///     .read("ada")?
///     .back_from(8)
///     .take(3)
///     .map(|event| Ok(event?.version()))
///     .collect::<Result<_, annals::Error>>()?;
/// assert_eq!(back, [8, 7, 6]);
/// # Ok::<(), annals::Error>(())
/// ```
pub struct StreamReader<'a> {
    category: &'a Category,
    key: StreamKey,
    hash: u64,
    /// Versions that are left to read.
    from: u64,
    to: u64,
    is_back: bool,
    /// The first version that was left when somebody looked last.
    first: u64,
    /// What was looked up.
    ahead: Ahead<'a>,
}

impl<'a> StreamReader<'a> {
    pub(crate) fn new(category: &'a Category, key: StreamKey, hash: u64) -> Result<Self> {
        let (from, to, first, is_back) = (0, 0, 0, false);
        let ahead = Ahead::new();
        let mut reader = Self { category, key, hash, from, to, is_back, first, ahead };
        (reader.first, reader.to) = reader.ends()?;
        reader.from = reader.first;
        Ok(reader)
    }

    /// The first version that is left now, and the one behind the last event there is.
    fn ends(&self) -> Result<(u64, u64)> {
        self.category.with_stream(self.key.bytes(), self.hash, |core, category, stream| {
            let ends = core.ends(category, stream)?;
            Ok(ends.map_or((0, 0), |(last, first)| (first, last.version() + 1)))
        })
    }

    /// Reads forward, from `version` on.
    #[must_use]
    pub fn from(mut self, version: u64) -> Self {
        self.ahead.clear();
        (self.from, self.is_back) = (version.max(self.first), false);
        self
    }

    /// Reads backward, from the last event on.
    #[must_use]
    pub fn back(mut self) -> Self {
        self.ahead.clear();
        (self.from, self.is_back) = (self.first, true);
        self
    }

    /// Reads backward, from `version` on.
    #[must_use]
    pub fn back_from(mut self, version: u64) -> Self {
        self.to = self.to.min(version.saturating_add(1));
        self.back()
    }

    /// The versions that are left to read: from the first up to, and without, the second.
    #[must_use]
    pub fn left(&self) -> (u64, u64) {
        (self.from, self.to.max(self.from))
    }

    /// Goes on with what was appended since the reader was made, or since this was called last: a reader
    /// that has come to its end then has a next event again. No use to one that goes back.
    ///
    /// # Errors
    /// As [`Category::get`].
    pub fn refresh(&mut self) -> Result<()> {
        if !self.is_back {
            self.to = self.to.max(self.ends()?.1);
        }
        Ok(())
    }

    /// The next event that is left, after the next ones were looked up.
    #[cold]
    fn look_up_left(&mut self) -> Result<Option<RecordedEvent<'a>>> {
        loop {
            let looked = self.look_up();
            // If it was not found because it was given up meanwhile, what is behind that is looked up.
            if matches!(looked, Ok(Some(_))) || !self.is_behind_first()? {
                return looked;
            }
            if self.from >= self.to {
                return Ok(None);
            }
        }
    }

    /// Whether more was given up since somebody looked last: then it begins behind that.
    fn is_behind_first(&mut self) -> Result<bool> {
        let (first, _) = self.ends()?;
        let is_behind = first > self.from;
        if is_behind {
            self.ahead.clear();
            (self.first, self.from) = (first, first);
        }
        Ok(is_behind)
    }

    /// The next event, if there is one, after the next ones were looked up.
    #[cold]
    fn look_up(&mut self) -> Result<Option<RecordedEvent<'a>>> {
        loop {
            let Self { category, key, hash, from, to, is_back, .. } = self;
            let ahead = &mut self.ahead;
            let is_limited =
                category.with_stream(key.bytes(), *hash, |core, keyspace, stream| {
                    let category = category.category_ref(keyspace);
                    ahead.fill(core, category, stream, (*from, *to - 1), *is_back)?;
                    Ok(core.limits_of(keyspace, stream)?.is_some())
                })?;
            // Of what was given up before the look, the newest event may be there, without its data.
            if !is_limited || !self.is_behind_first()? {
                return Ok(self.ahead.event(self.next_version()));
            }
            if self.from >= self.to {
                return Ok(None);
            }
        }
    }

    /// Reads a batch of events at a time: less work for each of them.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// # use annals::{Database, ExpectedVersion, NewEvent};
    /// # let db = Database::open_in_memory()?;
    /// let clicks = db.category("clicks")?;
    /// # for n in 0..3u8 {
    /// #     clicks.append("ada", &NewEvent::bytes("click", &[n]), ExpectedVersion::Any)?;
    /// # }
    /// let mut last = Vec::new();
    /// for batch in clicks.read("ada")?.back().batches() {
    ///     last.extend(batch?.iter().map(|event| event.version()));
    /// }
    /// assert_eq!(last, [2, 1, 0]);
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn batches(self) -> Batches<Self> {
        Batches::of(self)
    }

    fn next_version(&self) -> u64 {
        if self.is_back { self.to - 1 } else { self.from }
    }
}

impl Clone for StreamReader<'_> {
    fn clone(&self) -> Self {
        let key = self.key.clone();
        // What was looked up is looked up again: events are counted one by one.
        Self { key, ahead: Ahead::new(), ..*self }
    }
}

impl<'a> Iterator for StreamReader<'a> {
    type Item = Result<RecordedEvent<'a>>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.from >= self.to {
            return None;
        }
        let version = self.next_version();
        let event = match self.ahead.event(version) {
            Some(event) => event,
            None => match self.look_up_left() {
                Ok(Some(event)) => event,
                // Who goes on all the same does not get the same error for ever.
                outcome => {
                    self.from = self.to;
                    return outcome.transpose();
                }
            },
        };
        if self.is_back {
            self.to = event.version();
        } else {
            self.from = event.version() + 1;
        }
        Some(Ok(event))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, usize::try_from(self.to.saturating_sub(self.from)).ok())
    }
}

impl<'a> InBatches for StreamReader<'a> {
    type Batch = EventBatch<'a>;

    fn next_batch(&mut self) -> Option<Result<EventBatch<'a>>> {
        if self.from >= self.to {
            return None;
        }
        if !self.ahead.has(self.next_version()) {
            match self.look_up_left() {
                Ok(Some(_)) => {}
                outcome => {
                    self.from = self.to;
                    return outcome.err().map(Err);
                }
            }
        }
        let batch = self.ahead.take(self.from, self.to, self.is_back)?;
        let (first, last) = (batch.found().first()?.version, batch.found().last()?.version);
        if self.is_back {
            self.to = last;
        } else {
            self.from = last + 1;
        }
        debug_assert!(if self.is_back { last <= first } else { first <= last });
        Some(Ok(batch))
    }

    #[inline]
    fn each_data(&mut self, mut each: impl FnMut(&Data<'_>) -> Result<()>) -> Result<()> {
        while let Some(batch) = self.next_batch() {
            batch?.each_data(&mut each)?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for StreamReader<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamReader")
            .field("category", &self.category.name())
            .field("key", &self.key)
            .field("left", &self.left())
            .field("is_back", &self.is_back)
            .finish_non_exhaustive()
    }
}
