//! Walking through the keys of an ordered keyspace, from both ends.

use super::{OrderedEntry, Value, log_value::Body};
use crate::{Result, Snapshot, core::Core, open::Open};
use annals_journal::HeldValue;
use annals_ordered::{AsOf, Entry, EntryKind, KeyCopy, TreeCursor, View, behind_prefix};
use std::{fmt, ops::Bound, sync::Arc};

/// Which keys are walked through: from the first one on, up to, and without, the second one.
#[derive(Clone, Debug)]
pub(super) enum Span {
    Between(KeyCopy, Option<KeyCopy>),
    Prefix(KeyCopy),
}

impl Span {
    /// The keys between two bounds.
    pub(super) fn between(from: Bound<&[u8]>, to: Bound<&[u8]>) -> Self {
        let from = match from {
            Bound::Included(key) => key.into(),
            Bound::Excluded(key) => behind(key),
            Bound::Unbounded => KeyCopy::default(),
        };
        let to = match to {
            Bound::Included(key) => Some(behind(key)),
            Bound::Excluded(key) => Some(key.into()),
            Bound::Unbounded => None,
        };
        Self::Between(from, to)
    }
}

/// The first key behind `key`.
pub(super) fn behind(key: &[u8]) -> KeyCopy {
    KeyCopy::with_last(key, 0)
}

/// What keeps open what a walk reads.
pub(super) enum Keeper {
    Database(Arc<Open>),
    Snapshot(Snapshot),
}

impl Keeper {
    pub(super) fn core(&self) -> &Core {
        match self {
            Self::Database(open) => open.core(),
            Self::Snapshot(snapshot) => snapshot.core(),
        }
    }
}

/// Records of an ordered keyspace in the order of their keys, from both ends, as they were when the walk
/// began. Writers go on; what they do is not seen. As long as it lives, the tables that it reads stay on
/// disk.
///
/// As an iterator it gives copies; [`next_entry`](Self::next_entry) and
/// [`next_entry_back`](Self::next_entry_back) show records where they lie. After an error it has ended.
///
/// ```
/// # use annals_engine as annals;
/// let db = annals::Database::open_in_memory()?;
/// let scores = db.keyspace("scores")?;
/// scores.insert_many([("a", "1"), ("b", "2"), ("c", "3")])?;
/// let mut walk = scores.range("b"..)?;
/// assert_eq!(walk.next_entry()?, Some((&b"b"[..], &b"2"[..])));
/// assert_eq!(walk.next_back().expect("one is left")?.key(), b"c");
/// assert!(walk.next().is_none());
/// # Ok::<(), annals::Error>(())
/// ```
pub struct Range {
    keeper: Keeper,
    view: Arc<View>,
    span: Span,
    seq: u64,
    now_ms: u64,
    /// Behind pointers: a walk is handed on more than once before it begins.
    front: Option<Box<TreeCursor>>,
    back: Option<Box<TreeCursor>>,
    is_over: bool,
    /// The value that was shown last, if it is in the log.
    in_log: Option<HeldValue>,
}

impl fmt::Debug for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Range").field("span", &self.span).field("seq", &self.seq).finish()
    }
}

impl Range {
    pub(super) fn new(keeper: Keeper, view: Arc<View>, span: Span, seq: u64, now_ms: u64) -> Self {
        let (front, back, in_log) = (None, None, None);
        Self { keeper, view, span, seq, now_ms, front, back, is_over: false, in_log }
    }

    fn cursor(&self) -> Result<Box<TreeCursor>> {
        // What is over is told apart here: that somebody was told so has to be noted.
        let as_of = AsOf { seq: self.seq, now_ms: 0 };
        Ok(Box::new(match &self.span {
            Span::Between(from, to) => self.view.cursor(from, to.as_deref(), as_of),
            Span::Prefix(prefix) => self.view.prefix_cursor(prefix, as_of)?,
        }))
    }

    /// Goes one record on from the front if the cursor knows already which one that is, and it is one
    /// that never expires; false if it does not.
    #[inline]
    fn follow(&mut self) -> bool {
        // What the other end has taken has to be looked at.
        !self.is_over
            && self.back.is_none()
            && self.front.as_mut().is_some_and(|front| front.follow())
    }

    /// Goes one record on from the front; false at the end.
    fn step(&mut self) -> Result<bool> {
        if self.is_over {
            return Ok(false);
        }
        let done = self.try_step();
        self.is_over = !matches!(done, Ok(true));
        done
    }

    fn try_step(&mut self) -> Result<bool> {
        let front = match &mut self.front {
            Some(front) => {
                front.advance()?;
                front
            }
            None => {
                let mut front = self.cursor()?;
                front.to_first()?;
                self.front.insert(front)
            }
        };
        while let Some(entry) = front.entry() {
            let taken = |back: &TreeCursor| back.entry().is_some_and(|last| last.key <= entry.key);
            if self.back.as_deref().is_some_and(taken) {
                break;
            }
            if !is_past(&self.keeper, entry.expires_ms, self.now_ms) {
                return Ok(true);
            }
            front.advance()?;
        }
        Ok(false)
    }

