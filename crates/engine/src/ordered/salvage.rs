//! Walking through an ordered keyspace around what is damaged.

use super::{
    OrderedEntry, OrderedKeyspace,
    keyspace::bounds,
    range::{Keeper, Span, end_of, is_past},
};
use crate::Result;
use annals_ordered::{AsOf, View};
use std::{fmt, ops::RangeBounds, sync::Arc};

/// What can be read for sure of an ordered keyspace, in the order of the keys, as it was when this began,
/// and what is damaged. An error is told before the first record that it may concern; behind it comes what
/// can be read all the same.
///
/// Of keys that a damaged place in a table may have something of, those come that something newer is known
/// of; others are left out, for what older tables say of them may be out of date.
///
/// ```
/// # use annals_engine as annals;
/// let db = annals::Database::open_in_memory()?;
/// let scores = db.keyspace("scores")?;
/// scores.insert_many([("a", "1"), ("b", "2")])?;
/// let intact: Vec<_> = scores.salvage::<&str>(..)?.filter_map(Result::ok).collect();
/// assert_eq!(intact.len(), 2);
/// # Ok::<(), annals::Error>(())
/// ```
pub struct Salvage {
    keeper: Keeper,
    /// Keeps what tables refer to in the log.
    _view: Arc<View>,
    found: annals_ordered::Salvage,
    now_ms: u64,
}

impl fmt::Debug for Salvage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Salvage").finish_non_exhaustive()
    }
}

impl OrderedKeyspace {
    /// Goes through the records in a range of keys around what is damaged. Slower than
    /// [`range`](Self::range): for where that has ended with an error of the kind `Corrupt`.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let (scores, saved) = (db.keyspace("scores")?, db.keyspace("saved")?);
    /// scores.insert_many([("ada", "12"), ("charles", "9")])?;
    /// for found in scores.salvage::<&str>(..)? {
    ///     match found {
    ///         Ok(entry) => saved.insert(entry.key(), entry.value())?,
    ///         Err(damage) => eprintln!("left out: {damage}"),
    ///     }
    /// }
    /// assert_eq!(saved.len()?, 2);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::KeyspaceDropped`](crate::Error::KeyspaceDropped); damage to the manifest, with which all
    /// tables are lost; in a read-only handle those of following the writer.
    pub fn salvage<K: AsRef<[u8]>>(&self, range: impl RangeBounds<K>) -> Result<Salvage> {
        let (from, to) = bounds(&range);
        let span = Span::between(from, to);
        let (keeper, view, seq, now_ms) = self.moment()?;
        let from = match &span {
            Span::Between(from, _) | Span::Prefix(from) => from,
        };
        // What is over is told apart here: that somebody was told so has to be noted.
        let as_of = AsOf { seq, now_ms: 0 };
        let found = view.salvage(from, end_of(&span).as_deref(), as_of);
        Ok(Salvage { keeper, _view: view, found, now_ms })
    }
}

impl Salvage {
    /// The next key, or the next damage to a table. A value in the log is not looked at.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let scores = db.keyspace("scores")?;
    /// scores.insert_many([("ada", "12"), ("charles", "9")])?;
    /// let (mut salvage, mut damages) = (scores.salvage("b"..)?, 0);
    /// let mut names = Vec::new();
    /// while let Some(found) = salvage.next_key() {
    ///     match found {
    ///         Ok(key) => names.push(key),
    ///         Err(_) => damages += 1,
    ///     }
    /// }
    /// assert_eq!((names, damages), (vec![b"charles".to_vec()], 0));
    /// # Ok::<(), annals::Error>(())
    /// ```
    pub fn next_key(&mut self) -> Option<Result<Vec<u8>>> {
        loop {
            match self.found.next_entry()? {
                Err(error) => return Some(Err(error.into())),
                Ok(entry) if is_past(&self.keeper, entry.expires_ms, self.now_ms) => {}
                Ok(entry) => return Some(Ok(entry.key.to_vec())),
            }
        }
    }
}

impl Iterator for Salvage {
    type Item = Result<OrderedEntry>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.found.next_entry()? {
                Err(error) => return Some(Err(error.into())),
                Ok(entry) if is_past(&self.keeper, entry.expires_ms, self.now_ms) => {}
                Ok(entry) => {
                    let body = self.keeper.core().body(&entry);
                    return Some(body.map(|body| OrderedEntry::of_body(entry.key, body)));
                }
            }
        }
    }
}
