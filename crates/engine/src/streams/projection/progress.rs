//! How far projections have come, as it is kept: by name, in a keyspace of its own.

use crate::{Database, Error, ErrorKind, HashKeyspace, Result};
use annals_journal::Seq;
use parking_lot::Mutex;
use std::collections::BTreeSet;

/// The keyspace in which it says how far each projection has come.
pub(super) const PROGRESS_NAME: &str = "annals.projections";

const FLAG_RESETTING: u8 = 0x01;
const FLAG_PAUSED: u8 = 0x02;

/// How far a projection has come.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Progress {
    /// What it keeps is being emptied.
    pub(super) is_resetting: bool,
    /// It handles nothing until it is resumed.
    pub(super) is_paused: bool,
    pub(super) next: Seq,
    /// How often it was begun anew: who began before that may stand at the same number and have read what is no more.
    pub(super) round: u64,
}

impl Progress {
    /// Of one that was never told.
    pub(super) const BEGIN: Self =
        Self { is_resetting: false, is_paused: false, next: Seq::ZERO, round: 0 };

    pub(super) fn encode(self) -> [u8; 17] {
        let resetting = if self.is_resetting { FLAG_RESETTING } else { 0 };
        let paused = if self.is_paused { FLAG_PAUSED } else { 0 };
        let mut told = [resetting | paused; 17];
        told[1..9].copy_from_slice(&self.next.0.to_le_bytes());
        told[9..].copy_from_slice(&self.round.to_le_bytes());
        told
    }

    fn decode(told: &[u8]) -> Option<Self> {
        let (flags, rest) = told.split_first()?;
        let (next, round) = rest.split_first_chunk::<8>()?;
        // Who wrote none had none.
        let round: [u8; 8] = if round.is_empty() { [0; 8] } else { round.try_into().ok()? };
        let (next, round) = (Seq(u64::from_le_bytes(*next)), u64::from_le_bytes(round));
        let (is_resetting, is_paused) = (flags & FLAG_RESETTING != 0, flags & FLAG_PAUSED != 0);
        let is_known = flags & !(FLAG_RESETTING | FLAG_PAUSED) == 0;
        is_known.then_some(Self { is_resetting, is_paused, next, round })
    }

    /// As it is kept while it is not paused.
    pub(super) fn unpaused(self) -> Vec<u8> {
        Self { is_paused: false, ..self }.encode().to_vec()
    }
}

/// What is kept of a projection.
pub(super) struct Kept {
    /// `None` if it cannot be read.
    pub(super) progress: Option<Progress>,
    /// The bytes; `None` if there are none, or they are damaged.
    told: Option<Vec<u8>>,
}

impl Kept {
    pub(super) fn read(progress: &HashKeyspace, name: &str) -> Result<Self> {
        let told = match progress.get(name) {
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                return Ok(Self { progress: None, told: None });
            }
            told => told?.map(|told| told.to_vec()),
        };
        let progress = told.as_deref().map_or(Some(Progress::BEGIN), Progress::decode);
        Ok(Self { progress, told })
    }

    /// Whether anything is kept, readable or not.
    pub(super) fn is_there(&self) -> bool {
        self.told.is_some() || self.progress.is_none()
    }

    /// The bytes that there are while it is not paused.
    pub(super) fn unpaused(&self) -> Vec<u8> {
        match (self.progress, &self.told) {
            (Some(progress), _) => progress.unpaused(),
            (None, told) => told.clone().unwrap_or_default(),
        }
    }

    /// Whether it is not paused and has come as far as `told` says.
    pub(super) fn is(&self, told: &[u8]) -> bool {
        self.progress.is_some_and(|progress| !progress.is_paused) && self.unpaused() == told
    }
}

/// Writes what `change` makes of what is kept of a projection, whoever else does so at the same time; nothing if it
/// makes nothing of it.
fn update(
    db: &Database,
    progress: &HashKeyspace,
    name: &str,
    mut change: impl FnMut(&Kept) -> Result<Option<Progress>>,
) -> Result<()> {
    loop {
        let kept = Kept::read(progress, name)?;
        let Some(changed) = change(&kept)? else { return Ok(()) };
        let mut batch = db.batch();
        batch.insert(progress, name, changed.encode())?;
        let is_as_it_was = || Ok(Kept::read(progress, name)?.told == kept.told);
        if batch.commit_if(is_as_it_was)?.is_some() {
            return Ok(());
        }
    }
}

/// Pauses a projection or lets it go on.
pub(super) fn set_paused(
    db: &Database,
    progress: &HashKeyspace,
    name: &str,
    is_paused: bool,
) -> Result<()> {
    update(db, progress, name, |kept| match kept.progress {
        Some(known) if known.is_paused == is_paused => Ok(None),
        Some(known) => Ok(Some(Progress { is_paused, ..known })),
        None => Err(is_lost(name)),
    })
}

/// Notes that it goes on with the number `seq`. Returns how far it has come then; `None` if that was not as `told` says.
pub(super) fn skip_to(
    db: &Database,
    progress: &HashKeyspace,
    name: &str,
    told: &[u8],
    seq: Seq,
) -> Result<Option<Progress>> {
    let mut skipped = None;
    update(db, progress, name, |kept| {
        let known = kept.progress.filter(|_| kept.unpaused() == told);
        skipped = known.map(|known| Progress { next: seq, ..known });
        Ok(skipped)
    })?;
    Ok(skipped)
}

pub(super) fn is_lost(name: &str) -> Error {
    let what = "what is kept of how far the projection has come cannot be read";
    Error::Refused(format!("`{name}`: {what}; rebuild it"))
}

/// Notes that what a projection keeps is being emptied.
pub(super) fn begin_anew(db: &Database, progress: &HashKeyspace, name: &str) -> Result<()> {
    update(db, progress, name, |kept| {
        // Each time that it begins anew is some records of the log: where nobody knows how often, it was less often
        // than there are records.
        let known = kept.progress;
        let round = known.map_or_else(|| db.last_seq().0, |known| known.round).wrapping_add(1);
        let known = known.unwrap_or(Progress::BEGIN);
        Ok(Some(Progress { is_resetting: true, next: Seq::ZERO, round, ..known }))
    })
}

/// Notes that it is empty. Returns how far it has come then.
pub(super) fn end_anew(db: &Database, progress: &HashKeyspace, name: &str) -> Result<Progress> {
    let mut begun = Progress::BEGIN;
    update(db, progress, name, |kept| {
        begun = Progress { is_resetting: false, ..kept.progress.unwrap_or(Progress::BEGIN) };
        Ok(Some(begun))
    })?;
    Ok(begun)
}

/// The names of projections that are emptied just now.
pub(crate) type Resets = Mutex<BTreeSet<String>>;

/// That a projection is emptied, for as long as this lives.
pub(super) struct Resetting<'a> {
    resets: &'a Resets,
    name: &'a str,
}

impl<'a> Resetting<'a> {
    /// `None` if it is emptied already.
    pub(super) fn begin(resets: &'a Resets, name: &'a str) -> Option<Self> {
        let is_first = resets.lock().insert(name.to_owned());
        // Not made where it is not the first: it would end what the other one holds.
        is_first.then(|| Self { resets, name })
    }
}

impl Drop for Resetting<'_> {
    fn drop(&mut self) {
        self.resets.lock().remove(self.name);
    }
}