    /// Goes one record back from the end; false at the front.
    fn step_back(&mut self) -> Result<bool> {
        if self.is_over {
            return Ok(false);
        }
        let done = self.try_step_back();
        self.is_over = !matches!(done, Ok(true));
        done
    }

    fn try_step_back(&mut self) -> Result<bool> {
        let back = match &mut self.back {
            Some(back) => {
                back.retreat()?;
                back
            }
            None => {
                let mut back = self.cursor()?;
                back.to_last()?;
                self.back.insert(back)
            }
        };
        while let Some(entry) = back.entry() {
            // The cursor may have been made before somebody went past this key.
            if matches!(&self.span, Span::Between(from, _) if *entry.key < **from) {
                break;
            }
            let taken =
                |front: &TreeCursor| front.entry().is_some_and(|first| entry.key <= first.key);
            if self.front.as_deref().is_some_and(taken) {
                break;
            }
            if !is_past(&self.keeper, entry.expires_ms, self.now_ms) {
                return Ok(true);
            }
            back.retreat()?;
        }
        Ok(false)
    }

    /// The next record from the front, where it lies: no copy is made.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let scores = db.keyspace("scores")?;
    /// scores.insert_many([("ada", "12"), ("charles", "9")])?;
    /// let (mut walk, mut bytes) = (scores.iter()?, 0);
    /// while let Some((key, value)) = walk.next_entry()? {
    ///     bytes += key.len() + value.len();
    /// }
    /// assert_eq!(bytes, 5 + 8);
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// Damage to a table or the log: `Corrupt` with file and offset.
    #[inline]
    pub fn next_entry(&mut self) -> Result<Option<(&[u8], &[u8])>> {
        // Nearly all entries of a long walk, and little enough to become part of the caller's loop.
        if !self.is_over
            && self.back.is_none()
            && self.front.as_mut().is_some_and(|front| front.follow_put())
        {
            return Ok(self.front.as_deref().map(TreeCursor::put));
        }
        self.next_entry_looking()
    }

    #[inline(never)]
    fn next_entry_looking(&mut self) -> Result<Option<(&[u8], &[u8])>> {
        if !self.follow() && !self.step()? {
            return Ok(None);
        }
        let entry = self.front.as_deref().and_then(TreeCursor::entry);
        show(entry, &self.keeper, &mut self.in_log, &mut self.is_over)
    }

    /// The next key from the front. A value in the log is not looked at.
    #[inline]
    pub(super) fn next_key(&mut self) -> Result<Option<&[u8]>> {
        if !self.follow() && !self.step()? {
            return Ok(None);
        }
        Ok(self.front.as_deref().and_then(TreeCursor::entry).map(|entry| entry.key))
    }

    /// The next record from the end, where it lies.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let days = db.keyspace("days")?;
    /// days.insert_many([("19", "cold"), ("20", "mild"), ("21", "cold")])?;
    /// // The newest mild day.
    /// let mut walk = days.iter()?;
    /// while let Some((day, weather)) = walk.next_entry_back()? {
    ///     if weather == b"mild" {
    ///         assert_eq!(day, b"20");
    ///         break;
    ///     }
    /// }
    /// assert_eq!(walk.next_entry_back()?.expect("one is left").0, b"19");
    /// # Ok::<(), annals::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`next_entry`](Self::next_entry).
    pub fn next_entry_back(&mut self) -> Result<Option<(&[u8], &[u8])>> {
        if !self.step_back()? {
            return Ok(None);
        }
        let entry = self.back.as_deref().and_then(TreeCursor::entry);
        show(entry, &self.keeper, &mut self.in_log, &mut self.is_over)
    }

    fn next_key_back(&mut self) -> Result<Option<&[u8]>> {
        if !self.step_back()? {
            return Ok(None);
        }
        Ok(self.back.as_deref().and_then(TreeCursor::entry).map(|entry| entry.key))
    }

    /// A copy of an entry; the walk has ended if that cannot be made.
    #[inline]
    fn copy(&mut self, is_back: bool) -> Option<Result<OrderedEntry>> {
        let cursor = if is_back { &self.back } else { &self.front };
        let entry = cursor.as_deref().and_then(TreeCursor::entry)?;
        let copied = self.keeper.core().body(&entry);
        let copied = copied.map(|body| OrderedEntry::of_body(entry.key, body));
        self.is_over = copied.is_err();
        Some(copied)
    }

