//! The commit of one short event, which is what most appends are. It is encoded under the writer lock,
//! where its version is known.

use super::{Commit, Core};
use crate::{
    Durability, Error, Result,
    catalog::Keyspace,
    hash::Placed,
    streams::{
        Before, ExpectedVersion, LABEL_BYTES_MAX, Label, NewEvent, Read, Stream, check,
        content_hash, encode_extra, extra, hash_of,
        meanwhile::{self, Moment},
    },
};
use annals_journal::{Address, Draft, Kind, LoneFrame, pin};
use std::cell::Cell;

/// An event that is to be appended alone.
#[derive(Clone, Copy)]
pub(crate) struct LoneEvent<'a> {
    pub(crate) category: &'a Keyspace,
    pub(crate) hash: u64,
    pub(crate) key: &'a [u8],
    pub(crate) event: &'a NewEvent<'a>,
    pub(crate) type_number: u32,
    pub(crate) expected: ExpectedVersion,
}

/// What became of it.
pub(crate) enum LoneAppend {
    /// It has this version.
    Appended(Commit, u64),
    /// The stream had it already.
    WasThere,
}

thread_local! {
    static VALUE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Core {
    /// Appends one short event. `None` if it is too long for this: nothing has happened then.
    pub(crate) fn append_lone(
        &self,
        lone: &LoneEvent<'_>,
        durability: Option<Durability>,
    ) -> Option<Result<LoneAppend>> {
        let LoneEvent { key, event, .. } = *lone;
        let mut extra = Vec::new();
        encode_extra(event, lone.category.is_chained(), &mut extra);
        if !LoneFrame::fits(key.len(), event.data.len() + extra.len() + LABEL_BYTES_MAX) {
            return None;
        }
        // A thread that is ending has none.
        let mut value = VALUE.try_with(Cell::take).unwrap_or_default();
        value.clear();
        let done = self.append_encoded(lone, &mut extra, &mut value, durability);
        let _ = VALUE.try_with(|kept| kept.set(value));
        Some(done)
    }

    fn append_encoded(
        &self,
        lone: &LoneEvent<'_>,
        extra: &mut [u8],
        value: &mut Vec<u8>,
        durability: Option<Durability>,
    ) -> Result<LoneAppend> {
        let LoneEvent { category, hash, key, event, type_number, expected } = *lone;
        let content = content_hash(category, key, event, Some(type_number), extra)?;
        let approached = {
            let pin = pin();
            category.view.read(&pin).table.approach(hash).candidate()
        };
        let mut frame = LoneFrame::new();
        let mut writer = self.journal.writer(LoneFrame::BYTES_MAX, 1)?;
        if let Some(address) = approached {
            self.journal.prefetch(Address::unpack(address));
        }
        category.check_alive()?;
        let (appended, version) = {
            let pin = pin();
            let view = category.view.read(&pin);
            let stream = Stream { view, space: category.id, hash, key };
            if let Some(id) = event.ids.event
                && self.event_of_id(category, &stream, id)?.is_some()
            {
                return Ok(LoneAppend::WasThere);
            }
            let newest = self.newest_event(&stream)?;
            let last = newest.as_ref().map(|event| event.version());
            let standing = self.standing(category, &stream, newest.as_ref())?;
            check(category, key, expected, last, standing)?;
            let version = last.map_or(0, |last| last + 1);
            let time_before_ms = newest.as_ref().map_or(0, |event| event.read.label.time_ms);
            let (time_ms, format) = (self.clock.now_ms().max(time_before_ms), event.format);
            if let Some(content) = &content {
                let link = content.link(hash_of(category, newest.as_ref())?, version, time_ms);
                let has_room = extra::set_link(extra, &link);
                debug_assert!(has_room, "it was encoded with room for hashes");
            }
            let before = newest.map_or(Before::Nothing, |event| Before::At(event.hit.address));
            let extra = &*extra;
            let label = Label { type_number, version, time_ms, format, before, extra };
            value.extend_from_slice(event.data);
            label.encode(value);
            let (kind, expires_ms) = (Kind::Event, None);
            let draft = Draft { kind, space: category.id, key, value, expires_ms, aligned: true };
            if !frame.hold(&draft) {
                let (bytes, limit) = (value.len() as u64, annals_journal::VALUE_BYTES_MAX as u64);
                return Err(Error::ValueTooLong { bytes, limit });
            }
            let appended = writer.append_lone(&mut frame)?;
            let (address, len) = (appended.address(frame.offset()), frame.record_len());
            let seq = appended.first_seq;
            let space = category.id;
            let placed = Placed { address, len, seq, hash, kind, space, key, expires_ms };
            let data_len = event.data.len() as u32;
            let read = Read { label: Label { extra: &[], ..label }, data_len };
            let (mut changing, id) = (view.change(self), event.ids.event);
            match label.before {
                Before::At(newest) => changing.append_behind(&placed, newest, &read, id),
                _ => changing.append(&placed, &read, id),
            }
            drop(changing);
            meanwhile::run(Moment::EventPlaced);
            self.show(seq);
            (appended, version)
        };
        let commit = self.conclude(writer, &appended, appended.first_seq, durability)?;
        Ok(LoneAppend::Appended(commit, version))
    }
}
