//! Commits to ordered keyspaces: the same steps, where applying puts records into memtables.

use super::{Commit, Core, Targets, with_frame};
use crate::{Durability, Error, Result, catalog::Keyspace};
use annals_journal::{Appended, Draft, FrameBuilder, Kind, LoneFrame, Seq, pin};
use annals_ordered::{Entry, EntryKind, Record, Tree};

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
        let done = tree.apply(record(kind, key, value, expires_ms, seq), appended.time_ms);
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
            let records = own.filter_map(|index| {
                let annals_journal::Record { kind, key, value, expires_ms, .. } =
                    frame.record(index);
                record(kind, key, value, expires_ms, appended.first_seq.plus(index as u64))
            });
            tree.apply(records, appended.time_ms).map_err(|error| self.cannot_follow(error))?;
        }
        Ok(())
    }
}
