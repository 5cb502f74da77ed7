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
    ///
    /// ```
    /// use annals_disk::{Disk, SimDisk, SimOptions};
    /// use std::path::Path;
    /// let disk = SimDisk::new(SimOptions::seeded(7));
    /// disk.cut_power_at(1);
    /// let mut file = disk.create(Path::new("notes"))?;
    /// assert!(file.append(b"hello").is_err());
    /// assert!(disk.is_power_cut());
    /// # Ok::<(), annals_disk::DiskError>(())
    /// ```
    pub fn cut_power_at(&self, operation: u64) {
        self.state.lock().cut_at = Some(operation);
    }

    /// Cuts the power now.
    ///
    /// ```
    /// use annals_disk::{Disk, SimDisk, SimOptions};
    /// use std::path::Path;
    /// let disk = SimDisk::new(SimOptions::seeded(7));
    /// disk.set_file_bytes("notes", b"hello")?;
    /// disk.cut_power_now();
    /// assert!(disk.read(Path::new("notes"), 100).is_err());
    /// # Ok::<(), annals_disk::DiskError>(())
    /// ```
    pub fn cut_power_now(&self) {
        let mut state = self.state.lock();
        if state.power == Power::On {
            state.power = Power::Cut;
        }
    }

    /// Whether the power was cut, by [`SimDisk::cut_power_now`] or because its operation came.
    ///
    /// ```
    /// use annals_disk::{Disk, SimDisk, SimOptions};
    /// use std::path::Path;
    /// let disk = SimDisk::new(SimOptions::seeded(7));
    /// disk.cut_power_at(0);
    /// // Not yet: it is cut when somebody begins the operation.
    /// assert!(!disk.is_power_cut());
    /// assert!(disk.create(Path::new("notes")).is_err());
    /// assert!(disk.is_power_cut());
    /// ```
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
    ///
    /// ```
    /// use annals_disk::{Disk, SimDisk, SimOptions};
    /// use std::path::Path;
    /// let disk = SimDisk::new(SimOptions::seeded(7));
    /// let mut file = disk.create(Path::new("notes"))?;
    /// file.append(b"hello")?;
    /// file.sync()?;
    /// disk.sync_dir(Path::new(""))?;
    /// file.append(b" there")?;
    /// // What was synced is there; of the rest some, all or nothing.
    /// let found = disk.restart().read(Path::new("notes"), 100)?;
    /// assert!(found.starts_with(b"hello") && found.len() <= 11);
    /// # Ok::<(), annals_disk::DiskError>(())
    /// ```
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
    /// ```
    /// use annals_disk::{Disk, SimDisk, SimOptions};
    /// use std::path::Path;
    /// let disk = SimDisk::new(SimOptions::seeded(7));
    /// drop(disk.create(Path::new("notes"))?);
    /// let is_there = |seed| disk.restart_with_seed(seed).file_bytes("notes").is_some();
    /// // The name was not synced: some cuts leave it, others do not.
    /// let left = (0..100).filter(|seed| is_there(*seed)).count();
    /// assert!((1..100).contains(&left));
    /// assert_eq!(is_there(3), is_there(3));
    /// # Ok::<(), annals_disk::DiskError>(())
    /// ```
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
    /// ```
    /// use annals_disk::{Disk, SimDisk, SimOptions};
    /// use std::path::Path;
    /// let disk = SimDisk::new(SimOptions::seeded(7));
    /// disk.create(Path::new("notes"))?.append(b"hello")?;
    /// let found = disk.restart_clean();
    /// assert_eq!(found.read(Path::new("notes"), 100)?, b"hello");
    /// // Who was killed writes no more.
    /// assert!(disk.create(Path::new("more")).is_err());
    /// # Ok::<(), annals_disk::DiskError>(())
    /// ```
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
    ///
    /// ```
    /// use annals_disk::SimOptions;
    /// assert_eq!(SimOptions::seeded(7), SimOptions { seed: 7, ..SimOptions::default() });
    /// ```
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }
}
