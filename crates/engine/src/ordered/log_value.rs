//! Values that stay in the log: what trees have of them, and how they are found.

use super::moved::{Moved, MovedValue};
use crate::{Result, core::Core};
use annals_journal::{Address, HeldValue, Kind, SegmentInfo, SegmentKind, Seq, segment_file_name};
use annals_ordered::{Entry, EntryKind, Reference, Tree};
use std::{collections::BTreeMap, ops::Deref, sync::Arc};

/// Whether `tree` leaves the value of a record in the log.
#[inline]
pub(crate) fn stays_in_log(tree: &Tree, kind: Kind, value: &[u8]) -> bool {
    let over = tree.options().separate_over_bytes;
    kind == Kind::Put && over.is_some_and(|over| value.len() > over as usize)
}

/// The value of an entry, read where it lies.
pub(crate) enum Body<'a> {
    /// In a memtable or a table.
    Tree(&'a [u8]),
    /// In the log.
    Log(HeldValue),
}

impl Deref for Body<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Self::Tree(value) => value,
            Self::Log(value) => value,
        }
    }
}

impl Core {
    /// What trees have in place of the value of a record, which the log has; `None` if it has no
    /// such segment.
    pub(crate) fn reference_to(
        &self,
        address: Address,
        bytes: u32,
        seq: Seq,
    ) -> Option<[u8; Reference::BYTES]> {
        let segment = self.journal.guard(address.slot)?.generation();
        Some(Reference { segment, bytes, seq: seq.0, place: address.to_u64() }.encode())
    }

    /// The value of an entry.
    ///
    /// # Errors
    /// `Corrupt`, if it is in the log and not as it was written, or not there.
    #[inline]
    pub(crate) fn body<'a>(&self, entry: &Entry<'a>) -> Result<Body<'a>> {
        if entry.kind == EntryKind::Pointer {
            return self.body_in_log(entry.key, entry.value);
        }
        Ok(Body::Tree(entry.value))
    }

    #[cold]
    fn body_in_log<'a>(&self, key: &[u8], value: &[u8]) -> Result<Body<'a>> {
        match Reference::decode(value) {
            Some(reference) => self.resolve(key, &reference).map(Body::Log),
            None => {
                let what = "a table has something else in place of a reference to the log";
                Err(annals_journal::Error::Missing { path: self.journal.dir().into(), what }.into())
            }
        }
    }

    /// The value that a reference stands for, checked on first touch.
    ///
    /// # Errors
    /// `Corrupt`, with the file and the offset, if it is not as it was written or not there.
    pub(crate) fn resolve(&self, key: &[u8], reference: &Reference) -> Result<HeldValue> {
        let (journal, seq) = (&self.journal, Seq(reference.seq));
        let path = |generation| journal.dir().join(segment_file_name(generation));
        let written = Address::from_u64(reference.place);
        loop {
            if let Some(guard) = journal.guard(written.slot)
                && guard.generation() == reference.segment
            {
                let found = journal.held_value(&guard, written.offset, key, seq)?;
                let (path, offset) = (path(reference.segment), written.offset.into());
                let what = "a table refers to a value here, and there is another record";
                return found
                    .ok_or_else(|| annals_journal::Error::Damaged { path, offset, what }.into());
            }
            // Looked at before the segment that it names, which stays until it names another.
            let moved = self.trees.moved.load_full();
            let found = moved.find(reference.seq).and_then(|at| {
                let guard = journal.guard(at.slot)?;
                journal.held_value(&guard, at.offset, key, seq).transpose()
            });
            match found {
                Some(Ok(value)) => return Ok(value),
                // It may have been moved again meanwhile.
                _ if !Arc::ptr_eq(&moved, &self.trees.moved.load_full()) => {}
                Some(Err(error)) => return Err(error.into()),
                None => {
                    let what = "a table refers to a value in it";
                    let path = path(reference.segment);
                    return Err(annals_journal::Error::Missing { path, what }.into());
                }
            }
        }
    }

    /// How many bytes in each of these segments tables refer to, by slot. Those in `leaving` count as
    /// gone.
    pub(crate) fn referenced_bytes(
        &self,
        segments: &[SegmentInfo],
        leaving: &[u32],
    ) -> BTreeMap<u32, u64> {
        let Some(store) = self.trees.store() else { return BTreeMap::new() };
        let staying = segments.iter().filter(|info| !leaving.contains(&info.slot));
        let slots: BTreeMap<u64, u32> =
            staying.map(|info| (u64::from(info.generation), info.slot)).collect();
        let referenced = store.referenced_bytes();
        // As long as nobody can tell what a table refers to, all that it may refer to counts: it would else be
        // moved again each time, as what seems dead.
        let unknown = if self.trees.may_refer_to_more() { u64::MAX } else { 0 };
        let gone = |origin: u32| match slots.contains_key(&origin.into()) {
            _ if origin == MovedValue::UNKNOWN => unknown,
            true => 0,
            false => referenced.of(origin.into()),
        };
        let mut live = self.trees.moved.load().live_bytes(gone);
        for (generation, bytes) in referenced.iter() {
            if let Some(slot) = slots.get(&generation) {
                *live.entry(*slot).or_default() += bytes;
            }
        }
        live
    }

    /// Finds out where moved values are from the packed segments alone: these are the addresses of
    /// records in the log with their keyspaces.
    pub(crate) fn find_moved(&self, records: impl Iterator<Item = (u32, Address)>) {
        let Some(store) = self.trees.store() else { return };
        let segments = self.journal.segments();
        let packed = segments.iter().filter(|info| info.kind == SegmentKind::Packed);
        let packed: Vec<u32> = packed.map(|info| info.slot).collect();
        let (catalog, referring) = (self.catalog.load(), store.referring());
        let there = |generation| segments.iter().any(|info| info.generation == generation);
        let mut values = Vec::new();
        for (space, at) in records.filter(|(_, at)| packed.contains(&at.slot)) {
            let Some(listed) = catalog.by_id(space) else { continue };
            let Some(tree) = &listed.tree.tree else { continue };
            let Some(guard) = self.journal.guard(at.slot) else { continue };
            let Ok((record, bytes)) = guard.record_with_len(at.offset) else { continue };
            if !stays_in_log(tree, record.kind, record.value) {
                continue;
            }
            let seq = record.seq.0;
            let origin = match referring.reference(tree.id(), record.key, seq) {
                Ok(None) => continue,
                // It is where it was written.
                Ok(Some(reference)) if there(reference.segment) => continue,
                Ok(Some(reference)) => reference.segment,
                // Nobody can tell whether it is needed.
                Err(_) => MovedValue::UNKNOWN,
            };
            values.push(MovedValue { seq, origin, bytes, at });
        }
        self.trees.moved.store(Arc::new(Moved::new(values)));
    }
}
