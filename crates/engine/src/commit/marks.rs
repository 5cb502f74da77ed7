//! The commit of a stream's mark.

use super::{Commit, Core};
use crate::{
    Durability, Result,
    catalog::Keyspace,
    hash::Placed,
    streams::{MARK_BYTES, Mark, STREAM_ID_BYTES_MAX, Stream},
};
use annals_journal::{Draft, FrameBuilder, Kind, pin};

/// More than the record of a mark takes beside the stream's id.
const ROOM_BYTES: usize = MARK_BYTES + 256;

impl Core {
    /// Changes the mark of a stream as `decide` says, which is asked under the writer lock: what the mark is now,
    /// and which version the newest event has. `None` from it changes nothing.
    pub(crate) fn change_mark(
        &self,
        category: &Keyspace,
        (hash, key): (u64, &[u8]),
        durability: Option<Durability>,
        decide: impl FnOnce(&Mark, Option<u64>) -> Result<Option<Mark>>,
    ) -> Result<Option<Commit>> {
        let mut writer = self.journal.writer(ROOM_BYTES + STREAM_ID_BYTES_MAX, 1)?;
        category.check_alive()?;
        let (appended, seq) = {
            let pin = pin();
            let view = category.view.read(&pin);
            let stream = Stream { view, space: category.id, hash, key };
            let newest = self.newest_event(&stream)?.map(|event| event.version());
            let before = self.mark_of(&stream)?.unwrap_or_default();
            let Some(mark) = decide(&before, newest)? else { return Ok(None) };
            let (kind, space, value, expires_ms) = (Kind::Mark, category.id, mark.encode(), None);
            let mut frame = FrameBuilder::new();
            frame.push(&Draft { kind, space, key, value: &value, expires_ms, aligned: false })?;
            let appended = writer.append(&mut frame)?;
            let (address, len) = (appended.address(frame.offset(0)), frame.record_len(0));
            let seq = appended.first_seq;
            let placed = Placed { address, len, seq, hash, kind, space, key, expires_ms };
            view.change(self).mark(&placed, &mark);
            self.show(seq);
            (appended, seq)
        };
        self.conclude(writer, &appended, seq, durability).map(Some)
    }
}
