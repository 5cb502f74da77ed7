//! Giving up what is kept no longer: events that expired, and those beyond what their streams keep.

use super::{
    Events, Filter,
    chains::{Chains, SPAN},
    find::Stream,
    id::{StreamKey, id_of_key},
    lifecycle::counted as mark_counted,
    mark::Mark,
    meanwhile::{self, Moment},
};
use crate::{
    Durability, ErrorKind, Result,
    catalog::Listed,
    clock::as_ms,
    core::Core,
    hash::{
        hash_key,
        table::{Group, Slot, WalkPlace},
    },
};
use annals_journal::{Address, Seq, pin};
use std::sync::atomic::Ordering;

/// So many expired events are counted under the writer lock at once.
const EXPIRED_AT_ONCE: usize = 1024;
/// As long as fewer events are beyond what a stream keeps, nothing is written for it.
const BEYOND_MIN: u64 = 16;

impl Core {
    /// Gives up what is kept no longer. With `is_thorough` also the little that could wait. The caller holds
    /// the maintenance lock.
    pub(crate) fn retire(&self, is_thorough: bool) -> Result<()> {
        let catalog = self.catalog.load_full();
        for listed in catalog.iter().filter(|listed| listed.keyspace.is_category()) {
            let outcome =
                self.settle_marks(listed, is_thorough).and_then(|()| self.expire_events(listed));
            if outcome.is_err() {
                listed.view.chains().is_unsettled.store(true, Ordering::Release);
            }
            match outcome {
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    tracing::warn!(%error, "events in front of damage are not given up");
                }
                // It was dropped in between.
                Err(crate::Error::KeyspaceDropped { .. }) => {}
                outcome => outcome?,
            }
        }
        Ok(())
    }

    /// Does what marks ask for.
    fn settle_marks(&self, listed: &Listed, is_thorough: bool) -> Result<()> {
        let chains = listed.view.chains();
        if !chains.is_unsettled.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let (mut place, mut group) = (WalkPlace::live_only(), Group::default());
        let mut keys: Vec<StreamKey> = Vec::new();
        loop {
            {
                // Until the pin is gone what the slots lead to is used for nothing else.
                let _pin = pin();
                if !chains.marks.walk_from(&mut place, &mut group) {
                    return Ok(());
                }
                for slot in group.slots.iter().filter_map(|raw| Slot::from_raw(*raw)) {
                    keys.extend(self.unsettled_at(Address::unpack(slot.address())));
                }
            }
            for key in keys.drain(..) {
                // There is one that may ask for something again.
                chains.is_unsettled.store(true, Ordering::Release);
                match self.settle_mark(listed, &key, is_thorough) {
                    // What is damaged stays, and keeps nobody from giving up the rest.
                    Err(error) if error.kind() == ErrorKind::Corrupt => {
                        tracing::warn!(%error, "events of a damaged stream are not given up");
                    }
                    outcome => outcome?,
                }
            }
        }
    }

    /// Does what the mark of a stream asks for.
    fn settle_mark(&self, listed: &Listed, key: &StreamKey, is_thorough: bool) -> Result<()> {
        let Listed { keyspace, view, .. } = listed;
        let hashed = (hash_key(self.hash_seed, key.bytes()), key.bytes());
        let stream = Stream { view, space: keyspace.id, hash: hashed.0, key: hashed.1 };
        let Some(limits) = self.limits_of(keyspace, &stream)? else { return Ok(()) };
        let Some(last) = self.last_event(&stream)? else { return Ok(()) };
        let by_number = limits.mark.first_by_number(last.version());
        // By their times only whole spans: what lies in front of damage is not taken for what is over.
        let by_age = self.first_within(&limits, &stream, &last)? & !(SPAN - 1);
        let first = by_number.max(by_age);
        let least = if is_thorough { 1 } else { BEYOND_MIN };
        if first >= limits.mark.first.saturating_add(least) {
            meanwhile::run(Moment::RetentionKnown);
            let durability = Some(Durability::Buffered);
            self.change_mark(keyspace, hashed, durability, |mark, newest| {
                // Somebody may want to keep more since.
                let is_so = mark.first < first && mark.retention == limits.mark.retention;
                Ok(is_so.then(|| mark_counted(&Mark { first, ..*mark }, newest)))
            })?;
        }
        self.count_out(keyspace, hashed)
    }

    /// The stream whose mark is at `address`, if that may ask for something.
    fn unsettled_at(&self, address: Address) -> Option<StreamKey> {
        let guard = self.journal.guard(address.slot)?;
        let record = guard.record(address.offset).ok()?;
        let mark = Mark::decode(record.value)?;
        // In front of the first one the newest may be, which is counted by nobody.
        if mark.retention.is_none() && mark.first - mark.counted <= 1 {
            return None;
        }
        StreamKey::of(&id_of_key(record.key)?)
    }

    /// Counts events of a category as not needed whose time to live is over.
    fn expire_events(&self, listed: &Listed) -> Result<()> {
        let Listed { keyspace, view, .. } = listed;
        let Some(ttl) = keyspace.options.ttl else { return Ok(()) };
        let ttl_ms = as_ms(ttl);
        let chains = view.chains();
        let filter = Filter::of(keyspace.id, None);
        let mut events = Events::new(self, chains.expired_to(), filter, None)?;
        let mut expired = Vec::with_capacity(EXPIRED_AT_ONCE);
        loop {
            let mut next = None;
            while expired.len() < EXPIRED_AT_ONCE {
                let Some((_, event)) = events.next_hit()? else { break };
                let label = event.read.label;
                if !self.is_past(label.time_ms.saturating_add(ttl_ms)) {
                    break;
                }
                let record = &event.hit.record;
                let hash =
                    hash_key(self.hash_seed, event.hit.guard.bytes(record.key.0, record.key.1));
                next = Some(record.seq.plus(1));
                expired.push((event.hit.address, record.len, hash, label.version));
            }
            let Some(next) = next else { return Ok(()) };
            self.note_expired(listed, chains, &expired, next);
            if expired.len() < EXPIRED_AT_ONCE {
                return Ok(());
            }
            expired.clear();
        }
    }

    /// Counts these events out, unless somebody else has, or they are the newest ones.
    fn note_expired(
        &self,
        listed: &Listed,
        chains: &Chains,
        expired: &[(Address, u32, u64, u64)],
        next: Seq,
    ) {
        let Listed { keyspace, view, .. } = listed;
        let _writer = self.journal.quiesce();
        let changing = view.change(self);
        for (address, len, hash, version) in expired {
            let Some(guard) = self.journal.guard(address.slot) else { continue };
            let Ok(record) = guard.record(address.offset) else { continue };
            let stream = Stream { view, space: keyspace.id, hash: *hash, key: record.key };
            // Who truncated has counted those; a mark that cannot be read has told so already.
            let counted = self.mark_of(&stream).ok().flatten().map_or(0, |mark: Mark| mark.counted);
            if *version >= counted {
                changing.count_out(*hash, *address, *len);
            }
        }
        chains.expire_to(next);
    }
}
