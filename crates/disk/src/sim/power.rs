//! What is left after the power was cut, or after the process was killed.

use super::{
    SimDisk, SimOptions,
    rng::Rng,
    state::{Power, SimFile, State},
};
use parking_lot::Mutex;
use std::{collections::BTreeMap, io, sync::Arc};

impl SimDisk {
    /// Cuts the power at operation `operation`, counted from 0 as [`SimDisk::operations`] counts:
    /// that operation and everything after it fails and changes nothing. A number that has passed
    /// cuts at the next operation.
    pub fn cut_power_at(&self, operation: u64) {
        self.state.lock().cut_at = Some(operation);
    }

    /// Cuts the power now.
    pub fn cut_power_now(&self) {
        let mut state = self.state.lock();
        if state.power == Power::On {
            state.power = Power::Cut;
        }
    }

    /// Whether the power was cut, by [`SimDisk::cut_power_now`] or because its operation came.
    #[must_use]
    pub fn is_power_cut(&self) -> bool {
        self.state.lock().power == Power::Cut
    }

    /// Cuts the power, if that has not happened, and returns the disk that is found afterwards.
    ///
    /// Synced bytes and names are as they were. Of the rest, each page is old, new or torn, each
    /// length old, new or between, each change of names there or not, drawn from the seed: the same
    /// seed and the same calls give the same disk. Locks are free. The new disk counts its
    /// operations from 0, has no ordered faults, and draws from a seed of its own.
    #[must_use]
    pub fn restart(&self) -> Self {
        let state = self.state.lock();
        let seed = successor_seed(&state, "restart");
        drop(state);
        self.restart_with_seed(seed)
    }

    /// Like [`SimDisk::restart`], with the outcome drawn from `seed`: to look at many outcomes of
    /// one cut.
    ///
    /// # Panics
    /// If this machine has no memory left for the copy.
    #[must_use]
    pub fn restart_with_seed(&self, seed: u64) -> Self {
        self.cut_power_now();
        let state = self.state.lock();
        let mut rng = Rng::new(seed, "power cut");
        let tree = state.tree.survivors(&mut rng);
        let named = tree.named_files();
        let files = copy_files(&state, |id, file| {
            // The content is drawn for each file, named or not, so that one more surviving name
            // does not change what happens to the bytes of others.
            let content = file.content.survivor(&mut rng)?;
            Ok(named.contains(&id).then(|| SimFile::new(content)))
        });
        Self::of(state.successor(seed, tree, files))
    }

    /// Kills the process that uses this disk, as `kill -9` does, and returns the disk that the next
    /// process finds: nothing written is lost, nothing more is durable, locks are free. From now on
    /// everything fails on this one.
    ///
    /// # Panics
    /// If this machine has no memory left for the copy.
    #[must_use]
    pub fn restart_clean(&self) -> Self {
        let mut state = self.state.lock();
        if state.power == Power::On {
            state.power = Power::Killed;
        }
        let seed = successor_seed(&state, "kill");
        let possible = state.tree.possible_files();
        let files = copy_files(&state, |id, file| {
            let content = file.content.copy()?;
            Ok(possible.contains(&id).then(|| SimFile::new(content)))
        });
        Self::of(state.successor(seed, state.tree.clone(), files))
    }

    fn of(state: State) -> Self {
        Self { state: Arc::new(Mutex::new(state)) }
    }
}

/// A seed for the next disk, different for each place at which this one can end.
fn successor_seed(state: &State, purpose: &str) -> u64 {
    let seed = Rng::new(state.options.seed, purpose).next();
    Rng::new(seed ^ state.operation_count, purpose).next()
}

fn copy_files(
    state: &State,
    mut copy: impl FnMut(u64, &SimFile) -> io::Result<Option<SimFile>>,
) -> BTreeMap<u64, SimFile> {
    let mut files = BTreeMap::new();
    for (id, file) in &state.files {
        match copy(*id, file) {
            Ok(Some(copied)) => {
                files.insert(*id, copied);
            }
            Ok(None) => {}
            Err(error) => panic!("no memory to copy the simulated disk: {error}"),
        }
    }
    files
}

impl SimOptions {
    /// The default options with this seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }
}
