//! The tables of one moment, kept from being removed: what a copy of the database needs.

use super::Store;
use crate::{Manifest, ManifestPlace, Result, State, View};
use annals_disk::Disk;
use std::{path::Path, sync::Arc};

/// The tables of one moment. As long as it is kept, none of their files is removed.
#[derive(Debug)]
pub struct Frozen {
    state: State,
    database_id: u64,
    _views: Vec<Arc<View>>,
}

impl Store {
    /// The tables of this moment, of all trees together. Costs a copy of the list of tables.
    #[must_use]
    pub fn freeze(&self) -> Frozen {
        // No edit is installed meanwhile.
        let log = self.core.log.lock();
        let views = self.core.all_trees().iter().map(|tree| tree.view.load_full()).collect();
        let database_id = self.core.site.database_id;
        Frozen { state: log.state.clone(), database_id, _views: views }
    }
}

impl Frozen {
    /// Which tables there are.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Writes a manifest that says so to `dir`, durably, under a number that is neither a table's nor
    /// lower than `least`.
    ///
    /// # Errors
    /// If the file system refuses.
    pub fn write_manifest(&self, disk: &dyn Disk, dir: &Path, least: u64) -> Result<ManifestPlace> {
        let number = self.state.next_number.max(least);
        let state = State { next_number: number + 1, ..self.state.clone() };
        Ok(Manifest::create(disk, dir, self.database_id, number, &state)?.place())
    }
}
