//! The commit of one short record, which is what nearly every commit is: the same steps, without what
//! only several records need.

use super::{Commit, Core};
use crate::{
    Durability, Result,
    catalog::Keyspace,
    hash::{Applying, Approach, Placed},
};
use annals_journal::{Address, Draft, LoneFrame, pin};

/// A record to be committed alone.
#[derive(Clone, Copy)]
pub(crate) struct Lone<'a> {
    pub(crate) keyspace: &'a Keyspace,
    pub(crate) hash: u64,
    pub(crate) draft: Draft<'a>,
}

impl Core {
    /// Commits one record if `precondition` holds under the writer lock; the inner `None` if it does
    /// not. The outer `None` if the record is too long for this, or has to say which version it
    /// replaces: nothing has happened then.
    #[inline]
    pub(crate) fn commit_lone(
        &self,
        lone: &Lone<'_>,
        durability: Option<Durability>,
        precondition: impl FnMut(u64) -> Result<bool>,
    ) -> Option<Result<Option<Commit>>> {
        // Encoding does not need the key's place in the table, and gives it the time to come closer.
        let pin = pin();
        let place = lone.keyspace.view.read(&pin).table.approach(lone.hash);
        let mut frame = LoneFrame::new();
        if !frame.hold(&lone.draft) {
            return None;
        }
        self.commit_held(&mut frame, lone, place, durability, precondition).transpose()
    }

    fn commit_held(
        &self,
        frame: &mut LoneFrame,
        lone: &Lone<'_>,
        place: Approach<'_>,
        durability: Option<Durability>,
        mut precondition: impl FnMut(u64) -> Result<bool>,
    ) -> Result<Option<Option<Commit>>> {
        let Lone { keyspace, hash, draft } = *lone;
        let mut writer = self.journal.writer(frame.len_bytes(), 1)?;
        if self.snapshots.count() > 0 {
            return Ok(None);
        }
        keyspace.check_alive()?;
        // What the record replaces comes closer while the frame gets its place.
        if let Some(address) = place.candidate() {
            self.journal.prefetch(Address::unpack(address));
        }
        if !precondition(hash)? {
            drop(writer);
            self.note_past();
            return Ok(Some(None));
        }
        let appended = writer.append_lone(frame)?;
        let Draft { kind, space, key, expires_ms, .. } = draft;
        let (address, len) = (appended.address(frame.offset()), frame.record_len());
        let seq = appended.first_seq;
        let placed = Placed { address, len, seq, hash, kind, space, key, expires_ms };
        keyspace.view.read(&pin()).change(self).apply(&placed, Applying::default());
        self.show(seq);
        self.conclude(writer, &appended, seq, durability).map(|commit| Some(Some(commit)))
    }
}
