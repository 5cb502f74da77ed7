//! The commit of one short record, which is what nearly every commit is: the same steps, without what
//! only several records need.

use super::{Commit, Core};
use crate::{
    Durability, Result,
    catalog::Keyspace,
    hash::{Applying, Former, Placed},
};
use annals_journal::{Address, Draft, LoneFrame, Writer, pin};

/// A record to be committed alone.
#[derive(Clone, Copy)]
pub(crate) struct Lone<'a> {
    pub(crate) keyspace: &'a Keyspace,
    pub(crate) hash: u64,
    pub(crate) draft: Draft<'a>,
}

/// What a precondition came to, asked under the writer lock.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Verdict {
    /// It does not hold.
    Refused,
    /// It holds; the newest record of the key, if that was looked up for it.
    Holds(Option<Former>),
}

impl From<bool> for Verdict {
    #[inline]
    fn from(holds: bool) -> Self {
        if holds { Self::Holds(None) } else { Self::Refused }
    }
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
        precondition: impl FnMut(u64) -> Result<Verdict>,
    ) -> Option<Result<Option<Commit>>> {
        let mut frame = LoneFrame::new();
        let writer = match self.begin_lone(&mut frame, lone)? {
            Ok(writer) => writer,
            Err(error) => return Some(Err(error)),
        };
        Some(self.commit_held(writer, &mut frame, lone, durability, precondition))
    }

    /// Encodes the record and takes the writer lock, if this is for a frame like that. The pin ends
    /// here: what follows may wait for a device.
    #[inline]
    fn begin_lone(&self, frame: &mut LoneFrame, lone: &Lone<'_>) -> Option<Result<Writer<'_>>> {
        // Encoding does not need the key's place in the table, and gives it the time to come closer.
        let pin = pin();
        let place = lone.keyspace.view.read(&pin).table.approach(lone.hash);
        if !frame.hold(&lone.draft) {
            return None;
        }
        let writer = match self.journal.writer(frame.len_bytes(), 1) {
            Ok(writer) => writer,
            Err(error) => return Some(Err(error.into())),
        };
        if self.snapshots.count() > 0 {
            return None;
        }
        // What the record replaces comes closer while the frame gets its place.
        if let Some(address) = place.candidate() {
            self.journal.prefetch(Address::unpack(address));
        }
        Some(Ok(writer))
    }

    #[inline]
    fn commit_held(
        &self,
        mut writer: Writer<'_>,
        frame: &mut LoneFrame,
        lone: &Lone<'_>,
        durability: Option<Durability>,
        mut precondition: impl FnMut(u64) -> Result<Verdict>,
    ) -> Result<Option<Commit>> {
        let Lone { keyspace, hash, draft } = *lone;
        keyspace.check_alive()?;
        let Verdict::Holds(former) = precondition(hash)? else {
            drop(writer);
            self.note_past();
            return Ok(None);
        };
        let appended = writer.append_lone(frame)?;
        let Draft { kind, space, key, expires_ms, .. } = draft;
        let (address, len) = (appended.address(frame.offset()), frame.record_len());
        let seq = appended.first_seq;
        let placed = Placed { address, len, seq, hash, kind, space, key, expires_ms };
        keyspace
            .view
            .read(&pin())
            .change(self)
            .apply(&placed, Applying { former, ..Applying::default() });
        self.show(seq);
        self.conclude(writer, &appended, seq, durability).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Database, hash::HashView};
    use annals_journal::Kind;
    use std::{sync::Arc, time::Duration};

    #[test]
    fn a_commit_is_not_pinned_while_it_waits() -> Result<()> {
        let db = Database::open_in_memory()?;
        let space = db.hash_keyspace("a")?;
        let keyspace = &**space.parts().1;
        let draft = Draft {
            kind: Kind::Put,
            space: keyspace.id,
            key: b"k",
            value: b"v",
            expires_ms: None,
            aligned: false,
        };
        let lone = Lone { keyspace, hash: 7, draft };
        let core = &*db.core;
        let committed = core.commit_lone(&lone, None, |_| {
            // From here on it waits for others only: for the device, and for who is ahead there.
            keyspace.view.replace(Arc::new(HashView::default()));
            // Other tests' threads are pinned for moments.
            for _ in 0..10_000 {
                if keyspace.view.tidy() == 0 {
                    return Ok(true.into());
                }
                std::thread::sleep(Duration::from_millis(1));
            }
            panic!("a former view is kept");
        });
        assert!(committed.is_some_and(|outcome| matches!(outcome, Ok(Some(_)))));
        Ok(())
    }
}