    /// Leaves out what is left before `key`: the front goes on with the first key at or behind it, and the end
    /// comes to no key before it. It only goes forward: with a `key` at or before the last one from the
    /// front, or before all, nothing changes. The other bound, and what was given from the end, stay as they are;
    /// with a `key` behind all that is left, the walk has ended.
    ///
    /// The next step from the front costs as much as the first one of a walk, however much was left out.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let scores = db.keyspace("scores")?;
    /// scores.insert_many([("a", "1"), ("b", "2"), ("d", "4"), ("e", "5")])?;
    /// let mut walk = scores.range(..="d")?;
    /// walk.seek("c");
    /// assert_eq!(walk.next_entry()?, Some((&b"d"[..], &b"4"[..])));
    /// assert_eq!(walk.next_entry()?, None);
    /// # Ok::<(), annals::Error>(())
    /// ```
    pub fn seek(&mut self, key: impl AsRef<[u8]>) {
        let key = key.as_ref();
        let last = self.front.as_deref().and_then(TreeCursor::entry).map(|entry| entry.key);
        let from = match &self.span {
            Span::Between(from, _) => from,
            Span::Prefix(prefix) => prefix,
        };
        if *key <= **from || last.is_some_and(|last| *key <= *last) {
            return;
        }
        let to = end_of(&self.span);
        if to.as_deref().is_some_and(|to| *key >= *to) {
            self.is_over = true;
            return;
        }
        // The next step begins anew there.
        self.span = Span::Between(key.into(), to);
        self.front = None;
    }

    /// The keys alone, which spares copying the values.
    ///
    /// ```
    /// # use annals_engine as annals;
    /// let db = annals::Database::open_in_memory()?;
    /// let scores = db.keyspace("scores")?;
    /// scores.insert_many([("ada", "12"), ("charles", "9")])?;
    /// let names = scores.iter()?.keys().collect::<annals::Result<Vec<_>>>()?;
    /// assert_eq!((&*names[0], &*names[1]), (&b"ada"[..], &b"charles"[..]));
    /// # Ok::<(), annals::Error>(())
    /// ```
    #[must_use]
    pub fn keys(self) -> Keys {
        Keys(self)
    }
}

/// Shows an entry where it lies. The walk has ended if that cannot be.
#[inline]
fn show<'a>(
    entry: Option<Entry<'a>>,
    keeper: &Keeper,
    in_log: &'a mut Option<HeldValue>,
    is_over: &mut bool,
) -> Result<Option<(&'a [u8], &'a [u8])>> {
    let Some(entry) = entry else { return Ok(None) };
    if entry.kind != EntryKind::Pointer {
        return Ok(Some((entry.key, entry.value)));
    }
    show_in_log(entry, keeper.core(), in_log, is_over)
}

#[cold]
fn show_in_log<'a>(
    entry: Entry<'a>,
    core: &Core,
    in_log: &'a mut Option<HeldValue>,
    is_over: &mut bool,
) -> Result<Option<(&'a [u8], &'a [u8])>> {
    match core.body(&entry) {
        Ok(Body::Tree(value)) => Ok(Some((entry.key, value))),
        Ok(Body::Log(value)) => Ok(Some((entry.key, &**in_log.insert(value)))),
        Err(error) => {
            *is_over = true;
            Err(error)
        }
    }
}

/// Whether a record that says when it expires is over; if so, somebody is told of it.
#[inline]
pub(super) fn is_past(keeper: &Keeper, expires_ms: Option<u64>, now_ms: u64) -> bool {
    expires_ms.is_some_and(|expires_ms| keeper.core().was_past(expires_ms, now_ms))
}

impl Iterator for Range {
    type Item = Result<OrderedEntry>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        match self.step() {
            Ok(true) => self.copy(false),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

impl DoubleEndedIterator for Range {
    fn next_back(&mut self) -> Option<Self::Item> {
        match self.step_back() {
            Ok(true) => self.copy(true),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

/// The keys of a [`Range`].
///
/// ```
/// # use annals_engine as annals;
/// let db = annals::Database::open_in_memory()?;
/// let scores = db.keyspace("scores")?;
/// scores.insert_many([("a/1", "12"), ("a/2", "9"), ("b/1", "7")])?;
/// let mut keys = scores.prefix("a/")?.keys();
/// assert_eq!(&*keys.next_back().expect("there are two")?, b"a/2");
/// assert_eq!(&*keys.next().expect("one is left")?, b"a/1");
/// assert!(keys.next().is_none());
/// # Ok::<(), annals::Error>(())
/// ```
#[derive(Debug)]
pub struct Keys(Range);

impl Iterator for Keys {
    type Item = Result<Value>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        Some(self.0.next_key().transpose()?.map(Value::of))
    }
}

impl DoubleEndedIterator for Keys {
    fn next_back(&mut self) -> Option<Self::Item> {
        Some(self.0.next_key_back().transpose()?.map(Value::of))
    }
}

/// The first key behind all that `span` has; `None` if it has all to the last key.
pub(super) fn end_of(span: &Span) -> Option<KeyCopy> {
    match span {
        Span::Between(_, to) => to.clone(),
        Span::Prefix(prefix) => behind_prefix(prefix),
    }
}
