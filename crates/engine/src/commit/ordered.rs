//! Commits to ordered keyspaces: the same steps, where applying puts records into memtables.

use super::{Commit, Core, Targets, with_frame};
use crate::{Durability, Error, Result, catalog::Keyspace, ordered::stays_in_log};
use annals_journal::{Appended, Draft, FrameBuilder, Kind, LoneFrame, Seq, pin};
use annals_ordered::{Entry, EntryKind, Record, Reference, Tree};

/// A record as trees take it. `None` for kinds that are not theirs.
pub(crate) fn record<'a>(
    kind: Kind,
    key: &'a [u8],
    value: &'a [u8],
    expires_ms: Option<u64>,
    seq: Seq,
) -> Option<Record<'a>> {
    let seq = seq.0;
    let kind = match kind {
        Kind::Put => EntryKind::Put,
        Kind::Remove => EntryKind::Remove,
        Kind::RemoveRange => return Some(Record::RemoveRange { from: key, to: value, seq }),
        _ => return None,
    };
    Some(Record::Entry(Entry { key, seq, kind, expires_ms, value }))
}

/// A record whose value the tree leaves in the log.
pub(crate) fn referring<'a>(
    key: &'a [u8],
    reference: &'a [u8; Reference::BYTES],
    expires_ms: Option<u64>,
    seq: Seq,
) -> Record<'a> {
    let (kind, seq) = (EntryKind::Pointer, seq.0);
    Record::Entry(Entry { key, seq, kind, expires_ms, value: reference })
}

impl Core {
    /// Commits one record of an ordered keyspace if `precondition` holds under the writer lock; `None`
    /// if it does not.
    pub(crate) fn commit_ordered(
        &self,
        keyspace: &Keyspace,
        draft: &Draft<'_>,
        durability: Option<Durability>,
        mut precondition: impl FnMut(&Tree) -> Result<bool>,
    ) -> Result<Option<Commit>> {
        let mut frame = LoneFrame::new();
        if !frame.hold(draft) {
            return with_frame(|frame| {
                frame.lend(draft)?;
                self.commit(frame, &(keyspace, 0), durability, |_| {
                    precondition(keyspace.tree.read(&pin()).of(keyspace)?)
                })
            });
        }
        self.trees.admit(self, frame.len_bytes())?;
        let mut writer = self.journal.writer(frame.len_bytes(), 1)?;
        keyspace.check_alive()?;
        self.trees.check()?;
        let pin = pin();
        let tree = keyspace.tree.read(&pin).of(keyspace)?;
        if !precondition(tree)? {
            drop(writer);
            self.note_past();
            return Ok(None);
        }
        let appended = writer.append_lone(&mut frame)?;
        let Draft { kind, key, value, expires_ms, .. } = *draft;
        let seq = appended.first_seq;
        let reference = if stays_in_log(tree, kind, value) {
            self.reference_to(appended.address(frame.offset()), frame.record_len(), seq)
        } else {
            None
        };
        let applied = match &reference {
            Some(reference) => Some(referring(key, reference, expires_ms, seq)),
            None => record(kind, key, value, expires_ms, seq),
        };
        let done = tree.apply(applied, appended.time_ms);
        done.map_err(|error| self.cannot_follow(error))?;
        self.show(seq);
        self.conclude(writer, &appended, seq, durability).map(Some)
    }

    /// The log has a record that its view could not take. Nobody sees it, and nothing may come after
    /// it, before the next opening brings it again.
    #[cold]
    fn cannot_follow(&self, error: annals_ordered::Error) -> Error {
        self.journal.poison(&error.to_string());
        error.into()
    }

    /// Applies the records of a frame that are of ordered keyspaces. Each tree takes its own together,
    /// so that none of its memtables ends in the middle of a commit.
    pub(super) fn apply_ordered<T: Targets>(
        &self,
        frame: &FrameBuilder<'_>,
        targets: &T,
        appended: &Appended,
    ) -> Result<()> {
        for keyspace in targets.keyspaces().filter(|keyspace| keyspace.is_ordered()) {
            let pin = pin();
            let tree = keyspace.tree.read(&pin).of(keyspace)?;
            let own = (0..frame.count()).filter(|index| targets.target(*index).0.id == keyspace.id);
            let seq_of = |index: usize| appended.first_seq.plus(index as u64);
            let over = tree.options().separate_over_bytes;
            let stays = |index: &usize| {
                // No record is shorter than its value, and how long it is is known without a look at it.
                over.is_some_and(|over| frame.record_len(*index) > over) && {
                    let record = frame.record(*index);
                    stays_in_log(tree, record.kind, record.value)
                }
            };
            // Where values stay in the log, in the order of their records; most often none do.
            let references = own.clone().filter(stays).map(|index| {
                let (address, len) =
                    (appended.address(frame.offset(index)), frame.record_len(index));
                self.reference_to(address, len, seq_of(index))
            });
            let references: Vec<_> = references.collect();
            let mut left = references.iter();
            let records = own.filter_map(|index| {
                let annals_journal::Record { kind, key, value, expires_ms, .. } =
                    frame.record(index);
                let reference =
                    if stays(&index) { left.next().and_then(Option::as_ref) } else { None };
                match reference {
                    Some(reference) => Some(referring(key, reference, expires_ms, seq_of(index))),
                    None => record(kind, key, value, expires_ms, seq_of(index)),
                }
            });
            tree.apply(records, appended.time_ms).map_err(|error| self.cannot_follow(error))?;
        }
        Ok(())
    }
}
