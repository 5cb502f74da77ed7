//! Events that log compaction moves: each is encoded anew, since it says where the one before it is.

use super::{
    find::{Stream, leads_to},
    label::{Before, Label},
    plan::read_record,
};
use crate::{ErrorKind, Result, catalog::Listed, core::Core, hash::LeftOut};
use annals_journal::{Address, Record};
use std::collections::HashMap;

/// The events of the frame that compaction is at.
#[derive(Debug, Default)]
pub(crate) struct Moving {
    /// Where in the frame events begin, by category, hash of the stream's key, and version.
    begun: HashMap<(u32, u64, u64), u32>,
    value: Vec<u8>,
}

/// An event that is moved.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MovedEvent {
    pub(crate) version: u64,
    pub(crate) id: Option<u128>,
    /// Its encoded length where it was.
    pub(crate) len: u32,
}

/// What becomes of an event in a segment that is given up.
#[derive(Clone, Copy, Debug)]
pub(crate) enum EventFate {
    /// It moves.
    Moves,
    /// It was given up, but the next event of its stream goes on from it: it moves without its data.
    MovesEmpty,
    /// It was given up.
    Ends(LeftOut),
    /// It is a copy that was left over.
    Goes,
}

impl Moving {
    /// What becomes of the event at `address`.
    pub(crate) fn fate(
        core: &Core,
        listed: &Listed,
        hash: u64,
        address: Address,
        record: &Record<'_>,
    ) -> EventFate {
        let Some((read, id)) = read_record(record) else { return EventFate::Goes };
        let version = read.label.version;
        let stream = Stream { view: &listed.view, space: record.space, hash, key: record.key };
        let decided = core.mark_of(&stream).and_then(|mark| {
            let mark = mark.unwrap_or_default();
            let is_it = leads_to(address);
            let is_newest =
                listed.view.table.find(hash, |slot| is_it(slot).then_some(())).is_some();
            let expired_to = listed.view.chains().expired_to();
            let is_over = version < mark.first || record.seq < expired_to;
            Ok(match () {
                () if is_newest && is_over => EventFate::MovesEmpty,
                () if is_newest => EventFate::Moves,
                () if is_over => EventFate::Ends(LeftOut { address, version, id }),
                () if core.is_in_chain(&stream, address, version)? => EventFate::Moves,
                () => EventFate::Goes,
            })
        });
        decided.unwrap_or_else(|error| {
            tracing::warn!(%error, "nobody can tell whether an event is needed: it stays");
            EventFate::Moves
        })
    }

    /// The value that the event at `address` gets where it goes, which is at `at` in the frame, and what is
    /// to be noted of it. `None` if it is no event. With `is_empty` it loses its data.
    pub(crate) fn encode(
        &mut self,
        core: &Core,
        listed: &Listed,
        hash: u64,
        (address, len): (Address, u32),
        record: &Record<'_>,
        (at, is_empty): (u32, bool),
    ) -> Result<Option<(&[u8], MovedEvent)>> {
        let Some((data_len, label)) = Label::split(record.value) else { return Ok(None) };
        let data_len = if is_empty { 0 } else { data_len };
        let version = label.version;
        let id = read_record(record).and_then(|(_, id)| id);
        let stream = Stream { view: &listed.view, space: record.space, hash, key: record.key };
        let first = core.mark_of(&stream).ok().flatten().map_or(0, |mark| mark.first);
        let before = match version.checked_sub(1) {
            None => Before::Nothing,
            // It is left out of the log, now or soon.
            Some(before) if before < first => Before::Nothing,
            Some(before) => match self.begun.get(&(record.space, hash, before)) {
                Some(begun) => Before::Within(at - begun),
                None => match core.place_of_event_before(&stream, address, &label) {
                    Ok(before) => before.map_or(Before::Nothing, Before::At),
                    // It is damaged, so its segment stays as it is, and what this one says of it true.
                    Err(error) if error.kind() == ErrorKind::Corrupt => {
                        label.address_before(address).map_or(Before::Nothing, Before::At)
                    }
                    Err(error) => return Err(error),
                },
            },
        };
        let label = Label { before, ..label };
        self.value.clear();
        self.value.extend_from_slice(&record.value[..data_len]);
        label.encode(&mut self.value);
        self.begun.insert((record.space, hash, version), at);
        Ok(Some((&self.value, MovedEvent { version, id, len })))
    }

    /// Whether the event of this version is in the frame too.
    pub(crate) fn has(&self, space: u32, hash: u64, version: u64) -> bool {
        self.begun.contains_key(&(space, hash, version))
    }

    /// The frame has its place; the next one begins.
    pub(crate) fn clear(&mut self) {
        self.begun.clear();
    }
}
